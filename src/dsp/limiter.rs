//! Keeps converted sound below full scale, without delay: a hop is known whole before its first sample is heard. Knows
//! no model.
//!
//! A voice made of pulses has higher peaks than the speech it was made from, so a source below full scale could come
//! out above it and be clipped behind us. Where the input itself lies above full scale, as sound in floats may, nothing
//! is limited.

/// Highest sample, as a share of full scale: 1 dB below, since a resampler's output may rise between samples.
const CEILING: f32 = 0.891;
/// Seconds in which the gain comes back by 1 − 1/e.
const RELEASE: f64 = 0.1;

/// A limiter for one channel, hop by hop. Allocation-free after `new`. The output is a pure function of the hops since
/// `reset`; what needs no limiting is not touched.
#[derive(Debug, Clone)]
pub struct Limiter {
    gain: f32,
    release: f32,
    /// Peaks of the last hops of input, as many as the output may lie behind it.
    inputs: Vec<f32>,
    at: usize,
}

impl Limiter {
    /// For hops of `hop` samples at `rate` Hz whose output lies `delay` samples behind its input.
    pub fn new(rate: u32, hop: usize, delay: usize) -> Self {
        let release = 1.0 - (-(hop as f64) / (RELEASE * f64::from(rate))).exp();
        Self { gain: 1.0, release: release as f32, inputs: vec![0.0; delay.div_ceil(hop.max(1)) + 2], at: 0 }
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.gain = 1.0;
        self.inputs.fill(0.0);
    }

    /// A hop of input, and the hop of output that came of it, in place.
    pub fn process(&mut self, input: &[f32], output: &mut [f32]) {
        self.inputs[self.at] = peak(input);
        self.at = (self.at + 1) % self.inputs.len();
        let from = self.gain;
        if self.inputs.iter().any(|x| *x > 1.0) {
            self.gain = 1.0;
            if from < 1.0 {
                ramp(output, from, 1.0);
            }
            return;
        }
        let needed = (CEILING / peak(output)).min(1.0);
        if needed < from {
            // Down before the first sample that would rise too high.
            let over = output.iter().position(|x| x.abs() * from > CEILING).unwrap_or(0);
            self.gain = needed;
            ramp(&mut output[..over], from, needed);
            output[over..].iter_mut().for_each(|x| *x *= needed);
        } else if from < 1.0 {
            let back = from + (1.0 - from) * self.release;
            self.gain = if back > 0.9999 { 1.0 } else { back }.min(needed);
            ramp(output, from, self.gain);
        }
    }
}

/// The highest absolute value; 0 of what is no number.
fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |a, x| a.max(x.abs()))
}

/// A gain that moves in a straight line from `from` to `to`, which the last sample has.
fn ramp(samples: &mut [f32], from: f32, to: f32) {
    let step = (to - from) / samples.len().max(1) as f32;
    for (i, x) in samples.iter_mut().enumerate() {
        *x *= from + step * (i + 1) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOP: usize = 240;

    proptest! {
        /// Whatever comes: where the input was below full scale for as long as the output lies behind it, nothing rises
        /// above the ceiling; and what is below it all the time is not touched.
        #[test]
        fn nothing_rises_above_full_scale(levels in prop::collection::vec((prop_oneof![4 => 0.0f32..1.0, 1 => 1.0f32..2.0], 0.0f32..4.0), 1..40), seed in 0u32..1000) {
            let (mut limiter, mut x) = (Limiter::new(24000, HOP, 3 * HOP), seed);
            let mut noise = |level: f32| -> Vec<f32> {
                (0..HOP).map(|_| {
                    x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    level * ((x >> 8) as f32 / (1 << 23) as f32 - 1.0)
                }).collect()
            };
            let calm = levels.iter().all(|(_, out)| *out < CEILING);
            let mut peaks = Vec::new();
            for (level_in, level_out) in levels {
                let (input, mut output) = (noise(level_in), noise(level_out));
                peaks.push(peak(&input));
                let before = output.clone();
                limiter.process(&input, &mut output);
                let below = peaks.iter().rev().take(5).all(|p| *p <= 1.0);
                prop_assert!(!below || peak(&output) <= CEILING * 1.0001, "{}", peak(&output));
                prop_assert!(!calm || before == output);
            }
        }
    }

    #[test]
    fn the_gain_comes_back() {
        let mut limiter = Limiter::new(24000, HOP, 0);
        let mut hop = |level: f32| {
            let mut output = [level; HOP];
            limiter.process(&[0.1; HOP], &mut output);
            output[HOP - 1] / level
        };
        assert!((hop(1.782) - 0.5).abs() < 1e-3, "6 dB too high");
        let gains: Vec<f32> = (0..100).map(|_| hop(0.1)).collect();
        assert!(gains[0] > 0.5 && gains[9] < 0.9 && gains[99] == 1.0, "{gains:?}");
        assert!(gains.windows(2).all(|w| w[1] >= w[0]));
    }
}
