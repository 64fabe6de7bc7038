//! Keys and values of a transformer's past frames, which go in and come out with each run. Knows no sound.

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor};

use super::ports::{Ports, Want, failed, numbers, zeros};
use crate::runtime::RuntimeError;
use crate::runtime::graph::Graph;
use crate::voice::ConvertError;

/// Caches of sizes [1, heads, frames, width]; no frames at the beginning.
pub(super) struct Caches {
    empty: Vec<[usize; 4]>,
    values: Vec<DynValue>,
    /// Frames beyond these are too old.
    most: usize,
}

impl Caches {
    /// What a graph wants of caches: one for each of its outputs but the first.
    pub(super) fn wants(graph: &Graph) -> impl Iterator<Item = Want> + use<> {
        (1..graph.outputs.len()).map(|_| Want::floats("keys or values", &[1, -1, -1, -1]))
    }

    /// Those of a graph, whose inputs they are from a place on.
    pub(super) fn new(ports: &Ports, from: usize, most: usize) -> Result<Self, RuntimeError> {
        let mut empty = Vec::new();
        for place in from..from + ports.graph().outputs.len() - 1 {
            let [_, heads @ 1..=4096, ..=-1, width @ 1..=65_536] = ports.sizes(place)[..] else {
                let found = format!("{:?}", ports.sizes(place));
                return Err(ports.graph().wrong("keys and values [1, heads, any number of frames, width]", found));
            };
            empty.push([1, heads as usize, 0, width as usize]);
        }
        Ok(Self { empty, values: Vec::new(), most })
    }

    /// Forgets all frames.
    pub(super) fn reset(&mut self) -> Result<(), ConvertError> {
        self.values = self.empty.iter().map(|sizes| zeros(sizes)).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// As inputs.
    pub(super) fn inputs(&self) -> impl Iterator<Item = SessionInputValue<'_>> {
        self.values.iter().map(SessionInputValue::from)
    }

    /// Takes what came out; frames that are too old are dropped.
    pub(super) fn keep(&mut self, values: Vec<DynValue>) -> Result<(), ConvertError> {
        for (held, (new, &[_, heads, _, width])) in self.values.iter_mut().zip(values.into_iter().zip(&self.empty)) {
            let (sizes, all) = numbers(&new)?;
            let [1, h, frames, w] = sizes[..] else { return Err(ConvertError::Run(format!("a cache came out as {sizes:?}"))) };
            if (h, w) != (heads, width) {
                return Err(ConvertError::Run(format!("a cache came out as {sizes:?}")));
            }
            if frames <= self.most {
                *held = new;
                continue;
            }
            let young =
                all.chunks_exact(frames * width).flat_map(|head| &head[(frames - self.most) * width..]).copied().collect::<Vec<f32>>();
            *held = Tensor::from_array(([1, heads, self.most, width], young)).map_err(failed)?.into_dyn();
        }
        Ok(())
    }

    /// Frames that the longest of them holds.
    pub(super) fn frames(&self) -> usize {
        self.values.iter().filter_map(|v| v.try_extract_tensor::<f32>().ok()).map(|(shape, _)| shape[2].max(0) as usize).max().unwrap_or(0)
    }
}
