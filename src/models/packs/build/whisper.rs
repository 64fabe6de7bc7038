//! Whisper's encoder and decoder as ONNX graphs, from weights in CTranslate2's layout.
//!
//! Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022). The caches are laid out so that
//! no step copies or transposes what it only reads: one tensor a layer, heads first, keys with time last (what a row of
//! queries multiplies without packing).

use std::path::Path;

use super::ct2::Ct2;
use super::onnx::{Dim, FLOAT, Graph, INT64, Is};
use super::whisper_layers::Builder;
use super::whisper_products::Product;
use super::{BuildError, read, write};

/// What the weights of the large products are in the graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// Half floats, which the runtime widens while it loads: exact, and the slower way on a processor.
    Half,
    /// 8 bits. In the encoder 7 and a scale an output, and what is multiplied becomes 8 bits with one scale a run; in
    /// the decoder a scale for each 128 inputs, and what is multiplied becomes 8 bits token by token, so that a token's
    /// result doesn't depend on those beside it.
    Eight,
}

/// Builds `encoder.onnx` and `decoder.onnx` in `out_folder` from a folder with CTranslate2's `model.bin` and
/// `config.json`. `further` is a file of the same layout whose variables stand in the place of those with their names:
/// what was trained further.
///
/// With L layers, H heads of size S, M mel bins, V words:
/// - encoder: `mel` f32 [1, M, T], T even and at most 3000 → `cross_k_i` f32 [1, H, S, T/2] and `cross_v_i` f32 [1, H,
///   T/2, S], i < L;
/// - decoder: `tokens` i64 [1, n], `rows` i64 [r] (places among the n whose logits are wanted), `self_k_i` f32 [1, H,
///   S, p], `self_v_i` f32 [1, H, p, S] (p = 0 at first), `cross_k_i`, `cross_v_i` → `logits` f32 [r, V],
///   `new_self_k_i`, `new_self_v_i` with p + n positions, and `cross_attention_weights` f32 [A, n, T/2] of the A
///   alignment heads.
///
/// The decoder's metadata tell n_mels, n_audio_ctx, n_text_ctx, n_text_layer, n_text_head, n_text_state, n_vocab and
/// alignment_heads. Each file is written all or nothing. Takes about a second; any thread but the audio thread.
pub fn whisper(
    ct2_folder: &Path,
    out_folder: &Path,
    weights: Weights,
    further: Option<&Path>,
) -> Result<(), BuildError> {
    let mut net = Net::open(ct2_folder)?;
    if let Some(further) = further {
        net.file.replace(Ct2::open(further, SPEC)?)?;
    }
    let (encoder, decoder) = (net.encoder(weights)?, net.decoder(weights)?);
    write(&out_folder.join("encoder.onnx"), &encoder)?;
    write(&out_folder.join("decoder.onnx"), &decoder)
}

#[derive(serde::Deserialize)]
struct Config {
    alignment_heads: Vec<(usize, usize)>,
}

/// The name of the networks' kind in the files.
const SPEC: &str = "WhisperSpec";

/// The weights and the sizes of a network.
pub(super) struct Net {
    pub(super) file: Ct2,
    mels: usize,
    pub(super) dim: usize,
    pub(super) inner: usize,
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
        let mut alignment =
            parsed.map_err(|e| BuildError::Malformed { path: config, why: e.to_string() })?.alignment_heads;
        alignment.sort_unstable();
        let file = Ct2::open(&folder.join("model.bin"), SPEC)?;
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
            return Err(
                file.network(format!("the alignment heads {alignment:?} are not heads of {decoder_layers} layers"))
            );
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

    fn encoder(&self, weights: Weights) -> Result<Vec<u8>, BuildError> {
        let product = match weights {
            Weights::Half => Product::Half,
            Weights::Eight => Product::Columns,
        };
        let mut b = Builder::new(self, "whisper_encoder", self.encoder_heads, product);
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
            // Behind the last layer's activation a few channels are a hundred times larger than the rest, which one
            // scale can't hold.
            let second = if i + 1 == self.encoder_layers { Product::Half } else { product };
            x = b.feed_forward(&x, &layer, second)?;
        }
        let x = b.norm(&x, "encoder/layer_norm")?;
        b.heads = self.decoder_heads;
        let (one, heads, size) =
            (Dim::Fixed(1), Dim::Fixed(self.decoder_heads), Dim::Fixed(self.dim / self.decoder_heads));
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

    fn decoder(&self, weights: Weights) -> Result<Vec<u8>, BuildError> {
        let product = match weights {
            Weights::Half => Product::Half,
            Weights::Eight => Product::Blocks,
        };
        let mut b = Builder::new(self, "whisper_decoder", self.decoder_heads, product);
        let (one, heads, size) =
            (Dim::Fixed(1), Dim::Fixed(self.decoder_heads), Dim::Fixed(self.dim / self.decoder_heads));
        let tokens = b.g.input("tokens", INT64, &[Dim::Fixed(1), Dim::Free("n")]);
        let rows = b.g.input("rows", INT64, &[Dim::Free("r")]);
        for i in 0..self.decoder_layers {
            for (name, time) in [("self", "past"), ("cross", "positions")] {
                b.g.input(&format!("{name}_k_{i}"), FLOAT, &[one, heads, size, Dim::Free(time)]);
                b.g.input(&format!("{name}_v_{i}"), FLOAT, &[one, heads, Dim::Free(time), size]);
            }
        }
        let table = b.table("decoder/embeddings/weight", self.words)?;
        let x = b.look_up(&table, &tokens);
        let past = b.size("self_k_0", 3);
        let n = b.size(&tokens, 1);
        let end = b.g.op("Add", &[&past, &n], &[]);
        let x = b.positions(&x, "decoder", self.text_context, &past, &end)?;
        // The runtime computes one row in another way than several, and rounds otherwise. With a row of padding there
        // are always several, so a token's result is the same, bit for bit, whether it goes in alone or with others.
        let mut x = b.pad(&x);
        let one_more = b.g.i64s("one_more", &[1]);
        let padded = b.g.op("Add", &[&end, &one_more], &[]);
        let mask = b.mask(&past, &padded);
        let mut aligned = Vec::new();
        for i in 0..self.decoder_layers {
            let layer = format!("decoder/layer_{i}");
            let y = b.norm(&x, &format!("{layer}/self_attention/layer_norm"))?;
            let [q, k, v] = b.fused(&y, &format!("{layer}/self_attention/linear_0"))?;
            let (q, k, v) = (b.queries(&q), b.keys(&k, None), b.values(&v, None));
            let all_k = b.g.op("Concat", &[&format!("self_k_{i}"), &k], &[("axis", Is::Int(3))]);
            let all_v = b.g.op("Concat", &[&format!("self_v_{i}"), &v], &[("axis", Is::Int(2))]);
            b.first(&all_k, &end, 3, &format!("new_self_k_{i}"));
            b.first(&all_v, &end, 2, &format!("new_self_v_{i}"));
            let (y, _) = b.attend(&q, &all_k, &all_v, Some(&mask));
            let y = b.linear(&y, &format!("{layer}/self_attention/linear_1"), self.dim, self.dim)?;
            x = b.g.op("Add", &[&x, &y], &[]);

            let y = b.norm(&x, &format!("{layer}/attention/layer_norm"))?;
            let q = b.linear(&y, &format!("{layer}/attention/linear_0"), self.dim, self.dim)?;
            let q = b.queries(&q);
            let (y, weights) = b.attend(&q, &format!("cross_k_{i}"), &format!("cross_v_{i}"), None);
            let y = b.linear(&y, &format!("{layer}/attention/linear_2"), self.dim, self.dim)?;
            x = b.g.op("Add", &[&x, &y], &[]);
            x = b.feed_forward(&x, &layer, product)?;

            let chosen: Vec<i64> = self.alignment.iter().filter(|a| a.0 == i).map(|a| a.1 as i64).collect();
            if !chosen.is_empty() {
                let chosen = b.g.i64s(&format!("alignment_{i}"), &chosen);
                aligned.push(b.g.op("Gather", &[&weights, &chosen], &[("axis", Is::Int(1))]));
            }
        }
        let first = b.g.i64s("first", &[0]);
        let x = b.g.op("Gather", &[&x, &rows], &[("axis", Is::Int(1))]);
        let x = b.norm(&x, "decoder/layer_norm")?;
        let x = b.pad(&x);
        let x = b.g.op("Squeeze", &[&x, &first], &[]);
        let scores = b.scores(&x, &table);
        let count = b.size(&rows, 0);
        b.first(&scores, &count, 0, "logits");
        b.g.output("logits", FLOAT, &[Dim::Free("r"), Dim::Fixed(self.words)]);
        let aligned: Vec<&str> = aligned.iter().map(String::as_str).collect();
        let aligned = b.g.op("Concat", &aligned, &[("axis", Is::Int(1))]);
        let aligned = b.g.op("Squeeze", &[&aligned, &first], &[]);
        b.first(&aligned, &n, 1, "cross_attention_weights");
        b.g.output(
            "cross_attention_weights",
            FLOAT,
            &[Dim::Fixed(self.alignment.len()), Dim::Free("n"), Dim::Free("positions")],
        );
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
