//! `mynah bench`: speed, overhead and latency on this machine, as a table or as JSON.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use mynah::audio::{self, Sound};
use mynah::clock::{Latency, Mode, Timing, latency};
use mynah::dsp::resample::resample_all;
use mynah::engine::measure::{HOST_RATE, HopTimes, PortCost, Spread, hop_times, network_times, port_cost, some_speech};
use mynah::engine::offline::Pace;
use mynah::engine::scale::{Load, Playing, first_sound, load};
use mynah::engine::{PackSource, Source, offline};
use mynah::packs::{Kind, Store};
use mynah::recognition::stream::Settings;
use mynah::runtime::{Placement, Provider};

use super::convert::ModeName;
use super::terminal::{Failure, Outcome, bar, say, say_json};

/// What `bench` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Hops that are measured in each mode
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=100_000), value_name = "N")]
    hops: u32,
    /// What computes the voice: cpu, cuda, tensorrt, directml, coreml, openvino or webgpu, as far as the runtime pack
    /// in use has it
    #[arg(long, default_value_t, value_name = "NAME")]
    provider: Provider,
    /// A recording to caption; without it the first of the pack `recordings`
    #[arg(long, value_name = "FILE", value_parser = super::given::path())]
    recording: Option<PathBuf>,
    /// Also so many engines at once, up to this many: late hops, processors and memory
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64), value_name = "N")]
    engines: Option<u8>,
    /// The mode of these engines
    #[arg(long, value_enum, default_value_t = ModeName::Balanced)]
    mode: ModeName,
}

/// What the engine may add to a bare loop of ONNX Runtime.
const GOAL_OVER_BARE: f64 = 1.05;
/// What it may add to the voice, as a share of a hop's time, where the network is quicker than that.
const GOAL_ENGINE_SHARE: f64 = 0.01;
/// Share of a block of 64 samples that the audio thread may spend.
const GOAL_PORT_SHARE: f64 = 0.01;
const PORT_BLOCK: usize = 64;
const PORT_SECONDS: f64 = 5.0;
/// The host block of the latency table.
const LATENCY_BLOCK: usize = 128;
/// Seconds from the start to the first converted sound.
const GOAL_FIRST_SOUND: f64 = 1.5;
/// What one instance in live mode with captions may hold, in MiB.
const GOAL_MEMORY: f64 = 400.0;
/// Seconds that engines are played to see what they cost.
const SCALE_SECONDS: f64 = 5.0;
/// Seconds of the recording that are captioned.
const CAPTION_SECONDS: usize = 30;

#[derive(Debug, Serialize)]
struct Report {
    cpu: String,
    /// What computed the hops of `modes`.
    provider: Provider,
    processors: usize,
    optimised: bool,
    modes: Vec<ModeReport>,
    audio_thread: PortCost,
    audio_thread_share: f64,
    captions: Option<CaptionReport>,
    /// Seconds from the start of a first engine to the first converted sound in live mode.
    first_sound: f64,
    /// One engine in live mode that captions the recording too, measured before anything else was loaded.
    with_captions: Option<Load>,
    /// Several engines at once.
    engines: Vec<Load>,
    /// Goals that were missed; each one sentence.
    missed: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ModeReport {
    mode: &'static str,
    hop: HopTimes,
    /// The same hops where ONNX Runtime runs the voice's graph; none where it did so already.
    as_graph: Option<HopTimes>,
    /// The network alone with each set of instructions that the processor has and it is quick with.
    instructions: Vec<Instructions>,
    /// Share of real time that the voice takes: p50 of a hop over its budget.
    rtf: f64,
    latency: LatencyReport,
    /// What the provider runs of the graph, and what fell back; none for the processor, which runs all.
    placement: Option<Placement>,
}

/// A run of the network that is a hop long, in seconds.
#[derive(Debug, Serialize)]
struct Instructions {
    name: &'static str,
    run: Spread,
}

/// In milliseconds at 48 kHz and blocks of 128 samples; `samples` is what the host is told.
#[derive(Debug, Serialize)]
struct LatencyReport {
    samples: usize,
    total: f64,
    hop: f64,
    look_ahead: f64,
    resampling: f64,
    block: f64,
    slack: f64,
}

#[derive(Debug, Serialize)]
struct CaptionReport {
    seconds: f64,
    took: f64,
    rtf: f64,
    words: usize,
}

impl From<Latency> for LatencyReport {
    fn from(l: Latency) -> Self {
        let ms = |samples: usize| samples as f64 / HOST_RATE as f64 * 1e3;
        Self {
            samples: l.total,
            total: ms(l.total),
            hop: ms(l.hop),
            look_ahead: ms(l.look_ahead),
            resampling: ms(l.resample_in + l.resample_out),
            block: ms(l.block),
            slack: ms(l.slack),
        }
    }
}

/// Runs it.
pub fn run(a: &Arguments) -> Outcome {
    let source: Arc<PackSource> = Arc::new(PackSource::standard());
    let any: Arc<dyn Source> = source.clone();
    // First of all, while nothing is loaded.
    let first_sound = first_sound(&any, Mode::Live)?;
    let recording = speech(a)?;
    let with_captions = recording.as_ref().map(|sound| with_captions(sound, &any)).transpose()?;
    let counts: Vec<usize> = a.engines.map_or_else(Vec::new, |most| {
        let most = usize::from(most);
        std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|&n| n < most).chain([most]).collect()
    });
    let steps = bar((Mode::ALL.len() + 2 + counts.len()) as u64, "measuring {msg} {wide_bar} {pos}/{len}");
    let (mut modes, graphs) = (Vec::new(), PackSource::standard().graphs_alone());
    for mode in Mode::ALL {
        steps.set_message(mode.name());
        let hops = a.hops as usize;
        // A server has no bare loop to compare with.
        let bare = source.voice_network(mode, a.provider)?.filter(|_| a.provider.server().is_none());
        let hop = hop_times(&*source, mode, a.provider, hops, bare.as_deref())?;
        let graph = graphs.voice_network(mode, a.provider)?;
        let weights = bare.filter(|file| graph.as_ref().is_some_and(|graph| graph != file));
        let as_graph =
            weights.as_ref().map(|_| hop_times(&graphs, mode, a.provider, hops, graph.as_deref())).transpose()?;
        let times = weights.map_or_else(|| Ok(Vec::new()), |file| network_times(&file, mode, hops))?;
        let instructions = times.into_iter().map(|(name, run)| Instructions { name, run }).collect();
        let placement = if a.provider == Provider::Cpu { None } else { source.placement(mode, a.provider)? };
        let timing = Timing {
            host_rate: HOST_RATE,
            max_block: LATENCY_BLOCK,
            converter: source.timing(mode)?,
            slack: source.slack(mode, a.provider),
        };
        let (rtf, latency) = (hop.hop.p50 / hop.budget, latency(&timing).into());
        modes.push(ModeReport { mode: mode.name(), hop, as_graph, instructions, rtf, latency, placement });
        steps.inc(1);
    }
    steps.set_message("the audio thread");
    let audio_thread = port_cost(source.clone(), PORT_BLOCK, PORT_SECONDS)?;
    steps.inc(1);
    steps.set_message("captions");
    let captions = recording.as_ref().map(|sound| captions(sound, &*source)).transpose()?;
    let mut engines = Vec::new();
    let sound = some_speech(HOST_RATE, HOST_RATE as usize);
    for n in counts {
        steps.inc(1);
        steps.set_message(format!("{n} at once"));
        engines.push(load(
            &any,
            &Playing { engines: n, mode: a.mode.into(), captions: false, sound: &sound, seconds: SCALE_SECONDS },
        )?);
    }
    steps.finish_and_clear();
    let audio_thread_share = audio_thread.process.p50 / audio_thread.lasts;
    let mut missed = missed(&modes, &audio_thread, audio_thread_share, captions.as_ref());
    if first_sound > GOAL_FIRST_SOUND {
        missed
            .push(format!("the first converted sound comes after {first_sound:.2} s, later than {GOAL_FIRST_SOUND} s"));
    }
    if let Some(held) = with_captions.and_then(|l| l.memory).map(mebibytes).filter(|&m| m > GOAL_MEMORY) {
        missed.push(format!("one instance with captions holds {held:.0} MiB, more than {GOAL_MEMORY}"));
    }
    let report = Report {
        cpu: cpu(),
        provider: a.provider,
        processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        optimised: !cfg!(debug_assertions),
        modes,
        audio_thread,
        audio_thread_share,
        captions,
        first_sound,
        with_captions,
        engines,
        missed,
    };
    if a.json { say_json(&report) } else { table(&report) }
}

/// The beginning of the recording to measure with; none where there is none.
fn speech(a: &Arguments) -> Result<Option<Sound>, Failure> {
    let Some(path) = a.recording.clone().or_else(recording) else { return Ok(None) };
    let mut sound = audio::read(&path)?;
    cut(&mut sound, CAPTION_SECONDS);
    Ok(Some(sound))
}

fn with_captions(sound: &Sound, source: &Arc<dyn Source>) -> Result<Load, Failure> {
    let sound = resample_all(&sound.mono(), sound.rate, HOST_RATE);
    Ok(load(source, &Playing { engines: 1, mode: Mode::Live, captions: true, sound: &sound, seconds: SCALE_SECONDS })?)
}

fn captions(sound: &Sound, source: &dyn Source) -> Result<CaptionReport, Failure> {
    let mut began = None;
    let said = offline::caption(sound, source, &Settings::default(), Pace::Whole, &mut |_, _| {
        began.get_or_insert_with(std::time::Instant::now);
    })?;
    // The first step of 0.1 s is heard before the clock runs: loading is not counted.
    let took = began.map_or(0.0, |b| b.elapsed().as_secs_f64());
    Ok(CaptionReport { seconds: sound.seconds(), took, rtf: took / sound.seconds(), words: said.words.len() })
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}

fn cut(sound: &mut Sound, seconds: usize) {
    let frames = sound.rate as usize * seconds;
    sound.channels.iter_mut().for_each(|c| c.truncate(frames));
}

fn recording() -> Option<PathBuf> {
    let pack = Store::standard().find(Kind::Recordings, None).ok()?;
    let name = pack.manifest().installed().map(|(name, _)| name.to_string()).find(|name| name.ends_with(".wav"))?;
    pack.file(&name).ok()
}

/// The processor's name where the system tells it.
fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .and_then(|l| l.split_once(':'))
        .map(|(_, n)| n.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn missed(modes: &[ModeReport], port: &PortCost, share: f64, captions: Option<&CaptionReport>) -> Vec<String> {
    let mut missed = Vec::new();
    for m in modes {
        if m.hop.hop.p99 > m.hop.budget {
            missed.push(format!(
                "{}: p99 of a hop is {:.2} ms, over its {:.0} ms",
                m.mode,
                m.hop.hop.p99 * 1e3,
                m.hop.budget * 1e3
            ));
        }
        let added = m.hop.hop.p50 - m.hop.converter.p50;
        if m.as_graph.is_some() && added > GOAL_ENGINE_SHARE * m.hop.budget {
            missed.push(format!("{}: the engine adds {:.3} ms to the voice, over 1 % of a hop", m.mode, added * 1e3));
        }
        // Of ONNX Runtime's: a tenth of a millisecond of resampling is much beside the network in Rust.
        let graph = m.as_graph.as_ref().unwrap_or(&m.hop);
        if let Some(ratio) = graph.engine_over_bare.filter(|&r| r > GOAL_OVER_BARE) {
            missed.push(format!("{}: the engine takes {ratio:.3} of a bare loop, over {GOAL_OVER_BARE}", m.mode));
        }
    }
    if share > GOAL_PORT_SHARE {
        missed
            .push(format!("the audio thread spends {:.2} % of a block of {PORT_BLOCK} samples, over 1 %", share * 1e2));
    }
    if port.late_hops > 0 {
        missed.push(format!("{} hops were late in real time while {} were converted", port.late_hops, port.hops));
    }
    if let Some(c) = captions.filter(|c| c.rtf > 1.0) {
        missed.push(format!("captions take {:.2} of real time", c.rtf));
    }
    missed
}

fn table(r: &Report) -> Outcome {
    say(&format!(
        "{}, {} processors{}",
        r.cpu,
        r.processors,
        if r.optimised { "" } else { "; NOT an optimised build: the figures don't count" }
    ))?;
    say(&format!("\nA hop in ms, one thread, {}", r.provider))?;
    say("mode       budget    p50    p95    p99    max    RTF  silent p50  converter p50  bare p50  engine/bare  \
         hop/bare")?;
    let rows = r
        .modes
        .iter()
        .flat_map(|m| std::iter::once((m.mode, &m.hop)).chain(m.as_graph.iter().map(|h| (" as graph", h))));
    for (name, h) in rows {
        let ms = 1e3;
        say(&format!(
            "{:9} {:7.1} {:6.2} {:6.2} {:6.2} {:6.2} {:6.3} {:11.2} {:14.2} {:9.2} {:12.3} {:9.3}",
            name,
            h.budget * ms,
            h.hop.p50 * ms,
            h.hop.p95 * ms,
            h.hop.p99 * ms,
            h.hop.max * ms,
            h.hop.p50 / h.budget,
            h.silent.p50 * ms,
            h.converter.p50 * ms,
            h.bare.unwrap_or_default().p50 * ms,
            h.engine_over_bare.unwrap_or_default(),
            h.hop_over_bare.unwrap_or_default(),
        ))?;
    }
    for (mode, placement) in r.modes.iter().filter_map(|m| Some((m.mode, m.placement.as_ref()?))) {
        say(&format!("{mode}: {}", placement.sentence()))?;
    }
    say("silent: the whole hop where the input has been silent for four seconds;")?;
    say("as graph: the same hops where ONNX Runtime runs the voice's graph instead of Mynah its network;")?;
    say("converter: features, network and synthesis; bare: the network alone, or ONNX Runtime alone on the graph, \
         between the same hops;")?;
    say("engine/bare: 1 + (hop − converter) / bare; hop/bare: the whole hop, features and synthesis included")?;
    for m in r.modes.iter().filter(|m| !m.instructions.is_empty()) {
        let each = m
            .instructions
            .iter()
            .map(|i| format!("{} {:.3} ms p50, {:.3} p99", i.name, i.run.p50 * 1e3, i.run.p99 * 1e3));
        say(&format!("{}, the network alone with {}", m.mode, each.collect::<Vec<_>>().join("; ")))?;
    }
    say(&format!("\nLatency in ms at {HOST_RATE} Hz and blocks of {LATENCY_BLOCK} samples"))?;
    say("mode       samples  total    hop  look-ahead  resampling  block  slack")?;
    for m in &r.modes {
        let l = &m.latency;
        say(&format!(
            "{:9} {:8} {:6.1} {:6.1} {:11.1} {:11.2} {:6.2} {:6.1}",
            m.mode, l.samples, l.total, l.hop, l.look_ahead, l.resampling, l.block, l.slack
        ))?;
    }
    let p = &r.audio_thread;
    say(&format!(
        "\nThe audio thread, blocks of {} samples in real time: {:.0} ns p50, {:.0} ns p99 a block, {:.2} % of it; {} \
         hops late, {} converted",
        p.block,
        p.process.p50 * 1e9,
        p.process.p99 * 1e9,
        r.audio_thread_share * 1e2,
        p.late_hops,
        p.hops
    ))?;
    match &r.captions {
        Some(c) => {
            say(&format!("Captions: {:.1} s in {:.1} s, RTF {:.3}, {} words", c.seconds, c.took, c.rtf, c.words))?
        }
        None => say("Captions: not measured; give --recording FILE or fetch the pack `recordings`")?,
    }
    say(&format!("Start to the first converted sound, live mode: {:.2} s", r.first_sound))?;
    if let Some(l) = &r.with_captions {
        let processors = l.processors.map_or_else(String::new, |p| format!(", {p:.2} of a processor"));
        let memory = l
            .memory
            .map_or_else(|| "memory not told by this system".to_owned(), |m| format!("{:.0} MiB", mebibytes(m)));
        say(&format!("One instance in live mode with captions, in real time: {memory}{processors}"))?;
    }
    if !r.engines.is_empty() {
        say("\nSeveral engines at once in real time")?;
        say("engines    hops    late  processors  memory, MiB")?;
    }
    for l in &r.engines {
        let or_dash = |x: Option<String>| x.unwrap_or_else(|| "-".to_owned());
        let (processors, memory) =
            (l.processors.map(|p| format!("{p:.2}")), l.memory.map(|m| format!("{:.0}", mebibytes(m))));
        say(&format!(
            "{:7} {:7} {:7} {:>11} {:>12}",
            l.engines,
            l.hops,
            l.late_hops,
            or_dash(processors),
            or_dash(memory)
        ))?;
    }
    if r.missed.is_empty() {
        return say("\nAll goals are met.");
    }
    say("\nGoals missed:")?;
    r.missed.iter().try_for_each(|m| say(&format!("  {m}")))
}
