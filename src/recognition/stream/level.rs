//! Raises soft speech: the voice activity model hears none below -50 dBFS, and the features of recognisers have a
//! floor. What is loud enough passes bit for bit. Pure arithmetic over samples; knows no model.

use mynah_models::vad::{FRAME, GO_ON, RATE};

/// Sound whose loudest frames are softer than this, as a root mean square, is raised to it, by so much at most: -45
/// dBFS and 48 dB.
const SOFT: f32 = 0.0056;
const MOST: f32 = 256.0;
/// The loudest frame is forgotten by half in so many seconds, the softest as slowly: a pause is no soft speech.
const FORGET: f32 = 10.0;
/// Speech is so many times as loud as what is there without it (10 dB): the rest stays as it is.
const ABOVE: f32 = 3.16;
/// Of the frames of speech in a buffer so many in a hundred are softer than what counts as its level: a click is none.
const LOUD: usize = 90;

/// How much to raise sound whose loudest frames have this level: a power of two, which changes no digit of a sample but
/// its exponent.
fn gain(level: f32) -> f32 {
    if level >= SOFT { 1.0 } else { (SOFT / level.max(f32::MIN_POSITIVE)).log2().ceil().exp2().min(MOST) }
}

fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|x| x * x).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}

/// Raises frame after frame for the voice activity model.
#[derive(Debug)]
pub(super) struct Follower {
    /// Of the loudest frame and of the softest, less what was forgotten since.
    level: f32,
    floor: f32,
    raised: Vec<f32>,
}

impl Default for Follower {
    fn default() -> Self {
        Self { level: 0.0, floor: f32::INFINITY, raised: Vec::new() }
    }
}

impl Follower {
    /// The next frame, raised by what the loudest one of late leaves room for.
    pub(super) fn raise<'f>(&'f mut self, frame: &'f [f32]) -> &'f [f32] {
        let forgotten = (-(frame.len() as f32) / (RATE as f32 * FORGET)).exp2();
        let here = rms(frame);
        self.level = here.max(self.level * forgotten);
        self.floor = here.min(self.floor / forgotten);
        let gain = if self.level >= ABOVE * self.floor { gain(self.level) } else { 1.0 };
        raised(frame, gain, &mut self.raised)
    }

    /// Forgets all that was heard.
    pub(super) fn reset(&mut self) {
        (self.level, self.floor) = (0.0, f32::INFINITY);
    }
}

/// A buffer of whole frames, raised by what its speech leaves room for; `probabilities` are those of its frames.
pub(super) fn raise<'b>(buffer: &'b [f32], probabilities: &[f32], room: &'b mut Vec<f32>) -> &'b [f32] {
    let speech = buffer.chunks_exact(FRAME).zip(probabilities).filter(|(_, p)| **p >= GO_ON);
    let mut levels: Vec<f32> = speech.map(|(frame, _)| rms(frame)).collect();
    levels.sort_unstable_by(f32::total_cmp);
    let level = levels.get((levels.len() * LOUD / 100).min(levels.len().saturating_sub(1)));
    raised(buffer, level.map_or(1.0, |&level| gain(level)), room)
}

fn raised<'b>(samples: &'b [f32], gain: f32, room: &'b mut Vec<f32>) -> &'b [f32] {
    if gain == 1.0 {
        return samples;
    }
    room.clear();
    room.extend(samples.iter().map(|x| (x * gain).clamp(-1.0, 1.0)));
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(level: f32, count: usize) -> Vec<f32> {
        (0..count).map(|i| level * 2f32.sqrt() * (i as f32 * 0.3).sin()).collect()
    }

    /// What becomes of a frame behind so soft a one that it can be speech.
    fn followed(frame: &[f32]) -> Vec<f32> {
        let mut follower = Follower::default();
        follower.raise(&tone(rms(frame) / 5.0, FRAME));
        follower.raise(frame).to_vec()
    }

    #[test]
    fn what_is_loud_enough_passes_bit_for_bit_and_what_is_soft_is_raised_within_bounds() {
        for decibels in [0.0, -20.0, -40.0, -44.0, -50.0, -60.0, -80.0, -90.0, -120.0f32] {
            let level = 10f32.powf(decibels / 20.0);
            let frame = tone(level, FRAME);
            let out = followed(&frame);
            let mut room = Vec::new();
            assert_eq!(raise(&frame, &[0.9], &mut room), out, "{decibels}");
            match decibels {
                d if d > -45.0 => assert_eq!(out, frame),
                d if d > -92.0 => assert!((SOFT * 0.99..SOFT * 2.02).contains(&rms(&out)), "{decibels}: {}", rms(&out)),
                _ => assert!((rms(&out) / level - MOST).abs() < 1.0),
            }
        }
        assert!(Follower::default().raise(&[0.0; FRAME]).iter().all(|x| *x == 0.0));
        assert!(raise(&[], &[], &mut Vec::new()).is_empty());
    }

    #[test]
    fn a_quiet_room_is_no_soft_speech_neither_before_it_nor_in_its_pauses() {
        let (mut follower, room) = (Follower::default(), tone(0.0003, FRAME));
        let frames = |seconds: usize| seconds * RATE as usize / FRAME;
        assert!((0..frames(60)).all(|_| follower.raise(&room) == room), "nobody speaks");
        let soft = tone(0.0015, FRAME);
        assert!(rms(follower.raise(&soft)) > SOFT * 0.99, "somebody speaks softly");
        let loud = tone(0.1, FRAME);
        assert_eq!(follower.raise(&loud), loud);
        assert!((0..frames(30)).all(|_| follower.raise(&room) == room), "somebody pauses");
        let mut later = (0..frames(60)).map(|_| {
            follower.raise(&room);
            rms(follower.raise(&soft))
        });
        assert!(later.any(|level| level > SOFT), "another one speaks softly");
    }

    #[test]
    fn a_click_or_noise_beside_soft_speech_is_not_its_level() {
        let mut buffer = tone(0.0005, 40 * FRAME);
        buffer[5 * FRAME + 7] = 0.9;
        let mut room = Vec::new();
        let mut speech = vec![0.9; 40];
        assert!(rms(&raise(&buffer, &speech, &mut room)[10 * FRAME..]) >= 0.99 * SOFT);
        buffer[..8 * FRAME].copy_from_slice(&tone(0.3, 8 * FRAME));
        speech[..8].fill(0.1);
        assert!(rms(&raise(&buffer, &speech, &mut room)[10 * FRAME..]) >= 0.99 * SOFT);
    }
}
