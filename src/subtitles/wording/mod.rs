//! How recognised words are written: names as a glossary spells them, numbers as a house writes them, profanity masked.
//! Knows words and their language, neither sound nor cues.
//!
//! Number words and the list of profanity are English: in another language numbers stay as they are, and only the words
//! of a person's own list are masked.

mod align;
mod glossary;
mod near;
mod numbers;
mod profanity;
#[cfg(test)]
mod tests;

pub use align::corrected;
pub use glossary::{Glossary, GlossaryError};
pub use numbers::spell_numbers;
pub use profanity::{Profanity, ProfanityError};

use std::ops::Range;

use super::Word;
use super::language::{Language, SENTENCE_ENDS, repartitioned};

/// What is done to words before they are cut into cues.
#[derive(Debug, Clone, Default)]
pub struct Wording {
    /// Names and terms that have one right spelling.
    pub glossary: Option<Glossary>,
    /// Whether numbers up to ten are spelled out and those from eleven are digits.
    pub spell_numbers: bool,
    /// What is masked.
    pub profanity: Option<Profanity>,
}

/// Words as they are written, and where what was masked is to be heard.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Worded {
    /// The words.
    pub words: Vec<Word>,
    /// From when to when, in seconds, each masked word or phrase is said; in order.
    pub masked: Vec<(f64, f64)>,
    /// How many words or phrases the glossary replaced.
    pub replaced: usize,
}

impl Wording {
    /// Applies all that is asked for: the glossary, then numbers, then the mask.
    pub fn apply(&self, words: &[Word], language: &Language) -> Worded {
        let mut out = Worded { words: words.to_vec(), ..Worded::default() };
        if self.glossary.is_some() || self.profanity.is_some() {
            // Terms are compared word by word, also where no space parts words.
            out.words = repartitioned(words, language, PAUSE, usize::MAX);
        }
        if let Some(glossary) = &self.glossary {
            (out.words, out.replaced) = glossary.apply(&out.words);
        }
        if self.spell_numbers && language.is_english() {
            out.words = spell_numbers(&out.words);
        }
        if let Some(profanity) = &self.profanity {
            out.masked = profanity.mask(&mut out.words, language);
        }
        out
    }

    /// What is asked for and can't be done in this language, a sentence each.
    pub fn undone(&self, language: &Language) -> Vec<String> {
        let which = if language.code().is_empty() {
            "a language that isn't known".to_owned()
        } else {
            format!("`{}`", language.code())
        };
        let mut out = Vec::new();
        if self.spell_numbers && !language.is_english() {
            out.push(format!(
                "numbers stay as they were heard, since Mynah knows number words in English alone and this is {which}"
            ));
        }
        if self.profanity.is_some() && !language.is_english() {
            out.push(format!(
                "only the words of --profanity-words are masked, since Mynah's own list is English and this is \
                 {which}; give a list of that language"
            ));
        }
        out
    }
}

/// A pause of so many seconds parts words that no space does.
const PAUSE: f64 = 1.0;

/// The words of a term, letters alone; where no space parts them as [`repartitioned`] does.
fn words_of(term: &str) -> Vec<String> {
    let language = Language::default();
    let pieces = term.split_whitespace().flat_map(|w| language.parts(w).into_iter().map(move |part| &w[part]));
    pieces.map(letters).filter(|w| !w.is_empty()).collect()
}

/// A word without the marks around it.
struct Bare<'a> {
    before: &'a str,
    core: &'a str,
    after: &'a str,
}

/// Parts a word: `"Bennet's,` is `"`, `Bennet's` and `,`.
fn bare(text: &str) -> Bare<'_> {
    let core = text.trim_matches(|c: char| !c.is_alphanumeric());
    let from = if core.is_empty() { text.len() } else { core.as_ptr() as usize - text.as_ptr() as usize };
    Bare { before: &text[..from], core, after: &text[from + core.len()..] }
}

/// Letters and digits of a text in lower case.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a sentence ends behind these marks.
fn ends_sentence(after: &str) -> bool {
    after.contains(SENTENCE_ENDS)
}

/// One word in place of several: their time, the least of their confidences.
fn joined(words: &[Word], text: String) -> Option<Word> {
    let (first, last) = (words.first()?, words.last()?);
    let confidence = words.iter().map(|w| w.confidence).fold(1.0, f32::min);
    Some(Word { text, start: first.start, end: last.end, confidence })
}

/// Puts words in place of ranges of words; ranges are in order and don't overlap.
fn replaced(words: &[Word], changes: Vec<(Range<usize>, Word)>) -> Vec<Word> {
    let mut out = Vec::with_capacity(words.len());
    let mut at = 0;
    for (range, word) in changes {
        out.extend_from_slice(&words[at..range.start]);
        out.push(word);
        at = range.end;
    }
    out.extend_from_slice(&words[at..]);
    out
}
