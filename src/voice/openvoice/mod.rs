//! The converter of the family `openvoice`: OpenVoice v2 takes the tone of one voice out of a spectrogram and puts
//! another's in.
//!
//! The graph knows no stream: it is run over a window of frames at each hop, with what went before and what comes
//! after, and the part in the middle is joined to the last one. The graph reaches 109 frames to either side; fewer
//! behind the block are less delay and some error, which docs/architecture.md has figures of. Knows no threads and no
//! packs: it is opened with paths.

mod graph;
mod spectrum;
mod tone;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use self::graph::Tones;
pub use self::spectrum::RATE;
use self::spectrum::{BEFORE, BINS, HOP, SILENCE, Spectrum, WINDOW};
use self::tone::SourceTone;
pub use self::tone::{TONE, ToneEncoder};
use super::blocks::{Join, sane, slide};
use super::{Controls, ConvertError, Converter, TargetVoice};
use mynah_models::runtime::{RuntimeError, Session, SessionOptions};
use mynah_realtime::clock::{ConverterTiming, Mode};

/// The files of the family, and what the tones that they make are known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The reference encoder.
    pub encoder: PathBuf,
    /// The converter of tones.
    pub converter: PathBuf,
    /// The name of these weights, which a voice's tone must bear.
    pub model: String,
}

/// What a graph of this family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The reference encoder.
    Encoder,
    /// The converter of tones.
    Converter,
}

/// Looks at an opened graph; none where it belongs to no part of the family.
pub fn part(session: &Session) -> Option<Part> {
    match (graph::is_converter(session), tone::is_encoder(session)) {
        (true, _) => Some(Part::Converter),
        (_, true) => Some(Part::Encoder),
        _ => None,
    }
}

/// How a mode cuts the sound, in frames of 256 samples, which are 11.6 ms.
#[derive(Debug, Clone, Copy)]
struct Blocks {
    hop: usize,
    /// What a run hears before the block: as far as the graph reaches, since it costs no delay.
    context: usize,
    /// What a run hears behind the block and its crossfade.
    ahead: usize,
}

/// What fewer frames behind the block than the graph reaches cost was measured with random weights
/// (docs/architecture.md has the table): with 16 the error lies 12 to 116 dB under the result, with 32 it lies 62 to
/// 116 dB under it, by how loud the layers are.
fn blocks(mode: Mode) -> Blocks {
    match mode {
        Mode::Live => Blocks { hop: 8, context: 109, ahead: 16 },
        Mode::Balanced => Blocks { hop: 20, context: 109, ahead: 32 },
        Mode::Studio => Blocks { hop: 44, context: 109, ahead: 109 },
    }
}

/// Frames over which a run is faded in.
const CROSSFADE: usize = 2;
/// Frames that the newest one ends before the newest sample: its window reaches 384 samples further.
const REACH: usize = BEFORE.div_ceil(HOP);

/// The timing of a mode. Runs are not moved to meet each other: all take their phase from the same spectrogram.
pub fn timing(mode: Mode) -> ConverterTiming {
    let b = blocks(mode);
    ConverterTiming { rate: RATE, hop: b.hop * HOP, delay: (CROSSFADE + b.ahead + REACH) * HOP }
}

/// How freely the result is drawn around the model's mean: OpenVoice's own.
const TAU: f32 = 0.3;

/// A converter with its graphs and a voice.
pub struct OpenVoice {
    timing: ConverterTiming,
    blocks: Blocks,
    model: String,
    encoder: ToneEncoder,
    tones: Tones,
    spectrum: Spectrum,
    source: SourceTone,
    /// None for a voice that these weights can't read.
    target: Option<Vec<f32>>,
    join: Join,
    clean: Vec<f32>,
    /// The newest samples: those of a hop's frames, and behind them what is too little for another.
    heard: Vec<f32>,
    /// A hop's frames.
    new: Vec<f32>,
    /// The frames of the window, and the same by bins.
    frames: Vec<f32>,
    turned: Vec<f32>,
    made: Vec<f32>,
    hops: usize,
    #[cfg(test)]
    told: Option<Vec<f32>>,
}

impl OpenVoice {
    /// Loads both graphs, checks them, and runs them, so that the first hop is as quick as the others. A voice without
    /// a tone of these weights is an error. Takes seconds; any thread but the audio thread.
    pub fn open(
        files: &Files,
        mode: Mode,
        voice: &TargetVoice,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let (timing, blocks) = (timing(mode), blocks(mode));
        let count = blocks.context + blocks.hop + CROSSFADE + blocks.ahead;
        let mut openvoice = Self {
            encoder: ToneEncoder::open(&files.encoder, &files.model, options)?,
            tones: Tones::open(&files.converter, options)?,
            model: files.model.clone(),
            spectrum: Spectrum::new(),
            source: SourceTone::default(),
            target: tone::tone_of(voice, &files.model),
            join: Join::new(CROSSFADE * HOP, 0),
            clean: vec![0.0; timing.hop],
            heard: vec![0.0; timing.hop + WINDOW - HOP + REACH * HOP - BEFORE],
            new: vec![0.0; blocks.hop * BINS],
            frames: vec![SILENCE; count * BINS],
            turned: vec![SILENCE; count * BINS],
            made: Vec::new(),
            hops: 0,
            timing,
            blocks,
            #[cfg(test)]
            told: None,
        };
        // A graph is not run in silence.
        let (hop, mut output) = (vec![0.1; timing.hop], vec![0.0; timing.hop]);
        for _ in 0..2 {
            openvoice
                .process(&hop, &Controls::default(), &mut output)
                .map_err(|e| RuntimeError::Run { path: files.converter.clone(), why: e.why() })?;
        }
        openvoice.reset(0);
        Ok(openvoice)
    }

    /// Whether equal hops give equal bits: not where the graph draws random numbers by itself, which a panel should
    /// say.
    pub fn deterministic(&self) -> bool {
        self.tones.deterministic()
    }

    /// Takes a hop: its frames, and what they say of the source.
    fn hear(&mut self, input: &[f32]) -> Result<(), ConvertError> {
        self.clean.iter_mut().zip(input).for_each(|(y, x)| *y = sane(*x));
        slide(&mut self.heard, &self.clean);
        for (t, frame) in self.new.chunks_exact_mut(BINS).enumerate() {
            self.spectrum.frame(&self.heard[t * HOP..], frame);
        }
        slide(&mut self.frames, &self.new);
        self.source.hear(&self.new, &mut self.encoder)
    }

    /// Runs the graph over the window.
    fn run(&mut self) -> Result<(), ConvertError> {
        let Some(target) = &self.target else {
            return Err(ConvertError::Run(
                "the voice has no tone that this model can read: enrol it again with this pack".to_owned(),
            ));
        };
        let count = self.frames.len() / BINS;
        let silent = self.frames.iter().all(|x| *x <= SILENCE * 1.0001);
        // Before anything is known of the source there is nothing to be taken away.
        let source = self.source.tone().unwrap_or(target);
        #[cfg(test)]
        let source = self.told.as_deref().unwrap_or(source);
        if silent {
            self.made.clear();
            self.made.resize(count * HOP, 0.0);
            return Ok(());
        }
        for (t, frame) in self.frames.chunks_exact(BINS).enumerate() {
            frame.iter().enumerate().for_each(|(bin, x)| self.turned[bin * count + t] = *x);
        }
        self.tones.run(&self.turned, source, target, TAU, &mut self.made)
    }
}

impl Converter for OpenVoice {
    fn timing(&self) -> ConverterTiming {
        self.timing
    }

    fn reset(&mut self, _hop_index: u64) {
        self.heard.fill(0.0);
        self.frames.fill(SILENCE);
        self.source.reset();
        self.join.reset();
        self.hops = 0;
    }

    fn process(&mut self, input: &[f32], _controls: &Controls, output: &mut [f32]) -> Result<(), ConvertError> {
        let outcome = self.hear(input).and_then(|()| self.run());
        let done = self.hops * self.timing.hop;
        // Only a count below the delay says anything.
        self.hops = (self.hops + 1).min(self.timing.delay.div_ceil(self.timing.hop));
        if let Err(e) = outcome {
            self.join.reset();
            output.fill(0.0);
            return Err(e);
        }
        self.join.next(&self.made, self.blocks.context * HOP, output);
        // What lies before the first sample since the reset was not heard.
        let before = self.timing.delay.saturating_sub(done).min(output.len());
        output[..before].fill(0.0);
        Ok(())
    }

    fn set_voice(&mut self, voice: &TargetVoice) {
        self.target = tone::tone_of(voice, &self.model);
    }
}
