//! NeMo's cache-aware streaming FastConformer: with a CTC head (one graph) or as a transducer (encoder, prediction
//! network, joiner; the last two may be one graph). The blank is the last token; a frame of the encoder is 80 ms; a
//! transducer says at most ten tokens a frame.

mod encoder;
mod predictor;
mod prompts;

use std::path::{Path, PathBuf};

pub use encoder::is_signal;

use encoder::Encoder;
use predictor::Predictor;
use prompts::Prompts;

use super::chunks::Chunks;
use super::graph::best;
use super::symbols::Symbols;
use super::transducer::{Files, check_vocabulary};
use super::{Token, hears_a_stream};
use crate::RecognizeError;
use mynah_models::runtime::{RuntimeError, SessionOptions};

/// Tokens that a transducer may say in a frame: NeMo's own bound.
const MOST_A_FRAME: usize = 10;
/// The blank's name; else it stands behind all symbols.
const BLANK: &str = "<blk>";

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
        let blank = match encoder.graph.maybe("vocab_size")? {
            Some(words) => {
                check_vocabulary(&symbols, words + 1, tokens)?;
                words
            }
            None => symbols.id(BLANK).unwrap_or(symbols.len()),
        };
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

    /// Layers and width of the states of a prediction network, where they are told.
    fn states(&self) -> Result<[Option<usize>; 2], RuntimeError> {
        Ok([self.encoder.graph.maybe("pred_rnn_layers")?, self.encoder.graph.maybe("pred_hidden")?])
    }

    /// Runs the encoder over nothing in each language; what it gave last.
    fn try_languages(&mut self) -> Result<([usize; 2], Vec<f32>), String> {
        let nothing = self.encoder.nothing();
        for number in self.encoder.prompts.as_ref().map_or_else(Vec::new, Prompts::all) {
            if let Some(prompts) = &mut self.encoder.prompts {
                prompts.tell(number);
            }
            self.encoder.run(&nothing).map_err(|why| format!("with the language number {number}: {why}"))?;
        }
        // As to begin with.
        if let Some(prompts) = &mut self.encoder.prompts {
            prompts.hear();
        }
        self.encoder.run(&nothing)
    }

    /// The languages that can be told.
    fn languages(&self) -> Vec<&str> {
        self.encoder.prompts.as_ref().map_or_else(Vec::new, Prompts::languages)
    }

    fn spoken(&self) -> Option<&str> {
        self.encoder.prompts.as_ref().and_then(Prompts::told)
    }

    fn speak(&mut self, language: Option<&str>) -> Result<(), RecognizeError> {
        match (&mut self.encoder.prompts, language) {
            (Some(prompts), language) => prompts.speak(language),
            (None, None) => Ok(()),
            (None, Some(asked)) => {
                Err(RecognizeError::Language { asked: asked.to_owned(), known: "its own alone".to_owned() })
            }
        }
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
            if width != h.blank + 1 {
                return Err(format!("there are scores of {width} tokens where {} and a blank belong", h.blank));
            }
            for frame in scores.chunks_exact(width) {
                let (id, probability) = best(frame)?;
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

/// The files of a transducer whose prediction network and joiner are one graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JointFiles {
    /// The signal and caches → what was heard.
    pub encoder: PathBuf,
    /// A frame, a token and two states → scores, and the states behind it.
    pub decoder_joint: PathBuf,
    /// `tokens.txt`.
    pub tokens: PathBuf,
}

/// As a transducer: what was heard comes as [1, width, frames].
pub struct NemoTransducer {
    hearing: Hearing,
    predictor: Predictor,
    /// One frame.
    column: Vec<f32>,
}

impl NemoTransducer {
    /// Loads the three graphs and `tokens.txt`.
    pub fn open(files: &Files, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let hearing = Hearing::open(&files.encoder, &files.tokens, options)?;
        let predictor = Predictor::split(&files.decoder, &files.joiner, hearing.states()?, hearing.blank, options)?;
        Self::begun(hearing, predictor, &files.decoder)
    }

    /// Loads the two graphs of the other layout and `tokens.txt`.
    pub fn open_joint(files: &JointFiles, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let hearing = Hearing::open(&files.encoder, &files.tokens, options)?;
        let predictor = Predictor::joint(&files.decoder_joint, hearing.states()?, hearing.blank, options)?;
        Self::begun(hearing, predictor, &files.decoder_joint)
    }

    fn begun(hearing: Hearing, predictor: Predictor, decoder: &Path) -> Result<Self, RuntimeError> {
        let mut transducer = Self { hearing, predictor, column: Vec::new() };
        transducer.begin().map_err(|why| RuntimeError::Run { path: decoder.to_owned(), why })?;
        Ok(transducer)
    }

    fn begin(&mut self) -> Result<(), String> {
        self.hearing.reset()?;
        self.predictor.begin()
    }

    /// Says the first token and the last one at a frame of nothing, in each language.
    fn say_nothing(&mut self) -> Result<(), String> {
        let ([width, _], _) = self.hearing.try_languages()?;
        let (nothing, last) = (vec![0.0; width], self.hearing.blank.saturating_sub(1));
        for token in [0, last] {
            self.predictor.join(&nothing)?;
            self.predictor.say(token)?;
        }
        self.predictor.join(&nothing).map(drop)
    }

    fn hear(&mut self, tokens: &mut Vec<Token>) -> Result<(), String> {
        let h = &mut self.hearing;
        while h.chunks.next(&mut h.chunk).is_some() {
            let ([width, frames], encoded) = h.encoder.run(&h.chunk)?;
            for t in 0..frames {
                self.column.clear();
                self.column.extend((0..width).map(|row| encoded[row * frames + t]));
                for _ in 0..MOST_A_FRAME {
                    let (id, probability) = self.predictor.join(&self.column)?;
                    if id == h.blank {
                        break;
                    }
                    tokens.push(Token { id, time: h.time(), probability });
                    self.predictor.say(id)?;
                }
                h.frames += 1;
            }
        }
        Ok(())
    }
}

hears_a_stream!(
    NemoCtc,
    [hearing],
    |ctc| {
        ctc.last = ctc.hearing.blank;
        ctc.hearing.reset()
    },
    {
        fn languages(&self) -> Vec<&str> {
            self.hearing.languages()
        }

        fn spoken(&self) -> Option<&str> {
            self.hearing.spoken()
        }

        fn speak(&mut self, language: Option<&str>) -> Result<(), RecognizeError> {
            self.hearing.speak(language)
        }

        fn rehearse(&mut self) -> Result<(), RecognizeError> {
            self.hearing.try_languages().map(drop).map_err(RecognizeError::Run)
        }
    }
);
hears_a_stream!(NemoTransducer, [hearing], NemoTransducer::begin, {
    fn languages(&self) -> Vec<&str> {
        self.hearing.languages()
    }

    fn spoken(&self) -> Option<&str> {
        self.hearing.spoken()
    }

    fn speak(&mut self, language: Option<&str>) -> Result<(), RecognizeError> {
        self.hearing.speak(language)
    }

    fn rehearse(&mut self) -> Result<(), RecognizeError> {
        self.say_nothing().map_err(RecognizeError::Run)
    }
});
