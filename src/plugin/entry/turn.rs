//! Whose turn it is: calls of a host that may not meet and do so all the same. Knows no call.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long one sleeps between two looks.
const NAP: Duration = Duration::from_micros(50);

/// One at a time.
#[derive(Debug, Default)]
pub struct Turn {
    taken: AtomicBool,
    /// Those who wait in [`Turn::take`].
    waiting: AtomicU32,
}

/// Whoever has this has the turn.
#[derive(Debug)]
pub struct Taken<'t>(&'t Turn);

impl Turn {
    /// Takes the turn, or waits for it, no longer than `patience`.
    pub fn take(&self, patience: Duration) -> Option<Taken<'_>> {
        self.try_take().or_else(|| {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let taken = Self::look(patience, || self.try_take());
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            taken
        })
    }

    /// The same for one that comes again and again: it gives way to whoever waits, or they might wait for ever.
    /// Wait-free where nobody has the turn or waits: an audio thread sleeps only where its host breaks the rules.
    pub fn take_politely(&self, patience: Duration) -> Option<Taken<'_>> {
        let politely = || if self.waiting.load(Ordering::Relaxed) == 0 { self.try_take() } else { None };
        politely().or_else(|| Self::look(patience, politely)).or_else(|| self.try_take())
    }

    /// Whoever has the turn may need this very processor, and have the lesser claim to it: sleeps between looks.
    fn look<'t>(patience: Duration, mut take: impl FnMut() -> Option<Taken<'t>>) -> Option<Taken<'t>> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            std::thread::sleep(NAP);
            if let Some(taken) = take() {
                return Some(taken);
            }
        }
        None
    }

    fn try_take(&self) -> Option<Taken<'_>> {
        self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok().then(|| Taken(self))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_has_it_and_none_waits_for_ever() {
        let (turn, inside, most) = (Turn::default(), AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for n in 0..4 {
                let (turn, inside, most) = (&turn, &inside, &most);
                scope.spawn(move || {
                    for _ in 0..500 {
                        let patience = Duration::from_secs(30);
                        let _taken =
                            if n < 2 { turn.take(patience) } else { turn.take_politely(patience) }.expect("a turn");
                        most.fetch_max(inside.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                        inside.fetch_sub(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
        let held = turn.take(Duration::ZERO).expect("it is free");
        let began = Instant::now();
        assert!(turn.take(Duration::from_millis(30)).is_none() && began.elapsed() >= Duration::from_millis(30));
        drop(held);
        assert!(turn.take(Duration::ZERO).is_some());
    }
}
