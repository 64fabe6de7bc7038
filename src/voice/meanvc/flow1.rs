//! Mel frames of content, noise and a voice: the mean-flow transformer of MeanVC, which sees the frames that it painted
//! last and a prompt of the voice.

use super::caches::Caches;
use super::flow::{Flow, flowed};
use super::ports::{Ports, Want, floats};
use super::{BANDS, Model, Steps, WIDTH};
use crate::ConvertError;
use mynah_models::runtime::RuntimeError;
use mynah_models::runtime::graph::Graph;

/// Frames whose keys and values are kept.
const KEPT: usize = 100;

/// The places of the inputs; those of the caches follow.
const T: usize = 1;
const R: usize = 2;
const PAINTED: usize = 3;
const OFFSET: usize = 7;
const CACHES: usize = 8;

/// The transformer of MeanVC.
pub(super) struct Flow1 {
    ports: Ports,
    chunk: usize,
    times: &'static [f32],
    caches: Caches,
    /// The speaker, then the prompt's mel frames.
    voice: Vec<f32>,
    /// The chunk that was painted last; empty before the first where the graph allows it, else silence.
    painted: Vec<f32>,
    x: Vec<f32>,
}

impl Flow1 {
    pub(super) fn open(graph: Graph, model: Model, steps: Steps) -> Result<Self, RuntimeError> {
        let chunk = model.chunk();
        let ports = Ports::of(graph, 0, |graph| {
            let (frames, bands, width) = (chunk as i64, BANDS as i64, WIDTH as i64);
            let mut wants = vec![
                Want::floats("noise", &[1, frames, bands]),
                Want::floats("the time `t`", &[]),
                Want::floats("the time `r`", &[]),
                Want::floats("the frames painted last", &[1, frames, bands]).called("cache"),
                Want::floats("content", &[1, frames, width]),
                Want::floats("the speaker", &[1, width]),
                Want::floats("the prompt", &[1, -1, bands]).called("prompt"),
                Want::whole("the position"),
            ];
            wants.extend(Caches::wants(graph));
            wants
        })?;
        let caches = Caches::new(&ports, CACHES, KEPT)?;
        Ok(Self {
            ports,
            chunk,
            times: steps.times(model),
            caches,
            voice: Vec::new(),
            painted: Vec::new(),
            x: Vec::new(),
        })
    }
}

impl Flow for Flow1 {
    fn reset(&mut self) -> Result<(), ConvertError> {
        self.painted.clear();
        if self.ports.sizes(PAINTED).get(1).is_some_and(|&n| n >= 0) {
            self.painted.resize(self.chunk * BANDS, 0.0);
        }
        self.caches.reset()
    }

    fn knows(&self, count: usize) -> bool {
        count > WIDTH && (count - WIDTH).is_multiple_of(BANDS)
    }

    fn set_voice(&mut self, voice: &[f32]) -> Result<(), ConvertError> {
        self.voice = voice.to_vec();
        Ok(())
    }

    /// The position is that right behind caches and painted frames, as in MeanVC 2: only distances count.
    fn step(&mut self, noise: &[f32], content: &[f32], mel: &mut Vec<f32>) -> Result<(), ConvertError> {
        let (frames, before) = (self.chunk, self.painted.len() / BANDS);
        let (speaker, prompt) = self.voice.split_at(WIDTH);
        self.x.clear();
        self.x.extend_from_slice(noise);
        let mut kept = Vec::new();
        for times in self.times.windows(2) {
            let [t, r] = [times[0], times[1]];
            let mut values = vec![
                floats([1, frames, BANDS], &self.x)?,
                self.ports.number(T, t)?,
                self.ports.number(R, r)?,
                floats([1, before, BANDS], &self.painted)?,
                floats([1, frames, WIDTH], content)?,
                floats([1, WIDTH], speaker)?,
                floats([1, prompt.len() / BANDS, BANDS], prompt)?,
                self.ports.count(OFFSET, self.caches.frames() + before)?,
            ];
            values.extend(self.caches.inputs());
            kept = flowed(self.ports.run(values)?, [t, r], &mut self.x)?;
        }
        self.caches.keep(kept)?;
        self.painted.clone_from(&self.x);
        mel.extend_from_slice(&self.x);
        Ok(())
    }
}
