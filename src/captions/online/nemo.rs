//! NeMo's cache-aware streaming FastConformer, batch first, as sherpa-onnx's exports have it: with a CTC head (one graph) or as a transducer (encoder,
//! prediction network, joiner). The blank is the last token; a frame of the encoder is 80 ms; a transducer says at most ten tokens a frame.

use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor, TensorRef};

use super::chunks::{ChunkSize, Chunks};
use super::graph::{Graph, best, one_line};
use super::symbols::Symbols;
use super::transducer::{Files, check_vocabulary};
use super::{Token, hears_a_stream};
use crate::dsp::fbank::{Fbank, Recipe};
use crate::runtime::{RuntimeError, SessionOptions};

/// Tokens that a transducer may say in a frame: NeMo's own bound.
const MOST_A_FRAME: usize = 10;
/// The first input of these graphs: what they are told by.
pub const SIGNAL: &str = "audio_signal";

/// The encoder: `audio_signal`, `length` and three caches in; something, its length and the caches out.
struct Encoder {
    graph: Graph,
    caches: Vec<DynValue>,
    /// Their sizes without the batch.
    sizes: [Vec<usize>; 2],
    size: ChunkSize,
    bands: usize,
    /// A chunk with its bands in front.
    turned: Vec<f32>,
}

impl Encoder {
    fn open(path: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let graph = Graph::open(path, options)?;
        graph.expect(5, 5, "the signal, its length and three caches")?;
        let signal = graph.sizes(0);
        let [_, bands @ 1..=100_000, _] = signal[..] else {
            return Err(graph.wrong("a first input [1, bands, frames] with a fixed number of bands", format!("{signal:?}")));
        };
        let normalize = graph.text("normalize_type");
        if !normalize.is_empty() && normalize != "NA" {
            return Err(graph.wrong("features that are not normalised, as streaming models have them", format!("`{normalize}`")));
        }
        let sizes = |name: &str| (1..=3).map(|n| graph.number(&format!("{name}_dim{n}"))).collect::<Result<Vec<_>, _>>();
        let sizes = [sizes("cache_last_channel")?, sizes("cache_last_time")?];
        let size = ChunkSize { frames: graph.number("window_size")?, step: graph.number("chunk_shift")?, behind: 0 };
        if size.step > size.frames {
            return Err(graph.wrong("a `chunk_shift` of at most `window_size` frames", format!("{} of {}", size.step, size.frames)));
        }
        let mut encoder = Self { graph, caches: Vec::new(), sizes, size, bands: bands as usize, turned: Vec::new() };
        encoder.reset().map_err(|why| encoder.graph.wrong("caches of a fixed size", why))?;
        Ok(encoder)
    }

    /// Seconds of one of its frames.
    fn frame(&self) -> Result<f64, RuntimeError> {
        Ok(self.graph.number("subsampling_factor")? as f64 / 100.0)
    }

    fn chunks(&self) -> Chunks {
        Chunks::new(self.size, Fbank::new(Recipe::Nemo, self.bands))
    }

    fn reset(&mut self) -> Result<(), String> {
        self.caches.clear();
        for sizes in &self.sizes {
            let shape = [1, sizes[0], sizes[1], sizes[2]];
            let cache = Tensor::from_array((shape, vec![0.0f32; shape.iter().product()])).map_err(one_line)?;
            self.caches.push(cache.into_dyn());
        }
        self.caches.push(Tensor::from_array(([1], vec![0i64])).map_err(one_line)?.into_dyn());
        Ok(())
    }

    /// Runs a chunk; gives the sizes and the numbers of the first output.
    fn run(&mut self, chunk: &[f32]) -> Result<([usize; 2], Vec<f32>), String> {
        let (frames, bands) = (self.size.frames, self.bands);
        self.turned.clear();
        self.turned.extend((0..bands).flat_map(|band| (0..frames).map(move |t| chunk[t * bands + band])));
        let signal = TensorRef::from_array_view(([1, bands, frames], &self.turned[..])).map_err(one_line)?;
        let length = Tensor::from_array(([1], vec![frames as i64])).map_err(one_line)?;
        let mut inputs: Vec<SessionInputValue> = vec![signal.into(), length.into()];
        inputs.extend(self.caches.iter().map(SessionInputValue::from));
        let mut outputs = self.graph.run(inputs)?;
        self.caches = outputs.split_off(2);
        let (shape, numbers) = outputs[0].try_extract_tensor::<f32>().map_err(one_line)?;
        let [1, a, b] = shape[..] else { return Err(format!("the encoder gave {:?} where three sizes belong", &shape[..])) };
        Ok(([a.max(1) as usize, b.max(1) as usize], numbers.to_vec()))
    }
}

/// What both kinds have.
struct Hearing {
    encoder: Encoder,
    chunks: Chunks,
    chunk: Vec<f32>,
    symbols: Symbols,
    /// The last token of the vocabulary.
    blank: usize,
    /// Frames of the encoder since the last reset, and the seconds of one.
    frames: usize,
    frame: f64,
}

impl Hearing {
    fn open(encoder: &Path, tokens: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let encoder = Encoder::open(encoder, options)?;
        let symbols = Symbols::read(tokens)?;
        let blank = encoder.graph.number("vocab_size")?;
        check_vocabulary(&symbols, blank + 1, tokens)?;
        let (chunks, frame) = (encoder.chunks(), encoder.frame()?);
        Ok(Self { encoder, chunks, chunk: Vec::new(), symbols, blank, frames: 0, frame })
    }

    fn reset(&mut self) -> Result<(), String> {
        self.chunks.reset();
        self.frames = 0;
        self.encoder.reset()
    }

    fn time(&self) -> f64 {
        self.frames as f64 * self.frame
    }
}

/// With a CTC head: `logprobs` [1, frames, tokens].
pub struct NemoCtc {
    hearing: Hearing,
    /// What the last frame said.
    last: usize,
}

impl NemoCtc {
    /// Loads the graph and `tokens.txt`.
    pub fn open(model: &Path, tokens: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let hearing = Hearing::open(model, tokens, options)?;
        Ok(Self { last: hearing.blank, hearing })
    }

    fn hear(&mut self, tokens: &mut Vec<Token>) -> Result<(), String> {
        let h = &mut self.hearing;
        while h.chunks.next(&mut h.chunk).is_some() {
            let ([_, width], scores) = h.encoder.run(&h.chunk)?;
            for frame in scores.chunks_exact(width) {
                let (id, probability) = best(frame);
                if id != h.blank && id != self.last {
                    tokens.push(Token { id, time: h.time(), probability });
                }
                self.last = id;
                h.frames += 1;
            }
        }
        Ok(())
    }
}

/// As a transducer: `outputs` [1, width, frames], a prediction network with two states, a joiner. Their names are the exporter's, their order is not.
pub struct NemoTransducer {
    hearing: Hearing,
    decoder: Graph,
    joiner: Graph,
    /// What the prediction network made of the last token, and its states behind it.
    decoded: Option<DynValue>,
    states: Vec<DynValue>,
    /// Their layers and width.
    state_size: [usize; 2],
    /// One frame.
    column: Vec<f32>,
}

impl NemoTransducer {
    /// Loads the three graphs and `tokens.txt`.
    pub fn open(files: &Files, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let hearing = Hearing::open(&files.encoder, &files.tokens, options)?;
        let state_size = [hearing.encoder.graph.number("pred_rnn_layers")?, hearing.encoder.graph.number("pred_hidden")?];
        let (decoder, joiner) = (Graph::open(&files.decoder, options)?, Graph::open(&files.joiner, options)?);
        decoder.expect(4, 4, "a token, its length and two states")?;
        joiner.expect(2, 1, "two vectors, and scores out")?;
        let mut transducer = Self { hearing, decoder, joiner, decoded: None, states: Vec::new(), state_size, column: Vec::new() };
        transducer.begin().map_err(|why| RuntimeError::Model { path: files.decoder.clone(), why })?;
        Ok(transducer)
    }

    fn begin(&mut self) -> Result<(), String> {
        self.hearing.reset()?;
        let [layers, width] = self.state_size;
        let empty = || Tensor::from_array(([layers, 1, width], vec![0.0f32; layers * width])).map(Tensor::into_dyn).map_err(one_line);
        self.states = vec![empty()?, empty()?];
        self.say(self.hearing.blank)
    }

    /// Tells the prediction network the last token.
    fn say(&mut self, token: usize) -> Result<(), String> {
        let targets = Tensor::from_array(([1, 1], vec![token as i32])).map_err(one_line)?;
        let length = Tensor::from_array(([1], vec![1i32])).map_err(one_line)?;
        let mut inputs: Vec<SessionInputValue> = vec![targets.into(), length.into()];
        inputs.extend(self.states.iter().map(SessionInputValue::from));
        let mut outputs = self.decoder.run(inputs)?;
        self.states = outputs.split_off(2);
        self.decoded = outputs.into_iter().next();
        Ok(())
    }

    fn join(&mut self) -> Result<(usize, f32), String> {
        let column = TensorRef::from_array_view(([1, self.column.len(), 1], &self.column[..])).map_err(one_line)?;
        let decoded = self.decoded.as_ref().ok_or("nothing was said yet")?;
        let outputs = self.joiner.run([column.into(), decoded.into()])?;
        Ok(best(outputs[0].try_extract_tensor::<f32>().map_err(one_line)?.1))
    }

    fn hear(&mut self, tokens: &mut Vec<Token>) -> Result<(), String> {
        let mut chunk = std::mem::take(&mut self.hearing.chunk);
        while self.hearing.chunks.next(&mut chunk).is_some() {
            let ([width, frames], encoded) = self.hearing.encoder.run(&chunk)?;
            for t in 0..frames {
                self.column.clear();
                self.column.extend((0..width).map(|row| encoded[row * frames + t]));
                for _ in 0..MOST_A_FRAME {
                    let (id, probability) = self.join()?;
                    if id == self.hearing.blank {
                        break;
                    }
                    tokens.push(Token { id, time: self.hearing.time(), probability });
                    self.say(id)?;
                }
                self.hearing.frames += 1;
            }
        }
        self.hearing.chunk = chunk;
        Ok(())
    }
}

hears_a_stream!(NemoCtc, [hearing], |ctc| {
    ctc.last = ctc.hearing.blank;
    ctc.hearing.reset()
});
hears_a_stream!(NemoTransducer, [hearing], NemoTransducer::begin);
