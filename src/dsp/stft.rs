//! One frame of a short-time Fourier transform, forth and back. Where frames lie is the caller's business.

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// The periodic Hann window: `0.5 − 0.5·cos(2πn/N)`.
pub fn hann(n: usize) -> Vec<f32> {
    (0..n).map(|i| (0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n as f64).cos()) as f32).collect()
}

/// A window that goes up over `rise` samples and down over `fall`, each half of a periodic Hann window; its peak of 1
/// is sample `rise`.
pub fn leaning(rise: usize, fall: usize) -> Vec<f32> {
    let mut window = hann(2 * rise);
    window.truncate(rise);
    window.extend_from_slice(&hann(2 * fall)[fall..]);
    window
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
    /// This window, followed by zeros up to `size`, which must not be smaller.
    pub fn new(window: Vec<f32>, size: usize) -> Self {
        assert!(window.len() <= size, "the window is longer than the transform");
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let scratch = vec![Complex::default(); forward.get_scratch_len().max(inverse.get_scratch_len())];
        Self { window, forward, inverse, time: vec![0.0; size], scratch }
    }

    /// Numbers in a spectrum: `size / 2 + 1`.
    pub fn bins(&self) -> usize {
        self.time.len() / 2 + 1
    }

    /// The spectrum of as many samples as the window has.
    pub fn forward(&mut self, samples: &[f32], spectrum: &mut [Complex<f32>]) {
        let n = self.window.len();
        for ((t, x), w) in self.time.iter_mut().zip(&samples[..n]).zip(&self.window) {
            *t = x * w;
        }
        self.time[n..].fill(0.0);
        self.forward
            .process_with_scratch(&mut self.time, spectrum, &mut self.scratch)
            .expect("all buffers have the plan's sizes");
    }

    /// Adds the inverse of a spectrum, all `size` samples of it times `gain` and without a window, to `sum`. The
    /// spectrum is spent. The imaginary parts of its first and last bins count as 0.
    pub fn add_inverse(&mut self, spectrum: &mut [Complex<f32>], gain: f32, sum: &mut [f32]) {
        let last = spectrum.len() - 1;
        spectrum[0].im = 0.0;
        spectrum[last].im = 0.0;
        self.inverse
            .process_with_scratch(spectrum, &mut self.time, &mut self.scratch)
            .expect("all buffers have the plan's sizes");
        let scale = gain / self.time.len() as f32;
        for (y, t) in sum.iter_mut().zip(&self.time) {
            *y += t * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hann windows half a window apart add up to 1.
    #[test]
    fn there_and_back_is_the_same_sound() {
        let mut frames = Frames::new(hann(480), 1024);
        let x: Vec<f32> = (0..4800).map(|i| (i as f32 * 0.37).sin() * 0.4).collect();
        let mut y = vec![0.0; x.len() + 1024];
        let mut spectrum = vec![Complex::default(); frames.bins()];
        for start in (0..=x.len() - 480).step_by(240) {
            frames.forward(&x[start..], &mut spectrum);
            frames.add_inverse(&mut spectrum, 1.0, &mut y[start..]);
        }
        let worst = (480..4320).map(|i| (x[i] - y[i]).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-6, "{worst}");
    }

    #[test]
    fn a_leaning_window_has_its_peak_where_it_turns() {
        let window = leaning(720, 240);
        assert_eq!((window.len(), window[0], window[720]), (960, 0.0, 1.0));
        assert!(
            window[..721].windows(2).all(|w| w[0] < w[1] || w[1] == 1.0)
                && window[720..].windows(2).all(|w| w[0] >= w[1])
        );
        assert_eq!(leaning(240, 240), hann(480));
    }
}
