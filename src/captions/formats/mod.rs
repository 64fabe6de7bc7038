//! Caption files: SubRip, WebVTT, TTML, JSON and plain text, written whole or not at all. Knows words and cues, not where they come from.

#[cfg(test)]
mod tests;
mod text;
mod ttml;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Word;
use super::cues::Cue;

/// A kind of caption file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// SubRip, `.srt`.
    Srt,
    /// WebVTT, `.vtt`.
    Vtt,
    /// TTML 1, `.ttml`, `.xml`, `.dfxp` or `.itt`.
    Ttml,
    /// Words and cues with all they have, `.json`.
    Json,
    /// Plain text, a paragraph between long pauses, `.txt`.
    Text,
}

/// What can go wrong with a caption file.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The name tells no format.
    #[error("`{0}` has no ending of a caption file; name it .srt, .vtt, .ttml, .json or .txt")]
    Unknown(PathBuf),
    /// The file can't be written.
    #[error("the caption file `{path}` can't be written: {why}; check that its folder exists, may be written to, and has room")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 5] = [Format::Srt, Format::Vtt, Format::Ttml, Format::Json, Format::Text];

    /// By the ending of a file's name, in any case.
    pub fn from_path(path: &Path) -> Result<Format, FormatError> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
        match extension.as_str() {
            "srt" => Ok(Format::Srt),
            "vtt" | "webvtt" => Ok(Format::Vtt),
            "ttml" | "xml" | "dfxp" | "itt" => Ok(Format::Ttml),
            "json" => Ok(Format::Json),
            "txt" => Ok(Format::Text),
            _ => Err(FormatError::Unknown(path.to_owned())),
        }
    }

    /// The usual ending of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Srt => "srt",
            Format::Vtt => "vtt",
            Format::Ttml => "ttml",
            Format::Json => "json",
            Format::Text => "txt",
        }
    }
}

/// The whole content of a file, UTF-8.
pub fn render(format: Format, words: &[Word], cues: &[Cue]) -> String {
    match format {
        Format::Srt => text::srt(cues),
        Format::Vtt => text::vtt(cues),
        Format::Ttml => ttml::ttml(cues),
        Format::Json => json(words, cues),
        Format::Text => text::plain(words),
    }
}

/// Writes a caption file: whole or not at all, replacing what stood there.
pub fn write(path: &Path, format: Format, words: &[Word], cues: &[Cue]) -> Result<(), FormatError> {
    let content = render(format, words, cues);
    crate::audio::write_whole(path, |file| file.write_all(content.as_bytes()))
        .map_err(|e| FormatError::Write { path: path.to_owned(), why: e.to_string() })
}

fn json(words: &[Word], cues: &[Cue]) -> String {
    #[derive(Serialize)]
    struct File<'a> {
        words: &'a [Word],
        cues: &'a [Cue],
    }
    // Numbers and strings always have a form in JSON: what is no number becomes null.
    serde_json::to_string_pretty(&File { words, cues }).map(|s| s + "\n").unwrap_or_default()
}

/// Hours, minutes, seconds and milliseconds of a time; what lies before zero is zero.
fn clock(seconds: f64, point: char) -> String {
    let ms = milliseconds(seconds);
    format!("{:02}:{:02}:{:02}{point}{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1000.0).round() as u64
}

/// Whether a cue has a line and lasts at least a millisecond on the file's clock.
fn shown(cue: &Cue) -> bool {
    milliseconds(cue.end) > milliseconds(cue.start) && cue.lines.iter().any(|l| !l.trim().is_empty())
}

/// The lines of a cue as files can hold them: no empty ones, no control characters.
fn clean_lines(cue: &Cue) -> impl Iterator<Item = String> {
    cue.lines.iter().filter_map(|line| {
        let visible: String = line.chars().map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c }).collect();
        let visible = visible.trim().to_owned();
        (!visible.is_empty()).then_some(visible)
    })
}
