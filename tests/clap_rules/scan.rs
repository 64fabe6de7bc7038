//! Scanning, and instances that are made and ended in every order.

use super::library::library;
use super::raw::{bare_host, created, raw_block};
use super::*;

#[test]
fn a_scan_takes_less_than_100_ms() {
    let scan = || {
        let began = Instant::now();
        // SAFETY: it is this crate's own library; its entry is that of a CLAP plugin.
        let entry = unsafe { PluginEntry::load(library()) }.expect("an entry");
        let factory = entry.get_plugin_factory().expect("a factory");
        let descriptor = factory.plugin_descriptor(0).expect("a descriptor");
        assert_eq!((factory.plugin_count(), descriptor.id()), (1, Some(ID)));
        began.elapsed()
    };
    // Other work on this machine may take one of them its time.
    let fastest = (0..5).map(|_| scan()).min().expect("five");
    println!("a scan: {:.1} ms", 1e3 * fastest.as_secs_f64());
    assert!(fastest < Duration::from_millis(100), "{fastest:?}");
}

#[test]
fn the_factory_knows_one_plugin_and_no_other() {
    let entry = linked::entry();
    let factory = entry.get_plugin_factory().expect("a factory");
    assert!(factory.plugin_descriptor(1).is_none() && factory.plugin_descriptor(u32::MAX).is_none());
    let descriptor = factory.plugin_descriptor(0).expect("a descriptor");
    let features: Vec<&CStr> = descriptor.features().collect();
    assert_eq!(features.iter().collect::<HashSet<_>>().len(), features.len(), "{features:?} are all different");
    let raw = factory.raw().as_raw().as_ptr().cast_const();
    let host = bare_host();
    for other in [c"", c"audio.mynah", c"audio.mynah.mynah2", c"audio.mynah.mynah ", c"AUDIO.MYNAH.MYNAH"] {
        assert!(created(raw, &host, other).is_null(), "{other:?}");
    }
    // SAFETY: the entry lives; the name is a C string.
    let none = unsafe { entry.raw_entry().get_factory.expect("factories")(c"nobody's factory".as_ptr()) };
    assert!(none.is_null());
    let plugin = created(raw, &host, ID);
    // SAFETY: the plugin was made just now; its descriptor lives as long as it does.
    unsafe {
        let own = &*(*plugin).desc;
        assert_eq!(Some(CStr::from_ptr(own.id)), descriptor.id());
        assert_eq!(Some(CStr::from_ptr(own.name)), descriptor.name());
        assert_eq!(Some(CStr::from_ptr(own.version)), descriptor.version());
        (*plugin).destroy.expect("an end")(plugin);
    }
}

#[test]
fn calls_in_a_wrong_order_break_nothing() {
    faults();
    let entry = linked::entry();
    let raw = entry.get_plugin_factory().expect("a factory").raw().as_raw().as_ptr().cast_const();
    let host = bare_host();
    // SAFETY: the calls are those of the C interface on an instance that lives until `destroy`; the host outlives it.
    unsafe {
        let new = || &*created(raw, &host, ID);
        // Ended before it was set up, and before it ever played.
        let plugin = new();
        plugin.destroy.expect("an end")(plugin);
        let plugin = new();
        assert!(plugin.init.expect("a set-up")(plugin));
        plugin.destroy.expect("an end")(plugin);

        let plugin = new();
        assert!(plugin.init.expect("a set-up")(plugin));
        let (activate, deactivate) = (plugin.activate.expect("a beginning"), plugin.deactivate.expect("a stop"));
        let (start, stop) = (plugin.start_processing.expect("a start"), plugin.stop_processing.expect("a stop"));
        deactivate(plugin);
        // Twice without an end between, at another rate and another block.
        assert!(activate(plugin, 48000.0, 1, 512) && activate(plugin, 44100.0, 1, 128));
        // A block without a start, then two starts.
        assert_ne!(raw_block(plugin), CLAP_PROCESS_ERROR);
        assert!(start(plugin) && start(plugin));
        assert_ne!(raw_block(plugin), CLAP_PROCESS_ERROR);
        plugin.reset.expect("a reset")(plugin);
        assert_ne!(raw_block(plugin), CLAP_PROCESS_ERROR);
        stop(plugin);
        stop(plugin);
        deactivate(plugin);
        deactivate(plugin);
        assert!(plugin.get_extension.expect("extensions")(plugin, c"nobody's extension".as_ptr()).is_null());
        // Ended while it is active and plays.
        assert!(activate(plugin, 96000.0, 1, 64) && start(plugin));
        assert_ne!(raw_block(plugin), CLAP_PROCESS_ERROR);
        plugin.destroy.expect("an end")(plugin);
    }
}
