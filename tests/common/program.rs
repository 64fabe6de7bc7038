//! For integration tests: the command line with a home of its own and the packs of this machine.

// Not every test needs all of it.
#![allow(dead_code)]

use std::path::Path;
use std::process::Command;

use mynah::packs::{Kind, Store};

/// To be given arguments.
pub fn program(home: &Path) -> Command {
    let runtime = Store::standard().find(Kind::Runtime, None).expect("run `cargo xtask packs`");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mynah"));
    command.env("MYNAH_HOME", home).env("MYNAH_PACKS", runtime.folder().parent().expect("the folder of packs"));
    command
}

/// Runs it with these arguments: whether it succeeded, what it said, and what it said of failures.
pub fn mynah(home: &Path, arguments: &[&str]) -> (bool, String, String) {
    let done = program(home).args(arguments).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.success(), text(&done.stdout), text(&done.stderr))
}

/// Opens ONNX Runtime in the test itself.
pub fn runtime() {
    mynah::runtime::init(&Store::standard().runtime_library().expect("run `cargo xtask packs`")).expect("ONNX Runtime opens");
}
