//! The graphs of sherpa-onnx's exporters (`scripts/whisper/export-onnx.py` and `export-onnx-with-attention.py`). All
//! sizes and special tokens stand in the encoder's metadata. The caches have room for the whole text from the start,
//! and what is read is counted by `offset`: to forget is to count back. Knows no text.

use std::path::Path;

use ort::value::{DynValue, TensorRef};

use super::graphs::{Graphs, Sizes, number, one_line, rows_of};
use super::greedy::{Decoding, Step};
use super::vocabulary::Special;
use mynah_models::runtime::graph::zeros;
use mynah_models::runtime::{RuntimeError, Session, SessionOptions, TensorSpec};

/// The decoder's outputs that are its caches, keys and values.
const NEW: [&str; 2] = ["out_n_layer_self_k_cache", "out_n_layer_self_v_cache"];
const ATTENTION: &str = "cross_attention_weights";
/// What the exporters' metadata say of the model's kind begins so.
const MODEL_TYPE: &str = "whisper";

/// The sessions and the sizes of the model.
pub(super) struct Sherpa {
    encoder: Session,
    decoder: Session,
    sizes: Sizes,
    layers: usize,
    state: usize,
}

/// Whether a graph is the encoder of such an export.
pub(super) fn is_encoder(session: &Session) -> bool {
    session.metadata("model_type").is_some_and(|m| m.starts_with(MODEL_TYPE))
}

impl Sherpa {
    /// Opens both graphs.
    pub(super) fn open(encoder: &Path, decoder: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let encoder = Session::load(encoder, options)?;
        let decoder = Session::load(decoder, options)?;
        let number = |key: &str| number(&encoder, key);
        encoder.expect(&[
            TensorSpec::input("mel", &[-1, -1, -1]),
            TensorSpec::output("n_layer_cross_k", &[-1, -1, -1, -1]),
            TensorSpec::output("n_layer_cross_v", &[-1, -1, -1, -1]),
        ])?;
        decoder.expect(&[
            TensorSpec::input("tokens", &[-1, -1]),
            TensorSpec::input("in_n_layer_self_k_cache", &[-1, -1, -1, -1]),
            TensorSpec::input("in_n_layer_self_v_cache", &[-1, -1, -1, -1]),
            TensorSpec::input("n_layer_cross_k", &[-1, -1, -1, -1]),
            TensorSpec::input("n_layer_cross_v", &[-1, -1, -1, -1]),
            TensorSpec::input("offset", &[1]),
            TensorSpec::output("logits", &[-1, -1, -1]),
            TensorSpec::output(NEW[0], &[-1, -1, -1, -1]),
            TensorSpec::output(NEW[1], &[-1, -1, -1, -1]),
        ])?;
        let mut heads = 0;
        if decoder.outputs().iter().any(|o| o.name() == ATTENTION) {
            decoder.expect(&[TensorSpec::output(ATTENTION, &[-1, -1, -1, -1])])?;
            heads = number("n_alignment_heads")?;
        }
        // Older exports leave the number of frames fixed.
        let mel = encoder.inputs().iter().find(|i| i.name() == "mel").and_then(|i| i.dtype().tensor_shape());
        let frames = mel.and_then(|shape| usize::try_from(shape[2]).ok()).filter(|&f| f > 0);
        let sizes = Sizes {
            mels: number("n_mels")?,
            audio_context: frames.map_or_else(|| number("n_audio_ctx"), |f| Ok(f / 2))?,
            text_context: number("n_text_ctx")?,
            words: number("n_vocab")?,
            heads,
            whole: frames.is_some(),
        };
        let sizes = sizes.checked(encoder.path())?;
        let (layers, state) = (number("n_text_layer")?, number("n_text_state")?);
        Ok(Self { encoder, decoder, sizes, layers, state })
    }

    /// The special tokens, as the metadata have them.
    pub(super) fn special(&self) -> Result<Special, RuntimeError> {
        let token = |key: &str| number(&self.encoder, key).map(|n| n as i64);
        let text = |key: &str| self.encoder.metadata(key).unwrap_or_default();
        let list = |key: &str| -> Result<Vec<usize>, RuntimeError> {
            let all = text(key);
            let items = all.split(',').map(str::trim).filter(|t| !t.is_empty());
            items
                .map(|t| {
                    t.parse().map_err(|_| RuntimeError::Contract {
                        path: self.encoder.path().to_owned(),
                        expected: format!("whole numbers `{key}` in the metadata"),
                        found: format!("`{t}`"),
                    })
                })
                .collect()
        };
        let mut languages = Vec::new();
        if text("is_multilingual").trim() == "1" {
            let codes = text("all_language_codes");
            let tokens = list("all_language_tokens")?;
            languages =
                codes.split(',').map(|c| c.trim().to_owned()).zip(tokens.into_iter().map(|t| t as i64)).collect();
        }
        let end = token("eot")? as usize;
        // A transcript begins with no space and doesn't end at once, as in Whisper's own decoding.
        let not_first = number(&self.encoder, "blank_id").ok().into_iter().chain([end]).collect();
        Ok(Special {
            transcript: token("sot")?,
            transcribe: token("transcribe")?,
            no_timestamps: token("no_timestamps")?,
            no_speech: token("no_speech")? as usize,
            start_of_previous: token("sot_prev")?,
            end,
            languages,
            never: list("non_speech_tokens")?,
            not_first,
        })
    }
}

impl Graphs for Sherpa {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn hear(&mut self, mel: &[f32], positions: usize) -> Result<Box<dyn Decoding + '_>, String> {
        let mel = TensorRef::from_array_view(([1, self.sizes.mels, 2 * positions], mel)).map_err(one_line)?;
        let mut outputs = self.encoder.ort().run(ort::inputs!["mel" => mel]).map_err(one_line)?;
        let mut take = |name: &str| outputs.remove(name).ok_or_else(|| format!("the encoder gave no `{name}`"));
        let cross = [take("n_layer_cross_k")?, take("n_layer_cross_v")?];
        drop(outputs);
        let shape = [self.layers, 1, self.sizes.text_context, self.state];
        let caches = [zeros(&shape)?, zeros(&shape)?];
        Ok(Box::new(Pass { graphs: self, positions, cross, caches, read: 0 }))
    }
}

/// One hearing: the encoder's keys and values, and the decoder's, of which the first `read` positions count.
struct Pass<'a> {
    graphs: &'a mut Sherpa,
    positions: usize,
    cross: [DynValue; 2],
    caches: [DynValue; 2],
    read: usize,
}

impl Decoding for Pass<'_> {
    fn step(&mut self, tokens: &[i64], rows: &[i64]) -> Result<Step, String> {
        let Sherpa { decoder, sizes: Sizes { words, heads, .. }, .. } = &mut *self.graphs;
        let offset = [self.read as i64];
        let mut outputs = decoder
            .ort()
            .run(ort::inputs![
                "tokens" => TensorRef::from_array_view(([1, tokens.len()], tokens)).map_err(one_line)?,
                "in_n_layer_self_k_cache" => &self.caches[0],
                "in_n_layer_self_v_cache" => &self.caches[1],
                "n_layer_cross_k" => &self.cross[0],
                "n_layer_cross_v" => &self.cross[1],
                "offset" => TensorRef::from_array_view(([1], &offset[..])).map_err(one_line)?,
            ])
            .map_err(one_line)?;
        let (_, logits) = outputs["logits"].try_extract_tensor::<f32>().map_err(one_line)?;
        if logits.len() != tokens.len() * *words {
            return Err(format!("the decoder gave {} logits for {} tokens", logits.len(), tokens.len()));
        }
        let row = |&r: &i64| logits[r as usize * *words..(r as usize + 1) * *words].to_vec();
        let logits = rows.iter().map(row).collect();
        let (read, first) = (tokens.len(), rows.first().map_or(tokens.len(), |&r| r as usize));
        let attention = if *heads == 0 {
            vec![Vec::new(); read - first]
        } else {
            let (shape, weights) = outputs[ATTENTION].try_extract_tensor::<f32>().map_err(one_line)?;
            if shape[..] != [1, *heads as i64, read as i64, self.positions as i64] {
                return Err(format!("the decoder gave attention {:?}", &shape[..]));
            }
            rows_of(weights, read, self.positions, first)
        };
        let [k, v] = NEW.map(|name| outputs.remove(name));
        drop(outputs);
        self.caches = [k.ok_or("the decoder gave no keys")?, v.ok_or("the decoder gave no values")?];
        self.read += read;
        Ok(Step { logits, attention })
    }

    fn forget(&mut self, count: usize) -> Result<(), String> {
        self.read = self.read.checked_sub(count).ok_or("more is forgotten than was read")?;
        Ok(())
    }
}
