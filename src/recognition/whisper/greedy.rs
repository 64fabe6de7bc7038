//! Whisper's decoding: what it begins with, which tokens may be said, and guards against invented text. Knows no
//! session: it asks a [`Decoding`] for one step after the other.

use super::bias::Bias;
use super::vocabulary::Vocabulary;
use crate::greedy::{Choice, Row, Speaker, go_on};
use crate::online::graph::numbers;

pub(super) use crate::greedy::Said;

/// How many tokens may come before their rate counts.
const GRACE: usize = 5;
/// Whisper's own thresholds for a passage without speech.
const NO_SPEECH: f32 = 0.6;
const LEAST_MEAN_LOG: f32 = -1.0;

/// What one run of the decoder gives.
pub(super) struct Step {
    /// After each token that was asked for: a number for each token of the vocabulary.
    pub(super) logits: Vec<Vec<f32>>,
    /// For the first token that was asked for and each after it, to the last that went in: each alignment head's
    /// weights over the encoder's positions, head after head; empty where the layout gives none.
    pub(super) attention: Vec<Vec<f32>>,
}

/// A decoder with its caches.
pub(super) trait Decoding {
    /// Reads tokens that follow those before; more than one only where none were read or all are forgotten. `rows` are
    /// places among them, ascending, whose logits are wanted; at least one.
    fn step(&mut self, tokens: &[i64], rows: &[i64]) -> Result<Step, String>;

    /// Forgets the last `count` tokens that were read.
    fn forget(&mut self, count: usize) -> Result<(), String>;
}

impl Said {
    /// Whether this is what the model makes of a passage without speech.
    pub(super) fn is_silence(&self) -> bool {
        self.tokens.len() == self.forced || (self.no_speech > NO_SPEECH && self.mean_log < LEAST_MEAN_LOG)
    }
}

/// What a decoder is told before it chooses.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told<'a> {
    /// The text before, with the token that introduces it.
    pub(super) prompt: &'a [i64],
    /// Tokens that the transcript begins with.
    pub(super) forced: &'a [usize],
    /// A guess at the tokens after them: as far as it is right it costs no runs of its own. It changes nothing else.
    pub(super) draft: &'a [usize],
    /// What is likelier than the model thinks; none for nothing.
    pub(super) bias: Option<&'a Bias>,
}

/// Decodes `seconds` of speech, with at most `room` tokens in all.
///
/// Greedy, one token after the other; but a whole guess, the last hypothesis, is read in one run.
pub(super) fn decode(
    decoding: &mut dyn Decoding,
    vocabulary: &Vocabulary,
    told: Told,
    seconds: f64,
    room: usize,
) -> Result<Said, String> {
    let Told { prompt, forced, draft, bias } = told;
    let mut said =
        Said { tokens: forced.to_vec(), forced: forced.len(), lead: vocabulary.start.len(), ..Said::default() };
    let used = prompt.len() + vocabulary.start.len() + 1;
    let (least, room) = (forced.len() + GRACE, room.saturating_sub(used + 1));
    let most = at_a_rate(vocabulary.most_a_second(), seconds).max(least).min(room);
    if forced.len() >= most {
        said.runaway = true;
        return Ok(said);
    }
    let draft = &draft[..draft.len().min(most - forced.len())];
    let told = vocabulary
        .start
        .iter()
        .copied()
        .chain([vocabulary.no_timestamps])
        .chain(forced.iter().chain(draft).map(|&t| t as i64));
    let opening: Vec<i64> = prompt.iter().copied().chain(told).collect();
    // No speech is told after the transcript's first token; then come the last token that is forced and those of the
    // draft.
    let rows: Vec<i64> =
        std::iter::once(prompt.len()).chain(opening.len() - draft.len() - 1..opening.len()).map(|r| r as i64).collect();
    let mut step = decoding.step(&opening, &rows)?;
    let mut logits = step.logits.drain(..);
    said.no_speech = softmax_at(&logits.next().ok_or("it gave no logits")?, vocabulary.no_speech);
    let mut attention = step.attention.drain(..);
    said.attention.extend(attention.by_ref().take(said.lead + forced.len()));
    let rows = logits.zip(attention).collect();
    go_on(&mut Speaking { decoding, vocabulary, bias, seconds, least, room }, &mut said, rows, draft)?;
    Ok(said)
}

/// How many tokens may come in so many seconds.
fn at_a_rate(a_second: f64, seconds: f64) -> usize {
    GRACE + (seconds * a_second).ceil() as usize
}

/// A decoder that speaks of so many seconds, and what is told of what it may say.
struct Speaking<'a> {
    decoding: &'a mut dyn Decoding,
    vocabulary: &'a Vocabulary,
    bias: Option<&'a Bias>,
    seconds: f64,
    /// How many tokens may be said in any case, and at most.
    least: usize,
    room: usize,
}

impl Speaker for Speaking<'_> {
    fn choose(&self, said: &[usize], mut logits: Vec<f32>) -> Result<Choice, String> {
        if let Some(bias) = self.bias {
            bias.apply(said, &mut logits);
        }
        let (token, log) = choose(&logits, self.vocabulary, said.is_empty())?;
        Ok(Choice { token: (token != self.vocabulary.end).then_some(token), probability: log.exp(), log })
    }

    fn most(&self, said: &[usize]) -> usize {
        at_a_rate(self.vocabulary.tokens_a_second(said), self.seconds).max(self.least).min(self.room)
    }

    fn read_on(&mut self, token: usize) -> Result<Option<Row>, String> {
        let Step { logits, attention } = self.decoding.step(&[token as i64], &[0])?;
        Ok(logits.into_iter().zip(attention).next())
    }

    fn forget(&mut self, count: usize) -> Result<(), String> {
        self.decoding.forget(count)
    }
}

/// The likeliest token that may be said, and the logarithm of its probability among those.
fn choose(logits: &[f32], vocabulary: &Vocabulary, first: bool) -> Result<(usize, f32), String> {
    numbers(logits)?;
    let barred = |t: &usize| vocabulary.never[*t] || (first && vocabulary.not_first.contains(t));
    let best = (0..logits.len().min(vocabulary.never.len()))
        .filter(|t| !barred(t))
        .max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
    let best = best.filter(|&t| logits[t].is_finite()).ok_or("it gave no finite number")?;
    let sum: f32 =
        logits.iter().zip(&vocabulary.never).filter(|(_, never)| !**never).map(|(x, _)| (x - logits[best]).exp()).sum();
    Ok((best, -sum.ln()))
}

fn softmax_at(logits: &[f32], at: usize) -> f32 {
    let most = logits.iter().fold(f32::MIN, |a, &b| a.max(b));
    let sum: f32 = logits.iter().map(|x| (x - most).exp()).sum();
    logits.get(at).map_or(0.0, |x| (x - most).exp() / sum)
}

#[cfg(test)]
mod tests {
    use super::super::vocabulary::tests::vocabulary;
    use super::*;

    /// Says what it is told to: token `n` of the script comes after `n` tokens of the transcript, whatever they are.
    struct Script {
        tokens: Vec<usize>,
        no_speech: f32,
        /// What it has read and not forgotten.
        fed: Vec<i64>,
        runs: usize,
    }

    impl Script {
        fn new(tokens: &[usize]) -> Self {
            Self { tokens: tokens.to_vec(), no_speech: 0.0, fed: Vec::new(), runs: 0 }
        }
    }

    impl Decoding for Script {
        fn step(&mut self, tokens: &[i64], rows: &[i64]) -> Result<Step, String> {
            let before = self.fed.len();
            self.fed.extend(tokens);
            self.runs += 1;
            let start = self.fed.iter().position(|&t| t == 12).expect("a start");
            let row = |&row: &i64| {
                let mut logits = vec![0.0; 20];
                match (before + row as usize - start).checked_sub(1) {
                    None => logits[13] = self.no_speech,
                    Some(said) => logits[*self.tokens.get(said).unwrap_or(self.tokens.last().expect("tokens"))] = 9.0,
                }
                logits
            };
            let attention = tokens[rows[0] as usize..].iter().map(|&t| vec![t as f32]).collect();
            Ok(Step { logits: rows.iter().map(row).collect(), attention })
        }

        fn forget(&mut self, count: usize) -> Result<(), String> {
            self.fed.truncate(self.fed.len() - count);
            Ok(())
        }
    }

    #[test]
    fn says_what_is_likeliest_until_the_end() {
        let (v, mut script) = (vocabulary(), Script::new(&[6, 8, 7, 11]));
        let said = decode(&mut script, &v, Told { prompt: &[14, 0], ..Told::default() }, 2.0, 100).expect("decodes");
        assert_eq!(said.tokens, [6, 8, 7]);
        assert_eq!(script.fed, [14, 0, 12, 15, 6, 8, 7]);
        assert_eq!((said.lead, said.attention.len(), said.runaway), (1, 5, false));
        assert!(said.probabilities.iter().all(|&p| p > 0.9 && p <= 1.0) && said.mean_log > -0.1);
        assert!(!said.is_silence());
    }

    #[test]
    fn tokens_that_may_not_be_said_are_passed_over() {
        let v = vocabulary();
        struct Two;
        impl Decoding for Two {
            fn step(&mut self, tokens: &[i64], rows: &[i64]) -> Result<Step, String> {
                let mut logits = vec![0.0; 20];
                // Token 4 is suppressed, the end (11) may not come first, token 16 is a timestamp.
                (logits[4], logits[11], logits[16], logits[6]) = (9.0, 8.0, 9.5, 7.0);
                Ok(Step {
                    logits: vec![logits; rows.len()],
                    attention: tokens.iter().map(|&t| vec![t as f32]).collect(),
                })
            }

            fn forget(&mut self, _: usize) -> Result<(), String> {
                Ok(())
            }
        }
        assert_eq!(decode(&mut Two, &v, Told::default(), 1.0, 100).expect("decodes").tokens, [6]);
    }

    #[test]
    fn a_loop_is_cut_to_its_first_turn() {
        let v = vocabulary();
        let said = decode(&mut Script::new(&[0, 6, 8, 6, 8, 6, 8, 6, 8, 11]), &v, Told::default(), 10.0, 100)
            .expect("decodes");
        assert_eq!((said.tokens, said.runaway), (vec![0, 6, 8], true));
        assert_eq!(said.attention.len(), said.lead + 4);
    }

    #[test]
    fn more_tokens_than_speech_has_stop_it() {
        let v = vocabulary();
        let endless: Vec<usize> = (0..200).map(|i| [0, 1, 2, 3, 6, 7, 8][(i * i + i / 3) % 7]).collect();
        let said = decode(&mut Script::new(&endless), &v, Told::default(), 2.0, 100).expect("decodes");
        assert_eq!((said.tokens.len(), said.runaway), (GRACE + 13, true));
        let said = decode(&mut Script::new(&endless), &v, Told { prompt: &[14, 0], ..Told::default() }, 30.0, 20)
            .expect("decodes");
        assert!(said.tokens.len() + 5 <= 20, "the context is never passed");
    }

    #[test]
    fn settled_tokens_stand_first_and_are_no_choice() {
        let (v, mut script) = (vocabulary(), Script::new(&[0, 0, 7, 8, 11]));
        let said = decode(&mut script, &v, Told { prompt: &[14, 0], forced: &[6, 8], ..Told::default() }, 2.0, 100)
            .expect("decodes");
        assert_eq!((said.tokens.clone(), said.forced, said.probabilities.len()), (vec![6, 8, 7, 8], 2, 2));
        assert_eq!(script.fed, [14, 0, 12, 15, 6, 8, 7, 8]);
        let rows: Vec<f32> = said.attention.iter().map(|row| row[0]).collect();
        assert_eq!((said.lead, rows), (1, vec![12.0, 15.0, 6.0, 8.0, 7.0, 8.0]));
        let full = decode(&mut Script::new(&[7, 11]), &v, Told { forced: &[6; 30], ..Told::default() }, 1.0, 20)
            .expect("decodes");
        assert!(full.runaway && full.tokens.len() == full.forced, "settled words that fill the context leave no room");
    }

    #[test]
    fn a_draft_changes_nothing_but_the_number_of_runs() {
        let v = vocabulary();
        let scripts: [&[usize]; 4] =
            [&[6, 8, 7, 0, 6, 11], &[11], &[0, 6, 8, 6, 8, 6, 8, 6, 8, 11], &[0, 1, 2, 3, 6, 7, 8, 0, 2, 1, 6]];
        let drafts: [&[usize]; 6] =
            [&[], &[6, 8, 7, 0, 6], &[6, 8, 1], &[0, 6, 8, 6, 8, 6, 8, 6, 8, 6, 8, 6], &[7; 60], &[0, 1, 2, 3, 6, 7]];
        for script in scripts {
            for forced in [&[][..], &[6][..]] {
                let told = |draft| Told { prompt: &[14, 0], forced, draft, bias: None };
                let mut runs = Vec::new();
                let plain = decode(&mut Script::new(script), &v, told(&[]), 1.0, 30).expect("decodes");
                for draft in drafts {
                    let mut decoding = Script::new(script);
                    let said = decode(&mut decoding, &v, told(draft), 1.0, 30).expect("decodes");
                    assert_eq!(said, plain, "{script:?} {forced:?} {draft:?}");
                    runs.push(decoding.runs);
                }
                assert!(runs.iter().all(|&r| r <= runs[0]), "{runs:?}");
            }
        }
        let mut right = Script::new(scripts[0]);
        decode(&mut right, &v, Told { draft: drafts[1], ..Told::default() }, 2.0, 100).expect("decodes");
        assert_eq!(right.runs, 1);
    }

    #[test]
    fn silence_needs_both_signs() {
        let mut said = Said { tokens: vec![6], no_speech: 0.9, mean_log: -0.5, ..Default::default() };
        assert!(!said.is_silence());
        said.mean_log = -1.5;
        assert!(said.is_silence());
        let mut script = Script { no_speech: 9.0, ..Script::new(&[6, 11]) };
        assert!(decode(&mut script, &vocabulary(), Told::default(), 1.0, 100).expect("decodes").no_speech > 0.9);
    }

    #[test]
    fn numbers_that_are_not_finite_are_an_error() {
        struct Broken;
        impl Decoding for Broken {
            fn step(&mut self, _: &[i64], _: &[i64]) -> Result<Step, String> {
                Ok(Step { logits: vec![vec![f32::NAN; 20]; 2], attention: vec![vec![0.0]; 2] })
            }

            fn forget(&mut self, _: usize) -> Result<(), String> {
                Ok(())
            }
        }
        assert!(decode(&mut Broken, &vocabulary(), Told::default(), 1.0, 100).is_err());
    }
}
