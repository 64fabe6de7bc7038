//! Where lines break: at clauses, never behind a word that leans on the next one, never inside a name.

use super::Style;
use super::leaning::leans_back;
use crate::Word;
use crate::language::{SENTENCE_ENDS, width};

/// Marks that close what a sentence's end may stand in.
const CLOSING: &[char] = &['"', '”', '’', '\'', ')', '»', '」', '』', '）', '》', '】'];
/// Marks that end a part of one.
const CLAUSE: &[char] = &[',', ';', ':', '–', '—', '、', '，', '；', '：', '､', '،', '؛', '၊'];

fn bare(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric() || *c == '\'').flat_map(char::to_lowercase).collect()
}

/// Titles and initials: their point ends nothing.
fn shortened(word: &str, style: &Style) -> bool {
    let bare = bare(word);
    word.ends_with('.') && (style.rules().is_title(&bare) || (bare.chars().count() == 1 && capital(word)))
}

/// Whether a sentence ends with this word.
pub(super) fn ends_sentence(word: &str, style: &Style) -> bool {
    let word = word.trim_end_matches(CLOSING);
    word.ends_with(SENTENCE_ENDS) && !shortened(word, style)
}

/// Whether a part of a sentence ends with this word.
pub(super) fn ends_clause(word: &str, style: &Style) -> bool {
    ends_sentence(word, style) || word.trim_end_matches(CLOSING).ends_with(CLAUSE)
}

/// Whether a word leans on the next one: nothing may end behind it.
pub(super) fn weak_end(word: &str, style: &Style) -> bool {
    let bare = bare(word);
    style.rules().is_title(&bare) || (!ends_clause(word, style) && style.rules().leans(&bare))
}

/// Whether both words seem to belong to one name.
pub(super) fn inside_name(before: &str, after: &str, style: &Style) -> bool {
    style.rules().capitals_are_names() && capital(before) && capital(after) && !ends_clause(before, style)
}

fn capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// What the best lines of these words cost, in as few lines as fit; `None` where they fit none.
pub(super) fn line_cost(words: &[Word], style: &Style) -> Option<f64> {
    (1..=style.lines).find_map(|lines| best_breaks(words, lines, style)).map(|(cost, _)| cost)
}

/// How bad a break between two words is.
fn break_cost(before: &str, after: &str, style: &Style) -> f64 {
    let mut cost = 1.0;
    if ends_clause(before, style) {
        cost -= 0.8;
    } else if weak_end(before, style) || inside_name(before, after, style) {
        cost += 3.0;
    } else if style.rules().leans_a_little(&bare(before)) {
        cost += 1.0;
    } else if leans_back(before, after, &style.language) {
        cost += 1.5;
    }
    if style.rules().opens(&bare(after)) {
        cost -= 0.3;
    }
    cost
}

/// The lines of a cue, as few as fit; a single one where none do.
pub(super) fn break_lines(words: &[Word], style: &Style) -> Vec<String> {
    let join = |w: &[Word]| style.language.joined(w.iter().map(|w| w.text.as_str()));
    for lines in 1..=style.lines {
        if let Some((_, breaks)) = best_breaks(words, lines, style) {
            let mut out = Vec::with_capacity(lines);
            let mut from = 0;
            for to in breaks.into_iter().chain([words.len()]) {
                out.push(join(&words[from..to]));
                from = to;
            }
            return out;
        }
    }
    vec![join(words)]
}

/// The cheapest way to set words in exactly so many lines: its cost and where each further line begins.
fn best_breaks(words: &[Word], lines: usize, style: &Style) -> Option<(f64, Vec<usize>)> {
    let length = |words: &[Word]| style.language.width_of(words);
    let whole = length(words);
    if lines == 1 {
        return (whole <= style.line_characters).then(|| (0.0, Vec::new()));
    }
    let mut best: Option<(f64, Vec<usize>)> = None;
    for k in 1..words.len() {
        let first = length(&words[..k]);
        if first > style.line_characters {
            break;
        }
        let Some((rest, breaks)) = best_breaks(&words[k..], lines - 1, style) else {
            continue;
        };
        // Lines of like length are read faster; a shorter one on top hides less of the picture.
        let share = whole as f64 / lines as f64;
        let uneven =
            (first as f64 - share).abs() / style.line_characters as f64 * if first as f64 > share { 1.2 } else { 1.0 };
        let cost = rest + break_cost(&words[k - 1].text, &words[k].text, style) + 2.0 * uneven;
        if best.as_ref().is_none_or(|(c, _)| cost < *c) {
            best = Some((cost, std::iter::once(k).chain(breaks.into_iter().map(|b| b + k)).collect()));
        }
    }
    best
}

/// Words that a running text is counted from: its lines break the same as it grows.
const ANCHOR: usize = 500;

/// The last lines of a running text, final words and then partial ones, as a live display shows them: lines fill up
/// from the left and roll up, and no word that stands moves to another line. A long pause starts a new line.
pub fn roll_up(words: &[Word], partial: &[Word], style: &Style) -> Vec<String> {
    let anchor = (words.len() / ANCHOR).saturating_sub(1) * ANCHOR;
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    let mut end = f64::NEG_INFINITY;
    for w in words[anchor..].iter().chain(partial) {
        let text = w.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let n = width(&text);
        if n == 0 {
            continue;
        }
        let glue = lines.last().map_or("", |line| style.language.glue(line, &text));
        match lines.last_mut() {
            Some(line) if used + glue.len() + n <= style.line_characters && w.start - end < style.pause => {
                line.push_str(glue);
                line.push_str(&text);
                used += glue.len() + n;
            }
            _ => {
                lines.push(text);
                used = n;
            }
        }
        end = w.end;
    }
    lines.split_off(lines.len().saturating_sub(style.lines))
}
