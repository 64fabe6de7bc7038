//! The main thread and the audio thread at the same time.

use std::sync::atomic::{AtomicBool, AtomicPtr};

use clap_sys::ext::params::{CLAP_EXT_PARAMS, clap_plugin_params};

use super::*;

#[test]
fn the_main_thread_asks_and_loads_while_the_audio_thread_plays() {
    faults().load_ms.store(60, Ordering::Relaxed);
    let mut host = instance();
    host.load(&state("Ada", &Settings::default())).expect("a state");
    host.activate(48000, 128).expect("an activation");
    let sound = noise(13, 3 * 48000);
    let (mut random, mut loads, mut saves) = (StdRng::seed_from_u64(14), 0u32, 0u32);
    let played = host
        .play(&sound, true, |host, _| {
            let params: PluginParams = host.extension("params").expect("parameters");
            let (handle, mut info, mut text) = (host.plugin.plugin_handle(), ParamInfoBuffer::new(), [0u8; 64]);
            for index in 0..params.count(&handle) {
                let id = params.get_info(&handle, index, &mut info).expect("a parameter").id;
                let value = params.get_value(&handle, id).expect("a value");
                params.value_to_text(&handle, id, value, &mut text).expect("text");
            }
            assert!(host.latency().expect("a latency") > 0);
            host.diagnostics().expect("a report");
            host.save().expect("saved");
            saves += 1;
            if random.random_bool(0.1) {
                let mode = Mode::ALL[random.random_range(0..3)];
                host.load(&state(
                    ["Ada", "Grace"][random.random_range(0..2)],
                    &Settings { mode, ..Settings::default() },
                ))
                .expect("a state");
                loads += 1;
            }
        })
        .expect("played");
    faults().load_ms.store(0, Ordering::Relaxed);
    assert!(played.channels.iter().flatten().all(|x| x.is_finite() && x.abs() < 4.0));
    assert!(loads > 3 && saves > 30, "{loads} loads, {saves} saves");
    // After all that it still follows.
    let studio = state("Ada", &Settings { mode: Mode::Studio, ..Settings::default() });
    let mut fresh = instance();
    fresh.load(&studio).expect("a state");
    host.load(&studio).expect("a state");
    let studio = fresh.activate(48000, 128).expect("an activation");
    let follows = host.silence_until(Duration::from_secs(20), |host| host.latency().expect("a latency") == studio);
    assert!(follows.expect("silence"));
}

/// CLAP forbids `params.flush` beside `process`. A host that does it all the same must not be ended by that, and what
/// it sent acts.
#[test]
fn parameters_flushed_beside_a_block_end_nobody() {
    let mut host = instance();
    host.load(&state("Ada", &Settings::default())).expect("a state");
    host.activate(48000, 64).expect("an activation");
    host.processor().expect("it processes");
    let plugin = AtomicPtr::new(std::ptr::from_ref(host.plugin.plugin_handle().as_raw()).cast_mut());
    // SAFETY: the instance lives, and gives a table of this kind under this name.
    let params = unsafe {
        let plugin = plugin.load(Ordering::Relaxed);
        *(*plugin).get_extension.expect("a way to ask")(plugin, CLAP_EXT_PARAMS.as_ptr()).cast::<clap_plugin_params>()
    };
    let (done, mut flushed) = (AtomicBool::new(false), 0u32);
    std::thread::scope(|scope| {
        let audio = scope.spawn(|| {
            for _ in 0..20_000 {
                assert_ne!(raw::raw_block(plugin.load(Ordering::Relaxed)), CLAP_PROCESS_ERROR);
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) && !audio.is_finished() {
            flushed += 1;
            let wanted = f64::from(flushed % 9) / 8.0;
            let events = [ParamValueEvent::new(0, id("gain"), Pckn::match_all(), wanted)];
            let (events, mut out, mut value) = (InputEvents::from_buffer(&events), OutputEvents::void(), 0.0);
            // SAFETY: the instance lives, and all that is pointed to outlives the calls.
            unsafe {
                let plugin = plugin.load(Ordering::Relaxed);
                params.flush.expect("a way to flush")(plugin, events.as_raw(), out.as_raw_mut());
                params.get_value.expect("a way to ask")(plugin, id("gain").get(), &mut value);
            }
            assert_eq!(value, wanted, "what was sent acts");
        }
    });
    assert!(flushed > 100, "{flushed} times");
}

#[test]
fn instances_end_in_the_middle_of_a_load() {
    faults().load_ms.store(40, Ordering::Relaxed);
    for n in 0..20u64 {
        let mut host = instance();
        host.load(&state("Ada", &Settings::default())).expect("a state");
        host.activate(48000, 128).expect("an activation");
        for _ in 0..n {
            host.process(&mut noise(n, 128)).expect("a block");
        }
        if n % 2 == 0 {
            host.load(&state("Grace", &Settings { mode: Mode::Studio, ..Settings::default() })).expect("a state");
        }
    }
    faults().load_ms.store(0, Ordering::Relaxed);
}
