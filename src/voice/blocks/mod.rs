//! What converters share whose models know no streaming: the model is run over the last seconds of sound again and
//! again, and the newest part of each result is joined to the one before. Knows no family, no thread and no pack.

pub mod chance;
mod join;
mod tensor;

pub use join::Join;
pub use tensor::{Precision, failed, input, numbers, read, sizes, wrong};

/// Takes new samples into the last so many: the oldest ones go.
pub fn slide(held: &mut [f32], new: &[f32]) {
    let new = &new[new.len().saturating_sub(held.len())..];
    let keep = held.len() - new.len();
    held.copy_within(new.len().., 0);
    held[keep..].copy_from_slice(new);
}

/// A sample as a model may be given it: what is no number counts as silence.
pub fn sane(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-8.0, 8.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_samples_stay() {
        let mut held = [1.0, 2.0, 3.0, 4.0];
        slide(&mut held, &[5.0]);
        assert_eq!(held, [2.0, 3.0, 4.0, 5.0]);
        slide(&mut held, &[]);
        assert_eq!(held, [2.0, 3.0, 4.0, 5.0]);
        slide(&mut held, &[6.0, 7.0, 8.0, 9.0, 10.0]);
        assert_eq!(held, [7.0, 8.0, 9.0, 10.0]);
    }
}
