//! Faults of real packs and of ONNX Runtime: files that change under a loaded voice, a model that asks for more memory
//! than there is, a hundred changes of voice in ten seconds, the float mode of the threads that load and run models.

mod common;
#[path = "common/float_mode.rs"]
mod float_mode;
#[path = "common/tiny_onnx.rs"]
mod tiny_onnx;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mynah::clock::{ConverterTiming, Mode};
use mynah::engine::testing::{any_voice, block, run, setup};
use mynah::engine::{AudioPort, Captioner, Engine, OpenError, Opened, PackSource, Source};
use mynah::packs::Store;
use mynah::realtime::WorkerState;
use mynah::runtime::{Provider, Session, SessionOptions};
use mynah::voice::mynah::Mynah;
use mynah::voice::{Controls, ConvertError, Converter, TargetVoice};
use tiny_onnx::{Attribute, Graph, Kind};

const RATE: u32 = 48000;
const BLOCK: usize = 128;
const PATIENCE: Duration = Duration::from_secs(30);

/// A voice of sorts: a buzz of 150 Hz that swells and fades, so that every part of the model has work.
fn buzz(n: usize) -> Vec<f32> {
    let at = |i: usize| i as f32 / RATE as f32;
    (0..n).map(|i| ((at(i) * 150.0).fract() - 0.5) * 0.6 * (at(i) * 3.0).sin().abs()).collect()
}

fn start(source: impl Source + 'static) -> (Engine, AudioPort) {
    let (engine, port) = Engine::start(setup(RATE, BLOCK, 1, Mode::Live), Arc::new(source)).expect("an engine");
    engine.wait_ready(PATIENCE).expect("a voice");
    (engine, port)
}

/// A copy of the voice pack that may be spoiled.
struct Spoilable {
    home: tempfile::TempDir,
}

const FILES: [&str; 2] = ["voice.live.onnx", "voice.safetensors"];

impl Spoilable {
    fn new() -> Self {
        common::runtime();
        let home = tempfile::tempdir().expect("a folder");
        let original = common::asset("mynah-voice", "pack.toml");
        let copy = home.path().join("mynah-voice");
        std::fs::create_dir(&copy).expect("a folder");
        for entry in std::fs::read_dir(original.parent().expect("a folder")).expect("the pack").flatten() {
            std::fs::write(copy.join(entry.file_name()), std::fs::read(entry.path()).expect("read")).expect("written");
        }
        Self { home }
    }

    fn source(&self) -> PackSource {
        PackSource::at(Store::at([self.home.path().to_owned()]))
    }

    /// Changes the bytes in place, as a disk that fails or a careless copy does: whoever maps the file sees it at once.
    fn spoil(&self, how: impl Fn(&std::fs::File, u64)) {
        for name in FILES {
            let path = self.home.path().join("mynah-voice").join(name);
            let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opened");
            how(&file, file.metadata().expect("its length").len());
        }
    }

    fn mend(&self) {
        for name in FILES {
            std::fs::copy(common::asset("mynah-voice", name), self.home.path().join("mynah-voice").join(name))
                .expect("copied");
        }
    }
}

fn truncate(file: &std::fs::File, _: u64) {
    file.set_len(0).expect("truncated");
}

fn overwrite(mut file: &std::fs::File, length: u64) {
    std::io::Write::write_all(&mut file, &vec![0x7f; length as usize]).expect("overwritten");
}

#[test]
fn a_pack_that_is_spoiled_while_it_runs_is_not_heard_and_is_refused_when_it_is_loaded_again() {
    let input = buzz(RATE as usize * 3);
    let half = input.len() / 2;
    let whole = Spoilable::new();
    let (_engine, mut port) = start(whole.source());
    let wanted = run(&mut port, &input, &[BLOCK], &block(true));
    assert!(wanted[half..].iter().any(|y| y.abs() > 0.01), "there is sound to compare");

    for how in [overwrite, truncate] {
        let pack = Spoilable::new();
        let (engine, mut port) = start(pack.source());
        let mut heard = run(&mut port, &input[..half], &[BLOCK], &block(true));
        pack.spoil(how);
        heard.extend(run(&mut port, &input[half..], &[BLOCK], &block(true)));
        assert_eq!(engine.status().counters.state, WorkerState::Ready);
        assert!(heard == wanted, "the loaded voice goes on, bit for bit");

        engine.set_voice(Some(any_voice("bb")));
        let until = Instant::now() + PATIENCE;
        while engine.status().counters.state != WorkerState::Dead && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let refused = engine.status().voice_problem.expect("a spoiled file is never loaded");
        assert!(refused.contains("sha256") && refused.contains("mynah models fetch"), "{refused}");
        pack.mend();
        engine.set_voice(Some(any_voice("bb")));
        engine.wait_ready(PATIENCE).expect("a mended pack is loaded without a restart");
    }
}

/// Graphs of other packs may hold weights that the runtime uses as they lie in the file.
#[test]
fn weights_beside_a_graph_are_not_read_from_disk_any_more_once_it_is_loaded() {
    common::runtime();
    const COUNT: usize = 1 << 18;
    let folder = tempfile::tempdir().expect("a folder");
    let (graph, weights) = (folder.path().join("sum.onnx"), folder.path().join("sum.weights"));
    let mut g = Graph::default();
    g.input("x", &[Some(COUNT as u64)]);
    g.weights_beside("w", COUNT as u64, "sum.weights");
    g.node("Add", &["x", "w"], "y", &[]);
    g.output("y", &[Some(COUNT as u64)]);
    std::fs::write(&graph, g.model(&[])).expect("written");
    std::fs::write(&weights, 1.5f32.to_le_bytes().repeat(COUNT)).expect("written");
    let mut session = Session::load(&graph, &SessionOptions::default()).expect("loads");
    let mut all_right = || {
        let x = ort::value::Tensor::from_array(([COUNT], vec![2.0f32; COUNT])).expect("a tensor");
        let y = session.ort().run(ort::inputs!["x" => x]).expect("runs");
        let (_, y) = y["y"].try_extract_tensor::<f32>().expect("numbers");
        y.iter().all(|y| *y == 3.5)
    };
    assert!(all_right());
    let file = std::fs::OpenOptions::new().write(true).open(&weights).expect("opened");
    overwrite(&file, 4 * COUNT as u64);
    assert!(all_right(), "after the file was overwritten");
    truncate(&file, 0);
    assert!(all_right(), "after the file was cut off");
}

/// A graph of the family `mynah` that is quiet as long as its input is, and asks for 2^62 bytes when that gets loud.
fn greedy_graph() -> Vec<u8> {
    let mut g = Graph::default();
    g.input("mel", &[Some(1), None, Some(80)]);
    g.input("f0", &[Some(1), None]);
    g.input("energy", &[Some(1), None]);
    g.input("speaker", &[Some(1), Some(384)]);
    g.floats("threshold", 6.0);
    g.floats("very_many", (1u64 << 60) as f32);
    g.ints("one", &[1]);
    g.ints("bins", &[513]);
    g.node("ReduceMax", &["energy"], "top", &[]);
    g.node("Add", &["top", "threshold"], "above", &[]);
    g.node("Relu", &["above"], "loudness", &[]);
    g.node("Sign", &["loudness"], "loud", &[]);
    g.node("Mul", &["loud", "very_many"], "wanted", &[]);
    g.node("Cast", &["wanted"], "count", &[Attribute::int("to", Kind::Int64 as i64)]);
    g.node("Reshape", &["count", "one"], "size", &[]);
    g.node("ConstantOfShape", &["size"], "room", &[]);
    g.node("ReduceSum", &["room"], "sum", &[Attribute::int("keepdims", 0)]);
    g.node("Shape", &["f0"], "frames", &[]);
    g.node("Concat", &["frames", "bins"], "shape", &[Attribute::int("axis", 0)]);
    g.node("ConstantOfShape", &["shape"], "zeros", &[]);
    g.node("Add", &["zeros", "sum"], "harmonic", &[]);
    g.node("Add", &["zeros", "sum"], "noise", &[]);
    g.output("harmonic", &[Some(1), None, Some(513)]);
    g.output("noise", &[Some(1), None, Some(513)]);
    let metadata =
        [("family", "mynah"), ("mode", "live"), ("lookahead_frames", "1"), ("rate", "24000"), ("hop", "240")];
    let windows = [("rise", "720"), ("fall", "240"), ("n_fft", "1024"), ("n_mels", "80")];
    g.model(&[&metadata[..], &windows].concat())
}

/// A source of voices without a pack, and of nothing else.
struct Making<F>(F);

impl<F: Fn(Mode, &TargetVoice) -> Result<Box<dyn Converter>, String> + Send + Sync> Source for Making<F> {
    fn timing(&self, mode: Mode) -> Result<ConverterTiming, OpenError> {
        Ok(mynah::voice::mynah::timing(mode))
    }

    fn slack(&self, _: Mode, _: Provider) -> f64 {
        0.0045
    }

    fn open(&self, mode: Mode, voice: &TargetVoice, provider: Provider) -> Result<Opened, OpenError> {
        Ok(Opened { converter: (self.0)(mode, voice).map_err(OpenError)?, provider, note: None })
    }

    fn captioner(&self, _: &mynah::recognition::stream::Settings) -> Result<Box<dyn Captioner>, OpenError> {
        Err(OpenError("nobody listens".to_owned()))
    }
}

#[test]
fn a_model_that_asks_for_more_memory_than_there_is_falls_to_dry_and_can_be_revived() {
    common::runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("voice.live.onnx");
    std::fs::write(&path, greedy_graph()).expect("written");
    let (engine, mut port) = start(Making(move |mode, voice: &TargetVoice| {
        let converter =
            Mynah::open(&path, "none", mode, voice, &SessionOptions::default()).map_err(|e| e.to_string())?;
        Ok(Box::new(converter) as Box<dyn Converter>)
    }));
    let latency = port.latency().total;
    let quiet = run(&mut port, &vec![0.0; RATE as usize / 2], &[BLOCK], &block(true));
    assert_eq!((engine.status().counters.state, engine.status().voice_problem), (WorkerState::Ready, None));
    assert!(quiet.iter().all(|y| y.abs() < 1e-3), "silence in, next to nothing out");

    let input = buzz(RATE as usize);
    let output = run(&mut port, &input, &[BLOCK], &block(true));
    assert_eq!(engine.status().counters.state, WorkerState::Dead);
    let problem = engine.status().voice_problem.expect("told");
    assert!(problem.contains("failed to run") && problem.contains("alloc"), "{problem}");
    let half = input.len() / 2;
    let worst = (half..input.len()).map(|i| (output[i] - input[i - latency]).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "what comes out is dry, at the same latency: off by {worst}");

    // What was sent to the dead worker is thrown away first: it was loud.
    std::thread::sleep(Duration::from_millis(300));
    port.reset();
    engine.set_voice(Some(any_voice("bb")));
    run(&mut port, &vec![0.0; RATE as usize / 4], &[BLOCK], &block(true));
    assert_eq!((engine.status().counters.state, engine.status().voice_problem), (WorkerState::Ready, None));
}

/// Resident memory of this process in MiB, where the system tells it.
fn memory() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages / 256)
}

/// Each change opens the pack's graph, runs it warm and fades to it; of those that come while one is loaded only the
/// last counts.
#[test]
fn a_hundred_changes_of_a_real_voice_in_ten_seconds_end_in_the_last_one() {
    common::runtime();
    let (engine, mut port) = start(PackSource::standard());
    let latency = port.latency();
    let input = buzz(RATE as usize * 14);
    let (mut heard, mut sent, mut before) = (Vec::new(), 0, None);
    let began = Instant::now();
    let mut play = |heard: &mut Vec<f32>, until: usize| {
        while sent < until {
            let mut x = input[sent..sent + BLOCK].to_vec();
            port.process(&mut [&mut x], &block(false));
            heard.extend(x);
            sent += BLOCK;
            let due = began + Duration::from_secs_f64(sent as f64 / RATE as f64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        port.latency()
    };
    for i in 0..100 {
        engine.set_voice(Some(any_voice(&format!("voice {}", "x".repeat(i)))));
        assert_eq!(play(&mut heard, (i + 1) * RATE as usize / 10), latency);
        if i == 20 {
            before = memory();
        }
    }
    let until = Instant::now() + PATIENCE;
    while engine.status().loading && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    play(&mut heard, RATE as usize * 14 / BLOCK * BLOCK - BLOCK);
    let status = engine.status();
    println!("{:?}, memory {before:?} to {:?} MiB", status.counters, memory());
    assert_eq!(status.voice, Some(format!("voice {}", "x".repeat(99))), "{status:?}");
    assert_eq!((status.counters.state, status.voice_problem, status.loading), (WorkerState::Ready, None, false));
    assert!(heard.iter().all(|y| y.is_finite() && y.abs() < 4.0));
    assert!(heard[heard.len() - RATE as usize..].iter().any(|y| y.abs() > 0.01), "it sounds at the end");
    if let (Some(before), Some(after)) = (before, memory()) {
        assert!(after < before + 100, "memory grew from {before} to {after} MiB: voices that were left are kept");
    }
}

/// Whether the calling thread computes with denormals as zeros.
fn flushes() -> bool {
    std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5) == 0.0
}

/// Tells how the thread that runs it computes.
struct Watching {
    timing: ConverterTiming,
    flushes: Arc<Mutex<Vec<bool>>>,
    session: Session,
}

impl Converter for Watching {
    fn timing(&self) -> ConverterTiming {
        self.timing
    }

    fn reset(&mut self, _: u64) {}

    fn process(&mut self, _: &[f32], _: &Controls, output: &mut [f32]) -> Result<(), ConvertError> {
        let before = flushes();
        let numbers =
            ort::value::Tensor::from_array(([1usize], vec![2.0f32])).map_err(|e| ConvertError::Run(e.to_string()))?;
        self.session.ort().run(ort::inputs!["x" => numbers]).map_err(|e| ConvertError::Run(e.to_string()))?;
        let mut seen = self.flushes.lock().unwrap_or_else(|e| e.into_inner());
        seen.extend([before, flushes()]);
        output.fill(0.0);
        Ok(())
    }

    fn set_voice(&mut self, _: &TargetVoice) {}
}

fn doubling_graph(folder: &Path) -> std::path::PathBuf {
    let mut g = Graph::default();
    g.input("x", &[Some(1)]);
    g.node("Add", &["x", "x"], "y", &[]);
    g.output("y", &[Some(1)]);
    let path = folder.join("double.onnx");
    std::fs::write(&path, g.model(&[])).expect("written");
    path
}

#[test]
fn the_worker_computes_with_denormals_as_zeros_before_and_after_each_run_of_a_model() {
    common::runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let flushes = Arc::<Mutex<Vec<bool>>>::default();
    let (graph, seen) = (doubling_graph(folder.path()), flushes.clone());
    let source = Making(move |mode, _: &TargetVoice| {
        let session = Session::load(&graph, &SessionOptions::default()).map_err(|e| e.to_string())?;
        Ok(Box::new(Watching { timing: mynah::voice::mynah::timing(mode), flushes: seen.clone(), session })
            as Box<dyn Converter>)
    });
    let (engine, mut port) = start(source);
    run(&mut port, &buzz(RATE as usize / 2), &[BLOCK], &block(true));
    assert_eq!(engine.status().voice_problem, None);
    let seen = flushes.lock().expect("unharmed").clone();
    assert!(seen.len() > 50 && seen.iter().all(|f| *f), "{seen:?}");
}

/// Sessions are also opened on threads that belong to the host.
#[test]
fn loading_and_running_a_model_leaves_the_threads_own_float_mode() {
    common::runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let graph = doubling_graph(folder.path());
    let usual = float_mode::get();
    for mode in float_mode::MODES {
        float_mode::set(mode);
        let session = Session::load(&graph, &SessionOptions::default());
        let loaded = float_mode::get();
        let outcome = session.map(|mut s| {
            let numbers = ort::value::Tensor::from_array(([1usize], vec![2.0f32])).expect("a tensor");
            s.ort().run(ort::inputs!["x" => numbers]).map(drop).is_ok()
        });
        let ran = float_mode::get();
        float_mode::set(usual);
        assert!(matches!(outcome, Ok(true)));
        assert_eq!([loaded, ran], [mode; 2], "after loading, after a run");
    }
}
