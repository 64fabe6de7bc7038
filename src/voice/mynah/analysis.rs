//! From samples to frames: powers in mel bands, pitch, and the gain that brings the source to the loudness that the model knows.

use std::collections::VecDeque;

use realfft::num_complex::Complex;

use super::graph::BANDS;
use super::synth::{HOP, SIZE, WINDOW};
use crate::dsp::level::{from_db, rms, to_db};
use crate::dsp::mel::MelBank;
use crate::dsp::pitch::PitchTracker;
use crate::dsp::stft::Frames;

/// One analysed frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Power in each mel band.
    pub power: Vec<f32>,
    /// Pitch in Hz, 0 where unvoiced.
    pub f0: f32,
    /// The amplitude gain that the model should see this frame with.
    pub gain: f32,
    /// Sum over the squared bins.
    pub total: f32,
}

/// Analyses sound hop by hop. Frame `t` is centred on sample `t·HOP` and comes out `WINDOW / 2` samples and `lag` frames later.
pub struct Analysis {
    lag: usize,
    window: Vec<f32>,
    frames: Frames,
    bank: MelBank,
    spectrum: Vec<Complex<f32>>,
    power: Vec<f32>,
    tracker: PitchTracker,
    leveller: Leveller,
    /// Frames whose pitch is not settled yet, and spent ones to be used again.
    waiting: VecDeque<Frame>,
    spent: Vec<Frame>,
    hops: usize,
}

impl Analysis {
    /// With `lag` frames of look-ahead for the pitch.
    pub fn new(lag: usize) -> Self {
        let frames = Frames::new(WINDOW, SIZE);
        let bins = frames.bins();
        Self {
            lag,
            window: vec![0.0; WINDOW],
            frames,
            bank: MelBank::slaney(24000, SIZE, BANDS, 40.0, 11500.0),
            spectrum: vec![Complex::default(); bins],
            power: vec![0.0; bins],
            tracker: PitchTracker::new(lag),
            leveller: Leveller::new(),
            waiting: VecDeque::with_capacity(lag + 1),
            spent: vec![Frame { power: vec![0.0; BANDS], f0: 0.0, gain: 1.0, total: 0.0 }; lag + 2],
            hops: 0,
        }
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.window.fill(0.0);
        self.tracker.reset();
        self.leveller = Leveller::new();
        self.spent.extend(self.waiting.drain(..));
        self.hops = 0;
    }

    /// Takes `HOP` samples and gives a frame, once the first one is complete. What is no number counts as silence.
    pub fn push(&mut self, samples: &[f32]) -> Option<&Frame> {
        self.window.copy_within(HOP.., 0);
        for (w, x) in self.window[WINDOW - HOP..].iter_mut().zip(samples) {
            *w = if x.is_finite() { x.clamp(-8.0, 8.0) } else { 0.0 };
        }
        self.hops += 1;
        if self.hops * HOP < WINDOW / 2 {
            return None;
        }
        self.frames.forward(&self.window, &mut self.spectrum);
        for (p, s) in self.power.iter_mut().zip(&self.spectrum) {
            *p = s.norm_sqr();
        }
        let mut frame = self.spent.pop().unwrap_or_else(|| Frame { power: vec![0.0; BANDS], f0: 0.0, gain: 1.0, total: 0.0 });
        self.bank.apply(&self.power, &mut frame.power);
        frame.total = self.power.iter().sum();
        frame.gain = self.leveller.hear(rms(&self.window));
        self.waiting.push_back(frame);
        let f0 = self.tracker.push(&self.window);
        if self.waiting.len() <= self.lag {
            return None;
        }
        let mut frame = self.waiting.pop_front()?;
        frame.f0 = f0;
        self.spent.push(frame);
        self.spent.last()
    }
}

/// Loudness of the loud frames of the speech that the model was trained with, in dBFS.
const NOMINAL_DB: f32 = -19.0;
/// The gain is never further from 1 than this, in dB.
const REACH_DB: f32 = 24.0;
/// Frames softer than this say nothing of how loud the speaker is, in dBFS.
const ACTIVE_DB: f32 = -60.0;

/// How fast the level may fall, in dB a frame: at first quick, until the speaker is known, then slower than a phrase ends.
const FALL_QUICK_DB: f32 = 0.2;
const FALL_SLOW_DB: f32 = 0.02;
/// Frames of sound after which the speaker is known: one second.
const KNOWN: u32 = 100;

/// Follows how loud the loud frames are: up within some 30 ms, down slowly and only while there is sound.
#[derive(Debug, Clone)]
pub struct Leveller {
    level_db: f32,
    active: u32,
}

impl Leveller {
    /// Takes the speaker to be as loud as the model knows them, until something is heard.
    pub fn new() -> Self {
        Self { level_db: NOMINAL_DB, active: 0 }
    }

    /// Takes a frame's amplitude and gives the gain it should be seen with.
    pub fn hear(&mut self, amplitude: f32) -> f32 {
        let db = to_db(amplitude);
        if db > ACTIVE_DB {
            self.active = self.active.saturating_add(1);
            let fall = if self.active < KNOWN { FALL_QUICK_DB } else { FALL_SLOW_DB };
            self.level_db = if db > self.level_db { self.level_db + (db - self.level_db) * 0.3 } else { (self.level_db - fall).max(db) };
        }
        from_db((NOMINAL_DB - self.level_db).clamp(-REACH_DB, REACH_DB))
    }
}
