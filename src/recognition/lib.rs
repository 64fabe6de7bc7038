//! Recognition of speech: the trait every model family implements, one folder a family, and the policies that make a
//! recogniser of whole buffers stream.
//!
//! Knows nothing of threads, of files of captions or of the plugin.

mod greedy;
pub mod moonshine;
pub mod online;
pub mod stream;
pub mod whisper;

pub use mynah_subtitles::Word;

/// What can go wrong inside a recogniser.
#[derive(Debug, thiserror::Error)]
pub enum RecognizeError {
    /// The model failed to run.
    #[error("the caption model failed to run: {0}; reload the plugin or choose another pack")]
    Run(String),
    /// The model doesn't hear the language that was asked for.
    #[error(
        "the caption model hears no `{asked}`: it knows {known}; choose one of them, or a pack of a model that hears it"
    )]
    Language {
        /// The language that was asked for.
        asked: String,
        /// The codes of those that it knows.
        known: String,
    },
}

/// What a recogniser is asked to hear.
#[derive(Debug, Clone, Copy)]
pub struct Hearing<'a> {
    /// 16 kHz mono, ±1, at most 30 s; what is longer is cut at its end.
    pub samples: &'a [f32],
    /// The text before, whose sound is no longer in the buffer. May be empty.
    pub prompt: &'a str,
    /// Words that are final and whose sound is in the buffer, in order: the hypothesis begins with them. Times in
    /// seconds of the buffer.
    pub settled: &'a [Word],
    /// The speech is over: no more sound follows. What is doubtful is then heard again with more care, since nobody
    /// will ask once more.
    pub ended: bool,
}

/// What a recogniser heard.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    /// The words after the settled ones.
    pub words: Vec<HeardWord>,
    /// A guard stopped it: the words may be invented.
    pub doubtful: bool,
}

/// A word of a hypothesis.
#[derive(Debug, Clone, PartialEq)]
pub struct HeardWord {
    /// The word, with times in seconds of the buffer.
    pub word: Word,
    /// The furthest place, in seconds of the buffer, that the model attended to while it chose the word: a word whose
    /// place is close to the end of the sound may change when more of it comes. Never less than that of the word
    /// before.
    pub reach: f64,
}

/// What a person writes for the language that is heard instead of told.
pub const AUTO: &str = "auto";

/// What a recogniser says that hears its own language alone.
fn refused(language: Option<&str>) -> Result<(), RecognizeError> {
    match language {
        None => Ok(()),
        Some(asked) => Err(RecognizeError::Language { asked: asked.to_owned(), known: "its own alone".to_owned() }),
    }
}

/// A recogniser that reads a whole buffer at once; the policies make it stream.
pub trait Recognizer: Send {
    /// What is said after the settled words. Takes long; one thread at a time.
    fn hear(&mut self, hearing: &Hearing) -> Result<Heard, RecognizeError>;

    /// Names and terms that are likelier than they sound, from now on; none to begin with. A recogniser that can't be
    /// told ignores them.
    fn expect(&mut self, _phrases: &[String]) -> Result<(), RecognizeError> {
        Ok(())
    }

    /// The codes of the languages that can be told; none where the model hears its own alone.
    fn languages(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The code of the language that was told or, so far, heard; none where that isn't known.
    fn spoken(&self) -> Option<&str> {
        None
    }

    /// The language that is spoken from now on, by its code, such as `de`; `None` to hear it, as to begin with. An
    /// error where the model doesn't know it, or hears its own alone.
    fn speak(&mut self, language: Option<&str>) -> Result<(), RecognizeError> {
        refused(language)
    }

    /// Runs what silence and noise may not: what stands behind a token. For a trial of files that nobody has tried.
    fn rehearse(&mut self) -> Result<(), RecognizeError> {
        Ok(())
    }

    /// The words of a whole buffer; times in seconds from its first sample. `prompt` is the text before it.
    fn transcribe(&mut self, samples: &[f32], prompt: &str) -> Result<Vec<Word>, RecognizeError> {
        let heard = self.hear(&Hearing { samples, prompt, settled: &[], ended: true })?;
        Ok(heard.words.into_iter().map(|w| w.word).collect())
    }
}
