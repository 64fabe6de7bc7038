//! Whisper's tokens: the special ones, those that are never said, and words out of tokens. Knows no session.

use std::path::Path;

use tokenizers::Tokenizer;

use crate::runtime::RuntimeError;

/// What the byte-level tokenizer writes for a space.
const SPACE: char = '\u{120}';

#[derive(serde::Deserialize)]
struct Config {
    suppress_ids: Vec<usize>,
    suppress_ids_begin: Vec<usize>,
}

/// The tokenizer with what a decoder must know of it.
pub(super) struct Vocabulary {
    tokenizer: Tokenizer,
    /// From the start of the transcript up to and without the token that turns timestamps off.
    pub(super) start: Vec<i64>,
    pub(super) no_timestamps: i64,
    pub(super) end: usize,
    pub(super) no_speech: usize,
    start_of_previous: i64,
    /// For each token whether it may never be said: special tokens, timestamps, and marks of what is no speech.
    pub(super) never: Vec<bool>,
    /// Tokens that may not come first.
    pub(super) not_first: Vec<usize>,
}

impl Vocabulary {
    /// Reads `tokenizer.json` and `config.json` of a folder, for a model with `size` tokens.
    pub(super) fn open(folder: &Path, size: usize) -> Result<Self, RuntimeError> {
        let path = folder.join("tokenizer.json");
        let failed = |path: &Path, why: String| RuntimeError::Model { path: path.to_owned(), why };
        let tokenizer = Tokenizer::from_file(&path).map_err(|e| failed(&path, e.to_string()))?;
        let token = |names: &[&str]| {
            let found = names.iter().find_map(|n| tokenizer.token_to_id(n)).filter(|&t| (t as usize) < size);
            found.map(i64::from).ok_or_else(|| failed(&path, format!("it has no token `{}`", names[0])))
        };
        let transcript = token(&["<|startoftranscript|>"])?;
        let end = token(&["<|endoftext|>"])? as usize;
        // Models of one language have 51864 tokens or fewer and are told nothing of languages.
        let start = if size > 51_864 { vec![transcript, token(&["<|en|>"])?, token(&["<|transcribe|>"])?] } else { vec![transcript] };
        let (no_timestamps, start_of_previous) = (token(&["<|notimestamps|>"])?, token(&["<|startofprev|>"])?);
        let no_speech = token(&["<|nospeech|>", "<|nocaptions|>"])? as usize;

        let path = folder.join("config.json");
        let text = std::fs::read(&path).map_err(|e| failed(&path, e.to_string()))?;
        let config: Config = serde_json::from_slice(&text).map_err(|e| failed(&path, e.to_string()))?;
        let mut never = vec![false; size];
        for id in config.suppress_ids.into_iter().chain(end + 1..size) {
            *never.get_mut(id).ok_or_else(|| failed(&path, format!("it suppresses token {id} of {size}")))? = true;
        }
        never[end] = false;
        let not_first = config.suppress_ids_begin.into_iter().filter(|&id| id < size).collect();
        Ok(Self { tokenizer, start, no_timestamps, end, no_speech, start_of_previous, never, not_first })
    }

    /// The tokens of a word that others come before.
    pub(super) fn spell(&self, word: &str) -> Result<Vec<usize>, String> {
        let encoding = self.tokenizer.encode_fast(format!(" {}", word.trim()), false).map_err(|e| e.to_string())?;
        Ok(encoding.get_ids().iter().map(|&id| id as usize).filter(|&id| id < self.end).collect())
    }

    /// Whether a word starts with this token.
    pub(super) fn starts_word(&self, token: usize) -> bool {
        self.tokenizer.id_to_token(token as u32).is_some_and(|s| s.starts_with(SPACE))
    }

    /// The tokens of the text before, at most `most` of its last, with the token that introduces them; nothing for an empty text.
    pub(super) fn prompt(&self, text: &str, most: usize) -> Result<Vec<i64>, String> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let encoding = self.tokenizer.encode_fast(format!(" {}", text.trim()), false).map_err(|e| e.to_string())?;
        let ids = encoding.get_ids();
        let last = ids[ids.len().saturating_sub(most)..].iter().copied().map(i64::from).filter(|&id| id < self.end as i64);
        Ok(std::iter::once(self.start_of_previous).chain(last).collect())
    }

    /// Ranges of tokens that are words, with their texts: a word starts at a token that starts with a space. What has no letter or digit
    /// joins the word before it, or the one after where there is none before.
    pub(super) fn words(&self, tokens: &[usize]) -> Result<Vec<(std::ops::Range<usize>, String)>, String> {
        let mut words: Vec<(std::ops::Range<usize>, String)> = Vec::new();
        let mut from = 0;
        while from < tokens.len() {
            let to = tokens[from + 1..].iter().position(|&t| self.starts_word(t)).map_or(tokens.len(), |n| from + 1 + n);
            let text = self.text(&tokens[from..to])?;
            let sounded = text.chars().any(char::is_alphanumeric);
            match words.last_mut() {
                Some(last) if !sounded || !last.1.chars().any(char::is_alphanumeric) => {
                    last.0.end = to;
                    if !last.1.is_empty() && !text.is_empty() {
                        last.1.push(' ');
                    }
                    last.1.push_str(&text);
                }
                _ => words.push((from..to, text)),
            }
            from = to;
        }
        words.retain(|w| w.1.chars().any(char::is_alphanumeric));
        Ok(words)
    }

    /// The text of tokens, without surrounding spaces and control characters.
    pub(super) fn text(&self, tokens: &[usize]) -> Result<String, String> {
        let ids: Vec<u32> = tokens.iter().map(|&t| t as u32).collect();
        let text = self.tokenizer.decode(&ids, true).map_err(|e| e.to_string())?;
        Ok(text.chars().filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER).collect::<String>().trim().to_owned())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder with a tokenizer of the letters, two words and the special tokens.
    pub(crate) fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let pieces = ["a", "b", "h", "i", ".", "\u{120}", "\u{120}a", "\u{120}b", "hi", "\u{120}.", "-"];
        let special = ["<|endoftext|>", "<|startoftranscript|>", "<|nocaptions|>", "<|startofprev|>", "<|notimestamps|>"];
        let vocab: serde_json::Map<_, _> = pieces.iter().enumerate().map(|(i, p)| ((*p).to_owned(), i.into())).collect();
        let added: Vec<_> = special
            .iter()
            .enumerate()
            .map(|(i, s)| serde_json::json!({"id": pieces.len() + i, "content": s, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}))
            .collect();
        let tokenizer = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "post_processor": null,
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
                "vocab": vocab, "merges": ["\u{120} a", "\u{120} b", "h i", "\u{120} ."]}
        });
        std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).expect("writes");
        std::fs::write(folder.path().join("config.json"), r#"{"suppress_ids": [4, 11], "suppress_ids_begin": [5, 11]}"#).expect("writes");
        folder
    }

    pub(crate) fn vocabulary() -> Vocabulary {
        Vocabulary::open(folder().path(), 20).expect("a vocabulary")
    }

    #[test]
    fn special_tokens_are_found_and_only_the_end_may_be_said() {
        let v = vocabulary();
        assert_eq!((v.start.clone(), v.end, v.no_speech, v.no_timestamps), (vec![12], 11, 13, 15));
        assert!(!v.never[v.end] && v.never[4] && !v.never[0]);
        assert!(v.never[v.end + 1..].iter().all(|&n| n));
    }

    #[test]
    fn a_prompt_keeps_its_last_tokens() {
        let v = vocabulary();
        assert_eq!(v.prompt(" a b a", 2).expect("a prompt"), [14, 7, 6]);
        assert_eq!(v.prompt("  ", 2).expect("a prompt"), [] as [i64; 0]);
    }

    #[test]
    fn words_start_at_spaces_and_marks_join_their_neighbours() {
        let v = vocabulary();
        // " a", "hi", ".", " b", " .", " ", "-" → "ahi." and "b . -"; a mark at the very start joins the word after it.
        let words = v.words(&[6, 8, 4, 7, 9, 5, 10]).expect("words");
        assert_eq!(words, [(0..3, "ahi.".to_owned()), (3..7, "b . -".to_owned())]);
        assert_eq!(v.words(&[9, 6]).expect("words"), [(0..2, ". a".to_owned())]);
        assert_eq!(v.words(&[9]).expect("words"), []);
        assert_eq!(v.spell("a").expect("tokens"), [6]);
        assert_eq!(v.spell(" ahi. ").expect("tokens"), [6, 8, 4]);
    }

    #[test]
    fn a_damaged_folder_is_an_error_that_names_the_file() {
        let folder = folder();
        std::fs::write(folder.path().join("config.json"), "{").expect("writes");
        let message = Vocabulary::open(folder.path(), 20).err().expect("must fail").to_string();
        assert!(message.contains("config.json"), "{message}");
        std::fs::write(folder.path().join("tokenizer.json"), "[]").expect("writes");
        let message = Vocabulary::open(folder.path(), 20).err().expect("must fail").to_string();
        assert!(message.contains("tokenizer.json"), "{message}");
    }
}
