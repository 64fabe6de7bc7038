//! How close the output is to the voice that is wanted: the cosine of GE2E embeddings, taken every other second from
//! the speech of the last five, on a thread of its own behind all others, and only while a window is open. Not for the
//! audio thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::instance::Instance;
use crate::engine::{PackSource, priority};
use crate::realtime::WorkerState;
use crate::voice::TargetVoice;
use crate::voice::enrol::Enroller;

/// How much of the output is listened to, and how often, in seconds.
const HEARD: usize = 5;
const EVERY: Duration = Duration::from_secs(2);
/// How often the output is fetched.
const LOOK: Duration = Duration::from_millis(50);

/// What a speaker's own other recordings reach, and two strangers: medians of real recordings in
/// models/mynah-voice/EVALUATION.md.
pub const NATURAL: f32 = 0.89;
/// See [`NATURAL`].
pub const STRANGER: f32 = 0.53;

/// What is known at the moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Likeness {
    /// Nobody speaks, or nothing is converted.
    #[default]
    Unknown,
    /// The cosine.
    Cosine(f32),
    /// One sentence on why it can't be told.
    Problem(String),
}

/// A cosine in words. Nine of ten converted real recordings lie above 0.79, and a stranger's median is 0.53
/// (EVALUATION.md).
pub fn words(cosine: f32) -> &'static str {
    match cosine {
        c if c >= 0.85 => "as close as the speaker's own",
        c if c >= 0.77 => "close",
        c if c >= 0.68 => "fairly close",
        _ => "far",
    }
}

/// The likeness of an instance's output. See the top of the file.
#[derive(Debug, Default)]
pub struct Closeness {
    likeness: Mutex<Likeness>,
    /// Odd while a window is open.
    windows: AtomicU64,
}

impl Closeness {
    fn held(&self) -> MutexGuard<'_, Likeness> {
        self.likeness.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// What is known at the moment.
    pub fn likeness(&self) -> Likeness {
        self.held().clone()
    }

    fn is_open(&self) -> bool {
        self.windows.load(Ordering::Relaxed) % 2 == 1
    }
}

/// A window was opened.
pub fn opened(instance: &Arc<Instance>) {
    if instance.closeness.is_open() {
        return;
    }
    let mut ears: Option<Enroller> = None;
    let judge = move |samples: &[f32], rate: u32, voice: &TargetVoice| {
        if ears.is_none() {
            ears = Some(PackSource::standard().enroller().map_err(|e| e.to_string())?);
        }
        match &mut ears {
            Some(ears) => ears.likeness(samples, rate, voice).map_err(|e| e.to_string()),
            None => Ok(None),
        }
    };
    listen(instance, judge);
}

/// The window was closed.
pub fn closed(instance: &Instance) {
    if instance.closeness.is_open() {
        instance.closeness.windows.fetch_add(1, Ordering::Relaxed);
        instance.booth.hear_output(false);
        *instance.closeness.held() = Likeness::Unknown;
    }
}

/// Starts the thread; `judge` gives the cosine of speech at a rate to a voice, none without speech.
fn listen(
    instance: &Arc<Instance>,
    mut judge: impl FnMut(&[f32], u32, &TargetVoice) -> Result<Option<f32>, String> + Send + 'static,
) {
    let window = instance.closeness.windows.fetch_add(1, Ordering::Relaxed) + 1;
    instance.booth.hear_output(true);
    let weak = Arc::downgrade(instance);
    let work = move || {
        priority::step_back();
        let (mut samples, mut judged, mut about) = (Vec::new(), Instant::now(), None);
        loop {
            std::thread::sleep(LOOK);
            let Some(instance) = weak.upgrade() else { return };
            if instance.closeness.windows.load(Ordering::Relaxed) != window || instance.ends().load(Ordering::Relaxed) {
                return;
            }
            instance.booth.output(&mut samples);
            let (now, rate) = (converts(&instance), instance.readings().frame.map_or(48_000, |f| f.rate));
            if now != about {
                // What was heard before belongs to another voice.
                samples.clear();
                (about, judged) = (now, Instant::now());
                *instance.closeness.held() = Likeness::Unknown;
            }
            let surplus = samples.len().saturating_sub(HEARD * rate as usize);
            samples.drain(..surplus);
            let Some((voice, _)) = about.as_ref().and_then(|_| wanted(&instance)) else { continue };
            if judged.elapsed() < EVERY {
                continue;
            }
            judged = Instant::now();
            let likeness = match judge(&samples, rate, &voice) {
                Ok(None) => Likeness::Unknown,
                Ok(Some(cosine)) => Likeness::Cosine(cosine),
                Err(why) => Likeness::Problem(why),
            };
            if instance.closeness.windows.load(Ordering::Relaxed) == window {
                *instance.closeness.held() = likeness;
            }
        }
    };
    if let Err(e) = instance.spawn_model("mynah-closeness", work) {
        *instance.closeness.held() = Likeness::Problem(e.to_string());
    }
}

fn wanted(instance: &Instance) -> Option<(TargetVoice, u64)> {
    let (voice, which) = instance.params.target.get();
    Some((voice?, which))
}

/// Which choice of a voice is heard at the moment, and at which rate; none where the sound is dry.
fn converts(instance: &Instance) -> Option<(u64, u32)> {
    let (params, readings) = (&instance.params, instance.readings());
    let status = readings.status?;
    let heard = params.voice.on.value()
        && !params.bypass.value()
        && status.counters.state == WorkerState::Ready
        && !status.loading;
    let (_, which) = wanted(instance).filter(|_| heard)?;
    Some((which, readings.frame?.rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::booth::BoothSide;
    use crate::engine::testing::{IdentitySource, any_voice};
    use crate::plugin::instance::Frame;

    fn until(what: &str, side: &mut BoothSide, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(20), "{what} did not come");
            let mut sound = [0.25; 480];
            side.output(&mut [&mut sound], true);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn it_is_told_only_while_a_window_is_open_and_a_voice_is_heard() {
        let instance = Instance::new(Arc::default());
        let mut side = instance.booth.side().expect("the first time");
        let frame = Frame { rate: 48000, block: 480, channels: 1 };
        let _port = instance.start(frame, Arc::new(IdentitySource::default())).expect("a port");
        let heard = Arc::new(AtomicU64::new(0));
        let seen = heard.clone();
        listen(&instance, move |samples, rate, voice| {
            assert!(rate == 48000 && voice.name == "Ada" && samples.iter().all(|x| *x == 0.25));
            seen.store(samples.len() as u64, Ordering::Relaxed);
            Ok((samples.len() > 48_000).then_some(0.84))
        });
        let start = Instant::now();
        until("nothing", &mut side, || start.elapsed() > EVERY + Duration::from_millis(300));
        assert_eq!(instance.closeness.likeness(), Likeness::Unknown, "no voice is chosen");
        instance.choose_voice(Some(any_voice("Ada")));
        until("a cosine", &mut side, || instance.closeness.likeness() == Likeness::Cosine(0.84));
        assert!(heard.load(Ordering::Relaxed) > 48_000);
        closed(&instance);
        assert_eq!(instance.closeness.likeness(), Likeness::Unknown);
        let before = heard.swap(0, Ordering::Relaxed);
        assert!(before > 0);
        instance.end();
        assert_eq!(heard.load(Ordering::Relaxed), 0, "nothing is computed without a window");
    }

    #[test]
    fn a_cosine_has_words() {
        assert_eq!(
            [words(NATURAL), words(0.83), words(0.7), words(STRANGER)],
            ["as close as the speaker's own", "close", "fairly close", "far"]
        );
    }
}
