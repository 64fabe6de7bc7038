//! Model packs: what a `pack.toml` says, where packs lie, that nothing loads whose bytes differ, and how packs are
//! fetched.
//!
//! Knows neither the plugin nor the workers nor what a model computes. Everything here reads files: no function may run
//! on the audio thread.

pub mod build;
mod catalogue;
mod chosen;
pub mod claims;
pub mod fetch;
mod hash;
mod hub;
pub mod listed;
mod manifest;
mod names;
mod pack;
mod pip;
mod place;
mod store;
mod target;
#[cfg(test)]
mod testing;
mod workshop;

pub use catalogue::{catalogue, runtimes};
pub use chosen::{choose, chosen};
pub use manifest::{Builder, Built, FileEntry, Kind, LookAhead, Manifest, Source, Wheel};
pub use names::{FileName, PackId, Sha256};
pub use pack::Pack;
pub use place::module_path;
pub use store::Store;
pub use target::Target;

use std::path::{Path, PathBuf};

pub use mynah_files::user_folder;

/// What can be wrong with a pack.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A `pack.toml` can't be understood.
    #[error("`{path}`, line {line}: {why}; correct that line or fetch the pack again with `mynah models fetch`")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        why: String,
    },
    /// A folder that was named as a pack has no `pack.toml`.
    #[error("`{0}` is no pack, because it holds no pack.toml; choose a folder that does")]
    NoManifest(PathBuf),
    /// A file is there and can't be read.
    #[error("`{path}` can't be read: {why}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A file can't be written.
    #[error("`{path}` can't be written: {why}; check its folder and the room on its disk")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A file of the pack is not there.
    #[error("the pack `{id}` lacks `{path}`; run `mynah models fetch {id}`")]
    Missing {
        /// The pack.
        id: String,
        /// Where the file should lie.
        path: PathBuf,
    },
    /// A file's bytes are not those that the pack names.
    #[error(
        "`{path}` of the pack `{id}` has sha256 {found:.12}… where {expected:.12}… is expected; run `mynah models \
         fetch {id}`"
    )]
    Hash {
        /// The pack.
        id: String,
        /// The file.
        path: PathBuf,
        /// The hash in `pack.toml`.
        expected: String,
        /// The hash of the bytes on disk.
        found: String,
    },
    /// A link leads out of the pack's folder.
    #[error("`{path}` of the pack `{id}` leads out of its folder to `{target}`; put the file itself there")]
    Outside {
        /// The pack.
        id: String,
        /// The file.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// The pack names no such file.
    #[error("the pack `{id}` names no file `{name}`; choose a pack of the right family")]
    NoSuchFile {
        /// The pack.
        id: String,
        /// The file asked for.
        name: String,
    },
    /// The pack is of another kind than asked for.
    #[error(
        "the pack `{id}` is of the kind {found}, but {asked} was asked for; choose a {asked} pack from `mynah models \
         list`"
    )]
    WrongKind {
        /// The pack.
        id: String,
        /// The kind asked for.
        asked: Kind,
        /// The pack's kind.
        found: Kind,
    },
    /// The pack is of another family than asked for.
    #[error(
        "the pack `{id}` is of the family {found}, but {asked} was asked for; choose another pack from `mynah models \
         list`"
    )]
    WrongFamily {
        /// The pack.
        id: String,
        /// The family asked for.
        asked: String,
        /// The pack's family.
        found: String,
    },
    /// The name is that of a pack of Mynah's own.
    #[error("`{id}` is the name of one of Mynah's own packs, whose place nothing else takes; give this one another id")]
    Reserved {
        /// The name.
        id: String,
    },
    /// Another pack of that name is there.
    #[error(
        "a pack `{id}` is there already ({what}, in `{folder}`); give this one another id, or say --replace where it \
         takes that one's place"
    )]
    Taken {
        /// The name.
        id: String,
        /// What is there, in a few words.
        what: String,
        /// Where it lies.
        folder: PathBuf,
    },
    /// No such pack anywhere.
    #[error("no pack {what} was found in {searched}; run `mynah models fetch --all`")]
    NotFound {
        /// What was asked for.
        what: String,
        /// The folders that were searched.
        searched: String,
    },
}

/// The sha256 of a file in lower-case hex, as a `pack.toml` has it. Reads all of it.
pub fn sha256_of(path: &Path) -> Result<String, PackError> {
    hash::of_file(path).map_err(|e| PackError::Read { path: path.to_owned(), why: e.to_string() })
}
