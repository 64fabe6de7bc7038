//! Running other programs from the repository's root, and where things lie there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// How the crate is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Some optimisation, debug checks: what `cargo test` builds.
    Debug,
    /// What users get.
    Release,
}

impl Profile {
    /// The arguments that cargo takes for it.
    pub(crate) fn cargo_args(self) -> &'static [&'static str] {
        match self {
            Profile::Debug => &[],
            Profile::Release => &["--release"],
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Profile::Debug => "debug",
            Profile::Release => "release",
        }
    }
}

/// Makes the repository's root the working directory of this program and of all that it starts.
pub(crate) fn enter_root() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in no folder")?;
    std::env::set_current_dir(root)
        .with_context(|| format!("`{}` can't be entered; run this from the repository", root.display()))
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR").filter(|v| !v.is_empty());
    let folder = PathBuf::from(given.unwrap_or_else(|| OsString::from("target")));
    std::path::absolute(&folder).unwrap_or(folder)
}

/// Where the bundles lie.
pub(crate) fn bundled() -> PathBuf {
    target().join("bundled")
}

/// A built program of the plugin's package.
pub(crate) fn program(profile: Profile, name: &str) -> PathBuf {
    target().join(profile.folder()).join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// The built command line.
pub(crate) fn mynah(profile: Profile) -> PathBuf {
    program(profile, "mynah")
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// Builds the plugin library and the programs together: their dependencies are compiled once.
pub(crate) fn build(profile: Profile) -> Result<()> {
    say("building Mynah");
    checked(cargo().args(["build", "--package", "mynah", "--lib", "--bins"]).args(profile.cargo_args()))
}

/// One plain line about what comes next.
pub(crate) fn say(what: &str) {
    eprintln!("==> {what}");
}

/// Runs a program to its end; a failure names it.
pub(crate) fn checked(command: &mut Command) -> Result<()> {
    let name = shown(command);
    let status =
        command.status().with_context(|| format!("`{name}` could not be started; install it and run this again"))?;
    if !status.success() {
        bail!("`{name}` failed ({status}); its own message stands above");
    }
    Ok(())
}

/// A program and its arguments as one would type them.
pub(crate) fn shown(command: &Command) -> String {
    let program =
        Path::new(command.get_program()).file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    command.get_args().fold(program, |line, arg| line + " " + &arg.to_string_lossy())
}
