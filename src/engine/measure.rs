//! How quick the engine is on this machine: a hop against its budget and against a bare loop over the same network, the
//! audio thread's own cost. Knows no files but the network's; prints nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor};
use serde::Serialize;

use super::{Engine, HopLoop, OpenError, Setup, Source};
use mynah_dsp::denormals::FlushDenormals;
use mynah_models::runtime::{Placement, Provider, RuntimeError, Session, SessionOptions};
use mynah_realtime::clock::{ConverterTiming, Mode, Timing};
use mynah_realtime::{Block, Mix, Rendering};
use mynah_voice::mynah::{self, Alone, Isa};
use mynah_voice::{Controls, ConvertError, Converter, TargetVoice};

/// Host rate of all measurements in Hz.
pub const HOST_RATE: u32 = 48000;
/// Hops before the clock counts.
const WARM: usize = 50;
/// Seconds of silence before its hops are timed, and seconds of them.
const SILENCE: (f64, f64) = (4.0, 2.0);

/// Times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Spread {
    /// Half of all are at most this.
    pub p50: f64,
    /// 95 of 100.
    pub p95: f64,
    /// 99 of 100.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Spread {
    /// Of a set of times; all 0 where there are none.
    pub fn of(times: &[f64]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at =
            |share: f64| sorted.get(((sorted.len() as f64 * share).ceil() as usize).max(1) - 1).copied().unwrap_or(0.0);
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) }
    }
}

/// How long the hops of a mode take, in seconds, on one thread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HopTimes {
    /// A hop's duration: it must be converted in less.
    pub budget: f64,
    /// All of a hop: resampling, cutting, features, graph, synthesis, resampling.
    pub hop: Spread,
    /// The converter alone: features, graph, synthesis.
    pub converter: Spread,
    /// All of a hop once silence has lasted for a while: the converter need not compute what it just has.
    pub silent: Spread,
    /// A bare loop over the same network, between the same hops: of what runs it, the code in Rust or ONNX Runtime.
    /// None where no network was given.
    pub bare: Option<Spread>,
    /// What the engine adds around the converter, against the bare loop: `1 + (hop − converter) / bare`, the median of
    /// all hops.
    pub engine_over_bare: Option<f64>,
    /// All of a hop against the bare loop, features and synthesis included: the median of all hops.
    pub hop_over_bare: Option<f64>,
}

/// Passes hops on and takes the time.
struct Timed {
    inner: Box<dyn Converter>,
    /// Nanoseconds of the last hop.
    last: Arc<std::sync::atomic::AtomicU64>,
}

impl Converter for Timed {
    fn timing(&self) -> ConverterTiming {
        self.inner.timing()
    }

    fn reset(&mut self, hop_index: u64) {
        self.inner.reset(hop_index);
    }

    fn process(&mut self, input: &[f32], controls: &Controls, output: &mut [f32]) -> Result<(), ConvertError> {
        let began = Instant::now();
        let outcome = self.inner.process(input, controls, output);
        self.last.store(began.elapsed().as_nanos() as u64, std::sync::atomic::Ordering::Relaxed);
        outcome
    }

    fn set_voice(&mut self, voice: &TargetVoice) {
        self.inner.set_voice(voice);
    }

    fn renders(&mut self, renders: bool) {
        self.inner.renders(renders);
    }
}

/// A voice to measure with: what is measured does not depend on whose it is.
pub fn some_voice() -> TargetVoice {
    TargetVoice { name: "bench".to_owned(), embedding: vec![1.0 / 16.0; 256], median_pitch: 200.0, timbres: Vec::new() }
}

/// An engine to measure with: mono at [`HOST_RATE`], on the processor, without captions.
pub(super) fn some_setup(mode: Mode, max_block: usize) -> Setup {
    let voice = Some(some_voice());
    Setup { host_rate: HOST_RATE, max_block, channels: 1, mode, provider: Provider::Cpu, voice, captions: false }
}

/// What a live host says of a block.
pub(super) fn live_block() -> Block<Controls> {
    Block {
        controls: Controls::default(),
        mix: Mix::default(),
        rendering: Rendering::Live,
        song: None,
        captions: false,
    }
}

/// A buzz of 120 Hz that swells four times a second: voiced and not silent, as speech is.
pub fn some_speech(rate: u32, samples: usize) -> Vec<f32> {
    let at = |i: usize| {
        let t = i as f32 / rate as f32;
        let swell = 0.5 - 0.5 * (t * 4.0 * std::f32::consts::TAU).cos();
        let buzz: f32 = (1..20).map(|k| (t * 120.0 * k as f32 * std::f32::consts::TAU).sin() / k as f32).sum();
        0.2 * swell * buzz
    };
    (0..samples).map(at).collect()
}

/// Measures so many hops of a mode at 48 kHz on the calling thread. With a network, the file of weights or a graph, a
/// bare loop on the same provider runs between the hops, one run a hop.
///
/// Fails where the provider can't be used, instead of measuring another.
pub fn hop_times(
    source: &dyn Source,
    mode: Mode,
    provider: Provider,
    hops: usize,
    network: Option<&Path>,
) -> Result<HopTimes, OpenError> {
    let _flush = FlushDenormals::new();
    let last = Arc::new(std::sync::atomic::AtomicU64::new(0));
    source.measure(mode, provider)?;
    let opened = source.open(mode, &some_voice(), provider)?;
    if opened.provider != provider {
        return Err(OpenError(opened.note.unwrap_or_else(|| format!("{provider} can't be used here; choose cpu"))));
    }
    let converter = opened.converter.timing();
    let timing = Timing { host_rate: HOST_RATE, max_block: 128, converter, slack: source.slack(mode, provider) };
    let mut hop_loop = HopLoop::new(Box::new(Timed { inner: opened.converter, last: last.clone() }), &timing);
    // An answer of a server that comes late is a time too.
    hop_loop.renders(true);
    let frames = frames(source, converter);
    let options = SessionOptions { provider, ..SessionOptions::default() };
    let mut bare = network.map(|file| Bare::open(file, mode, frames, &options)).transpose()?;
    let hop_host = converter.hop * HOST_RATE as usize / converter.rate as usize;
    let sound = some_speech(HOST_RATE, hop_host * 100);
    let (mut whole, mut inner, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for (n, input) in sound.chunks_exact(hop_host).cycle().take(hops + WARM).enumerate() {
        let began = Instant::now();
        hop_loop.push(input);
        let mut stepped = false;
        while hop_loop.step(&Controls::default()).map_err(|e| OpenError(e.to_string()))?.is_some() {
            stepped = true;
        }
        let took = began.elapsed().as_secs_f64();
        let bare_took = bare.as_mut().map(Bare::run).transpose().map_err(|e| OpenError(e.to_string()))?;
        if n >= WARM && stepped {
            whole.push(took);
            inner.push(last.load(std::sync::atomic::Ordering::Relaxed) as f64 * 1e-9);
            plain.extend(bare_took);
        }
    }
    let silent = silent_hops(&mut hop_loop, hop_host, (converter.hop as f64 / converter.rate as f64).recip())?;
    let median = |f: &dyn Fn(usize) -> f64| Spread::of(&(0..plain.len()).map(f).collect::<Vec<_>>()).p50;
    Ok(HopTimes {
        budget: converter.hop as f64 / converter.rate as f64,
        hop: Spread::of(&whole),
        converter: Spread::of(&inner),
        silent,
        bare: bare.is_some().then(|| Spread::of(&plain)),
        engine_over_bare: bare.is_some().then(|| median(&|i| 1.0 + (whole[i] - inner[i]) / plain[i])),
        hop_over_bare: bare.is_some().then(|| median(&|i| whole[i] / plain[i])),
    })
}

/// Frames of the graph in a hop of this timing.
fn frames(source: &dyn Source, timing: ConverterTiming) -> usize {
    source.timing(Mode::Live).map_or(1, |live| timing.hop / live.hop.max(1)).max(1)
}

/// Where the nodes of a mode's graph run when a provider is asked for, and what that takes: watched over some runs.
/// Takes up to seconds.
pub fn placement(source: &dyn Source, mode: Mode, provider: Provider, graph: &Path) -> Result<Placement, OpenError> {
    let options = SessionOptions { provider, ..SessionOptions::default() };
    let session = Session::load_watched(graph, &options)?;
    let mut bare = BareGraph::new(session, frames(source, source.timing(mode)?))?;
    for _ in 0..WARM {
        bare.run().map_err(|e| OpenError(e.to_string()))?;
    }
    Ok(bare.session.placement(WARM)?)
}

/// How long a run of a hop of the network in Rust takes with each of this processor's sets of instructions, by name.
pub fn network_times(weights: &Path, mode: Mode, runs: usize) -> Result<Vec<(&'static str, Spread)>, OpenError> {
    let _flush = FlushDenormals::new();
    let time = |isa: Isa| {
        let mut network = Alone::open(weights, mode, isa)?;
        let mut times = Vec::with_capacity(runs);
        for n in 0..WARM + runs {
            let began = Instant::now();
            network.run();
            if n >= WARM {
                times.push(began.elapsed().as_secs_f64());
            }
        }
        Ok((isa.name(), Spread::of(&times)))
    };
    mynah::instructions().into_iter().map(time).collect()
}

/// Times hops of silence, `rate` of them a second.
fn silent_hops(hops: &mut HopLoop, hop_host: usize, rate: f64) -> Result<Spread, OpenError> {
    let (silence, mut times) = (vec![0.0; hop_host], Vec::new());
    for n in 0..((SILENCE.0 + SILENCE.1) * rate) as usize {
        let began = Instant::now();
        hops.push(&silence);
        while hops.step(&Controls::default()).map_err(|e| OpenError(e.to_string()))?.is_some() {}
        if n as f64 >= SILENCE.0 * rate {
            times.push(began.elapsed().as_secs_f64());
        }
    }
    Ok(Spread::of(&times))
}

/// What runs the network and nothing else, on inputs that do not change.
enum Bare {
    Network(Box<Alone>),
    Graph(BareGraph),
}

impl Bare {
    fn open(file: &Path, mode: Mode, frames: usize, options: &SessionOptions) -> Result<Self, OpenError> {
        if file.extension().is_some_and(|e| e == "safetensors") {
            return Ok(Bare::Network(Box::new(Alone::open(file, mode, Isa::best())?)));
        }
        Ok(Bare::Graph(BareGraph::new(Session::load(file, options)?, frames)?))
    }

    /// One run; gives the seconds.
    fn run(&mut self) -> Result<f64, ConvertError> {
        match self {
            Bare::Network(network) => {
                let began = Instant::now();
                network.run();
                Ok(began.elapsed().as_secs_f64())
            }
            Bare::Graph(graph) => graph.run(),
        }
    }
}

/// ONNX Runtime on a graph, its states handed from output to input.
struct BareGraph {
    session: Session,
    inputs: Vec<(String, DynValue)>,
}

impl BareGraph {
    fn new(mut session: Session, frames: usize) -> Result<Self, RuntimeError> {
        let path = session.path().to_owned();
        let failed = |why: String| RuntimeError::Model { path: path.clone(), why };
        let mut inputs = Vec::new();
        for outlet in session.ort().inputs() {
            let shape =
                outlet.dtype().tensor_shape().ok_or_else(|| failed(format!("`{}` is no tensor", outlet.name())))?;
            let shape: Vec<i64> = shape.iter().map(|&n| if n > 0 { n } else { frames as i64 }).collect();
            let numbers = vec![0.1f32; shape.iter().product::<i64>() as usize];
            let value = Tensor::from_array((shape, numbers)).map_err(|e| failed(e.to_string()))?.into_dyn();
            inputs.push((outlet.name().to_owned(), value));
        }
        Ok(Self { session, inputs })
    }

    /// One run; gives the seconds.
    fn run(&mut self) -> Result<f64, ConvertError> {
        let began = Instant::now();
        let inputs: Vec<(&str, SessionInputValue)> =
            self.inputs.iter().map(|(name, value)| (name.as_str(), value.into())).collect();
        let mut outputs = self.session.ort().run(inputs).map_err(|e| ConvertError::Run(e.to_string()))?;
        for (name, value) in &mut self.inputs {
            if let Some(next) = outputs.remove(format!("{name}_out")) {
                *value = next;
            }
        }
        Ok(began.elapsed().as_secs_f64())
    }
}

/// What the audio thread itself spends on a block.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PortCost {
    /// Samples a block.
    pub block: usize,
    /// Seconds that a block lasts.
    pub lasts: f64,
    /// Seconds that `AudioPort::process` takes.
    pub process: Spread,
    /// Hops that were late meanwhile.
    pub late_hops: u64,
    /// Hops that were converted meanwhile.
    pub hops: u64,
}

/// Sends mono blocks in real time, at 48 kHz in the live mode, and takes the time of each `process`.
pub fn port_cost(source: Arc<dyn Source>, block: usize, seconds: f64) -> Result<PortCost, OpenError> {
    let (engine, mut port) = Engine::start(some_setup(Mode::Live, block), source)?;
    engine.wait_ready(Duration::from_secs(60))?;
    let _flush = FlushDenormals::new();
    let lasts = block as f64 / HOST_RATE as f64;
    let blocks = (seconds / lasts) as usize;
    let mut sound = some_speech(HOST_RATE, block * 375);
    let about = live_block();
    port.reset();
    let began = Instant::now();
    let mut times = Vec::with_capacity(blocks);
    for n in 0..blocks {
        let due = Duration::from_secs_f64(n as f64 * lasts);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let from = n % 375 * block;
        let before = Instant::now();
        port.process(&mut [&mut sound[from..from + block]], &about);
        times.push(before.elapsed().as_secs_f64());
    }
    let counters = port.shared().counters();
    Ok(PortCost { block, lasts, process: Spread::of(&times), late_hops: counters.late_hops, hops: counters.hops })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::IdentitySource;

    #[test]
    fn a_spread_is_that_of_its_times() {
        let times: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(Spread::of(&times), Spread { p50: 50.0, p95: 95.0, p99: 99.0, max: 100.0 });
        assert_eq!(Spread::of(&[7.0]), Spread { p50: 7.0, p95: 7.0, p99: 7.0, max: 7.0 });
        assert_eq!(Spread::of(&[]), Spread::default());
    }

    #[test]
    fn hops_and_blocks_are_counted() {
        let source = IdentitySource::default();
        source.faults.stall_ms.store(1, std::sync::atomic::Ordering::Relaxed);
        let times = hop_times(&source, Mode::Live, Provider::Cpu, 20, None).expect("measured");
        assert_eq!(times.budget, 0.01);
        assert!(times.converter.p50 >= 0.001 && times.hop.p50 >= times.converter.p50, "{times:?}");
        let cost = port_cost(Arc::new(IdentitySource::default()), 64, 0.5).expect("measured");
        assert!(cost.hops >= 45 && cost.process.max > 0.0, "{cost:?}");
    }
}
