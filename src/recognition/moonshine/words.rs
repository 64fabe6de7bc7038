//! When the words were said. Plain functions over tokens and samples; knows no model.
//!
//! A decoder that tells what it looked at gives times: each row's mean over heads of normalised weights, a median over
//! time, dynamic time warping, as Moonshine's own runtime does with `decoder_kv_with_attention`. The other graphs don't
//! tell. Then words are laid over the sound in which somebody may have spoken them, behind the last settled word, each
//! as long as its letters are many: an estimate, which is the better the shorter the stretch. A stream settles words
//! every second or so, and its times are off by less than that stretch; a whole file's may be off by more.

use super::decode::Said;
use super::vocabulary::Vocabulary;
use crate::whisper::align::{median, warp};
use crate::whisper::edges::pauses;
use crate::whisper::{lengthen, shorten};
use crate::{HeardWord, Word};

/// Samples a second.
const RATE: f64 = 16_000.0;
/// No word is shorter, in seconds, where there is room.
const LEAST: f64 = 0.06;

/// A word and the tokens that write it.
pub(super) struct Spoken {
    pub(super) heard: HeardWord,
    pub(super) tokens: Vec<usize>,
}

/// The words behind the settled ones, of which the last ends at `settled`; `position` is how many samples a row of
/// attention has a number for.
pub(super) fn words(
    vocabulary: &Vocabulary,
    said: &Said,
    settled: f64,
    position: usize,
    samples: &[f32],
) -> Vec<Spoken> {
    // What goes on with the last settled word can't change it any more.
    let new = &said.tokens[said.forced..];
    let skipped =
        if said.forced == 0 { 0 } else { new.iter().position(|&t| vocabulary.starts_word(t)).unwrap_or(new.len()) };
    let from = said.forced + skipped;
    let found: Vec<_> = vocabulary
        .words(&said.tokens[from..])
        .into_iter()
        .map(|(r, text)| (r.start + from..r.end + from, text))
        .collect();
    let length = samples.len() as f64 / RATE;
    let mut words: Vec<Word> = Vec::with_capacity(found.len());
    for (range, text) in &found {
        let chosen = &said.probabilities[range.start - said.forced..range.end - said.forced];
        let confidence = (chosen.iter().sum::<f32>() / chosen.len().max(1) as f32).clamp(0.0, 1.0);
        words.push(Word { text: text.clone(), start: 0.0, end: 0.0, confidence });
    }
    let pauses = pauses(samples);
    let columns = said.attention.iter().map(Vec::len).min().unwrap_or(0);
    let mut reaches = vec![0.0; words.len()];
    if columns > 0 && said.attention.len() >= said.tokens.len() {
        let seconds = |p: usize| ((p * position) as f64 / RATE).min(length);
        let (starts, peaks) = align(&said.attention, columns);
        let time = |row: usize| starts.get(row).map_or(length, |&p| seconds(p));
        let mut reach = 0.0_f64;
        for ((range, _), (word, told)) in found.iter().zip(words.iter_mut().zip(&mut reaches)) {
            (word.start, word.end) = (time(range.start), time(range.end));
            reach = peaks[range.clone()].iter().map(|&p| seconds(p + 1)).fold(reach, f64::max);
            *told = reach;
        }
        shorten(&mut words);
        words.iter_mut().for_each(|w| out_of_pauses(w, &pauses));
    } else {
        spread(&mut words, settled.clamp(0.0, length), length, &pauses);
    }
    lengthen(&mut words, length);
    let mut least = 0.0_f64;
    let tokens = found.into_iter().map(|(range, _)| said.tokens[range].to_vec());
    let spoken = words.into_iter().zip(reaches).zip(tokens).map(|((word, reach), tokens)| {
        least = least.max(word.end).max(reach);
        Spoken { heard: HeardWord { word, reach: least }, tokens }
    });
    spoken.collect()
}

/// Where each row starts, and what it looks at most.
fn align(attention: &[Vec<f32>], columns: usize) -> (Vec<usize>, Vec<usize>) {
    let mut gain = vec![0.0; attention.len() * columns];
    for (row, out) in attention.iter().zip(gain.chunks_exact_mut(columns)) {
        median(&row[..columns], out);
    }
    let peak = |row: &[f32]| (0..columns).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
    let peaks = attention.iter().map(|row| peak(row)).collect();
    (warp(&gain, columns), peaks)
}

/// A word that begins or ends inside of a pause has that part of it taken off.
fn out_of_pauses(word: &mut Word, pauses: &[(f64, f64)]) {
    for &(from, to) in pauses {
        if from <= word.start && word.start < to && to + LEAST <= word.end {
            word.start = to;
        }
        if from < word.end && word.end <= to && word.start + LEAST <= from {
            word.end = from;
        }
    }
}

/// Lays words over what is no pause between two times, each as long as its letters are many.
fn spread(words: &mut [Word], from: f64, to: f64, pauses: &[(f64, f64)]) {
    let mut loud = Vec::new();
    let mut at = from;
    for &(start, end) in pauses.iter().filter(|p| p.1 > from && p.0 < to) {
        if start > at {
            loud.push((at, start.min(to)));
        }
        at = at.max(end);
    }
    if at < to {
        loud.push((at, to));
    }
    // A rest of a word that was settled is no place for another one.
    if loud.iter().any(|l| l.1 - l.0 >= LEAST) {
        loud.retain(|l| l.1 - l.0 >= LEAST);
    }
    if loud.is_empty() {
        loud.push((from, to));
    }
    let total: f64 = loud.iter().map(|l| l.1 - l.0).sum();
    // At a border between two stretches a word ends with the first and another begins with the second.
    let place = |share: f64, begins: bool| {
        let mut rest = share * total;
        for &(start, end) in &loud {
            let long = end - start;
            if rest < long - 1e-9 || (!begins && rest <= long + 1e-9) {
                return (start + rest.max(0.0)).min(end);
            }
            rest -= long;
        }
        loud.last().map_or(to, |l| l.1)
    };
    // A letter more a word: short ones take longer than their letters say.
    let letters = |w: &Word| 1 + w.text.chars().filter(|c| c.is_alphanumeric()).count();
    let all = words.iter().map(letters).sum::<usize>().max(1) as f64;
    let mut passed = 0;
    for word in words {
        word.start = place(passed as f64 / all, true);
        passed += letters(word);
        word.end = place(passed as f64 / all, false).max(word.start);
    }
}

#[cfg(test)]
mod tests {
    use super::super::vocabulary::tests::vocabulary;
    use super::*;

    /// Sound that is loud inside of some stretches.
    fn sound(seconds: f64, loud: &[(f64, f64)]) -> Vec<f32> {
        let level = |t: f64| if loud.iter().any(|l| l.0 <= t && t < l.1) { 0.3 } else { 0.001 };
        (0..(seconds * RATE) as usize).map(|i| level(i as f64 / RATE) * (i as f32 * 0.3).sin()).collect()
    }

    fn near(words: &[Spoken], times: &[(f64, f64)]) -> bool {
        words.len() == times.len()
            && words
                .iter()
                .zip(times)
                .all(|(w, t)| (w.heard.word.start - t.0).abs() < 0.03 && (w.heard.word.end - t.1).abs() < 0.03)
    }

    fn times(words: &[Spoken]) -> Vec<(f64, f64, f64)> {
        words.iter().map(|w| (w.heard.word.start, w.heard.word.end, w.heard.reach)).collect()
    }

    #[test]
    fn without_attention_words_lie_where_the_sound_is() {
        let v = vocabulary();
        // "one two one two": four letters a word, of which each stretch of a second takes two.
        let said = Said {
            tokens: vec![3, 4, 5, 3, 4, 5],
            probabilities: vec![0.5; 6],
            attention: vec![vec![]; 7],
            ..Said::default()
        };
        let samples = sound(4.0, &[(0.5, 1.5), (2.5, 3.5)]);
        let out = words(&v, &said, 0.0, 320, &samples);
        assert!(near(&out, &[(0.5, 1.0), (1.0, 1.5), (2.5, 3.0), (3.0, 3.5)]), "{:?}", times(&out));
        assert!(out.iter().all(|w| w.heard.reach >= w.heard.word.end && (w.heard.word.confidence - 0.5).abs() < 1e-6));
        assert_eq!(out[0].tokens, [3, 4]);
        let said = Said { forced: 3, probabilities: vec![0.5; 3], ..said };
        let out = words(&v, &said, 1.5, 320, &samples);
        assert!(near(&out, &[(2.5, 3.0), (3.0, 3.5)]), "behind what is settled: {:?}", times(&out));
        // The settled word goes on: what belongs to it is no word.
        let said = Said { tokens: vec![3, 4, 6, 5], forced: 1, probabilities: vec![0.5; 3], ..said };
        assert_eq!(words(&v, &said, 1.5, 320, &samples).len(), 1);
    }

    #[test]
    fn noise_without_pauses_and_no_sound_at_all_give_times_too() {
        let v = vocabulary();
        let said = Said { tokens: vec![3, 4, 5], probabilities: vec![0.5; 3], ..Said::default() };
        let out = words(&v, &said, 0.0, 320, &sound(2.0, &[(0.0, 2.0)]));
        assert!(near(&out, &[(0.0, 1.0), (1.0, 2.0)]), "{:?}", times(&out));
        assert_eq!(words(&v, &said, 5.0, 320, &[]).len(), 2);
    }

    #[test]
    fn with_attention_words_lie_where_the_decoder_looked() {
        let v = vocabulary();
        // Positions of 20 ms: "on" from 0.5 s, "e" from 0.7, "two" from 1.2 s, the end from 1.6 s.
        let row = |from: usize, to: usize| {
            (0..100).map(|p| if (from..to).contains(&p) { 3.0 } else { -0.2 }).collect::<Vec<f32>>()
        };
        let attention = vec![row(25, 35), row(35, 60), row(60, 80), row(80, 99)];
        let said = Said { tokens: vec![3, 4, 5], probabilities: vec![0.9; 3], attention, ..Said::default() };
        let out = words(&v, &said, 0.0, 320, &sound(2.0, &[(0.45, 1.55)]));
        assert!(near(&out, &[(0.45, 1.2), (1.2, 1.55)]), "{:?}", times(&out));
        assert!(out[1].heard.reach > 1.2 && out[1].heard.reach <= 1.6);
    }
}
