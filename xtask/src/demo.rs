//! The demo, the soak and the bench: everything around the programs that do the work.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{Profile, build, bundled, cargo, checked, mynah, target};
use crate::{bundle, packs, setup, space};

/// Installs what is missing, bundles, fetches the recordings, and runs the plugin in a host over one of them. Results
/// go to target/demo.
pub(crate) fn demo(offline: bool) -> Result<()> {
    space::say_if_short(space::DEMO);
    setup::install()?;
    bundle::bundle(Profile::Release, offline)?;
    let recordings = packs::folder()?.join("recordings");
    let out = target().join("demo");
    std::fs::create_dir_all(&out)?;
    host(
        &bundled().join("Mynah.clap"),
        &recordings.join("two_cities.wav"),
        &recordings.join("endgame_nagg_nell.wav"),
        &out,
    )
}

/// The program that hosts the plugin: it prints what it did and where the sound and the captions lie.
fn host(plugin: &Path, input: &Path, reference: &Path, out: &Path) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "mynah", "--release", "--example", "demo_host", "--"]);
    command
        .arg("--plugin")
        .arg(plugin)
        .arg("--source")
        .arg(input)
        .arg("--reference")
        .arg(reference)
        .arg("--out")
        .arg(out);
    checked(command.args(["--seconds", "45"]))
}

/// Runs the command line's soak on the release build.
pub(crate) fn soak(options: &[String]) -> Result<()> {
    build(Profile::Release)?;
    packs::fetch(Profile::Release, true).or_else(|_| packs::fetch(Profile::Release, false))?;
    checked(Command::new(mynah(Profile::Release)).arg("soak").args(options))
}

/// Runs the command line's bench on the release build, and counts the audio thread's instructions where valgrind is
/// there to do it.
pub(crate) fn bench(json: bool) -> Result<()> {
    build(Profile::Release)?;
    packs::fetch(Profile::Release, true).or_else(|_| packs::fetch(Profile::Release, false))?;
    checked(Command::new(mynah(Profile::Release)).arg("bench").args(json.then_some("--json")))?;
    if !json {
        println!("{}", instructions(&[])?);
        println!("with its window open, {}", instructions(&["watched"])?);
    }
    Ok(())
}

/// Instructions of `AudioPort::process` for a stereo block of 64 samples: what callgrind counts inside
/// examples/audio_thread.rs.
fn instructions(arguments: &[&str]) -> Result<String> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Ok(
            "audio thread: instructions not counted, because valgrind is missing; install it and run this again"
                .to_owned(),
        );
    }
    let example = ["--package", "mynah", "--release", "--example", "audio_thread"];
    checked(cargo().arg("build").arg("--quiet").args(example))?;
    let program = target().join("release").join("examples").join("audio_thread");
    let counts = target().join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=mynah_audio_thread"]);
    let done =
        valgrind.arg(format!("--callgrind-out-file={}", counts.display())).arg(program).args(arguments).output()?;
    let (told, blocks) = (String::from_utf8_lossy(&done.stderr), String::from_utf8_lossy(&done.stdout));
    let collected = told.lines().find_map(|l| l.split("Collected :").nth(1)?.trim().parse::<f64>().ok());
    let (Some(collected), Ok(blocks)) = (collected, blocks.trim().parse::<f64>()) else {
        bail!("valgrind told no count: {told}");
    };
    Ok(format!("audio thread: {:.0} instructions a block of 64 samples in stereo (callgrind)", collected / blocks))
}
