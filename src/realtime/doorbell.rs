//! Wakes a worker that sleeps because nothing has come for long. While sound runs nobody sleeps on it and ringing is
//! one look at an atomic; the first block after a silence makes one system call. Knows nothing of what comes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::Thread;
use std::time::Duration;

/// One worker sleeps on it, anybody rings.
#[derive(Debug, Default)]
pub struct Doorbell {
    /// Writers: the worker (raises), whoever rings (takes).
    sleeps: AtomicBool,
    /// The worker's thread, once it has slept here.
    worker: OnceLock<Thread>,
}

impl Doorbell {
    /// Sleeps until somebody rings, at most so long; not at all where `nothing_came` says otherwise. For the one
    /// worker.
    pub fn sleep(&self, at_most: Duration, nothing_came: impl FnOnce() -> bool) {
        self.worker.get_or_init(std::thread::current);
        self.sleeps.store(true, Ordering::Relaxed);
        // Either whoever rings sees that this thread sleeps, or this thread sees what came before the ring.
        fence(Ordering::SeqCst);
        if nothing_came() {
            std::thread::park_timeout(at_most);
        }
        self.sleeps.store(false, Ordering::Relaxed);
    }

    /// Wakes the worker if it sleeps. For any thread, after what is to be seen was sent.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.sleeps.load(Ordering::Relaxed)
            && self.sleeps.swap(false, Ordering::Relaxed)
            && let Some(worker) = self.worker.get()
        {
            worker.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use std::time::Instant;

    use super::*;

    /// Two threads in turns: each waits for the other's number. A ring that is lost would cost the whole patience once.
    #[test]
    fn no_ring_is_lost() {
        const ROUNDS: u32 = if cfg!(miri) { 20 } else { 20_000 };
        let (bell, sent, seen) =
            (Arc::new(Doorbell::default()), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let worker = std::thread::spawn({
            let (bell, sent, seen) = (bell.clone(), sent.clone(), seen.clone());
            move || {
                let mut last = 0;
                while last < ROUNDS {
                    bell.sleep(Duration::from_secs(30), || sent.load(Ordering::Acquire) == last);
                    last = sent.load(Ordering::Acquire);
                    seen.store(last, Ordering::Release);
                }
            }
        });
        let began = Instant::now();
        for round in 1..=ROUNDS {
            sent.store(round, Ordering::Release);
            bell.ring();
            while seen.load(Ordering::Acquire) != round {
                std::thread::yield_now();
            }
        }
        worker.join().expect("the worker ends");
        assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    }

    #[test]
    fn it_sleeps_no_longer_than_told() {
        let (bell, began) = (Doorbell::default(), Instant::now());
        bell.sleep(Duration::from_millis(20), || true);
        bell.sleep(Duration::from_secs(100), || false);
        assert!(began.elapsed() < Duration::from_secs(50));
    }
}
