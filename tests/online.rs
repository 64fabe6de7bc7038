//! Recognisers that hear a stream, against the runtime of their families: `models/recipes/contracts` writes graphs of
//! the published contracts with random weights, and what sherpa-onnx hears with them (where it strays from NeMo or
//! gives no times, what its recipe says). The same tokens at the same times, whatever the blocks, and again after a
//! reset.

#[path = "common/program.rs"]
mod program;
#[path = "common/runtime.rs"]
mod runtime;
#[path = "common/said.rs"]
mod said;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mynah::recognition::online::ctc::Ctc;
use mynah::recognition::online::nemo::{JointFiles, NemoCtc, NemoTransducer};
use mynah::recognition::online::paraformer::{self, Paraformer};
use mynah::recognition::online::transducer::{Files, Transducer};
use mynah::recognition::online::{OnlineRecognizer, Token};
use mynah::runtime::SessionOptions;
use serde::Deserialize;

use said::mynah;

/// What sherpa-onnx heard.
#[derive(Deserialize)]
struct Heard {
    tokens: Vec<usize>,
    times: Vec<f64>,
    /// As sherpa-onnx writes it, where it does more than to put symbols together.
    text: Option<String>,
    /// And when it is told which language is spoken.
    #[serde(default)]
    languages: BTreeMap<String, Heard>,
}

fn contracts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/contracts")
}

fn sound() -> Vec<f32> {
    let sound = mynah::audio::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reference.flac"))
        .expect("the reference");
    assert_eq!(sound.rate, 16_000);
    sound.mono().to_vec()
}

fn open(folder: &Path, name: &str) -> Box<dyn OnlineRecognizer> {
    let options = SessionOptions::default();
    let file = |name: &str| folder.join(name);
    let files = || Files {
        encoder: file("encoder.onnx"),
        decoder: file("decoder.onnx"),
        joiner: file("joiner.onnx"),
        tokens: file("tokens.txt"),
    };
    if name.starts_with("paraformer") {
        let files = paraformer::Files {
            encoder: file("encoder.onnx"),
            decoder: file("decoder.onnx"),
            tokens: file("tokens.txt"),
        };
        return Box::new(Paraformer::open(&files, &options).expect("a Paraformer"));
    }
    if name.starts_with("nemo-joint") {
        let files = JointFiles {
            encoder: file("encoder.onnx"),
            decoder_joint: file("decoder_joint.onnx"),
            tokens: file("tokens.txt"),
        };
        return Box::new(NemoTransducer::open_joint(&files, &options).expect("a transducer of two graphs"));
    }
    match (name.starts_with("nemo"), name.contains("ctc")) {
        (false, false) => Box::new(Transducer::open(&files(), &options).expect("a transducer")),
        (false, true) => Box::new(Ctc::open(&file("model.onnx"), &file("tokens.txt"), &options).expect("a CTC model")),
        (true, false) => Box::new(NemoTransducer::open(&files(), &options).expect("a transducer of NeMo")),
        (true, true) => {
            Box::new(NemoCtc::open(&file("model.onnx"), &file("tokens.txt"), &options).expect("a CTC model of NeMo"))
        }
    }
}

fn hear(recognizer: &mut dyn OnlineRecognizer, sound: &[f32], block: usize) -> Vec<Token> {
    let mut tokens = Vec::new();
    recognizer.reset().expect("a reset");
    sound.chunks(block).for_each(|b| recognizer.push(b, &mut tokens).expect("heard"));
    recognizer.finish(&mut tokens).expect("the end");
    tokens
}

/// What tokens say, with a space before each word and without characters that aren't whole.
fn text(recognizer: &dyn OnlineRecognizer, tokens: &[Token]) -> String {
    let (mut bytes, mut before) = (Vec::new(), None);
    for token in tokens {
        if let Some(piece) = recognizer.piece(token.id, before.replace(token.id)) {
            bytes.extend(piece.begins.then_some(b' '));
            bytes.extend(piece.bytes);
        }
    }
    String::from_utf8_lossy(&bytes).replace(char::REPLACEMENT_CHARACTER, "").trim().to_owned()
}

/// What is heard, where it is what they heard.
fn same(recognizer: &mut dyn OnlineRecognizer, sound: &[f32], theirs: &Heard, name: &str) -> Vec<Token> {
    let ours = hear(recognizer, sound, 1600);
    let ids: Vec<usize> = ours.iter().map(|t| t.id).collect();
    assert_eq!(ids, theirs.tokens, "{name}");
    let apart = ours.iter().zip(&theirs.times).map(|(t, time)| (t.time - time).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-3, "{name}: {apart} s");
    assert!(ours.iter().all(|t| t.probability > 0.0 && t.probability <= 1.0), "{name}");
    ours
}

#[test]
fn tokens_and_times_equal_those_of_sherpa_onnx() {
    runtime::runtime();
    let sound = sound();
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(contracts()).expect("contracts").flatten().map(|e| e.path()).collect();
    folders.sort();
    assert_eq!(
        folders.len(),
        24,
        "two models of each layout, one of each with Whisper's features, X-ASR and Nemotron 3.5"
    );
    for folder in folders {
        let name = folder.file_name().and_then(|n| n.to_str()).expect("a name").to_owned();
        let theirs: Heard =
            serde_json::from_slice(&std::fs::read(folder.join("heard.json")).expect("what was heard")).expect("JSON");
        let mut recognizer = open(&folder, &name);
        let ours = same(&mut *recognizer, &sound, &theirs, &name);
        assert_eq!(hear(&mut *recognizer, &sound, 777), ours, "{name}: other blocks, after a reset");
        for (language, theirs) in &theirs.languages {
            recognizer.speak(Some(language)).expect("a language");
            same(&mut *recognizer, &sound, theirs, &format!("{name} in {language}"));
        }
        recognizer.speak(None).expect("none");
        let why = recognizer.speak(Some("tlh")).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(why.contains("`tlh`") && why.contains("de-DE") != theirs.languages.is_empty(), "{name}: {why}");
        if let Some(theirs) = theirs.text {
            assert_eq!(text(&*recognizer, &ours), theirs.replace(char::REPLACEMENT_CHARACTER, "").trim(), "{name}");
        }
    }
}

#[test]
fn of_two_precisions_the_one_that_serves_better_is_taken() {
    let home = tempfile::tempdir().expect("a folder");
    let model = home.path().join("ctc");
    std::fs::create_dir(&model).expect("a folder");
    let from = contracts().join("zipformer2-ctc-1");
    for (name, copy) in [("model.onnx", "model.onnx"), ("model.onnx", "model.int8.onnx"), ("tokens.txt", "tokens.txt")]
    {
        std::fs::copy(from.join(name), model.join(copy)).expect("copied");
    }
    // The same graph twice: nothing differs, and which is quicker is chance.
    let (ok, told, failed) = mynah(home.path(), &["models", "add", model.to_str().expect("a path")]);
    assert!(ok && told.contains("in the smaller precision 0 % of a phrase's tokens differ"), "{told}{failed}");
    // Another model hears other words: it is not taken, however quick it is.
    std::fs::copy(contracts().join("zipformer2-ctc-2/model.onnx"), model.join("model.int8.onnx")).expect("copied");
    let (ok, told, failed) = mynah(home.path(), &["models", "add", model.to_str().expect("a path"), "--id", "other"]);
    assert!(ok && !told.contains("the smaller one is taken"), "{told}{failed}");
    let full = mynah::packs::sha256_of(&model.join("model.onnx")).expect("its hash");
    assert!(mynah(home.path(), &["models", "info", "other"]).1.contains(&full), "the full one's bytes are in the pack");
    // One that was cut off as it was fetched stands in nobody's way, and is not passed over in silence either.
    let whole = std::fs::read(from.join("model.onnx")).expect("a graph");
    std::fs::write(model.join("model.int8.onnx"), &whole[..whole.len() / 2]).expect("written");
    let (ok, told, failed) = mynah(home.path(), &["models", "add", model.to_str().expect("a path"), "--id", "cut"]);
    assert!(
        ok && told.contains("the smaller precision can't be used (") && told.contains("model.int8.onnx"),
        "{told}{failed}"
    );
    assert!(
        told.contains("the full one is taken") && mynah(home.path(), &["models", "info", "cut"]).1.contains(&full),
        "{told}"
    );
}

#[test]
fn a_folder_of_files_becomes_a_pack_and_captions() {
    let home = tempfile::tempdir().expect("a folder");
    let model = home.path().join("Zip Former");
    std::fs::create_dir(&model).expect("a folder");
    // As they are published: a name says more than the part, and a smaller precision lies beside it.
    let from = contracts().join("zipformer2-1");
    for part in ["encoder", "decoder", "joiner"] {
        let graph = from.join(format!("{part}.onnx"));
        std::fs::copy(&graph, model.join(format!("{part}-epoch-99-avg-1.onnx"))).expect("copied");
        std::fs::write(model.join(format!("{part}-epoch-99-avg-1.int8.onnx")), b"not read").expect("written");
    }
    let folder = model.to_str().expect("a path");
    let (ok, _, told) = mynah(home.path(), &["models", "add", folder]);
    assert!(!ok && told.contains("tokens.txt") && told.contains("transducer"), "{told}");
    std::fs::copy(from.join("tokens.txt"), model.join("tokens.txt")).expect("copied");
    let (ok, told, failed) = mynah(home.path(), &["models", "add", folder, "--licence", "Apache-2.0"]);
    assert!(ok && told.contains("zip-former: zipformer2 of the family transducer"), "{told}{failed}");

    let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reference.flac");
    let caption = ["caption", sound.to_str().expect("a path"), "--jsonl"];
    let (ok, before, failed) = mynah(home.path(), &caption);
    assert!(ok, "{failed}");
    let (ok, told, failed) = mynah(home.path(), &["models", "use", "zip-former"]);
    assert!(ok && told.contains("Zip Former"), "{told}{failed}");
    let (ok, after, failed) = mynah(home.path(), &caption);
    assert!(ok, "{failed}");
    assert_ne!(before, after);
    assert!(!after.trim().is_empty());
    assert!(mynah(home.path(), &["models", "use"]).0);
    assert_eq!(mynah(home.path(), &caption).1, before, "Mynah's own again");
    let (ok, _, told) = mynah(home.path(), &["models", "use", "nothing"]);
    assert!(!ok && told.contains("nothing"), "{told}");
}

#[test]
fn a_graph_of_another_shape_is_told() {
    runtime::runtime();
    let folder = contracts().join("zipformer2-1");
    let file = |name: &str| folder.join(name);
    let files = Files {
        encoder: file("joiner.onnx"),
        decoder: file("decoder.onnx"),
        joiner: file("joiner.onnx"),
        tokens: file("tokens.txt"),
    };
    let why = Transducer::open(&files, &SessionOptions::default()).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(why.contains("joiner.onnx") && why.contains("`T`"), "{why}");
    let files = Files { encoder: file("encoder.onnx"), joiner: file("decoder.onnx"), ..files };
    let why = Transducer::open(&files, &SessionOptions::default()).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(why.contains("encoder_out"), "{why}");
    let other = contracts().join("zipformer2-2");
    let files = Files { joiner: file("joiner.onnx"), decoder: other.join("decoder.onnx"), ..files };
    let why = Transducer::open(&files, &SessionOptions::default()).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(why.contains("64 symbols"), "{why}");

    let other = contracts().join("paraformer-1");
    let files = paraformer::Files {
        encoder: other.join("decoder.onnx"),
        decoder: other.join("encoder.onnx"),
        tokens: other.join("tokens.txt"),
    };
    let why = Paraformer::open(&files, &SessionOptions::default()).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(why.contains("decoder.onnx") && why.contains("2 inputs and 3 outputs"), "{why}");
    let (joint, other) = (contracts().join("nemo-joint-2"), contracts().join("nemo-transducer-1"));
    let files = JointFiles {
        encoder: joint.join("encoder.onnx"),
        decoder_joint: other.join("decoder.onnx"),
        tokens: joint.join("tokens.txt"),
    };
    let why =
        NemoTransducer::open_joint(&files, &SessionOptions::default()).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(why.contains("decoder.onnx") && why.contains("5 inputs and 4 outputs"), "{why}");
}

#[test]
fn each_family_is_known_by_its_files() {
    let source = mynah::engine::PackSource::standard();
    for (name, family, model) in [
        ("zipformer-1", "transducer", "zipformer"),
        ("zipformer2-ctc-1", "ctc", "zipformer2"),
        ("nemo-transducer-2", "nemo-transducer", "EncDecHybridRNNTCTCBPEModel"),
        ("nemo-ctc-1", "nemo-ctc", "EncDecHybridRNNTCTCBPEModel"),
        ("paraformer-2", "paraformer", "paraformer"),
        ("nemo-prompt-1", "nemo-transducer", "EncDecHybridRNNTCTCBPEModel"),
        ("nemo-joint-1", "nemo-joint", "nemo-joint"),
        ("zipformer2-whisper-1", "transducer", "zipformer2"),
        ("x-asr-1", "transducer", "zipformer2"),
        ("nemo-prompt-3", "nemo-transducer", "EncDecHybridRNNTCTCBPEModel"),
    ] {
        let found = source.identify(&contracts().join(name)).expect("a model");
        assert_eq!((found.family, found.model.as_str()), (family, model), "{name}");
        assert!(found.open_online().is_some_and(|opened| opened.is_ok()), "{name}: opened by what it was found to be");
    }
    for (files, told) in [
        (&["tokens.txt"][..], "no graph"),
        (&["a-encoder.onnx", "tokens.txt"], "decoder"),
        (&["model.onnx"], "tokens.txt"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        files.iter().for_each(|f| std::fs::write(folder.path().join(f), b"").expect("written"));
        let why = source.identify(folder.path()).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(why.contains(told), "{files:?}: {why}");
    }
}

/// The files that the list of published models names for them: graphs of their contracts under those names are known,
/// opened and heard with.
#[test]
fn the_newest_recognisers_are_known_by_the_files_that_are_listed() {
    runtime::runtime();
    let (sound, listed) = (sound(), mynah::packs::listed::listings().expect("the list"));
    for (id, contract, family) in [
        ("x-asr-zh-en-480ms", "x-asr-1", "transducer"),
        ("x-asr-zh-en-160ms", "x-asr-1", "transducer"),
        ("nemotron-3.5-560ms", "nemo-prompt-3", "nemo-transducer"),
    ] {
        let listing = listed.iter().find(|l| &*l.id == id).expect("it is listed");
        assert!(
            listing.trust() == mynah::packs::listed::Trust::Listed && listing.bytes().is_some_and(|b| b > 100_000_000),
            "{id}"
        );
        let (folder, from) = (tempfile::tempdir().expect("a folder"), contracts().join(contract));
        for file in &listing.files {
            let part = ["encoder", "decoder", "joiner"].into_iter().find(|part| file.name.starts_with(part));
            let small = part
                .map(|part| from.join(format!("{part}.int8.onnx")))
                .filter(|small| file.name.contains("int8") && small.exists());
            let graph = small.or_else(|| part.map(|part| from.join(format!("{part}.onnx"))));
            std::fs::copy(graph.unwrap_or_else(|| from.join("tokens.txt")), folder.path().join(&*file.name))
                .expect("copied");
        }
        // What else lies in the repository.
        std::fs::write(folder.path().join("bpe.model"), b"not read").expect("written");
        let found = mynah::engine::PackSource::standard().identify(folder.path()).expect("a model");
        assert_eq!(found.family, family, "{id}");
        let mut recognizer = found.open_online().expect("it hears a stream").expect("it opens");
        let theirs: Heard =
            serde_json::from_slice(&std::fs::read(from.join("heard.json")).expect("what was heard")).expect("JSON");
        let heard: Vec<usize> = hear(&mut *recognizer, &sound, 1600).iter().map(|t| t.id).collect();
        let same = heard.iter().zip(&theirs.tokens).filter(|(a, b)| a == b).count();
        println!("{id}: {same} of {} tokens as in full precision", theirs.tokens.len());
        // Random weights in 8 bits say other tokens where two are nearly as likely.
        assert!(
            if id.ends_with("160ms") || contract == "nemo-prompt-3" {
                heard == theirs.tokens
            } else {
                heard.len() >= 6
            },
            "{id}: {heard:?}"
        );
    }
}
