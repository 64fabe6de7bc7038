//! Packs picked for one track while it runs: real graphs of several families behind an instance of the plugin, as its
//! window picks them. The host is told another latency where the pack has another, captions go on where they were, and
//! what was said stays.

#[path = "common/models.rs"]
mod models;
#[path = "common/program.rs"]
mod program;
#[path = "common/said.rs"]
mod said;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mynah::audio::read;
use mynah::clock::{Mode, Timing, latency};
use mynah::engine::testing::{any_voice, block};
use mynah::engine::{AudioPort, PackSource, Picks, Source, Status};
use mynah::packs::{Kind, Store};
use mynah::plugin::instance::{Frame, Instance};
use mynah::realtime::Block;
use mynah::runtime::Provider;
use mynah::voice::Controls;

const FRAME: Frame = Frame { rate: 16_000, block: 160, channels: 1 };

/// Files of the tests' data, and the names that people have for them.
type Files = Vec<(String, &'static str)>;

/// A home with packs made of these files of the tests' data, each under its id, and a licence.
fn home(models: &[(&str, Files, &str)]) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    for (id, files, licence) in models {
        let folder = models::folder(home.path(), &format!("files of {id}"), files);
        let folder = folder.to_str().expect("UTF-8");
        let (ok, _, failed) = said::mynah(home.path(), &["models", "add", folder, "--id", id, "--licence", licence]);
        assert!(ok, "{id}: {failed}");
    }
    home
}

/// The files of a streaming recogniser's contract.
fn contract(name: &str) -> Files {
    ["encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt"]
        .map(|part| (format!("contracts/{name}/{part}"), part))
        .into()
}

/// The packs of a home, and behind them those of this machine.
fn packs(home: &tempfile::TempDir) -> Arc<PackSource> {
    let runtime = Store::standard().find(Kind::Runtime, None).expect("run `cargo xtask packs`");
    let machine = runtime.folder().parent().expect("the folder of packs").to_owned();
    Arc::new(PackSource::at(Store::at([home.path().join("packs"), machine])))
}

/// A track: an instance, its audio thread's end, and what it plays.
struct Track {
    instance: Arc<Instance>,
    port: AudioPort,
    sound: Vec<f32>,
    at: usize,
}

impl Track {
    fn new(source: Arc<PackSource>, picks: Picks, captions: bool) -> Self {
        let instance = Instance::new(Arc::default());
        instance.choose_picks(picks);
        instance.choose_voice((!captions).then(|| any_voice("Ada")));
        let values = mynah::plugin::state::Settings { captions, ..Default::default() };
        mynah::plugin::values::apply(&instance.params, &values);
        let port = instance.start(FRAME, source).expect("a port");
        let sound =
            read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reference.flac")).expect("a recording");
        Self { instance, port, sound: sound.mono(), at: 0 }
    }

    fn status(&self) -> Status {
        self.instance.readings().status.expect("an engine")
    }

    /// Plays on as a host does that renders; the recording over and over.
    fn play(&mut self, seconds: f64) -> Vec<f32> {
        let controls = Block::<Controls> { captions: self.instance.params.captions.on.value(), ..block(true) };
        let mut heard = Vec::new();
        while heard.len() < (seconds * f64::from(FRAME.rate)) as usize {
            let mut samples: Vec<f32> =
                (0..FRAME.block).map(|i| self.sound[(self.at + i) % self.sound.len()]).collect();
            self.at += FRAME.block;
            self.port.process(&mut [&mut samples], &controls);
            heard.extend(samples);
        }
        heard
    }

    /// Plays until something holds.
    fn until(&mut self, what: &str, holds: impl Fn(&Status) -> bool) {
        self.meanwhile(0.1, what, holds);
    }

    /// Waits until something holds, and plays nothing.
    fn wait(&mut self, what: &str, holds: impl Fn(&Status) -> bool) {
        self.meanwhile(0.0, what, holds);
    }

    fn meanwhile(&mut self, seconds: f64, what: &str, holds: impl Fn(&Status) -> bool) {
        let start = Instant::now();
        while !holds(&self.status()) {
            assert!(start.elapsed() < Duration::from_secs(60), "{what} did not come: {:?}", self.status());
            self.play(seconds);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a word is there that begins at this second or later.
    fn wait_for_word(&self, second: f64) {
        let start = Instant::now();
        while self.words().iter().all(|(_, start)| *start < second) {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "nothing is said from {second} s on: {:?}",
                self.words()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn words(&self) -> Vec<(String, f64)> {
        let board = self.instance.transcript();
        let transcript = board.lock().expect("the words");
        transcript.words().iter().map(|w| (w.text.clone(), w.start)).collect()
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        self.instance.end();
    }
}

fn picked(voice: Option<&str>, captions: Option<&str>, language: Option<&str>) -> Picks {
    let own = |id: Option<&str>| id.map(str::to_owned);
    Picks { voice: own(voice), captions: own(captions), language: own(language) }
}

#[test]
fn another_model_speaks_at_its_own_latency_and_one_that_is_gone_is_told() {
    let rvc = [
        ("converters/rvc/project-256.onnx", "Ada_v1.onnx"),
        ("converters/rvc/content.onnx", "vec-256-layer-9.onnx"),
        ("converters/rvc/rmvpe.onnx", "rmvpe.onnx"),
    ];
    let home = home(&[("ada", rvc.map(|(from, to)| (from.to_owned(), to)).into(), "CC-BY-NC-4.0")]);
    let source = packs(&home);

    // What there is to pick, with what it costs.
    let offers = source.offers(Provider::Cpu).expect("they are read");
    let ada = offers.iter().find(|o| o.id == "ada").expect("the pack that was added");
    assert!(ada.kind == Kind::Voice && ada.forbids_commerce() && !ada.standard, "{ada:?}");
    let own = offers.iter().find(|o| o.id == "mynah-voice").expect("Mynah's own");
    assert!(own.standard && !own.forbids_commerce());
    assert!(offers.iter().any(|o| o.kind == Kind::Captions && o.standard && o.timings.is_none()));
    let (converter, slack) = ada.timings.expect("a voice's")[0];
    let told = latency(&Timing { host_rate: FRAME.rate, max_block: FRAME.block, converter, slack }).total;

    let mut track = Track::new(source, Picks::default(), false);
    track.until("the first voice", |s| s.voice.is_some() && !s.loading);
    let first = track.status().latency.total;
    assert!(first < told, "{first} and {told}: the test needs two latencies");

    track.instance.choose_picks(picked(Some("ada"), None, None));
    track.until("the other model", |s| s.latency.total == told && !s.loading && s.voice_problem.is_none());
    track.play(0.5);
    assert_eq!(track.port.latency().total, told, "the host is told of it");
    assert_eq!(track.instance.readings().costs.expect("known")[0], told);
    let loud = track.play(3.0).iter().map(|x| x * x).sum::<f32>();
    assert!(loud.is_finite() && loud > 1e-3, "{loud}");

    track.instance.choose_picks(picked(Some("gone"), None, None));
    track.until("the sentence", |s| s.voice_problem.as_ref().is_some_and(|p| p.contains("`gone`")));
    track.instance.choose_picks(Picks::default());
    track.until("the first model again", |s| s.latency.total == first && !s.loading && s.voice_problem.is_none());
    track.play(0.5);
    assert_eq!(track.port.latency().total, first);
    assert_eq!(track.instance.params.mode(), Mode::Live);
}

#[test]
fn another_recogniser_takes_over_where_the_first_one_was() {
    let home = home(&[("first", contract("zipformer2-1"), "MIT"), ("second", contract("nemo-prompt-1"), "MIT")]);
    let mut track = Track::new(packs(&home), picked(None, Some("first"), None), true);
    track.wait("the first recogniser", |s| s.captions_ready);
    assert!(track.status().languages.is_empty());
    track.play(6.0);
    // The change falls on a second that doesn't depend on the machine: all sound is heard before it, and none comes
    // while the second one is loaded.
    track.wait_for_word(5.0);
    track.wait("the end of the sound", |s| s.captions_behind == 0.0);
    let first = track.words();
    track.instance.choose_picks(picked(None, Some("second"), Some("de-DE")));
    track.wait("the second recogniser", |s| s.captions_ready && s.spoken.as_deref() == Some("de-DE"));
    assert!(track.status().languages.iter().any(|code| code == "fr"), "{:?}", track.status().languages);
    assert_eq!(track.instance.language(), "de-DE");
    track.play(3.0);
    track.port.pause();
    track.wait_for_word(6.0);
    // Where one ends and the other begins a word may be heard by both: then the newer one counts.
    let sure = first.iter().filter(|(_, start)| *start < 5.8).count();
    assert!(
        sure > 0 && track.words()[..sure] == first[..sure],
        "what the first one heard stays: {first:?}, {:?}",
        track.words()
    );

    // A language that it doesn't know is told, and another pick mends it.
    track.instance.choose_picks(picked(None, Some("second"), Some("tlh")));
    track.wait("the sentence", |s| s.caption_problem.as_ref().is_some_and(|p| p.contains("`tlh`")));
    track.instance.choose_picks(picked(None, Some("second"), None));
    track.wait("the recogniser", |s| s.captions_ready && s.caption_problem.is_none() && s.spoken.is_none());
}

#[test]
fn a_caption_file_names_the_language_that_was_told_and_none_that_is_not_known() {
    let home = home(&[("several", contract("nemo-prompt-1"), "MIT")]);
    let mynah = |arguments: &[&str]| {
        let (ok, _, failed) = said::mynah(home.path(), arguments);
        assert!(ok, "{arguments:?}: {failed}");
    };
    mynah(&["models", "use", "several"]);
    let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reference.flac");
    let (sound, out) = (sound.to_str().expect("UTF-8"), home.path().join("out.ttml"));
    for (told, named) in [("de", "xml:lang=\"de-DE\""), ("auto", "xml:lang=\"\"")] {
        mynah(&["caption", sound, "-o", out.to_str().expect("UTF-8"), "--language", told]);
        let text = std::fs::read_to_string(&out).expect("the captions");
        assert!(text.contains(named), "{told}: {text}");
    }
}

#[test]
fn a_project_keeps_what_was_picked() {
    use nice_plug::params::Params;
    let (saved, opened) = (Instance::new(Arc::default()), Instance::new(Arc::default()));
    saved.choose_picks(picked(Some("ada"), None, Some("de")));
    opened.params.deserialize_fields(&saved.params.serialize_fields());
    assert_eq!(opened.params.picks.get().0, picked(Some("ada"), None, Some("de")));
    // A project of a version that knew of no picks changes nothing, and one that can't be read neither.
    let mut fields = saved.params.serialize_fields();
    fields.insert("models".to_owned(), "{\"voice\": 3}".to_owned());
    opened.params.deserialize_fields(&fields);
    fields.remove("models");
    opened.params.deserialize_fields(&fields);
    assert_eq!(opened.params.picks.get().0.voice.as_deref(), Some("ada"));
}
