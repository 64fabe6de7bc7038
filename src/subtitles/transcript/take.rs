//! A take: what one pass over a stretch of the timeline heard. Knows no other takes.

use crate::Word;

/// Two takes say the same where their words' times differ by no more than this, in seconds.
pub const SAME_TIME: f64 = 0.05;
/// The latest second that a timeline can have: some thirty years.
const LAST_SECOND: f64 = 1e9;

/// What one pass heard, the silence in it included.
#[derive(Debug, Clone, PartialEq)]
pub struct Take {
    /// Rises with each take of a transcript.
    pub id: u32,
    /// The first second that was heard.
    pub from: f64,
    /// All words before this second are known.
    pub to: f64,
    /// Whether the host's transport stood still: then the times are no places on its timeline.
    pub free: bool,
    /// The words, in order and not overlapping.
    pub(super) words: Vec<Word>,
}

impl Take {
    pub(super) fn new(id: u32, from: f64, free: bool) -> Self {
        Self { id, from, to: from, free, words: Vec::new() }
    }

    /// The words, in order and not overlapping.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The words whose middle lies in `from` to `to`, the latter excluded.
    pub fn words_in(&self, from: f64, to: f64) -> &[Word] {
        let first = self.words.partition_point(|w| middle(w) < from);
        let behind = self.words.partition_point(|w| middle(w) < to).max(first);
        &self.words[first..behind]
    }

    /// The word that begins before a second and ends after it.
    pub(super) fn across(&self, seconds: f64) -> Option<&Word> {
        let word = self.words.get(self.words.partition_point(|w| w.end <= seconds))?;
        (word.start < seconds).then_some(word)
    }

    /// Takes the next words; what would lie before the last one is pushed behind it.
    pub(super) fn add(&mut self, words: Vec<Word>) {
        let floor = self.words.last().map_or(self.from, |w| w.end);
        self.words.extend(in_order(words, floor));
        // A recogniser may give a word no length; it lies inside all the same.
        self.to = self.words.last().map_or(self.to, |w| rounded(w.end.max(w.start + 0.001)).max(self.to));
    }

    /// Whether `other` says nothing, where it was heard, that this take doesn't say.
    pub(super) fn repeats(&self, other: &Take) -> bool {
        let covered = self.from <= other.from + SAME_TIME && self.to >= other.to - SAME_TIME;
        self.free == other.free && covered && same(self.words_in(other.from, other.to), &other.words)
    }
}

/// The middle of a word decides on which side of a cut it lies.
pub(super) fn middle(w: &Word) -> f64 {
    0.5 * (w.start + w.end)
}

/// Seconds in whole milliseconds: what is saved comes back exactly.
pub(super) fn rounded(seconds: f64) -> f64 {
    (seconds.clamp(-LAST_SECOND, LAST_SECOND) * 1000.0).round() / 1000.0
}

/// Sorted, finite, in whole milliseconds, and each starting no earlier than `floor` and than the one before ends.
pub(super) fn in_order(mut words: Vec<Word>, mut floor: f64) -> Vec<Word> {
    words.retain(|w| w.start.is_finite() && w.end.is_finite());
    words.sort_by(|a, b| a.start.total_cmp(&b.start));
    for w in &mut words {
        w.start = rounded(w.start).max(floor);
        w.end = rounded(w.end).max(w.start);
        w.confidence =
            if w.confidence.is_finite() { (w.confidence.clamp(0.0, 1.0) * 100.0).round() / 100.0 } else { 0.0 };
        floor = w.end;
    }
    words
}

fn same(a: &[Word], b: &[Word]) -> bool {
    let near = |x: f64, y: f64| (x - y).abs() <= SAME_TIME;
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.text == b.text && near(a.start, b.start) && near(a.end, b.end))
}
