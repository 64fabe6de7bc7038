//! Moonshine v1, which hears each buffer anew: in four graphs (sherpa-onnx: `preprocess`, `encode`, `uncached_decode`,
//! `cached_decode`, tensors by order) or with a merged decoder (Hugging Face: `encoder_model`, `decoder_model_merged`,
//! tensors by name). 384 samples a position. Knows no text.

use std::path::PathBuf;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor, TensorRef};

use super::decode::{Language, Step};
use super::streaming::looked;
use super::{Measure, Model};
use crate::online::graph::{Graph, one_line};
use mynah_models::runtime::graph::some_of;
use mynah_models::runtime::{RuntimeError, SessionOptions};

/// Samples of a position: three convolutions take 64, 3 and 2.
const POSITION: usize = 384;
/// The convolutions need so many samples for one position.
const SHORTEST: usize = 1024;
/// Room is for the positions that the decoder was trained on, less the beginning.
const MEASURE: Measure = Measure { position: POSITION, room: 193 };

/// Sound that was encoded.
struct Encoded {
    value: DynValue,
    positions: usize,
}

impl Encoded {
    fn new(value: DynValue) -> Result<Self, String> {
        let positions = match value.dtype().tensor_shape().map(|s| &s[..]) {
            Some(&[1, positions, _]) => positions as usize,
            _ => return Err(format!("the encoder gave {}", value.dtype())),
        };
        Ok(Self { value, positions })
    }
}

/// Logits of the last `wanted` of `read` tokens.
fn rows(logits: &DynValue, read: usize, wanted: usize) -> Result<Vec<Vec<f32>>, String> {
    let (_, logits) = logits.try_extract_tensor::<f32>().map_err(one_line)?;
    let words = logits.len() / read.max(1);
    if words == 0 || words * read != logits.len() {
        return Err(format!("the decoder gave {} numbers for {read} tokens", logits.len()));
    }
    Ok(logits.chunks_exact(words).skip(read - wanted).map(<[f32]>::to_vec).collect())
}

fn lacks() -> String {
    "a graph gave less than it has".to_owned()
}

/// Four graphs: see the top of the file.
pub(super) struct Four {
    preprocess: Graph,
    encode: Graph,
    first: Graph,
    next: Graph,
    encoded: Option<Encoded>,
    /// The decoder's caches, and how many tokens it has read.
    states: Vec<DynValue>,
    read: i32,
}

impl Four {
    pub(super) fn open(file: impl Fn(&str) -> PathBuf) -> Result<Self, RuntimeError> {
        let graph = |name: &str| Graph::open(&file(&format!("{name}.onnx")), &SessionOptions::default());
        let (preprocess, encode) = (graph("preprocess")?, graph("encode")?);
        let (first, next) = (graph("uncached_decode")?, graph("cached_decode")?);
        preprocess.expect(1, 1, "sound and features")?;
        encode.expect(2, 1, "features, their count and what they are encoded as")?;
        let states = first.outputs.len().saturating_sub(1);
        first.expect(3, 1 + states.max(1), "a token, the encoded sound, a count; logits and states")?;
        next.expect(3 + states, 1 + states, "a token, the encoded sound, a count, states; logits and states")?;
        Ok(Self { preprocess, encode, first, next, encoded: None, states: Vec::new(), read: 0 })
    }
}

impl Model for Four {
    fn listen(&mut self, samples: &[f32]) -> Result<usize, String> {
        (self.encoded, self.read) = (None, 0);
        self.states.clear();
        if samples.len() < SHORTEST {
            return Ok(0);
        }
        let sound = TensorRef::from_array_view(([1, samples.len()], samples)).map_err(one_line)?;
        let features = self.preprocess.run([sound.into()])?.pop().ok_or_else(lacks)?;
        let count = match features.dtype().tensor_shape().map(|s| &s[..]) {
            Some(&[1, count, _]) => [count as i32],
            _ => return Err(format!("the preprocessor gave {}", features.dtype())),
        };
        let count = TensorRef::from_array_view(([1], &count[..])).map_err(one_line)?;
        let encoded = Encoded::new(self.encode.run([(&features).into(), count.into()])?.pop().ok_or_else(lacks)?)?;
        let positions = encoded.positions;
        self.encoded = Some(encoded);
        Ok(positions)
    }

    fn measure(&self) -> Measure {
        MEASURE
    }
}

impl Language for Four {
    fn read(&mut self, tokens: &[i64], wanted: usize) -> Result<Step, String> {
        let encoded = self.encoded.as_ref().ok_or("nothing was heard")?;
        let mut logits = Vec::new();
        for (n, &token) in tokens.iter().enumerate() {
            self.read += 1;
            let (token, count) = ([token as i32], [self.read]);
            let token = TensorRef::from_array_view(([1, 1], &token[..])).map_err(one_line)?;
            let count = TensorRef::from_array_view(([1], &count[..])).map_err(one_line)?;
            let inputs = [token.into(), (&encoded.value).into(), count.into()];
            let graph = if self.states.is_empty() { &mut self.first } else { &mut self.next };
            let mut outputs = graph.run(inputs.into_iter().chain(self.states.iter().map(SessionInputValue::from)))?;
            self.states = outputs.split_off(1);
            if n + wanted >= tokens.len() {
                logits.extend(rows(&outputs[0], 1, 1)?);
            }
        }
        Ok(Step { logits, attention: Vec::new() })
    }
}

/// An encoder and a merged decoder: see the top of the file.
pub(super) struct Merged {
    encoder: Graph,
    decoder: Graph,
    /// Where the names of the caches stand: among the inputs, and the same among the outputs.
    caches: Vec<(String, String)>,
    /// [1, heads, 0, size].
    empty: [i64; 4],
    attention: Vec<String>,
    encoded: Option<Encoded>,
    past: Vec<DynValue>,
    begun: bool,
}

impl Merged {
    pub(super) fn open(file: impl Fn(&str) -> PathBuf) -> Result<Self, RuntimeError> {
        let options = SessionOptions::default();
        let telling = file("decoder_with_attention.onnx");
        let decoder =
            Graph::open(&if telling.is_file() { telling } else { file("decoder_model_merged.onnx") }, &options)?;
        let encoder = Graph::open(&file("encoder_model.onnx"), &options)?;
        let caches = decoder
            .inputs
            .iter()
            .filter_map(|n| Some((n.clone(), n.replace("past_key_values", "present"))).filter(|(a, b)| a != b));
        let caches: Vec<(String, String)> = caches.collect();
        let needed = ["input_ids", "encoder_hidden_states", "use_cache_branch"];
        let lacks = needed.iter().find(|n| !decoder.inputs.iter().any(|i| i == *n));
        let lacks = lacks
            .map(|n| (*n).to_owned())
            .or_else(|| caches.iter().map(|c| &c.1).find(|n| !decoder.outputs.contains(n)).cloned());
        if let Some(name) = lacks.or_else(|| caches.is_empty().then(|| "past_key_values".to_owned())) {
            return Err(decoder.wrong(&format!("a tensor `{name}`"), some_of(&decoder.inputs)));
        }
        let cache = decoder.inputs.iter().position(|n| *n == caches[0].0).map(|n| decoder.sizes(n)).unwrap_or_default();
        let empty = match cache[..] {
            [_, heads, _, size] if (1..1 << 16).contains(&heads) && (1..1 << 16).contains(&size) => [1, heads, 0, size],
            _ => {
                return Err(
                    decoder.wrong(&format!("`{}` with heads and their size", caches[0].0), format!("{cache:?}"))
                );
            }
        };
        let attention =
            (0..).map(|n| format!("cross_attentions.{n}")).take_while(|n| decoder.outputs.contains(n)).collect();
        Ok(Self { encoder, decoder, caches, empty, attention, encoded: None, past: Vec::new(), begun: false })
    }
}

impl Model for Merged {
    fn listen(&mut self, samples: &[f32]) -> Result<usize, String> {
        (self.encoded, self.begun) = (None, false);
        if samples.len() < SHORTEST {
            return Ok(0);
        }
        let empty = |_: &_| Tensor::from_array((self.empty, Vec::<f32>::new())).map(Tensor::into_dyn).map_err(one_line);
        self.past = self.caches.iter().map(empty).collect::<Result<_, _>>()?;
        let sound = TensorRef::from_array_view(([1, samples.len()], samples)).map_err(one_line)?;
        // Some exports want to be told that all of it is sound.
        let mask = if self.encoder.inputs.len() > 1 { vec![1_i64; samples.len()] } else { Vec::new() };
        let told = (!mask.is_empty())
            .then(|| TensorRef::from_array_view(([1, mask.len()], &mask[..])))
            .transpose()
            .map_err(one_line)?;
        let mut outputs =
            self.encoder.run([SessionInputValue::from(sound)].into_iter().chain(told.map(SessionInputValue::from)))?;
        let encoded = Encoded::new(outputs.swap_remove(0))?;
        let positions = encoded.positions;
        self.encoded = Some(encoded);
        Ok(positions)
    }

    fn measure(&self) -> Measure {
        MEASURE
    }
}

impl Language for Merged {
    fn read(&mut self, tokens: &[i64], wanted: usize) -> Result<Step, String> {
        // The branch with caches is exported for one token at a time.
        if self.begun && tokens.len() > 1 {
            return Err("tokens are read one at a time".to_owned());
        }
        let encoded = self.encoded.as_ref().ok_or("nothing was heard")?;
        let mut inputs: Vec<(&str, SessionInputValue)> = Vec::with_capacity(self.decoder.inputs.len());
        inputs.push(("input_ids", TensorRef::from_array_view(([1, tokens.len()], tokens)).map_err(one_line)?.into()));
        inputs.push(("encoder_hidden_states", (&encoded.value).into()));
        inputs.push(("use_cache_branch", Tensor::from_array(([1], vec![self.begun])).map_err(one_line)?.into()));
        if self.decoder.inputs.iter().any(|n| n == "encoder_attention_mask") {
            // Of samples, not of positions: the graph thins it out itself (sherpa-onnx issue 3975).
            let mask = vec![1_i64; encoded.positions * POSITION];
            inputs.push((
                "encoder_attention_mask",
                Tensor::from_array(([1, mask.len()], mask)).map_err(one_line)?.into(),
            ));
        }
        inputs.extend(self.caches.iter().zip(&self.past).map(|((name, _), value)| (name.as_str(), value.into())));
        let mut outputs = self.decoder.session.ort().run(inputs).map_err(one_line)?;
        let logits = rows(&outputs.remove("logits").ok_or_else(lacks)?, tokens.len(), wanted)?;
        let attention: Option<Vec<DynValue>> = self.attention.iter().map(|name| outputs.remove(name)).collect();
        let attention = looked(&attention.ok_or_else(lacks)?, tokens.len(), encoded.positions)?;
        for ((_, name), past) in self.caches.iter().zip(&mut self.past) {
            // With the cache on, what is told of the encoder's keys and values is a dummy.
            if !self.begun || !name.contains(".encoder.") {
                *past = outputs.remove(name).ok_or_else(lacks)?;
            }
        }
        drop(outputs);
        self.begun = true;
        Ok(Step { logits, attention })
    }
}
