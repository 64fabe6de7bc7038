//! Who owns the threads that a plugin starts, and how they end: all are asked at once, all have one deadline, and a
//! host waits no longer than that. Knows not what they do.
//!
//! A thread that does not end in time (inside a model's run, in a write to a disk that hangs) is left behind, and the
//! module is pinned: its code must stay in memory after the host has unloaded it, or the thread would return to
//! nowhere.

use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::OpenError;
use crate::journal;

/// How long an ending waits, for all threads together.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long the log may take that tells of a thread that is left behind: the disk may hang that the thread waits for.
const LOG: Duration = Duration::from_millis(500);
/// How often it looks whether a thread has ended.
const LOOK: Duration = Duration::from_millis(1);

/// Threads with one owner.
#[derive(Debug, Default)]
pub struct Threads {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    closed: bool,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Starts a thread; an error where the system has none to give, or once the owner is closed.
    pub fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let mut held = self.held();
        if held.closed {
            return Err(OpenError("the plugin is being closed; nothing new is started".to_owned()));
        }
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|e| {
            OpenError(format!("a thread could not be started: {e}; close other programs and try again"))
        })?;
        held.threads.retain(|t| !t.is_finished());
        held.threads.push(thread);
        Ok(())
    }

    /// Whether a thread of that name runs.
    pub fn runs(&self, name: &str) -> bool {
        self.held().threads.iter().any(|t| t.thread().name() == Some(name) && !t.is_finished())
    }

    /// Starts no more threads, and wakes those that are parked. They must be told by other means to end.
    pub fn close(&self) {
        let mut held = self.held();
        held.closed = true;
        held.threads.iter().for_each(|t| t.thread().unpark());
    }

    /// Waits for all threads until `until`, and leaves the others behind; tells whether all have ended.
    pub fn join(&self, until: Instant) -> bool {
        self.close();
        let threads = std::mem::take(&mut self.held().threads);
        let mine = std::thread::current().id();
        let mut all = true;
        // The last reference to an owner may be dropped by one of its own threads.
        for thread in threads.into_iter().filter(|t| t.thread().id() != mine) {
            all &= join_within(thread, until);
        }
        all
    }
}

/// Joins a thread if it ends in time; if not, leaves it behind with its code. Tells which.
pub(super) fn join_within(thread: JoinHandle<()>, until: Instant) -> bool {
    while !thread.is_finished() && Instant::now() < until {
        std::thread::sleep(LOOK);
    }
    if thread.is_finished() {
        // A thread that panicked has nothing more to tell.
        let _ = thread.join();
        true
    } else {
        // First: whoever writes the log may have to be left behind as well.
        pin_module();
        journal::note_within(
            &format!("{} did not end in time and was left behind", thread.thread().name().unwrap_or("a thread")),
            LOG,
        );
        false
    }
}

/// Keeps the code of this module in memory until the process ends, whatever the host unloads. Best effort; in a program
/// nothing is unloaded.
#[cfg(unix)]
fn pin_module() {
    use std::os::unix::ffi::OsStringExt;
    let Some(path) = mynah_models::packs::module_path() else { return };
    let Ok(path) = std::ffi::CString::new(path.into_os_string().into_vec()) else { return };
    // SAFETY: the path is a C string that outlives the call; a module that is not loaded is not loaded by this.
    unsafe {
        libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
    }
}

/// Keeps the code of this module in memory until the process ends, whatever the host unloads.
#[cfg(windows)]
fn pin_module() {
    use windows_sys::Win32::System::LibraryLoader::{
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
    };
    let mut module = std::ptr::null_mut();
    // SAFETY: with this flag the name is any address inside the module; the handle is written to a place of ours.
    unsafe {
        GetModuleHandleExW(
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
            pin_module as *const () as *const u16,
            &mut module,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn all_have_one_deadline_and_none_begins_behind_it() {
        let (threads, go) = (Threads::default(), Arc::new(AtomicBool::new(false)));
        for name in ["a", "b", "c"] {
            let go = go.clone();
            let hang = move || {
                while !go.load(Ordering::Relaxed) {
                    std::thread::sleep(LOOK);
                }
            };
            threads.spawn(name, hang).expect("a thread");
        }
        threads.spawn("quick", || ()).expect("a thread");
        assert!(threads.runs("b") && !threads.runs("d"));
        let began = Instant::now();
        assert!(!threads.join(began + Duration::from_millis(100)), "three hang");
        assert!(began.elapsed() < Duration::from_millis(1000), "each has had the whole patience");
        assert!(threads.spawn("late", || ()).is_err());
        go.store(true, Ordering::Relaxed);
    }

    #[test]
    fn a_parked_thread_is_woken() {
        let threads = Threads::default();
        threads.spawn("parked", std::thread::park).expect("a thread");
        assert!(threads.join(Instant::now() + PATIENCE));
    }
}
