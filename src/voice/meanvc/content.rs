//! What is said, without who says it: the encoder of a streaming recogniser (Fast-U2++ of WeNet) with its caches,
//! spread to frames of 10 ms.
//!
//! A chunk of `stride + 3` frames of features gives a row of content every four frames. Row `m` has heard frames `4m`
//! to `4m + 6`, and stands at frame `4m + 3`, as MeanVC's own runtime has it (the middle of what it has heard lies 12.5
//! ms behind); between rows content goes on in a straight line. Every frame of features is heard in one chunk, and the
//! last three in the next one again, as the encoder's convolutions want it.

use std::path::Path;

use ort::value::DynValue;

use super::kaldi::Features;
use super::ports::{Ports, Want, arranged, exactly, floats, zeros};
use super::{BANDS, LEAD, Model, WIDTH};
use crate::ConvertError;
use mynah_models::runtime::{RuntimeError, SessionOptions};

/// Frames of features to a row of content.
const ROW: usize = 4;
/// Frames of a chunk beyond its stride.
const BEYOND: usize = 3;
/// Heads and numbers a head of the encoder's attention, keys and values together; and its convolutions' channels and
/// frames.
const ATTENTION: [usize; 2] = [4, 128];
const CONVOLUTION: [usize; 2] = [WIDTH, 8];
/// Positions are counted no further than this, 40 s; then they are held.
///
/// The encoder's attention knows positions from a table that ends at 5,000, and its own runtime jumps back by 4,000 at
/// once, which is heard. Keys and values are cached without their positions, which are added afresh in every chunk: so
/// a position that stands still is a window that slides, and no chunk differs from the one before by more than its
/// sound.
const FURTHEST: usize = 1_000;

/// The places of the inputs behind the features.
const OFFSET: usize = 1;
const CACHE_SIZE: usize = 2;
const ATTENTION_CACHE: usize = 3;
const CONVOLUTION_CACHE: usize = 4;

/// The encoder in a stream of sound.
pub(super) struct Content {
    ports: Ports,
    bank: Features,
    /// Features from the next chunk's first on.
    features: Vec<f32>,
    stride: usize,
    /// Rows that its attention keeps.
    kept: usize,
    /// Sizes of the caches at the beginning.
    empty: [[usize; 4]; 2],
    /// Rows so far, and the rows that are kept.
    position: usize,
    caches: Vec<DynValue>,
    /// For each the place of what it becomes.
    returned: Vec<usize>,
    /// The last row; none before the first.
    last: Option<Vec<f32>>,
}

impl Content {
    pub(super) fn open(path: &Path, model: Model, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let (stride, (layers, kept)) = (model.stride(), model.encoder());
        let [heads, width] = ATTENTION.map(|n| n as i64);
        let [channels, frames] = CONVOLUTION.map(|n| n as i64);
        let ports = Ports::open(path, options, 3, |_| {
            vec![
                Want::floats("features", &[1, (stride + BEYOND) as i64, BANDS as i64]),
                Want::whole("the position"),
                Want::whole("the size of the cache"),
                Want::floats("the cache of the attention", &[layers as i64, heads, kept as i64, width]),
                Want::floats("the cache of the convolutions", &[layers as i64, 1, channels, frames]),
            ]
        })?;
        let ([heads, width], [channels, frames]) = (ATTENTION, CONVOLUTION);
        // MeanVC begins with no rows where its graph lets it, MeanVC 2 with rows of zeros.
        let begun = |place: usize, axis: usize, count: usize| match (model, ports.sizes(place).get(axis)) {
            (Model::One200, Some(-1)) => 0,
            _ => count,
        };
        let empty = [
            [layers, heads, begun(ATTENTION_CACHE, 2, kept), width],
            [layers, 1, channels, begun(CONVOLUTION_CACHE, 3, frames)],
        ];
        let (bank, features, caches) = (Features::new(), Vec::new(), Vec::new());
        let returned = ports.returned(ATTENTION_CACHE..CONVOLUTION_CACHE + 1);
        let mut content =
            Self { ports, bank, features, stride, kept, empty, position: 0, caches, returned, last: None };
        content.reset().map_err(|e| RuntimeError::Run { path: path.to_owned(), why: e.why() })?;
        Ok(content)
    }

    /// Forgets all sound.
    pub(super) fn reset(&mut self) -> Result<(), ConvertError> {
        self.bank.reset(LEAD);
        self.features.clear();
        self.position = self.empty[0][2];
        self.last = None;
        self.caches = self.empty.iter().map(|sizes| zeros(sizes)).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Takes samples that follow the last ones, and appends the frames of content (`WIDTH` numbers each) that they
    /// complete.
    pub(super) fn push(&mut self, samples: &[f32], content: &mut Vec<f32>) -> Result<(), ConvertError> {
        self.bank.push(samples, &mut self.features);
        while self.features.len() >= (self.stride + BEYOND) * BANDS {
            self.chunk(content)?;
            self.features.drain(..self.stride * BANDS);
        }
        Ok(())
    }

    fn chunk(&mut self, content: &mut Vec<f32>) -> Result<(), ConvertError> {
        let (frames, rows) = (self.stride + BEYOND, self.stride / ROW);
        let values = vec![
            floats([1, frames, BANDS], &self.features[..frames * BANDS])?,
            self.ports.count(OFFSET, self.position)?,
            self.ports.count(CACHE_SIZE, self.kept)?,
            (&self.caches[0]).into(),
            (&self.caches[1]).into(),
        ];
        let mut outputs = self.ports.run(values)?;
        self.caches = arranged(outputs.split_off(1), &self.returned);
        let heard = exactly(&outputs[0], rows * WIDTH, "content")?;
        for row in heard.chunks_exact(WIDTH) {
            let last = self.last.get_or_insert_with(|| row.to_vec());
            for step in 1..=ROW {
                let share = step as f32 / ROW as f32;
                content.extend(last.iter().zip(row).map(|(a, b)| a * (1.0 - share) + b * share));
            }
            last.copy_from_slice(row);
        }
        self.position = (self.position + rows).min(FURTHEST.max(self.kept));
        Ok(())
    }
}
