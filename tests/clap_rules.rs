//! The rules that a CLAP plugin is held to, in process: what the published lists of clap-validator and of pluginval at strictness 10 ask, as far
//! as it concerns this plugin, and what a host does that is no gentleman. The voices are identities; the debug build aborts when the audio thread
//! allocates. Knows nothing of models.

#[path = "common/clap_host.rs"]
mod clap_host;

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char, c_void};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use clack_extensions::params::{ParamInfoBuffer, PluginParams};
use clack_extensions::tail::{PluginTail, TailLength};
use clack_host::events::event_types::ParamValueEvent;
use clack_host::events::{Event, Pckn};
use clack_host::prelude::*;
use clap_host::{ClapHost, ID, id, inside};
use clap_sys::audio_buffer::clap_audio_buffer;
use clap_sys::events::{CLAP_EVENT_PARAM_VALUE, clap_event_header, clap_event_param_value};
use clap_sys::factory::plugin_factory::clap_plugin_factory;
use clap_sys::host::clap_host as RawHost;
use clap_sys::plugin::clap_plugin;
use clap_sys::process::{CLAP_PROCESS_ERROR, clap_process};
use clap_sys::version::CLAP_VERSION;
use mynah::clock::Mode;
use mynah::engine::testing::{Faults, IdentitySource, any_voice};
use mynah::plugin::state::{Container, Settings, with_voice};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const NAMES: [&str; 10] = ["bypass", "voice", "mode", "pitch", "semis", "gate", "mix", "gain", "late", "capt"];

/// What can go wrong in the identities of this process.
fn faults() -> &'static Faults {
    static FAULTS: OnceLock<Arc<Faults>> = OnceLock::new();
    FAULTS.get_or_init(|| {
        let source = IdentitySource::default();
        let faults = source.faults.clone();
        mynah::plugin::use_source(Arc::new(source));
        faults
    })
}

fn instance() -> ClapHost {
    faults();
    ClapHost::inside().expect("an instance")
}

fn state(name: &str, settings: &Settings) -> Vec<u8> {
    with_voice(Some(&any_voice(name)), settings, Container::Clap)
}

/// An instance with a voice that renders offline, active; and its latency.
fn offline(settings: &Settings, rate: u32, block: usize) -> (ClapHost, usize) {
    let mut host = instance();
    host.load(&state("Ada", settings)).expect("a state");
    host.render_offline(true).expect("offline");
    let latency = host.activate(rate, block).expect("an activation");
    (host, latency)
}

fn noise(seed: u64, n: usize) -> [Vec<f32>; 2] {
    let mut random = StdRng::seed_from_u64(seed);
    [(); 2].map(|()| (0..n).map(|_| random.random_range(-0.5..0.5)).collect())
}

/// Plays channels in blocks of the given sizes, over and over.
fn played(host: &mut ClapHost, channels: &[Vec<f32>; 2], sizes: &[usize]) -> [Vec<f32>; 2] {
    let mut heard = [Vec::new(), Vec::new()];
    let mut sizes = sizes.iter().cycle();
    while heard[0].len() < channels[0].len() {
        let at = heard[0].len();
        let end = (at + sizes.next().expect("endless")).min(channels[0].len());
        let mut block = [channels[0][at..end].to_vec(), channels[1][at..end].to_vec()];
        host.process(&mut block).expect("a block");
        heard.iter_mut().zip(&block).for_each(|(h, b)| h.extend(b));
    }
    heard
}

fn values(host: &mut ClapHost) -> Vec<f64> {
    let params: PluginParams = host.extension("params").expect("parameters");
    let handle = host.plugin.plugin_handle();
    NAMES.iter().map(|name| params.get_value(&handle, id(name)).expect("a value")).collect()
}

/// Random values of all parameters, stepped ones whole; events spread over so many samples.
fn random_events(host: &mut ClapHost, random: &mut StdRng, samples: u32) -> Vec<ParamValueEvent> {
    let params: PluginParams = host.extension("params").expect("parameters");
    let (handle, mut buffer) = (host.plugin.plugin_handle(), ParamInfoBuffer::new());
    let mut events: Vec<ParamValueEvent> = (0..params.count(&handle))
        .map(|index| {
            let info = params.get_info(&handle, index, &mut buffer).expect("a parameter");
            let value = random.random_range(info.min_value..=info.max_value);
            let value = if info.flags.contains(clack_extensions::params::ParamInfoFlags::IS_STEPPED) { value.round() } else { value };
            ParamValueEvent::new(random.random_range(0..samples.max(1)), info.id, Pckn::match_all(), value)
        })
        .collect();
    events.sort_by_key(|e| e.header().time());
    events
}

// ---- What no well-behaved host does goes through the C interface.

unsafe extern "C" fn no_extension(_: *const RawHost, _: *const c_char) -> *const c_void {
    null()
}

unsafe extern "C" fn nothing(_: *const RawHost) {}

/// A host that offers nothing.
fn bare_host() -> Box<RawHost> {
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
fn created(factory: *const clap_plugin_factory, host: &RawHost, id: &CStr) -> *const clap_plugin {
    // SAFETY: the factory is the loaded entry's; host and id outlive the call, and the host outlives the instance in every test.
    unsafe { (*factory).create_plugin.expect("a way to make instances")(factory, host, id.as_ptr()) }
}

/// One block of 64 samples of silence, in place, by the C interface.
fn raw_block(plugin: *const clap_plugin) -> i32 {
    let mut channels = [[0.0f32; 64]; 2];
    let mut pointers = channels.each_mut().map(|c| c.as_mut_ptr());
    let mut buffer =
        clap_audio_buffer { data32: pointers.as_mut_ptr(), data64: null_mut(), channel_count: 2, latency: 0, constant_mask: 0 };
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

/// The library as this build has it.
fn library() -> PathBuf {
    let name = format!("{}mynah{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let deps = std::env::current_exe().expect("this test").parent().expect("a folder").to_owned();
    let places = [deps.join(&name), deps.parent().expect("a folder").join(&name)];
    places.iter().find(|p| p.is_file()).unwrap_or_else(|| panic!("none of {places:?} is there")).clone()
}

// ---- Scanning and instances

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
    let entry = inside().expect("the entry");
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
    let entry = inside().expect("the entry");
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

// ---- Sound

#[test]
fn every_rate_and_block_from_1_khz_to_768_khz() {
    let rates = [1000, 4000, 8000, 11025, 22050, 32000, 44100, 48000, 88200, 96000, 176400, 192000, 384000, 768000];
    let mut host = instance();
    host.load(&state("Ada", &Settings { bypass: true, ..Settings::default() })).expect("a state");
    host.render_offline(true).expect("offline");
    for rate in rates {
        for block in [1, 13, 512, 4096, 16384] {
            let latency = host.activate(rate, block).expect("an activation");
            let n = if block == 1 { latency.min(3000) + 200 } else { latency + 2 * block };
            let sound = noise(u64::from(rate), n);
            let heard = played(&mut host, &sound, &[block, block, 1, block / 2, 0, block.div_ceil(3)]);
            for (h, s) in heard.iter().zip(&sound) {
                let late = latency.min(n);
                assert!(h[..late].iter().all(|x| *x == 0.0) && h[late..] == s[..n - late], "{rate} Hz, blocks of {block}");
            }
            host.deactivate();
        }
    }
}

#[test]
fn a_block_larger_than_agreed_stays_finite() {
    // No host may; some do in a bounce. What it hears is not said, but nothing breaks.
    let (mut host, _) = offline(&Settings::default(), 48000, 64);
    for n in [64, 65, 500, 5000, 64] {
        let mut sound = noise(1, n);
        host.process(&mut sound).expect("a block");
        assert!(sound.iter().flatten().all(|x| x.is_finite()));
    }
}

#[test]
fn in_place_sounds_as_out_of_place() {
    for settings in [Settings::default(), Settings { bypass: true, ..Settings::default() }] {
        let sound = noise(2, 24000);
        let expected = played(&mut offline(&settings, 48000, 480).0, &sound, &[480]);
        let (mut host, _) = offline(&settings, 48000, 480);
        let mut heard = sound.clone();
        for at in (0..24000).step_by(480) {
            let mut pointers = heard.each_mut().map(|c| c[at..].as_mut_ptr());
            let buffer =
                clap_audio_buffer { data32: pointers.as_mut_ptr(), data64: null_mut(), channel_count: 2, latency: 0, constant_mask: 0 };
            let (ins, mut outs) = ([buffer], [buffer]);
            // SAFETY: both point to the same two channels with 480 samples, which nobody else touches meanwhile.
            let (input, mut output) =
                unsafe { (InputAudioBuffers::from_raw_buffers(&ins, 480), OutputAudioBuffers::from_raw_buffers(&mut outs, 480)) };
            let processor = host.processor().expect("a processor");
            processor.process(&input, &mut output, &InputEvents::empty(), &mut OutputEvents::void(), None, None).expect("a block");
        }
        assert!(heard == expected, "bypass: {}", settings.bypass);
    }
}

#[test]
fn silence_that_is_told_sounds_as_silence_that_is_not() {
    let run = |told: bool| {
        let (mut host, _) = offline(&Settings::default(), 48000, 256);
        let mut heard = Vec::new();
        for block in 0..100 {
            let mut sound = if (20..60).contains(&block) { [vec![0.0; 256], vec![0.0; 256]] } else { noise(block, 256) };
            let constant = told && sound[0].iter().all(|x| *x == 0.0);
            host.process_with(&mut sound, &InputEvents::empty(), constant).expect("a block");
            heard.extend(sound.concat());
        }
        heard
    };
    assert!(run(true) == run(false));
}

#[test]
fn no_input_makes_the_output_unsound() {
    for settings in [Settings::default(), Settings { bypass: true, ..Settings::default() }, Settings { wet: 0.5, ..Settings::default() }] {
        let (mut host, latency) = offline(&settings, 48000, 128);
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-42, -1e-42, f32::MIN_POSITIVE];
        for block in 0..200usize {
            let mut sound = noise(3, 128);
            if block < 100 {
                sound.iter_mut().flatten().enumerate().for_each(|(i, x)| *x = bad[(i + block) % bad.len()]);
            }
            host.process(&mut sound).expect("a block");
            assert!(sound.iter().flatten().all(|x| x.is_finite() && x.abs() <= 64.0), "block {block}");
            // A second after the last bad block, the sound is whole again.
            if block * 128 > 100 * 128 + latency + 4800 {
                assert!(
                    sound.iter().flatten().all(|x| !x.is_subnormal()) && sound.iter().flatten().any(|x| x.abs() > 0.1),
                    "block {block}"
                );
            }
        }
    }
}

#[test]
fn the_tail_is_as_long_as_it_says() {
    for mode in Mode::ALL {
        let (mut host, latency) = offline(&Settings { mode, ..Settings::default() }, 48000, 256);
        let mut sound = noise(4, 256);
        let status = host.process(&mut sound).expect("a block");
        assert_eq!(status, ProcessStatus::Continue, "it is never put to sleep while sound is inside");
        let tail: PluginTail = host.extension("tail").expect("a tail");
        let tail = tail.get(&host.processor().expect("a processor").plugin_handle());
        let TailLength::Finite(tail) = tail else { panic!("{tail:?}") };
        assert!(tail as usize >= latency, "{tail} of {latency}");
        played(&mut host, &noise(5, 256 * 100), &[256]);
        let after = played(&mut host, &[vec![0.0; 48000], vec![0.0; 48000]], &[256]);
        assert!(after[0][..latency].iter().any(|x| x.abs() > 0.1), "the end is heard");
        let loudest = after[0][tail as usize..].iter().fold(0.0f32, |m, x| m.max(x.abs()));
        assert!(loudest < 1e-3, "{mode:?}: {loudest} after the tail of {tail} samples");
    }
}

#[test]
fn a_reset_forgets_all_sound() {
    let (mut host, latency) = offline(&Settings::default(), 44100, 300);
    let first = played(&mut host, &noise(6, 3 * latency), &[300, 7]);
    assert!(first[0].iter().any(|x| x.abs() > 0.1));
    host.processor().expect("a processor").reset();
    let again = played(&mut host, &noise(6, 3 * latency), &[300, 7]);
    assert!(again[0] == first[0] && again[1] == first[1], "after a reset it sounds as from the start");
}

// ---- Parameters

#[test]
fn random_parameters_go_in_by_flush_and_by_events() {
    let mut random = StdRng::seed_from_u64(7);
    let (mut host, _) = offline(&Settings::default(), 48000, 512);
    let mut other = instance();
    for round in 0..60 {
        let events = random_events(&mut host, &mut random, 512);
        let mut sound = noise(round, 512);
        host.process_with(&mut sound, &InputEvents::from_buffer(&events), false).expect("a block");
        assert!(sound.iter().flatten().all(|x| x.is_finite()), "round {round}");
        host.answer();
        // The same by a flush, and by a state: three ways to the same values, and to the same bytes.
        let params: PluginParams = other.extension("params").expect("parameters");
        let mut inactive = other.plugin.inactive_plugin_handle().expect("an inactive plugin");
        params.flush(&mut inactive, &InputEvents::from_buffer(&events), &mut OutputEvents::void());
        assert_eq!(values(&mut host), values(&mut other), "round {round}");
        let expected: Vec<f64> = values(&mut host);
        for e in &events {
            let at = NAMES.iter().position(|name| Some(id(name)) == e.param_id()).expect("its name");
            let step = [("semis", 0.1 / 48.0), ("gate", 0.1 / 80.0), ("gain", 0.1 / 48.0)];
            let step = step.iter().find(|(name, _)| *name == NAMES[at]).map_or(1e-6, |(_, step)| *step);
            assert!((expected[at] - e.value()).abs() <= 0.51 * step + 1e-6, "{}: {} for {}", NAMES[at], expected[at], e.value());
        }
        let mut third = instance();
        third.load(&host.save().expect("saved")).expect("a state");
        assert_eq!(values(&mut third), expected, "round {round}");
        let flushed = other.save().expect("saved");
        third.load(&flushed).expect("a state");
        assert!(third.save().expect("saved") == flushed);
    }
}

#[test]
fn values_and_texts_turn_into_each_other() {
    let (mut host, mut random) = (instance(), StdRng::seed_from_u64(8));
    let params: PluginParams = host.extension("params").expect("parameters");
    let handle = host.plugin.plugin_handle();
    let mut text = [0u8; 256];
    for name in NAMES {
        for _ in 0..50 {
            let steps = match name {
                "mode" => 2.0,
                _ => 1.0,
            };
            let value: f64 = random.random_range(0.0..=steps);
            let shown = CString::new(params.value_to_text(&handle, id(name), value, &mut text).expect("text").to_vec()).expect("no NUL");
            let read = params.text_to_value(&handle, id(name), &shown).unwrap_or_else(|| panic!("{name}: {shown:?} is not read"));
            assert!((0.0..=steps).contains(&read), "{name}: {shown:?} is {read}");
            let mut again = [0u8; 256];
            assert_eq!(params.value_to_text(&handle, id(name), read, &mut again).expect("text"), shown.as_bytes(), "{name}");
        }
        for odd in [c"", c" ", c"nan", c"inf", c"-1e99", c"999999", c"\xff\xfe", c"Live!"] {
            if let Some(read) = params.text_to_value(&handle, id(name), odd) {
                assert!((0.0..=2.0).contains(&read), "{name}: {odd:?} is {read}");
            }
        }
        // A buffer of one byte holds no text but its end.
        let _ = params.value_to_text(&handle, id(name), 0.5, &mut text[..1]);
    }
    assert!(params.value_to_text(&handle, ClapId::new(12345), 0.5, &mut text).is_err());
    assert!(params.text_to_value(&handle, ClapId::new(12345), c"0").is_none());
    assert!(params.get_value(&handle, ClapId::new(12345)).is_none());
}

#[test]
fn what_is_no_value_and_no_parameter_changes_nothing() {
    let (mut host, _) = offline(&Settings { wet: 0.25, gain_db: 6.0, ..Settings::default() }, 48000, 256);
    let before = (values(&mut host), host.save().expect("saved"));
    let send = |host: &mut ClapHost, events: &[ParamValueEvent]| {
        let mut sound = noise(9, 256);
        host.process_with(&mut sound, &InputEvents::from_buffer(&events), false).expect("a block");
        assert!(sound.iter().flatten().all(|x| x.is_finite()));
        host.answer();
    };
    let all = |value: f64| NAMES.map(|name| ParamValueEvent::new(0, id(name), Pckn::match_all(), value));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        send(&mut host, &all(value));
    }
    send(
        &mut host,
        &[
            ParamValueEvent::new(0, ClapId::new(12345), Pckn::match_all(), 1.0),
            ParamValueEvent::new(9, ClapId::new(0), Pckn::match_all(), 0.0),
        ],
    );
    assert_eq!(values(&mut host), before.0);
    assert!(host.save().expect("saved") == before.1);
    // Beyond the ends lies the end.
    for (value, ends) in [(1e9, [1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]), (-1e9, [0.0; 10])] {
        send(&mut host, &all(value));
        assert_eq!(values(&mut host), ends);
        let saved = host.save().expect("saved");
        let mut other = instance();
        other.load(&saved).expect("it can be loaded again");
        assert_eq!(values(&mut other), ends);
    }
}

#[test]
fn events_of_another_namespace_are_not_ours() {
    let mut host = instance();
    let before = values(&mut host);
    let events = NAMES.map(|name| clap_event_param_value {
        header: clap_event_header {
            size: size_of::<clap_event_param_value>() as u32,
            time: 0,
            space_id: 0xb33f,
            type_: CLAP_EVENT_PARAM_VALUE,
            flags: 0,
        },
        param_id: id(name).get(),
        cookie: null_mut(),
        note_id: -1,
        port_index: -1,
        channel: -1,
        key: -1,
        value: 1.0 - before[NAMES.iter().position(|n| *n == name).expect("its place")].min(1.0),
    });
    unsafe extern "C" fn size(_: *const clap_sys::events::clap_input_events) -> u32 {
        NAMES.len() as u32
    }
    unsafe extern "C" fn get(list: *const clap_sys::events::clap_input_events, index: u32) -> *const clap_event_header {
        // SAFETY: the list's context is the array of events, and the index is below its size.
        unsafe { (*list).ctx.cast::<clap_event_param_value>().add(index as usize).cast() }
    }
    let list = clap_sys::events::clap_input_events { ctx: events.as_ptr().cast_mut().cast(), size: Some(size), get: Some(get) };
    let params: PluginParams = host.extension("params").expect("parameters");
    let mut inactive = host.plugin.inactive_plugin_handle().expect("an inactive plugin");
    // SAFETY: the list and its events outlive the call.
    params.flush(&mut inactive, unsafe { InputEvents::from_raw(&list) }, &mut OutputEvents::void());
    assert_eq!(values(&mut host), before);
}

// ---- States

/// Takes or gives a few bytes a call.
struct Trickle<T>(T, usize);

impl<R: Read> Read for Trickle<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 % 7 + 1;
        let n = self.1.min(buffer.len());
        self.0.read(&mut buffer[..n])
    }
}

impl<W: Write> Write for Trickle<W> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.1 = self.1 % 7 + 1;
        self.0.write(&buffer[..self.1.min(buffer.len())])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// A writer on a full disk.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        if self.0 < buffer.len() {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0 -= buffer.len();
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u64).to_le_bytes()[..], body].concat()
}

#[test]
fn a_state_goes_through_narrow_streams() {
    let settings = Settings { mode: Mode::Balanced, wet: 0.3, gain_db: -3.0, ..Settings::default() };
    let (mut host, mut other) = (instance(), instance());
    host.load(&state("Ada", &settings)).expect("a state");
    let saved = host.save().expect("saved");
    let mut dripped = Vec::new();
    host.save_to(&mut Trickle(&mut dripped, 0)).expect("saved in drops");
    assert!(dripped == saved);
    other.load_from(&mut Trickle(&dripped[..], 0)).expect("loaded in drops");
    assert!(other.save().expect("saved") == saved);
    for room in [0, 4, 8, 100] {
        assert!(host.save_to(&mut Full(room)).is_err(), "a disk that is full is told");
    }
    assert!(host.save().expect("saved") == saved);
}

/// A load that is refused changes nothing; one that isn't gives a state that comes back byte for byte. Gives whether it was taken.
fn digest(host: &mut ClapHost, bytes: &[u8]) -> bool {
    let before = host.save().expect("saved");
    if host.load(bytes).is_err() {
        assert!(host.save().expect("saved") == before, "what is refused changes nothing: {}", String::from_utf8_lossy(bytes));
        return false;
    }
    let after = host.save().expect("saved");
    host.load(&after).unwrap_or_else(|_| panic!("{} is refused", String::from_utf8_lossy(&after)));
    assert!(host.save().expect("saved") == after, "{}", String::from_utf8_lossy(&after));
    true
}

#[test]
fn no_bytes_break_a_state() {
    let mut random = StdRng::seed_from_u64(10);
    let good = state("Ada", &Settings { mode: Mode::Studio, wet: 0.5, captions: true, ..Settings::default() });
    let mut idle = instance();
    idle.load(&good).expect("a state");
    let good = idle.save().expect("saved");
    let (mut active, _) = offline(&Settings::default(), 48000, 128);
    for host in [&mut idle, &mut active] {
        for n in 0..12 {
            let rubbish: Vec<u8> = (0..1usize << n).map(|_| random.random()).collect();
            assert!(!digest(host, &rubbish) && !digest(host, &framed(&rubbish)), "random bytes are refused");
        }
        for cut in (0..20).chain([good.len() / 2, good.len() - 2, good.len() - 1]) {
            assert!(!digest(host, &good[..cut]), "a state that ends after {cut} bytes is refused");
        }
        for length in [u64::MAX, 1 << 62, 1 << 40, 1 << 31, 1 << 20, 0] {
            let lie = [&length.to_le_bytes()[..], &good[8..]].concat();
            assert_eq!(digest(host, &lie), length == 1 << 20, "a length of {length}");
        }
        for body in ["", "{}", "[]", "null", "1e999", r#"{"a": 1}"#, r#"{"version": 1, "params": [], "fields": {}}"#, r#""\ud800""#] {
            assert!(!digest(host, &framed(body.as_bytes())), "{body}");
        }
        assert!(!digest(host, &framed(&vec![b'['; 1 << 20])), "a deep one is refused");
        assert!(!digest(host, &framed(&vec![0; 8 << 20])), "a huge one is refused");
        let mut spacious = good[8..].to_vec();
        spacious.splice(1..1, vec![b' '; 4 << 20]);
        assert!(digest(host, &framed(&spacious)));
        let mut taken = 0;
        for round in 0..150 {
            let mut flipped = good.clone();
            for _ in 0..=round % 4 {
                let at = random.random_range(8..flipped.len());
                flipped[at] ^= 1 << random.random_range(0..8u32);
            }
            taken += u32::from(digest(host, &flipped));
        }
        println!("of 150 states with flipped bits {taken} were still states");
        host.load(&good).expect("the good one is taken after all that");
        assert!(host.save().expect("saved") == good);
    }
    let mut sound = noise(11, 128);
    active.answer();
    active.process(&mut sound).expect("a block");
    assert!(sound.iter().flatten().all(|x| x.is_finite()));
}

#[test]
fn numbers_that_no_parameter_has_come_in_as_ones_that_it_has() {
    for value in ["1e38", "-1e38", "1e-45", "-0.0"] {
        let (mut host, _) = offline(&Settings::default(), 48000, 128);
        let numbers = format!(
            r#"{{"version":"0.1.0","params":{{"voice":{{"bool":true}},"mode":{{"i32":77}},"mix":{{"f32":{value}}},"gain":{{"f32":{value}}},
            "gate":{{"f32":{value}}},"semis":{{"f32":{value}}},"late":{{"string":"never"}},"pitch":{{"f32":1}},"bypass":{{"i32":1}}}},"fields":{{}}}}"#
        );
        assert!(digest(&mut host, &framed(numbers.as_bytes())), "{value}");
        let tops = [1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        for ((now, top), name) in values(&mut host).iter().zip(tops).zip(NAMES) {
            assert!((0.0..=top).contains(now), "{name} is {now} for {value}");
        }
        for _ in 0..20 {
            let mut sound = noise(12, 128);
            host.process(&mut sound).expect("a block");
            assert!(sound.iter().flatten().all(|x| x.is_finite()), "{value}");
        }
    }
}

#[test]
fn states_of_older_versions_load_and_those_of_other_plugins_change_nothing() {
    let mut host = instance();
    host.load(&state("Ada", &Settings { gain_db: 6.0, ..Settings::default() })).expect("a state");
    // Without what later versions brought, with what they threw out, and with the words as the first version wrote them.
    let older = br#"{"version":"0.0.1","params":{"voice":{"bool":false},"mode":{"string":"studio"},"mix":{"f32":0.5},"gone":{"f32":1.0}},
        "fields":{"words":"[[\"hello\",1250,1750,50]]","gone":"[1]"}}"#;
    assert!(digest(&mut host, &framed(older)));
    let now = values(&mut host);
    assert_eq!((now[1], now[2], now[6]), (0.0, 2.0, 0.5));
    let words = mynah::plugin::state::transcript(&host.save().expect("saved")).expect("a state");
    assert_eq!(words.words().iter().map(|w| w.text.as_str()).collect::<Vec<_>>(), ["hello"]);
    // Plugins that are built as this one save the same kind of state, with names that are easily the same.
    let before = host.save().expect("saved");
    for other in [
        r#"{"version":"1.0.0","params":{"gain":{"f32":0.5},"mix":{"f32":0.1},"bypass":{"bool":true}},"fields":{}}"#,
        r#"{"version":"1.0.0","params":{},"fields":{"voice":"null","words":"[]","speaker":"\"X\""}}"#,
    ] {
        let _ = host.load(&framed(other.as_bytes()));
        assert!(host.save().expect("saved") == before, "{other}");
    }
}

// ---- Threads

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
