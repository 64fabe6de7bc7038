//! Streaming transducers in the layout of icefall and sherpa-onnx: zipformer, zipformer2, conformer and LSTM encoders,
//! a stateless decoder, a joiner. Read greedily, at most one token a frame.

use std::path::{Path, PathBuf};

use ort::value::TensorRef;

use super::cached::Cached;
use super::chunks::Chunks;
use super::graph::{Graph, best, numbers, one_line};
use super::symbols::Symbols;
use super::{Token, hears_a_stream};
use crate::RecognizeError;
use mynah_models::runtime::{RuntimeError, SessionOptions, TensorSpec};

/// The token that is none.
const BLANK: usize = 0;
/// Seconds of an encoder's frame: four of 10 ms.
pub(super) const FRAME: f64 = 0.04;
/// Tokens that a stateless decoder may hear; published ones hear two.
const MOST_CONTEXT: usize = 64;

/// The files of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// `x` and caches → `encoder_out`.
    pub encoder: PathBuf,
    /// `y` → `decoder_out`.
    pub decoder: PathBuf,
    /// Both → `logit`.
    pub joiner: PathBuf,
    /// `tokens.txt`.
    pub tokens: PathBuf,
}

/// See the top of the file.
pub struct Transducer {
    encoder: Cached,
    decoder: Graph,
    joiner: Graph,
    symbols: Symbols,
    chunks: Chunks,
    chunk: Vec<f32>,
    /// The last tokens, which the decoder hears.
    context: Vec<i64>,
    context_size: usize,
    /// What the decoder made of them.
    decoded: Vec<f32>,
    unknown: Option<usize>,
    /// Tokens that the joiner scores.
    size: usize,
    /// Frames of the encoder since the last reset.
    frames: usize,
}

impl Transducer {
    /// Loads the three graphs.
    pub fn open(files: &Files, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let encoder = Cached::open(&files.encoder, options)?;
        let (decoder, joiner) = (Graph::open(&files.decoder, options)?, Graph::open(&files.joiner, options)?);
        let context_size = decoder.number("context_size")?;
        if context_size > MOST_CONTEXT {
            return Err(
                decoder.wrong(&format!("a `context_size` of at most {MOST_CONTEXT} tokens"), context_size.to_string())
            );
        }
        decoder.session.expect(&[TensorSpec::input("y", &[-1, -1]), TensorSpec::output("decoder_out", &[-1, -1])])?;
        let inputs = [TensorSpec::input("encoder_out", &[-1, -1]), TensorSpec::input("decoder_out", &[-1, -1])];
        joiner.session.expect(&[inputs[0], inputs[1], TensorSpec::output("logit", &[-1, -1])])?;
        let symbols = Symbols::read(&files.tokens)?;
        let size = decoder.number("vocab_size")?;
        check_vocabulary(&symbols, size, &files.tokens)?;
        let chunks = encoder.chunks();
        let unknown = symbols.id("<unk>");
        let mut transducer = Self {
            encoder,
            decoder,
            joiner,
            symbols,
            chunks,
            chunk: Vec::new(),
            context: Vec::new(),
            context_size,
            decoded: Vec::new(),
            unknown,
            size,
            frames: 0,
        };
        transducer.begin().map_err(|why| RuntimeError::Run { path: files.decoder.clone(), why })?;
        Ok(transducer)
    }

    fn begin(&mut self) -> Result<(), String> {
        self.encoder.reset()?;
        self.chunks.reset();
        self.frames = 0;
        // No token, and a blank before the first: as icefall trains them.
        self.context = vec![-1; self.context_size];
        self.context[self.context_size - 1] = BLANK as i64;
        self.decode()
    }

    /// What the decoder makes of the last tokens.
    fn decode(&mut self) -> Result<(), String> {
        let context = &self.context[self.context.len() - self.context_size..];
        let y = TensorRef::from_array_view(([1, context.len()], context)).map_err(one_line)?;
        let outputs = self.decoder.run([y.into()])?;
        let (_, decoded) = outputs[0].try_extract_tensor::<f32>().map_err(one_line)?;
        self.decoded.clear();
        self.decoded.extend_from_slice(numbers(decoded)?);
        Ok(())
    }

    fn logits(&mut self, frame: &[f32]) -> Result<(usize, f32), String> {
        let encoded = TensorRef::from_array_view(([1, frame.len()], frame)).map_err(one_line)?;
        let decoded = TensorRef::from_array_view(([1, self.decoded.len()], &self.decoded[..])).map_err(one_line)?;
        let outputs = self.joiner.run([encoded.into(), decoded.into()])?;
        let (_, scores) = outputs[0].try_extract_tensor::<f32>().map_err(one_line)?;
        if scores.len() != self.size {
            return Err(format!(
                "the joiner scores {} tokens where the decoder's `vocab_size` is {}",
                scores.len(),
                self.size
            ));
        }
        best(scores)
    }

    fn hear(&mut self, tokens: &mut Vec<Token>) -> Result<(), String> {
        while let Some(first) = self.chunks.next(&mut self.chunk) {
            let (width, encoded) = self.encoder.run(&self.chunk, first)?;
            for frame in encoded.chunks_exact(width) {
                let (id, probability) = self.logits(frame)?;
                if id != BLANK && Some(id) != self.unknown {
                    tokens.push(Token { id, time: self.frames as f64 * FRAME, probability });
                    self.context.rotate_left(1);
                    self.context[self.context_size - 1] = id as i64;
                    self.decode()?;
                }
                self.frames += 1;
            }
        }
        Ok(())
    }
}

/// Fails where a model says tokens that have no symbol.
pub(super) fn check_vocabulary(symbols: &Symbols, size: usize, path: &Path) -> Result<(), RuntimeError> {
    match symbols.len() {
        found if found < size => Err(RuntimeError::Contract {
            path: path.to_owned(),
            expected: format!("{size} symbols, as many as the model has tokens"),
            found: format!("{found}"),
        }),
        _ => Ok(()),
    }
}

hears_a_stream!(Transducer, [], Transducer::begin, {
    fn rehearse(&mut self) -> Result<(), RecognizeError> {
        // The highest number that may be said is one that the decoder has heard of.
        self.context.fill(self.size as i64 - 1);
        self.decode().map_err(RecognizeError::Run)
    }
});
