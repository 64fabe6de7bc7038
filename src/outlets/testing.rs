//! Words for the tests of the outlets, here and in `tests/`.

use mynah_subtitles::Word;

/// The words of a text, half a second each, from second 0 on.
pub fn words(text: &str) -> Vec<Word> {
    words_at(text, 0.0)
}

/// The same, from a second on.
pub fn words_at(text: &str, start: f64) -> Vec<Word> {
    let word = |(i, text): (usize, &str)| {
        let start = start + i as f64 * 0.5;
        Word { text: text.to_owned(), start, end: start + 0.4, confidence: 1.0 }
    };
    text.split_whitespace().enumerate().map(word).collect()
}
