//! `tokens.txt`: a symbol and its number a line. Knows no model.

use std::collections::HashMap;
use std::path::Path;

use super::Piece;
use crate::runtime::RuntimeError;

/// SentencePiece's mark of a word's beginning.
const MARK: &str = "\u{2581}";

struct Symbol {
    bytes: Vec<u8>,
    begins: bool,
    /// Whether it is text at all: `<unk>`, `<blk>` and the like are none.
    text: bool,
}

/// The vocabulary of a model.
pub(in crate::captions) struct Symbols {
    by_id: Vec<Option<Symbol>>,
    by_name: HashMap<String, usize>,
}

impl Symbols {
    /// Reads the file.
    pub(in crate::captions) fn read(path: &Path) -> Result<Self, RuntimeError> {
        let wrong = |why: String| RuntimeError::Model { path: path.to_owned(), why };
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        Self::parse(&text).map_err(wrong)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut symbols = Self { by_id: Vec::new(), by_name: HashMap::new() };
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = || format!("line {} is `{line}`, where a symbol and its number belong", n + 1);
            let mut fields = line.split_whitespace().rev();
            let id: usize = fields.next().and_then(|f| f.parse().ok()).filter(|&id| id < 1 << 20).ok_or_else(wrong)?;
            // The symbol of a space leaves one field.
            let name = fields.next().unwrap_or(" ");
            if fields.next().is_some() {
                return Err(wrong());
            }
            if symbols.by_id.len() <= id {
                symbols.by_id.resize_with(id + 1, || None);
            }
            if symbols.by_id[id].replace(Symbol::named(name)).is_some() {
                return Err(format!("line {} gives the number {id} once more", n + 1));
            }
            symbols.by_name.insert(name.to_owned(), id);
        }
        if symbols.by_id.is_empty() { Err("there is no symbol in it".to_owned()) } else { Ok(symbols) }
    }

    /// From what each token writes, by its number; empty for one that writes nothing.
    pub(in crate::captions) fn of_pieces(pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let (mut by_id, mut by_name) = (Vec::new(), HashMap::new());
        for bytes in pieces {
            by_id.push(Some(match std::str::from_utf8(&bytes) {
                Ok(name) => {
                    by_name.insert(name.to_owned(), by_id.len());
                    Symbol::named(name)
                }
                // A part of a character.
                Err(_) => {
                    if let [byte] = bytes[..] {
                        by_name.insert(format!("<0x{byte:02X}>"), by_id.len());
                    }
                    Symbol { bytes, begins: false, text: true }
                }
            }));
        }
        Self { by_id, by_name }
    }

    /// The number of a symbol.
    pub(in crate::captions) fn id(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The symbols by their numbers; empty where a number has none.
    pub(in crate::captions) fn names(&self) -> Vec<&str> {
        let mut names = vec![""; self.by_id.len()];
        self.by_name.iter().for_each(|(name, &id)| names[id] = name);
        names
    }

    /// One more than the highest number.
    pub(in crate::captions) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// What a token adds to the text.
    pub(in crate::captions) fn piece(&self, id: usize) -> Option<Piece<'_>> {
        let symbol = self.by_id.get(id)?.as_ref().filter(|s| s.text)?;
        Some(Piece { bytes: &symbol.bytes, begins: symbol.begins })
    }
}

impl Symbol {
    fn named(name: &str) -> Self {
        if let Some(byte) = name.strip_prefix("<0x").and_then(|r| r.strip_suffix('>')).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            return Self { bytes: vec![byte], begins: false, text: true };
        }
        let begins = name.starts_with([' ', '\u{2581}']);
        let bare = name.strip_prefix(MARK).unwrap_or(name).trim_start();
        let text = !(name.len() > 2 && name.starts_with('<') && name.ends_with('>'));
        Self { bytes: bare.replace(MARK, " ").into_bytes(), begins, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_pieces() {
        let symbols = Symbols::parse("<blk> 0\n<unk> 1\n\u{2581}he 2\nllo 3\n<0xC3> 4\n<0xA9> 5\n  6\n< 7\n").expect("symbols");
        assert_eq!((symbols.len(), symbols.id("<blk>"), symbols.id("llo")), (8, Some(0), Some(3)));
        let piece = |id| symbols.piece(id).map(|p| (p.bytes.to_vec(), p.begins));
        assert_eq!(piece(0), None);
        assert_eq!(piece(2), Some((b"he".to_vec(), true)));
        assert_eq!(piece(3), Some((b"llo".to_vec(), false)));
        assert_eq!(piece(4), Some((vec![0xC3], false)));
        assert_eq!(piece(6), Some((vec![], true)), "a space alone begins a word");
        assert_eq!(piece(7), Some((b"<".to_vec(), false)));
        assert_eq!(piece(99), None);
    }

    #[test]
    fn what_is_no_vocabulary_is_told_by_its_line() {
        for (text, told) in
            [("a 0\nb", "line 2"), ("a 0\nb 0", "line 2"), ("a b 1", "line 1"), ("a 99999999999", "line 1"), ("", "no symbol")]
        {
            let why = Symbols::parse(text).err().unwrap_or_default();
            assert!(why.contains(told), "{text:?}: {why}");
        }
    }
}
