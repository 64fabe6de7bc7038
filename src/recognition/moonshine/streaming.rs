//! Moonshine v2 in the layout of its own runtime: the graphs `frontend`, `encoder`, `adapter`, `cross_kv` and
//! `decoder_kv`, in ONNX or ONNX Runtime's format, and `streaming_config.json`. `decoder_kv_with_attention`, which is
//! published for some languages, is taken in place of `decoder_kv` where it is there: it tells when words were said.
//! Knows no text.

use std::path::PathBuf;

use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorRef};

use super::decode::{Language, Step};
use super::ear::{Ear, Sound};
use super::{Measure, Model};
use crate::online::graph::one_line;
use mynah_files as files;
use mynah_models::runtime::{RuntimeError, Session, SessionOptions, TensorSpec};

/// What `streaming_config.json` says.
#[derive(Debug, Clone, serde::Deserialize)]
pub(super) struct Config {
    pub(super) encoder_dim: usize,
    pub(super) depth: usize,
    pub(super) nheads: usize,
    pub(super) head_dim: usize,
    pub(super) vocab_size: usize,
    #[serde(default = "one_frame")]
    pub(super) frame_len: usize,
    pub(super) total_lookahead: usize,
    pub(super) d_model_frontend: usize,
    pub(super) c1: usize,
    #[serde(default = "most_tokens")]
    max_seq_len: usize,
}

fn one_frame() -> usize {
    80
}

fn most_tokens() -> usize {
    448
}

impl Config {
    fn open(path: PathBuf) -> Result<Self, RuntimeError> {
        let wrong = |why: String| RuntimeError::File { path: path.clone(), why };
        let text = files::text(&path, files::SETTINGS).map_err(wrong)?;
        let config: Self = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let Self {
            encoder_dim,
            depth,
            nheads,
            head_dim,
            vocab_size,
            frame_len,
            d_model_frontend,
            c1,
            max_seq_len,
            total_lookahead,
        } = config;
        let sizes = [
            encoder_dim,
            depth,
            nheads,
            head_dim,
            vocab_size,
            frame_len.saturating_sub(1),
            d_model_frontend,
            c1,
            max_seq_len,
        ];
        let caches = depth < 1 << 10 && nheads < 1 << 10;
        match sizes.iter().all(|&n| n > 0 && n < 1 << 20) && caches && total_lookahead < 1 << 12 {
            true => Ok(config),
            false => Err(wrong("one of its sizes is 0 or beyond all measure".to_owned())),
        }
    }
}

/// See the top of the file.
pub(super) struct Streaming {
    ear: Ear,
    decoder: Session,
    config: Config,
    /// The logits, the caches, then each layer's attention where the graph tells it: the keys and values of the sound
    /// come out as they went in, and are not asked for.
    options: RunOptions<HasSelectedOutputs>,
    attention: Vec<String>,
    sound: Option<Sound>,
    /// The decoder's own keys and values, [depth, 1, heads, tokens, size].
    past: [DynValue; 2],
}

impl Streaming {
    pub(super) fn open(file: impl Fn(&str) -> PathBuf) -> Result<Self, RuntimeError> {
        let options = SessionOptions::default();
        let config = Config::open(file("streaming_config.json"))?;
        let telling = file("decoder_kv_with_attention.onnx");
        let decoder = Session::load(&if telling.is_file() { telling } else { file("decoder_kv.onnx") }, &options)?;
        let cache = &[-1, 1, -1, -1, -1];
        let (input, output) = (TensorSpec::input, TensorSpec::output);
        decoder.expect(&[
            input("token", &[1, -1]),
            input("k_self", cache),
            input("v_self", cache),
            input("out_k_cross", cache),
            input("out_v_cross", cache),
            output("logits", &[1, -1, -1]),
            output("out_k_self", cache),
            output("out_v_self", cache),
        ])?;
        let layer = |n: usize| format!("cross_attentions.{n}");
        let told = |name: &String| decoder.outputs().iter().any(|o| o.name() == name);
        let attention: Vec<String> = (0..config.depth).map(layer).take_while(told).collect();
        let broken = |e: ort::Error| RuntimeError::Model { path: decoder.path().to_owned(), why: one_line(e) };
        let wanted = ["logits", "out_k_self", "out_v_self"].into_iter().chain(attention.iter().map(String::as_str));
        let selector = wanted.fold(OutputSelector::no_default(), |all, name| all.with(name));
        let options_of_run = RunOptions::new().map_err(broken)?.with_outputs(selector);
        let past = [empty(&config).map_err(broken)?, empty(&config).map_err(broken)?];
        let ear = Ear::open(&file, &config, &options)?;
        Ok(Self { ear, decoder, config, options: options_of_run, attention, sound: None, past })
    }

    /// Tokens of the vocabulary.
    pub(super) fn words(&self) -> usize {
        self.config.vocab_size
    }
}

/// A cache without tokens.
fn empty(config: &Config) -> Result<DynValue, ort::Error> {
    Ok(Tensor::from_array(([config.depth, 1, config.nheads, 0, config.head_dim], Vec::<f32>::new()))?.into_dyn())
}

impl Model for Streaming {
    fn listen(&mut self, samples: &[f32]) -> Result<usize, String> {
        self.sound = self.ear.listen(samples)?;
        self.past = [empty(&self.config).map_err(one_line)?, empty(&self.config).map_err(one_line)?];
        Ok(self.sound.as_ref().map_or(0, |s| s.positions))
    }

    fn measure(&self) -> Measure {
        Measure { position: self.ear.position(), room: self.config.max_seq_len - 1 }
    }
}

impl Language for Streaming {
    fn read(&mut self, tokens: &[i64], wanted: usize) -> Result<Step, String> {
        let sound = self.sound.as_ref().ok_or("nothing was heard")?;
        let token = TensorRef::from_array_view(([1, tokens.len()], tokens)).map_err(one_line)?;
        let inputs: Vec<(&str, SessionInputValue)> = vec![
            ("token", token.into()),
            ("k_self", (&self.past[0]).into()),
            ("v_self", (&self.past[1]).into()),
            ("out_k_cross", (&sound.keys).into()),
            ("out_v_cross", (&sound.values).into()),
        ];
        let mut outputs = self.decoder.ort().run_with_options(inputs, &self.options).map_err(one_line)?;
        let lacks = || "the decoder gave less than it has".to_owned();
        let logits = outputs.remove("logits").ok_or_else(lacks)?;
        let (_, logits) = logits.try_extract_tensor::<f32>().map_err(one_line)?;
        if logits.len() != tokens.len() * self.config.vocab_size {
            return Err(format!("the decoder gave {} numbers for {} tokens", logits.len(), tokens.len()));
        }
        let attention: Option<Vec<DynValue>> = self.attention.iter().map(|name| outputs.remove(name)).collect();
        let attention = looked(&attention.ok_or_else(lacks)?, tokens.len(), sound.positions)?;
        let past = [outputs.remove("out_k_self").ok_or_else(lacks)?, outputs.remove("out_v_self").ok_or_else(lacks)?];
        drop(outputs);
        self.past = past;
        let rows = logits.chunks_exact(self.config.vocab_size).skip(tokens.len() - wanted);
        Ok(Step { logits: rows.map(<[f32]>::to_vec).collect(), attention })
    }

    fn forgets(&self) -> bool {
        true
    }

    fn forget(&mut self, count: usize) -> Result<(), String> {
        for cache in &mut self.past {
            let (shape, data) = cache.try_extract_tensor::<f32>().map_err(one_line)?;
            let [depth, one, heads, tokens, size] = shape[..] else {
                return Err(format!("a cache has the shape {:?}", &shape[..]));
            };
            let left = (tokens as usize).checked_sub(count).ok_or("more is forgotten than was read")?;
            let row = (tokens * size) as usize;
            let kept: Vec<f32> =
                data.chunks_exact(row.max(1)).flat_map(|r| &r[..left * size as usize]).copied().collect();
            *cache = Tensor::from_array(([depth, one, heads, left as i64, size], kept)).map_err(one_line)?.into_dyn();
        }
        Ok(())
    }
}

/// How much each token looked at each position: weights [1, heads, tokens, positions] of each layer, each row to mean 0
/// and deviation 1, and the mean of all of them. Empty without layers.
pub(super) fn looked(layers: &[DynValue], tokens: usize, positions: usize) -> Result<Vec<Vec<f32>>, String> {
    if layers.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = vec![vec![0.0; positions]; tokens];
    for layer in layers {
        let (shape, weights) = layer.try_extract_tensor::<f32>().map_err(one_line)?;
        let [1, heads, n, p] = shape[..] else { return Err(format!("attention has the shape {:?}", &shape[..])) };
        if (n as usize, p as usize) != (tokens, positions) {
            return Err(format!("attention has the shape {:?}", &shape[..]));
        }
        let share = 1.0 / (heads as f32 * layers.len() as f32);
        for (i, row) in weights.chunks_exact(positions).enumerate() {
            let mean = row.iter().sum::<f32>() / positions as f32;
            let deviation = (row.iter().map(|w| (w - mean).powi(2)).sum::<f32>() / positions as f32).sqrt().max(1e-10);
            rows[i % tokens].iter_mut().zip(row).for_each(|(out, w)| *out += (w - mean) / deviation * share);
        }
    }
    Ok(rows)
}
