//! Tells from the clock how far a host runs ahead of real time: some hosts render offline and say that they don't.

use std::time::{Duration, Instant};

/// Ahead by less than this (and two blocks) is what realtime hosts do when they fill a device's buffer in several blocks.
const MARGIN: Duration = Duration::from_millis(40);

/// Measures audio asked for against time passed.
#[derive(Debug, Default)]
pub struct Pacing {
    last: Option<Instant>,
    /// Seconds of sound asked for beyond the time that has passed; never below zero, since a pause earns nothing.
    ahead: f64,
}

impl Pacing {
    /// Takes note of a block and tells how long the audio thread may wait for the worker without any listener's noticing: zero in realtime.
    pub fn block(&mut self, samples: usize, rate: u32) -> Duration {
        self.block_at(Instant::now(), samples, rate)
    }

    fn block_at(&mut self, now: Instant, samples: usize, rate: u32) -> Duration {
        let passed = self.last.map_or(0.0, |last| now.saturating_duration_since(last).as_secs_f64());
        self.last = Some(now);
        let block = samples as f64 / rate as f64;
        self.ahead = (self.ahead - passed).max(0.0) + block;
        Duration::from_secs_f64((self.ahead - MARGIN.as_secs_f64() - 2.0 * block).max(0.0))
    }

    /// Starts afresh.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realtime_never_waits() {
        let mut p = Pacing::default();
        let start = Instant::now();
        // A device of 1,024 samples filled in blocks of 128, with jitter of half a period.
        for k in 0..4000u64 {
            let jitter = if k % 3 == 0 { 10 } else { 0 };
            let now = start + Duration::from_micros(k / 8 * 21_333 + jitter * 1000);
            assert_eq!(p.block_at(now, 128, 48000), Duration::ZERO, "block {k}");
        }
    }

    #[test]
    fn a_render_may_wait_soon_and_a_pause_earns_nothing() {
        let mut p = Pacing::default();
        let start = Instant::now();
        let mut waited = Duration::ZERO;
        for _ in 0..30 {
            waited = p.block_at(start, 512, 48000);
        }
        assert!(waited > Duration::from_millis(200), "{waited:?}");
        assert_eq!(p.block_at(start + Duration::from_secs(60), 512, 48000), Duration::ZERO);
    }
}
