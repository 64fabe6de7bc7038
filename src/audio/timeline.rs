//! Where decoded sound lies on a file's timeline: holes become silence, what lies before the beginning is left out.
//! Arithmetic only; knows no files.
//!
//! All positions are frames (one sample of each channel) at the decoded rate, from the beginning of the file.

/// A packet may lie so many seconds from where the sound before it ended without being moved: containers round their
/// times, and recorders jitter. The difference is to the packet's own time, so it never adds up.
const TOLERANCE_SECONDS: f64 = 0.030;
/// A longer hole is believed only where the container promises a sound that long.
const LONGEST_UNPROMISED_SECONDS: f64 = 3600.0;

/// What becomes of a packet's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Placed {
    /// Frames of silence before it.
    pub silence: u64,
    /// Frames at its beginning that are left out.
    pub skip: usize,
}

/// The frames that were told so far.
#[derive(Debug, Clone)]
pub struct Timeline {
    rate: u32,
    /// Where the present link of the file begins.
    link: u64,
    /// Frames that were told, of all links.
    told: u64,
    /// What the container promises for the present link.
    promised: Option<u64>,
}

impl Timeline {
    /// At the beginning of a file.
    pub fn new(rate: u32) -> Self {
        Self { rate, link: 0, told: 0, promised: None }
    }

    /// Frames that were told so far.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// Seconds that were told so far.
    pub fn seconds(&self) -> f64 {
        self.told as f64 / f64::from(self.rate.max(1))
    }

    /// Seconds of the present link that were told.
    pub fn link_seconds(&self) -> f64 {
        (self.told - self.link) as f64 / f64::from(self.rate.max(1))
    }

    /// A new link begins here: its own times begin at 0 again.
    pub fn link(&mut self, promised: Option<u64>) {
        (self.link, self.promised) = (self.told, promised);
    }

    /// Silence is told, whatever it stands for.
    pub fn skip(&mut self, frames: u64) {
        self.told += frames;
    }

    /// Places `frames` decoded frames that begin at `start` of the link; `None` where the container gives no times.
    pub fn place(&mut self, start: Option<i64>, frames: usize) -> Placed {
        let placed = start.map_or(Placed::default(), |start| self.find(start, frames));
        self.told += placed.silence + (frames - placed.skip) as u64;
        placed
    }

    fn find(&self, start: i64, frames: usize) -> Placed {
        if start < 0 {
            // Before the beginning: the coder's own delay.
            let skip = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX).min(frames);
            return Placed { silence: 0, skip };
        }
        let here = self.told - self.link;
        let hole = (start as u64).saturating_sub(here);
        let seconds = |frames: u64| frames as f64 / f64::from(self.rate.max(1));
        if seconds(hole) <= TOLERANCE_SECONDS {
            return Placed::default();
        }
        let believed = match self.promised {
            Some(promised) => start as u64 <= promised.saturating_add(u64::from(self.rate)),
            None => seconds(hole) <= LONGEST_UNPROMISED_SECONDS,
        };
        Placed { silence: if believed { hole } else { 0 }, skip: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hole_is_silence_and_jitter_is_none() {
        let mut line = Timeline::new(1000);
        assert_eq!(line.place(Some(-20), 100), Placed { silence: 0, skip: 20 });
        assert_eq!(line.place(Some(95), 100), Placed::default(), "15 ms late");
        assert_eq!(line.place(Some(500), 100), Placed { silence: 320, skip: 0 });
        assert_eq!((line.told(), line.seconds()), (600, 0.6));
        line.link(None);
        assert_eq!(line.place(Some(0), 50), Placed::default(), "a link begins where the one before ended");
        assert_eq!(line.place(None, 50), Placed::default());
        assert_eq!(line.place(Some(i64::MAX), 50), Placed::default(), "nobody records for so long");
        assert_eq!(line.told(), 750);
    }

    proptest! {
        #[test]
        fn each_packet_lies_where_it_says_to_the_tolerance(
            rate in 8000u32..96_000,
            packets in proptest::collection::vec((1usize..3000, 0u64..20_000), 1..60),
        ) {
            let mut line = Timeline::new(rate);
            let (mut time, mut all) = (0u64, 0u64);
            for (frames, hole) in packets {
                time += hole;
                let placed = line.place(Some(time as i64), frames);
                prop_assert_eq!(placed.skip, 0);
                let at = all + placed.silence;
                prop_assert!((at as i64 - time as i64).unsigned_abs() as f64 <= TOLERANCE_SECONDS * f64::from(rate) + 1.0, "{} for {}", at, time);
                all = at + frames as u64;
                prop_assert_eq!(all, line.told());
                time += frames as u64;
            }
        }
    }
}
