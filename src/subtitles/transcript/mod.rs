//! All that was said, on the host's timeline. Each pass over a stretch is a take; the newest one is shown, also where
//! it heard only silence, and older ones can be chosen again. Knows neither sound nor models.
//!
//! At the ends of a pass words are cut in two. A word that an earlier take has whole stays there, where the pass heard
//! a piece of it or nothing; all else that the pass heard stands.

mod bounds;
mod comp;
mod saved;
mod shown;
pub mod sidecar;
mod take;
#[cfg(test)]
mod tests;

pub use bounds::{MAX_HIDDEN, MAX_TAKES, MAX_WORDS};
pub use comp::Piece;
pub use saved::{MAX_BYTES, SavedError};
pub use take::{SAME_TIME, Take};

use comp::Comp;
use shown::{Shown, find};
use take::{in_order, middle, rounded};

use super::Event;
use super::Word;

/// Without word of where a pass begins: words that follow the last final one within so many seconds belong to the same
/// pass.
const SAME_PASS: f64 = 3.0;
/// A word that begins or ends this close to the end of a pass, in seconds, was cut there.
const AT_CUT: f64 = 0.15;
/// A word of which a pass missed less than this share was heard whole.
const MISSED: f64 = 0.25;

/// Where the sound of a pass stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the timeline of a host whose transport rolls.
    Rolling,
    /// Nowhere: the transport stands still, or there is none. Such words are shown as long as no pass on a timeline has
    /// been heard.
    Free,
}

/// The pass that is being heard. Its take is the last one.
#[derive(Debug, Clone, PartialEq)]
struct Pass {
    /// Whether its beginning was told, and is not only that of its first word.
    told: bool,
    /// Its take is shown from here to there; none while it is open who has the word at its beginning.
    shown: Option<(f64, f64)>,
}

/// The words that are shown, in order and not overlapping, what may still change, and the takes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// In order of their numbers.
    takes: Vec<Take>,
    next: u32,
    comp: Comp,
    shown: Shown,
    pass: Option<Pass>,
    /// Whether a pass on a host's timeline has been heard.
    rolled: bool,
    partial: Vec<Word>,
    speaker: String,
    revision: u64,
    edition: u64,
}

impl Transcript {
    /// A pass begins: what is told from now on was heard from this second on. The pass before is over.
    pub fn begin(&mut self, seconds: f64, place: Place) {
        self.end();
        if seconds.is_finite() {
            self.start(rounded(seconds), place == Place::Free, true);
        }
    }

    /// Takes what the stream tells. Words whose times are no numbers are left out. Without `begin` a pass begins with
    /// its first word, and another one where time jumps back, or forward by more than some seconds.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Partial(words) if self.partial == words => {}
            Event::Partial(words) => {
                self.partial = words;
                self.revision += 1;
            }
            Event::Final(words) => self.say(in_order(words, f64::NEG_INFINITY)),
        }
    }

    /// All words of the pass before this second have been told: where there were none was silence.
    pub fn heard(&mut self, seconds: f64) {
        let Some(take) = self.takes.last_mut().filter(|_| self.pass.is_some()) else { return };
        if seconds.is_finite() && rounded(seconds) > take.to {
            take.to = rounded(seconds);
            self.cover(false);
        }
    }

    /// The pass is over. A take that says only what another one says is dropped.
    pub fn end(&mut self) {
        self.cover(true);
        if let Some(pass) = self.pass.take() {
            self.give_back_cut_word(&pass);
            self.merge();
            self.bound();
            self.revision += 1;
        }
    }

    /// The final words that are shown, in order of time; none overlaps the next.
    pub fn words(&self) -> &[Word] {
        &self.shown.words
    }

    /// The words that may still change.
    pub fn partial(&self) -> &[Word] {
        &self.partial
    }

    /// The final words of the newest pass: what was said last, wherever it stands on the timeline.
    pub fn latest(&self) -> &[Word] {
        self.takes.last().map_or(&[], Take::words)
    }

    /// Who speaks: the name of the track. Empty where nobody told.
    pub fn speaker(&self) -> &str {
        &self.speaker
    }

    /// Tells who speaks.
    pub fn set_speaker(&mut self, name: &str) {
        if self.speaker != name {
            name.clone_into(&mut self.speaker);
            self.revision += 1;
        }
    }

    /// Changes with each change: a reader compares it and looks again.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Changes with each change of the words and of what is shown of them: whoever keeps that compares it.
    pub fn edition(&self) -> u64 {
        self.edition
    }

    /// The takes that heard something from one second to another, the newest first.
    pub fn takes(&self, from: f64, to: f64) -> Vec<&Take> {
        self.takes.iter().rev().filter(|t| t.from < to && t.to > from).collect()
    }

    /// Which take is shown where, in order of time.
    pub fn pieces(&self) -> &[Piece] {
        self.comp.pieces()
    }

    /// Shows a take from one second to another, as far as it goes. Tells whether there is such a take.
    pub fn choose(&mut self, take: u32, from: f64, to: f64) -> bool {
        let Some(chosen) = find(&self.takes, take) else { return false };
        let (from, to) = (rounded(from).max(chosen.from), rounded(to).min(chosen.to));
        self.show(from, to, Some(take));
        self.changed();
        true
    }

    /// Forgets all words and takes. A pass that is being heard goes on.
    pub fn clear(&mut self) {
        self.replace(Self { rolled: self.rolled, ..Self::default() });
    }

    /// Takes over the words and takes of another transcript in place of its own. A pass that is being heard goes on,
    /// over them.
    pub fn replace(&mut self, other: Transcript) {
        let heard = self.pass.take().zip(self.takes.last().map(|t| (t.to, t.free)));
        let (revision, edition) = (self.revision.max(other.revision) + 1, self.edition.max(other.edition) + 1);
        let (speaker, partial) = (std::mem::take(&mut self.speaker), std::mem::take(&mut self.partial));
        *self = Self { revision, edition, speaker, pass: None, partial: Vec::new(), ..other };
        if let Some((pass, (from, free))) = heard {
            self.partial = partial;
            self.start(from, free, pass.told);
        }
    }

    fn start(&mut self, from: f64, free: bool, told: bool) {
        if !free && !self.rolled {
            // There is a timeline after all: what was said without one has no place on it.
            self.rolled = true;
            self.comp.clear();
            self.shown = Shown::default();
        }
        self.takes.push(Take::new(self.next, from, free));
        self.next = self.next.wrapping_add(1);
        self.pass = Some(Pass { told, shown: None });
        self.revision += 1;
    }

    fn changed(&mut self) {
        self.revision += 1;
        self.edition += 1;
    }

    fn say(&mut self, words: Vec<Word>) {
        let Some(first) = words.first() else { return };
        let told = self.pass.as_ref().is_some_and(|p| p.told);
        let follows = self
            .pass
            .as_ref()
            .and(self.takes.last())
            .is_some_and(|t| (0.0..=SAME_PASS).contains(&(first.start - t.to)));
        if !told && !follows {
            let start = first.start;
            self.end();
            // Nobody told of a timeline; the words stand where they say.
            self.start(start, !self.rolled, false);
        }
        if let Some(take) = self.takes.last_mut() {
            take.add(words);
        }
        self.cover(false);
        self.bound_words();
        self.changed();
    }

    /// Shows the take of the pass up to where it has been heard.
    fn cover(&mut self, last: bool) {
        let (Some(pass), Some(take)) = (&self.pass, self.takes.last()) else { return };
        if take.free && self.rolled {
            return;
        }
        let (id, from, to) = (take.id, take.from, take.to);
        let (began, front) = match pass.shown {
            Some(shown) => shown,
            None => match self.shown.across(from).filter(|_| pass.told) {
                Some(old) if to < old.end && !last => return,
                Some(old) if keeps_beginning(old, take) => (old.end, old.end),
                _ => (from, from),
            },
        };
        let edge = match self.shown.across(to) {
            Some(old) if !take.words.last().is_some_and(|w| middle(w) > old.start) => old.start.max(front),
            _ => to,
        };
        if let Some(pass) = &mut self.pass {
            pass.shown = Some((began, front.max(edge)));
        }
        self.show(front, edge, Some(id));
    }

    /// The word at the end of a pass may have been cut there: where the take below has it whole, that one is shown.
    fn give_back_cut_word(&mut self, pass: &Pass) {
        let Some((take, (began, _))) = self.takes.last().zip(pass.shown).filter(|_| pass.told) else { return };
        let to = take.to;
        let below = self.comp.at(to).filter(|p| p.take != take.id).and_then(|p| find(&self.takes, p.take));
        let Some((below, old, new)) = below.and_then(|t| Some((t, t.across(to)?, take.words.last()?))) else { return };
        let cut = to - new.end < AT_CUT && (new.start - old.start).abs() < AT_CUT;
        let from = old.start.min(new.start).max(began);
        // Neither may another word of the pass be lost with it, nor another one of the take below come back.
        let alone = take.words.iter().rev().nth(1).is_none_or(|before| middle(before) < from)
            && below.words_in(from, old.start).is_empty();
        if cut && alone && old.end - to >= MISSED * (old.end - old.start) {
            let below = below.id;
            self.show(from, to, Some(below));
        }
    }

    fn show(&mut self, from: f64, to: f64, take: Option<u32>) {
        self.comp.assign(from, to, take);
        if self.shown.refresh(from, to, &self.comp, &self.takes) {
            self.changed();
        }
    }
}

/// Whether an earlier word that reaches into a take stays whole: the take has no word there, or only the rest of that
/// one.
fn keeps_beginning(old: &Word, take: &Take) -> bool {
    match take.words.first().filter(|new| middle(new) < old.end) {
        None => true,
        Some(new) => {
            let rest = new.start - take.from < AT_CUT && (new.end - old.end).abs() < AT_CUT;
            // A further word inside the earlier one would be lost with the rest.
            let alone = take.words.get(1).is_none_or(|next| middle(next) >= old.end);
            rest && alone && take.from - old.start >= MISSED * (old.end - old.start)
        }
    }
}
