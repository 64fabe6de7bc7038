//! A glossary: names and terms that have one right spelling. It replaces what is surely meant and leads the recogniser;
//! it guesses nothing.
//!
//! A text file, a term a line, `#` before a remark, and after `=` what the recogniser hears instead, parted by commas:
//!
//! ```text
//! Netherfield Park = nether field park
//! Dvořák = devor jack, de vor zhak
//! ```
//!
//! Replaced are (1) a term in another case, if it has a capital or several words, (2) its alternates, always, and (3)
//! near-misses of single words that are names: same first letter, at most one letter off in six to eight, two in nine
//! or more, and either written with a capital inside a sentence or heard with little confidence. So `Bennett` becomes
//! `Bennet`, but a `bonnet` stays one.

use std::path::{Path, PathBuf};

use super::near::{distance, tolerance};
use super::{bare, ends_sentence, joined, letters, replaced, words_of};
use crate::Word;

/// Below this confidence a word may be a misheard name though it is written small.
const DOUBTFUL: f32 = 0.5;
/// A prompt has no more characters: a Whisper-like recogniser reads some 200 tokens before its sound, and the text
/// before needs room too.
const PROMPT: usize = 400;
/// A term and an alternate have no more words.
const WORDS: usize = 8;

/// Terms with their right spelling.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Glossary {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq)]
struct Term {
    /// As it is to be written.
    spelling: String,
    /// What is replaced by it whatever its case: letters of each word.
    sounds: Vec<Vec<String>>,
    /// Its letters, where near-misses are looked for.
    name: Option<String>,
}

/// What can be wrong with a glossary.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum GlossaryError {
    /// It can't be read.
    #[error("the glossary `{path}` can't be read: {why}; give a text file with a term a line")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A line can't be understood.
    #[error("line {line} of the glossary {what}: `{text}`; write `Term`, or `Term = sounds like, or like this`")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
        /// What stands there.
        text: String,
    },
    /// The same sound stands for two terms.
    #[error(
        "line {line} of the glossary gives `{sound}` to `{second}`, but it stands for `{first}` already; remove one \
         of them"
    )]
    Twice {
        /// Counted from 1.
        line: usize,
        /// What is heard.
        sound: String,
        /// The term that has it.
        first: String,
        /// The term of this line.
        second: String,
    },
}

impl Glossary {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Glossary, GlossaryError> {
        let text =
            mynah_files::typed::text_of(path).map_err(|why| GlossaryError::Read { path: path.to_owned(), why })?;
        Self::parse(&text)
    }

    /// Reads a text in the form that the top of the file shows.
    pub fn parse(text: &str) -> Result<Glossary, GlossaryError> {
        let mut terms: Vec<Term> = Vec::new();
        for (k, whole) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = whole.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let wrong = |what| GlossaryError::Line { line: k + 1, what, text: whole.trim().to_owned() };
            let (spelling, alternates) = line.split_once('=').map_or((line, None), |(a, b)| (a, Some(b)));
            let spelling = spelling.split_whitespace().collect::<Vec<_>>().join(" ");
            let own = words_of(&spelling);
            if own.is_empty() {
                return Err(wrong("has no letters before the `=`"));
            }
            let mut sounds = Vec::new();
            // A plain small word is no reason to change anybody's capitals.
            if own.len() > 1 || spelling.chars().any(char::is_uppercase) {
                sounds.push(own.clone());
            }
            for alternate in alternates.into_iter().flat_map(|a| a.split(',')) {
                let alternate = words_of(alternate);
                if alternate.is_empty() {
                    return Err(wrong("has no letters behind the `=` or a comma"));
                }
                sounds.push(alternate);
            }
            if sounds.iter().chain([&own]).any(|s| s.len() > WORDS) {
                return Err(wrong("has more than eight words in a term"));
            }
            for sound in &sounds {
                if let Some(first) = terms.iter().find(|t| t.sounds.contains(sound)) {
                    let (first, second) = (first.spelling.clone(), spelling);
                    return Err(GlossaryError::Twice { line: k + 1, sound: sound.join(" "), first, second });
                }
            }
            let name = (own.len() == 1 && spelling.chars().any(char::is_uppercase)).then(|| own.concat());
            terms.push(Term { spelling, sounds, name });
        }
        Ok(Glossary { terms })
    }

    /// How many terms there are.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Whether there is no term.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Text that leads a Whisper-like recogniser to the terms when it stands before the sound: the terms in the file's
    /// order, as many as fit, so the most important ones come first. It makes their spelling likelier and forces
    /// nothing. Empty without terms.
    pub fn prompt(&self) -> String {
        let mut out = String::new();
        for term in &self.terms {
            if out.chars().count() + term.spelling.chars().count() + 2 > PROMPT {
                break;
            }
            out.push_str(if out.is_empty() { "" } else { ", " });
            out.push_str(&term.spelling);
        }
        if out.is_empty() { out } else { out + "." }
    }

    /// The terms as they are to be written, for recognisers that can be told what is likely.
    pub fn spellings(&self) -> Vec<String> {
        self.terms.iter().map(|t| t.spelling.clone()).collect()
    }

    /// The words with terms in their spelling, and how many were replaced. Several words that are one term become one
    /// word, marks stay.
    pub fn apply(&self, words: &[Word]) -> (Vec<Word>, usize) {
        let plain: Vec<String> = words.iter().map(|w| letters(without_genitive(bare(&w.text).core).0)).collect();
        let mut changes = Vec::new();
        let mut k = 0;
        while k < words.len() {
            let found = self.sound(words, &plain, k).or_else(|| self.near(words, &plain, k).map(|term| (term, 1)));
            let Some((term, n)) = found else {
                k += 1;
                continue;
            };
            let (first, last) = (bare(&words[k].text), bare(&words[k + n - 1].text));
            let text = format!("{}{}{}{}", first.before, term.spelling, without_genitive(last.core).1, last.after);
            if n > 1 || text != words[k].text {
                changes.extend(joined(&words[k..k + n], text).map(|word| (k..k + n, word)));
            }
            k += n;
        }
        let count = changes.len();
        (replaced(words, changes), count)
    }

    /// The term of which the longest sound begins here, and of how many words. No mark may stand inside.
    fn sound(&self, words: &[Word], plain: &[String], k: usize) -> Option<(&Term, usize)> {
        let fits = |sound: &Vec<String>| {
            let n = sound.len();
            plain.get(k..k + n) == Some(sound)
                && words[k..k + n].windows(2).all(|pair| {
                    let (left, right) = (bare(&pair[0].text), bare(&pair[1].text));
                    left.after.is_empty() && right.before.is_empty() && without_genitive(left.core).1.is_empty()
                })
        };
        let all = self.terms.iter().flat_map(|t| t.sounds.iter().filter(|s| fits(s)).map(move |s| (t, s.len())));
        all.max_by_key(|(_, n)| *n)
    }

    /// The one name that is near this word; none where two are as near.
    fn near(&self, words: &[Word], plain: &[String], k: usize) -> Option<&Term> {
        let (text, said) = (bare(&words[k].text), &plain[k]);
        let inside = k > 0 && !ends_sentence(bare(&words[k - 1].text).after);
        let capital = inside && text.core.chars().next().is_some_and(char::is_uppercase);
        if !capital && words[k].confidence >= DOUBTFUL {
            return None;
        }
        let off = |name: &String| {
            let most = tolerance(name.chars().count());
            let same = name.chars().next() == said.chars().next();
            // A plural is a word of its own.
            let plural = said.strip_suffix('s') == Some(name) || name.strip_suffix('s') == Some(said);
            distance(name, said, most).filter(|d| *d > 0 && same && !plural)
        };
        let mut near: Vec<(usize, &Term)> =
            self.terms.iter().filter_map(|t| t.name.as_ref().and_then(off).map(|d| (d, t))).collect();
        near.sort_by_key(|(d, _)| *d);
        match near.as_slice() {
            [(_, term)] => Some(term),
            [(a, term), (b, _), ..] if a < b => Some(term),
            _ => None,
        }
    }
}

/// A word and its genitive ending.
fn without_genitive(core: &str) -> (&str, &str) {
    let end = ["'s", "’s"].iter().find(|e| core.ends_with(**e)).map_or(core.len(), |e| core.len() - e.len());
    core.split_at(end)
}
