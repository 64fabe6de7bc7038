//! What MeanVC's weights hear of a reference: numbers of the speaker and, for MeanVC 1, mel frames of a prompt. Knows
//! no converter.

use std::ops::Range;
use std::path::Path;

use super::ports::{Ports, Want, exactly, floats};
use super::{BANDS, FRAME, Model, RATE, WIDTH, mel};
use crate::{ConvertError, HearsTimbre, Timbre};
use mynah_models::runtime::{RuntimeError, SessionOptions};

/// The rate of the sound that a speaker is heard in, in Hz.
pub const SPEAKER_RATE: u32 = RATE;
/// Speech beyond this tells nothing new: 20 s.
const MOST: usize = 20 * RATE as usize;
/// Frames of the prompt that a voice keeps: 2.56 s.
const PROMPT: usize = 256;
/// The prompt is kept in steps of this: 0.6 dB of the 115 dB that a frame spans. So a number takes five characters
/// where a project is saved.
const STEPS: f32 = 100.0;

/// A loaded speaker encoder: a waveform f32[1, T] in, f32[1, 256] out.
pub struct SpeakerEncoder {
    ports: Ports,
    model: Model,
    weights: String,
}

impl SpeakerEncoder {
    /// Loads the encoder of a model's pack. `weights` is the name of the weights: it goes into every timbre, since
    /// others can't read it.
    pub fn open(path: &Path, model: Model, weights: &str) -> Result<Self, RuntimeError> {
        let ports = Ports::open(path, &SessionOptions::default(), 1, |_| vec![Want::floats("a waveform", &[1, -1])])?;
        if ports.sizes(0).last().is_some_and(|&n| n >= 0) {
            return Err(ports.graph().wrong("a waveform [1, any number of samples]", format!("{:?}", ports.sizes(0))));
        }
        Ok(Self { ports, model, weights: weights.to_owned() })
    }
}

impl HearsTimbre for SpeakerEncoder {
    fn rate(&self) -> u32 {
        SPEAKER_RATE
    }

    fn timbre(&mut self, samples: &[f32], stretches: &[Range<usize>]) -> Result<Option<Timbre>, ConvertError> {
        let within = |s: &Range<usize>| s.start.min(samples.len())..s.end.min(samples.len());
        let mut speech: Vec<f32> = stretches.iter().flat_map(|s| &samples[within(s)]).copied().collect();
        speech.truncate(MOST);
        if speech.len() < RATE as usize {
            return Ok(None);
        }
        let outputs = self.ports.run(vec![floats([1, speech.len()], &speech)?])?;
        let mut numbers = exactly(&outputs[0], WIDTH, "the speaker")?.to_vec();
        if self.model == Model::One200 {
            let frames = (speech.len() / FRAME).min(PROMPT);
            numbers.extend(mel::frames(&speech)[..frames * BANDS].iter().map(|x| (x * STEPS).round() / STEPS));
        }
        Ok(Some(Timbre { model: self.weights.clone(), numbers }))
    }
}
