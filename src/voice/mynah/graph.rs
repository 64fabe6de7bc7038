//! The network of the family `mynah`: features in, the magnitudes of two filters out, states carried from call to call.
//! Knows no sound.
//!
//! It is computed in Rust from the file of weights, or by what runs the graphs that are made of the same weights
//! (`body`). A filter comes out `lookahead` frames after its frame's mel bands went in; its pitch and energy go in with
//! the frame that comes out.

use std::path::Path;

use super::body::{Body, Here, Native, Place, There};
use super::heard::{BANDS, BINS, FALL, HOP, RATE, RISE, SIZE, log_mel};
use super::native::Network;
use super::told::Told;
use crate::ConvertError;
use mynah_models::runtime::remote::Given;
use mynah_models::runtime::{Provider, RuntimeError, Session, SessionOptions, TensorSpec};
use mynah_realtime::clock::Mode;

/// Numbers of a speaker embedding.
pub const EMBEDDING: usize = 256;
/// Numbers of a timbre.
pub const TIMBRE: usize = 128;
/// What the graph is told of a voice: the embedding, then the timbre.
pub(super) const SPEAKER: usize = EMBEDDING + TIMBRE;
/// Look-ahead that a converter can be made for: the pitch of a frame is known one frame after its mel bands.
pub(super) const LOOKAHEADS: std::ops::RangeInclusive<usize> = 1..=32;

/// How the name of the file of weights ends, which the network in Rust reads.
const NATIVE: &str = "safetensors";

const CONTRACT: [TensorSpec; 5] = [
    TensorSpec::input("mel", &[1, -1, BANDS as i64]),
    TensorSpec::input("f0", &[1, -1]),
    TensorSpec::input("energy", &[1, -1]),
    TensorSpec::output("harmonic", &[1, -1, BINS as i64]),
    TensorSpec::output("noise", &[1, -1, BINS as i64]),
];

/// What a file of the family says of itself, and what that must be.
fn checked_metadata(session: &Session, path: &Path) -> Result<(), RuntimeError> {
    let expected =
        [("rate", RATE as usize), ("hop", HOP), ("rise", RISE), ("fall", FALL), ("n_fft", SIZE), ("n_mels", BANDS)];
    let expected = [("family", "mynah".to_owned())].into_iter().chain(expected.map(|(key, n)| (key, n.to_string())));
    for (key, wanted) in expected {
        let found = session.metadata(key);
        if found.as_deref() != Some(&wanted) {
            let found = found.map_or_else(|| "none".to_owned(), |f| format!("`{f}`"));
            return Err(RuntimeError::Contract {
                path: path.to_owned(),
                expected: format!("the metadata `{key}` to be `{wanted}`"),
                found,
            });
        }
    }
    Ok(())
}

/// Loads a file of the family and checks its tensors and its metadata.
pub(super) fn load(path: &Path, contract: &[TensorSpec], options: &SessionOptions) -> Result<Session, RuntimeError> {
    let session = Session::load(path, options)?;
    session.expect(contract)?;
    checked_metadata(&session, path)?;
    Ok(session)
}

/// What goes into a run, one frame after the other.
#[derive(Debug, Default, Clone)]
pub struct Features {
    /// ln(power in each mel band + 1e-5), `BANDS` a frame.
    pub mel: Vec<f32>,
    /// Pitch in Hz of the frame that comes out, 0 where unvoiced.
    pub f0: Vec<f32>,
    /// Its ln(mean of the mel powers + 1e-4).
    pub energy: Vec<f32>,
}

impl Features {
    /// Forgets all frames.
    pub fn clear(&mut self) {
        self.mel.clear();
        self.f0.clear();
        self.energy.clear();
    }

    /// Whether these are the same numbers, to the bit.
    fn equals(&self, other: &Self) -> bool {
        same_bits(&self.f0, &other.f0) && same_bits(&self.energy, &other.energy) && same_bits(&self.mel, &other.mel)
    }

    /// Frames of no sound in particular, which move a graph all the same.
    pub(super) fn some(frames: usize) -> Self {
        let mel = (0..frames * BANDS).map(|i| -5.0 + 4.0 * (i as f32 * 0.37).sin()).collect();
        Self { mel, f0: vec![170.0; frames], energy: vec![-3.0; frames] }
    }

    /// These as the graph's inputs, with what it is told of the voice.
    pub(super) fn given<T>(&self, told: Given, to: impl FnOnce(&[Given]) -> T) -> T {
        let n = self.f0.len() as i64;
        to(&[
            Given { name: "mel", shape: &[1, n, BANDS as i64], numbers: &self.mel },
            Given { name: "f0", shape: &[1, n], numbers: &self.f0 },
            Given { name: "energy", shape: &[1, n], numbers: &self.energy },
            told,
        ])
    }

    /// Adds a frame's mel bands from the powers in them, times `gain`. Gives its energy, to be added when the frame
    /// comes out.
    pub fn push_mel(&mut self, power: &[f32], gain: f32) -> f32 {
        self.mel.extend(power.iter().map(|p| log_mel(p * gain)));
        // The mean is taken of what the model sees, with the floor of each band in it.
        let mean = power.iter().map(|p| p * gain + 1e-5).sum::<f32>() / power.len() as f32;
        (mean + 1e-4).ln()
    }

    /// Adds pitch and energy of the frame that comes out.
    pub fn push_voice(&mut self, f0: f32, energy: f32) {
        self.f0.push(f0);
        self.energy.push(energy);
    }

    /// Adds pitch and energy of the silence before the first frame.
    pub fn push_silence(&mut self) {
        self.push_voice(0.0, 1.1e-4f32.ln());
    }
}

/// Frames that say the same until the graph is held: three seconds. By then all its windows have seen nothing else;
/// what moves on is one number of its memory, which tells how long it has been silent, and creeps for minutes where the
/// training never heard a longer pause than this.
const HELD_AFTER: usize = 300;

/// The last run. In silence, which a muted microphone and the gaps of a track are, the features stay as they are, and
/// once the graph is held it need not run to say the same again.
#[derive(Debug, Default)]
struct Last {
    features: Features,
    harmonic: Vec<f32>,
    noise: Vec<f32>,
    /// Frames up to here that had the same features.
    unchanged: usize,
}

/// A loaded graph with its states.
pub struct Graph {
    body: Body,
    lookahead: usize,
    speaker: Vec<f32>,
    /// None where another voice or other states make it worthless.
    last: Option<Last>,
    #[cfg(test)]
    pub(super) reuse: Reuse,
}

/// Runs that were made and saved; `off` makes them all.
#[cfg(test)]
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Reuse {
    pub(super) off: bool,
    pub(super) made: usize,
    pub(super) saved: usize,
}

impl Graph {
    /// Loads a mode from the file of weights, `….safetensors`, for the processor; or from its graph, checked against
    /// the contract, whose weights lie beside it under the name that it bears in itself.
    pub fn open(path: &Path, mode: Mode, options: &SessionOptions) -> Result<Self, RuntimeError> {
        if path.extension().is_some_and(|e| e == NATIVE) {
            if options.provider != Provider::Cpu {
                let why = "it runs graphs, and a file of weights is none".to_owned();
                return Err(RuntimeError::Provider { provider: options.provider, why });
            }
            let network = Network::open(path, mode)?;
            return Ok(Self::of(network.lookahead(), Body::Native(Box::new(Native::new(network)))));
        }
        let local = options.provider.server().map_or(options.provider, |_| Provider::Cpu);
        let session = load(path, &CONTRACT, &SessionOptions { provider: local, ..*options })?;
        let contract =
            |expected: String, found: String| RuntimeError::Contract { path: path.to_owned(), expected, found };
        let said = |key: &str| session.metadata(key).unwrap_or_default();
        if said("mode") != mode.name() {
            return Err(contract(
                format!("the metadata `mode` to be `{}`", mode.name()),
                format!("`{}`", said("mode")),
            ));
        }
        let text = said("lookahead_frames");
        let lookahead = text.trim().parse().ok().filter(|n| LOOKAHEADS.contains(n)).ok_or_else(|| {
            contract(
                format!("the metadata `lookahead_frames` from {} to {}", LOOKAHEADS.start(), LOOKAHEADS.end()),
                format!("`{text}`"),
            )
        })?;
        let mut told = Told::open(&session, path)?;
        let here = Here::new(session, path)?;
        let place = match options.provider.server() {
            None => Place::Here(here),
            Some(server) => {
                told.set_speaker(&some_speaker());
                let about =
                    told.given().map_err(|e| RuntimeError::Model { path: path.to_owned(), why: e.to_string() })?;
                Features::some(super::hops(mode))
                    .given(about, |given| There::open(here, server, mode, given))
                    .map(Place::There)?
            }
        };
        Ok(Self::of(lookahead, Body::Graph(Box::new((told, place)))))
    }

    fn of(lookahead: usize, body: Body) -> Self {
        let mut graph = Self {
            body,
            lookahead,
            speaker: Vec::new(),
            last: None,
            #[cfg(test)]
            reuse: Reuse::default(),
        };
        graph.set_speaker(&[], None);
        graph
    }

    /// Frames that outputs lag behind inputs.
    pub fn lookahead(&self) -> usize {
        self.lookahead
    }

    /// Takes another voice from the next run on: `EMBEDDING` numbers and, where it is known, `TIMBRE` of its timbre.
    pub fn set_speaker(&mut self, embedding: &[f32], timbre: Option<&[f32]>) {
        self.last = None;
        self.speaker.clear();
        self.speaker.resize(SPEAKER, 0.0);
        let (known, rest) = self.speaker.split_at_mut(EMBEDDING);
        known.iter_mut().zip(embedding).for_each(|(s, e)| *s = *e);
        rest.iter_mut().zip(timbre.unwrap_or_default()).for_each(|(s, t)| *s = *t);
        self.body.set_speaker(&self.speaker);
    }

    /// What the graph is told of the voice.
    #[cfg(test)]
    pub fn speaker(&self) -> &[f32] {
        &self.speaker
    }

    /// All states back to zero.
    pub fn reset(&mut self) {
        self.last = None;
        self.body.reset();
    }

    /// Whether somebody renders, who may wait for a server.
    pub fn renders(&mut self, renders: bool) {
        self.body.renders(renders);
    }

    /// Runs the frames of `features`, at least one, and gives the magnitudes of the harmonic and of the noise filter,
    /// `BINS` a frame. After an error the states are zero. While it is held the last filters come again.
    pub fn run(
        &mut self,
        features: &Features,
        mut each: impl FnMut(usize, &[f32], &[f32]),
    ) -> Result<(), ConvertError> {
        let repeats = self.last.as_ref().is_some_and(|l| l.unchanged >= HELD_AFTER && l.features.equals(features));
        #[cfg(test)]
        let repeats = repeats && !self.reuse.off;
        if repeats {
            self.body.rest();
        } else if let Err(e) = self.try_run(features) {
            self.reset();
            return Err(e);
        }
        #[cfg(test)]
        {
            *(if repeats { &mut self.reuse.saved } else { &mut self.reuse.made }) += 1;
        }
        if let Some(last) = &self.last {
            for (i, (h, z)) in last.harmonic.chunks_exact(BINS).zip(last.noise.chunks_exact(BINS)).enumerate() {
                each(i, h, z);
            }
        }
        Ok(())
    }

    fn try_run(&mut self, features: &Features) -> Result<(), ConvertError> {
        let n = features.f0.len();
        let mut last = self.last.take().unwrap_or_default();
        last.unchanged = if last.features.equals(features) { last.unchanged + n } else { 0 };
        let take = |harmonic: &[f32], noise: &[f32]| {
            if harmonic.len() != n * BINS || noise.len() != n * BINS {
                return Err(ConvertError::Run(format!("it gave {} numbers for {n} frames of {BINS}", harmonic.len())));
            }
            if !harmonic.iter().chain(noise).all(|x| x.is_finite()) {
                return Err(ConvertError::NotFinite);
            }
            harmonic.clone_into(&mut last.harmonic);
            noise.clone_into(&mut last.noise);
            Ok(())
        };
        self.body.run(features, take)?;
        last.features.clone_from(features);
        self.last = Some(last);
        Ok(())
    }
}

/// A voice of nobody in particular.
fn some_speaker() -> Vec<f32> {
    (0..SPEAKER).map(|i| 0.06 * (i as f32 * 0.71).cos()).collect()
}

/// Whether two lists of numbers are the same to the bit.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}
