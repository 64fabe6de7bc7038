//! Whisper's log-mel features. Knows no model.
//!
//! As in Whisper's `audio.py`: 16 kHz, windows of 400 samples each 160, Slaney's bands from 0 to 8 kHz over power,
//! log10 with a floor of 1e-10, nothing lower than 8 (80 dB) below the loudest, then (x + 4) / 4.

use realfft::num_complex::Complex;

use mynah_dsp::mel::MelBank;
use mynah_dsp::stft::{Frames, hann};

const RATE: u32 = 16_000;
/// Samples from one frame to the next, at 16 kHz.
pub const HOP: usize = 160;
const WINDOW: usize = 400;
const FLOOR: f32 = 1e-10;

/// The transform and the bands, made once.
pub struct Features {
    frames: Frames,
    bank: MelBank,
    spectrum: Vec<Complex<f32>>,
    power: Vec<f32>,
    bands: Vec<f32>,
    window: Vec<f32>,
}

impl Features {
    /// So many bands a frame: 80, or 128 for models of the shape of `large-v3`.
    pub fn new(bands: usize) -> Self {
        let frames = Frames::new(hann(WINDOW), WINDOW);
        let bins = frames.bins();
        Self {
            frames,
            bank: MelBank::slaney(RATE, WINDOW, bands, 0.0, f64::from(RATE) / 2.0),
            spectrum: vec![Complex::default(); bins],
            power: vec![0.0; bins],
            bands: vec![0.0; bands],
            window: vec![0.0; WINDOW],
        }
    }

    /// [bands, count] of `samples` followed by silence; frame `t` is centred on sample `160·t`. Before the first sample
    /// the sound is mirrored. Samples that are not finite count as 0.
    pub fn log_mel(&mut self, samples: &[f32], count: usize) -> Vec<f32> {
        let mut out = vec![FLOOR.log10(); self.bands.len() * count];
        // Frames that hear nothing but the silence behind the samples keep the floor.
        let heard = count.min((samples.len() + WINDOW / 2).div_ceil(HOP));
        for t in 0..heard {
            let start = (t * HOP) as isize - (WINDOW / 2) as isize;
            for (j, w) in self.window.iter_mut().enumerate() {
                let at = (start + j as isize).unsigned_abs();
                *w = samples.get(at).copied().filter(|x| x.is_finite()).unwrap_or(0.0);
            }
            self.frames.forward(&self.window, &mut self.spectrum);
            for (p, s) in self.power.iter_mut().zip(&self.spectrum) {
                *p = s.norm_sqr();
            }
            self.bank.apply(&self.power, &mut self.bands);
            for (b, &m) in self.bands.iter().enumerate() {
                out[b * count + t] = m.max(FLOOR).log10();
            }
        }
        let least = out.iter().fold(f32::MIN, |a, &b| a.max(b)) - 8.0;
        for x in &mut out {
            *x = (x.max(least) + 4.0) / 4.0;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A glide, written by `models/recipes/golden/whisper.py` too.
    fn glide() -> Vec<f32> {
        (0..8000).map(|i| (0.3 * (i as f64 * 0.11).sin() + 0.2 * (i as f64 * i as f64 * 0.0001).sin()) as f32).collect()
    }

    #[test]
    fn equals_the_reference() {
        let golden: Vec<f32> = include_bytes!("../../../tests/golden/whisper_mel.f32")
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")))
            .collect();
        let ours = Features::new(80).log_mel(&glide(), 60);
        assert_eq!(ours.len(), golden.len());
        let worst = ours.iter().zip(&golden).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-3, "{worst}");
    }

    #[test]
    fn silence_and_bad_samples_give_finite_features() {
        let mut features = Features::new(80);
        for samples in [vec![], vec![0.0; 500], vec![f32::NAN; 500], vec![f32::INFINITY; 3]] {
            let mel = features.log_mel(&samples, 20);
            assert_eq!(mel.len(), 1600);
            assert!(mel.iter().all(|x| x.is_finite()));
        }
    }
}
