//! `mynah voices`: the target voices of this user.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use mynah::engine::{PackSource, enrol_file_and_tell, with_suggestion};
use mynah::voice::TargetVoice;
use mynah::voice::library::{About, Entry, Library, agreed, now};

use super::given;
use super::terminal::{Failure, Outcome, say, say_json, writing};

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
        #[arg(value_name = "REF", value_parser = given::path())]
        reference: PathBuf,
        /// The name of the voice; an older voice of the same name is replaced
        #[arg(long)]
        name: String,
        /// I may use this voice: it is mine, or I have its owner's permission. Kept with the voice
        #[arg(long)]
        permitted: bool,
    },
    /// Remove a voice
    Remove {
        /// Its name
        name: String,
    },
}

/// The voices as `--json` shows them.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    voices: Vec<Shown<'a>>,
}

/// One of them.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    median_pitch_hz: f32,
    embedding: &'static str,
    /// Whether the voice pack in use knows the voice's timbre; if not, enrolling it again brings it closer to its
    /// reference.
    timbre: bool,
}

/// What describes a speaker: the pack that a reference is enrolled with.
const EMBEDDING: &str = "ge2e";

/// Runs it.
pub fn run(command: &Command) -> Outcome {
    let library = Library::standard();
    match command {
        Command::List { json } => list(&library, *json),
        Command::Enrol { reference, name, permitted } => enrol(&library, reference, name, *permitted),
        Command::Remove { name } => {
            library.remove(name).map_err(|e| Failure::Other(with_suggestion(&e)))?;
            say(&format!("`{name}` is removed"))
        }
    }
}

fn enrol(library: &Library, reference: &Path, name: &str, permitted: bool) -> Outcome {
    let (voice, heard) = enrol_file_and_tell(reference, name)?;
    let from = reference.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let told =
        format!("`{}` is enrolled ({}); its recording is {}", voice.name, pitch(voice.median_pitch), heard.verdict());
    let about = About { enrolled: now(), from, heard, consent: permitted.then(agreed) };
    let _whole = writing();
    library.keep(&Entry { voice, about: Some(about) })?;
    if !permitted {
        eprintln!(
            "mynah: use a voice only if it is yours or its owner allows it; `--permitted` keeps with it that you may"
        );
    }
    say(&told)
}

fn list(library: &Library, json: bool) -> Outcome {
    let voices = library.list()?;
    for problem in library.broken()? {
        eprintln!("mynah: {problem}");
    }
    let model = PackSource::standard().timbre_model();
    let has_timbre = |v: &TargetVoice| model.as_ref().is_some_and(|m| v.timbre_of(m).is_some());
    if json {
        let shown = voices.iter().map(|v| Shown {
            name: &v.name,
            median_pitch_hz: v.median_pitch,
            embedding: EMBEDDING,
            timbre: has_timbre(v),
        });
        return say_json(&Listed { voices: shown.collect() });
    }
    if voices.is_empty() {
        return say("no voice is enrolled; run `mynah voices enrol REF.wav --name NAME`");
    }
    let width = voices.iter().map(|v| v.name.chars().count()).max().unwrap_or(0);
    for v in &voices {
        // Without a voice pack nothing can be said of timbres, and enrolling again would not bring one.
        let advice = if model.is_none() || has_timbre(v) {
            ""
        } else {
            "  no timbre for this voice pack: enrol it again to come closer"
        };
        say(&format!("{:width$}  {:>20}  {EMBEDDING}{advice}", v.name, pitch(v.median_pitch)))?;
    }
    Ok(())
}

fn pitch(hz: f32) -> String {
    if hz > 0.0 { format!("median pitch {hz:.0} Hz") } else { "median pitch unknown".to_owned() }
}
