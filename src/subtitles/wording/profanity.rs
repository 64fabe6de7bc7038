//! Profanity: an English word list and a person's own, and the mask that leaves a first letter. Knows words, not sound;
//! where the tone goes is told by times.

use std::path::{Path, PathBuf};

use super::{bare, letters, words_of};
use crate::Word;
use crate::language::Language;

/// Our own list.
const LIST: &str = include_str!("profanity.txt");

/// What is masked: phrases of one or more words in lower case, letters alone; a star means any ending of the last one.
#[derive(Debug, Clone, PartialEq)]
pub struct Profanity {
    phrases: Vec<Phrase>,
}

#[derive(Debug, Clone, PartialEq)]
struct Phrase {
    words: Vec<String>,
    any_ending: bool,
    /// It is of our own list, which is English.
    english: bool,
}

/// What can be wrong with a list.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ProfanityError {
    /// It can't be read.
    #[error("the word list `{path}` can't be read: {why}; give a text file with a word or phrase a line")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A line has no letters.
    #[error("line {line} of the word list has no letters: `{text}`; write a word or phrase, or begin a remark with #")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
}

impl Profanity {
    /// The list that comes with Mynah; it holds for English.
    pub fn standard() -> Profanity {
        let all = LIST.lines().filter_map(|line| phrase(line).ok().flatten());
        Profanity { phrases: all.map(|p| Phrase { english: true, ..p }).collect() }
    }

    /// That list and the words of a file: one word or phrase a line, `#` before a remark, a star at the end for any
    /// ending.
    pub fn with_file(path: &Path) -> Result<Profanity, ProfanityError> {
        let text =
            mynah_files::typed::text_of(path).map_err(|why| ProfanityError::Read { path: path.to_owned(), why })?;
        Self::with_list(&text)
    }

    /// That list and the words of a text in the same form.
    pub fn with_list(text: &str) -> Result<Profanity, ProfanityError> {
        let mut all = Self::standard();
        for (k, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let new = phrase(line).map_err(|()| ProfanityError::Line { line: k + 1, text: line.trim().to_owned() })?;
            all.phrases.extend(new);
        }
        Ok(all)
    }

    /// Masks words and tells from when to when each is said.
    pub fn mask(&self, words: &mut [Word], language: &Language) -> Vec<(f64, f64)> {
        let phrases: Vec<&Phrase> = self.phrases.iter().filter(|p| !p.english || language.is_english()).collect();
        let plain: Vec<String> = words.iter().map(|w| letters(&w.text)).collect();
        let mut out = Vec::new();
        let mut k = 0;
        while k < words.len() {
            let longest = phrases.iter().filter(|p| p.fits(&plain[k..])).map(|p| p.words.len()).max();
            let Some(n) = longest else {
                // A word of several parts, `mother-fucker`, is looked at part by part as well.
                if words[k].text.split('-').any(|part| one(&phrases, part)) {
                    out.push((words[k].start, words[k].end));
                    words[k].text = masked(&words[k].text);
                }
                k += 1;
                continue;
            };
            out.push((words[k].start, words[k + n - 1].end));
            words[k..k + n].iter_mut().for_each(|w| w.text = masked(&w.text));
            k += n;
        }
        out
    }
}

fn one(phrases: &[&Phrase], part: &str) -> bool {
    let plain = [letters(part)];
    phrases.iter().any(|p| p.fits(&plain))
}

impl Phrase {
    /// Whether words begin with it. A genitive's `s` ends any word.
    fn fits(&self, plain: &[String]) -> bool {
        let Some((last, first)) = self.words.split_last() else { return false };
        let Some(said) = plain.get(..self.words.len()) else { return false };
        let Some((said_last, said_first)) = said.split_last() else { return false };
        let ending = said_last.strip_prefix(last.as_str());
        said_first == first && ending.is_some_and(|rest| self.any_ending || rest.is_empty() || rest == "s")
    }
}

/// A line of a list; `None` for a remark or an empty one.
fn phrase(line: &str) -> Result<Option<Phrase>, ()> {
    let line = line.split('#').next().unwrap_or_default().trim();
    if line.is_empty() {
        return Ok(None);
    }
    let (text, any_ending) = line.strip_suffix('*').map_or((line, false), |text| (text, true));
    let words = words_of(text);
    if words.is_empty() { Err(()) } else { Ok(Some(Phrase { words, any_ending, english: false })) }
}

/// The first letter, then a star for each further letter; marks around and within stay.
fn masked(text: &str) -> String {
    let parts = bare(text);
    let mut first = true;
    let core = parts.core.chars().map(|c| match c {
        c if !c.is_alphanumeric() => c,
        c if std::mem::take(&mut first) => c,
        _ => '*',
    });
    format!("{}{}{}", parts.before, core.collect::<String>(), parts.after)
}
