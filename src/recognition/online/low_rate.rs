//! FunASR's features at a low rate: some frames of a filterbank side by side, taken every few frames, normalised, with
//! the sinusoids of their positions. Knows no graph.
//!
//! As `WavFrontendOnline` and `SinusoidalPositionEncoder` of FunASR have it: `(x + neg_mean) · inv_stddev · √width`,
//! then sines of the position times rates from 1 down to 1/10,000 over the first half of the numbers, cosines over the
//! second. The first position is 1.

/// How frames are put together.
pub(super) struct LowRate {
    /// Frames side by side, and from one stack to the next.
    window: usize,
    shift: usize,
    /// What is added to each number of a stack, and what it is multiplied with then.
    add: Vec<f32>,
    times: Vec<f32>,
    /// Of each sine and cosine, in radians a position.
    rates: Vec<f64>,
}

impl LowRate {
    /// `add` and `times` have as many numbers as a stack; an even number.
    pub(super) fn new(window: usize, shift: usize, add: Vec<f32>, times: Vec<f32>) -> Self {
        let half = times.len() / 2;
        let step = 10_000f64.ln() / (half.max(2) - 1) as f64;
        Self { window, shift, add, times, rates: (0..half).map(|d| (-step * d as f64).exp()).collect() }
    }

    /// Numbers of a stack.
    pub(super) fn wide(&self) -> usize {
        self.times.len()
    }

    /// Frames of the filterbank from one stack to the next.
    pub(super) fn shift(&self) -> usize {
        self.shift
    }

    /// Stacks that so many frames hold.
    pub(super) fn count(&self, frames: usize) -> usize {
        if frames < self.window { 0 } else { (frames - self.window) / self.shift + 1 }
    }

    /// Appends the stacks of some frames, of which the first stack stands at place `first` of the stream, counted from
    /// 0.
    pub(super) fn stack(&self, frames: &[f32], first: usize, stacks: &mut Vec<f32>) {
        let (wide, half) = (self.wide(), self.rates.len());
        let bands = wide / self.window;
        for i in 0..self.count(frames.len() / bands) {
            let position = (first + i + 1) as f64;
            let frames = &frames[i * self.shift * bands..][..wide];
            for (k, (x, (add, times))) in frames.iter().zip(self.add.iter().zip(&self.times)).enumerate() {
                let wave =
                    if k < half { (position * self.rates[k]).sin() } else { (position * self.rates[k - half]).cos() };
                stacks.push((x + add) * times + wave as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_stacked_normalised_and_placed() {
        let low = LowRate::new(2, 1, vec![1.0; 4], vec![10.0, 10.0, 20.0, 20.0]);
        let mut stacks = Vec::new();
        low.stack(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 7, &mut stacks);
        assert_eq!((low.count(3), low.count(1), stacks.len()), (2, 0, 8));
        // Position 8: the rates are 1 and 1/10,000.
        let wanted = [10.0 + 8f64.sin(), 20.0 + 8e-4f64.sin(), 60.0 + 8f64.cos(), 80.0 + 8e-4f64.cos()];
        assert!(stacks.iter().zip(wanted).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{stacks:?}");
        assert!((f64::from(stacks[4]) - (30.0 + 9f64.sin())).abs() < 1e-5);
    }
}
