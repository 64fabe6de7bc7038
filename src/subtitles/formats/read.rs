//! Caption files read back in: our own JSON, and SubRip and WebVTT of anybody. Knows no recordings and no styles.
//!
//! What a text may carry besides its words is told from them where the formats say so: tags of styles, voices and
//! classes go, a voice's name becomes the speaker. A file that is cut off, or whose times make no sense, is refused
//! with the place; nothing is left out silently.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Format;
use crate::Word;
use crate::cues::{Cue, DASH, Spoken, SpokenCue};
use crate::language::{Language, width};

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadBack {
    /// The words of each speaker. Of formats without words each cue's text is shared out over its time.
    pub spoken: Vec<Spoken>,
    /// The cues as they stand in the file.
    pub cues: Vec<SpokenCue>,
    /// The language's code; empty where the file doesn't tell it.
    pub language: String,
    /// Whether the words have times of their own.
    pub timed_words: bool,
}

/// Why a file can't be read back.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ReadBackError {
    /// Its kind isn't read.
    #[error("`{0}` can't be read back in; give a .json of Mynah's, a .srt or a .vtt file")]
    Kind(PathBuf),
    /// It can't be opened or is no text.
    #[error("the captions `{path}` can't be read: {why}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A place in it makes no sense.
    #[error(
        "the captions `{path}` can't be read: {what}; correct that place, or write the file again from the recording"
    )]
    Place {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong there.
        what: String,
    },
}

/// The formats that are read back.
pub fn is_read_back(path: &Path) -> bool {
    matches!(Format::from_path(path), Ok(Format::Json | Format::Srt | Format::Vtt))
}

/// Reads a file, whose ending tells its kind.
pub fn read_back(path: &Path) -> Result<ReadBack, ReadBackError> {
    let format = Format::from_path(path)
        .ok()
        .filter(|_| is_read_back(path))
        .ok_or_else(|| ReadBackError::Kind(path.to_owned()))?;
    let text = mynah_files::typed::text_of(path).map_err(|why| ReadBackError::Open { path: path.to_owned(), why })?;
    parse(format, &text).map_err(|what| ReadBackError::Place { path: path.to_owned(), what })
}

/// The content of a file of this format. An error says where it makes no sense.
pub fn parse(format: Format, text: &str) -> Result<ReadBack, String> {
    match format {
        Format::Json => json(text),
        Format::Srt => timed(text, srt_cue),
        Format::Vtt => {
            let body =
                text.strip_prefix("WEBVTT").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']));
            timed(body.ok_or("it doesn't begin with WEBVTT")?, vtt_cue)
        }
        _ => Err("its format isn't read".to_owned()),
    }
}

/// A line of a cue and who says it.
type Line = (Option<String>, String);

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    language: String,
    #[serde(default)]
    speakers: Vec<Option<String>>,
    #[serde(default)]
    words: Vec<FileWord>,
    #[serde(default)]
    cues: Vec<FileCue>,
}

#[derive(Deserialize)]
struct FileWord {
    text: String,
    start: Option<f64>,
    end: Option<f64>,
    confidence: Option<f32>,
    speaker: Option<String>,
}

#[derive(Deserialize)]
struct FileCue {
    #[serde(flatten)]
    cue: Cue,
    #[serde(default)]
    speakers: Vec<Option<String>>,
}

fn json(text: &str) -> Result<ReadBack, String> {
    let file: File =
        serde_json::from_str(text).map_err(|e| e.to_string().split_whitespace().collect::<Vec<_>>().join(" "))?;
    for (k, w) in file.words.iter().enumerate() {
        let wrong = |what: &str| Err(format!("word {} (`{}`) {what}", k + 1, w.text));
        match (w.start, w.end) {
            (Some(start), Some(end)) if end < start => return wrong("ends before it begins"),
            (Some(start), _) if start < 0.0 => return wrong("begins before the recording"),
            (None, Some(_)) | (Some(_), None) => return wrong("has one time of two"),
            _ => {}
        }
    }
    let said = |who: &Option<String>| file.words.iter().any(|w| w.speaker == *who);
    let mut spoken: Vec<Spoken> = Vec::new();
    for who in file.speakers.iter().filter(|who| said(who)) {
        if spoken.iter().all(|s| s.speaker != *who) {
            spoken.push(Spoken { speaker: who.clone(), words: Vec::new() });
        }
    }
    for w in &file.words {
        let at = spoken.iter().position(|s| s.speaker == w.speaker).unwrap_or_else(|| {
            spoken.push(Spoken { speaker: w.speaker.clone(), words: Vec::new() });
            spoken.len() - 1
        });
        // A word without times was added by hand: it gets those of its neighbours' gap.
        let (start, end) = (w.start.unwrap_or(f64::NAN), w.end.unwrap_or(f64::NAN));
        spoken[at].words.push(Word { text: w.text.clone(), start, end, confidence: w.confidence.unwrap_or(1.0) });
    }
    for s in &mut spoken {
        let order = |a: &Word, b: &Word| a.start.partial_cmp(&b.start).unwrap_or(std::cmp::Ordering::Equal);
        if s.words.windows(2).any(|pair| pair[1].start < pair[0].start) {
            s.words.sort_by(order);
        }
        fill_times(&mut s.words);
    }
    let cues = file.cues.into_iter().map(|c| {
        let mut speakers = c.speakers;
        speakers.resize(c.cue.lines.len(), None);
        SpokenCue { cue: c.cue, speakers }
    });
    let cues: Vec<SpokenCue> = cues.collect();
    if spoken.is_empty() && cues.is_empty() {
        return Err("it has neither words nor cues".to_owned());
    }
    let timed_words = !spoken.is_empty();
    let spoken = if timed_words { spoken } else { words_of(&cues, &Language::of(&file.language)) };
    Ok(ReadBack { spoken, cues, language: file.language, timed_words })
}

/// Gives words without times those of the gap between their neighbours, or no length where there is none.
fn fill_times(words: &mut [Word]) {
    let mut k = 0;
    while k < words.len() {
        let n = words[k..].iter().take_while(|w| !w.start.is_finite()).count();
        if n == 0 {
            k += 1;
            continue;
        }
        let from = k.checked_sub(1).map(|b| words[b].end);
        let to = words.get(k + n).map(|w| w.start);
        let from = from.or(to).unwrap_or(0.0);
        share(&mut words[k..k + n], from, to.unwrap_or(from).max(from));
        k += n;
    }
}

/// Shares a time out over words by their width.
pub fn share(words: &mut [Word], from: f64, to: f64) {
    let all = words.iter().map(|w| width(&w.text) + 1).sum::<usize>().max(1) as f64;
    let at = |n: usize| ((from + (to - from) * n as f64 / all) * 1000.0).round() / 1000.0;
    let mut before = 0;
    for w in words {
        let n = width(&w.text) + 1;
        (w.start, w.end) = (at(before), at(before + n));
        before += n;
    }
}

/// The words of cues: each line's share the time of the cue with the others of the same speaker.
fn words_of(cues: &[SpokenCue], language: &Language) -> Vec<Spoken> {
    let mut spoken: Vec<Spoken> = Vec::new();
    for c in cues {
        let mut speakers: Vec<&Option<String>> = Vec::new();
        for who in &c.speakers {
            if !speakers.contains(&who) {
                speakers.push(who);
            }
        }
        for who in speakers {
            let lines = c.cue.lines.iter().zip(&c.speakers).filter(|(_, w)| *w == who).map(|(line, _)| line.as_str());
            let text = language.joined(lines);
            let blank = |t: &str| Word { text: t.to_owned(), start: 0.0, end: 0.0, confidence: 1.0 };
            let mut words: Vec<Word> = text.split_whitespace().map(blank).collect();
            share(&mut words, c.cue.start, c.cue.end);
            match spoken.iter_mut().find(|s| s.speaker == *who) {
                Some(s) => s.words.extend(words),
                None => spoken.push(Spoken { speaker: who.clone(), words }),
            }
        }
    }
    spoken
}

/// Cues whose times stand on a line with an arrow, in the way of SubRip and WebVTT: what stands before the arrow's line
/// and behind the last text is a number or a name, a note or a style sheet, and no text.
fn timed(text: &str, cue: fn(&[&str]) -> Vec<Line>) -> Result<ReadBack, String> {
    let lines: Vec<&str> = text.lines().collect();
    let arrows: Vec<usize> = (0..lines.len()).filter(|k| lines[*k].contains("-->")).collect();
    let mut cues = Vec::new();
    for (n, at) in arrows.iter().enumerate() {
        let place = |what: &str| format!("line {} {what}", at + 1);
        let (start, end) =
            times(lines[*at]).ok_or_else(|| place(&format!("is no pair of times: `{}`", lines[*at].trim())))?;
        if end < start {
            return Err(place("ends before it begins"));
        }
        let behind = arrows.get(n + 1).copied().unwrap_or(lines.len());
        let mut body = &lines[at + 1..behind];
        if behind < lines.len() {
            // The next cue's number or name stands right before its times.
            body = match body.split_last() {
                Some((last, rest)) if !last.trim().is_empty() && is_name(last, rest) => rest,
                _ => body,
            };
        }
        // A note or a style sheet between two cues begins behind an empty line.
        let foreign = |k: &usize| {
            body[..*k].last().is_none_or(|l| l.trim().is_empty())
                && ["NOTE", "STYLE", "REGION"].iter().any(|w| begins(body[*k], w))
        };
        let body = &body[..(0..body.len()).find(foreign).unwrap_or(body.len())];
        let said: Vec<Line> = cue(body).into_iter().filter(|(_, line)| !line.trim().is_empty()).collect();
        if said.is_empty() {
            continue;
        }
        let (speakers, lines): (Vec<_>, Vec<_>) = said.into_iter().unzip();
        cues.push(SpokenCue { cue: Cue { start, end, lines, unmet: Vec::new() }, speakers });
    }
    if cues.is_empty() {
        return Err("it holds no caption".to_owned());
    }
    let language = Language::default();
    Ok(ReadBack { spoken: words_of(&cues, &language), cues, language: String::new(), timed_words: false })
}

/// Whether a line is a word of WebVTT's own, alone or before a space.
fn begins(line: &str, word: &str) -> bool {
    line.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// Whether the line before a cue's times is its number or name: a number, or what an empty line parts from the text
/// before.
fn is_name(line: &str, before: &[&str]) -> bool {
    line.trim().bytes().all(|b| b.is_ascii_digit()) || before.last().is_some_and(|l| l.trim().is_empty())
}

/// The two times of a cue in seconds; what follows them, such as a place on the screen, is no part of them.
fn times(line: &str) -> Option<(f64, f64)> {
    let (start, rest) = line.split_once("-->")?;
    Some((seconds(start.trim())?, seconds(rest.split_whitespace().next()?)?))
}

/// Seconds of `01:02:03,456`, `02:03.456` and the like.
fn seconds(clock: &str) -> Option<f64> {
    let (whole, part) = clock.split_once([',', '.']).unwrap_or((clock, "0"));
    let digits = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let thousandths: String = part.chars().chain("000".chars()).take(3).collect();
    let mut ms = u64::from(digits(&thousandths)?);
    let parts: Vec<u32> = whole.split(':').map(digits).collect::<Option<_>>()?;
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let unit = [1000, 60_000, 3_600_000];
    ms += parts.iter().rev().zip(unit).map(|(n, unit)| u64::from(*n) * unit).sum::<u64>();
    Some(ms as f64 / 1000.0)
}

/// Lines of SubRip: tags of bold, italic, underlined and coloured text and the braces of positions go.
fn srt_cue(lines: &[&str]) -> Vec<Line> {
    lines.iter().map(|line| (None, without_tags(line, &|tag| is_style(tag)).trim().to_owned())).collect()
}

fn is_style(tag: &str) -> bool {
    let name = tag.trim_start_matches('/').split([' ', '=']).next().unwrap_or_default().to_ascii_lowercase();
    matches!(name.as_str(), "b" | "i" | "u" | "s" | "font")
}

/// A line without the tags that `goes` names, and without positions in braces, `{\an8}`.
fn without_tags(line: &str, goes: &dyn Fn(&str) -> bool) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['<', '{']) {
        out.push_str(&rest[..at]);
        let brace = rest[at..].starts_with('{');
        let end = rest[at..].find(if brace { '}' } else { '>' }).map(|n| at + n);
        match end {
            Some(end) if (brace && rest[at + 1..].starts_with('\\')) || (!brace && goes(&rest[at + 1..end])) => {
                rest = &rest[end + 1..]
            }
            _ => {
                out.push_str(&rest[at..at + 1]);
                rest = &rest[at + 1..];
            }
        }
    }
    out + rest
}

/// Lines of WebVTT: a voice's name becomes the speaker, other tags go, and what is escaped is text again.
fn vtt_cue(lines: &[&str]) -> Vec<Line> {
    let mut who: Option<String> = None;
    let mut out: Vec<Line> = Vec::new();
    for line in lines {
        let (mut text, mut speaker) = (String::new(), who.clone());
        let mut rest = *line;
        while let Some(at) = rest.find('<') {
            text.push_str(&rest[..at]);
            let Some(end) = rest[at..].find('>').map(|n| at + n) else { break };
            let tag = &rest[at + 1..end];
            if let Some(name) = tag.strip_prefix('v').filter(|t| t.starts_with([' ', '.', '\t'])) {
                let name =
                    name.split_once([' ', '\t']).map(|(_, name)| unescaped(name.trim())).filter(|n| !n.is_empty());
                (who, speaker) = (name.clone(), name);
            } else if tag.starts_with("/v") {
                who = None;
            }
            rest = &rest[end + 1..];
        }
        text.push_str(rest);
        out.push((speaker, unescaped(&text).trim().to_owned()));
    }
    // Beside a named speaker an unnamed one is marked by a dash.
    if out.iter().any(|(who, _)| who.is_some()) {
        for (_, line) in out.iter_mut().filter(|(who, _)| who.is_none()) {
            *line = line.strip_prefix(DASH).map(str::to_owned).unwrap_or_else(|| std::mem::take(line));
        }
    }
    out
}

fn unescaped(text: &str) -> String {
    let marks = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&nbsp;", "\u{a0}"),
        ("&lrm;", "\u{200e}"),
        ("&rlm;", "\u{200f}"),
        ("&amp;", "&"),
    ];
    marks.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
