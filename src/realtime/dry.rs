//! The dry sound at the reported latency, and where the wet sound stands in the stereo picture.

/// A delay of a fixed number of samples for several channels.
#[derive(Debug)]
pub struct DryLine {
    lines: Vec<Vec<f32>>,
    at: usize,
    delay: usize,
}

impl DryLine {
    /// Silence of `delay` samples in each channel.
    pub fn new(channels: usize, delay: usize) -> Self {
        Self { lines: vec![vec![0.0; delay]; channels], at: 0, delay }
    }

    /// How many channels it was made for.
    pub fn channels(&self) -> usize {
        self.lines.len()
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.lines.iter_mut().for_each(|l| l.fill(0.0));
        self.at = 0;
    }

    /// Puts one sample in and takes the one of `delay` samples ago out, for one channel; call `step` after all
    /// channels.
    pub fn swap(&mut self, channel: usize, sample: f32) -> f32 {
        if self.delay == 0 { sample } else { std::mem::replace(&mut self.lines[channel][self.at], sample) }
    }

    /// Goes on to the next sample.
    pub fn step(&mut self) {
        self.at = if self.at + 1 >= self.delay { 0 } else { self.at + 1 };
    }
}

/// Follows how the dry sound spreads over the channels, so that the mono voice is placed as the input was.
///
/// The worker gets the channels' mean, so a channel's gain is its level over the mean level: 1 each in the middle, 2
/// and 0 at one side.
#[derive(Debug)]
pub struct Placing {
    levels: Vec<f32>,
    follow: f32,
}

/// Added to each level (−100 dBFS) so that silence stands in the middle.
const FLOOR: f32 = 1e-5;

impl Placing {
    /// Follows with a time constant of 20 ms.
    pub fn new(channels: usize, rate: u32) -> Self {
        Self { levels: vec![0.0; channels], follow: 1.0 - (-1.0 / (0.02 * rate as f32)).exp() }
    }

    /// Forgets the levels.
    pub fn reset(&mut self) {
        self.levels.fill(0.0);
    }

    /// Takes note of one dry sample of a channel.
    pub fn hear(&mut self, channel: usize, dry: f32) {
        let level = &mut self.levels[channel];
        *level += self.follow * (dry.abs() - *level);
        if *level < 1e-20 {
            *level = 0.0;
        }
    }

    /// The voice's gain in a channel.
    pub fn gain(&self, channel: usize) -> f32 {
        match self.levels.len() {
            1 => 1.0,
            n => {
                let sum: f32 = self.levels.iter().map(|l| l + FLOOR).sum();
                n as f32 * (self.levels[channel] + FLOOR) / sum
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_is_exact() {
        for delay in [0, 1, 5, 64] {
            let mut line = DryLine::new(2, delay);
            for i in 0..200usize {
                let out = line.swap(1, i as f32);
                line.swap(0, -1.0);
                line.step();
                assert_eq!(out, if i < delay { 0.0 } else { (i - delay) as f32 });
            }
        }
    }

    #[test]
    fn the_voice_stands_where_the_input_stood() {
        let mut p = Placing::new(2, 48000);
        assert_eq!((p.gain(0), p.gain(1)), (1.0, 1.0));
        for _ in 0..48000 {
            p.hear(0, 0.5);
            p.hear(1, 0.0);
        }
        assert!((p.gain(0) - 2.0).abs() < 1e-3 && p.gain(1) < 1e-3);
    }
}
