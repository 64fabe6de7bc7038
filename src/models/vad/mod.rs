//! Voice activity: where speech is. Used by enrolment and by the captions; knows neither.
//!
//! The model is Silero VAD v6 (PyPI `silero-vad`, `silero_vad_16k_op15.onnx`): `input` f32[1,576] is 64 samples of the
//! frame before and 512 new ones, `state` f32[2,1,128], `sr` i64; `output` f32[1,1], `stateN` f32[2,1,128].

mod stretches;

pub use stretches::{speech, stretches};

use std::path::Path;

use crate::runtime::{RuntimeError, Session, SessionOptions, TensorSpec};

/// The one rate of the model, in Hz.
pub const RATE: u32 = 16_000;
/// Samples a frame: 32 ms.
pub const FRAME: usize = 512;
/// Samples of the frame before that the model hears again.
const CONTEXT: usize = 64;
const STATE: usize = 2 * 128;
/// Speech starts at this probability.
pub const START: f32 = 0.5;
/// Speech goes on above this probability (Silero's own hysteresis: 0.15 below the start).
pub const GO_ON: f32 = 0.35;

/// Something that tells speech from the rest, frame after frame.
pub trait Detector: Send {
    /// Forgets all that was heard.
    fn reset(&mut self);
    /// The probability of speech, 0 to 1, in up to [`FRAME`] samples at [`RATE`], which follow the frame before.
    fn probability(&mut self, frame: &[f32]) -> Result<f32, RuntimeError>;
}

/// The Silero model with its state.
#[derive(Debug)]
pub struct Vad {
    session: Session,
    state: Vec<f32>,
    /// [`CONTEXT`] samples of the frame before, then the frame.
    input: Vec<f32>,
}

impl Vad {
    /// Loads the model on one thread of the processor. Not on the audio thread.
    pub fn open(model: &Path) -> Result<Self, RuntimeError> {
        let session = Session::load(model, &SessionOptions::default())?;
        session.expect(&[
            TensorSpec::input("input", &[-1, -1]),
            TensorSpec::input("state", &[2, -1, 128]),
            TensorSpec::input("sr", &[]),
            TensorSpec::output("output", &[-1, 1]),
            TensorSpec::output("stateN", &[-1, -1, -1]),
        ])?;
        Ok(Self { session, state: vec![0.0; STATE], input: vec![0.0; CONTEXT + FRAME] })
    }

    /// Forgets all that was heard.
    pub fn reset(&mut self) {
        self.state.fill(0.0);
        self.input.fill(0.0);
    }

    /// The probability of speech, 0 to 1, in `frame`: [`FRAME`] samples at [`RATE`], ±1, which follow the frame before.
    ///
    /// A shorter frame is filled with silence; of a longer one an error is made. Samples that are not finite count as
    /// 0. Some 0.2 ms; not on the audio thread.
    pub fn probability(&mut self, frame: &[f32]) -> Result<f32, RuntimeError> {
        let path = self.session.path().to_owned();
        let failed = |why: String| RuntimeError::Run { path: path.clone(), why };
        if frame.len() > FRAME {
            return Err(failed(format!("a frame has at most {FRAME} samples, but {} came", frame.len())));
        }
        self.input.copy_within(FRAME.., 0);
        let new = &mut self.input[CONTEXT..];
        new.fill(0.0);
        for (to, &x) in new.iter_mut().zip(frame) {
            *to = if x.is_finite() { x } else { 0.0 };
        }
        let (probability, state) = {
            let ort_failed = |e: ort::Error| failed(crate::runtime::told::one_line(e));
            let input =
                ort::value::TensorRef::from_array_view(([1, CONTEXT + FRAME], &self.input[..])).map_err(ort_failed)?;
            let state = ort::value::TensorRef::from_array_view(([2, 1, 128], &self.state[..])).map_err(ort_failed)?;
            let rate = ort::value::Tensor::from_array(([0usize; 0], vec![RATE as i64])).map_err(ort_failed)?;
            let outputs = self
                .session
                .ort()
                .run(ort::inputs!["input" => input, "state" => state, "sr" => rate])
                .map_err(ort_failed)?;
            let (_, probability) = outputs["output"].try_extract_tensor::<f32>().map_err(ort_failed)?;
            let (_, state) = outputs["stateN"].try_extract_tensor::<f32>().map_err(ort_failed)?;
            (probability.first().copied(), state.to_vec())
        };
        match probability {
            Some(p) if p.is_finite() && state.len() == STATE && state.iter().all(|x| x.is_finite()) => {
                self.state = state;
                Ok(p.clamp(0.0, 1.0))
            }
            _ => {
                self.reset();
                Err(failed("it gave no finite probability".to_owned()))
            }
        }
    }
}

impl Detector for Vad {
    fn reset(&mut self) {
        Vad::reset(self);
    }

    fn probability(&mut self, frame: &[f32]) -> Result<f32, RuntimeError> {
        Vad::probability(self, frame)
    }
}
