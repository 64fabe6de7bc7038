//! Another voice for the library, from a file or from the input, on a thread of its own: countdown, recording,
//! analysis, library. Nobody enrols without having agreed to the sentence of consent. Not for the audio thread.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::instance::{Frame, Instance};
use crate::audio::Sound;
use crate::engine::booth::Booth;
use crate::engine::{OpenError, reference};
use crate::voice::library::{About, Consent, Entry, Library, now};

/// Seconds from the click to the recording, and of the recording.
const COUNTDOWN: f64 = 3.0;
const RECORDED: f64 = 8.0;
/// How often the input is fetched.
const LOOK: Duration = Duration::from_millis(20);
/// How long a host may send nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much a level falls with each look.
const FALL: f32 = 0.94;
/// A peak below this is too quiet (−30 dBFS), and one above that is too loud (−1 dBFS).
const QUIET: f32 = 0.031_6;
const LOUD: f32 = 0.891;
/// Samples at full scale.
const CLIPPED: f32 = 0.999;

/// Where a reference comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A sound file.
    File(PathBuf),
    /// Eight seconds of the track's input.
    Input,
}

/// What shall be enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The voice's name.
    pub name: String,
    /// Its reference.
    pub origin: Origin,
    /// What was agreed to, and when.
    pub consent: Consent,
    /// Where it is kept.
    pub library: Library,
}

/// How loud the input is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    /// The peak, linear, falling.
    pub peak: f32,
    /// Samples at full scale since the recording began.
    pub clipped: u64,
}

/// What a level means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loudness {
    /// Come closer, or turn the microphone up.
    Quiet,
    /// Well.
    Good,
    /// Turn the microphone down.
    Loud,
}

impl Level {
    /// What it means.
    pub fn loudness(&self) -> Loudness {
        match self {
            Level { clipped, peak } if *clipped > 0 || *peak > LOUD => Loudness::Loud,
            Level { peak, .. } if *peak < QUIET => Loudness::Quiet,
            _ => Loudness::Good,
        }
    }

    fn hear(&mut self, samples: &[f32]) {
        self.peak = samples.iter().fold(self.peak * FALL, |peak, x| peak.max(x.abs()));
        self.clipped += samples.iter().filter(|x| x.abs() >= CLIPPED).count() as u64;
    }
}

/// How an enrolment stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Stage {
    /// None is asked for.
    #[default]
    Idle,
    /// So many seconds until the recording.
    Countdown(f64, Level),
    /// So many seconds are recorded.
    Recording(f64, Level),
    /// The reference is being listened to.
    Analysing,
    /// One sentence on why there is no voice.
    Failed(String),
    /// The library has another voice.
    Done(String),
}

/// The enrolment of an instance: one at a time. See the top of the file.
#[derive(Debug, Default)]
pub struct Enrolment {
    stage: Arc<Mutex<Stage>>,
    /// Writer: the window. Reader: the thread.
    cancelled: Arc<AtomicBool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Enrolment {
    /// How it stands.
    pub fn stage(&self) -> Stage {
        lock(&self.stage).clone()
    }

    /// Whether one is going on.
    pub fn is_busy(&self) -> bool {
        matches!(self.stage(), Stage::Countdown(..) | Stage::Recording(..) | Stage::Analysing)
    }

    /// Gives a recording up; forgets how the last enrolment ended.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        let mut stage = lock(&self.stage);
        if matches!(*stage, Stage::Failed(_) | Stage::Done(_)) {
            *stage = Stage::Idle;
        }
    }
}

/// Begins an enrolment for an instance, unless one is going on. The new voice is chosen and kept in the library.
pub fn begin(instance: &Arc<Instance>, order: Order) {
    let enrolment = &instance.enrolment;
    if enrolment.is_busy() {
        return;
    }
    enrolment.cancelled.store(false, Ordering::Relaxed);
    *lock(&enrolment.stage) = match &order.origin {
        Origin::Input => Stage::Countdown(COUNTDOWN, Level::default()),
        Origin::File(_) => Stage::Analysing,
    };
    let (stage, weak) = (enrolment.stage.clone(), Arc::downgrade(instance));
    let work = move || {
        let Some(instance) = weak.upgrade() else { return };
        let name = order.name.clone();
        let outcome = enrol(&instance, order);
        *lock(&stage) = match outcome {
            Ok(true) => Stage::Done(name),
            Ok(false) => Stage::Idle,
            Err(e) => Stage::Failed(e.to_string()),
        };
    };
    if let Err(e) = instance.spawn_model("mynah-enrol", work) {
        *lock(&enrolment.stage) = Stage::Failed(e.to_string());
    }
}

/// Tells whether there is a voice; there is none where it was given up.
fn enrol(instance: &Instance, order: Order) -> Result<bool, OpenError> {
    let (sound, from) = match &order.origin {
        Origin::File(path) => {
            (reference(&instance.packs(), path)?, path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        }
        Origin::Input => {
            let cancelled = &instance.enrolment.cancelled;
            let frame = || instance.readings().frame.filter(|_| !instance.ends().load(Ordering::Relaxed));
            let tell = |stage| *lock(&instance.enrolment.stage) = stage;
            let recorded =
                record(&instance.booth, &frame, &|| cancelled.load(Ordering::Relaxed), (COUNTDOWN, RECORDED), &tell);
            instance.booth.hear_input(false);
            match recorded? {
                Some(sound) => (sound, "recorded from the input".to_owned()),
                None => return Ok(false),
            }
        }
    };
    *lock(&instance.enrolment.stage) = Stage::Analysing;
    let (voice, heard) = instance.packs().enroller()?.enrol_and_tell(&sound, &order.name)?;
    // The voice speaks even where it can't be kept.
    instance.choose_voice(Some(voice.clone()));
    let about = About { enrolled: now(), from, heard, consent: Some(order.consent) };
    order.library.keep(&Entry { voice, about: Some(about) }).map_err(|e| OpenError(e.to_string()))?;
    Ok(true)
}

/// Counts down, then records so many seconds of what the host sends: the very samples, channel by channel. None where
/// it was given up.
fn record(
    booth: &Booth,
    frame: &dyn Fn() -> Option<Frame>,
    cancelled: &dyn Fn() -> bool,
    (countdown, seconds): (f64, f64),
    tell: &dyn Fn(Stage),
) -> Result<Option<Sound>, OpenError> {
    let silent =
        || OpenError("the host sends no sound; start playback or monitor the input, then record again".to_owned());
    let Some(begun) = frame().filter(|f| f.channels > 0) else { return Err(silent()) };
    let (mut level, mut samples, began) = (Level::default(), Vec::new(), Instant::now());
    let wanted = (seconds * f64::from(begun.rate)) as usize * begun.channels;
    let (mut blocks, mut heard) = (booth.blocks(), Instant::now());
    let mut recording = false;
    booth.hear_input(true);
    loop {
        std::thread::sleep(LOOK);
        let left = countdown - began.elapsed().as_secs_f64();
        if cancelled() {
            return Ok(None);
        }
        if frame() != Some(begun) {
            return Err(OpenError(
                "the host changed its rate or stopped the plugin on the way; record again".to_owned(),
            ));
        }
        if booth.blocks() != blocks {
            (blocks, heard) = (booth.blocks(), Instant::now());
        } else if heard.elapsed() > PATIENCE {
            return Err(silent());
        }
        if !recording && left <= 0.0 {
            (recording, level.clipped) = (true, 0);
            samples.clear();
            booth.hear_input(true);
        }
        let from = if recording { samples.len() } else { 0 };
        samples.truncate(from);
        let lost = booth.input(&mut samples);
        level.hear(&samples[from..]);
        if !recording {
            tell(Stage::Countdown(left, level));
            continue;
        }
        if lost > 0 {
            return Err(OpenError(
                "this machine was too busy to record; close other programs and record again".to_owned(),
            ));
        }
        if samples.len() >= wanted {
            samples.truncate(wanted);
            let channel = |c: usize| samples.iter().skip(c).step_by(begun.channels).copied().collect();
            return Ok(Some(Sound { rate: begun.rate, channels: (0..begun.channels).map(channel).collect() }));
        }
        tell(Stage::Recording(samples.len() as f64 / begun.channels as f64 / f64::from(begun.rate), level));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    const FRAME: Frame = Frame { rate: 8000, block: 80, channels: 2 };

    /// Records beside a host that sends blocks of a counting sound; gives what was told on the way.
    fn recorded(
        blocks: usize,
        frame: &(dyn Fn() -> Option<Frame> + Sync),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> (Result<Option<Sound>, OpenError>, Vec<Stage>) {
        let booth = Booth::default();
        let mut side = booth.side().expect("the first time");
        let told = RefCell::new(Vec::new());
        let outcome = std::thread::scope(|scope| {
            scope.spawn(move || {
                for block in 0..blocks {
                    let at = |i: usize, sign: f32| sign * (block * 80 + i) as f32 / 1e6;
                    let mut l: Vec<f32> = (0..80).map(|i| at(i, 1.0)).collect();
                    let mut r: Vec<f32> = (0..80).map(|i| at(i, -1.0)).collect();
                    side.input(&[&mut l, &mut r]);
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            record(&booth, frame, stop, (0.2, 0.5), &|stage| told.borrow_mut().push(stage))
        });
        (outcome, told.into_inner())
    }

    #[test]
    fn a_recording_holds_the_very_samples_after_a_countdown() {
        let (sound, told) = recorded(400, &|| Some(FRAME), &|| false);
        let sound = sound.expect("recorded").expect("not given up");
        assert_eq!((sound.rate, sound.channels.len(), sound.frames()), (8000, 2, 4000));
        let first = (sound.channels[0][0] * 1e6).round() as usize;
        assert!(first > 80, "the countdown is not in it");
        for (i, (l, r)) in sound.channels[0].iter().zip(&sound.channels[1]).enumerate() {
            assert_eq!((*l, *r), ((first + i) as f32 / 1e6, -((first + i) as f32 / 1e6)), "{i}");
        }
        assert!(matches!(told[0], Stage::Countdown(..)) && matches!(told[told.len() - 1], Stage::Recording(..)));
        let Stage::Recording(_, level) = told[told.len() - 1] else { unreachable!() };
        assert_eq!(level.loudness(), Loudness::Quiet);
    }

    #[test]
    fn what_goes_wrong_is_told_and_it_can_be_given_up() {
        let (silent, _) = recorded(0, &|| Some(FRAME), &|| false);
        assert!(silent.expect_err("no sound").to_string().contains("sends no sound"));
        let (stopped, _) = recorded(0, &|| None, &|| false);
        assert!(stopped.expect_err("no host").to_string().contains("sends no sound"));
        let (given_up, _) = recorded(10, &|| Some(FRAME), &|| true);
        assert_eq!(given_up.expect("no error"), None);
        let asked = AtomicBool::new(false);
        let changing =
            || Some(if asked.swap(true, Ordering::Relaxed) { Frame { rate: 48000, ..FRAME } } else { FRAME });
        assert!(recorded(10, &changing, &|| false).0.expect_err("another rate").to_string().contains("changed"));
    }

    #[test]
    fn a_level_is_judged() {
        let judged = |samples: &[f32]| {
            let mut level = Level::default();
            level.hear(samples);
            level.loudness()
        };
        assert_eq!(judged(&[0.01, -0.02]), Loudness::Quiet);
        assert_eq!(judged(&[0.3, -0.5]), Loudness::Good);
        assert_eq!(judged(&[0.95]), Loudness::Loud);
        let mut level = Level::default();
        level.hear(&[1.0, -1.0, 0.2]);
        (0..500).for_each(|_| level.hear(&[0.1]));
        assert_eq!((level.clipped, level.loudness()), (2, Loudness::Loud), "what was clipped stays so");
    }
}
