//! The main thread and the audio thread at the same time.

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
                host.load(&state(["Ada", "Grace"][random.random_range(0..2)], &Settings { mode, ..Settings::default() })).expect("a state");
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
