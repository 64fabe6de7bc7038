//! Whisper's tokens: the special ones, those that are never said, and words out of tokens. Knows no session.

use std::path::Path;

use tokenizers::Tokenizer;

use super::graphs::json;
use mynah_files as files;
use mynah_models::runtime::RuntimeError;

/// What the byte-level tokenizer writes for a space.
const SPACE: char = '\u{120}';
/// Tokens a second that English speech does not pass.
const ENGLISH: f64 = 6.5;
/// The same for any other language, whose words have more tokens.
const OTHERS: f64 = 13.0;
/// Characters a second, spaces and marks among them, that speech does not pass: people say some 15. OpenAI's
/// multilingual tokens are 0.25 (German) to 1 (Hindi, Thai, Tamil 0.84) of one, but 1.9 in Telugu, 2.4 in Georgian and
/// Amharic and 2.8 in Burmese, where most are single bytes (the first article of the Declaration of Human Rights).
const CHARACTERS: f64 = 18.0;
/// The most tokens a second in any script: no script that is spoken has more than three bytes a character.
const MOST: f64 = 3.0 * CHARACTERS;
/// Models of one language have so many tokens or fewer.
const ONE_LANGUAGE: usize = 51_864;

/// CTranslate2's `config.json`.
#[derive(serde::Deserialize)]
struct Config {
    suppress_ids: Vec<usize>,
    suppress_ids_begin: Vec<usize>,
    /// Where it isn't said, the number of tokens tells.
    #[serde(default)]
    is_multilingual: Option<bool>,
}

/// Hugging Face's `generation_config.json`; what it leaves out is not suppressed.
#[derive(serde::Deserialize)]
struct Generation {
    #[serde(default)]
    suppress_tokens: Option<Vec<usize>>,
    #[serde(default)]
    begin_suppress_tokens: Option<Vec<usize>>,
    #[serde(default)]
    is_multilingual: Option<bool>,
}

/// The tokens that are no text, by what they mean.
#[derive(Debug, Clone, Default)]
pub(super) struct Special {
    pub(super) transcript: i64,
    pub(super) transcribe: i64,
    pub(super) no_timestamps: i64,
    pub(super) start_of_previous: i64,
    pub(super) no_speech: usize,
    pub(super) end: usize,
    /// Code and token of each language; none where the model knows only English.
    pub(super) languages: Vec<(String, i64)>,
    /// Tokens that are never said, beside all after the end.
    pub(super) never: Vec<usize>,
    /// Tokens that may not come first.
    pub(super) not_first: Vec<usize>,
}

/// The tokenizer with what a decoder must know of it.
pub(super) struct Vocabulary {
    tokenizer: Tokenizer,
    /// The first token of a transcript.
    pub(super) transcript: i64,
    transcribe: i64,
    /// From the start of the transcript up to and without the token that turns timestamps off.
    pub(super) start: Vec<i64>,
    pub(super) no_timestamps: i64,
    pub(super) end: usize,
    pub(super) no_speech: usize,
    start_of_previous: i64,
    /// Code and token of each language; none where the model knows only English.
    pub(super) languages: Vec<(String, i64)>,
    /// Tokens a second that speech does not pass in a script that the tokens know well.
    tokens_a_second: f64,
    /// For each token how many characters begin in it.
    characters: Vec<u8>,
    /// For each token whether it may never be said: special tokens, timestamps, and marks of what is no speech.
    pub(super) never: Vec<bool>,
    /// Tokens that may not come first.
    pub(super) not_first: Vec<usize>,
}

impl Vocabulary {
    /// Reads `tokenizer.json` and CTranslate2's `config.json`, for a model with `size` tokens.
    pub(super) fn open(tokenizer: &Path, config: &Path, size: usize) -> Result<Self, RuntimeError> {
        let mut read = Self::read(tokenizer, size)?;
        let told: Config = json(config)?;
        read.1.never = told.suppress_ids;
        read.1.not_first = told.suppress_ids_begin;
        Self::checked(read, told.is_multilingual, (tokenizer, config), size)
    }

    /// Reads `tokenizer.json` and Hugging Face's `generation_config.json`, for a model with `size` tokens.
    pub(super) fn open_generation(tokenizer: &Path, generation: &Path, size: usize) -> Result<Self, RuntimeError> {
        let mut read = Self::read(tokenizer, size)?;
        let told: Generation = json(generation)?;
        read.1.never = told.suppress_tokens.unwrap_or_default();
        read.1.not_first = told.begin_suppress_tokens.unwrap_or_default();
        Self::checked(read, told.is_multilingual, (tokenizer, generation), size)
    }

    /// The tokenizer and the special tokens in it, all languages that it has among them: those of models that know only
    /// English have them too.
    fn read(path: &Path, size: usize) -> Result<(Tokenizer, Special), RuntimeError> {
        let failed = |why: String| RuntimeError::File { path: path.to_owned(), why };
        let text = files::text(path, files::VOCABULARY).map_err(failed)?;
        let tokenizer = Tokenizer::from_bytes(text).map_err(|e| failed(e.to_string()))?;
        let known = |name: &str| tokenizer.token_to_id(name).filter(|&t| (t as usize) < size).map(i64::from);
        let token = |names: &[&str]| {
            names.iter().find_map(|n| known(n)).ok_or_else(|| failed(format!("it has no token `{}`", names[0])))
        };
        let transcript = token(&["<|startoftranscript|>"])?;
        // They follow the start of the transcript.
        let code = |id: i64| {
            let name = tokenizer.id_to_token(id as u32)?;
            let code = name.strip_prefix("<|")?.strip_suffix("|>")?;
            ((2..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase())).then(|| code.to_owned())
        };
        let languages = (transcript + 1..size as i64).map_while(|id| Some((code(id)?, id))).collect();
        let special = Special {
            transcript,
            transcribe: known("<|transcribe|>").unwrap_or_default(),
            no_timestamps: token(&["<|notimestamps|>"])?,
            start_of_previous: token(&["<|startofprev|>"])?,
            no_speech: token(&["<|nospeech|>", "<|nocaptions|>"])? as usize,
            end: token(&["<|endoftext|>"])? as usize,
            languages,
            ..Special::default()
        };
        Ok((tokenizer, special))
    }

    /// Checks what two files, the tokenizer and the other, say together.
    fn checked(
        (tokenizer, mut special): (Tokenizer, Special),
        multilingual: Option<bool>,
        files: (&Path, &Path),
        size: usize,
    ) -> Result<Self, RuntimeError> {
        let failed = |path: &Path, why: String| RuntimeError::Model { path: path.to_owned(), why };
        if let Some(id) = special.never.iter().find(|&&id| id >= size) {
            return Err(failed(files.1, format!("it suppresses token {id} of {size}")));
        }
        if !multilingual.unwrap_or(size > ONE_LANGUAGE) {
            special.languages.clear();
        } else if special.languages.is_empty() || special.transcribe == 0 {
            return Err(failed(files.0, "it has no tokens of languages, though the model knows several".to_owned()));
        }
        Ok(Self::new(tokenizer, special, size))
    }

    /// For a model with `size` tokens. The language is English until another is told.
    pub(super) fn new(tokenizer: Tokenizer, special: Special, size: usize) -> Self {
        let Special {
            transcript,
            transcribe,
            no_timestamps,
            start_of_previous,
            no_speech,
            end,
            languages,
            never: marks,
            not_first,
        } = special;
        let mut never = vec![false; size];
        for id in marks.into_iter().chain(end + 1..size).filter(|&id| id < size && id != end) {
            never[id] = true;
        }
        let not_first = not_first.into_iter().filter(|&id| id < size).collect();
        let (start, tokens_a_second) = (Vec::new(), ENGLISH);
        let characters =
            (0..size).map(|id| tokenizer.id_to_token(id as u32).map_or(0, |shown| characters(&shown))).collect();
        let mut all = Self {
            characters,
            tokenizer,
            transcript,
            transcribe,
            start,
            no_timestamps,
            end,
            no_speech,
            start_of_previous,
            languages,
            tokens_a_second,
            never,
            not_first,
        };
        all.speak(all.language("en"));
        all
    }

    /// The place of a language in the list; `None` where the model hasn't it.
    pub(super) fn language(&self, code: &str) -> Option<usize> {
        self.languages.iter().position(|l| l.0 == code)
    }

    /// Transcripts are in this language from now on; without one in the first, or in English where the model knows
    /// nothing else.
    pub(super) fn speak(&mut self, language: Option<usize>) {
        let Some((code, token)) = self.languages.get(language.unwrap_or(0)) else {
            self.start = vec![self.transcript];
            return;
        };
        self.tokens_a_second = if code == "en" { ENGLISH } else { OTHERS };
        self.start = vec![self.transcript, *token, self.transcribe];
    }

    /// Tokens a second that speech does not pass, whatever is said.
    pub(super) fn most_a_second(&self) -> f64 {
        if self.tokens_a_second > ENGLISH { MOST } else { ENGLISH }
    }

    /// The same behind these tokens: where they are but parts of characters it is what characters come to.
    pub(super) fn tokens_a_second(&self, said: &[usize]) -> f64 {
        let begun: usize = said.iter().filter_map(|&t| self.characters.get(t)).map(|&n| usize::from(n)).sum();
        let dense = CHARACTERS * said.len() as f64 / begun.max(1) as f64;
        if self.tokens_a_second > ENGLISH { dense.clamp(OTHERS, MOST) } else { ENGLISH }
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

    /// The tokens of the text before, at most `most` of its last, with the token that introduces them; nothing for an
    /// empty text.
    pub(super) fn prompt(&self, text: &str, most: usize) -> Result<Vec<i64>, String> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let encoding = self.tokenizer.encode_fast(format!(" {}", text.trim()), false).map_err(|e| e.to_string())?;
        let ids = encoding.get_ids();
        let last =
            ids[ids.len().saturating_sub(most)..].iter().copied().map(i64::from).filter(|&id| id < self.end as i64);
        Ok(std::iter::once(self.start_of_previous).chain(last).collect())
    }

    /// Ranges of tokens that are words, with their texts: a word starts at a token that starts with a space. What has
    /// no letter or digit joins the word before it, or the one after where there is none before.
    pub(super) fn words(&self, tokens: &[usize]) -> Result<Vec<(std::ops::Range<usize>, String)>, String> {
        let mut words: Vec<(std::ops::Range<usize>, String)> = Vec::new();
        let mut from = 0;
        while from < tokens.len() {
            let to =
                tokens[from + 1..].iter().position(|&t| self.starts_word(t)).map_or(tokens.len(), |n| from + 1 + n);
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
        Ok(text
            .chars()
            .filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER)
            .collect::<String>()
            .trim()
            .to_owned())
    }
}

/// How many characters of UTF-8 begin in a token as byte-level tokenizers write it, a letter a byte: bytes 80 to BF go
/// on with one.
fn characters(shown: &str) -> u8 {
    // GPT-2 moves the bytes that can't be printed behind U+0100 in order: 00 to 20 and 7F come first, then 80 to A0,
    // and AD.
    let goes_on = |c: char| matches!(u32::from(c), 0x80..=0xbf | 0x122..=0x143);
    shown.chars().filter(|&c| !goes_on(c)).count().min(255) as u8
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder with a tokenizer of the letters, two words and the special tokens.
    pub fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let pieces = ["a", "b", "h", "i", ".", "\u{120}", "\u{120}a", "\u{120}b", "hi", "\u{120}.", "-"];
        let special =
            ["<|endoftext|>", "<|startoftranscript|>", "<|nocaptions|>", "<|startofprev|>", "<|notimestamps|>"];
        let vocab: serde_json::Map<_, _> =
            pieces.iter().enumerate().map(|(i, p)| ((*p).to_owned(), i.into())).collect();
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
        std::fs::write(
            folder.path().join("config.json"),
            r#"{"suppress_ids": [4, 11], "suppress_ids_begin": [5, 11]}"#,
        )
        .expect("writes");
        folder
    }

    pub fn vocabulary() -> Vocabulary {
        {
            let folder = folder();
            let file = |name: &str| folder.path().join(name);
            Vocabulary::open(&file("tokenizer.json"), &file("config.json"), 20).expect("a vocabulary")
        }
    }

    #[test]
    fn special_tokens_are_found_and_only_the_end_may_be_said() {
        let v = vocabulary();
        assert_eq!((v.start.clone(), v.end, v.no_speech, v.no_timestamps), (vec![12], 11, 13, 15));
        assert!(!v.never[v.end] && v.never[4] && !v.never[0]);
        assert!(v.never[v.end + 1..].iter().all(|&n| n));
    }

    #[test]
    fn a_token_has_as_many_characters_as_begin_in_it() {
        // As `ranks` writes them: a space, é whole and in two, the first byte of க and its others.
        assert_eq!(
            ["\u{120}the", "\u{120}\u{c3}\u{a9}", "\u{c3}", "\u{a9}", "\u{e0}", "\u{ae}\u{137}", ""].map(characters),
            [4, 2, 1, 0, 1, 0, 0]
        );
    }

    #[test]
    fn a_script_that_the_tokens_know_little_has_more_tokens_a_second() {
        let mut v = vocabulary();
        assert_eq!((v.tokens_a_second(&[0; 9]), v.most_a_second()), (ENGLISH, ENGLISH), "English alone");
        v.tokens_a_second = OTHERS;
        v.characters[..4].copy_from_slice(&[1, 0, 0, 2]);
        assert_eq!(v.tokens_a_second(&[]), OTHERS);
        assert_eq!(v.tokens_a_second(&[3, 3, 0]), OTHERS, "tokens are whole characters");
        assert_eq!(v.tokens_a_second(&[0, 1, 0, 1]), 2.0 * CHARACTERS);
        assert_eq!(v.tokens_a_second(&[0, 1, 2, 1, 1, 1, 1, 1]), MOST, "no loop of bytes goes on for ever");
        assert_eq!(v.most_a_second(), MOST);
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
        let open = || Vocabulary::open(&folder.path().join("tokenizer.json"), &folder.path().join("config.json"), 20);
        std::fs::write(folder.path().join("config.json"), "{").expect("writes");
        let message = open().err().expect("must fail").to_string();
        assert!(message.contains("config.json"), "{message}");
        std::fs::write(folder.path().join("tokenizer.json"), "[]").expect("writes");
        let message = open().err().expect("must fail").to_string();
        assert!(message.contains("tokenizer.json"), "{message}");
    }
}
