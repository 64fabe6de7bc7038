//! From samples to frames: powers in mel bands, pitch, and the gain that brings the source to the loudness that the
//! model knows.

use super::heard::{BANDS, HOP, Hearing, WINDOW};
use mynah_dsp::dc::DcBlock;
use mynah_dsp::level::{from_db, rms, to_db};
use mynah_dsp::pitch::{self, PitchTracker};

/// What a hop of sound makes known.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Power in each mel band.
    pub power: Vec<f32>,
    /// The amplitude gain that the model should see this frame with.
    pub gain: f32,
    /// Sum over the squared bins.
    pub total: f32,
    /// Pitch in Hz of the frame `1 + lag` before this one, 0 where unvoiced; none while that one lies before the first.
    pub f0: Option<f32>,
}

/// Frames that the pitch lies behind the powers even without look-ahead: its window ends so much later after its
/// frame's time.
pub const PITCH_BEHIND: usize = (pitch::WINDOW / 2 - super::heard::FALL) / HOP;

/// Both windows are the last samples, seen at once.
const _: () = assert!(pitch::WINDOW == WINDOW && pitch::HOP == HOP && pitch::RATE == super::heard::RATE);

/// Analyses sound hop by hop: hop `t` makes frame `t` known, whose time is the hop's first sample. Allocation-free
/// after `new`.
pub struct Analysis {
    lag: usize,
    dc: DcBlock,
    window: Vec<f32>,
    hearing: Hearing,
    tracker: PitchTracker,
    leveller: Leveller,
    frame: Frame,
    /// Hops taken.
    hops: usize,
}

impl Analysis {
    /// With `lag` frames of look-ahead for the pitch.
    pub fn new(lag: usize) -> Self {
        Self {
            lag,
            dc: DcBlock::new(pitch::RATE as f64),
            window: vec![0.0; WINDOW],
            hearing: Hearing::new(),
            tracker: PitchTracker::new(lag),
            leveller: Leveller::new(),
            frame: Frame { power: vec![0.0; BANDS], gain: 1.0, total: 0.0, f0: None },
            hops: 0,
        }
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.dc.reset();
        self.window.fill(0.0);
        self.tracker.reset();
        self.leveller = Leveller::new();
        self.hops = 0;
    }

    /// Takes `HOP` samples and gives the frame at the first of them. What is no number counts as silence.
    pub fn push(&mut self, samples: &[f32]) -> &Frame {
        self.window.copy_within(HOP.., 0);
        for (w, x) in self.window[WINDOW - HOP..].iter_mut().zip(samples) {
            *w = self.dc.process(if x.is_finite() { x.clamp(-8.0, 8.0) } else { 0.0 });
        }
        self.frame.total = self.hearing.hear(&self.window, &mut self.frame.power);
        self.frame.gain = self.leveller.hear(rms(&self.window));
        self.frame.f0 = None;
        if self.hops >= PITCH_BEHIND {
            let f0 = self.tracker.push(&self.window);
            self.frame.f0 = (self.hops >= PITCH_BEHIND + self.lag).then_some(f0);
        }
        self.hops += 1;
        &self.frame
    }
}

/// Loudness of the loud frames of the speech that the model was trained with, in dBFS.
const NOMINAL_DB: f32 = -19.0;
/// The gain is never further from 1 than this, in dB.
const REACH_DB: f32 = 24.0;
/// Frames softer than this say nothing of how loud the speaker is, in dBFS.
const ACTIVE_DB: f32 = -60.0;

/// How fast the level may fall, in dB a frame: at first quick, until the speaker is known, then slower than a phrase
/// ends.
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
            self.level_db = if db > self.level_db {
                self.level_db + (db - self.level_db) * 0.3
            } else {
                (self.level_db - fall).max(db)
            };
        }
        from_db((NOMINAL_DB - self.level_db).clamp(-REACH_DB, REACH_DB))
    }
}
