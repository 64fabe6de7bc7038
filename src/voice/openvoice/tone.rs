//! The tone of a voice in OpenVoice's sense: 256 numbers that its reference encoder hears in a spectrogram. Of a
//! reference for a target voice, and of the running source, which the converter must know to take it away. Knows no
//! stream of sound, only frames.

use std::ops::Range;
use std::path::Path;

use super::spectrum::{BINS, HOP, RATE, Spectrum, level};
use crate::blocks::{Precision, failed, numbers, read, sizes, wrong};
use crate::{ConvertError, HearsTimbre, TargetVoice, Timbre};
use mynah_dsp::level::from_db;
use mynah_models::runtime::{RuntimeError, Session, SessionOptions};

/// Numbers of a tone.
pub const TONE: usize = 256;
/// Frames below this say nothing of the speaker, in dBFS.
const ACTIVE_DB: f32 = -50.0;
/// Frames that a reference is heard in at a time: 10 s, as OpenVoice cuts its references. A rest shorter than 2 s is
/// left out beside longer pieces.
const PIECE: usize = 10 * super::RATE as usize / HOP;
const LEAST_PIECE: usize = 2 * super::RATE as usize / HOP;
/// Pieces of a reference beyond this tell nothing new: a minute.
const MOST_PIECES: usize = 6;
/// Active frames of the source that are heard at a time: 2 s.
const STRETCH: usize = 2 * super::RATE as usize / HOP;
/// Stretches after which an old one counts less than a new one: another speaker is soon heard.
const STRETCHES: f32 = 8.0;

/// Whether a graph looks like OpenVoice's reference encoder: one spectrogram in, by frames.
pub fn is_encoder(session: &Session) -> bool {
    let [spectrogram] = session.inputs() else { return false };
    matches!(sizes(spectrogram)[..], [_, _, bins] if bins == BINS as i64)
        && Precision::of(spectrogram).is_some()
        && !session.outputs().is_empty()
}

/// A loaded reference encoder.
pub struct ToneEncoder {
    session: Session,
    model: String,
}

impl ToneEncoder {
    /// Loads the graph; its tensors are known by their places. `model` is the name of the weights: it goes into every
    /// tone, since others can't read it.
    pub fn open(path: &Path, model: &str, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let session = Session::load(path, options)?;
        if is_encoder(&session) {
            return Ok(Self { session, model: model.to_owned() });
        }
        let found: Vec<_> = session.inputs().iter().take(8).map(|o| format!("`{}` {:?}", o.name(), sizes(o))).collect();
        Err(wrong(&session, &format!("one input [1, frames, {BINS}]"), found.join(", ")))
    }

    /// The tone of some frames, `BINS` numbers each, at least one.
    pub fn of_frames(&mut self, frames: &[f32]) -> Result<Vec<f32>, ConvertError> {
        let input = &self.session.inputs()[0];
        let (name, precision) = (input.name().to_owned(), Precision::of(input).unwrap_or(Precision::Single));
        let value = numbers(precision, &[1, frames.len() / BINS, BINS], frames)?;
        let outputs = self.session.ort().run(vec![(name, value)]).map_err(failed)?;
        let (shape, tone) = read(&outputs[0])?;
        if tone.len() != TONE {
            return Err(ConvertError::Run(format!("the encoder gave {shape:?} where {TONE} numbers belong")));
        }
        Ok(tone.into_owned())
    }
}

impl HearsTimbre for ToneEncoder {
    fn rate(&self) -> u32 {
        RATE
    }

    /// The tone of the stretches in which somebody speaks: of pieces of 10 s the mean, up to a minute; none where there
    /// is no whole frame.
    fn timbre(&mut self, samples: &[f32], stretches: &[Range<usize>]) -> Result<Option<Timbre>, ConvertError> {
        let inside = |r: &Range<usize>| samples.get(r.start..r.end.min(samples.len())).unwrap_or_default();
        let spoken: Vec<f32> = stretches.iter().flat_map(inside).copied().collect();
        let frames = Spectrum::new().all(&spoken);
        let mut mean = Mean::default();
        for piece in frames.chunks(PIECE * BINS).take(MOST_PIECES) {
            if mean.count == 0.0 || piece.len() >= LEAST_PIECE * BINS {
                mean.add(&self.of_frames(piece)?);
            }
        }
        Ok((mean.count > 0.0).then(|| Timbre { model: self.model.clone(), numbers: mean.tone }))
    }
}

/// The tone of a target voice for the weights of this name: none where it has none, or one of other weights, or one
/// that is damaged.
pub fn tone_of(voice: &TargetVoice, model: &str) -> Option<Vec<f32>> {
    voice.numbers_of(model).filter(|numbers| numbers.len() == TONE).map(<[f32]>::to_vec)
}

/// The mean of tones.
#[derive(Debug, Clone, Default)]
struct Mean {
    tone: Vec<f32>,
    count: f32,
}

impl Mean {
    fn add(&mut self, tone: &[f32]) {
        self.tone.resize(tone.len(), 0.0);
        self.count += 1.0;
        let share = 1.0 / self.count;
        self.tone.iter_mut().zip(tone).for_each(|(m, t)| *m += (t - *m) * share);
    }
}

/// The tone of the running source: heard anew with every hop until two seconds of it are there, then every two seconds
/// of it, in the mean of the last ones. So a source is known from its first frames on, long before they are heard
/// themselves, and a function of the hops since the reset.
#[derive(Debug, Clone, Default)]
pub struct SourceTone {
    /// Active frames that are not in the mean yet.
    frames: Vec<f32>,
    mean: Mean,
    /// That of the first frames, until there is a mean.
    early: Option<Vec<f32>>,
}

impl SourceTone {
    /// Forgets the source.
    pub fn reset(&mut self) {
        self.frames.clear();
        self.mean = Mean::default();
        self.early = None;
    }

    /// Takes the frames of a hop; those that are too soft say nothing.
    pub fn hear(&mut self, frames: &[f32], encoder: &mut ToneEncoder) -> Result<(), ConvertError> {
        let before = self.frames.len();
        for frame in frames.chunks_exact(BINS).filter(|f| level(f) > from_db(ACTIVE_DB)) {
            self.frames.extend_from_slice(frame);
        }
        if self.frames.len() >= STRETCH * BINS {
            let tone = encoder.of_frames(&self.frames)?;
            self.frames.clear();
            self.mean.count = self.mean.count.min(STRETCHES - 1.0);
            self.mean.add(&tone);
            self.early = None;
        } else if self.mean.count == 0.0 && self.frames.len() > before {
            self.early = Some(encoder.of_frames(&self.frames)?);
        }
        Ok(())
    }

    /// The tone, as far as it is known.
    pub fn tone(&self) -> Option<&[f32]> {
        if self.mean.count > 0.0 { Some(&self.mean.tone) } else { self.early.as_deref() }
    }
}
