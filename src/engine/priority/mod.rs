//! The voice worker's priority: above what can wait, below the host's audio thread, while sound runs in real time. Best effort: most systems allow it
//! only to some users.

/// Priorities among threads that run in real time, 1 to 99, where no host says its own: what feeds a device goes before what computes its sound, and that before
/// the worker that it hears from.
pub const DEVICE: u8 = 45;
/// See [`DEVICE`]. A program of ours that stands for a host's audio thread.
pub const AUDIO: u8 = 44;
/// See [`DEVICE`]. A voice worker.
pub const WORKER: u8 = 43;

/// The calling thread's priority, as it was asked for last; 0 is an ordinary one.
#[derive(Debug, Default)]
pub struct Priority(u8);

impl Priority {
    /// Puts a voice worker one step below the host's audio thread, which runs at `audio`, and leaves it ordinary where that is. Where a host says that it renders
    /// it is ordinary too: nobody waits for a render by the millisecond, and at a raised priority it would take a whole processor from all else.
    pub fn suit(&mut self, renders: bool, audio: u8) {
        let wanted = if renders { 0 } else { audio.saturating_sub(1) };
        if self.0 != wanted {
            self.0 = wanted;
            if wanted > 0 {
                raise(wanted)
            } else {
                lower()
            };
        }
    }
}

/// Raises the calling thread among those that run in real time. Where the system does not allow it, the thread runs as before; tells whether it was raised.
#[cfg(unix)]
pub fn raise(priority: u8) -> bool {
    // SAFETY: all zeros is a valid `sched_param` on every Unix; the thread is the calling one.
    unsafe {
        let mut param: libc::sched_param = std::mem::zeroed();
        param.sched_priority = priority.into();
        libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_FIFO, &raw const param) == 0
    }
}

/// Raises the calling thread above ordinary ones. Where the system does not allow it, the thread runs as before; tells whether it was raised.
#[cfg(not(unix))]
pub fn raise(_priority: u8) -> bool {
    thread_priority::set_current_thread_priority(thread_priority::ThreadPriority::Max).is_ok()
}

/// The calling thread's priority among those that run in real time, 0 where it isn't one of them. Wait-free.
#[cfg(target_os = "linux")]
pub fn of_this_thread() -> u8 {
    let (mut policy, mut param) = (0, libc::sched_param { sched_priority: 0 });
    // SAFETY: both places are valid for writing and outlive the call; the thread is the calling one.
    let known = unsafe { libc::pthread_getschedparam(libc::pthread_self(), &raw mut policy, &raw mut param) == 0 };
    if known && matches!(policy, libc::SCHED_FIFO | libc::SCHED_RR) { param.sched_priority.clamp(0, 99) as u8 } else { 0 }
}

/// The priority that a host's audio thread has; elsewhere than on Linux it is always one of those that run in real time, in terms of the system's own.
#[cfg(not(target_os = "linux"))]
pub fn of_this_thread() -> u8 {
    AUDIO
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
    use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};
    ThreadPriorityValue::try_from(50).is_ok_and(|normal| set_current_thread_priority(ThreadPriority::Crossplatform(normal)).is_ok())
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
    use thread_priority::ThreadPriority;
    let _ = thread_priority::set_current_thread_priority(ThreadPriority::Min);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// JACK's clients run at 5 where its server has the usual 10: a worker above them would make the sound late that it is meant for.
    #[test]
    fn a_worker_stays_below_the_hosts_audio_thread() {
        let allowed = raise(AUDIO);
        assert_eq!(of_this_thread(), if allowed { AUDIO } else { 0 }, "as far as the system allows");
        let mut priority = Priority::default();
        for (renders, audio, wanted) in [(false, 5, 4), (false, 80, 79), (true, 80, 0), (false, 1, 0), (false, 44, 43), (false, 0, 0)] {
            priority.suit(renders, audio);
            assert_eq!(priority.0, wanted);
            assert!(!allowed || of_this_thread() == wanted, "a host at {audio}");
        }
        assert!(lower() && of_this_thread() == 0);
    }
}
