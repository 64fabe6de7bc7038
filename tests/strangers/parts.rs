//! Parts that don't fit, numbers that are none, sizes that no machine has.

use std::path::{Path, PathBuf};

use mynah::engine::PackSource;
use mynah::recognition::online::OnlineRecognizer;
use mynah::recognition::online::ctc::Ctc;
use mynah::recognition::online::transducer::{Files, Transducer};
use mynah::runtime::SessionOptions;

use super::spoilt::{saying, swapped};
use super::tiny_onnx::Graph;
use super::{TRANSDUCER, add, change, contract, copy, packs, refused, runtime};

/// Models that read whole buffers.
const FOUR: &str = "../contracts-moonshine/four-1";
const SHERPA: &str = "../whisper/1/sherpa";
const OPTIMUM: &str = "../whisper/1/optimum";

/// What spoils the files in a folder.
type Spoils = Box<dyn Fn(&Path)>;

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
    let from = |of: &'static str, part: &'static str| {
        move |folder: &Path| _ = std::fs::copy(contract(of).join(part), folder.join(part)).expect("copied")
    };
    let first_lines =
        |text: &[u8]| String::from_utf8_lossy(text).lines().take(20).collect::<Vec<_>>().join("\n").into_bytes();
    let dictionary = r#"{"auto": 5, "de-DE": 99, "en": 0}"#;
    let cases: Vec<(&str, &str, Spoils)> = vec![
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
        (
            "caches in another order",
            "nemo-ctc-1",
            Box::new(|folder| change(&folder.join("model.onnx"), |graph| swapped(graph, 2, 3))),
        ),
        ("another cache of channels", "nemo-ctc-1", Box::new(says("model.onnx", "cache_last_channel_dim3", "13"))),
        ("another cache of time", "nemo-transducer-1", Box::new(says("encoder.onnx", "cache_last_time_dim2", "13"))),
        (
            "a window that is too short",
            "nemo-ctc-1",
            Box::new(|folder| {
                change(&folder.join("model.onnx"), |graph| {
                    saying(&saying(graph, "window_size", "2"), "chunk_shift", "2")
                });
            }),
        ),
        ("a token too few", "nemo-ctc-1", Box::new(says("model.onnx", "vocab_size", "39"))),
        ("states of another width", "nemo-transducer-1", Box::new(says("encoder.onnx", "pred_hidden", "17"))),
        (
            "a language that the graph hasn't",
            "nemo-prompt-1",
            Box::new(says("encoder.onnx", "prompt_dictionary", dictionary)),
        ),
        ("no language at all", "nemo-prompt-1", Box::new(says("encoder.onnx", "auto_prompt_id", "6"))),
        (
            "what was heard of another width",
            "paraformer-1",
            Box::new(says("encoder.onnx", "encoder_output_size", "15")),
        ),
        ("a token too few", "paraformer-1", Box::new(says("encoder.onnx", "vocab_size", "59"))),
        ("a reach of another length", "paraformer-1", Box::new(says("encoder.onnx", "decoder_kernel_size", "40"))),
        ("a reader of another model", FOUR, Box::new(from("../contracts-moonshine/four-2", "cached_decode.onnx"))),
        (
            "an encoder of another model",
            "../contracts-moonshine/merged-1",
            Box::new(from("../contracts-moonshine/merged-2", "encoder_model.onnx")),
        ),
        (
            "a vocabulary of another model",
            FOUR,
            Box::new(move |folder| change(&folder.join("tokens.txt"), first_lines)),
        ),
        ("a token too few", SHERPA, Box::new(says("random-encoder.onnx", "n_vocab", "332"))),
        ("a layer too many", SHERPA, Box::new(says("random-encoder.onnx", "n_text_layer", "3"))),
        ("other states", SHERPA, Box::new(says("random-encoder.onnx", "n_text_state", "33"))),
        ("a decoder of another model", OPTIMUM, Box::new(from("../whisper/2/optimum", "decoder_model_merged.onnx"))),
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
    let sound: Vec<f32> =
        mynah::audio::read(&contract("../../golden/reference.flac")).expect("the reference").mono().to_vec();
    let hear = |folder: &Path| {
        let [encoder, decoder, joiner, tokens] = TRANSDUCER.map(|name| folder.join(name));
        let mut recognizer = Transducer::open(&Files { encoder, decoder, joiner, tokens }, &SessionOptions::default())
            .expect("it opens");
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

/// A graph with a chunk of 9 frames of 80 bands and a cache of these sizes: its scores are the first frames times a
/// number.
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
    std::fs::write(folder.join("tokens.txt"), (0..80).map(|n| format!("t{n} {n}\n")).collect::<String>())
        .expect("written");
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
        change(&folder.join(part), |graph| {
            keys.iter().fold(graph.to_vec(), |graph, key| saying(&graph, key, "1000000"))
        });
        folder
    };
    let channels = ["cache_last_channel_dim1", "cache_last_channel_dim2", "cache_last_channel_dim3"];
    let whisper = |name: &str, key: &str| {
        let folder = copy(home.path(), name, "../whisper/1/sherpa");
        change(&folder.join("random-encoder.onnx"), |graph| saying(graph, key, "1000000"));
        folder
    };
    let said = |name: &str, of: &str, file: &str, from: &str, to: &str| {
        let folder = copy(home.path(), name, of);
        change(&folder.join(file), |text| String::from_utf8_lossy(text).replace(from, to).into());
        folder
    };
    let (optimum, streaming) = ("../whisper/1/optimum", "../contracts-moonshine/streaming-1");
    for folder in [
        whisper("whisper's bands", "n_mels"),
        whisper("whisper's text", "n_text_ctx"),
        whisper("whisper's states", "n_text_state"),
        said("optimum's bands", optimum, "config.json", "\"num_mel_bins\": 80", "\"num_mel_bins\": 1000000"),
        said("moonshine's layers", streaming, "streaming_config.json", "\"depth\": 2", "\"depth\": 1000000"),
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
    for (name, times, says) in [("nan", f32::NAN, "no number"), ("infinity", f32::INFINITY, "no token any probability")]
    {
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
