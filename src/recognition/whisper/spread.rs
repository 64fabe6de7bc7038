//! Times of words where the decoder gives no attention: an estimate. Plain functions over words and samples; knows no
//! model.
//!
//! The words share the time in which somebody speaks, each by its letters, and none lies in a pause. Inside one stretch
//! of speech a word is off by as much as the speaker's pace changes; at its ends the words are where the sound is.

use super::RATE;
use super::edges::pauses;
use crate::Word;

/// Puts words in order on the speech of `samples` after `from` seconds. Words stay in order and apart.
pub(super) fn spread(words: &mut [Word], from: f64, samples: &[f32]) {
    let length = samples.len() as f64 / RATE as f64;
    let from = from.clamp(0.0, length);
    let speech = speech(from, length, &pauses(samples));
    let whole: f64 = speech.iter().map(|s| s.1 - s.0).sum();
    let letters = |w: &Word| w.text.chars().filter(|c| c.is_alphanumeric()).count().max(1) as f64;
    let all: f64 = words.iter().map(letters).sum();
    let mut before = 0.0;
    for word in words {
        let after = before + letters(word);
        word.start = place(&speech, whole * before / all, false);
        word.end = place(&speech, whole * after / all, true).max(word.start);
        before = after;
    }
}

/// What no pause covers between two seconds; all of it where pauses cover all.
fn speech(from: f64, to: f64, pauses: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut out = Vec::new();
    let mut at = from;
    for &(start, end) in pauses {
        if start > at {
            out.push((at, start.min(to)));
        }
        at = at.max(end);
    }
    if at < to {
        out.push((at, to));
    }
    out.retain(|s| s.1 > s.0);
    if out.is_empty() { vec![(from, to)] } else { out }
}

/// A word that would begin or end so near to a pause, in seconds, does so at it.
const NEAR: f64 = 0.1;

/// The second after so much speech, as the end of a word or as the start of one: beside a pause the two lie at its two
/// ends.
fn place(speech: &[(f64, f64)], mut rest: f64, end: bool) -> f64 {
    for &(start, stop) in speech {
        let length = stop - start;
        if rest < length + if end { NEAR } else { -NEAR } {
            return (start + rest).min(stop);
        }
        rest = (rest - length).max(0.0);
    }
    speech.last().map_or(0.0, |s| s.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread_over(texts: &[&str], from: f64, loud: &[(f64, f64)], seconds: f64) -> Vec<(f64, f64)> {
        let level = |t: f64| if loud.iter().any(|l| l.0 <= t && t < l.1) { 0.3 } else { 0.001 };
        let samples: Vec<f32> = (0..(seconds * RATE as f64) as usize)
            .map(|i| level(i as f64 / RATE as f64) * (i as f32 * 0.3).sin())
            .collect();
        let word = |t: &&str| Word { text: (*t).to_owned(), start: 0.0, end: 0.0, confidence: 1.0 };
        let mut words: Vec<Word> = texts.iter().map(word).collect();
        spread(&mut words, from, &samples);
        assert!(
            words.windows(2).all(|w| w[0].end <= w[1].start + 1e-9) && words.iter().all(|w| w.start <= w.end),
            "{words:?}"
        );
        words.iter().map(|w| (w.start, w.end)).collect()
    }

    fn near(found: &[(f64, f64)], expected: &[(f64, f64)]) {
        let close = found.iter().zip(expected).all(|(a, b)| (a.0 - b.0).abs() < 0.03 && (a.1 - b.1).abs() < 0.03);
        assert!(found.len() == expected.len() && close, "{found:?} {expected:?}");
    }

    #[test]
    fn words_share_the_speech_by_their_letters_and_pauses_stay_free() {
        let out = spread_over(&["ab", "cdef,", "gh", "ijkl"], 0.0, &[(0.5, 2.0), (3.0, 4.5)], 5.0);
        near(&out, &[(0.5, 1.0), (1.0, 2.0), (3.0, 3.5), (3.5, 4.5)]);
    }

    #[test]
    fn settled_speech_is_left_out() {
        near(&spread_over(&["ab", "ab"], 1.0, &[(0.0, 2.0), (2.5, 3.5)], 4.0), &[(1.0, 2.0), (2.5, 3.5)]);
    }

    #[test]
    fn sound_without_pauses_and_odd_sizes_do_no_harm() {
        near(&spread_over(&["a", "b"], 0.0, &[(0.0, 2.0)], 2.0), &[(0.0, 1.0), (1.0, 2.0)]);
        near(&spread_over(&["a"], 9.0, &[(0.0, 1.0)], 2.0), &[(2.0, 2.0)]);
        assert!(spread_over(&[], 0.0, &[], 0.0).is_empty());
    }
}
