//! Joins the results of overlapping runs into one sound whose timeline stands.
//!
//! Two runs over nearly the same sound differ in phase: their excitation starts where their window does. As in RVC's
//! realtime window (synchronous overlap and add, Roucos and Wilgus, "High quality time-scale modification for speech",
//! ICASSP 1985) the new run is moved to where it resembles the end of the last one best, and faded in there. Here the
//! moves go both ways and are measured from the run's own place, not from where the last one was moved to: no sample is
//! ever further from its place than the search reaches, and none of it adds up.

/// Between a place of equal likeness nearby and one far off the near one is taken; so much less alike counts as equal.
const AS_GOOD: f32 = 1e-4;

/// Joins runs. Allocation-free after `new`.
#[derive(Debug, Clone)]
pub struct Join {
    /// How loud the new run is in the crossfade.
    fade: Vec<f32>,
    search: usize,
    /// What the last run would have gone on with; none before the first.
    tail: Vec<f32>,
    begun: bool,
    likeness: Vec<f32>,
}

impl Join {
    /// Fades over `crossfade` samples and moves a run by up to `search` samples, earlier or later.
    pub fn new(crossfade: usize, search: usize) -> Self {
        let fade = |i: usize| (std::f32::consts::FRAC_PI_2 * (i as f32 + 0.5) / crossfade as f32).sin().powi(2);
        Self {
            fade: (0..crossfade).map(fade).collect(),
            search,
            tail: vec![0.0; crossfade],
            begun: false,
            likeness: vec![0.0; 2 * search + 1],
        }
    }

    /// Forgets the last run: the next one is neither moved nor faded in.
    pub fn reset(&mut self) {
        self.begun = false;
    }

    /// Writes the next block of sound: that of `run` from its sample `at` on, which is where the last block ended on
    /// the timeline. The run must hold `search` samples before the block, and `crossfade + search` after it.
    pub fn next(&mut self, run: &[f32], at: usize, output: &mut [f32]) {
        let from = if self.begun { at + self.best(run, at) - self.search } else { at };
        output.copy_from_slice(&run[from..from + output.len()]);
        if self.begun {
            for ((y, old), fade) in output.iter_mut().zip(&self.tail).zip(&self.fade) {
                *y = old + fade * (*y - old);
            }
        }
        let end = from + output.len();
        self.tail.copy_from_slice(&run[end..end + self.fade.len()]);
        self.begun = true;
    }

    /// How far from `search` samples before `at` the run resembles the tail best: normalised correlation, the nearest
    /// of equals.
    fn best(&mut self, run: &[f32], at: usize) -> usize {
        let (n, first) = (self.tail.len(), at - self.search);
        for (i, likeness) in self.likeness.iter_mut().enumerate() {
            let there = &run[first + i..][..n];
            let (mut product, mut energy) = (0.0f32, 1e-8f32);
            for (a, b) in there.iter().zip(&self.tail) {
                product += a * b;
                energy += a * a;
            }
            *likeness = product / energy.sqrt();
        }
        let most = self.likeness.iter().copied().fold(0.0, f32::max);
        let good = |i: &usize| most > 0.0 && self.likeness[*i] >= most * (1.0 - AS_GOOD);
        (0..self.likeness.len()).filter(good).min_by_key(|i| i.abs_diff(self.search)).unwrap_or(self.search)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 1000;
    const CROSSFADE: usize = 400;
    const SEARCH: usize = 100;

    fn tone(at: f64) -> f32 {
        (at * 0.031).sin() as f32 * 0.4 + (at * 0.0931).sin() as f32 * 0.1
    }

    /// Blocks `0..count` joined from runs of which run `k` holds `sound(k, p)` at position `p`; position 0 is the first
    /// block's first sample.
    fn joined(count: usize, search: usize, sound: impl Fn(usize, f64) -> f32) -> Vec<f32> {
        let mut join = Join::new(CROSSFADE, search);
        let mut output = vec![0.0; count * BLOCK];
        for (k, block) in output.chunks_exact_mut(BLOCK).enumerate() {
            let run: Vec<f32> =
                (0..BLOCK + CROSSFADE + 2 * search).map(|i| sound(k, (k * BLOCK + i) as f64 - search as f64)).collect();
            join.next(&run, search, block);
        }
        output
    }

    /// What passes through unchanged stands at its place, a tone of many equal periods and silence included.
    #[test]
    fn equal_runs_join_without_a_trace() {
        let pulses = |p: f64| if p.rem_euclid(50.0) < 1.0 { 1.0 } else { 0.0 };
        let all: [&dyn Fn(f64) -> f32; 4] = [&tone, &pulses, &|_| 0.0, &|p| (p * 0.2).sin() as f32];
        for sound in all {
            let y = joined(6, SEARCH, |_, p| sound(p));
            assert!(y.iter().enumerate().all(|(i, y)| (y - sound(i as f64)).abs() < 1e-6));
        }
    }

    /// Every other run has another phase: without the search the crossfade would cancel the tone.
    #[test]
    fn runs_of_other_phase_are_moved() {
        let other = |k: usize, p: f64| tone(p + (k % 2) as f64 * 90.0);
        let (with, without) = (joined(20, SEARCH, other), joined(20, 0, other));
        let steps = |y: &[f32]| y.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        let quietest =
            |y: &[f32]| y.chunks_exact(100).map(|w| w.iter().fold(0.0f32, |a, x| a.max(x.abs()))).fold(1.0, f32::min);
        assert!(steps(&with) < 0.0225, "{}", steps(&with));
        assert!(quietest(&with) > 1.5 * quietest(&without), "{} {}", quietest(&with), quietest(&without));
    }

    /// However far the runs stray from one another, every block is found in its own run no further off than the search
    /// reaches.
    #[test]
    fn the_moves_do_not_add_up() {
        let straying = |k: usize, p: f64| tone(p + k as f64 * 70.0);
        let y = joined(40, SEARCH, straying);
        let mut moves = std::collections::BTreeSet::new();
        for (k, block) in y.chunks_exact(BLOCK).enumerate() {
            let middle = &block[CROSSFADE..BLOCK];
            let off = |o: i32| {
                let at = |i: usize| (k * BLOCK + CROSSFADE + i) as f64 + f64::from(o);
                middle.iter().enumerate().map(|(i, y)| (y - straying(k, at(i))).abs()).fold(0.0, f32::max)
            };
            let found = (-(SEARCH as i32)..=SEARCH as i32).find(|o| off(*o) < 1e-6);
            moves.insert(found.unwrap_or_else(|| panic!("block {k} is further off")));
        }
        assert!(moves.len() > 2, "{moves:?}");
    }

    #[test]
    fn after_a_reset_nothing_of_before_is_heard() {
        let mut join = Join::new(4, 1);
        let mut y = [0.0; 2];
        join.next(&[9.0; 8], 1, &mut y);
        join.reset();
        join.next(&[0.0; 8], 1, &mut y);
        assert_eq!(y, [0.0; 2]);
    }
}
