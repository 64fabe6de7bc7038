//! Words with times, and all that is made of them: the transcript on the host's timeline, cues, caption files, wording
//! by language.
//!
//! Knows no model, no thread and no sound.

pub mod cues;
pub mod formats;
pub mod language;
pub mod transcript;
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

/// What the stream tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// What is said but may still change; it replaces the former partial, and may be empty.
    Partial(Vec<Word>),
    /// Words that never change, in order, after those of the former final on the same pass of the timeline.
    Final(Vec<Word>),
}
