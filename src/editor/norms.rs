//! What of the captions breaks a norm, told while they come. Knows cues, no window.

use crate::subtitles::cues::{Style, cues, lint, told};
use crate::subtitles::language::Language;
use crate::subtitles::transcript::Transcript;

/// Words that are looked at: some minutes of talk, so that it costs little however long a session is.
const LAST: usize = 400;

/// The sentence about the last words, made anew only where they changed.
#[derive(Debug, Default)]
pub struct Norms {
    edition: Option<u64>,
    sentence: Option<String>,
}

impl Norms {
    /// One sentence where the last cues, cut as an export cuts them, break a norm of the style. The language is its
    /// code, empty where it isn't known.
    pub fn look(&mut self, transcript: &Transcript, style: &Style, language: &str) -> Option<&str> {
        if self.edition != Some(transcript.edition()) {
            self.edition = Some(transcript.edition());
            let words = &transcript.words()[transcript.words().len().saturating_sub(LAST)..];
            let style = &style.clone().spoken_in(Language::of_words(language, words));
            self.sentence = told(&lint(&cues(words, style), Some(words), style), style);
        }
        self.sentence.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognition::stream::Event;
    use crate::subtitles::Word;

    #[test]
    fn it_tells_of_haste_and_looks_again_when_words_come() {
        let (mut norms, mut transcript, style) = (Norms::default(), Transcript::default(), Style::netflix());
        let say = |text: &str, start: f64, seconds: f64, transcript: &mut Transcript| {
            let words: Vec<&str> = text.split(' ').collect();
            let each = seconds / words.len() as f64;
            let word = |(i, t): (usize, &&str)| Word {
                text: (*t).to_owned(),
                start: start + i as f64 * each,
                end: start + (i + 1) as f64 * each,
                confidence: 1.0,
            };
            transcript.apply(Event::Final(words.iter().enumerate().map(word).collect()));
        };
        say("A calm sentence.", 0.0, 2.0, &mut transcript);
        assert_eq!(norms.look(&transcript, &style, "en"), None);
        let haste = "Nobody can read a sentence that is spoken as fast as this one is, whoever tries, and it goes on, \
            and on, and on.";
        say(&[haste; 4].join(" "), 3.0, 6.0, &mut transcript);
        assert!(
            norms.look(&transcript, &style, "en").is_some_and(|s| s.contains("Netflix") && s.contains("reading speed"))
        );
    }
}
