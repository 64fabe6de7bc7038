//! The pitch of a voice, frame by frame, from windows no longer than those of the mel spectrum, so that pitch costs no
//! latency of its own.
//!
//! Candidates are the peaks of the normalised cross-correlation of each window with itself (D. Talkin, "A robust
//! algorithm for pitch tracking (RAPT)", 1995; here over the whole window, so that each lag is seen symmetrically
//! around the frame's centre). The path through them is found by dynamic programming with the costs of P. Boersma,
//! "Accurate short-term analysis of the fundamental frequency", 1993, and read out after `lag` frames: 0 for live use.
//! Knows no threads and no files.

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// The rate that windows come at, in Hz.
pub const RATE: u32 = 24000;
/// Samples from one frame to the next.
pub const HOP: usize = 240;
/// Samples of a window; frame `t` is centred on sample `t · HOP`.
pub const WINDOW: usize = 960;
/// The lowest pitch that is found, in Hz.
pub const LOW: f32 = 50.0;
/// The highest pitch that is found, in Hz.
pub const HIGH: f32 = 800.0;

const SHORTEST: usize = RATE as usize / HIGH as usize;
const LONGEST: usize = RATE as usize / LOW as usize;
/// Holds a window and the longest lag without wrapping around.
const SIZE: usize = 1536;
/// Candidates of a frame; the first is "unvoiced".
const CANDIDATES: usize = 12;
/// Above this the spectrum is faded out before correlating: formants there make false peaks. In Hz.
const FADE_FROM: f32 = 1500.0;
const FADE_TO: f32 = 3500.0;

/// The costs of the path, in units of correlation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// Correlation from which a frame counts as voiced.
    pub voicing: f32,
    /// Preference for the higher of two octaves.
    pub octave: f32,
    /// For each octave that the pitch jumps from one frame to the next.
    pub jump: f32,
    /// For starting or ending voice.
    pub switch: f32,
    /// Against high candidates that die away, which are formants.
    pub ringing: f32,
    /// A frame whose peak is below this share of the loudest recent peak counts as silence.
    pub silence: f32,
}

impl Default for Costs {
    fn default() -> Self {
        Self { voicing: 0.5, octave: 0.01, jump: 0.7, switch: 0.14, ringing: 1.0, silence: 0.06 }
    }
}

/// Where candidates may be ringing formants: none at 200 Hz, all from 350 Hz.
fn ringing_share(hertz: f32) -> f32 {
    ((hertz - 200.0) / 150.0).clamp(0.0, 1.0)
}

/// The loudest recent peak is forgotten by this factor a frame: half in 7 s.
const PEAK_DECAY: f32 = 0.999;
/// No peak below this counts as loud: about −54 dBFS.
const PEAK_FLOOR: f32 = 0.002;

#[derive(Debug, Clone, Copy)]
struct Frame {
    count: usize,
    hertz: [f32; CANDIDATES],
    /// The best score of a path that ends here, and the candidate of the frame before that it came from.
    score: [f32; CANDIDATES],
    from: [u8; CANDIDATES],
}

impl Frame {
    const EMPTY: Frame = Frame { count: 1, hertz: [0.0; CANDIDATES], score: [0.0; CANDIDATES], from: [0; CANDIDATES] };

    fn best(&self) -> usize {
        (1..self.count).fold(0, |best, i| if self.score[i] > self.score[best] { i } else { best })
    }
}

/// Tracks pitch from window to window. Allocation-free after `new`.
pub struct PitchTracker {
    costs: Costs,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    fade: Vec<f32>,
    time: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// Running sums of squares of the window.
    energy: Vec<f32>,
    correlation: Vec<f32>,
    /// The last `lag + 1` frames, oldest first.
    frames: Vec<Frame>,
    loudest: f32,
}

impl PitchTracker {
    /// Reads out each frame's pitch `lag` frames later, when it is known better.
    pub fn new(lag: usize) -> Self {
        Self::with_costs(lag, Costs::default())
    }

    /// With costs of one's own, for measuring.
    pub fn with_costs(lag: usize, costs: Costs) -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(SIZE), planner.plan_fft_inverse(SIZE));
        let fade = |bin: usize| {
            let f = bin as f32 * RATE as f32 / SIZE as f32;
            let x = ((f - FADE_FROM) / (FADE_TO - FADE_FROM)).clamp(0.0, 1.0);
            0.5 + 0.5 * (std::f32::consts::PI * x).cos()
        };
        Self {
            costs,
            fade: (0..SIZE / 2 + 1).map(fade).collect(),
            time: vec![0.0; SIZE],
            spectrum: vec![Complex::default(); SIZE / 2 + 1],
            scratch: vec![Complex::default(); forward.get_scratch_len().max(inverse.get_scratch_len())],
            forward,
            inverse,
            energy: vec![0.0; WINDOW + 1],
            correlation: vec![0.0; LONGEST + 2],
            frames: vec![Frame::EMPTY; lag + 1],
            loudest: PEAK_FLOOR,
        }
    }

    /// Forgets all frames.
    pub fn reset(&mut self) {
        self.frames.fill(Frame::EMPTY);
        self.loudest = PEAK_FLOOR;
    }

    /// Takes the next window and gives the pitch of the frame `lag` windows before in Hz, 0 where it is unvoiced or
    /// before the first.
    pub fn push(&mut self, window: &[f32]) -> f32 {
        let peak = self.correlate(&window[..WINDOW]);
        self.loudest = (self.loudest * PEAK_DECAY).max(peak).max(PEAK_FLOOR);
        let frame = self.extend(peak);
        self.frames.rotate_left(1);
        let newest = self.frames.len() - 1;
        self.frames[newest] = frame;
        let mut at = frame.best();
        for i in (1..=newest).rev() {
            at = self.frames[i].from[at] as usize;
        }
        self.frames[0].hertz[at]
    }

    /// Fills `correlation` for all lags and gives the window's peak.
    fn correlate(&mut self, window: &[f32]) -> f32 {
        let mean = window.iter().sum::<f32>() / WINDOW as f32;
        let mut peak = 0.0f32;
        for (t, x) in self.time.iter_mut().zip(window) {
            *t = x - mean;
            peak = peak.max(t.abs());
        }
        self.time[WINDOW..].fill(0.0);
        let fits = "all buffers have the plan's sizes";
        self.forward.process_with_scratch(&mut self.time, &mut self.spectrum, &mut self.scratch).expect(fits);
        for (s, g) in self.spectrum.iter_mut().zip(&self.fade) {
            *s *= g / SIZE as f32;
        }
        self.inverse.process_with_scratch(&mut self.spectrum, &mut self.time, &mut self.scratch).expect(fits);
        // What the fade smeared beyond the window is cut off, so that energies and products are of the same samples.
        self.time[WINDOW..].fill(0.0);
        let mut sum = 0.0f64;
        for (e, x) in self.energy[1..].iter_mut().zip(&self.time) {
            sum += *x as f64 * *x as f64;
            *e = sum as f32;
        }
        self.forward.process_with_scratch(&mut self.time, &mut self.spectrum, &mut self.scratch).expect(fits);
        for s in &mut self.spectrum {
            *s = Complex::new(s.norm_sqr() / SIZE as f32, 0.0);
        }
        self.inverse.process_with_scratch(&mut self.spectrum, &mut self.time, &mut self.scratch).expect(fits);
        let total = self.energy[WINDOW];
        for (lag, r) in self.correlation.iter_mut().enumerate() {
            let (head, tail) = (self.energy[WINDOW - lag], total - self.energy[lag]);
            // The floor keeps a lag from winning whose two halves are nearly silent.
            *r = self.time[lag] / ((head * tail).sqrt() + 1e-3 * total + 1e-12);
        }
        peak
    }

    /// How much less the window resembles itself after twice the lag: a formant that rings dies away, a voice goes on.
    fn decay(&self, lag: usize, here: f32) -> f32 {
        match self.correlation.get(2 * lag - 2..=2 * lag + 2) {
            Some(twice) => (here - twice.iter().copied().fold(-1.0, f32::max)).max(0.0),
            None => 0.0,
        }
    }

    /// The new frame's candidates and the best paths to them.
    fn extend(&self, peak: f32) -> Frame {
        let c = &self.costs;
        let mut frame = Frame::EMPTY;
        let mut strength = [0.0f32; CANDIDATES];
        strength[0] = c.voicing + (2.0 - peak / self.loudest * (1.0 + c.voicing) / c.silence).max(0.0);
        let r = &self.correlation;
        for lag in SHORTEST..=LONGEST {
            let (before, here, after) = (r[lag - 1], r[lag], r[lag + 1]);
            if here < 0.3 || here <= before || here < after {
                continue;
            }
            let bend = before - 2.0 * here + after;
            let offset = if bend < 0.0 { (0.5 * (before - after) / bend).clamp(-0.5, 0.5) } else { 0.0 };
            let height = here - 0.25 * (before - after) * offset;
            let hertz = RATE as f32 / (lag as f32 + offset);
            let score = height.min(1.0) + c.octave * (hertz / LOW).log2()
                - c.ringing * self.decay(lag, here) * ringing_share(hertz);
            // When all places are taken the weakest makes room.
            let at = if frame.count < CANDIDATES {
                frame.count += 1;
                frame.count - 1
            } else {
                let weakest = (1..CANDIDATES).fold(1, |w, i| if strength[i] < strength[w] { i } else { w });
                if strength[weakest] >= score {
                    continue;
                }
                weakest
            };
            strength[at] = score;
            frame.hertz[at] = hertz.clamp(LOW, HIGH);
        }
        let former = &self.frames[self.frames.len() - 1];
        for (j, here) in strength.iter().enumerate().take(frame.count) {
            let mut best = (0, f32::NEG_INFINITY);
            for i in 0..former.count {
                let cost = match (i == 0, j == 0) {
                    (true, true) => 0.0,
                    (false, false) => c.jump * (former.hertz[i] / frame.hertz[j]).log2().abs(),
                    _ => c.switch,
                };
                if former.score[i] - cost > best.1 {
                    best = (i, former.score[i] - cost);
                }
            }
            frame.from[j] = best.0 as u8;
            frame.score[j] = best.1 + here;
        }
        let top = frame.score[frame.best()];
        frame.score.iter_mut().for_each(|s| *s -= top);
        frame
    }
}

/// The pitch of a whole sound at `RATE`, a frame each `HOP`, read out with `lag` frames of look-ahead.
pub fn track(samples: &[f32], lag: usize) -> Vec<f32> {
    let mut tracks = Tracks::new(lag);
    tracks.push(samples);
    tracks.end()
}

/// The same of a sound that comes piece by piece.
pub struct Tracks {
    tracker: PitchTracker,
    lag: usize,
    /// Samples from half a window before the next frame's centre on.
    held: Vec<f32>,
    samples: usize,
    told: Vec<f32>,
}

impl Tracks {
    /// With `lag` frames of look-ahead.
    pub fn new(lag: usize) -> Self {
        Self { tracker: PitchTracker::new(lag), lag, held: vec![0.0; WINDOW / 2], samples: 0, told: Vec::new() }
    }

    /// Takes the next samples.
    pub fn push(&mut self, samples: &[f32]) {
        self.samples += samples.len();
        self.hear(samples);
    }

    fn hear(&mut self, samples: &[f32]) {
        self.held.extend_from_slice(samples);
        let mut at = 0;
        while self.held.len() - at >= WINDOW {
            self.told.push(self.tracker.push(&self.held[at..at + WINDOW]));
            at += HOP;
        }
        self.held.drain(..at);
    }

    /// The frames of all that was pushed, in Hz; 0 where there is no voice.
    pub fn end(mut self) -> Vec<f32> {
        let count = self.samples / HOP;
        self.hear(&vec![0.0; WINDOW + self.lag * HOP]);
        self.told.truncate(count + self.lag);
        self.told.drain(..self.lag.min(self.told.len()));
        self.told
    }
}

/// The median of the voiced frames of a track in Hz; 0 if there are none.
pub fn median(track: &[f32]) -> f32 {
    let mut voiced: Vec<f32> = track.iter().copied().filter(|&f| f > 0.0).collect();
    voiced.sort_by(f32::total_cmp);
    match voiced.len() {
        0 => 0.0,
        n => (voiced[(n - 1) / 2] * voiced[n / 2]).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pulse-like voice whose pitch is `hertz(seconds)`.
    fn voice(seconds: f64, hertz: impl Fn(f64) -> f64) -> Vec<f32> {
        let mut phase = 0.0;
        let n = (seconds * RATE as f64) as usize;
        (0..n)
            .map(|i| {
                phase += hertz(i as f64 / RATE as f64) / RATE as f64;
                let sum: f64 = (1..20).map(|h| (std::f64::consts::TAU * phase * h as f64).sin() / h as f64).sum();
                (0.2 * sum) as f32
            })
            .collect()
    }

    #[test]
    fn steady_voices_are_found_from_55_to_700_hz() {
        for hertz in [55.0, 80.0, 123.4, 220.0, 333.3, 500.0, 700.0] {
            for lag in [0, 4] {
                let f = track(&voice(0.6, |_| hertz), lag);
                for (t, f) in f[6..f.len() - 6].iter().enumerate() {
                    assert!((f / hertz as f32 - 1.0).abs() < 0.01, "{hertz} Hz at frame {t}: {f}");
                }
            }
        }
    }

    #[test]
    fn a_glide_is_followed_at_its_place() {
        let glide = |t: f64| 120.0 * 2f64.powf(t);
        let f = track(&voice(1.0, glide), 0);
        for (t, f) in f.iter().enumerate().take(94).skip(6) {
            let wanted = glide(t as f64 * 0.01) as f32;
            assert!((f / wanted - 1.0).abs() < 0.015, "frame {t}: {f} instead of {wanted}");
        }
    }

    #[test]
    fn silence_and_noise_are_unvoiced() {
        assert!(track(&vec![0.0; 24000], 0).iter().all(|&f| f == 0.0));
        let mut seed = 1u32;
        let noise: Vec<f32> = (0..48000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                seed as f32 / u32::MAX as f32 - 0.5
            })
            .collect();
        let voiced = track(&noise, 0).iter().filter(|&&f| f > 0.0).count();
        assert!(voiced < 10, "{voiced} of 200 frames");
    }

    #[test]
    fn a_window_at_a_time_allocates_nothing() {
        let sound = voice(0.2, |_| 150.0);
        let mut tracker = PitchTracker::new(2);
        assert_no_alloc::assert_no_alloc(|| {
            for t in 0..10 {
                tracker.push(&sound[t * HOP..]);
            }
        });
    }
}
