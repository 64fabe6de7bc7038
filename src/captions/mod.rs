//! Recognition of speech: the trait every model family implements, and what a word is.
//!
//! Knows nothing of threads or of the plugin.

pub mod agreement;
pub mod cues;
pub mod formats;
pub mod stream;
pub mod transcript;
pub mod whisper;
pub mod wording;

use serde::{Deserialize, Serialize};

/// A recognised word on a timeline in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The text as the model gives it, without surrounding spaces, with its punctuation.
    pub text: String,
    /// Start in seconds.
    pub start: f64,
    /// End in seconds.
    pub end: f64,
    /// 0 to 1.
    pub confidence: f32,
}

/// What can go wrong inside a recogniser.
#[derive(Debug, thiserror::Error)]
pub enum RecognizeError {
    /// The model failed to run.
    #[error("the caption model failed to run: {0}; reload the plugin or choose another pack")]
    Run(String),
}

/// A recogniser that reads a whole buffer at once; the policies make it stream.
pub trait Recognizer: Send {
    /// Words of `samples` (16 kHz mono, ±1, at most 30 s), times in seconds from its first sample. `prompt` is the text before it.
    fn transcribe(&mut self, samples: &[f32], prompt: &str) -> Result<Vec<Word>, RecognizeError>;
}
