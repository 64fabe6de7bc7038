//! What the family `mynah` computes from sound: one frame's power in mel bands. The converter and the timbre of a
//! reference share it. Knows no streams and no models.
//!
//! The window leans: its peak, which is the frame's time, is only `FALL` samples before its end, so that a frame is
//! known soon.

use realfft::num_complex::Complex;

use mynah_dsp::mel::MelBank;
use mynah_dsp::stft::{Frames, leaning};

/// The rate of the sound, in Hz.
pub const RATE: u32 = 24000;
/// Samples from one frame to the next.
pub const HOP: usize = 240;
/// Samples over which the window goes up.
pub const RISE: usize = 720;
/// Samples over which it goes down: what a frame needs after its time.
pub const FALL: usize = 240;
/// Samples of the window.
pub const WINDOW: usize = RISE + FALL;
/// Numbers of a frame's transform.
pub const SIZE: usize = 1024;
/// Bins of its spectrum.
pub const BINS: usize = SIZE / 2 + 1;
/// Mel bands of a frame.
pub const BANDS: usize = 80;

/// Hears frames. Allocation-free after `new`.
pub struct Hearing {
    frames: Frames,
    bank: MelBank,
    spectrum: Vec<Complex<f32>>,
    power: Vec<f32>,
}

impl Hearing {
    /// With the family's window and bands.
    pub fn new() -> Self {
        Self {
            frames: Frames::new(leaning(RISE, FALL), SIZE),
            bank: MelBank::slaney(RATE, SIZE, BANDS, 40.0, 11500.0),
            spectrum: vec![Complex::default(); BINS],
            power: vec![0.0; BINS],
        }
    }

    /// The frame of these `WINDOW` samples, whose time is sample `RISE`: the power in each of `BANDS` bands. Gives the
    /// sum over its squared bins.
    pub fn hear(&mut self, window: &[f32], mel: &mut [f32]) -> f32 {
        self.frames.forward(window, &mut self.spectrum);
        for (p, s) in self.power.iter_mut().zip(&self.spectrum) {
            *p = s.norm_sqr();
        }
        self.bank.apply(&self.power, mel);
        self.power.iter().sum()
    }
}

/// What the model sees of a band's power: its logarithm, from a floor up.
pub fn log_mel(power: f32) -> f32 {
    (power + 1e-5).ln()
}
