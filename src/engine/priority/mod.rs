//! The voice worker's priority: above what can wait, below the host's audio thread, while sound runs in real time. Best
//! effort: most systems allow it only to some users.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "linux")]
mod rtkit;
#[cfg(windows)]
mod windows;
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
compile_error!("Mynah runs on Linux, macOS and Windows");

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;
#[cfg(windows)]
use windows as system;

use std::time::Duration;

/// Priorities among threads that run in real time, 1 to 99, where no host says its own: what feeds a device goes before
/// what computes its sound, and that before the worker that it hears from.
pub const DEVICE: u8 = 45;
/// See [`DEVICE`]. A program of ours that stands for a host's audio thread.
pub const AUDIO: u8 = 44;
/// See [`DEVICE`]. A voice worker.
pub const WORKER: u8 = 43;

/// After so much work on end a raised thread sleeps for a moment: a system that bounds such threads ends the process of
/// one that never does.
const ON_END: Duration = Duration::from_millis(20);
const BREATH: Duration = Duration::from_micros(50);

/// The calling thread's priority, as it was asked for last; 0 is an ordinary one.
#[derive(Debug, Default)]
pub struct Priority {
    wanted: u8,
    raised: bool,
    /// Work since the thread slept last.
    busy: Duration,
    #[cfg(target_os = "linux")]
    kit: linux::Kit,
}

impl Priority {
    /// Puts a voice worker one step below the host's audio thread, which runs at `audio`, and leaves it ordinary where
    /// that is. Where a host says that it renders it is ordinary too: nobody waits for a render by the millisecond, and
    /// at a raised priority it would take a whole processor from all else.
    pub fn suit(&mut self, renders: bool, audio: u8) {
        let wanted = if renders { 0 } else { audio.saturating_sub(1) };
        if self.wanted != wanted {
            self.wanted = wanted;
            self.raised = wanted > 0 && raise(wanted);
            #[cfg(target_os = "linux")]
            self.kit.refused(wanted > 0 && !self.raised);
            if !self.raised {
                lower();
            }
        }
        #[cfg(target_os = "linux")]
        if self.kit.follow(self.wanted) {
            self.raised = true;
        }
    }

    /// The thread has worked so long.
    pub fn worked(&mut self, took: Duration) {
        self.busy += took;
        #[cfg(target_os = "linux")]
        self.kit.worked(took);
        if self.raised && self.busy > ON_END {
            std::thread::sleep(BREATH);
            self.busy = Duration::ZERO;
        }
    }

    /// The thread has slept.
    pub fn rested(&mut self) {
        self.busy = Duration::ZERO;
    }

    /// Another model begins, whose first run may take longer than any later one.
    pub fn begins_anew(&mut self) {
        #[cfg(target_os = "linux")]
        self.kit.wait();
    }
}

/// Raises the calling thread among those of sound. Where the system does not allow it, the thread runs as before; tells
/// whether it was raised.
pub fn raise(priority: u8) -> bool {
    system::raise(priority)
}

/// The same for a thread of a program of ours. On Linux it asks RTKit where the system refuses, which takes
/// milliseconds, and bounds what such threads of this process may take without sleeping, as RTKit wants it.
pub fn raise_own(priority: u8) -> bool {
    #[cfg(target_os = "linux")]
    return raise(priority) || linux::raise_own(priority);
    #[cfg(not(target_os = "linux"))]
    raise(priority)
}

/// Gives the calling thread an ordinary priority again; tells whether it has one.
fn lower() -> bool {
    system::lower()
}

/// The calling thread's priority among those that run in real time, 0 where it isn't one of them. Wait-free.
#[cfg(target_os = "linux")]
pub use linux::of_this_thread;

/// The priority that a host's audio thread has; elsewhere than on Linux it is always one of those that run in real
/// time, in terms of the system's own.
#[cfg(not(target_os = "linux"))]
pub fn of_this_thread() -> u8 {
    AUDIO
}

/// Puts the calling thread, and those that it starts, behind all others: for work that a window asks for while sound
/// runs. Best effort.
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

    /// JACK's clients run at 5 where its server has the usual 10: a worker above them would make the sound late that it
    /// is meant for.
    #[test]
    fn a_worker_stays_below_the_hosts_audio_thread() {
        let allowed = raise(AUDIO);
        assert_eq!(of_this_thread(), if allowed { AUDIO } else { 0 }, "as far as the system allows");
        let mut priority = Priority::default();
        for (renders, audio, wanted) in
            [(false, 5, 4), (false, 80, 79), (true, 80, 0), (false, 1, 0), (false, 44, 43), (false, 0, 0)]
        {
            priority.suit(renders, audio);
            assert_eq!(priority.wanted, wanted);
            assert!(!allowed || of_this_thread() == wanted, "a host at {audio}");
        }
        assert!(lower() && of_this_thread() == 0);
    }
}
