//! What happens to running models when the host calls `exit`: they are stopped and waited for before the libraries' own destructors run, which would take memory from
//! under a thread that is inside ONNX Runtime. Unix; Windows ends all other threads first. Knows no model and no worker.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Threads that may be inside a model.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// The process is ending: nobody else may go in.
static OVER: AtomicBool = AtomicBool::new(false);
/// What stops workers; each tells whether its workers still are.
static STOPS: Mutex<Vec<Stop>> = Mutex::new(Vec::new());

type Stop = Box<dyn Fn(Act) -> bool + Send>;

/// What is asked of those that stop workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Whether there is anything to stop.
    Look,
    /// To stop it.
    Stop,
}

/// This thread may be inside a model until this is dropped.
#[derive(Debug)]
pub struct Inside(());

impl Inside {
    /// From now on.
    pub fn enter() -> Self {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        Self(())
    }

    /// The same for a work that nobody has begun yet; none once the process is ending. It may be handed to the thread that does the work.
    pub fn unless_over() -> Option<Self> {
        // Counted first: the end either sees it and waits, or has been told of here.
        let inside = Self::enter();
        (!OVER.load(Ordering::SeqCst)).then_some(inside)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// `stop` is called at the exit, perhaps more than once; it tells whether there still is something to stop.
pub fn at_exit(stop: impl Fn(Act) -> bool + Send + 'static) {
    let mut stops = STOPS.lock().unwrap_or_else(|e| e.into_inner());
    stops.retain(|held| held(Act::Look));
    stops.push(Box::new(stop));
}

/// To be called whenever ONNX Runtime may have made something that it destroys at the exit: its environment, a session, what a first run needs. What is registered
/// last is called first, so it is registered again each time, up to a bound that no ordinary use reaches.
pub fn register() {
    #[cfg(unix)]
    {
        const MOST: usize = 256;
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        PROCESS.store(std::process::id(), Ordering::Relaxed);
        if COUNT.fetch_add(1, Ordering::Relaxed) < MOST {
            // SAFETY: the function lives as long as this module; where the module is unloaded, the system calls it then and never again.
            unsafe { libc::atexit(end) };
        }
    }
}

/// The process that has the threads: a child that a host forked has none of them and waits for nobody.
#[cfg(unix)]
static PROCESS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// Stops all workers and waits for them, a bounded time: a model that hangs must not keep a host from its end.
#[cfg(unix)]
extern "C" fn end() {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
    if PROCESS.load(Ordering::Relaxed) != std::process::id() {
        return;
    }
    OVER.store(true, Ordering::SeqCst);
    let until = std::time::Instant::now() + PATIENCE;
    while INSIDE.load(Ordering::SeqCst) > 0 && std::time::Instant::now() < until {
        // Each time anew: a load that goes on may start workers. The lock may be held by a thread that is no more.
        if let Ok(stops) = STOPS.try_lock() {
            stops.iter().for_each(|stop| _ = stop(Act::Stop));
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
