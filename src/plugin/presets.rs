//! Presets: the settings of the sound under a name, some built in, others files that can be shared, with or without the
//! voice in use. They are applied as gestures, so that a host records and undoes them. Not for the audio thread.

use std::io::Write;
use std::path::{Path, PathBuf};

use nice_plug::prelude::{BoolParam, Enum, EnumParam, FloatParam, Param, ParamSetter};
use serde::{Deserialize, Serialize};

use super::instance::Instance;
use super::params::{GATE_OFF, LateChoice, ModeChoice, MynahParams, PitchChoice, range};
use super::state::checked;
use crate::voice::TargetVoice;
use crate::voice::library::Library;

/// The version of the files.
const VERSION: u32 = 1;
/// A preset with a voice has some kilobytes.
const LARGEST: u64 = 1 << 20;

/// A preset. What a file lacks stays as it is when it is applied; Bypass and the provider belong to a project and a
/// machine, not to a preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preset {
    /// The version of the file.
    mynah_preset: u32,
    /// Its name for a person.
    pub name: String,
    /// The settings.
    pub settings: Settings,
    /// The voice, where the preset brings one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<TargetVoice>,
}

/// The parameters by their ids, in plain units; choices by the ids of what is chosen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    voice: Option<bool>,
    mode: Option<String>,
    pitch: Option<String>,
    semis: Option<f32>,
    gate: Option<f32>,
    mix: Option<f32>,
    gain: Option<f32>,
    late: Option<String>,
    capt: Option<bool>,
}

/// What can go wrong with a preset's file.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// It is no preset.
    #[error("`{0}` is no preset of Mynah ({1}); choose another file")]
    NoPreset(PathBuf, String),
    /// It is newer than this program.
    #[error("`{0}` was made by a newer Mynah (version {1} of presets, this one knows {VERSION}); update Mynah")]
    Newer(PathBuf, u32),
    /// The name can't be a file's.
    #[error("`{0}` can't be the name of a preset; use letters, digits, spaces, `-` or `_`")]
    Name(String),
    /// It can't be read or written.
    #[error("the preset `{0}` can't be read or written: {1}; check its permissions, and that there is room")]
    File(PathBuf, String),
}

/// The presets that are built in.
pub fn factory() -> [Preset; 4] {
    let preset = |name: &str, mode: &str, gate: f32, late: &str, capt: Option<bool>| {
        let named = |id: &str| Some(id.to_owned());
        let settings = Settings {
            voice: Some(true),
            mode: named(mode),
            pitch: named("auto"),
            semis: Some(0.0),
            gate: Some(gate),
            mix: Some(1.0),
            gain: Some(0.0),
            late: named(late),
            capt,
        };
        Preset { mynah_preset: VERSION, name: name.to_owned(), settings, voice: None }
    };
    [
        preset("Live stream", "live", -55.0, "dry", Some(true)),
        preset("Podcast", "studio", -60.0, "dry", Some(true)),
        // Nothing of one's own voice is heard, not even where a hop comes too late.
        preset("Anonymous", "balanced", -50.0, "silence", None),
        preset("Quiet room", "studio", GATE_OFF, "dry", None),
    ]
}

/// What a parameter of choices shows for an id.
fn id_of<T: Enum + PartialEq + 'static>(param: &EnumParam<T>) -> Option<String> {
    T::ids().and_then(|ids| ids.get(param.value().to_index())).map(|id| (*id).to_owned())
}

impl Preset {
    /// The settings as they are, under a name.
    pub fn now(name: &str, params: &MynahParams, voice: Option<TargetVoice>) -> Self {
        let (v, s) = (&params.voice, &params.sound);
        let settings = Settings {
            voice: Some(v.on.value()),
            mode: id_of(&v.mode),
            pitch: id_of(&v.pitch),
            semis: Some(v.semitones.value()),
            gate: Some(s.gate.value()),
            mix: Some(s.mix.value()),
            gain: Some(s.gain.value()),
            late: id_of(&s.late),
            capt: Some(params.captions.on.value()),
        };
        Self { mynah_preset: VERSION, name: name.to_owned(), settings, voice }
    }

    /// Applies it to an instance through its host, a gesture for each parameter that changes.
    pub fn apply(&self, setter: &ParamSetter, instance: &Instance) {
        let (p, s) = (&instance.params, &self.settings);
        flip(setter, &p.voice.on, s.voice);
        choose::<ModeChoice>(setter, &p.voice.mode, s.mode.as_deref());
        choose::<PitchChoice>(setter, &p.voice.pitch, s.pitch.as_deref());
        slide(setter, &p.voice.semitones, "semis", s.semis);
        slide(setter, &p.sound.gate, "gate", s.gate);
        slide(setter, &p.sound.mix, "mix", s.mix);
        slide(setter, &p.sound.gain, "gain", s.gain);
        choose::<LateChoice>(setter, &p.sound.late, s.late.as_deref());
        flip(setter, &p.captions.on, s.capt);
        if let Some(voice) = &self.voice {
            instance.choose_voice(Some(voice.clone()));
        }
    }

    /// Reads a file. Its voice is checked as a project's is.
    pub fn read(path: &Path) -> Result<Self, PresetError> {
        let failed = |e: &dyn std::fmt::Display| PresetError::File(path.to_owned(), e.to_string());
        let none = |why: String| PresetError::NoPreset(path.to_owned(), why);
        if std::fs::metadata(path).map_err(|e| failed(&e))?.len() > LARGEST {
            return Err(none("it is too large".to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|e| failed(&e))?;
        let preset: Preset = serde_json::from_str(&text).map_err(|e| none(e.to_string()))?;
        if preset.mynah_preset > VERSION {
            return Err(PresetError::Newer(path.to_owned(), preset.mynah_preset));
        }
        checked(preset.voice.clone()).map_err(none)?;
        Ok(preset)
    }

    /// Writes a file: whole or not at all, replacing what stood there.
    pub fn write(&self, path: &Path) -> Result<(), PresetError> {
        let failed = |e: &dyn std::fmt::Display| PresetError::File(path.to_owned(), e.to_string());
        let text = serde_json::to_string_pretty(self).map_err(|e| failed(&e))?;
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(|e| failed(&e))?;
        crate::files::write_whole(path, |file| file.write_all(text.as_bytes())).map_err(|e| failed(&e))
    }
}

fn gesture<P: Param>(setter: &ParamSetter, param: &P, normalized: f32) {
    if param.unmodulated_normalized_value() != normalized {
        setter.begin_set_parameter(param);
        setter.set_parameter_normalized(param, normalized);
        setter.end_set_parameter(param);
    }
}

fn flip(setter: &ParamSetter, param: &BoolParam, on: Option<bool>) {
    if let Some(on) = on {
        gesture(setter, param, if on { 1.0 } else { 0.0 });
    }
}

fn slide(setter: &ParamSetter, param: &FloatParam, id: &str, plain: Option<f32>) {
    if let (Some(plain), Some((low, high))) = (plain.filter(|x| x.is_finite()), range(id)) {
        gesture(setter, param, param.preview_normalized(plain.clamp(low, high)));
    }
}

fn choose<T: Enum + PartialEq + 'static>(setter: &ParamSetter, param: &EnumParam<T>, id: Option<&str>) {
    let at = id.and_then(|id| T::ids().and_then(|ids| ids.iter().position(|i| *i == id)));
    if let Some(at) = at {
        gesture(setter, param, at as f32 / (T::variants().len() - 1) as f32);
    }
}

/// Where the user's presets lie: beside the voices.
pub fn folder() -> PathBuf {
    Library::standard().folder().with_file_name("presets")
}

/// The file of a preset with this name in a folder.
pub fn file(folder: &Path, name: &str) -> Result<PathBuf, PresetError> {
    Library::at(folder).check(name).map_err(|_| PresetError::Name(name.to_owned()))?;
    Ok(folder.join(format!("{name}.json")))
}

/// The presets in a folder that can be read, by name.
pub fn list(folder: &Path) -> Vec<Preset> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut presets: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .filter_map(|path| Preset::read(&path).ok())
        .collect();
    presets.sort_by_key(|preset| preset.name.to_lowercase());
    presets
}

/// A host for tests of windows.
#[cfg(test)]
pub(crate) mod testing {
    use nice_plug::context::PluginApi;
    use nice_plug::context::gui::GuiContextInner;
    use nice_plug::params::internals::ParamPtr;
    use nice_plug::plugin::PluginState;
    use std::sync::Mutex;

    /// A host that does what it is told, and counts gestures: begun, set, ended.
    #[derive(Default)]
    pub struct Host(pub Mutex<[usize; 3]>);

    impl Host {
        fn count(&self, what: usize) {
            self.0.lock().expect("not poisoned")[what] += 1;
        }
    }

    impl GuiContextInner for Host {
        fn plugin_api(&self) -> PluginApi {
            PluginApi::Clap
        }

        unsafe fn raw_begin_set_parameter(&self, _: ParamPtr) {
            self.count(0);
        }

        unsafe fn raw_set_parameter_normalized(&self, param: ParamPtr, normalized: f32) {
            self.count(1);
            // SAFETY: the parameters of the test outlive the call.
            unsafe { param._internal_set_normalized_value(normalized) };
        }

        unsafe fn raw_end_set_parameter(&self, _: ParamPtr) {
            self.count(2);
        }

        fn get_state(&self) -> PluginState {
            PluginState { version: String::new(), params: Default::default(), fields: Default::default() }
        }

        fn set_state(&self, _: PluginState) {}

        fn request_restart(&self) {}
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Host;
    use super::*;
    use crate::clock::Mode;
    use crate::engine::testing::any_voice;
    use std::sync::Arc;

    #[test]
    fn a_preset_is_applied_in_gestures_and_comes_back_from_a_file() {
        let (host, instance) = (Host::default(), Instance::new(Arc::default()));
        let setter = ParamSetter::new(&host);
        let anonymous = &factory()[2];
        anonymous.apply(&setter, &instance);
        let p = &instance.params;
        assert_eq!(
            (p.mode(), p.controls().gate_dbfs, p.mix().late),
            (Mode::Balanced, -50.0, crate::realtime::LateSound::Silence)
        );
        assert_eq!(*host.0.lock().expect("not poisoned"), [3, 3, 3], "mode, gate and late sound: each in a gesture");
        anonymous.apply(&setter, &instance);
        assert_eq!(host.0.lock().expect("not poisoned")[0], 3, "nothing changes");
        let folder = tempfile::tempdir().expect("a folder");
        let mine = Preset::now("Mine", p, Some(any_voice("Ada")));
        mine.write(&file(folder.path(), "Mine").expect("a name")).expect("written");
        assert_eq!(list(folder.path()), std::slice::from_ref(&mine));
        let other = Instance::new(Arc::default());
        Preset::read(&folder.path().join("Mine.json")).expect("read").apply(&setter, &other);
        assert_eq!(Preset::now("Mine", &other.params, other.params.target.get().0), mine);
        assert!(matches!(file(folder.path(), "../x"), Err(PresetError::Name(_))));
    }

    #[test]
    fn what_is_no_preset_is_told_and_wild_numbers_are_tamed() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = |text: &str| {
            let path = folder.path().join("a.json");
            std::fs::write(&path, text).expect("written");
            Preset::read(&path)
        };
        assert!(matches!(read("{}"), Err(PresetError::NoPreset(..))));
        assert!(matches!(read(r#"{"mynah_preset":2,"name":"x","settings":{}}"#), Err(PresetError::Newer(_, 2))));
        let voice = r#"{"mynah_preset":1,"name":"x","settings":{},"voice":{"name":"v","embedding":[1.0],"median_pitch":100.0}}"#;
        assert!(matches!(read(voice), Err(PresetError::NoPreset(_, why)) if why.contains("256")));
        assert!(matches!(Preset::read(Path::new("/nowhere/a.json")), Err(PresetError::File(..))));
        let wild = read(r#"{"mynah_preset":1,"name":"x","settings":{"gain":1e30,"mode":"warp","mix":0.25}}"#)
            .expect("a preset");
        let (host, instance) = (Host::default(), Instance::new(Arc::default()));
        wild.apply(&ParamSetter::new(&host), &instance);
        let p = &instance.params;
        assert_eq!((p.sound.gain.value(), p.mode(), p.sound.mix.value()), (24.0, Mode::Live, 0.25));
        assert!(factory().iter().all(|f| f.settings.mode.is_some() && f.voice.is_none()));
    }
}
