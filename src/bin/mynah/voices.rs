//! `mynah voices`: the target voices of this user.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use mynah::engine::enrol_file;
use mynah::voice::library::Library;

use super::terminal::{Outcome, say, say_json, writing};

/// What `voices` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the enrolled voices
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Enrol a voice from a reference recording, 3 s of speech or more
    Enrol {
        /// The reference: wav, flac, mp3, ogg or m4a
        #[arg(value_name = "REF")]
        reference: PathBuf,
        /// The name of the voice; an older voice of the same name is replaced
        #[arg(long)]
        name: String,
    },
    /// Remove a voice
    Remove {
        /// Its name
        name: String,
    },
}

/// A voice as `--json` shows it.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    median_pitch_hz: f32,
    embedding: &'static str,
}

/// What describes a speaker: the pack that a reference is enrolled with.
const EMBEDDING: &str = "ge2e";

/// Runs it.
pub fn run(command: &Command) -> Outcome {
    let library = Library::standard();
    match command {
        Command::List { json } => list(&library, *json),
        Command::Enrol { reference, name } => {
            let voice = enrol_file(reference, name)?;
            let _whole = writing();
            library.save(&voice)?;
            say(&format!("`{}` is enrolled ({})", voice.name, pitch(voice.median_pitch)))
        }
        Command::Remove { name } => {
            library.remove(name)?;
            say(&format!("`{name}` is removed"))
        }
    }
}

fn list(library: &Library, json: bool) -> Outcome {
    let voices = library.list()?;
    for problem in library.broken()? {
        eprintln!("mynah: {problem}");
    }
    if json {
        let shown: Vec<_> = voices.iter().map(|v| Shown { name: &v.name, median_pitch_hz: v.median_pitch, embedding: EMBEDDING }).collect();
        return say_json(&shown);
    }
    if voices.is_empty() {
        return say("no voice is enrolled; run `mynah voices enrol REF.wav --name NAME`");
    }
    let width = voices.iter().map(|v| v.name.chars().count()).max().unwrap_or(0);
    for v in &voices {
        say(&format!("{:width$}  {:>20}  {EMBEDDING}", v.name, pitch(v.median_pitch)))?;
    }
    Ok(())
}

fn pitch(hz: f32) -> String {
    if hz > 0.0 { format!("median pitch {hz:.0} Hz") } else { "median pitch unknown".to_owned() }
}
