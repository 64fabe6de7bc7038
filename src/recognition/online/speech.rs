//! Makes words of a recogniser's tokens, on the timeline: a word that another one follows, or a pause, is final; the
//! one that may still grow is shown. Knows no model and no thread.

use super::{OnlineRecognizer, Token};
use crate::stream::{Event, SKIPPED};
use crate::{RecognizeError, Word};

/// A word ends so many seconds after its last token was said, where nothing follows sooner: tokens come when a sound is
/// understood, near its end.
const AFTER_TOKEN: f64 = 0.12;
/// A pause of so many seconds makes the last word final.
const PAUSE: f64 = 0.6;
/// What waits beyond so many seconds is left out, with [`SKIPPED`] in its place: the bound on the lag.
const SKIP: f64 = 8.0;
/// Sound is left out until no more than so many seconds wait.
const CAUGHT_UP: f64 = 0.5;
const RATE: f64 = 16_000.0;

/// A word that may still grow.
#[derive(Debug, Default)]
struct Growing {
    bytes: Vec<u8>,
    start: f64,
    last: f64,
    confidence: f32,
    tokens: usize,
}

impl Growing {
    fn word(&self, before: f64) -> Option<Word> {
        // A character that isn't whole, yet or ever, is left out.
        let text = String::from_utf8_lossy(&self.bytes).replace(char::REPLACEMENT_CHARACTER, "").trim().to_owned();
        let end = (self.last + AFTER_TOKEN).min(before).max(self.start);
        (!text.is_empty()).then_some(Word {
            text,
            start: self.start,
            end,
            confidence: self.confidence / self.tokens.max(1) as f32,
        })
    }
}

/// A recogniser that captions a stream. One thread at a time; a call takes as long as the recogniser does.
pub struct Speech {
    recognizer: Box<dyn OnlineRecognizer>,
    /// The second of the timeline at which the recogniser's sound begins.
    base: f64,
    /// Samples since then.
    passed: usize,
    growing: Option<Growing>,
    /// What was told last as a partial.
    shown: Vec<Word>,
    /// Second since which sound is left out, while it is.
    skipped_from: Option<f64>,
    tokens: Vec<Token>,
    /// The token before the next one.
    last: Option<usize>,
}

impl Speech {
    /// At second 0.
    pub fn new(recognizer: Box<dyn OnlineRecognizer>) -> Self {
        Self {
            recognizer,
            base: 0.0,
            passed: 0,
            growing: None,
            shown: Vec::new(),
            skipped_from: None,
            tokens: Vec::new(),
            last: None,
        }
    }

    /// The codes of the languages that the recogniser can be told; none where it hears its own alone.
    pub fn languages(&self) -> Vec<&str> {
        self.recognizer.languages()
    }

    /// The code of the language that was told or, so far, heard; none where that isn't known.
    pub fn spoken(&self) -> Option<&str> {
        self.recognizer.spoken()
    }

    /// The next sample stands at this second of the timeline. What was said before is final.
    pub fn at(&mut self, seconds: f64, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        let outcome = self.end(events);
        if seconds.is_finite() {
            self.base = seconds;
        }
        outcome
    }

    /// Takes samples (16 kHz mono, ±1) that follow the last ones, behind which so many seconds of sound wait. Appends
    /// what they bring about.
    pub fn push(&mut self, samples: &[f32], behind: f64, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        if self.skips(behind, events)? {
            self.passed += samples.len();
            return Ok(());
        }
        self.passed += samples.len();
        let mut tokens = std::mem::take(&mut self.tokens);
        let outcome = self.recognizer.push(samples, &mut tokens);
        self.take(&mut tokens, events);
        self.tokens = tokens;
        let paused = self.growing.as_ref().is_some_and(|g| self.base + self.recognizer.heard() - g.last > PAUSE);
        if paused {
            self.finish_word(f64::INFINITY, events);
        }
        self.show(events);
        outcome
    }

    /// The stretch of sound is over: all that was said is final. What is pushed later follows on the timeline.
    pub fn end(&mut self, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        let now = self.now();
        let mut outcome = Ok(());
        if self.skipped_from.is_none() && self.passed > 0 {
            let mut tokens = Vec::new();
            outcome = self.recognizer.finish(&mut tokens);
            self.take(&mut tokens, events);
        }
        self.finish_word(now, events);
        self.show(events);
        self.mark_skipped(events);
        self.start_at(now).and(outcome)
    }

    /// The second up to which all words have been told: no later one starts before it.
    pub fn settled(&self) -> f64 {
        let heard = self.base + self.recognizer.heard();
        self.skipped_from.unwrap_or_else(|| self.growing.as_ref().map_or(heard, |g| g.start.min(heard)))
    }

    fn now(&self) -> f64 {
        self.base + self.passed as f64 / RATE
    }

    fn start_at(&mut self, seconds: f64) -> Result<(), RecognizeError> {
        (self.base, self.passed, self.last) = (seconds, 0, None);
        self.recognizer.reset()
    }

    /// Whether the next samples are left out because too much waits behind them.
    fn skips(&mut self, behind: f64, events: &mut Vec<Event>) -> Result<bool, RecognizeError> {
        match self.skipped_from {
            None if behind > SKIP => {
                self.finish_word(f64::INFINITY, events);
                self.show(events);
                // What the recogniser still holds for its next chunk is left out too.
                self.skipped_from = Some(self.base + self.recognizer.heard());
                Ok(true)
            }
            None => Ok(false),
            Some(_) if behind > CAUGHT_UP => Ok(true),
            Some(_) => {
                self.mark_skipped(events);
                self.start_at(self.now())?;
                Ok(false)
            }
        }
    }

    fn mark_skipped(&mut self, events: &mut Vec<Event>) {
        if let Some(start) = self.skipped_from.take() {
            events.push(Event::Final(vec![Word { text: SKIPPED.to_owned(), start, end: self.now(), confidence: 0.0 }]));
        }
    }

    fn take(&mut self, tokens: &mut Vec<Token>, events: &mut Vec<Event>) {
        for token in tokens.drain(..) {
            let Some(piece) = self.recognizer.piece(token.id, self.last.replace(token.id)) else { continue };
            let (bytes, time) = (piece.bytes.to_vec(), self.base + token.time);
            if piece.begins {
                self.finish_word(time, events);
            }
            let word = self.growing.get_or_insert_with(|| Growing { start: time, ..Growing::default() });
            word.bytes.extend(bytes);
            word.last = time;
            word.confidence += token.probability;
            word.tokens += 1;
        }
    }

    /// The word is final; another one starts at `before`.
    fn finish_word(&mut self, before: f64, events: &mut Vec<Event>) {
        if let Some(word) = self.growing.take().and_then(|g| g.word(before)) {
            events.push(Event::Final(vec![word]));
        }
    }

    /// Tells the word that may still grow, where it is another than before.
    fn show(&mut self, events: &mut Vec<Event>) {
        let partial: Vec<Word> = self.growing.as_ref().and_then(|g| g.word(f64::INFINITY)).into_iter().collect();
        if partial != self.shown {
            self.shown.clone_from(&partial);
            events.push(Event::Partial(partial));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Piece;
    use super::*;

    /// Says a piece each second: "on", "e", "two", … of its list, when the second is over.
    struct Clock {
        pieces: Vec<(&'static str, bool)>,
        heard: f64,
        said: usize,
    }

    impl OnlineRecognizer for Clock {
        fn reset(&mut self) -> Result<(), RecognizeError> {
            (self.heard, self.said) = (0.0, 0);
            Ok(())
        }

        fn push(&mut self, samples: &[f32], tokens: &mut Vec<Token>) -> Result<(), RecognizeError> {
            self.heard += samples.len() as f64 / RATE;
            while ((self.said + 1) as f64) <= self.heard && self.said < self.pieces.len() {
                self.said += 1;
                tokens.push(Token { id: self.said - 1, time: self.said as f64, probability: 0.5 });
            }
            Ok(())
        }

        fn finish(&mut self, tokens: &mut Vec<Token>) -> Result<(), RecognizeError> {
            self.push(&[0.0; 16_000], tokens)
        }

        fn heard(&self) -> f64 {
            self.heard
        }

        fn piece(&self, token: usize, _before: Option<usize>) -> Option<Piece<'_>> {
            self.pieces
                .get(token)
                .filter(|p| p.0 != "<unk>")
                .map(|(text, begins)| Piece { bytes: text.as_bytes(), begins: *begins })
        }
    }

    fn speech(pieces: &[(&'static str, bool)]) -> Speech {
        Speech::new(Box::new(Clock { pieces: pieces.to_vec(), heard: 0.0, said: 0 }))
    }

    fn finals(events: &[Event]) -> Vec<(String, f64, f64)> {
        let words =
            events.iter().filter_map(|e| if let Event::Final(words) = e { Some(words) } else { None }).flatten();
        words.map(|w| (w.text.clone(), (w.start * 100.0).round() / 100.0, (w.end * 100.0).round() / 100.0)).collect()
    }

    #[test]
    fn pieces_become_words_and_times_stand_on_the_timeline() {
        let mut s = speech(&[("on", true), ("e", false), ("<unk>", true), ("two", true)]);
        let mut events = Vec::new();
        s.at(10.0, &mut events).expect("a place");
        for _ in 0..50 {
            s.push(&[0.0; 1600], 0.0, &mut events).expect("heard");
        }
        assert_eq!(
            finals(&events),
            [("on".into(), 11.0, 11.12), ("e".into(), 12.0, 12.12), ("two".into(), 14.0, 14.12)],
            "a pause between each"
        );
        assert!((s.settled() - 15.0).abs() < 1e-9);
        let shown = events.iter().filter(|e| matches!(e, Event::Partial(_))).count();
        assert_eq!(shown, 6, "each word came and was settled");
    }

    #[test]
    fn a_word_grows_until_another_begins() {
        let mut s = speech(&[("on", true), ("e", false), ("two", true)]);
        let mut events = Vec::new();
        s.push(&[0.0; 48_000], 0.0, &mut events).expect("heard");
        assert_eq!(finals(&events), [("one".into(), 1.0, 2.12)]);
        assert!((s.settled() - 3.0).abs() < 1e-9, "`two` may still grow");
        assert!(matches!(&events[..], [Event::Final(_), Event::Partial(p)] if p[0].text == "two"), "{events:?}");
        s.end(&mut events).expect("the end");
        assert_eq!(finals(&events)[1].0, "two");
        assert_eq!(events.last(), Some(&Event::Partial(Vec::new())));
    }

    #[test]
    fn what_cannot_be_caught_up_is_left_out_and_marked() {
        let mut s = speech(&[("one", true), ("two", true)]);
        let mut events = Vec::new();
        s.push(&[0.0; 17_600], 0.0, &mut events).expect("heard");
        for behind in [9.0, 5.0, 0.6] {
            s.push(&[0.0; 16_000], behind, &mut events).expect("left out");
        }
        assert_eq!(finals(&events).len(), 1);
        assert!((s.settled() - 1.1).abs() < 1e-9);
        s.push(&[0.0; 16_000], 0.4, &mut events).expect("heard");
        s.end(&mut events).expect("the end");
        let told = finals(&events);
        assert_eq!(told[1], ("[...]".into(), 1.1, 4.1));
        assert_eq!(told[2].0, "one", "the recogniser began anew");
        assert_eq!(told[2].1, 5.1);
    }
}
