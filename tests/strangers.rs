//! Folders of models as strangers make them: under names of Mynah's own, of parts that don't fit, with sizes that no machine has, of files that are none,
//! of two models at once. Nothing of it is taken, nothing ends the process or stands still, and a sentence says what is wrong.

#[path = "common/program.rs"]
mod program;
#[path = "common/runtime.rs"]
mod runtime;
#[path = "common/said.rs"]
mod said;
#[path = "common/spoilt.rs"]
mod spoilt;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "common/tiny_onnx.rs"]
mod tiny_onnx;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mynah::captions::online::OnlineRecognizer;
use mynah::captions::online::ctc::Ctc;
use mynah::captions::online::transducer::{Files, Transducer};
use mynah::engine::PackSource;
use mynah::runtime::SessionOptions;
use said::mynah;
use spoilt::{saying, swapped};
use tiny_onnx::Graph;

const TRANSDUCER: [&str; 4] = ["encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt"];

fn contract(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/contracts").join(name)
}

/// A folder of a home with the files of a contract.
fn copy(home: &Path, name: &str, of: &str) -> PathBuf {
    let folder = home.join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    for file in std::fs::read_dir(contract(of)).expect("a contract").flatten().filter(|f| f.file_name() != "heard.json") {
        std::fs::copy(file.path(), folder.join(file.file_name())).expect("copied");
    }
    folder
}

fn change(file: &Path, how: impl FnOnce(&[u8]) -> Vec<u8>) {
    let bytes = how(&std::fs::read(file).expect("a file"));
    std::fs::write(file, bytes).expect("written");
}

fn add(home: &Path, folder: &Path, more: &[&str]) -> (bool, String) {
    let (ok, told, failed) = mynah(home, &[&["models", "add", folder.to_str().expect("UTF-8")], more].concat());
    (ok, told + &failed)
}

/// What `identify` says of a folder, which must be one short sentence without a place of the runtime's source.
fn refused(folder: &Path) -> String {
    let why =
        PackSource::standard().identify(folder).err().map(|e| e.to_string()).unwrap_or_else(|| panic!("{} is taken", folder.display()));
    let bare = why.replace(folder.to_str().expect("UTF-8"), "");
    assert!(bare.chars().count() < 420 && !bare.contains('\n'), "{}: {why}", bare.chars().count());
    assert!(![".cc:", ".h:", "onnxruntime::", "line 1 "].iter().any(|internal| why.contains(internal)), "{why}");
    why
}

fn packs(home: &Path) -> Vec<String> {
    let mut all: Vec<String> =
        std::fs::read_dir(home.join("packs")).into_iter().flatten().flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    all.sort();
    all
}

#[test]
fn mynahs_own_names_are_refused_and_others_are_replaced_only_where_that_is_said() {
    let home = tempfile::tempdir().expect("a folder");
    for name in ["onnxruntime", "Silero-VAD", "whisper-tiny-en", "Mynah Voice"] {
        let (ok, told) = add(home.path(), &copy(home.path(), name, "zipformer2-1"), &[]);
        assert!(!ok && told.contains("is the name of one of Mynah's own packs"), "{name}: {told}");
        let (ok, told) = add(home.path(), &home.path().join(name), &["--replace"]);
        assert!(!ok && told.contains("Mynah's own"), "{name}: {told}");
    }
    assert!(packs(home.path()).is_empty());
    let [one, two] = ["zipformer2-1", "zipformer2-2"].map(|of| copy(home.path(), &format!("of {of}"), of));
    for (folder, more, ok, says) in [
        (&one, &[][..], true, "family transducer"),
        (&one, &[], true, "family transducer"),
        (&two, &[], false, "(of zipformer2-1 (zipformer2), of the family transducer, in"),
        (&two, &["--replace"], true, "it takes the place of of zipformer2-1 (zipformer2), of the family transducer"),
    ] {
        let (done, told) = add(home.path(), folder, &[&["--id", "mine"], more].concat());
        assert!(done == ok && told.contains(says), "{told}");
        assert!(ok || told.contains("--replace"), "{told}");
    }
    // The same for a folder with a pack.toml: its own id counts.
    let made = home.path().join("packs/mine");
    let toml = std::fs::read_to_string(made.join("pack.toml")).expect("a manifest");
    for (id, says) in [("ge2e", "Mynah's own"), ("mine", "there already")] {
        let folder = home.path().join(format!("a pack called {id}"));
        std::fs::create_dir(&folder).expect("a folder");
        TRANSDUCER.iter().for_each(|f| _ = std::fs::copy(made.join(f), folder.join(f)).expect("copied"));
        std::fs::write(folder.join("LICENCE"), "MIT").expect("written");
        let hash = mynah::packs::sha256_of(&folder.join("LICENCE")).expect("hashed");
        let more = format!("\n[[files]]\nname = \"LICENCE\"\nsha256 = \"{hash}\"\nfrom = {{ beside = \"LICENCE\" }}\n");
        std::fs::write(folder.join("pack.toml"), toml.replace("id = \"mine\"", &format!("id = \"{id}\"")) + &more).expect("written");
        let (ok, told) = add(home.path(), &folder, &[]);
        assert!(!ok && told.contains(says), "{id}: {told}");
    }
    assert_eq!(packs(home.path()), ["mine"]);
    let (ok, told) = add(home.path(), &one, &["--id=-no id-"]);
    assert!(!ok && told.contains("is no pack id") && !told.contains("line 1"), "{told}");
}

/// Each of these opens, and would have failed while somebody speaks, or said nothing.
#[test]
fn what_cannot_run_is_found_before_it_is_taken() {
    let home = tempfile::tempdir().expect("a folder");
    let other = |part: &'static str| {
        move |folder: &Path| _ = std::fs::copy(contract("zipformer2-2").join(part), folder.join(part)).expect("copied")
    };
    let says = |part: &'static str, key: &'static str, value: &'static str| {
        move |folder: &Path| change(&folder.join(part), |graph| saying(graph, key, value))
    };
    let dictionary = r#"{"auto": 5, "de-DE": 99, "en": 0}"#;
    let cases: Vec<(&str, &str, Box<dyn Fn(&Path)>)> = vec![
        ("a joiner of another width", "zipformer2-1", Box::new(other("joiner.onnx"))),
        ("fewer tokens than are scored", "zipformer2-1", Box::new(says("decoder.onnx", "vocab_size", "39"))),
        (
            "more tokens than are scored",
            "zipformer2-1",
            Box::new(|folder| {
                change(&folder.join("decoder.onnx"), |graph| saying(graph, "vocab_size", "41"));
                change(&folder.join("tokens.txt"), |text| [text, b"more 40\n"].concat());
            }),
        ),
        ("another context", "zipformer2-1", Box::new(says("decoder.onnx", "context_size", "1"))),
        ("caches in another order", "nemo-ctc-1", Box::new(|folder| change(&folder.join("model.onnx"), |graph| swapped(graph, 2, 3)))),
        ("another cache of channels", "nemo-ctc-1", Box::new(says("model.onnx", "cache_last_channel_dim3", "13"))),
        ("another cache of time", "nemo-transducer-1", Box::new(says("encoder.onnx", "cache_last_time_dim2", "13"))),
        (
            "a window that is too short",
            "nemo-ctc-1",
            Box::new(|folder| {
                change(&folder.join("model.onnx"), |graph| saying(&saying(graph, "window_size", "2"), "chunk_shift", "2"));
            }),
        ),
        ("a token too few", "nemo-ctc-1", Box::new(says("model.onnx", "vocab_size", "39"))),
        ("states of another width", "nemo-transducer-1", Box::new(says("encoder.onnx", "pred_hidden", "17"))),
        ("a language that the graph hasn't", "nemo-prompt-1", Box::new(says("encoder.onnx", "prompt_dictionary", dictionary))),
        ("no language at all", "nemo-prompt-1", Box::new(says("encoder.onnx", "auto_prompt_id", "6"))),
        ("what was heard of another width", "paraformer-1", Box::new(says("encoder.onnx", "encoder_output_size", "15"))),
        ("a token too few", "paraformer-1", Box::new(says("encoder.onnx", "vocab_size", "59"))),
        ("a reach of another length", "paraformer-1", Box::new(says("encoder.onnx", "decoder_kernel_size", "40"))),
    ];
    for (n, (what, of, spoil)) in cases.into_iter().enumerate() {
        let folder = copy(home.path(), &format!("{n}"), of);
        PackSource::standard().identify(&folder).unwrap_or_else(|e| panic!("{of}: {e}"));
        spoil(&folder);
        println!("{what}: {}", refused(&folder));
    }
}

#[test]
fn caches_that_bear_names_may_come_in_any_order() {
    runtime::runtime();
    let home = tempfile::tempdir().expect("a folder");
    let sound: Vec<f32> = mynah::audio::read(&contract("../../golden/reference.flac")).expect("the reference").mono().to_vec();
    let hear = |folder: &Path| {
        let [encoder, decoder, joiner, tokens] = TRANSDUCER.map(|name| folder.join(name));
        let mut recognizer = Transducer::open(&Files { encoder, decoder, joiner, tokens }, &SessionOptions::default()).expect("it opens");
        let mut heard = Vec::new();
        recognizer.push(&sound, &mut heard).expect("heard");
        heard
    };
    let folder = copy(home.path(), "model", "zipformer2-1");
    let before = hear(&folder);
    // Two caches of the same sizes, and two of others.
    change(&folder.join("encoder.onnx"), |graph| swapped(&swapped(graph, 3, 4), 1, 2));
    assert!(!before.is_empty() && hear(&folder) == before);
}

/// A graph with a chunk of 9 frames of 80 bands and a cache of these sizes: its scores are the first frames times a number.
fn graph(cache: &[u64], times: f32, metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut g = Graph::default();
    g.input("x", &[Some(1), Some(9), Some(80)]);
    g.input("cache", &cache.iter().map(|&n| Some(n)).collect::<Vec<_>>());
    g.floats("times", times);
    g.node("Mul", &["x", "times"], "log_probs", &[]);
    g.node("Identity", &["cache"], "new_cache", &[]);
    g.output("log_probs", &[Some(1), Some(9), Some(80)]);
    g.output("new_cache", &cache.iter().map(|&n| Some(n)).collect::<Vec<_>>());
    g.model(&[&[("T", "9"), ("decode_chunk_len", "8")], metadata].concat())
}

fn ctc(folder: &Path, graph: Vec<u8>) -> PathBuf {
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(folder.join("model.onnx"), graph).expect("written");
    std::fs::write(folder.join("tokens.txt"), (0..80).map(|n| format!("t{n} {n}\n")).collect::<String>()).expect("written");
    folder.to_owned()
}

#[test]
fn sizes_that_no_machine_has_are_a_sentence_in_the_program_and_in_a_host() {
    let home = tempfile::tempdir().expect("a folder");
    let at = |name: &str| home.path().join(name);
    PackSource::standard().identify(&ctc(&at("whole"), graph(&[1, 4], 1.0, &[]))).expect("a model");
    let huge = ctc(&at("huge"), graph(&[1, 1 << 40], 1.0, &[]));
    let overflowing = ctc(&at("overflowing"), graph(&[1 << 40, 1 << 40], 1.0, &[]));
    let long = ctc(&at("long"), graph(&[1, 4], 1.0, &[("T", "1000000"), ("decode_chunk_len", "1000000")]));
    let million = |name: &str, of: &str, part: &str, keys: &[&str]| {
        let folder = copy(home.path(), name, of);
        change(&folder.join(part), |graph| keys.iter().fold(graph.to_vec(), |graph, key| saying(&graph, key, "1000000")));
        folder
    };
    let channels = ["cache_last_channel_dim1", "cache_last_channel_dim2", "cache_last_channel_dim3"];
    for folder in [
        huge,
        overflowing,
        long,
        million("caches", "nemo-ctc-1", "model.onnx", &channels),
        million("window", "nemo-ctc-1", "model.onnx", &["window_size", "chunk_shift"]),
        million("states", "nemo-transducer-1", "encoder.onnx", &["pred_rnn_layers", "pred_hidden"]),
        million("context", "zipformer2-1", "decoder.onnx", &["context_size"]),
        million("paraformer", "paraformer-1", "encoder.onnx", &["encoder_output_size", "decoder_kernel_size"]),
        million("stacks", "paraformer-1", "encoder.onnx", &["lfr_window_size", "lfr_window_shift"]),
    ] {
        println!("{}", refused(&folder));
        let (ok, told) = add(home.path(), &folder, &[]);
        assert!(!ok && told.starts_with("mynah: "), "{told}");
    }
    assert!(packs(home.path()).is_empty());
    // A pack.toml says sizes too: a delay that is made before any model is loaded.
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("delayed");
    std::fs::create_dir(&folder).expect("a folder");
    let text = "id = \"delayed\"\nkind = \"voice\"\nfamily = \"mynah\"\ntitle = \"t\"\nlicence = \"MIT\"\norigin = \"o\"\nfiles = []\n\
                look_ahead = { live = 1099511627776, balanced = 960, studio = 2880 }\n";
    std::fs::write(folder.join("pack.toml"), text).expect("written");
    let (ok, told) = add(home.path(), &folder, &[]);
    assert!(!ok && told.contains("`look_ahead` is 1099511627776"), "{told}");
}

#[test]
fn numbers_that_are_none_are_an_error_instead_of_words() {
    runtime::runtime();
    let home = tempfile::tempdir().expect("a folder");
    for (name, times, says) in [("nan", f32::NAN, "no number"), ("infinity", f32::INFINITY, "no token any probability")] {
        let folder = ctc(&home.path().join(name), graph(&[1, 4], times, &[]));
        // The logarithms of silence are below 0.
        let why = refused(&folder);
        assert!(why.contains(says), "{why}");
        // And where it becomes so later, or was taken before: an error, and no word.
        let opened = Ctc::open(&folder.join("model.onnx"), &folder.join("tokens.txt"), &SessionOptions::default());
        let (mut recognizer, mut tokens) = (opened.expect("it opens"), Vec::new());
        let why = recognizer.push(&[0.0; 16_000], &mut tokens).expect_err("no words").to_string();
        assert!(tokens.is_empty() && why.contains(says), "{why}");
    }
}

#[cfg(unix)]
#[test]
fn vocabularies_with_gaps_and_files_that_are_none_are_told_at_once() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = copy(home.path(), "gap", "zipformer2-1");
    change(&folder.join("tokens.txt"), |text| {
        String::from_utf8_lossy(text).lines().filter(|l| !l.ends_with(" 7")).collect::<Vec<_>>().join("\n").into()
    });
    let why = refused(&folder);
    assert!(why.contains("tokens.txt") && why.contains("line 8 has the number 8, but no line has 7"), "{why}");
    let began = Instant::now();
    for (name, part, make) in [
        (
            "pipe",
            "tokens.txt",
            (|at| assert!(std::process::Command::new("mkfifo").arg(at).status().is_ok_and(|s| s.success()))) as fn(&Path),
        ),
        ("device", "tokens.txt", |at| std::os::unix::fs::symlink("/dev/zero", at).expect("linked")),
        ("pipe of a graph", "joiner.onnx", |at| assert!(std::process::Command::new("mkfifo").arg(at).status().is_ok_and(|s| s.success()))),
        ("device of a graph", "encoder.onnx", |at| std::os::unix::fs::symlink("/dev/zero", at).expect("linked")),
        ("folder", "decoder.onnx", |at| std::fs::create_dir(at).expect("a folder")),
    ] {
        let folder = copy(home.path(), name, "zipformer2-1");
        std::fs::remove_file(folder.join(part)).expect("removed");
        make(&folder.join(part));
        let why = refused(&folder);
        assert!(why.contains(part) && why.contains(&format!("it is a {}", name.split(' ').next().unwrap_or(""))), "{name}: {why}");
    }
    // A pack.toml may name such a file, or be one.
    let folder = home.path().join("pack");
    std::fs::create_dir(&folder).expect("a folder");
    assert!(std::process::Command::new("mkfifo").arg(folder.join("pack.toml")).status().is_ok_and(|s| s.success()));
    let (ok, told) = add(home.path(), &folder, &[]);
    assert!(!ok && told.contains("it is a pipe"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(60), "nothing is waited for");
}

#[test]
fn what_was_fetched_in_a_models_place_is_called_by_its_name() {
    let home = tempfile::tempdir().expect("a folder");
    let page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n";
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 174000000\n";
    for (n, (part, content, says)) in [
        ("encoder.onnx", page, "it is a web page"),
        ("joiner.onnx", pointer, "it is a Git LFS pointer, which stands for the file itself; fetch that with `git lfs pull`"),
        ("tokens.txt", pointer, "it is a Git LFS pointer"),
        ("tokens.txt", page, "it is a web page"),
        ("decoder.onnx", "", "it is empty"),
        ("decoder.onnx", "neither this nor that", "could not be loaded"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = copy(home.path(), &n.to_string(), "zipformer2-1");
        std::fs::write(folder.join(part), content).expect("written");
        let why = refused(&folder);
        assert!(why.contains(part) && why.contains(says) && !why.contains("mynah models fetch"), "{why}");
    }
    // Many files are no long sentence.
    let folder = home.path().join("many");
    std::fs::create_dir(&folder).expect("a folder");
    (0..500).for_each(|n| std::fs::write(folder.join(format!("part-{n:03}-encoder.onnx")), "").expect("written"));
    assert!(refused(&folder).contains("and 494 more"));
}

#[test]
fn a_folder_with_two_models_is_refused_and_both_are_named() {
    let home = tempfile::tempdir().expect("a folder");
    let data = |name: &str| contract("..").join(name);
    let beside = |name: &str, files: &[(PathBuf, &str)]| {
        let folder = copy(home.path(), name, "zipformer2-1");
        for (from, to) in files {
            std::fs::copy(from, folder.join(to)).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        }
        folder
    };
    let second = |part: &str| (contract("zipformer2-2").join(part), format!("second-{part}"));
    let of_second: Vec<(PathBuf, String)> = TRANSDUCER[..3].iter().map(|part| second(part)).collect();
    let of_second: Vec<(PathBuf, &str)> = of_second.iter().map(|(from, to)| (from.clone(), to.as_str())).collect();
    for (name, files, says) in [
        ("ctc", vec![(contract("zipformer2-ctc-1").join("model.onnx"), "model.onnx")], "a CTC model (model.onnx)"),
        ("second", of_second, "a transducer (second-encoder.onnx, second-decoder.onnx, second-joiner.onnx)"),
        ("voice", vec![(data("converters/rvc/project-256.onnx"), "Ada_v1.onnx")], "a voice of RVC (Ada_v1.onnx)"),
    ] {
        let why = refused(&beside(name, &files));
        assert!(why.contains("holds two models: zipformer2 (encoder.onnx") && why.contains(says), "{why}");
    }
    // What belongs to a model, or is none, is no second one.
    let folder = beside("companions", &[(contract("zipformer2-1").join("encoder.onnx"), "encoder.fp32.onnx")]);
    std::fs::write(folder.join("README.md"), "words").expect("written");
    PackSource::standard().identify(&folder).expect("one model");
}

/// A process that is killed while it copies leaves its folder; the next one takes it away, but not that of one that lives.
#[cfg(unix)]
#[test]
fn what_a_killed_process_left_is_cleaned_away() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("big");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::File::create(folder.join("sound.bin")).and_then(|f| f.set_len(1 << 29)).expect("a file with a hole");
    let hash = mynah::packs::sha256_of(&folder.join("sound.bin")).expect("hashed");
    let text = format!(
        "id = \"big\"\nkind = \"recordings\"\nfamily = \"sound\"\ntitle = \"t\"\nlicence = \"MIT\"\norigin = \"o\"\n\
         [[files]]\nname = \"sound.bin\"\nsha256 = \"{hash}\"\nfrom = {{ beside = \"sound.bin\" }}\n"
    );
    std::fs::write(folder.join("pack.toml"), text).expect("written");
    let start = || program::program(home.path()).args(["models", "add"]).arg(&folder).spawn().expect("it runs");
    let working = |count: usize, child: &mut std::process::Child| {
        let began = Instant::now();
        while packs(home.path()).iter().filter(|name| name.starts_with(".big-")).count() < count {
            assert!(child.try_wait().expect("a child").is_none() && began.elapsed() < Duration::from_secs(120), "it never began to copy");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    let mut killed = start();
    working(1, &mut killed);
    killed.kill().and_then(|()| killed.wait()).expect("killed");
    let left = packs(home.path());
    assert!(left.len() == 1 && left[0].starts_with(".big-"), "{left:?}");
    let small = copy(home.path(), "small", "zipformer2-1");
    let (ok, told) = add(home.path(), &small, &[]);
    assert!(ok, "{told}");
    assert_eq!(packs(home.path()), ["small"], "what was left is gone");
    let mut lives = start();
    working(1, &mut lives);
    let (ok, told) = add(home.path(), &small, &["--id", "other"]);
    assert!(ok, "{told}");
    assert!(lives.wait().expect("it ends").success(), "what it worked in was left to it");
    assert_eq!(packs(home.path()), ["big", "other", "small"]);
}
