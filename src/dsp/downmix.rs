//! Channels to one: their mean, unless they cancel each other out in it.
//!
//! A recording with one channel wired the wrong way round, or a widened one, is heard by every ear and is silence in
//! the mean. Where what is left of the sum is far below what its parts hold, the loudest channel takes the mean's
//! place, with a fade between the two. Of many channels of a file those that are silent may count for nothing, so that
//! one microphone among 24 inputs is as loud as alone. Sample by sample: the result doesn't depend on the length of
//! calls. Allocation-free after `new`.

/// Energies are averaged over so many seconds; from the beginning at once.
const MEMORY_SECONDS: f32 = 0.3;
/// Below this share of the parts' energy the sum counts as cancelled, above that one as heard again. Uncorrelated
/// channels have 1, two equal ones 2.
const CANCELLED: f32 = 0.05;
const HEARD: f32 = 0.3;
/// Nothing softer is judged: -100 dBFS.
const FLOOR: f32 = 1e-10;
/// A fade from one to the other.
const FADE_SECONDS: f32 = 0.02;
/// Before so many seconds nothing is decided.
const FIRST_SECONDS: f32 = 0.005;

/// Mixes down sample by sample.
#[derive(Debug, Clone)]
pub struct Downmix {
    count: usize,
    rate: f32,
    /// Mean square of each channel, where silent ones shall not count.
    each: Vec<f32>,
    /// Mean square of the channels' sum, and the sum of their mean squares.
    sum: f32,
    parts: f32,
    /// Share of a new sample in these.
    step: f32,
    least_step: f32,
    samples: u64,
    cancelled: bool,
    loudest: usize,
    /// Share of the loudest channel in what is heard.
    share: f32,
    fade: f32,
    /// Samples in which the channels cancelled each other out, and the first of them.
    opposite: u64,
    first: Option<u64>,
}

impl Downmix {
    /// For so many channels at a rate in Hz.
    pub fn new(channels: usize, rate: u32) -> Self {
        let rate = rate.max(1) as f32;
        let mut new = Self {
            count: channels,
            rate,
            each: Vec::new(),
            sum: 0.0,
            parts: 0.0,
            step: 1.0,
            least_step: 1.0 / (MEMORY_SECONDS * rate),
            samples: 0,
            cancelled: false,
            loudest: 0,
            share: 0.0,
            fade: 1.0 / (FADE_SECONDS * rate),
            opposite: 0,
            first: None,
        };
        new.reset();
        new
    }

    /// The same, but of more than two channels those that are silent don't count.
    pub fn of_sounding(channels: usize, rate: u32) -> Self {
        Self { each: if channels > 2 { vec![0.0; channels] } else { Vec::new() }, ..Self::new(channels, rate) }
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.each.fill(0.0);
        (self.sum, self.parts, self.step, self.samples) = (0.0, 0.0, 1.0, 0);
        (self.cancelled, self.loudest, self.share) = (false, 0, 0.0);
        (self.opposite, self.first) = (0, None);
    }

    /// Mixes one frame.
    pub fn frame(&mut self, channel: impl Fn(usize) -> f32) -> f32 {
        if self.count <= 1 {
            return if self.count == 1 { channel(0) } else { 0.0 };
        }
        let (mut sum, mut parts) = (0.0f32, 0.0f32);
        for k in 0..self.count {
            let x = channel(k);
            sum += x;
            parts += x * x;
        }
        self.sum += (sum * sum - self.sum) * self.step;
        self.parts += (parts - self.parts) * self.step;
        let count = if self.each.is_empty() { self.count as f32 } else { self.sounding(&channel) };
        self.samples += 1;
        if self.step > self.least_step {
            self.step = (1.0 / (self.samples + 1) as f32).max(self.least_step);
        }
        let mean = sum / count;
        if self.cancelled || self.share > 0.0 || self.sum < CANCELLED * self.parts {
            self.replace(mean, &channel)
        } else {
            mean
        }
    }

    /// How many channels sound in effect: all where they are equally loud, one where one alone sounds.
    fn sounding(&mut self, channel: impl Fn(usize) -> f32) -> f32 {
        let mut squares = 0.0f32;
        for (k, energy) in self.each.iter_mut().enumerate() {
            let x = channel(k);
            *energy += (x * x - *energy) * self.step;
            squares += *energy * *energy;
        }
        let most = self.count as f32;
        if squares > 0.0 { (self.parts * self.parts / squares).clamp(1.0, most) } else { most }
    }

    /// The loudest channel in the mean's place, or on the way there or back.
    fn replace(&mut self, mean: f32, channel: impl Fn(usize) -> f32) -> f32 {
        if self.parts > FLOOR && self.samples as f32 > FIRST_SECONDS * self.rate {
            if self.cancelled {
                self.cancelled = self.sum < HEARD * self.parts;
            } else if self.sum < CANCELLED * self.parts && self.share == 0.0 {
                self.cancelled = true;
                let louder = |a: usize, b: usize| if channel(b).abs() > channel(a).abs() { b } else { a };
                self.loudest = (1..self.count).fold(0, louder);
            }
        }
        if self.cancelled {
            self.first.get_or_insert(self.samples - 1);
            self.opposite += 1;
        }
        self.share = if self.cancelled { (self.share + self.fade).min(1.0) } else { (self.share - self.fade).max(0.0) };
        mean + (channel(self.loudest) - mean) * self.share
    }

    /// Mixes a block: one slice a channel, as long as `out`.
    pub fn process(&mut self, block: &[&[f32]], out: &mut [f32]) {
        for (i, y) in out.iter_mut().enumerate() {
            *y = self.frame(|k| block[k][i]);
        }
    }

    /// Where the channels first cancelled each other out, in seconds, if they did for a second in all.
    pub fn opposite_from(&self) -> Option<f64> {
        self.first.filter(|_| self.opposite as f64 >= f64::from(self.rate)).map(|n| n as f64 / f64::from(self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            x as f32 / u32::MAX as f32 - 0.5
        };
        (0..n).map(|_| next()).collect()
    }

    fn energy(x: &[f32]) -> f32 {
        x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32
    }

    fn mixed(channels: &[Vec<f32>], cut: usize) -> (Vec<f32>, Downmix) {
        let mut mix = Downmix::of_sounding(channels.len(), 16_000);
        let mut out = vec![0.0; channels[0].len()];
        for (i, y) in out.chunks_mut(cut).enumerate() {
            let block: Vec<&[f32]> = channels.iter().map(|c| &c[i * cut..i * cut + y.len()]).collect();
            mix.process(&block, y);
        }
        (out, mix)
    }

    #[test]
    fn opposite_channels_are_heard() {
        let a = noise(48_000, 1);
        let b: Vec<f32> = a.iter().map(|x| -x).collect();
        let (out, mix) = mixed(&[a.clone(), b], 480);
        assert_eq!(out[1000..], a[1000..]);
        assert!(mix.opposite_from().is_some_and(|s| s < 0.01));
    }

    #[test]
    fn what_adds_up_is_the_mean_to_the_bit() {
        for (a, b) in [
            (noise(48_000, 1), noise(48_000, 2)),
            (noise(48_000, 1), vec![0.0; 48_000]),
            (noise(48_000, 1), noise(48_000, 1)),
        ] {
            let (out, mix) = mixed(&[a.clone(), b.clone()], 481);
            assert!(out.iter().zip(a.iter().zip(&b)).all(|(y, (a, b))| *y == (a + b) / 2.0));
            assert_eq!(mix.opposite_from(), None);
        }
    }

    #[test]
    fn silent_channels_do_not_count_among_many() {
        let mut channels = vec![vec![0.0; 16_000]; 24];
        channels[23] = noise(16_000, 5);
        let (out, mix) = mixed(&channels, 100);
        assert_eq!(out, channels[23]);
        assert_eq!(mix.opposite_from(), None);
    }

    #[test]
    fn the_length_of_calls_does_not_matter() {
        let a = noise(20_000, 3);
        let b: Vec<f32> = a.iter().enumerate().map(|(i, x)| if i / 4000 % 2 == 0 { -x } else { *x }).collect();
        let (one, _) = mixed(&[a.clone(), b.clone()], 20_000);
        let (other, _) = mixed(&[a, b], 77);
        assert_eq!(one, other);
        assert!(energy(&one) > 0.04, "{}", energy(&one));
    }
}
