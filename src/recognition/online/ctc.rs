//! Streaming zipformer2 with a CTC head, in the layout of icefall and sherpa-onnx: one graph. Read greedily: what
//! repeats without a blank between is one token (Graves and others, "Connectionist temporal classification", 2006).

use std::path::Path;

use super::cached::Cached;
use super::chunks::Chunks;
use super::graph::best;
use super::symbols::Symbols;
use super::transducer::{FRAME, check_vocabulary};
use super::{Token, hears_a_stream};
use mynah_models::runtime::{RuntimeError, SessionOptions};

/// Names that the blank has; else it is token 0.
const BLANKS: [&str; 3] = ["<blk>", "<eps>", "<blank>"];

/// See the top of the file.
pub struct Ctc {
    encoder: Cached,
    symbols: Symbols,
    chunks: Chunks,
    chunk: Vec<f32>,
    blank: usize,
    /// What the last frame said.
    last: usize,
    /// Frames of the encoder since the last reset.
    frames: usize,
}

impl Ctc {
    /// Loads the graph (`x` and caches → `log_probs` and caches) and `tokens.txt`.
    pub fn open(model: &Path, tokens: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let encoder = Cached::open(model, options)?;
        let symbols = Symbols::read(tokens)?;
        let width = encoder
            .graph()
            .session
            .outputs()
            .first()
            .and_then(|o| o.dtype().tensor_shape())
            .and_then(|s| s.last().copied());
        check_vocabulary(&symbols, width.unwrap_or(0).max(0) as usize, tokens)?;
        let blank = BLANKS.iter().find_map(|name| symbols.id(name)).unwrap_or(0);
        let chunks = encoder.chunks();
        Ok(Self { encoder, symbols, chunks, chunk: Vec::new(), blank, last: blank, frames: 0 })
    }

    fn hear(&mut self, tokens: &mut Vec<Token>) -> Result<(), String> {
        while let Some(first) = self.chunks.next(&mut self.chunk) {
            let (width, scores) = self.encoder.run(&self.chunk, first)?;
            if width > self.symbols.len() {
                return Err(format!("there are scores of {width} tokens where tokens.txt has {}", self.symbols.len()));
            }
            for frame in scores.chunks_exact(width) {
                let (id, probability) = best(frame)?;
                if id != self.blank && id != self.last {
                    tokens.push(Token { id, time: self.frames as f64 * FRAME, probability });
                }
                self.last = id;
                self.frames += 1;
            }
        }
        Ok(())
    }
}

hears_a_stream!(Ctc, [], |ctc| {
    ctc.chunks.reset();
    (ctc.last, ctc.frames) = (ctc.blank, 0);
    ctc.encoder.reset()
});
