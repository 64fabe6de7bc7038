//! Panics on demand in the calls of the host, for tests: nothing that a host can do brings one about. In release builds
//! there is no demand and no check.

/// A call of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A block.
    Process,
    /// A reset.
    Reset,
    /// An activation.
    Activate,
    /// The end of processing.
    Stop,
}

#[cfg(debug_assertions)]
mod asked {
    use std::cell::Cell;

    use super::Call;

    thread_local! {
        static NEXT: Cell<Option<Call>> = const { Cell::new(None) };
    }

    /// The next call of this kind on this thread, of whichever instance, panics once.
    pub fn panic_in(call: Call) {
        NEXT.set(Some(call));
    }

    pub(in crate::plugin) fn check(call: Call) {
        if NEXT.get() == Some(call) {
            NEXT.set(None);
            panic!("a panic in {call:?} was asked for");
        }
    }
}

#[cfg(debug_assertions)]
pub(super) use asked::check;
#[cfg(debug_assertions)]
pub use asked::panic_in;

#[cfg(not(debug_assertions))]
pub(super) fn check(_: Call) {}
