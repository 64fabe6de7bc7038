//! SHA-256 of files, remembered for the life of the process. Knows nothing of packs.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use mynah_files as files;

/// What a file looked like when it was hashed: a later look with the same length and time needs no second reading.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

static SEEN: Mutex<Option<HashMap<PathBuf, (Stamp, String)>>> = Mutex::new(None);

/// The sha256 of a file in lower-case hex; read once and then remembered by (path, length, time of change).
pub(super) fn of_file(path: &Path) -> io::Result<String> {
    let meta = path.metadata()?;
    let stamp = Stamp { length: meta.len(), modified: meta.modified().ok() };
    {
        let seen = SEEN.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((known, hash)) = seen.as_ref().and_then(|s| s.get(path))
            && *known == stamp
        {
            return Ok(hash.clone());
        }
    }
    let hash = of_reader(files::open(path, files::WEIGHTS).map_err(io::Error::other)?.0)?;
    let mut seen = SEEN.lock().unwrap_or_else(|e| e.into_inner());
    seen.get_or_insert_default().insert(path.to_owned(), (stamp, hash.clone()));
    Ok(hash)
}

/// The sha256 of all that a reader gives, in lower-case hex.
pub(super) fn of_reader(mut reader: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        std::fs::write(&path, "abc").expect("written");
        // The published test vector of SHA-256 (FIPS 180-4) for "abc".
        assert_eq!(of_file(&path).expect("hashed"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        std::fs::write(&path, "abcd").expect("written");
        assert_ne!(of_file(&path).expect("hashed"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
