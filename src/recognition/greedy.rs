//! Greedy decoding, one token after the other, with a guess that is kept as far as it is right, and a guard against
//! loops. Knows no model and no session: it asks a [`Speaker`].

/// An n-gram that stands this often in a row is a loop. Single tokens may: "no, no, no".
const REPEATS: usize = 3;
const SINGLE_REPEATS: usize = 6;
const LONGEST_REPEAT: usize = 16;

/// What was said.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    /// Those that were forced, then those that were chosen.
    pub(super) tokens: Vec<usize>,
    /// How many were forced.
    pub(super) forced: usize,
    /// One a chosen token.
    pub(super) probabilities: Vec<f32>,
    /// One for each token, that of the run which chose it, then one more where the end was heard; before them `lead` of
    /// the start. Rows are empty where the model doesn't tell.
    pub(super) attention: Vec<Vec<f32>>,
    pub(super) lead: usize,
    /// Whether a guard had to stop it, so that the text is doubtful.
    pub(super) runaway: bool,
    /// Probability of no speech; 0 where the model doesn't tell.
    pub(super) no_speech: f32,
    /// Mean logarithm of the chosen tokens' probabilities, the end included.
    pub(super) mean_log: f32,
}

/// Behind a token that was read: a number for each token of the vocabulary, and what the run looked at.
pub(super) type Row = (Vec<f32>, Vec<f32>);

/// What is chosen of a vocabulary.
pub(super) struct Choice {
    /// None where it is the end.
    pub(super) token: Option<usize>,
    pub(super) probability: f32,
    /// Its logarithm.
    pub(super) log: f32,
}

/// A model that speaks a token at a time.
pub(super) trait Speaker {
    /// What comes behind `said` by these numbers.
    fn choose(&self, said: &[usize], logits: Vec<f32>) -> Result<Choice, String>;

    /// How many tokens may be said in all, where these are.
    fn most(&self, said: &[usize]) -> usize;

    /// Reads a token that follows those before; the row behind it.
    fn read_on(&mut self, token: usize) -> Result<Option<Row>, String>;

    /// Forgets the last `count` tokens that were read.
    fn forget(&mut self, count: usize) -> Result<(), String>;
}

/// Goes on with what is said from the rows behind the last forced token and behind each of a guess, `draft`, all of
/// which were read. The guess is kept as far as each of its tokens is the one that would have been chosen (speculative
/// decoding, Leviathan et al. 2023): it changes nothing but the number of runs.
pub(super) fn go_on(
    speaker: &mut dyn Speaker,
    said: &mut Said,
    mut rows: Vec<Row>,
    mut draft: &[usize],
) -> Result<(), String> {
    rows.reverse();
    let mut logs = 0.0;
    while let Some((logits, attention)) = rows.pop() {
        let Choice { token, probability, log } = speaker.choose(&said.tokens, logits)?;
        said.attention.push(attention);
        logs += log;
        let Some(token) = token else { break };
        if said.tokens.len() >= speaker.most(&said.tokens) {
            said.runaway = true;
            break;
        }
        said.tokens.push(token);
        said.probabilities.push(probability);
        if let Some(kept) = loop_start(&said.tokens).map(|kept| kept.max(said.forced)) {
            said.tokens.truncate(kept);
            said.probabilities.truncate(kept - said.forced);
            said.attention.truncate(said.lead + kept + 1);
            said.runaway = true;
            break;
        }
        match draft.split_first() {
            Some((&guess, rest)) if guess == token => draft = rest,
            _ => {
                if !draft.is_empty() {
                    speaker.forget(draft.len())?;
                }
                (draft, rows) = (&[], speaker.read_on(token)?.into_iter().collect());
            }
        }
    }
    said.mean_log = logs / (said.attention.len() - said.lead - said.forced).max(1) as f32;
    Ok(())
}

/// If the tokens end in an n-gram that stands too often in a row: how many tokens are left with the first one only.
fn loop_start(tokens: &[usize]) -> Option<usize> {
    (1..=LONGEST_REPEAT).find_map(|n| {
        let repeats = if n == 1 { SINGLE_REPEATS } else { REPEATS };
        let start = tokens.len().checked_sub(n * repeats)?;
        let run = &tokens[start..];
        run.iter().zip(&run[n..]).all(|(a, b)| a == b).then_some(start + n)
    })
}
