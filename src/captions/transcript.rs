//! The words so far on one timeline. Knows no threads.

use super::Word;
use super::stream::Event;

/// Final and partial words.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    words: Vec<Word>,
    partial: Vec<Word>,
}

impl Transcript {
    /// Takes a step of recognition.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Partial(words) => self.partial = words,
            Event::Final(words) => self.words.extend(words),
        }
    }

    /// The words that stay.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The words that may still change.
    pub fn partial(&self) -> &[Word] {
        &self.partial
    }
}
