//! The command line: what a person or a script types. One file a subcommand; this one names them and turns the outcome
//! into an exit status.
//!
//! Exit status 0, 2 for a usage error, 1 for the rest. Results go to stdout, with `--json` as one object; errors go to
//! stderr in one sentence, and so does progress, which only a terminal gets.

mod bench;
mod caption;
mod convert;
mod doctor;
mod given;
mod loudness;
mod models;
mod outputs;
mod pages;
mod recording;
mod serve;
mod soak;
mod terminal;
mod voices;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use terminal::Failure;

/// Turns a voice into another voice, and captions it.
#[derive(Debug, Parser)]
#[command(name = "mynah", version, arg_required_else_help = true, help_template = TEMPLATE, after_help = STATUS)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const TEMPLATE: &str = "\
{about}

Examples:
  mynah voices enrol ada.wav --name ada                  a voice, from 3 s or more of it
  mynah convert talk.wav --voice ada -o other.wav        a recording in that voice
  mynah caption talk.wav                                 its captions, talk.srt
  mynah serve --obs --obs-source Captions                a microphone's captions, in OBS
  mynah doctor                                           what this machine has and lacks
  mynah-standalone                                       the voice live, as a microphone for other programs

{usage-heading} {usage}

{all-args}{after-help}
";

const STATUS: &str = "`mynah help COMMAND` tells all about a command.
Exit status: 0 done, 1 something is wrong, 2 wrong arguments. NO_COLOR is respected.";

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
    /// Print what a shell needs to complete commands and options
    Completions(pages::Completions),
    /// Write manual pages
    Man(pages::Man),
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
        Command::Completions(a) => pages::completions(&a, &mut Arguments::command()),
        Command::Man(a) => pages::man(&a, Arguments::command()),
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
