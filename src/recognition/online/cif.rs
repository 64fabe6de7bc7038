//! Continuous integrate-and-fire (Dong and Xu, "CIF: continuous integrate-and-fire for end-to-end speech recognition",
//! ICASSP 2020): frames with weights become tokens' vectors. Weights are added up; where their sum passes 1, the frames
//! up to there, each times its weight, are a token, and what lies beyond 1 belongs to the next one. Knows no model.

/// What has been added up since the last token.
pub(super) struct Cif {
    sum: f32,
    part: Vec<f32>,
}

impl Cif {
    /// Nothing yet; frames have so many numbers.
    pub(super) fn new(width: usize) -> Self {
        Self { sum: 0.0, part: vec![0.0; width] }
    }

    pub(super) fn reset(&mut self) {
        self.sum = 0.0;
        self.part.fill(0.0);
    }

    /// Adds a frame with its weight (0 to 1); appends the vector of a token that is complete with it, and says whether
    /// one is.
    pub(super) fn push(&mut self, frame: &[f32], weight: f32, vectors: &mut Vec<f32>) -> bool {
        let fires = self.sum + weight >= 1.0;
        let share = if fires { 1.0 - self.sum } else { weight };
        self.part.iter_mut().zip(frame).for_each(|(p, x)| *p += x * share);
        self.sum += weight;
        if fires {
            vectors.extend_from_slice(&self.part);
            self.sum -= 1.0;
            self.part.iter_mut().zip(frame).for_each(|(p, x)| *p = x * self.sum);
        }
        fires
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_frames_up_to_a_sum_of_one() {
        let mut cif = Cif::new(2);
        let mut vectors = Vec::new();
        let frames = [([1.0, 0.0], 0.5), ([0.0, 4.0], 0.25), ([8.0, 8.0], 0.5), ([9.0, 9.0], 0.0), ([0.0, 1.0], 0.75)];
        let fired: Vec<bool> = frames.iter().map(|(frame, weight)| cif.push(frame, *weight, &mut vectors)).collect();
        assert_eq!(fired, [false, false, true, false, true]);
        assert_eq!(vectors, [0.5 + 0.25 * 8.0, 0.25 * 4.0 + 0.25 * 8.0, 0.25 * 8.0, 0.25 * 8.0 + 0.75]);
        cif.push(&[3.0, 3.0], 0.5, &mut vectors);
        cif.reset();
        vectors.clear();
        assert!(!cif.push(&[1.0, 1.0], 0.5, &mut vectors), "a reset forgets what was added up");
        assert!(cif.push(&[1.0, 3.0], 0.5, &mut vectors));
        assert_eq!(vectors, [1.0, 2.0]);
    }
}
