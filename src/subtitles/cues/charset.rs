//! The characters that a style's decoders show, and the nearest ones for those that they don't. Knows no cues.
//!
//! CEA-608 has its own set: most of ASCII, and, as special and extended characters, those of Western Europe. Curly
//! quotes and dashes are there too, but only in the extended sets that many decoders lack, so they are written plainly.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A set of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// All of Unicode.
    Any,
    /// What CEA-608 decoders show.
    Cea608,
}

/// Beyond ASCII: special characters, then the extended sets (Spanish and French; Portuguese, German and Danish).
const CEA608: &str = "®°½¿™¢£♪àèâêîôûáéíóúçñÑ÷█ÁÉÓÚÜü¡©℠•ÀÂÇÈÊËëÎÏïÔÙùÛ«»ÃãÍÌìÒòÕõÄäÖöß¥¤¦ÅåØø";

/// What is written plainly.
const PLAIN: &[(char, &str)] = &[
    ('‘', "'"),
    ('’', "'"),
    ('‚', "'"),
    ('‛', "'"),
    ('ʼ', "'"),
    ('“', "\""),
    ('”', "\""),
    ('„', "\""),
    ('‹', "'"),
    ('›', "'"),
    ('–', "-"),
    ('‐', "-"),
    ('‑', "-"),
    ('−', "-"),
    ('—', "--"),
    ('…', "..."),
    ('\u{a0}', " "),
    ('\u{202f}', " "),
    ('\u{2009}', " "),
    ('\u{ad}', ""),
    ('\u{200b}', ""),
    ('€', "EUR"),
    ('æ', "ae"),
    ('Æ', "AE"),
    ('œ', "oe"),
    ('Œ', "OE"),
    ('ł', "l"),
    ('Ł', "L"),
    ('đ', "d"),
    ('Đ', "D"),
    ('ð', "d"),
    ('þ', "th"),
    ('ı', "i"),
    ('♫', "♪"),
];

impl Charset {
    /// Whether a decoder shows it.
    pub fn shows(self, c: char) -> bool {
        match self {
            Charset::Any => true,
            Charset::Cea608 => (' '..='~').contains(&c) && c != '`' || CEA608.contains(c),
        }
    }

    /// A text with what can't be shown replaced by the nearest that can; what has nothing near stays as it is, for the
    /// check to find.
    pub fn nearest(self, text: &str) -> String {
        if text.chars().all(|c| self.shows(c)) {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        // Composed first: é is in the set, e and a mark aren't.
        for c in text.nfc() {
            if self.shows(c) {
                out.push(c);
            } else if let Some((_, plain)) = PLAIN.iter().find(|(from, _)| *from == c) {
                out.push_str(plain);
            } else if c == '`' {
                out.push('\'');
            } else {
                let bare: String = c.nfkd().filter(|c| !is_combining_mark(*c)).collect();
                // A mark goes where its letter could be written; on a letter that can't it stays for the check to find.
                let on_shown = out.chars().next_back().is_none_or(|before| self.shows(before));
                if bare.chars().all(|c| self.shows(c)) && (!bare.is_empty() || on_shown) {
                    out.push_str(&bare);
                } else {
                    out.push(c);
                }
            }
        }
        out
    }

    /// How many characters of a text can't be shown.
    pub fn missing(self, text: &str) -> usize {
        text.chars().filter(|c| !self.shows(*c)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_608_decoder_gets_what_it_shows() {
        let near = |text: &str| Charset::Cea608.nearest(text);
        assert_eq!(near("“Don’t…” he said – and left—"), "\"Don't...\" he said - and left--");
        assert_eq!(near("Dvořák’s façade, naïve Zürich, Łódź, 5 €"), "Dvorák's façade, naïve Zürich, Lódz, 5 EUR");
        assert_eq!(near("e\u{301}te\u{301}"), "été");
        assert_eq!(near("東京 f***"), "東京 f***");
        assert_eq!(Charset::Cea608.missing("東京 f***"), 2);
        assert_eq!(Charset::Any.nearest("“東京”"), "“東京”");
    }

    #[test]
    fn what_it_writes_for_another_can_be_shown() {
        for (from, plain) in PLAIN {
            assert!(plain.chars().all(|c| Charset::Cea608.shows(c)), "{from}");
        }
    }
}
