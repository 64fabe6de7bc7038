//! Graphs as the families in here see them, and the choice among their scores. Knows no family.

pub(in crate::captions) use crate::runtime::graph::{Graph, one_line};

/// The place of the largest number, and its share after a softmax.
pub(in crate::captions) fn best(logits: &[f32]) -> (usize, f32) {
    let mut at = 0;
    for (i, x) in logits.iter().enumerate() {
        // The first of equals, and never what is no number.
        if *x > logits[at] || logits[at].is_nan() {
            at = i;
        }
    }
    let sum: f32 = logits.iter().map(|x| (x - logits[at]).exp()).sum();
    (at, if sum.is_finite() { (1.0 / sum).clamp(0.0, 1.0) } else { 0.0 })
}
