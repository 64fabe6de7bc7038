//! System packages: which ones Mynah needs on Debian and its kin, which are missing, and installing them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::run::{checked, say};

/// What compiling needs: a linker, and the two libraries that the programs link against.
const BUILD: [&str; 4] = ["gcc", "pkg-config", "libasound2-dev", "libjack-jackd2-dev"];
/// What a window needs while it runs, and a screen without a screen for the tests.
const WINDOW: [&str; 8] =
    ["libx11-6", "libx11-xcb1", "libxcb1", "libxcursor1", "libxkbcommon-x11-0", "libgl1", "libgl1-mesa-dri", "xvfb"];
/// What the demo and the tests in real hosts run: pip also fetches the packs.
const HOSTS: [&str; 5] = ["python3-pip", "python3-venv", "ardour", "ffmpeg", "imagemagick"];
/// What shows the captions of streams in tests, another host, what opens and closes a host's windows, and a sound
/// server for the standalone. Tests stop without it and say so: packages of 132 MB and less, and the programs that are
/// as good.
const SEEN: [(&str, &[&str]); 7] = [
    ("chromium", &["chromium", "chromium-browser", "google-chrome"]),
    ("obs-studio", &["obs"]),
    ("qtractor", &["qtractor"]),
    ("openbox", &["openbox"]),
    ("xdotool", &["xdotool"]),
    ("pulseaudio", &["pulseaudio"]),
    ("pulseaudio-utils", &["pactl"]),
];

/// Installs what is missing as root; else prints the one line that does.
pub(crate) fn install() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        say("nothing to install: every system package that Mynah needs is there");
        return Ok(());
    }
    if !is_root() {
        // The line alone on standard output, so that it can be piped or copied.
        println!("sudo apt-get install -y {}", missing.join(" "));
        bail!("{} system packages are missing; run the line above", missing.len());
    }
    say(&format!("installing {}", missing.join(" ")));
    apt("update", &[])?;
    apt("install", &missing)
}

/// Runs apt-get without a question; another package manager that is at work is waited for.
fn apt(verb: &str, packages: &[&str]) -> Result<()> {
    let options = ["-qq", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];
    checked(Command::new("apt-get").args(options).arg(verb).args(packages).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Beyond `install`, installs as root what tests can do without, where the system has it, and says which tests are
/// skipped for want of it.
pub(crate) fn install_for_tests(offline: bool) -> Result<()> {
    install()?;
    let missing: Vec<_> = SEEN.iter().filter(|(_, programs)| !on_path(programs)).map(|(package, _)| *package).collect();
    let known: Vec<_> = missing.iter().copied().filter(|p| !offline && is_root() && has_candidate(p)).collect();
    if !known.is_empty() {
        say(&format!("installing {}", known.join(" ")));
        if let Err(e) = apt("install", &known) {
            say(&format!("{e}"));
        }
    }
    for (package, _) in SEEN.iter().filter(|(_, programs)| !on_path(programs)) {
        say(&format!("without {package} the tests that need it are skipped"));
    }
    Ok(())
}

fn on_path(programs: &[&str]) -> bool {
    let folders: Vec<_> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    programs.iter().any(|program| folders.iter().any(|folder| folder.join(program).is_file()))
}

/// Whether this system's lists have a version of a package, and not only its name.
fn has_candidate(package: &str) -> bool {
    let asked = Command::new("apt-cache").args(["policy", package]).env("LC_ALL", "C").stderr(Stdio::null()).output();
    asked.is_ok_and(|o| candidate_in(&String::from_utf8_lossy(&o.stdout)))
}

/// Whether `apt-cache policy` told of a version that can be installed.
fn candidate_in(told: &str) -> bool {
    told.lines().filter_map(|l| l.trim().strip_prefix("Candidate: ")).any(|version| version != "(none)")
}

/// The missing packages; none where the system isn't of Debian's kind, because then nothing can be told.
fn missing() -> Vec<&'static str> {
    if !Path::new("/usr/bin/dpkg-query").exists() {
        if cfg!(target_os = "linux") {
            say("this is no Debian system, so its packages can't be checked; Mynah needs those of ALSA, JACK, X11, \
                 OpenGL, pip and ffmpeg");
        }
        return Vec::new();
    }
    BUILD.iter().chain(&WINDOW).chain(&HOSTS).copied().filter(|p| !installed(p)).collect()
}

fn installed(package: &str) -> bool {
    let asked =
        Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status}", package]).stderr(Stdio::null()).output();
    asked.is_ok_and(|o| o.status.success() && o.stdout == b"installed")
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_version_is_no_package() {
        assert!(candidate_in("obs-studio:\n  Installed: (none)\n  Candidate: 29.0.2\n  Version table:\n"));
        assert!(!candidate_in("chromium:\n  Installed: (none)\n  Candidate: (none)\n"));
        assert!(!candidate_in(""));
    }
}
