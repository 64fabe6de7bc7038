//! From probabilities to stretches of speech: pure logic over frames.

use std::ops::Range;

use super::{Detector, FRAME, GO_ON, RATE, START, Vad};
use crate::runtime::RuntimeError;

/// Sound kept before and after each stretch.
const PAD: usize = RATE as usize / 10;
/// A pause shorter than this stays inside a stretch.
const MIN_PAUSE_FRAMES: usize = 4;
/// Fewer frames of speech than this are a click.
const MIN_SPEECH_FRAMES: usize = 4;

/// The stretches of speech in a whole clip at 16 kHz, in samples, in order, apart from each other; each has 0.1 s of
/// sound around it.
pub fn speech(vad: &mut Vad, samples: &[f32]) -> Result<Vec<Range<usize>>, RuntimeError> {
    vad.reset();
    let mut probabilities = Vec::with_capacity(samples.len().div_ceil(FRAME));
    for frame in samples.chunks(FRAME) {
        probabilities.push(Detector::probability(vad, frame)?);
    }
    vad.reset();
    Ok(stretches(&probabilities, samples.len()))
}

/// The stretches that belong to the probabilities of a clip's frames; `length` is the clip's, in samples.
pub fn stretches(probabilities: &[f32], length: usize) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut keep = |start: usize, end: usize| {
        if end - start < MIN_SPEECH_FRAMES {
            return;
        }
        let (start, end) = ((start * FRAME).saturating_sub(PAD), (end * FRAME + PAD).min(length));
        match found.last_mut() {
            Some(last) if start <= last.end => last.end = end,
            _ => found.push(start..end),
        }
    };
    let mut open: Option<(usize, usize)> = None;
    for (i, &p) in probabilities.iter().enumerate() {
        open = match open {
            None if p >= START => Some((i, i + 1)),
            None => None,
            Some((start, _)) if p >= GO_ON => Some((start, i + 1)),
            Some((start, end)) if i + 1 - end >= MIN_PAUSE_FRAMES => {
                keep(start, end);
                None
            }
            going => going,
        };
    }
    if let Some((start, end)) = open {
        keep(start, end);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_word_between_silences_is_found_with_its_surroundings() {
        let p: Vec<f32> = (0..100).map(|i| if (40..60).contains(&i) { 0.9 } else { 0.02 }).collect();
        let found = stretches(&p, 100 * FRAME);
        assert_eq!(found, vec![40 * FRAME - PAD..60 * FRAME + PAD]);
    }

    #[test]
    fn clicks_are_left_out_and_short_pauses_stay_inside() {
        let mut p = vec![0.0f32; 100];
        p[10] = 1.0;
        p[40..50].fill(0.8);
        p[53..70].fill(0.8);
        assert_eq!(stretches(&p, 100 * FRAME), vec![40 * FRAME - PAD..70 * FRAME + PAD]);
    }

    #[test]
    fn speech_goes_on_at_a_lower_probability_than_it_starts() {
        let mut p = vec![0.4f32; 60];
        assert!(stretches(&p, 60 * FRAME).is_empty());
        p[5] = 0.6;
        assert_eq!(stretches(&p, 60 * FRAME), vec![5 * FRAME - PAD..60 * FRAME]);
    }

    proptest! {
        #[test]
        fn stretches_are_apart_in_order_and_inside(p in prop::collection::vec(0.0f32..1.0, 0..300), cut in 0usize..FRAME) {
            let length = (p.len() * FRAME).saturating_sub(cut);
            let found = stretches(&p, length);
            for s in &found {
                prop_assert!(s.start < s.end && s.end <= length);
            }
            for pair in found.windows(2) {
                prop_assert!(pair[0].end < pair[1].start);
            }
        }
    }
}
