//! What a caption can break, and by how much. Knows no cutter.

use serde::{Deserialize, Serialize};

use super::{Cue, Style};

/// A norm that captions keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// A line is longer than it may be. Measured in characters.
    LineLength,
    /// More lines than may be. Measured in lines.
    Lines,
    /// The text is faster than people read. Measured in characters a second.
    Speed,
    /// Shorter than the shortest cue. Measured in seconds.
    Shortest,
    /// Longer than the longest cue. Measured in seconds.
    Longest,
    /// Too close to the next cue. Measured in seconds.
    Gap,
    /// The next cue begins before this one ends, or it ends before it begins. Measured in seconds of overlap.
    Overlap,
    /// It begins too long before its sound. Measured in seconds.
    Early,
    /// It begins too long behind its sound. Measured in seconds.
    Late,
    /// It stays too long after its last word. Measured in seconds.
    Hang,
    /// Nothing can be read in it. Measured in lines without text.
    Empty,
    /// The style's decoders can't show all of its characters. Measured in characters.
    Characters,
    /// Its text isn't that of the words. Measured in cues.
    Text,
}

impl Norm {
    /// A phrase for a report.
    pub fn name(self) -> &'static str {
        match self {
            Norm::LineLength => "a line too long",
            Norm::Lines => "too many lines",
            Norm::Speed => "faster than the reading speed",
            Norm::Shortest => "shorter than the shortest cue",
            Norm::Longest => "longer than the longest cue",
            Norm::Gap => "too close to the next cue",
            Norm::Overlap => "overlapping the next cue",
            Norm::Early => "earlier than three frames before the sound",
            Norm::Late => "later than three frames behind the sound",
            Norm::Hang => "longer on the screen than twelve frames behind the sound",
            Norm::Empty => "without text",
            Norm::Characters => "with characters that can't be shown",
            Norm::Text => "not the text of the words",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Norm::LineLength | Norm::Characters => "characters",
            Norm::Lines | Norm::Empty => "lines",
            Norm::Speed => "characters a second",
            Norm::Text => "cues",
            _ => "s",
        }
    }
}

/// A norm that a cue breaks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Violation {
    /// The cue, counted from 0.
    pub cue: usize,
    /// When the cue begins, in seconds.
    pub start: f64,
    /// What it breaks.
    pub norm: Norm,
    /// What was found, in the norm's unit.
    pub measured: f64,
    /// What may be.
    pub allowed: f64,
}

impl Violation {
    /// A phrase: `cue 12 at 0:34.2 faster than the reading speed (23.1 of 20 characters a second)`. Cues are counted
    /// from 1, as players do.
    pub fn told(&self) -> String {
        let number = |x: f64| format!("{x:.2}").trim_end_matches('0').trim_end_matches('.').to_owned();
        let (minutes, seconds) = ((self.start / 60.0).floor(), self.start % 60.0);
        format!(
            "cue {} at {minutes}:{seconds:04.1} {} ({} of {} {})",
            self.cue + 1,
            self.norm.name(),
            number(self.measured),
            number(self.allowed),
            self.norm.unit()
        )
    }
}

/// One sentence about violations: how many cues, and the first places. `None` where all norms are kept.
pub fn told(violations: &[Violation], style: &Style) -> Option<String> {
    const PLACES: usize = 3;
    let mut broken: Vec<usize> = violations.iter().map(|v| v.cue).collect();
    broken.dedup();
    let (what, verb) = if broken.len() == 1 { ("cue", "breaks") } else { ("cues", "break") };
    let places: Vec<String> = violations.iter().take(PLACES).map(Violation::told).collect();
    let more =
        if violations.len() > PLACES { format!(" and {} more", violations.len() - PLACES) } else { String::new() };
    (!broken.is_empty())
        .then(|| format!("{} {what} {verb} the norms of {}: {}{more}", broken.len(), style.title, places.join(", ")))
}

/// A breach of a cue.
pub(super) fn violation(k: usize, cue: &Cue, norm: Norm, measured: f64, allowed: f64) -> Violation {
    Violation { cue: k, start: cue.start, norm, measured, allowed }
}
