//! Files that a subcommand writes: proved writable before the long work, put in place together after it. Knows no engine.

use std::path::{Path, PathBuf};

use super::terminal::{Failure, Outcome, writing};

/// Paths that will be written at the end.
#[derive(Debug, Default)]
pub struct Outputs {
    paths: Vec<PathBuf>,
}

/// A file that is complete and waits beside its place.
pub struct Made {
    temporary: tempfile::TempPath,
    path: PathBuf,
}

impl Outputs {
    /// Promises a file. Fails where it could not be written: before any work is done.
    pub fn promise(&mut self, path: &Path) -> Result<PathBuf, Failure> {
        let cant = |why: &str| Failure::Other(format!("`{}` can't be written: {why}", path.display()));
        if path.is_dir() {
            return Err(cant("a folder stands there; name a file in it"));
        }
        // What a link points to is written, not the link.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match std::fs::metadata(&path) {
            Ok(meta) if !meta.is_file() => return Err(cant("it is no ordinary file; choose another name")),
            Ok(meta) if meta.permissions().readonly() => {
                return Err(cant("the file that stands there is read-only; choose another name or change its permissions"));
            }
            _ => {}
        }
        // Nothing may be left behind if the work is interrupted, so the proof is taken away again.
        place(&path).map_err(|e| cant(&format!("{e}; check that its folder exists and may be written to")))?;
        if self.paths.contains(&path) {
            return Err(Failure::Usage(format!("`{}` is named for two results; give each its own name", path.display())));
        }
        self.paths.push(path.clone());
        Ok(path)
    }
}

/// An empty file beside `path` with the same extension.
fn place(path: &Path) -> std::io::Result<tempfile::TempPath> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    Ok(tempfile::Builder::new().prefix(".mynah-").suffix(&extension).tempfile_in(folder)?.into_temp_path())
}

/// Lets `write` make a file beside `path`.
pub fn make(path: &Path, write: impl FnOnce(&Path) -> Outcome) -> Result<Made, Failure> {
    let cant = |e: std::io::Error| {
        Failure::Other(format!("`{}` can't be written: {e}; check its folder and the room on its disk", path.display()))
    };
    let temporary = place(path).map_err(cant)?;
    // The temporary name means nothing to the person.
    let name = |why: String| why.replace(&temporary.display().to_string(), &path.display().to_string());
    write(&temporary).map_err(|e| match e {
        Failure::Usage(why) => Failure::Usage(name(why)),
        Failure::Other(why) => Failure::Other(name(why)),
    })?;
    Ok(Made { temporary, path: path.to_owned() })
}

/// Runs `make_all` with Ctrl-C kept waiting, then puts all it made in place. Nothing is in place where one could not be made.
pub fn commit(make_all: impl FnOnce() -> Result<Vec<Made>, Failure>) -> Outcome {
    let _whole = writing();
    for made in make_all()? {
        let shown = made.path.display().to_string();
        made.temporary
            .persist(&made.path)
            .map_err(|e| Failure::Other(format!("`{shown}` can't be written: {}; check its folder", e.error)))?;
    }
    Ok(())
}
