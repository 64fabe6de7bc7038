//! Resampling on absolute positions: output sample `m` is the input's value at time `m/to`, neither earlier nor later.
//!
//! A delay is then only a matter of how far the kernel reaches ahead, and stays a whole number of samples at the host's
//! rate; the ready-made streaming resamplers have delays of fractions of a sample, or need blocks. Windowed sinc,
//! Kaiser β = 8 (Oppenheim & Schafer, Discrete-Time Signal Processing, 7.5.3), one row of taps for each phase of the
//! reduced ratio. Knows nothing of threads.

/// Passband edge as a share of the lower rate's Nyquist frequency.
const CUTOFF: f64 = 0.93;
const KAISER_BETA: f64 = 8.0;

/// Zero crossings of the resampling kernel on each side of its centre, at the lower of the two rates.
pub const ZERO_CROSSINGS: usize = 16;

/// Samples at `from` that the resampling kernel reaches on each side of its centre when it goes from `from` to `to`.
pub fn half_width(from: u32, to: u32) -> usize {
    if from == to { 0 } else { (ZERO_CROSSINGS * from as usize).div_ceil(from.min(to) as usize) }
}

/// A streaming resampler for one channel.
///
/// Allocation-free after `new` as long as no more than `max_input` samples wait inside.
#[derive(Debug, Clone)]
pub struct Resampler {
    /// Input samples a period of the ratio.
    down: u64,
    /// Output samples a period of the ratio: the number of phases.
    up: u64,
    half: usize,
    taps: Vec<f32>,
    /// Input samples; `held[0]` lies at input position `start`.
    held: Vec<f32>,
    start: i64,
    /// Position of the next output sample.
    next: u64,
}

impl Resampler {
    /// From `from` Hz to `to` Hz, at input and output position 0. Room for `max_input` samples at a time.
    pub fn new(from: u32, to: u32, max_input: usize) -> Self {
        let divisor = gcd(from, to);
        let (down, up) = ((from / divisor) as u64, (to / divisor) as u64);
        let half = half_width(from, to);
        let mut r = Self {
            down,
            up,
            half,
            taps: kernel(from, to, up, half),
            held: Vec::with_capacity(2 * max_input + 8 * half + 64),
            start: 0,
            next: 0,
        };
        r.reset(0, 0);
        r
    }

    /// Forgets all input: what lies before `input` counts as silence. The next input sample lies at position `input`,
    /// the next output sample at position `output` (each at its own rate).
    pub fn reset(&mut self, input: i64, output: u64) {
        self.held.clear();
        self.next = output;
        self.start = input;
        // Silence before the first sample, as far back as the kernel reaches from the next output.
        let first = self.first_needed();
        if first < input {
            self.start = first;
            self.held.resize((input - first) as usize, 0.0);
        }
    }

    /// Position of the next output sample.
    pub fn next_output(&self) -> u64 {
        self.next
    }

    fn centre(&self, output: u64) -> i64 {
        (output as u128 * self.down as u128 / self.up as u128) as i64
    }

    fn first_needed(&self) -> i64 {
        self.centre(self.next) - self.half.saturating_sub(1) as i64
    }

    /// The first output position at or after an input position.
    pub fn output_at(&self, input: u64) -> u64 {
        (input as u128 * self.up as u128).div_ceil(self.down as u128) as u64
    }

    /// The input position up to which (exclusive) samples are needed for all outputs before `output`.
    pub fn needed_for(&self, output: u64) -> i64 {
        match output {
            0 => 0,
            n => self.centre(n - 1) + self.half as i64 + 1,
        }
    }

    /// How many output samples the input at hand allows.
    pub fn ready(&self) -> usize {
        let end = self.start + self.held.len() as i64 - self.half as i64;
        if end <= 0 {
            return 0;
        }
        // Output m is ready when floor(m·down/up) < end, that is m < ceil(end·up/down).
        let bound = (end as u128 * self.up as u128).div_ceil(self.down as u128) as u64;
        bound.saturating_sub(self.next) as usize
    }

    /// Takes input samples that follow the last ones.
    pub fn push(&mut self, input: &[f32]) {
        let spent = (self.first_needed() - self.start).clamp(0, self.held.len() as i64) as usize;
        if spent > 0 && self.held.len() + input.len() > self.held.capacity() {
            self.held.copy_within(spent.., 0);
            self.held.truncate(self.held.len() - spent);
            self.start += spent as i64;
        }
        self.held.extend_from_slice(input);
    }

    /// Writes the next outputs, at most as many as are `ready`, and tells how many.
    pub fn pull(&mut self, output: &mut [f32]) -> usize {
        let n = self.ready().min(output.len());
        if n == 0 {
            return 0;
        }
        if self.half == 0 {
            let from = (self.next as i64 - self.start) as usize;
            output[..n].copy_from_slice(&self.held[from..from + n]);
            self.next += n as u64;
            return n;
        }
        let width = 2 * self.half;
        for y in &mut output[..n] {
            let phase = (self.next as u128 * self.down as u128 % self.up as u128) as usize;
            let row = &self.taps[phase * width..(phase + 1) * width];
            let from = (self.first_needed() - self.start) as usize;
            *y = dot(&self.held[from..from + width], row);
            self.next += 1;
        }
        n
    }
}

/// Eight running sums: quick, and the same for every length of call.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Rows of `2·half` taps, one a phase; each sums to 1 so that a steady level stays what it is.
fn kernel(from: u32, to: u32, phases: u64, half: usize) -> Vec<f32> {
    let cutoff = CUTOFF * (to as f64 / from as f64).min(1.0);
    let reach = half as f64;
    let mut taps = Vec::with_capacity(phases as usize * 2 * half);
    let mut row = vec![0.0f64; 2 * half];
    for phase in 0..phases {
        let fraction = phase as f64 / phases as f64;
        for (k, tap) in row.iter_mut().enumerate() {
            let t = fraction - (k as f64 - (half as f64 - 1.0));
            let window = bessel_i0(KAISER_BETA * (1.0 - (t / reach).powi(2)).max(0.0).sqrt()) / bessel_i0(KAISER_BETA);
            *tap = if t.abs() >= reach { 0.0 } else { cutoff * sinc(cutoff * t) * window };
        }
        let sum: f64 = row.iter().sum();
        taps.extend(row.iter().map(|t| (t / sum) as f32));
    }
    taps
}

fn sinc(x: f64) -> f64 {
    let a = std::f64::consts::PI * x;
    if a.abs() < 1e-9 { 1.0 } else { a.sin() / a }
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..64 {
        term *= (x / (2.0 * k as f64)).powi(2);
        sum += term;
    }
    sum
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A whole signal at once: as long as the input lasts, silence beyond its ends.
pub fn resample_all(input: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to {
        return input.to_vec();
    }
    let length = (input.len() as u64 * to as u64 / from as u64) as usize;
    let mut r = Resampler::new(from, to, 4096 + 2 * half_width(from, to));
    let mut output = vec![0.0; length];
    let mut done = 0;
    let silence = vec![0.0; r.half + 1];
    for block in input.chunks(4096).chain(std::iter::once(&silence[..])) {
        r.push(block);
        done += r.pull(&mut output[done..]);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sine(hertz: f64, rate: u32, n: usize) -> Vec<f32> {
        (0..n).map(|i| (i as f64 * hertz * std::f64::consts::TAU / rate as f64).sin() as f32).collect()
    }

    fn tone(rate: u32, n: usize) -> Vec<f32> {
        sine(997.0, rate, n).into_iter().map(|x| 0.5 * x).collect()
    }

    #[test]
    fn a_tone_stays_where_it_is() {
        for (from, to) in [
            (48000, 24000),
            (44100, 24000),
            (24000, 44100),
            (8000, 24000),
            (192_000, 24000),
            (24000, 192_000),
            (44100, 16000),
        ] {
            let y = resample_all(&tone(from, from as usize), from, to);
            let wanted = tone(to, to as usize);
            let edge = to as usize / 50;
            let worst = (edge..y.len() - edge).map(|i| (y[i] - wanted[i]).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-3, "{from} to {to}: {worst}");
        }
    }

    #[test]
    fn what_would_alias_is_gone() {
        let y = resample_all(&sine(15_000.0, 48000, 48000), 48000, 24000);
        let peak = y[500..23500].iter().fold(0.0f32, |a, x| a.max(x.abs()));
        assert!(peak < 1e-3, "{peak}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn blocks_do_not_matter(from in prop::sample::select(vec![8000u32, 22050, 44100, 48000, 96000]), to in prop::sample::select(vec![16000u32, 24000, 48000]), cuts in prop::collection::vec(1usize..700, 20)) {
            let x = tone(from, cuts.iter().sum());
            let mut whole = Resampler::new(from, to, x.len());
            whole.push(&x);
            let mut a = vec![0.0; whole.ready()];
            whole.pull(&mut a);
            let mut split = Resampler::new(from, to, 700);
            let mut b = Vec::new();
            let mut at = 0;
            for n in cuts {
                split.push(&x[at..at + n]);
                at += n;
                let mut y = vec![0.0; split.ready()];
                prop_assert_eq!(split.pull(&mut y), y.len());
                prop_assert!(split.needed_for(split.next_output()) <= at as i64 );
                prop_assert!(split.needed_for(split.next_output() + 1) > at as i64);
                b.extend(y);
            }
            prop_assert_eq!(a, b);
        }
    }
}
