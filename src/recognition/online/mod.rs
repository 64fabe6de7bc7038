//! Recognisers that hear a stream themselves: their encoders take a chunk at a time and keep what they have heard in
//! caches. What they have said never changes, so no policy is needed, only words to be made of their tokens. Knows
//! nothing of threads.
//!
//! One file a family: [`transducer`] and [`ctc`] (icefall's layouts), [`nemo`] (NeMo's cache-aware FastConformer),
//! [`paraformer`] (FunASR's).

mod cached;
mod chunks;
mod cif;
pub mod ctc;
pub(super) mod graph;
mod low_rate;
pub mod nemo;
pub mod paraformer;
mod speech;
pub(super) mod symbols;
pub mod transducer;

pub use speech::Speech;

use super::RecognizeError;

/// A token that was heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its number in the vocabulary.
    pub id: usize,
    /// When the model said it, in seconds of sound since the last reset.
    pub time: f64,
    /// 0 to 1: the model's own.
    pub probability: f32,
}

/// What a token adds to the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// UTF-8, or a part of a character.
    pub bytes: &'a [u8],
    /// Whether a word begins with it.
    pub begins: bool,
}

/// A recogniser that hears a stream. One thread at a time; a call takes as long as the model does.
pub trait OnlineRecognizer: Send {
    /// Forgets all sound.
    fn reset(&mut self) -> Result<(), RecognizeError>;

    /// The codes of the languages that can be told; none where the model hears its own alone.
    fn languages(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The code of the language that was told or, so far, heard; none where that isn't known.
    fn spoken(&self) -> Option<&str> {
        None
    }

    /// The language that is spoken from now on, by its code, such as `de` or `pt-BR`; `None` to hear it, as to begin
    /// with. An error where the model doesn't know it.
    fn speak(&mut self, language: Option<&str>) -> Result<(), RecognizeError> {
        super::refused(language)
    }

    /// Takes samples that follow the last ones (16 kHz mono, ±1) and appends the tokens that were heard in what is
    /// complete by now.
    fn push(&mut self, samples: &[f32], tokens: &mut Vec<Token>) -> Result<(), RecognizeError>;

    /// The sound is over: hears what is left of it, with silence behind. Only `reset` may follow.
    fn finish(&mut self, tokens: &mut Vec<Token>) -> Result<(), RecognizeError>;

    /// Seconds of sound since the last reset that were heard: later tokens are later.
    fn heard(&self) -> f64;

    /// Runs what silence and noise may not: what stands behind a token, each language. For a trial of files that nobody
    /// has tried; `reset` must follow.
    fn rehearse(&mut self) -> Result<(), RecognizeError> {
        Ok(())
    }

    /// What a token adds to the text behind another one, if any went before; none where it is no text.
    fn piece(&self, token: usize, before: Option<usize>) -> Option<Piece<'_>>;
}

/// What all families do alike, for a type with `chunks`, `symbols` and a method `hear`: the first two may lie in a
/// field of it. The next argument begins anew; what else a family does may follow.
macro_rules! hears_a_stream {
    ($kind:ty, [$($part:ident)?], $begin:expr $(, { $($more:tt)* })?) => {
        impl crate::online::OnlineRecognizer for $kind {
            $($($more)*)?

            fn reset(&mut self) -> Result<(), crate::RecognizeError> {
                let begin: fn(&mut Self) -> Result<(), String> = $begin;
                begin(self).map_err(crate::RecognizeError::Run)
            }

            fn push(&mut self, samples: &[f32], tokens: &mut Vec<Token>) -> Result<(), crate::RecognizeError> {
                self.$($part.)?chunks.push(samples);
                self.hear(tokens).map_err(crate::RecognizeError::Run)
            }

            fn finish(&mut self, tokens: &mut Vec<Token>) -> Result<(), crate::RecognizeError> {
                self.$($part.)?chunks.finish();
                self.hear(tokens).map_err(crate::RecognizeError::Run)
            }

            fn heard(&self) -> f64 {
                self.$($part.)?chunks.heard()
            }

            fn piece(&self, token: usize, before: Option<usize>) -> Option<crate::online::Piece<'_>> {
                self.$($part.)?symbols.piece(token, before)
            }
        }
    };
}
use hears_a_stream;
