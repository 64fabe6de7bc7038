//! What a language and its script ask of text: whether a space stands between words, where words part without one, how
//! wide text is, which way it runs. Knows words and strings, no cues, no files and no models.

use std::ops::Range;

use icu_segmenter::options::{LineBreakOptions, LineBreakStrictness, WordBreakInvariantOptions};
use icu_segmenter::{GraphemeClusterSegmenter, LineSegmenter, WordSegmenter};
use unicode_width::UnicodeWidthStr;

use super::Word;

/// A language by its code; without one it isn't known, and no language's rules hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Language {
    /// The first part of its BCP 47 name in small letters, `pt` of `pt-BR`; empty where it isn't known.
    code: String,
    /// Whether its script runs from right to left.
    right_to_left: bool,
}

/// Languages that are written from right to left.
const RIGHT_TO_LEFT: &[&str] = &["ar", "arc", "ckb", "dv", "fa", "he", "nqo", "ps", "sd", "syr", "ug", "ur", "yi"];
/// Scripts that are, as a name's second part tells them: `ku-Arab`.
const RIGHT_TO_LEFT_SCRIPTS: &[&str] = &["adlm", "arab", "hebr", "nkoo", "syrc", "thaa"];
/// Older and other codes of the same languages.
const SAME: &[(&str, &str)] = &[("iw", "he"), ("ji", "yi"), ("cmn", "zh"), ("in", "id"), ("eng", "en")];
/// Words that every English text is full of and few others have.
const ENGLISH: &[&str] = &[
    "the", "and", "of", "to", "that", "it", "is", "you", "was", "for", "with", "have", "this", "they", "he", "she",
    "we", "are", "not", "but", "his", "her", "my", "what", "there",
];
/// The least share of them in an English text: they are a quarter to a third of it.
const ENGLISH_SHARE: f64 = 0.15;

/// Marks that end a sentence, in all scripts.
pub const SENTENCE_ENDS: &[char] =
    &['.', '?', '!', '…', '。', '．', '？', '！', '｡', '؟', '۔', '।', '॥', '။', '។', '։'];

impl Language {
    /// By its BCP 47 name, in any case; what is no such name is not known.
    pub fn of(name: &str) -> Language {
        let name = name.trim().to_ascii_lowercase();
        let mut parts = name.split(['-', '_']);
        let first = parts
            .next()
            .filter(|p| (2..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_lowercase()))
            .unwrap_or_default();
        let code = SAME.iter().find(|(other, _)| *other == first).map_or(first, |(_, code)| code).to_owned();
        let script = parts.find(|p| p.len() == 4 && p.bytes().all(|b| b.is_ascii_lowercase()));
        let right_to_left =
            script.map_or_else(|| RIGHT_TO_LEFT.contains(&code.as_str()), |s| RIGHT_TO_LEFT_SCRIPTS.contains(&s));
        Language { code, right_to_left }
    }

    /// English.
    pub fn english() -> Language {
        Language::of("en")
    }

    /// By its name or, where that is empty, as well as the words tell it: by their script, and English by its commonest
    /// words. A recogniser of one language alone often doesn't tell which.
    pub fn of_words<'a>(name: &str, words: impl IntoIterator<Item = &'a Word>) -> Language {
        let told = Language::of(name);
        if !told.code.is_empty() {
            return told;
        }
        let sample: Vec<&Word> = words.into_iter().collect();
        let letters = || sample.iter().flat_map(|w| w.text.chars()).filter(|c| c.is_alphabetic());
        let all = letters().count();
        let most = |fits: fn(char) -> bool| letters().filter(|c| fits(*c)).count() * 2 > all;
        let some = |fits: fn(char) -> bool| letters().filter(|c| fits(*c)).count() * 10 > all;
        let of = |code| Language::of(code);
        match () {
            () if all == 0 => Language::default(),
            () if some(kana) && most(chinese_or_japanese) => of("ja"),
            () if most(han) => of("zh"),
            () if most(hangul) => of("ko"),
            () if most(|c| ('\u{e00}'..='\u{e7f}').contains(&c)) => of("th"),
            () if most(|c| ('\u{e80}'..='\u{eff}').contains(&c)) => of("lo"),
            () if most(|c| ('\u{1000}'..='\u{109f}').contains(&c)) => of("my"),
            () if most(|c| ('\u{1780}'..='\u{17ff}').contains(&c)) => of("km"),
            () if most(|c| ('\u{590}'..='\u{5ff}').contains(&c)) => of("he"),
            // Whose Arabic letters they are nobody can say, but which way they run.
            () if most(|c| ('\u{600}'..='\u{8ff}').contains(&c)) => {
                Language { code: String::new(), right_to_left: true }
            }
            () => {
                let plain = |w: &Word| w.text.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase();
                let common = sample.iter().filter(|w| ENGLISH.contains(&plain(w).as_str())).count();
                if common as f64 >= ENGLISH_SHARE * sample.len() as f64 {
                    Language::english()
                } else {
                    Language::default()
                }
            }
        }
    }

    /// Its code; empty where it isn't known.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Whether it is English.
    pub fn is_english(&self) -> bool {
        self.code == "en"
    }

    /// Whether it is Chinese or Japanese.
    pub fn is_chinese_or_japanese(&self) -> bool {
        matches!(self.code.as_str(), "zh" | "yue" | "wuu" | "ja")
    }

    /// Whether its text runs from right to left.
    pub fn runs_right_to_left(&self) -> bool {
        self.right_to_left
    }

    /// What stands between two pieces of text that follow each other: a space, but nothing between characters of
    /// scripts that have none between words. Chinese and Japanese have none beside letters and digits of other scripts
    /// either.
    pub fn glue(&self, before: &str, after: &str) -> &'static str {
        let (Some(a), Some(b)) = (before.chars().next_back(), after.chars().next()) else { return "" };
        let beside = self.is_chinese_or_japanese()
            && (chinese_or_japanese(a) || chinese_or_japanese(b))
            && !hangul(a)
            && !hangul(b);
        if beside || (spaceless(a) && spaceless(b)) { "" } else { " " }
    }

    /// Pieces of text in one, with what [`Language::glue`] puts between them.
    pub fn joined<'a>(&self, pieces: impl IntoIterator<Item = &'a str>) -> String {
        pieces.into_iter().filter(|piece| !piece.is_empty()).fold(String::new(), |mut out, piece| {
            out.push_str(self.glue(&out, piece));
            out.push_str(piece);
            out
        })
    }

    /// How wide words are in one line.
    pub fn width_of(&self, words: &[Word]) -> usize {
        let glue = words.windows(2).map(|pair| self.glue(&pair[0].text, &pair[1].text).len()).sum::<usize>();
        words.iter().map(|w| width(&w.text)).sum::<usize>() + glue
    }

    /// The beginning of a text without spaces that takes at most so many columns, in bytes; more where no character
    /// before may end a line. Never nothing.
    fn cut(&self, text: &str, columns: usize) -> usize {
        let mut end = None;
        for at in GraphemeClusterSegmenter::new().segment_str(text).skip(1) {
            if end.is_some() && width(&text[..at]) > columns {
                break;
            }
            if self.glue(&text[..at], &text[at..]).is_empty() {
                end = Some(at);
            }
        }
        end.unwrap_or(text.len())
    }

    /// The parts of a text between which a line may break although no space stands there: words of scripts without
    /// spaces, each with the marks that must not be parted from it. A text of other scripts is one part.
    pub fn parts(&self, text: &str) -> Vec<Range<usize>> {
        let whole = 0..text.len();
        if !text.chars().any(spaceless) {
            return Vec::from([whole]);
        }
        let mut options = LineBreakOptions::default();
        options.strictness = Some(LineBreakStrictness::Strict);
        let lines: Vec<usize> = LineSegmenter::new_auto(options).segment_str(text).collect();
        let words = WordSegmenter::new_auto(WordBreakInvariantOptions::default()).segment_str(text);
        let inside = words.filter(|at| (1..text.len()).contains(at) && lines.binary_search(at).is_ok());
        let free = inside.filter(|at| self.glue(&text[..*at], &text[*at..]).is_empty());
        let mut out = Vec::new();
        let mut from = 0;
        for at in free.chain([text.len()]) {
            out.push(from..at);
            from = at;
        }
        out
    }
}

/// Columns that a text takes: a wide character, as Chinese and Japanese ones are, takes two, a mark above or below
/// another none.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The beginning of a text that takes at most so many columns, in bytes: whole characters as a person sees them, at
/// least one.
pub fn fitting(text: &str, columns: usize) -> usize {
    let mut end = 0;
    for at in GraphemeClusterSegmenter::new().segment_str(text).skip(1) {
        if end > 0 && width(&text[..at]) > columns {
            break;
        }
        end = at;
    }
    end
}

/// The words of a text; of scripts without spaces each character by itself, with the marks behind it.
pub fn characters_or_words(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    for word in text.split_whitespace() {
        if !word.chars().any(spaceless) {
            out.push(word);
            continue;
        }
        let mut from = 0;
        for at in GraphemeClusterSegmenter::new().segment_str(word).skip(1) {
            let next = word[at..].chars().next();
            let parted = word[..at]
                .chars()
                .next_back()
                .zip(next)
                .is_none_or(|(a, b)| spaceless(a) && spaceless(b) && b.is_alphanumeric());
            if parted {
                out.push(&word[from..at]);
                from = at;
            }
        }
    }
    out
}

/// Words that no space parts, cut where a line may break: recognisers give single characters, syllables or whole
/// sentences as a word. What follows each other within `pause` seconds is looked at together; no part is wider than
/// `columns`. Times of parts are shared out by characters; text and order stay.
pub fn repartitioned(words: &[Word], language: &Language, pause: f64, columns: usize) -> Vec<Word> {
    let mut out = Vec::with_capacity(words.len());
    let runs = words.chunk_by(|a, b| language.glue(&a.text, &b.text).is_empty() && b.start - a.end < pause);
    for run in runs {
        if run.iter().any(|w| w.text.chars().any(spaceless)) {
            out.extend(parted(run, language, columns));
        } else {
            out.extend_from_slice(run);
        }
    }
    out
}

/// The words of a run that no space parts.
fn parted(run: &[Word], language: &Language, columns: usize) -> Vec<Word> {
    let text: String = run.iter().map(|w| w.text.as_str()).collect();
    // Where each word of the run ends, in bytes.
    let ends: Vec<usize> =
        run.iter().scan(0, |at, w| Some(std::mem::replace(at, *at + w.text.len()) + w.text.len())).collect();
    let holder = |at: usize| ends.partition_point(|end| *end <= at).min(run.len() - 1);
    // The time of a place: within its word by the share of letters before it.
    let time = |at: usize, k: usize| {
        let from = ends[k] - run[k].text.len();
        let share = (at - from) as f64 / run[k].text.len().max(1) as f64;
        ((run[k].start + share * (run[k].end - run[k].start)) * 1000.0).round() / 1000.0
    };
    let mut out = Vec::new();
    for mut part in language.parts(&text) {
        while !part.is_empty() {
            let piece = part.start..part.start + language.cut(&text[part.clone()], columns);
            let (first, last) = (holder(piece.start), holder(piece.end - 1));
            let confidence = run[first..=last].iter().map(|w| w.confidence).fold(1.0, f32::min);
            let (start, end) = (time(piece.start, first), time(piece.end, last));
            out.push(Word { text: text[piece.clone()].to_owned(), start, end: end.max(start), confidence });
            part.start = piece.end;
        }
    }
    out
}

fn kana(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' | '\u{1b000}'..='\u{1b16f}')
}

/// Whether a character is of the script that Japanese writes endings and particles in.
pub fn hiragana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{309f}')
}

fn han(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}')
}

/// Han, kana, and the marks that are as wide as they.
fn chinese_or_japanese(c: char) -> bool {
    han(c) || kana(c) || matches!(c, '\u{3001}'..='\u{303f}' | '\u{3100}'..='\u{312f}' | '\u{ff01}'..='\u{ff65}')
}

/// Whether no space stands between words of this character's script.
fn spaceless(c: char) -> bool {
    // Thai, Lao, Burmese and Khmer beside them.
    chinese_or_japanese(c)
        || matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{aa60}'..='\u{aa7f}' | '\u{1780}'..='\u{17ff}')
}

#[cfg(test)]
#[path = "language_tests.rs"]
mod tests;
