//! What a display of a few rows shows next, so that every final word stands there for a while, however slow or broken
//! the way to it was. Knows neither clocks nor connections: who drives it says when.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::rows::{Rows, pieces};
use super::wire::News;
use mynah_subtitles::Word;
use mynah_subtitles::cues::Style;
use mynah_subtitles::language::width;

/// Words that wait for a display at most: more than a minute of talk. More of them would only be read when they no
/// longer matter.
pub const MOST_WAITING: usize = 200;
/// Words that catch up are shown at this speed, in characters a second: twice as fast as people speak, and the fastest
/// that people read.
const CATCH_UP: f64 = 30.0;
/// The shortest time for which words stand that more wait behind.
const SHORTEST: f64 = 0.8;

/// See the top of the file.
#[derive(Debug)]
pub struct Display {
    style: Style,
    /// Bytes that the display takes.
    bytes: usize,
    /// Whether words that may still change are shown.
    partials: bool,
    waiting: VecDeque<Word>,
    rows: Rows,
    partial: Arc<[Word]>,
    lost: u64,
}

/// What is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The rows, top first, with line breaks between them.
    pub text: String,
    /// How long it must stand at least, because more words wait.
    pub stand: Option<Duration>,
}

impl Display {
    /// Rows of a style, so many bytes together at most, with or without partials.
    pub fn new(style: Style, bytes: usize, partials: bool) -> Self {
        Self {
            style,
            bytes,
            partials,
            waiting: VecDeque::new(),
            rows: Rows::default(),
            partial: Arc::default(),
            lost: 0,
        }
    }

    /// Takes what has come.
    pub fn take(&mut self, news: News) {
        self.lost += news.lost;
        self.waiting.extend(news.finals.iter().flat_map(|(_, w)| pieces(w, &self.style)));
        let surplus = self.waiting.len().saturating_sub(MOST_WAITING);
        self.waiting.drain(..surplus);
        self.lost += surplus as u64;
        if let Some(partial) = news.partial.filter(|_| self.partials) {
            self.partial = partial;
        }
    }

    /// What is to be shown now: as many of the waiting words as have room, behind those that stand.
    pub fn show(&mut self) -> Shown {
        let mut fresh = 0;
        let mut new_text = 0;
        while let Some(word) = self.waiting.front() {
            let mut rows = self.rows.clone();
            let started = rows.add(word, &self.style);
            let holding = if started || fresh == 0 { fresh + 1 } else { fresh };
            let all = rows.rows();
            let bytes: usize =
                all[all.len().saturating_sub(holding)..].iter().map(|r| r.len() + 1).sum::<usize>().saturating_sub(1);
            if holding > self.style.lines || (bytes > self.bytes && fresh > 0) {
                break;
            }
            if bytes > self.bytes {
                // The first word has no room beside those that stand in its row.
                self.rows.clear();
                continue;
            }
            (self.rows, fresh) = (rows, holding);
            new_text += width(&word.text) + 1;
            self.waiting.pop_front();
        }
        let (rows, started) = self.rows.with(&self.partial, &self.style);
        // Nor may words that still change push those away that come up just now.
        if self.waiting.is_empty() && (fresh == 0 || fresh + started <= self.style.lines) {
            Shown { text: rows.text_within(self.bytes), stand: None }
        } else {
            let stand = Duration::from_secs_f64((new_text as f64 / CATCH_UP).max(SHORTEST));
            Shown { text: self.rows.text_within(self.bytes), stand: Some(stand) }
        }
    }

    /// Nothing is shown and nothing waits any more. What is said next begins anew.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.rows.clear();
        self.partial = Arc::default();
    }

    /// Final words that were dropped before they were shown.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{words, words_at};
    use proptest::prelude::*;

    fn finals(words: Vec<Word>) -> News {
        News { finals: (1..).zip(words).collect(), ..News::default() }
    }

    #[test]
    fn partials_stand_behind_the_finals_and_go() {
        let mut display = Display::new(Style { line_characters: 10, lines: 2, ..Style::live() }, usize::MAX, true);
        display.take(News { partial: Some(words("one two").into()), ..finals(vec![]) });
        assert_eq!(display.show(), Shown { text: "one two".to_owned(), stand: None });
        display.take(News { partial: Some(Arc::default()), ..finals(words("one too")) });
        assert_eq!(display.show().text, "one too");
        display.take(News {
            partial: Some(words_at("and more that rolls", 5.0).into()),
            ..finals(words_at("fills both rows", 1.0))
        });
        let full = display.show();
        assert!(full.text == "fills both\nrows" && full.stand.is_some(), "{full:?}");
        assert_eq!(display.show().text, "and more\nthat rolls");
        display.clear();
        assert_eq!(display.show().text, "");
    }

    #[test]
    fn what_waits_is_bounded_and_the_loss_is_counted() {
        let mut display = Display::new(Style::cea608(), 128, false);
        display.take(finals(words(&"word ".repeat(MOST_WAITING + 30))));
        assert_eq!(display.lost(), 30);
        let first = display.show();
        assert!(first.stand.is_some_and(|s| s > Duration::from_secs(1)), "{first:?}");
    }

    proptest! {
        #[test]
        fn every_final_word_is_shown_within_rows_and_bytes(text in "([a-z]{1,9} |[漢字仮名]{1,40} |[😀é]{1,9} ){1,30}", lines in 1usize..4) {
            let style = Style { lines, ..Style::cea608() };
            let mut display = Display::new(style.clone(), 128, false);
            let said = words(&text);
            prop_assume!(said.iter().map(|w| pieces(w, &style).len()).sum::<usize>() <= MOST_WAITING);
            display.take(finals(said.clone()));
            let mut seen: Vec<String> = Vec::new();
            for _ in 0..500 {
                let shown = display.show();
                prop_assert!(shown.text.len() <= 128 && shown.text.lines().count() <= lines, "{shown:?}");
                prop_assert!(shown.text.lines().all(|l| width(l) <= 32));
                seen.push(shown.text);
                if shown.stand.is_none() {
                    break;
                }
            }
            // Each word, cut as it is where it is too long, stands in one of the pictures, and they come in order.
            let mut at = (0, 0);
            for piece in said.iter().flat_map(|w| pieces(w, &style)) {
                let found = (at.0..seen.len()).find_map(|i| {
                    let from = if i == at.0 { at.1 } else { 0 };
                    let rest = &seen[i][from..];
                    rest.find(&piece.text).map(|k| (i, from + k + piece.text.len()))
                });
                prop_assert!(found.is_some(), "{:?} in {:?}", piece.text, seen);
                at = found.unwrap_or(at);
            }
        }
    }
}
