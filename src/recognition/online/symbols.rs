//! `tokens.txt`: a symbol and its number a line, and how symbols become text. Knows no model.

use std::collections::HashMap;
use std::path::Path;

use super::Piece;
use mynah_files as files;
use mynah_models::runtime::RuntimeError;

/// SentencePiece's mark of a word's beginning.
const MARK: char = '\u{2581}';
/// What stands behind a symbol that goes on (subword-nmt's mark).
const JOINS: &str = "@@";
/// Letters between U+0100 and U+01A6 that stand for no byte: those that Unicode's compatibility forms (NFKC) replace.
const NO_BYTES: [u32; 6] = [0x132, 0x133, 0x13F, 0x140, 0x149, 0x17F];

/// Marks that stand close behind what they end, whatever the vocabulary puts before them.
const CLOSING: &str = ",.!?;:%)]},。！？；：、，）】」』》〉”’";

/// How a vocabulary writes words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A mark before the pieces that begin words; before every character of scripts without spaces too, which then
    /// stand close (X-ASR's).
    Marked,
    /// The same, and a letter for each byte of UTF-8 (icefall's byte-level BPE).
    Bytes,
    /// [`JOINS`] behind the pieces that go on; characters of other scripts than Latin stand without spaces between them
    /// (FunASR's).
    Joined,
}

struct Symbol {
    bytes: Vec<u8>,
    begins: bool,
    /// Whether the next one goes on with the word.
    joins: bool,
    /// Whether it is text at all: `<unk>`, `<blk>` and the like are none.
    text: bool,
    /// Whether it is nothing but [`CLOSING`] marks.
    closes: bool,
    /// Whether its first and its last character are of a script without spaces.
    wide: [bool; 2],
}

/// The vocabulary of a model.
pub(crate) struct Symbols {
    by_id: Vec<Option<Symbol>>,
    by_name: HashMap<String, usize>,
    style: Style,
}

impl Symbols {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, RuntimeError> {
        Self::open(path, marked_or_bytes)
    }

    /// Reads the file of a vocabulary with `@@` behind the pieces that go on.
    pub(super) fn read_joined(path: &Path) -> Result<Self, RuntimeError> {
        Self::open(path, |_| Style::Joined)
    }

    fn open(path: &Path, style: fn(&[(usize, &str)]) -> Style) -> Result<Self, RuntimeError> {
        let wrong = |why: String| RuntimeError::File { path: path.to_owned(), why };
        let text = files::text(path, files::VOCABULARY).map_err(wrong)?;
        Self::parse(&text, style).map_err(wrong)
    }

    fn parse(text: &str, style: fn(&[(usize, &str)]) -> Style) -> Result<Self, String> {
        let (mut names, mut lines) = (Vec::new(), Vec::new());
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = || format!("line {} is `{line}`, where a symbol and its number belong", n + 1);
            let mut fields = line.split_whitespace().rev();
            let id: usize = fields.next().and_then(|f| f.parse().ok()).filter(|&id| id < 1 << 20).ok_or_else(wrong)?;
            // The symbol of a space leaves one field.
            names.push((id, fields.next().unwrap_or(" ")));
            lines.push((id, n + 1));
            if fields.next().is_some() {
                return Err(wrong());
            }
        }
        without_gaps(lines)?;
        let style = style(&names);
        let mut symbols = Self { by_id: Vec::new(), by_name: HashMap::new(), style };
        for (id, name) in names {
            if symbols.by_id.len() <= id {
                symbols.by_id.resize_with(id + 1, || None);
            }
            if symbols.by_id[id].replace(Symbol::named(name, style)).is_some() {
                return Err(format!("the line of `{name}` gives the number {id} once more"));
            }
            symbols.by_name.insert(name.to_owned(), id);
        }
        if symbols.by_id.is_empty() { Err("there is no symbol in it".to_owned()) } else { Ok(symbols) }
    }

    /// From what each token writes, by its number; empty for one that writes nothing.
    pub(crate) fn of_pieces(pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let (mut by_id, mut by_name) = (Vec::new(), HashMap::new());
        for bytes in pieces {
            by_id.push(Some(match std::str::from_utf8(&bytes) {
                Ok(name) => {
                    by_name.insert(name.to_owned(), by_id.len());
                    Symbol::named(name, Style::Marked)
                }
                // A part of a character.
                Err(_) => {
                    if let [byte] = bytes[..] {
                        by_name.insert(format!("<0x{byte:02X}>"), by_id.len());
                    }
                    Symbol::plain(bytes)
                }
            }));
        }
        Self { by_id, by_name, style: Style::Marked }
    }

    /// The number of a symbol.
    pub(crate) fn id(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The symbols by their numbers; empty where a number has none.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names = vec![""; self.by_id.len()];
        self.by_name.iter().for_each(|(name, &id)| names[id] = name);
        names
    }

    /// One more than the highest number.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// What a token adds to the text behind another one.
    pub(crate) fn piece(&self, id: usize, before: Option<usize>) -> Option<Piece<'_>> {
        let symbol = |id: usize| self.by_id.get(id)?.as_ref();
        let (this, before) = (symbol(id).filter(|s| s.text)?, before.and_then(symbol));
        let begins = match (self.style, before) {
            // As sherpa-onnx writes them: a character of several bytes has no space behind it.
            (Style::Bytes, Some(before)) => this.begins && before.bytes.last().is_none_or(u8::is_ascii_graphic),
            // A space between scripts, and between words of letters.
            (Style::Joined, Some(before)) if this.begins => !before.joins,
            (Style::Joined, Some(before)) => before.begins,
            (Style::Joined, None) => true,
            (Style::Marked, Some(before)) => this.begins && !this.closes && !(before.wide[1] && this.wide[0]),
            _ => this.begins,
        };
        Some(Piece { bytes: &this.bytes, begins })
    }
}

/// An error where numbers are missing among those that stand in some lines: the tokens that have them would be said
/// without a word. By the line behind.
pub(crate) fn without_gaps(mut lines: Vec<(usize, usize)>) -> Result<(), String> {
    lines.sort_unstable();
    let mut next = 0;
    for (id, line) in lines {
        if id > next {
            let missing = if id == next + 1 { format!("{next}") } else { format!("{next} to {}", id - 1) };
            return Err(format!("line {line} has the number {id}, but no line has {missing}; download the file again"));
        }
        next = id + 1;
    }
    Ok(())
}

/// Whether a character is of a script without spaces between its words, or a mark of one: Chinese characters, kana,
/// their punctuation.
fn wide(c: char) -> bool {
    let (scripts, marks) = (
        ['\u{3400}'..='\u{4DBF}', '\u{4E00}'..='\u{9FFF}', '\u{F900}'..='\u{FAFF}', '\u{3040}'..='\u{30FF}'],
        ['\u{3001}'..='\u{3011}', '\u{FF01}'..='\u{FF1F}', '\u{2018}'..='\u{201D}'],
    );
    scripts.iter().chain(&marks).any(|range| range.contains(&c))
}

impl Symbol {
    /// A part of a character.
    fn plain(bytes: Vec<u8>) -> Self {
        Self { bytes, begins: false, joins: false, text: true, closes: false, wide: [false; 2] }
    }

    fn named(name: &str, style: Style) -> Self {
        let text = !(name.len() > 2 && name.starts_with('<') && name.ends_with('>'));
        if style == Style::Joined {
            let (bare, joins) =
                name.strip_suffix(JOINS).filter(|bare| !bare.is_empty()).map_or((name, false), |bare| (bare, true));
            return Self { begins: name.is_ascii(), joins, text, ..Self::plain(bare.into()) };
        }
        if let Some(byte) =
            name.strip_prefix("<0x").and_then(|r| r.strip_suffix('>')).and_then(|hex| u8::from_str_radix(hex, 16).ok())
        {
            return Self::plain(vec![byte]);
        }
        let begins = name.starts_with([' ', MARK]);
        let bare = name.strip_prefix(MARK).unwrap_or(name).trim_start();
        let bytes = match style {
            Style::Bytes => bare.chars().filter_map(byte_of).collect(),
            _ => bare.replace(MARK, " ").into_bytes(),
        };
        let closes = !bare.is_empty() && bare.chars().all(|c| CLOSING.contains(c));
        let wide = [bare.chars().next(), bare.chars().next_back()].map(|c| c.is_some_and(wide));
        Self { begins, text, closes, wide, ..Self::plain(bytes) }
    }
}

/// Byte-level BPE writes with the letters of [`byte_of`] alone and uses some of the highest, which UTF-8 writes with
/// the byte C6: as sherpa-onnx tells it.
fn marked_or_bytes(names: &[(usize, &str)]) -> Style {
    let highest = names.iter().filter_map(|(_, name)| name.trim_start_matches(MARK).bytes().max()).max();
    if highest == Some(0xC6) { Style::Bytes } else { Style::Marked }
}

/// The byte for which a letter stands in byte-level BPE (icefall's `byte_utils.py`): printable ASCII for itself, the
/// others in order for the letters from U+0100 on, without [`NO_BYTES`].
fn byte_of(letter: char) -> Option<u8> {
    match letter {
        ' '..='~' => Some(letter as u8),
        MARK => Some(b' '),
        '\u{100}'..='\u{1A6}' if !NO_BYTES.contains(&(letter as u32)) => {
            let place = letter as u32 - 0x100 - NO_BYTES.iter().filter(|&&no| no < letter as u32).count() as u32;
            u8::try_from(if place < 32 { place } else { place + 95 }).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tokens say, as `online::Speech` puts words together.
    fn text(symbols: &Symbols, tokens: &[usize]) -> String {
        let (mut bytes, mut before) = (Vec::new(), None);
        for &id in tokens {
            if let Some(piece) = symbols.piece(id, before) {
                bytes.extend(piece.begins.then_some(b' '));
                bytes.extend(piece.bytes);
            }
            before = Some(id);
        }
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }

    #[test]
    fn lines_become_pieces() {
        let symbols =
            Symbols::parse("<blk> 0\n<unk> 1\n\u{2581}he 2\nllo 3\n<0xC3> 4\n<0xA9> 5\n  6\n< 7\n", marked_or_bytes)
                .expect("symbols");
        assert_eq!((symbols.len(), symbols.id("<blk>"), symbols.id("llo")), (8, Some(0), Some(3)));
        let piece = |id| symbols.piece(id, None).map(|p| (p.bytes.to_vec(), p.begins));
        assert_eq!(piece(0), None);
        assert_eq!(piece(2), Some((b"he".to_vec(), true)));
        assert_eq!(piece(3), Some((b"llo".to_vec(), false)));
        assert_eq!(piece(4), Some((vec![0xC3], false)));
        assert_eq!(piece(6), Some((vec![], true)), "a space alone begins a word");
        assert_eq!(piece(7), Some((b"<".to_vec(), false)));
        assert_eq!(piece(99), None);
    }

    #[test]
    fn what_goes_on_is_one_word_and_scripts_stand_apart() {
        let symbols =
            Symbols::parse("<blank> 0\n<unk> 1\nhel@@ 2\nlo 3\nyou 4\n你 5\n好 6\n@@ 7\n", |_| Style::Joined)
                .expect("symbols");
        assert_eq!(text(&symbols, &[2, 3, 4, 5, 6, 4, 2, 2, 3]), "hello you 你好 you helhello");
        assert_eq!(text(&symbols, &[2, 5, 3]), "hel 你 lo", "a character ends what would go on");
        assert_eq!(text(&symbols, &[5, 1, 6, 0, 4, 7]), "你 好 you @@");
    }

    #[test]
    fn marked_characters_and_punctuation_stand_close() {
        let lines = "<blk> 0\n\u{2581}， 1\n\u{2581}. 2\n\u{2581}你 3\n\u{2581}好 4\n\u{2581}OK 5\n\u{2581}か 6\nay \
            7\n\u{2581}（ 8\n\u{2581}.. 9\n<unk> 10\n";
        let symbols = Symbols::parse(lines, marked_or_bytes).expect("symbols");
        assert_eq!(symbols.style, Style::Marked);
        assert_eq!(text(&symbols, &[3, 4, 1, 4, 6, 5, 7, 2, 5, 1, 3]), "你好，好か OKay. OK，你");
        assert_eq!(
            text(&symbols, &[5, 8, 3, 9, 10, 4, 1]),
            "OK （你.. 好，",
            "what opens has its space, and what is no text ends a stretch"
        );
        assert_eq!(symbols.piece(1, None).map(|p| p.begins), Some(true), "nothing is before it");
    }

    #[test]
    fn letters_become_bytes() {
        let bytes: Vec<u8> = ('\u{20}'..='\u{1A6}').filter_map(byte_of).collect();
        let mut sorted = bytes.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..=255).collect::<Vec<u8>>(), "each byte has one letter");
        assert_eq!(
            (byte_of('Ā'), byte_of('Ġ'), byte_of('ĺ'), byte_of('Ʀ'), byte_of('é')),
            (Some(0), Some(127), Some(151), Some(255), None)
        );
        // "我" is E6 88 91, "é" is C3 A9.
        let symbols = Symbols::parse(
            "<blk> 0\n\u{2581}ƌĨı 1\nƌĨı 2\n\u{2581}caf 3\nƋĹ 4\n\u{2581}au 5\n\u{2581} 6\n",
            marked_or_bytes,
        )
        .expect("symbols");
        assert_eq!(symbols.style, Style::Bytes);
        let bytes = |id| symbols.piece(id, None).map(|p| p.bytes.to_vec()).unwrap_or_default();
        assert!(bytes(1) == bytes(2) && bytes(4).len() == 2, "{:?} {:?}", bytes(1), bytes(4));
        assert_eq!(text(&symbols, &[5, 3, 6, 5]), "au caf  au", "a mark alone is a word without letters");
        assert_eq!(
            symbols.piece(5, Some(1)).map(|p| p.begins),
            Some(false),
            "no space behind a character of several bytes"
        );
        let other = Symbols::parse("<blk> 0\n\u{2581}caf 1\né 2\n", marked_or_bytes).expect("symbols");
        assert_eq!(other.style, Style::Marked);
    }

    #[test]
    fn what_is_no_vocabulary_is_told_by_its_line() {
        for (text, told) in [
            ("a 0\nb", "line 2"),
            ("a 0\nb 0", "line of `b`"),
            ("a b 1", "line 1"),
            ("a 99999999999", "line 1"),
            ("", "no symbol"),
            ("a 0\nb 1\n\nd 3\n", "line 4 has the number 3, but no line has 2;"),
            ("c 5\na 0", "line 1 has the number 5, but no line has 1 to 4;"),
            ("a 1048575", "no line has 0 to 1048574"),
        ] {
            let why = Symbols::parse(text, marked_or_bytes).err().unwrap_or_default();
            assert!(why.contains(told), "{text:?}: {why}");
        }
    }
}
