//! The norms that a house asks its captions to keep. Numbers only; who cuts and who checks read them here.

use super::charset::Charset;
use super::leaning::{Rules, rules};
use crate::language::Language;

/// Frames a second that the norms count in.
const FRAMES: f64 = 24.0;

/// The norms of a house. Lengths of time are in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Style {
    /// Its name for a person.
    pub title: &'static str,
    /// Characters a line; wide ones, as Chinese, Japanese and Korean have, count as two.
    pub line_characters: usize,
    /// Lines a cue.
    pub lines: usize,
    /// The shortest cue.
    pub min_seconds: f64,
    /// The longest cue.
    pub max_seconds: f64,
    /// Between two cues: two frames of 24 a second.
    pub gap: f64,
    /// Characters a second that people read, spaces counted and wide ones as two.
    pub characters_a_second: f64,
    /// A cue may stay this long after its last word, or as long as reading takes.
    pub hang: f64,
    /// A cue may begin this long before or behind its first word.
    pub in_time: f64,
    /// A pause of this length always ends a cue.
    pub pause: f64,
    /// The characters that its decoders show.
    pub charset: Charset,
    /// The language of the text: its rules say where lines may end.
    pub language: Language,
    /// What the house says of single languages.
    pub tailored: &'static [Tailored],
}

/// What a house says of a language where that is something else than for English.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tailored {
    /// The language's codes.
    pub codes: &'static [&'static str],
    /// Characters a line, wide ones counted as two.
    pub line_characters: usize,
    /// Characters a second that people read, wide ones counted as two.
    pub characters_a_second: f64,
}

/// Netflix counts wide characters as one: 16 a line for Chinese and Korean, 13 for Japanese; 35 characters for Thai.
/// Reading speeds are those for the deaf and hard of hearing, as 20 is for English: 11, 14 and 7 wide characters a
/// second.
const NETFLIX: &[Tailored] = &[
    Tailored { codes: &["zh", "yue", "wuu"], line_characters: 32, characters_a_second: 22.0 },
    Tailored { codes: &["ja"], line_characters: 26, characters_a_second: 14.0 },
    Tailored { codes: &["ko"], line_characters: 32, characters_a_second: 28.0 },
    Tailored { codes: &["th"], line_characters: 35, characters_a_second: 20.0 },
];

impl Style {
    /// Netflix, adult programmes: 42 × 2, 5/6 s to 7 s, 20 characters a second.
    pub fn netflix() -> Style {
        Style {
            title: "Netflix",
            line_characters: 42,
            lines: 2,
            min_seconds: 5.0 / 6.0,
            max_seconds: 7.0,
            gap: 2.0 / FRAMES,
            characters_a_second: 20.0,
            hang: 12.0 / FRAMES,
            in_time: 3.0 / FRAMES,
            pause: 1.0,
            charset: Charset::Any,
            language: Language::default(),
            tailored: NETFLIX,
        }
    }

    /// BBC: 37 × 2, up to 180 words a minute. An English word with its space is 5.7 characters long, so that is 17
    /// characters a second; characters are what counts, so that long words get their time.
    pub fn bbc() -> Style {
        Style { title: "BBC", line_characters: 37, characters_a_second: 17.0, tailored: &[], ..Style::netflix() }
    }

    /// CEA-608: 32 characters, at most three rows, the characters that its decoders know.
    pub fn cea608() -> Style {
        Style {
            title: "CEA-608",
            line_characters: 32,
            lines: 3,
            charset: Charset::Cea608,
            tailored: &[],
            ..Style::netflix()
        }
    }

    /// For captions as they come: cues end early, and may be read as fast as they are said.
    pub fn live() -> Style {
        Style {
            title: "live",
            characters_a_second: 30.0,
            min_seconds: 0.5,
            max_seconds: 4.0,
            pause: 0.6,
            tailored: &[],
            ..Style::netflix()
        }
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

    /// The style for text of this language: its rules, and its numbers where the house has others for it.
    pub fn spoken_in(self, language: Language) -> Style {
        let own = self.tailored.iter().find(|t| t.codes.contains(&language.code()));
        let (line_characters, characters_a_second) = own
            .map_or((self.line_characters, self.characters_a_second), |t| (t.line_characters, t.characters_a_second));
        Style { line_characters, characters_a_second, language, ..self }
    }

    pub(super) fn rules(&self) -> &'static Rules {
        rules(&self.language)
    }

    /// Seconds that so many characters must stand to be read, and no less than the shortest cue.
    pub fn reading(&self, characters: usize) -> f64 {
        (characters as f64 / self.characters_a_second).max(self.min_seconds)
    }
}
