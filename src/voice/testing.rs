//! For tests: where fetched packs lie, and sound to test with. Only compiled for tests.

use std::path::{Path, PathBuf};

use super::{TargetVoice, Timbre};
use mynah_models::packs::Store;
use mynah_realtime::clock::Mode;

/// A file of any fetched pack; fails with a sentence if it is missing.
pub fn asset(name: &str) -> PathBuf {
    let packs = Store::standard().list();
    let found = packs.into_iter().flatten().map(|pack| pack.folder().join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("no fetched pack has `{name}`; run `cargo xtask test`, which fetches what tests need")
    })
}

/// Opens ONNX Runtime.
pub fn runtime() {
    mynah_models::runtime::init(&Store::standard().runtime_library().expect("run `cargo xtask packs`"))
        .expect("ONNX Runtime opens");
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Numbers that `models/recipes/golden` wrote.
pub fn golden(name: &str) -> Vec<f32> {
    let path = root().join(format!("tests/golden/{name}.f32"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; run models/recipes/golden", path.display()));
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
}

/// A second of speech at 24 kHz, made for Mynah's own corpus.
pub fn clip() -> Vec<f32> {
    let bytes = std::fs::read(root().join("tests/golden/mynah_clip.i16")).expect("the clip is in the repository");
    bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]]) as f32 / 32768.0).collect()
}

/// A file of the repository's voice model.
pub fn model_file(name: &str) -> PathBuf {
    root().join("models/mynah-voice").join(name)
}

/// What runs on this processor: its weights.
pub fn voice_weights() -> PathBuf {
    model_file("voice.safetensors")
}

/// Its graph for a mode.
pub fn voice_model(mode: Mode) -> PathBuf {
    model_file(&format!("voice.{}.onnx", mode.name()))
}

/// What tests call the weights of the repository's voice model.
pub const WEIGHTS: &str = "golden";

/// A target voice with a real embedding and the timbre of the clip.
pub fn voice() -> TargetVoice {
    let timbre = Timbre { model: WEIGHTS.to_owned(), numbers: golden("mynah_timbre") };
    TargetVoice {
        name: "golden".to_owned(),
        embedding: golden("mynah_speaker"),
        median_pitch: 180.0,
        timbres: vec![timbre],
    }
}

/// A reference of five seconds, made for Mynah's own corpus.
pub fn reference() -> mynah_audio::Sound {
    mynah_audio::read(&root().join("tests/golden/reference.flac")).expect("the reference is in the repository")
}
