//! What every layout of Whisper's graphs gives: sizes, an encoder's run, a decoder's steps. Layouts are one file each;
//! decoding, alignment and words are the same for all. Knows no text.

use std::path::{Path, PathBuf};

use super::greedy::Decoding;
use super::optimum::Optimum;
use super::own::Own;
use super::ranks;
use super::sherpa::Sherpa;
use super::vocabulary::Vocabulary;
use mynah_files as files;
pub(super) use mynah_models::runtime::told::one_line;
use mynah_models::runtime::{RuntimeError, Session, SessionOptions};

/// The sizes of a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sizes {
    /// Bands of the features.
    pub(super) mels: usize,
    /// Positions of the encoder and of the decoder.
    pub(super) audio_context: usize,
    pub(super) text_context: usize,
    /// Tokens of the vocabulary.
    pub(super) words: usize,
    /// Alignment heads; 0 where the decoder gives no attention.
    pub(super) heads: usize,
    /// Whether the encoder hears its whole context only, never a part of it.
    pub(super) whole: bool,
}

/// The most that a file may say of the bands, positions, tokens and layers: far above those of any model, far below
/// what fills a machine.
const MOST: Sizes =
    Sizes { mels: 512, audio_context: 1 << 13, text_context: 1 << 13, words: 1 << 20, heads: 1 << 12, whole: false };
pub(super) const MOST_LAYERS: usize = 1 << 10;

impl Sizes {
    /// Those that a file tells, where there can be such a model.
    pub(super) fn checked(self, path: &Path) -> Result<Self, RuntimeError> {
        let pairs = [
            ("bands", self.mels, MOST.mels),
            ("positions of the encoder", self.audio_context, MOST.audio_context),
            ("positions of the decoder", self.text_context, MOST.text_context),
            ("tokens", self.words, MOST.words),
            ("heads", self.heads, MOST.heads),
        ];
        match pairs.into_iter().find(|(what, found, most)| found > most || (*found == 0 && *what != "heads")) {
            Some((what, found, most)) => Err(RuntimeError::Contract {
                path: path.to_owned(),
                expected: format!("1 to {most} {what}"),
                found: found.to_string(),
            }),
            None => Ok(self),
        }
    }
}

/// An encoder and a decoder.
pub(super) trait Graphs: Send {
    fn sizes(&self) -> &Sizes;

    /// Runs the encoder over [mels, 2 · positions] features; the decoder then starts with empty caches.
    fn hear(&mut self, mel: &[f32], positions: usize) -> Result<Box<dyn Decoding + '_>, String>;
}

/// In whose layout the files of a Whisper model are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// What Mynah builds of CTranslate2's weights.
    Mynah,
    /// What sherpa-onnx reads: its exporter's two graphs, with or without attention, and `tokens.txt`.
    Sherpa,
    /// What optimum exports: an encoder and a merged decoder, and Hugging Face's files.
    Optimum,
}

impl Layout {
    /// The family that a pack of it has.
    pub fn family(self) -> &'static str {
        match self {
            Layout::Mynah => "whisper",
            Layout::Sherpa => "whisper-sherpa",
            Layout::Optimum => "whisper-optimum",
        }
    }

    /// The layout of a pack's family; `None` where the family isn't Whisper.
    pub fn of_family(family: &str) -> Option<Layout> {
        [Layout::Mynah, Layout::Sherpa, Layout::Optimum].into_iter().find(|l| l.family() == family)
    }

    /// The files of such a pack: the encoder's graph, the decoder's, and what else it needs.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Layout::Mynah => &["encoder.onnx", "decoder.onnx", "tokenizer.json", "config.json"],
            Layout::Sherpa => &["encoder.onnx", "decoder.onnx", "tokens.txt"],
            Layout::Optimum => {
                &["encoder.onnx", "decoder.onnx", "tokenizer.json", "config.json", "generation_config.json"]
            }
        }
    }

    /// Opens the files, of which `file` tells where each one lies.
    pub(super) fn open(
        self,
        file: &dyn Fn(&str) -> PathBuf,
        options: &SessionOptions,
    ) -> Result<(Box<dyn Graphs>, Vocabulary), RuntimeError> {
        let (encoder, decoder) = (file("encoder.onnx"), file("decoder.onnx"));
        Ok(match self {
            Layout::Mynah => {
                let graphs = Own::open(&encoder, &decoder, options)?;
                let vocabulary = Vocabulary::open(&file("tokenizer.json"), &file("config.json"), graphs.sizes().words)?;
                (Box::new(graphs), vocabulary)
            }
            Layout::Sherpa => {
                let graphs = Sherpa::open(&encoder, &decoder, options)?;
                let tokenizer = ranks::tokenizer(&file("tokens.txt"))?;
                let vocabulary = Vocabulary::new(tokenizer, graphs.special()?, graphs.sizes().words);
                (Box::new(graphs), vocabulary)
            }
            Layout::Optimum => {
                let generation = file("generation_config.json");
                let graphs = Optimum::open(&encoder, &decoder, &file("config.json"), &generation, options)?;
                let vocabulary =
                    Vocabulary::open_generation(&file("tokenizer.json"), &generation, graphs.sizes().words)?;
                (Box::new(graphs), vocabulary)
            }
        })
    }
}

/// A whole number above 0 of a graph's metadata.
pub(super) fn number(session: &Session, key: &str) -> Result<usize, RuntimeError> {
    let value = session.metadata(key).and_then(|v| v.trim().parse::<usize>().ok()).filter(|&v| v > 0 && v < 1 << 20);
    value.ok_or_else(|| RuntimeError::Contract {
        path: session.path().to_owned(),
        expected: format!("a whole number `{key}` in the metadata"),
        found: session.metadata(key).map_or_else(|| "none".to_owned(), |v| format!("`{v}`")),
    })
}

/// Where [heads, read, positions] weights are, those of each token from `first` on: head after head.
pub(super) fn rows_of(weights: &[f32], read: usize, positions: usize, first: usize) -> Vec<Vec<f32>> {
    let row =
        |n| weights.chunks_exact(positions * read).flat_map(move |h| &h[positions * n..positions * (n + 1)]).copied();
    (first..read).map(|n| row(n).collect()).collect()
}

/// A file of JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, RuntimeError> {
    let failed = |why: String| RuntimeError::File { path: path.to_owned(), why };
    let text = files::text(path, files::SETTINGS).map_err(failed)?;
    serde_json::from_str(&text).map_err(|e| failed(e.to_string()))
}
