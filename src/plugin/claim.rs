//! How far a host's word that it renders offline can be believed. Knows only the clock.
//!
//! The VST3 wrapper hands over the process mode of the set-up before the last one, so after a bounce a live host may still be called
//! offline, and an audio thread that waits for a worker would stutter. A renderer calls again at once; a live host leaves time between the
//! blocks. So the claim is believed until the idle time says otherwise.

use std::time::{Duration, Instant};

/// Sound over which the idle time is added up, in seconds.
const WINDOW: f64 = 0.25;
/// Idle for more than this share of the sound's duration: live.
const LIVE_SHARE: f64 = 0.5;

/// Weighs the host's claim block by block. Wait-free.
#[derive(Debug, Clone)]
pub struct Claim {
    claimed: bool,
    /// Whether the claim may be stale.
    doubtful: bool,
    believed: bool,
    left: Option<Instant>,
    idle: f64,
    sound: f64,
}

impl Claim {
    /// A claim as it came with the activation; `doubtful` where the wrapper may have mixed it up.
    pub fn new(claimed: bool, doubtful: bool) -> Self {
        Self { claimed, doubtful, believed: claimed, left: None, idle: 0.0, sound: 0.0 }
    }

    /// Whether the block of `seconds` that begins now is rendered offline.
    pub fn enter(&mut self, now: Instant, seconds: f64) -> bool {
        if !self.claimed || !self.doubtful {
            return self.claimed;
        }
        if let Some(left) = self.left {
            self.idle += now.saturating_duration_since(left).min(Duration::from_secs(1)).as_secs_f64();
        }
        self.sound += seconds;
        if self.sound >= WINDOW {
            self.believed = self.idle < LIVE_SHARE * self.sound;
            (self.idle, self.sound) = (0.0, 0.0);
        }
        self.believed
    }

    /// The block is done.
    pub fn leave(&mut self, now: Instant) {
        self.left = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: f64 = 512.0 / 48000.0;

    fn run(claim: &mut Claim, blocks: u32, inside: f64, outside: f64) -> bool {
        let mut now = Instant::now();
        let mut believed = false;
        for _ in 0..blocks {
            believed = claim.enter(now, BLOCK);
            now += Duration::from_secs_f64(inside);
            claim.leave(now);
            now += Duration::from_secs_f64(outside);
        }
        believed
    }

    #[test]
    fn a_stale_claim_falls_and_a_true_one_stands() {
        assert!(!run(&mut Claim::new(true, true), 100, 0.001, BLOCK - 0.001), "a live host that is called offline");
        assert!(run(&mut Claim::new(true, true), 100, 0.02, 0.0005), "a render that waits for a slow model");
        assert!(run(&mut Claim::new(true, true), 100, 0.0001, 0.0005), "a fast render");
        assert!(run(&mut Claim::new(true, false), 100, 0.001, BLOCK), "CLAP's word is taken as it is");
        assert!(!run(&mut Claim::new(false, true), 100, 0.0, 0.0), "without a claim the pacing of the crossing judges");
    }
}
