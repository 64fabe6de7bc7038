//! Where lines break: at clauses, never behind a word that leans on the next one, never inside a name.

use super::Style;
use crate::captions::Word;

/// Words that lean on what follows: articles, possessives, prepositions, conjunctions. Nothing may end behind one.
const LEANING: &[&str] = &[
    "a", "an", "the", "my", "your", "his", "her", "its", "our", "their", "this", "these", "those", "of", "to", "in", "on", "at", "by",
    "for", "with", "from", "into", "onto", "upon", "over", "under", "between", "through", "about", "against", "without", "and", "or",
    "but", "nor", "so", "as", "if", "that", "than", "because", "when", "while", "who", "which", "whose", "where", "very",
];
/// Words that lean a little: pronouns and auxiliaries.
const LEANING_A_LITTLE: &[&str] = &[
    "i", "he", "she", "we", "they", "you", "it", "is", "are", "was", "were", "be", "been", "am", "has", "have", "had", "do", "does", "did",
    "will", "would", "can", "could", "shall", "should", "may", "might", "must", "not", "no",
];
/// A name follows them.
const TITLES: &[&str] = &["mr", "mrs", "ms", "dr", "st", "prof"];
/// Words before which a break is a good one.
const OPENING: &[&str] = &[
    "and", "or", "but", "nor", "so", "because", "that", "which", "who", "when", "while", "where", "if", "than", "as", "of", "to", "in",
    "on", "at", "by", "for", "with", "from", "into", "about", "after", "before", "until", "though", "although",
];

fn bare(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric() || *c == '\'').flat_map(char::to_lowercase).collect()
}

/// Titles and initials: their point ends nothing.
fn shortened(word: &str) -> bool {
    let bare = bare(word);
    word.ends_with('.') && (TITLES.contains(&bare.as_str()) || (bare.chars().count() == 1 && capital(word)))
}

/// Whether a sentence ends with this word.
pub(super) fn ends_sentence(word: &str) -> bool {
    let word = word.trim_end_matches(['"', '”', '’', '\'', ')']);
    word.ends_with(['.', '?', '!', '…']) && !shortened(word)
}

/// Whether a part of a sentence ends with this word.
pub(super) fn ends_clause(word: &str) -> bool {
    ends_sentence(word) || word.trim_end_matches(['"', '”', '’', '\'', ')']).ends_with([',', ';', ':', '–', '—'])
}

/// Whether a word leans on the next one: nothing may end behind it.
pub(super) fn weak_end(word: &str) -> bool {
    let bare = bare(word);
    TITLES.contains(&bare.as_str()) || (!ends_clause(word) && LEANING.contains(&bare.as_str()))
}

/// Whether both words seem to belong to one name.
pub(super) fn inside_name(before: &str, after: &str) -> bool {
    capital(before) && capital(after) && !ends_clause(before)
}

fn length(words: &[Word]) -> usize {
    words.iter().map(|w| w.text.chars().count()).sum::<usize>() + words.len().saturating_sub(1)
}

fn capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// What the best lines of these words cost, in as few lines as fit; `None` where they fit none.
pub(super) fn line_cost(words: &[Word], style: &Style) -> Option<f64> {
    (1..=style.lines).find_map(|lines| best_breaks(words, lines, style)).map(|(cost, _)| cost)
}

/// How bad a break between two words is.
fn break_cost(before: &str, after: &str) -> f64 {
    let mut cost = 1.0;
    if ends_clause(before) {
        cost -= 0.8;
    } else if weak_end(before) {
        cost += 3.0;
    } else if LEANING_A_LITTLE.contains(&bare(before).as_str()) {
        cost += 1.0;
    } else if inside_name(before, after) {
        cost += 3.0;
    }
    if OPENING.contains(&bare(after).as_str()) {
        cost -= 0.3;
    }
    cost
}

/// The lines of a cue, as few as fit; a single one where none do.
pub(super) fn break_lines(words: &[Word], style: &Style) -> Vec<String> {
    let join = |w: &[Word]| w.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
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
        let uneven = (first as f64 - share).abs() / style.line_characters as f64 * if first as f64 > share { 1.2 } else { 1.0 };
        let cost = rest + break_cost(&words[k - 1].text, &words[k].text) + 2.0 * uneven;
        if best.as_ref().is_none_or(|(c, _)| cost < *c) {
            best = Some((cost, std::iter::once(k).chain(breaks.into_iter().map(|b| b + k)).collect()));
        }
    }
    best
}

/// Words that a running text is counted from: its lines break the same as it grows.
const ANCHOR: usize = 500;

/// The last lines of a running text, final words and then partial ones, as a live display shows them: lines fill up from the left and
/// roll up, and no word that stands moves to another line. A long pause starts a new line.
pub fn roll_up(words: &[Word], partial: &[Word], style: &Style) -> Vec<String> {
    let anchor = (words.len() / ANCHOR).saturating_sub(1) * ANCHOR;
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    let mut end = f64::NEG_INFINITY;
    for w in words[anchor..].iter().chain(partial) {
        let text = w.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let n = text.chars().count();
        if n == 0 {
            continue;
        }
        match lines.last_mut() {
            Some(line) if used + 1 + n <= style.line_characters && w.start - end < style.pause => {
                line.push(' ');
                line.push_str(&text);
                used += 1 + n;
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
