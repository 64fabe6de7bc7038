//! The voice computed by a server, against MLServer and Triton as PyPI has them: the same sound as here, and what
//! becomes of it where the network fails.

mod protocol;
mod proxy;
mod server;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use mynah::audio::Sound;
use mynah::clock::Mode;
use mynah::dsp::resample::resample_all;
use mynah::engine::offline::{self, Job};
use mynah::engine::testing::{any_voice, block, setup};
use mynah::engine::{AudioPort, Engine, PackSource, Setup, Source};
use mynah::packs::Store;
use mynah::realtime::WorkerState;
use mynah::runtime::Provider;
use mynah::voice::Controls;

use proxy::{Proxy, Weather};
use server::{Server, free_port, python};

const RATE: u32 = 48000;
const BLOCK: usize = 128;
/// How long something that comes by itself may take: a server starts meanwhile, beside other tests.
const PATIENCE: Duration = Duration::from_secs(40);

/// Two servers at once on two processors would measure each other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|e| e.into_inner())
}

/// The repository's own voice pack, whose graphs the servers have, with the runtime of this machine.
fn source() -> Arc<PackSource> {
    mynah::runtime::init(&Store::standard().runtime_library().expect("run `cargo xtask packs`"))
        .expect("ONNX Runtime opens");
    Arc::new(PackSource::at(Store::at([Path::new(env!("CARGO_MANIFEST_DIR")).join("models")])))
}

fn remote(address: &str) -> Provider {
    format!("remote={address}").parse().expect("an address")
}

/// Speech at 48 kHz, over and over.
fn speech(seconds: f64) -> Vec<f32> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reference.flac");
    let sound = mynah::audio::read(&file).expect("the reference");
    let sound = resample_all(&sound.mono(), sound.rate, RATE);
    sound.into_iter().cycle().take((seconds * f64::from(RATE)) as usize).collect()
}

fn converted(sound: &[f32], mode: Mode, provider: Provider) -> Vec<f32> {
    let sound = Sound { rate: RATE, channels: vec![sound.to_vec()] };
    let job = Job { mode, provider, controls: Controls::default(), block: 512, captions: false };
    let done = offline::convert(&sound, &any_voice("a"), &job, source(), &mut |_| ())
        .unwrap_or_else(|e| panic!("{provider}: {e}"));
    assert_eq!(done.provider, provider, "nothing else computes it");
    done.sound.mono().to_vec()
}

fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn loudest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |a, x| a.max(x.abs()))
}

/// Converts on a server and here, and tells what the way there and back was measured at.
fn gives_the_same(address: &str, mode: Mode, seconds: f64, form: &str) {
    let (sound, provider) = (speech(seconds), remote(address));
    let (here, there) = (converted(&sound, mode, Provider::Cpu), converted(&sound, mode, provider));
    let way = provider.server().and_then(|s| s.measured(mode)).expect("measured when it was chosen");
    let worst = apart(&here, &there);
    println!("{} as {form}: {worst:e} apart, {:.1} ms there and back", mode.name(), way.as_secs_f64() * 1e3);
    assert!(loudest(&here) > 0.05, "there is sound");
    assert!(worst <= 1e-4, "{}: {worst}", mode.name());
}

#[test]
fn mlserver_gives_the_sound_of_this_machine() {
    let _alone = alone();
    let Some(python) = python() else { return };
    let server = Server::mlserver(&python, free_port(), &Mode::ALL, &[Mode::Balanced]);
    gives_the_same(&server.address(), Mode::Live, 2.0, "base64");
    gives_the_same(&server.address(), Mode::Balanced, 1.0, "lists of numbers");
    gives_the_same(&server.address(), Mode::Studio, 2.0, "base64");
}

#[test]
fn triton_gives_the_sound_of_this_machine() {
    let _alone = alone();
    let Some(python) = python() else { return };
    if !cfg!(target_os = "linux") {
        return println!("skipped: PyPI has Triton for Linux alone");
    }
    let server = Server::triton(&python, free_port(), &Mode::ALL);
    gives_the_same(&server.address(), Mode::Live, 2.0, "binary");
    gives_the_same(&server.address(), Mode::Studio, 2.0, "binary");
}

#[test]
fn a_server_without_the_voice_or_without_anything_is_told() {
    let _alone = alone();
    let Some(python) = python() else { return };
    let (source, server) = (source(), Server::mlserver(&python, free_port(), &[Mode::Live], &[]));
    let told = |mode, address: &str| source.measure(mode, remote(address)).expect_err("it can't be used").to_string();
    let missing = told(Mode::Studio, &server.address());
    assert!(missing.contains("has no model `mynah-voice-studio`") && missing.contains("404"), "{missing}");
    let nobody = told(Mode::Live, &format!("http://127.0.0.1:{}", free_port()));
    assert!(nobody.contains("nothing listens") && nobody.contains("start it"), "{nobody}");
    // A server that takes longer than the mode leaves is told, with the numbers.
    let slow = Proxy::before(server.port);
    slow.delay(30);
    let provider = remote(&slow.address());
    source.measure(Mode::Live, provider).expect("it answers");
    let (here, there) = (source.slack(Mode::Live, Provider::Cpu), source.slack(Mode::Live, provider));
    assert!(there > here + 0.03 && there <= here + 0.5 + 1e-9, "the latency makes room for it: {there}");
    let note = source
        .open(Mode::Live, &any_voice("a"), provider)
        .expect("it converts all the same")
        .note
        .expect("the user is told");
    assert!(note.contains("live leaves 10 ms") && note.contains("longer hops"), "{note}");
}

#[test]
fn a_render_waits_for_a_server_that_is_away_for_a_moment() {
    let _alone = alone();
    let Some(python) = python() else { return };
    let server = Server::mlserver(&python, free_port(), &[Mode::Studio], &[]);
    let (proxy, sound) = (Arc::new(Proxy::before(server.port)), speech(3.0));
    let here = converted(&sound, Mode::Studio, Provider::Cpu);
    let (bad, provider) = (proxy.clone(), remote(&proxy.address()));
    source().measure(Mode::Studio, provider).expect("it answers");
    let measured = proxy.seen().0;
    let weather = std::thread::spawn(move || {
        // In the midst of the render, which has some seventy hops.
        let until = Instant::now() + PATIENCE;
        while bad.seen().0 < measured + 25 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        for weather in [Weather::Dropped, Weather::Half, Weather::Noise, Weather::Nonsense] {
            bad.set(weather);
            std::thread::sleep(Duration::from_millis(300));
        }
        bad.set(Weather::Fair);
    });
    let there = converted(&sound, Mode::Studio, provider);
    weather.join().expect("weather");
    assert!(proxy.seen().1 > 4, "connections were lost: {:?}", proxy.seen());
    assert!(apart(&here, &there) <= 1e-4, "nothing of it is heard");
}

/// A host in real time.
struct Live {
    port: AudioPort,
    start: Instant,
    sound: Vec<f32>,
    heard: Vec<f32>,
}

impl Live {
    fn new(port: AudioPort) -> Self {
        Self { port, start: Instant::now(), sound: speech(300.0), heard: Vec::new() }
    }

    fn block(&mut self, offline: bool) {
        let sent = self.heard.len();
        let mut x = self.sound[sent..sent + BLOCK].to_vec();
        self.port.process(&mut [&mut x], &block(offline));
        self.heard.extend_from_slice(&x);
    }

    /// Goes on with the same sound as a host that renders: slow machines keep up too.
    fn render(&mut self, seconds: f64) {
        for _ in 0..(seconds * f64::from(RATE)) as usize / BLOCK {
            self.block(true);
        }
    }

    fn play(&mut self, seconds: f64) {
        let end = self.heard.len() + (seconds * f64::from(RATE)) as usize;
        while self.heard.len() < end {
            self.block(false);
            let due = self.start + Duration::from_secs_f64(self.heard.len() as f64 / f64::from(RATE));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    /// Plays until something is so.
    fn until(&mut self, what: &str, so: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !so() {
            assert!(Instant::now() < until, "never: {what}");
            self.play(0.02);
        }
    }

    /// The share of what was heard from a sample on that is the input of exactly its place.
    fn dry(&self, from: usize) -> f64 {
        let latency = self.port.latency().total;
        let same = (from..self.heard.len()).filter(|&i| (self.heard[i] - self.sound[i - latency]).abs() < 1e-5).count();
        same as f64 / (self.heard.len() - from) as f64
    }
}

/// All that a network and a server do, while a live host goes on: what is lost is late and counted, the place of every
/// sample stands, nothing hangs, and the voice comes back by itself.
#[test]
fn in_all_weathers_the_timeline_stands_and_the_voice_comes_back() {
    let _alone = alone();
    let Some(python) = python() else { return };
    let (mode, port) = (Mode::Studio, free_port());
    let proxy = Proxy::before(port);
    let provider = remote(&proxy.address());
    let setup = Setup { provider, ..setup(RATE, BLOCK, 1, mode) };
    let source = source();
    let (engine, port_of_audio) = Engine::start(setup, source.clone()).expect("started");
    // Nobody is there: that is told, and nothing else is taken in its place.
    let why = engine.wait_ready(PATIENCE).expect_err("there is no server").to_string();
    assert!(why.contains("the server http://127.0.0.1"), "{why}");
    let mut live = Live::new(port_of_audio);
    let server = Arc::new(Mutex::new(None));
    let start = || {
        let (server, python) = (server.clone(), python.clone());
        std::thread::spawn(move || *server.lock().expect("held") = Some(Server::mlserver(&python, port, &[mode], &[])));
    };
    live.play(0.3);
    assert_eq!(engine.status().counters.state, WorkerState::Dead);
    // The server is started: nobody has to choose it again.
    start();
    let converts = || {
        engine.status().counters.state == WorkerState::Ready
            && engine.status().voice_problem.is_none()
            && !engine.status().loading
    };
    live.until("the voice comes once the server is there", converts);
    live.play(0.5);
    let room = provider.server().and_then(|s| s.measured(mode)).expect("measured").as_secs_f64();
    let latency = live.port.latency();
    assert_eq!((latency, engine.status().provider), (engine.status().latency, provider));
    let slack = ((source.slack(mode, Provider::Cpu) + room) * f64::from(RATE) + BLOCK as f64 * 0.5).ceil() as usize;
    assert_eq!(latency.slack, slack, "the way there and back is in the latency");
    let hop_seconds = latency.hop as f64 / f64::from(RATE);

    let outage = |live: &mut Live, what: &str, begin: &mut dyn FnMut(), end: &mut dyn FnMut()| {
        let before = engine.status().counters;
        begin();
        live.play(0.5);
        let bad = live.heard.len();
        live.play(0.5);
        let during = engine.status();
        let late = during.counters.late_hops - before.late_hops;
        let (dry, told) = (live.dry(bad), during.voice_problem.unwrap_or_default());
        println!("{what}: {late} hops late, {:.0} % of it dry: {told}", dry * 100.0);
        assert!(late as f64 > 0.5 / hop_seconds, "{what}: late hops are counted: {late}");
        assert!(dry > 0.9, "{what}: what is heard instead stands where it belongs: {dry}");
        assert!(told.contains("is away"), "{what}: {told}");
        assert_eq!((during.counters.state, live.port.latency()), (WorkerState::Ready, latency), "{what}");
        end();
        live.until("the voice comes back", || converts() && engine.status().counters.hops > during.counters.hops + 5);
    };
    for weather in [Weather::Dropped, Weather::Noise, Weather::Nonsense, Weather::Half, Weather::Silent] {
        outage(&mut live, &format!("{weather:?}"), &mut || proxy.set(weather), &mut || proxy.set(Weather::Fair));
    }
    outage(&mut live, "a long delay", &mut || proxy.delay(800), &mut || proxy.set(Weather::Fair));
    outage(
        &mut live,
        "a server that was killed",
        &mut || server.lock().expect("held").take().map(Server::kill).expect("it runs"),
        &mut || start(),
    );

    // From a reset on it is again what this machine makes of it, to the bit; rendered, so that it doesn't matter how
    // quick the machine is.
    live.port.reset();
    let begin = live.heard.len();
    live.render(2.0);
    let wanted = converted(&live.sound[begin..live.heard.len()], mode, Provider::Cpu);
    let heard = &live.heard[begin + latency.total..];
    assert!(loudest(heard) > 0.05 && apart(heard, &wanted[..heard.len()]) <= 1e-4, "{:?}", engine.status());
    assert_eq!(live.port.latency(), latency);
}
