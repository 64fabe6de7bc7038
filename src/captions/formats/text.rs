//! The formats that are lines of text.

use super::{Word, clean_lines, clock, shown};
use crate::captions::cues::Cue;

/// A pause of so many seconds begins a paragraph in plain text.
const PARAGRAPH: f64 = 2.0;

/// SubRip: a number, a comma before the milliseconds, no marks. An arrow inside a text would end it early, so it is shortened.
pub(super) fn srt(cues: &[Cue]) -> String {
    let mut out = String::new();
    for (i, cue) in cues.iter().filter(|c| shown(c)).enumerate() {
        out.push_str(&format!("{}\n{} --> {}\n", i + 1, clock(cue.start, ','), clock(cue.end, ',')));
        for line in clean_lines(cue) {
            out.push_str(&without_arrow(line));
            out.push('\n');
        }
        out.push('\n');
    }
    out
}

fn without_arrow(mut line: String) -> String {
    while line.contains("-->") {
        line = line.replace("-->", "->");
    }
    line
}

/// WebVTT: a point before the milliseconds; `&`, `<` and `>` are escaped, which leaves no arrow in a text either.
pub(super) fn vtt(cues: &[Cue]) -> String {
    let mut out = String::from("WEBVTT\n\n");
    for cue in cues.iter().filter(|c| shown(c)) {
        out.push_str(&format!("{} --> {}\n", clock(cue.start, '.'), clock(cue.end, '.')));
        for line in clean_lines(cue) {
            out.push_str(&line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
            out.push('\n');
        }
        out.push('\n');
    }
    out
}

/// The words, a paragraph between long pauses.
pub(super) fn plain(words: &[Word]) -> String {
    let mut out = String::new();
    let mut end = f64::INFINITY;
    for word in words {
        let text = word.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push_str(if word.start - end >= PARAGRAPH { "\n\n" } else { " " });
        }
        out.push_str(&text);
        end = word.end;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}
