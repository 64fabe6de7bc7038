//! Where cues begin and end: dynamic programming over all words of a programme. Knows no file formats.
//!
//! A possible cue costs for being there, for a bad place to end, for haste, and most for a norm that it breaks. What it
//! breaks depends on when the cue before it can end, so each place between two words keeps several ways to get there:
//! cheap ones and ones that leave more time.

use std::ops::Range;

use super::leaning::leans_back;
use super::lines::{ends_clause, ends_sentence, inside_name, line_cost, weak_end};
use super::schedule::{Clock, SHORTEST, reading};
use super::{Style, milliseconds};
use crate::Word;
use crate::language::width;

/// How much a bad line break counts beside a bad end of a cue.
const LINE_WEIGHT: f64 = 0.6;
/// What a broken norm costs, and each share of it that is missing.
const BROKEN: f64 = 30.0;
const BROKEN_SHARE: f64 = 60.0;
/// Ways to get to a place that are kept.
const WAYS: usize = 12;

/// A way to have cut all words before a place.
#[derive(Debug, Clone, Copy)]
struct Way {
    cost: f64,
    /// The next cue may begin here, in milliseconds.
    free: i64,
    /// The last cue's first word, and the way to there.
    from: usize,
    parent: usize,
}

/// The cheapest row of cues: ranges of words. A long pause always ends one. `words` are cleaned: rising times, one line
/// each.
pub(super) fn cut(words: &[Word], style: &Style) -> Vec<Range<usize>> {
    let n = words.len();
    let clock = Clock::of(style);
    let start = |k: usize| milliseconds(words[k].start);
    let mut ways: Vec<Vec<Way>> = vec![Vec::new(); n + 1];
    ways[0].push(Way { cost: 0.0, free: i64::MIN / 2, from: 0, parent: 0 });
    for i in 0..n {
        let here = ways[i].clone();
        let mut characters = 0;
        for j in i + 1..=n {
            let part = &words[i..j];
            let alone = j == i + 1;
            if !alone && part[j - i - 1].start - part[j - i - 2].end >= style.pause {
                break;
            }
            let last = &part[j - i - 1].text;
            let glue = if alone { "" } else { style.language.glue(&part[j - i - 2].text, last) };
            characters += width(last) + glue.len();
            let long = milliseconds(part[part.len() - 1].end) - start(i) > clock.max;
            let lines = line_cost(part, style);
            if !alone && (long || lines.is_none()) {
                break;
            }
            let next = words.get(j);
            let pause = next.is_none_or(|w| w.start - words[j - 1].end >= style.pause);
            let base = cost(part, characters, next, pause, style) + LINE_WEIGHT * lines.unwrap_or(0.0);
            let needed = reading(characters, style);
            for (k, way) in here.iter().enumerate() {
                let begin = way.free.max(start(i) - clock.in_time).max(0);
                let late = (begin - start(i) - clock.in_time).max(0);
                let until = if j < n { (start(j) + clock.in_time - clock.gap).max(begin + SHORTEST) } else { i64::MAX };
                let short = (begin + needed - until).max(0);
                let broken = |ms: i64, share: f64| if ms > 0 { BROKEN + BROKEN_SHARE * share } else { 0.0 };
                let cost =
                    way.cost + base + broken(late, late as f64 / 1000.0) + broken(short, short as f64 / needed as f64);
                let mut free = (begin + needed).min(until) + clock.gap;
                if j < n {
                    free = free.max(start(j) - clock.in_time);
                }
                keep(&mut ways[j], Way { cost, free, from: i, parent: k });
            }
        }
    }
    // The cheapest way to the end, read backwards.
    let mut cuts = Vec::new();
    let (mut place, mut k) = (n, cheapest(&ways[n]));
    while place > 0 {
        let way = ways[place][k];
        cuts.push(way.from..place);
        (place, k) = (way.from, way.parent);
    }
    cuts.reverse();
    cuts
}

fn cheapest(ways: &[Way]) -> usize {
    let costs = ways.iter().enumerate().min_by(|a, b| a.1.cost.total_cmp(&b.1.cost));
    costs.map_or(0, |(k, _)| k)
}

/// Keeps a way unless another is as cheap and leaves as much time. The list is sorted: dearer ways leave more time.
fn keep(ways: &mut Vec<Way>, new: Way) {
    if ways.iter().any(|w| w.cost <= new.cost && w.free <= new.free) {
        return;
    }
    ways.retain(|w| w.cost < new.cost || w.free < new.free);
    let place = ways.partition_point(|w| w.cost < new.cost);
    ways.insert(place, new);
    if ways.len() > WAYS {
        // The last one leaves the most time: it may be the only one that keeps a norm later.
        ways.remove(WAYS - 1);
    }
}

/// What a cue of these words costs: one for being there, more for a bad place to end, for haste and for sentences run
/// together.
fn cost(part: &[Word], characters: usize, next: Option<&Word>, pause: bool, style: &Style) -> f64 {
    let (first, end) = (&part[0], &part[part.len() - 1]);
    let free = next.map_or(style.max_seconds, |n| (n.start - style.gap - first.start).clamp(0.0, style.max_seconds));
    let needed = style.reading(characters);
    let haste = ((needed - free) / needed).max(0.0);
    let place = match end.text.as_str() {
        _ if pause => 0.0,
        text if ends_sentence(text, style) => 0.0,
        text if ends_clause(text, style) => 0.3,
        text if weak_end(text, style) => 2.5,
        text if next.is_some_and(|n| inside_name(text, &n.text, style)) => 2.5,
        text if next.is_some_and(|n| leans_back(text, &n.text, &style.language)) => 2.0,
        _ => 0.8,
    };
    let breath = next.map_or(0.0, |n| (n.start - end.end).clamp(0.0, 0.5));
    let ends_inside = part[..part.len() - 1].iter().filter(|w| ends_sentence(&w.text, style)).count();
    let pauses_inside: f64 = part.windows(2).map(|p| (p[1].start - p[0].end - 0.3).max(0.0)).sum();
    1.0 + 4.0 * haste + place - breath + 0.7 * ends_inside as f64 + pauses_inside
}
