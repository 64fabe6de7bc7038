//! The voice worker's priority: above what can wait, below the host's audio thread. Best effort: most systems allow it only to some users.

use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// Priority among threads that run in real time, 0 to 99; hosts run their audio threads higher.
const PRIORITY: u8 = 40;

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
