//! Streaming Paraformer, as FunASR exports it and sherpa-onnx runs it: an encoder over stacked frames,
//! integrate-and-fire, and a decoder that says all tokens of a chunk at once.
//!
//! A chunk is 61 frames of 10 ms, ten stacks of 60 ms; before it the encoder hears the eight stacks before. Of those
//! eighteen the first five and the last three fire no token: what lies in the last three is understood with the next
//! chunk.

use std::path::PathBuf;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor, TensorRef};

use super::chunks::{ChunkSize, Chunks, bands_of};
use super::cif::Cif;
use super::graph::{Graph, best, numbers, one_line, zeros};
use super::low_rate::LowRate;
use super::symbols::Symbols;
use super::transducer::check_vocabulary;
use super::{Token, hears_a_stream};
use crate::RecognizeError;
use mynah_dsp::fbank::{Fbank, HOP, Recipe};
use mynah_models::runtime::graph::count;
use mynah_models::runtime::{RuntimeError, SessionOptions};

/// The first input of the encoder: what these graphs are told by.
pub const SPEECH: &str = "speech";
/// Stacks of a chunk, and those of the eighteen that fire nothing, at both ends.
const STACKS: usize = 10;
const LEFT: usize = 5;
const RIGHT: usize = 3;
/// Tokens that are none: the blank, and the end of a sentence.
const NO_TOKENS: [usize; 2] = [0, 2];

/// The files of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// `speech`, its length → what was heard, its length, weights.
    pub encoder: PathBuf,
    /// What was heard, vectors of tokens, caches → scores, tokens, caches.
    pub decoder: PathBuf,
    /// `tokens.txt`.
    pub tokens: PathBuf,
}

/// See the top of the file.
pub struct Paraformer {
    encoder: Graph,
    decoder: Graph,
    symbols: Symbols,
    chunks: Chunks,
    chunk: Vec<f32>,
    low: LowRate,
    /// The stacks that the encoder hears next: those before a chunk, then its own.
    stacks: Vec<f32>,
    cif: Cif,
    caches: Vec<DynValue>,
    /// Sizes of a cache: numbers, and tokens that it reaches back.
    cache: [usize; 2],
    /// Tokens that the decoder scores.
    words: usize,
}

impl Paraformer {
    /// Loads the two graphs.
    pub fn open(files: &Files, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let (encoder, decoder) = (Graph::open(&files.encoder, options)?, Graph::open(&files.decoder, options)?);
        encoder.expect(2, 3, "stacked frames and their count; what was heard, its length and weights out")?;
        let (window, shift) = (encoder.number("lfr_window_size")?, encoder.number("lfr_window_shift")?);
        let (width, blocks) = (encoder.number("encoder_output_size")?, encoder.number("decoder_num_blocks")?);
        let reach = encoder.number("decoder_kernel_size")? - 1;
        decoder.expect(
            4 + blocks,
            2 + blocks,
            "what was heard, vectors of tokens, their lengths and a cache a block",
        )?;
        let (add, mut times) = (listed(&encoder, "neg_mean")?, listed(&encoder, "inv_stddev")?);
        let wide = times.len();
        let speech = encoder.sizes(0);
        if wide == 0
            || wide % (2 * window) != 0
            || window < shift
            || add.len() != wide
            || speech.last().is_some_and(|&n| n >= 0 && n != wide as i64)
        {
            let found = format!("{} and {wide} for stacks of {window} in an input {speech:?}", add.len());
            return Err(encoder.wrong("as many numbers in `neg_mean` and `inv_stddev` as a stack has", found));
        }
        times.iter_mut().for_each(|x| *x *= (width as f32).sqrt());
        let low = LowRate::new(window, shift, add, times);
        let symbols = Symbols::read_joined(&files.tokens)?;
        let words = encoder.number("vocab_size")?;
        check_vocabulary(&symbols, words, &files.tokens)?;
        let size = ChunkSize::new(STACKS * shift + window - shift, STACKS * shift, RIGHT * shift);
        let size = size.map_err(|found| {
            encoder.wrong("stacks of some frames in `lfr_window_size` and `lfr_window_shift`", found)
        })?;
        let bands = bands_of((wide / window) as i64)
            .map_err(|found| encoder.wrong("bands of a filterbank in `neg_mean`", found))?;
        let chunks = Chunks::new(size, Fbank::new(Recipe::FunAsr, bands));
        let mut paraformer = Self {
            encoder,
            decoder,
            symbols,
            chunks,
            chunk: Vec::new(),
            low,
            stacks: Vec::new(),
            cif: Cif::new(width),
            caches: Vec::new(),
            cache: [width, reach],
            words,
        };
        paraformer.begin(blocks).map_err(|why| RuntimeError::Run { path: files.decoder.clone(), why })?;
        Ok(paraformer)
    }

    fn begin(&mut self, blocks: usize) -> Result<(), String> {
        self.chunks.reset();
        self.cif.reset();
        self.stacks.clear();
        self.stacks.resize((LEFT + RIGHT) * self.low.wide(), 0.0);
        let [width, reach] = self.cache;
        count(&[blocks, width, reach])?;
        self.caches = (0..blocks).map(|_| zeros(&[1, width, reach])).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn hear(&mut self, tokens: &mut Vec<Token>) -> Result<(), String> {
        while let Some(first) = self.chunks.next(&mut self.chunk) {
            let (wide, place) = (self.low.wide(), first / self.low.shift());
            self.low.stack(&self.chunk, place, &mut self.stacks);
            let count = self.stacks.len() / wide;
            let speech = TensorRef::from_array_view(([1, count, wide], &self.stacks[..])).map_err(one_line)?;
            let length = Tensor::from_array(([1], vec![count as i32])).map_err(one_line)?;
            let heard = self.encoder.run([speech.into(), length.into()])?;
            self.stacks.drain(..(count - LEFT - RIGHT) * wide);
            let (vectors, places) = self.fire(&heard[0], &heard[2])?;
            if !places.is_empty() {
                self.say(&heard, &vectors, places.iter().map(|i| (place + i).saturating_sub(LEFT + RIGHT)), tokens)?;
            }
        }
        Ok(())
    }

    /// The vectors of the tokens that a chunk fires, and the stacks at which it does.
    fn fire(&mut self, heard: &DynValue, weights: &DynValue) -> Result<(Vec<f32>, Vec<usize>), String> {
        let (_, frames) = heard.try_extract_tensor::<f32>().map_err(one_line)?;
        let (_, weights) = weights.try_extract_tensor::<f32>().map_err(one_line)?;
        let (frames, weights) = (numbers(frames)?, numbers(weights)?);
        if frames.len() != weights.len() * self.cache[0] {
            let found = format!("{} numbers and {} weights", frames.len(), weights.len());
            return Err(format!("the encoder gave {found} where a frame has {} numbers and a weight", self.cache[0]));
        }
        let ends = weights.len().saturating_sub(RIGHT);
        let (mut vectors, mut places) = (Vec::new(), Vec::new());
        for (i, (frame, weight)) in frames.chunks_exact(self.cache[0]).zip(weights).enumerate() {
            let weight = if (LEFT..ends).contains(&i) { *weight } else { 0.0 };
            if self.cif.push(frame, weight, &mut vectors) {
                places.push(i);
            }
        }
        Ok((vectors, places))
    }

    /// Has the decoder say two tokens of nothing, one after the other: silence and noise may fire none.
    fn say_nothing(&mut self) -> Result<(), String> {
        let (count, wide, width) = (LEFT + STACKS + RIGHT, self.low.wide(), self.cache[0]);
        let stacks = vec![0.0f32; count * wide];
        let speech = TensorRef::from_array_view(([1, count, wide], &stacks[..])).map_err(one_line)?;
        let length = Tensor::from_array(([1], vec![count as i32])).map_err(one_line)?;
        let heard = self.encoder.run([speech.into(), length.into()])?;
        for _ in 0..2 {
            self.say(&heard, &vec![0.0; width], std::iter::once(0), &mut Vec::new())?;
        }
        Ok(())
    }

    /// Has the decoder say the tokens of some vectors that stand at these stacks of the stream.
    fn say(
        &mut self,
        heard: &[DynValue],
        vectors: &[f32],
        places: impl Iterator<Item = usize>,
        tokens: &mut Vec<Token>,
    ) -> Result<(), String> {
        let [width, reach] = self.cache;
        let count = vectors.len() / width;
        let embeds = TensorRef::from_array_view(([1, count, width], vectors)).map_err(one_line)?;
        let length = Tensor::from_array(([1], vec![count as i32])).map_err(one_line)?;
        let mut inputs: Vec<SessionInputValue> =
            vec![(&heard[0]).into(), (&heard[1]).into(), embeds.into(), length.into()];
        inputs.extend(self.caches.iter().map(SessionInputValue::from));
        let mut said = self.decoder.run(inputs)?;
        self.caches =
            said.split_off(2).into_iter().map(|cache| last_columns(cache, reach)).collect::<Result<_, _>>()?;
        let (shape, scores) = said[0].try_extract_tensor::<f32>().map_err(one_line)?;
        if shape.last().is_none_or(|&n| n != self.words as i64) {
            return Err(format!("the decoder gave scores {:?} where `vocab_size` is {}", &shape[..], self.words));
        }
        let seconds = (self.low.shift() * HOP) as f64 / 16_000.0;
        for (scores, place) in scores.chunks_exact(self.words).zip(places) {
            let (id, probability) = best(scores)?;
            if !NO_TOKENS.contains(&id) {
                tokens.push(Token { id, time: place as f64 * seconds, probability });
            }
        }
        Ok(())
    }
}

/// The last columns of a cache: some exports give all that they saw.
fn last_columns(cache: DynValue, reach: usize) -> Result<DynValue, String> {
    let (shape, numbers) = cache.try_extract_tensor::<f32>().map_err(one_line)?;
    let [1, rows, columns] = shape[..] else {
        return Err(format!("the decoder gave a cache {:?} where [1, width, tokens] belongs", &shape[..]));
    };
    let (rows, columns) = (rows.max(0) as usize, columns.max(0) as usize);
    let kept: Vec<f32> = match columns > reach {
        true => numbers.chunks_exact(columns).flat_map(|row| &row[columns - reach..]).copied().collect(),
        false => return Ok(cache),
    };
    Tensor::from_array(([1, rows, reach], kept)).map(Tensor::into_dyn).map_err(one_line)
}

/// Numbers with commas between them in the metadata.
fn listed(graph: &Graph, key: &str) -> Result<Vec<f32>, RuntimeError> {
    let told = graph.text(key);
    let numbers: Option<Vec<f32>> =
        told.split(',').map(|n| n.trim().parse().ok().filter(|x: &f32| x.is_finite())).collect();
    numbers.ok_or_else(|| {
        graph.wrong(
            &format!("numbers `{key}` in the metadata"),
            format!("`{}`", told.chars().take(60).collect::<String>()),
        )
    })
}

hears_a_stream!(Paraformer, [], |paraformer| paraformer.begin(paraformer.caches.len()), {
    fn rehearse(&mut self) -> Result<(), RecognizeError> {
        self.say_nothing().map_err(RecognizeError::Run)
    }
});
