//! The network of the family `mynah` in Rust: floats over weights of eight bits, the same numbers as the pack's graphs
//! give. Knows features and filters, no sound and no ONNX Runtime.
//!
//! It works on up to [`FRAMES`] frames at a time, so that these share the work of widening a weight; longer calls are
//! cut. Since every number is made by the same operations in the same order however many frames share a call, the bits
//! of a frame do not depend on how a stream is cut. The voice is told in `set_speaker`: what follows from it is the
//! same in every frame and is computed once. Allocation-free after `new` for calls that are no longer than the longest
//! before.

mod activation;
mod bands;
mod block;
mod file;
mod gru;
mod isa;
mod matrix;
#[cfg(test)]
mod tests;
mod weights;

use std::path::Path;
use std::sync::Arc;

use self::activation::{exp_all, gelu_all, log2, tanh_all};
use self::block::{Block, Scratch, normalise};
use self::gru::Gru;
pub use self::isa::Isa;
use self::isa::for_every_isa;
use self::matrix::{FRAMES, Matrix, stride};
use self::weights::{JOINED, PITCH, Path2, Weights};
use super::graph::EMBEDDING;
use super::heard::{BANDS, BINS};
use mynah_models::runtime::RuntimeError;
use mynah_realtime::clock::Mode;

/// Pitch from here on is voiced, and that of which the decoder counts octaves, in Hz.
const LOWEST: f32 = 40.0;
const MIDDLE: f32 = 180.0;
/// What is taken from the logs of the harmonic and of the noise filter.
const LESS: [f32; 2] = [1.0, 3.0];
/// What the wide path has of the verifier's vector.
const WIDE: f32 = 16.0;

/// The network in a mode, with the past of its stream and a voice.
pub struct Network {
    isa: Isa,
    weights: Arc<Weights>,
    lookahead: usize,
    /// What the mode adds behind the first layer.
    added: Vec<f32>,
    encoder: Vec<Block>,
    decoder: Vec<Block>,
    recurrent: Gru,
    /// The last frames that went into the decoder, and those of a call behind them: [`JOINED`] − 1 and up to
    /// [`FRAMES`].
    joined: Vec<f32>,
    /// `1 + scale` and shift before the last layer, and what is added behind it: the voice's.
    last: [Vec<f32>; 2],
    tint: Vec<f32>,
    mel: Vec<f32>,
    x: Vec<f32>,
    content: Vec<f32>,
    /// Factor and summand of a norm that is nothing but one.
    as_it_is: [Vec<f32>; 2],
    logs: Vec<f32>,
    scratch: Scratch,
}

impl Network {
    /// Reads the weights where nobody has them yet, and gives the network with nothing in its past and the voice of
    /// zeros. Any thread but the audio thread.
    pub fn open(path: &Path, mode: Mode) -> Result<Self, RuntimeError> {
        Self::open_with(path, mode, Isa::best())
    }

    /// The same with other instructions of this processor, which change its speed alone.
    pub fn open_with(path: &Path, mode: Mode, isa: Isa) -> Result<Self, RuntimeError> {
        Ok(Self::new(Weights::of(path)?, mode, isa))
    }

    fn new(weights: Arc<Weights>, mode: Mode, isa: Isa) -> Self {
        let w = &*weights;
        let (row, about) = (stride(w.width.max(w.encoder.width)), w.mode(mode));
        let blocks = || w.encoder.blocks.iter().chain(&w.decoder);
        let hidden = blocks().map(|b| b.widen.stride()).max().unwrap_or(0);
        let taps = blocks().map(|b| b.taps.len() / b.bias.len()).max().unwrap_or(0);
        let mut network = Self {
            isa,
            lookahead: about.lookahead,
            added: about.added.clone(),
            encoder: w
                .encoder
                .blocks
                .iter()
                .zip(&about.ahead)
                .map(|(b, &ahead)| Block::new(b, w.encoder.width, ahead))
                .collect(),
            decoder: w.decoder.iter().map(|b| Block::new(b, w.width, 0)).collect(),
            recurrent: Gru::new(&w.recurrent),
            joined: vec![0.0; (JOINED - 1 + FRAMES) * (w.encoder.content_width + PITCH)],
            last: [vec![0.0; stride(w.width)], vec![0.0; stride(w.width)]],
            tint: vec![0.0; w.tint.stride()],
            mel: vec![0.0; FRAMES * BANDS],
            x: vec![0.0; FRAMES * row],
            content: vec![0.0; FRAMES * w.encoder.content.stride()],
            as_it_is: [vec![1.0; w.encoder.content.stride()], vec![0.0; w.encoder.content.stride()]],
            logs: vec![0.0; FRAMES * w.head.stride()],
            scratch: Scratch::new(row, hidden, taps),
            weights,
        };
        network.set_speaker(&vec![0.0; EMBEDDING + super::graph::TIMBRE]);
        network
    }

    /// Frames that filters lag behind the mel bands of their frames.
    pub fn lookahead(&self) -> usize {
        self.lookahead
    }

    /// Forgets all frames; the voice stays.
    pub fn reset(&mut self) {
        self.encoder.iter_mut().chain(&mut self.decoder).for_each(Block::reset);
        self.recurrent.reset();
        self.joined.fill(0.0);
    }

    /// Takes another voice from the next frame on: the verifier's vector, then the timbre. Allocates; a million
    /// products.
    pub fn set_speaker(&mut self, speaker: &[f32]) {
        let (w, isa) = (self.weights.clone(), self.isa);
        let (vector, timbre) = speaker.split_at(EMBEDDING);
        let path = |[inner, outer]: &Path2, vector: &[f32]| {
            let mut between = whole(isa, inner, vector);
            gelu_all(isa, &mut between);
            whole(isa, outer, &between)[..outer.outputs()].to_vec()
        };
        let wide: Vec<f32> = vector.iter().map(|v| v * WIDE).collect();
        let told = [path(&w.narrow_voice, vector), path(&w.wide_voice, &wide), timbre.to_vec()].concat();
        for (block, weights) in self.decoder.iter_mut().zip(&w.decoder) {
            if let Some(modulate) = &weights.modulate {
                block.modulate(weights, &whole(isa, modulate, &told)[..2 * w.width]);
            }
        }
        let last = whole(isa, &w.last_modulate, &told);
        let (scale, shift) = last[..2 * w.width].split_at(w.width);
        self.last[0].iter_mut().zip(scale).for_each(|(x, s)| *x = 1.0 + s);
        self.last[1].iter_mut().zip(shift).for_each(|(x, s)| *x = *s);
        self.tint.copy_from_slice(&whole(isa, &w.tint, &told));
    }

    /// Runs frames: `mel` has `BANDS` numbers of each, `f0` and `energy` are those of the frames that come out;
    /// `harmonic` and `noise` get `BINS` numbers of each, magnitudes.
    pub fn run(&mut self, mel: &[f32], f0: &[f32], energy: &[f32], harmonic: &mut [f32], noise: &mut [f32]) {
        let inputs = mel.chunks(FRAMES * BANDS).zip(f0.chunks(FRAMES).zip(energy.chunks(FRAMES)));
        let outputs = harmonic.chunks_mut(FRAMES * BINS).zip(noise.chunks_mut(FRAMES * BINS));
        for ((mel, (f0, energy)), (harmonic, noise)) in inputs.zip(outputs) {
            self.encode(mel, f0.len());
            self.decode(f0, energy);
            let (bands, row) = (&self.weights.bands, self.weights.head.stride());
            let points = bands.points();
            let filters = harmonic.chunks_exact_mut(BINS).zip(noise.chunks_exact_mut(BINS));
            for (logs, (harmonic, noise)) in self.logs.chunks_exact_mut(row).zip(filters) {
                for ((points, less), bins) in logs.chunks_exact_mut(points).zip(LESS).zip([harmonic, noise]) {
                    exp_all(self.isa, points, less);
                    bands.apply(self.isa, points, bins);
                }
            }
        }
    }

    /// The content of `n` frames: of mean 0 and variance 1 over its numbers, or in −1 to 1.
    fn encode(&mut self, mel: &[f32], n: usize) {
        let (w, isa) = (&self.weights.encoder, self.isa);
        let row = stride(w.width);
        self.mel.iter_mut().zip(mel).for_each(|(x, mel)| *x = (mel + 5.0) * 0.25);
        w.enter.apply(isa, &self.mel, BANDS, n, &mut self.x);
        for x in self.x.chunks_exact_mut(row).take(n) {
            x.iter_mut().zip(&self.added).for_each(|(x, added)| *x += added);
        }
        for (block, weights) in self.encoder.iter_mut().zip(&w.blocks) {
            block.run(isa, weights, &mut self.x, n, &mut self.scratch);
        }
        if let Some([gain, shift]) = &w.norm {
            self.x.chunks_exact_mut(row).take(n).for_each(|x| normalise(isa, x, w.width, gain, shift));
        }
        w.content.apply(isa, &self.x, row, n, &mut self.content);
        if w.norm.is_some() {
            let [gain, shift] = &self.as_it_is;
            self.content
                .chunks_exact_mut(w.content.stride())
                .take(n)
                .for_each(|x| normalise(isa, x, w.content_width, gain, shift));
        } else {
            tanh_all(isa, &mut self.content[..n * w.content.stride()]);
        }
    }

    /// The logs of the filters at mel-spaced points, of the frames whose content was made last.
    fn decode(&mut self, f0: &[f32], energy: &[f32]) {
        let (w, isa, row, n) = (&*self.weights, self.isa, stride(self.weights.width), f0.len());
        let content_width = w.encoder.content_width;
        let seen = content_width + PITCH;
        let fresh = self.joined[(JOINED - 1) * seen..].chunks_exact_mut(seen);
        for (t, (fresh, content)) in
            fresh.zip(self.content.chunks_exact(w.encoder.content.stride())).take(n).enumerate()
        {
            let (content, pitch) = (&content[..content_width], pitch(f0[t], energy[t]));
            let (first, last) = fresh.split_at_mut(content_width);
            first.copy_from_slice(content);
            last.copy_from_slice(&pitch);
        }
        w.join.apply(isa, &self.joined, seen, n, &mut self.x);
        self.joined.copy_within(n * seen..(n + JOINED - 1) * seen, 0);
        for (i, (block, weights)) in self.decoder.iter_mut().zip(&w.decoder).enumerate() {
            if i == w.recurrent_at {
                self.recurrent.run(isa, &w.recurrent, &mut self.x, row, n);
            }
            block.run(isa, weights, &mut self.x, n, &mut self.scratch);
        }
        for x in self.x.chunks_exact_mut(row).take(n) {
            scale_and_shift(isa, x, &self.last[0], &self.last[1]);
        }
        w.head.apply(isa, &self.x, row, n, &mut self.logs);
        for logs in self.logs.chunks_exact_mut(w.head.stride()).take(n) {
            logs.iter_mut().zip(&self.tint).for_each(|(log, tint)| *log += tint);
        }
    }
}

/// For fuzzing: any bytes as a file of weights.
pub(super) fn fuzz(data: &[u8]) {
    if let Err(e) = Weights::read(Path::new("voice.safetensors"), data) {
        assert!(!e.to_string().contains('\n'), "an error is one sentence: {e}");
    }
}

/// What the decoder is told of a frame's pitch and energy.
fn pitch(f0: f32, energy: f32) -> [f32; PITCH] {
    let voiced = if f0 > LOWEST { 1.0 } else { 0.0 };
    let octaves = if f0 > LOWEST { log2(f0 / MIDDLE) } else { 0.0 };
    [octaves, voiced, energy / 4.0, octaves * octaves]
}

/// The product with one row, `stride()` long.
fn whole(isa: Isa, matrix: &Matrix, x: &[f32]) -> Vec<f32> {
    let mut made = vec![0.0; matrix.stride()];
    matrix.apply(isa, x, x.len(), 1, &mut made);
    made
}

for_every_isa! {
    fn scale_and_shift(x: &mut [f32], scale: &[f32], shift: &[f32]) {
        for (x, (scale, shift)) in x.iter_mut().zip(scale.iter().zip(shift)) {
            *x = x.mul_add(*scale, *shift);
        }
    }
}
