//! The checks in real hosts: Python tests under tests/hosts, in an environment of their own under target/.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{bundled, checked, say, target};

const TESTS: &str = "tests/hosts";

/// The command that runs the host tests under pytest, once their packages are there; none where there are no host tests.
pub(crate) fn tests(offline: bool) -> Result<Option<Command>> {
    let requirements = Path::new(TESTS).join("requirements.txt");
    if !requirements.exists() {
        return Ok(None);
    }
    let python = environment(&requirements, offline)?;
    let mut command = Command::new(python);
    command.args(["-m", "pytest", "-q", TESTS]).env("MYNAH_BUNDLED", bundled());
    command.env_remove("DISPLAY"); // a host that finds a display opens windows, and what it meets there is not what is tested
    Ok(Some(command))
}

/// Makes the environment where its packages are not those of `requirements`, and gives its Python.
fn environment(requirements: &Path, offline: bool) -> Result<PathBuf> {
    let folder = target().join("hosts");
    let python = if cfg!(windows) { folder.join("Scripts/python.exe") } else { folder.join("bin/python") };
    let (wanted, stamp) = (fs::read_to_string(requirements)?, folder.join("requirements.txt"));
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    anyhow::ensure!(!offline, "the Python packages of the host tests aren't here; run `cargo xtask test` once without --offline");
    say("installing the Python packages of the host tests");
    checked(Command::new(if cfg!(windows) { "py" } else { "python3" }).args(["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(&python);
    checked(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements))?;
    fs::write(&stamp, wanted).with_context(|| format!("`{}` can't be written", stamp.display()))?;
    Ok(python)
}
