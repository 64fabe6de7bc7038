//! The causal filter of given magnitudes that answers soonest: their complex spectrum by way of the folded cepstrum (A.
//! Oppenheim and R. Schafer, "Discrete-time signal processing", 1989, section 12.7). Knows nothing of frames and
//! voices.

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Smaller magnitudes count as this one: −120 dB.
const FLOOR: f32 = 1e-6;

/// Makes filters of one size. Allocation-free after `new`.
pub struct MinimumPhase {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    cepstrum: Vec<f32>,
    logs: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl MinimumPhase {
    /// For transforms of `size` samples, an even number.
    pub fn new(size: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let scratch = vec![Complex::default(); forward.get_scratch_len().max(inverse.get_scratch_len())];
        Self { forward, inverse, cepstrum: vec![0.0; size], logs: vec![Complex::default(); size / 2 + 1], scratch }
    }

    /// The complex spectrum with these magnitudes; both have `size / 2 + 1` numbers.
    pub fn spectrum(&mut self, magnitudes: &[f32], spectrum: &mut [Complex<f32>]) {
        for (log, &m) in self.logs.iter_mut().zip(magnitudes) {
            *log = Complex::new(m.max(FLOOR).ln(), 0.0);
        }
        let sizes = "all buffers have the plan's sizes";
        self.inverse.process_with_scratch(&mut self.logs, &mut self.cepstrum, &mut self.scratch).expect(sizes);
        // What lies before time 0 is folded onto what lies after it.
        let (size, half) = (self.cepstrum.len() as f32, self.cepstrum.len() / 2);
        self.cepstrum[0] /= size;
        self.cepstrum[1..half].iter_mut().for_each(|c| *c *= 2.0 / size);
        self.cepstrum[half] /= size;
        self.cepstrum[half + 1..].fill(0.0);
        self.forward.process_with_scratch(&mut self.cepstrum, spectrum, &mut self.scratch).expect(sizes);
        for s in spectrum {
            *s = Complex::from_polar(s.re.exp(), s.im);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One pole inside the circle: its filter is known, and no other filter with these magnitudes answers sooner.
    #[test]
    fn a_known_filter_comes_back() {
        let size = 1024;
        let angle = |k: usize| std::f32::consts::TAU * k as f32 / size as f32;
        let wanted: Vec<Complex<f32>> =
            (0..=size / 2).map(|k| (Complex::new(1.0, 0.0) - Complex::from_polar(0.9, -angle(k))).inv()).collect();
        let magnitudes: Vec<f32> = wanted.iter().map(|w| w.norm()).collect();
        let mut got = vec![Complex::default(); wanted.len()];
        MinimumPhase::new(size).spectrum(&magnitudes, &mut got);
        let worst = got.iter().zip(&wanted).map(|(a, b)| (a - b).norm()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }

    #[test]
    fn equal_magnitudes_pass_all_at_once_and_none_is_the_floor() {
        let mut got = vec![Complex::default(); 513];
        let mut phase = MinimumPhase::new(1024);
        phase.spectrum(&[2.0; 513], &mut got);
        assert!(got.iter().all(|g| (g - Complex::new(2.0, 0.0)).norm() < 1e-5));
        phase.spectrum(&[0.0; 513], &mut got);
        assert!(got.iter().all(|g| g.norm() < 1.1e-6));
    }

    #[test]
    fn nothing_is_allocated() {
        let (mut phase, magnitudes, mut got) = (MinimumPhase::new(1024), vec![0.3; 513], vec![Complex::default(); 513]);
        assert_no_alloc::assert_no_alloc(|| phase.spectrum(&magnitudes, &mut got));
    }
}
