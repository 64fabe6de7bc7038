//! Linux: the scheduler where it allows it, else RTKit, a service that raises threads of processes which may not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::rtkit;
use crate::threads::join_within;

/// Turns of a worker without a long one until RTKit is asked; it ends the process of a thread that works for
/// [`rtkit::MOST`] without sleeping.
const CALM: u32 = 500;
const LONG: Duration = Duration::from_millis(20);
/// How long an end waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// A program's own threads, 43 to 45 by the scheduler, have 18 to 20 by RTKit, which gives no more than 20.
const BELOW: u8 = 25;

const NONE: u8 = 0;
const GIVEN: u8 = 1;

pub fn raise(priority: u8) -> bool {
    schedule(libc::SCHED_FIFO, priority)
}

pub fn lower() -> bool {
    schedule(libc::SCHED_OTHER, 0)
}

fn schedule(policy: libc::c_int, priority: u8) -> bool {
    let param = libc::sched_param { sched_priority: priority.into() };
    // SAFETY: the parameters live as long as the call; the thread is the calling one.
    unsafe { libc::pthread_setschedparam(libc::pthread_self(), policy, &raw const param) == 0 }
}

/// See [`super::raise_own`].
pub fn raise_own(priority: u8) -> bool {
    rtkit::bound_this_process() && rtkit::ask(rtkit::this_thread(), priority.saturating_sub(BELOW)).is_ok()
}

/// See [`super::of_this_thread`].
pub fn of_this_thread() -> u8 {
    let mut param = libc::sched_param { sched_priority: 0 };
    // Asked of the kernel: pthread's own answer is what was set through pthread last, and RTKit sets it otherwise.
    // SAFETY: the place is valid for writing and outlives the call; 0 is the calling thread.
    let (policy, known) = unsafe { (libc::sched_getscheduler(0), libc::sched_getparam(0, &raw mut param) == 0) };
    // RTKit's threads don't hand their priority on to what they start.
    let policy = policy & !libc::SCHED_RESET_ON_FORK;
    if known && matches!(policy, libc::SCHED_FIFO | libc::SCHED_RR) {
        param.sched_priority.clamp(0, 99) as u8
    } else {
        0
    }
}

/// What a thread has to do with RTKit. It is asked on a thread of its own, since the answer takes milliseconds, and
/// only once the worker has shown that its turns are short: in a host a worker that was raised so and then works on and
/// on would end the host.
#[derive(Debug, Default)]
pub struct Kit {
    /// The scheduler refused what is wanted.
    refused: bool,
    calm: u32,
    /// What it was asked for.
    asked: Option<u8>,
    raised: bool,
    answer: Arc<AtomicU8>,
    asker: Option<JoinHandle<()>>,
}

impl Kit {
    /// Whether the scheduler has refused what is wanted from now on.
    pub fn refused(&mut self, refused: bool) {
        (self.refused, self.asked, self.raised) = (refused, None, false);
    }

    /// Asks, and takes the answer; tells whether it was good.
    pub fn follow(&mut self, wanted: u8) -> bool {
        if self.asker.as_ref().is_some_and(JoinHandle::is_finished) {
            self.join();
            let given = self.answer.swap(NONE, Ordering::Relaxed) == GIVEN;
            if given && (!self.refused || self.asked != Some(wanted) || self.calm < CALM) {
                // It came too late.
                super::lower();
                self.asked = None;
            } else if given {
                self.raised = true;
                return true;
            }
        }
        if self.refused && self.asked.is_none() && self.asker.is_none() && self.calm >= CALM {
            self.asked = Some(wanted);
            let (thread, answer) = (rtkit::this_thread(), self.answer.clone());
            let ask = move || {
                if rtkit::ask(thread, wanted).is_ok() {
                    answer.store(GIVEN, Ordering::Relaxed);
                }
            };
            self.asker = std::thread::Builder::new().name("mynah-rtkit".to_owned()).spawn(ask).ok();
        }
        false
    }

    /// A turn has taken so long.
    pub fn worked(&mut self, took: Duration) {
        if took > LONG {
            self.wait();
        } else {
            self.calm = self.calm.saturating_add(1);
        }
    }

    /// The thread is ordinary until it has shown anew that its turns are short.
    pub fn wait(&mut self) {
        self.calm = 0;
        if std::mem::take(&mut self.raised) {
            super::lower();
            self.asked = None;
        }
    }

    fn join(&mut self) {
        if let Some(asker) = self.asker.take() {
            join_within(asker, Instant::now() + PATIENCE);
        }
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        self.join();
    }
}
