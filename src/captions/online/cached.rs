//! An encoder whose caches go in and out with each chunk: the layouts that icefall exports. Which cache is what only the graph knows: they begin with
//! zeros, and come out in the order in which they go in.

use std::borrow::Cow;
use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor, TensorElementType, TensorRef};

use super::chunks::ChunkSize;
use crate::runtime::{RuntimeError, Session, SessionOptions};

/// An input that is no cache: how many frames went before, which the conformer is told.
const PROCESSED: &str = "processed_lens";

/// A graph of `x` and caches.
pub(super) struct Cached {
    session: Session,
    /// Names of the inputs in the graph's order.
    inputs: Vec<String>,
    /// Names of the outputs in the graph's order: what is wanted, then the caches.
    outputs: Vec<String>,
    caches: Vec<DynValue>,
    /// Whether the graph is told how many frames went before, without telling it back.
    told: bool,
    size: ChunkSize,
    bands: usize,
}

/// What a graph says of itself in the metadata; empty where it says nothing.
pub(super) fn metadata(session: &Session, key: &str) -> String {
    session.metadata(key).unwrap_or_default()
}

/// The same, where a whole number above 0 is needed.
pub(super) fn number(session: &Session, key: &str) -> Result<usize, RuntimeError> {
    let found = session.metadata(key);
    found.as_deref().and_then(|v| v.trim().parse::<usize>().ok()).filter(|&v| v > 0 && v < 1 << 20).ok_or_else(|| RuntimeError::Contract {
        path: session.path().to_owned(),
        expected: format!("a whole number `{key}` in the metadata"),
        found: found.map_or_else(|| "none".to_owned(), |v| format!("`{v}`")),
    })
}

impl Cached {
    /// Opens the graph.
    pub(super) fn open(path: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let session = Session::load(path, options)?;
        let contract =
            |expected: &str, found: String| RuntimeError::Contract { path: path.to_owned(), expected: expected.to_owned(), found };
        let size = ChunkSize { frames: number(&session, "T")?, step: number(&session, "decode_chunk_len")? };
        if size.step > size.frames {
            return Err(contract("a `decode_chunk_len` of at most `T` frames", format!("{} of {}", size.step, size.frames)));
        }
        let feature = metadata(&session, "feature");
        if !feature.is_empty() && feature != "fbank" {
            return Err(contract("log mel features of Kaldi", format!("a model for features `{feature}`, which Mynah can't give it yet")));
        }
        let names = |outlets: &[ort::value::Outlet]| outlets.iter().map(|o| o.name().to_owned()).collect::<Vec<_>>();
        let (inputs, outputs) = (names(session.inputs()), names(session.outputs()));
        let x: Vec<i64> = session.inputs().first().and_then(|o| o.dtype().tensor_shape()).map(|s| s.to_vec()).unwrap_or_default();
        let fits = |found: i64, wanted: usize| found < 0 || found == wanted as i64;
        if x.len() != 3 || !fits(x[1], size.frames) || x[2] == 0 {
            return Err(contract(&format!("a first input `x` [1, {}, bands]", size.frames), format!("{x:?}")));
        }
        let bands = if x[2] > 0 { x[2] as usize } else { 80 };
        let returned = outputs.len().saturating_sub(1);
        let told = inputs.len() == returned + 2 && inputs.last().is_some_and(|n| n == PROCESSED);
        if inputs.len() != returned + 1 + usize::from(told) {
            return Err(contract("a cache among the outputs for each among the inputs", format!("{} and {}", returned, inputs.len() - 1)));
        }
        let mut cached = Self { session, inputs, outputs, caches: Vec::new(), told, size, bands };
        cached.reset().map_err(|why| contract("caches of a fixed size", why))?;
        Ok(cached)
    }

    /// The session, for its metadata.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn size(&self) -> ChunkSize {
        self.size
    }

    pub(super) fn bands(&self) -> usize {
        self.bands
    }

    /// Empties the caches.
    pub(super) fn reset(&mut self) -> Result<(), String> {
        let count = self.inputs.len() - 1 - usize::from(self.told);
        self.caches = self.session.inputs()[1..=count].iter().map(empty).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Runs a chunk whose first frame has this number; gives the first output's numbers, `[1, frames, width]`, as the width and all numbers.
    pub(super) fn run(&mut self, chunk: &[f32], first: usize) -> Result<(usize, Vec<f32>), String> {
        let x = TensorRef::from_array_view(([1, self.size.frames, self.bands], chunk)).map_err(one_line)?;
        let mut inputs: Vec<(Cow<str>, SessionInputValue)> = vec![(self.inputs[0].as_str().into(), x.into())];
        for (name, cache) in self.inputs[1..].iter().zip(&self.caches) {
            inputs.push((name.as_str().into(), cache.into()));
        }
        if self.told {
            let told = Tensor::from_array(([1], vec![first as i64])).map_err(one_line)?;
            inputs.push((PROCESSED.into(), told.into()));
        }
        let mut outputs = self.session.ort().run(inputs).map_err(one_line)?;
        let caches: Option<Vec<DynValue>> = self.outputs[1..].iter().map(|name| outputs.remove(name)).collect();
        let (shape, numbers) = outputs[self.outputs[0].as_str()].try_extract_tensor::<f32>().map_err(one_line)?;
        let [1, _, width] = shape[..] else { return Err(format!("the encoder gave {:?} where [1, frames, width] belongs", &shape[..])) };
        let numbers = numbers.to_vec();
        drop(outputs);
        self.caches = caches.ok_or("the encoder gave a cache less")?;
        Ok((width.max(1) as usize, numbers))
    }
}

/// A cache of zeros for an input; sizes that are open are those of the batch, which is 1.
fn empty(outlet: &ort::value::Outlet) -> Result<DynValue, String> {
    let shape: Vec<i64> = outlet.dtype().tensor_shape().ok_or("one is no tensor")?.iter().map(|&n| if n < 0 { 1 } else { n }).collect();
    let count = shape.iter().product::<i64>() as usize;
    match outlet.dtype().tensor_type() {
        Some(TensorElementType::Float32) => Tensor::from_array((shape, vec![0.0f32; count])).map(Tensor::into_dyn),
        Some(TensorElementType::Int64) => Tensor::from_array((shape, vec![0i64; count])).map(Tensor::into_dyn),
        other => return Err(format!("`{}` holds {other:?}", outlet.name())),
    }
    .map_err(one_line)
}

pub(super) fn one_line(e: ort::Error) -> String {
    e.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The place of the largest number, and its share after a softmax.
pub(super) fn best(logits: &[f32]) -> (usize, f32) {
    let mut at = 0;
    for (i, x) in logits.iter().enumerate() {
        // The first of equals, and never what is no number.
        if *x > logits[at] || logits[at].is_nan() {
            at = i;
        }
    }
    let sum: f32 = logits.iter().map(|x| (x - logits[at]).exp()).sum();
    (at, if sum.is_finite() { (1.0 / sum).clamp(0.0, 1.0) } else { 0.0 })
}
