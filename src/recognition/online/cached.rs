//! An encoder whose caches go in and out with each chunk: the layouts that icefall exports. Which cache is what only
//! the graph knows: they begin with zeros, and come out under their names, or else in the order in which they go in.

use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, TensorRef};

use super::chunks::{ChunkSize, Chunks, bands_of};
use super::graph::{Graph, numbers, one_line};
use mynah_dsp::fbank::{Fbank, Recipe};
use mynah_models::runtime::graph::{ROOM, count};
use mynah_models::runtime::pairs::paired;
use mynah_models::runtime::{RuntimeError, SessionOptions};

/// An input that is no cache: how many frames went before, which the conformer is told.
const PROCESSED: &str = "processed_lens";

/// A graph of `x` and caches.
pub(super) struct Cached {
    graph: Graph,
    caches: Vec<DynValue>,
    /// For each cache the place of what it becomes, among the outputs behind the first.
    returned: Vec<usize>,
    /// Whether the graph is told how many frames went before, without telling it back.
    told: bool,
    size: ChunkSize,
    bands: usize,
    /// What it hears: Kaldi's log mels or Whisper's.
    features: Recipe,
    /// A chunk as Whisper's features are: by its loudest number.
    levelled: Vec<f32>,
}

impl Cached {
    /// Opens the graph.
    pub(super) fn open(path: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let graph = Graph::open(path, options)?;
        let (frames, step) = (graph.number("T")?, graph.number("decode_chunk_len")?);
        let size = ChunkSize::new(frames, step, 0);
        let size = size.map_err(|found| graph.wrong("a `decode_chunk_len` of at most `T` frames", found))?;
        let features = match graph.text("feature").as_str() {
            "" | "fbank" => Recipe::Icefall,
            "whisper" => Recipe::Whisper,
            other => {
                return Err(
                    graph.wrong("log mel features of Kaldi or Whisper", format!("a model for features `{other}`"))
                );
            }
        };
        let x = graph.sizes(0);
        let fits = |found: i64, wanted: usize| found < 0 || found == wanted as i64;
        if x.len() != 3 || !fits(x[1], size.frames) || x[2] == 0 {
            return Err(graph.wrong(&format!("a first input `x` [1, {}, bands]", size.frames), format!("{x:?}")));
        }
        let bands = if x[2] > 0 {
            bands_of(x[2]).map_err(|found| graph.wrong("bands of a filterbank in `x`", found))?
        } else {
            80
        };
        let returned = graph.outputs.len().saturating_sub(1);
        let told = graph.inputs.len() == returned + 2 && graph.inputs.last().is_some_and(|n| n == PROCESSED);
        if graph.inputs.len() != returned + 1 + usize::from(told) {
            let found = format!("{} and {}", returned, graph.inputs.len() - 1);
            return Err(graph.wrong("a cache among the outputs for each among the inputs", found));
        }
        let names = [&graph.inputs, &graph.outputs]
            .map(|all| all.iter().skip(1).take(returned).map(String::as_str).collect::<Vec<_>>());
        let returned = paired(&names[0], &names[1]).unwrap_or_else(|| (0..returned).collect());
        let mut cached =
            Self { graph, caches: Vec::new(), returned, told, size, bands, features, levelled: Vec::new() };
        cached.reset().map_err(|why| cached.graph.wrong("caches of a fixed size", why))?;
        Ok(cached)
    }

    /// The graph, for what it says of itself.
    pub(super) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What cuts sound into its chunks.
    pub(super) fn chunks(&self) -> Chunks {
        Chunks::new(self.size, Fbank::new(self.features, self.bands))
    }

    /// Empties the caches.
    pub(super) fn reset(&mut self) -> Result<(), String> {
        let count = self.graph.inputs.len() - 1 - usize::from(self.told);
        let mut room = ROOM;
        self.caches = self.graph.session.inputs()[1..=count]
            .iter()
            .map(|outlet| empty(outlet, &mut room))
            .collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Runs a chunk whose first frame has this number; gives the first output's numbers, `[1, frames, width]`, as the
    /// width and all numbers.
    pub(super) fn run(&mut self, chunk: &[f32], first: usize) -> Result<(usize, Vec<f32>), String> {
        let chunk = if self.features == Recipe::Whisper { level(chunk, &mut self.levelled) } else { chunk };
        let x = TensorRef::from_array_view(([1, self.size.frames, self.bands], chunk)).map_err(one_line)?;
        let mut inputs: Vec<SessionInputValue> = vec![x.into()];
        inputs.extend(self.caches.iter().map(SessionInputValue::from));
        if self.told {
            inputs.push(Tensor::from_array(([1], vec![first as i64])).map_err(one_line)?.into());
        }
        let mut outputs = self.graph.run(inputs)?;
        let mut becomes: Vec<Option<DynValue>> = outputs.split_off(1).into_iter().map(Some).collect();
        self.caches = self.returned.iter().filter_map(|&place| becomes.get_mut(place)?.take()).collect();
        let (shape, given) = outputs[0].try_extract_tensor::<f32>().map_err(one_line)?;
        let [1, _, width] = shape[..] else {
            return Err(format!("the encoder gave {:?} where [1, frames, width] belongs", &shape[..]));
        };
        Ok((width.max(1) as usize, numbers(given)?.to_vec()))
    }
}

/// Nothing lower than 8 (80 dB) below the loudest, then (x + 4) / 4: as Whisper's `audio.py` does with a whole
/// recording, and icefall and sherpa-onnx with each chunk.
fn level<'l>(chunk: &[f32], levelled: &'l mut Vec<f32>) -> &'l [f32] {
    let least = chunk.iter().fold(f32::MIN, |a, &b| a.max(b)) - 8.0;
    levelled.clear();
    levelled.extend(chunk.iter().map(|x| (x.max(least) + 4.0) / 4.0));
    levelled
}

/// A cache of zeros for an input; sizes that are open are those of the batch, which is 1. Takes its numbers from the
/// `room` that is left.
fn empty(outlet: &Outlet, room: &mut usize) -> Result<DynValue, String> {
    let open = |&n: &i64| usize::try_from(n).unwrap_or(1);
    let shape: Vec<usize> = outlet.dtype().tensor_shape().ok_or("one is no tensor")?.iter().map(open).collect();
    let count = count(&shape)?;
    *room = room
        .checked_sub(count)
        .ok_or_else(|| format!("caches that come to more than {ROOM} numbers, which no model needs"))?;
    match outlet.dtype().tensor_type() {
        Some(TensorElementType::Float32) => Tensor::from_array((shape, vec![0.0f32; count])).map(Tensor::into_dyn),
        Some(TensorElementType::Int64) => Tensor::from_array((shape, vec![0i64; count])).map(Tensor::into_dyn),
        other => return Err(format!("`{}` holds {other:?}", outlet.name())),
    }
    .map_err(one_line)
}
