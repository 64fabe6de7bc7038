//! The encoder of a cache-aware FastConformer in the layouts that people export: caches with the batch first
//! (sherpa-onnx's exports, which say all sizes in their metadata) or with the layers first (NeMo's own, which say
//! nothing), with or without the number of a language. Knows no decoder.

use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor, TensorRef};

use super::prompts::Prompts;
use crate::online::chunks::{ChunkSize, Chunks, bands_of};
use crate::online::graph::{Graph, numbers, one_line, zeros};
use mynah_dsp::fbank::{Fbank, Recipe};
use mynah_models::runtime::{RuntimeError, SessionOptions};

/// Names of the first input, which these graphs are told by: of sherpa-onnx's exports, and of those with NeMo's names.
const SIGNALS: [&str; 2] = ["audio_signal", "processed_signal"];
/// The input that a model of several languages has.
const PROMPT: &str = "prompt_index";
/// Frames of the chunk before that a window begins with: what the encoder's subsampling reaches back.
const BEFORE: usize = 9;
/// Frames of a chunk of the exports with NeMo's names, whose look-ahead stands nowhere in them: 560 ms.
const NEMO_CHUNK: usize = 56;
/// Frames that become one, where it isn't told.
const SUBSAMPLING: usize = 8;

/// Whether a graph whose first input has this name is such an encoder.
pub fn is_signal(first_input: &str) -> bool {
    SIGNALS.contains(&first_input)
}

/// A signal, its length and three caches in; something, its length and the caches out.
pub(super) struct Encoder {
    pub(super) graph: Graph,
    pub(super) prompts: Option<Prompts>,
    caches: Vec<DynValue>,
    /// Sizes of the first two.
    sizes: [[usize; 4]; 2],
    size: ChunkSize,
    bands: usize,
    /// A chunk with its bands in front.
    turned: Vec<f32>,
}

impl Encoder {
    pub(super) fn open(path: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let graph = Graph::open(path, options)?;
        let prompted = graph.inputs.last().is_some_and(|name| name == PROMPT);
        graph.expect(5 + usize::from(prompted), 5, "the signal, its length and three caches")?;
        let signal = graph.sizes(0);
        let [_, bands, frames] = signal[..] else {
            return Err(graph.wrong("a first input [1, bands, frames]", format!("{signal:?}")));
        };
        let bands = match (graph.maybe("feat_dim")?, usize::try_from(bands).ok().filter(|&n| n > 0)) {
            (None, Some(bands)) | (Some(bands), None) => bands,
            (Some(told), Some(bands)) if told == bands => bands,
            (told, _) => {
                return Err(
                    graph.wrong("a fixed number of bands", format!("{signal:?} and `feat_dim` {}", told.unwrap_or(0)))
                );
            }
        };
        let bands = bands_of(bands as i64).map_err(|found| graph.wrong("bands of a filterbank", found))?;
        let normalize = graph.text("normalize_type");
        if !normalize.is_empty() && normalize != "NA" {
            return Err(graph
                .wrong("features that are not normalised, as streaming models have them", format!("`{normalize}`")));
        }
        let size = chunk(&graph, frames)?;
        let sizes = [cache(&graph, 2, "cache_last_channel")?, cache(&graph, 3, "cache_last_time")?];
        let prompts = if prompted { Some(Prompts::of(&graph)?) } else { None };
        let mut encoder = Self { graph, prompts, caches: Vec::new(), sizes, size, bands, turned: Vec::new() };
        encoder.reset().map_err(|why| encoder.graph.wrong("caches of a fixed size", why))?;
        Ok(encoder)
    }

    /// Seconds of one of its frames.
    pub(super) fn frame(&self) -> Result<f64, RuntimeError> {
        match self.graph.maybe("subsampling_factor")?.unwrap_or(SUBSAMPLING) {
            frames @ 1..=64 => Ok(frames as f64 / 100.0),
            frames => Err(self.graph.wrong("a `subsampling_factor` of at most 64 frames", frames.to_string())),
        }
    }

    pub(super) fn chunks(&self) -> Chunks {
        Chunks::new(self.size, Fbank::new(Recipe::Nemo, self.bands))
    }

    /// A chunk of nothing.
    pub(super) fn nothing(&self) -> Vec<f32> {
        vec![0.0; self.size.frames * self.bands]
    }

    pub(super) fn reset(&mut self) -> Result<(), String> {
        self.caches.clear();
        for shape in self.sizes {
            self.caches.push(zeros(&shape)?);
        }
        self.caches.push(Tensor::from_array(([1], vec![0i64])).map_err(one_line)?.into_dyn());
        Ok(())
    }

    /// Runs a chunk; gives the sizes and the numbers of the first output.
    pub(super) fn run(&mut self, chunk: &[f32]) -> Result<([usize; 2], Vec<f32>), String> {
        let (frames, bands) = (self.size.frames, self.bands);
        self.turned.clear();
        self.turned.extend((0..bands).flat_map(|band| (0..frames).map(move |t| chunk[t * bands + band])));
        let signal = TensorRef::from_array_view(([1, bands, frames], &self.turned[..])).map_err(one_line)?;
        let length = Tensor::from_array(([1], vec![frames as i64])).map_err(one_line)?;
        let mut inputs: Vec<SessionInputValue> = vec![signal.into(), length.into()];
        inputs.extend(self.caches.iter().map(SessionInputValue::from));
        if let Some(prompts) = &self.prompts {
            inputs.push(Tensor::from_array(([1], vec![prompts.spoken()])).map_err(one_line)?.into());
        }
        let mut outputs = self.graph.run(inputs)?;
        self.caches = outputs.split_off(2);
        let (shape, given) = outputs[0].try_extract_tensor::<f32>().map_err(one_line)?;
        let [1, a, b] = shape[..] else {
            return Err(format!("the encoder gave {:?} where three sizes belong", &shape[..]));
        };
        Ok(([a.max(0) as usize, b.max(0) as usize], numbers(given)?.to_vec()))
    }
}

/// The frames of a window and of a chunk: as told, by the time of a chunk, as the window is fixed, or of NeMo's
/// exports.
fn chunk(graph: &Graph, frames: i64) -> Result<ChunkSize, RuntimeError> {
    let fixed = usize::try_from(frames).ok().filter(|&n| n > BEFORE);
    let (frames, step) = match (graph.maybe("window_size")?, graph.maybe("chunk_shift")?, graph.maybe("chunk_size_ms")?)
    {
        (Some(window), Some(shift), _) => (window, shift),
        (_, _, Some(ms)) => (ms / 10 + BEFORE, ms / 10),
        _ if fixed.is_some() => (fixed.unwrap_or(0), fixed.unwrap_or(0) - BEFORE),
        _ if graph.inputs.first().is_some_and(|name| name == SIGNALS[1]) => (NEMO_CHUNK + BEFORE, NEMO_CHUNK),
        _ => (graph.number("window_size")?, graph.number("chunk_shift")?),
    };
    ChunkSize::new(frames, step, 0)
        .map_err(|found| graph.wrong("a `chunk_shift` of at most `window_size` frames", found))
}

/// The shape of a cache: with the layers in front where the graph says so, else with the batch; sizes that it leaves
/// open are in the metadata.
fn cache(graph: &Graph, input: usize, name: &str) -> Result<[usize; 4], RuntimeError> {
    let shape = graph.sizes(input);
    let [first, second, third, fourth] = shape[..] else {
        return Err(graph.wrong(&format!("a cache `{name}` with four sizes"), format!("{shape:?}")));
    };
    let layers_first = first > 1 && second <= 1;
    let size = |n: usize, found: i64| match usize::try_from(found).ok().filter(|&n| n > 0) {
        // What is told goes first: exporters fix sizes as they come.
        Some(found) => Ok(graph.maybe(&format!("{name}_dim{n}"))?.unwrap_or(found)),
        None => graph.number(&format!("{name}_dim{n}")),
    };
    let (layers, third, fourth) =
        (size(1, if layers_first { first } else { second })?, size(2, third)?, size(3, fourth)?);
    Ok(if layers_first { [layers, 1, third, fourth] } else { [1, layers, third, fourth] })
}
