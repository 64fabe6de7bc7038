//! What was said and is final: the words whose sound is still in the buffer, and the text before them, which leads the
//! recogniser on.

use crate::Word;

/// Characters of final text that the recogniser is told.
pub(super) const PROMPT_CHARACTERS: usize = 200;

/// Final words and the text before them; both bounded by the buffer and by [`PROMPT_CHARACTERS`].
#[derive(Debug, Default)]
pub(super) struct Said {
    in_buffer: Vec<Word>,
    text: String,
}

impl Said {
    /// Final words, in order.
    pub(super) fn add(&mut self, words: &[Word]) {
        self.in_buffer.extend_from_slice(words);
    }

    /// The final words whose sound is still in the buffer.
    pub(super) fn in_buffer(&self) -> &[Word] {
        &self.in_buffer
    }

    /// The text whose sound has left the buffer: whole words, the last ones.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Leads the recogniser on no more.
    pub(super) fn forget_text(&mut self) {
        self.text.clear();
    }

    /// The words that end by this second have left the buffer.
    pub(super) fn scroll(&mut self, until: f64) {
        let count = self.in_buffer.iter().take_while(|w| w.end <= until).count();
        for word in self.in_buffer.drain(..count) {
            if !self.text.is_empty() {
                self.text.push(' ');
            }
            self.text.push_str(&word.text);
        }
        let length = self.text.chars().count();
        if length > PROMPT_CHARACTERS {
            let cut = self.text.char_indices().nth(length - PROMPT_CHARACTERS).map_or(0, |(i, _)| i);
            let cut = self.text[cut..].find(' ').map_or(cut, |space| cut + space + 1);
            self.text.drain(..cut);
        }
    }
}
