//! A graph of the family `mynah`: features in, the magnitudes of two filters out, states carried from call to call. Knows no sound.
//!
//! A filter comes out `lookahead` frames after its frame's mel bands went in; its pitch and energy go in with the frame that comes out.

use std::borrow::Cow;
use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor, TensorRef};

use super::heard::{BANDS, BINS, FALL, HOP, RATE, RISE, SIZE, log_mel};
use crate::clock::Mode;
use crate::runtime::{RuntimeError, Session, SessionOptions, TensorSpec};
use crate::voice::ConvertError;

/// Numbers of a speaker embedding.
pub const EMBEDDING: usize = 256;
/// Numbers of a timbre.
pub const TIMBRE: usize = 128;
/// What the graph is told of a voice: the embedding, then the timbre.
const SPEAKER: usize = EMBEDDING + TIMBRE;
/// Look-ahead that a converter can be made for: the pitch of a frame is known one frame after its mel bands.
const LOOKAHEADS: std::ops::RangeInclusive<usize> = 1..=32;

const CONTRACT: [TensorSpec; 6] = [
    TensorSpec::input("mel", &[1, -1, BANDS as i64]),
    TensorSpec::input("f0", &[1, -1]),
    TensorSpec::input("energy", &[1, -1]),
    TensorSpec::input("speaker", &[1, SPEAKER as i64]),
    TensorSpec::output("harmonic", &[1, -1, BINS as i64]),
    TensorSpec::output("noise", &[1, -1, BINS as i64]),
];

/// What a file of the family says of itself, and what that must be.
fn checked_metadata(session: &Session, path: &Path) -> Result<(), RuntimeError> {
    let expected = [("rate", RATE as usize), ("hop", HOP), ("rise", RISE), ("fall", FALL), ("n_fft", SIZE), ("n_mels", BANDS)];
    let expected = [("family", "mynah".to_owned())].into_iter().chain(expected.map(|(key, n)| (key, n.to_string())));
    for (key, wanted) in expected {
        let found = session.metadata(key);
        if found.as_deref() != Some(&wanted) {
            let found = found.map_or_else(|| "none".to_owned(), |f| format!("`{f}`"));
            return Err(RuntimeError::Contract {
                path: path.to_owned(),
                expected: format!("the metadata `{key}` to be `{wanted}`"),
                found,
            });
        }
    }
    Ok(())
}

/// Loads a file of the family and checks its tensors and its metadata.
pub(super) fn load(path: &Path, contract: &[TensorSpec], options: &SessionOptions) -> Result<Session, RuntimeError> {
    let session = Session::load(path, options)?;
    session.expect(contract)?;
    checked_metadata(&session, path)?;
    Ok(session)
}

/// What goes into a run, one frame after the other.
#[derive(Debug, Default, Clone)]
pub struct Features {
    /// ln(power in each mel band + 1e-5), `BANDS` a frame.
    pub mel: Vec<f32>,
    /// Pitch in Hz of the frame that comes out, 0 where unvoiced.
    pub f0: Vec<f32>,
    /// Its ln(mean of the mel powers + 1e-4).
    pub energy: Vec<f32>,
}

impl Features {
    /// Forgets all frames.
    pub fn clear(&mut self) {
        self.mel.clear();
        self.f0.clear();
        self.energy.clear();
    }

    /// Whether these are the same numbers, to the bit.
    fn equals(&self, other: &Self) -> bool {
        same_bits(&self.f0, &other.f0) && same_bits(&self.energy, &other.energy) && same_bits(&self.mel, &other.mel)
    }

    /// Adds a frame's mel bands from the powers in them, times `gain`. Gives its energy, to be added when the frame comes out.
    pub fn push_mel(&mut self, power: &[f32], gain: f32) -> f32 {
        self.mel.extend(power.iter().map(|p| log_mel(p * gain)));
        // The mean is taken of what the model sees, with the floor of each band in it.
        let mean = power.iter().map(|p| p * gain + 1e-5).sum::<f32>() / power.len() as f32;
        (mean + 1e-4).ln()
    }

    /// Adds pitch and energy of the frame that comes out.
    pub fn push_voice(&mut self, f0: f32, energy: f32) {
        self.f0.push(f0);
        self.energy.push(energy);
    }

    /// Adds pitch and energy of the silence before the first frame.
    pub fn push_silence(&mut self) {
        self.push_voice(0.0, 1.1e-4f32.ln());
    }
}

struct State {
    input: String,
    output: String,
    value: DynValue,
}

/// Frames that say the same until the graph is held: three seconds. By then all its windows have seen nothing else; what moves on is one number of
/// its memory, which tells how long it has been silent, and creeps for minutes where the training never heard a longer pause than this.
const HELD_AFTER: usize = 300;

/// The last run. In silence, which a muted microphone and the gaps of a track are, the features stay as they are, and once the graph is held it need
/// not run to say the same again.
#[derive(Debug, Default)]
struct Last {
    features: Features,
    harmonic: Vec<f32>,
    noise: Vec<f32>,
    /// Frames up to here that had the same features.
    unchanged: usize,
}

/// A loaded graph with its states.
pub struct Graph {
    session: Session,
    states: Vec<State>,
    lookahead: usize,
    speaker: Vec<f32>,
    /// None where another voice or other states make it worthless.
    last: Option<Last>,
    #[cfg(test)]
    pub(super) reuse: Reuse,
}

/// Runs that were made and saved; `off` makes them all.
#[cfg(test)]
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Reuse {
    pub(super) off: bool,
    pub(super) made: usize,
    pub(super) saved: usize,
}

impl Graph {
    /// Loads the graph of a mode and checks it against the contract. Its weights lie beside it, under the name that it bears in itself.
    pub fn open(path: &Path, mode: Mode, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let mut session = load(path, &CONTRACT, options)?;
        let contract = |expected: String, found: String| RuntimeError::Contract { path: path.to_owned(), expected, found };
        let said = |key: &str| session.metadata(key).unwrap_or_default();
        if said("mode") != mode.name() {
            return Err(contract(format!("the metadata `mode` to be `{}`", mode.name()), format!("`{}`", said("mode"))));
        }
        let text = said("lookahead_frames");
        let lookahead = text.trim().parse().ok().filter(|n| LOOKAHEADS.contains(n)).ok_or_else(|| {
            contract(format!("the metadata `lookahead_frames` from {} to {}", LOOKAHEADS.start(), LOOKAHEADS.end()), format!("`{text}`"))
        })?;
        let model = session.ort();
        let mut states = Vec::new();
        for outlet in model.inputs().iter().filter(|o| o.name().starts_with("state_")) {
            let (input, output) = (outlet.name().to_owned(), format!("{}_out", outlet.name()));
            if !model.outputs().iter().any(|o| o.name() == output) {
                return Err(contract(format!("the output `{output}` beside the input `{input}`"), "none of that name".to_owned()));
            }
            let shape: Vec<i64> = outlet.dtype().tensor_shape().map(|s| s.to_vec()).unwrap_or_default();
            if shape.is_empty() || shape.iter().any(|&n| n <= 0) {
                return Err(contract(format!("the state `{input}` with fixed sizes"), format!("{shape:?}")));
            }
            let zeros = vec![0.0f32; shape.iter().product::<i64>() as usize];
            let value = Tensor::from_array((shape, zeros))
                .map_err(|e| RuntimeError::Model { path: path.to_owned(), why: e.to_string() })?
                .into_dyn();
            states.push(State { input, output, value });
        }
        Ok(Self {
            session,
            states,
            lookahead,
            speaker: vec![0.0; SPEAKER],
            last: None,
            #[cfg(test)]
            reuse: Reuse::default(),
        })
    }

    /// Frames that outputs lag behind inputs.
    pub fn lookahead(&self) -> usize {
        self.lookahead
    }

    /// Takes another voice from the next run on: `EMBEDDING` numbers and, where it is known, `TIMBRE` of its timbre.
    pub fn set_speaker(&mut self, embedding: &[f32], timbre: Option<&[f32]>) {
        self.last = None;
        self.speaker.fill(0.0);
        let (known, rest) = self.speaker.split_at_mut(EMBEDDING);
        known.iter_mut().zip(embedding).for_each(|(s, e)| *s = *e);
        rest.iter_mut().zip(timbre.unwrap_or_default()).for_each(|(s, t)| *s = *t);
    }

    /// What the graph is told of the voice.
    #[cfg(test)]
    pub fn speaker(&self) -> &[f32] {
        &self.speaker
    }

    /// All states back to zero.
    pub fn reset(&mut self) {
        self.last = None;
        for state in &mut self.states {
            if let Ok((_, numbers)) = state.value.try_extract_tensor_mut::<f32>() {
                numbers.fill(0.0);
            }
        }
    }

    /// Runs the frames of `features`, at least one, and gives the magnitudes of the harmonic and of the noise filter, `BINS` a frame. The states
    /// move from output to input without a copy. After an error the states are zero. While it is held the last filters come again.
    pub fn run(&mut self, features: &Features, mut each: impl FnMut(usize, &[f32], &[f32])) -> Result<(), ConvertError> {
        let repeats = self.last.as_ref().is_some_and(|l| l.unchanged >= HELD_AFTER && l.features.equals(features));
        #[cfg(test)]
        let repeats = repeats && !self.reuse.off;
        if !repeats && let Err(e) = self.try_run(features) {
            self.reset();
            return Err(e);
        }
        #[cfg(test)]
        {
            *(if repeats { &mut self.reuse.saved } else { &mut self.reuse.made }) += 1;
        }
        if let Some(last) = &self.last {
            for (i, (h, z)) in last.harmonic.chunks_exact(BINS).zip(last.noise.chunks_exact(BINS)).enumerate() {
                each(i, h, z);
            }
        }
        Ok(())
    }

    fn try_run(&mut self, features: &Features) -> Result<(), ConvertError> {
        let failed = |e: ort::Error| ConvertError::Run(e.to_string().split_whitespace().collect::<Vec<_>>().join(" "));
        let n = features.f0.len();
        let mut inputs: Vec<(Cow<str>, SessionInputValue)> = Vec::with_capacity(4 + self.states.len());
        inputs.push(("mel".into(), TensorRef::from_array_view(([1, n, BANDS], &features.mel[..])).map_err(failed)?.into()));
        inputs.push(("f0".into(), TensorRef::from_array_view(([1, n], &features.f0[..])).map_err(failed)?.into()));
        inputs.push(("energy".into(), TensorRef::from_array_view(([1, n], &features.energy[..])).map_err(failed)?.into()));
        inputs.push(("speaker".into(), TensorRef::from_array_view(([1, SPEAKER], &self.speaker[..])).map_err(failed)?.into()));
        for state in &self.states {
            inputs.push((state.input.as_str().into(), (&state.value).into()));
        }
        let mut outputs = self.session.ort().run(inputs).map_err(failed)?;
        let mut last = self.last.take().unwrap_or_default();
        last.unchanged = if last.features.equals(features) { last.unchanged + n } else { 0 };
        {
            let missing = || ConvertError::Run("an output of the model is missing".to_owned());
            let (_, harmonic) = outputs.get("harmonic").ok_or_else(missing)?.try_extract_tensor::<f32>().map_err(failed)?;
            let (_, noise) = outputs.get("noise").ok_or_else(missing)?.try_extract_tensor::<f32>().map_err(failed)?;
            if harmonic.len() != n * BINS || noise.len() != n * BINS {
                return Err(ConvertError::Run(format!("it gave {} numbers for {n} frames of {BINS}", harmonic.len())));
            }
            if !harmonic.iter().chain(noise).all(|x| x.is_finite()) {
                return Err(ConvertError::NotFinite);
            }
            harmonic.clone_into(&mut last.harmonic);
            noise.clone_into(&mut last.noise);
        }
        for state in &mut self.states {
            state.value = outputs.remove(&state.output).ok_or_else(|| ConvertError::Run(format!("`{}` is missing", state.output)))?;
        }
        last.features.clone_from(features);
        self.last = Some(last);
        Ok(())
    }
}

/// Whether two lists of numbers are the same to the bit.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}
