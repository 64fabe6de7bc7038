//! Where words begin and end, closer than the attention tells: its lateness taken off, and edges beside a pause put
//! where the sound is. Plain functions over words and samples; knows no model.

use super::{LEAST_WORD, RATE};
use crate::Word;

/// The attention moves on to a word so many seconds after the word before it ends. Measured with
/// `models/recipes/captions/calibrate.py`: the median of told less aligned time over 2,457 words of a woman's telephone
/// prompts and of sentences rendered in many voices was +101 ms at ends and +99 ms at starts, for both kinds of sound
/// within 10 ms. faster-whisper's times are as late.
const LATE: f64 = 0.1;
/// A pause that is so near to an edge, in seconds, is the one that belongs there, and the edge goes all the way to the
/// sound: the first word of a live buffer is told where the buffer begins, which is `Policy::pre_roll` before speech.
/// 0.1 to 0.2 do about the same.
const NEAR: f64 = 0.15;
/// A word that was cut too short beside a pause grows back to it by so many seconds at most; farther there may be
/// speech without words.
const FAR: f64 = 0.5;
/// Quiet of so many seconds is a pause; what is shorter is mostly the closure of a stop.
const PAUSE: f64 = 0.1;
/// Quiet is this far up from the 5th to the 95th percentile of the frames' decibels. 0.2 to 0.3 do about the same.
const QUIET: f32 = 0.25;
/// Where those percentiles are fewer decibels apart, noise hides the pauses.
const LEAST_RANGE: f32 = 12.0;
/// A frame: its hop, and the window around its middle, in samples.
const HOP: usize = RATE / 100;
const WINDOW: usize = RATE / 40;

/// Mends the times of words in order, in seconds of `samples`; `settled` is where the attention left what is said
/// before them.
///
/// Words stay in order and apart; one can come out with no length.
pub(super) fn mend(words: &mut [Word], settled: f64, samples: &[f32]) {
    for w in &mut *words {
        (w.start, w.end) = ((w.start - LATE).max(0.0), (w.end - LATE).max(0.0));
    }
    let pauses = pauses(samples);
    let length = samples.len() as f64 / RATE as f64;
    let mut before = (settled - LATE).max(0.0);
    for i in 0..=words.len() {
        // From the end of one word to the start of the next; how far the words may give way; where a pause is looked
        // for.
        let from = before;
        let to = words.get(i).map_or(length, |w| w.start.max(from));
        let least = i.checked_sub(1).map_or(from, |p| (words[p].start + LEAST_WORD).min(from));
        let most = words.get(i).map_or(to, |w| (w.end - LEAST_WORD).max(to));
        let (near_least, near_most) = (least.max(from - NEAR), most.min(to + NEAR));
        before = words.get(i).map_or(length, |w| w.end);
        let mut between = pauses.iter().filter(|(start, end)| *start < near_most && *end > near_least);
        let Some(&first) = between.next() else { continue };
        let last = *between.next_back().unwrap_or(&first);
        if i > 0 && first.0 <= from + FAR {
            words[i - 1].end = first.0.max(least);
        }
        if i < words.len() && last.1 >= to - FAR {
            words[i].start = last.1.min(most);
        }
    }
}

/// The quiet stretches, in seconds: those at either end of the sound, and those inside it that are long enough.
pub(crate) fn pauses(samples: &[f32]) -> Vec<(f64, f64)> {
    let decibels = |frame: usize| {
        let middle = frame * HOP + HOP / 2;
        let window = &samples[middle.saturating_sub(WINDOW / 2)..(middle + WINDOW / 2).min(samples.len())];
        10.0 * (window.iter().map(|x| x * x).sum::<f32>() / WINDOW as f32 + 1e-10).log10()
    };
    let levels: Vec<f32> = (0..samples.len() / HOP).map(decibels).collect();
    let mut sorted = levels.clone();
    sorted.sort_unstable_by(f32::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return Vec::new() };
    let (low, high) = (sorted[last / 20], sorted[last - last / 20]);
    if high - low < LEAST_RANGE {
        return Vec::new();
    }
    let seconds = |frame: usize| (frame * HOP) as f64 / RATE as f64;
    let mut at = 0;
    let runs = levels
        .chunk_by(|a, b| (*a < low + QUIET * (high - low)) == (*b < low + QUIET * (high - low)))
        .filter_map(|run| {
            let (from, to) = (at, at + run.len());
            at = to;
            let quiet = run[0] < low + QUIET * (high - low);
            let whole = from == 0 || to == levels.len() || seconds(to - from) >= PAUSE;
            (quiet && whole).then(|| (seconds(from), seconds(to)))
        });
    runs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(start: f64, end: f64) -> Word {
        Word { text: "a".to_owned(), start, end, confidence: 1.0 }
    }

    /// A faint hum, loud in the given stretches of seconds.
    fn sound(seconds: f64, loud: &[(f64, f64)]) -> Vec<f32> {
        let level = |t: f64| if loud.iter().any(|l| l.0 <= t && t < l.1) { 0.3 } else { 0.001 };
        (0..(seconds * RATE as f64) as usize).map(|i| level(i as f64 / RATE as f64) * (i as f32 * 0.3).sin()).collect()
    }

    fn mended(times: &[(f64, f64)], settled: f64, samples: &[f32]) -> Vec<(f64, f64)> {
        let mut words: Vec<_> = times.iter().map(|t| word(t.0, t.1)).collect();
        mend(&mut words, settled, samples);
        words.iter().map(|w| (w.start, w.end)).collect()
    }

    fn near(a: &[(f64, f64)], b: &[(f64, f64)]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a.0 - b.0).abs() < 0.021 && (a.1 - b.1).abs() < 0.021)
    }

    #[test]
    fn inside_speech_only_the_lateness_goes() {
        let samples = sound(3.0, &[(0.0, 3.0)]);
        let out = mended(&[(0.05, 0.6), (0.6, 1.1), (1.1, 1.4)], 0.0, &samples);
        assert!(near(&out, &[(0.0, 0.5), (0.5, 1.0), (1.0, 1.3)]), "{out:?}");
    }

    #[test]
    fn edges_beside_pauses_move_to_the_sound() {
        let samples = sound(4.0, &[(0.5, 1.2), (1.25, 2.0), (2.6, 3.4)]);
        // The gap at 1.2 s is too short; the second word was told past its end, the third too early, the last to the
        // end of the sound.
        let out = mended(&[(0.45, 1.3), (1.3, 2.25), (2.6, 3.1), (3.1, 3.6)], 0.0, &samples);
        assert!(near(&out, &[(0.5, 1.2), (1.2, 2.0), (2.6, 3.0), (3.0, 3.4)]), "{out:?}");
        // A word that was told from the one before on, over the whole pause; and words that were cut beside it.
        let out = mended(&[(0.6, 2.05), (2.05, 3.5)], 0.0, &samples);
        assert!(near(&out, &[(0.5, 2.0), (2.6, 3.4)]), "{out:?}");
        let out = mended(&[(0.9, 1.8), (3.0, 3.5)], 0.0, &samples);
        assert!(near(&out, &[(0.5, 2.0), (2.6, 3.4)]), "{out:?}");
    }

    #[test]
    fn a_first_word_told_at_the_start_of_its_buffer_moves_to_the_sound() {
        let out = mended(&[(0.1, 0.9), (0.9, 1.3)], 0.0, &sound(2.0, &[(0.4, 2.0)]));
        assert!(near(&out, &[(0.4, 0.8), (0.8, 1.2)]), "{out:?}");
    }

    #[test]
    fn a_pause_that_is_far_moves_nothing() {
        let samples = sound(5.0, &[(0.2, 2.0), (2.6, 4.5)]);
        let out = mended(&[(0.9, 1.4), (3.3, 3.7)], 0.0, &samples);
        assert!(near(&out, &[(0.8, 1.3), (3.2, 3.6)]), "speech may be there that has no words: {out:?}");
        // Pauses before what is settled are no business of the word after it.
        let out = mended(&[(2.9, 3.3)], 2.9, &samples);
        assert!(near(&out, &[(2.8, 3.2)]), "{out:?}");
    }

    #[test]
    fn noise_without_pauses_and_sound_without_frames_move_nothing() {
        for samples in [vec![0.1; 3 * RATE], vec![0.0; 3 * RATE], vec![f32::NAN; 3 * RATE], vec![], vec![0.1; 3]] {
            let out = mended(&[(0.5, 0.9), (0.9, 1.0)], 0.0, &samples);
            assert!(near(&out, &[(0.4, 0.8), (0.8, 0.9)]), "{out:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn words_stay_in_order_and_apart(
            steps in proptest::collection::vec((0.0f64..0.5, 0.0f64..0.6), 0..12),
            loud in proptest::collection::vec((0.0f64..0.4, 0.0f64..0.6), 0..12),
            settled in 0.0f64..1.0,
        ) {
            let chain = |steps: &[(f64, f64)], mut at: f64| -> Vec<(f64, f64)> {
                let next = |s: &(f64, f64)| { let from = at + s.0; at = from + s.1; (from, at) };
                steps.iter().map(next).collect()
            };
            let samples = sound(6.0, &chain(&loud, 0.0));
            let out = mended(&chain(&steps, settled), settled, &samples);
            proptest::prop_assert!(out.iter().all(|w| w.0 >= 0.0 && w.0 <= w.1), "{:?}", out);
            proptest::prop_assert!(out.windows(2).all(|w| w[0].1 <= w[1].0), "{:?}", out);
        }
    }
}
