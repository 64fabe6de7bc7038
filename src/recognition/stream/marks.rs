//! What stands in the place of words that nobody can know: sound that was left out, speech that the recogniser doesn't
//! understand.

use super::agreement::{Hypothesis, Trust};
use super::{Event, Streamer};
use crate::{HeardWord, Word};
use mynah_models::vad::FRAME;

/// A backlog that had to be skipped is skipped down to this, in seconds.
const CAUGHT_UP: f64 = 0.5;
/// What stands where sound was skipped.
pub const SKIPPED: &str = "[...]";
/// What stands where somebody spoke and the recogniser can't tell what: a language that it doesn't know, two voices at
/// once.
pub const UNCLEAR: &str = "[unclear]";
/// A hypothesis of at least so many words whose mean confidence is less than this is invented; a shorter one must be
/// worse to be. English under noise as loud as itself has 0.6, languages that the model never heard have 0.2 to 0.45.
const CLEAR: (usize, f32) = (3, 0.5);
const CLEAR_OF_FEW: f32 = 0.3;
/// Seconds of speech in which the recogniser hears no word at all and which are told all the same: shorter ones may be
/// a cough or a laugh.
pub(super) const LONG_SPEECH: f64 = 3.0;

impl Streamer {
    /// Whether the full frame is left out because too much waits. What was said before is final then.
    pub(super) fn skips(&mut self, events: &mut Vec<Event>) -> bool {
        match self.skipped_from {
            None if self.policy.hopeless(self.backlog) => {
                let rest = self.agreement.finish();
                self.tell(rest, events);
                self.leave_segment();
                self.keep_last(0);
                self.skipped_from = Some(self.position);
            }
            None => return false,
            Some(_) if self.backlog > CAUGHT_UP => {}
            Some(_) => {
                self.mark_skipped(events);
                return false;
            }
        }
        self.position += FRAME as u64;
        self.frame.clear();
        true
    }

    /// Says that sound was left out, if it was.
    pub(super) fn mark_skipped(&mut self, events: &mut Vec<Event>) {
        if let Some(from) = self.skipped_from.take() {
            let mark = Word {
                text: SKIPPED.to_owned(),
                start: self.seconds(from),
                end: self.seconds(self.position),
                confidence: 0.0,
            };
            events.push(Event::Final(vec![mark]));
            self.detector.reset();
            self.said.forget_text();
        }
    }

    /// Says that somebody spoke and nobody knows what, where the last hypothesis was invented or said nothing.
    pub(super) fn mark_unclear(&mut self, events: &mut Vec<Event>) {
        if let Some((start, end)) = self.unclear.take() {
            let word = Word { text: UNCLEAR.to_owned(), start, end, confidence: 0.0 };
            let mark = Hypothesis { words: vec![HeardWord { word, reach: end }], follows: true, end };
            let words = self.agreement.take(mark, Trust::Until(f64::INFINITY));
            events.push(Event::Final(words));
            // What was invented leads nobody on.
            self.said.forget_text();
        }
    }
}

/// Whether the model knows what it says: foreign speech becomes words too, but it is unsure of them.
pub(super) fn is_clear(words: &[HeardWord]) -> bool {
    let least = if words.len() < CLEAR.0 { CLEAR_OF_FEW } else { CLEAR.1 };
    words.is_empty() || confidence(words.iter().map(|w| &w.word)) >= least
}

/// The same for words that somebody doubts: few of them are no excuse.
pub(super) fn sure<'a>(words: impl ExactSizeIterator<Item = &'a Word>) -> bool {
    confidence(words) >= CLEAR.1
}

/// How sure the model is of words on average; 0 of none.
pub(super) fn confidence<'a>(words: impl ExactSizeIterator<Item = &'a Word>) -> f32 {
    let count = words.len().max(1) as f32;
    words.map(|w| w.confidence).sum::<f32>() / count
}
