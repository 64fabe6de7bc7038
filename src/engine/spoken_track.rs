//! Which track of a file somebody speaks in: recorders of games and meetings put the microphone on a track of its own.
//! Knows no recogniser.

use std::path::Path;

use mynah_audio::{AudioError, Choice, Mono, Reader};
use mynah_models::vad::{Detector, FRAME, RATE, START};

/// All of the first seconds is listened to, then so many of each minute.
const FIRST_SECONDS: u64 = 120;
const OF_A_MINUTE: u64 = 10;
/// Softer frames are silence: mean square of -60 dBFS.
const SILENCE: f32 = 1e-6;

/// The number of the track, from 1, with most speech; `None` where there is one track alone, or no speech in any. Reads
/// each track to its end.
pub fn spoken_track(path: &Path, tracks: usize, detector: &mut dyn Detector) -> Result<Option<usize>, AudioError> {
    if tracks < 2 {
        return Ok(None);
    }
    let mut best = (0, None);
    for number in 1..=tracks {
        let speech = match Reader::open_track(path, Choice::Number(number)) {
            Ok(mut reader) => speech_frames(&mut reader, detector)?,
            // A track that can't be decoded is none to choose.
            Err(AudioError::Codec { .. } | AudioError::Empty(_)) => 0,
            Err(e) => return Err(e),
        };
        if speech > best.0 {
            best = (speech, Some(number));
        }
    }
    Ok(best.1)
}

fn speech_frames(reader: &mut Reader, detector: &mut dyn Detector) -> Result<usize, AudioError> {
    let mut mono = Mono::new(reader, RATE);
    let (mut waiting, mut at, mut speech) = (Vec::new(), 0u64, 0);
    detector.reset();
    while let Some(samples) = mono.next_samples()? {
        waiting.extend(samples);
        let whole = waiting.len() / FRAME * FRAME;
        for frame in waiting[..whole].chunks(FRAME) {
            let second = at / u64::from(RATE);
            at += FRAME as u64;
            let heard = second < FIRST_SECONDS || second % 60 < OF_A_MINUTE;
            if heard && frame.iter().map(|x| x * x).sum::<f32>() > SILENCE * FRAME as f32 {
                // A detector that fails has heard nothing.
                speech += usize::from(detector.probability(frame).is_ok_and(|p| p >= START));
            }
        }
        waiting.drain(..whole);
    }
    Ok(speech)
}
