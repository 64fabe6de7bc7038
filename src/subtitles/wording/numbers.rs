//! Numbers as broadcasters write them: one to ten in letters, from eleven in digits. Knows words alone.
//!
//! Left as they are: decimals, fractions, times, years and all above 999, units and money, ordinals, numbers at the
//! start of a sentence that are spelled out, parts of names (`Room 7`, `Chapter 2`), and rows of numbers, which are
//! codes, dates or scores.

use super::{bare, ends_sentence, joined, replaced};
use crate::Word;

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
/// A number before one of these keeps its digits: times, units, money, shares.
const UNITS: &[&str] = &[
    "am",
    "pm",
    "a.m",
    "p.m",
    "o'clock",
    "percent",
    "per",
    "degrees",
    "degree",
    "dollars",
    "dollar",
    "euros",
    "euro",
    "pounds",
    "pound",
    "cents",
    "pence",
    "km",
    "kilometres",
    "kilometers",
    "metres",
    "meters",
    "metre",
    "meter",
    "cm",
    "mm",
    "m",
    "miles",
    "mile",
    "feet",
    "foot",
    "inches",
    "inch",
    "kg",
    "kilograms",
    "kilos",
    "grams",
    "g",
    "mg",
    "tons",
    "tonnes",
    "litres",
    "liters",
    "ml",
    "hz",
    "hertz",
    "khz",
    "mhz",
    "ghz",
    "kb",
    "mb",
    "gb",
    "tb",
    "db",
    "decibels",
    "volts",
    "watts",
    "kw",
    "amps",
    "bits",
    "bit",
    "bytes",
    "fps",
    "bpm",
    "point",
    "million",
    "billion",
    "trillion",
    "thousand",
    "hundred",
    "hundreds",
    "thousands",
    "millions",
    "half",
    "quarter",
    "third",
    "thirds",
    "quarters",
    "fifths",
    "tenths",
];
/// A number behind one of these is part of a name or of a time.
const LEADS: &[&str] = &[
    "at",
    "by",
    "until",
    "till",
    "since",
    "chapter",
    "page",
    "room",
    "act",
    "scene",
    "part",
    "episode",
    "season",
    "level",
    "step",
    "track",
    "version",
    "number",
    "no",
    "figure",
    "table",
    "route",
    "highway",
    "platform",
    "gate",
    "flight",
    "channel",
    "windows",
    "section",
    "point",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "minus",
    "plus",
    "times",
    "thousand",
    "million",
    "billion",
];

/// Writes numbers as the top of the file says; all other words come back as they are. Number words that become one
/// figure become one word.
pub fn spell_numbers(words: &[Word]) -> Vec<Word> {
    let mut changes = Vec::new();
    let mut k = 0;
    while k < words.len() {
        let n = run(words, k);
        if n == 0 {
            k += 1;
            continue;
        }
        let text = figure(words, k, n).or_else(|| letters_of(words, k, n));
        if let Some(word) = text.and_then(|text| joined(&words[k..k + n], text)) {
            changes.push((k..k + n, word));
        }
        k += n;
    }
    replaced(words, changes)
}

/// How many words from here on are numbers, in digits or in letters, joined by an `and` between `hundred` and the rest.
fn run(words: &[Word], from: usize) -> usize {
    let number = |k: usize| words.get(k).is_some_and(|w| is_number(bare(&w.text).core));
    let mut n = 0;
    loop {
        let hundred = n > 0 && words[from + n - 1].text.eq_ignore_ascii_case("hundred");
        let joint = words.get(from + n).is_some_and(|w| w.text.eq_ignore_ascii_case("and"));
        if number(from + n) {
            n += 1;
        } else if hundred && joint && number(from + n + 1) {
            n += 2;
        } else {
            return n;
        }
        // A comma ends a number.
        if !bare(&words[from + n - 1].text).after.is_empty() {
            return n;
        }
    }
}

fn is_number(core: &str) -> bool {
    core.starts_with(|c: char| c.is_ascii_digit())
        || core.split('-').all(|part| value(part).is_some() || part.eq_ignore_ascii_case("hundred"))
}

/// The value of one number word below a hundred.
fn value(word: &str) -> Option<u32> {
    let word = word.to_ascii_lowercase();
    let ones = ONES.iter().position(|w| *w == word);
    let tens = TENS.iter().skip(2).position(|w| *w == word).map(|k| (k + 2) * 10);
    ones.or(tens).and_then(|v| u32::try_from(v).ok())
}

/// Whether what stands around a number says that it is no plain count.
fn excepted(words: &[Word], k: usize, n: usize) -> bool {
    let last = bare(&words[k + n - 1].text);
    let closed = !last.after.is_empty();
    let next = words.get(k + n).map(|w| bare(&w.text).core.to_lowercase()).filter(|_| !closed);
    let before = k.checked_sub(1).map(|b| bare(&words[b].text)).filter(|b| b.after.is_empty());
    next.is_some_and(|next| UNITS.contains(&next.as_str()))
        || before.is_some_and(|b| LEADS.contains(&b.core.to_lowercase().as_str()))
}

fn sentence_start(words: &[Word], k: usize) -> bool {
    k.checked_sub(1).is_none_or(|b| ends_sentence(bare(&words[b].text).after))
}

/// A row of number words from eleven to 999 in digits.
fn figure(words: &[Word], k: usize, n: usize) -> Option<String> {
    if sentence_start(words, k) || excepted(words, k, n) {
        return None;
    }
    let (first, last) = (bare(&words[k].text), bare(&words[k + n - 1].text));
    let mut parts = Vec::new();
    for w in &words[k..k + n] {
        parts.extend(bare(&w.text).core.split('-').map(str::to_ascii_lowercase));
    }
    let value = cardinal(&parts)?;
    (value >= 11).then(|| format!("{}{value}{}", first.before, last.after))
}

/// The value of `two hundred and five`: [ones hundred [and]] tens-or-teens [ones]. Anything else is no cardinal.
fn cardinal(parts: &[String]) -> Option<u32> {
    let mut rest = parts;
    let mut hundreds = None;
    if let [ones, word, tail @ ..] = rest
        && word == "hundred"
    {
        hundreds = Some(value(ones).filter(|v| (1..10).contains(v))?);
        rest = if tail.first().is_some_and(|w| w == "and") { &tail[1..] } else { tail };
    }
    let below = match rest {
        [] => hundreds.map(|_| 0),
        [one] => value(one),
        [tens, ones] => {
            let (tens, ones) = (value(tens).filter(|v| *v >= 20)?, value(ones).filter(|v| (1..10).contains(v))?);
            Some(tens + ones)
        }
        _ => None,
    }?;
    Some(hundreds.unwrap_or(0) * 100 + below)
}

/// A lone digit from 1 to 10 in letters; a capital at the start of a sentence.
fn letters_of(words: &[Word], k: usize, n: usize) -> Option<String> {
    let parts = bare(&words[k].text);
    let value = parts.core.parse::<usize>().ok().filter(|v| (1..=10).contains(v) && !parts.core.starts_with('0'))?;
    let marks = |text: &str, fine: &[char]| text.chars().all(|c| fine.contains(&c));
    let plain = marks(parts.before, &['"', '“', '(', '‘'])
        && marks(parts.after, &['.', ',', '?', '!', ';', ':', '"', '”', ')', '…', '’']);
    if n > 1 || !plain || excepted(words, k, n) {
        return None;
    }
    let mut word = ONES[value].to_owned();
    if sentence_start(words, k) {
        word[..1].make_ascii_uppercase();
    }
    Some(format!("{}{word}{}", parts.before, parts.after))
}
