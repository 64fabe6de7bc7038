//! Checks that need tools of their own, run by hand: fuzzing, loom, Miri, cargo-deny. None is part of `cargo xtask
//! test`, because compiling the tools takes longer than all else.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::run::{cargo, checked, say, target};

/// Where the fuzz targets lie.
const FUZZ: &str = "fuzz";
/// The crate that holds the crossing of the threads.
const CROSSING: &str = "mynah-realtime";

/// Makes sure that cargo has a command, by cargo.
fn command_of_cargo(name: &str) -> Result<()> {
    let there = cargo().args([name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if there.is_ok_and(|s| s.success()) {
        return Ok(());
    }
    let package = format!("cargo-{name}");
    say(&format!("installing {package}, which takes some minutes"));
    checked(cargo().args(["install", "--locked", &package]))
}

/// The names of the fuzz targets.
fn targets() -> Result<Vec<String>> {
    let files = std::fs::read_dir(Path::new(FUZZ).join("fuzz_targets"))?.flatten();
    let mut names: Vec<String> = files.filter_map(|f| Some(f.path().file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// Fuzzes one target or all, one after the other, so many seconds each. What breaks one lies in `fuzz/artifacts`
/// afterwards.
pub(crate) fn fuzz(target: Option<&str>, seconds: u64) -> Result<()> {
    command_of_cargo("fuzz")?;
    let all = targets()?;
    if let Some(unknown) = target.filter(|t| !all.iter().any(|name| name == t)) {
        bail!("there is no fuzz target `{unknown}`; choose one of {}", all.join(", "));
    }
    for name in all.iter().filter(|name| target.is_none_or(|t| t == *name)) {
        say(&format!("fuzzing {name} for {seconds} s"));
        // New inputs go to a folder that is not kept; those of the repository are read.
        let found = Path::new(FUZZ).join("artifacts").join("corpus").join(name);
        std::fs::create_dir_all(&found)?;
        // No sanitizer: what is fuzzed is safe Rust, and each would have the whole tree compiled anew.
        let mut command = cargo();
        command.env("RUSTC_BOOTSTRAP", "1").args(["fuzz", "run", "--fuzz-dir", FUZZ, "--sanitizer", "none", name]);
        command.arg(&found).arg(Path::new(FUZZ).join("corpus").join(name));
        command.args([
            "--",
            &format!("-max_total_time={seconds}"),
            "-max_len=4096",
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
        ]);
        checked(&mut command)?;
    }
    Ok(())
}

/// Plays every interleaving of the crossing's threads within bounds, on loom's memory model.
pub(crate) fn loom() -> Result<()> {
    say("every interleaving of the crossing");
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default() + " --cfg loom";
    let mut command = cargo();
    command.env("RUSTFLAGS", flags).env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
    // Of its own, since nothing else is built with these flags.
    command.args(["test", "--release", "--target-dir"]).arg(target().join("loom"));
    // The other tests are for ordinary atomics.
    checked(command.args(["--package", CROSSING, "--lib", "--", "models::", "a_hand_over"]))
}

/// Runs the crossing's own tests under Miri, where a nightly toolchain with Miri is installed.
pub(crate) fn miri() -> Result<()> {
    // Not the cargo that runs this: only rustup's knows toolchains by name.
    let rustup = |args: &[&str]| {
        let mut command = Command::new("cargo");
        command.env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").arg("+nightly").args(args);
        command
    };
    let there = rustup(&["miri", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !there.is_ok_and(|s| s.success()) {
        bail!(
            "Miri needs a nightly toolchain; install it with `rustup toolchain install nightly --component \
             miri,rust-src` and run this again"
        );
    }
    say("the crossing under Miri");
    // The clock is the system's, and the crossing's tests start threads.
    let mut command = rustup(&["miri", "test", "--package", CROSSING]);
    checked(command.env("MIRIFLAGS", "-Zmiri-disable-isolation"))
}

/// Licences, sources and doubled crates of all dependencies; known faults of them too where the database can be had.
pub(crate) fn deny() -> Result<()> {
    command_of_cargo("deny")?;
    say("licences, sources and doubled crates");
    checked(cargo().args(["deny", "--workspace", "check", "licenses", "bans", "sources"]))?;
    say("known faults of dependencies");
    // The database is fetched; without a network this says nothing of the dependencies.
    let fetched = cargo().args(["deny", "fetch", "db"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !fetched.is_ok_and(|s| s.success()) {
        say("the database of known faults can't be had here; advisories were NOT checked");
        return Ok(());
    }
    checked(cargo().args(["deny", "--workspace", "--offline", "check", "advisories"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fuzz_target_has_its_corpus() {
        crate::run::enter_root().expect("the repository");
        let targets = targets().expect("targets");
        assert!(targets.len() >= 8, "{targets:?}");
        let corpora: Vec<_> = std::fs::read_dir(Path::new(FUZZ).join("corpus"))
            .expect("corpora")
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert!(
            targets.iter().all(|t| corpora.iter().any(|c| c.to_str() == Some(t))) && corpora.len() == targets.len(),
            "{corpora:?}"
        );
    }
}
