//! The linear spectrogram of OpenVoice (`openvoice/mel_processing.py`, `spectrogram_torch`): frame `t` is made of the
//! samples from `256·t − 384` to `256·t + 640`, so that the sound of frame `t` is samples `256·t` to `256·(t + 1)`.
//! Knows no models.

use realfft::num_complex::Complex;

use mynah_dsp::stft::{Frames, hann};

/// The rate of the sound, in Hz.
pub const RATE: u32 = 22_050;
/// Samples from one frame to the next.
pub const HOP: usize = 256;
/// Samples of a window.
pub const WINDOW: usize = 1024;
/// Samples of a frame's window before its time.
pub const BEFORE: usize = (WINDOW - HOP) / 2;
/// Numbers of a frame.
pub const BINS: usize = WINDOW / 2 + 1;
/// Keeps the root away from 0.
const FLOOR: f32 = 1e-6;
/// What a bin of silence is: the root of the floor.
pub const SILENCE: f32 = 1e-3;

/// Makes frames. Allocation-free after `new`.
pub struct Spectrum {
    frames: Frames,
    bins: Vec<Complex<f32>>,
}

impl Spectrum {
    /// With the family's window.
    pub fn new() -> Self {
        Self { frames: Frames::new(hann(WINDOW), WINDOW), bins: vec![Complex::default(); BINS] }
    }

    /// The frame of `WINDOW` samples whose time is sample `BEFORE`: `BINS` magnitudes.
    pub fn frame(&mut self, samples: &[f32], frame: &mut [f32]) {
        self.frames.forward(samples, &mut self.bins);
        for (y, x) in frame.iter_mut().zip(&self.bins) {
            *y = (x.norm_sqr() + FLOOR).sqrt();
        }
    }

    /// All frames of a sound, `BINS` each, with its own reflection at both ends as OpenVoice has it; none where it is
    /// shorter than that needs.
    pub fn all(&mut self, samples: &[f32]) -> Vec<f32> {
        let n = samples.len();
        if n <= BEFORE {
            return Vec::new();
        }
        let before = samples[1..=BEFORE].iter().rev();
        let after = samples[n - 1 - BEFORE..n - 1].iter().rev();
        let padded: Vec<f32> = before.chain(samples).chain(after).copied().collect();
        let mut all = vec![0.0; n / HOP * BINS];
        for (t, frame) in all.chunks_exact_mut(BINS).enumerate() {
            self.frame(&padded[t * HOP..], frame);
        }
        all
    }
}

/// Root mean square of the windowed sound that a frame was made of, as that of a steady sound: by Parseval's theorem
/// and the window's mean square of 3/8.
pub fn level(frame: &[f32]) -> f32 {
    let power: f32 = frame.iter().map(|x| x * x - FLOOR).sum();
    (2.0 * power.max(0.0) / (WINDOW as f32 * WINDOW as f32 * 0.375)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_that_of_the_sound() {
        let tone: Vec<f32> = (0..4096).map(|i| (i as f32 * 0.3).sin() * 0.1).collect();
        let all = Spectrum::new().all(&tone);
        assert_eq!(all.len(), 16 * BINS);
        let middle = level(&all[8 * BINS..9 * BINS]);
        assert!((middle / (0.1 / 2f32.sqrt()) - 1.0).abs() < 0.01, "{middle}");
        let silent = Spectrum::new().all(&[0.0; 2048]);
        assert!(silent.iter().all(|x| (x - SILENCE).abs() < 1e-7) && level(&silent[..BINS]) < 1e-4);
        assert!(Spectrum::new().all(&[0.0; 300]).is_empty());
    }
}
