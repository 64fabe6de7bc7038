//! Source-filter synthesis: a band-limited pulse train and white noise, each through a causal filter given by its
//! magnitudes frame by frame.
//!
//! The excitation is cut into pieces under Hann windows of two hops, which add up to 1; frame `t`'s piece is centred on
//! sample `t·HOP`. A piece goes through the minimum-phase filters of its frame, so that the sound up to `t·HOP` is
//! complete once frame `t` is in. Knows no models.

use std::collections::VecDeque;

use realfft::num_complex::Complex;

use super::heard::{BINS, HOP, SIZE};
use super::noise;
use mynah_dsp::minimum_phase::MinimumPhase;
use mynah_dsp::stft::{Frames, hann};

/// Samples of a piece of excitation.
pub const PIECE: usize = 2 * HOP;
/// The rate of the sound, in Hz.
const RATE: f64 = super::heard::RATE as f64;
/// Scale of both excitations.
const EXCITATION: f32 = 0.3;
/// Power of a piece of either excitation in each bin, in the mean: a sample's power times the sum of the window's
/// squares.
const PIECE_POWER: f32 = EXCITATION * EXCITATION * 0.375 * PIECE as f32;

/// Makes sound from filters, frame by frame. Allocation-free after `new` once the pitch queue has reached its length.
pub struct Synth {
    frames: Frames,
    phase_of: MinimumPhase,
    /// The last two hops of each excitation.
    pulse: Vec<f32>,
    noise: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    other: Vec<Complex<f32>>,
    filter: Vec<Complex<f32>>,
    /// Sound from a hop before the last frame on.
    sum: Vec<f32>,
    /// Pitch of frames `next_hop − 1` and on; frame −1 is as frame 0.
    pitch: VecDeque<f32>,
    /// Phase of the pulse train in cycles, 0 to 1.
    phase: f64,
    /// Whether each of the last two hops is voiced.
    voiced: [bool; 2],
    /// The next hop of excitation, which is also the next frame.
    next_hop: u64,
    /// Position of sample 0 for the noise.
    origin: u64,
    noise_gain: f32,
}

impl Synth {
    /// Silent, at frame 0.
    pub fn new() -> Self {
        let zeros = || vec![Complex::default(); BINS];
        Self {
            frames: Frames::new(hann(PIECE), SIZE),
            phase_of: MinimumPhase::new(SIZE),
            pulse: vec![0.0; PIECE],
            noise: vec![0.0; PIECE],
            spectrum: zeros(),
            other: zeros(),
            filter: zeros(),
            sum: vec![0.0; SIZE],
            pitch: VecDeque::with_capacity(64),
            phase: 0.0,
            voiced: [false; 2],
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
        self.voiced = [false; 2];
        self.next_hop = 0;
        self.origin = origin;
    }

    /// Leaves the noise out, for comparing with a reference that has other noise.
    #[cfg(test)]
    pub fn mute_noise(&mut self) {
        self.noise_gain = 0.0;
    }

    /// Takes the pitch of the next frame in Hz, 0 where unvoiced. Frame `t` can be made once its pitch is known; its
    /// piece ends between that frame and the next, and where the next one's pitch is not known yet, the pitch is taken
    /// to stay.
    pub fn push_pitch(&mut self, hertz: f32) {
        if self.pitch.is_empty() && self.next_hop == 0 {
            self.pitch.push_back(hertz);
        }
        self.pitch.push_back(hertz);
    }

    /// Adds the next frame with these magnitudes, `BINS` each, times `gain`, but with no more power than `most`, which
    /// is a sum over the squared bins of a piece; `None` for a frame that is silent.
    pub fn frame(&mut self, filters: Option<(&[f32], &[f32])>, gain: f32, most: f32) {
        self.excite();
        let Some((harmonic, noise)) = filters else { return };
        self.frames.forward(&self.pulse, &mut self.spectrum);
        self.phase_of.spectrum(harmonic, &mut self.filter);
        self.spectrum.iter_mut().zip(&self.filter).for_each(|(p, h)| *p *= h);
        self.frames.forward(&self.noise, &mut self.other);
        self.phase_of.spectrum(noise, &mut self.filter);
        for ((p, z), n) in self.spectrum.iter_mut().zip(&self.other).zip(&self.filter) {
            *p += z * n;
        }
        let power = self.power(harmonic, noise);
        let gain = if gain * gain * power > most { (most / power).sqrt() } else { gain };
        self.frames.add_inverse(&mut self.spectrum, gain, &mut self.sum);
    }

    /// The power of the piece at hand. Where in a piece the pulses of a low voice happen to stand must not be heard in
    /// its loudness: it counts at most as what it is in the mean.
    fn power(&self, harmonic: &[f32], noise: &[f32]) -> f32 {
        let actual: f32 = self.spectrum.iter().map(|p| p.norm_sqr()).sum();
        let squares = |m: &[f32]| m.iter().map(|m| m * m).sum::<f32>();
        let voiced = if self.voiced.contains(&true) { squares(harmonic) } else { 0.0 };
        actual.min(PIECE_POWER * (voiced + squares(noise)))
    }

    /// Gives the `HOP` samples to which no later frame adds, and moves on by as many: those before the last frame's
    /// time.
    pub fn take(&mut self, output: &mut [f32]) {
        output.copy_from_slice(&self.sum[..HOP]);
        self.sum.copy_within(HOP.., 0);
        self.sum[SIZE - HOP..].fill(0.0);
    }

    /// The next hop of pulses and noise.
    fn excite(&mut self) {
        self.pulse.copy_within(HOP.., 0);
        self.noise.copy_within(HOP.., 0);
        let known = |i: usize| self.pitch.get(i).or(self.pitch.back()).copied().unwrap_or(0.0);
        let around = [known(0), known(1), known(2)];
        let voiced = around[1] > 0.0;
        let of = |i: usize| if around[i] > 0.0 { around[i] as f64 } else { 1.0 };
        let start = self.next_hop * HOP as u64;
        for i in 0..HOP {
            let at = (i as f64 + 0.5) / HOP as f64 - 0.5;
            let hertz = if at < 0.0 { of(1) + (of(0) - of(1)) * -at } else { of(1) + (of(2) - of(1)) * at };
            self.phase = (self.phase + hertz / RATE).fract();
            let behind = PIECE - HOP + i;
            self.pulse[behind] = if voiced { pulse(self.phase, hertz) * EXCITATION } else { 0.0 };
            self.noise[behind] = noise::at(self.origin + start + i as u64) * EXCITATION * self.noise_gain;
        }
        self.voiced = [self.voiced[1], voiced];
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
