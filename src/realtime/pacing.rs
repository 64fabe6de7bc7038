//! Tells from the clock how far a host runs ahead of real time: some hosts render offline and say that they don't. What
//! follows from it is the user's to say: [`Watch`] only notices, for a window that asks; [`Pacing`] lets the audio
//! thread wait, where the user has said that this host renders.

use std::time::{Duration, Instant};

/// Ahead by less than this (and two blocks) is what realtime hosts do when they fill a device's buffer in several
/// blocks, in seconds.
const MARGIN: f64 = 0.04;
/// The margin is smaller where the latency is so small that a render would otherwise ask for the first hop before it
/// was told from a live host, by so many seconds; but never smaller than the second number.
const BEFORE_DUE: f64 = 0.005;
const LEAST_MARGIN: f64 = 0.008;

/// A host that leaves less than this share of the sound's time between its calls renders, once it has asked for so many
/// seconds of sound like that; what was longer ago than so many seconds is forgotten. A live host leaves nearly all of
/// the time, but for a device whose buffers it fills in one go: there it looks like a render until they are full, and
/// may be kept waiting while it has their sound in hand.
///
/// The lead alone would not do: each wait takes from it, so that a render that is slower than its worker would never
/// earn any.
const BETWEEN_CALLS: f64 = 0.25;
const SHOWN: f64 = 0.25;
const FORGOTTEN: f64 = 1.0;
/// How long a host that surely renders is kept waiting for a block.
pub const RENDERS: Duration = Duration::from_secs(1);

/// Seconds of sound between two looks of [`Watch`] at the clock, and how far ahead of real time a host must be to look
/// like a render. Hosts that process ahead of what is played stay within a second.
const LOOKED: f64 = 0.25;
const FAR_AHEAD: f64 = 2.0;

/// Notices a host that runs ahead as only a render does. Wait-free; reads the clock four times a second of sound.
#[derive(Debug, Default)]
pub struct Watch {
    last: Option<Instant>,
    /// Seconds of sound asked for since the last look, and beyond the time that had passed at it.
    sound: f64,
    ahead: f64,
}

impl Watch {
    /// Takes note of a block. Tells whether the host looks like a render, where it was time to look.
    pub fn block(&mut self, samples: usize, rate: u32) -> Option<bool> {
        self.sound += samples as f64 / rate as f64;
        (self.sound >= LOOKED).then(|| self.look(Instant::now()))
    }

    fn look(&mut self, now: Instant) -> bool {
        let passed = self.last.map_or(self.sound, |last| now.saturating_duration_since(last).as_secs_f64());
        self.last = Some(now);
        // A pause earns nothing.
        self.ahead = (self.ahead + self.sound - passed).max(0.0);
        self.sound = 0.0;
        self.ahead > FAR_AHEAD
    }
}

/// Measures audio asked for against time passed.
#[derive(Debug)]
pub struct Pacing {
    /// The latency in seconds.
    latency: f64,
    /// When the last call came, and when it was left.
    last: Option<Instant>,
    left: Option<Instant>,
    /// Seconds of sound asked for, and seconds between the calls, both of the last while.
    sound: f64,
    between: f64,
    /// Seconds of sound asked for beyond the time that has passed; never below zero, since a pause earns nothing.
    ahead: f64,
}

impl Pacing {
    /// For a latency in seconds.
    pub fn new(latency: f64) -> Self {
        Self { latency, last: None, left: None, sound: 0.0, between: 0.0, ahead: 0.0 }
    }

    /// Takes note of a block and tells how long the audio thread may wait for the worker without any listener's
    /// noticing: zero in realtime.
    pub fn block(&mut self, samples: usize, rate: u32) -> Duration {
        self.block_at(Instant::now(), samples, rate)
    }

    /// Takes note that the audio thread leaves a block.
    pub fn leave(&mut self) {
        self.left = Some(Instant::now());
    }

    fn block_at(&mut self, now: Instant, samples: usize, rate: u32) -> Duration {
        let passed = self.last.map_or(0.0, |last| now.saturating_duration_since(last).as_secs_f64());
        self.last = Some(now);
        let block = samples as f64 / rate as f64;
        let between = self.left.map_or(passed, |left| now.saturating_duration_since(left).as_secs_f64());
        let keep = (1.0 - block / FORGOTTEN).max(0.0);
        self.sound = self.sound * keep + block;
        self.between = self.between * keep + between.min(FORGOTTEN);
        self.ahead = (self.ahead - passed).max(0.0) + block;
        if self.sound > SHOWN && self.between < BETWEEN_CALLS * self.sound {
            return RENDERS;
        }
        let margin = (self.latency - 2.0 * block - BEFORE_DUE).clamp(LEAST_MARGIN, MARGIN);
        Duration::from_secs_f64((self.ahead - margin - 2.0 * block).max(0.0))
    }

    /// Starts afresh.
    pub fn reset(&mut self) {
        *self = Self::new(self.latency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_render_looks_like_one() {
        let start = Instant::now();
        // Seconds of real time from one look to the next: a device of large buffers, a host that renders a second ahead
        // of what is played, a render.
        let looks = |seconds: &dyn Fn(usize) -> f64| {
            let (mut watch, mut now) = (Watch::default(), start);
            (0..400).any(|k| {
                now += Duration::from_secs_f64(seconds(k));
                watch.sound = LOOKED;
                watch.look(now)
            })
        };
        assert!(!looks(&|k| if k % 2 == 0 { 0.0 } else { 2.0 * LOOKED }));
        assert!(!looks(&|k| if k < 4 { 0.001 } else { LOOKED }));
        assert!(!looks(&|k| if k % 40 == 0 { 30.0 } else { LOOKED }), "pauses");
        assert!(looks(&|_| 0.8 * LOOKED));
        let mut watch = Watch::default();
        assert_eq!(watch.block(512, 48_000), None);
        assert_eq!((0..30).filter_map(|_| watch.block(512, 48_000)).count(), 1);
    }

    #[test]
    fn realtime_never_waits() {
        let mut p = Pacing::new(0.0399);
        let start = Instant::now();
        // A device of 1,024 samples filled in blocks of 128, with jitter of half a period.
        for k in 0..4000u64 {
            let jitter = if k % 3 == 0 { 10 } else { 0 };
            let now = start + Duration::from_micros(k / 8 * 21_333 + jitter * 1000);
            assert_eq!(p.block_at(now, 128, 48000), Duration::ZERO, "block {k}");
        }
    }

    #[test]
    fn a_render_is_known_before_its_first_hop_is_due() {
        for (block, latency) in [(64, 0.0385), (128, 0.0399), (512, 0.052), (512, 0.0934), (1024, 0.068)] {
            let (mut p, start, mut asked) = (Pacing::new(latency), Instant::now(), 0.0);
            while asked + block as f64 / 48000.0 < latency {
                asked += block as f64 / 48000.0;
                p.block_at(start, block, 48000);
            }
            assert!(p.block_at(start, block, 48000) > Duration::ZERO, "blocks of {block}, latency {latency}");
        }
    }

    #[test]
    fn a_render_may_wait_soon_and_a_pause_earns_nothing() {
        let mut p = Pacing::new(0.0399);
        let start = Instant::now();
        let mut waited = Duration::ZERO;
        for _ in 0..30 {
            waited = p.block_at(start, 512, 48000);
        }
        assert!(waited > Duration::from_millis(200), "{waited:?}");
        assert_eq!(p.block_at(start + Duration::from_secs(60), 512, 48000), Duration::ZERO);
    }

    /// A worker that is slower than a block lasts keeps the host waiting: that is no time that the host took, so it may
    /// go on waiting.
    #[test]
    fn a_render_may_wait_although_waiting_keeps_it_back() {
        let (mut p, mut now, mut waits) = (Pacing::new(0.0399), Instant::now(), 0);
        for k in 0..2000 {
            let may = p.block_at(now, 128, 48000);
            // Each wait is as long as the block: no lead is ever earned.
            now += Duration::from_micros(2667);
            p.left = Some(now);
            now += Duration::from_micros(20);
            if k > 400 {
                assert_eq!(may, RENDERS, "block {k}");
                waits += 1;
            }
        }
        assert!(waits > 1000);
        // As soon as it plays, nothing waits.
        let mut still = 0;
        for _ in 0..2000 {
            still += usize::from(p.block_at(now, 128, 48000) > Duration::ZERO);
            p.left = Some(now);
            now += Duration::from_micros(2667);
        }
        assert!(still * 128 < 48000 / 3, "{still} blocks");
    }
}
