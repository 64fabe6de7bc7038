//! The Whisper family: a buffer of speech becomes words with times. Knows nothing of streaming, threads or packs.
//!
//! The graphs are those of `packs::build::whisper`, of sherpa-onnx's exporters or of optimum's. Whisper was trained on
//! 30 s; here a buffer gets a tail of silence and the encoder sees only so much. Where a guard finds the text doubtful
//! and the speech is over, the buffer is read again without a prompt, by a model that knows only long contexts with a
//! long one.

pub(super) mod align;
pub(super) mod bias;
pub(super) mod edges;
pub mod features;
mod graphs;
pub(super) mod greedy;
pub(super) mod memory;
mod optimum;
mod own;
mod ranks;
mod sherpa;
mod spoken;
mod spread;
mod vocabulary;

pub use graphs::Layout;

use std::path::{Path, PathBuf};

use align::Aligned;
use bias::Bias;
use features::{Features, HOP};
use graphs::{Graphs, Sizes};
use greedy::{Said, Told, decode};
use memory::{Memory, Spelt};
use spoken::Spoken;
use vocabulary::Vocabulary;

use super::{Heard, HeardWord, Hearing, RecognizeError, Recognizer, Word};
use mynah_models::runtime::{RuntimeError, Session, SessionOptions};

/// Samples a second.
const RATE: usize = 16_000;
/// Silence behind the buffer, in seconds, where the pack says nothing: a third of the full context's cost for nearly
/// its accuracy.
const TAIL: usize = 10;
/// The most that the encoder reads, in seconds.
const LONGEST: usize = 30;
/// The encoder halves the frames: a position is 20 ms.
const POSITION: usize = 2 * HOP;
/// A word far longer than the others hides a pause; this many times the median, which counts for at most so many
/// seconds.
const LONG_WORD: f64 = 2.0;
const LONGEST_MEDIAN: f64 = 0.7;
/// No word is shorter, in seconds, where its neighbours leave room.
const LEAST_WORD: f64 = 0.06;

/// The one language of models that know no other.
pub const ENGLISH: &str = "en";

/// A Whisper model with its tokenizer. One thread at a time; a run takes a good part of a second.
pub struct Whisper {
    graphs: Box<dyn Graphs>,
    vocabulary: Vocabulary,
    features: Features,
    memory: Memory,
    bias: Bias,
    spoken: Spoken,
    /// Samples of silence behind a buffer, and where a guard had to stop the first reading.
    tail: usize,
    careful: usize,
}

impl Whisper {
    /// Opens `encoder.onnx`, `decoder.onnx`, `tokenizer.json` and `config.json` in `folder`, and runs the graphs once
    /// to warm them up.
    ///
    /// Takes some seconds; any thread but the audio thread.
    pub fn open(folder: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        Self::open_as(Layout::Mynah, &|name| folder.join(name), options)
    }

    /// The same for files of any layout: `file` tells where each of [`Layout::files`] lies.
    pub fn open_as(
        layout: Layout,
        file: &dyn Fn(&str) -> PathBuf,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let (graphs, vocabulary) = layout.open(file, options)?;
        let features = Features::new(graphs.sizes().mels);
        let mut whisper = Self {
            graphs,
            vocabulary,
            features,
            memory: Memory::default(),
            bias: Bias::default(),
            spoken: Spoken::default(),
            tail: TAIL * RATE,
            careful: LONGEST * RATE,
        };
        let warmed = whisper.read(&[0.0; RATE / 10], Told::default(), RATE);
        warmed.map_err(|why| RuntimeError::Run { path: file("decoder.onnx"), why })?;
        // What silence sounds like is no language.
        whisper.spoken = Spoken::default();
        Ok(whisper)
    }

    /// The same with another tail: so many seconds of silence behind the buffer, 0 to 30, at which the model reads
    /// best. A pack says its own in `tail_seconds`; `None` leaves the standard of 10, and of 30 for a second reading,
    /// which suits a model that was trained on 30 s.
    pub fn with_tail(self, seconds: Option<f64>) -> Self {
        let samples = |s: f64| (s.clamp(0.0, LONGEST as f64) * RATE as f64) as usize;
        let Some(tail) = seconds.filter(|s| s.is_finite()).map(samples) else { return self };
        Self { tail, careful: tail, ..self }
    }

    /// Whether words' times come of the decoder's attention; else they are an estimate: the words share the speech by
    /// their letters.
    pub fn has_attention(&self) -> bool {
        self.graphs.sizes().heads > 0
    }

    /// What is said in `samples`, which a tail of so many samples of silence follows.
    fn read(&mut self, samples: &[f32], told: Told, tail: usize) -> Result<(Said, usize), String> {
        let &Sizes { audio_context, text_context, whole, .. } = self.graphs.sizes();
        let longest = (LONGEST * RATE / POSITION).min(audio_context);
        let positions = if whole { audio_context } else { (samples.len() + tail).div_ceil(POSITION).clamp(1, longest) };
        let seconds = samples.len() as f64 / RATE as f64;
        let mel = self.features.log_mel(samples, 2 * positions);
        let mut decoding = self.graphs.hear(&mel, positions)?;
        let vocabulary = &mut self.vocabulary;
        if !vocabulary.languages.is_empty() {
            if self.spoken.asks() {
                let step = decoding.step(&[vocabulary.transcript], &[0])?;
                decoding.forget(1)?;
                let logits = step.logits.first().ok_or("it gave no logits")?;
                let of = |language: &(String, i64)| logits.get(language.1 as usize).copied().unwrap_or(f32::MIN);
                self.spoken.hear(&vocabulary.languages.iter().map(of).collect::<Vec<_>>(), seconds);
            }
            vocabulary.speak(self.spoken.now());
        }
        Ok((decode(&mut *decoding, vocabulary, told, seconds, text_context)?, positions))
    }

    /// Has the decoder read tokens behind others, and others where it forgot: silence and noise may end with the first.
    fn say_nothing(&mut self) -> Result<(), String> {
        let &Sizes { audio_context, whole, .. } = self.graphs.sizes();
        let positions = if whole { audio_context } else { audio_context.min(RATE / POSITION) };
        let mel = self.features.log_mel(&[0.0; RATE], 2 * positions);
        let (vocabulary, mut decoding) = (&self.vocabulary, self.graphs.hear(&mel, positions)?);
        decoding.step(&[vocabulary.transcript, vocabulary.no_timestamps], &[0, 1])?;
        decoding.step(&[0], &[0])?;
        decoding.forget(1)?;
        decoding.step(&[vocabulary.end as i64], &[0]).map(drop)
    }

    fn listen(&mut self, hearing: &Hearing) -> Result<Heard, String> {
        let samples = &hearing.samples[..hearing.samples.len().min(LONGEST * RATE)];
        if samples.is_empty() {
            return Ok(Heard::default());
        }
        // Whisper itself gives the text before at most half of the context.
        let prompt =
            self.vocabulary.prompt(hearing.prompt, (self.graphs.sizes().text_context / 2).saturating_sub(1))?;
        let mut spelt = self.memory.settled(hearing.settled, |word| self.vocabulary.spell(word))?;
        let forced: Vec<usize> = spelt.iter().flat_map(|w| &w.tokens).copied().collect();
        let draft = self.memory.draft(hearing.prompt, hearing.settled);
        let bias = self.bias.clone();
        let told = Told { prompt: &prompt, forced: &forced, draft: &draft, bias: Some(&bias) };
        let (mut said, mut positions) = self.read(samples, told, self.tail)?;
        if said.runaway && hearing.ended {
            // What led it on may have led it astray; and a model that wasn't trained on short tails may need all of its
            // context.
            (said, positions) = self.read(samples, Told { prompt: &[], ..told }, self.careful)?;
        }
        let mut heard = Heard { words: Vec::new(), doubtful: said.runaway };
        if !said.is_silence() {
            let settled = hearing.settled.last().map_or(0.0, |w| w.end);
            let new = if self.has_attention() {
                self.words(&said, positions, samples)?
            } else {
                self.estimated(&said, settled, samples)?
            };
            heard.words = new.iter().map(|w| w.0.clone()).collect();
            spelt.extend(new.into_iter().map(|(w, tokens)| Spelt { text: w.word.text, tokens }));
        }
        self.memory.keep(spelt);
        Ok(heard)
    }

    /// The words of what was said after the settled ones, with their times and tokens.
    fn words(&self, said: &Said, positions: usize, samples: &[f32]) -> Result<Vec<(HeardWord, Vec<usize>)>, String> {
        let length = samples.len() as f64 / RATE as f64;
        let heard = samples.len().div_ceil(POSITION);
        let Aligned { starts, peaks } =
            align::align(&said.attention, said.lead, self.graphs.sizes().heads, positions, heard);
        let seconds = |position: usize| ((position * POSITION) as f64 / RATE as f64).min(length);
        let time = |token: usize| starts.get(token).map_or(length, |&p| seconds(p));
        let from = self.first_new(said);
        let (mut words, mut rest) = (Vec::new(), Vec::new());
        let mut reach = 0.0_f64;
        for (range, text) in self.vocabulary.words(&said.tokens[from..])? {
            let tokens = range.start + from..range.end + from;
            let confidence = confidence(said, &tokens);
            // A position is 20 ms long: its end counts.
            reach = peaks[tokens.clone()].iter().map(|&p| seconds(p + 1)).fold(reach, f64::max);
            words.push(Word { text, start: time(tokens.start), end: time(tokens.end), confidence });
            rest.push((reach, said.tokens[tokens].to_vec()));
        }
        shorten(&mut words);
        // The attention passed over a word until here.
        let mut least = 0.0_f64;
        for (word, (reach, _)) in words.iter().zip(&mut rest) {
            least = least.max(word.end);
            *reach = reach.max(least);
        }
        edges::mend(&mut words, time(from), samples);
        lengthen(&mut words, length);
        Ok(words.into_iter().zip(rest).map(|(word, (reach, tokens))| (HeardWord { word, reach }, tokens)).collect())
    }

    /// The same where the decoder gives no attention: an estimate, after the end of the last settled word in seconds. A
    /// word reaches to its end.
    fn estimated(&self, said: &Said, settled: f64, samples: &[f32]) -> Result<Vec<(HeardWord, Vec<usize>)>, String> {
        let from = self.first_new(said);
        let (mut words, mut all) = (Vec::new(), Vec::new());
        for (range, text) in self.vocabulary.words(&said.tokens[from..])? {
            let tokens = range.start + from..range.end + from;
            words.push(Word { text, start: 0.0, end: 0.0, confidence: confidence(said, &tokens) });
            all.push(said.tokens[tokens].to_vec());
        }
        spread::spread(&mut words, settled, samples);
        Ok(words.into_iter().zip(all).map(|(word, tokens)| (HeardWord { reach: word.end, word }, tokens)).collect())
    }

    /// The first token of a new word: what goes on with the last settled word can't change it any more.
    fn first_new(&self, said: &Said) -> usize {
        let new = &said.tokens[said.forced..];
        let skipped = if said.forced == 0 {
            0
        } else {
            new.iter().position(|&t| self.vocabulary.starts_word(t)).unwrap_or(new.len())
        };
        said.forced + skipped
    }
}

/// The mean probability of chosen tokens.
fn confidence(said: &Said, tokens: &std::ops::Range<usize>) -> f32 {
    let chosen = &said.probabilities[tokens.start - said.forced..tokens.end - said.forced];
    (chosen.iter().sum::<f32>() / chosen.len() as f32).clamp(0.0, 1.0)
}

/// Whether a graph is the encoder of a Whisper of sherpa-onnx's layout.
pub fn is_sherpa_encoder(session: &Session) -> bool {
    sherpa::is_encoder(session)
}

impl Recognizer for Whisper {
    fn hear(&mut self, hearing: &Hearing) -> Result<Heard, RecognizeError> {
        self.listen(hearing).map_err(RecognizeError::Run)
    }

    fn languages(&self) -> Vec<&str> {
        if self.vocabulary.languages.is_empty() {
            vec![ENGLISH]
        } else {
            self.vocabulary.languages.iter().map(|l| &*l.0).collect()
        }
    }

    fn spoken(&self) -> Option<&str> {
        if self.vocabulary.languages.is_empty() {
            return Some(ENGLISH);
        }
        self.spoken.now().map(|l| &*self.vocabulary.languages[l].0)
    }

    fn speak(&mut self, language: Option<&str>) -> Result<(), RecognizeError> {
        let told = language.map(|asked| {
            // The language of `pt-BR` is `pt`.
            let code = asked.trim().split(['-', '_']).next().unwrap_or_default().to_lowercase();
            match self.vocabulary.language(&code) {
                Some(language) => Ok(Some(language)),
                None if self.vocabulary.languages.is_empty() && code == ENGLISH => Ok(None),
                None => Err(RecognizeError::Language { asked: asked.to_owned(), known: self.languages().join(", ") }),
            }
        });
        self.spoken = Spoken::told(told.transpose()?.flatten());
        Ok(())
    }

    fn rehearse(&mut self) -> Result<(), RecognizeError> {
        self.say_nothing().map_err(RecognizeError::Run)
    }

    fn expect(&mut self, phrases: &[String]) -> Result<(), RecognizeError> {
        let spelt: Result<Vec<_>, _> = phrases.iter().map(|p| self.vocabulary.spell(p.trim())).collect();
        self.bias = Bias::new(spelt.map_err(RecognizeError::Run)?);
        Ok(())
    }
}

/// The path through the attention has no pauses, so a word beside one is stretched over it: words at the edges of
/// sentences are cut to a length that words have (the rule of Whisper's `timing.py`).
pub(super) fn shorten(words: &mut [Word]) {
    let mut lengths: Vec<f64> = words.iter().map(|w| w.end - w.start).filter(|&l| l > 0.0).collect();
    lengths.sort_unstable_by(f64::total_cmp);
    let Some(&median) = lengths.get(lengths.len() / 2) else { return };
    let most = median.min(LONGEST_MEDIAN) * LONG_WORD;
    let mut sentence_starts = true;
    for w in words {
        let ends = w.text.ends_with(['.', '?', '!', ',', ';', ':']);
        if w.end - w.start > most {
            if sentence_starts {
                w.start = w.end - most;
            } else if ends {
                w.end = w.start + most;
            }
        }
        sentence_starts = ends;
    }
}

/// Gives words that the path passed in no time a length that can be shown: from the pause before, else from the word
/// after.
pub(super) fn lengthen(words: &mut [Word], length: f64) {
    for i in 0..words.len() {
        let before = if i == 0 { 0.0 } else { words[i - 1].end };
        if words[i].end - words[i].start < LEAST_WORD {
            words[i].start = words[i].start.min((words[i].end - LEAST_WORD).max(before));
        }
        if words[i].end - words[i].start < LEAST_WORD {
            let end = (words[i].start + LEAST_WORD).min(words.get(i + 1).map_or(length, |n| n.end.max(words[i].end)));
            words[i].end = end;
            if let Some(next) = words.get_mut(i + 1) {
                next.start = next.start.max(end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, start: f64, end: f64) -> Word {
        Word { text: text.to_owned(), start, end, confidence: 1.0 }
    }

    #[test]
    fn words_beside_pauses_are_cut() {
        let mut words = vec![
            word("It", 0.0, 2.0),
            word("was", 2.0, 2.2),
            word("late.", 2.2, 4.0),
            word("Then", 4.0, 4.2),
            word("on", 4.2, 4.4),
        ];
        shorten(&mut words);
        let times: Vec<_> = words.iter().map(|w| ((w.start * 10.0).round(), (w.end * 10.0).round())).collect();
        assert_eq!(times, [(16.0, 20.0), (20.0, 22.0), (22.0, 26.0), (40.0, 42.0), (42.0, 44.0)]);
        shorten(&mut []);
    }

    #[test]
    fn words_without_length_get_some_and_stay_in_order() {
        let mut words = vec![
            word("It", 1.0, 1.0),
            word("is", 1.0, 1.5),
            word("a", 1.5, 1.5),
            word("b", 1.5, 1.52),
            word("c", 2.0, 2.0),
        ];
        lengthen(&mut words, 2.0);
        assert!(words.iter().all(|w| w.end >= w.start && w.end <= 2.0));
        assert!(words.windows(2).all(|w| w[0].end <= w[1].start), "{words:?}");
        let lengths: Vec<_> = words.iter().map(|w| ((w.end - w.start) * 100.0).round()).collect();
        assert_eq!(lengths, [6.0, 50.0, 2.0, 6.0, 6.0], "from the pause before, else from the word after");
    }
}
