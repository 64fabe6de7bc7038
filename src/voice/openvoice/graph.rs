//! OpenVoice's converter of tones as a graph: a spectrogram and two tones in, sound out. The community's exports name
//! its tensors as they like, so they are known by their places. Knows no stream.

use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{Tensor, TensorElementType};

use super::spectrum::{BINS, HOP};
use super::tone::TONE;
use crate::ConvertError;
use crate::blocks::{Precision, chance, failed, numbers, read, sizes, wrong};
use mynah_models::runtime::{RuntimeError, Session, SessionOptions};

/// What the inputs are, in their order.
const INPUTS: &str =
    "the inputs spectrogram [1, 513, frames], its length, source tone and target tone [1, 256, 1], and tau";

/// Whether a graph looks like the converter.
pub fn is_converter(session: &Session) -> bool {
    let [spectrogram, length, source, target, tau] = session.inputs() else { return false };
    let tone = |o| matches!(sizes(o)[..], [_, n, _] if n < 0 || n == TONE as i64) && Precision::of(o).is_some();
    matches!(sizes(spectrogram)[..], [_, bins, _] if bins == BINS as i64)
        && Precision::of(spectrogram).is_some()
        && length.dtype().tensor_type() == Some(TensorElementType::Int64)
        && tone(source)
        && tone(target)
        && Precision::of(tau).is_some()
        && !session.outputs().is_empty()
}

/// A loaded converter of tones.
pub struct Tones {
    session: Session,
    deterministic: bool,
}

impl Tones {
    /// Loads the graph and checks it against the contract.
    pub fn open(path: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let session = Session::load(path, options)?;
        if is_converter(&session) {
            return Ok(Self { session, deterministic: !chance::graph_draws(path) });
        }
        let found: Vec<_> = session.inputs().iter().take(8).map(|o| format!("`{}` {:?}", o.name(), sizes(o))).collect();
        Err(wrong(&session, INPUTS, found.join(", ")))
    }

    /// Whether equal inputs give equal bits.
    pub fn deterministic(&self) -> bool {
        self.deterministic
    }

    /// The sound of a spectrogram, `BINS` rows of `frames` numbers: `HOP` samples a frame. `tau` is how freely the
    /// result is drawn around the model's mean.
    pub fn run(
        &mut self,
        spectrogram: &[f32],
        source: &[f32],
        target: &[f32],
        tau: f32,
        sound: &mut Vec<f32>,
    ) -> Result<(), ConvertError> {
        let frames = spectrogram.len() / BINS;
        let inputs = self.session.inputs();
        let precision = |i: usize| Precision::of(&inputs[i]).unwrap_or(Precision::Single);
        let tau = [tau];
        let values: [SessionInputValue; 5] = [
            numbers(precision(0), &[1, BINS, frames], spectrogram)?,
            Tensor::from_array(([1usize], vec![frames as i64])).map_err(failed)?.into(),
            numbers(precision(2), &[1, TONE, 1], source)?,
            numbers(precision(3), &[1, TONE, 1], target)?,
            numbers(precision(4), &[1], &tau)?,
        ];
        let named: Vec<(String, SessionInputValue)> = inputs.iter().map(|o| o.name().to_owned()).zip(values).collect();
        let outputs = self.session.ort().run(named).map_err(failed)?;
        let (shape, made) = read(&outputs[0])?;
        if made.len() != frames * HOP {
            return Err(ConvertError::Run(format!(
                "it gave {shape:?} where the sound of {frames} frames, [1, 1, {}], belongs",
                frames * HOP
            )));
        }
        sound.clear();
        sound.extend_from_slice(&made);
        Ok(())
    }
}
