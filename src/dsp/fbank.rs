//! Kaldi's log mel filterbank over a stream: the features of recognisers from icefall and its relatives. Knows no model.
//!
//! As kaldi-native-fbank computes it with `snip_edges = false`, `dither = 0` and `use_energy = false` (Kaldi's `feature-window.cc`,
//! `mel-computations.cc`): frame `t` is centred on sample `160·t + 80`, the sound is mirrored at its ends, the mean of a frame is taken out, then
//! pre-emphasis 0.97, Povey's window, power, triangles that are straight on Kaldi's mel scale, the natural logarithm.

use realfft::num_complex::Complex;

use super::stft::Frames;

/// Samples from one frame to the next, at 16 kHz.
pub const HOP: usize = 160;
/// Samples of a frame.
const WINDOW: usize = 400;
/// Samples of the transform.
const SIZE: usize = 512;
const RATE: f64 = 16_000.0;
const PRE_EMPHASIS: f32 = 0.97;
/// Frame 0 begins so many samples before the sound.
const BEFORE: usize = (WINDOW - HOP) / 2;

/// Kaldi's mel scale.
fn to_mel(hertz: f64) -> f64 {
    1127.0 * (1.0 + hertz / 700.0).ln()
}

struct Band {
    first: usize,
    weights: Vec<f32>,
}

/// A stream of frames of `bands` numbers each. Allocates only as far as sound waits in it.
pub struct Fbank {
    frames: Frames,
    bands: Vec<Band>,
    /// Samples; `held[0]` lies at position `start`, which is negative while the mirrored beginning is held.
    held: Vec<f32>,
    start: i64,
    /// Samples pushed so far.
    pushed: i64,
    /// Number of the next frame.
    next: i64,
    window: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    power: Vec<f32>,
}

impl Fbank {
    /// So many bands a frame, from 20 Hz to 400 Hz below half the rate of 16 kHz.
    pub fn new(bands: usize) -> Self {
        // Povey's window: a Hann window over all samples, to the power 0.85.
        let phase = std::f64::consts::TAU / (WINDOW - 1) as f64;
        let povey = (0..WINDOW).map(|i| (0.5 - 0.5 * (phase * i as f64).cos()).powf(0.85) as f32).collect();
        let frames = Frames::new(povey, SIZE);
        let bins = frames.bins();
        let (low, high) = (to_mel(20.0), to_mel(RATE / 2.0 - 400.0));
        let edge = |i: usize| low + (high - low) * i as f64 / (bands + 1) as f64;
        let band = |i: usize| {
            let (left, centre, right) = (edge(i), edge(i + 1), edge(i + 2));
            let weight = |bin: usize| {
                let mel = to_mel(bin as f64 * RATE / SIZE as f64);
                ((mel - left) / (centre - left)).min((right - mel) / (right - centre)).max(0.0) as f32
            };
            let first = (0..SIZE / 2).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
            let weights = (first..SIZE / 2).map(weight).take_while(|&w| w > 0.0).collect();
            Band { first, weights }
        };
        Self {
            bands: (0..bands).map(band).collect(),
            frames,
            held: Vec::new(),
            start: 0,
            pushed: 0,
            next: 0,
            window: vec![0.0; WINDOW],
            spectrum: vec![Complex::default(); bins],
            power: vec![0.0; bins],
        }
    }

    /// Numbers a frame.
    pub fn bands(&self) -> usize {
        self.bands.len()
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.held.clear();
        (self.start, self.pushed, self.next) = (0, 0, 0);
    }

    /// Takes samples (16 kHz, ±1) that follow the last ones, and appends the frames that they complete. What is no number counts as 0.
    pub fn push(&mut self, samples: &[f32], features: &mut Vec<f32>) {
        self.held.extend(samples.iter().map(|x| if x.is_finite() { *x } else { 0.0 }));
        self.pushed += samples.len() as i64;
        while self.begin_of(self.next) + WINDOW as i64 <= self.pushed {
            self.frame(features);
        }
        // The mirrored beginning needs the first samples, and later frames what lies behind their own begin.
        let spent = (self.begin_of(self.next) - self.start).clamp(0, self.held.len() as i64);
        self.held.drain(..spent as usize);
        self.start += spent;
    }

    /// The sound is over: appends the last frames, for which it is mirrored. Only `reset` may follow.
    pub fn finish(&mut self, features: &mut Vec<f32>) {
        let count = (self.pushed + HOP as i64 / 2) / HOP as i64;
        while self.next < count {
            self.frame(features);
        }
    }

    fn begin_of(&self, frame: i64) -> i64 {
        frame * HOP as i64 - BEFORE as i64
    }

    /// The sample at a position, mirrored at the ends as often as it takes.
    fn sample(&self, position: i64) -> f32 {
        let mut at = position;
        while at < 0 || at >= self.pushed {
            at = if at < 0 { -at - 1 } else { 2 * self.pushed - 1 - at };
        }
        self.held.get((at - self.start) as usize).copied().unwrap_or(0.0)
    }

    fn frame(&mut self, features: &mut Vec<f32>) {
        let begin = self.begin_of(self.next);
        for i in 0..WINDOW {
            self.window[i] = self.sample(begin + i as i64);
        }
        let mean = self.window.iter().sum::<f32>() / WINDOW as f32;
        self.window.iter_mut().for_each(|x| *x -= mean);
        for i in (1..WINDOW).rev() {
            self.window[i] -= PRE_EMPHASIS * self.window[i - 1];
        }
        self.window[0] -= PRE_EMPHASIS * self.window[0];
        self.frames.forward(&self.window, &mut self.spectrum);
        for (p, s) in self.power.iter_mut().zip(&self.spectrum) {
            *p = s.norm_sqr();
        }
        features.extend(self.bands.iter().map(|band| {
            let energy: f32 = band.weights.iter().zip(&self.power[band.first..]).map(|(w, p)| w * p).sum();
            energy.max(f32::EPSILON).ln()
        }));
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> Vec<f32> {
        let bytes = include_bytes!("../../tests/golden/fbank.f32");
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
    }

    /// The sound of `models/recipes/golden/dsp.py`.
    fn sound() -> Vec<f32> {
        (0..4000).map(|i| (0.3 * (i as f64 * 0.11).sin() + 0.2 * (i as f64 * i as f64 * 0.0002).sin()) as f32).collect()
    }

    fn features(blocks: usize) -> Vec<f32> {
        let mut bank = Fbank::new(80);
        let mut features = Vec::new();
        sound().chunks(blocks).for_each(|block| bank.push(block, &mut features));
        bank.finish(&mut features);
        features
    }

    #[test]
    fn equals_kaldi_native_fbank() {
        let (ours, theirs) = (features(4000), golden());
        assert_eq!(ours.len(), theirs.len());
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }

    #[test]
    fn blocks_do_not_matter() {
        let whole = features(4000);
        for blocks in [1, 7, 160, 333] {
            assert_eq!(features(blocks), whole, "blocks of {blocks}");
        }
        let mut bank = Fbank::new(80);
        let mut again = Vec::new();
        bank.push(&[0.5; 1000], &mut again);
        bank.reset();
        again.clear();
        bank.push(&sound(), &mut again);
        bank.finish(&mut again);
        assert_eq!(again, whole, "a reset forgets all");
    }

    #[test]
    fn short_and_broken_sound_gives_finite_frames() {
        for sound in [vec![], vec![0.3], vec![f32::NAN; 90], vec![f32::INFINITY; 500]] {
            let mut bank = Fbank::new(80);
            let mut features = Vec::new();
            bank.push(&sound, &mut features);
            bank.finish(&mut features);
            assert_eq!(features.len(), (sound.len() + HOP / 2) / HOP * 80);
            assert!(features.iter().all(|x| x.is_finite()));
        }
    }
}
