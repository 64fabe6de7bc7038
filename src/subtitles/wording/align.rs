//! A corrected text on the times of the words that were heard: both are compared word by word, and what was changed
//! takes the times of what it replaces. Knows words alone, no files.
//!
//! The text is parted at words that are the same and stand once on both sides (the idea of patience diff); between
//! them, where few words are left, the shortest edit path decides, on which a word that is nearly the same is a lesser
//! change than another one.

use std::collections::HashMap;
use std::ops::Range;

use super::letters;
use super::near::distance;
use crate::Word;
use crate::formats::share;
use crate::language::{Language, characters_or_words, repartitioned, width};

/// Between fixed words no more pairs than this are compared; longer stretches without any fixed word count as wholly
/// replaced.
const MOST_PAIRS: usize = 4_000_000;
/// A word put in gets at least so many seconds a character, if need be from the word before.
const LEAST: f64 = 0.02;
/// And where there is room so many: as long as people take.
const USUAL: f64 = 0.07;

/// A stretch of the text and the words that it stands for; the two are the same word where `same`.
#[derive(Debug, Clone, PartialEq)]
struct Pair {
    text: Range<usize>,
    words: Range<usize>,
    same: bool,
}

/// The words of a corrected text with the times of the words that were heard. A word that stayed keeps its time and
/// confidence, whatever became of its case and marks; words in place of others share the others' time, words that were
/// put in share the pause where they stand; words that were struck are gone.
pub fn corrected(text: &str, heard: &[Word], language: &Language) -> Vec<Word> {
    let said: Vec<&str> = characters_or_words(text);
    let heard = single(heard);
    let keys = |texts: Vec<String>| -> Vec<String> {
        texts.into_iter().map(|t| Some(letters(&t)).filter(|l| !l.is_empty()).unwrap_or(t)).collect()
    };
    let a = keys(said.iter().map(|s| (*s).to_owned()).collect());
    let b = keys(heard.iter().map(|w| w.text.clone()).collect());
    let mut pairs = Vec::new();
    align(&a, &b, 0..a.len(), 0..b.len(), &mut pairs);
    let mut out: Vec<Word> = Vec::with_capacity(said.len());
    for pair in joined(pairs) {
        let texts = &said[pair.text.clone()];
        if pair.same {
            out.extend(
                texts.iter().zip(&heard[pair.words]).map(|(text, w)| Word { text: (*text).to_owned(), ..w.clone() }),
            );
            continue;
        }
        let mut new: Vec<Word> =
            texts.iter().map(|t| Word { text: (*t).to_owned(), start: 0.0, end: 0.0, confidence: 1.0 }).collect();
        match &heard[pair.words.clone()] {
            [] => put_in(&mut out, &mut new, heard.get(pair.words.start)),
            old if old.len() == new.len() => {
                new.iter_mut().zip(old).for_each(|(n, w)| (n.start, n.end) = (w.start, w.end))
            }
            [first, .., last] => share(&mut new, first.start, last.end),
            [one] => share(&mut new, one.start, one.end),
        }
        out.extend(new);
    }
    repartitioned(&out, language, f64::INFINITY, usize::MAX)
}

/// Heard words, each character one where no space parts words.
fn single(heard: &[Word]) -> Vec<Word> {
    let mut out = Vec::with_capacity(heard.len());
    for w in heard {
        let mut parts: Vec<Word> =
            characters_or_words(&w.text).iter().map(|t| Word { text: (*t).to_owned(), ..w.clone() }).collect();
        if parts.len() > 1 {
            share(&mut parts, w.start, w.end);
        }
        out.extend(parts);
    }
    out
}

/// Times for words that stand where nothing was heard: the pause, or where it is too short a part of the word before it
/// too.
fn put_in(before: &mut [Word], new: &mut [Word], next: Option<&Word>) {
    let room = LEAST * new.iter().map(|w| width(&w.text) + 1).sum::<usize>() as f64;
    let from = before.last().map_or_else(|| next.map_or(0.0, |n| (n.start - room).max(0.0)), |w| w.end);
    let to = next.map_or(from + room, |n| n.start);
    if to - from >= room {
        return share(new, from, to.min(from + USUAL / LEAST * room));
    }
    match before.last_mut() {
        Some(word) => {
            let whole = (to.max(word.end) - word.start).max(0.0);
            let own = (width(&word.text) + 1) as f64 * LEAST;
            let from = word.start + whole * own / (own + room);
            word.end = from.min(word.end);
            share(new, from, to.max(from));
        }
        None => share(new, from.min(to), to),
    }
}

/// Pairs of stretches, in order, for all of `a` and `b`.
fn align(a: &[String], b: &[String], mut ra: Range<usize>, mut rb: Range<usize>, out: &mut Vec<Pair>) {
    let same = |i: usize, j: usize| a[i] == b[j];
    while !ra.is_empty() && !rb.is_empty() && same(ra.start, rb.start) {
        out.push(Pair { text: ra.start..ra.start + 1, words: rb.start..rb.start + 1, same: true });
        (ra.start, rb.start) = (ra.start + 1, rb.start + 1);
    }
    let mut tail = Vec::new();
    while !ra.is_empty() && !rb.is_empty() && same(ra.end - 1, rb.end - 1) {
        (ra.end, rb.end) = (ra.end - 1, rb.end - 1);
        tail.push(Pair { text: ra.end..ra.end + 1, words: rb.end..rb.end + 1, same: true });
    }
    let fixed = fixed(a, b, &ra, &rb);
    if fixed.is_empty() {
        shortest(a, b, ra, rb, out);
    } else {
        let (mut i, mut j) = (ra.start, rb.start);
        for (x, y) in fixed {
            align(a, b, i..x, j..y, out);
            out.push(Pair { text: x..x + 1, words: y..y + 1, same: true });
            (i, j) = (x + 1, y + 1);
        }
        align(a, b, i..ra.end, j..rb.end, out);
    }
    out.extend(tail.into_iter().rev());
}

/// Words that stand once on both sides, as many as keep their order.
fn fixed(a: &[String], b: &[String], ra: &Range<usize>, rb: &Range<usize>) -> Vec<(usize, usize)> {
    let once = |texts: &'_ [String], range: &Range<usize>| {
        let mut places: HashMap<String, Option<usize>> = HashMap::new();
        for k in range.clone() {
            places.entry(texts[k].clone()).and_modify(|p| *p = None).or_insert(Some(k));
        }
        places
    };
    let others = once(b, rb);
    let mut both: Vec<(usize, usize)> =
        once(a, ra).into_iter().filter_map(|(text, at)| at.zip(others.get(&text).copied().flatten())).collect();
    both.sort_unstable();
    // The longest row whose places rise on both sides.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![usize::MAX; both.len()];
    for k in 0..both.len() {
        let n = ends.partition_point(|e| both[*e].1 < both[k].1);
        before[k] = n.checked_sub(1).map_or(usize::MAX, |n| ends[n]);
        match ends.get_mut(n) {
            Some(end) => *end = k,
            None => ends.push(k),
        }
    }
    let mut row = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied().unwrap_or(usize::MAX);
    while let Some(pair) = both.get(at) {
        row.push(*pair);
        at = before[at];
    }
    row.reverse();
    row
}

/// The shortest edit path between two stretches.
fn shortest(a: &[String], b: &[String], ra: Range<usize>, rb: Range<usize>, out: &mut Vec<Pair>) {
    let (n, m) = (ra.len(), rb.len());
    if n == 0 || m == 0 || n * m > MOST_PAIRS {
        if n + m > 0 {
            out.push(Pair { text: ra, words: rb, same: false });
        }
        return;
    }
    // Costs in tenths: 10 for a word too much or missing, up to 19 for another word.
    let change = |i: usize, j: usize| -> u32 {
        let (x, y) = (&a[ra.start + i], &b[rb.start + j]);
        let most = x.chars().count().max(y.chars().count()).max(1);
        distance(x, y, most).map_or(19, |d| if d == 0 { 0 } else { (4 + 15 * d / most) as u32 })
    };
    let mut rows = vec![vec![0u32; m + 1]; n + 1];
    rows[0] = (0..=m).map(|j| 10 * j as u32).collect();
    for i in 1..=n {
        rows[i][0] = 10 * i as u32;
        for j in 1..=m {
            rows[i][j] = (rows[i - 1][j - 1] + change(i - 1, j - 1)).min(rows[i - 1][j] + 10).min(rows[i][j - 1] + 10);
        }
    }
    let (mut i, mut j) = (n, m);
    let mut path = Vec::new();
    while i > 0 || j > 0 {
        let (x, y) = (ra.start + i, rb.start + j);
        if i > 0 && j > 0 && rows[i][j] == rows[i - 1][j - 1] + change(i - 1, j - 1) {
            (i, j) = (i - 1, j - 1);
            path.push(Pair { text: x - 1..x, words: y - 1..y, same: a[x - 1] == b[y - 1] });
        } else if i > 0 && rows[i][j] == rows[i - 1][j] + 10 {
            i -= 1;
            path.push(Pair { text: x - 1..x, words: y..y, same: false });
        } else {
            j -= 1;
            path.push(Pair { text: x..x, words: y - 1..y, same: false });
        }
    }
    out.extend(path.into_iter().rev());
}

/// Neighbours that are both changes become one, so that several words in place of one share its time; a word in place
/// of one stays as it is.
fn joined(pairs: Vec<Pair>) -> Vec<Pair> {
    let mut out: Vec<Pair> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let uneven = |p: &Pair| p.text.len() != p.words.len();
        match out.last_mut() {
            Some(last) if !last.same && !pair.same && (uneven(last) || uneven(&pair)) => {
                (last.text.end, last.words.end) = (pair.text.end, pair.words.end);
            }
            _ => out.push(pair),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(text: &str) -> Vec<Word> {
        let word =
            |(k, t): (usize, &str)| Word { text: t.to_owned(), start: k as f64, end: k as f64 + 0.8, confidence: 0.5 };
        text.split_whitespace().enumerate().map(word).collect()
    }

    fn timed(text: &str, said: &str) -> Vec<(String, f64, f64)> {
        corrected(text, &heard(said), &Language::english()).into_iter().map(|w| (w.text, w.start, w.end)).collect()
    }

    fn row(list: &[(&str, f64, f64)]) -> Vec<(String, f64, f64)> {
        list.iter().map(|(t, a, b)| ((*t).to_owned(), *a, *b)).collect()
    }

    #[test]
    fn changed_words_take_the_times_of_what_they_replace() {
        let said = "we met mister bennit at nether field park";
        assert_eq!(
            timed("We met Mister Bennet at", "we met mister bennit at"),
            row(&[("We", 0.0, 0.8), ("met", 1.0, 1.8), ("Mister", 2.0, 2.8), ("Bennet", 3.0, 3.8), ("at", 4.0, 4.8)])
        );
        // Two words for one, and one for two.
        let out = timed("we met mister bennit at Netherfield park", said);
        assert_eq!(out[5], ("Netherfield".to_owned(), 5.0, 6.8));
        let out = timed("we met Mr. old Bennet at nether field park", said);
        assert!(out[2].1 == 2.0 && out[4].2 == 3.8 && out.len() == 9, "{out:?}");
        // A word that is struck takes its time along, and one that is put in stands in the pause.
        assert_eq!(timed("one three", "one two three"), row(&[("one", 0.0, 0.8), ("three", 2.0, 2.8)]));
        let out = timed("one more two", "one two");
        assert!(out[1].1 >= 0.8 && out[1].2 <= 1.0 && out[2].1 == 1.0, "{out:?}");
        let out = timed("one extraordinarily long sentence put in two", "one two");
        assert!(out.windows(2).all(|p| p[0].2 <= p[1].1 + 1e-9) && out[6] == ("two".to_owned(), 1.0, 1.8), "{out:?}");
        assert_eq!(timed("and so on", "").len(), 3);
        assert!(timed("", "one two").is_empty());
    }

    #[test]
    fn characters_are_words_where_no_space_parts_them() {
        let said = heard("今 天 天 汽 很 好");
        let out = corrected("今天天气很好。", &said, &Language::of("zh"));
        assert_eq!(out.iter().map(|w| w.text.as_str()).collect::<String>(), "今天天气很好。");
        assert_eq!((out[0].start, out[out.len() - 1].end), (0.0, out[out.len() - 1].end));
        let weather = out.iter().find(|w| w.text.contains('气')).expect("weather");
        assert!(weather.start >= 2.0 && weather.end <= 3.8, "{out:?}");
    }

    #[test]
    fn an_hour_of_words_takes_no_time() {
        let said: String = (0..12_000)
            .map(|k| {
                format!(
                    "{} ",
                    if k % 20 == 0 {
                        format!("name{k}")
                    } else {
                        ["the", "of", "sea", "and", "land"][k * k % 5].to_owned()
                    }
                )
            })
            .collect();
        let mut text: Vec<&str> = said.split_whitespace().collect();
        (text[101], text[7003], text[11_001]) = ("changed", "here", "too");
        text.remove(5003);
        let began = std::time::Instant::now();
        let out = corrected(&text.join(" "), &heard(&said), &Language::english());
        assert_eq!(out.len(), 11_999);
        assert!(
            out[101].start == 101.0
                && out[7002].text == "here"
                && out[7002].start == 7003.0
                && out[11_998].start == 11_999.0
        );
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }

    proptest! {
        #[test]
        fn the_text_is_kept_and_times_rise(text in prop::collection::vec("[a-d]{1,2}|東京", 0..30), said in prop::collection::vec("[a-d]{1,2}|東|京", 0..30)) {
            let heard = heard(&said.join(" "));
            let out = corrected(&text.join(" "), &heard, &Language::default());
            let language = Language::default();
            prop_assert_eq!(language.joined(out.iter().map(|w| w.text.as_str())), language.joined(text.iter().map(String::as_str)));
            for w in &out {
                prop_assert!(w.start <= w.end + 1e-9 && w.start >= 0.0, "{:?}", out);
            }
            for pair in out.windows(2) {
                prop_assert!(pair[0].start <= pair[1].start + 1e-9, "{:?}", out);
            }
            // Nothing was changed: nothing changes.
            let same = corrected(&heard.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" "), &heard, &language);
            prop_assert_eq!(same.iter().map(|w| w.start).next(), heard.first().map(|w| w.start));
        }
    }
}
