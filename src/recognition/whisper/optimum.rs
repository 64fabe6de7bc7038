//! The graphs of optimum's exporter: an encoder of a whole context of 30 s, and a decoder of two branches in one graph,
//! the first run without caches and those after it with them. With caches the `present.*.encoder.*` are dummies: the
//! first run's are kept. The sizes stand in `config.json`. Knows no text.

use std::borrow::Cow;
use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor, TensorRef};

use super::graphs::{Graphs, MOST_LAYERS, Sizes, json, one_line, rows_of};
use super::greedy::{Decoding, Step};
use mynah_models::runtime::{RuntimeError, Session, SessionOptions, TensorSpec};

#[derive(serde::Deserialize)]
struct Config {
    num_mel_bins: usize,
    max_source_positions: usize,
    max_target_positions: usize,
    vocab_size: usize,
    decoder_layers: usize,
    decoder_attention_heads: usize,
    d_model: usize,
}

/// Which heads of which layers tell where a token is said.
#[derive(serde::Deserialize)]
struct Generation {
    #[serde(default)]
    alignment_heads: Option<Vec<(usize, usize)>>,
}

/// The sessions and the sizes of the model.
pub(super) struct Optimum {
    encoder: Session,
    decoder: Session,
    sizes: Sizes,
    heads: usize,
    head_size: usize,
    /// Layer and head, where the decoder gives its attention.
    alignment: Vec<(usize, usize)>,
    names: Names,
}

/// The names of the caches, in the order in which they are held: a layer's decoder keys and values, then those of its
/// encoder.
#[derive(Default)]
struct Names {
    past: Vec<String>,
    present: Vec<String>,
}

/// Caches of a layer, and of them those of the decoder itself, which grow.
const PARTS: [&str; 4] = ["decoder.key", "decoder.value", "encoder.key", "encoder.value"];
const GROWING: usize = 2;

impl Optimum {
    /// Opens both graphs and reads the sizes.
    pub(super) fn open(
        encoder: &Path,
        decoder: &Path,
        config_path: &Path,
        generation: &Path,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let encoder = Session::load(encoder, options)?;
        let decoder = Session::load(decoder, options)?;
        let config: Config = json(config_path)?;
        let (heads, layers) = (config.decoder_attention_heads, config.decoder_layers);
        let all = [
            config.num_mel_bins,
            config.max_source_positions,
            config.max_target_positions,
            config.vocab_size,
            layers,
            heads,
        ];
        if all.contains(&0) || layers > MOST_LAYERS || config.d_model > 1 << 20 || !config.d_model.is_multiple_of(heads)
        {
            let why = format!(
                "its sizes {all:?} are no model's, or its {heads} heads do not share {} channels",
                config.d_model
            );
            return Err(RuntimeError::Model { path: config_path.to_owned(), why });
        }
        encoder.expect(&[
            TensorSpec::input("input_features", &[-1, -1, -1]),
            TensorSpec::output("last_hidden_state", &[-1, -1, -1]),
        ])?;
        decoder.expect(&[
            TensorSpec::input("input_ids", &[-1, -1]),
            TensorSpec::input("encoder_hidden_states", &[-1, -1, -1]),
            TensorSpec::input("past_key_values.0.decoder.key", &[-1, -1, -1, -1]),
            TensorSpec::input("use_cache_branch", &[1]),
            TensorSpec::output("logits", &[-1, -1, -1]),
            TensorSpec::output("present.0.encoder.value", &[-1, -1, -1, -1]),
        ])?;
        let mut names = Names::default();
        for (layer, part) in (0..layers).flat_map(|l| PARTS.map(|p| (l, p))) {
            names.past.push(format!("past_key_values.{layer}.{part}"));
            names.present.push(format!("present.{layer}.{part}"));
        }
        let gives = |name: &str| decoder.outputs().iter().any(|o| o.name() == name);
        let mut alignment = json::<Generation>(generation)?.alignment_heads.unwrap_or_default();
        if !alignment.iter().all(|&(l, h)| l < layers && h < heads && gives(&attention_of(l))) {
            // Most exports give no attention.
            alignment.clear();
        }
        let sizes = Sizes {
            mels: config.num_mel_bins,
            audio_context: config.max_source_positions,
            text_context: config.max_target_positions,
            words: config.vocab_size,
            heads: alignment.len(),
            whole: true,
        };
        let sizes = sizes.checked(config_path)?;
        Ok(Self { encoder, decoder, sizes, heads, head_size: config.d_model / heads, alignment, names })
    }
}

fn attention_of(layer: usize) -> String {
    format!("cross_attentions.{layer}")
}

impl Graphs for Optimum {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn hear(&mut self, mel: &[f32], positions: usize) -> Result<Box<dyn Decoding + '_>, String> {
        let mel = TensorRef::from_array_view(([1, self.sizes.mels, 2 * positions], mel)).map_err(one_line)?;
        let mut outputs = self.encoder.ort().run(ort::inputs!["input_features" => mel]).map_err(one_line)?;
        let hidden = outputs.remove("last_hidden_state").ok_or("the encoder gave no `last_hidden_state`")?;
        drop(outputs);
        Ok(Box::new(Pass { graphs: self, positions, hidden, past: Vec::new(), read: 0 }))
    }
}

/// One hearing: what the encoder gave, and the caches as they grow; none before the first run.
struct Pass<'a> {
    graphs: &'a mut Optimum,
    positions: usize,
    hidden: DynValue,
    past: Vec<DynValue>,
    read: usize,
}

impl Decoding for Pass<'_> {
    fn step(&mut self, tokens: &[i64], rows: &[i64]) -> Result<Step, String> {
        let Optimum { decoder, names, sizes: Sizes { words, .. }, heads, head_size, alignment, .. } = &mut *self.graphs;
        let cached = [self.read > 0];
        let mut inputs: Vec<(Cow<str>, SessionInputValue)> = Vec::with_capacity(3 + names.past.len());
        inputs.push((
            "input_ids".into(),
            TensorRef::from_array_view(([1, tokens.len()], tokens)).map_err(one_line)?.into(),
        ));
        inputs.push(("encoder_hidden_states".into(), (&self.hidden).into()));
        inputs.push((
            "use_cache_branch".into(),
            TensorRef::from_array_view(([1], &cached[..])).map_err(one_line)?.into(),
        ));
        if cached[0] {
            inputs.extend(names.past.iter().zip(&self.past).map(|(name, value)| (name.into(), value.into())));
        } else {
            for name in &names.past {
                let none = Tensor::from_array(([1, *heads, 0, *head_size], Vec::<f32>::new())).map_err(one_line)?;
                inputs.push((name.into(), none.into()));
            }
        }
        let mut outputs = decoder.ort().run(inputs).map_err(one_line)?;
        let (_, logits) = outputs["logits"].try_extract_tensor::<f32>().map_err(one_line)?;
        if logits.len() != tokens.len() * *words {
            return Err(format!("the decoder gave {} logits for {} tokens of {words}", logits.len(), tokens.len()));
        }
        let row = |&r: &i64| logits[r as usize * *words..(r as usize + 1) * *words].to_vec();
        let logits = rows.iter().map(row).collect();
        let (read, first) = (tokens.len(), rows.first().map_or(tokens.len(), |&r| r as usize));
        let mut attention = vec![Vec::new(); read - first];
        for &(layer, head) in &*alignment {
            let (shape, weights) = outputs[attention_of(layer)].try_extract_tensor::<f32>().map_err(one_line)?;
            if shape[..] != [1, *heads as i64, read as i64, self.positions as i64] {
                return Err(format!("the decoder gave attention {:?}", &shape[..]));
            }
            let size = read * self.positions;
            let of_head = rows_of(&weights[head * size..(head + 1) * size], read, self.positions, first);
            attention.iter_mut().zip(of_head).for_each(|(all, one)| all.extend(one));
        }
        let mut present = Vec::with_capacity(names.present.len());
        for (n, name) in names.present.iter().enumerate() {
            // With caches the encoder's are dummies, if they come at all.
            if !cached[0] || n % PARTS.len() < GROWING {
                present.push((n, outputs.remove(name).ok_or_else(|| format!("the decoder gave no `{name}`"))?));
            }
        }
        drop(outputs);
        if cached[0] {
            present.into_iter().for_each(|(n, value)| self.past[n] = value);
        } else {
            self.past = present.into_iter().map(|p| p.1).collect();
        }
        self.read += read;
        Ok(Step { logits, attention })
    }

    fn forget(&mut self, count: usize) -> Result<(), String> {
        self.read = self.read.checked_sub(count).ok_or("more is forgotten than was read")?;
        if self.read == 0 {
            // The next run is a first one.
            self.past.clear();
        }
        for (_, cache) in self.past.iter_mut().enumerate().filter(|(n, _)| n % PARTS.len() < GROWING) {
            let (shape, values) = cache.try_extract_tensor::<f32>().map_err(one_line)?;
            let [1, heads, time, size] = shape[..] else {
                return Err(format!("a cache has the shape {:?}", &shape[..]));
            };
            let (time, size) = (time as usize, size as usize);
            let left = time.checked_sub(count).ok_or("more is forgotten than was read")?;
            let kept: Vec<f32> =
                values.chunks_exact((time * size).max(1)).flat_map(|head| &head[..left * size]).copied().collect();
            *cache = Tensor::from_array(([1, heads, left as i64, size as i64], kept)).map_err(one_line)?.into_dyn();
        }
        Ok(())
    }
}
