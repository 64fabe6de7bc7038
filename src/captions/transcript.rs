//! All that was said, on the host's timeline. A later pass over a stretch replaces what was there. Knows neither sound nor models.

use serde::{Deserialize, Serialize};

use super::Word;
use super::stream::Event;

/// More words than this are not kept: the earliest go first. Some ten hours of talk.
pub const MAX_WORDS: usize = 100_000;
/// Words that follow the last final one within so many seconds belong to the same pass over the timeline: what an earlier pass had in
/// between is gone.
const SAME_PASS: f64 = 3.0;

/// The words, in order and not overlapping, and what may still change.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Word>", into = "Vec<Word>")]
pub struct Transcript {
    words: Vec<Word>,
    partial: Vec<Word>,
    /// Where the last final of this pass ended.
    head: Option<f64>,
    revision: u64,
}

impl Transcript {
    /// Takes what the stream tells. Words whose times are no numbers are left out.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Partial(words) if self.partial == words => return,
            Event::Partial(words) => self.partial = words,
            Event::Final(words) => self.insert(words),
        }
        self.revision += 1;
    }

    /// The final words, in order of time; none overlaps the next.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The words that may still change.
    pub fn partial(&self) -> &[Word] {
        &self.partial
    }

    /// Changes with each change of the words: a reader compares it and looks again.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self { revision: self.revision + 1, ..Self::default() };
    }

    fn insert(&mut self, words: Vec<Word>) {
        let mut new = in_order(words);
        let (Some(start), Some(end)) = (new.first().map(|w| w.start), new.last().map(|w| w.end)) else {
            return;
        };
        let from = match self.head {
            Some(head) if (0.0..=SAME_PASS).contains(&(start - head)) => head,
            _ => start,
        };
        // What lies in the stretch by more than half was said by an earlier pass.
        let first = self.words.partition_point(|w| middle(w) < from);
        let behind = first + self.words[first..].partition_point(|w| middle(w) <= end);
        if let Some(before) = self.words[..first].last_mut() {
            before.end = before.end.min(start).max(before.start);
            if let Some(word) = new.first_mut() {
                word.start = word.start.max(before.end);
                word.end = word.end.max(word.start);
            }
        }
        let end = new.last().map_or(end, |w| w.end);
        if let Some(after) = self.words.get_mut(behind) {
            after.start = after.start.max(end);
            after.end = after.end.max(after.start);
        }
        self.words.splice(first..behind, new);
        self.head = Some(end);
        let surplus = self.words.len().saturating_sub(MAX_WORDS);
        self.words.drain(..surplus);
    }
}

fn middle(w: &Word) -> f64 {
    0.5 * (w.start + w.end)
}

/// Sorted, finite, and each starting no earlier than the one before ends.
fn in_order(mut words: Vec<Word>) -> Vec<Word> {
    words.retain(|w| w.start.is_finite() && w.end.is_finite());
    words.sort_by(|a, b| a.start.total_cmp(&b.start));
    let mut floor = f64::NEG_INFINITY;
    for w in &mut words {
        w.start = w.start.max(floor);
        w.end = w.end.max(w.start);
        floor = w.end;
    }
    words
}

impl From<Vec<Word>> for Transcript {
    fn from(words: Vec<Word>) -> Self {
        let mut words = in_order(words);
        let surplus = words.len().saturating_sub(MAX_WORDS);
        words.drain(..surplus);
        Self { words, ..Self::default() }
    }
}

impl From<Transcript> for Vec<Word> {
    fn from(t: Transcript) -> Self {
        t.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(text: &str, start: f64) -> Word {
        Word { text: text.to_owned(), start, end: start + 0.4, confidence: 1.0 }
    }

    fn said(words: &[(&str, f64)]) -> Event {
        Event::Final(words.iter().map(|(t, s)| word(t, *s)).collect())
    }

    fn text(t: &Transcript) -> String {
        t.words().iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn finals_add_up_and_partials_replace_each_other() {
        let mut t = Transcript::default();
        t.apply(Event::Partial(vec![word("a", 0.0)]));
        t.apply(Event::Partial(vec![word("a", 0.0), word("bee", 0.5)]));
        assert_eq!(t.partial().len(), 2);
        let revision = t.revision();
        t.apply(said(&[("a", 0.0)]));
        t.apply(Event::Partial(vec![word("b", 0.5)]));
        t.apply(said(&[("b", 0.5)]));
        t.apply(Event::Partial(vec![]));
        assert_eq!((text(&t).as_str(), t.partial().len()), ("a b", 0));
        assert!(t.revision() > revision);
    }

    #[test]
    fn a_second_pass_replaces_the_first() {
        let mut t = Transcript::default();
        t.apply(said(&[("one", 1.0), ("two", 2.0), ("three", 3.0)]));
        t.apply(said(&[("four", 4.0), ("five", 5.0)]));
        // Back to 1.9 s: the second pass hears something else, and nothing where "three" was.
        t.apply(said(&[("zwei", 1.9)]));
        t.apply(said(&[("vier", 4.1)]));
        assert_eq!(text(&t), "one zwei vier five");
    }

    #[test]
    fn a_jump_forward_keeps_what_lies_between() {
        let mut t = Transcript::default();
        t.apply(said(&[("one", 1.0), ("two", 20.0)]));
        t.apply(said(&[("uno", 1.0)]));
        t.apply(said(&[("nine", 90.0)]));
        assert_eq!(text(&t), "uno two nine");
    }

    #[test]
    fn it_survives_a_save_and_odd_words() {
        let mut t = Transcript::default();
        t.apply(said(&[("one", 1.0), ("nan", f64::NAN), ("two", 2.0)]));
        t.apply(Event::Partial(vec![word("three", 3.0)]));
        let back: Transcript = serde_json::from_str(&serde_json::to_string(&t).expect("saved")).expect("loaded");
        assert_eq!(text(&back), "one two");
        assert!(back.partial().is_empty());
        t.clear();
        assert!(t.words().is_empty() && t.partial().is_empty());
    }

    #[test]
    fn it_stays_bounded() {
        let mut t = Transcript::default();
        for i in 0..110 {
            t.apply(Event::Final((0..1000).map(|j| word("x", (i * 1000 + j) as f64 * 0.5)).collect()));
        }
        assert_eq!(t.words().len(), MAX_WORDS);
        assert_eq!(t.words()[0].start, 5000.0);
    }

    proptest! {
        #[test]
        fn words_are_in_order_and_the_last_final_is_there_whole(finals in prop::collection::vec((0.0f64..30.0, prop::collection::vec((0.0f64..1.0, 0.0f64..1.0), 1..8)), 1..30)) {
            let mut t = Transcript::default();
            let mut n = 0;
            for (start, words) in finals {
                let mut at = start;
                let new: Vec<Word> = words.into_iter().map(|(gap, length)| {
                    n += 1;
                    let w = Word { text: format!("{n}"), start: at + gap, end: at + gap + length, confidence: 1.0 };
                    at = w.end;
                    w
                }).collect();
                t.apply(Event::Final(new.clone()));
                for pair in t.words().windows(2) {
                    prop_assert!(pair[0].start <= pair[0].end && pair[0].end <= pair[1].start);
                }
                let place = t.words().iter().position(|w| w.text == new[0].text).expect("there");
                for (a, b) in t.words()[place..].iter().zip(&new) {
                    prop_assert_eq!(&a.text, &b.text);
                }
            }
        }
    }
}
