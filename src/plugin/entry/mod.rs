//! The ways in: what a host finds in the library for CLAP and for VST3. The shell (nice-plug) brings a macro for each;
//! these do the same and mend on the way what the shell gets wrong, which docs/upstream.md describes. They know how the
//! shell's objects look from outside and nothing of the engine.

mod cancel;
mod clap;
mod turn;
mod vst3;

use std::cell::Cell;

pub use clap::clap_entry;
use clap_sys::host::clap_host;

thread_local! {
    /// Whether the block that this thread processes is rendered offline, where the host says so with each block.
    static OFFLINE: Cell<Option<bool>> = const { Cell::new(None) };
    /// The CLAP host for which this thread is making an instance.
    static HOST: Cell<Option<std::ptr::NonNull<clap_host>>> = const { Cell::new(None) };
}

/// A host that can be asked, from any thread, to deactivate the plugin and activate it again. Lives as long as the
/// plugin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Restart(std::ptr::NonNull<clap_host>);

// SAFETY: `request_restart` may be called on any thread (clap/host.h).
unsafe impl Send for Restart {}
// SAFETY: as above.
unsafe impl Sync for Restart {}

impl Restart {
    /// Asks for it.
    ///
    /// # Safety
    /// The plugin is not destroyed yet.
    pub unsafe fn ask(self) {
        // SAFETY: the host outlives the plugin.
        unsafe {
            if let Some(request) = self.0.as_ref().request_restart {
                request(self.0.as_ptr());
            }
        }
    }
}

/// The host of the instance that this thread is making; none where it isn't one of CLAP.
pub(super) fn host_of_the_new() -> Option<Restart> {
    HOST.get().map(Restart)
}

/// Whether the block that this thread processes is rendered offline, as a VST3 host says with each block; `None` in
/// CLAP, where the host says it at the activation. For the audio thread, inside `process`.
pub(super) fn says_offline() -> Option<bool> {
    OFFLINE.get()
}
