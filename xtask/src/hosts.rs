//! The checks in real hosts: Python tests under tests/hosts. And the environments of Python under target/ that these
//! and other checks need.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{bundled, checked, say, target};

const TESTS: &str = "tests/hosts";

/// The command that runs the host tests under pytest, once their packages are there; none where there are no host
/// tests.
pub(crate) fn tests(offline: bool) -> Result<Option<Command>> {
    let requirements = Path::new(TESTS).join("requirements.txt");
    if !requirements.exists() {
        return Ok(None);
    }
    let python = environment("hosts", &requirements, offline)?;
    let mut command = Command::new(python);
    command.args(["-m", "pytest", "-q", TESTS]).env("MYNAH_BUNDLED", bundled());
    command.env_remove("DISPLAY"); // a host that finds a display opens windows, and what it meets there is not what is tested
    Ok(Some(command))
}

/// Makes the environment in which tests/remote finds its servers; where it can't be had, says so, and those checks are
/// skipped.
pub(crate) fn servers(offline: bool) {
    if let Err(e) = environment("remote", Path::new("tests/remote/requirements.txt"), offline) {
        say(&format!("without MLServer and Triton the checks of voices on a server are skipped ({e:#})"));
    }
}

/// Makes an environment where its packages are not those of `requirements`, and gives its Python.
fn environment(name: &str, requirements: &Path, offline: bool) -> Result<PathBuf> {
    let folder = target().join(name);
    let python = if cfg!(windows) { folder.join("Scripts/python.exe") } else { folder.join("bin/python") };
    let (wanted, stamp) = (fs::read_to_string(requirements)?, folder.join("requirements.txt"));
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    anyhow::ensure!(
        !offline,
        "the Python packages of tests/{name} aren't here; run `cargo xtask test` once without --offline"
    );
    say(&format!("installing the Python packages of tests/{name}"));
    checked(Command::new(if cfg!(windows) { "py" } else { "python3" }).args(["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(&python);
    checked(
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements),
    )?;
    fs::write(&stamp, wanted).with_context(|| format!("`{}` can't be written", stamp.display()))?;
    Ok(python)
}
