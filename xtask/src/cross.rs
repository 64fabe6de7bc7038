//! Other platforms from this one: whether the code compiles for them, bundles for Windows where MinGW is at hand, and
//! the demo of these under Wine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::bundle::bundle_with;
use crate::packs;
use crate::run::{Profile, bundled, cargo, checked, say, target};

/// Windows as Rust and MinGW call it, and the linker of Debian's package `gcc-mingw-w64-x86-64`.
const WINDOWS: &str = "x86_64-pc-windows-gnu";
const MINGW: &str = "x86_64-w64-mingw32-gcc";
const MACOS: &str = "aarch64-apple-darwin";
/// The same as bundles call it.
const PLATFORM: &str = "windows-x86_64";
/// What is missing for Windows, and how it is had.
const NO_MINGW: &str = "MinGW is not here; on Debian `sudo apt-get install gcc-mingw-w64-x86-64`";

/// Makes sure that the standard library of a target is here, by rustup.
fn standard_library(triple: &str) -> Result<()> {
    let known = Command::new("rustup").args(["target", "list", "--installed"]).stderr(Stdio::null()).output();
    let known = known.context("without rustup there is no standard library for other platforms; install rustup")?;
    if String::from_utf8_lossy(&known.stdout).lines().any(|line| line == triple) {
        return Ok(());
    }
    say(&format!("the standard library of {triple}"));
    checked(Command::new("rustup").args(["target", "add", triple]))
}

fn has_mingw() -> bool {
    Command::new(MINGW).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Checks that the library and both programs compile for Windows and for macOS.
pub(crate) fn check() -> Result<()> {
    if !has_mingw() {
        bail!("{NO_MINGW}");
    }
    let check = |triple: &str| {
        say(&format!("compiling for {triple}, without linking"));
        let mut command = cargo();
        command.args(["check", "--package", "mynah", "--lib", "--bins", "--target", triple]);
        command
    };
    standard_library(WINDOWS)?;
    checked(&mut check(WINDOWS))?;
    standard_library(MACOS)?;
    // A dependency compiles C while it is built, for which Apple's SDK would be needed. What comes of it only counts
    // when something is linked.
    let pretended = Pretended::new()?;
    checked(pretended.lend(&mut check(MACOS)))
}

/// A compiler and an archiver that make empty files.
struct Pretended(PathBuf);

impl Pretended {
    fn new() -> Result<Self> {
        let this = Self(target().join("pretended"));
        fs::create_dir_all(&this.0)?;
        this.script("cc", "p=; for a in \"$@\"; do [ \"$p\" = -o ] && : > \"$a\"; p=$a; done; exit 0")?;
        this.script("ar", "for a in \"$@\"; do case $a in *.a) : > \"$a\";; esac; done")?;
        Ok(this)
    }

    fn script(&self, name: &str, body: &str) -> Result<()> {
        let path = self.0.join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n"))?;
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(())
    }

    fn lend<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let place = |name: &str| self.0.join(name);
        command
            .env("SDKROOT", &self.0)
            .env("CC_aarch64_apple_darwin", place("cc"))
            .env("CXX_aarch64_apple_darwin", place("cc"));
        command.env("AR_aarch64_apple_darwin", place("ar")).env("RANLIB_aarch64_apple_darwin", "true")
    }
}

/// Builds the library and the programs for another platform and lays them into its bundles in `home`. Where that can't
/// be done here it is told why: the bundles then hold their resources alone.
pub(crate) fn libraries(home: &Path, platform: &str) -> Result<()> {
    let lacks = match platform {
        PLATFORM if has_mingw() => None,
        PLATFORM => Some(NO_MINGW.to_owned()),
        _ => Some(format!("no toolchain of this machine links for {platform}")),
    };
    if let Some(why) = lacks {
        say(&format!(
            "`{}` holds resources alone, since {why}; the library is built on that platform and laid beside them",
            home.display()
        ));
        return Ok(());
    }
    standard_library(WINDOWS)?;
    say(&format!("building for {WINDOWS}"));
    checked(cargo().args(["build", "--package", "mynah", "--release", "--lib", "--bins", "--target", WINDOWS]))?;
    laid(&target().join(WINDOWS).join("release"), home)
}

/// Lays what was built for Windows where hosts look for it there.
fn laid(built: &Path, home: &Path) -> Result<()> {
    let places = [
        ("mynah.dll", "Mynah.clap"),
        ("mynah.dll", "Mynah.vst3/Contents/x86_64-win/Mynah.vst3"),
        ("mynah.exe", "mynah.exe"),
        ("mynah-standalone.exe", "mynah-standalone.exe"),
    ];
    for (from, to) in places.map(|(from, to)| (built.join(from), home.join(to))) {
        lay(&from, &to).with_context(|| format!("`{}` can't be laid to `{}`", from.display(), to.display()))?;
    }
    say(&format!("`{}` holds the plugins and programs for Windows; `cargo xtask wine` runs them", home.display()));
    Ok(())
}

fn lay(from: &PathBuf, to: &PathBuf) -> Result<()> {
    let bytes = fs::read(from)?;
    if !bytes.starts_with(b"MZ") {
        bail!("it is no program of Windows");
    }
    to.parent().map_or(Ok(()), fs::create_dir_all)?;
    Ok(fs::write(to, bytes)?)
}

/// Wine 8 lacks a library that Rust's standard library takes random numbers from; this is the one call of it.
const RANDOM: &str = "\
#include <windows.h>
#include <ntsecapi.h>
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T n) { return RtlGenRandom(bytes, (ULONG)n); }
";

/// Runs the demo of the bundle for Windows under Wine: its host, its plugin, its ONNX Runtime. It renders, since Wine
/// promises no time.
pub(crate) fn wine(offline: bool) -> Result<()> {
    let wine = |arguments: &[&str]| {
        let mut command = Command::new("wine");
        command.args(arguments).env("WINEPREFIX", target().join("wine").join("prefix")).env("WINEDEBUG", "-all");
        command
    };
    if !wine(&["--version"]).stdout(Stdio::null()).status().is_ok_and(|s| s.success()) {
        bail!("Wine is not here; on Debian `sudo apt-get install wine64`");
    }
    bundle_with(Profile::Release, "cpu", Some(PLATFORM), offline)?;
    let home = bundled().join(PLATFORM);
    if !home.join("Mynah.clap").exists() {
        bail!("no plugin for Windows was built; the lines above say why");
    }
    say("building the demo's host for Windows");
    checked(cargo().args(["build", "--package", "mynah", "--release", "--example", "demo_host", "--target", WINDOWS]))?;
    // Beside the host, since there Windows looks for libraries, and not in the bundle, where real ones would find it.
    let run = target().join("wine").join("run");
    fs::create_dir_all(&run)?;
    fs::copy(target().join(WINDOWS).join("release/examples/demo_host.exe"), run.join("demo_host.exe"))?;
    fs::write(run.join("random.c"), RANDOM)?;
    let library = run.join("bcryptprimitives.dll");
    checked(Command::new(MINGW).arg("-shared").arg("-o").arg(&library).arg(run.join("random.c")).arg("-ladvapi32"))?;
    // Wine shows all of this system as the drive Z.
    let windows = |path: &Path| format!("Z:{}", path.display()).replace('/', "\\");
    let recordings = packs::folder()?.join("recordings");
    let mut command = wine(&[&windows(&run.join("demo_host.exe"))]);
    command.args([
        "--fast",
        "--seconds",
        "45",
        "--plugin",
        &windows(&home.join("Mynah.clap")),
        "--out",
        &windows(&run.join("out")),
    ]);
    command.args(["--source", &windows(&recordings.join("two_cities.wav"))]);
    command.args(["--reference", &windows(&recordings.join("endgame_nagg_nell.wav"))]);
    command
        .env("MYNAH_PACKS", windows(&home.join("Mynah.resources/packs")))
        .env("MYNAH_HOME", windows(&run.join("home")));
    checked(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_built_for_windows_lies_where_hosts_look() {
        let (built, home) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        for name in ["mynah.dll", "mynah.exe", "mynah-standalone.exe"] {
            fs::write(built.path().join(name), [b"MZ", name.as_bytes()].concat()).expect("written");
        }
        laid(built.path(), home.path()).expect("laid");
        let vst3 = fs::read(home.path().join("Mynah.vst3/Contents/x86_64-win/Mynah.vst3")).expect("the VST3");
        assert!(vst3 == b"MZmynah.dll" && vst3 == fs::read(home.path().join("Mynah.clap")).expect("the CLAP"));
        fs::write(built.path().join("mynah.exe"), b"\x7fELF").expect("written");
        assert!(laid(built.path(), home.path()).is_err());
    }
}
