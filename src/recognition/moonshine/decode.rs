//! Moonshine's decoding, with guards against invented text. Knows no session: it asks a [`Language`] for one step after
//! the other.

use super::vocabulary::Vocabulary;
use crate::greedy::{Choice, Row, Speaker, go_on};
use crate::online::graph::best;
use crate::whisper::bias::Bias;

pub(super) use crate::greedy::Said;

/// What every Moonshine model begins and ends with.
pub(super) const BEGIN: usize = 1;
pub(super) const END: usize = 2;
/// Tokens a second that speech does not pass: Moonshine's own cap against loops, and its advice for languages that are
/// not written in Latin letters.
const TOKENS_A_SECOND: f64 = 6.5;
const DENSE_TOKENS_A_SECOND: f64 = 13.0;

/// What a run of the decoder gives.
pub(super) struct Step {
    /// After each of the last tokens, as many as were wanted: a number for each token of the vocabulary.
    pub(super) logits: Vec<Vec<f32>>,
    /// For each token that was read how much it looked at each position of the sound, in any unit; empty where the
    /// model doesn't tell.
    pub(super) attention: Vec<Vec<f32>>,
}

/// A decoder with its caches and the sound that it speaks of.
pub(super) trait Language {
    /// Reads tokens that follow those before; the logits behind the last `wanted` are given. At least one.
    fn read(&mut self, tokens: &[i64], wanted: usize) -> Result<Step, String>;

    /// Whether it can forget tokens that it has read: else no guess is tried on it.
    fn forgets(&self) -> bool {
        false
    }

    /// Forgets the last `count` tokens that were read.
    fn forget(&mut self, _count: usize) -> Result<(), String> {
        Err("this decoder can't forget".to_owned())
    }
}

/// What a decoder is told before it chooses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    /// Tokens that the transcript begins with.
    pub(super) forced: &'a [usize],
    /// A guess at what follows: as far as it is right it costs no runs of its own. It changes nothing else (speculative
    /// decoding, Leviathan et al. 2023).
    pub(super) draft: &'a [usize],
    /// What is likelier than the model thinks.
    pub(super) bias: &'a Bias,
}

/// What is said in `seconds` of sound, with at most `room` tokens.
pub(super) fn decode(
    language: &mut dyn Language,
    vocabulary: &Vocabulary,
    told: Told,
    seconds: f64,
    room: usize,
) -> Result<Said, String> {
    let Told { forced, draft, bias } = told;
    let mut said = Said { tokens: forced.to_vec(), forced: forced.len(), ..Said::default() };
    let mut speaking = Speaking { language, vocabulary, bias, seconds, room };
    if forced.len() >= speaking.most(forced) {
        said.runaway = true;
        return Ok(said);
    }
    let draft = if speaking.language.forgets() { &draft[..draft.len().min(room - forced.len() - 1)] } else { &[] };
    let opening: Vec<i64> = [BEGIN].iter().chain(forced).chain(draft).map(|&t| t as i64).collect();
    let Step { logits, attention } = speaking.language.read(&opening, draft.len() + 1)?;
    let mut attention = attention.into_iter().chain(std::iter::repeat(Vec::new()));
    said.attention.extend(attention.by_ref().take(forced.len()));
    let rows = logits.into_iter().zip(attention).collect();
    go_on(&mut speaking, &mut said, rows, draft)?;
    Ok(said)
}

/// A decoder that speaks of so many seconds, and what is told of what it may say.
struct Speaking<'a> {
    language: &'a mut dyn Language,
    vocabulary: &'a Vocabulary,
    bias: &'a Bias,
    seconds: f64,
    room: usize,
}

impl Speaker for Speaking<'_> {
    fn choose(&self, said: &[usize], mut logits: Vec<f32>) -> Result<Choice, String> {
        self.bias.apply(said, &mut logits);
        let (token, probability) = best(&logits)?;
        Ok(Choice { token: (token != END).then_some(token), probability, log: probability.ln() })
    }

    fn most(&self, said: &[usize]) -> usize {
        let dense = 2 * said.iter().filter(|&&t| self.vocabulary.is_dense(t)).count() > said.len();
        ((self.seconds * if dense { DENSE_TOKENS_A_SECOND } else { TOKENS_A_SECOND }).ceil() as usize).min(self.room)
    }

    fn read_on(&mut self, token: usize) -> Result<Option<Row>, String> {
        let Step { logits, attention } = self.language.read(&[token as i64], 1)?;
        let attention = attention.into_iter().next().unwrap_or_default();
        Ok(logits.into_iter().next().map(|logits| (logits, attention)))
    }

    fn forget(&mut self, count: usize) -> Result<(), String> {
        self.language.forget(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::vocabulary::tests::vocabulary;
    use super::*;

    fn told<'a>(forced: &'a [usize], draft: &'a [usize]) -> Told<'a> {
        static NONE: std::sync::LazyLock<Bias> = std::sync::LazyLock::new(Bias::default);
        Told { forced, draft, bias: &NONE }
    }

    /// Says token `n` of its script after `n` tokens, whatever they are.
    struct Script {
        tokens: Vec<usize>,
        read: Vec<i64>,
        runs: usize,
        forgets: bool,
    }

    impl Script {
        fn new(tokens: &[usize]) -> Self {
            Self { tokens: tokens.to_vec(), read: Vec::new(), runs: 0, forgets: true }
        }
    }

    impl Language for Script {
        fn read(&mut self, tokens: &[i64], wanted: usize) -> Result<Step, String> {
            self.read.extend(tokens);
            self.runs += 1;
            let row = |n: usize| {
                let mut logits = vec![0.0; 14];
                logits[*self.tokens.get(n).unwrap_or(&END)] = 9.0;
                logits
            };
            let last = self.read.len();
            let attention = tokens.iter().map(|&t| vec![t as f32]).collect();
            Ok(Step { logits: (last - wanted..last).map(row).collect(), attention })
        }

        fn forgets(&self) -> bool {
            self.forgets
        }

        fn forget(&mut self, count: usize) -> Result<(), String> {
            self.read.truncate(self.read.len() - count);
            Ok(())
        }
    }

    #[test]
    fn says_what_is_likeliest_until_the_end() {
        let (v, mut script) = (vocabulary(), Script::new(&[3, 4, 5]));
        let said = decode(&mut script, &v, told(&[], &[]), 2.0, 100).expect("decodes");
        assert_eq!((said.tokens, said.runaway, script.read), (vec![3, 4, 5], false, vec![1, 3, 4, 5]));
        assert_eq!(said.attention, [[1.0], [3.0], [4.0], [5.0]]);
        assert!(said.probabilities.iter().all(|&p| p > 0.9 && p <= 1.0));
    }

    #[test]
    fn a_draft_changes_nothing_but_the_number_of_runs() {
        let v = vocabulary();
        let scripts: [&[usize]; 4] =
            [&[3, 4, 5, 6], &[], &[3, 4, 5, 4, 5, 4, 5, 4, 5], &[3, 4, 5, 6, 7, 3, 8, 4, 9, 11, 3, 4]];
        for script in scripts {
            for forced in [&[][..], &[5]] {
                let plain = decode(&mut Script::new(script), &v, told(forced, &[]), 1.0, 30).expect("decodes");
                for draft in [&[3, 4, 5, 6][..], &[3, 9], &[4, 5, 6], &[9; 60], &[3, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5]] {
                    let mut language = Script::new(script);
                    assert_eq!(
                        decode(&mut language, &v, told(forced, draft), 1.0, 30).expect("decodes"),
                        plain,
                        "{script:?} {forced:?} {draft:?}"
                    );
                    let mut slow = Script { forgets: false, ..Script::new(script) };
                    assert_eq!(
                        decode(&mut slow, &v, told(forced, draft), 1.0, 30).expect("decodes"),
                        plain,
                        "no guess is tried"
                    );
                }
            }
        }
        let mut right = Script::new(scripts[0]);
        decode(&mut right, &v, told(&[], scripts[0]), 1.0, 30).expect("decodes");
        assert_eq!(right.runs, 1);
    }

    #[test]
    fn loops_and_more_tokens_than_speech_has_stop_it() {
        let v = vocabulary();
        let said =
            decode(&mut Script::new(&[3, 4, 5, 4, 5, 4, 5, 4, 5]), &v, told(&[], &[]), 9.0, 100).expect("decodes");
        assert_eq!((said.tokens, said.runaway), (vec![3, 4, 5], true));
        let endless: Vec<usize> = (0..99).map(|i| [3, 4, 5, 6, 7, 8, 9][(i * i + i / 3) % 7]).collect();
        assert_eq!(decode(&mut Script::new(&endless), &v, told(&[], &[]), 2.0, 100).expect("decodes").tokens.len(), 13);
        assert_eq!(decode(&mut Script::new(&endless), &v, told(&[], &[]), 9.0, 20).expect("decodes").tokens.len(), 20);
        let dense: Vec<usize> = (0..99).map(|i| if i % 5 == 1 { [4, 6, 12, 13][i / 5 % 4] } else { 11 }).collect();
        assert_eq!(decode(&mut Script::new(&dense), &v, told(&[], &[]), 2.0, 100).expect("decodes").tokens.len(), 26);
        assert!(
            decode(&mut Script::new(&[3]), &v, told(&[4; 30], &[]), 1.0, 100).expect("decodes").runaway,
            "no room behind what is settled"
        );
    }

    #[test]
    fn what_is_expected_is_likelier() {
        struct Two;
        impl Language for Two {
            fn read(&mut self, tokens: &[i64], _: usize) -> Result<Step, String> {
                let mut logits = vec![0.0; 14];
                match tokens[0] {
                    1 => (logits[3], logits[5]) = (3.0, 2.5),
                    5 => (logits[END], logits[6]) = (3.0, 2.5),
                    _ => logits[END] = 3.0,
                }
                Ok(Step { logits: vec![logits], attention: Vec::new() })
            }
        }
        let v = vocabulary();
        assert_eq!(decode(&mut Two, &v, told(&[], &[]), 2.0, 100).expect("decodes").tokens, [3]);
        let bias = Bias::new([vec![5, 6]]);
        let said = decode(&mut Two, &v, Told { bias: &bias, ..told(&[], &[]) }, 2.0, 100).expect("decodes");
        assert_eq!(said.tokens, [5, 6]);
    }
}
