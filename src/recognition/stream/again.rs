//! Hears again the speech that no word covers: over a long buffer a recogniser may end too early, pass over a sentence,
//! or take a phrase that somebody really repeats for a loop of its own. The sound tells which it was. Plain functions
//! over frames and words.
//!
//! A stretch of such speech is heard in short windows without a prompt, one behind the other, each as far as its words
//! can be believed: the next one begins there. Bounded: [`RUNS_A_SECOND`] of the recogniser, each over no more than
//! [`WINDOW`].

use super::marks::confidence;
use super::run::was_spoken;
use crate::{Heard, HeardWord, Hearing, RecognizeError, Recognizer, Word};
use mynah_models::vad::{FRAME, GO_ON, RATE, START};

/// Speech without words of so many seconds is heard again; what is shorter may be a breath or a drawn-out word.
const LEAST: f64 = 0.5;
/// No window is longer, in seconds, and none that ends in a pause shorter.
const WINDOW: f64 = 5.0;
const SHORTEST: f64 = 1.5;
/// A pause in which a window may end, in seconds.
const PAUSE: f64 = 0.15;
/// Sound around a stretch, in seconds: the detector hears the first sound of a word late.
const AROUND: f64 = 0.15;
/// What ends so near to the end of a window that lies in speech, in seconds, may have been cut.
const AT_CUT: f64 = 0.4;
/// The most runs by seconds of a stretch; each moves on by at least half a second on average.
const RUNS_A_SECOND: f64 = 2.0;
/// Where less speech than this is left, in seconds, there is no word.
const REST: f64 = 0.25;
/// So many words in so many seconds are more than anybody says: a decoder that has come to the end of the sound goes on
/// inventing.
const HURRY: (usize, f64) = (3, 0.2);
/// Words count whose mean confidence is this: nobody asked for them, and over what it doesn't understand a recogniser says
/// something too. English under noise as loud as itself has 0.6.
const SURE: f32 = 0.6;
const SECOND: f64 = RATE as f64;

/// A buffer and what the voice activity model makes of its frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sound<'a> {
    /// 16 kHz mono, ±1.
    pub(super) samples: &'a [f32],
    /// Of speech in each frame.
    pub(super) probabilities: &'a [f32],
}

impl Sound<'_> {
    /// In seconds.
    pub(super) fn length(&self) -> f64 {
        self.samples.len() as f64 / SECOND
    }

    /// The frames that lie in a stretch of seconds.
    fn frames(&self, from: f64, to: f64) -> std::ops::Range<usize> {
        let frame = |s: f64| (s.max(0.0) * SECOND / FRAME as f64) as usize;
        let to = frame(to).min(self.probabilities.len());
        frame(from + (FRAME - 1) as f64 / SECOND).min(to)..to
    }

    /// Seconds of speech in a stretch.
    fn speech(&self, from: f64, to: f64) -> f64 {
        self.frames(from, to).filter(|&f| self.probabilities[f] >= START).count() as f64 * FRAME as f64 / SECOND
    }

    /// From the first to the last speech in a stretch, with a little sound around it.
    fn spoken(&self, from: f64, to: f64) -> Option<(f64, f64)> {
        let mut speech = self.frames(from, to).filter(|&f| self.probabilities[f] >= START);
        let first = speech.next()?;
        let last = speech.next_back().unwrap_or(first);
        let at = |frame: usize| (frame * FRAME) as f64 / SECOND;
        Some(((at(first) - AROUND).max(from), (at(last + 1) + AROUND).min(to)))
    }

    /// Where a window that begins at `from` ends, and whether it ends in a pause: in the last one, or with the stretch.
    fn window(&self, from: f64, to: f64) -> (f64, bool) {
        if to - from <= SHORTEST {
            return (to, true);
        }
        let end = (from + WINDOW).min(to);
        self.pause(from + SHORTEST, end).map_or((end, end == to), |pause| (pause, true))
    }

    /// The middle of the last pause in a stretch.
    pub(super) fn pause(&self, from: f64, to: f64) -> Option<f64> {
        let range = self.frames(from, to);
        let mut at = range.start;
        let pauses = self.probabilities[range].chunk_by(|a, b| (*a < GO_ON) == (*b < GO_ON)).filter_map(|run| {
            let (first, last) = (at, at + run.len());
            at = last;
            let quiet = run[0] < GO_ON && (run.len() * FRAME) as f64 >= PAUSE * SECOND;
            quiet.then_some((first + last) as f64 / 2.0 * FRAME as f64 / SECOND)
        });
        pauses.last()
    }
}

/// What was heard, with the words of the speech behind `after` that none of them covers; times in seconds of the
/// buffer.
pub(super) fn complete(
    recognizer: &mut dyn Recognizer,
    sound: Sound,
    heard: Heard,
    after: f64,
) -> Result<Heard, RecognizeError> {
    let mut words = heard.words;
    if heard.doubtful {
        leave_loop(&mut words);
        words.truncate(believed(sound, &words, f64::INFINITY));
    }
    for (from, to) in uncovered(sound, &words, after) {
        let new = slide(recognizer, sound, from, to)?;
        insert(&mut words, new, from, to);
    }
    Ok(Heard { words, doubtful: heard.doubtful })
}

/// How long a word of this text may be, in seconds, when it is said slowly.
fn longest(text: &str) -> f64 {
    (0.4 + 0.08 * text.chars().filter(|c| c.is_alphanumeric()).count() as f64).min(1.5)
}

/// The places of words in seconds: one that is far too long was stretched over what was passed over, and only its ends
/// count.
fn places(words: &[HeardWord]) -> Vec<(f64, f64)> {
    let place = |w: &HeardWord| {
        let (w, most) = (&w.word, longest(&w.word.text));
        if w.end - w.start > 2.0 * most {
            vec![(w.start, w.start + most), (w.end - most, w.end)]
        } else {
            vec![(w.start, w.end)]
        }
    };
    words.iter().flat_map(place).collect()
}

/// Stretches with enough speech that no word covers, in seconds.
fn uncovered(sound: Sound, words: &[HeardWord], after: f64) -> Vec<(f64, f64)> {
    let mut out = Vec::new();
    let mut free = after;
    for (start, end) in places(words).into_iter().chain([(f64::INFINITY, f64::INFINITY)]) {
        let from = if free > 0.0 { free + AROUND } else { 0.0 };
        let to = (start - AROUND).min(sound.length());
        if sound.speech(from, to) >= LEAST
            && let Some((first, last)) = sound.spoken(from, to)
        {
            // What begins or ends right here is whole only with the sound up to the next word.
            out.push((
                if first > from { first } else { free },
                if last < to { last } else { start.min(sound.length()) },
            ));
        }
        free = free.max(end);
    }
    out
}

/// A guard that stops a loop leaves its first turn, and the last word of that may reach over all others: it is heard
/// again, or alone is made as long as a word is.
fn leave_loop(words: &mut Vec<HeardWord>) {
    if words.len() > 1 {
        words.pop();
    } else if let Some(HeardWord { word, .. }) = words.first_mut() {
        word.end = word.end.min(word.start + longest(&word.text));
    }
}

/// How many of the words of a hypothesis can be believed: up to one that was stretched over speech, to more than can be
/// said, or to one that the end of a window may have cut.
fn believed(sound: Sound, words: &[HeardWord], cut: f64) -> usize {
    let good = |i: &usize| {
        let word = &words[*i].word;
        let most = longest(&word.text);
        let stretched = word.end - word.start > 2.0 * most && sound.speech(word.start + most, word.end - most) >= REST;
        let hurried = words.get(*i + HURRY.0 - 1).is_some_and(|third| third.word.end - word.start < HURRY.1);
        !stretched && !hurried && word.end <= cut
    };
    (0..words.len()).take_while(good).count()
}

/// The words of a stretch, heard window after window.
fn slide(recognizer: &mut dyn Recognizer, sound: Sound, from: f64, to: f64) -> Result<Vec<HeardWord>, RecognizeError> {
    let (mut out, mut at) = (Vec::new(), from);
    for _ in 0..((to - from) * RUNS_A_SECOND).ceil() as usize {
        let Some((start, _)) = sound.spoken(at, to).filter(|_| sound.speech(at, to) >= REST) else { break };
        let (end, whole) = sound.window(start, to);
        let samples = &sound.samples[(start * SECOND) as usize..((end * SECOND) as usize).min(sound.samples.len())];
        let heard = recognizer.hear(&Hearing { samples, prompt: "", settled: &[], ended: true })?;
        let place = |w: HeardWord| {
            let word = Word { start: start + w.word.start.max(0.0), end: (start + w.word.end).min(end), ..w.word };
            HeardWord { reach: word.end, word }
        };
        let mut words: Vec<HeardWord> =
            heard.words.into_iter().map(place).filter(|w| was_spoken(sound.probabilities, &w.word)).collect();
        if heard.doubtful {
            leave_loop(&mut words);
        }
        let all = words.len();
        words.truncate(believed(sound, &words, if whole { f64::INFINITY } else { end - AT_CUT }));
        let last = words.last().map(|w| w.word.end);
        at = match last {
            Some(last) if confidence(words.iter().map(|w| &w.word)) >= SURE => {
                let done = whole && words.len() == all && !heard.doubtful;
                out.append(&mut words);
                if done { end } else { last.max(at + REST) }
            }
            _ => end,
        };
    }
    Ok(out)
}

/// Puts words of a stretch among the others. A word that was stretched over it shrinks to the end that the model looked
/// at.
fn insert(words: &mut Vec<HeardWord>, mut new: Vec<HeardWord>, from: f64, to: f64) {
    if new.is_empty() {
        return;
    }
    for w in words.iter_mut().filter(|w| w.word.start < to && w.word.end > from) {
        let (middle, most) = ((w.word.start + w.word.end) / 2.0, longest(&w.word.text));
        if w.reach > middle && w.word.end >= to {
            w.word.start = w.word.start.max(w.word.end - most);
        } else {
            w.word.end = w.word.end.min(w.word.start + most);
        }
    }
    let place = words.partition_point(|w| w.word.start < from);
    let (least, most) = (
        place.checked_sub(1).map_or(0.0, |i| words[i].word.end),
        words.get(place).map_or(f64::INFINITY, |w| w.word.start),
    );
    for w in &mut new {
        (w.word.start, w.word.end) = (w.word.start.clamp(least, most), w.word.end.clamp(least, most));
    }
    words.splice(place..place, new);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, start: f64, end: f64) -> HeardWord {
        HeardWord { word: Word { text: text.to_owned(), start, end, confidence: 0.9 }, reach: end }
    }

    /// Frames with speech in the given stretches of seconds.
    fn speech(seconds: f64, spoken: &[(f64, f64)]) -> (Vec<f32>, Vec<f32>) {
        let frames = (seconds * SECOND) as usize / FRAME;
        let p = |f: usize| {
            let at = (f * FRAME) as f64 / SECOND;
            if spoken.iter().any(|s| s.0 <= at && at < s.1) { 0.9 } else { 0.05 }
        };
        (vec![0.1; frames * FRAME], (0..frames).map(p).collect())
    }

    #[test]
    fn only_enough_speech_without_a_word_is_heard_again() {
        let (samples, probabilities) = speech(12.0, &[(1.0, 4.0), (6.0, 6.3), (8.0, 10.0)]);
        let sound = Sound { samples: &samples, probabilities: &probabilities };
        let near = |words: &[HeardWord], right: &[(f64, f64)]| {
            let found = uncovered(sound, words, 0.0);
            let close = found.iter().zip(right).all(|(a, b)| (a.0 - b.0).abs() < 0.05 && (a.1 - b.1).abs() < 0.05);
            assert!(found.len() == right.len() && close, "{found:?}");
        };
        near(
            &[word("whole", 1.0, 2.0), word("words", 2.0, 4.0), word("that", 8.0, 9.0), word("follow", 9.0, 10.0)],
            &[],
        );
        near(&[word("whole", 1.0, 2.0), word("that", 8.0, 9.0), word("follow", 9.0, 10.0)], &[(2.0, 6.45)]);
        near(&[word("it", 1.0, 4.0), word("that", 8.0, 9.0), word("follow", 9.0, 10.0)], &[(1.56, 3.44)]);
        assert_eq!(uncovered(sound, &[], 0.0).len(), 1);
        near(&[word("it", 1.0, 2.0), word("was", 2.0, 4.0), word("that", 8.0, 9.0)], &[(9.0, 10.15)]);
    }

    #[test]
    fn what_was_stretched_or_is_too_hasty_is_not_believed() {
        let (samples, probabilities) = speech(10.0, &[(0.5, 9.0)]);
        let sound = Sound { samples: &samples, probabilities: &probabilities };
        let believed = |words: &[HeardWord], cut| believed(sound, words, cut);
        assert_eq!(believed(&[word("it", 0.5, 0.7), word("was", 0.7, 1.0), word("it", 1.0, 5.0)], f64::INFINITY), 2);
        assert_eq!(believed(&[word("it", 0.5, 0.7), word("was", 0.7, 1.0), word("late", 1.0, 1.4)], 1.2), 2);
        let end: Vec<HeardWord> =
            (0..6).map(|i| word("it", 8.0 + 0.06 * f64::from(i), 8.06 + 0.06 * f64::from(i))).collect();
        assert_eq!(believed(&[vec![word("was", 7.0, 7.3)], end].concat(), f64::INFINITY), 1);
        let mut alone = vec![word("no", 1.0, 9.0)];
        leave_loop(&mut alone);
        assert!((alone[0].word.end - 1.56).abs() < 1e-9);
    }

    /// Says what it is told to, whatever it hears.
    struct Parrot(Vec<Vec<HeardWord>>, usize);

    impl Recognizer for Parrot {
        fn hear(&mut self, hearing: &Hearing) -> Result<Heard, RecognizeError> {
            assert!(hearing.prompt.is_empty() && hearing.samples.len() as f64 <= (WINDOW + 2.0 * AROUND) * SECOND);
            self.1 += 1;
            let words = self.0.get(self.1 % self.0.len().max(1)).cloned().unwrap_or_default();
            Ok(Heard { words, doubtful: self.1.is_multiple_of(3) })
        }
    }

    proptest::proptest! {
        #[test]
        fn words_stay_in_order_and_runs_are_bounded(
            spoken in proptest::collection::vec((0.0f64..25.0, 0.0f64..6.0), 0..6),
            told in proptest::collection::vec((0.0f64..1.5, 0.0f64..2.5), 0..12),
            again in proptest::collection::vec(proptest::collection::vec((0.0f64..1.5, 0.0f64..1.5), 0..6), 0..6),
            doubtful in proptest::bool::ANY,
        ) {
            let spoken: Vec<(f64, f64)> = spoken.into_iter().map(|(at, length)| (at, at + length)).collect();
            let (samples, probabilities) = speech(25.0, &spoken);
            let row = |steps: &[(f64, f64)]| {
                let mut at = 0.0;
                let mut next = |s: &(f64, f64)| { let from = at + s.0; at = from + s.1; word("word", from, at) };
                steps.iter().map(&mut next).filter(|w| w.word.end <= 25.0).collect::<Vec<_>>()
            };
            let mut parrot = Parrot(again.iter().map(|steps| row(steps)).collect(), 0);
            let sound = Sound { samples: &samples, probabilities: &probabilities };
            let heard = complete(&mut parrot, sound, Heard { words: row(&told), doubtful }, 0.0).expect("it runs");
            let words: Vec<&Word> = heard.words.iter().map(|w| &w.word).collect();
            proptest::prop_assert!(words.iter().all(|w| w.start <= w.end && w.end <= 25.5), "{:?}", words);
            proptest::prop_assert!(words.windows(2).all(|w| w[0].end <= w[1].start + 1e-9), "{:?}", words);
            proptest::prop_assert!(parrot.1 <= 60, "{} runs", parrot.1);
        }
    }
}
