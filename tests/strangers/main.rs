//! Folders of models as strangers make them: under names of Mynah's own, of parts that don't fit, with sizes that no
//! machine has, of files that are none, of two models at once. Nothing of it is taken, nothing ends the process or
//! stands still, and a sentence says what is wrong.

mod files;
mod names;
mod parts;

#[path = "../common/program.rs"]
mod program;
#[path = "../common/runtime.rs"]
mod runtime;
#[path = "../common/said.rs"]
mod said;
#[path = "../common/spoilt.rs"]
mod spoilt;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../common/tiny_onnx.rs"]
mod tiny_onnx;

use std::path::{Path, PathBuf};

use mynah::engine::PackSource;
use said::mynah;

const TRANSDUCER: [&str; 4] = ["encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt"];

fn contract(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/contracts").join(name)
}

/// A folder of a home with the files of a contract.
fn copy(home: &Path, name: &str, of: &str) -> PathBuf {
    let folder = home.join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    for file in std::fs::read_dir(contract(of)).expect("a contract").flatten().filter(|f| f.file_name() != "heard.json")
    {
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
    let why = PackSource::standard()
        .identify(folder)
        .err()
        .map(|e| e.to_string())
        .unwrap_or_else(|| panic!("{} is taken", folder.display()));
    let bare = why.replace(folder.to_str().expect("UTF-8"), "");
    assert!(bare.chars().count() < 420 && !bare.contains('\n'), "{}: {why}", bare.chars().count());
    assert!(![".cc:", ".h:", "onnxruntime::", "line 1 "].iter().any(|internal| why.contains(internal)), "{why}");
    why
}

fn packs(home: &Path) -> Vec<String> {
    let mut all: Vec<String> = std::fs::read_dir(home.join("packs"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    all.sort();
    all
}
