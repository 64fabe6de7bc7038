//! Whisper's encoder and decoder as ONNX graphs, from weights in CTranslate2's layout.
//!
//! Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022). The caches are laid out so that no step copies or
//! transposes what it only reads: one tensor a layer, heads first, keys with time last (what a row of queries multiplies without packing).
//! Weights stay half floats in the file; the runtime widens them once, while it loads.

use std::path::Path;

use super::ct2::Ct2;
use super::onnx::{Dim, FLOAT, Graph, INT64, Is};
use super::{BuildError, read, write};

/// Builds `encoder.onnx` and `decoder.onnx` in `out_folder` from a folder with CTranslate2's `model.bin` and `config.json`.
///
/// With L layers, H heads of size S, M mel bins, V words:
/// - encoder: `mel` f32 [1, M, T], T even and at most 3000 → `cross_k_i` f32 [1, H, S, T/2] and `cross_v_i` f32 [1, H, T/2, S], i < L;
/// - decoder: `tokens` i64 [1, n], `self_k_i` f32 [1, H, S, p], `self_v_i` f32 [1, H, p, S] (p = 0 at first), `cross_k_i`, `cross_v_i`
///   → `logits` f32 [1, V] of the last token, `new_self_k_i`, `new_self_v_i` with p + n positions, and `cross_attention_weights`
///   f32 [A, n, T/2] of the A alignment heads.
///
/// The decoder's metadata tell n_mels, n_audio_ctx, n_text_ctx, n_text_layer, n_text_head, n_text_state, n_vocab and alignment_heads.
/// Each file is written all or nothing. Takes about a second; any thread but the audio thread.
pub fn whisper(ct2_folder: &Path, out_folder: &Path) -> Result<(), BuildError> {
    let net = Net::open(ct2_folder)?;
    let (encoder, decoder) = (net.encoder()?, net.decoder()?);
    write(&out_folder.join("encoder.onnx"), &encoder)?;
    write(&out_folder.join("decoder.onnx"), &decoder)
}

#[derive(serde::Deserialize)]
struct Config {
    alignment_heads: Vec<(usize, usize)>,
}

struct Net {
    file: Ct2,
    mels: usize,
    dim: usize,
    inner: usize,
    audio_context: usize,
    text_context: usize,
    words: usize,
    encoder_heads: usize,
    decoder_heads: usize,
    encoder_layers: usize,
    decoder_layers: usize,
    /// Layer and head, in order.
    alignment: Vec<(usize, usize)>,
}

impl Net {
    fn open(folder: &Path) -> Result<Self, BuildError> {
        let config = folder.join("config.json");
        let parsed: Result<Config, _> = serde_json::from_slice(&read(&config)?);
        let mut alignment = parsed.map_err(|e| BuildError::Malformed { path: config, why: e.to_string() })?.alignment_heads;
        alignment.sort_unstable();
        let file = Ct2::open(&folder.join("model.bin"), "WhisperSpec")?;
        let [dim, mels, _] = file.shape("encoder/conv1/weight")?;
        let [audio_context, _] = file.shape("encoder/position_encodings/encodings")?;
        let [text_context, _] = file.shape("decoder/position_encodings/encodings")?;
        let [words, _] = file.shape("decoder/embeddings/weight")?;
        let [inner, _] = file.shape("encoder/layer_0/ffn/linear_0/weight")?;
        let count = |side: &str| (0..).take_while(|i| file.has(&format!("{side}/layer_{i}/"))).count();
        let (encoder_layers, decoder_layers) = (count("encoder"), count("decoder"));
        let heads = |side: &str| {
            let heads = file.number(&format!("{side}/num_heads"))?;
            usize::try_from(heads)
                .ok()
                .filter(|&h| h > 0 && dim % h == 0)
                .ok_or_else(|| file.network(format!("{heads} heads do not share {dim} channels")))
        };
        let (encoder_heads, decoder_heads) = (heads("encoder")?, heads("decoder")?);
        if alignment.is_empty() || alignment.iter().any(|&(l, h)| l >= decoder_layers || h >= decoder_heads) {
            return Err(file.network(format!("the alignment heads {alignment:?} are not heads of {decoder_layers} layers")));
        }
        Ok(Self {
            mels,
            dim,
            inner,
            audio_context,
            text_context,
            words,
            encoder_heads,
            decoder_heads,
            encoder_layers,
            decoder_layers,
            alignment,
            file,
        })
    }

    fn encoder(&self) -> Result<Vec<u8>, BuildError> {
        let mut b = Builder::new(self, "whisper_encoder", self.encoder_heads);
        let mel = b.g.input("mel", FLOAT, &[Dim::Fixed(1), Dim::Fixed(self.mels), Dim::Free("frames")]);
        let x = b.convolution(&mel, "encoder/conv1", self.mels, 1)?;
        let x = b.convolution(&x, "encoder/conv2", self.dim, 2)?;
        let x = b.g.op("Transpose", &[&x], &[("perm", Is::Ints(&[0, 2, 1]))]);
        let length = b.size(&x, 1);
        let zero = b.g.i64s("zero", &[0]);
        let mut x = b.positions(&x, "encoder", self.audio_context, &zero, &length)?;
        for i in 0..self.encoder_layers {
            let layer = format!("encoder/layer_{i}");
            let y = b.norm(&x, &format!("{layer}/self_attention/layer_norm"))?;
            let [q, k, v] = b.fused(&y, &format!("{layer}/self_attention/linear_0"))?;
            let (q, k, v) = (b.queries(&q), b.keys(&k, None), b.values(&v, None));
            let (y, _) = b.attend(&q, &k, &v, None);
            let y = b.linear(&y, &format!("{layer}/self_attention/linear_1"), self.dim, self.dim)?;
            x = b.g.op("Add", &[&x, &y], &[]);
            x = b.feed_forward(&x, &layer)?;
        }
        let x = b.norm(&x, "encoder/layer_norm")?;
        b.heads = self.decoder_heads;
        let (one, heads, size) = (Dim::Fixed(1), Dim::Fixed(self.decoder_heads), Dim::Fixed(self.dim / self.decoder_heads));
        for i in 0..self.decoder_layers {
            let [k, v] = b.fused(&x, &format!("decoder/layer_{i}/attention/linear_1"))?;
            let (k_name, v_name) = (format!("cross_k_{i}"), format!("cross_v_{i}"));
            b.keys(&k, Some(&k_name));
            b.values(&v, Some(&v_name));
            b.g.output(&k_name, FLOAT, &[one, heads, size, Dim::Free("positions")]);
            b.g.output(&v_name, FLOAT, &[one, heads, Dim::Free("positions"), size]);
        }
        Ok(b.g.bytes())
    }

    fn decoder(&self) -> Result<Vec<u8>, BuildError> {
        let mut b = Builder::new(self, "whisper_decoder", self.decoder_heads);
        let (one, heads, size) = (Dim::Fixed(1), Dim::Fixed(self.decoder_heads), Dim::Fixed(self.dim / self.decoder_heads));
        let tokens = b.g.input("tokens", INT64, &[Dim::Fixed(1), Dim::Free("n")]);
        for i in 0..self.decoder_layers {
            for (name, time) in [("self", "past"), ("cross", "positions")] {
                b.g.input(&format!("{name}_k_{i}"), FLOAT, &[one, heads, size, Dim::Free(time)]);
                b.g.input(&format!("{name}_v_{i}"), FLOAT, &[one, heads, Dim::Free(time), size]);
            }
        }
        let table = b.halves("decoder/embeddings/weight", &[self.words, self.dim])?;
        let x = b.g.op("Gather", &[&table, &tokens], &[]);
        let x = b.widen(&x);
        let past = b.size("self_k_0", 3);
        let n = b.size(&tokens, 1);
        let end = b.g.op("Add", &[&past, &n], &[]);
        let mut x = b.positions(&x, "decoder", self.text_context, &past, &end)?;
        let mask = b.mask(&past, &end);
        let mut aligned = Vec::new();
        for i in 0..self.decoder_layers {
            let layer = format!("decoder/layer_{i}");
            let y = b.norm(&x, &format!("{layer}/self_attention/layer_norm"))?;
            let [q, k, v] = b.fused(&y, &format!("{layer}/self_attention/linear_0"))?;
            let (q, k, v) = (b.queries(&q), b.keys(&k, None), b.values(&v, None));
            let (all_k, all_v) = (format!("new_self_k_{i}"), format!("new_self_v_{i}"));
            b.g.named("Concat", &[&format!("self_k_{i}"), &k], &[&all_k], &[("axis", Is::Int(3))]);
            b.g.named("Concat", &[&format!("self_v_{i}"), &v], &[&all_v], &[("axis", Is::Int(2))]);
            let (y, _) = b.attend(&q, &all_k, &all_v, Some(&mask));
            let y = b.linear(&y, &format!("{layer}/self_attention/linear_1"), self.dim, self.dim)?;
            x = b.g.op("Add", &[&x, &y], &[]);

            let y = b.norm(&x, &format!("{layer}/attention/layer_norm"))?;
            let q = b.linear(&y, &format!("{layer}/attention/linear_0"), self.dim, self.dim)?;
            let q = b.queries(&q);
            let (y, weights) = b.attend(&q, &format!("cross_k_{i}"), &format!("cross_v_{i}"), None);
            let y = b.linear(&y, &format!("{layer}/attention/linear_2"), self.dim, self.dim)?;
            x = b.g.op("Add", &[&x, &y], &[]);
            x = b.feed_forward(&x, &layer)?;

            let chosen: Vec<i64> = self.alignment.iter().filter(|a| a.0 == i).map(|a| a.1 as i64).collect();
            if !chosen.is_empty() {
                let chosen = b.g.i64s(&format!("alignment_{i}"), &chosen);
                aligned.push(b.g.op("Gather", &[&weights, &chosen], &[("axis", Is::Int(1))]));
            }
        }
        let last = b.g.i64_scalar("last", -1);
        let x = b.g.op("Gather", &[&x, &last], &[("axis", Is::Int(1))]);
        let x = b.norm(&x, "decoder/layer_norm")?;
        let wide = b.widen(&table);
        b.g.named("Gemm", &[&x, &wide], &["logits"], &[("transB", Is::Int(1))]);
        b.g.output("logits", FLOAT, &[Dim::Fixed(1), Dim::Fixed(self.words)]);
        let aligned: Vec<&str> = aligned.iter().map(String::as_str).collect();
        let aligned = b.g.op("Concat", &aligned, &[("axis", Is::Int(1))]);
        let first = b.g.i64s("first", &[0]);
        b.g.named("Squeeze", &[&aligned, &first], &["cross_attention_weights"], &[]);
        b.g.output("cross_attention_weights", FLOAT, &[Dim::Fixed(self.alignment.len()), Dim::Free("n"), Dim::Free("positions")]);
        for i in 0..self.decoder_layers {
            b.g.output(&format!("new_self_k_{i}"), FLOAT, &[one, heads, size, Dim::Free("end")]);
            b.g.output(&format!("new_self_v_{i}"), FLOAT, &[one, heads, Dim::Free("end"), size]);
        }
        self.describe(&mut b.g);
        Ok(b.g.bytes())
    }

    fn describe(&self, g: &mut Graph) {
        let heads: Vec<_> = self.alignment.iter().map(|(l, h)| format!("{l}:{h}")).collect();
        g.metadata("n_mels", self.mels);
        g.metadata("n_audio_ctx", self.audio_context);
        g.metadata("n_text_ctx", self.text_context);
        g.metadata("n_text_layer", self.decoder_layers);
        g.metadata("n_text_head", self.decoder_heads);
        g.metadata("n_text_state", self.dim);
        g.metadata("n_vocab", self.words);
        g.metadata("alignment_heads", heads.join(","));
    }
}

/// A graph with the parts that encoder and decoder share.
struct Builder<'a> {
    net: &'a Net,
    g: Graph,
    heads: usize,
    /// Constants that every layer shares.
    shapes: [String; 2],
    numbers: [String; 4],
}

impl<'a> Builder<'a> {
    fn new(net: &'a Net, name: &str, heads: usize) -> Self {
        let mut g = Graph::new(name);
        let size = net.dim / heads;
        // In a Reshape a 0 keeps the size that is there.
        let shapes = [g.i64s("split_heads", &[0, 0, heads as i64, size as i64]), g.i64s("join_heads", &[0, 0, net.dim as i64])];
        let scale = (size as f32).sqrt().recip();
        let numbers =
            [("scale", scale), ("root_two", std::f32::consts::SQRT_2), ("one", 1.0), ("half", 0.5)].map(|(n, v)| g.f32_scalar(n, v));
        Self { net, g, heads, shapes, numbers }
    }

    /// A variable as half floats in the graph.
    fn halves(&mut self, name: &str, shape: &[usize]) -> Result<String, BuildError> {
        let raw = self.net.file.halves(name, shape)?;
        Ok(self.g.f16s(name, shape, raw))
    }

    fn widen(&mut self, x: &str) -> String {
        self.g.op("Cast", &[x], &[("to", Is::Int(FLOAT.into()))])
    }

    fn floats(&mut self, name: &str, shape: &[usize]) -> Result<String, BuildError> {
        let values = self.net.file.floats(name, shape)?;
        Ok(self.g.f32s(name, shape, &values))
    }

    /// One size of a value, as a vector of one.
    fn size(&mut self, x: &str, axis: i64) -> String {
        self.g.op("Shape", &[x], &[("start", Is::Int(axis)), ("end", Is::Int(axis + 1))])
    }

    fn convolution(&mut self, x: &str, name: &str, inputs: usize, stride: i64) -> Result<String, BuildError> {
        let weight = self.halves(&format!("{name}/weight"), &[self.net.dim, inputs, 3])?;
        let weight = self.widen(&weight);
        let bias = self.floats(&format!("{name}/bias"), &[self.net.dim])?;
        let attributes = [("pads", Is::Ints(&[1, 1])), ("strides", Is::Ints(&[stride])), ("kernel_shape", Is::Ints(&[3]))];
        let y = self.g.op("Conv", &[x, &weight, &bias], &attributes);
        Ok(self.gelu(&y))
    }

    /// The exact form; the runtime knows this pattern and computes it in one go.
    fn gelu(&mut self, x: &str) -> String {
        let [_, root_two, one, half] = self.numbers.clone();
        let y = self.g.op("Div", &[x, &root_two], &[]);
        let y = self.g.op("Erf", &[&y], &[]);
        let y = self.g.op("Add", &[&y, &one], &[]);
        let y = self.g.op("Mul", &[x, &y], &[]);
        self.g.op("Mul", &[&y, &half], &[])
    }

    fn positions(&mut self, x: &str, side: &str, context: usize, from: &str, to: &str) -> Result<String, BuildError> {
        let table = self.floats(&format!("{side}/position_encodings/encodings"), &[context, self.net.dim])?;
        let axis = self.g.i64s("time", &[0]);
        let rows = self.g.op("Slice", &[&table, from, to, &axis], &[]);
        Ok(self.g.op("Add", &[x, &rows], &[]))
    }

    fn norm(&mut self, x: &str, name: &str) -> Result<String, BuildError> {
        let gamma = self.floats(&format!("{name}/gamma"), &[self.net.dim])?;
        let beta = self.floats(&format!("{name}/beta"), &[self.net.dim])?;
        Ok(self.g.op("LayerNormalization", &[x, &gamma, &beta], &[("axis", Is::Int(-1)), ("epsilon", Is::Float(1e-5))]))
    }

    fn linear(&mut self, x: &str, name: &str, inputs: usize, outputs: usize) -> Result<String, BuildError> {
        let weight = format!("{name}/weight");
        let raw = self.net.file.halves(&weight, &[outputs, inputs])?;
        // The file has a row an output; MatMul wants a row an input.
        let turned = (0..inputs)
            .flat_map(|i| (0..outputs).flat_map(move |o| [2 * (o * inputs + i), 2 * (o * inputs + i) + 1]))
            .map(|b| raw[b])
            .collect();
        let weight = self.g.f16s(&weight, &[inputs, outputs], turned);
        let weight = self.widen(&weight);
        let bias = self.floats(&format!("{name}/bias"), &[outputs])?;
        let y = self.g.op("MatMul", &[x, &weight], &[]);
        Ok(self.g.op("Add", &[&y, &bias], &[]))
    }

    /// A layer that makes N things at once.
    fn fused<const N: usize>(&mut self, x: &str, name: &str) -> Result<[String; N], BuildError> {
        let y = self.linear(x, name, self.net.dim, N * self.net.dim)?;
        let parts = std::array::from_fn(|i| format!("{name}/part_{i}"));
        let outputs: Vec<&str> = parts.iter().map(String::as_str).collect();
        let sizes = self.g.i64s(&format!("{name}/sizes"), &[self.net.dim as i64; N]);
        self.g.named("Split", &[&y, &sizes], &outputs, &[("axis", Is::Int(-1))]);
        Ok(parts)
    }

    /// [1, n, D] → [1, H, n, S], scaled.
    fn queries(&mut self, x: &str) -> String {
        let scale = self.numbers[0].clone();
        let x = self.g.op("Mul", &[x, &scale], &[]);
        self.split(&x, &[0, 2, 1, 3], None)
    }

    /// [1, n, D] → [1, H, S, n].
    fn keys(&mut self, x: &str, name: Option<&str>) -> String {
        self.split(x, &[0, 2, 3, 1], name)
    }

    /// [1, n, D] → [1, H, n, S].
    fn values(&mut self, x: &str, name: Option<&str>) -> String {
        self.split(x, &[0, 2, 1, 3], name)
    }

    fn split(&mut self, x: &str, order: &[i64], name: Option<&str>) -> String {
        let shape = self.shapes[0].clone();
        let x = self.g.op("Reshape", &[x, &shape], &[]);
        let order = [("perm", Is::Ints(order))];
        let Some(name) = name else { return self.g.op("Transpose", &[&x], &order) };
        self.g.named("Transpose", &[&x], &[name], &order);
        name.to_owned()
    }

    /// The attended values [1, n, D] and the weights [1, H, n, positions].
    fn attend(&mut self, q: &str, k: &str, v: &str, mask: Option<&str>) -> (String, String) {
        let mut scores = self.g.op("MatMul", &[q, k], &[]);
        if let Some(mask) = mask {
            scores = self.g.op("Add", &[&scores, mask], &[]);
        }
        let weights = self.g.op("Softmax", &[&scores], &[("axis", Is::Int(-1))]);
        let y = self.g.op("MatMul", &[&weights, v], &[]);
        let y = self.g.op("Transpose", &[&y], &[("perm", Is::Ints(&[0, 2, 1, 3]))]);
        let shape = self.shapes[1].clone();
        (self.g.op("Reshape", &[&y, &shape], &[]), weights)
    }

    /// 0 where a token may look, a large negative number at the tokens after it: [end − past, end].
    fn mask(&mut self, past: &str, end: &str) -> String {
        let none = self.g.i64s("none", &[0]);
        let [past, end] = [past, end].map(|x| self.g.op("Squeeze", &[x, &none], &[]));
        let (zero, one) = (self.g.i64_scalar("from", 0), self.g.i64_scalar("step", 1));
        let rows = self.g.op("Range", &[&past, &end, &one], &[]);
        let columns = self.g.op("Range", &[&zero, &end, &one], &[]);
        let axis = self.g.i64s("column", &[1]);
        let rows = self.g.op("Unsqueeze", &[&rows, &axis], &[]);
        let later = self.g.op("Greater", &[&columns, &rows], &[]);
        let (open, shut) = (self.g.f32_scalar("open", 0.0), self.g.f32_scalar("shut", -1e9));
        self.g.op("Where", &[&later, &shut, &open], &[])
    }

    fn feed_forward(&mut self, x: &str, layer: &str) -> Result<String, BuildError> {
        let y = self.norm(x, &format!("{layer}/ffn/layer_norm"))?;
        let y = self.linear(&y, &format!("{layer}/ffn/linear_0"), self.net.dim, self.net.inner)?;
        let y = self.gelu(&y);
        let y = self.linear(&y, &format!("{layer}/ffn/linear_1"), self.net.inner, self.net.dim)?;
        Ok(self.g.op("Add", &[x, &y], &[]))
    }
}
