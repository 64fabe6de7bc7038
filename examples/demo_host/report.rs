//! The picture: waveforms and spectrograms before and after on one time axis, the words under them. Knows no host and
//! no plugin.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use realfft::RealFftPlanner;

use crate::Story;
use clap_host::HostResult;

const SIZE: (u32, u32) = (1800, 1100);
const LEFT: i32 = 110;
const RIGHT: i32 = SIZE.0 as i32 - 40;
/// Top and height of each panel.
const PANELS: [(i32, i32); 4] = [(130, 110), (248, 270), (556, 110), (674, 270)];
const WORDS: i32 = 978;
/// Window of the spectrogram in samples, its highest frequency in Hz, and its range in dB.
const WINDOW: usize = 2048;
const HIGHEST: f64 = 8000.0;
const RANGE: f32 = 66.0;

const INK: RGBColor = RGBColor(32, 36, 44);
const FAINT: RGBColor = RGBColor(120, 126, 138);
const LINE: RGBColor = RGBColor(214, 218, 226);
const BEFORE: RGBColor = RGBColor(86, 104, 132);
const AFTER: RGBColor = RGBColor(198, 84, 44);
/// Dark to bright.
const HEAT: [(u8, u8, u8); 6] =
    [(10, 10, 30), (58, 15, 100), (130, 35, 125), (210, 65, 95), (250, 145, 70), (252, 250, 200)];

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

/// Draws it.
pub fn draw(path: &Path, story: &Story) -> HostResult<()> {
    register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| "the font can't be read")?;
    let root = BitMapBackend::new(path, SIZE).into_drawing_area();
    let failed = |e: &dyn std::fmt::Display| format!("`{}` can't be drawn: {e}", path.display());
    root.fill(&WHITE).map_err(|e| failed(&e))?;
    picture(&root, story).map_err(|e| failed(&e))?;
    root.present().map_err(|e| failed(&e))?;
    Ok(())
}

fn picture(root: &Area, story: &Story) -> HostResult<()> {
    text(root, &story.title, (LEFT, 28), 30.0, &INK, HPos::Left)?;
    text(root, &story.figures, (LEFT, 72), 21.0, &FAINT, HPos::Left)?;
    let seconds = story.before.len().max(1) as f64 / story.rate as f64;
    let peak = story.before.iter().chain(&story.after).fold(1e-3f32, |m, x| m.max(x.abs()));
    let spectra = (Spectrum::of(&story.before, story.rate), Spectrum::of(&story.after, story.rate));
    let loudest = spectra.0.loudest().max(spectra.1.loudest());
    let sides = [("before", &story.before, &spectra.0, BEFORE), ("after", &story.after, &spectra.1, AFTER)];
    for (k, (name, samples, spectrum, colour)) in sides.into_iter().enumerate() {
        waveform(root, PANELS[2 * k], samples, peak, &colour)?;
        heat(root, PANELS[2 * k + 1], spectrum, loudest)?;
        text(root, name, (LEFT - 12, PANELS[2 * k].0 + PANELS[2 * k].1 / 2), 21.0, &colour, HPos::Right)?;
    }
    axis(root, seconds)?;
    words(root, story, seconds)
}

fn text(root: &Area, what: &str, at: (i32, i32), size: f64, colour: &RGBColor, side: HPos) -> HostResult<()> {
    let style = ("sans-serif", size).into_font().color(colour).pos(Pos::new(side, VPos::Center));
    root.draw(&Text::new(what.to_owned(), at, style)).map_err(|e| e.to_string())?;
    Ok(())
}

fn x_of(seconds: f64, of: f64) -> i32 {
    LEFT + (seconds / of * (RIGHT - LEFT) as f64).round() as i32
}

/// Each column from the lowest to the highest sample that falls in it.
fn waveform(root: &Area, (top, height): (i32, i32), samples: &[f32], peak: f32, colour: &RGBColor) -> HostResult<()> {
    let middle = top + height / 2;
    let y_of = |x: f32| middle - (x / peak * (height / 2 - 4) as f32).round() as i32;
    let line = |a, b, c: &RGBColor| root.draw(&PathElement::new(vec![a, b], c)).map_err(|e| e.to_string());
    line((LEFT, middle), (RIGHT, middle), &LINE)?;
    let columns = (RIGHT - LEFT) as usize;
    for k in 0..columns {
        let stretch = &samples[k * samples.len() / columns
            ..((k + 1) * samples.len() / columns).max(k * samples.len() / columns + 1).min(samples.len())];
        let (low, high) = stretch.iter().fold((0.0f32, 0.0f32), |(l, h), &x| (l.min(x), h.max(x)));
        line((LEFT + k as i32, y_of(low)), (LEFT + k as i32, y_of(high)), colour)?;
    }
    Ok(())
}

/// Magnitudes in dB, one column a pixel.
struct Spectrum {
    columns: Vec<Vec<f32>>,
    rate: u32,
}

impl Spectrum {
    fn of(samples: &[f32], rate: u32) -> Self {
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(WINDOW);
        let hann: Vec<f32> =
            (0..WINDOW).map(|i| 0.5 - 0.5 * (i as f32 / WINDOW as f32 * std::f32::consts::TAU).cos()).collect();
        let count = (RIGHT - LEFT) as usize;
        let columns = (0..count).map(|k| {
            let middle = (k as f64 + 0.5) / count as f64 * samples.len() as f64;
            let first = middle as i64 - WINDOW as i64 / 2;
            let at =
                |i: usize| usize::try_from(first + i as i64).ok().and_then(|j| samples.get(j)).copied().unwrap_or(0.0);
            let mut input: Vec<f32> = (0..WINDOW).map(|i| at(i) * hann[i]).collect();
            let mut output = fft.make_output_vec();
            // Only wrong lengths fail, and these are the plan's own.
            let _ = fft.process(&mut input, &mut output);
            output.iter().map(|z| 20.0 * (z.norm() / WINDOW as f32 + 1e-9).log10()).collect()
        });
        Self { columns: columns.collect(), rate }
    }

    fn loudest(&self) -> f32 {
        self.columns.iter().flatten().fold(f32::NEG_INFINITY, |m, &x| m.max(x))
    }

    /// Between two bins.
    fn at(&self, column: usize, hertz: f64) -> f32 {
        let bin = hertz / self.rate as f64 * WINDOW as f64;
        let (low, share) = (bin as usize, bin.fract() as f32);
        let column = &self.columns[column];
        let get = |i: usize| column.get(i).copied().unwrap_or(-180.0);
        get(low) * (1.0 - share) + get(low + 1) * share
    }
}

fn mel(hertz: f64) -> f64 {
    2595.0 * (1.0 + hertz / 700.0).log10()
}

fn hertz(mel: f64) -> f64 {
    700.0 * (10f64.powf(mel / 2595.0) - 1.0)
}

fn heat(root: &Area, (top, height): (i32, i32), spectrum: &Spectrum, loudest: f32) -> HostResult<()> {
    for row in 0..height {
        let frequency = hertz(mel(HIGHEST) * (1.0 - row as f64 / height as f64));
        for column in 0..spectrum.columns.len() {
            let share = ((spectrum.at(column, frequency) - loudest + RANGE) / RANGE).clamp(0.0, 1.0);
            root.draw_pixel((LEFT + column as i32, top + row), &colour(share)).map_err(|e| e.to_string())?;
        }
    }
    for (frequency, label) in
        [(200.0, "200"), (500.0, "500"), (1000.0, "1 k"), (2000.0, "2 k"), (4000.0, "4 k"), (8000.0, "8 kHz")]
    {
        let y = top + (height as f64 * (1.0 - mel(frequency) / mel(HIGHEST))).round() as i32;
        root.draw(&PathElement::new(vec![(LEFT - 6, y), (LEFT, y)], FAINT)).map_err(|e| e.to_string())?;
        text(root, label, (LEFT - 10, y), 15.0, &FAINT, HPos::Right)?;
    }
    Ok(())
}

fn colour(share: f32) -> RGBColor {
    let at = share * (HEAT.len() - 1) as f32;
    let (low, part) = ((at as usize).min(HEAT.len() - 2), at - (at as usize).min(HEAT.len() - 2) as f32);
    let (a, b) = (HEAT[low], HEAT[low + 1]);
    let between = |a: u8, b: u8| (a as f32 + (b as f32 - a as f32) * part).round() as u8;
    RGBColor(between(a.0, b.0), between(a.1, b.1), between(a.2, b.2))
}

/// Seconds, under the lower spectrogram.
fn axis(root: &Area, seconds: f64) -> HostResult<()> {
    let step = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0].into_iter().find(|s| seconds / s <= 20.0).unwrap_or(300.0);
    let y = PANELS[3].0 + PANELS[3].1;
    for k in 0..=(seconds / step) as usize {
        let x = x_of(k as f64 * step, seconds);
        root.draw(&PathElement::new(vec![(x, y), (x, y + 6)], FAINT)).map_err(|e| e.to_string())?;
        text(root, &format!("{} s", k as f64 * step), (x, y + 18), 15.0, &FAINT, HPos::Center)?;
    }
    Ok(())
}

/// Each word where it is said, in the first row with room; a bar shows how long it lasts.
fn words(root: &Area, story: &Story, seconds: f64) -> HostResult<()> {
    let mut ends = [i32::MIN; 4];
    for word in &story.words {
        let (from, to) = (x_of(word.start, seconds), x_of(word.end, seconds).min(RIGHT));
        if from >= RIGHT {
            continue;
        }
        let style = ("sans-serif", 18.0).into_font();
        let width = style.box_size(&word.text).map_or(60, |(w, _)| w as i32);
        let row = (0..ends.len())
            .find(|&r| ends[r] + 8 <= from)
            .unwrap_or_else(|| (0..ends.len()).min_by_key(|&r| ends[r]).unwrap_or(0));
        ends[row] = (from + width).max(to);
        let y = WORDS + row as i32 * 29;
        root.draw(&Rectangle::new([(from, y - 4), (to.max(from + 2), y - 2)], AFTER.filled()))
            .map_err(|e| e.to_string())?;
        text(root, &word.text, (from, y + 9), 18.0, &INK, HPos::Left)?;
    }
    text(root, "words", (LEFT - 12, WORDS + 8), 21.0, &INK, HPos::Right)?;
    Ok(())
}
