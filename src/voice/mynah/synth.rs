//! Source-filter synthesis: a band-limited pulse train and white noise, each through a filter given by its magnitudes frame by frame.
//!
//! `y = iSTFT(STFT(pulse)·harmonic + STFT(noise)·noise)`; frame `t` is centred on sample `t·HOP`. Knows no models.

use std::collections::VecDeque;

use realfft::num_complex::Complex;

use super::noise;
use crate::dsp::stft::Frames;

/// The rate of the sound, in Hz.
pub const RATE: f64 = 24000.0;
/// Samples from one frame to the next.
pub const HOP: usize = 240;
/// Samples of a frame.
pub const WINDOW: usize = 960;
/// Numbers of a frame's transform.
pub const SIZE: usize = 1024;
/// Hann windows squared, a quarter apart, add up to this.
const OVERLAP: f32 = 1.5;
/// Scale of both excitations.
const EXCITATION: f32 = 0.3;

/// Makes sound from filters, frame by frame. Allocation-free after `new` once the pitch queue has reached its length.
pub struct Synth {
    frames: Frames,
    pulse: Vec<f32>,
    noise: Vec<f32>,
    pulse_spectrum: Vec<Complex<f32>>,
    noise_spectrum: Vec<Complex<f32>>,
    sum: Vec<f32>,
    /// Pitch of frames `next_hop − 1` and on; frame −1 is as frame 0.
    pitch: VecDeque<f32>,
    /// Phase of the pulse train in cycles, 0 to 1.
    phase: f64,
    /// The next hop of excitation.
    next_hop: u64,
    /// Position of sample 0 for the noise.
    origin: u64,
    noise_gain: f32,
}

impl Synth {
    /// Silent, at frame 0.
    pub fn new() -> Self {
        let frames = Frames::new(WINDOW, SIZE);
        let bins = frames.bins();
        Self {
            frames,
            pulse: vec![0.0; WINDOW],
            noise: vec![0.0; WINDOW],
            pulse_spectrum: vec![Complex::default(); bins],
            noise_spectrum: vec![Complex::default(); bins],
            sum: vec![0.0; WINDOW],
            pitch: VecDeque::with_capacity(64),
            phase: 0.0,
            next_hop: 0,
            origin: 0,
            noise_gain: 1.0,
        }
    }

    /// Forgets all sound. The next frame is centred on position `origin`, which picks the noise.
    pub fn reset(&mut self, origin: u64) {
        self.pulse.fill(0.0);
        self.noise.fill(0.0);
        self.sum.fill(0.0);
        self.pitch.clear();
        self.phase = 0.0;
        self.next_hop = 0;
        self.origin = origin;
    }

    /// Leaves the noise out, for comparing with a reference that has other noise.
    #[cfg(test)]
    pub fn mute_noise(&mut self) {
        self.noise_gain = 0.0;
    }

    /// Takes the pitch of the next frame in Hz, 0 where unvoiced. Frame `t` can be made once the pitch of frame `t + 2` is known.
    pub fn push_pitch(&mut self, hertz: f32) {
        if self.pitch.is_empty() && self.next_hop == 0 {
            self.pitch.push_back(hertz);
        }
        self.pitch.push_back(hertz);
    }

    /// Adds the next frame with these magnitudes, times `gain`, but with no more power than `most`, which is a sum over the squared bins of a
    /// frame with the same window; `None` for a frame that is silent.
    pub fn frame(&mut self, filters: Option<(&[f32], &[f32])>, gain: f32, most: f32) {
        if self.next_hop == 0 {
            self.excite();
        }
        self.excite();
        let Some((harmonic, noise)) = filters else { return };
        self.frames.forward(&self.pulse, &mut self.pulse_spectrum);
        self.frames.forward(&self.noise, &mut self.noise_spectrum);
        for (((p, z), h), n) in self.pulse_spectrum.iter_mut().zip(&self.noise_spectrum).zip(harmonic).zip(noise) {
            *p = *p * h + z * n;
        }
        let power: f32 = self.pulse_spectrum.iter().map(|p| p.norm_sqr()).sum();
        let gain = if gain * gain * power > most { (most / power).sqrt() } else { gain };
        self.frames.add_inverse(&mut self.pulse_spectrum, gain / OVERLAP, &mut self.sum);
    }

    /// Gives the `HOP` samples to which no later frame adds, and moves on by as many.
    pub fn take(&mut self, output: &mut [f32]) {
        output.copy_from_slice(&self.sum[..HOP]);
        self.sum.copy_within(HOP.., 0);
        self.sum[WINDOW - HOP..].fill(0.0);
    }

    /// The next hop of pulses and noise.
    fn excite(&mut self) {
        self.pulse.copy_within(HOP.., 0);
        self.noise.copy_within(HOP.., 0);
        // Where the pitch is not known yet it is taken to stay.
        let known = |i: usize| self.pitch.get(i).or(self.pitch.back()).copied().unwrap_or(0.0);
        let around = [known(0), known(1), known(2)];
        let voiced = around[1] > 0.0;
        let of = |i: usize| if around[i] > 0.0 { around[i] as f64 } else { 1.0 };
        let start = self.next_hop * HOP as u64;
        for i in 0..HOP {
            let at = (i as f64 + 0.5) / HOP as f64 - 0.5;
            let hertz = if at < 0.0 { of(1) + (of(0) - of(1)) * -at } else { of(1) + (of(2) - of(1)) * at };
            self.phase = (self.phase + hertz / RATE).fract();
            let behind = WINDOW - HOP + i;
            self.pulse[behind] = if voiced { pulse(self.phase, hertz) * EXCITATION } else { 0.0 };
            self.noise[behind] = noise::at(self.origin + start + i as u64) * EXCITATION * self.noise_gain;
        }
        self.next_hop += 1;
        self.pitch.pop_front();
    }
}

/// A pulse train without what would alias: a sinc at each zero of the phase, of equal power at every pitch.
fn pulse(phase: f64, hertz: f64) -> f32 {
    let cycles = if phase > 0.5 { phase - 1.0 } else { phase };
    let x = std::f64::consts::PI * cycles * RATE / hertz.max(1.0);
    let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
    (sinc * (RATE / hertz.max(40.0)).sqrt()) as f32
}
