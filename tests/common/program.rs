//! For integration tests: the command line with a home of its own and the packs of this machine.

use std::path::Path;
use std::process::Command;

use mynah::packs::{Kind, Store};

/// To be given arguments.
pub fn program(home: &Path) -> Command {
    at_home(Command::new(env!("CARGO_BIN_EXE_mynah")), home)
}

/// Any program of Mynah's with that home and those packs.
pub fn at_home(mut command: Command, home: &Path) -> Command {
    let runtime = Store::standard().find(Kind::Runtime, None).expect("run `cargo xtask packs`");
    command.env("MYNAH_HOME", home).env("MYNAH_PACKS", runtime.folder().parent().expect("the folder of packs"));
    command
}
