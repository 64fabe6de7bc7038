//! From words to cues that a broadcaster takes: where cues begin and end, and how long they stay. Knows neither models nor file formats.
//!
//! The cuts are found by dynamic programming over the words between two pauses: each possible cue has a cost, and the cheapest row of cues
//! is taken. The numbers are those of the published style guides (Netflix Timed Text Style Guide, BBC Subtitle Guidelines, CEA-608).

mod lines;
mod style;
#[cfg(test)]
mod tests;

pub use lines::roll_up;
pub use style::{Norm, Style};

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Word;
use lines::{break_lines, ends_clause, ends_sentence, inside_name, line_cost, weak_end};

/// One caption on the screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cue {
    /// When it appears, in seconds.
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
    /// All lines in one, with spaces between.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }
}

/// A cue is never shorter than this, whatever the words say.
const SHORTEST: f64 = 0.2;
/// A cue may begin three frames of 24 a second behind its sound.
const LATE: f64 = 3.0 / 24.0;
/// How much a bad line break counts beside a bad end of a cue.
const LINE_WEIGHT: f64 = 0.6;
/// Times are compared with this much room: a hundredth of a millisecond.
const ROOM: f64 = 1e-5;

/// Cuts words into cues. Every word appears once and in order; cues are in order and never overlap. Words without letters or times are left out.
pub fn cues(words: &[Word], style: &Style) -> Vec<Cue> {
    let words = cleaned(words);
    let mut cuts: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for i in 1..=words.len() {
        if i == words.len() || words[i].start - words[i - 1].end >= style.pause {
            cut(&words, start..i, style, &mut cuts);
            start = i;
        }
    }
    let mut out: Vec<Cue> = Vec::with_capacity(cuts.len());
    for (k, range) in cuts.iter().enumerate() {
        let next = cuts.get(k + 1).map(|r| words[r.start].start);
        let free_from = out.last().map_or(f64::NEG_INFINITY, |c| c.end + style.gap);
        out.push(cue(&words[range.clone()], free_from, next, style));
    }
    out
}

/// Words that can be shown: one line each, no control characters, times that rise.
fn cleaned(words: &[Word]) -> Vec<Word> {
    let mut floor = 0.0f64;
    let mut out = Vec::with_capacity(words.len());
    for w in words {
        let visible: String = w.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = visible.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() || !w.start.is_finite() || !w.end.is_finite() {
            continue;
        }
        let start = w.start.max(floor);
        let end = w.end.max(start);
        floor = start;
        out.push(Word { text, start, end, confidence: w.confidence });
    }
    out
}

/// The cheapest row of cues over words without a long pause.
fn cut(words: &[Word], range: Range<usize>, style: &Style, cuts: &mut Vec<Range<usize>>) {
    let n = range.len();
    // best[j]: the cost of the first j words and where the last cue of them starts.
    let mut best = vec![(f64::INFINITY, 0usize); n + 1];
    best[0] = (0.0, 0);
    for i in 0..n {
        let mut characters = 0;
        for j in i + 1..=n {
            let part = &words[range.start + i..range.start + j];
            characters += part[j - i - 1].text.chars().count() + usize::from(j > i + 1);
            let alone = j == i + 1;
            let long = part[part.len() - 1].end - part[0].start > style.max_seconds;
            let lines = line_cost(part, style);
            if !alone && (long || lines.is_none()) {
                break;
            }
            let next = words.get(range.start + j);
            let cost = best[i].0 + cost(part, characters, next, j == n, style) + LINE_WEIGHT * lines.unwrap_or(0.0);
            if cost < best[j].0 {
                best[j] = (cost, i);
            }
        }
    }
    let first = cuts.len();
    let mut j = n;
    while j > 0 {
        let i = best[j].1;
        cuts.push(range.start + i..range.start + j);
        j = i;
    }
    cuts[first..].reverse();
}

/// What a cue of these words costs: one for being there, more for a bad place to end, for haste and for sentences run together.
fn cost(part: &[Word], characters: usize, next: Option<&Word>, last: bool, style: &Style) -> f64 {
    let (first, end) = (&part[0], &part[part.len() - 1]);
    let free = next.map_or(style.max_seconds, |n| (n.start - style.gap - first.start).clamp(0.0, style.max_seconds));
    let needed = (characters as f64 / style.characters_a_second).max(style.min_seconds);
    let haste = ((needed - free) / needed).max(0.0);
    let place = match end.text.as_str() {
        _ if last => 0.0,
        text if ends_sentence(text) => 0.0,
        text if ends_clause(text) => 0.3,
        text if weak_end(text) => 2.5,
        text if next.is_some_and(|n| inside_name(text, &n.text)) => 2.5,
        _ => 0.8,
    };
    let breath = next.map_or(0.0, |n| (n.start - end.end).clamp(0.0, 0.5));
    let ends_inside = part[..part.len() - 1].iter().filter(|w| ends_sentence(&w.text)).count();
    let pauses_inside: f64 = part.windows(2).map(|p| (p[1].start - p[0].end - 0.3).max(0.0)).sum();
    1.0 + 8.0 * haste + place - breath + 0.7 * ends_inside as f64 + pauses_inside
}

/// Times and lines of one cue. It may not begin before `free_from`; the next one begins at `next`.
fn cue(words: &[Word], free_from: f64, next: Option<f64>, style: &Style) -> Cue {
    let (lines, too_long) = break_lines(words, style);
    let characters: usize = lines.iter().map(|l| l.chars().count()).sum::<usize>() + lines.len() - 1;
    let spoken = (words[0].start, words[words.len() - 1].end);
    let start = spoken.0.max(free_from);
    let readable = start + (characters as f64 / style.characters_a_second).max(style.min_seconds);
    let wanted = (spoken.1 + style.hang).max(readable).min(start + style.max_seconds);
    let end = next.map_or(wanted, |n| wanted.min(n - style.gap)).max(start + SHORTEST);
    let mut unmet = Vec::new();
    let mut check = |broken: bool, norm: Norm| {
        if broken {
            unmet.push(norm);
        }
    };
    let length = end - start;
    check(too_long, Norm::LineLength);
    check(characters as f64 > (length + ROOM) * style.characters_a_second, Norm::Speed);
    check(length + ROOM < style.min_seconds, Norm::Shortest);
    check(start > spoken.0 + LATE, Norm::Late);
    Cue { start, end, lines, unmet }
}
