//! What may still change: the words of the last hypotheses, and which of them a policy makes final. Pure logic over
//! words; knows neither sound nor models.
//!
//! A recogniser that is told which words are settled goes on behind them, so hypotheses are compared word for word.
//! After a cut of the buffer nothing is settled in it: there the words said before are looked for in the hypothesis, by
//! text first, since times move a little from run to run, then by time.

use std::collections::VecDeque;

use super::marks::sure;
use super::policy::Commit;
use crate::{HeardWord, Word};

/// Final words that are kept for finding one's place: repeats up to so many words are dropped.
const TAIL: usize = 5;
/// A hypothesis' word that starts this much before the last final end has been said before, where no text tells.
const BEFORE_END: f64 = 0.1;
/// Final words are looked for within so many seconds of where they ended: at all, more for each word that fits, and at
/// most. What repeats itself ("it go it go") fits a phrase too early as well, when the model revises what is final.
const NEAR: (f64, f64, f64) = (0.1, 0.2, 0.5);
/// So many words in a row tell the place without the time.
const SURE: usize = 3;

/// A hypothesis over the buffer, times on the timeline.
#[derive(Debug, Clone, Default)]
pub(super) struct Hypothesis {
    /// Its words with how far the model attended to.
    pub(super) words: Vec<HeardWord>,
    /// Whether it goes on behind the final words; else it may say them again.
    pub(super) follows: bool,
    /// Where the sound ends.
    pub(super) end: f64,
}

/// What of a hypothesis becomes final.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Trust {
    /// What the policy allows.
    Policy(Commit),
    /// All words that end by this time: at the end of speech, or under pressure.
    Until(f64),
}

/// The state over one timeline.
#[derive(Debug, Default)]
pub(super) struct Agreement {
    /// The last final words.
    tail: VecDeque<Word>,
    /// What the last hypothesis said after the final words.
    pending: Vec<Word>,
    /// For each pending word how many hypotheses in a row said it and all before it.
    seen: Vec<usize>,
    /// No word may start before this.
    floor: Option<f64>,
}

impl Agreement {
    /// Takes a hypothesis and gives the words that are now final.
    pub(super) fn take(&mut self, hypothesis: Hypothesis, trust: Trust) -> Vec<Word> {
        let end = hypothesis.end;
        let (words, reaches) = self.new_words(hypothesis);
        let same = self.pending.iter().zip(&words).take_while(|(a, b)| same_word(&a.text, &b.text)).count();
        let seen: Vec<usize> = (0..words.len()).map(|i| if i < same { self.seen[i] + 1 } else { 1 }).collect();
        let allowed = |i: usize| match trust {
            Trust::Policy(commit) => commit.allows(seen[i], words[i].confidence, end - reaches[i].max(words[i].end)),
            Trust::Until(until) => words[i].end <= until,
        };
        let count = (0..words.len()).take_while(|&i| allowed(i)).count();
        self.seen = seen;
        self.commit(words, count)
    }

    /// Takes a hypothesis whose tail is doubtful. What stood before stays as far as it can be believed: the words that
    /// are said once more, or had been said twice. One hypothesis that is sure of itself by chance is no reason to keep
    /// invented words. Nothing becomes final, and nothing likelier.
    pub(super) fn doubt(&mut self, hypothesis: Hypothesis) {
        let (words, _) = self.new_words(hypothesis);
        let same = self.pending.iter().zip(&words).take_while(|(a, b)| same_word(&a.text, &b.text)).count();
        let kept = (0..self.pending.len()).take_while(|&i| i < same || self.seen[i] > 1).count();
        let kept = if sure(self.pending[..kept].iter()) { kept } else { 0 };
        self.pending.truncate(kept);
        self.seen.truncate(kept);
    }

    /// Makes final what is pending and ends by a time.
    pub(super) fn settle(&mut self, until: f64) -> Vec<Word> {
        let count = self.pending.iter().take_while(|w| w.end <= until).count();
        let pending = std::mem::take(&mut self.pending);
        self.commit(pending, count)
    }

    /// Makes what is pending final.
    pub(super) fn finish(&mut self) -> Vec<Word> {
        self.settle(f64::INFINITY)
    }

    /// The buffer starts anew after a pause: what comes is no repeat of what was. The times still only rise.
    pub(super) fn next_segment(&mut self) {
        self.tail.clear();
        self.pending.clear();
        self.seen.clear();
    }

    /// Forgets all: another timeline begins.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The words that are said but not final.
    pub(super) fn pending(&self) -> &[Word] {
        &self.pending
    }

    fn commit(&mut self, mut words: Vec<Word>, count: usize) -> Vec<Word> {
        self.pending = words.split_off(count);
        self.seen.drain(..count.min(self.seen.len()));
        self.floor = words.last().map(|w| w.end).or(self.floor);
        self.tail.extend(words.iter().cloned());
        while self.tail.len() > TAIL {
            self.tail.pop_front();
        }
        words
    }

    /// The words of a hypothesis that follow the final ones, their times made to rise and not to overlap, and how far
    /// each reaches.
    fn new_words(&self, hypothesis: Hypothesis) -> (Vec<Word>, Vec<f64>) {
        let (mut words, mut reaches): (Vec<Word>, Vec<f64>) =
            hypothesis.words.into_iter().map(|w| (w.word, w.reach)).unzip();
        let from = if hypothesis.follows { 0 } else { self.place(&words) };
        words.drain(..from);
        reaches.drain(..from);
        let mut floor = self.floor.unwrap_or(f64::NEG_INFINITY);
        for word in &mut words {
            word.start = word.start.max(floor);
            word.end = word.end.max(word.start);
            floor = word.end;
        }
        (words, reaches)
    }

    /// The index in a hypothesis where the new words start.
    fn place(&self, words: &[Word]) -> usize {
        let Some(last) = self.tail.back() else {
            return 0;
        };
        let mut best: Option<(usize, f64, usize)> = None;
        for k in 1..=words.len() {
            let off = (words[k - 1].end - last.end).abs();
            let length = self
                .tail
                .iter()
                .rev()
                .zip(words[..k].iter().rev())
                .take_while(|(a, b)| same_word(&a.text, &b.text))
                .count();
            let near = off <= (NEAR.0 + NEAR.1 * length as f64).min(NEAR.2);
            if length > 0 && near && best.is_none_or(|(l, o, _)| length > l || (length == l && off < o)) {
                best = Some((length, off, k));
            }
        }
        let by_time = words.iter().take_while(|w| w.start < last.end - BEFORE_END).count();
        match best {
            // A word or two may stand there by chance, and a model may revise what is final: time has its say.
            Some((length, _, k)) if length < SURE => k.max(by_time),
            Some((_, _, k)) => k,
            None => by_time,
        }
    }
}

/// Whether two words are the same but for case and punctuation.
fn same_word(a: &str, b: &str) -> bool {
    fn letters(s: &str) -> impl Iterator<Item = char> {
        s.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase)
    }
    if letters(a).next().is_none() || letters(b).next().is_none() {
        return a == b;
    }
    letters(a).eq(letters(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<Word> {
        text.split_whitespace()
            .enumerate()
            .map(|(i, t)| Word {
                text: t.to_owned(),
                start: i as f64 * 0.4,
                end: i as f64 * 0.4 + 0.3,
                confidence: 1.0,
            })
            .collect()
    }

    const TWICE: Trust = Trust::Policy(Commit::Agreement { hypotheses: 2 });

    /// A hypothesis that may say the final words again.
    fn again(words: Vec<Word>) -> Hypothesis {
        let words = words.into_iter().map(|word| HeardWord { reach: word.end, word }).collect();
        Hypothesis { words, follows: false, end: f64::INFINITY }
    }

    impl Agreement {
        fn agree(&mut self, words: Vec<Word>) -> Vec<Word> {
            self.take(again(words), TWICE)
        }

        fn agree_until(&mut self, words: Vec<Word>, until: f64) -> Vec<Word> {
            self.take(again(words), Trust::Until(until))
        }
    }

    fn text(words: &[Word]) -> String {
        words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_common_prefix_becomes_final() {
        let mut a = Agreement::default();
        assert!(a.agree(words("the cat sad")).is_empty());
        assert_eq!(text(&a.agree(words("The cat, sat on the mad"))), "The cat,");
        assert_eq!(text(a.pending()), "sat on the mad");
        assert_eq!(text(&a.agree(words("the cat sat on the mat today"))), "sat on the");
        assert_eq!(text(&a.finish()), "mat today");
        assert!(a.pending().is_empty());
    }

    #[test]
    fn said_words_are_found_again_although_their_times_moved() {
        let mut a = Agreement::default();
        a.agree(words("one two three four"));
        a.agree(words("one two three four"));
        let mut later = words("one two three four five");
        later.iter_mut().for_each(|w| {
            w.start += 0.25;
            w.end += 0.25;
        });
        assert!(a.agree(later.clone()).is_empty());
        assert_eq!(text(&a.agree(later)), "five");
    }

    #[test]
    fn a_word_said_thrice_stays_thrice() {
        let mut a = Agreement::default();
        a.agree(words("he said no"));
        assert_eq!(text(&a.agree(words("he said no"))), "he said no");
        a.agree(words("he said no no no"));
        assert_eq!(text(&a.agree(words("he said no no no"))), "no no");
    }

    #[test]
    fn a_revised_end_of_what_repeats_itself_is_not_said_again() {
        let mut a = Agreement::default();
        let said = "a a a it go it go it go";
        a.agree(words(said));
        assert_eq!(text(&a.agree(words(said))), said);
        assert!(a.agree(words("a a a it go it go it gone")).is_empty());
        assert!(a.agree(words("a a a it go it go it goes")).is_empty());
        assert!(a.agree_until(words(said), f64::INFINITY).is_empty());
    }

    #[test]
    fn a_stutter_of_the_model_over_a_trimmed_buffer_is_dropped() {
        let mut a = Agreement::default();
        a.agree(words("we go to the sea"));
        a.agree(words("we go to the sea"));
        // The buffer now starts inside "sea": the model hears the words before again, late.
        let shift = |t: &str, by: f64| -> Vec<Word> {
            words(t).into_iter().map(|w| Word { start: w.start + by, end: w.end + by, ..w }).collect()
        };
        a.agree(shift("the sea and swim", 1.4));
        assert_eq!(text(&a.agree(shift("the sea and swim", 1.4))), "and swim");
    }

    #[test]
    fn words_that_follow_may_repeat_what_is_final() {
        let mut a = Agreement::default();
        let follows = |t: &str, from: f64, end: f64| {
            let words = words(t).into_iter().map(|w| Word { start: w.start + from, end: w.end + from, ..w });
            let words = words.map(|word| HeardWord { reach: word.end, word }).collect();
            Hypothesis { words, follows: true, end }
        };
        a.take(follows("no", 0.0, 1.0), TWICE);
        assert_eq!(text(&a.take(follows("no", 0.0, 1.0), TWICE)), "no");
        a.take(follows("no no", 0.4, 2.0), TWICE);
        assert_eq!(text(&a.take(follows("no no", 0.4, 2.0), TWICE)), "no no");
    }

    #[test]
    fn each_policy_asks_what_it_says() {
        let said = |reaches: &[f64], confidence: f32, end: f64| {
            let words = words("one two three").into_iter().zip(reaches);
            let words = words.map(|(w, &reach)| HeardWord { word: Word { confidence, ..w }, reach }).collect();
            Hypothesis { words, follows: true, end }
        };
        let reaches = [0.3, 0.8, 1.2];
        let take = |a: &mut Agreement, commit, confidence| {
            text(&a.take(said(&reaches, confidence, 1.5), Trust::Policy(commit)))
        };
        let wait = Commit::Attention { wait: 0.5 };
        assert_eq!(take(&mut Agreement::default(), wait, 0.1), "one two");
        let thrice = Commit::Agreement { hypotheses: 3 };
        let mut a = Agreement::default();
        assert_eq!(
            (take(&mut a, thrice, 1.0), take(&mut a, thrice, 1.0), take(&mut a, thrice, 1.0)),
            ("".into(), "".into(), "one two three".into())
        );
        let adaptive = Commit::Adaptive { least: 0.2, most: 1.0 };
        let twice = |confidence| {
            let mut a = Agreement::default();
            (take(&mut a, adaptive, confidence), take(&mut a, adaptive, confidence))
        };
        assert_eq!(twice(0.1), ("".into(), "one".into()), "unsure: the whole wait");
        assert_eq!(twice(1.0), ("".into(), "one two three".into()), "sure, as soon as it is said again");
    }

    proptest! {
        /// Hypotheses whose last words are wrong, over a growing text: what is final is the text, once and in order.
        #[test]
        fn what_is_final_is_what_was_said(
            said in prop::collection::vec(0usize..12, 1..60),
            steps in prop::collection::vec((1usize..6, 0usize..3, -0.08f64..0.08), 1..40),
        ) {
            let names = ["a", "be", "to", "on", "no", "the", "sea", "we", "go", "in", "it", "is"];
            let truth: Vec<Word> = words(&said.iter().map(|&i| names[i]).collect::<Vec<_>>().join(" "));
            let mut a = Agreement::default();
            let mut out: Vec<Word> = Vec::new();
            let mut heard = 0;
            for (k, (grow, wrong, jitter)) in steps.into_iter().enumerate() {
                heard = (heard + grow).min(truth.len());
                let mut hypothesis = truth[..heard].to_vec();
                for (j, w) in hypothesis.iter_mut().rev().take(wrong).enumerate() {
                    w.text = format!("wrong{k}x{j}");
                }
                for w in &mut hypothesis {
                    w.start += jitter;
                    w.end += jitter;
                }
                out.extend(a.agree(hypothesis));
            }
            out.extend(a.agree_until(truth.clone(), f64::INFINITY));
            prop_assert_eq!(text(&out), text(&truth));
            for pair in out.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start && pair[1].start <= pair[1].end);
            }
        }

        #[test]
        fn any_hypotheses_give_rising_times(h in prop::collection::vec(prop::collection::vec((0usize..5, 0.0f64..20.0, 0.0f64..1.0), 0..12), 0..12)) {
            let mut a = Agreement::default();
            let mut out: Vec<Word> = Vec::new();
            for hypothesis in h {
                out.extend(a.agree(hypothesis.into_iter().map(|(t, start, d)| Word { text: format!("w{t}"), start, end: start + d, confidence: 0.5 }).collect()));
            }
            out.extend(a.finish());
            for pair in out.windows(2) {
                prop_assert!(pair[0].start <= pair[0].end && pair[0].end <= pair[1].start);
            }
        }
    }
}
