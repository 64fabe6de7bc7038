//! What the host may automate and what a project keeps. Knows no engine: only plain values that the audio thread reads
//! without waiting.

use std::sync::Arc;

use nice_plug::prelude::*;

use super::state::Chosen;
use super::words::Words;
use crate::clock::Mode;
use crate::engine::Picks;
use crate::realtime::{LateSound, Mix};
use crate::runtime::Provider;
use crate::voice::{Controls, PitchMode, TargetVoice};

/// The lowest setting of the gate, in dBFS: there it is off.
pub const GATE_OFF: f32 = -80.0;
/// The widest shift of pitch, in semitones either way.
pub const SEMITONES: f32 = 24.0;
/// The widest change of the output's gain, in dB either way.
pub const GAIN: f32 = 24.0;

/// The ends of a parameter that is no choice, in its own unit.
pub fn range(id: &str) -> Option<(f32, f32)> {
    match id {
        "semis" => Some((-SEMITONES, SEMITONES)),
        "gate" => Some((GATE_OFF, 0.0)),
        "mix" => Some((0.0, 1.0)),
        "gain" => Some((-GAIN, GAIN)),
        _ => None,
    }
}

/// `Mode` as the host shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ModeChoice {
    /// The smallest delay.
    #[id = "live"]
    Live,
    /// A middle way.
    #[id = "balanced"]
    Balanced,
    /// The best sound.
    #[id = "studio"]
    Studio,
}

impl From<ModeChoice> for Mode {
    fn from(choice: ModeChoice) -> Self {
        match choice {
            ModeChoice::Live => Mode::Live,
            ModeChoice::Balanced => Mode::Balanced,
            ModeChoice::Studio => Mode::Studio,
        }
    }
}

/// Where the pitch comes from, as the host shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum PitchChoice {
    /// The speaker's median is moved to the reference's.
    #[id = "auto"]
    Auto,
    /// A shift by so many semitones.
    #[id = "semitones"]
    Semitones,
}

/// `LateSound` as the host shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum LateChoice {
    /// The speaker's own voice.
    #[id = "dry"]
    Dry,
    /// Silence.
    #[id = "silence"]
    Silence,
}

/// All parameters and all that a project keeps. The ids never change.
#[derive(Params)]
pub struct MynahParams {
    /// The host's bypass: the input at the same latency.
    #[id = "bypass"]
    pub bypass: BoolParam,
    /// The voice.
    #[nested(group = "Voice")]
    pub voice: VoiceParams,
    /// The sound around it.
    #[nested(group = "Sound")]
    pub sound: SoundParams,
    /// The captions.
    #[nested(group = "Captions")]
    pub captions: CaptionParams,
    /// The target voice itself, so that a project opens without the reference file.
    #[persist = "voice"]
    pub target: Chosen<Option<TargetVoice>>,
    /// What computes the voice.
    #[persist = "provider"]
    pub provider: Chosen<Provider>,
    /// The packs that this track is made with, and the language that is spoken on it.
    #[persist = "models"]
    pub picks: Chosen<Picks>,
    /// The words and takes so far.
    #[persist = "words"]
    pub words: Words,
    /// Who speaks, where that is not the track's name.
    #[persist = "speaker"]
    pub speaker: Chosen<String>,
    /// Whether no copy of the captions is kept on this machine.
    #[persist = "nocopy"]
    pub no_copy: Chosen<bool>,
}

/// Parameters of the voice.
#[derive(Params)]
pub struct VoiceParams {
    /// Whether the voice is converted.
    #[id = "voice"]
    pub on: BoolParam,
    /// Delay against quality. A change moves the latency, once.
    #[id = "mode"]
    pub mode: EnumParam<ModeChoice>,
    /// Where the pitch comes from.
    #[id = "pitch"]
    pub pitch: EnumParam<PitchChoice>,
    /// The shift, where it is asked for.
    #[id = "semis"]
    pub semitones: FloatParam,
}

/// Parameters of the sound around the voice.
#[derive(Params)]
pub struct SoundParams {
    /// The gate's threshold in dBFS; `GATE_OFF` is off.
    #[id = "gate"]
    pub gate: FloatParam,
    /// 0 dry, 1 wet.
    #[id = "mix"]
    pub mix: FloatParam,
    /// Gain of the output in dB.
    #[id = "gain"]
    pub gain: FloatParam,
    /// What is heard instead of a late hop.
    #[id = "late"]
    pub late: EnumParam<LateChoice>,
}

/// Parameters of the captions.
#[derive(Params)]
pub struct CaptionParams {
    /// Whether the sound is captioned.
    #[id = "capt"]
    pub on: BoolParam,
}

fn gate_text(dbfs: f32) -> String {
    if dbfs <= GATE_OFF { "Off".to_owned() } else { format!("{dbfs:.1} dBFS") }
}

fn gate_value(text: &str) -> Option<f32> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("off") {
        return Some(GATE_OFF);
    }
    number(text)
}

/// A number as a person writes it, with or without its unit; `nan` is none.
fn number(text: &str) -> Option<f32> {
    let bare = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c.is_whitespace() || c == '%').trim_start();
    bare.parse().ok().filter(|v: &f32| v.is_finite())
}

impl Default for MynahParams {
    fn default() -> Self {
        let linear = |id| {
            range(id).map_or(FloatRange::Linear { min: 0.0, max: 1.0 }, |(min, max)| FloatRange::Linear { min, max })
        };
        Self {
            bypass: BoolParam::new("Bypass", false).make_bypass(),
            voice: VoiceParams {
                on: BoolParam::new("Voice", true),
                mode: EnumParam::new("Mode", ModeChoice::Live),
                pitch: EnumParam::new("Pitch", PitchChoice::Auto),
                semitones: FloatParam::new("Shift", 0.0, linear("semis"))
                    .with_step_size(0.1)
                    .with_unit(" st")
                    .with_value_to_string(formatters::v2s_f32_rounded(1))
                    .with_string_to_value(Arc::new(number)),
            },
            sound: SoundParams {
                gate: FloatParam::new("Gate", GATE_OFF, linear("gate"))
                    .with_step_size(0.1)
                    .with_value_to_string(Arc::new(gate_text))
                    .with_string_to_value(Arc::new(gate_value)),
                mix: FloatParam::new("Mix", 1.0, linear("mix"))
                    .with_unit(" %")
                    .with_value_to_string(formatters::v2s_f32_percentage(0))
                    .with_string_to_value(Arc::new(|text| number(text).map(|percent| percent / 100.0))),
                gain: FloatParam::new("Gain", 0.0, linear("gain"))
                    .with_step_size(0.1)
                    .with_unit(" dB")
                    .with_value_to_string(formatters::v2s_f32_rounded(1))
                    .with_string_to_value(Arc::new(number)),
                late: EnumParam::new("Late sound", LateChoice::Dry),
            },
            captions: CaptionParams { on: BoolParam::new("Captions", false) },
            target: Chosen::default(),
            provider: Chosen::default(),
            picks: Chosen::default(),
            words: Words::default(),
            speaker: Chosen::default(),
            no_copy: Chosen::default(),
        }
    }
}

impl MynahParams {
    /// The mode asked for.
    pub fn mode(&self) -> Mode {
        self.voice.mode.value().into()
    }

    /// What the voice worker is told. For the audio thread too.
    pub fn controls(&self) -> Controls {
        let gate = self.sound.gate.value();
        Controls {
            pitch: match self.voice.pitch.value() {
                PitchChoice::Auto => PitchMode::Auto,
                PitchChoice::Semitones => PitchMode::Semitones(self.voice.semitones.value()),
            },
            gate_dbfs: if gate <= GATE_OFF { f32::NEG_INFINITY } else { gate },
        }
    }

    /// How the output is put together. For the audio thread too.
    pub fn mix(&self) -> Mix {
        Mix {
            voice: self.voice.on.value(),
            wet: self.sound.mix.value(),
            gain: util::db_to_gain(self.sound.gain.value()),
            bypass: self.bypass.value(),
            late: match self.sound.late.value() {
                LateChoice::Dry => LateSound::Dry,
                LateChoice::Silence => LateSound::Silence,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_in_and_out() {
        let p = MynahParams::default();
        let text = |p: &FloatParam, n: f32| p.normalized_value_to_string(n, true);
        assert_eq!(text(&p.sound.gate, 0.0), "Off");
        assert_eq!(text(&p.sound.gate, 0.5), "-40.0 dBFS");
        assert_eq!(text(&p.sound.mix, 1.0), "100 %");
        assert_eq!(text(&p.sound.gain, 0.75), "12.0 dB");
        for float in [&p.sound.gate, &p.sound.mix, &p.sound.gain, &p.voice.semitones] {
            for n in [0.0, 0.25, 0.5, 0.75, 1.0] {
                let back = float.string_to_normalized_value(&text(float, n)).expect("text that it gave itself");
                assert!((back - n).abs() < 0.01, "{}: {n} → {} → {back}", float.name(), text(float, n));
            }
        }
        assert_eq!(p.sound.gate.string_to_normalized_value("nonsense"), None);
        assert_eq!(p.voice.mode.string_to_normalized_value("Studio"), Some(1.0));
    }

    #[test]
    fn the_ids_stand_and_bypass_is_the_hosts() {
        let p = MynahParams::default();
        let ids: Vec<String> = p.param_map().into_iter().map(|(id, ..)| id).collect();
        assert_eq!(ids, ["bypass", "voice", "mode", "pitch", "semis", "gate", "mix", "gain", "late", "capt"]);
        assert!(p.bypass.flags().contains(ParamFlags::BYPASS));
        assert_eq!(p.controls(), Controls::default());
        assert_eq!(p.mix(), Mix::default());
    }
}
