//! What keeps a transcript bounded: takes that say the same become one, the oldest takes go first, and what is shown
//! goes last.

use super::Transcript;
use super::comp::Comp;
use super::shown::{Shown, find};
use super::take::{Take, middle};
use crate::Word;

/// More words than this are not shown: the earliest go first. Some ten hours of talk.
pub const MAX_WORDS: usize = 100_000;
/// More words than this are not kept in takes that aren't shown: the oldest takes go first.
pub const MAX_HIDDEN: usize = 100_000;
/// More takes than this are not kept.
pub const MAX_TAKES: usize = 1000;

impl Transcript {
    /// Drops the last take if another one says the same, or else those that it says.
    pub(super) fn merge(&mut self) {
        let Some((new, olds)) = self.takes.split_last() else { return };
        let id = new.id;
        if let Some(old) = olds.iter().rev().find(|old| old.repeats(new)).map(|t| t.id) {
            self.drop_take(id, Some(old));
        } else if new.words.is_empty() && olds.iter().all(|t| t.words_in(new.from, new.to).is_empty()) {
            // Silence over nothing.
            self.drop_take(id, None);
        } else {
            let same: Vec<u32> = olds.iter().filter(|old| new.repeats(old)).map(|t| t.id).collect();
            same.into_iter().for_each(|old| self.drop_take(old, Some(id)));
        }
    }

    /// Drops a take; where it was shown another one is, or none.
    fn drop_take(&mut self, id: u32, by: Option<u32>) {
        let Ok(i) = self.takes.binary_search_by_key(&id, |t| t.id) else { return };
        let take = self.takes.remove(i);
        self.comp.replace(id, by);
        self.shown.refresh(take.from, take.to, &self.comp, &self.takes);
    }

    /// Keeps to the bounds. Not while a pass is being heard.
    pub(super) fn bound(&mut self) {
        self.bound_words();
        self.hide_no_more_than(MAX_HIDDEN, MAX_TAKES);
        if self.takes.len() > MAX_TAKES {
            self.make_one_of_the_oldest(self.takes.len() - MAX_TAKES / 2);
        }
    }

    /// Drops the earliest words where too many are shown.
    pub(super) fn bound_words(&mut self) {
        self.show_no_more_than(MAX_WORDS);
    }

    pub(super) fn show_no_more_than(&mut self, most: usize) {
        let surplus = self.shown.words.len().saturating_sub(most);
        if surplus == 0 {
            return;
        }
        let from = self.shown.words.get(surplus).map_or(f64::INFINITY, |w| w.start);
        self.comp.assign(f64::NEG_INFINITY, from, None);
        for take in &mut self.takes {
            let gone = take.words.partition_point(|w| middle(w) < from);
            take.words.drain(..gone);
            take.from = take.from.max(from.min(take.to));
        }
        let open = self.takes.last().filter(|_| self.pass.is_some()).map(|t| t.id);
        self.takes.retain(|t| t.to > from || Some(t.id) == open);
        self.shown.refresh(f64::NEG_INFINITY, from, &self.comp, &self.takes);
    }

    /// Words in takes that aren't shown.
    fn hidden(&self) -> usize {
        self.takes.iter().map(|t| t.words.len()).sum::<usize>().saturating_sub(self.shown.words.len())
    }

    /// Drops takes of which nothing is shown, the oldest first, until no more than so many words are hidden and no more
    /// than so many takes are kept; then the hidden words of the others.
    pub(super) fn hide_no_more_than(&mut self, words: usize, takes: usize) {
        let last = if self.pass.is_some() { self.takes.last().map(|t| t.id) } else { None };
        while self.takes.len() > takes || self.hidden() > words {
            let Some(id) = self.takes.iter().map(|t| t.id).find(|id| !self.comp.shows(*id) && Some(*id) != last) else {
                break;
            };
            self.drop_take(id, None);
        }
        for i in 0..self.takes.len() {
            if self.hidden() <= words {
                return;
            }
            let Some(take) = self.takes.get(i).filter(|t| Some(t.id) != last) else { continue };
            let words = shown_of(&self.comp, std::slice::from_ref(take));
            self.takes[i].words = words;
        }
    }

    /// Makes one take of what is shown of the first so many.
    fn make_one_of_the_oldest(&mut self, count: usize) {
        let old: Vec<Take> = self.takes.drain(..count.min(self.takes.len())).collect();
        let Some(id) = old.first().map(|t| t.id) else { return };
        let mine: Vec<_> = self.comp.pieces().iter().filter(|p| find(&old, p.take).is_some()).copied().collect();
        let words = shown_of(&self.comp, &old);
        old.iter().for_each(|t| self.comp.replace(t.id, Some(id)));
        if let (Some(first), Some(last)) = (mine.first(), mine.last()) {
            self.takes.insert(0, Take { id, from: first.from, to: last.to, free: !self.rolled, words });
        }
        self.shown = Shown::default();
        self.shown.refresh(f64::NEG_INFINITY, f64::INFINITY, &self.comp, &self.takes);
    }
}

/// The words that are shown of some takes, in order, cut where their pieces end.
fn shown_of(comp: &Comp, takes: &[Take]) -> Vec<Word> {
    let mut words = Vec::new();
    for piece in comp.pieces() {
        let all = find(takes, piece.take).map_or(&[][..], |t| t.words_in(piece.from, piece.to));
        words.extend(all.iter().map(|w| Word {
            start: w.start.max(piece.from),
            end: w.end.min(piece.to),
            ..w.clone()
        }));
    }
    words
}
