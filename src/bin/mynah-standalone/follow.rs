//! Sound that comes at one device's pace is given out at another's: two sound cards never agree on how long a second
//! is. Knows no device.
//!
//! The ring between them is held at a steady depth by playing a little faster or slower, at most half a per cent, which
//! no ear notices.

use rtrb::Consumer;

/// The largest change of pace.
const MOST: f64 = 0.005;
/// Share of an error of depth that is made good each second.
const EAGERNESS: f64 = 0.2;
/// Seconds of depth kept beyond what the two blocks need.
const MARGIN: f64 = 0.002;
/// Seconds of depth beyond its aim at which what waits is thrown away: a stall must not become a delay that stays.
const TOO_DEEP: f64 = 0.1;
/// Seconds over which the depth is averaged.
const AVERAGED: f64 = 1.0;

/// Reads a ring of mono samples at `from` Hz and gives samples at `to` Hz. Wait-free, and nothing is allocated: for a
/// device's thread.
///
/// Between samples it interpolates with Catmull-Rom cubics. A `from` above `to` is not filtered, so what lies above
/// half of `to` folds back; voices have next to nothing there at the rates of sound cards.
pub struct Follower {
    ring: Consumer<f32>,
    from: f64,
    to: f64,
    /// Samples that come at once into the ring.
    burst: usize,
    /// The longest block asked for of late, in samples of the ring.
    block: f64,
    around: [f32; 4],
    /// How far the output stands behind `around[1]`, in samples of the ring.
    at: f64,
    depth: f64,
    playing: bool,
    counts: Counts,
}

/// What went wrong, in the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// How often nothing was there to be played.
    pub dry: u64,
    /// Samples that were thrown away because too many waited.
    pub dropped: u64,
}

impl Follower {
    /// `burst`: samples that come into the ring at once.
    pub fn new(ring: Consumer<f32>, from: u32, to: u32, burst: usize) -> Self {
        Self {
            ring,
            from: f64::from(from),
            to: f64::from(to),
            burst,
            block: 0.0,
            around: [0.0; 4],
            at: 0.0,
            depth: 0.0,
            playing: false,
            counts: Counts::default(),
        }
    }

    /// The depth that is aimed at before each block, in samples of the ring.
    fn aim(&self) -> f64 {
        self.block + self.burst as f64 + MARGIN * self.from
    }

    /// Seconds that a sample stays in the ring, on average.
    pub fn delay(&self) -> f64 {
        // Half of what is pulled at once is pulled early.
        (self.aim() - self.block * 0.5) / self.from
    }

    /// What went wrong so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Fills `out`; silence where nothing is there yet.
    pub fn pull(&mut self, out: &mut [f32]) {
        let asked = out.len() as f64 * self.from / self.to;
        self.block = if asked > self.block { asked } else { self.block - (self.block - asked) / 64.0 };
        let waiting = self.ring.slots() as f64;
        let aim = self.aim();
        if !self.playing {
            if waiting < aim {
                out.fill(0.0);
                return;
            }
            (self.playing, self.depth) = (true, aim);
            self.drop_beyond(waiting - aim);
        } else if waiting > aim + TOO_DEEP * self.from {
            self.counts.dropped += (waiting - aim) as u64;
            self.drop_beyond(waiting - aim);
            self.depth = aim;
        }
        let share = (out.len() as f64 / (self.to * AVERAGED)).min(1.0);
        self.depth += (self.ring.slots() as f64 - self.depth) * share;
        let step = self.from / self.to * (1.0 + self.pace(aim));
        for (done, sample) in out.iter_mut().enumerate() {
            while self.at >= 1.0 {
                let Ok(next) = self.ring.pop() else {
                    self.playing = false;
                    self.counts.dry += 1;
                    out[done..].fill(0.0);
                    return;
                };
                self.around.rotate_left(1);
                self.around[3] = next;
                self.at -= 1.0;
            }
            *sample = between(&self.around, self.at as f32);
            self.at += step;
        }
    }

    /// How much faster than told to play.
    fn pace(&self, aim: f64) -> f64 {
        // Bursts make the depth jump; within half a burst it is as it should be.
        let free = self.burst as f64 * 0.5;
        let off = self.depth - aim;
        let error = (off.abs() - free).max(0.0).copysign(off) / self.from;
        (error * EAGERNESS).clamp(-MOST, MOST)
    }

    fn drop_beyond(&mut self, samples: f64) {
        (0..samples.max(0.0) as usize).for_each(|_| {
            let _ = self.ring.pop();
        });
    }
}

/// The value at `at` between the second and the third of four samples (Catmull-Rom).
fn between(y: &[f32; 4], at: f32) -> f32 {
    let a = -0.5 * y[0] + 1.5 * y[1] - 1.5 * y[2] + 0.5 * y[3];
    let b = y[0] - 2.5 * y[1] + 2.0 * y[2] - 0.5 * y[3];
    let c = 0.5 * (y[2] - y[0]);
    ((a * at + b) * at + c) * at + y[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;

    /// Plays a tone of 440 Hz for `seconds` through devices whose clocks are off by `drift`, and gives what came out
    /// and the follower.
    fn played(seconds: f64, drift: f64, burst: usize, block: usize) -> (Vec<f32>, Follower) {
        let (mut producer, ring) = rtrb::RingBuffer::new(RATE as usize);
        let mut follower = Follower::new(ring, RATE, RATE, burst);
        let (mut out, mut made) = (Vec::new(), 0usize);
        let mut piece = vec![0.0; block];
        while out.len() < (seconds * f64::from(RATE)) as usize {
            let due = (out.len() as f64 * (1.0 + drift)) as usize;
            while made + burst <= due {
                for n in made..made + burst {
                    let _ = producer.push((n as f64 * 440.0 / f64::from(RATE) * std::f64::consts::TAU).sin() as f32);
                }
                made += burst;
            }
            follower.pull(&mut piece);
            out.extend_from_slice(&piece);
        }
        (out, follower)
    }

    #[test]
    fn clocks_that_differ_leave_no_gap_and_no_growing_delay() {
        for drift in [-3e-4, 0.0, 3e-4] {
            let (out, follower) = played(120.0, drift, 480, 256);
            assert_eq!(follower.counts(), Counts::default(), "{drift}");
            let depth = follower.depth / follower.aim();
            assert!((0.5..1.6).contains(&depth), "{drift}: {depth}");
            // A tone without a step: no two samples are farther apart than its steepest place.
            let steepest = 440.0 / RATE as f32 * std::f32::consts::TAU * 1.02;
            let from = out.iter().position(|x| *x != 0.0).expect("sound") + 8;
            let step = out[from..].windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
            assert!(step < steepest, "{drift}: {step} > {steepest}");
        }
    }

    #[test]
    fn the_same_clock_changes_no_sample() {
        let (mut producer, ring) = rtrb::RingBuffer::new(RATE as usize);
        let mut follower = Follower::new(ring, RATE, RATE, 128);
        let mut heard = Vec::new();
        for n in 0..2000 {
            (0..128).for_each(|k| assert!(producer.push((n * 128 + k) as f32).is_ok()));
            let mut piece = [0.0; 128];
            follower.pull(&mut piece);
            heard.extend_from_slice(&piece);
        }
        let from = heard.iter().position(|x| *x > 4.0).expect("sound");
        assert!(heard[from..].windows(2).all(|w| w[1] - w[0] == 1.0), "samples are changed, left out or doubled");
        assert_eq!(follower.counts(), Counts::default());
    }

    #[test]
    fn a_stall_costs_a_gap_and_no_lasting_delay() {
        let (mut producer, ring) = rtrb::RingBuffer::new(RATE as usize);
        let mut follower = Follower::new(ring, RATE, RATE, 100);
        let mut piece = [0.0; 100];
        let mut feed = |n: usize| (0..n).for_each(|_| assert!(producer.push(0.5).is_ok()));
        feed(400);
        for _ in 0..20 {
            follower.pull(&mut piece);
        }
        assert_eq!(follower.counts().dry, 1, "silence is one gap, however long it lasts");
        feed(20_000);
        follower.pull(&mut piece);
        assert!(follower.ring.slots() < 600, "{} wait", follower.ring.slots());
        assert!(piece[50..].iter().all(|x| *x == 0.5));
        feed(20_000);
        follower.pull(&mut piece);
        assert!(follower.counts().dropped > 19_000 && follower.ring.slots() < 600);
    }
}
