//! One run of the recogniser over the buffer: what it is told, and what of its hypothesis can be believed. Knows
//! nothing of when it is due.

use super::again::{self, Sound};
use super::agreement::{Hypothesis, Trust};
use super::marks::{LONG_SPEECH, is_clear};
use super::{Event, Streamer, level};
use crate::{HeardWord, Hearing, RecognizeError, Word};
use mynah_models::vad::{FRAME, RATE, START};

/// A word must have speech within so many seconds of it, or it is invented.
const GUARD_SECONDS: f64 = 0.25;
/// What counts as speech there: far less than it takes to start, since soft words are words.
const GUARD_PROBABILITY: f32 = 0.15;

impl Streamer {
    /// Runs the recogniser over the buffer.
    pub(super) fn run(&mut self, trust: Trust, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        self.heard_until = self.position;
        let origin = self.seconds(self.buffer_position());
        // Padding is no time that passed.
        let end = self.seconds(self.position - self.padding);
        let settled: Vec<Word> = self
            .said
            .in_buffer()
            .iter()
            .map(|w| Word { start: w.start - origin, end: w.end - origin, ..w.clone() })
            .collect();
        let Some(words) = self.hear(&settled, matches!(trust, Trust::Until(_)))? else {
            return Ok(());
        };
        let place = |w: HeardWord| {
            let (start, last) = ((origin + w.word.start.max(0.0)).min(end), (origin + w.word.end).clamp(origin, end));
            HeardWord { word: Word { start, end: last, ..w.word }, reach: origin + w.reach }
        };
        let words: Vec<HeardWord> = words.into_iter().map(place).collect();
        let stretch = words.first().map(|w| w.word.start).zip(words.last().map(|w| w.word.end));
        let unclear = if words.is_empty() { self.long_speech() } else { stretch.filter(|_| !is_clear(&words)) };
        let hypothesis = Hypothesis { words, follows: !settled.is_empty(), end };
        let words = match unclear {
            None => {
                self.unclear = None;
                self.agreement.take(hypothesis, trust)
            }
            Some((start, last)) => {
                self.agreement.doubt(hypothesis);
                // What stood before is no part of what nobody knows.
                let known = self.agreement.pending().last().map_or(f64::NEG_INFINITY, |w| w.end);
                self.unclear = Some((start.max(known), last)).filter(|(start, last)| start < last);
                if let Trust::Until(until) = trust { self.agreement.settle(until) } else { Vec::new() }
            }
        };
        self.tell(words, events);
        Ok(())
    }

    /// The words behind the settled ones, all in seconds of the buffer; none where what stood before is likelier. What
    /// is `ended` is heard with care: one hypothesis is enough.
    fn hear(&mut self, settled: &[Word], ended: bool) -> Result<Option<Vec<HeardWord>>, RecognizeError> {
        let prompt = [self.hint.as_str(), self.said.text()].join(" ");
        let mut room = std::mem::take(&mut self.raised);
        let samples = level::raise(&self.buffer, &self.probabilities, &mut room);
        let hearing = Hearing { samples, prompt: prompt.trim(), settled, ended };
        let sound = Sound { samples, probabilities: &self.probabilities };
        let after = settled.last().map_or(0.0, |w| w.end);
        let heard = self.recognizer.hear(&hearing).and_then(|mut heard| {
            heard.words.retain(|w| was_spoken(&self.probabilities, &w.word));
            let again = self.policy.again && ended && is_clear(&heard.words);
            if again { again::complete(&mut *self.recognizer, sound, heard, after) } else { Ok(heard) }
        });
        self.raised = room;
        match heard {
            // What stood before is likelier than what a guard had to stop.
            Ok(heard) if heard.doubtful && !ended => Ok(None),
            Ok(heard) => Ok(Some(heard.words)),
            Err(e) => {
                // Text that led to a failure leads to the next one.
                self.said.forget_text();
                Err(e)
            }
        }
    }

    /// Where somebody spoke behind the last final word, from when to when in seconds, if it was for long.
    fn long_speech(&self) -> Option<(f64, f64)> {
        let second = |frame: usize| self.seconds(self.buffer_position() + (frame * FRAME) as u64);
        let after = self.said.in_buffer().last().map_or(f64::NEG_INFINITY, |w| w.end);
        let spoken = |&frame: &usize| self.probabilities[frame] >= START && second(frame) >= after;
        let frames: Vec<usize> = (0..self.probabilities.len()).filter(spoken).collect();
        let (first, last) = frames.first().zip(frames.last())?;
        ((frames.len() * FRAME) as f64 >= LONG_SPEECH * RATE as f64).then(|| (second(*first), second(last + 1)))
    }
}

/// Whether there was speech where the recogniser claims a word, by the probabilities of the buffer's frames; times are
/// in seconds of the buffer.
pub(super) fn was_spoken(probabilities: &[f32], word: &Word) -> bool {
    let frame = |seconds: f64| (seconds * RATE as f64 / FRAME as f64).max(0.0) as usize;
    if word.text.trim().is_empty() || !word.start.is_finite() || !word.end.is_finite() || word.end < word.start {
        return false;
    }
    let from = frame(word.start - GUARD_SECONDS).min(probabilities.len());
    let to = (frame(word.end + GUARD_SECONDS) + 1).min(probabilities.len());
    from < to
        && frame(word.start) < probabilities.len()
        && probabilities[from..to].iter().any(|&p| p >= GUARD_PROBABILITY)
}
