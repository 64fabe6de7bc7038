//! How hard the machine worked in the last half minute, for windows: written by the watcher, read by whoever draws.
//! Knows no engine.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long one reading lasts.
pub const STEP: Duration = Duration::from_millis(100);
/// Readings that are kept: half a minute.
pub const KEPT: usize = 300;

/// The work of one step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Work {
    /// The worst share of a hop's duration that computing it took.
    pub load: f32,
    /// Hops that missed their time.
    pub late: u64,
}

/// The last readings, the newest last.
#[derive(Debug, Default)]
pub struct WorkHistory {
    steps: VecDeque<Work>,
    open: Work,
    began: Option<Instant>,
    late_hops: u64,
}

impl WorkHistory {
    /// Takes a look's worst load and the count of late hops so far.
    pub fn note(&mut self, now: Instant, load: f32, late_hops: u64) {
        // A new crossing counts from nothing.
        let late = if late_hops >= self.late_hops { late_hops - self.late_hops } else { late_hops };
        self.late_hops = late_hops;
        let began = *self.began.get_or_insert(now);
        self.open.load = self.open.load.max(load);
        self.open.late += late;
        if now.saturating_duration_since(began) >= STEP {
            if self.steps.len() == KEPT {
                self.steps.pop_front();
            }
            self.steps.push_back(std::mem::take(&mut self.open));
            self.began = Some(now);
        }
    }

    /// The readings, the newest last; at most [`KEPT`].
    pub fn steps(&self) -> impl ExactSizeIterator<Item = Work> + DoubleEndedIterator {
        self.steps.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_its_worst_load_and_its_late_hops() {
        let (mut history, start) = (WorkHistory::default(), Instant::now());
        for (ms, load, late) in [(0, 0.2, 5), (20, 0.9, 5), (40, 0.1, 7), (100, 0.3, 7), (200, 0.4, 1)] {
            history.note(start + Duration::from_millis(ms), load, late);
        }
        let steps: Vec<_> = history.steps().collect();
        assert_eq!(steps, [Work { load: 0.9, late: 7 }, Work { load: 0.4, late: 1 }]);
        (0..2 * KEPT as u64).for_each(|i| history.note(start + (3 + i as u32) * STEP, 0.5, 1));
        assert_eq!(history.steps().len(), KEPT);
    }
}
