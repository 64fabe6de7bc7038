//! The Moonshine family: a buffer of speech becomes words with times. Knows nothing of streaming policies, threads or
//! packs.
//!
//! v2 ([`streaming`]) hears a buffer that grows without hearing again what it has heard; its decoder is a language
//! model over all of the buffer, so what it says at the end may change, and the policies of [`super::stream`] decide
//! when it may not. v1 ([`whole`]) hears each buffer anew. Both read a buffer as long as it is: no silence has to
//! follow, as Whisper wants. They know no text before the buffer.

mod decode;
mod ear;
pub mod files;
mod streaming;
mod vocabulary;
mod whole;
mod words;

use decode::{Language, Told, decode};
use vocabulary::Vocabulary;

use super::whisper::bias::Bias;
use super::whisper::memory::{Memory, Spelt};
use super::{Heard, Hearing, RecognizeError, Recognizer, Word};
use mynah_models::runtime::RuntimeError;

/// The most that is heard of a buffer, in samples at 16 kHz.
const LONGEST: usize = 30 * 16_000;

/// A model of one of the layouts.
trait Model: Language + Send {
    /// Hears a buffer (16 kHz mono, ±1); what is read next begins anew with its sound. How many positions it has; 0
    /// where it is too short to be heard.
    fn listen(&mut self, samples: &[f32]) -> Result<usize, String>;

    fn measure(&self) -> Measure;
}

/// What a model's positions and tokens come to.
#[derive(Debug, Clone, Copy)]
struct Measure {
    /// Samples of a position.
    position: usize,
    /// The most tokens that it can say.
    room: usize,
}

/// A Moonshine model with its vocabulary. One thread at a time; a run takes a part of a second.
pub struct Moonshine {
    model: Box<dyn Model>,
    vocabulary: Vocabulary,
    memory: Memory,
    bias: Bias,
    /// The tokens of the last hypothesis.
    said: Vec<usize>,
}

impl Moonshine {
    /// Opens the files of one of the layouts, as [`files::known`] found them. Takes some seconds; any thread but the
    /// audio thread.
    pub fn open(layout: &files::Layout, file: impl Fn(&str) -> std::path::PathBuf) -> Result<Self, RuntimeError> {
        let tokens = vocabulary::NAMES
            .map(&file)
            .into_iter()
            .find(|path| path.is_file())
            .unwrap_or_else(|| file(vocabulary::NAMES[0]));
        let (model, words): (Box<dyn Model>, _) = match layout {
            files::Layout::Streaming => {
                let model = streaming::Streaming::open(&file)?;
                let words = model.words();
                (Box::new(model), Some(words))
            }
            files::Layout::Four => (Box::new(whole::Four::open(&file)?), None),
            files::Layout::Merged => (Box::new(whole::Merged::open(&file)?), None),
        };
        Ok(Self {
            model,
            vocabulary: Vocabulary::open(&tokens, words)?,
            memory: Memory::default(),
            bias: Bias::default(),
            said: Vec::new(),
        })
    }

    /// The tokens of the last hypothesis, those of settled words among them.
    pub fn tokens(&self) -> &[usize] {
        &self.said
    }

    /// Has the decoder read tokens behind others, and others where it forgot: silence and noise may end with the first.
    fn say_nothing(&mut self) -> Result<(), String> {
        if self.model.listen(&[0.0; 16_000])? == 0 {
            return Err("it hears nothing in a second".to_owned());
        }
        self.model.read(&[decode::BEGIN as i64], 1)?;
        let first = self.model.read(&[decode::END as i64], 1)?;
        if self.model.forgets() {
            self.model.forget(1)?;
        }
        let words = first.logits.first().map_or(0, Vec::len);
        if words > self.vocabulary.len() {
            return Err(format!("it scores {words} tokens where its vocabulary has {}", self.vocabulary.len()));
        }
        self.model.read(&[decode::END as i64], 1).map(drop)
    }

    fn listen(&mut self, hearing: &Hearing) -> Result<Heard, String> {
        let samples = &hearing.samples[..hearing.samples.len().min(LONGEST)];
        self.said.clear();
        let positions = self.model.listen(samples)?;
        if positions == 0 {
            return Ok(Heard::default());
        }
        let mut spelt = self.memory.settled(hearing.settled, |word| self.vocabulary.spell(word))?;
        let forced: Vec<usize> = spelt.iter().flat_map(|w| &w.tokens).copied().collect();
        let draft = self.memory.draft(hearing.prompt, hearing.settled);
        let Measure { position, room } = self.model.measure();
        let seconds = (positions * position) as f64 / 16_000.0;
        let told = Told { forced: &forced, draft: &draft, bias: &self.bias };
        let said = decode(&mut *self.model, &self.vocabulary, told, seconds, room)?;
        let settled = hearing.settled.last().map_or(0.0, |w: &Word| w.end);
        let words = words::words(&self.vocabulary, &said, settled, position, samples);
        spelt.extend(words.iter().map(|w| Spelt { text: w.heard.word.text.clone(), tokens: w.tokens.clone() }));
        self.memory.keep(spelt);
        self.said = said.tokens;
        Ok(Heard { words: words.into_iter().map(|w| w.heard).collect(), doubtful: said.runaway })
    }
}

impl Recognizer for Moonshine {
    fn hear(&mut self, hearing: &Hearing) -> Result<Heard, RecognizeError> {
        self.listen(hearing).map_err(RecognizeError::Run)
    }

    fn rehearse(&mut self) -> Result<(), RecognizeError> {
        self.say_nothing().map_err(RecognizeError::Run)
    }

    fn expect(&mut self, phrases: &[String]) -> Result<(), RecognizeError> {
        let spelt: Result<Vec<_>, _> = phrases.iter().map(|p| self.vocabulary.spell(p)).collect();
        self.bias = Bias::new(spelt.map_err(RecognizeError::Run)?);
        Ok(())
    }
}
