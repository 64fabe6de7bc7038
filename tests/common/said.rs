//! For integration tests: what the command line of `program.rs` says.

use std::path::Path;

use crate::program::program;

/// Runs it with these arguments: whether it succeeded, what it said, and what it said of failures.
pub fn mynah(home: &Path, arguments: &[&str]) -> (bool, String, String) {
    let done = program(home).args(arguments).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.success(), text(&done.stdout), text(&done.stderr))
}
