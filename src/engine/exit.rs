//! What happens to running models when the host calls `exit`: they are stopped and waited for before the libraries' own destructors run, which would take memory from
//! under a thread that is inside ONNX Runtime. Unix; Windows ends all other threads first. Knows no model.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, Weak};

use crate::bridge::Shared;

/// Threads that may be inside a model.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// The crossings whose workers run.
static CROSSINGS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// This thread may be inside a model until this is dropped.
#[derive(Debug)]
pub(super) struct Inside(());

impl Inside {
    pub fn enter() -> Self {
        INSIDE.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The workers of this crossing are stopped at the exit.
pub(super) fn stop_at_exit(shared: &Arc<Shared>) {
    let mut crossings = CROSSINGS.lock().unwrap_or_else(|e| e.into_inner());
    crossings.retain(|held| held.strong_count() > 0);
    crossings.push(Arc::downgrade(shared));
}

/// To be called once models are loaded: what is registered last is called first, so that it comes before ONNX Runtime's own.
pub(super) fn register(once: &'static Once) {
    #[cfg(unix)]
    once.call_once(|| {
        // SAFETY: the function lives as long as this module; where the module is unloaded, the system calls it then and never again.
        unsafe { libc::atexit(end) };
    });
    #[cfg(not(unix))]
    let _ = once;
}

/// Stops all workers and waits for them, a bounded time: a model that hangs must not keep a host from its end.
#[cfg(unix)]
extern "C" fn end() {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
    let until = std::time::Instant::now() + PATIENCE;
    while INSIDE.load(Ordering::Acquire) > 0 && std::time::Instant::now() < until {
        // Each time anew: a load that goes on may start workers. The lock may be held by a thread that the exit has stopped.
        if let Ok(crossings) = CROSSINGS.try_lock() {
            crossings.iter().filter_map(Weak::upgrade).for_each(|shared| shared.stop());
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
