//! How a voice sounds, at a click: the built-in phrase, converted on a thread of its own behind all others, and heard
//! in place of the track. Never in a render or a bypass, and only until the second click. Not for the audio thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::instance::Instance;
use crate::engine::audition::{convert_clip, phrase};
use crate::engine::priority;
use crate::voice::{Controls, TargetVoice};

/// Clips that are kept: the last ones.
const KEPT: usize = 8;
/// How long a host may take no block before that is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// How an audition stands. The strings are voices' names, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stage {
    /// None is asked for.
    #[default]
    Idle,
    /// The phrase is being converted.
    Preparing(String),
    /// It is heard.
    Playing(String),
    /// It can't be heard, and why.
    Failed(String, String),
}

/// All that the sound of a clip depends on.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    voice: TargetVoice,
    controls: Controls,
    rate: u32,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    /// The host's blocks when they were looked at last, and when they had grown.
    blocks: Option<(u64, Instant)>,
    kept: Vec<(Key, Arc<[f32]>)>,
}

/// The auditions of an instance. See the top of the file.
#[derive(Debug, Default)]
pub struct Audition {
    state: Mutex<State>,
    /// Counts clicks: what was begun before the last one comes to nothing.
    clicks: AtomicU64,
}

impl Audition {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// A click on a voice: lets it be heard, or ends it where it is heard or prepared.
pub fn click(instance: &Arc<Instance>, voice: &TargetVoice) {
    let audition = &instance.audition;
    let heard = matches!(stage(instance), Stage::Preparing(name) | Stage::Playing(name) if name == voice.name);
    stop(instance);
    if heard {
        return;
    }
    let fail = |why: &str| audition.state().stage = Stage::Failed(voice.name.clone(), why.to_owned());
    let (Some(frame), Some(source)) = (instance.readings().frame, instance.source()) else {
        return fail("the host has not started the sound; start it, then listen again");
    };
    if instance.params.bypass.value() {
        return fail("nothing is heard while Bypass is on; switch it off, then listen again");
    }
    let controls = Controls { gate_dbfs: f32::NEG_INFINITY, ..instance.params.controls() };
    let key = Key { voice: voice.clone(), controls, rate: frame.rate };
    let kept = audition.state().kept.iter().find(|(k, _)| *k == key).map(|(_, clip)| clip.clone());
    if let Some(clip) = kept {
        return play(instance, &key.voice.name, clip);
    }
    audition.state().stage = Stage::Preparing(voice.name.clone());
    let (weak, click) = (Arc::downgrade(instance), audition.clicks.load(Ordering::Relaxed));
    let work = move || {
        priority::step_back();
        let Some(instance) = weak.upgrade() else { return };
        let audition = &instance.audition;
        let over = || audition.clicks.load(Ordering::Relaxed) != click || instance.ends().load(Ordering::Relaxed);
        let clip = phrase().map_err(|e| e.to_string()).and_then(|sound| {
            convert_clip(&sound, &*source, &key.voice, &key.controls, key.rate, &over).map_err(|e| e.to_string())
        });
        match clip {
            _ if over() => {}
            Ok(Some(clip)) => {
                let clip: Arc<[f32]> = clip.into();
                let mut state = audition.state();
                state.kept.push((key.clone(), clip.clone()));
                let surplus = state.kept.len().saturating_sub(KEPT);
                state.kept.drain(..surplus);
                drop(state);
                play(&instance, &key.voice.name, clip);
            }
            Ok(None) => {}
            Err(why) => audition.state().stage = Stage::Failed(key.voice.name.clone(), why),
        }
    };
    if let Err(e) = instance.spawn_model("mynah-audition", work) {
        fail(&e.to_string());
    }
}

const NO_SOUND: &str = "the host sends no sound at the moment; start playback, then listen again";

fn play(instance: &Instance, name: &str, clip: Arc<[f32]>) {
    let mut state = instance.audition.state();
    state.blocks = Some((instance.booth.blocks(), Instant::now()));
    state.stage = match instance.booth.play(clip) {
        Some(_) => Stage::Playing(name.to_owned()),
        None => Stage::Failed(name.to_owned(), NO_SOUND.to_owned()),
    };
}

/// Ends what is heard and what is prepared.
pub fn stop(instance: &Instance) {
    instance.audition.clicks.fetch_add(1, Ordering::Relaxed);
    instance.booth.stop();
    instance.audition.state().stage = Stage::Idle;
}

/// How it stands. To be asked while a window is open: a host that takes no blocks is found out here.
pub fn stage(instance: &Instance) -> Stage {
    let mut state = instance.audition.state();
    if let Stage::Playing(name) = &state.stage {
        let (name, blocks) = (name.clone(), instance.booth.blocks());
        let grown = state.blocks.is_none_or(|(before, _)| before != blocks);
        if instance.booth.clip() == (0, 0) {
            state.stage = Stage::Idle;
        } else if grown {
            state.blocks = Some((blocks, Instant::now()));
        } else if state.blocks.is_some_and(|(_, since)| since.elapsed() > PATIENCE) {
            instance.booth.stop();
            state.stage = Stage::Failed(name, NO_SOUND.to_owned());
        }
    }
    state.stage.clone()
}
