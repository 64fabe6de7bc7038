//! Recordings that a subcommand reads: which track, and what is told of how it was read. Knows no engine but its ear
//! for speech.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use mynah::audio::{AudioError, Choice, Note, Reader};
use mynah::engine::PackSource;

use super::terminal::Failure;

/// Shared by all that read recordings.
#[derive(Debug, Clone, Default, Args)]
pub struct RecordingArguments {
    /// Of a file with several tracks of sound the N-th; without it the one in which somebody speaks most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub track: Option<u16>,
}

/// A recording that can be read as often as needed.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    choice: Choice,
}

/// A note, as JSON tells it.
#[derive(Debug, Serialize)]
pub struct Told {
    #[serde(flatten)]
    note: Note,
    says: String,
}

impl Recording {
    /// Looks at the file and chooses its track. Fails where it can't be read.
    pub fn open(path: &Path, a: &RecordingArguments, source: &PackSource) -> Result<Self, Failure> {
        let choice = match a.track {
            Some(number) => Choice::Number(usize::from(number)),
            None => {
                let tracks = Reader::open(path)?.tracks().len();
                // Without an ear for speech the file's own choice is read, and that is told.
                match source.spoken_track(path, tracks) {
                    Ok(Some(number)) => Choice::Spoken(number),
                    _ => Choice::Standard,
                }
            }
        };
        Ok(Self { path: path.to_owned(), choice })
    }

    /// Its sound from the beginning.
    pub fn reader(&self) -> Result<Reader, AudioError> {
        Reader::open_track(&self.path, self.choice)
    }

    /// Says on stderr what must be said of how it was read; with `strict` what was lost is an error.
    pub fn tell(&self, notes: &[Note], strict: bool) -> Result<Vec<Told>, Failure> {
        if let Some(lost) = notes.iter().find(|n| strict && n.is_loss()) {
            return Err(Failure::Other(format!("nothing was written, since of `{}` {lost}", self.path.display())));
        }
        for note in notes {
            eprintln!("mynah: {}: {note}", self.path.display());
        }
        Ok(notes.iter().map(|note| Told { says: note.to_string(), note: note.clone() }).collect())
    }
}
