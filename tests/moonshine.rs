//! Moonshine against the runtimes of its layouts: `models/recipes/contracts/moonshine.py` writes graphs of the
//! published contracts with random weights, and what Moonshine's own library or sherpa-onnx hears with them.

#[path = "common/models.rs"]
mod models;
#[path = "common/program.rs"]
mod program;
#[path = "common/runtime.rs"]
mod runtime;
#[path = "common/said.rs"]
mod said;

use std::path::{Path, PathBuf};

use mynah::engine::PackSource;
use mynah::recognition::moonshine::Moonshine;
use mynah::recognition::moonshine::files::Layout;
use mynah::recognition::stream::{Event, Policy, Streamer};
use mynah::recognition::{Heard, Hearing, Recognizer, Word};
use mynah::runtime::RuntimeError;
use mynah::vad::Detector;
use serde::Deserialize;

use models::folder;
use said::mynah;

/// What is heard of the whole sound, and what the peer makes of it.
#[derive(Deserialize)]
struct Told {
    tokens: Vec<usize>,
    text: String,
    peer: String,
}

fn contract(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/contracts-moonshine").join(name)
}

fn told(name: &str) -> Told {
    serde_json::from_slice(&std::fs::read(contract(name).join("heard.json")).expect("what was heard")).expect("JSON")
}

fn sound() -> Vec<f32> {
    let sound = mynah::audio::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reference.flac"))
        .expect("the reference");
    assert_eq!(sound.rate, 16_000);
    sound.mono().to_vec()
}

/// Opens what the folder is found to be.
fn open(folder: &Path) -> Moonshine {
    runtime::runtime();
    let found = PackSource::standard().identify(folder).expect("a model");
    let file = |name: &str| found.files.iter().find(|f| f.0 == name).map(|f| f.1.clone()).unwrap_or_default();
    Moonshine::open(&Layout::of_family(found.family).expect("a layout"), file).expect("it opens")
}

fn hear(model: &mut Moonshine, samples: &[f32], settled: &[Word]) -> (Heard, Vec<usize>) {
    let heard = model.hear(&Hearing { samples, prompt: "", settled, ended: true }).expect("heard");
    (heard, model.tokens().to_vec())
}

fn text(words: impl IntoIterator<Item = Word>) -> String {
    words.into_iter().map(|w| w.text).collect::<Vec<_>>().join(" ")
}

fn words(heard: &Heard) -> Vec<Word> {
    heard.words.iter().map(|w| w.word.clone()).collect()
}

#[test]
fn tokens_equal_those_of_the_peers() {
    let sound = sound();
    for name in ["streaming-1", "streaming-2", "four-1", "four-2", "merged-1", "merged-2"] {
        let told = told(name);
        let (heard, tokens) = hear(&mut open(&contract(name)), &sound, &[]);
        assert_eq!(tokens, told.tokens, "{name}");
        assert_eq!(text(words(&heard)), told.text, "{name}");
        assert!(
            !heard.doubtful && heard.words.iter().all(|w| w.word.confidence > 0.0 && w.word.confidence <= 1.0),
            "{name}"
        );
        if name.starts_with("streaming") {
            // Moonshine's library keeps back the last features; the recipe checks it to the letter against the same
            // sound less those.
            let peer: Vec<&str> = told.peer.split(' ').collect();
            assert!(told.text.starts_with(&peer[..peer.len() - 2].join(" ")), "{name}: {}", told.peer);
        } else {
            assert_eq!(told.text, told.peer, "{name}");
        }
    }
}

#[test]
fn a_buffer_that_grows_is_heard_like_one_that_is_new() {
    let sound = sound();
    for name in ["streaming-1", "streaming-2"] {
        let (mut growing, mut fresh) = (open(&contract(name)), open(&contract(name)));
        let mut different = std::collections::BTreeSet::new();
        // Steps of whole frames and of none, then a buffer that was cut in front, then the old one again.
        for range in [
            0..300,
            0..6_400,
            0..6_401,
            0..12_900,
            0..20_000,
            0..51_200,
            0..sound.len(),
            16_000..sound.len(),
            16_000..40_000,
            0..12_900,
        ] {
            let (heard, tokens) = hear(&mut growing, &sound[range.clone()], &[]);
            // Another sound in between: nothing of the last buffer is left.
            hear(&mut fresh, &[0.1; 700], &[]);
            let (again, same) = hear(&mut fresh, &sound[range.clone()], &[]);
            assert_eq!(tokens, same, "{name} {range:?}");
            assert_eq!(heard.words.len(), again.words.len(), "{name} {range:?}");
            different.insert(tokens);
        }
        assert!(different.len() >= 8, "{name}: {different:?}");
    }
}

#[test]
fn settled_words_stand_first_and_only_new_ones_are_told() {
    let sound = sound();
    for name in ["streaming-1", "streaming-2", "four-1", "merged-1"] {
        let mut model = open(&contract(name));
        let (all, tokens) = hear(&mut model, &sound, &[]);
        let all = words(&all);
        let (rest, same) = hear(&mut model, &sound, &all[..4]);
        assert_eq!(same, tokens, "{name}");
        assert_eq!(text(words(&rest)), text(all[4..].to_vec()), "{name}");
        assert!(
            rest.words[0].word.start >= all[3].end - 0.3,
            "{name}: {} after {}",
            rest.words[0].word.start,
            all[3].end
        );
    }
}

#[test]
fn what_is_expected_is_likelier_and_nothing_else_changes() {
    let mut model = open(&contract("four-2"));
    let (heard, before) = hear(&mut model, &sound(), &[]);
    let symbols = std::fs::read_to_string(contract("four-2").join("tokens.txt")).expect("a vocabulary");
    let mut changed = 0;
    for (id, line) in symbols.lines().enumerate() {
        let Some(piece) = line.strip_prefix('\u{2581}').and_then(|l| l.split('\t').next()) else { continue };
        model.expect(&[piece.to_owned()]).expect("told");
        let (_, after) = hear(&mut model, &sound(), &[]);
        if let Some(at) = (0..before.len().max(after.len())).find(|&i| before.get(i) != after.get(i)) {
            assert_eq!(after[at], id, "where `{piece}` is expected the first other token is its own");
            changed += 1;
        }
    }
    assert!(changed > 0, "none of the pieces was near enough to be heard");
    model.expect(&[]).expect("told");
    assert_eq!(hear(&mut model, &sound(), &[]).0, heard);
}

#[test]
fn attention_tells_when_words_were_said() {
    // The decoder of the second set tells where it looks: in most of its heads' mean ten features, 0.2 s, a token.
    let (heard, tokens) = hear(&mut open(&contract("streaming-2")), &sound(), &[]);
    let mut token = 0;
    let mut apart: Vec<f64> = Vec::new();
    let pieces = pieces("streaming-2");
    for word in words(&heard) {
        while pieces[tokens[token]].starts_with('\u{2581}') != (token > 0 || pieces[tokens[0]].starts_with('\u{2581}'))
            && token + 1 < tokens.len()
        {
            token += 1;
        }
        apart.push((word.start - token as f64 * 0.2).abs());
        token += 1;
    }
    apart.sort_by(f64::total_cmp);
    assert!(apart[apart.len() / 2] < 0.15 && apart[apart.len() * 9 / 10] < 0.3, "{apart:?}");
}

/// The pieces of a `tokenizer.bin` with short ones only.
fn pieces(name: &str) -> Vec<String> {
    let data = std::fs::read(contract(name).join("tokenizer.bin")).expect("a vocabulary");
    let (mut pieces, mut rest) = (Vec::new(), &data[..]);
    while let Some((&length, after)) = rest.split_first() {
        pieces.push(String::from_utf8(after[..length as usize].to_vec()).expect("text"));
        rest = &after[length as usize..];
    }
    pieces
}

/// All sound is speech, silence is none.
struct Loud;

impl Detector for Loud {
    fn probability(&mut self, frame: &[f32]) -> Result<f32, RuntimeError> {
        Ok(if frame.iter().any(|x| x.abs() > 1e-4) { 1.0 } else { 0.0 })
    }

    fn reset(&mut self) {}
}

#[test]
fn the_policies_make_it_stream() {
    let mut sound = sound();
    sound.extend(vec![0.0; 32_000]);
    for name in ["streaming-1", "streaming-2", "four-1"] {
        let mut streamer = Streamer::with(Box::new(open(&contract(name))), Box::new(Loud), Policy::default());
        let (mut finals, mut first, mut events) = (Vec::new(), None, Vec::new());
        for (n, block) in sound.chunks(1600).enumerate() {
            streamer.push(block, &mut events).expect("heard");
            for event in events.drain(..) {
                match event {
                    Event::Final(words) => finals.extend(words),
                    Event::Partial(words) if !words.is_empty() => first = first.or(Some(n)),
                    Event::Partial(_) => {}
                }
            }
        }
        assert!(
            first.is_some_and(|n| n < 20),
            "{name}: a word shows within two seconds of speech, not after {first:?} blocks"
        );
        assert!(finals.len() >= 8, "{name}: {finals:?}");
        assert!(
            finals.windows(2).all(|w| w[0].end <= w[1].start) && finals.iter().all(|w| w.start <= w.end && w.end < 6.3),
            "{name}: {finals:?}"
        );
    }
}

#[test]
fn folders_become_packs_and_captions() {
    let home = tempfile::tempdir().expect("a folder");
    let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reference.flac");
    for (name, family) in
        [("streaming-2", "moonshine-streaming"), ("four-1", "moonshine"), ("merged-2", "moonshine-merged")]
    {
        let folder = contract(name);
        let (ok, told, failed) =
            mynah(home.path(), &["models", "add", folder.to_str().expect("a path"), "--licence", "MIT"]);
        assert!(ok && told.contains(name) && told.contains(family), "{told}{failed}");
        let (ok, _, failed) = mynah(home.path(), &["models", "use", name]);
        assert!(ok, "{failed}");
        let (ok, heard, failed) = mynah(home.path(), &["caption", sound.to_str().expect("a path"), "--jsonl"]);
        assert!(ok && heard.contains("\"text\""), "{name}: {heard}{failed}");
        // Another language is refused, not passed over.
        let (ok, _, told) =
            mynah(home.path(), &["caption", sound.to_str().expect("a path"), "--jsonl", "--language", "de"]);
        assert!(!ok && told.contains("its own alone"), "{name}: {told}");
    }
}

#[test]
fn what_is_wrong_with_a_folder_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = contract("streaming-1");
    let copy = |name: &str| std::fs::copy(from.join(name), folder.path().join(name)).expect("copied");
    for name in
        ["frontend.onnx", "encoder.onnx", "adapter.onnx", "cross_kv.onnx", "streaming_config.json", "tokenizer.bin"]
    {
        copy(name);
    }
    let why = || PackSource::standard().identify(folder.path()).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(why().contains("no decoder_kv.onnx"), "{}", why());
    std::fs::copy(from.join("encoder.onnx"), folder.path().join("decoder_kv.onnx")).expect("copied");
    assert!(why().contains("decoder_kv.onnx") && why().contains("`token`"), "{}", why());
    copy("decoder_kv.onnx");
    std::fs::write(folder.path().join("tokenizer.bin"), [5, b'a']).expect("written");
    assert!(why().contains("tokenizer.bin"), "{}", why());
    std::fs::write(folder.path().join("streaming_config.json"), r#"{"encoder_dim": 0}"#).expect("written");
    assert!(why().contains("streaming_config.json"), "{}", why());
}

/// What is told where the folder becomes a pack, and whether the pack has this file's bytes.
fn added(home: &Path, folder: &Path, file: &str) -> (String, bool) {
    let id = folder.file_name().and_then(|n| n.to_str()).expect("a name");
    let (ok, told, failed) = mynah(home, &["models", "add", folder.to_str().expect("a path"), "--licence", "MIT"]);
    assert!(ok, "{told}{failed}");
    let hash = mynah::packs::sha256_of(&folder.join(file)).expect("its hash");
    let (_, info, _) = mynah(home, &["models", "info", id]);
    (told, info.contains(&hash))
}

/// The files of a set.
fn set(folder: &str, names: &[&'static str]) -> Vec<(String, &'static str)> {
    names.iter().map(|name| (format!("{folder}/{name}"), *name)).collect()
}

#[test]
fn of_two_precisions_the_one_that_serves_better_is_taken() {
    let home = tempfile::tempdir().expect("a folder");
    let full = set(
        "contracts-moonshine/four-1",
        &["preprocess.onnx", "uncached_decode.onnx", "cached_decode.onnx", "tokens.txt"],
    );
    let slow = set("contracts-precisions/slow", &["encode.onnx"]);
    // What the full one is without its burden is as right and quicker.
    let same = [("contracts-moonshine/four-1/encode.onnx".to_owned(), "encode.int8.onnx")];
    let (told, taken) =
        added(home.path(), &folder(home.path(), "same", &[&full[..], &slow, &same].concat()), "encode.int8.onnx");
    assert!(
        told.contains("in the smaller precision 0 % of a phrase's words differ")
            && told.contains("the smaller one is taken"),
        "{told}"
    );
    assert!(taken, "{told}");
    // Random weights don't bear 8 bits: other words are heard, and however quick it is, it is not taken.
    let eight = set(
        "contracts-precisions/moonshine",
        &["encode.int8.onnx", "uncached_decode.int8.onnx", "cached_decode.int8.onnx"],
    );
    let (told, taken) =
        added(home.path(), &folder(home.path(), "eight", &[&full[..], &slow, &eight].concat()), "encode.onnx");
    assert!(taken && told.contains("% of a phrase's words differ") && told.contains("the full one is taken"), "{told}");
    assert!(!told.contains(" 0 % of a phrase's"), "{told}");
}

#[test]
fn a_folder_with_a_smaller_precision_only_is_a_model() {
    let home = tempfile::tempdir().expect("a folder");
    let eight = set(
        "contracts-precisions/moonshine",
        &["encode.int8.onnx", "uncached_decode.int8.onnx", "cached_decode.int8.onnx"],
    );
    let rest = set("contracts-moonshine/four-1", &["preprocess.onnx", "tokens.txt"]);
    let (told, taken) = added(home.path(), &folder(home.path(), "four", &[eight, rest].concat()), "encode.int8.onnx");
    assert!(taken && told.contains("of the family moonshine,") && !told.contains("smaller precision"), "{told}");
    let merged = [
        ("contracts-precisions/merged/encoder_model_quantized.onnx".to_owned(), "encoder_model_quantized.onnx"),
        ("contracts-moonshine/merged-1/decoder_model_merged.onnx".to_owned(), "decoder_model_merged_quantized.onnx"),
        ("contracts-moonshine/merged-1/tokens.txt".to_owned(), "tokens.txt"),
    ];
    let (told, taken) = added(home.path(), &folder(home.path(), "merged", &merged), "encoder_model_quantized.onnx");
    assert!(taken && told.contains("of the family moonshine-merged,") && !told.contains("smaller precision"), "{told}");
}
