//! The seams of the converted sound: how it leaves where it is missing and comes back, without a click. One stream,
//! sample by sample; knows neither rings nor what stands in for it.

/// Seconds in which it leaves or comes back.
const FADE: f64 = 0.002;

/// What is left of the converted sound at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Voice {
    /// The sample.
    pub(super) sample: f32,
    /// Its share against what stands in for it, 0 to 1.
    pub(super) share: f32,
}

/// Follows converted sound that may be missing. Allocation-free after `new`.
///
/// Sound that ends is continued through the point where it ended, mirrored in time and in sign: so neither its value
/// nor its slope jumps, which alone would be heard as a click. The share moves along [`curve`]. It never turns back on
/// its way: what leaves has left before it comes in again, and what can't be seen to stay for [`Seam::samples`] doesn't
/// come in at all.
#[derive(Debug)]
pub(super) struct Seam {
    /// The last samples of the sound at hand, `at` the next place.
    tail: Vec<f32>,
    at: usize,
    /// How many samples of `tail` belong to it.
    known: usize,
    /// Samples since it ended.
    gone: usize,
    /// How far it has come in, 0 to 1, and how far it moves a sample.
    fade: f32,
    step: f32,
    /// It was missing and has not left yet.
    leaving: bool,
}

impl Seam {
    pub(super) fn new(rate: u32) -> Self {
        let samples = FADE * rate as f64;
        let tail = vec![0.0; samples.ceil() as usize + 2];
        Self { tail, at: 0, known: 0, gone: 0, fade: 1.0, step: (1.0 / samples) as f32, leaving: false }
    }

    /// Forgets all sound: what comes first is in, since before it there is silence.
    pub(super) fn reset(&mut self) {
        (self.at, self.known, self.gone, self.fade, self.leaving) = (0, 0, 0, 1.0, false);
    }

    /// Samples that it takes to leave or to come in.
    pub(super) fn samples(&self) -> usize {
        self.tail.len() - 2
    }

    /// Whether the converted sound is out: the next sample of it would begin to come in.
    pub(super) fn is_out(&self) -> bool {
        self.fade == 0.0
    }

    /// Takes the next sample, or none where it is missing.
    pub(super) fn next(&mut self, wet: Option<f32>) -> Voice {
        // What was missing comes back from nothing: taken up in the middle of its fade it would jump.
        self.leaving = wet.is_none() || (self.leaving && self.fade > 0.0);
        let sample = match wet {
            Some(x) if !self.leaving => {
                if self.gone > 0 {
                    (self.known, self.gone) = (0, 0);
                }
                self.tail[self.at] = x;
                self.at = if self.at + 1 == self.tail.len() { 0 } else { self.at + 1 };
                self.known = (self.known + 1).min(self.tail.len());
                x
            }
            _ => {
                self.gone = self.gone.saturating_add(1);
                self.mirrored()
            }
        };
        self.fade = (self.fade + if self.leaving { -self.step } else { self.step }).clamp(0.0, 1.0);
        Voice { sample, share: curve(self.fade) }
    }

    /// `gone` samples behind the end, the sound of as many samples before it, turned about the last sample.
    fn mirrored(&self) -> f32 {
        let Some(oldest) = self.known.checked_sub(1) else { return 0.0 };
        let back = |n: usize| self.tail[if n < self.at { self.at - 1 - n } else { self.at + self.tail.len() - 1 - n }];
        2.0 * back(0) - back(self.gone.min(oldest))
    }
}

/// From 0 to 1 with a slope of 0 at both ends: the mean of `3x² − 2x³` and `6x⁵ − 15x⁴ + 10x³`. The first alone bends
/// more sharply at its ends, the second rises more steeply; of tones up to 250 Hz the mean leaves the least above 4
/// kHz.
fn curve(x: f32) -> f32 {
    0.5 * x * x * (3.0 + x * (8.0 + x * (6.0 * x - 15.0)))
}

// Not in `tests/crossing`, which has no engine to measure clicks with.
#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use super::*;
    use mynah_dsp::level::click_dbfs;
    use std::f64::consts::TAU;

    const RATE: u32 = 48_000;

    /// A tone that is missing for a while, and its negative that stands in for it.
    fn interrupted(hertz: f64, phase: f64, missing: std::ops::Range<usize>) -> Vec<f32> {
        let mut seam = Seam::new(RATE);
        let tone = |i: usize| 0.5 * (hertz * TAU * i as f64 / RATE as f64 + phase).sin() as f32;
        (0..RATE as usize / 4)
            .map(|i| {
                let voice = seam.next((!missing.contains(&i)).then(|| tone(i)));
                voice.share * voice.sample - (1.0 - voice.share) * tone(i)
            })
            .collect()
    }

    /// The start of the tone itself is none.
    fn click(sound: &[f32]) -> f32 {
        click_dbfs(sound, RATE, RATE as usize / 20)
    }

    /// Against the worst that can stand in, the sound's own opposite, and at any phase.
    #[test]
    fn no_seam_clicks() {
        for hertz in [100.0, 180.0, 250.0] {
            for phase in [0.0, 0.8, 1.6, 2.4] {
                for length in [30, 96, 100, 480, 1000] {
                    let click = click(&interrupted(hertz, phase, 5000..5000 + length));
                    assert!(click < -60.0, "{hertz} Hz, phase {phase}, {length} samples: {click:.1} dBFS");
                }
            }
        }
        let steady = click(&interrupted(250.0, 0.0, 0..0));
        assert!(steady < -75.0, "the measure is blind to the tone itself: {steady:.1} dBFS");
    }

    #[test]
    fn sound_that_is_there_passes_unchanged_once_it_has_come_in() {
        let mut seam = Seam::new(RATE);
        assert_eq!(seam.next(Some(0.5)), Voice { sample: 0.5, share: 1.0 }, "the first is in");
        (0..100).for_each(|_| _ = seam.next(None));
        assert!(seam.is_out());
        let shares: Vec<f32> = (0..200).map(|i| seam.next(Some(i as f32)).share).collect();
        assert!(shares[..95].windows(2).all(|w| w[0] < w[1]) && shares[97..].iter().all(|s| *s == 1.0), "{shares:?}");
        assert_eq!(seam.next(Some(0.25)), Voice { sample: 0.25, share: 1.0 });
    }

    #[test]
    fn a_sound_too_short_to_be_mirrored_stays_within_what_it_was() {
        let mut seam = Seam::new(RATE);
        for wet in [Some(0.5), Some(0.4), None, None, None, None] {
            let voice = seam.next(wet);
            assert!(voice.sample.abs() <= 0.5 && voice.share > 0.99, "{voice:?}");
        }
        seam.reset();
        assert_eq!(seam.next(Some(0.25)), Voice { sample: 0.25, share: 1.0 });
    }
}
