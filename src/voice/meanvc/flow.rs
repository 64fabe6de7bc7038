//! Mel frames of content, noise and a voice: the mean-flow transformer of MeanVC 2 with its keys and values.
//!
//! `x ← x − (t − r)·u(x, t, r)` from noise at `t = 1` to mel frames at `t = 0` (arXiv 2510.08392, section 3). A chunk
//! is painted with the next frames ahead of it in sight, which are painted again, from the same noise, as the beginning
//! of the next chunk.

use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::DynValue;

use super::caches::Caches;
use super::ports::{Ports, Want, exactly, floats};
use super::{BANDS, Files, Model, WIDTH};
use crate::ConvertError;
use mynah_models::runtime::graph::Graph;
use mynah_models::runtime::{RuntimeError, SessionOptions};

/// Slots of the timbre's memory.
const SLOTS: usize = 32;
/// Chunks whose keys and values are kept: two that the first layers look back to, and one that the mask of the graphs
/// counts on.
const KEPT: usize = 3;

/// The places of the inputs; those of the caches follow.
const OFFSET: usize = 5;
const T: usize = 1;
const R: usize = 2;
const CACHES: usize = 8;

/// What paints mel frames, chunk by chunk.
pub(super) trait Flow: Send {
    /// Forgets all frames.
    fn reset(&mut self) -> Result<(), ConvertError>;
    /// Whether so many numbers can be a voice.
    fn knows(&self, count: usize) -> bool;
    /// Takes another voice from the next chunk on.
    fn set_voice(&mut self, voice: &[f32]) -> Result<(), ConvertError>;
    /// Paints the next chunk in −1 to 1 from noise and content of its frames and of those ahead, and appends it.
    fn step(&mut self, noise: &[f32], content: &[f32], mel: &mut Vec<f32>) -> Result<(), ConvertError>;
}

/// A step of the mean flow from one time to another, `x ← x − (t − r)·u`, by what the transformer gave at `x`: the
/// velocity `u`, and the caches behind it, which are given back.
pub(super) fn flowed(
    mut outputs: Vec<DynValue>,
    [t, r]: [f32; 2],
    x: &mut [f32],
) -> Result<Vec<DynValue>, ConvertError> {
    let caches = outputs.split_off(1);
    let u = exactly(&outputs[0], x.len(), "the velocity")?;
    x.iter_mut().zip(u).for_each(|(x, u)| *x -= (t - r) * u);
    Ok(caches)
}

/// The memory of a timbre, which a graph of its own makes of a speaker, once a voice.
pub(super) struct Memory {
    ports: Ports,
    voice: Vec<f32>,
    /// Its keys and values.
    timbre: [Vec<f32>; 2],
}

impl Memory {
    pub(super) fn open(files: &Files, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let path = files.memory.as_deref().unwrap_or(Path::new("the memory of the timbre"));
        let ports = Ports::open(path, options, 2, |_| vec![Want::floats("the speaker", &[1, WIDTH as i64])])?;
        Ok(Self { ports, voice: Vec::new(), timbre: [Vec::new(), Vec::new()] })
    }

    /// What a transformer wants of it.
    pub(super) fn wants() -> [Want; 2] {
        ["the keys of the timbre", "the values of the timbre"]
            .map(|what| Want::floats(what, &[1, SLOTS as i64, WIDTH as i64]))
    }

    pub(super) fn set_voice(&mut self, voice: &[f32]) -> Result<(), ConvertError> {
        let outputs = self.ports.run(vec![floats([1, WIDTH], voice)?])?;
        let numbers = |i: usize| exactly(&outputs[i], SLOTS * WIDTH, "the memory of the timbre").map(<[f32]>::to_vec);
        self.timbre = [numbers(0)?, numbers(1)?];
        self.voice = voice.to_vec();
        Ok(())
    }

    pub(super) fn speaker(&self) -> Result<SessionInputValue<'_>, ConvertError> {
        floats([1, WIDTH], &self.voice)
    }

    /// Keys and values.
    pub(super) fn inputs(&self) -> Result<[SessionInputValue<'_>; 2], ConvertError> {
        let [keys, values] = &self.timbre;
        Ok([floats([1, SLOTS, WIDTH], keys)?, floats([1, SLOTS, WIDTH], values)?])
    }
}

/// The transformer of MeanVC 2.
pub(super) struct Flow2 {
    ports: Ports,
    memory: Memory,
    chunk: usize,
    frames: usize,
    times: &'static [f32],
    caches: Caches,
    x: Vec<f32>,
}

impl Flow2 {
    /// With the graph at `files.flow`.
    pub(super) fn open(
        graph: Graph,
        files: &Files,
        model: Model,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let (chunk, frames) = (model.chunk(), model.chunk() + model.ahead());
        let ports = Ports::of(graph, 0, |graph| {
            let (frames, width) = (frames as i64, WIDTH as i64);
            let mut wants = vec![
                Want::floats("noise", &[1, frames, BANDS as i64]),
                Want::floats("the time `t`", &[]).called("t"),
                Want::floats("the time `r`", &[]).called("r"),
                Want::floats("content", &[1, frames, width]),
                Want::floats("the speaker", &[1, width]),
                Want::whole("the position"),
            ];
            wants.extend(Memory::wants());
            wants.extend(Caches::wants(graph));
            wants
        })?;
        let caches = Caches::new(&ports, CACHES, KEPT * chunk)?;
        let (memory, times) = (Memory::open(files, options)?, files.steps.times(model));
        Ok(Self { ports, memory, chunk, frames, times, caches, x: Vec::new() })
    }
}

impl Flow for Flow2 {
    fn reset(&mut self) -> Result<(), ConvertError> {
        self.caches.reset()
    }

    fn knows(&self, count: usize) -> bool {
        count == WIDTH
    }

    fn set_voice(&mut self, voice: &[f32]) -> Result<(), ConvertError> {
        self.memory.set_voice(voice)
    }

    /// The position: keys are cached before their rotation, and a product of a query and a key that are rotated by
    /// their positions knows only how far these are apart (Su et al., "RoFormer", arXiv 2104.09864, section 3.2.2). So
    /// where all of it lies does not matter as long as the cache fits in front of it, and it is said to lie right
    /// behind the cache, for ever: there is no position at which anything must begin anew.
    fn step(&mut self, noise: &[f32], content: &[f32], mel: &mut Vec<f32>) -> Result<(), ConvertError> {
        let frames = self.frames;
        self.x.clear();
        self.x.extend_from_slice(noise);
        let mut kept = Vec::new();
        for times in self.times.windows(2) {
            let [t, r] = [times[0], times[1]];
            let mut values = vec![
                floats([1, frames, BANDS], &self.x)?,
                self.ports.number(T, t)?,
                self.ports.number(R, r)?,
                floats([1, frames, WIDTH], content)?,
                self.memory.speaker()?,
                self.ports.count(OFFSET, self.caches.frames())?,
            ];
            values.extend(self.memory.inputs()?);
            values.extend(self.caches.inputs());
            // Only the last step has seen frames that are no noise any more.
            kept = flowed(self.ports.run(values)?, [t, r], &mut self.x)?;
        }
        self.caches.keep(kept)?;
        mel.extend_from_slice(&self.x[..self.chunk * BANDS]);
        Ok(())
    }
}
