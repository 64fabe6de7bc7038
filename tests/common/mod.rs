//! For integration tests: where fetched packs lie, and how far two texts differ.

use std::path::{Path, PathBuf};

/// A file of a fetched pack; fails with a sentence if it is missing.
pub fn asset(pack: &str, name: &str) -> PathBuf {
    let from = |variable: &str, inside: &str| std::env::var_os(variable).filter(|v| !v.is_empty()).map(|v| Path::new(&v).join(inside));
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/assets/packs");
    let places = [from("MYNAH_PACKS", ""), from("MYNAH_HOME", "packs"), Some(built_in)];
    let found = places.into_iter().flatten().map(|place| place.join(pack).join(name)).find(|file| file.is_file());
    let found = found
        .unwrap_or_else(|| panic!("the pack `{pack}` with `{name}` is not here; run `cargo xtask test`, which fetches what tests need"));
    std::path::absolute(found).expect("a path")
}

/// Opens ONNX Runtime.
pub fn runtime() {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let library = asset("onnxruntime", &format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}"));
    mynah::runtime::init(&library).expect("ONNX Runtime opens");
}
