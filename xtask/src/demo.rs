//! The demo and the bench: everything around the programs that do the work.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::run::{Profile, build, bundled, cargo, checked, mynah, target};
use crate::{bundle, packs, setup};

/// Installs what is missing, bundles, fetches the recordings, and runs the plugin in a host over one of them. Results go to target/demo.
pub(crate) fn demo(offline: bool) -> Result<()> {
    setup::install()?;
    bundle::bundle(Profile::Release, offline)?;
    let recordings = packs::folder()?.join("recordings");
    let out = target().join("demo");
    std::fs::create_dir_all(&out)?;
    host(&bundled().join("Mynah.clap"), &recordings.join("two_cities.wav"), &recordings.join("endgame_nagg_nell.wav"), &out)
}

/// The program that hosts the plugin: it prints what it did and where the sound and the captions lie.
fn host(plugin: &Path, input: &Path, reference: &Path, out: &Path) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "mynah", "--release", "--example", "demo_host", "--"]);
    command.arg("--plugin").arg(plugin).arg("--source").arg(input).arg("--reference").arg(reference).arg("--out").arg(out);
    checked(command.args(["--seconds", "45"]))
}

/// Runs the command line's bench on the release build.
pub(crate) fn bench(json: bool) -> Result<()> {
    build(Profile::Release)?;
    packs::fetch(Profile::Release, true).or_else(|_| packs::fetch(Profile::Release, false))?;
    checked(Command::new(mynah(Profile::Release)).arg("bench").args(json.then_some("--json")))
}
