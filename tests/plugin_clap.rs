//! The plugin inside a CLAP host, in process: what a host sees and hears. The voices are identities, so that the sound
//! can be predicted; the debug build aborts when the audio thread allocates.

#[path = "common/float_mode.rs"]
mod float_mode;
#[path = "common/linked.rs"]
mod linked;

use std::ffi::CString;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use clack_extensions::audio_ports::{AudioPortInfoBuffer, PluginAudioPorts};
use clack_extensions::params::{ParamInfoBuffer, ParamInfoFlags, PluginParams};
use clap_host::{ClapHost, ID, id};
use mynah::clock::Mode;
use mynah::engine::testing::{IdentitySource, any_voice};
use mynah::plugin::faults::{Call, panic_in};
use mynah::plugin::state::{Container, Settings, transcript, voice, with_voice};

/// How long what a thread does may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A plugin in a host, its voices identities.
fn instance() -> ClapHost {
    static SOURCE: Once = Once::new();
    SOURCE.call_once(|| mynah::plugin::use_source(Arc::new(IdentitySource::default())));
    linked::host()
}

/// The same, active, offline, with a state; and its latency.
fn offline(state: &[u8], rate: u32, block: usize) -> (ClapHost, usize) {
    let mut host = instance();
    host.load(state).expect("a state");
    host.render_offline(true).expect("offline");
    let latency = host.activate(rate, block).expect("an activation");
    (host, latency)
}

/// The output of an impulse on the left channel in so many samples, in blocks of varied size.
fn impulse(host: &mut ClapHost, block: usize, samples: usize) -> [Vec<f32>; 2] {
    let mut heard = [Vec::new(), Vec::new()];
    let mut sizes = [block, 1, block / 2, 0, block / 3].into_iter().cycle();
    while heard[0].len() < samples {
        let n = sizes.next().expect("endless").min(samples - heard[0].len());
        let mut channels = [vec![0.0; n], vec![0.0; n]];
        if heard[0].is_empty() && n > 0 {
            channels[0][0] = 1.0;
        }
        host.process(&mut channels).expect("a block");
        heard.iter_mut().zip(&channels).for_each(|(h, c)| h.extend(c));
    }
    heard
}

/// Plays silence until something holds.
fn until(host: &mut ClapHost, what: &str, holds: impl FnMut(&mut ClapHost) -> bool) {
    assert!(host.silence_until(PATIENCE, holds).expect("silence"), "{what} did not come");
}

fn peak_at(samples: &[f32]) -> usize {
    samples.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).map_or(0, |(i, _)| i)
}

fn state(mode: Mode, bypass: bool) -> Vec<u8> {
    with_voice(Some(&any_voice("Ada")), &Settings { mode, bypass, ..Settings::default() }, Container::Clap)
}

#[test]
fn a_scan_finds_it() {
    let entry = linked::entry();
    let factory = entry.get_plugin_factory().expect("a factory");
    assert_eq!(factory.plugin_count(), 1);
    let descriptor = factory.plugin_descriptor(0).expect("a descriptor");
    assert_eq!((descriptor.id(), descriptor.name()), (Some(ID), Some(c"Mynah")));
    assert!(descriptor.features().any(|f| f == c"audio-effect"));
    let mut host = instance();
    let ports: PluginAudioPorts = host.extension("audio-ports").expect("ports");
    let mut buffer = AudioPortInfoBuffer::new();
    for input in [true, false] {
        assert_eq!(ports.count(&host.plugin.plugin_handle(), input), 1);
        assert_eq!(ports.get(&host.plugin.plugin_handle(), 0, input, &mut buffer).expect("a port").channel_count, 2);
    }
}

#[test]
fn bypass_is_the_input_exactly_at_the_latency() {
    for (rate, block) in [(44100, 64), (48000, 1), (48000, 512), (96000, 1024), (8000, 333), (192000, 4096)] {
        let (mut host, latency) = offline(&state(Mode::Live, true), rate, block);
        let [left, right] = impulse(&mut host, block, latency + 3000);
        let others = left.iter().enumerate().filter(|(i, x)| *i != latency && **x != 0.0).count();
        assert_eq!((left[latency], others), (1.0, 0), "{rate} Hz, blocks of {block}");
        assert!(right.iter().all(|x| *x == 0.0));
    }
}

#[test]
fn the_voice_comes_exactly_at_the_latency() {
    for mode in Mode::ALL {
        let (mut host, latency) = offline(&state(mode, false), 44100, 256);
        let [left, _] = impulse(&mut host, 256, latency + 4000);
        assert_eq!(peak_at(&left), latency, "{mode:?}");
        assert!(left[latency] > 0.4, "{mode:?}: {}", left[latency]);
    }
}

#[test]
fn a_state_comes_back_and_holds_the_voice() {
    let mut host = instance();
    let settings = Settings {
        mode: Mode::Studio,
        wet: 0.25,
        gain_db: -6.0,
        gate_dbfs: -50.0,
        captions: true,
        ..Settings::default()
    };
    host.load(&with_voice(Some(&any_voice("Ada")), &settings, Container::Clap)).expect("a state");
    let saved = host.save().expect("saved");
    assert_eq!(voice(&saved).expect("a state"), Some(any_voice("Ada")));
    let params: PluginParams = host.extension("params").expect("parameters");
    for (name, expected) in
        [("mode", 2.0), ("mix", 0.25), ("gain", 0.375), ("gate", 0.375), ("capt", 1.0), ("bypass", 0.0)]
    {
        let value = params.get_value(&host.plugin.plugin_handle(), id(name)).expect("a value");
        assert!((value - expected).abs() < 1e-6, "{name}: {value}");
    }
    let mut other = instance();
    other.load(&saved).expect("a state");
    assert_eq!(other.save().expect("saved"), saved);
    assert!(other.load(b"\x05\0\0\0\0\0\0\0{bad}").is_err(), "nonsense is refused");
    assert!(other.load(b"\xff\xff").is_err(), "a cut state is refused");
    assert_eq!(other.save().expect("saved"), saved, "and changes nothing");
}

#[test]
fn every_parameter_reads_its_own_text() {
    let mut host = instance();
    let params: PluginParams = host.extension("params").expect("parameters");
    let mut info = ParamInfoBuffer::new();
    let handle = host.plugin.plugin_handle();
    let count = params.count(&handle);
    assert_eq!(count, 10);
    let mut bypasses = 0;
    for index in 0..count {
        let p = params.get_info(&handle, index, &mut info).expect("a parameter");
        bypasses += u32::from(p.flags.contains(ParamInfoFlags::IS_BYPASS));
        let (number, values) = (p.id, [p.min_value, (p.min_value + p.max_value) / 2.0, p.max_value, p.default_value]);
        for value in values {
            let (mut text, mut again) = ([0u8; 256], [0u8; 256]);
            let text = CString::new(params.value_to_text(&handle, number, value, &mut text).expect("text").to_vec())
                .expect("no NUL");
            let back =
                params.text_to_value(&handle, number, &text).unwrap_or_else(|| panic!("{text:?} is not read back"));
            let again = params.value_to_text(&handle, number, back, &mut again).expect("text");
            assert_eq!(again, text.as_bytes());
        }
    }
    assert_eq!(bypasses, 1);
}

#[test]
fn a_change_of_mode_moves_the_latency_once() {
    let mut host = instance();
    host.load(&state(Mode::Live, false)).expect("a state");
    let live = host.activate(48000, 256).expect("an activation");
    let changes = host.latency_changes();
    host.set("mode", 2.0).expect("a block");
    until(&mut host, "the new latency", |host| {
        host.latency().expect("a latency") != live && host.latency_changes() > changes
    });
    let studio = host.latency().expect("a latency");
    assert!(studio > live);
    let settled = Instant::now();
    until(&mut host, "a quiet second", |_| settled.elapsed() > Duration::from_secs(1));
    assert_eq!((host.latency().expect("a latency"), host.latency_changes()), (studio, changes + 1));
    let mut fresh = instance();
    fresh.load(&state(Mode::Studio, false)).expect("a state");
    assert_eq!(
        fresh.activate(48000, 256).expect("an activation"),
        studio,
        "the same as where the project begins with it"
    );
}

#[test]
fn rates_and_blocks_change_in_mid_session() {
    let mut host = instance();
    host.load(&state(Mode::Live, true)).expect("a state");
    host.render_offline(true).expect("offline");
    for (rate, block) in
        [(44100, 512), (48000, 128), (48000, 128), (96000, 2048), (384000, 512), (768000, 4096), (44100, 512)]
    {
        let latency = host.activate(rate, block).expect("an activation");
        let [left, _] = impulse(&mut host, block, latency + 100);
        assert_eq!((peak_at(&left), left[latency]), (latency, 1.0), "{rate} Hz, blocks of {block}");
        assert!(latency > 0, "an oversampling host gets the voice too");
        host.deactivate();
    }
}

#[test]
fn a_loaded_state_changes_the_voice_while_sound_runs() {
    let mut host = instance();
    host.activate(48000, 480).expect("an activation");
    host.load(&with_voice(Some(&any_voice("Grace Brewster")), &Settings::default(), Container::Clap)).expect("a state");
    until(&mut host, "the voice", |host| {
        let report = host.diagnostics().expect("a report");
        let instances = report["instances"].as_array().expect("instances").clone();
        instances.iter().any(|i| i["engine"]["voice"] == "Grace Brewster" && i["engine"]["state"] == "ready")
    });
    assert!(transcript(&host.save().expect("saved")).expect("a state").words().is_empty());
}

#[test]
fn the_hosts_own_float_mode_is_left_as_it_was_and_inside_denormals_are_zeros() {
    let usual = float_mode::get();
    for mode in float_mode::MODES {
        float_mode::set(mode);
        let mut host = instance();
        let loaded = host.load(&state(Mode::Live, false));
        let active = host.activate(48000, 256);
        let around = float_mode::get();
        let (mut heard, mut done) = (Vec::new(), true);
        for _ in 0..40 {
            let mut channels = [vec![1e-40; 256], vec![-1e-40; 256]];
            done &= host.process(&mut channels).is_ok();
            heard.extend(channels.concat());
        }
        let processed = float_mode::get();
        host.deactivate();
        drop(host);
        let after = float_mode::get();
        // Whatever comes of it, the rest of this thread computes as usual.
        float_mode::set(usual);
        assert!(loaded.is_ok() && active.is_ok() && done);
        assert_eq!([around, processed, after], [mode; 3], "loading, processing and unloading leave the register alone");
        assert!(heard.iter().all(|y| *y == 0.0), "a denormal came through");
    }
}

#[test]
fn what_is_no_sound_stays_out_and_many_instances_live() {
    let mut hosts: Vec<ClapHost> = (0..4).map(|_| instance()).collect();
    for host in &mut hosts {
        host.load(&state(Mode::Live, false)).expect("a state");
        host.activate(48000, 256).expect("an activation");
        host.process(&mut [vec![f32::NAN; 256], vec![f32::INFINITY; 256]]).expect("a block");
        for _ in 0..100 {
            let mut channels = [vec![1e-40; 256], vec![-1e-40; 256]];
            host.process(&mut channels).expect("a block");
            assert!(channels.iter().flatten().all(|x| x.is_finite()));
        }
    }
    hosts.drain(1..).for_each(drop);
    hosts[0].process(&mut [vec![0.0; 256], vec![0.0; 256]]).expect("a block");
}

/// Asks for four seconds of sound as fast as they come.
fn rush(host: &mut ClapHost) {
    for _ in 0..400 {
        host.process(&mut [vec![0.1; 512], vec![0.1; 512]]).expect("a block");
    }
}

/// A host that says nothing of rendering is never kept waiting, however fast it comes; one of which its user has said
/// that it renders loses nothing.
#[test]
fn who_renders_without_saying_so_is_told_by_its_user() {
    let home = tempfile::tempdir().expect("a folder");
    // SAFETY: the tests of this program that read it ask for nothing that lies there.
    unsafe { std::env::set_var("MYNAH_HOME", home.path()) };
    let mut host = instance();
    host.load(&state(Mode::Live, false)).expect("a state");
    host.activate(48_000, 512).expect("an activation");
    let engine = |host: &mut ClapHost, name: &str| {
        host.diagnostics().expect("a report")["instances"].as_array().expect("instances").last().expect("this one")["engine"][name].clone()
    };
    until(&mut host, "the voice", |host| engine(host, "state") == "ready");
    rush(&mut host);
    until(&mut host, "the suspicion", |host| engine(host, "hurry") == true);
    assert_eq!(engine(&mut host, "offline"), false);
    mynah::plugin::host::set_renders_unsaid(true).expect("kept");
    assert!(
        std::fs::read_to_string(home.path().join("hosts.toml")).expect("kept").contains(&mynah::plugin::host::name())
    );
    host.processor().expect("a processor").reset();
    rush(&mut host);
    let before = engine(&mut host, "late_hops");
    rush(&mut host);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(engine(&mut host, "late_hops"), before, "it waits");
    mynah::plugin::host::set_renders_unsaid(false).expect("taken back");
}

/// A deep tone with two loud stretches, which the identity's recogniser takes for words.
fn tone(rate: u32) -> [Vec<f32>; 2] {
    let at = |i: usize| {
        let second = i as f32 / rate as f32;
        let loud = (0.4..0.5).contains(&second) || (0.9..1.0).contains(&second);
        (if loud { 0.9 } else { 0.1 }) * (second * 250.0 * std::f32::consts::TAU).sin()
    };
    [(); 2].map(|()| (0..rate as usize * 3 / 2).map(at).collect())
}

/// A project is played, bounced at another rate, and played again: by one instance.
#[test]
fn playing_rendering_at_another_rate_and_playing_again_are_the_same() {
    let mut host = instance();
    let settings = Settings { captions: true, ..Settings::default() };
    host.load(&with_voice(Some(&any_voice("Ada")), &settings, Container::Clap)).expect("a state");
    let ready = |host: &mut ClapHost| {
        let report = host.diagnostics().expect("a report");
        let engine = report["instances"].as_array().expect("instances").last().expect("this one")["engine"].clone();
        engine["state"] == "ready" && engine["captions_ready"] == true
    };
    let late = |host: &mut ClapHost| {
        std::thread::sleep(Duration::from_millis(100));
        host.diagnostics().expect("a report")["instances"].as_array().expect("instances").last().expect("this one")["engine"]["late_hops"]
            .as_u64()
            .expect("a number")
    };
    let words = |host: &mut ClapHost| {
        let mut found = Vec::new();
        until(host, "two words", |host| {
            found = transcript(&host.save().expect("saved")).expect("words").words().to_vec();
            found.iter().filter(|w| w.start < 2.0).count() >= 2
        });
        found.into_iter().map(|w| (w.text, (w.start * 100.0).round())).collect::<Vec<_>>()
    };
    let pass = |host: &mut ClapHost, rate: u32, renders: bool| {
        host.deactivate();
        host.render_offline(renders).expect("a way to render");
        let latency = host.activate(rate, 512).expect("an activation");
        until(host, "voice and recogniser", ready);
        host.processor().expect("a processor").reset();
        let before = late(host);
        let heard = host.play(&tone(rate), !renders, |_, _| ()).expect("played").channels;
        (latency, heard, late(host) - before, words(host))
    };
    let first = pass(&mut host, 48_000, false);
    let bounce = pass(&mut host, 96_000, true);
    let second = pass(&mut host, 48_000, false);
    assert_eq!((bounce.2, &bounce.3), (0, &first.3), "the bounce loses nothing and says no word twice");
    assert_eq!((first.0, &first.3), (second.0, &second.3), "the same latency and the same words");
    let differ = first.1[0].iter().zip(&second.1[0]).filter(|(a, b)| (*a - *b).abs() > 1e-4).count() as u64;
    let may = (first.2 + second.2) * 1000;
    println!("{differ} samples differ; late hops: {} and {}", first.2, second.2);
    assert!(differ <= may, "{differ} samples differ where late hops explain {may}");
}

/// Whichever call of the host breaks down inside, the host goes on: the sound is dry at the latency that it was told,
/// windows say why, and another activation converts again.
#[test]
fn a_panic_in_any_call_of_the_host_costs_the_voice_alone() {
    for call in [Call::Process, Call::Reset, Call::Stop, Call::Activate] {
        let (mut host, latency) = offline(&state(Mode::Live, true), 48_000, 256);
        panic_in(call);
        match call {
            Call::Process => drop(host.process(&mut [vec![0.0; 64], vec![0.0; 64]]).expect("a block")),
            Call::Reset => host.processor().expect("a processor").reset(),
            Call::Stop | Call::Activate => {
                host.process(&mut [vec![0.0; 64], vec![0.0; 64]]).expect("a block");
                host.deactivate();
                host.activate(48_000, 256).expect("an activation");
            }
        }
        if call != Call::Stop {
            // Stopped, the plugin was activated anew, which revives it.
            let problems = |host: &mut ClapHost| {
                let report = host.diagnostics().expect("a report");
                report["instances"].as_array().expect("instances").last().expect("this one")["problems"].to_string()
            };
            until(&mut host, "the sentence", |host| problems(host).contains("broke down"));
        }
        let [left, _] = impulse(&mut host, 256, latency + 1000);
        let peak = peak_at(&left);
        assert!(left.iter().all(|x| x.is_finite()) && left[peak] > 0.9, "{call:?}: dry sound");
        assert!(call == Call::Activate || peak == latency, "{call:?}: at {peak} for {latency}");
        host.deactivate();
        assert_eq!(host.activate(48_000, 256).expect("an activation"), latency, "{call:?}");
        let [left, _] = impulse(&mut host, 256, latency + 1000);
        assert_eq!(peak_at(&left), latency, "{call:?}: revived");
    }
}
