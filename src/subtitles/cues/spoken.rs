//! Several people on one timeline: their words cut each for itself, those who talk at the same time together in one
//! cue, a line each. Knows neither files nor how a speaker is marked in them.

use std::ops::Range;

use super::schedule::{Clock, SHORTEST, Unit, reading};
use super::{Cue, Style, break_lines, cleaned, cut, timed, unit};
use crate::Word;

/// What one person said, on the timeline that all share.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spoken {
    /// Who; `None` where nobody is named.
    pub speaker: Option<String>,
    /// The words, in order.
    pub words: Vec<Word>,
}

/// A cue and who says each of its lines.
#[derive(Debug, Clone, PartialEq)]
pub struct SpokenCue {
    /// Times and lines, without any mark of the speakers.
    pub cue: Cue,
    /// Who says each line; as many as lines.
    pub speakers: Vec<Option<String>>,
}

/// What marks a line of a cue in which several speak, where a format has no better way.
pub const DASH: &str = "- ";

impl SpokenCue {
    /// A cue in which one person speaks.
    pub fn of(cue: Cue, speaker: Option<&str>) -> SpokenCue {
        let speakers = vec![speaker.map(str::to_owned); cue.lines.len()];
        SpokenCue { cue, speakers }
    }

    /// Whether several people speak in it.
    pub fn shared(&self) -> bool {
        self.speakers.windows(2).any(|pair| pair[0] != pair[1])
    }

    /// The cue as it is shown where only text is: with a dash at each line if several speak.
    pub fn shown(&self) -> Cue {
        let mut cue = self.cue.clone();
        if self.shared() {
            cue.lines.iter_mut().for_each(|line| line.insert_str(0, DASH));
        }
        cue
    }
}

/// Words of one speaker that stay together.
#[derive(Debug, Clone)]
struct Piece {
    who: usize,
    words: Range<usize>,
    unit: Unit,
    /// It may share a cue: it fits one line with a dash.
    short: bool,
}

/// Cuts what several people said into cues on one timeline: in order, never overlapping. Where two talk at once, their
/// words share a cue, a line each; more than the style has lines for come after each other and are reported as late.
pub fn spoken_cues(spoken: &[Spoken], style: &Style) -> Vec<SpokenCue> {
    spoken_cues_within(spoken, style, None)
}

/// The same for a sound that ends at a second, if that is known: no cue lasts longer.
pub fn spoken_cues_within(spoken: &[Spoken], style: &Style, end: Option<f64>) -> Vec<SpokenCue> {
    let words: Vec<Vec<Word>> = spoken.iter().map(|s| cleaned(&s.words, style)).collect();
    let one =
        Style { lines: 1, line_characters: style.line_characters.saturating_sub(DASH.len()).max(1), ..style.clone() };
    let whole = pieces(&words, style);
    let mut all: Vec<Piece> = Vec::new();
    for piece in &whole {
        let crowded = whole.iter().any(|other| other.who != piece.who && tight(piece, other, style));
        if !crowded {
            all.push(piece.clone());
            continue;
        }
        for range in cut::cut(&words[piece.who][piece.words.clone()], &one) {
            let range = piece.words.start + range.start..piece.words.start + range.end;
            let unit = unit_of(&words[piece.who][range.clone()], &one);
            all.push(Piece { who: piece.who, words: range, unit, short: unit.characters <= one.line_characters });
        }
    }
    all.sort_by_key(|p| (p.unit.first, p.who));
    let groups = grouped(all, style);
    let mut lines = Vec::with_capacity(groups.len());
    let mut speakers = Vec::with_capacity(groups.len());
    let mut units = Vec::with_capacity(groups.len());
    for group in &groups {
        let of = |p: &Piece| break_lines(&words[p.who][p.words.clone()], if group.len() > 1 { &one } else { style });
        let (mut shown, mut who) = (Vec::new(), Vec::new());
        for piece in group {
            let new = of(piece);
            who.extend(vec![spoken[piece.who].speaker.clone(); new.len()]);
            shown.extend(new);
        }
        lines.push(shown);
        speakers.push(who);
        units.push(together(group));
    }
    timed(&units, lines, style, end)
        .into_iter()
        .zip(speakers)
        .map(|(cue, speakers)| SpokenCue { cue, speakers })
        .collect()
}

fn pieces(words: &[Vec<Word>], style: &Style) -> Vec<Piece> {
    let mut out = Vec::new();
    for (who, words) in words.iter().enumerate() {
        for range in cut::cut(words, style) {
            let unit = unit_of(&words[range.clone()], style);
            out.push(Piece { who, words: range, unit, short: false });
        }
    }
    out
}

fn unit_of(words: &[Word], style: &Style) -> Unit {
    unit(words, &break_lines(words, style), style)
}

/// Whether two pieces overlap, or follow each other so quickly that the first can't be read alone.
fn tight(a: &Piece, b: &Piece, style: &Style) -> bool {
    let (a, b) = if a.unit.first <= b.unit.first { (a, b) } else { (b, a) };
    let clock = Clock::of(style);
    let room = b.unit.first - a.unit.first + 2 * clock.in_time - clock.gap;
    b.unit.first < a.unit.last || room < reading(a.unit.characters, style)
}

/// Pieces that share a cue. They are sorted by their first words.
fn grouped(pieces: Vec<Piece>, style: &Style) -> Vec<Vec<Piece>> {
    let mut out: Vec<Vec<Piece>> = Vec::new();
    for piece in pieces {
        let joins = out.last().is_some_and(|group| {
            let new = group.iter().all(|p| p.who != piece.who);
            let short = piece.short && group.iter().all(|p| p.short);
            new && short && group.len() < style.lines && group.iter().any(|p| tight(p, &piece, style))
        });
        match out.last_mut() {
            Some(group) if joins => group.push(piece),
            _ => out.push(vec![piece]),
        }
    }
    out
}

/// What a group asks of the clock: all its words, and the dashes where several speak.
fn together(group: &[Piece]) -> Unit {
    let first = group.iter().map(|p| p.unit.first).min().unwrap_or(0);
    let last = group.iter().map(|p| p.unit.last).max().unwrap_or(first + SHORTEST);
    let dashes = if group.len() > 1 { group.len() * DASH.len() } else { 0 };
    let characters = group.iter().map(|p| p.unit.characters).sum::<usize>() + group.len() - 1 + dashes;
    Unit { first, last, characters }
}
