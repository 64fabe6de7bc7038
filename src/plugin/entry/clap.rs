//! CLAP's way in (clap/entry.h, clap/factory/plugin-factory.h).

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

use clap_sys::process::clap_process;
use nice_plug::wrapper::clap::{
    CLAP_PLUGIN_FACTORY_ID, CLAP_VERSION, PluginDescriptor, Wrapper, clap_host, clap_plugin, clap_plugin_descriptor, clap_plugin_entry,
    clap_plugin_factory,
};
use nice_plug::wrapper::setup_logger;

use super::cancel::HoldCancellation;
use super::{HOST, OFFLINE};
use crate::plugin::Mynah;

/// What a host looks for.
#[unsafe(no_mangle)]
#[used]
pub static clap_entry: clap_plugin_entry =
    clap_plugin_entry { clap_version: CLAP_VERSION, init: Some(init), deinit: Some(deinit), get_factory: Some(get_factory) };

static FACTORY: clap_plugin_factory =
    clap_plugin_factory { get_plugin_count: Some(count), get_plugin_descriptor: Some(describe), create_plugin: Some(create) };

/// The shell's functions, the same for every instance, before ours stand in their place.
static SHELL: OnceLock<clap_plugin> = OnceLock::new();

fn descriptor() -> &'static PluginDescriptor {
    static DESCRIPTOR: OnceLock<PluginDescriptor> = OnceLock::new();
    DESCRIPTOR.get_or_init(PluginDescriptor::for_plugin::<Mynah>)
}

unsafe extern "C" fn init(_path: *const c_char) -> bool {
    setup_logger::<Mynah>();
    true
}

unsafe extern "C" fn deinit() {}

unsafe extern "C" fn get_factory(id: *const c_char) -> *const c_void {
    // SAFETY: a host gives a string that ends with 0, or nothing.
    let wanted = !id.is_null() && unsafe { CStr::from_ptr(id) } == CLAP_PLUGIN_FACTORY_ID;
    if wanted { (&raw const FACTORY).cast() } else { std::ptr::null() }
}

unsafe extern "C" fn count(_factory: *const clap_plugin_factory) -> u32 {
    1
}

unsafe extern "C" fn describe(_factory: *const clap_plugin_factory, index: u32) -> *const clap_plugin_descriptor {
    if index == 0 { descriptor().clap_plugin_descriptor() } else { std::ptr::null() }
}

unsafe extern "C" fn create(_factory: *const clap_plugin_factory, host: *const clap_host, id: *const c_char) -> *const clap_plugin {
    // SAFETY: a host gives a string that ends with 0, or nothing.
    if host.is_null() || id.is_null() || unsafe { CStr::from_ptr(id) } != descriptor().clap_id() {
        return std::ptr::null();
    }
    HOST.set(NonNull::new(host.cast_mut()));
    // SAFETY: the host gives itself, and lives longer than its plugins.
    let wrapper = unsafe { Wrapper::<Mynah>::new(host) };
    HOST.set(None);
    {
        let mut plugin = wrapper.clap_plugin.borrow_mut();
        SHELL.get_or_init(|| *plugin);
        plugin.process = Some(process);
        plugin.deactivate = Some(deactivate);
    }
    // The host owns it from here on; the shell's `destroy` takes it back.
    // SAFETY: the pointer comes from the `Arc` that was just made and lives until then.
    unsafe { (*Arc::into_raw(wrapper)).clap_plugin.as_ptr() }
}

/// The shell's own, while no cancellation of the thread can act.
unsafe extern "C" fn process(plugin: *const clap_plugin, block: *const clap_process) -> i32 {
    let _hold = HoldCancellation::new();
    OFFLINE.set(None);
    // SAFETY: what the host gave goes on to the function that it was meant for.
    SHELL.get().and_then(|shell| shell.process).map_or(0, |process| unsafe { process(plugin, block) })
}

/// The shell's own, once it has done what waits for this thread: a latency that the audio thread told last would else reach the host while the plugin is
/// inactive, where `clap_host_latency.changed` may not be called (clap/ext/latency.h). Told now, it is kept for the next activation.
unsafe extern "C" fn deactivate(plugin: *const clap_plugin) {
    let Some(shell) = SHELL.get() else { return };
    // SAFETY: both are to be called on the thread that this is, the main thread, with the plugin that the host gave.
    unsafe {
        if let Some(on_main_thread) = shell.on_main_thread {
            on_main_thread(plugin);
        }
        if let Some(deactivate) = shell.deactivate {
            deactivate(plugin);
        }
    }
}
