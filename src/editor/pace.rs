//! How often the window is drawn: sixty times a second while something moves and it costs little, less where it costs
//! much. Knows no window.

use std::time::{Duration, Instant};

/// Time between two pictures while something moves, and while nothing does.
const MOVING: Duration = Duration::from_micros(16_600);
pub const STILL: Duration = Duration::from_millis(250);
/// The longest time between two pictures while something moves.
const SLOWEST: Duration = Duration::from_millis(200);
/// Share of a core that the window's thread may take.
const SHARE: f64 = 0.1;
/// How quickly the cost of a picture is forgotten.
const FORGET: f64 = 0.1;

/// Follows what pictures cost.
#[derive(Debug, Default)]
pub struct Pace {
    /// The processor time of this thread, and the moment, at the last picture.
    last: Option<Duration>,
    /// What a picture costs, in seconds, smoothed.
    cost: f64,
}

impl Pace {
    /// Called at the beginning of each picture on the window's own thread: what the one before cost includes its way to
    /// the screen.
    pub fn begin(&mut self, spent: Option<Duration>) {
        if let (Some(last), Some(now)) = (self.last, spent) {
            let cost = now.saturating_sub(last).as_secs_f64();
            self.cost += if self.cost == 0.0 { cost } else { FORGET * (cost - self.cost) };
        }
        self.last = spent;
    }

    /// Where the thread's time can't be had: what drawing took by the clock counts.
    pub fn end(&mut self, began: Instant) {
        if self.last.is_none() {
            let cost = began.elapsed().as_secs_f64();
            self.cost += if self.cost == 0.0 { cost } else { FORGET * (cost - self.cost) };
        }
    }

    /// When the next picture is due.
    pub fn next(&self, moving: bool) -> Duration {
        if moving { Duration::from_secs_f64(self.cost / SHARE).clamp(MOVING, SLOWEST) } else { STILL }
    }
}

/// Processor time that this thread has used.
#[cfg(unix)]
pub fn thread_time() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every Unix that Mynah runs on, and `time` may be written.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    (done == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Processor time that this thread has used: not known here.
#[cfg(not(unix))]
pub fn thread_time() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dear_picture_comes_less_often() {
        let mut pace = Pace::default();
        assert_eq!((pace.next(true), pace.next(false)), (MOVING, STILL));
        let mut spent = Duration::from_secs(1);
        let mut draw = |pace: &mut Pace, ms: u64| {
            pace.begin(Some(spent));
            spent += Duration::from_millis(ms);
        };
        (0..100).for_each(|_| draw(&mut pace, 1));
        assert_eq!(pace.next(true), MOVING);
        (0..100).for_each(|_| draw(&mut pace, 5));
        let next = pace.next(true).as_secs_f64();
        assert!((0.045..0.055).contains(&next), "{next}");
        (0..100).for_each(|_| draw(&mut pace, 500));
        assert_eq!(pace.next(true), SLOWEST);
    }

    #[cfg(unix)]
    #[test]
    fn a_threads_time_grows_with_its_work_only() {
        let before = thread_time().expect("known");
        std::thread::sleep(Duration::from_millis(30));
        assert!(thread_time().expect("known") - before < Duration::from_millis(20));
        let until = Instant::now() + Duration::from_secs(10);
        while thread_time().expect("known") - before < Duration::from_millis(20) {
            assert!(Instant::now() < until, "it stands still");
        }
    }
}
