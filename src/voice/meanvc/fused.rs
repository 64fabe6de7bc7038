//! The transformer of MeanVC 2 in another layout that is published (VoiceLab's export): both steps of a painting in one
//! graph, one cache of a fixed size, filled from its end, with a number that says how much of it is filled.

use ort::value::DynValue;

use super::flow::{Flow, Memory};
use super::ports::{Ports, Want, exactly, floats, zeros};
use super::{BANDS, Files, Model, Steps, WIDTH};
use crate::ConvertError;
use mynah_models::runtime::graph::Graph;
use mynah_models::runtime::{RuntimeError, SessionOptions};

/// The places of the inputs.
const CACHE: usize = 5;
const FILLED: usize = 6;
/// The axis of the cache's frames: layers, keys and values, 1, heads, frames, width.
const AXIS: usize = 4;

/// The transformer, whose graph goes all the way from noise to mel frames.
pub(super) struct Fused {
    ports: Ports,
    memory: Memory,
    chunk: usize,
    frames: usize,
    empty: Vec<usize>,
    cache: DynValue,
    filled: usize,
}

impl Fused {
    /// Whether a graph is of this layout, which its cache tells.
    pub(super) fn is(graph: &Graph) -> bool {
        graph.session.inputs().iter().any(|o| o.dtype().tensor_shape().is_some_and(|s| s.len() == AXIS + 2))
    }

    /// With the graph at `files.flow`.
    pub(super) fn open(
        graph: Graph,
        files: &Files,
        model: Model,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        if files.steps == Steps::One {
            return Err(graph.wrong(
                "a transformer that can paint in one step, as is asked for",
                "one that takes both steps itself".to_owned(),
            ));
        }
        let (chunk, frames) = (model.chunk(), model.chunk() + model.ahead());
        let ports = Ports::of(graph, 2, |_| {
            let mut wants = vec![
                Want::floats("noise", &[1, frames as i64, BANDS as i64]),
                Want::floats("content", &[1, frames as i64, WIDTH as i64]),
                Want::floats("the speaker", &[1, WIDTH as i64]),
            ];
            wants.extend(Memory::wants());
            wants.push(Want::floats("keys and values", &[-1, 2, 1, -1, -1, -1]));
            wants.push(Want::whole("how much of the cache is filled"));
            wants
        })?;
        let sizes = ports.sizes(CACHE);
        if sizes.iter().any(|n| !(1..=65_536).contains(n)) || ports.sizes(FILLED).len() > 1 {
            return Err(ports.graph().wrong("keys and values of a fixed size", format!("{sizes:?}")));
        }
        let empty: Vec<usize> = sizes.iter().map(|&n| n as usize).collect();
        let run = |e: ConvertError| RuntimeError::Run { path: files.flow.clone(), why: e.why() };
        Ok(Self {
            cache: zeros(&empty).map_err(run)?,
            memory: Memory::open(files, options)?,
            ports,
            chunk,
            frames,
            empty,
            filled: 0,
        })
    }
}

impl Flow for Fused {
    fn reset(&mut self) -> Result<(), ConvertError> {
        self.cache = zeros(&self.empty)?;
        self.filled = 0;
        Ok(())
    }

    fn knows(&self, count: usize) -> bool {
        count == WIDTH
    }

    fn set_voice(&mut self, voice: &[f32]) -> Result<(), ConvertError> {
        self.memory.set_voice(voice)
    }

    fn step(&mut self, noise: &[f32], content: &[f32], mel: &mut Vec<f32>) -> Result<(), ConvertError> {
        let mut values = vec![
            floats([1, self.frames, BANDS], noise)?,
            floats([1, self.frames, WIDTH], content)?,
            self.memory.speaker()?,
        ];
        values.extend(self.memory.inputs()?);
        values.push((&self.cache).into());
        values.push(self.ports.count(FILLED, self.filled)?);
        let mut outputs = self.ports.run(values)?;
        mel.extend_from_slice(exactly(&outputs[0], self.chunk * BANDS, "mel frames")?);
        let cache = outputs.swap_remove(1);
        exactly(&cache, self.empty.iter().product(), "the cache")?;
        self.cache = cache;
        self.filled = (self.filled + self.chunk).min(self.empty[AXIS]);
        Ok(())
    }
}
