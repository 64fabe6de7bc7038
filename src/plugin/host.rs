//! The program that Mynah runs in, and what the user has told of it: `hosts.toml` in the user's folder. Knows no sound.
//!
//! The audio thread may wait for the voice only where the host renders offline. Hosts say so; of those that don't,
//! their users can say it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::journal;
use crate::packs::user_folder;

const FILE: &str = "hosts.toml";
/// What stands in it for a host that renders without saying so.
const UNSAID: &str = "renders-without-saying-so";

/// Whether this host renders without saying so. Writers: whoever loads or changes it, off the audio thread. Reader: the
/// audio thread.
static RENDERS_UNSAID: AtomicBool = AtomicBool::new(false);
static LOADED: OnceLock<()> = OnceLock::new();

/// Why a host can't be remembered.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// There is nowhere to write.
    #[error("this machine tells no home, so the host can't be remembered; set MYNAH_HOME to a folder")]
    NoHome,
    /// The file can't be read or written, or isn't one of ours.
    #[error("`{path}` can't be {done} ({why}); mend or remove it")]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        done: &'static str,
        /// The system's reason.
        why: String,
    },
}

/// The host's name: that of its program.
pub fn name() -> String {
    let program = std::env::current_exe().ok();
    program
        .as_deref()
        .and_then(Path::file_stem)
        .map_or_else(|| "host".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// Whether this host renders without saying so. Wait-free; for the audio thread.
pub fn renders_unsaid() -> bool {
    RENDERS_UNSAID.load(Ordering::Relaxed)
}

/// Reads once what the user has told of this host. A file that can't be read tells nothing, and the log why.
pub fn load() {
    LOADED.get_or_init(|| {
        let known = user_folder()
            .and_then(|folder| read(&folder.join(FILE)).inspect_err(|e| journal::note(&e.to_string())).ok());
        RENDERS_UNSAID.store(
            known.is_some_and(|hosts| hosts.get(&name()).is_some_and(|habit| habit == UNSAID)),
            Ordering::Relaxed,
        );
    });
}

/// Tells whether this host renders without saying so, now and from now on.
pub fn set_renders_unsaid(renders: bool) -> Result<(), HostError> {
    RENDERS_UNSAID.store(renders, Ordering::Relaxed);
    let folder = user_folder().ok_or(HostError::NoHome)?;
    keep(&folder.join(FILE), &name(), renders)
}

fn read(path: &Path) -> Result<BTreeMap<String, String>, HostError> {
    let cant = |why: String| HostError::File { path: path.to_owned(), done: "read", why };
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map_err(|e: toml::de::Error| cant(e.message().trim().replace('\n', ", "))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(e) => Err(cant(e.to_string())),
    }
}

fn keep(path: &Path, host: &str, renders: bool) -> Result<(), HostError> {
    let mut hosts = read(path)?;
    if renders {
        hosts.insert(host.to_owned(), UNSAID.to_owned());
    } else {
        hosts.remove(host);
    }
    let cant = |why: String| HostError::File { path: path.to_owned(), done: "written", why };
    let text = toml::to_string(&hosts).map_err(|e| cant(e.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| cant(e.to_string()))?;
    // Whole or not at all.
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(|e| cant(e.to_string()))?;
    new.write_all(text.as_bytes()).map_err(|e| cant(e.to_string()))?;
    new.persist(path).map_err(|e| cant(e.error.to_string()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_remembered_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deeper").join(FILE);
        keep(&path, "python3.11", true).expect("kept");
        keep(&path, "a host: \"quoted\"", true).expect("kept");
        keep(&path, "another", false).expect("kept");
        let hosts = read(&path).expect("hosts");
        assert_eq!(hosts.keys().collect::<Vec<_>>(), ["a host: \"quoted\"", "python3.11"]);
        keep(&path, "python3.11", false).expect("taken back");
        assert_eq!(read(&path).expect("hosts").len(), 1);
        std::fs::write(&path, "no toml = [").expect("written");
        assert!(keep(&path, "x", true).is_err(), "what can't be read isn't written over");
        assert!(!name().is_empty());
    }
}
