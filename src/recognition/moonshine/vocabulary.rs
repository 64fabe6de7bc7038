//! Moonshine's tokens: what each writes, and words out of them. Knows no session.
//!
//! Three files say it: `tokenizer.bin` (Moonshine's own runtime: for each token a length, in one byte below 128, else
//! in two as `low + 128, high` of base 128, and so many bytes), `tokens.txt` (sherpa-onnx) and `tokenizer.json`
//! (Hugging Face).

use std::ops::Range;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokenizers::Tokenizer;

use crate::online::symbols::Symbols;
use mynah_files as files;
use mynah_models::runtime::RuntimeError;

/// The file's names, the likeliest first.
pub(super) const NAMES: [&str; 3] = ["tokenizer.bin", "tokens.txt", "tokenizer.json"];

/// What the tokens write.
pub(super) struct Vocabulary {
    symbols: Symbols,
}

impl Vocabulary {
    /// Reads one of the three files, for a model with `size` tokens where that is known.
    pub(super) fn open(path: &Path, size: Option<usize>) -> Result<Self, RuntimeError> {
        let wrong = |why: String| RuntimeError::File { path: path.to_owned(), why };
        let symbols = match path.extension().and_then(|e| e.to_str()) {
            Some("bin") => {
                Symbols::of_pieces(pieces(&files::read(path, files::VOCABULARY).map_err(wrong)?).map_err(wrong)?)
            }
            Some("json") => {
                let text = files::text(path, files::VOCABULARY).map_err(wrong)?;
                let tokenizer = Tokenizer::from_bytes(text).map_err(|e| wrong(e.to_string()))?;
                let count = tokenizer.get_vocab_size(true) as u32;
                let piece = |id| tokenizer.id_to_token(id).map(String::into_bytes);
                let piece = |id| piece(id).ok_or_else(|| wrong(format!("no token of its {count} has the number {id}")));
                Symbols::of_pieces((0..count).map(piece).collect::<Result<Vec<_>, _>>()?)
            }
            _ => {
                let symbols = Symbols::read(path)?;
                // sherpa-onnx publishes the merged layout with its symbols in base64.
                let coded = symbols.id("</s>").is_none() && symbols.id(&STANDARD.encode("</s>")).is_some();
                if coded { decoded(&symbols).map_err(wrong)? } else { symbols }
            }
        };
        match size {
            Some(size) if symbols.len() < size => Err(RuntimeError::Contract {
                path: path.to_owned(),
                expected: format!("{size} tokens, as many as the model has"),
                found: symbols.len().to_string(),
            }),
            _ => Ok(Self { symbols }),
        }
    }

    /// How many tokens it has.
    pub(super) fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether a word starts with this token.
    pub(super) fn starts_word(&self, token: usize) -> bool {
        self.symbols.piece(token, None).is_some_and(|p| p.begins)
    }

    /// Whether a token writes a script of which a letter says more than one of ours: Greek and all that comes behind it
    /// in Unicode, less Latin with marks below, and punctuation.
    pub(super) fn is_dense(&self, token: usize) -> bool {
        self.symbols
            .piece(token, None)
            .and_then(|p| p.bytes.first().copied())
            .is_some_and(|b| b >= 0xCD && b != 0xE1 && b != 0xE2)
    }

    /// Ranges of tokens that are words, with their texts. What has no letter or digit joins the word before it, or the
    /// one after where there is none before.
    pub(super) fn words(&self, tokens: &[usize]) -> Vec<(Range<usize>, String)> {
        let mut words: Vec<(Range<usize>, String)> = Vec::new();
        let sounded = |text: &str| text.chars().any(char::is_alphanumeric);
        let mut from = 0;
        while from < tokens.len() {
            let to =
                tokens[from + 1..].iter().position(|&t| self.starts_word(t)).map_or(tokens.len(), |n| from + 1 + n);
            let text = self.text(&tokens[from..to]);
            match words.last_mut() {
                Some(last) if !sounded(&text) || !sounded(&last.1) => {
                    last.0.end = to;
                    let space = if last.1.is_empty() || text.is_empty() { "" } else { " " };
                    last.1 = [last.1.as_str(), &text].join(space);
                }
                _ => words.push((from..to, text)),
            }
            from = to;
        }
        words.retain(|w| sounded(&w.1));
        words
    }

    /// The text of tokens, without control characters, broken ones and surrounding spaces.
    pub(super) fn text(&self, tokens: &[usize]) -> String {
        let mut bytes = Vec::new();
        for piece in tokens.iter().filter_map(|&t| self.symbols.piece(t, None)) {
            if piece.begins {
                bytes.push(b' ');
            }
            bytes.extend_from_slice(piece.bytes);
        }
        let text = String::from_utf8_lossy(&bytes);
        text.chars()
            .filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER)
            .collect::<String>()
            .trim()
            .to_owned()
    }

    /// Tokens of a word that others come before, as byte-pair encoding spells it: of all neighbours that are a piece
    /// together those become one whose piece was learnt first, which is the one of the lowest number, until there are
    /// none. A character without a piece is spelt in bytes, or left out.
    pub(super) fn spell(&self, word: &str) -> Result<Vec<usize>, String> {
        let mut tokens = Vec::new();
        for word in word.split_whitespace() {
            let whole = format!("\u{2581}{word}");
            if let Some(id) = self.symbols.id(&whole) {
                tokens.push(id);
                continue;
            }
            let mut parts: Vec<String> = whole.chars().map(String::from).collect();
            let together = |pair: &[String]| self.symbols.id(&pair.concat());
            while let Some((_, at)) =
                parts.windows(2).enumerate().filter_map(|(at, pair)| Some((together(pair)?, at))).min()
            {
                let second = parts.remove(at + 1);
                parts[at].push_str(&second);
            }
            tokens.extend(parts.iter().flat_map(|part| match self.symbols.id(part) {
                Some(id) => vec![id],
                None => part.bytes().filter_map(|b| self.symbols.id(&format!("<0x{b:02X}>"))).collect(),
            }));
        }
        Ok(tokens)
    }
}

/// The same where the symbols are written in base64.
fn decoded(symbols: &Symbols) -> Result<Symbols, String> {
    let piece = |name: &str| STANDARD.decode(name).map_err(|e| format!("its symbol `{name}` is no base64: {e}"));
    Ok(Symbols::of_pieces(symbols.names().into_iter().map(piece).collect::<Result<Vec<_>, _>>()?))
}

/// What each token writes in a `tokenizer.bin`.
fn pieces(data: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let (mut pieces, mut rest) = (Vec::new(), data);
    while let Some((&low, after)) = rest.split_first() {
        let (length, after) = match (low, after.split_first()) {
            (0..=127, _) => (usize::from(low), after),
            (_, Some((&high, after))) => (usize::from(high) * 128 + usize::from(low) - 128, after),
            _ => return Err(format!("it ends inside of token {}", pieces.len())),
        };
        let bytes = after.get(..length).ok_or_else(|| format!("it ends inside of token {}", pieces.len()))?;
        pieces.push(bytes.to_vec());
        rest = &after[length..];
    }
    if pieces.is_empty() { Err("it is empty".to_owned()) } else { Ok(pieces) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Tokens 0 to 2 are special, then come pieces.
    pub fn vocabulary() -> Vocabulary {
        let names = [
            "<unk>",
            "<s>",
            "</s>",
            "\u{2581}on",
            "e",
            "\u{2581}two",
            ".",
            "\u{2581}",
            "\u{2581}-",
            "<0xC3>",
            "<0xA9>",
            "\u{2581}да",
            "o",
            "n",
            "on",
        ];
        Vocabulary { symbols: Symbols::of_pieces(names.map(|n| n.as_bytes().to_vec())) }
    }

    #[test]
    fn words_start_at_spaces_and_marks_join_their_neighbours() {
        let v = vocabulary();
        let words = v.words(&[3, 4, 6, 5, 8, 2]);
        assert_eq!(words, [(0..3, "one.".to_owned()), (3..6, "two -".to_owned())]);
        assert_eq!(v.words(&[8, 3]), [(0..2, "- on".to_owned())]);
        assert_eq!(v.words(&[8, 0]), []);
        assert_eq!(v.text(&[3, 9, 10]), "oné");
        assert_eq!(v.text(&[3, 9]), "on", "half a character");
        assert!(v.is_dense(11) && !v.is_dense(3) && !v.is_dense(9));
    }

    #[test]
    fn words_are_spelt_as_they_were_learnt() {
        let v = vocabulary();
        assert_eq!(v.spell("one").expect("spelt"), [3, 4]);
        assert_eq!(v.spell(" one  on ").expect("spelt"), [3, 4, 3]);
        assert_eq!(v.spell(" noé").expect("spelt"), [7, 13, 12, 9, 10]);
        assert_eq!(v.spell("x").expect("spelt"), [7], "what no piece writes is left out");
    }

    #[test]
    fn a_binary_file_is_read_to_its_end_or_told() {
        let long = vec![b'a'; 300];
        let mut file = vec![2, b'h', b'i', 0, 1, 0x80, (300 % 128 + 128) as u8, 2];
        file.extend(&long);
        assert_eq!(pieces(&file).expect("pieces"), [b"hi".to_vec(), vec![], vec![0x80], long]);
        for (bad, told) in [(&file[..file.len() - 1], "token 3"), (&[200], "token 0"), (&[], "empty")] {
            assert!(pieces(bad).is_err_and(|why| why.contains(told)), "{told}");
        }
    }
}
