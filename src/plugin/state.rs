//! What a project keeps beside the parameters, and states made or read without a host. Knows no engine and no window.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

use nice_plug::params::persist::PersistentField;
use nice_plug::plugin::ParamValue;
use nice_plug::prelude::PluginState;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::params::{GATE_OFF, MynahParams, range};
use super::words::SavedWords;
use crate::clock::Mode;
use crate::realtime::LateSound;
use crate::runtime::Provider;
use crate::subtitles::transcript::{SavedError, Transcript};
use crate::voice::{PitchMode, TargetVoice};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// A choice that is no parameter. Loading a state does not activate the plugin anew, so whoever acts on it watches
/// `generation`.
#[derive(Default)]
pub struct Chosen<T> {
    value: Mutex<T>,
    generation: AtomicU64,
    told: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl<T: Clone> Chosen<T> {
    /// The choice, and which one it is.
    pub fn get(&self) -> (T, u64) {
        let value = lock(&self.value);
        (value.clone(), self.generation.load(Ordering::Relaxed))
    }

    /// Another choice. The same again counts too: it revives a worker that gave up.
    pub fn choose(&self, value: T) {
        let mut held = lock(&self.value);
        *held = value;
        self.generation.fetch_add(1, Ordering::Relaxed);
        drop(held);
        if let Some(tell) = self.told.get() {
            tell();
        }
    }

    /// Who is told of each choice at once, on the thread that chooses. Set once.
    pub fn on_choice(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.told.set(Box::new(tell));
    }

    /// How often it was chosen.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
}

impl<'a, T: Serialize + DeserializeOwned + Clone + Send> PersistentField<'a, T> for Chosen<T> {
    fn set(&self, new_value: T) {
        self.choose(new_value);
    }

    fn map<F: Fn(&T) -> R, R>(&self, f: F) -> R {
        f(&lock(&self.value))
    }
}

/// Values of the parameters, for states made without a host. The default is the plugin's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The host's bypass.
    pub bypass: bool,
    /// Whether the voice is converted.
    pub voice: bool,
    /// Delay against quality.
    pub mode: Mode,
    /// Where the pitch comes from.
    pub pitch: PitchMode,
    /// The gate's threshold in dBFS; below −80 it is off.
    pub gate_dbfs: f32,
    /// 0 dry, 1 wet.
    pub wet: f32,
    /// Gain of the output in dB.
    pub gain_db: f32,
    /// What is heard instead of a late hop.
    pub late: LateSound,
    /// Whether the sound is captioned.
    pub captions: bool,
    /// What computes the voice.
    pub provider: Provider,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bypass: false,
            voice: true,
            mode: Mode::Live,
            pitch: PitchMode::Auto,
            gate_dbfs: GATE_OFF,
            wet: 1.0,
            gain_db: 0.0,
            late: LateSound::Dry,
            captions: false,
            provider: Provider::Cpu,
        }
    }
}

/// What surrounds the state: the two formats differ by a count of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Eight bytes of length (little-endian), then the state.
    Clap,
    /// The state alone.
    Vst3,
}

/// Why a saved state can't be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is no state of this plugin.
    #[error("these bytes are no saved state of Mynah ({0}); save the project again")]
    NoState(#[from] serde_json::Error),
    /// It is one, but its words are not.
    #[error(transparent)]
    Words(#[from] SavedError),
}

/// The bytes of a state that holds a target voice and values of the parameters, as a host would have saved it.
pub fn with_voice(voice: Option<&TargetVoice>, settings: &Settings, container: Container) -> Vec<u8> {
    let (pitch, semitones) = match settings.pitch {
        PitchMode::Auto | PitchMode::Known(_) => ("auto", 0.0),
        PitchMode::Semitones(s) => ("semitones", s),
    };
    let late = match settings.late {
        LateSound::Dry => "dry",
        LateSound::Silence => "silence",
    };
    let state = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "params": {
            "bypass": { "bool": settings.bypass },
            "voice": { "bool": settings.voice },
            "mode": { "string": settings.mode.name() },
            "pitch": { "string": pitch },
            "semis": { "f32": semitones },
            "gate": { "f32": settings.gate_dbfs.max(GATE_OFF) },
            "mix": { "f32": settings.wet },
            "gain": { "f32": settings.gain_db },
            "late": { "string": late },
            "capt": { "bool": settings.captions },
        },
        // Each field is JSON in itself, so that one that can't be read doesn't spoil the others.
        "fields": {
            "voice": serde_json::json!(voice).to_string(),
            "provider": serde_json::json!(settings.provider).to_string(),
        },
    });
    let body = state.to_string().into_bytes();
    match container {
        Container::Vst3 => body,
        Container::Clap => [&(body.len() as u64).to_le_bytes()[..], &body].concat(),
    }
}

fn parse(bytes: &[u8]) -> Result<PluginState, StateError> {
    let body = match bytes.split_first_chunk::<8>() {
        Some((length, rest)) if u64::from_le_bytes(*length) == rest.len() as u64 => rest,
        _ => bytes,
    };
    Ok(serde_json::from_slice(body)?)
}

/// Takes out of a state what can't be Mynah's own, before the shell acts on it: the shell takes any number as it is and
/// can't refuse the whole.
///
/// A state of another plugin on the same shell has the same form, and names like `gain` are easily the same: it becomes
/// empty, which changes nothing. Every version of Mynah has saved the parameters that tell.
pub(super) fn keep_own(state: &mut PluginState) {
    if !["voice", "mode"].iter().all(|own| state.params.contains_key(*own)) {
        state.params.clear();
        state.fields.clear();
    }
    state.params.retain(|id, value| match value {
        ParamValue::F32(plain) => {
            if let Some((low, high)) = range(id) {
                *plain = plain.clamp(low, high);
            }
            !plain.is_nan()
        }
        // Choices are saved by name. A number beyond them would end the host at the next save.
        ParamValue::I32(_) => false,
        ParamValue::Bool(_) | ParamValue::String(_) => true,
    });
}

/// The final words and takes of a saved state, whichever format it was saved by.
pub fn transcript(bytes: &[u8]) -> Result<Transcript, StateError> {
    let state = parse(bytes)?;
    let words = state.fields.get("words").map(|json| serde_json::from_str::<SavedWords>(json)).transpose()?;
    Ok(words.unwrap_or_default().transcript()?)
}

/// The target voice of a saved state, whichever format it was saved by.
pub fn voice(bytes: &[u8]) -> Result<Option<TargetVoice>, StateError> {
    let state = parse(bytes)?;
    Ok(state.fields.get("voice").map(|json| serde_json::from_str(json)).transpose()?.flatten())
}

/// A voice from a project is used only where it is one: 256 finite numbers.
pub fn checked(voice: Option<TargetVoice>) -> Result<Option<TargetVoice>, String> {
    match voice {
        Some(v)
            if v.embedding.len() != 256
                || !v.embedding.iter().all(|x| x.is_finite())
                || !v.median_pitch.is_finite() =>
        {
            Err(format!(
                "the project's voice `{}` has {} numbers where 256 finite ones belong; choose the voice again",
                v.name,
                v.embedding.len()
            ))
        }
        good => Ok(good),
    }
}

/// Which choices of `params` have been acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Generation of the target voice.
    pub target: u64,
    /// Generation of the provider.
    pub provider: u64,
    /// Generation of the picked packs.
    pub picks: u64,
    /// The mode.
    pub mode: Mode,
    /// Whether captions are wanted.
    pub captions: bool,
}

impl Seen {
    /// The choices as they are now.
    pub fn now(params: &MynahParams) -> Self {
        Self {
            target: params.target.generation(),
            provider: params.provider.generation(),
            picks: params.picks.generation(),
            mode: params.mode(),
            captions: params.captions.on.value(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognition::stream::Event;
    use crate::subtitles::Word;
    use nice_plug::params::Params;
    use std::sync::Arc;

    #[test]
    fn words_come_back() {
        let params = MynahParams::default();
        let word = Word { text: "mynah".to_owned(), start: 1.25, end: 1.75, confidence: 0.5 };
        lock(&params.words.board()).apply(Event::Final(vec![word.clone()]));
        params.words.move_to(Arc::default());
        let state =
            PluginState { version: String::new(), params: Default::default(), fields: params.serialize_fields() };
        let bytes = serde_json::to_vec(&state).expect("a state");
        assert_eq!(transcript(&bytes).expect("the words").words(), std::slice::from_ref(&word));
        let other = MynahParams::default();
        other.deserialize_fields(&state.fields);
        assert_eq!(lock(&other.words.board()).words(), [word]);
        assert!(transcript(b"no state").is_err());
    }

    #[test]
    fn a_made_state_holds_the_voice() {
        let v = crate::engine::testing::any_voice("Ada");
        for container in [Container::Clap, Container::Vst3] {
            let bytes = with_voice(Some(&v), &Settings::default(), container);
            assert_eq!(voice(&bytes).expect("a state"), Some(v.clone()));
            assert!(transcript(&bytes).expect("a state").words().is_empty());
        }
        let params = MynahParams::default();
        params.deserialize_fields(
            &parse(&with_voice(Some(&v), &Settings::default(), Container::Vst3)).expect("a state").fields,
        );
        assert_eq!(params.target.get(), (Some(v.clone()), 1));
        assert!(checked(Some(TargetVoice { embedding: vec![f32::NAN; 256], ..v })).is_err());
    }
}
