//! Log mel filterbanks over a stream: the features of recognisers from icefall, NeMo and FunASR, and of those that hear
//! as Whisper does. Knows no model.
//!
//! As kaldi-native-fbank computes them with `dither = 0` and `use_energy = false` (Kaldi's `feature-window.cc`,
//! `mel-computations.cc`): frame `t` is centred on sample `160·t + 80` and the sound is mirrored at its ends
//! (`snip_edges = false`), or it begins with sample `160·t` and there are only frames that lie within the sound; then
//! pre-emphasis 0.97, a window, power, triangles, the natural logarithm.

use realfft::num_complex::Complex;

use super::mel::MelBank;
use super::stft::{Frames, hann};

/// Samples from one frame to the next, at 16 kHz.
pub const HOP: usize = 160;
/// Samples of a frame.
const WINDOW: usize = 400;
/// Samples of the transform; Whisper's is as long as a frame.
const SIZE: usize = 512;
const RATE: u32 = 16_000;
const PRE_EMPHASIS: f32 = 0.97;
/// A centred frame 0 begins so many samples before the sound.
const BEFORE: i64 = ((WINDOW - HOP) / 2) as i64;

/// Whose features they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipe {
    /// Kaldi's and icefall's: the mean of a frame taken out, Povey's window, Kaldi's mel scale from 20 to 7,600 Hz.
    Icefall,
    /// NeMo's: a Hann window, Slaney's bands from 0 to 8,000 Hz.
    Nemo,
    /// FunASR's: samples as 16-bit numbers, the mean of a frame taken out, a Hamming window, Kaldi's mel scale from 20
    /// to 8,000 Hz; only frames within the sound.
    FunAsr,
    /// Whisper's: no pre-emphasis, a Hann window, Slaney's bands from 0 to 8,000 Hz, the decimal logarithm of at least
    /// 1e-10. What Whisper makes of the loudest number of a stretch is left to who has one.
    Whisper,
}

/// A stream of frames of `bands` numbers each. Allocates only as far as sound waits in it.
pub struct Fbank {
    frames: Frames,
    bank: MelBank,
    /// Whether the mean of a frame is taken out.
    centred: bool,
    /// What samples are multiplied with.
    scale: f32,
    /// Frame 0 begins so many samples before the sound, which is mirrored at its ends where there are any.
    before: i64,
    emphasis: f32,
    /// The least power that counts, and what its natural logarithm is multiplied with.
    floor: f32,
    logarithm: f32,
    bands: Vec<f32>,
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
    /// So many bands a frame.
    pub fn new(recipe: Recipe, bands: usize) -> Self {
        let turn = |i: usize| (std::f64::consts::TAU / (WINDOW - 1) as f64 * i as f64).cos();
        let (window, bank) = match recipe {
            Recipe::Icefall => {
                // Povey's window: a Hann window over all samples, to the power 0.85.
                let povey = |i: usize| (0.5 - 0.5 * turn(i)).powf(0.85) as f32;
                ((0..WINDOW).map(povey).collect(), MelBank::kaldi(RATE, SIZE, bands, 20.0, 7600.0))
            }
            Recipe::FunAsr => {
                let hamming = |i: usize| (0.54 - 0.46 * turn(i)) as f32;
                ((0..WINDOW).map(hamming).collect(), MelBank::kaldi(RATE, SIZE, bands, 20.0, 8000.0))
            }
            Recipe::Nemo => (hann(WINDOW), MelBank::slaney(RATE, SIZE, bands, 0.0, 8000.0)),
            Recipe::Whisper => (hann(WINDOW), MelBank::slaney(RATE, WINDOW, bands, 0.0, 8000.0)),
        };
        let whisper = recipe == Recipe::Whisper;
        let frames = Frames::new(window, if whisper { WINDOW } else { SIZE });
        let bins = frames.bins();
        Self {
            frames,
            bank,
            centred: matches!(recipe, Recipe::Icefall | Recipe::FunAsr),
            scale: if recipe == Recipe::FunAsr { 32_768.0 } else { 1.0 },
            before: if recipe == Recipe::FunAsr { 0 } else { BEFORE },
            emphasis: if whisper { 0.0 } else { PRE_EMPHASIS },
            floor: if whisper { 1e-10 } else { f32::EPSILON },
            logarithm: if whisper { std::f32::consts::LOG10_E } else { 1.0 },
            bands: vec![0.0; bands],
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
        self.bank.count()
    }

    /// So many frames more of sound does a frame need than one that is centred with mirrored ends.
    pub fn late(&self) -> usize {
        if self.before == 0 { (WINDOW - HOP).div_ceil(HOP) } else { 0 }
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.held.clear();
        (self.start, self.pushed, self.next) = (0, 0, 0);
    }

    /// Takes samples (16 kHz, ±1) that follow the last ones, and appends the frames that they complete. What is no
    /// number counts as 0.
    pub fn push(&mut self, samples: &[f32], features: &mut Vec<f32>) {
        self.held.extend(samples.iter().map(|x| if x.is_finite() { *x * self.scale } else { 0.0 }));
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
        if self.before == 0 {
            return;
        }
        let count = (self.pushed + HOP as i64 / 2) / HOP as i64;
        while self.next < count {
            self.frame(features);
        }
    }

    fn begin_of(&self, frame: i64) -> i64 {
        frame * HOP as i64 - self.before
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
        if self.centred {
            let mean = self.window.iter().sum::<f32>() / WINDOW as f32;
            self.window.iter_mut().for_each(|x| *x -= mean);
        }
        for i in (1..WINDOW).rev() {
            self.window[i] -= self.emphasis * self.window[i - 1];
        }
        self.window[0] -= self.emphasis * self.window[0];
        self.frames.forward(&self.window, &mut self.spectrum);
        for (p, s) in self.power.iter_mut().zip(&self.spectrum) {
            *p = s.norm_sqr();
        }
        self.bank.apply(&self.power, &mut self.bands);
        features.extend(self.bands.iter().map(|energy| energy.max(self.floor).ln() * self.logarithm));
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(bytes: &[u8]) -> Vec<f32> {
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
    }

    /// Half a second of speech, as `models/recipes/golden/dsp.py` takes it.
    fn sound() -> Vec<f32> {
        floats(include_bytes!("../../tests/golden/fbank_input.f32"))
    }

    fn features(recipe: Recipe, blocks: usize) -> Vec<f32> {
        let mut bank = Fbank::new(recipe, 80);
        let mut features = Vec::new();
        sound().chunks(blocks).for_each(|block| bank.push(block, &mut features));
        bank.finish(&mut features);
        features
    }

    #[test]
    fn equals_kaldi_native_fbank() {
        for (recipe, golden) in [
            (Recipe::Icefall, &include_bytes!("../../tests/golden/fbank.f32")[..]),
            (Recipe::Nemo, &include_bytes!("../../tests/golden/fbank_nemo.f32")[..]),
            (Recipe::FunAsr, &include_bytes!("../../tests/golden/fbank_funasr.f32")[..]),
            (Recipe::Whisper, &include_bytes!("../../tests/golden/fbank_whisper.f32")[..]),
        ] {
            let theirs = floats(golden);
            let ours = features(recipe, 8000);
            assert_eq!(ours.len(), theirs.len());
            let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Whisper's floor is far lower, down where single precision differs between transforms.
            assert!(worst < if recipe == Recipe::Whisper { 1e-3 } else { 1e-4 }, "{recipe:?}: {worst}");
        }
    }

    #[test]
    fn blocks_do_not_matter() {
        let whole = features(Recipe::Icefall, 8000);
        for blocks in [1, 7, 160, 333] {
            assert_eq!(features(Recipe::Icefall, blocks), whole, "blocks of {blocks}");
        }
        let mut bank = Fbank::new(Recipe::Icefall, 80);
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
            let mut bank = Fbank::new(Recipe::Icefall, 80);
            let mut features = Vec::new();
            bank.push(&sound, &mut features);
            bank.finish(&mut features);
            assert_eq!(features.len(), (sound.len() + HOP / 2) / HOP * 80);
            assert!(features.iter().all(|x| x.is_finite()));
        }
    }
}
