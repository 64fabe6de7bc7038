//! What a transducer says next, given a frame of the encoder and the tokens so far: a prediction network and a joiner,
//! or both in one graph. Their tensors' names are the exporter's, their order is not. Knows no encoder.

use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor, TensorRef};

use crate::online::graph::{Graph, best, one_line, zeros};
use mynah_models::runtime::{RuntimeError, SessionOptions};

enum Graphs {
    /// A token, its length and two states → a vector, its length and the states; then a frame and the vector → scores.
    Split { decoder: Graph, joiner: Graph, decoded: Option<DynValue> },
    /// A frame, a token, its length and two states → scores, a length and the states. The states count only once a
    /// token is said.
    Joint { graph: Graph, next: Vec<DynValue> },
}

/// See the top of the file.
pub(super) struct Predictor {
    graphs: Graphs,
    states: Vec<DynValue>,
    /// Their layers and width.
    size: [usize; 2],
    last: usize,
    blank: usize,
}

impl Predictor {
    /// Of two graphs; `size` are layers and width of the states, where the encoder tells them.
    pub(super) fn split(
        decoder: &Path,
        joiner: &Path,
        size: [Option<usize>; 2],
        blank: usize,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let (decoder, joiner) = (Graph::open(decoder, options)?, Graph::open(joiner, options)?);
        decoder.expect(4, 4, "a token, its length and two states")?;
        joiner.expect(2, 1, "two vectors, and scores out")?;
        let size = state_size(&decoder, 2, size)?;
        Ok(Self {
            graphs: Graphs::Split { decoder, joiner, decoded: None },
            states: Vec::new(),
            size,
            last: blank,
            blank,
        })
    }

    /// Of one.
    pub(super) fn joint(
        graph: &Path,
        size: [Option<usize>; 2],
        blank: usize,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let graph = Graph::open(graph, options)?;
        graph.expect(5, 4, "a frame, a token, its length and two states; scores, a length and the states out")?;
        let size = state_size(&graph, 3, size)?;
        Ok(Self { graphs: Graphs::Joint { graph, next: Vec::new() }, states: Vec::new(), size, last: blank, blank })
    }

    /// Nothing was said yet.
    pub(super) fn begin(&mut self) -> Result<(), String> {
        let [layers, width] = self.size;
        let empty = || zeros(&[layers, 1, width]);
        self.states = vec![empty()?, empty()?];
        if let Graphs::Joint { next, .. } = &mut self.graphs {
            *next = vec![empty()?, empty()?];
        }
        self.say(self.blank)
    }

    /// This token was said: the next ones stand behind it.
    pub(super) fn say(&mut self, token: usize) -> Result<(), String> {
        self.last = token;
        match &mut self.graphs {
            Graphs::Split { decoder, decoded, .. } => {
                let [target, length] = one_token(token)?;
                let mut inputs = vec![target, length];
                inputs.extend(self.states.iter().map(SessionInputValue::from));
                let mut outputs = decoder.run(inputs)?;
                self.states = outputs.split_off(2);
                *decoded = outputs.into_iter().next();
            }
            Graphs::Joint { next, .. } => std::mem::swap(&mut self.states, next),
        }
        Ok(())
    }

    /// The likeliest token at a frame, and its share.
    pub(super) fn join(&mut self, frame: &[f32]) -> Result<(usize, f32), String> {
        let frame = TensorRef::from_array_view(([1, frame.len(), 1], frame)).map_err(one_line)?;
        let outputs = match &mut self.graphs {
            Graphs::Split { joiner, decoded, .. } => {
                let decoded = decoded.as_ref().ok_or("nothing was said yet")?;
                joiner.run([frame.into(), decoded.into()])?
            }
            Graphs::Joint { graph, next } => {
                let [target, length] = one_token(self.last)?;
                let mut inputs = vec![frame.into(), target, length];
                inputs.extend(self.states.iter().map(SessionInputValue::from));
                let mut outputs = graph.run(inputs)?;
                *next = outputs.split_off(2);
                outputs
            }
        };
        let (_, scores) = outputs[0].try_extract_tensor::<f32>().map_err(one_line)?;
        if scores.len() != self.blank + 1 {
            return Err(format!("there are scores of {} tokens where {} and a blank belong", scores.len(), self.blank));
        }
        best(scores)
    }
}

fn one_token(token: usize) -> Result<[SessionInputValue<'static>; 2], String> {
    let target = Tensor::from_array(([1, 1], vec![token as i32])).map_err(one_line)?;
    let length = Tensor::from_array(([1], vec![1i32])).map_err(one_line)?;
    Ok([target.into(), length.into()])
}

/// Layers and width of the states, as told or as the input [layers, 1, width] has them.
fn state_size(graph: &Graph, input: usize, told: [Option<usize>; 2]) -> Result<[usize; 2], RuntimeError> {
    let shape = graph.sizes(input);
    let fixed = |at: usize| shape.get(at).and_then(|&n| usize::try_from(n).ok()).filter(|&n| n > 0);
    match (told[0].or(fixed(0)), told[1].or(fixed(2))) {
        (Some(layers), Some(width)) => Ok([layers, width]),
        _ => Err(graph.wrong("states [layers, 1, width] of a fixed size", format!("{shape:?}"))),
    }
}
