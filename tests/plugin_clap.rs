//! The plugin inside a CLAP host, in process: what a host sees and hears. The voices are identities, so that the sound can be predicted; the
//! debug build aborts when the audio thread allocates.

#[path = "common/float_mode.rs"]
mod float_mode;

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::io::Cursor;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use clack_extensions::audio_ports::{AudioPortInfoBuffer, PluginAudioPorts};
use clack_extensions::latency::{HostLatency, HostLatencyImpl, PluginLatency};
use clack_extensions::params::{ParamInfoBuffer, ParamInfoFlags, PluginParams};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::PluginState;
use clack_host::events::Pckn;
use clack_host::events::event_types::ParamValueEvent;
use clack_host::extensions::prelude::{Extension, PluginExtensionSide};
use clack_host::prelude::*;
use mynah::clock::Mode;
use mynah::engine::testing::{IdentitySource, any_voice};
use mynah::plugin::state::{Container, Settings, transcript, voice, with_voice};

#[derive(Default)]
struct Asked {
    restarts: AtomicU32,
    callbacks: AtomicU32,
}

impl SharedHandler<'_> for Asked {
    fn request_restart(&self) {
        self.restarts.fetch_add(1, Ordering::SeqCst);
    }
    fn request_process(&self) {}
    fn request_callback(&self) {
        self.callbacks.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Told {
    latency_changes: Cell<u32>,
}

impl MainThreadHandler<'_> for Told {}

impl HostLatencyImpl for Told {
    fn changed(&self) {
        self.latency_changes.set(self.latency_changes.get() + 1);
    }
}

struct Host;
impl HostHandlers for Host {
    type Shared<'a> = Asked;
    type MainThread<'a> = Told;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _: &Self::Shared<'_>) {
        builder.register::<HostLatency>();
    }
}

const ID: &CStr = c"audio.mynah.mynah";

/// A plugin in a host, with what a test does to it.
struct Rig {
    plugin: PluginInstance<Host>,
    audio: Option<PluginAudioProcessor<Host>>,
    rate: f64,
    block: u32,
}

fn entry() -> PluginEntry {
    static SOURCE: Once = Once::new();
    SOURCE.call_once(|| mynah::plugin::use_source(Arc::new(IdentitySource::default())));
    // SAFETY: the entry is this very crate's and lives as long as the process.
    unsafe { PluginEntry::load_from_raw(&mynah::clap_entry, c"/nowhere/mynah.clap") }.expect("the entry")
}

/// The host's number of a parameter.
fn id(name: &str) -> ClapId {
    let hash = name.bytes().fold(0u32, |h, b| h.wrapping_mul(31).wrapping_add(b as u32));
    ClapId::new(hash & !(1 << 31))
}

impl Rig {
    fn new(rate: f64, block: u32) -> Self {
        let info = HostInfo::new("Test", "Test", "", "1").expect("host info");
        let plugin = PluginInstance::<Host>::new(|_| Asked::default(), |_| Told::default(), &entry(), ID, &info).expect("an instance");
        Self { plugin, audio: None, rate, block }
    }

    fn extension<E: Extension<ExtensionSide = PluginExtensionSide>>(&mut self) -> E {
        self.plugin.plugin_handle().get_extension::<E>().expect("the extension")
    }

    fn render(&mut self, mode: RenderMode) {
        let render: PluginRender = self.extension();
        render.set(&self.plugin.plugin_handle(), mode).expect("the render mode");
    }

    fn load(&mut self, state: &[u8]) -> bool {
        let extension: PluginState = self.extension();
        let done = extension.load(&self.plugin.plugin_handle(), &mut Cursor::new(state)).is_ok();
        self.pump();
        done
    }

    fn save(&mut self) -> Vec<u8> {
        let extension: PluginState = self.extension();
        let mut bytes = Vec::new();
        extension.save(&self.plugin.plugin_handle(), &mut bytes).expect("a saved state");
        bytes
    }

    fn activate(&mut self) {
        let configuration = PluginAudioConfiguration { sample_rate: self.rate, min_frames_count: 1, max_frames_count: self.block };
        let mut audio: PluginAudioProcessor<Host> = self.plugin.activate(|_, _| (), configuration).expect("an activation").into();
        audio.start_processing().expect("a start");
        self.audio = Some(audio);
        self.pump();
    }

    fn deactivate(&mut self) {
        let audio = self.audio.take().expect("an active plugin");
        self.plugin.deactivate(audio.into_stopped());
    }

    /// What a host's main loop does: the callbacks asked for, and restarts.
    fn pump(&mut self) {
        while self.plugin.access_shared_handler(|asked| asked.callbacks.swap(0, Ordering::SeqCst)) > 0 {
            self.plugin.call_on_main_thread_callback();
        }
        let restarts = self.plugin.access_shared_handler(|asked| asked.restarts.swap(0, Ordering::SeqCst));
        if restarts > 0 && self.audio.is_some() {
            self.deactivate();
            self.activate();
        }
    }

    fn latency(&mut self) -> usize {
        let latency: PluginLatency = self.extension();
        latency.get(&self.plugin.plugin_handle()) as usize
    }

    fn latency_changes(&self) -> u32 {
        self.plugin.access_handler(|told| told.latency_changes.get())
    }

    fn set(&mut self, name: &str, value: f64) {
        let events = [ParamValueEvent::new(0, id(name), Pckn::match_all(), value)];
        self.process_with(&mut [vec![], vec![]], &InputEvents::from_buffer(&events));
    }

    /// Plays a block in place of the channels.
    fn process(&mut self, channels: &mut [Vec<f32>; 2]) {
        self.process_with(channels, &InputEvents::empty());
    }

    fn process_with(&mut self, channels: &mut [Vec<f32>; 2], events: &InputEvents) {
        let mut out = channels.clone();
        let (mut inputs, mut outputs) = (AudioPorts::with_capacity(2, 1), AudioPorts::with_capacity(2, 1));
        let input = inputs.with_input_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_input_only(channels.iter_mut().map(InputChannel::variable)),
        }]);
        let mut output = outputs.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(out.iter_mut().map(|c| c.as_mut_slice())),
        }]);
        let audio = self.audio.as_mut().expect("an active plugin").as_started_mut().expect("a started plugin");
        audio.process(&input, &mut output, events, &mut OutputEvents::void(), None, None).expect("a block");
        *channels = out;
    }

    /// The output of an impulse on the left channel in so many samples, in blocks of varied size.
    fn impulse(&mut self, samples: usize) -> [Vec<f32>; 2] {
        let mut heard = [Vec::new(), Vec::new()];
        let mut sizes = [self.block as usize, 1, self.block as usize / 2, 0, self.block as usize / 3].into_iter().cycle();
        while heard[0].len() < samples {
            let n = sizes.next().expect("endless").min(samples - heard[0].len());
            let mut channels = [vec![0.0; n], vec![0.0; n]];
            if heard[0].is_empty() && n > 0 {
                channels[0][0] = 1.0;
            }
            self.process(&mut channels);
            heard.iter_mut().zip(&channels).for_each(|(h, c)| h.extend(c));
        }
        heard
    }

    /// Plays silence until something holds.
    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < Duration::from_secs(20), "{what} did not come");
            let n = self.block as usize;
            self.process(&mut [vec![0.0; n], vec![0.0; n]]);
            self.pump();
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn peak_at(samples: &[f32]) -> usize {
    samples.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).map_or(0, |(i, _)| i)
}

fn state(mode: Mode, bypass: bool) -> Vec<u8> {
    with_voice(Some(&any_voice("Ada")), &Settings { mode, bypass, ..Settings::default() }, Container::Clap)
}

#[test]
fn a_scan_finds_it() {
    let entry = entry();
    let factory = entry.get_plugin_factory().expect("a factory");
    assert_eq!(factory.plugin_count(), 1);
    let descriptor = factory.plugin_descriptor(0).expect("a descriptor");
    assert_eq!((descriptor.id(), descriptor.name()), (Some(ID), Some(c"Mynah")));
    assert!(descriptor.features().any(|f| f == c"audio-effect"));
    let mut rig = Rig::new(48000.0, 512);
    let ports: PluginAudioPorts = rig.extension();
    let mut buffer = AudioPortInfoBuffer::new();
    for input in [true, false] {
        assert_eq!(ports.count(&rig.plugin.plugin_handle(), input), 1);
        assert_eq!(ports.get(&rig.plugin.plugin_handle(), 0, input, &mut buffer).expect("a port").channel_count, 2);
    }
}

#[test]
fn bypass_is_the_input_exactly_at_the_latency() {
    for (rate, block) in [(44100.0, 64), (48000.0, 1), (48000.0, 512), (96000.0, 1024), (8000.0, 333), (192000.0, 4096)] {
        let mut rig = Rig::new(rate, block);
        assert!(rig.load(&state(Mode::Live, true)));
        rig.render(RenderMode::Offline);
        rig.activate();
        let latency = rig.latency();
        let [left, right] = rig.impulse(latency + 3000);
        let others = left.iter().enumerate().filter(|(i, x)| *i != latency && **x != 0.0).count();
        assert_eq!((left[latency], others), (1.0, 0), "{rate} Hz, blocks of {block}");
        assert!(right.iter().all(|x| *x == 0.0));
        rig.deactivate();
    }
}

#[test]
fn the_voice_comes_exactly_at_the_latency() {
    for mode in Mode::ALL {
        let mut rig = Rig::new(44100.0, 256);
        assert!(rig.load(&state(mode, false)));
        rig.render(RenderMode::Offline);
        rig.activate();
        let latency = rig.latency();
        let [left, _] = rig.impulse(latency + 4000);
        assert_eq!(peak_at(&left), latency, "{mode:?}");
        assert!(left[latency] > 0.4, "{mode:?}: {}", left[latency]);
        rig.deactivate();
    }
}

#[test]
fn a_state_comes_back_and_holds_the_voice() {
    let mut rig = Rig::new(48000.0, 512);
    let settings = Settings { mode: Mode::Studio, wet: 0.25, gain_db: -6.0, gate_dbfs: -50.0, captions: true, ..Settings::default() };
    assert!(rig.load(&with_voice(Some(&any_voice("Ada")), &settings, Container::Clap)));
    let saved = rig.save();
    assert_eq!(voice(&saved).expect("a state"), Some(any_voice("Ada")));
    let params: PluginParams = rig.extension();
    for (name, expected) in [("mode", 2.0), ("mix", 0.25), ("gain", 0.375), ("gate", 0.375), ("capt", 1.0), ("bypass", 0.0)] {
        let value = params.get_value(&rig.plugin.plugin_handle(), id(name)).expect("a value");
        assert!((value - expected).abs() < 1e-6, "{name}: {value}");
    }
    let mut other = Rig::new(48000.0, 512);
    assert!(other.load(&saved));
    assert_eq!(other.save(), saved);
    assert!(!other.load(b"\x05\0\0\0\0\0\0\0{bad}"), "nonsense is refused");
    assert!(!other.load(b"\xff\xff"), "a cut state is refused");
    assert_eq!(other.save(), saved, "and changes nothing");
}

#[test]
fn every_parameter_reads_its_own_text() {
    let mut rig = Rig::new(48000.0, 512);
    let params: PluginParams = rig.extension();
    let mut info = ParamInfoBuffer::new();
    let handle = rig.plugin.plugin_handle();
    let count = params.count(&handle);
    assert_eq!(count, 10);
    let mut bypasses = 0;
    for index in 0..count {
        let p = params.get_info(&handle, index, &mut info).expect("a parameter");
        bypasses += u32::from(p.flags.contains(ParamInfoFlags::IS_BYPASS));
        let (number, values) = (p.id, [p.min_value, (p.min_value + p.max_value) / 2.0, p.max_value, p.default_value]);
        for value in values {
            let (mut text, mut again) = ([0u8; 256], [0u8; 256]);
            let text = CString::new(params.value_to_text(&handle, number, value, &mut text).expect("text").to_vec()).expect("no NUL");
            let back = params.text_to_value(&handle, number, &text).unwrap_or_else(|| panic!("{text:?} is not read back"));
            let again = params.value_to_text(&handle, number, back, &mut again).expect("text");
            assert_eq!(again, text.as_bytes());
        }
    }
    assert_eq!(bypasses, 1);
}

#[test]
fn a_change_of_mode_moves_the_latency_once() {
    let mut rig = Rig::new(48000.0, 256);
    assert!(rig.load(&state(Mode::Live, false)));
    rig.activate();
    let live = rig.latency();
    let changes = rig.latency_changes();
    rig.set("mode", 2.0);
    rig.until("the new latency", |rig| rig.latency() != live && rig.latency_changes() > changes);
    let studio = rig.latency();
    assert!(studio > live);
    let settled = Instant::now();
    rig.until("a quiet second", |_| settled.elapsed() > Duration::from_secs(1));
    assert_eq!((rig.latency(), rig.latency_changes()), (studio, changes + 1));
    let mut fresh = Rig::new(48000.0, 256);
    assert!(fresh.load(&state(Mode::Studio, false)));
    fresh.activate();
    assert_eq!(fresh.latency(), studio, "the same as where the project begins with it");
}

#[test]
fn rates_and_blocks_change_in_mid_session() {
    let mut rig = Rig::new(44100.0, 512);
    assert!(rig.load(&state(Mode::Live, true)));
    rig.render(RenderMode::Offline);
    for (rate, block) in [(44100.0, 512), (48000.0, 128), (48000.0, 128), (96000.0, 2048), (384000.0, 512), (44100.0, 512)] {
        (rig.rate, rig.block) = (rate, block);
        rig.activate();
        let latency = rig.latency();
        let [left, _] = rig.impulse(latency + 100);
        assert_eq!((peak_at(&left), left[latency]), (latency, 1.0), "{rate} Hz, blocks of {block}");
        assert_eq!(latency == 0, rate > 192000.0, "above the highest rate it plays dry without delay");
        rig.deactivate();
    }
}

#[test]
fn a_loaded_state_changes_the_voice_while_sound_runs() {
    let mut rig = Rig::new(48000.0, 480);
    rig.activate();
    assert!(rig.load(&with_voice(Some(&any_voice("Grace Brewster")), &Settings::default(), Container::Clap)));
    rig.until("the voice", |_| {
        let report = mynah::plugin::diagnostics::report();
        let instances = report["instances"].as_array().expect("instances").clone();
        instances.iter().any(|i| i["engine"]["voice"] == "Grace Brewster" && i["engine"]["state"] == "ready")
    });
    assert!(transcript(&rig.save()).expect("a state").words().is_empty());
}

#[test]
fn the_hosts_own_float_mode_is_left_as_it_was_and_inside_denormals_are_zeros() {
    let usual = float_mode::get();
    for mode in float_mode::MODES {
        float_mode::set(mode);
        let mut rig = Rig::new(48000.0, 256);
        let loaded = rig.load(&state(Mode::Live, false));
        rig.activate();
        let around = float_mode::get();
        let mut heard = Vec::new();
        for _ in 0..40 {
            let mut channels = [vec![1e-40; 256], vec![-1e-40; 256]];
            rig.process(&mut channels);
            heard.extend(channels.concat());
        }
        let processed = float_mode::get();
        rig.deactivate();
        drop(rig);
        let after = float_mode::get();
        // Whatever comes of it, the rest of this thread computes as usual.
        float_mode::set(usual);
        assert!(loaded);
        assert_eq!([around, processed, after], [mode; 3], "loading, processing and unloading leave the register alone");
        assert!(heard.iter().all(|y| *y == 0.0), "a denormal came through");
    }
}

#[test]
fn what_is_no_sound_stays_out_and_many_instances_live() {
    let mut rigs: Vec<Rig> = (0..4).map(|_| Rig::new(48000.0, 256)).collect();
    for rig in &mut rigs {
        assert!(rig.load(&state(Mode::Live, false)));
        rig.activate();
        rig.process(&mut [vec![f32::NAN; 256], vec![f32::INFINITY; 256]]);
        for _ in 0..100 {
            let mut channels = [vec![1e-40; 256], vec![-1e-40; 256]];
            rig.process(&mut channels);
            assert!(channels.iter().flatten().all(|x| x.is_finite()));
        }
    }
    rigs.drain(1..).for_each(drop);
    rigs[0].process(&mut [vec![0.0; 256], vec![0.0; 256]]);
}
