//! Mel frames of a reference as MeanVC's transformer paints them: −1 to 1 over 115 dB. Knows no model.
//!
//! As MeanVC's `MelSpectrogramFeatures` computes them: transforms of 1,024 samples under a periodic Hann window of 640,
//! frame `t` centred on sample `160·t`, the sound mirrored at its ends; 80 of Slaney's bands from 0 to 8,000 Hz of the
//! amplitudes `√(|X|² + 10⁻⁶)`, in dB, less 20 dB.

use realfft::num_complex::Complex;

use super::{BANDS, FRAME, RATE};
use mynah_dsp::mel::MelBank;
use mynah_dsp::stft::{Frames, hann};

const WINDOW: usize = 640;
const SIZE: usize = 1024;
/// The lowest level, in dB.
const FLOOR: f32 = -115.0;
/// Taken off all levels, in dB.
const REFERENCE: f32 = 20.0;

/// The frames of a sound at `RATE`, `BANDS` numbers each: one for each 160 samples, and one more.
pub(super) fn frames(samples: &[f32]) -> Vec<f32> {
    if samples.is_empty() {
        return Vec::new();
    }
    let mut frames = Frames::new(hann(WINDOW), SIZE);
    let bank = MelBank::slaney(RATE, SIZE, BANDS, 0.0, f64::from(RATE) / 2.0);
    let (mut window, mut spectrum) = (vec![0.0; WINDOW], vec![Complex::default(); frames.bins()]);
    let (mut amplitude, mut bands) = (vec![0.0; frames.bins()], vec![0.0; BANDS]);
    let mut mel = Vec::new();
    for t in 0..=samples.len() / FRAME {
        for (i, w) in window.iter_mut().enumerate() {
            *w = samples[mirrored((t * FRAME + i) as i64 - (WINDOW / 2) as i64, samples.len())];
        }
        frames.forward(&window, &mut spectrum);
        for (a, s) in amplitude.iter_mut().zip(&spectrum) {
            *a = (s.norm_sqr() + 1e-6).sqrt();
        }
        bank.apply(&amplitude, &mut bands);
        mel.extend(bands.iter().map(|&band| {
            let level = 20.0 * band.max(10f32.powf(FLOOR / 20.0)).log10() - REFERENCE;
            (2.0 * (level - FLOOR) / -FLOOR - 1.0).clamp(-1.0, 1.0)
        }));
    }
    mel
}

/// A place beyond an end, mirrored without the last sample itself, as often as it takes.
fn mirrored(place: i64, count: usize) -> usize {
    let last = count as i64 - 1;
    if last == 0 {
        return 0;
    }
    let turn = place.rem_euclid(2 * last);
    turn.min(2 * last - turn) as usize
}
