//! The converter of the family `mynah`: analysis, a streaming network, source-filter synthesis.
//!
//! Knows no threads and no packs: it is opened with a path. Its timing is a matter of windows: frame `t` is heard
//! `FALL` samples after its time; the graph then gives the filters of frame `t − lookahead`; and the sound is complete
//! up to that frame's time. Its pitch is wanted only then, so the tracker looks ahead as far as the graph does and adds
//! no delay.

mod analysis;
mod body;
mod graph;
mod heard;
mod native;
pub(super) mod noise;
mod synth;
mod timbre;
mod told;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::Path;

use self::analysis::{Analysis, PITCH_BEHIND};
pub use self::graph::{EMBEDDING, TIMBRE};
use self::graph::{Features, Graph};
pub use self::heard::HOP;
use self::heard::{FALL, WINDOW};
pub use self::native::Isa;
use self::native::Network;
use self::synth::{PIECE, Synth};
pub use self::timbre::{TIMBRE_RATE, TimbreEncoder};
use super::pitch_shift::PitchShift;
use super::{Controls, ConvertError, Converter, TargetVoice};
use mynah_models::runtime::{RuntimeError, SessionOptions};
use mynah_realtime::clock::{ConverterTiming, Mode};

/// Frames of the graph a call takes.
fn hops(mode: Mode) -> usize {
    match mode {
        Mode::Live => 1,
        Mode::Balanced => 2,
        Mode::Studio => 4,
    }
}

/// Frames that the family's graphs usually look ahead.
fn usual_lookahead(mode: Mode) -> usize {
    match mode {
        Mode::Live => 1,
        Mode::Balanced => 4,
        Mode::Studio => 12,
    }
}

/// Finds out how long a mode's hops take on a server, where `options` name one and that isn't known. Takes up to some
/// seconds.
pub fn measure(path: &Path, mode: Mode, options: &SessionOptions) -> Result<(), RuntimeError> {
    match options.provider.server() {
        Some(server) if server.measured(mode).is_none() => Graph::open(path, mode, options).map(drop),
        _ => Ok(()),
    }
}

/// Whether this processor has instructions with which the network in Rust is quick enough. Without them ONNX Runtime is
/// quicker.
pub fn runs_natively() -> bool {
    Isa::best().fuses()
}

/// The network alone over frames that do not change, for measurements: what runs in Rust of a hop, and nothing else.
pub struct Alone {
    network: Network,
    features: Features,
    filters: [Vec<f32>; 2],
}

impl Alone {
    /// A mode of a file of weights with some of the instructions that [`instructions`] names; its runs are as long as a
    /// hop.
    pub fn open(path: &Path, mode: Mode, isa: Isa) -> Result<Self, RuntimeError> {
        let n = hops(mode) * heard::BINS;
        Ok(Self {
            network: Network::open_with(path, mode, isa)?,
            features: Features::some(hops(mode)),
            filters: [vec![0.0; n], vec![0.0; n]],
        })
    }

    /// One run.
    pub fn run(&mut self) {
        let [harmonic, noise] = &mut self.filters;
        self.network.run(&self.features.mel, &self.features.f0, &self.features.energy, harmonic, noise);
    }
}

/// For fuzzing: any bytes as a file of weights.
pub fn fuzz_weights(data: &[u8]) {
    native::fuzz(data);
}

/// The instructions of this processor that the network is quick with, the quickest last; none where ONNX Runtime is
/// quicker.
pub fn instructions() -> Vec<Isa> {
    Isa::all().into_iter().filter(|isa| isa.fuses()).collect()
}

/// More look-ahead than this does nothing for the pitch.
const MOST_LAG: usize = 8;

/// Frames of look-ahead for the pitch under a graph's look-ahead: as many as cost no delay, and where it can be had one
/// frame less, since a frame's piece of excitation ends half-way to the next frame's pitch.
fn lag(lookahead: usize) -> usize {
    lookahead.saturating_sub(PITCH_BEHIND + 1).min(MOST_LAG)
}

/// The timing of a mode with a graph of the family's usual look-ahead.
pub fn timing(mode: Mode) -> ConverterTiming {
    timing_with(mode, usual_lookahead(mode))
}

/// The timing of a mode with a graph that looks `lookahead` frames ahead.
pub fn timing_with(mode: Mode, lookahead: usize) -> ConverterTiming {
    ConverterTiming { rate: heard::RATE, hop: hops(mode) * HOP, delay: FALL + lookahead * HOP }
}

/// A frame of the output has at most so many times the power of the input's: 6 dB. So silence stays silent whatever the
/// model says.
const MOST: f32 = 4.0;
/// The squares of a Hann window sum to three eighths of its length, and so do those of a leaning one: this takes the
/// power of a heard frame to that of a piece of the same sound.
const HEARD_TO_PIECE: f32 = PIECE as f32 / WINDOW as f32;

/// What is kept of a frame until its filters come out of the graph.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// As the model is told it.
    energy: f32,
    /// Undoes the gain that the model saw the frame with.
    undo: f32,
    /// The most power that its piece may have.
    most: f32,
}

/// A converter with a voice and a graph.
pub struct Mynah {
    timing: ConverterTiming,
    /// The name of the weights, which a timbre must bear.
    model: String,
    analysis: Analysis,
    graph: Graph,
    synth: Synth,
    shift: PitchShift,
    features: Features,
    /// The frames that are inside the graph, and the pitches that have not gone into it; oldest first.
    held: VecDeque<Held>,
    pitch: VecDeque<f32>,
    /// The frames that come out of the graph in this call; none for what lies before the first.
    leaving: Vec<Option<Held>>,
    /// Frames heard since the last reset.
    frames: u64,
}

impl Mynah {
    /// Loads a mode's graph, sets the voice, and runs it until sound comes, so that the first hop is as quick as the
    /// others. `model` is the name of the weights: a voice's timbre is used where it bears it too. Takes up to a
    /// second; any thread but the audio thread.
    pub fn open(
        path: &Path,
        model: &str,
        mode: Mode,
        voice: &TargetVoice,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let graph = Graph::open(path, mode, options)?;
        let lookahead = graph.lookahead();
        let timing = timing_with(mode, lookahead);
        let mut mynah = Self {
            timing,
            model: model.to_owned(),
            analysis: Analysis::new(lag(lookahead)),
            synth: Synth::new(),
            shift: PitchShift::new(0.0),
            features: Features::default(),
            held: VecDeque::with_capacity(lookahead + 2),
            pitch: VecDeque::with_capacity(lookahead + 2),
            leaving: Vec::with_capacity(hops(mode)),
            graph,
            frames: 0,
        };
        mynah.set_voice(voice);
        let (input, mut output) = (vec![0.0; timing.hop], vec![0.0; timing.hop]);
        for _ in 0..2 + timing.delay / timing.hop {
            mynah.process(&input, &Controls::default(), &mut output).map_err(|e| {
                match (e, options.provider.server()) {
                    (ConvertError::Away(away), Some(server)) => RuntimeError::Server { server, why: away.why },
                    (e, _) => RuntimeError::Model { path: path.to_owned(), why: e.to_string() },
                }
            })?;
        }
        mynah.renders(false);
        mynah.reset(0);
        Ok(mynah)
    }

    /// Hears a hop: its frame's mel bands go into the features, with pitch and energy of the frame that comes out for
    /// it.
    fn hear(&mut self, samples: &[f32], controls: &Controls) {
        let frame = self.analysis.push(samples);
        if let Some(f0) = frame.f0 {
            let f0 = self.shift.next(f0, controls.pitch);
            self.synth.push_pitch(f0);
            self.pitch.push_back(f0);
        }
        let energy = self.features.push_mel(&frame.power, frame.gain * frame.gain);
        self.held.push_back(Held { energy, undo: 1.0 / frame.gain, most: frame.total * HEARD_TO_PIECE * MOST });
        let leaving = if self.frames >= self.graph.lookahead() as u64 { self.held.pop_front() } else { None };
        match leaving {
            Some(held) => self.features.push_voice(self.pitch.pop_front().unwrap_or(0.0), held.energy),
            None => self.features.push_silence(),
        }
        self.leaving.push(leaving);
        self.frames += 1;
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
        self.held.clear();
        self.pitch.clear();
        self.frames = 0;
    }

    fn process(&mut self, input: &[f32], controls: &Controls, output: &mut [f32]) -> Result<(), ConvertError> {
        let first = self.frames;
        self.features.clear();
        self.leaving.clear();
        for samples in input.chunks_exact(HOP) {
            self.hear(samples, controls);
        }
        let lookahead = self.graph.lookahead() as u64;
        let (synth, leaving, mut outputs) = (&mut self.synth, &self.leaving, output.chunks_exact_mut(HOP));
        let mut take = |index: usize, filters: Option<(&[f32], &[f32])>| {
            let Some(samples) = outputs.next() else { return };
            let Some(held) = leaving[index] else { return samples.fill(0.0) };
            synth.frame(filters, held.undo, held.most);
            synth.take(samples);
            if first + index as u64 == lookahead {
                // What frame 0 completes lies before position 0, where there was no input.
                samples.fill(0.0);
            }
        };
        let outcome = self.graph.run(&self.features, |i, harmonic, noise| take(i, Some((harmonic, noise))));
        if outcome.is_err() {
            (0..leaving.len()).for_each(|i| take(i, None));
        }
        outcome
    }

    fn renders(&mut self, renders: bool) {
        self.graph.renders(renders);
    }

    fn set_voice(&mut self, voice: &TargetVoice) {
        self.graph.set_speaker(&voice.embedding, voice.timbre_of(&self.model));
        self.shift.set_target(voice.median_pitch);
    }
}
