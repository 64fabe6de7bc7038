//! Mel frames to sound, chunk by chunk: a vocoder (Vocos) sees the last frames again, and its two versions of the same
//! sound are faded into each other.
//!
//! `T` frames give `160·(T − 1)` samples, from the middle of the first to the middle of the last; some graphs give `T`
//! spectra instead, as real and imaginary parts [1, 321, T], of which that sound is made here. Knows no voice.

use std::path::Path;

use super::ports::{Ports, Want, exactly, floats};
use super::spectrum::{BINS, Spectra};
use super::{BANDS, FRAME};
use crate::ConvertError;
use mynah_models::runtime::{RuntimeError, SessionOptions};

/// A vocoder in a stream of frames.
pub(super) struct Vocoder {
    ports: Ports,
    /// Where the graph gives spectra.
    spectra: Option<Spectra>,
    /// Frames that are seen again.
    overlap: usize,
    /// These frames; empty at the beginning.
    seen: Vec<f32>,
    /// The sound of the last chunk that the next one's is faded into; empty at the beginning.
    fading: Vec<f32>,
    /// Frames with their bands in front.
    turned: Vec<f32>,
}

impl Vocoder {
    pub(super) fn open(path: &Path, overlap: usize, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let ports = Ports::open(path, options, 0, |_| vec![Want::floats("mel frames", &[1, BANDS as i64, -1])])?;
        if ports.sizes(0).last().is_some_and(|&n| n >= 0) {
            return Err(ports.graph().wrong("mel frames [1, 80, any number]", format!("{:?}", ports.sizes(0))));
        }
        let spectra = match ports.graph().outputs.len() {
            1 => None,
            2 => Some(Spectra::new()),
            n => return Err(ports.graph().wrong("sound, or the two parts of spectra, as outputs", format!("{n}"))),
        };
        Ok(Self { ports, spectra, overlap, seen: Vec::new(), fading: Vec::new(), turned: Vec::new() })
    }

    /// Forgets all frames.
    pub(super) fn reset(&mut self) {
        self.seen.clear();
        self.fading.clear();
    }

    /// Takes frames in −1 to 1 that follow the last ones, and appends the sound that is complete with them: all up to
    /// `overlap` frames before the end.
    pub(super) fn push(&mut self, mel: &[f32], sound: &mut Vec<f32>) -> Result<(), ConvertError> {
        self.seen.extend_from_slice(mel);
        let frames = self.seen.len() / BANDS;
        self.turned.clear();
        for band in 0..BANDS {
            self.turned.extend((0..frames).map(|t| (self.seen[t * BANDS + band] + 1.0) / 2.0));
        }
        let outputs = self.ports.run(vec![floats([1, BANDS, frames], &self.turned)?])?;
        let made = match &mut self.spectra {
            None => exactly(&outputs[0], (frames - 1) * FRAME, "sound")?,
            Some(spectra) => {
                let part = |i: usize| exactly(&outputs[i], frames * BINS, "a part of the spectra");
                spectra.sound(part(0)?, part(1)?)
            }
        };
        let fade = (self.overlap - 1) * FRAME;
        for (i, x) in made[..made.len() - fade].iter().enumerate() {
            let share = i as f32 / (fade - 1) as f32;
            sound.push(self.fading.get(i).map_or(*x, |old| old * (1.0 - share) + x * share));
        }
        self.fading.clear();
        self.fading.extend_from_slice(&made[made.len() - fade..]);
        self.seen.drain(..(frames - self.overlap) * BANDS);
        Ok(())
    }
}
