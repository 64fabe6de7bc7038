//! What happens to running models and open windows when the host calls `exit`: they are stopped and waited for before
//! the libraries' own destructors run, which would take memory from under a thread that is inside ONNX Runtime or the
//! graphics driver. Unix; Windows ends all other threads first. Knows no model and no worker.
//!
//! What is registered with `atexit` last is called first, but ONNX Runtime registers destructors of its own for as long
//! as it opens and loads. An exit ends the values of its own thread before all that, on glibc as on macOS: there is one
//! such value for the host's main thread, which is the one that exits as a rule.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
#[cfg(unix)]
use std::time::Instant;

/// Threads that may be inside a model.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// The process is ending: nobody else may go in.
static OVER: AtomicBool = AtomicBool::new(false);
/// Windows that draw, and those of them that are held at the end.
static WINDOWS: AtomicUsize = AtomicUsize::new(0);
static HELD: AtomicUsize = AtomicUsize::new(0);
/// How long an exit waits for whoever is inside, and for windows, which have the next picture to be held at.
const PATIENCE: Duration = Duration::from_secs(5);
#[cfg(unix)]
const PICTURE: Duration = Duration::from_millis(500);
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

    /// The same for a work that nobody has begun yet; none once the process is ending. It may be handed to the thread
    /// that does the work.
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

/// A window that draws, until this is dropped.
#[derive(Debug)]
pub struct OpenWindow(());

impl OpenWindow {
    /// From now on.
    pub fn open() -> Self {
        WINDOWS.fetch_add(1, Ordering::SeqCst);
        Self(())
    }

    /// To be called before each picture, on the window's thread: once the process is ending it is held here, where it
    /// is in no driver, as long as an exit takes.
    pub fn picture(&self) {
        if OVER.load(Ordering::SeqCst) {
            HELD.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(PATIENCE);
            HELD.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for OpenWindow {
    fn drop(&mut self) {
        WINDOWS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ends all when the main thread exits.
struct Last(Cell<bool>);

thread_local! {
    static LAST: Last = const { Last(Cell::new(false)) };
}

/// To be called on the thread on which the host makes and ends instances, before anything of ONNX Runtime's is there.
pub fn first() {
    // A thread whose own values are gone already is about to end.
    let _ = LAST.try_with(|last| last.0.set(true));
    #[cfg(unix)]
    PROCESS.store(std::process::id(), Ordering::Relaxed);
}

impl Drop for Last {
    fn drop(&mut self) {
        // Any other thread may simply end.
        #[cfg(unix)]
        if is_main_thread() {
            end();
        }
    }
}

#[cfg(target_os = "linux")]
fn is_main_thread() -> bool {
    // SAFETY: both take nothing and always succeed.
    unsafe { libc::gettid() == libc::getpid() }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_main_thread() -> bool {
    // SAFETY: it takes nothing and always succeeds.
    unsafe { libc::pthread_main_np() == 1 }
}

/// `stop` is called at the exit, perhaps more than once; it tells whether there still is something to stop.
pub fn at_exit(stop: impl Fn(Act) -> bool + Send + 'static) {
    let mut stops = STOPS.lock().unwrap_or_else(|e| e.into_inner());
    stops.retain(|held| held(Act::Look));
    stops.push(Box::new(stop));
}

/// To be called whenever ONNX Runtime may have made something that it destroys at the exit: its environment, a session,
/// what a first run needs. What is registered last is called first, so it is registered again each time, up to a bound
/// that no ordinary use reaches.
pub fn register() {
    #[cfg(unix)]
    {
        const MOST: usize = 256;
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        PROCESS.store(std::process::id(), Ordering::Relaxed);
        if COUNT.fetch_add(1, Ordering::Relaxed) < MOST {
            // SAFETY: the function lives as long as this module; where the module is unloaded, the system calls it then
            // and never again.
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
    if PROCESS.load(Ordering::Relaxed) != std::process::id() {
        return;
    }
    OVER.store(true, Ordering::SeqCst);
    let began = Instant::now();
    while INSIDE.load(Ordering::SeqCst) > 0 && began.elapsed() < PATIENCE {
        // Each time anew: a load that goes on may start workers. The lock may be held by a thread that is no more.
        if let Ok(stops) = STOPS.try_lock() {
            stops.iter().for_each(|stop| _ = stop(Act::Stop));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let stopped = Instant::now();
    while HELD.load(Ordering::SeqCst) < WINDOWS.load(Ordering::SeqCst) && stopped.elapsed() < PICTURE {
        std::thread::sleep(Duration::from_millis(1));
    }
}
