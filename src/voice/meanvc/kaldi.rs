//! Kaldi's log mel features as WeNet's recognisers are trained with them: frames of 25 ms each 10 ms, whole ones only,
//! samples of 16 bits.
//!
//! As `torchaudio.compliance.kaldi.fbank` with `snip_edges`, `dither = 0`, `energy_floor = 0` and 80 bands from 20 to
//! 8,000 Hz computes them (Kaldi's `feature-window.cc`, `mel-computations.cc`): the mean of a frame taken out,
//! pre-emphasis 0.97, Povey's window, power, triangles, the natural logarithm. Knows no model.

use realfft::num_complex::Complex;

use super::{BANDS, FRAME, RATE};
use mynah_dsp::mel::MelBank;
use mynah_dsp::stft::Frames;

/// Samples of a frame.
pub(super) const WINDOW: usize = 400;
/// Samples of the transform.
const SIZE: usize = 512;
const PRE_EMPHASIS: f32 = 0.97;
/// Full scale of 16 bits.
const SCALE: f32 = 32768.0;

/// Sound in, frames of `BANDS` numbers out.
pub(super) struct Features {
    frames: Frames,
    bank: MelBank,
    /// Samples from the next frame's first on.
    held: Vec<f32>,
    window: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    power: Vec<f32>,
    bands: Vec<f32>,
}

impl Features {
    pub(super) fn new() -> Self {
        // Povey's window: a Hann window over all samples, to the power 0.85.
        let phase = std::f64::consts::TAU / (WINDOW - 1) as f64;
        let povey = (0..WINDOW).map(|i| (0.5 - 0.5 * (phase * i as f64).cos()).powf(0.85) as f32);
        let frames = Frames::new(povey.collect(), SIZE);
        let bins = frames.bins();
        Self {
            frames,
            bank: MelBank::kaldi(RATE, SIZE, BANDS, 20.0, f64::from(RATE) / 2.0),
            held: Vec::new(),
            window: vec![0.0; WINDOW],
            spectrum: vec![Complex::default(); bins],
            power: vec![0.0; bins],
            bands: vec![0.0; BANDS],
        }
    }

    /// Forgets all sound; `lead` samples of silence come before the next.
    pub(super) fn reset(&mut self, lead: usize) {
        self.held.clear();
        self.held.resize(lead, 0.0);
    }

    /// Takes samples that follow the last ones and appends the frames that they complete. What is no number counts as
    /// silence.
    pub(super) fn push(&mut self, samples: &[f32], features: &mut Vec<f32>) {
        self.held.extend(samples.iter().map(|x| if x.is_finite() { x.clamp(-8.0, 8.0) } else { 0.0 }));
        let mut from = 0;
        while from + WINDOW <= self.held.len() {
            self.window.iter_mut().zip(&self.held[from..]).for_each(|(w, x)| *w = x * SCALE);
            self.frame(features);
            from += FRAME;
        }
        self.held.drain(..from);
    }

    fn frame(&mut self, features: &mut Vec<f32>) {
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
        self.bank.apply(&self.power, &mut self.bands);
        features.extend(self.bands.iter().map(|energy| energy.max(f32::EPSILON).ln()));
    }
}
