//! Graphs as the families in here see them, and the choice among their scores. Knows no family.

pub(crate) use mynah_models::runtime::graph::{Graph, one_line, zeros};

/// What a model gave, where all of it are numbers. Minus infinity is one: the logarithm of no probability at all.
pub(crate) fn numbers(given: &[f32]) -> Result<&[f32], String> {
    if given.iter().all(|x| *x < f32::INFINITY) {
        return Ok(given);
    }
    Err("the model gives what is no number (NaN or infinity)".to_owned())
}

/// The place of the largest number, the first of equals, and its share after a softmax. An error where one is none.
pub(crate) fn best(logits: &[f32]) -> Result<(usize, f32), String> {
    let mut at = 0;
    for (i, x) in numbers(logits)?.iter().enumerate() {
        if *x > logits[at] {
            at = i;
        }
    }
    if !logits.get(at).is_some_and(|x| x.is_finite()) {
        return Err("the model gives no token any probability".to_owned());
    }
    let sum: f32 = logits.iter().map(|x| (x - logits[at]).exp()).sum();
    Ok((at, (1.0 / sum).clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_never_chosen() {
        assert_eq!(best(&[1.0, 3.0, 3.0, f32::NEG_INFINITY]).map(|b| b.0), Ok(1));
        for logits in [&[f32::NAN; 3][..], &[1.0, -f32::NAN], &[f32::INFINITY, 0.0], &[f32::NEG_INFINITY; 2], &[]] {
            assert!(best(logits).is_err(), "{logits:?}");
        }
    }
}
