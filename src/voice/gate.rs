//! The gate: where the input is quieter than a threshold, the output is silent. Knows no converter, only how far it
//! lies behind.
//!
//! The level of the input is taken over stretches of 10 ms on absolute positions. The output lies behind the input, so
//! that the gate is fully open before the sound that opened it comes by.

use mynah_dsp::level::from_db;

/// How far below the threshold the level must fall before the gate closes, in dB.
const HYSTERESIS_DB: f32 = 6.0;
/// Stretches of 10 ms that the gate stays open after the level fell.
const HOLD: u32 = 15;
/// Stretches of 10 ms that the gate opens early, where the delay allows it.
const EARLY: usize = 2;
/// Seconds a ramp lasts.
const RAMP_SECONDS: f64 = 0.005;

/// A gate for one channel. Allocation-free after `new`.
#[derive(Debug, Clone)]
pub struct Gate {
    hop: usize,
    delay: usize,
    /// Samples of 10 ms.
    stretch: usize,
    /// Raised cosine from 0 to 1.
    ramp: Vec<f32>,
    /// How far the ramp is open: `ramp.len() - 1` is fully.
    opening: usize,
    /// Sum of squares of the stretch at hand, and how many samples it has.
    squares: f64,
    filled: usize,
    open: bool,
    hold: u32,
    /// Whether each of the last stretches is open; stretch `i` lies at `i % len`.
    stretches: Vec<bool>,
    /// Stretches heard so far.
    heard: usize,
    /// Position of the next output sample; negative while nothing has come through.
    position: i64,
}

impl Gate {
    /// For hops of `hop` samples at `rate`, and an output that lies `delay` samples behind the input.
    pub fn new(rate: u32, hop: usize, delay: usize) -> Self {
        let stretch = (rate as usize / 100).max(1);
        let steps = ((rate as f64 * RAMP_SECONDS) as usize).max(1);
        let ramp =
            (0..=steps).map(|i| (0.5 - 0.5 * (std::f64::consts::PI * i as f64 / steps as f64).cos()) as f32).collect();
        let mut gate = Self {
            hop,
            delay,
            stretch,
            ramp,
            opening: 0,
            squares: 0.0,
            filled: 0,
            open: false,
            hold: 0,
            stretches: vec![false; (delay + hop) / stretch + EARLY + 2],
            heard: 0,
            position: 0,
        };
        gate.reset();
        gate
    }

    /// Forgets all sound; the gate is closed.
    pub fn reset(&mut self) {
        self.opening = 0;
        self.squares = 0.0;
        self.filled = 0;
        self.open = false;
        self.hold = 0;
        self.heard = 0;
        self.position = -(self.delay as i64);
    }

    /// Hears a hop of the input and scales the hop of the output that lies `delay` samples behind it.
    /// `f32::NEG_INFINITY` opens the gate and leaves the output as it is, bit for bit.
    pub fn process(&mut self, input: &[f32], output: &mut [f32], threshold_dbfs: f32) {
        debug_assert!(input.len() == self.hop && output.len() == self.hop);
        let off = threshold_dbfs == f32::NEG_INFINITY;
        let opens_at = (from_db(threshold_dbfs) as f64).powi(2);
        let closes_at = (from_db(threshold_dbfs - HYSTERESIS_DB) as f64).powi(2);
        for &x in input {
            self.squares += x as f64 * x as f64;
            self.filled += 1;
            if self.filled == self.stretch {
                let power = self.squares / self.stretch as f64;
                self.hear(off || power >= opens_at, power >= closes_at);
            }
        }
        if off {
            self.opening = self.ramp.len() - 1;
            self.position += output.len() as i64;
            return;
        }
        let fully = self.ramp.len() - 1;
        for y in output {
            if self.is_open_at(self.position) {
                self.opening = (self.opening + 1).min(fully);
            } else {
                self.opening = self.opening.saturating_sub(1);
            }
            if self.opening < fully {
                *y *= self.ramp[self.opening];
            }
            self.position += 1;
        }
    }

    fn hear(&mut self, loud: bool, not_quiet: bool) {
        if loud || (self.open && not_quiet) {
            self.open = true;
            self.hold = HOLD;
        } else if self.hold > 0 {
            self.hold -= 1;
        } else {
            self.open = false;
        }
        let at = self.heard % self.stretches.len();
        self.stretches[at] = self.open;
        self.heard += 1;
        self.squares = 0.0;
        self.filled = 0;
    }

    /// A position is open if its stretch is, or one that follows soon. What has not been heard yet is as the last
    /// stretch heard.
    fn is_open_at(&self, position: i64) -> bool {
        let Some(last) = self.heard.checked_sub(1) else { return false };
        if position < 0 {
            return false;
        }
        let first = (position as usize / self.stretch).min(last);
        (first..=(first + EARLY).min(last)).any(|i| self.stretches[i % self.stretches.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 24000;

    /// The input itself, `delay` later, through the gate; position 0 first.
    fn through(input: &[f32], hop: usize, delay: usize, threshold: f32) -> Vec<f32> {
        let mut gate = Gate::new(RATE, hop, delay);
        let mut line = vec![0.0; delay];
        line.extend_from_slice(input);
        let mut output = Vec::new();
        for (x, y) in input.chunks_exact(hop).zip(line.chunks_exact(hop)) {
            let mut y = y.to_vec();
            gate.process(x, &mut y, threshold);
            output.extend(y);
        }
        output.split_off(delay.min(output.len()))
    }

    fn burst(from: usize, to: usize, n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| {
                if (from..to).contains(&i) {
                    0.5 * (i as f32 * 0.3 + 1.0).sin()
                } else {
                    0.0004 * (i as f32 * 0.7).sin()
                }
            })
            .collect()
    }

    #[test]
    fn switched_off_it_changes_no_bit() {
        let x = burst(5000, 9000, 24000);
        let y = through(&x, 240, 1440, f32::NEG_INFINITY);
        assert!(x.iter().zip(&y).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn the_onset_is_untouched_and_the_silence_silent() {
        for (hop, delay) in [(240, 480), (480, 1200), (960, 3120), (240, 1440)] {
            for onset in [6001, 6119, 6239] {
                let x = burst(onset, 12000, 24000);
                let y = through(&x, hop, delay, -40.0);
                assert_eq!(y[onset..12000], x[onset..12000], "from {onset}, hops of {hop} and a delay of {delay}");
                assert!(y[..onset - 1000].iter().all(|&v| v == 0.0), "before {onset}");
                let closed = 12000 + (HOLD as usize + 3) * 240;
                assert!(y[closed..].iter().all(|&v| v == 0.0), "after {closed}");
                assert!(y[12000..12000 + 3000] == x[12000..12000 + 3000], "held");
            }
        }
    }

    /// No step is larger than a ramp of 5 ms makes of a steady tone.
    #[test]
    fn it_opens_and_closes_without_a_click() {
        let mut gate = Gate::new(RATE, 240, 1440);
        let mut y = Vec::new();
        for k in 0..200 {
            let mut output = vec![0.5; 240];
            gate.process(&[0.1; 240], &mut output, if (50..100).contains(&k) { -40.0 } else { 0.0 });
            y.extend(output);
        }
        let worst = y.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        let steepest = 0.5 * std::f32::consts::PI / 2.0 / 120.0;
        assert!(worst < steepest * 1.05, "{worst}");
        assert!(y[..10_000].iter().all(|&v| v == 0.0) && y[15_000] == 0.5 && y[40_000] == 0.0);
    }

    #[test]
    fn a_level_within_the_hysteresis_keeps_it_open() {
        let x: Vec<f32> = (0..24000).map(|i| if i < 4800 { 0.02 } else { 0.0075 }).collect();
        let y = through(&x, 240, 1440, -40.0);
        assert_eq!(y[20000..22000], x[20000..22000]);
        let soft = vec![0.0075; 24000];
        assert!(through(&soft, 240, 1440, -40.0).iter().all(|&v| v == 0.0));
    }
}
