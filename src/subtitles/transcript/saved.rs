//! A transcript as bytes: columns as JSON, in gzip, whose checksum tells damage. Knows no files and no plugin.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::bounds::{MAX_HIDDEN, MAX_TAKES, MAX_WORDS};
use super::shown::{Shown, find};
use super::take::{Take, in_order};
use super::{Transcript, Word};

/// A saved transcript has no more bytes than this. The oldest takes go first, then the earliest words.
pub const MAX_BYTES: usize = 2 << 20;
/// More bytes than this are not unpacked.
const MAX_UNPACKED: u64 = 64 << 20;
/// The form that is written here.
const VERSION: u32 = 1;
/// Milliseconds a second, and the latest time in them.
const MS: f64 = 1000.0;
const LAST_MS: i64 = 1_000_000_000_000;

/// Why saved words can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SavedError {
    /// Some bytes are missing or others than were written.
    #[error(
        "the saved captions are damaged ({0}), so the project opens without them; look for their copy in the captions \
         folder"
    )]
    Damaged(String),
    /// They are whole, but nothing that this version writes.
    #[error(
        "the saved captions can't be read ({0}), so the project opens without them; update Mynah or caption the sound \
         again"
    )]
    Unknown(String),
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    rolled: bool,
    takes: Vec<SavedTake>,
    /// From, to, and the number of the take.
    pieces: Vec<(i64, i64, u32)>,
}

/// Times in milliseconds: a gap from the end of the word before (for the first from zero), then the length; confidence
/// in percent.
#[derive(Serialize, Deserialize)]
struct SavedTake {
    id: u32,
    from: i64,
    to: i64,
    free: bool,
    texts: Vec<String>,
    gaps: Vec<i64>,
    lengths: Vec<i64>,
    confidences: Vec<u8>,
}

fn to_ms(seconds: f64) -> i64 {
    (seconds * MS).round() as i64
}

fn to_seconds(ms: i64) -> f64 {
    ms as f64 / MS
}

impl SavedTake {
    fn of(take: &Take) -> Self {
        let mut end = 0;
        let gap = |w: &Word| to_ms(w.start) - std::mem::replace(&mut end, to_ms(w.end));
        Self {
            id: take.id,
            from: to_ms(take.from),
            to: to_ms(take.to),
            free: take.free,
            texts: take.words.iter().map(|w| w.text.clone()).collect(),
            gaps: take.words.iter().map(gap).collect(),
            lengths: take.words.iter().map(|w| to_ms(w.end) - to_ms(w.start)).collect(),
            confidences: take.words.iter().map(|w| (w.confidence * 100.0).round() as u8).collect(),
        }
    }

    fn take(self) -> Result<Take, SavedError> {
        let count = self.texts.len();
        let unknown = |why: &str| SavedError::Unknown(why.to_owned());
        if [self.gaps.len(), self.lengths.len(), self.confidences.len()] != [count; 3] {
            return Err(unknown("a take has words without times"));
        }
        let times =
            [self.from, self.to].into_iter().chain(self.gaps.iter().copied()).chain(self.lengths.iter().copied());
        if times.into_iter().any(|t| t.unsigned_abs() > LAST_MS as u64) || self.from > self.to {
            return Err(unknown("a take has times that can't be"));
        }
        let mut end = 0i64;
        let columns = self.texts.into_iter().zip(self.gaps).zip(self.lengths).zip(self.confidences);
        let words = columns.map(|(((text, gap), length), confidence)| {
            let start = end.saturating_add(gap);
            end = start.saturating_add(length);
            Word { text, start: to_seconds(start), end: to_seconds(end), confidence: confidence as f32 / 100.0 }
        });
        let words = in_order(words.collect(), f64::NEG_INFINITY);
        Ok(Take { id: self.id, from: to_seconds(self.from), to: to_seconds(self.to), free: self.free, words })
    }
}

impl Transcript {
    /// The words and takes as bytes, no more than `MAX_BYTES`; what may still change and the speaker's name are no part
    /// of it. Takes up to a second for ten hours of talk: not with the transcript locked.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = self.pack();
        if bytes.len() <= MAX_BYTES {
            return bytes;
        }
        let mut smaller = self.clone();
        smaller.end();
        let (mut hidden, mut shown) = (MAX_HIDDEN, smaller.words().len());
        loop {
            if hidden > 0 {
                hidden = if hidden > MAX_HIDDEN / 8 { hidden / 2 } else { 0 };
                smaller.hide_no_more_than(hidden, MAX_TAKES);
            } else {
                shown = shown * 3 / 4;
                smaller.show_no_more_than(shown);
            }
            let bytes = smaller.pack();
            if bytes.len() <= MAX_BYTES || shown == 0 {
                return bytes;
            }
        }
    }

    fn pack(&self) -> Vec<u8> {
        let saved = Saved {
            version: VERSION,
            rolled: self.rolled,
            takes: self.takes.iter().map(SavedTake::of).collect(),
            pieces: self.comp.pieces().iter().map(|p| (to_ms(p.from), to_ms(p.to), p.take)).collect(),
        };
        // Neither step can fail: numbers and strings always have a form in JSON, and memory takes all bytes.
        let json = serde_json::to_vec(&saved).unwrap_or_default();
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        let _ = packer.write_all(&json);
        packer.finish().unwrap_or_default()
    }

    /// What `to_bytes` gave. Bytes of any other kind are an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Transcript, SavedError> {
        let mut json = Vec::new();
        GzDecoder::new(bytes)
            .take(MAX_UNPACKED + 1)
            .read_to_end(&mut json)
            .map_err(|e| SavedError::Damaged(e.to_string()))?;
        if json.len() as u64 > MAX_UNPACKED {
            return Err(SavedError::Unknown("they are larger than Mynah ever writes".to_owned()));
        }
        let saved: Saved = serde_json::from_slice(&json).map_err(|e| SavedError::Unknown(e.to_string()))?;
        if saved.version != VERSION {
            return Err(SavedError::Unknown(format!(
                "they have form {}, and this version knows form {VERSION}",
                saved.version
            )));
        }
        let mut new = Transcript { rolled: saved.rolled, revision: 1, ..Transcript::default() };
        new.takes = saved.takes.into_iter().map(SavedTake::take).collect::<Result<_, _>>()?;
        new.takes.sort_by_key(|t| t.id);
        if new.takes.windows(2).any(|pair| pair[0].id == pair[1].id)
            || new.takes.last().is_some_and(|t| t.id > u32::MAX / 2)
        {
            return Err(SavedError::Unknown("the numbers of the takes are wrong".to_owned()));
        }
        new.next = new.takes.last().map_or(0, |t| t.id + 1);
        for (from, to, take) in saved.pieces {
            if from.unsigned_abs().max(to.unsigned_abs()) > LAST_MS as u64 || find(&new.takes, take).is_none() {
                return Err(SavedError::Unknown("it is not said which take is shown where".to_owned()));
            }
            new.comp.assign(to_seconds(from), to_seconds(to), Some(take));
        }
        new.shown.refresh(f64::NEG_INFINITY, f64::INFINITY, &new.comp, &new.takes);
        new.bound();
        Ok(new)
    }
}

impl From<Vec<Word>> for Transcript {
    /// One take of all words.
    fn from(words: Vec<Word>) -> Self {
        let words = in_order(words, f64::NEG_INFINITY);
        let mut new = Self { revision: 1, ..Self::default() };
        if let (Some(first), Some(last)) = (words.first(), words.last()) {
            let (from, to) = (first.start, last.end);
            new.takes.push(Take { id: 0, from, to, free: true, words });
            new.next = 1;
            // The last word may have no length; it is shown all the same.
            new.comp.assign(from, to + 1.0 / MS, Some(0));
            new.shown = Shown::default();
            new.shown.refresh(f64::NEG_INFINITY, f64::INFINITY, &new.comp, &new.takes);
            new.show_no_more_than(MAX_WORDS);
        }
        new
    }
}
