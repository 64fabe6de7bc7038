//! Fetched weights become ONNX graphs: the same input gives the same bytes on every machine.
//!
//! Knows file formats and the shapes of networks; knows nothing of sessions, of where packs live or how they are
//! fetched.

mod ct2;
mod eight;
mod ge2e;
mod onnx;
mod pickle;
mod torch;
mod whisper;
mod whisper_layers;
mod whisper_products;
#[cfg(test)]
mod whisper_tests;

pub use ct2::fuzz as fuzz_ct2;
pub use ge2e::ge2e;
pub use torch::fuzz as fuzz_torch;
pub use whisper::{Weights, whisper};

use std::io::Write;
use std::path::{Path, PathBuf};

use mynah_files as files;

/// What can go wrong while a graph is built from fetched weights.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The weights could not be read.
    #[error("the weights `{path}` can't be read: {why}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do where that is known.
        why: String,
    },
    /// The weights are not in the format that the builder reads.
    #[error("the weights `{path}` are damaged or of another format: {why}; fetch the pack again")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was wrong, and where.
        why: String,
    },
    /// A tensor of the network is not in the file, or has another shape.
    #[error("the weights `{path}` are of another network: {why}; choose a pack of the right family")]
    Network {
        /// The file.
        path: PathBuf,
        /// Which tensor, what was expected and what was found.
        why: String,
    },
    /// The graph could not be written.
    #[error(
        "the graph `{path}` could not be written: {source}; free some space or choose a folder that can be written"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The largest file of weights that is read, which has room for the half floats of `large-v3` (3.1 GB); a wrong file
/// must not fill the memory.
const LARGEST: u64 = 4 << 30;

/// A whole file of weights.
fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    let failed = |why| BuildError::Read { path: path.to_owned(), why };
    let bytes = files::read(path, LARGEST).map_err(failed)?;
    files::other_than_a_model(&bytes).map_or(Ok(()), |what| Err(failed(what.to_owned())))?;
    Ok(bytes)
}

/// Writes beside the target and renames, so that no half-written graph is ever seen.
fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let failed = |source| BuildError::Write { path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut temporary = tempfile::Builder::new();
    // Hidden: one that is left half written is no file of a pack.
    temporary.prefix(".part-");
    // A temporary file is private by default; a graph may be read by whoever may read its folder.
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = temporary.tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// A reader over bytes that never reads past the end.
struct Bytes<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(n).filter(|&e| e <= self.data.len());
        let end = end.ok_or_else(|| {
            format!("it ends at byte {} where {n} more are needed after byte {}", self.data.len(), self.at)
        })?;
        let taken = &self.data[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn u8(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, String> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Up to and without the next line feed.
    fn line(&mut self) -> Result<&'a [u8], String> {
        let length = self.data[self.at..].iter().position(|&b| b == b'\n');
        let line = self.take(length.ok_or_else(|| format!("a line that starts at byte {} has no end", self.at))?)?;
        self.at += 1;
        Ok(line)
    }
}
