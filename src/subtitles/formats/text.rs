//! The formats that are lines of text.

use super::{Programme, clean, clock, dashed_lines, said_lines, shown};
use crate::Word;
use crate::cues::Spoken;

/// A pause of so many seconds begins a paragraph in plain text.
const PARAGRAPH: f64 = 2.0;

/// SubRip: a number, a comma before the milliseconds, no marks. An arrow inside a text would end it early, so it is
/// shortened.
pub(super) fn srt(programme: &Programme) -> String {
    let mut out = String::new();
    for (i, cue) in programme.cues.iter().filter(|c| shown(c)).enumerate() {
        out.push_str(&format!("{}\n{} --> {}\n", i + 1, clock(cue.cue.start, ','), clock(cue.cue.end, ',')));
        for line in dashed_lines(cue) {
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

/// WebVTT: a point before the milliseconds, a voice span where a speaker is named; `&`, `<` and `>` are escaped, which
/// leaves no arrow in a text either.
pub(super) fn vtt(programme: &Programme) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut out = String::from("WEBVTT\n\n");
    for cue in programme.cues.iter().filter(|c| shown(c)) {
        out.push_str(&format!("{} --> {}\n", clock(cue.cue.start, '.'), clock(cue.cue.end, '.')));
        let mut before: Option<&str> = None;
        let last = said_lines(cue).count().saturating_sub(1);
        for (k, (who, line)) in said_lines(cue).enumerate() {
            let next = said_lines(cue).nth(k + 1).and_then(|(who, _)| who);
            match who {
                Some(name) if who != before => out.push_str(&format!("<v {}>{}", escape(&clean(name)), escape(&line))),
                // Nobody is named, but another speaks before or behind: the dash says so.
                None if cue.shared() => out.push_str(&format!("- {}", escape(&line))),
                _ => out.push_str(&escape(&line)),
            }
            // A span may stay open only at the end of a cue.
            if who.is_some() && k < last && next != who {
                out.push_str("</v>");
            }
            before = who;
            out.push('\n');
        }
        out.push('\n');
    }
    out
}

/// The words, a paragraph between long pauses and for each speaker, whose name stands before it.
pub(super) fn plain(programme: &Programme) -> String {
    let (spoken, language) = (programme.spoken, programme.spoken_in());
    let mut all: Vec<(Option<&str>, &Word)> =
        spoken.iter().flat_map(|s| s.words.iter().map(|w| (s.speaker.as_deref(), w))).collect();
    let several = spoken.len() > 1;
    if several {
        all = turns(spoken);
    }
    let mut out = String::new();
    let mut end = f64::INFINITY;
    let mut speaker: Option<&str> = None;
    for (who, word) in all {
        let text = clean(&word.text).split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            continue;
        }
        let first = out.is_empty();
        if !first {
            out.push_str(if word.start - end >= PARAGRAPH || who != speaker {
                "\n\n"
            } else {
                language.glue(&out, &text)
            });
        }
        if let Some(name) = who.filter(|_| who != speaker || first) {
            out.push_str(&format!("{}: ", clean(name)));
        }
        out.push_str(&text);
        (end, speaker) = (word.end, who);
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// Words of several people, each one's phrase whole before the next: a phrase ends at a pause of half a second.
fn turns(spoken: &[Spoken]) -> Vec<(Option<&str>, &Word)> {
    const PHRASE: f64 = 0.5;
    let mut phrases: Vec<(Option<&str>, &[Word])> = Vec::new();
    for s in spoken {
        let parts = s.words.chunk_by(|a, b| b.start - a.end < PHRASE);
        phrases.extend(parts.map(|part| (s.speaker.as_deref(), part)));
    }
    phrases.sort_by(|a, b| a.1[0].start.total_cmp(&b.1[0].start));
    phrases.into_iter().flat_map(|(who, part)| part.iter().map(move |w| (who, w))).collect()
}
