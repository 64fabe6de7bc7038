//! Words in rows as a live display shows them: rows fill up from the left and roll up, and no word that stands moves.
//! Unlike `cues::roll_up` it keeps only what is shown, so a stream of any length costs the same. Knows no outlet.

use mynah_subtitles::Word;
use mynah_subtitles::cues::Style;
use mynah_subtitles::language::{fitting, repartitioned, width};

/// Rows on a display.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    rows: Vec<String>,
    /// Columns of the last row that are taken.
    used: usize,
    /// When the last word ended, on the words' timeline in seconds.
    end: Option<f64>,
}

impl Rows {
    /// Adds a word that fits into a row (see [`pieces`]); a long pause, or a jump back on the timeline, starts a new
    /// row. Tells whether it did.
    pub fn add(&mut self, word: &Word, style: &Style) -> bool {
        let columns = width(&word.text);
        let glue = self.rows.last().map_or("", |row| style.language.glue(row, &word.text));
        let together = self.end.is_some_and(|end| word.start - end < style.pause && word.start > end - style.pause);
        self.end = Some(word.end);
        match self.rows.last_mut() {
            Some(row) if together && self.used + glue.len() + columns <= style.line_characters => {
                row.push_str(glue);
                row.push_str(&word.text);
                self.used += glue.len() + columns;
                false
            }
            _ => {
                self.rows.push(word.text.clone());
                self.used = columns;
                let surplus = self.rows.len().saturating_sub(style.lines.max(1));
                self.rows.drain(..surplus);
                true
            }
        }
    }

    /// The rows with words behind them that may still change, and how many rows those start.
    pub fn with(&self, partial: &[Word], style: &Style) -> (Rows, usize) {
        let mut rows = self.clone();
        let started = partial.iter().flat_map(|w| pieces(w, style)).filter(|w| rows.add(w, style)).count();
        (rows, started)
    }

    /// The rows, top first.
    pub fn rows(&self) -> &[String] {
        &self.rows
    }

    /// The last rows that fit into so many bytes with the line breaks between them.
    pub fn text_within(&self, bytes: usize) -> String {
        let mut from = self.rows.len();
        let mut used = 0;
        while from > 0 && used + self.rows[from - 1].len() + usize::from(used > 0) <= bytes {
            used += self.rows[from - 1].len() + usize::from(used > 0);
            from -= 1;
        }
        self.rows[from..].join("\n")
    }

    /// Takes all rows away.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A word as a display takes it: on one line, without control characters, which could be taken for commands, cut where
/// it is longer than a row, and where no space parts what may stand on two. None where nothing is left to show.
pub fn pieces(word: &Word, style: &Style) -> Vec<Word> {
    let visible: String = word.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return Vec::new();
    }
    let mut out = Vec::new();
    for part in repartitioned(&[Word { text, ..word.clone() }], &style.language, style.pause, style.line_characters) {
        let mut rest = part.text.as_str();
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(fitting(rest, style.line_characters));
            out.push(Word { text: piece.to_owned(), ..part.clone() });
            rest = more;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{words, words_at};
    use proptest::prelude::*;

    fn style(line_characters: usize, lines: usize) -> Style {
        Style { line_characters, lines, ..Style::live() }
    }

    #[test]
    fn rows_fill_up_and_roll() {
        let (mut rows, style) = (Rows::default(), style(10, 2));
        words("one two three four five").iter().for_each(|w| {
            rows.add(w, &style);
        });
        assert_eq!(rows.rows().join("\n"), "three four\nfive");
        assert_eq!(rows.with(&words_at("six", 2.5), &style).0.rows().join("\n"), "three four\nfive six");
        assert_eq!(rows.with(&words_at("later", 9.0), &style).0.rows().join("\n"), "five\nlater");
        assert_eq!(rows.with(&words_at("jump", 0.0), &style).0.rows().join("\n"), "five\njump");
        assert_eq!(rows.rows().join("\n"), "three four\nfive");
    }

    #[test]
    fn a_long_word_is_cut_between_characters_and_bytes_are_kept() {
        let (mut rows, style) = (Rows::default(), style(8, 3));
        for piece in pieces(&words("Donau\u{7}dämpfschifffahrt")[0], &style) {
            assert!(rows.add(&piece, &style));
        }
        assert_eq!(rows.rows(), ["Donau dä", "mpfschif", "ffahrt"]);
        assert_eq!(rows.text_within(15), "mpfschif\nffahrt");
        assert_eq!(rows.text_within(14), "ffahrt");
    }

    #[test]
    fn rows_of_chinese_have_no_spaces_and_fill_up() {
        let (mut rows, style) = (Rows::default(), style(12, 3));
        for piece in words("今 天 天 气 很 好 ， 我们一起去公园散步吧。").iter().flat_map(|w| pieces(w, &style))
        {
            rows.add(&piece, &style);
        }
        assert_eq!(rows.rows(), ["今天天气很好", "，我们一起去", "公园散步吧。"]);
    }

    proptest! {
        #[test]
        fn no_word_that_stands_moves(text in "(([a-zäß]{1,12}|[漢字はが。]{1,30}|[ก-๛]{1,20}) ){1,40}", characters in 5usize..40, lines in 1usize..4) {
            let (mut rows, style) = (Rows::default(), style(characters, lines));
            for w in words(&text).iter().flat_map(|w| pieces(w, &style)) {
                let before = rows.rows().to_vec();
                rows.add(&w, &style);
                let after = rows.rows();
                prop_assert!(after.len() <= lines && after.iter().all(|r| width(r) <= characters.max(2)));
                // What stands is the beginning of what stands now, less what rolled away above.
                let joined = |r: &[String]| r.join("\n");
                let held = (0..=before.len()).any(|k| joined(after).starts_with(&joined(&before[k..])) );
                prop_assert!(held, "{before:?} {after:?}");
                prop_assert!(rows.text_within(128).len() <= 128);
            }
        }
    }
}
