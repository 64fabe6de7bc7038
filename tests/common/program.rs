//! For integration tests: the command line with a home of its own and the packs of this machine.

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
