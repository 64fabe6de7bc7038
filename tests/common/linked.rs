//! For tests with the plugin in process: its entry, and an instance of it in a host.

use clack_host::prelude::PluginEntry;
use clap_host::ClapHost;

/// The entry of the plugin that this test is linked with.
pub fn entry() -> PluginEntry {
    // SAFETY: the entry is this very crate's and lives as long as the process.
    unsafe { PluginEntry::load_from_raw(&mynah::clap_entry, c"/nowhere/mynah.clap") }.expect("an entry")
}

/// An instance.
pub fn host() -> ClapHost {
    ClapHost::linked(&entry(), mynah::plugin::diagnostics::report).expect("an instance")
}
