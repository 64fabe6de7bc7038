//! What the demo's result is measured by: words against a transcript, voices against each other. Knows no host.

use std::path::Path;

use mynah::audio::Sound;
use mynah::dsp::resample::resample_all;
use mynah::engine::PackSource;
use mynah::subtitles::Word;
use mynah::voice::TargetVoice;

use clap_host::HostResult;

/// Rate of the speaker encoder in Hz.
const RATE: u32 = 16000;

/// Word errors.
pub struct Wer {
    /// Words put in, left out or replaced.
    pub errors: usize,
    /// Words of the transcript.
    pub words: usize,
}

impl Wer {
    /// Errors a word.
    pub fn rate(&self) -> f64 {
        self.errors as f64 / self.words.max(1) as f64
    }
}

/// Word errors of captions against a text file: against as much of its start as fits best, since a recording may be
/// played in part.
pub fn wer_of_file(path: &Path, words: &[Word]) -> HostResult<Wer> {
    let text =
        std::fs::read_to_string(path).map_err(|e| format!("the transcript `{}` can't be read: {e}", path.display()))?;
    let said = words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
    Ok(wer(&plain(&text), &plain(&said)))
}

/// Words in lower case, letters, digits and apostrophes only.
fn plain(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || c == '-' || c == '—' || c == '…');
    words
        .map(|w| {
            w.to_lowercase().replace('’', "'").chars().filter(|c| c.is_alphanumeric() || *c == '\'').collect::<String>()
        })
        .map(|w| w.trim_matches('\'').to_owned())
        .filter(|w| !w.is_empty())
        .collect()
}

/// Levenshtein's distance in words to the nearest start of the reference.
fn wer(reference: &[String], heard: &[String]) -> Wer {
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    let mut best = Wer { errors: heard.len(), words: 0 };
    for (i, r) in reference.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, h) in heard.iter().enumerate() {
            let replaced = diagonal + usize::from(r != h);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
        if row[heard.len()] <= best.errors {
            best = Wer { errors: row[heard.len()], words: i + 1 };
        }
    }
    best
}

/// Cosines of GE2E embeddings with the target's.
pub struct Likeness {
    /// Of the recording.
    pub before: f32,
    /// Of the converted sound.
    pub after: f32,
}

/// How like the target the sound was and is.
pub fn likeness(target: &TargetVoice, before: &Sound, after: &Sound) -> HostResult<Likeness> {
    let mut enroller = PackSource::standard().enroller()?;
    let mut cosine = |sound: &Sound| -> HostResult<f32> {
        let embedding = enroller.embed(&resample_all(&sound.mono(), sound.rate, RATE))?;
        Ok(embedding.iter().zip(&target.embedding).map(|(a, b)| a * b).sum())
    };
    Ok(Likeness { before: cosine(before)?, after: cosine(after)? })
}
