//! The live picture of the sound: the spectra of input and output over the last seconds on one time axis, the output
//! moved by the latency so that what belongs together stands together. Draws what `bridge` sends while the window is
//! open; the audio thread does none of it.

use std::sync::{Arc, Mutex};

use egui::{
    Color32, ColorImage, Context, CornerRadius, FontId, Painter, Pos2, Rect, TextureHandle, TextureOptions, Ui, pos2,
    vec2,
};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::theme::{Palette, palette};
use crate::realtime::{ScopePull, ScopeSide};

/// Seconds that are shown.
pub const SECONDS: f64 = 6.0;
/// Columns of the picture, and its rows.
const COLUMNS: usize = 600;
const ROWS: usize = 88;
/// The lowest and the highest row, in Hz.
const HERTZ: (f64, f64) = (75.0, 11_000.0);
/// Length of the window of a spectrum, in seconds, before it is rounded to a power of two.
const WINDOW_SECONDS: f64 = 0.035;
/// Levels of a row between which it goes from dark to bright, in dBFS.
const DARKEST: f32 = -86.0;
const BRIGHTEST: f32 = -24.0;
/// Samples taken at a time, in pairs.
const TAKE: usize = 4096;

/// One of the two pictures.
struct Lane {
    /// The last samples, `at` the next place.
    sound: Vec<f32>,
    at: usize,
    /// Position of the next sample.
    position: i64,
    /// Brightness 0 to 255, column by column; a column's number is its position over the hop, its place that modulo
    /// `COLUMNS`.
    cells: Vec<[u8; ROWS]>,
    /// The next column.
    column: i64,
    /// Columns that are not in the texture yet, as places.
    fresh: Vec<usize>,
    texture: Option<TextureHandle>,
}

impl Lane {
    fn new(window: usize) -> Self {
        let cells = vec![[0; ROWS]; COLUMNS];
        Self { sound: vec![0.0; window], at: 0, position: 0, cells, column: 0, fresh: Vec::new(), texture: None }
    }

    fn set(&mut self, column: i64, cells: [u8; ROWS]) {
        let place = column.rem_euclid(COLUMNS as i64) as usize;
        self.cells[place] = cells;
        self.fresh.push(place);
    }

    /// Takes a sample; gives the column that it completed.
    fn push(&mut self, sample: f32, hop: i64, spectra: &mut Spectra) -> Option<i64> {
        self.sound[self.at] = sample;
        self.at = (self.at + 1) % self.sound.len();
        self.position += 1;
        // A column's spectrum is the one around its position.
        if self.position < self.column * hop + self.sound.len() as i64 / 2 {
            return None;
        }
        let column = self.column;
        self.set(column, spectra.column(self));
        self.column += 1;
        Some(column)
    }

    fn clear(&mut self) {
        self.cells.fill([0; ROWS]);
        self.sound.fill(0.0);
        self.texture = None;
        self.fresh.clear();
    }
}

/// What turns samples into columns.
struct Spectra {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    frame: Vec<f32>,
    bins: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// The bins of each row: from, to, both included.
    rows: [(usize, usize); ROWS],
}

impl Spectra {
    fn new(rate: u32) -> Self {
        let n = ((WINDOW_SECONDS * rate as f64) as usize).next_power_of_two();
        let fft = RealFftPlanner::new().plan_fft_forward(n);
        // A Hann window whose sum is 2: a full-scale tone comes out as 1.
        let window =
            (0..n).map(|i| 2.0 / n as f32 * (1.0 - (std::f32::consts::TAU * i as f32 / n as f32).cos())).collect();
        let (low, high) = (HERTZ.0, HERTZ.1.min(0.49 * rate as f64));
        let edge = |row: f64| low * (high / low).powf(row / ROWS as f64) * n as f64 / rate as f64;
        let rows = std::array::from_fn(|r| {
            let (from, to) = (edge(r as f64), edge(r as f64 + 1.0));
            (from.round() as usize, (to.round() as usize).saturating_sub(1).max(from.round() as usize))
        });
        let (bins, scratch) = (fft.make_output_vec(), fft.make_scratch_vec());
        Self { fft, window, frame: vec![0.0; n], bins, scratch, rows }
    }

    fn column(&mut self, lane: &Lane) -> [u8; ROWS] {
        let (new, old) = lane.sound.split_at(lane.at);
        for ((x, s), w) in self.frame.iter_mut().zip(old.iter().chain(new)).zip(&self.window) {
            *x = s * w;
        }
        // The lengths fit by construction; a column that could not be had stays dark.
        if self.fft.process_with_scratch(&mut self.frame, &mut self.bins, &mut self.scratch).is_err() {
            return [0; ROWS];
        }
        self.rows.map(|(from, to)| {
            let power = self.bins[from..=to].iter().map(|b| b.norm_sqr()).fold(0.0, f32::max);
            let level = 10.0 * power.max(1e-12).log10();
            (255.0 * ((level - DARKEST) / (BRIGHTEST - DARKEST)).clamp(0.0, 1.0)) as u8
        })
    }
}

/// See the top of the file.
pub struct Scope {
    side: Option<Arc<Mutex<ScopeSide>>>,
    rate: u32,
    latency: i64,
    spectra: Spectra,
    input: Lane,
    output: Lane,
    buffer: Vec<f32>,
    /// The palette that the textures have.
    painted: Option<Palette>,
}

impl Scope {
    /// An empty one.
    pub fn new() -> Self {
        Self::of(None, 48_000, 0)
    }

    fn of(side: Option<Arc<Mutex<ScopeSide>>>, rate: u32, latency: i64) -> Self {
        let spectra = Spectra::new(rate);
        let lane = || Lane::new(spectra.window.len());
        let (input, output) = (lane(), lane());
        Self { side, rate, latency, spectra, input, output, buffer: vec![0.0; 2 * TAKE], painted: None }
    }

    /// Takes what has come; tells whether there was anything. Rate in Hz, latency in samples.
    pub fn take(&mut self, side: Option<Arc<Mutex<ScopeSide>>>, rate: u32, latency: usize) -> bool {
        let same = match (&self.side, &side) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        if (!same && side.is_some()) || (self.rate, self.latency) != (rate, latency as i64) {
            *self = Self::of(side, rate, latency as i64);
        }
        let Some(side) = self.side.clone() else { return false };
        let mut side = side.lock().unwrap_or_else(|e| e.into_inner());
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut came = false;
        loop {
            match side.pull(&mut buffer) {
                ScopePull::At(position) => self.jump(position as i64),
                ScopePull::Pairs(n) => {
                    came = true;
                    buffer[..2 * n].chunks_exact(2).for_each(|pair| self.push(pair[0], pair[1]));
                }
                ScopePull::Empty => break,
            }
        }
        self.buffer = buffer;
        came
    }

    /// Samples from one column to the next.
    fn hop(&self) -> i64 {
        ((SECONDS * self.rate as f64) as i64 / COLUMNS as i64).max(1)
    }

    /// The next pair stands at this input position.
    fn jump(&mut self, position: i64) {
        let (hop, latency) = (self.hop(), self.latency);
        let back = position < self.input.position;
        for (lane, position) in [(&mut self.input, position), (&mut self.output, position - latency)] {
            let column = position.div_euclid(hop);
            if back || column - lane.column > COLUMNS as i64 {
                lane.clear();
            } else {
                (lane.column..column).for_each(|c| lane.set(c, [0; ROWS]));
            }
            lane.sound.fill(0.0);
            (lane.position, lane.column) = (position, column);
        }
    }

    fn push(&mut self, input: f32, output: f32) {
        let hop = self.hop();
        if let Some(column) = self.input.push(input, hop, &mut self.spectra) {
            // What the output had here six seconds ago goes.
            self.output.set(column, [0; ROWS]);
        }
        self.output.push(output, hop, &mut self.spectra);
    }

    /// Draws both pictures, the newest at the right.
    pub fn show(&mut self, ui: &mut Ui, rect: Rect) {
        let p = palette(ui);
        self.paint(ui.ctx(), p);
        let painter = ui.painter_at(rect);
        let gap = 3.0;
        let height = (rect.height() - gap) / 2.0;
        let lanes = [
            (&self.input, Rect::from_min_size(rect.min, vec2(rect.width(), height)), "IN".to_owned()),
            (
                &self.output,
                Rect::from_min_size(pos2(rect.left(), rect.bottom() - height), vec2(rect.width(), height)),
                "OUT".to_owned(),
            ),
        ];
        for (lane, place, name) in lanes {
            painter.rect_filled(place, CornerRadius::same(4), p.ground);
            if let Some(texture) = &lane.texture {
                self.lane(&painter, texture, place);
            }
            ticks(&painter, place, p, name == "OUT");
            let at = place.left_top() + vec2(7.0, 4.0);
            let galley = painter.layout_no_wrap(name, FontId::proportional(11.0), p.text);
            plate(&painter, Rect::from_min_size(at, galley.size()), p);
            painter.galley(at, galley, p.text);
        }
    }

    /// The ring of columns from its oldest on: two pieces of the texture.
    fn lane(&self, painter: &Painter, texture: &TextureHandle, place: Rect) {
        let split = self.input.column.rem_euclid(COLUMNS as i64) as f32 / COLUMNS as f32;
        let middle = place.left() + place.width() * (1.0 - split);
        let part = |from: f32, to: f32, left: f32, right: f32| {
            if to > from {
                let uv = Rect::from_min_max(Pos2::new(from, 0.0), Pos2::new(to, 1.0));
                let rect = Rect::from_min_max(pos2(left, place.top()), pos2(right, place.bottom()));
                painter.image(texture.id(), rect, uv, Color32::WHITE);
            }
        };
        part(split, 1.0, place.left(), middle);
        part(0.0, split, middle, place.right());
    }

    /// Brings the textures up to date: whole ones where there are none or the palette has changed, else the columns
    /// that came.
    fn paint(&mut self, ctx: &Context, p: Palette) {
        if self.painted != Some(p) {
            self.painted = Some(p);
            (self.input.texture, self.output.texture) = (None, None);
        }
        for (lane, name, bright) in
            [(&mut self.input, "mynah scope in", p.good), (&mut self.output, "mynah scope out", p.accent)]
        {
            let colours: Vec<Color32> = (0..256).map(|v| shade(v as f32 / 255.0, bright, p)).collect();
            let column = |cells: &[u8; ROWS]| cells.iter().rev().map(|v| colours[*v as usize]).collect::<Vec<_>>();
            let Some(texture) = &mut lane.texture else {
                let mut image = ColorImage::filled([COLUMNS, ROWS], p.ground);
                for (x, cells) in lane.cells.iter().enumerate() {
                    column(cells)
                        .into_iter()
                        .enumerate()
                        .for_each(|(y, colour)| image.pixels[y * COLUMNS + x] = colour);
                }
                lane.texture = Some(ctx.load_texture(name, image, TextureOptions::LINEAR));
                lane.fresh.clear();
                continue;
            };
            lane.fresh.sort_unstable();
            lane.fresh.dedup();
            // Neighbours go in one piece.
            for run in lane.fresh.chunk_by(|a, b| a + 1 == *b) {
                let mut image = ColorImage::filled([run.len(), ROWS], p.ground);
                for (x, place) in run.iter().enumerate() {
                    let colours = column(&lane.cells[*place]);
                    colours.into_iter().enumerate().for_each(|(y, colour)| image.pixels[y * run.len() + x] = colour);
                }
                texture.set_partial([run[0], 0], image, TextureOptions::LINEAR);
            }
            lane.fresh.clear();
        }
    }
}

/// From the ground over the lane's colour to the text's.
fn shade(share: f32, bright: Color32, p: Palette) -> Color32 {
    let (low, high) = ((share / 0.7).min(1.0), ((share - 0.7) / 0.3).max(0.0));
    p.ground.lerp_to_gamma(bright, low * low).lerp_to_gamma(p.text, 0.8 * high)
}

/// What text lies on, so that it can be read over any sound.
fn plate(painter: &Painter, text: Rect, p: Palette) {
    painter.rect_filled(text.expand2(vec2(4.0, 1.0)), CornerRadius::same(3), p.card.gamma_multiply(0.85));
}

/// A thin line each second.
fn ticks(painter: &Painter, place: Rect, p: Palette, named: bool) {
    for second in 1..SECONDS as usize {
        let x = place.right() - place.width() * second as f32 / SECONDS as f32;
        painter.vline(x, place.y_range(), (1.0, p.muted.gamma_multiply(0.22)));
        if named {
            let galley = painter.layout_no_wrap(format!("−{second} s"), FontId::proportional(10.0), p.text);
            let at = pos2(x + 5.0, place.bottom() - 3.0 - galley.size().y);
            plate(painter, Rect::from_min_size(at, galley.size()), p);
            painter.galley(at, galley, p.text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 16_000;

    /// The column of a lane in which a click is brightest.
    fn brightest(lane: &Lane) -> usize {
        let sum = |c: &[u8; ROWS]| c.iter().map(|v| *v as u32).sum::<u32>();
        (0..COLUMNS).max_by_key(|i| sum(&lane.cells[*i])).expect("columns")
    }

    #[test]
    fn a_click_and_its_answer_a_latency_later_stand_in_one_column() {
        let latency = 4000;
        let mut scope = Scope::of(None, RATE, latency);
        scope.jump(0);
        for i in 0..32_000i64 {
            let at = |place: i64| if i == place { 1.0 } else { 0.0 };
            scope.push(at(10_000), at(10_000 + latency));
        }
        let (heard, answered) = (brightest(&scope.input), brightest(&scope.output));
        assert!(
            heard.abs_diff(answered) <= 1 && heard.abs_diff((10_000 / scope.hop()) as usize) <= 1,
            "{heard} and {answered}"
        );
        // The output of the last moments has not come yet.
        let last = (scope.input.column - 1).rem_euclid(COLUMNS as i64) as usize;
        assert_eq!(scope.output.cells[last], [0; ROWS]);
    }

    #[test]
    fn a_tone_stands_in_its_row_and_a_reset_wipes_all() {
        let mut scope = Scope::of(None, RATE, 0);
        scope.jump(0);
        (0..16_000)
            .for_each(|i| scope.push(0.5 * (std::f32::consts::TAU * 1000.0 * i as f32 / RATE as f32).sin(), 0.0));
        let cells = scope.input.cells[(scope.input.column - 10) as usize];
        let row = (0..ROWS).max_by_key(|r| cells[*r]).expect("rows");
        let hertz = HERTZ.0 * ((0.49 * RATE as f64) / HERTZ.0).powf((row as f64 + 0.5) / ROWS as f64);
        assert!((900.0..1100.0).contains(&hertz), "{hertz}");
        scope.jump(0);
        assert!(scope.input.cells.iter().all(|c| *c == [0; ROWS]));
    }
}
