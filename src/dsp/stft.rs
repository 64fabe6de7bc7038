//! One frame of a short-time Fourier transform, forth and back. Where frames lie is the caller's business.

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// The periodic Hann window: `0.5 − 0.5·cos(2πn/N)`.
pub fn hann(n: usize) -> Vec<f32> {
    (0..n).map(|i| (0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n as f64).cos()) as f32).collect()
}

/// Windowed transforms of one size. Allocation-free after `new`.
pub struct Frames {
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    time: Vec<f32>,
    scratch: Vec<Complex<f32>>,
}

impl Frames {
    /// A periodic Hann window of `window` samples, followed by zeros up to `size`, which must not be smaller.
    pub fn new(window: usize, size: usize) -> Self {
        assert!(window <= size, "the window is longer than the transform");
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let scratch = vec![Complex::default(); forward.get_scratch_len().max(inverse.get_scratch_len())];
        Self { window: hann(window), forward, inverse, time: vec![0.0; size], scratch }
    }

    /// Numbers in a spectrum: `size / 2 + 1`.
    pub fn bins(&self) -> usize {
        self.time.len() / 2 + 1
    }

    /// The spectrum of `window` samples.
    pub fn forward(&mut self, samples: &[f32], spectrum: &mut [Complex<f32>]) {
        let n = self.window.len();
        for ((t, x), w) in self.time.iter_mut().zip(&samples[..n]).zip(&self.window) {
            *t = x * w;
        }
        self.time[n..].fill(0.0);
        self.forward.process_with_scratch(&mut self.time, spectrum, &mut self.scratch).expect("all buffers have the plan's sizes");
    }

    /// Adds the windowed inverse of a spectrum to `sum`, `window` samples times `gain`. The spectrum is spent. The imaginary parts of its
    /// first and last bins count as 0.
    pub fn add_inverse(&mut self, spectrum: &mut [Complex<f32>], gain: f32, sum: &mut [f32]) {
        let last = spectrum.len() - 1;
        spectrum[0].im = 0.0;
        spectrum[last].im = 0.0;
        self.inverse.process_with_scratch(spectrum, &mut self.time, &mut self.scratch).expect("all buffers have the plan's sizes");
        let scale = gain / self.time.len() as f32;
        for ((y, t), w) in sum.iter_mut().zip(&self.time).zip(&self.window) {
            *y += t * w * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hann squared at a quarter of the window adds up to 1.5.
    #[test]
    fn there_and_back_is_the_same_sound() {
        let mut frames = Frames::new(960, 1024);
        let x: Vec<f32> = (0..4800).map(|i| (i as f32 * 0.37).sin() * 0.4).collect();
        let mut y = vec![0.0; x.len()];
        let mut spectrum = vec![Complex::default(); frames.bins()];
        for start in (0..=x.len() - 960).step_by(240) {
            frames.forward(&x[start..], &mut spectrum);
            frames.add_inverse(&mut spectrum, 1.0 / 1.5, &mut y[start..]);
        }
        let worst = (960..3840).map(|i| (x[i] - y[i]).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-6, "{worst}");
    }
}
