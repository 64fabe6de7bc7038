//! The words that are shown, kept ready as one list: each piece gives those of its take whose middle lies in it, cut at
//! its ends.

use super::comp::Comp;
use super::take::{Take, middle};
use crate::Word;

/// In order, none overlapping the next.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Shown {
    pub words: Vec<Word>,
    /// The middle of each before it was cut: it tells which piece the word belongs to.
    middles: Vec<f64>,
}

impl Shown {
    /// Brings the words up to date where pieces between two seconds have changed, and tells whether any word did. Costs
    /// what lies there, not the whole.
    pub fn refresh(&mut self, from: f64, to: f64, comp: &Comp, takes: &[Take]) -> bool {
        // The neighbours too: they may be cut otherwise now.
        let first = self.middles.partition_point(|m| *m < from).saturating_sub(1);
        let behind = (self.middles.partition_point(|m| *m < to) + 1).min(self.middles.len()).max(first);
        let from = self.middles.get(first).map_or(from, |m| m.min(from));
        let last = if behind > first { self.middles[behind - 1].max(to) } else { to };
        // Words without a length share a middle: all of them are brought up to date, or none.
        let first = self.middles.partition_point(|m| *m < from);
        let behind = self.middles.partition_point(|m| *m <= last).max(first);
        let (mut words, mut middles) = (Vec::new(), Vec::new());
        for piece in comp.touched(from, last) {
            let Some(take) = find(takes, piece.take) else { continue };
            let all = take.words_in(piece.from.max(from), piece.to);
            for w in all.iter().take_while(|w| middle(w) <= last) {
                words.push(Word { start: w.start.max(piece.from), end: w.end.min(piece.to), ..w.clone() });
                middles.push(middle(w));
            }
        }
        if self.words[first..behind] == words {
            return false;
        }
        self.words.splice(first..behind, words);
        self.middles.splice(first..behind, middles);
        true
    }

    /// The word that begins before a second and ends after it.
    pub fn across(&self, seconds: f64) -> Option<&Word> {
        let word = self.words.get(self.words.partition_point(|w| w.end <= seconds))?;
        (word.start < seconds).then_some(word)
    }
}

/// The take of this number; takes are in order of their numbers.
pub(super) fn find(takes: &[Take], id: u32) -> Option<&Take> {
    takes.binary_search_by_key(&id, |t| t.id).ok().map(|i| &takes[i])
}
