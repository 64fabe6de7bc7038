//! Keys and values of a transformer's past frames, which go in and come out with each run. Knows no sound.

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor};

use super::ports::{Ports, Want, arranged, failed, numbers, zeros};
use crate::ConvertError;
use mynah_models::runtime::RuntimeError;
use mynah_models::runtime::graph::Graph;

/// Caches of sizes [1, heads, frames, width], or of all layers together, [layers, 1, heads, frames, width]; no frames
/// at the beginning.
pub(super) struct Caches {
    empty: Vec<Vec<usize>>,
    values: Vec<DynValue>,
    /// For each the place of what it becomes.
    returned: Vec<usize>,
    /// Frames beyond these are too old.
    most: usize,
}

impl Caches {
    /// What a graph wants of caches: one for each of its outputs but the first.
    pub(super) fn wants(graph: &Graph) -> impl Iterator<Item = Want> + use<> {
        let ranks =
            graph.session.outputs().iter().skip(1).map(|o| o.dtype().tensor_shape().map_or(4, |s| s.len().clamp(4, 5)));
        ranks.map(|rank| Want::floats("keys or values", &vec![-1; rank])).collect::<Vec<_>>().into_iter()
    }

    /// Those of a graph, whose inputs they are from a place on.
    pub(super) fn new(ports: &Ports, from: usize, most: usize) -> Result<Self, RuntimeError> {
        let mut empty = Vec::new();
        for place in from..from + ports.graph().outputs.len() - 1 {
            let sizes = ports.sizes(place);
            let frames = sizes.len() - 2;
            if sizes.iter().enumerate().any(|(i, &n)| (i == frames) != (n < 0) || n == 0 || n > 65_536) {
                return Err(ports
                    .graph()
                    .wrong("keys and values [1, heads, any number of frames, width]", format!("{sizes:?}")));
            }
            empty.push(sizes.iter().map(|&n| n.max(0) as usize).collect());
        }
        let returned = ports.returned(from..from + empty.len());
        Ok(Self { empty, values: Vec::new(), returned, most })
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

    /// Takes what came out, in the graph's order; frames that are too old are dropped.
    pub(super) fn keep(&mut self, values: Vec<DynValue>) -> Result<(), ConvertError> {
        let values = arranged(values, &self.returned);
        for (held, (new, empty)) in self.values.iter_mut().zip(values.into_iter().zip(&self.empty)) {
            let (mut sizes, all) = numbers(&new)?;
            let (axis, width) = (empty.len() - 2, empty[empty.len() - 1]);
            let frames = sizes.get(axis).copied().unwrap_or(0);
            if sizes.len() != empty.len() || sizes.iter().zip(empty).enumerate().any(|(i, (a, b))| i != axis && a != b)
            {
                return Err(ConvertError::Run(format!("a cache came out as {sizes:?} where {empty:?} went in")));
            }
            if frames <= self.most {
                *held = new;
                continue;
            }
            let old = (frames - self.most) * width;
            let young = all.chunks_exact(frames * width).flat_map(|head| &head[old..]).copied().collect::<Vec<f32>>();
            sizes[axis] = self.most;
            *held = Tensor::from_array((sizes, young)).map_err(failed)?.into_dyn();
        }
        Ok(())
    }

    /// Frames that the longest of them holds.
    pub(super) fn frames(&self) -> usize {
        self.values
            .iter()
            .filter_map(|v| v.try_extract_tensor::<f32>().ok())
            .map(|(shape, _)| shape[shape.len() - 2].max(0) as usize)
            .max()
            .unwrap_or(0)
    }
}
