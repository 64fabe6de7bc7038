//! CLAP's way in (clap/entry.h, clap/factory/plugin-factory.h).

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap_sys::events::{clap_input_events, clap_output_events};
use clap_sys::ext::params::{CLAP_EXT_PARAMS, clap_plugin_params};
use clap_sys::process::{CLAP_PROCESS_ERROR, clap_process};
use nice_plug::wrapper::clap::{
    CLAP_PLUGIN_FACTORY_ID, CLAP_VERSION, PluginDescriptor, Wrapper, clap_host, clap_plugin, clap_plugin_descriptor,
    clap_plugin_entry, clap_plugin_factory,
};
use nice_plug::wrapper::setup_logger;

use super::cancel::HoldCancellation;
use super::turn::Turn;
use super::{HOST, OFFLINE};
use crate::engine::journal;
use crate::plugin::Mynah;

/// What a host looks for.
#[unsafe(no_mangle)]
#[used]
pub static clap_entry: clap_plugin_entry = clap_plugin_entry {
    clap_version: CLAP_VERSION,
    init: Some(init),
    deinit: Some(deinit),
    get_factory: Some(get_factory),
};

static FACTORY: clap_plugin_factory = clap_plugin_factory {
    get_plugin_count: Some(count),
    get_plugin_descriptor: Some(describe),
    create_plugin: Some(create),
};

/// The shell's functions, the same for every instance, before ours stand in their place.
static SHELL: OnceLock<clap_plugin> = OnceLock::new();
/// The shell's functions for parameters, and the same with ours in their place.
static PARAMS: OnceLock<(clap_plugin_params, clap_plugin_params)> = OnceLock::new();

/// How long `flush` waits for a block that is being processed, a render's as well, and a block for a `flush`, which
/// takes microseconds.
const BLOCK: Duration = Duration::from_secs(2);
const FLUSH: Duration = Duration::from_millis(20);

/// What a host has in hands: the shell's object, whose data are the shell's own, and what we need of each instance.
#[repr(C)]
struct Held {
    plugin: clap_plugin,
    /// `process` and `params.flush` borrow the same cell of the shell and would end the host if they met. CLAP forbids
    /// the pair (clap/ext/params.h).
    turn: Turn,
}

/// # Safety
/// The plugin is one that [`create`] gave and that isn't destroyed.
unsafe fn held<'h>(plugin: *const clap_plugin) -> &'h Held {
    // SAFETY: it is the first field of one, as the caller says.
    unsafe { &*plugin.cast::<Held>() }
}

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

unsafe extern "C" fn create(
    _factory: *const clap_plugin_factory,
    host: *const clap_host,
    id: *const c_char,
) -> *const clap_plugin {
    // SAFETY: a host gives a string that ends with 0, or nothing.
    if host.is_null() || id.is_null() || unsafe { CStr::from_ptr(id) } != descriptor().clap_id() {
        return std::ptr::null();
    }
    HOST.set(NonNull::new(host.cast_mut()));
    // SAFETY: the host gives itself, and lives longer than its plugins.
    let wrapper = unsafe { Wrapper::<Mynah>::new(host) };
    HOST.set(None);
    // The descriptor and the data are this instance's own.
    let own = *wrapper.clap_plugin.borrow();
    SHELL.get_or_init(|| own);
    let plugin = clap_plugin {
        destroy: Some(destroy),
        process: Some(process),
        deactivate: Some(deactivate),
        get_extension: Some(get_extension),
        ..own
    };
    // The host owns both from here on; the shell's `destroy` takes its own back, which the data point to, and ours the
    // other.
    let _ = Arc::into_raw(wrapper);
    Box::into_raw(Box::new(Held { plugin, turn: Turn::default() })).cast()
}

unsafe extern "C" fn destroy(plugin: *const clap_plugin) {
    // SAFETY: the host gives back what `create` gave it, once; the shell reads nothing of it but the data.
    unsafe {
        if let Some(destroy) = SHELL.get().and_then(|shell| shell.destroy) {
            destroy(plugin);
        }
        drop(Box::from_raw(plugin.cast_mut().cast::<Held>()));
    }
}

/// The shell's own, but for the parameters.
unsafe extern "C" fn get_extension(plugin: *const clap_plugin, id: *const c_char) -> *const c_void {
    let Some(get_extension) = SHELL.get().and_then(|shell| shell.get_extension) else { return std::ptr::null() };
    // SAFETY: what the host gave goes on to the function that it was meant for.
    let found = unsafe { get_extension(plugin, id) };
    // SAFETY: a host gives a string that ends with 0, or nothing.
    if found.is_null() || unsafe { CStr::from_ptr(id) } != CLAP_EXT_PARAMS {
        return found;
    }
    let (_, ours) = PARAMS.get_or_init(|| {
        // SAFETY: under this name the shell gives a table of this kind, which lives as long as the plugin.
        let shell = unsafe { *found.cast::<clap_plugin_params>() };
        (shell, clap_plugin_params { flush: Some(flush), ..shell })
    });
    std::ptr::from_ref(ours).cast()
}

/// The shell's own, before or after a block and not beside it.
unsafe extern "C" fn flush(
    plugin: *const clap_plugin,
    events: *const clap_input_events,
    out: *const clap_output_events,
) {
    let Some(flush) = PARAMS.get().and_then(|(shell, _)| shell.flush) else { return };
    // SAFETY: a host gives a plugin that it has.
    let Some(_turn) = unsafe { held(plugin) }.turn.take(BLOCK) else {
        return journal::later("parameters were lost: the host sent them beside a block that did not end");
    };
    // SAFETY: what the host gave goes on to the function that it was meant for.
    unsafe { flush(plugin, events, out) }
}

/// The shell's own, while no cancellation of the thread can act.
unsafe extern "C" fn process(plugin: *const clap_plugin, block: *const clap_process) -> i32 {
    let _hold = HoldCancellation::new();
    // SAFETY: a host gives a plugin that it has.
    let Some(_turn) = unsafe { held(plugin) }.turn.take_politely(FLUSH) else { return CLAP_PROCESS_ERROR };
    OFFLINE.set(None);
    // SAFETY: what the host gave goes on to the function that it was meant for.
    SHELL.get().and_then(|shell| shell.process).map_or(0, |process| unsafe { process(plugin, block) })
}

/// The shell's own, once it has done what waits for this thread: a latency that the audio thread told last would else
/// reach the host while the plugin is inactive, where `clap_host_latency.changed` may not be called
/// (clap/ext/latency.h). Told now, it is kept for the next activation.
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
