//! What a graph of the family is told of the voice. Knows no features.
//!
//! A graph takes the voice's `modulation`, which another graph beside it makes of the speaker once a voice; graphs of
//! before take the `speaker` and make it anew in each run.

use std::path::Path;

use ort::value::TensorRef;

use super::graph::{SPEAKER, load};
use crate::ConvertError;
use mynah_models::runtime::remote::Given;
use mynah_models::runtime::{RuntimeError, Session, SessionOptions, TensorSpec};

/// The file beside a mode's graph that makes the modulation.
const MODULATION: &str = "voice.modulation.onnx";
/// No graph takes more numbers of modulation.
const MOST: i64 = 1 << 20;

/// The voice as a graph takes it.
pub(super) struct Told {
    name: &'static str,
    shape: [i64; 2],
    /// What makes the modulation; none for a graph that takes the speaker.
    maker: Option<Session>,
    numbers: Result<Vec<f32>, String>,
}

impl Told {
    /// For the graph of a mode that lies at `path`.
    pub fn open(graph: &Session, path: &Path) -> Result<Self, RuntimeError> {
        let speaker = [1, SPEAKER as i64];
        if graph.inputs().iter().any(|o| o.name() == "speaker") {
            graph.expect(&[TensorSpec::input("speaker", &[1, SPEAKER as i64])])?;
            return Ok(Self { name: "speaker", shape: speaker, maker: None, numbers: Ok(vec![0.0; SPEAKER]) });
        }
        graph.expect(&[TensorSpec::input("modulation", &[1, -1])])?;
        let modulation = graph.inputs().iter().find(|o| o.name() == "modulation");
        let count = modulation.and_then(|o| o.dtype().tensor_shape()).and_then(|s| s.get(1).copied()).unwrap_or(-1);
        let contract = |path: &Path, expected: String, found: String| RuntimeError::Contract {
            path: path.to_owned(),
            expected,
            found,
        };
        if !(1..=MOST).contains(&count) {
            return Err(contract(path, "the input `modulation` with a fixed size".to_owned(), format!("[1, {count}]")));
        }
        let beside = path.with_file_name(MODULATION);
        let specs = [TensorSpec::input("speaker", &[1, SPEAKER as i64]), TensorSpec::output("modulation", &[1, -1])];
        // Once a voice: the processor is quick enough, whatever runs the rest.
        let maker = load(&beside, &specs, &SessionOptions::default())?;
        let made = maker.outputs().iter().find(|o| o.name() == "modulation").and_then(|o| o.dtype().tensor_shape());
        let made = made.and_then(|s| s.get(1).copied()).unwrap_or(-1);
        if made >= 0 && made != count {
            return Err(contract(&beside, format!("the output `modulation` [1, {count}]"), format!("[1, {made}]")));
        }
        Ok(Self { name: "modulation", shape: [1, count], maker: Some(maker), numbers: Ok(vec![0.0; count as usize]) })
    }

    /// Takes another voice. What goes wrong is told by `given`.
    pub fn set_speaker(&mut self, speaker: &[f32]) {
        self.numbers = match &mut self.maker {
            None => Ok(speaker.to_vec()),
            Some(maker) => modulation(maker, speaker, self.shape[1] as usize),
        };
    }

    /// As an input of the graph.
    pub fn given(&self) -> Result<Given<'_>, ConvertError> {
        match &self.numbers {
            Ok(numbers) => Ok(Given { name: self.name, shape: &self.shape, numbers }),
            Err(why) => Err(ConvertError::Run(why.clone())),
        }
    }
}

fn modulation(maker: &mut Session, speaker: &[f32], count: usize) -> Result<Vec<f32>, String> {
    let told = mynah_models::runtime::told::one_line;
    let input = TensorRef::from_array_view(([1, speaker.len()], speaker)).map_err(told)?;
    let outputs = maker.ort().run(ort::inputs!["speaker" => input]).map_err(told)?;
    let (_, numbers) =
        outputs.get("modulation").ok_or("its modulation is missing")?.try_extract_tensor::<f32>().map_err(told)?;
    if numbers.len() != count {
        return Err(format!("its modulation has {} numbers where {count} are expected", numbers.len()));
    }
    Ok(numbers.to_vec())
}
