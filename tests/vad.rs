//! The voice activity model against the probabilities of its own Python package (`models/recipes/golden/vad.py`).
//! Needs the packs `onnxruntime` and `silero-vad`: `cargo xtask test` fetches them first.

mod common;

use std::path::{Path, PathBuf};

use mynah::vad::{FRAME, RATE, Vad, speech};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vad").join(name)
}

fn open() -> Vad {
    common::runtime();
    Vad::open(&common::asset("silero-vad", "silero_vad_16k.onnx")).expect("the model opens")
}

fn sentence() -> Vec<f32> {
    let sound = mynah::audio::read(&data("sentence.flac")).expect("the sentence can be read");
    assert_eq!(sound.rate, RATE);
    sound.mono()
}

#[test]
fn probabilities_are_those_of_the_python_package() {
    let golden: Vec<f32> =
        serde_json::from_str(&std::fs::read_to_string(data("sentence.json")).expect("read")).expect("numbers");
    let samples = sentence();
    let mut vad = open();
    for pass in 0..2 {
        let ours: Vec<f32> = samples.chunks(FRAME).map(|f| vad.probability(f).expect("it runs")).collect();
        assert_eq!(ours.len(), golden.len());
        let worst = ours.iter().zip(&golden).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("pass {pass}: largest difference {worst:e}");
        assert!(worst < 1e-4, "pass {pass}: {worst}");
        vad.reset();
    }
}

#[test]
fn the_sentence_is_one_stretch_between_its_silences() {
    let samples = sentence();
    let found = speech(&mut open(), &samples).expect("it runs");
    assert!(!found.is_empty());
    let (first, last) = (found[0].start as f64 / RATE as f64, found[found.len() - 1].end as f64 / RATE as f64);
    // The recording begins 0.7 s in and ends 0.7 s before the end.
    assert!((0.7..1.2).contains(&first), "{first}");
    assert!((3.2..3.9).contains(&last), "{last}");
    assert!(speech(&mut open(), &vec![0.0; 32_000]).expect("it runs").is_empty(), "silence is no speech");
}

#[test]
fn what_is_not_finite_does_not_poison_what_follows() {
    let mut vad = open();
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30].repeat(FRAME / 4);
    let _ = vad.probability(&odd);
    vad.reset();
    let samples = sentence();
    let peak = samples.chunks(FRAME).map(|f| vad.probability(f).expect("it runs")).fold(0.0, f32::max);
    assert!(peak > 0.95, "{peak}");
    assert!(vad.probability(&vec![0.0; FRAME + 1]).is_err(), "a frame too long is refused");
}

#[test]
fn a_file_that_is_no_model_is_refused_in_one_sentence() {
    drop(open());
    let e = Vad::open(&data("sentence.json")).expect_err("no model").to_string();
    assert!(e.contains("sentence.json") && !e.contains('\n'), "{e}");
}
