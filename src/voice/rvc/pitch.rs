//! The pitch of the frames that the generator is told, 100 a second, each heard around its own time: from an RMVPE
//! graph where there is one, else from Mynah's tracker. Knows no voice.

use std::path::Path;

use ort::session::SessionInputValue;

use super::content;
use crate::ConvertError;
use crate::blocks::{Precision, failed, input, numbers, read, wrong};
use mynah_dsp::pitch::{self, PitchTracker};
use mynah_dsp::resample::Resampler;
use mynah_models::runtime::{RuntimeError, Session, SessionOptions, TensorSpec};

const CONTRACT: [TensorSpec; 2] = [TensorSpec::input("waveform", &[1, -1]), TensorSpec::input("threshold", &[1])];
const PITCH: &str = "pitchf";
/// Below this salience a frame counts as unvoiced; as in RVC.
const THRESHOLD: f32 = 0.3;
/// Samples of a frame at the rate that RMVPE hears, 16 kHz.
const FRAME: usize = content::HOP / 2;
/// Frames of sound that RMVPE hears before those that are asked for.
const BEFORE: usize = 32;

/// Whether a graph looks like RMVPE.
pub fn is_rmvpe(session: &Session) -> bool {
    CONTRACT.iter().all(|t| input(session, t.name).is_some()) && session.outputs().iter().any(|o| o.name() == PITCH)
}

/// Where the pitch comes from.
pub enum Pitch {
    /// From nowhere: the generator is not told it.
    Unheard,
    /// Mynah's tracker, which hears the model's own rate.
    Own(Box<Own>),
    /// RMVPE, which hears what ContentVec hears.
    Rmvpe(Rmvpe),
}

impl Pitch {
    /// Forgets all sound; the next sample has this position at the model's rate.
    pub fn reset(&mut self, position: u64) {
        if let Pitch::Own(own) = self {
            own.reset(position);
        }
    }

    /// The pitches of the frames that a hop makes known, oldest first, `count` of them. `heard` is the newest sound at
    /// 16 kHz, whose last sample ends `after` samples behind the time of the frame after them.
    pub fn hear(
        &mut self,
        hop: &[f32],
        heard: &[f32],
        after: usize,
        count: usize,
        hertz: &mut Vec<f32>,
    ) -> Result<(), ConvertError> {
        hertz.clear();
        match self {
            Pitch::Unheard => hertz.resize(count, 0.0),
            Pitch::Own(own) => own.hear(hop, count, hertz),
            Pitch::Rmvpe(rmvpe) => rmvpe.hear(heard, after, count, hertz)?,
        }
        match hertz.len() == count {
            true => Ok(()),
            false => Err(ConvertError::Run(format!("{} pitches came where {count} belong", hertz.len()))),
        }
    }
}

/// The tracker with the sound that it still needs.
pub struct Own {
    tracker: PitchTracker,
    resampler: Resampler,
    /// The last window, and what came after it.
    held: Vec<f32>,
    block: Vec<f32>,
    /// Windows until the first frame is read out.
    lag: usize,
    behind: usize,
}

impl Own {
    /// From a sound at `rate`, hops of `hop` samples; each frame is read out `lag` frames later.
    pub fn new(rate: u32, hop: usize, lag: usize) -> Self {
        let tracker = PitchTracker::new(lag);
        let resampler = Resampler::new(rate, pitch::RATE, 2 * hop);
        Self { tracker, resampler, held: Vec::new(), block: Vec::new(), lag, behind: lag }
    }

    fn reset(&mut self, position: u64) {
        self.tracker.reset();
        self.resampler.reset(position as i64, self.resampler.output_at(position));
        // The first window is centred on the first sample.
        self.held.clear();
        self.held.resize(pitch::WINDOW / 2, 0.0);
        self.behind = self.lag;
    }

    /// The next `count` frames; what is known of later ones waits.
    fn hear(&mut self, hop: &[f32], count: usize, hertz: &mut Vec<f32>) {
        self.resampler.push(hop);
        self.block.resize(self.resampler.ready(), 0.0);
        self.resampler.pull(&mut self.block);
        self.held.extend_from_slice(&self.block);
        let mut done = 0;
        while hertz.len() < count && self.held.len() - done >= pitch::WINDOW {
            let f0 = self.tracker.push(&self.held[done..]);
            done += pitch::HOP;
            match self.behind {
                0 => hertz.push(f0),
                _ => self.behind -= 1,
            }
        }
        self.held.drain(..done);
    }
}

/// A loaded RMVPE.
pub struct Rmvpe {
    session: Session,
}

impl Rmvpe {
    /// Loads the graph.
    pub fn open(path: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let session = Session::load(path, options)?;
        session.expect(&CONTRACT)?;
        if !is_rmvpe(&session) {
            let names: Vec<_> = session.outputs().iter().map(|o| o.name()).collect();
            return Err(wrong(&session, "the output `pitchf`", format!("outputs {}", names.join(", "))));
        }
        Ok(Self { session })
    }

    fn hear(&mut self, heard: &[f32], after: usize, count: usize, hertz: &mut Vec<f32>) -> Result<(), ConvertError> {
        // A frame is centred on its time: whole frames of sound make one more frame than they are.
        let behind = after / FRAME;
        let end = heard.len() - after + behind * FRAME;
        let frames = BEFORE + count + behind;
        let Some(from) = end.checked_sub(frames * FRAME) else {
            return Err(ConvertError::Run("RMVPE needs more sound than is kept".to_owned()));
        };
        let samples = &heard[from..end];
        let precision = |name| input(&self.session, name).and_then(Precision::of).unwrap_or(Precision::Single);
        let inputs: Vec<(&str, SessionInputValue)> = vec![
            ("waveform", numbers(precision("waveform"), &[1, samples.len()], samples)?),
            ("threshold", numbers(precision("threshold"), &[1], &[THRESHOLD])?),
        ];
        let outputs = self.session.ort().run(inputs).map_err(failed)?;
        let (shape, made) =
            read(outputs.get(PITCH).ok_or_else(|| ConvertError::Run("`pitchf` is missing".to_owned()))?)?;
        if made.len() < BEFORE + count {
            return Err(ConvertError::Run(format!("RMVPE gave {shape:?} pitches for {frames} frames of sound")));
        }
        hertz.extend_from_slice(&made[BEFORE..BEFORE + count]);
        Ok(())
    }
}
