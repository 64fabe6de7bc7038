//! Hot words: names and terms that are likelier than the model thinks. Knows no session and no text.
//!
//! Shallow fusion with a list of phrases, as context biasing of transducers has it (Zhao et al. 2019, "Shallow-Fusion
//! End-to-End Contextual Biasing"): what would begin or go on with a phrase gains a little before the likeliest token
//! is chosen.

/// What a token gains that begins a phrase, and one that goes on with it: natural logarithms. A token that is a hundred
/// times less likely than the best stays unsaid.
const BEGINS: f32 = 1.0;
const GOES_ON: f32 = 2.0;

/// Phrases as tokens.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bias {
    phrases: Vec<Vec<usize>>,
}

impl Bias {
    /// Empty phrases are left out.
    pub(crate) fn new(phrases: impl IntoIterator<Item = Vec<usize>>) -> Self {
        Self { phrases: phrases.into_iter().filter(|p| !p.is_empty()).collect() }
    }

    /// Raises the logits of what follows `said`; each token once, by the most that a phrase gives it.
    pub(crate) fn apply(&self, said: &[usize], logits: &mut [f32]) {
        let mut gains: Vec<(usize, f32)> = Vec::new();
        for phrase in &self.phrases {
            gains.push((phrase[0], BEGINS));
            gains.extend((1..phrase.len()).filter(|&k| said.ends_with(&phrase[..k])).map(|k| (phrase[k], GOES_ON)));
        }
        gains.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        gains.dedup_by_key(|g| g.0);
        for (token, gain) in gains {
            if let Some(logit) = logits.get_mut(token) {
                *logit += gain;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_or_goes_on_with_a_phrase_gains_once() {
        let bias = Bias::new([vec![3, 4, 5], vec![3, 7], vec![4], vec![], vec![99]]);
        let gains = |said: &[usize]| {
            let mut logits = vec![0.0; 10];
            bias.apply(said, &mut logits);
            logits.iter().enumerate().filter(|l| *l.1 != 0.0).map(|(t, &g)| (t, g)).collect::<Vec<_>>()
        };
        assert_eq!(gains(&[]), [(3, BEGINS), (4, BEGINS)]);
        assert_eq!(gains(&[8, 3]), [(3, BEGINS), (4, GOES_ON), (7, GOES_ON)]);
        assert_eq!(gains(&[3, 4]), [(3, BEGINS), (4, BEGINS), (5, GOES_ON)]);
        assert_eq!(gains(&[4, 3, 9]), [(3, BEGINS), (4, BEGINS)]);
    }
}
