//! The command line: what a person or a script types. One file a subcommand; this one names them and turns the outcome into an exit status.
//!
//! Exit status 0, 2 for a usage error, 1 for the rest. Results go to stdout, errors to stderr in one sentence.

mod bench;
mod caption;
mod convert;
mod doctor;
mod models;
mod outputs;
mod serve;
mod soak;
mod terminal;
mod voices;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use terminal::Failure;

/// Turns a voice into another voice, and captions it.
#[derive(Debug, Parser)]
#[command(name = "mynah", version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Convert a recording into another voice: the very sound that the plugin gives, with the latency taken out
    Convert(convert::Arguments),
    /// Write the captions of recordings
    Caption(caption::Arguments),
    /// Caption a microphone live: an overlay for browser sources, OBS, JSON lines
    Serve(serve::Arguments),
    /// List, enrol and remove target voices
    #[command(subcommand)]
    Voices(voices::Command),
    /// List, check, fetch and add model packs
    #[command(subcommand)]
    Models(models::Command),
    /// Measure speed, overhead and latency on this machine
    Bench(bench::Arguments),
    /// Run for hours over a recording and tell whether it holds
    Soak(soak::Arguments),
    /// Tell what this machine has and lacks, each finding with its remedy
    Doctor(doctor::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(e) = terminal::watch_interrupts() {
        eprintln!("mynah: {e}");
    }
    let outcome = match arguments.command {
        Command::Convert(a) => convert::run(&a),
        Command::Caption(a) => caption::run(&a),
        Command::Serve(a) => serve::run(&a),
        Command::Voices(c) => voices::run(&c),
        Command::Models(c) => models::run(&c),
        Command::Bench(a) => bench::run(&a),
        Command::Soak(a) => soak::run(&a),
        Command::Doctor(a) => doctor::run(&a),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(why)) => {
            eprintln!("mynah: {why}");
            ExitCode::from(2)
        }
        Err(Failure::Other(why)) => {
            eprintln!("mynah: {why}");
            ExitCode::FAILURE
        }
    }
}
