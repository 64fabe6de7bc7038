//! What no well-behaved host does, through the C interface.

use super::*;

unsafe extern "C" fn no_extension(_: *const RawHost, _: *const c_char) -> *const c_void {
    null()
}

unsafe extern "C" fn nothing(_: *const RawHost) {}

/// A host that offers nothing.
pub(super) fn bare_host() -> Box<RawHost> {
    Box::new(RawHost {
        clap_version: CLAP_VERSION,
        host_data: null_mut(),
        name: c"Bare".as_ptr(),
        vendor: c"".as_ptr(),
        url: c"".as_ptr(),
        version: c"1".as_ptr(),
        get_extension: Some(no_extension),
        request_restart: Some(nothing),
        request_process: Some(nothing),
        request_callback: Some(nothing),
    })
}

/// Makes an instance by the C interface; null where the plugin refuses.
pub(super) fn created(factory: *const clap_plugin_factory, host: &RawHost, id: &CStr) -> *const clap_plugin {
    // SAFETY: the factory is the loaded entry's; host and id outlive the call, and the host outlives the instance in
    // every test.
    unsafe { (*factory).create_plugin.expect("a way to make instances")(factory, host, id.as_ptr()) }
}

/// One block of 64 samples of silence, in place, by the C interface.
pub(super) fn raw_block(plugin: *const clap_plugin) -> i32 {
    let mut channels = [[0.0f32; 64]; 2];
    let mut pointers = channels.each_mut().map(|c| c.as_mut_ptr());
    let mut buffer = clap_audio_buffer {
        data32: pointers.as_mut_ptr(),
        data64: null_mut(),
        channel_count: 2,
        latency: 0,
        constant_mask: 0,
    };
    let (input, events, mut ignored) = (buffer, InputEvents::empty(), OutputEvents::void());
    let process = clap_process {
        steady_time: -1,
        frames_count: 64,
        transport: null(),
        audio_inputs: &input,
        audio_outputs: &mut buffer,
        audio_inputs_count: 1,
        audio_outputs_count: 1,
        in_events: events.as_raw(),
        // SAFETY: the list is only handed on.
        out_events: unsafe { ignored.as_raw_mut() },
    };
    // SAFETY: the instance lives, and all that `process` points to outlives the call.
    unsafe { (*plugin).process.expect("a way to process")(plugin, &process) }
}
