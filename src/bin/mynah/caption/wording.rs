//! What of the command line concerns how words are written.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use mynah::subtitles::wording::{Glossary, Profanity, Wording};

use crate::given;
use crate::terminal::Failure;

/// Shared by `caption` and `convert`.
#[derive(Debug, Args)]
pub struct WordingArguments {
    /// What becomes of swear words, of which Mynah knows the English ones: kept, masked in the text, or masked and a
    /// tone in the written sound
    #[arg(long, value_enum, default_value_t = ProfanityName::Keep)]
    pub profanity: ProfanityName,
    /// More words to mask: a text file with one a line
    #[arg(long, value_name = "FILE.txt", value_parser = given::path())]
    profanity_words: Option<PathBuf>,
    /// Numbers as the recogniser gives them, or, in English, one to ten as words and the rest as digits
    #[arg(long, value_enum, default_value_t = NumbersName::Keep)]
    numbers: NumbersName,
    /// Names and terms in their right spelling, one a line, `Term = sounds like` where it is heard otherwise; they lead
    /// the recogniser too
    #[arg(long, value_name = "FILE.txt", value_parser = given::path())]
    glossary: Option<PathBuf>,
}

/// What becomes of swear words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProfanityName {
    /// As they are
    Keep,
    /// A first letter and stars
    Mask,
    /// The same, and a tone in the sound
    Bleep,
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NumbersName {
    /// As they are
    Keep,
    /// One to ten as words, from 11 digits
    Spell,
}

impl WordingArguments {
    /// Reads the files that are named.
    pub fn wording(&self) -> Result<Wording, Failure> {
        if self.profanity == ProfanityName::Keep && self.profanity_words.is_some() {
            return Err(Failure::Usage(
                "--profanity-words names words to mask; add --profanity mask or --profanity bleep".to_owned(),
            ));
        }
        let profanity = match (self.profanity, &self.profanity_words) {
            (ProfanityName::Keep, _) => None,
            (_, None) => Some(Profanity::standard()),
            (_, Some(path)) => Some(Profanity::with_file(path)?),
        };
        let glossary = self.glossary.as_deref().map(Glossary::read).transpose()?;
        Ok(Wording { glossary, spell_numbers: self.numbers == NumbersName::Spell, profanity })
    }

    /// Whether anything is asked of the words.
    pub fn asks(&self) -> bool {
        self.profanity != ProfanityName::Keep || self.numbers == NumbersName::Spell || self.glossary.is_some()
    }

    /// Whether the sound gets tones.
    pub fn bleeps(&self) -> bool {
        self.profanity == ProfanityName::Bleep
    }
}
