//! A provider other than the processor, for real: OpenVINO's runtime from its package computes the voice on any x86-64
//! processor. It must sound like the processor's own result, and what runs where must be told.

use std::path::{Path, PathBuf};
use std::process::Command;

use mynah::audio::{read, write_wav};
use mynah::clock::Mode;
use mynah::engine::{PackSource, Source};
use mynah::packs::{Kind, Store};
use mynah::runtime::Provider;

/// A folder of packs whose runtime is OpenVINO's; none where it can't be had, with the reason printed.
fn openvino() -> Option<PathBuf> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("skipped: the pack onnxruntime-openvino is for Linux on x86-64");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openvino");
    let fetch = Command::new(env!("CARGO_BIN_EXE_mynah"))
        .args(["models", "fetch", "onnxruntime-openvino", "--into"])
        .arg(&folder)
        .output()
        .expect("it runs");
    if !fetch.status.success() {
        println!("skipped: {}", String::from_utf8_lossy(&fetch.stderr));
        return None;
    }
    Some(folder)
}

fn mynah(packs: &Path, arguments: &[&str]) -> (bool, String, String) {
    let done =
        Command::new(env!("CARGO_BIN_EXE_mynah")).args(arguments).env("MYNAH_PACKS", packs).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.success(), text(&done.stdout), text(&done.stderr))
}

#[test]
fn openvino_sounds_like_the_processor_and_tells_what_it_runs() {
    let Some(packs) = openvino() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let place = |name: &str| home.path().join(name).to_str().expect("UTF-8").to_owned();
    let recordings = Store::standard().find(Kind::Recordings, None).expect("run `cargo xtask packs`");
    let mut clip = read(&recordings.file("two_cities.wav").expect("a recording")).expect("sound");
    let frames = 3 * clip.rate as usize;
    clip.channels.iter_mut().for_each(|c| c.truncate(frames));
    write_wav(&home.path().join("clip.wav"), &clip).expect("written");
    for provider in ["cpu", "openvino"] {
        let (clip, out) = (place("clip.wav"), place(&format!("{provider}.wav")));
        let (ok, told, failed) =
            mynah(&packs, &["convert", &clip, "--voice", &clip, "-o", &out, "--provider", provider, "--json"]);
        assert!(ok, "{failed}");
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(told["provider"], provider, "{told}");
    }
    let sound = |provider: &str| read(&home.path().join(format!("{provider}.wav"))).expect("sound").channels.remove(0);
    let (own, other) = (sound("cpu"), sound("openvino"));
    assert_eq!(own.len(), other.len());
    let power = |x: &[f32]| x.iter().map(|x| f64::from(x * x)).sum::<f64>();
    let apart: Vec<f32> = own.iter().zip(&other).map(|(a, b)| a - b).collect();
    let decibels = 10.0 * (power(&apart) / power(&own)).log10();
    println!("OpenVINO differs from the processor by {decibels:.1} dB");
    assert!(power(&own) > 1.0 && decibels < -50.0, "{decibels} dB");

    // In this process too, which then has OpenVINO's library and no other.
    let source = PackSource::at(Store::at(std::iter::once(packs).chain(Store::standard().folders().iter().cloned())));
    let placed = source.placement(Mode::Balanced, Provider::OpenVino).expect("watched").expect("the voice has a graph");
    println!("{}", placed.sentence());
    let own: f64 = placed.parts.iter().filter(|p| p.provider == "OpenVINOExecutionProvider").map(|p| p.seconds).sum();
    assert!(own > placed.fallen_back().map(|p| p.seconds).sum(), "{}", placed.sentence());
    let processor = source.placement(Mode::Balanced, Provider::Cpu).expect("watched").expect("the voice has a graph");
    assert!(processor.fallen_back().next().is_none() && processor.parts[0].nodes > 10, "{}", processor.sentence());
    let told = source.placement(Mode::Balanced, Provider::Cuda).expect_err("no CUDA in this library").to_string();
    assert!(told.contains("cuda can't be used here"), "{told}");
}
