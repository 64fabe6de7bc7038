//! Which language is spoken: told by the user, or heard. Knows no session.
//!
//! Whisper names the language with the first token after the start of the transcript (Radford et al. 2022, section
//! 2.3). One short hearing can be wrong, so the probabilities of all hearings count, each by its length, until enough
//! was heard; from then on the language stays.

/// Hearings that are together this long, in seconds, are enough. Live hearings overlap: the first five seconds of
/// speech come to about so much.
const ENOUGH: f64 = 30.0;

/// The language in use, as a place in the vocabulary's list.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    told: Option<usize>,
    /// For each language its probability times the seconds heard, over all hearings; none before the first.
    evidence: Vec<f64>,
    seconds: f64,
}

impl Spoken {
    /// What the user says; `None` to hear it.
    pub(super) fn told(language: Option<usize>) -> Self {
        Self { told: language, ..Self::default() }
    }

    /// Whether the next hearing is to tell.
    pub(super) fn asks(&self) -> bool {
        self.told.is_none() && self.seconds < ENOUGH
    }

    /// What a hearing of so many seconds tells: the logits of the languages alone.
    pub(super) fn hear(&mut self, logits: &[f32], seconds: f64) {
        let most = logits.iter().fold(f32::MIN, |a, &b| a.max(b));
        let shares: Vec<f64> = logits.iter().map(|x| f64::from(x - most).exp()).collect();
        let sum: f64 = shares.iter().sum();
        // Nothing is learnt of what is no number.
        if !sum.is_finite() || sum <= 0.0 {
            return;
        }
        self.evidence.resize(logits.len(), 0.0);
        self.evidence.iter_mut().zip(&shares).for_each(|(e, s)| *e += s / sum * seconds);
        self.seconds += seconds;
    }

    /// The language: told, or the likeliest so far; `None` before anything was heard.
    pub(super) fn now(&self) -> Option<usize> {
        self.told
            .or_else(|| (0..self.evidence.len()).rev().max_by(|&a, &b| self.evidence[a].total_cmp(&self.evidence[b])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_never_asked() {
        let spoken = Spoken::told(Some(3));
        assert_eq!((spoken.asks(), spoken.now()), (false, Some(3)));
    }

    #[test]
    fn longer_hearings_count_more_and_enough_is_enough() {
        let mut spoken = Spoken::default();
        assert_eq!((spoken.asks(), spoken.now()), (true, None));
        spoken.hear(&[1.0, 5.0, 0.0], 1.0);
        assert_eq!(spoken.now(), Some(1));
        spoken.hear(&[6.0, 2.0, 0.0], 4.0);
        assert_eq!((spoken.asks(), spoken.now()), (true, Some(0)));
        spoken.hear(&[f32::NAN; 3], 100.0);
        assert_eq!((spoken.asks(), spoken.now()), (true, Some(0)), "what is no number tells nothing");
        spoken.hear(&[6.0, 2.0, 0.0], 26.0);
        assert_eq!((spoken.asks(), spoken.now()), (false, Some(0)));
    }
}
