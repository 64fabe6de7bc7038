//! Getting a wheel through pip, the registry's ordinary client. Knows nothing of packs but the wheel's entry.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Wheel;
use super::fetch::FetchError;

/// How often the growing download is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Downloads a wheel into an empty folder and gives its path. `grown` is told the bytes that have arrived, some ten
/// times a second; its error ends pip.
pub(super) fn download(
    wheel: &Wheel,
    folder: &Path,
    grown: &mut dyn FnMut(u64) -> Result<(), FetchError>,
) -> Result<PathBuf, FetchError> {
    let package = format!("{}=={}", wheel.pypi, wheel.version);
    let failed = |why: String| FetchError::Download { package: package.clone(), why };
    let write = |e: std::io::Error| FetchError::Write { path: folder.to_owned(), why: e.to_string() };
    let (got, temporary, said) = (folder.join("got"), folder.join("temporary"), folder.join("said"));
    for made in [&got, &temporary] {
        std::fs::create_dir_all(made).map_err(write)?;
    }
    // What pip says goes to a file: a pipe that nobody empties would stop it.
    let speech = std::fs::File::create(&said).map_err(write)?;
    let python = python().ok_or_else(|| FetchError::NoPip { package: package.clone() })?;
    let mut command = Command::new(python);
    command.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]);
    command.args(["--no-deps", "--only-binary=:all:", "--dest"]).arg(&got);
    if let Some(platform) = &wheel.platform {
        command.args(["--platform", platform]);
    }
    if let Some(version) = &wheel.python {
        command.args(["--python-version", version, "--implementation", "cp"]);
    }
    command.arg(&package).current_dir(folder);
    for name in ["TMPDIR", "TEMP", "TMP"] {
        command.env(name, &temporary);
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(speech).spawn().map_err(|e| failed(e.to_string()))?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| failed(e.to_string()))? {
            break status;
        }
        if let Err(e) = grown(bytes_below(folder)) {
            // It may have ended meanwhile; either way nothing of it is kept.
            let _ = child.kill();
            let _ = child.wait();
            return Err(e);
        }
        std::thread::sleep(LOOK);
    };
    if !status.success() {
        return Err(failed(last_error(&std::fs::read_to_string(&said).unwrap_or_default())));
    }
    let there = std::fs::read_dir(&got).map_err(write)?.flatten().map(|e| e.path());
    let mut wheels = there.filter(|p| p.extension().is_some_and(|e| e == "whl"));
    wheels.next().ok_or_else(|| failed("pip gave no wheel".to_owned()))
}

/// The first Python that has pip.
fn python() -> Option<&'static str> {
    let names: &[&str] = if cfg!(windows) { &["py", "python", "python3"] } else { &["python3", "python"] };
    names.iter().copied().find(|name| {
        let mut asked = Command::new(name);
        asked.args(["-m", "pip", "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        asked.status().is_ok_and(|s| s.success())
    })
}

/// The bytes of all files below a folder; what vanishes meanwhile counts nothing.
fn bytes_below(folder: &Path) -> u64 {
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(size).sum()
}

/// The last line that pip calls an error, else its last line.
fn last_error(said: &str) -> String {
    let mut lines = said.lines().rev().map(str::trim).filter(|l| !l.is_empty());
    let last = lines.next().unwrap_or("pip said nothing");
    let line = said.lines().rev().find(|l| l.starts_with("ERROR:")).unwrap_or(last);
    line.trim_start_matches("ERROR:").trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_what_pip_said_last() {
        assert_eq!(
            last_error("ERROR: first\nERROR: No matching distribution found for x==1.\nnotice\n"),
            "No matching distribution found for x==1"
        );
        assert_eq!(last_error("odd\n\n"), "odd");
        assert_eq!(last_error(""), "pip said nothing");
    }

    #[test]
    fn bytes_of_folders_within_folders_count() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("a")).expect("a folder");
        std::fs::write(folder.path().join("a/b"), "12345").expect("written");
        std::fs::write(folder.path().join("c"), "12").expect("written");
        assert_eq!(bytes_below(folder.path()), 7);
    }
}
