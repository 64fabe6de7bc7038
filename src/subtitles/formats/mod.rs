//! Caption files and marker lists, written whole or not at all. Knows words, cues and speakers, not where they come
//! from.
//!
//! Times and texts are the same in all of them: whole milliseconds, except iTT, which counts frames.

mod frames;
mod markers;
mod read;
#[cfg(test)]
mod tests;
mod text;
mod ttml;

pub use frames::FrameRate;
pub use read::share;
pub use read::{ReadBack, ReadBackError, is_read_back, parse, read_back};

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Word;
use super::cues::{Cue, Spoken, SpokenCue};
use super::language::Language;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// SubRip, `.srt`.
    Srt,
    /// WebVTT, `.vtt`.
    Vtt,
    /// TTML, the text profile of IMSC 1.1: `.ttml`, `.xml` or `.dfxp`.
    Ttml,
    /// iTunes Timed Text, `.itt`: TTML 1 in SMPTE time.
    Itt,
    /// Words and cues with all they have, `.json`.
    Json,
    /// Plain text, a paragraph between long pauses, `.txt`.
    Text,
    /// A table of cues, `.csv`.
    Csv,
    /// Regions for REAPER's region and marker manager, `.reaper.csv`.
    Reaper,
    /// A script that adds range markers to the open session of Ardour, `.lua`.
    Ardour,
    /// Markers for Adobe Audition, `.audition.csv`: its tab-separated list.
    Audition,
}

/// What a file is made from.
#[derive(Debug, Clone, Copy)]
pub struct Programme<'a> {
    /// What was said, by whom.
    pub spoken: &'a [Spoken],
    /// The cues.
    pub cues: &'a [SpokenCue],
    /// The frames that iTT counts.
    pub frame_rate: FrameRate,
    /// The language, as BCP 47 names it; empty where it isn't known.
    pub language: &'a str,
}

impl Programme<'_> {
    /// The language, as it is told or as well as the words tell it.
    fn spoken_in(&self) -> Language {
        Language::of_words(self.language, self.spoken.iter().flat_map(|s| &s.words))
    }
}

/// What can go wrong with a caption file.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The name tells no format.
    #[error("`{0}` has no ending of a caption file; name it {endings}", endings = endings())]
    Unknown(PathBuf),
    /// The file can't be written.
    #[error(
        "the caption file `{path}` can't be written: {why}; check that its folder exists, may be written to, and has \
         room"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

/// All endings in a sentence.
fn endings() -> String {
    let all: Vec<String> = Format::ALL.iter().map(|f| format!(".{}", f.extension())).collect();
    let (last, others) = all.split_last().map_or(("", &all[..]), |(last, others)| (last.as_str(), others));
    format!("{} or {last}", others.join(", "))
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 10] = [
        Format::Srt,
        Format::Vtt,
        Format::Ttml,
        Format::Itt,
        Format::Json,
        Format::Text,
        Format::Csv,
        Format::Reaper,
        Format::Ardour,
        Format::Audition,
    ];

    /// By the ending of a file's name, in any case; the longest ending that fits.
    pub fn from_path(path: &Path) -> Result<Format, FormatError> {
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        let others = [("webvtt", Format::Vtt), ("xml", Format::Ttml), ("dfxp", Format::Ttml)];
        let all = Format::ALL.map(|f| (f.extension(), f)).into_iter().chain(others);
        all.filter(|(ending, _)| name.strip_suffix(ending).is_some_and(|stem| stem.len() > 1 && stem.ends_with('.')))
            .max_by_key(|(ending, _)| ending.len())
            .map(|(_, format)| format)
            .ok_or_else(|| FormatError::Unknown(path.to_owned()))
    }

    /// The usual ending of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Srt => "srt",
            Format::Vtt => "vtt",
            Format::Ttml => "ttml",
            Format::Itt => "itt",
            Format::Json => "json",
            Format::Text => "txt",
            Format::Csv => "csv",
            Format::Reaper => "reaper.csv",
            Format::Ardour => "lua",
            Format::Audition => "audition.csv",
        }
    }
}

/// The whole content of a file of one unnamed speaker, UTF-8. English is what the recogniser knows.
pub fn render(format: Format, words: &[Word], cues: &[Cue]) -> String {
    let spoken = [Spoken { speaker: None, words: words.to_vec() }];
    let cues: Vec<SpokenCue> = cues.iter().map(|c| SpokenCue::of(c.clone(), None)).collect();
    render_programme(
        format,
        &Programme { spoken: &spoken, cues: &cues, frame_rate: FrameRate::default(), language: "en" },
    )
}

/// The whole content of a file, UTF-8.
pub fn render_programme(format: Format, programme: &Programme) -> String {
    match format {
        Format::Srt => text::srt(programme),
        Format::Vtt => text::vtt(programme),
        Format::Ttml => ttml::ttml(programme),
        Format::Itt => ttml::itt(programme),
        Format::Json => json(programme),
        Format::Text => text::plain(programme),
        Format::Csv => markers::csv(programme),
        Format::Reaper => markers::reaper(programme),
        Format::Ardour => markers::ardour(programme),
        Format::Audition => markers::audition(programme),
    }
}

/// Writes a caption file of one unnamed speaker: whole or not at all, replacing what stood there.
pub fn write(path: &Path, format: Format, words: &[Word], cues: &[Cue]) -> Result<(), FormatError> {
    write_rendered(path, &render(format, words, cues))
}

/// Writes what was rendered: whole or not at all, replacing what stood there.
pub fn write_rendered(path: &Path, content: &str) -> Result<(), FormatError> {
    mynah_files::write_whole(path, |file| file.write_all(content.as_bytes()))
        .map_err(|e| FormatError::Write { path: path.to_owned(), why: e.to_string() })
}

/// Words in order of time and cues, each with its speaker where one is named.
fn json(programme: &Programme) -> String {
    #[derive(Serialize)]
    struct SaidWord<'a> {
        #[serde(flatten)]
        word: &'a Word,
        #[serde(skip_serializing_if = "Option::is_none")]
        speaker: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct SaidCue<'a> {
        #[serde(flatten)]
        cue: &'a Cue,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        speakers: &'a [Option<String>],
    }
    #[derive(Serialize)]
    struct File<'a> {
        #[serde(skip_serializing_if = "str::is_empty")]
        language: &'a str,
        /// In their order, where there are several.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        speakers: Vec<Option<&'a str>>,
        words: Vec<SaidWord<'a>>,
        cues: Vec<SaidCue<'a>>,
    }
    let named = |s: &'static [Option<String>]| s;
    let mut words: Vec<SaidWord> = programme
        .spoken
        .iter()
        .flat_map(|s| s.words.iter().map(|word| SaidWord { word, speaker: s.speaker.as_deref() }))
        .collect();
    words.sort_by(|a, b| a.word.start.total_cmp(&b.word.start));
    let cues = programme.cues.iter().map(|c| {
        let speakers: &[Option<String>] = if c.speakers.iter().any(Option::is_some) { &c.speakers } else { named(&[]) };
        SaidCue { cue: &c.cue, speakers }
    });
    let speakers =
        programme.spoken.iter().filter(|_| programme.spoken.len() > 1).map(|s| s.speaker.as_deref()).collect();
    // Numbers and strings always have a form in JSON: what is no number becomes null.
    serde_json::to_string_pretty(&File { language: programme.language, speakers, words, cues: cues.collect() })
        .map(|s| s + "\n")
        .unwrap_or_default()
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
fn shown(cue: &SpokenCue) -> bool {
    let cue = &cue.cue;
    milliseconds(cue.end) > milliseconds(cue.start) && cue.lines.iter().any(|l| !clean(l).is_empty())
}

/// A line as files can hold it: no control characters.
fn clean(line: &str) -> String {
    let visible: String =
        line.chars().map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c }).collect();
    visible.trim().to_owned()
}

/// The lines of a cue as files can hold them, none empty, with who says each.
fn said_lines(cue: &SpokenCue) -> impl Iterator<Item = (Option<&str>, String)> {
    let speakers = cue.speakers.iter().map(Option::as_deref).chain(std::iter::repeat(None));
    cue.cue.lines.iter().zip(speakers).map(|(line, who)| (who, clean(line))).filter(|(_, line)| !line.is_empty())
}

/// The lines of a cue, with a dash each where several people speak.
fn dashed_lines(cue: &SpokenCue) -> impl Iterator<Item = String> {
    let dash = if cue.shared() { super::cues::DASH } else { "" };
    said_lines(cue).map(move |(_, line)| format!("{dash}{line}"))
}

/// All of a cue in one line, with the speaker's name before what a named one says.
fn one_line(cue: &SpokenCue, language: &Language) -> String {
    let mut out = String::new();
    let mut before: Option<&str> = None;
    for (who, line) in said_lines(cue) {
        let name = who.filter(|_| who != before);
        if !out.is_empty() {
            out.push_str(if name.is_some() { " " } else { language.glue(&out, &line) });
        }
        if let Some(name) = name {
            out.push_str(&format!("{}: ", clean(name)));
        }
        before = who;
        out.push_str(&line);
    }
    out
}
