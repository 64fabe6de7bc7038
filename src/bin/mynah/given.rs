//! Paths that a person gives: found as they were meant, with a note where something that can't be seen was taken away.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};

use mynah::typed::meant;

/// Reads an argument that is a path.
pub fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(found)
}

/// The path that was meant; what was taken away from it is told on stderr.
pub fn found(typed: PathBuf) -> PathBuf {
    let meant = meant(&typed);
    if let Some(note) = meant.note {
        eprintln!("mynah: {note}");
    }
    meant.path
}
