//! What a stream of sound yields: words that may still change, and words that stay. Knows no threads.

use super::Word;

/// A step of recognition.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Words that may still change; they replace the former partial ones.
    Partial(Vec<Word>),
    /// Words that stay.
    Final(Vec<Word>),
}
