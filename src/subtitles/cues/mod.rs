//! From words to cues that a broadcaster takes: where cues begin and end, and how long they stay. Knows neither models
//! nor file formats.
//!
//! [`cut`](self::cut) finds the cuts, [`schedule`](self::schedule) the times, [`lint()`] checks them without knowing
//! either. The numbers are those of the published style guides (Netflix Timed Text Style Guide, BBC Subtitle
//! Guidelines, CEA-608).

mod charset;
mod cut;
mod leaning;
mod lines;
mod lint;
mod norm;
mod schedule;
mod spoken;
mod style;
#[cfg(test)]
mod tests;

pub use charset::Charset;
pub use lines::roll_up;
pub use lint::{leaning_ends, lint};
pub use norm::{Norm, Violation, told};
pub use spoken::{DASH, Spoken, SpokenCue, spoken_cues, spoken_cues_within};
pub use style::{Style, Tailored};

use serde::{Deserialize, Serialize};

use super::Word;
use super::language::{Language, repartitioned, width};
use lines::break_lines;
use schedule::{Unit, schedule};

/// One caption on the screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cue {
    /// When it appears, in seconds; a whole number of milliseconds where [`cues`] made it.
    pub start: f64,
    /// When it goes, in seconds.
    pub end: f64,
    /// Its lines, top first.
    pub lines: Vec<String>,
    /// The norms of its style that these words can't be made to keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<Norm>,
}

impl Cue {
    /// All lines in one, with spaces between where their scripts have them.
    pub fn text(&self) -> String {
        self.text_in(&Language::default())
    }

    /// The same, in a language that says where spaces stand.
    pub fn text_in(&self, language: &Language) -> String {
        language.joined(self.lines.iter().map(String::as_str))
    }
}

/// What the millisecond clock can't tell apart.
const CLOCK: f64 = 1.1;

/// Cuts words into cues. Every word appears once and in order; cues are in order and never overlap. Words without
/// letters or times are left out.
pub fn cues(words: &[Word], style: &Style) -> Vec<Cue> {
    cues_within(words, style, None)
}

/// The same for a sound that ends at a second, if that is known: no cue lasts longer.
pub fn cues_within(words: &[Word], style: &Style, end: Option<f64>) -> Vec<Cue> {
    let words = cleaned(words, style);
    let parts: Vec<&[Word]> = cut::cut(&words, style).into_iter().map(|range| &words[range]).collect();
    let lines: Vec<Vec<String>> = parts.iter().map(|part| break_lines(part, style)).collect();
    let units: Vec<Unit> = parts.iter().zip(&lines).map(|(part, lines)| unit(part, lines, style)).collect();
    timed(&units, lines, style, end)
}

/// What words in lines ask of the clock.
fn unit(words: &[Word], lines: &[String], style: &Style) -> Unit {
    let characters = width(&style.language.joined(lines.iter().map(String::as_str)));
    let times = words.first().zip(words.last()).map_or((0, 0), |(a, b)| (milliseconds(a.start), milliseconds(b.end)));
    Unit { first: times.0, last: times.1, characters }
}

/// Cues at their times, each with the norms that it could not keep.
fn timed(units: &[Unit], lines: Vec<Vec<String>>, style: &Style, end: Option<f64>) -> Vec<Cue> {
    let end = end.filter(|end| end.is_finite()).map(|end| (end * 1000.0 + 1e-6).floor() as i64);
    let mut out = Vec::with_capacity(units.len());
    for ((unit, lines), (start, end)) in units.iter().zip(lines).zip(schedule(units, style, end)) {
        let length = (end - start) as f64 + CLOCK;
        let unmet = [
            (lines.iter().any(|l| width(l) > style.line_characters), Norm::LineLength),
            (lines.iter().any(|l| style.charset.missing(l) > 0), Norm::Characters),
            (unit.characters as f64 * 1000.0 > length * style.characters_a_second, Norm::Speed),
            (length < style.min_seconds * 1000.0, Norm::Shortest),
            ((start - unit.first) as f64 > style.in_time * 1000.0 + CLOCK, Norm::Late),
        ];
        let unmet = unmet.into_iter().filter(|(broken, _)| *broken).map(|(_, norm)| norm).collect();
        out.push(Cue { start: start as f64 / 1000.0, end: end as f64 / 1000.0, lines, unmet });
    }
    out
}

/// Seconds on the clock of caption files.
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// Words that can be shown: one line each, in the style's characters, no control characters, times that rise on the
/// clock of files; where no space parts them, as they may stand on lines.
fn cleaned(words: &[Word], style: &Style) -> Vec<Word> {
    let shown = visible(words, style);
    let parts = repartitioned(&shown, &style.language, style.pause, style.line_characters);
    parts.into_iter().map(on_clock(0.0)).collect()
}

/// A word on the millisecond clock, and no earlier than those before it.
fn on_clock(mut floor: f64) -> impl FnMut(Word) -> Word {
    move |w| {
        let start = (milliseconds(w.start) as f64 / 1000.0).max(floor);
        let end = (milliseconds(w.end) as f64 / 1000.0).max(start);
        floor = start;
        Word { start, end, ..w }
    }
}

fn visible(words: &[Word], style: &Style) -> Vec<Word> {
    let mut rise = on_clock(0.0);
    let mut out = Vec::with_capacity(words.len());
    for w in words {
        let visible: String = w.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = style.charset.nearest(&visible).split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() || !w.start.is_finite() || !w.end.is_finite() {
            continue;
        }
        out.push(rise(Word { text, ..w.clone() }));
    }
    out
}
