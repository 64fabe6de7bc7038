//! The graphs that Mynah builds: the encoder's keys and values and the decoder's caches stay the runtime's own values,
//! so that no step copies them. Knows no text.

use std::borrow::Cow;
use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor, TensorRef};

use super::graphs::{Graphs, MOST_LAYERS, Sizes, number, one_line, rows_of};
use super::greedy::{Decoding, Step};
use mynah_models::runtime::{RuntimeError, Session, SessionOptions, TensorSpec};

/// The sessions and the sizes of the model.
pub(super) struct Own {
    encoder: Session,
    decoder: Session,
    sizes: Sizes,
    layers: usize,
    text_heads: usize,
    head_size: usize,
    names: Names,
}

/// The names of the caches, in the order in which they are held: k and v of layer 0, of layer 1 …
#[derive(Default)]
struct Names {
    cross: Vec<String>,
    past: Vec<String>,
    new: Vec<String>,
}

impl Own {
    pub(super) fn open(encoder: &Path, decoder: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let encoder = Session::load(encoder, options)?;
        let decoder = Session::load(decoder, options)?;
        let number = |key: &str| number(&decoder, key);
        let (layers, text_heads, state) = (number("n_text_layer")?, number("n_text_head")?, number("n_text_state")?);
        let heads = decoder.metadata("alignment_heads").unwrap_or_default().split(',').count();
        let sizes = Sizes {
            mels: number("n_mels")?,
            audio_context: number("n_audio_ctx")?,
            text_context: number("n_text_ctx")?,
            words: number("n_vocab")?,
            heads,
            whole: false,
        };
        let sizes = sizes.checked(decoder.path())?;
        if layers > MOST_LAYERS || state % text_heads != 0 {
            let found = format!("{layers} layers, {state} channels in {text_heads} heads");
            let expected = format!("up to {MOST_LAYERS} layers whose heads share their channels");
            return Err(RuntimeError::Contract { path: decoder.path().to_owned(), expected, found });
        }
        let mut names = Names::default();
        for (layer, part) in (0..layers).flat_map(|l| [(l, "k"), (l, "v")]) {
            names.cross.push(format!("cross_{part}_{layer}"));
            names.past.push(format!("self_{part}_{layer}"));
            names.new.push(format!("new_self_{part}_{layer}"));
        }
        encoder.expect(&[TensorSpec::input("mel", &[1, -1, -1]), TensorSpec::output("cross_k_0", &[1, -1, -1, -1])])?;
        decoder.expect(&[
            TensorSpec::input("tokens", &[1, -1]),
            TensorSpec::input("rows", &[-1]),
            TensorSpec::input("self_k_0", &[1, -1, -1, -1]),
            TensorSpec::input("cross_k_0", &[1, -1, -1, -1]),
            TensorSpec::output("logits", &[-1, -1]),
            TensorSpec::output("cross_attention_weights", &[-1, -1, -1]),
            TensorSpec::output("new_self_v_0", &[1, -1, -1, -1]),
        ])?;
        let head_size = state / text_heads;
        Ok(Self { encoder, decoder, sizes, layers, text_heads, head_size, names })
    }
}

impl Graphs for Own {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn hear(&mut self, mel: &[f32], positions: usize) -> Result<Box<dyn Decoding + '_>, String> {
        let mel = TensorRef::from_array_view(([1, self.sizes.mels, 2 * positions], mel)).map_err(one_line)?;
        let mut outputs = self.encoder.ort().run(ort::inputs!["mel" => mel]).map_err(one_line)?;
        let cross: Option<Vec<DynValue>> = self.names.cross.iter().map(|n| outputs.remove(n)).collect();
        let cross = cross.ok_or("the encoder lacks a layer that the decoder has")?;
        drop(outputs);
        let (h, s) = (self.text_heads, self.head_size);
        let empty =
            |shape: [usize; 4]| Tensor::from_array((shape, Vec::<f32>::new())).map(Tensor::into_dyn).map_err(one_line);
        let mut past = Vec::with_capacity(2 * self.layers);
        for _ in 0..self.layers {
            past.push(empty([1, h, s, 0])?);
            past.push(empty([1, h, 0, s])?);
        }
        Ok(Box::new(Pass { graphs: self, positions, cross, past }))
    }
}

/// One hearing: the encoder's keys and values, and the decoder's as they grow.
struct Pass<'a> {
    graphs: &'a mut Own,
    positions: usize,
    cross: Vec<DynValue>,
    past: Vec<DynValue>,
}

impl Decoding for Pass<'_> {
    fn step(&mut self, tokens: &[i64], rows: &[i64]) -> Result<Step, String> {
        let Own { decoder, names, sizes: Sizes { words, heads, .. }, .. } = &mut *self.graphs;
        let mut inputs: Vec<(Cow<str>, SessionInputValue)> = Vec::with_capacity(2 + 4 * names.cross.len());
        let read = TensorRef::from_array_view(([1, tokens.len()], tokens)).map_err(one_line)?;
        inputs.push(("tokens".into(), read.into()));
        inputs.push(("rows".into(), TensorRef::from_array_view(([rows.len()], rows)).map_err(one_line)?.into()));
        for (name, value) in names.cross.iter().zip(&self.cross).chain(names.past.iter().zip(&self.past)) {
            inputs.push((name.into(), value.into()));
        }
        let mut outputs = decoder.ort().run(inputs).map_err(one_line)?;
        let (_, logits) = outputs["logits"].try_extract_tensor::<f32>().map_err(one_line)?;
        let (shape, weights) = outputs["cross_attention_weights"].try_extract_tensor::<f32>().map_err(one_line)?;
        let (positions, read) = (self.positions, tokens.len());
        if logits.len() != rows.len() * *words || shape[..] != [*heads as i64, read as i64, positions as i64] {
            return Err(format!("the decoder gave {} logits and attention {:?}", logits.len(), &shape[..]));
        }
        let first = rows.first().map_or(read, |&r| r as usize);
        let attention = rows_of(weights, read, positions, first);
        let step = Step { logits: logits.chunks_exact(*words).map(<[f32]>::to_vec).collect(), attention };
        let past: Option<Vec<DynValue>> = names.new.iter().map(|n| outputs.remove(n)).collect();
        drop(outputs);
        self.past = past.ok_or("the decoder lacks a layer's cache")?;
        Ok(step)
    }

    fn forget(&mut self, count: usize) -> Result<(), String> {
        for (n, cache) in self.past.iter_mut().enumerate() {
            let (shape, values) = cache.try_extract_tensor::<f32>().map_err(one_line)?;
            // Keys have the time last, values before the channels: a head's rows of `width` are cut to `kept`.
            let [one, heads, a, b] = shape[..] else { return Err(format!("a cache has the shape {:?}", &shape[..])) };
            let (a, b, keys) = (a as usize, b as usize, n % 2 == 0);
            let time = if keys { b } else { a };
            let left = time.checked_sub(count).ok_or("more is forgotten than was read")?;
            let (width, kept) = if keys { (b, left) } else { (a * b, left * b) };
            let kept: Vec<f32> = values.chunks_exact(width.max(1)).flat_map(|row| &row[..kept]).copied().collect();
            let shape = if keys { [one, heads, a as i64, left as i64] } else { [one, heads, left as i64, b as i64] };
            *cache = Tensor::from_array((shape, kept)).map_err(one_line)?.into_dyn();
        }
        Ok(())
    }
}
