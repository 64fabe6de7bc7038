//! Conversion of a voice: the trait every model family implements, and what a target voice is.
//!
//! Knows nothing of threads or of the plugin. A `Converter` is driven by one worker at a time, hop by hop.

pub mod blocks;
pub mod enrol;
pub mod gate;
mod ge2e;
pub mod library;
pub mod meanvc;
pub mod mynah;
pub mod openvoice;
mod pitch_shift;
pub mod rvc;
#[cfg(test)]
mod testing;

use serde::{Deserialize, Serialize};

/// A target voice: all that is kept of a reference, so that a project opens without the reference file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetVoice {
    /// The name shown to the user.
    pub name: String,
    /// GE2E embedding of the reference: 256 numbers, unit length.
    pub embedding: Vec<f32>,
    /// Median pitch of the reference in Hz; 0 where it could not be told.
    pub median_pitch: f32,
    /// What voice packs heard of its timbre, one each; none where no pack was at hand, or one that hears none. A voice
    /// without that of the pack in use is less like its reference, or can't be used with it.
    #[serde(default, rename = "timbre", skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    pub timbres: Vec<Timbre>,
}

/// Timbres as they are kept: one stands alone, as voices of before have it.
mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Timbre;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Kept {
        One(Timbre),
        Many(Vec<Timbre>),
        None(()),
    }

    pub fn serialize<S: Serializer>(timbres: &[Timbre], serializer: S) -> Result<S::Ok, S::Error> {
        match timbres {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Timbre>, D::Error> {
        Ok(match Kept::deserialize(deserializer)? {
            Kept::One(timbre) => vec![timbre],
            Kept::Many(timbres) => timbres,
            Kept::None(()) => Vec::new(),
        })
    }
}

/// The timbre of a reference, in numbers that only the weights understand that made them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timbre {
    /// The name of these weights.
    pub model: String,
    /// As many as the model makes: 128 in −1 to 1 for our own family.
    pub numbers: Vec<f32>,
}

impl TargetVoice {
    /// The timbre for the weights of this name: none where the voice has none, or one of other weights, or one that is
    /// damaged.
    pub fn timbre_of(&self, model: &str) -> Option<&[f32]> {
        self.numbers_of(model).filter(|numbers| numbers.len() == mynah::TIMBRE)
    }

    /// What the weights of this name heard, of any family: none where the voice has none, or one of other weights, or
    /// one that holds no numbers. How many there must be is for the family to say.
    pub fn numbers_of(&self, model: &str) -> Option<&[f32]> {
        let timbre = self.timbres.iter().find(|t| t.model == model)?;
        timbre.numbers.iter().all(|x| x.is_finite()).then_some(&timbre.numbers)
    }
}

/// What hears a timbre in a reference, for one set of weights. Any thread but the audio thread.
pub trait HearsTimbre: Send {
    /// The rate of the sound that it hears, in Hz.
    fn rate(&self) -> u32;
    /// The timbre of a sound at that rate in these stretches of samples; none where there is too little in them. Takes
    /// up to a second.
    fn timbre(&mut self, samples: &[f32], stretches: &[std::ops::Range<usize>])
    -> Result<Option<Timbre>, ConvertError>;
}

/// Where the pitch of the result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum PitchMode {
    /// The source's median is moved to the reference's median; it is found while the source is heard.
    #[default]
    Auto,
    /// The same, where the source's median in Hz is known from before: the first word has the right pitch already.
    /// Another speaker is followed as in `Auto`.
    Known(f32),
    /// The source's pitch is shifted by so many semitones.
    Semitones(f32),
}

/// What the user may change while sound runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Controls {
    /// Where the pitch comes from.
    pub pitch: PitchMode,
    /// The gate's threshold in dBFS (RMS over 10 ms); `f32::NEG_INFINITY` switches the gate off.
    pub gate_dbfs: f32,
}

impl Default for Controls {
    fn default() -> Self {
        Self { pitch: PitchMode::Auto, gate_dbfs: f32::NEG_INFINITY }
    }
}

/// What can go wrong inside a converter.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The model failed to run.
    #[error("the voice model failed to run: {0}; load the voice again or choose another pack")]
    Run(String),
    /// The model gave numbers that are no sound.
    #[error("the voice model gave numbers that are not finite; the hop was dropped and the model starts afresh")]
    NotFinite,
    /// The voice holds nothing that these weights heard, and they can't do without.
    #[error(
        "the voice `{0}` was enrolled without this voice pack, which must have heard its reference itself; enrol it \
         again with this pack"
    )]
    Stranger(String),
    /// A server that computes the model did not give the hop back.
    #[error(transparent)]
    Away(#[from] mynah_models::runtime::remote::Away),
}

impl ConvertError {
    /// The cause alone, for a sentence that says by itself what to do.
    pub fn why(&self) -> String {
        match self {
            ConvertError::Run(why) => why.clone(),
            other => other.to_string(),
        }
    }
}

/// A streaming voice converter. Mono, f32, samples in ±1 at `timing().rate`.
///
/// The output of call `k` covers positions `[k·hop − delay, (k+1)·hop − delay)` of the input's timeline. A converter is
/// a pure function of the hops since the last `reset`: equal input gives equal bits (noise is seeded from the hop's
/// index).
pub trait Converter: Send {
    /// Rate, hop and delay; constant for the life of the converter.
    fn timing(&self) -> mynah_realtime::clock::ConverterTiming;
    /// Forgets all sound; the next hop has index `hop_index`.
    fn reset(&mut self, hop_index: u64);
    /// Converts one hop. `input` and `output` have `timing().hop` samples.
    fn process(&mut self, input: &[f32], controls: &Controls, output: &mut [f32]) -> Result<(), ConvertError>;
    /// Takes another target voice of the same kind from the next hop on.
    fn set_voice(&mut self, voice: &TargetVoice);
    /// Whether somebody renders from the next hop on: then a hop may take its time. Matters where something beside this
    /// machine takes part.
    fn renders(&mut self, _renders: bool) {}
}

/// An allocation inside `assert_no_alloc` ends the test.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
