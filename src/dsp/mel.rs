//! Mel filterbanks on Slaney's and Kaldi's scale, and the features of the GE2E speaker encoder.
//!
//! The scale: M. Slaney, Auditory Toolbox, Interval Research report 1998-010: linear below 1 kHz, logarithmic above;
//! each triangle has unit area. Equal to `librosa.filters.mel` within 1e-6.

use super::stft::{Frames, hann};
use realfft::num_complex::Complex;

/// Linear part: 200/3 Hz a mel.
const HERTZ_PER_MEL: f64 = 200.0 / 3.0;
/// Where the logarithmic part starts, in Hz.
const BREAK_HERTZ: f64 = 1000.0;
/// 27 mels multiply the frequency by 6.4.
const LOG_STEP_FACTOR: f64 = 6.4;
const LOG_STEPS: f64 = 27.0;

fn to_mel(hertz: f64) -> f64 {
    if hertz < BREAK_HERTZ {
        hertz / HERTZ_PER_MEL
    } else {
        BREAK_HERTZ / HERTZ_PER_MEL + (hertz / BREAK_HERTZ).ln() / LOG_STEP_FACTOR.ln() * LOG_STEPS
    }
}

fn to_hertz(mel: f64) -> f64 {
    let break_mel = BREAK_HERTZ / HERTZ_PER_MEL;
    if mel < break_mel {
        mel * HERTZ_PER_MEL
    } else {
        BREAK_HERTZ * (LOG_STEP_FACTOR.ln() * (mel - break_mel) / LOG_STEPS).exp()
    }
}

/// A bank of triangles over power spectra.
#[derive(Debug, Clone)]
pub struct MelBank {
    bands: Vec<Band>,
}

#[derive(Debug, Clone)]
struct Band {
    first: usize,
    weights: Vec<f32>,
}

impl MelBank {
    /// `count` triangles from `low` to `high` Hz over the `size / 2 + 1` bins of transforms of `size` samples at
    /// `rate`.
    pub fn slaney(rate: u32, size: usize, count: usize, low: f64, high: f64) -> Self {
        let (from, to) = (to_mel(low), to_mel(high));
        let edge = |i: usize| to_hertz(from + (to - from) * i as f64 / (count + 1) as f64);
        let bin_hertz = rate as f64 / size as f64;
        let bands = (0..count).map(|i| {
            let (left, centre, right) = (edge(i), edge(i + 1), edge(i + 2));
            let weight = |bin: usize| {
                let f = bin as f64 * bin_hertz;
                let rise = (f - left) / (centre - left);
                let fall = (right - f) / (right - centre);
                (rise.min(fall).max(0.0) * 2.0 / (right - left)) as f32
            };
            let first = (left / bin_hertz).floor() as usize;
            let end = ((right / bin_hertz).ceil() as usize + 1).min(size / 2 + 1);
            Band { first, weights: (first..end).map(weight).collect() }
        });
        Self { bands: bands.collect() }
    }

    /// `count` triangles from `low` to `high` Hz over all bins but the last of transforms of `size` samples at `rate`,
    /// straight on the scale `1127·ln(1 + f/700)` and 1 at their tops, as in Kaldi's `mel-computations.cc`.
    pub fn kaldi(rate: u32, size: usize, count: usize, low: f64, high: f64) -> Self {
        let to_mel = |hertz: f64| 1127.0 * (1.0 + hertz / 700.0).ln();
        let edge = |i: usize| to_mel(low) + (to_mel(high) - to_mel(low)) * i as f64 / (count + 1) as f64;
        let bands = (0..count).map(|i| {
            let (left, centre, right) = (edge(i), edge(i + 1), edge(i + 2));
            let weight = |bin: usize| {
                let mel = to_mel(bin as f64 * f64::from(rate) / size as f64);
                ((mel - left) / (centre - left)).min((right - mel) / (right - centre)).max(0.0) as f32
            };
            let first = (0..size / 2).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
            Band { first, weights: (first..size / 2).map(weight).take_while(|&w| w > 0.0).collect() }
        });
        Self { bands: bands.collect() }
    }

    /// How many bands there are.
    pub fn count(&self) -> usize {
        self.bands.len()
    }

    /// The power in each band.
    pub fn apply(&self, power: &[f32], mel: &mut [f32]) {
        for (m, band) in mel.iter_mut().zip(&self.bands) {
            *m = band.weights.iter().zip(&power[band.first..]).map(|(w, p)| w * p).sum();
        }
    }
}

/// Bands a frame of the GE2E features has.
pub const GE2E_BANDS: usize = 40;
/// Samples from one GE2E frame to the next, at 16 kHz.
pub const GE2E_HOP: usize = 160;
const GE2E_WINDOW: usize = 400;

/// The features of the GE2E speaker encoder (Resemblyzer's `wav_to_mel_spectrogram`): power in 40 bands from 0 to 8
/// kHz, 16 kHz sound, windows of 25 ms each 10 ms, frame `t` centred on sample `160·t`, silence beyond the ends. Frames
/// lie one after the other.
pub fn ge2e(samples_16k: &[f32]) -> Vec<f32> {
    let mut frames = Frames::new(hann(GE2E_WINDOW), GE2E_WINDOW);
    let bank = MelBank::slaney(16000, GE2E_WINDOW, GE2E_BANDS, 0.0, 8000.0);
    let mut padded = vec![0.0; samples_16k.len() + GE2E_WINDOW];
    padded[GE2E_WINDOW / 2..][..samples_16k.len()].copy_from_slice(samples_16k);
    let count = 1 + samples_16k.len() / GE2E_HOP;
    let mut mel = vec![0.0; count * GE2E_BANDS];
    let mut spectrum = vec![Complex::default(); frames.bins()];
    let mut power = vec![0.0; frames.bins()];
    for (t, row) in mel.chunks_exact_mut(GE2E_BANDS).enumerate() {
        frames.forward(&padded[t * GE2E_HOP..], &mut spectrum);
        for (p, s) in power.iter_mut().zip(&spectrum) {
            *p = s.norm_sqr();
        }
        bank.apply(&power, row);
    }
    mel
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `models/recipes/golden/dsp.py` writes it: f32 little endian.
    fn golden(name: &str) -> Vec<f32> {
        let path = format!("{}/../../tests/golden/{name}.f32", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}; run models/recipes/golden/dsp.py"));
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
    }

    /// Rows of a bank's matrix, by applying it to one bin at a time.
    fn matrix(bank: &MelBank, bins: usize) -> Vec<f32> {
        let mut rows = vec![0.0; bank.count() * bins];
        let (mut power, mut mel) = (vec![0.0; bins], vec![0.0; bank.count()]);
        for bin in 0..bins {
            power.fill(0.0);
            power[bin] = 1.0;
            bank.apply(&power, &mut mel);
            for (i, m) in mel.iter().enumerate() {
                rows[i * bins + bin] = *m;
            }
        }
        rows
    }

    #[test]
    fn banks_equal_librosa() {
        for (name, bank, bins) in [
            ("mel_24k", MelBank::slaney(24000, 1024, 80, 40.0, 11500.0), 513),
            ("mel_16k", MelBank::slaney(16000, 400, 40, 0.0, 8000.0), 201),
        ] {
            let (ours, theirs) = (matrix(&bank, bins), golden(name));
            assert_eq!(ours.len(), theirs.len(), "{name}");
            let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{name}: {worst}");
        }
    }

    #[test]
    fn ge2e_features_equal_librosa() {
        let theirs = golden("ge2e_mel");
        let x: Vec<f32> = (0..4000)
            .map(|i| (0.3 * (i as f64 * 0.11).sin() + 0.2 * (i as f64 * i as f64 * 0.0002).sin()) as f32)
            .collect();
        let ours = ge2e(&x);
        assert_eq!(ours.len(), theirs.len());
        let scale = theirs.iter().fold(0.0f32, |a, b| a.max(*b));
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5 * scale, "{worst} of {scale}");
    }
}
