//! The norms that cues keep.

use serde::{Deserialize, Serialize};

/// A norm that a cue's words can't be made to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// A single word is longer than a line.
    LineLength,
    /// The talk is faster than the style lets people read.
    Speed,
    /// The next words come before the shortest time is over.
    Shortest,
    /// The cues before leave no room: it begins more than three frames behind its sound.
    Late,
}

impl Norm {
    /// A phrase for a report.
    pub fn name(self) -> &'static str {
        match self {
            Norm::LineLength => "a word longer than a line",
            Norm::Speed => "faster than the reading speed",
            Norm::Shortest => "shorter than the shortest cue",
            Norm::Late => "later than three frames behind the sound",
        }
    }
}

/// The norms of a house. Lengths of time are in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Style {
    /// Characters a line.
    pub line_characters: usize,
    /// Lines a cue.
    pub lines: usize,
    /// The shortest cue.
    pub min_seconds: f64,
    /// The longest cue.
    pub max_seconds: f64,
    /// Between two cues: two frames of 24 a second.
    pub gap: f64,
    /// Characters a second that people read, spaces counted.
    pub characters_a_second: f64,
    /// A cue may stay this long after its last word.
    pub hang: f64,
    /// A pause of this length always ends a cue.
    pub pause: f64,
}

impl Style {
    /// Netflix, adult programmes: 42 × 2, 5/6 s to 7 s, 20 characters a second.
    pub fn netflix() -> Style {
        Style {
            line_characters: 42,
            lines: 2,
            min_seconds: 5.0 / 6.0,
            max_seconds: 7.0,
            gap: 2.0 / 24.0,
            characters_a_second: 20.0,
            hang: 0.5,
            pause: 1.0,
        }
    }

    /// BBC: 37 × 2, up to 180 words a minute, which is some 17 characters a second.
    pub fn bbc() -> Style {
        Style { line_characters: 37, characters_a_second: 17.0, ..Style::netflix() }
    }

    /// CEA-608: 32 characters, at most three rows.
    pub fn cea608() -> Style {
        Style { line_characters: 32, lines: 3, ..Style::netflix() }
    }

    /// For captions as they come: cues end early, and may be read as fast as they are said.
    pub fn live() -> Style {
        Style { characters_a_second: 30.0, min_seconds: 0.5, max_seconds: 4.0, pause: 0.6, ..Style::netflix() }
    }

    /// By the name used on the command line.
    pub fn named(name: &str) -> Option<Style> {
        match name {
            "netflix" => Some(Style::netflix()),
            "bbc" => Some(Style::bbc()),
            "cea608" => Some(Style::cea608()),
            "live" => Some(Style::live()),
            _ => None,
        }
    }

    /// The names that [`Style::named`] knows.
    pub const NAMES: [&'static str; 4] = ["netflix", "bbc", "cea608", "live"];
}
