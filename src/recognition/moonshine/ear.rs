//! The hearing half of Moonshine v2: sound becomes the keys and values that the decoder looks at. A buffer that grows
//! is heard on from where it ended. Knows no token.
//!
//! Four graphs: a frontend with buffers (80 samples a frame, two convolutions that halve the frames, so 20 ms a
//! feature); an encoder without a memory, whose layers see 16 features back and a few ahead, so that it runs over `16 ·
//! depth` features before the new ones; an adapter, which adds positions; the keys and values. What the encoder says of
//! a feature changes no more when its look-ahead is whole, and is kept. What it says of the last ones is what it would
//! say if the sound ended there: it is told to the decoder and forgotten, so that a word shows before its look-ahead is
//! over. (Moonshine's own runtime keeps these features back.)

use std::path::{Path, PathBuf};

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor, TensorRef};

use super::streaming::Config;
use crate::online::graph::one_line;
use mynah_models::runtime::graph::some_of;
use mynah_models::runtime::{RuntimeError, Session, SessionOptions, TensorSpec};

/// Frames of the frontend that make one feature.
const FRAMES: usize = 4;
/// Features that it makes at least of sound that goes on, and of which it makes a multiple: Moonshine's own runtime
/// gives it 80 ms at a time. Its convolutions are in step only after a whole feature, and what it gives of the sound
/// before is all there only after some.
const BLOCK: usize = 4;
/// What the encoder's layers see back.
const BACK: usize = 16;
/// The graphs were exported for no fewer features at once.
const LEAST: usize = 2;

/// What the decoder looks at: [depth, 1, heads, positions, size] each.
pub(super) struct Sound {
    pub(super) keys: DynValue,
    pub(super) values: DynValue,
    pub(super) positions: usize,
}

/// What the frontend must be told of the sound before.
#[derive(Clone)]
struct Before {
    samples: Vec<f32>,
    held: i64,
    convolutions: [Vec<f32>; 2],
    frames: i64,
}

/// The frontend's weights where they lie in a graph of their own, which has no inputs and gives them: they go in with
/// the sound.
struct Weights {
    values: Vec<(String, DynValue)>,
    /// What the values came out of.
    _session: Option<Session>,
}

/// What the frontend is told of the sound; all other inputs are weights.
const TOLD: [&str; 6] = ["audio_chunk", "sample_buffer", "sample_len", "conv1_buffer", "conv2_buffer", "frame_count"];

impl Weights {
    fn open(path: &Path, frontend: &Session, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let wanted: Vec<String> =
            frontend.inputs().iter().map(|i| i.name().to_owned()).filter(|n| !TOLD.contains(&n.as_str())).collect();
        if wanted.is_empty() {
            return Ok(Self { values: Vec::new(), _session: None });
        }
        let mut session = Session::load(path, options)?;
        let broken = |e: ort::Error| RuntimeError::Model { path: path.to_owned(), why: one_line(e) };
        let mut outputs = session.ort().run(Vec::<(&str, SessionInputValue)>::new()).map_err(broken)?;
        let given: Vec<String> = outputs.keys().map(str::to_owned).collect();
        let value = |name: String| match outputs.remove(&name) {
            Some(value) => Ok((name, value)),
            None => Err(RuntimeError::Contract {
                path: path.to_owned(),
                expected: format!("the weights `{name}` of the frontend"),
                found: some_of(&given),
            }),
        };
        let values = wanted.into_iter().map(value).collect::<Result<_, _>>()?;
        drop(outputs);
        Ok(Self { values, _session: Some(session) })
    }
}

/// See the top of the file.
pub(super) struct Ear {
    frontend: Session,
    weights: Weights,
    encoder: Session,
    adapter: Session,
    cross: Session,
    config: Config,
    /// The samples that lasting features were made of: whole blocks.
    heard: Vec<f32>,
    before: Before,
    /// Features from number `first` on.
    features: Vec<f32>,
    first: usize,
    /// How many features the encoder has told all of.
    settled: usize,
    /// Keys and values of those, layer after layer and head after head.
    kept: [Vec<Vec<f32>>; 2],
}

impl Ear {
    pub(super) fn open(
        file: impl Fn(&str) -> PathBuf,
        config: &Config,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let graph = |name: &str, tensors: &[TensorSpec]| {
            let session = Session::load(&file(&format!("{name}.onnx")), options)?;
            session.expect(tensors)?;
            Ok(session)
        };
        let (input, output) = (TensorSpec::input, TensorSpec::output);
        let frontend = graph(
            "frontend",
            &[
                input("audio_chunk", &[1, -1]),
                input("sample_buffer", &[1, -1]),
                input("sample_len", &[1]),
                input("conv1_buffer", &[1, -1, 4]),
                input("conv2_buffer", &[1, -1, 4]),
                input("frame_count", &[1]),
                output("features", &[1, -1, -1]),
            ],
        )?;
        let weights = Weights::open(&file("frontend.weights.onnx"), &frontend, options)?;
        let mut ear = Self {
            frontend,
            weights,
            encoder: graph("encoder", &[input("features", &[1, -1, -1]), output("encoded", &[1, -1, -1])])?,
            adapter: graph(
                "adapter",
                &[input("encoded", &[1, -1, -1]), input("pos_offset", &[1]), output("memory", &[1, -1, -1])],
            )?,
            cross: graph("cross_kv", &[input("memory", &[1, -1, -1]), output("k_cross", &[-1, 1, -1, -1, -1])])?,
            config: config.clone(),
            heard: Vec::new(),
            before: Before { samples: Vec::new(), held: 0, convolutions: [Vec::new(), Vec::new()], frames: 0 },
            features: Vec::new(),
            first: 0,
            settled: 0,
            kept: [Vec::new(), Vec::new()],
        };
        ear.reset();
        Ok(ear)
    }

    /// Samples of a position.
    pub(super) fn position(&self) -> usize {
        FRAMES * self.config.frame_len
    }

    fn reset(&mut self) {
        let c = &self.config;
        let convolutions = [vec![0.0; 4 * c.d_model_frontend], vec![0.0; 4 * c.c1]];
        self.before = Before { samples: vec![0.0; c.frame_len - 1], held: 0, convolutions, frames: 0 };
        self.kept = std::array::from_fn(|_| vec![Vec::new(); c.depth * c.nheads]);
        self.heard.clear();
        self.features.clear();
        (self.first, self.settled) = (0, 0);
    }

    /// Hears a buffer: on from the last one where it begins with that, else anew. Nothing where it is too short.
    pub(super) fn listen(&mut self, samples: &[f32]) -> Result<Option<Sound>, String> {
        if !samples.starts_with(&self.heard) {
            self.reset();
        }
        let sound = self.take(samples);
        if sound.is_err() {
            self.reset();
        }
        sound
    }

    fn take(&mut self, samples: &[f32]) -> Result<Option<Sound>, String> {
        let block = BLOCK * self.position();
        let whole = samples.len() / block * block;
        if whole > self.heard.len() {
            let new = &samples[self.heard.len()..whole];
            let (features, before) = self.front(new)?;
            let fits = before.samples.len() == self.before.samples.len()
                && before.convolutions.iter().zip(&self.before.convolutions).all(|(a, b)| a.len() == b.len());
            if !fits || features.len() != new.len() / self.position() * self.config.encoder_dim {
                return Err(format!("the frontend gave {} numbers for {} samples", features.len(), new.len()));
            }
            self.features.extend(features);
            self.before = before;
            self.heard.extend(new);
        }
        // What doesn't fill a block is heard as if the sound ended there.
        let width = self.config.encoder_dim;
        let lasting = self.features.len();
        if samples.len() - whole >= self.config.frame_len {
            let (features, _) = self.front(&samples[whole..])?;
            self.features.extend(features);
        }
        let sound = self.encode(self.first + lasting / width);
        self.features.truncate(lasting);
        let passed = self.settled.saturating_sub(BACK * self.config.depth).saturating_sub(self.first);
        self.features.drain(..passed * width);
        self.first += passed;
        sound
    }

    /// Features of sound that follows, and what comes before the next one.
    fn front(&mut self, samples: &[f32]) -> Result<(Vec<f32>, Before), String> {
        let before = &self.before;
        let [one, two] = &before.convolutions;
        let (held, frames) = ([before.held], [before.frames]);
        let told: [SessionInputValue; 6] = [
            TensorRef::from_array_view(([1, samples.len()], samples)).map_err(one_line)?.into(),
            TensorRef::from_array_view(([1, before.samples.len()], &before.samples[..])).map_err(one_line)?.into(),
            TensorRef::from_array_view(([1], &held[..])).map_err(one_line)?.into(),
            TensorRef::from_array_view(([1, one.len() / 4, 4], &one[..])).map_err(one_line)?.into(),
            TensorRef::from_array_view(([1, two.len() / 4, 4], &two[..])).map_err(one_line)?.into(),
            TensorRef::from_array_view(([1], &frames[..])).map_err(one_line)?.into(),
        ];
        let mut inputs: Vec<(&str, SessionInputValue)> = TOLD.into_iter().zip(told).collect();
        inputs.extend(self.weights.values.iter().map(|(name, value)| (name.as_str(), value.into())));
        let outputs = self.frontend.ort().run(inputs).map_err(one_line)?;
        let floats = |name: &str| {
            let (_, data) =
                outputs.get(name).ok_or_else(|| lacks(name))?.try_extract_tensor::<f32>().map_err(one_line)?;
            Ok::<_, String>(data.to_vec())
        };
        let number = |name: &str| {
            let (_, data) =
                outputs.get(name).ok_or_else(|| lacks(name))?.try_extract_tensor::<i64>().map_err(one_line)?;
            data.first().copied().ok_or_else(|| lacks(name))
        };
        let after = Before {
            samples: floats("sample_buffer_out")?,
            held: number("sample_len_out")?,
            convolutions: [floats("conv1_buffer_out")?, floats("conv2_buffer_out")?],
            frames: number("frame_count_out")?,
        };
        let features = floats("features")?;
        match features.len() % self.config.encoder_dim {
            0 => Ok((features, after)),
            _ => Err(format!("the frontend gave {} numbers", features.len())),
        }
    }

    /// Runs the encoder over the features that are here, of which all before number `lasting` stay; keeps what is
    /// settled.
    fn encode(&mut self, lasting: usize) -> Result<Option<Sound>, String> {
        let width = self.config.encoder_dim;
        let here = self.features.len() / width;
        let total = self.first + here;
        if total < self.settled + LEAST {
            return Ok(None);
        }
        let features = TensorRef::from_array_view(([1, here, width], &self.features[..])).map_err(one_line)?;
        let outputs = self.encoder.ort().run(ort::inputs!["features" => features]).map_err(one_line)?;
        let (shape, encoded) =
            outputs.get("encoded").ok_or_else(|| lacks("encoded"))?.try_extract_tensor::<f32>().map_err(one_line)?;
        if shape[..] != [1, here as i64, width as i64] {
            return Err(format!("the encoder gave {:?} for {here} features", &shape[..]));
        }
        let encoded = encoded[(self.settled - self.first) * width..].to_vec();
        drop(outputs);
        let new = lasting.saturating_sub(self.config.total_lookahead.max(LEAST)).saturating_sub(self.settled);
        let new = if new >= LEAST { new } else { 0 };
        let (stays, passes) = encoded.split_at(new * width);
        if new > 0 {
            let rows = self.remember(stays)?;
            for (kept, rows) in self.kept.iter_mut().zip(rows) {
                kept.iter_mut().zip(rows).for_each(|(kept, row)| kept.extend(row));
            }
            self.settled += new;
        }
        let last = self.remember(passes)?;
        let (depth, heads, size) = (self.config.depth, self.config.nheads, self.config.head_dim);
        let mut both = self.kept.iter().zip(&last).map(|(kept, last)| {
            let all: Vec<f32> =
                kept.iter().zip(last).flat_map(|(kept, last)| kept.iter().chain(last)).copied().collect();
            Tensor::from_array(([depth, 1, heads, total, size], all)).map(Tensor::into_dyn).map_err(one_line)
        });
        let (Some(keys), Some(values)) = (both.next(), both.next()) else { return Ok(None) };
        Ok(Some(Sound { keys: keys?, values: values?, positions: total }))
    }

    /// Keys and values of encoded features that follow the settled ones: a row a head of a layer.
    fn remember(&mut self, encoded: &[f32]) -> Result<[Vec<Vec<f32>>; 2], String> {
        let count = encoded.len() / self.config.encoder_dim;
        let offset = [self.settled as i64];
        let encoded = TensorRef::from_array_view(([1, count, self.config.encoder_dim], encoded)).map_err(one_line)?;
        let offset = TensorRef::from_array_view(([1], &offset[..])).map_err(one_line)?;
        let mut outputs =
            self.adapter.ort().run(ort::inputs!["encoded" => encoded, "pos_offset" => offset]).map_err(one_line)?;
        let memory = outputs.remove("memory").ok_or_else(|| lacks("memory"))?;
        let outputs = self.cross.ort().run(ort::inputs!["memory" => &memory]).map_err(one_line)?;
        let (depth, heads, size) = (self.config.depth, self.config.nheads, self.config.head_dim);
        let rows = |name: &str| {
            let (shape, data) =
                outputs.get(name).ok_or_else(|| lacks(name))?.try_extract_tensor::<f32>().map_err(one_line)?;
            if shape[..] != [depth, 1, heads, count, size].map(|n| n as i64) {
                return Err(format!("`{name}` came out as {:?}", &shape[..]));
            }
            Ok(data.chunks_exact(count * size).map(<[f32]>::to_vec).collect())
        };
        Ok([rows("k_cross")?, rows("v_cross")?])
    }
}

fn lacks(name: &str) -> String {
    format!("a graph gave no `{name}`")
}
