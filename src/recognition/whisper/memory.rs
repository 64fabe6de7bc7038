//! The last hypothesis, word by word with its tokens: settled words are forced with the tokens that the model itself
//! chose, and the words after them are a good guess at the next hypothesis. Knows no model.

use crate::Word;

/// A word of the last hypothesis with its tokens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spelt {
    pub(crate) text: String,
    pub(crate) tokens: Vec<usize>,
}

/// The last hypothesis.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    words: Vec<Spelt>,
}

impl Memory {
    /// Keeps the words of a hypothesis, the settled ones among them.
    pub(crate) fn keep(&mut self, words: Vec<Spelt>) {
        self.words = words;
    }

    /// The settled words with the tokens of the last hypothesis; `spell` gives those of words that it hadn't.
    pub(crate) fn settled(
        &self,
        settled: &[Word],
        spell: impl Fn(&str) -> Result<Vec<usize>, String>,
    ) -> Result<Vec<Spelt>, String> {
        let one = |(i, word): (usize, &Word)| {
            // The same word may stand twice with different tokens: the one at this place counts most.
            let here = self.words.get(i).filter(|w| w.text == word.text);
            let known =
                here.or_else(|| self.words.iter().rev().find(|w| w.text == word.text)).map(|w| w.tokens.clone());
            let tokens = known.map_or_else(|| spell(&word.text), Ok)?;
            Ok(Spelt { text: word.text.clone(), tokens })
        };
        settled.iter().enumerate().map(one).collect()
    }

    /// The tokens of the last hypothesis behind the prompt's and the settled words. Only a guess: where the same words
    /// stand twice it may start too late.
    pub(crate) fn draft(&self, prompt: &str, settled: &[Word]) -> Vec<usize> {
        let mut before: Vec<&str> = settled.iter().rev().map(|w| w.text.as_str()).collect();
        before.extend(prompt.split_whitespace().rev());
        // The last hypothesis may begin with words that are now settled or have left the buffer.
        let begins = |n: &usize| *n == 0 || self.words[..*n].iter().rev().zip(&before).all(|(w, b)| w.text == *b);
        let most = if before.is_empty() { 0 } else { self.words.len() };
        let passed = (0..=most).rev().find(begins).unwrap_or(0);
        self.words[passed..].iter().flat_map(|w| &w.tokens).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Word {
        Word { text: text.to_owned(), start: 0.0, end: 1.0, confidence: 1.0 }
    }

    fn spelt(text: &str, tokens: &[usize]) -> Spelt {
        Spelt { text: text.to_owned(), tokens: tokens.to_vec() }
    }

    #[test]
    fn tokens_of_the_last_hypothesis_come_back_and_new_words_are_spelt() {
        let mut memory = Memory::default();
        memory.keep(vec![spelt("no", &[1]), spelt("no", &[2, 3]), spelt("way", &[4])]);
        let settled = memory.settled(&[word("no"), word("no"), word("on")], |_| Ok(vec![9])).expect("tokens");
        assert_eq!(settled, [spelt("no", &[1]), spelt("no", &[2, 3]), spelt("on", &[9])]);
        let cut = memory.settled(&[word("way")], |_| Err("unknown".to_owned())).expect("tokens");
        assert_eq!(cut, [spelt("way", &[4])]);
        assert!(memory.settled(&[word("on")], |_| Err("unknown".to_owned())).is_err());
    }

    #[test]
    fn the_draft_is_what_stood_behind_the_words_that_are_settled_or_gone() {
        let mut memory = Memory::default();
        assert!(memory.draft("so it was", &[word("so")]).is_empty());
        memory.keep(vec![spelt("it", &[1]), spelt("was", &[2, 3]), spelt("late", &[4])]);
        assert_eq!(memory.draft("", &[]), [1, 2, 3, 4]);
        assert_eq!(memory.draft("Once upon a time", &[]), [1, 2, 3, 4], "the text before is another one's");
        assert_eq!(memory.draft("", &[word("it")]), [2, 3, 4]);
        assert_eq!(memory.draft("and it", &[word("was")]), [4], "a word has left the buffer");
        assert_eq!(memory.draft("it was", &[]), [4]);
        assert!(memory.draft("so it was late", &[]).is_empty());
    }
}
