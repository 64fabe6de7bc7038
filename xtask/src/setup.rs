//! System packages: which ones Mynah needs on Debian and its kin, which are missing, and installing them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::run::{checked, say};

/// What compiling needs: a linker, and the two libraries that the programs link against.
const BUILD: [&str; 4] = ["gcc", "pkg-config", "libasound2-dev", "libjack-jackd2-dev"];
/// What a window needs while it runs, and a screen without a screen for the tests.
const WINDOW: [&str; 8] = ["libx11-6", "libx11-xcb1", "libxcb1", "libxcursor1", "libxkbcommon-x11-0", "libgl1", "libgl1-mesa-dri", "xvfb"];
/// What the demo and the tests in real hosts run: pip also fetches the packs.
const HOSTS: [&str; 5] = ["python3-pip", "python3-venv", "ardour", "ffmpeg", "imagemagick"];

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
    let apt = |args: &[&str]| checked(Command::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive"));
    apt(&["-qq", "update"])?;
    apt(&[&["-qq", "install", "-y", "--no-install-recommends"], &*missing].concat())
}

/// The missing packages; none where the system isn't of Debian's kind, because then nothing can be told.
fn missing() -> Vec<&'static str> {
    if !Path::new("/usr/bin/dpkg-query").exists() {
        if cfg!(target_os = "linux") {
            say("this is no Debian system, so its packages can't be checked; Mynah needs those of ALSA, JACK, X11, OpenGL, pip and ffmpeg");
        }
        return Vec::new();
    }
    BUILD.iter().chain(&WINDOW).chain(&HOSTS).copied().filter(|p| !installed(p)).collect()
}

fn installed(package: &str) -> bool {
    let asked = Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status}", package]).stderr(Stdio::null()).output();
    asked.is_ok_and(|o| o.status.success() && o.stdout == b"installed")
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}
