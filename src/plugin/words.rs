//! The words as a project keeps them: packed, checked and bounded. Knows no engine and no window.

use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nice_plug::params::persist::PersistentField;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::subtitles::Word;
use crate::subtitles::transcript::{SavedError, Transcript};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// Words as they stand in a project: a text that holds the bytes of a transcript, or the list of an earlier version
/// (text, start and end in milliseconds, confidence in percent). Anything is taken; what it is shows when a transcript
/// is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SavedWords(Value);

impl Default for SavedWords {
    fn default() -> Self {
        Self(Value::Array(Vec::new()))
    }
}

impl SavedWords {
    /// The words and takes of a transcript.
    pub fn of(transcript: &Transcript) -> Self {
        Self(Value::String(STANDARD.encode(transcript.to_bytes())))
    }

    /// A transcript with these words and takes, or why there is none.
    pub fn transcript(&self) -> Result<Transcript, SavedError> {
        match &self.0 {
            Value::String(text) => {
                let bytes = STANDARD.decode(text).map_err(|e| SavedError::Damaged(e.to_string()))?;
                Transcript::from_bytes(&bytes)
            }
            other => {
                let former: Vec<(String, i64, i64, u8)> = Vec::deserialize(other)
                    .map_err(|e| SavedError::Unknown(format!("they are no list of words: {e}")))?;
                Ok(former.into_iter().map(word).collect::<Vec<Word>>().into())
            }
        }
    }
}

fn word((text, start, end, confidence): (String, i64, i64, u8)) -> Word {
    Word { text, start: start as f64 / 1000.0, end: end as f64 / 1000.0, confidence: confidence as f32 / 100.0 }
}

/// The board that the caption worker writes on. It changes with the engine; the words move along.
#[derive(Debug, Default)]
pub struct Words {
    board: Mutex<Arc<Mutex<Transcript>>>,
    /// The edition that came from a project.
    loaded: Mutex<u64>,
    /// What a project held that can't be read, and why. It is saved again as long as there are no other words.
    unreadable: Mutex<Option<(SavedWords, SavedError)>>,
    /// The edition that was packed last: hosts save often.
    packed: Mutex<Option<(u64, SavedWords)>>,
}

impl Words {
    /// The board in use.
    pub fn board(&self) -> Arc<Mutex<Transcript>> {
        lock(&self.board).clone()
    }

    /// Another board is written on from now on; it takes over the words so far.
    pub fn move_to(&self, board: Arc<Mutex<Transcript>>) {
        let mut held = lock(&self.board);
        let mut words = lock(&held).clone();
        words.end();
        let mut loaded = lock(&self.loaded);
        let from_project = words.edition() == *loaded;
        let mut new = lock(&board);
        new.set_speaker(words.speaker());
        new.replace(words);
        if from_project {
            *loaded = new.edition();
        }
        drop(new);
        *held = board;
    }

    /// The edition of the transcript that came from a project; 0 where none did.
    pub fn loaded(&self) -> u64 {
        *lock(&self.loaded)
    }

    /// One sentence where the project's words could not be read.
    pub fn problem(&self) -> Option<String> {
        lock(&self.unreadable).as_ref().map(|(_, why)| why.to_string())
    }
}

impl PersistentField<'_, SavedWords> for Words {
    fn set(&self, new_value: SavedWords) {
        let (transcript, unreadable) = match new_value.transcript() {
            Ok(transcript) => (transcript, None),
            Err(why) => (Transcript::default(), Some((new_value, why))),
        };
        *lock(&self.unreadable) = unreadable;
        let board = self.board();
        let mut held = lock(&board);
        held.replace(transcript);
        *lock(&self.loaded) = held.edition();
    }

    fn map<F: Fn(&SavedWords) -> R, R>(&self, f: F) -> R {
        let board = self.board();
        let mut packed = lock(&self.packed);
        let (edition, transcript) = {
            let held = lock(&board);
            if let Some((former, unreadable)) =
                lock(&self.unreadable).as_ref().map(|(words, _)| (*lock(&self.loaded), words.clone()))
                && held.edition() == former
            {
                return f(&unreadable);
            }
            match &*packed {
                Some((edition, words)) if *edition == held.edition() => return f(words),
                _ => (held.edition(), held.clone()),
            }
        };
        // Packed without the board, which the caption worker waits for.
        let words = SavedWords::of(&transcript);
        let result = f(&words);
        *packed = Some((edition, words));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognition::stream::Event;
    use proptest::prelude::*;
    use serde_json::json;

    fn hello() -> Word {
        Word { text: "hello".to_owned(), start: 1.25, end: 1.75, confidence: 0.5 }
    }

    fn saved(words: &Words) -> SavedWords {
        words.map(SavedWords::clone)
    }

    #[test]
    fn the_list_of_an_earlier_version_is_read() {
        let words = Words::default();
        words.set(serde_json::from_value(json!([["hello", 1250, 1750, 50]])).expect("anything is taken"));
        assert_eq!((lock(&words.board()).words(), words.problem()), (&[hello()][..], None));
        let back = saved(&words).transcript().expect("the new form");
        assert_eq!(back.words(), [hello()]);
    }

    #[test]
    fn what_can_not_be_read_is_told_and_kept_until_there_are_words() {
        let words = Words::default();
        lock(&words.board()).apply(Event::Final(vec![hello()]));
        for broken in
            [json!("bm90IHppcHBlZA=="), json!("not base64!"), json!({ "form": 9 }), json!(null), json!([["x"]])]
        {
            let broken: SavedWords = serde_json::from_value(broken).expect("anything is taken");
            words.set(broken.clone());
            assert!(lock(&words.board()).words().is_empty());
            assert!(words.problem().is_some_and(|p| p.contains("saved captions")), "{:?}", words.problem());
            assert_eq!(saved(&words), broken, "the project keeps what another version may read");
        }
        lock(&words.board()).apply(Event::Final(vec![hello()]));
        assert_eq!(saved(&words).transcript().expect("words").words(), [hello()]);
    }

    #[test]
    fn another_engine_takes_the_words_over() {
        let words = Words::default();
        lock(&words.board()).apply(Event::Final(vec![hello()]));
        lock(&words.board()).set_speaker("Ada");
        let edition = lock(&words.board()).edition();
        words.move_to(Arc::default());
        {
            let board = words.board();
            let held = lock(&board);
            assert_eq!((held.words(), held.speaker()), (&[hello()][..], "Ada"));
        }
        assert!(lock(&words.board()).edition() > edition);
        words.set(saved(&words));
        words.move_to(Arc::default());
        assert_eq!(words.loaded(), lock(&words.board()).edition(), "they are still those of the project");
    }

    proptest! {
        #[test]
        fn no_text_of_a_project_breaks_it(text in ".*", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for value in [json!(text), json!(STANDARD.encode(&bytes)), json!([text]), json!({ "a": text })] {
                let words = Words::default();
                words.set(serde_json::from_value(value).expect("anything is taken"));
                prop_assert!(words.problem().is_some() && lock(&words.board()).words().is_empty());
            }
        }
    }
}
