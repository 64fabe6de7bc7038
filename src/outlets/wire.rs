//! The words as they come, on their way to the outlets: a numbered row of finals, bounded, and the latest partial.
//! Knows neither the outlets nor who speaks.
//!
//! One writer, the caption worker, which never waits for a reader: the lock is held for the copy of a few words. Each
//! reader keeps its own place in a `Cursor`, so a slow one misses partials, and finals only when it falls so far behind
//! that the row has dropped them: then it is told how many.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use mynah_subtitles::Event;
use mynah_subtitles::Word;

/// Final words that are kept for slow readers: more than ten minutes of talk.
pub const KEPT: usize = 2000;

/// A final word and its number: 1 for the first of this wire, then one more each.
pub type Numbered = (u64, Word);

#[derive(Debug, Default)]
struct Row {
    finals: VecDeque<Word>,
    /// The number of the last final word that ever came.
    last: u64,
    partial: Arc<[Word]>,
    /// Counts partials.
    partials: u64,
    /// When something came last.
    at: Option<Instant>,
}

/// See the top of the file. A clone is the same wire.
#[derive(Debug, Clone)]
pub struct Wire {
    row: Arc<Mutex<Row>>,
    changed: watch::Sender<u64>,
}

impl Default for Wire {
    fn default() -> Self {
        Self { row: Arc::default(), changed: watch::Sender::new(0) }
    }
}

/// What has come since a reader last looked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct News {
    /// Final words, in the order in which they came.
    pub finals: Vec<Numbered>,
    /// The words that may still change, where they did; they follow the finals.
    pub partial: Option<Arc<[Word]>>,
    /// Final words that came and were dropped before this reader looked.
    pub lost: u64,
}

impl News {
    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.finals.is_empty() && self.partial.is_none() && self.lost == 0
    }
}

/// A reader's place on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The number of the last final word that was read.
    pub last: u64,
    partials: u64,
}

impl Wire {
    /// Takes what the stream tells. For the caption worker.
    pub fn tell(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut row = self.row();
        row.at = Some(Instant::now());
        for event in events {
            match event {
                Event::Partial(words) => {
                    row.partial = words.as_slice().into();
                    row.partials += 1;
                }
                Event::Final(words) => {
                    row.last += words.len() as u64;
                    row.finals.extend(words.iter().cloned());
                    let surplus = row.finals.len().saturating_sub(KEPT);
                    row.finals.drain(..surplus);
                }
            }
        }
        drop(row);
        self.changed.send_modify(|n| *n += 1);
    }

    /// A reader's place from which the next words are those that come from now on, and the partial of this moment.
    pub fn from_now(&self) -> Cursor {
        Cursor { last: self.row().last, partials: 0 }
    }

    /// A reader's place behind the final word of a number; behind the last one where there is no such word yet.
    pub fn behind(&self, last: u64) -> Cursor {
        Cursor { last: last.min(self.row().last), partials: 0 }
    }

    /// A reader's place behind which at most so many final words have come.
    pub fn with_history(&self, words: usize) -> Cursor {
        let row = self.row();
        Cursor { last: row.last - words.min(row.finals.len()) as u64, partials: 0 }
    }

    /// What has come since; the cursor moves on.
    pub fn read(&self, cursor: &mut Cursor) -> News {
        let row = self.row();
        let first = row.last - row.finals.len() as u64;
        let from = cursor.last.clamp(first, row.last);
        let finals = (from + 1..).zip(row.finals.iter().skip((from - first) as usize).cloned()).collect();
        let news = News {
            finals,
            partial: (cursor.partials != row.partials).then(|| row.partial.clone()),
            lost: first.saturating_sub(cursor.last),
        };
        *cursor = Cursor { last: row.last, partials: row.partials };
        news
    }

    /// How long nothing has come; none before the first words.
    pub fn quiet(&self) -> Option<Duration> {
        self.row().at.map(|at| at.elapsed())
    }

    /// Wakes on each change. Whoever subscribes first reads, then waits, misses nothing.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn row(&self) -> MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::words;

    fn texts(news: &News) -> String {
        news.finals.iter().map(|(_, w)| w.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_reader_gets_every_final_once_and_the_latest_partial() {
        let wire = Wire::default();
        let mut early = wire.from_now();
        wire.tell(&[Event::Partial(words("one")), Event::Final(words("one")), Event::Partial(words("two"))]);
        let mut late = wire.from_now();
        wire.tell(&[Event::Final(words("two three")), Event::Partial(vec![])]);
        let news = wire.read(&mut early);
        assert_eq!((texts(&news).as_str(), news.finals[2].0, news.lost), ("one two three", 3, 0));
        assert!(news.partial.is_some_and(|p| p.is_empty()));
        assert_eq!(texts(&wire.read(&mut late)), "two three");
        assert!(wire.read(&mut early).is_empty());
    }

    #[test]
    fn a_reader_that_comes_back_goes_on_where_it_was_and_is_told_what_it_lost() {
        let wire = Wire::default();
        for i in 0..KEPT + 100 {
            wire.tell(&[Event::Final(words(&i.to_string()))]);
        }
        let news = wire.read(&mut wire.behind(40));
        assert_eq!((news.lost, news.finals.len(), news.finals[0].1.text.as_str()), (60, KEPT, "100"));
        assert_eq!(texts(&wire.read(&mut wire.behind(KEPT as u64 + 98))), format!("{} {}", KEPT + 98, KEPT + 99));
        assert_eq!(texts(&wire.read(&mut wire.with_history(1))), (KEPT + 99).to_string());
        assert!(wire.read(&mut wire.behind(u64::MAX)).finals.is_empty());
    }

    #[test]
    fn a_reader_that_never_reads_holds_nobody_up() {
        let wire = Wire::default();
        let _idle = (wire.from_now(), wire.changes());
        let start = std::time::Instant::now();
        (0..20_000).for_each(|_| wire.tell(&[Event::Final(words("a b c")), Event::Partial(words("d"))]));
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(wire.row().finals.len(), KEPT);
    }
}
