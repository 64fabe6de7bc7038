//! The converters of the families `meanvc2` and `meanvc` (MeanVC 2, arXiv 2606.09050, and MeanVC, arXiv 2510.08392):
//! zero-shot, streaming.
//!
//! Sound becomes Kaldi features, a recogniser's encoder makes content of them (`content`), a mean-flow transformer
//! paints mel frames of content, noise and voice (`flow`, `fused`, `flow1`), a vocoder makes sound of those
//! (`vocoder`). All caches are the graphs' own inputs and outputs. Knows no threads and no packs: it is opened with
//! paths.
//!
//! Frames are 10 ms. Frame `i` of content, noise and mel stands at sample `160·i` of a timeline that begins `LEAD`
//! samples before the sound, in silence. So every chunk of the encoder is full exactly at the end of a hop, and nothing
//! waits that need not.

mod caches;
mod content;
mod convert;
mod flow;
mod flow1;
mod fused;
mod hush;
mod kaldi;
mod mel;
mod ports;
mod speaker;
mod spectrum;
mod vocoder;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod seams;
#[cfg(test)]
mod tests;

pub use self::convert::MeanVc;
pub use self::speaker::{SPEAKER_RATE, SpeakerEncoder};
use mynah_realtime::clock::ConverterTiming;
use std::path::PathBuf;

/// Sound goes in and comes out at this rate, in Hz.
pub const RATE: u32 = 16_000;
/// Samples of a frame.
const FRAME: usize = 160;
/// Frames of a hop: all chunks of all models end at the end of a hop.
const HOP_FRAMES: usize = 4;
/// Samples of a hop.
const HOP: usize = HOP_FRAMES * FRAME;
/// Silence before the sound, in samples: four and a half frames. A chunk of the encoder reaches three frames and 15 ms
/// beyond its own; with this the last of them ends with a hop.
const LEAD: usize = 720;
/// Mel bands of features and of what is painted.
const BANDS: usize = 80;
/// Numbers of a frame of content, and of a speaker.
const WIDTH: usize = 256;

/// A model of the two families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// MeanVC 2 with chunks of 4 frames: 40 ms and 40 ms ahead.
    Two40,
    /// MeanVC 2 with chunks of 12 frames: 120 ms and 40 ms ahead.
    Two120,
    /// MeanVC with chunks of 20 frames.
    One200,
}

impl Model {
    /// MeanVC 2 with chunks of so many frames; none where there is no such model.
    pub fn two(chunk: usize) -> Option<Self> {
        [Model::Two40, Model::Two120].into_iter().find(|m| m.chunk() == chunk)
    }

    /// The same, by the samples of a chunk.
    pub fn two_of_samples(samples: usize) -> Option<Self> {
        samples.is_multiple_of(FRAME).then_some(samples / FRAME).and_then(Self::two)
    }

    /// The same, by the frames that a chunk of its encoder has; MeanVC too.
    pub fn of_window(frames: usize) -> Option<Self> {
        [Model::Two40, Model::Two120, Model::One200].into_iter().find(|m| m.stride() + 3 == frames)
    }

    /// Samples of a chunk, as a pack's `hop` has it.
    pub fn samples(self) -> usize {
        self.chunk() * FRAME
    }

    /// Frames that are painted at a time.
    pub fn chunk(self) -> usize {
        match self {
            Model::Two40 => 4,
            Model::Two120 => 12,
            Model::One200 => 20,
        }
    }

    /// Frames of content beyond them that the painting hears.
    fn ahead(self) -> usize {
        if self == Model::One200 { 0 } else { 4 }
    }

    /// Frames from one chunk of the encoder to the next; a chunk has three more.
    fn stride(self) -> usize {
        match self {
            Model::Two40 => 8,
            Model::Two120 => 16,
            Model::One200 => 20,
        }
    }

    /// Layers of the encoder, and frames of 40 ms that its attention keeps.
    fn encoder(self) -> (usize, usize) {
        match self {
            Model::Two40 => (6, 4),
            Model::Two120 => (6, 8),
            Model::One200 => (7, 10),
        }
    }

    /// Mel frames that the vocoder sees again with the next chunk.
    fn overlap(self) -> usize {
        if self == Model::One200 { 3 } else { 2 }
    }
}

/// The timing of a model, known before anything is loaded.
///
/// After step `s` the sound is complete up to frame `chunk·(s+1) − overlap` (what lies behind is faded with the next
/// step's), and it must last until step `s+1`, which waits for content up to frame `chunk·(s+2) + ahead`. Content comes
/// in whole strides of the encoder, each as soon as there is sound of as many frames: the lead of silence makes up for
/// what a chunk reaches beyond its stride. The longest of these spans is all that lies between a sample and its
/// conversion; what is left of it without the hop is the delay.
pub fn timing(model: Model) -> ConverterTiming {
    let (chunk, ahead, stride, overlap) = (model.chunk(), model.ahead(), model.stride(), model.overlap());
    let span = |step: usize| (chunk * (step + 2) + ahead).next_multiple_of(stride) + overlap - chunk * (step + 1);
    let longest = (0..stride).map(span).max().unwrap_or(0);
    ConverterTiming { rate: RATE, hop: HOP, delay: longest * FRAME + LEAD - HOP }
}

/// In how many steps mel frames are painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Steps {
    /// As the papers have it: half the work.
    One,
    /// As the models' own runtimes have it.
    #[default]
    Two,
}

impl Steps {
    /// The times from noise to mel frames: MeanVC 2's runtime halves the way (`runtime/run_rt.py` of its repository),
    /// MeanVC's second step goes on from what is nearly noise still.
    fn times(self, model: Model) -> &'static [f32] {
        match (self, model) {
            (Steps::One, _) => &[1.0, 0.0],
            (Steps::Two, Model::One200) => &[1.0, 0.8, 0.0],
            (Steps::Two, _) => &[1.0, 0.5, 0.0],
        }
    }
}

/// The graphs of a pack.
#[derive(Debug, Clone)]
pub struct Files {
    /// Which model they are.
    pub model: Model,
    /// The name of the weights, which the timbre of a voice must bear.
    pub weights: String,
    /// The recogniser's encoder: features and caches in, content and caches out.
    pub encoder: PathBuf,
    /// Speaker in, memory of the timbre out; MeanVC has none.
    pub memory: Option<PathBuf>,
    /// The transformer: noise, times, content, voice and caches in, mean velocity and caches out.
    pub flow: PathBuf,
    /// Mel frames in, sound out.
    pub vocoder: PathBuf,
    /// How many runs of the transformer a chunk takes; a graph that paints all the way takes two by itself, and can't
    /// do with one.
    pub steps: Steps,
}
