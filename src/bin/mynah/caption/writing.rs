//! From words to the text of a file: how they are worded, cut and rendered. The same for `caption`, for captions that
//! are read back, and for those of `convert`.

use std::path::Path;

use mynah::recognition::stream::{Policy, Settings};
use mynah::subtitles::Word;
use mynah::subtitles::cues::{Spoken, SpokenCue, Style, Violation, lint, spoken_cues_within, told};
use mynah::subtitles::formats::{self, Format, FrameRate, Programme};
use mynah::subtitles::language::Language;
use mynah::subtitles::wording::{Worded, Wording};

use crate::terminal::Failure;

/// How words become a file.
#[derive(Debug)]
pub struct Writing {
    /// The norms of its cues.
    pub style: Style,
    /// How words are written.
    pub wording: Wording,
    /// The frames that iTT counts.
    pub frame_rate: FrameRate,
    /// Whether a norm that can't be kept is an error.
    pub strict: bool,
}

impl Writing {
    /// What the recogniser is told: the terms of the glossary and the language.
    pub fn settings(&self, policy: Policy, language: Option<String>) -> Settings {
        let (hint, hot) = self.wording.glossary.as_ref().map(|g| (g.prompt(), g.spellings())).unwrap_or_default();
        Settings { policy, hint, hot, language }
    }

    /// The words as they are written. What is asked for and can't be done in this language is told on stderr.
    pub fn worded(&self, words: &[Word], language: &str, of: &Path) -> Worded {
        let language = Language::of_words(language, words);
        if !words.is_empty() {
            self.wording.undone(&language).iter().for_each(|what| eprintln!("mynah: {}: {what}", of.display()));
        }
        self.wording.apply(words, &language)
    }

    /// The file's text and the norms that its cues break, which are told; where they must be kept they are an error.
    /// No cue lasts longer than the sound, which `end`s at that second if that is known.
    pub fn cut(
        &self,
        format: Format,
        spoken: &[Spoken],
        language: &str,
        end: Option<f64>,
        path: &Path,
    ) -> Result<(String, Vec<Violation>), Failure> {
        let style = self.style.clone().spoken_in(Language::of_words(language, spoken.iter().flat_map(|s| &s.words)));
        let cues = spoken_cues_within(spoken, &style, end);
        let shown: Vec<_> = cues.iter().map(SpokenCue::shown).collect();
        let words = if let [one] = spoken { Some(one.words.as_slice()) } else { None };
        let violations = lint(&shown, words, &style);
        if let Some(what) = told(&violations, &style) {
            if self.strict {
                return Err(Failure::Other(format!("`{}` was not written, since {what}", path.display())));
            }
            eprintln!("mynah: {}: {what}", path.display());
        }
        Ok((self.rendered(format, spoken, &cues, language), violations))
    }

    /// The text of a file with these cues.
    pub fn rendered(&self, format: Format, spoken: &[Spoken], cues: &[SpokenCue], language: &str) -> String {
        formats::render_programme(format, &Programme { spoken, cues, frame_rate: self.frame_rate, language })
    }
}
