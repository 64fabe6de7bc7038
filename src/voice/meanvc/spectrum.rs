//! Spectra to sound, as `torch.istft` with `center` makes it: for vocoders whose graphs end at the spectrum. Knows no
//! model.

use realfft::num_complex::Complex;

use super::FRAME;
use mynah_dsp::stft::{Frames, hann};

/// Samples of a transform and of its window.
const SIZE: usize = 640;
/// Numbers of a spectrum.
pub(super) const BINS: usize = SIZE / 2 + 1;

/// Adds spectra 160 samples apart up.
pub(super) struct Spectra {
    frames: Frames,
    window: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    piece: Vec<f32>,
    sum: Vec<f32>,
    weight: Vec<f32>,
}

impl Spectra {
    pub(super) fn new() -> Self {
        let window = hann(SIZE);
        Self {
            frames: Frames::new(window.clone(), SIZE),
            window,
            spectrum: vec![Complex::default(); BINS],
            piece: vec![0.0; SIZE],
            sum: Vec::new(),
            weight: Vec::new(),
        }
    }

    /// `160·(T − 1)` samples of `T` spectra, given as the real and the imaginary parts, `BINS` × `T` each: from the
    /// middle of the first to that of the last. Pieces go under the window once more, and the sum is divided by that of
    /// the windows' squares.
    pub(super) fn sound(&mut self, real: &[f32], imaginary: &[f32]) -> &[f32] {
        let count = real.len() / BINS;
        let length = SIZE + FRAME * count.saturating_sub(1);
        for line in [&mut self.sum, &mut self.weight] {
            line.clear();
            line.resize(length, 0.0);
        }
        for t in 0..count {
            for (bin, s) in self.spectrum.iter_mut().enumerate() {
                *s = Complex::new(real[bin * count + t], imaginary[bin * count + t]);
            }
            self.piece.fill(0.0);
            self.frames.add_inverse(&mut self.spectrum, 1.0, &mut self.piece);
            for (i, (x, w)) in self.piece.iter().zip(&self.window).enumerate() {
                self.sum[t * FRAME + i] += x * w;
                self.weight[t * FRAME + i] += w * w;
            }
        }
        let within = SIZE / 2..length - SIZE / 2;
        self.sum[within.clone()].iter_mut().zip(&self.weight[within.clone()]).for_each(|(x, w)| *x /= w.max(1e-11));
        &self.sum[within]
    }
}
