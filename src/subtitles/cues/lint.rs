//! Whether cues keep a style's norms. Looks at cues, words and style alone: it doesn't know how they were cut, so it
//! judges anybody's.

use super::lines::weak_end;
use super::norm::violation;
use super::{Cue, Norm, Style, Violation, cleaned};
use crate::Word;
use crate::language::width;

/// Files hold milliseconds, so nothing finer is a breach.
const CLOCK: f64 = 0.0011;

/// Every norm that cues break, in order of the cues. With the words, texts and in- and out-times are checked against
/// them too.
pub fn lint(cues: &[Cue], words: Option<&[Word]>, style: &Style) -> Vec<Violation> {
    let mut out = Vec::new();
    for (k, cue) in cues.iter().enumerate() {
        alone(k, cue, style, &mut out);
        if let Some(next) = cues.get(k + 1) {
            let gap = next.start - cue.end;
            if gap + CLOCK < 0.0 {
                out.push(violation(k, cue, Norm::Overlap, -gap, 0.0));
            } else if gap + CLOCK < style.gap {
                out.push(violation(k, cue, Norm::Gap, gap, style.gap));
            }
        }
    }
    if let Some(words) = words {
        against_words(cues, &cleaned(words, style), style, &mut out);
    }
    out.sort_by_key(|v| v.cue);
    out
}

/// Places where a line ends behind a word that leans on the next: the cue and the line, counted from 0. Advice, no
/// breach.
pub fn leaning_ends(cues: &[Cue], style: &Style) -> Vec<(usize, usize)> {
    let ends = |line: &String| line.split_whitespace().next_back().is_some_and(|word| weak_end(word, style));
    cues.iter()
        .enumerate()
        .flat_map(|(k, c)| c.lines.iter().enumerate().filter(|(_, l)| ends(l)).map(move |(i, _)| (k, i)))
        .collect()
}

/// What one cue breaks by itself.
fn alone(k: usize, cue: &Cue, style: &Style, out: &mut Vec<Violation>) {
    let mut found = |broken: bool, norm: Norm, measured: f64, allowed: f64| {
        if broken {
            out.push(violation(k, cue, norm, measured, allowed));
        }
    };
    let empty = cue.lines.iter().filter(|l| l.trim().is_empty()).count();
    found(empty > 0 || cue.lines.is_empty(), Norm::Empty, empty.max(1) as f64, 0.0);
    found(cue.lines.len() > style.lines, Norm::Lines, cue.lines.len() as f64, style.lines as f64);
    let longest = cue.lines.iter().map(|l| width(l)).max().unwrap_or(0);
    found(longest > style.line_characters, Norm::LineLength, longest as f64, style.line_characters as f64);
    let missing: usize = cue.lines.iter().map(|l| style.charset.missing(l)).sum();
    found(missing > 0, Norm::Characters, missing as f64, 0.0);
    let length = cue.end - cue.start;
    if !cue.start.is_finite() || !cue.end.is_finite() || length <= 0.0 {
        found(true, Norm::Overlap, -length, 0.0);
        return;
    }
    let characters = width(&cue.text_in(&style.language)) as f64;
    let speed = style.characters_a_second;
    found(characters > (length + CLOCK) * speed, Norm::Speed, characters / length, speed);
    found(length + CLOCK < style.min_seconds, Norm::Shortest, length, style.min_seconds);
    found(length > style.max_seconds + CLOCK, Norm::Longest, length, style.max_seconds);
}

/// What cues break against the words that they show.
fn against_words(cues: &[Cue], words: &[Word], style: &Style, out: &mut Vec<Violation>) {
    let mut words = words.iter().peekable();
    for (k, cue) in cues.iter().enumerate() {
        let text = cue.text_in(&style.language).split_whitespace().collect::<Vec<_>>().join(" ");
        let mut left = text.as_str();
        let (Some(first), mut last) = (words.peek().map(|w| w.start), 0.0f64) else {
            return out.push(violation(k, cue, Norm::Text, 1.0, 0.0));
        };
        while !left.is_empty() {
            let read = text.len() - left.len();
            let rest = words.next().and_then(|word| {
                last = last.max(word.end);
                left.strip_prefix(style.language.glue(&text[..read], &word.text))?.strip_prefix(word.text.as_str())
            });
            let Some(rest) = rest else {
                // From here on nobody knows which word is whose.
                return out.push(violation(k, cue, Norm::Text, 1.0, 0.0));
            };
            left = rest;
        }
        let late = cue.start - first;
        if late > style.in_time + CLOCK {
            out.push(violation(k, cue, Norm::Late, late, style.in_time));
        } else if -late > style.in_time + CLOCK {
            out.push(violation(k, cue, Norm::Early, -late, style.in_time));
        }
        let readable = cue.start + style.reading(width(&text));
        if cue.end > readable.max(last + style.hang) + CLOCK {
            out.push(violation(k, cue, Norm::Hang, cue.end - last, style.hang.max(readable - last)));
        }
    }
    if let (Some(_), Some(cue)) = (words.next(), cues.last()) {
        out.push(violation(cues.len() - 1, cue, Norm::Text, 1.0, 0.0));
    }
}
