//! Everything a person types starts here: set-up, packs, bundles, installation, demo, test, bench.
//!
//! Knows cargo, the system's package manager and the command line of Mynah; knows nothing of sound or models, and
//! doesn't link `mynah`.

mod bundle;
mod checks;
mod cross;
mod demo;
mod graph;
mod hosts;
mod install;
mod packs;
mod run;
mod screenshots;
mod setup;
mod space;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, tests and shows Mynah.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs the system packages that building, testing and the demo need (Debian and its kin; as root), or names
    /// them.
    Setup,
    /// Fetches every model pack into the user's data folder, or MYNAH_HOME.
    Packs {
        /// Use no network: an error names what is missing.
        #[arg(long)]
        offline: bool,
    },
    /// Builds target/bundled/Mynah.vst3 and Mynah.clap, with the runtime and the default packs inside.
    Bundle {
        /// Build without optimisation, with debug checks.
        #[arg(long)]
        debug: bool,
        /// Carry the runtime that has this provider: cpu, cuda (TensorRT too), directml, coreml, openvino or webgpu.
        #[arg(long, default_value = "cpu", value_name = "NAME")]
        provider: String,
        /// Bundles for another platform, such as windows-x86_64, into target/bundled/PLATFORM: whole for Windows where
        /// MinGW is at hand, else their resources, to be laid into bundles that are built there.
        #[arg(long = "for", value_name = "PLATFORM")]
        platform: Option<String>,
        /// Use no network: an error names what is missing.
        #[arg(long)]
        offline: bool,
    },
    /// Bundles and copies the plugins to the user's plugin folders.
    Install {
        /// Use no network: an error names what is missing.
        #[arg(long)]
        offline: bool,
    },
    /// Runs the plugin in a host over a real recording and shows what came out.
    Demo {
        /// Use no network: an error names what is missing.
        #[arg(long)]
        offline: bool,
    },
    /// Runs every check: format, lints, bundles, tests, hosts. The last line counts them.
    Test {
        /// Use no network: an error names what is missing.
        #[arg(long)]
        offline: bool,
    },
    /// The inner loop: format, lints and every unit test; no hosts, no bundles.
    Check,
    /// Draws the rooms and who uses whom into docs/architecture.md.
    Graph,
    /// Runs the engine for hours over a recording and tells whether it held: late hops, delay, memory, likeness.
    Soak {
        /// What `mynah soak` takes: --hours H, --simulated, --mode, --busy N and more; an hour in real time without.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Fuzzes what reads bytes from outside; what breaks it lies in fuzz/artifacts afterwards.
    Fuzz {
        /// One target; all without.
        target: Option<String>,
        /// Seconds for each target.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Plays every interleaving of the crossing's threads, within bounds.
    Loom,
    /// Runs the crossing's own tests under Miri; needs a nightly toolchain.
    Miri,
    /// Checks licences and sources of all dependencies, and their known faults where the database can be had.
    Deny,
    /// Checks that the code compiles for Windows and macOS; needs rustup and MinGW. Nothing of it is run.
    Platforms,
    /// Makes the bundle for Windows and runs its demo under Wine; needs rustup, MinGW and Wine.
    Wine {
        /// Use no network: an error names what is missing.
        #[arg(long)]
        offline: bool,
    },
    /// Takes pictures of the plugin's real window in each of its states into target/screenshots; needs Xvfb, xdotool
    /// and ImageMagick.
    Screenshots {
        /// The states; all without.
        states: Vec<String>,
        /// Use no network: an error names what is missing.
        #[arg(long)]
        offline: bool,
    },
    /// Measures speed and latency on this machine.
    Bench {
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let done = run::enter_root().and_then(|()| match Arguments::parse().command {
        Command::Setup => setup::install_for_tests(false),
        Command::Packs { offline } => {
            run::build(run::Profile::Release).and_then(|()| packs::fetch(run::Profile::Release, offline))
        }
        Command::Bundle { debug, provider, platform, offline } => {
            let profile = if debug { run::Profile::Debug } else { run::Profile::Release };
            bundle::bundle_with(profile, &provider, platform.as_deref(), offline)
        }
        Command::Install { offline } => install::install(offline),
        Command::Demo { offline } => demo::demo(offline),
        Command::Test { offline } => test::test(offline),
        Command::Check => test::check(),
        Command::Graph => graph::graph(),
        Command::Soak { options } => demo::soak(&options),
        Command::Fuzz { target, seconds } => checks::fuzz(target.as_deref(), seconds),
        Command::Loom => checks::loom(),
        Command::Miri => checks::miri(),
        Command::Deny => checks::deny(),
        Command::Platforms => cross::check(),
        Command::Wine { offline } => cross::wine(offline),
        Command::Screenshots { states, offline } => screenshots::screenshots(&states, offline),
        Command::Bench { json } => demo::bench(json),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e:#}");
            ExitCode::FAILURE
        }
    }
}
