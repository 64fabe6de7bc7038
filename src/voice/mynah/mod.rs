//! The converter of the family `mynah`: analysis, a streaming graph, source-filter synthesis.
//!
//! Knows no threads and no packs: it is opened with a path. Its timing is a matter of windows:
//! frame `t` is known `WINDOW / 2` samples after its centre, and `lag` frames later its pitch is settled; the graph then gives frame
//! `t − lookahead`; and the sound is complete up to where the next frame's window begins, `WINDOW / 2 − HOP` before that frame's centre.

mod analysis;
mod graph;
mod noise;
mod synth;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::Path;

use self::analysis::Analysis;
use self::graph::{Features, Graph};
pub use self::synth::HOP;
use self::synth::{Synth, WINDOW};
use super::pitch_shift::PitchShift;
use super::{Controls, ConvertError, Converter, TargetVoice};
use crate::clock::{ConverterTiming, Mode};
use crate::runtime::{RuntimeError, SessionOptions};

/// Hops of the graph a call takes, and frames of look-ahead that the pitch gets.
fn shape(mode: Mode) -> (usize, usize) {
    match mode {
        Mode::Live => (1, 0),
        Mode::Balanced => (2, 2),
        Mode::Studio => (4, 8),
    }
}

/// The timing of a mode with a graph of the family's usual look-ahead of three frames.
pub fn timing(mode: Mode) -> ConverterTiming {
    timing_with(mode, graph::LOOKAHEAD)
}

/// The timing of a mode with a graph that looks `lookahead` frames ahead.
pub fn timing_with(mode: Mode, lookahead: usize) -> ConverterTiming {
    let (hops, lag) = shape(mode);
    ConverterTiming { rate: synth::RATE as u32, hop: hops * HOP, delay: WINDOW / 2 + (lag + lookahead) * HOP + WINDOW / 2 - HOP }
}

/// What the first frames complete lies before position 0, where there was no input: it stays silent.
const BEFORE_ZERO: u64 = (WINDOW / 2 / HOP) as u64;

/// A frame of the output has at most so many times the power of the input's: 6 dB. So silence stays silent whatever the model says.
const MOST: f32 = 4.0;

/// What is kept of a frame's loudness.
#[derive(Debug, Clone, Copy)]
struct Loudness {
    /// Undoes the gain that the model saw the frame with.
    undo: f32,
    /// The most power that its output may have.
    most: f32,
}

/// A converter with a voice and a graph.
pub struct Mynah {
    timing: ConverterTiming,
    analysis: Analysis,
    graph: Graph,
    synth: Synth,
    shift: PitchShift,
    features: Features,
    /// The loudness of each frame that is inside the graph, oldest first.
    loudness: VecDeque<Loudness>,
    /// Frames given to the graph since the last reset.
    frames: u64,
}

impl Mynah {
    /// Loads a graph, sets the voice, and runs it twice so that the first hop is as quick as the others. Takes up to a second; any thread but the
    /// audio thread.
    pub fn open(model: &Path, mode: Mode, voice: &TargetVoice, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let graph = Graph::open(model, options)?;
        let timing = timing_with(mode, graph.lookahead());
        let mut mynah = Self {
            timing,
            analysis: Analysis::new(shape(mode).1),
            synth: Synth::new(),
            shift: PitchShift::new(0.0),
            features: Features::default(),
            loudness: VecDeque::with_capacity(graph.lookahead() + 8),
            graph,
            frames: 0,
        };
        mynah.set_voice(voice);
        let (input, mut output) = (vec![0.0; timing.hop], vec![0.0; timing.hop]);
        for _ in 0..2 + timing.delay / timing.hop {
            mynah
                .process(&input, &Controls::default(), &mut output)
                .map_err(|e| RuntimeError::Model { path: model.to_owned(), why: e.to_string() })?;
        }
        mynah.reset(0);
        Ok(mynah)
    }
}

impl Converter for Mynah {
    fn timing(&self) -> ConverterTiming {
        self.timing
    }

    fn reset(&mut self, hop_index: u64) {
        self.analysis.reset();
        self.graph.reset();
        self.synth.reset(hop_index * self.timing.hop as u64);
        self.shift.reset();
        self.loudness.clear();
        self.frames = 0;
    }

    fn process(&mut self, input: &[f32], controls: &Controls, output: &mut [f32]) -> Result<(), ConvertError> {
        let before = self.frames;
        self.features.clear();
        for samples in input.chunks_exact(HOP) {
            if let Some(frame) = self.analysis.push(samples) {
                let f0 = self.shift.next(frame.f0, controls.pitch);
                self.features.push(&frame.power, frame.gain * frame.gain, f0);
                self.loudness.push_back(Loudness { undo: 1.0 / frame.gain, most: frame.total * MOST });
                self.synth.push_pitch(f0);
                self.frames += 1;
            }
        }
        // Silence for the hops that are over before the first frame is known.
        let ready = (self.frames - before) as usize;
        let mut outputs = output.chunks_exact_mut(HOP);
        outputs.by_ref().take(input.len() / HOP - ready).for_each(|quiet| quiet.fill(0.0));
        if ready == 0 {
            return Ok(());
        }
        let lookahead = self.graph.lookahead() as u64;
        let (synth, loudness) = (&mut self.synth, &mut self.loudness);
        let mut take = |index: usize, filters: Option<(&[f32], &[f32])>| {
            let Some(samples) = outputs.next() else { return };
            let Some(frame) = (before + index as u64).checked_sub(lookahead) else { return samples.fill(0.0) };
            if let Some(l) = loudness.pop_front() {
                synth.frame(filters, l.undo, l.most);
            }
            synth.take(samples);
            if frame < BEFORE_ZERO {
                samples.fill(0.0);
            }
        };
        let outcome = self.graph.run(&self.features, |i, harmonic, noise| take(i, Some((harmonic, noise))));
        if outcome.is_err() {
            (0..ready).for_each(|i| take(i, None));
        }
        outcome
    }

    fn set_voice(&mut self, voice: &TargetVoice) {
        self.graph.set_speaker(&voice.embedding);
        self.shift.set_target(voice.median_pitch);
    }
}
