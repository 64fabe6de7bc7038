//! The voice worker's priority: above what can wait, below the host's audio thread, while sound runs in real time. Best effort: most systems allow it
//! only to some users.

use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// Priority among threads that run in real time, 0 to 99; hosts run their audio threads higher.
const PRIORITY: u8 = 40;

/// The calling thread's priority.
#[derive(Debug, Default)]
pub struct Priority {
    /// What was asked for last.
    realtime: bool,
}

impl Priority {
    /// Raises the thread while sound runs in real time, and lowers it where a host says that it renders: nobody waits for a render by the millisecond, and at a raised
    /// priority it would take a whole processor from all else.
    pub fn suit(&mut self, realtime: bool) {
        if self.realtime != realtime {
            self.realtime = realtime;
            if realtime {
                raise()
            } else {
                lower()
            };
        }
    }
}

/// Raises the calling thread. Where the system does not allow it, the thread runs as before; tells whether it was raised.
pub fn raise() -> bool {
    ThreadPriorityValue::try_from(PRIORITY).is_ok_and(|value| in_realtime(ThreadPriority::Crossplatform(value)))
}

#[cfg(unix)]
fn in_realtime(priority: ThreadPriority) -> bool {
    use thread_priority::{
        RealtimeThreadSchedulePolicy::Fifo, ThreadSchedulePolicy::Realtime, set_thread_priority_and_policy, thread_native_id,
    };
    set_thread_priority_and_policy(thread_native_id(), priority, Realtime(Fifo)).is_ok()
}

#[cfg(not(unix))]
fn in_realtime(_: ThreadPriority) -> bool {
    thread_priority::set_current_thread_priority(ThreadPriority::Max).is_ok()
}

/// Gives the calling thread an ordinary priority again; tells whether it has one.
#[cfg(unix)]
fn lower() -> bool {
    // SAFETY: all zeros is a valid `sched_param` on every Unix, and priority 0 is the only one that SCHED_OTHER takes; the thread is the calling one.
    unsafe {
        let ordinary: libc::sched_param = std::mem::zeroed();
        libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_OTHER, &raw const ordinary) == 0
    }
}

#[cfg(not(unix))]
fn lower() -> bool {
    ThreadPriorityValue::try_from(50)
        .is_ok_and(|normal| thread_priority::set_current_thread_priority(ThreadPriority::Crossplatform(normal)).is_ok())
}

/// Puts the calling thread, and those that it starts, behind all others: for work that a window asks for while sound runs. Best effort.
#[cfg(target_os = "linux")]
pub fn step_back() {
    // SAFETY: no memory is passed. On Linux the number 0 is the calling thread alone.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 10);
    }
}

/// Puts the calling thread behind all others: for work that a window asks for while sound runs. Best effort.
#[cfg(not(target_os = "linux"))]
pub fn step_back() {
    let _ = thread_priority::set_current_thread_priority(ThreadPriority::Min);
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn policy() -> i32 {
        let (mut policy, mut param) = (-1, libc::sched_param { sched_priority: -1 });
        // SAFETY: both places are valid for writing and outlive the call.
        unsafe { libc::pthread_getschedparam(libc::pthread_self(), &raw mut policy, &raw mut param) };
        policy
    }

    #[test]
    fn a_render_runs_at_an_ordinary_priority() {
        let mut priority = Priority::default();
        priority.suit(true);
        let raised = raise();
        assert_eq!(policy() == libc::SCHED_FIFO, raised, "as far as the system allows");
        priority.suit(false);
        assert_eq!(policy(), libc::SCHED_OTHER);
    }
}
