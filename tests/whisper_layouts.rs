//! Whisper in the layouts that people have: `models/recipes/contracts/whisper_layouts.py` writes the same random
//! weights in three layouts, and what sherpa-onnx, CTranslate2 and ONNX Runtime hear with them alike. Every layout
//! gives the same tokens and languages here.

#[path = "common/program.rs"]
mod program;
#[path = "common/runtime.rs"]
mod runtime;
#[path = "common/said.rs"]
mod said;

use std::path::{Path, PathBuf};

use mynah::packs::build::{self, Weights};
use mynah::recognition::whisper::{Layout, Whisper};
use mynah::recognition::{Hearing, RecognizeError, Recognizer, Word};
use mynah::runtime::SessionOptions;
use serde::Deserialize;

use said::mynah;

const RATE: f64 = 16_000.0;

/// What is heard in a piece of the reference.
#[derive(Deserialize)]
struct Heard {
    begin: f64,
    end: f64,
    gain: f32,
    language: String,
    said: std::collections::BTreeMap<String, Said>,
}

/// What is said where a language is told.
#[derive(Deserialize)]
struct Said {
    text: String,
}

fn models(set: &str, layout: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/whisper").join(set).join(layout)
}

fn heard(set: &str) -> Vec<Heard> {
    serde_json::from_slice(&std::fs::read(models(set, "heard.json")).expect("what was heard")).expect("JSON")
}

fn sound() -> Vec<f32> {
    let sound = mynah::audio::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reference.flac"))
        .expect("the reference");
    assert_eq!(f64::from(sound.rate), RATE);
    sound.mono().to_vec()
}

fn piece(sound: &[f32], heard: &Heard) -> Vec<f32> {
    sound[(heard.begin * RATE) as usize..(heard.end * RATE) as usize].iter().map(|x| x * heard.gain).collect()
}

/// A model that hears its whole context, like those that the generator asks.
fn open(set: &str, layout: Layout) -> Whisper {
    runtime::runtime();
    let options = SessionOptions::default();
    let opened = match layout {
        Layout::Mynah => {
            let (from, to) = (models(set, "ctranslate2"), tempfile::tempdir().expect("a folder"));
            build::whisper(&from, to.path(), Weights::Half, None).expect("builds");
            Whisper::open_as(
                layout,
                &|name| if name.ends_with(".onnx") { to.path().join(name) } else { from.join(name) },
                &options,
            )
        }
        Layout::Sherpa => {
            let from = models(set, "sherpa");
            Whisper::open_as(layout, &|name| from.join(format!("random-{name}")), &options)
        }
        Layout::Optimum => {
            let from = models(set, "optimum");
            let file = |name: &str| match name {
                "encoder.onnx" => from.join("encoder_model.onnx"),
                "decoder.onnx" => from.join("decoder_model_merged.onnx"),
                other => from.join(other),
            };
            Whisper::open_as(layout, &file, &options)
        }
    };
    opened.expect("the model opens").with_tail(Some(30.0))
}

const LAYOUTS: [Layout; 3] = [Layout::Mynah, Layout::Sherpa, Layout::Optimum];

fn text(words: &[Word]) -> String {
    words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_layout_says_what_the_runtimes_of_the_layouts_say() {
    let sound = sound();
    for set in ["1", "2"] {
        // What the first layout said, with its times.
        let mut aligned: Vec<Vec<Word>> = Vec::new();
        for layout in LAYOUTS {
            let mut whisper = open(set, layout);
            // The first set has attention in sherpa's layout, the second in optimum's.
            let attention = layout == Layout::Mynah || (layout == Layout::Sherpa) == (set == "1");
            assert_eq!(whisper.has_attention(), attention, "{set} {layout:?}");
            let mut n = 0;
            for heard in &heard(set) {
                let samples = piece(&sound, heard);
                for (code, said) in &heard.said {
                    whisper.speak(Some(code)).expect("a language");
                    let words = whisper.transcribe(&samples, "").expect("transcribes");
                    assert_eq!(text(&words), said.text, "{set} {layout:?} {} s {code}", heard.begin);
                    let length = heard.end - heard.begin;
                    assert!(
                        words.iter().all(|w| w.start <= w.end && w.start >= 0.0 && w.end <= length + 1e-9),
                        "{words:?}"
                    );
                    assert!(words.windows(2).all(|w| w[0].end <= w[1].start + 1e-9), "{words:?}");
                    match layout {
                        Layout::Mynah => aligned.push(words),
                        _ if attention => {
                            let apart = |(a, b): (&Word, &Word)| (a.start - b.start).abs().max((a.end - b.end).abs());
                            let worst = words.iter().zip(&aligned[n]).map(apart).fold(0.0, f64::max);
                            assert!(worst < 0.021, "{set} {layout:?} {} s {code}: {worst} s apart", heard.begin);
                        }
                        _ => {}
                    }
                    n += 1;
                }
            }
            assert!(n >= 4);
        }
    }
}

#[test]
fn the_language_is_heard_as_the_runtimes_hear_it_until_one_is_told() {
    let sound = sound();
    for layout in LAYOUTS {
        let mut whisper = open("1", layout);
        assert_eq!(whisper.spoken(), None);
        assert_eq!(whisper.languages(), ["en", "de", "fr", "haw", "yue"]);
        for heard in &heard("1") {
            whisper.speak(None).expect("it is heard");
            let words = whisper.transcribe(&piece(&sound, heard), "").expect("transcribes");
            assert_eq!(whisper.spoken(), Some(&*heard.language), "{layout:?} {} s", heard.begin);
            if let Some(said) = heard.said.get(&heard.language) {
                assert_eq!(text(&words), said.text, "{layout:?} {} s", heard.begin);
            }
        }
        whisper.speak(Some("FR-ca")).expect("French");
        assert_eq!(whisper.spoken(), Some("fr"));
        let refused = whisper.speak(Some("it")).expect_err("not one of its languages");
        assert!(
            matches!(&refused, RecognizeError::Language { asked, known } if asked == "it" && known.contains("haw")),
            "{refused}"
        );
        assert_eq!(whisper.spoken(), Some("fr"), "what is refused changes nothing");
    }
}

#[test]
fn a_model_of_english_refuses_other_languages_with_a_sentence() {
    for layout in LAYOUTS {
        let mut whisper = open("2", layout);
        assert_eq!((whisper.spoken(), whisper.languages()), (Some("en"), vec!["en"]), "{layout:?}");
        for english in [None, Some("en"), Some("en-GB")] {
            whisper.speak(english).expect("English");
        }
        let why = whisper.speak(Some("de")).expect_err("no German").to_string();
        assert!(why.contains("`de`") && why.contains("en"), "{why}");
    }
}

#[test]
fn settled_words_and_a_draft_change_nothing_in_any_layout() {
    let sound = sound();
    let all = heard("1");
    let longest = |heard: &&Heard| heard.said.values().map(|said| said.text.len()).max();
    let heard = all.iter().max_by_key(longest).expect("a piece");
    let (code, said) = heard.said.iter().max_by_key(|(_, said)| said.text.len()).expect("a language");
    for layout in LAYOUTS {
        let mut whisper = open("1", layout);
        whisper.speak(Some(code)).expect("a language");
        let samples = piece(&sound, heard);
        // A shorter hearing leaves a draft of which only a part is right.
        whisper.transcribe(&samples[..samples.len() / 2], "").expect("transcribes");
        let words = whisper.transcribe(&samples, "").expect("transcribes");
        assert_eq!(text(&words), said.text, "{layout:?}");
        let settled = &words[..words.len() / 2];
        let rest = whisper.hear(&Hearing { samples: &samples, prompt: "", settled, ended: true }).expect("hears");
        let rest: Vec<Word> = rest.words.into_iter().map(|w| w.word).collect();
        assert_eq!(format!("{} {}", text(settled), text(&rest)), said.text, "{layout:?}");
        let end = settled.last().expect("words").end;
        assert!(
            whisper.has_attention() || rest.iter().all(|w| w.start >= end - 1e-9),
            "{layout:?}: {rest:?} before {end}"
        );
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for file in std::fs::read_dir(from).expect("files").flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}

#[test]
fn a_folder_of_any_layout_becomes_a_pack_that_captions_in_a_language() {
    let home = tempfile::tempdir().expect("a folder");
    let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reference.flac");
    let sound = sound.to_str().expect("a path");
    for (layout, set, family, needed, told) in [
        ("ctranslate2", "1", "whisper", "tokenizer.json", "5 languages; words' times come of its attention"),
        ("sherpa", "2", "whisper-sherpa", "random-tokens.txt", "English only; its decoder gives no attention"),
        ("optimum", "1", "whisper-optimum", "generation_config.json", "5 languages; its decoder gives no attention"),
    ] {
        let model = home.path().join(layout);
        copy(&models(set, layout), &model);
        let folder = model.to_str().expect("a path");
        let kept = std::fs::read(model.join(needed)).expect("reads");
        std::fs::remove_file(model.join(needed)).expect("removed");
        let (ok, _, why) = mynah(home.path(), &["models", "add", folder]);
        assert!(!ok && why.contains(needed.trim_start_matches("random-")), "{layout}: {why}");
        std::fs::write(model.join(needed), kept).expect("written");
        let (ok, said, why) = mynah(home.path(), &["models", "add", folder, "--licence", "MIT"]);
        assert!(
            ok && said.contains(&format!("of the family {family}")) && said.contains(told),
            "{layout}: {said}{why}"
        );
        let pack = home.path().join("packs").join(layout);
        let manifest = std::fs::read_to_string(pack.join("pack.toml")).expect("a manifest");
        assert_eq!(manifest.matches("[[built]]").count(), if layout == "ctranslate2" { 2 } else { 0 }, "{manifest}");
        assert!(pack.join("decoder.onnx").exists() && !pack.join("model.bin").exists(), "{layout}");
        assert!(mynah(home.path(), &["models", "use", layout]).0);
        // The pack doesn't need the folder.
        std::fs::remove_dir_all(&model).expect("removed");
        let caption = |language: &str| mynah(home.path(), &["caption", sound, "--jsonl", "--language", language]);
        let (ok, auto, why) = caption("auto");
        assert!(ok && !auto.trim().is_empty(), "{layout}: {why}");
        let (ok, german, why) = caption("de");
        if set == "1" {
            let (_, yue, _) = caption("yue");
            assert!(ok && german != yue, "{layout}: {why}");
        } else {
            assert!(!ok && why.contains("`de`") && why.contains("en"), "{layout}: {why}");
            assert_eq!(caption("en").1, auto);
        }
    }
}

#[test]
fn weights_of_another_network_and_half_an_export_are_told() {
    let source = mynah::engine::PackSource::standard();
    let why = |files: &[(&str, &str)]| {
        let folder = tempfile::tempdir().expect("a folder");
        files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).expect("written"));
        source.identify(folder.path()).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let told =
        why(&[("model.bin", "x"), ("config.json", r#"{"alignment_heads": [[0, 0]]}"#), ("tokenizer.json", "{}")]);
    assert!(told.contains("model.bin"), "{told}");
    let told = why(&[("encoder_model.onnx", ""), ("decoder_model.onnx", ""), ("tokenizer.json", "{}")]);
    assert!(told.contains("decoder_model_merged.onnx"), "{told}");
    // What has an encoder and a decoder, but is no Whisper, is what it was before.
    let transducer = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/contracts/zipformer2-1");
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["encoder.onnx", "decoder.onnx", "tokens.txt"] {
        std::fs::copy(transducer.join(name), folder.path().join(name)).expect("copied");
    }
    let told = source.identify(folder.path()).expect_err("a part is missing").to_string();
    assert!(told.contains("joiner"), "{told}");
}

#[test]
fn of_several_precisions_the_one_that_serves_better_is_taken() {
    let home = tempfile::tempdir().expect("a folder");
    // What is told, and whether the pack has this file's bytes.
    let add = |id: &str, model: &Path, file: &str| {
        let (ok, told, failed) = mynah(home.path(), &["models", "add", model.to_str().expect("a path"), "--id", id]);
        assert!(ok, "{id}: {told}{failed}");
        let hash = mynah::packs::sha256_of(&model.join(file)).expect("its hash");
        (told, mynah(home.path(), &["models", "info", id]).1.contains(&hash))
    };
    let sherpa = home.path().join("sherpa");
    copy(&models("2", "sherpa"), &sherpa);
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/contracts-precisions/whisper"), &sherpa);
    let (told, small) = add("both", &sherpa, "random-decoder.int8.onnx");
    assert!(told.contains("it knows English only") && told.contains("% of a phrase's words differ"), "{told}");
    assert_eq!(small, told.contains("the smaller one is taken"), "{told}");
    for part in ["encoder", "decoder"] {
        std::fs::remove_file(sherpa.join(format!("random-{part}.onnx"))).expect("removed");
    }
    let (told, small) = add("alone", &sherpa, "random-decoder.int8.onnx");
    assert!(small && !told.contains("smaller precision"), "{told}");
    // A model that knows more languages and tells its attention is not given up for one that doesn't.
    for part in ["encoder", "decoder", "tokens"] {
        let name = if part == "tokens" { "random-tokens.txt".to_owned() } else { format!("random-{part}.onnx") };
        std::fs::copy(models("1", "sherpa").join(&name), sherpa.join(&name)).expect("copied");
    }
    let (told, full) = add("other", &sherpa, "random-decoder.onnx");
    assert!(
        full && told.contains("5 languages; words' times come of its attention") && !told.contains("smaller precision"),
        "{told}"
    );

    let optimum = home.path().join("optimum");
    copy(&models("1", "optimum"), &optimum);
    for (part, precision) in
        [("encoder_model", "quantized"), ("decoder_model_merged", "quantized"), ("decoder_model_merged", "fp16")]
    {
        std::fs::copy(optimum.join(format!("{part}.onnx")), optimum.join(format!("{part}_{precision}.onnx")))
            .expect("copied");
    }
    let (told, _) = add("several", &optimum, "decoder_model_merged.onnx");
    for precision in ["quantized", "fp16"] {
        assert!(told.contains(&format!("in the precision {precision} 0 % of a phrase's words differ")), "{told}");
    }
}
