//! The languages of a model that is told which one is spoken (Nemotron): each has a number, and so has "hear it
//! yourself". Knows no tensor.

use std::collections::BTreeMap;

use crate::RecognizeError;
use crate::online::graph::Graph;
use mynah_models::runtime::RuntimeError;

/// The number that has a model hear the language, where it isn't told: of NVIDIA's dictionary.
const AUTO: i64 = 101;
/// What dictionaries call that.
const HEARD: &str = "auto";

/// Languages and their numbers.
pub(super) struct Prompts {
    /// By their codes, such as `de` or `de-DE`.
    numbers: BTreeMap<String, i64>,
    auto: i64,
    spoken: i64,
}

impl Prompts {
    /// As a graph's metadata have them: `prompt_dictionary` in JSON, `auto_prompt_id`.
    pub(super) fn of(graph: &Graph) -> Result<Self, RuntimeError> {
        let told = graph.text("prompt_dictionary");
        let numbers = if told.is_empty() { Ok(BTreeMap::new()) } else { serde_json::from_str(&told) };
        let numbers: BTreeMap<String, i64> =
            numbers.map_err(|e| graph.wrong("numbers of languages `prompt_dictionary`", e.to_string()))?;
        // It may be 0.
        let auto = match graph.text("auto_prompt_id").trim() {
            "" => Ok(numbers.get(HEARD).copied().unwrap_or(AUTO)),
            told => told.parse().map_err(|_| graph.wrong("a number `auto_prompt_id`", format!("`{told}`"))),
        }?;
        if let Some(number) = numbers.values().chain([&auto]).find(|number| !(0..1 << 20).contains(*number)) {
            return Err(graph.wrong("numbers of languages from 0 on", number.to_string()));
        }
        Ok(Self { numbers, auto, spoken: auto })
    }

    /// The least and the highest number, and that which has the model hear the language: where a model knows these it
    /// knows all.
    pub(super) fn all(&self) -> Vec<i64> {
        let of = |number: Option<&i64>| number.copied().unwrap_or(self.auto);
        vec![of(self.numbers.values().min()), of(self.numbers.values().max()), self.auto]
    }

    /// Sets the number itself.
    pub(super) fn tell(&mut self, number: i64) {
        self.spoken = number;
    }

    /// Has the model hear the language.
    pub(super) fn hear(&mut self) {
        self.spoken = self.auto;
    }

    /// The codes of the languages.
    pub(super) fn languages(&self) -> Vec<&str> {
        self.numbers.keys().map(String::as_str).filter(|code| *code != HEARD).collect()
    }

    /// The code of the language that was told; none where the model hears it itself, which it doesn't tell.
    pub(super) fn told(&self) -> Option<&str> {
        self.numbers
            .iter()
            .find(|(code, number)| **number == self.spoken && *code != HEARD && self.spoken != self.auto)
            .map(|(code, _)| &**code)
    }

    /// The number of the language that is spoken.
    pub(super) fn spoken(&self) -> i64 {
        self.spoken
    }

    /// Sets the language by its code; `None` to hear it. A region that the model doesn't know counts as none, and none
    /// as the first that it knows.
    pub(super) fn speak(&mut self, language: Option<&str>) -> Result<(), RecognizeError> {
        let Some(asked) = language else {
            self.spoken = self.auto;
            return Ok(());
        };
        fn base(code: &str) -> &str {
            code.split('-').next().unwrap_or(code)
        }
        let code = asked.replace('_', "-");
        let find =
            |fits: &dyn Fn(&str) -> bool| self.numbers.iter().find(|(known, _)| fits(known)).map(|(_, &number)| number);
        let found = find(&|known| known.eq_ignore_ascii_case(&code))
            .or_else(|| find(&|known| known.eq_ignore_ascii_case(base(&code))))
            .or_else(|| find(&|known| base(known).eq_ignore_ascii_case(base(&code))));
        self.spoken = found
            .ok_or_else(|| RecognizeError::Language { asked: asked.to_owned(), known: self.languages().join(", ") })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_found_by_its_code_and_its_region() {
        let numbers = [("auto", 101), ("de-DE", 9), ("en", 0), ("en-GB", 1), ("pt-BR", 12), ("pt-PT", 13)];
        let mut prompts =
            Prompts { numbers: numbers.map(|(code, n)| (code.to_owned(), n)).into(), auto: 101, spoken: 101 };
        for (asked, number) in
            [("de", 9), ("de-AT", 9), ("EN_gb", 1), ("en-AU", 0), ("pt", 12), ("pt-PT", 13), ("auto", 101)]
        {
            prompts.speak(Some(asked)).expect("a language");
            assert_eq!(prompts.spoken(), number, "{asked}");
            assert_eq!(
                prompts.told().is_some_and(|told| prompts.languages().contains(&told)),
                asked != HEARD,
                "{asked}"
            );
        }
        let why = prompts.speak(Some("tlh")).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(why.contains("`tlh`") && why.contains("de-DE"), "{why}");
        assert_eq!(prompts.spoken(), 101, "what isn't known changes nothing");
        prompts.speak(Some("de")).expect("a language");
        prompts.speak(None).expect("none");
        assert_eq!(prompts.told(), None);
        assert_eq!(prompts.spoken(), 101);
    }
}
