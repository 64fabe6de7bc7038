//! The rules that a CLAP plugin is held to, in process: what the published lists of clap-validator and of pluginval at
//! strictness 10 ask, as far as it concerns this plugin, and what a host does that is no gentleman. The voices are
//! identities; the debug build aborts when the audio thread allocates. Knows nothing of models.

mod automation;
#[path = "../common/library.rs"]
mod library;
#[path = "../common/linked.rs"]
mod linked;
mod parameters;
mod raw;
mod scan;
mod schedule;
mod sound;
mod states;
mod threads;

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char, c_void};
use std::io::{Read, Write};
use std::ptr::{null, null_mut};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use clack_extensions::params::{ParamInfoBuffer, PluginParams};
use clack_extensions::tail::{PluginTail, TailLength};
use clack_host::events::event_types::ParamValueEvent;
use clack_host::events::{Event, Pckn};
use clack_host::prelude::*;
use clap_host::{ClapHost, ID, id};
use clap_sys::audio_buffer::clap_audio_buffer;
use clap_sys::events::{CLAP_EVENT_PARAM_VALUE, clap_event_header, clap_event_param_value};
use clap_sys::factory::plugin_factory::clap_plugin_factory;
use clap_sys::host::clap_host as RawHost;
use clap_sys::plugin::clap_plugin;
use clap_sys::process::{CLAP_PROCESS_ERROR, clap_process};
use clap_sys::version::CLAP_VERSION;
use mynah::clock::Mode;
use mynah::engine::testing::{Faults, INVERTED, IdentitySource, any_voice};
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
    linked::host()
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
            let value = if info.flags.contains(clack_extensions::params::ParamInfoFlags::IS_STEPPED) {
                value.round()
            } else {
                value
            };
            ParamValueEvent::new(random.random_range(0..samples.max(1)), info.id, Pckn::match_all(), value)
        })
        .collect();
    events.sort_by_key(|e| e.header().time());
    events
}
