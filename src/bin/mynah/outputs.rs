//! Files that a subcommand writes: proved writable before the long work, put in place together after it. Knows no
//! engine.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use mynah::typed::same_text;

use super::terminal::{Failure, Outcome, writing};

/// Paths that will be written at the end.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Each with the file that it is made from, where there is one.
    paths: Vec<(PathBuf, Option<PathBuf>)>,
}

/// A file that is complete and waits beside its place.
pub struct Made {
    temporary: tempfile::TempPath,
    path: PathBuf,
}

impl Outputs {
    /// Promises a file. Fails where it could not be written: before any work is done.
    pub fn promise(&mut self, path: &Path) -> Result<PathBuf, Failure> {
        self.promised(path, None)
    }

    /// The same for the result of a file: where two files would have one result, both are named.
    pub fn promise_from(&mut self, path: &Path, from: &Path) -> Result<PathBuf, Failure> {
        self.promised(path, Some(from))
    }

    fn promised(&mut self, path: &Path, from: Option<&Path>) -> Result<PathBuf, Failure> {
        let cant = |why: &str| Failure::Other(format!("`{}` can't be written: {why}", path.display()));
        if path.is_dir() {
            return Err(cant("a folder stands there; name a file in it"));
        }
        // What a link points to is written, not the link.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match std::fs::metadata(&path) {
            Ok(meta) if !meta.is_file() => return Err(cant("it is no ordinary file; choose another name")),
            Ok(meta) if meta.permissions().readonly() => {
                return Err(cant(
                    "the file that stands there is read-only; choose another name or change its permissions",
                ));
            }
            _ => {}
        }
        // Nothing may be left behind if the work is interrupted, so the proof is taken away again.
        place(&path).map_err(|e| cant(&format!("{e}; check that its folder exists and may be written to")))?;
        if let Some((_, other)) = self.paths.iter().find(|(taken, _)| same_text(taken, &path)) {
            let shown = path.display();
            return Err(Failure::Usage(match (from, other) {
                (Some(a), Some(b)) if a == b => format!("`{}` was given twice; give it once", a.display()),
                (Some(a), Some(b)) => format!(
                    "`{}` and `{}` would both be written into `{shown}`; rename one of them, or give them to two \
                     calls with -o",
                    b.display(),
                    a.display()
                ),
                _ => format!("`{shown}` is named for two results; give each its own name"),
            }));
        }
        self.paths.push((path.clone(), from.map(Path::to_owned)));
        Ok(path)
    }
}

/// Files that are being written over a long time. Ctrl-C takes them away.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Takes away what is not complete, before the program ends at once.
pub fn forget_unfinished() {
    for path in UNFINISHED.lock().unwrap_or_else(|e| e.into_inner()).drain(..) {
        // It may be gone already; nobody is left to be told.
        let _ = std::fs::remove_file(path);
    }
}

/// A file that is written while the work is done, beside its place.
pub struct Making {
    temporary: tempfile::TempPath,
    path: PathBuf,
}

impl Making {
    /// Begins it.
    pub fn begin(path: &Path) -> Result<(Self, std::fs::File), Failure> {
        let begun = place(path).and_then(|temporary| Ok((std::fs::File::create(&temporary)?, temporary)));
        let (file, temporary) = begun.map_err(|e| cant_write(path, &e))?;
        UNFINISHED.lock().unwrap_or_else(|e| e.into_inner()).push(temporary.to_path_buf());
        Ok((Self { temporary, path: path.to_owned() }, file))
    }

    /// Where it is written meanwhile.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// It is complete.
    pub fn done(self) -> Made {
        Made { temporary: self.temporary, path: self.path }
    }
}

fn cant_write(path: &Path, e: &std::io::Error) -> Failure {
    Failure::Other(format!("`{}` can't be written: {e}; check its folder and the room on its disk", path.display()))
}

/// Fails where the disk of `path` has less room than `bytes`: hours of work would end without a file. A disk that
/// doesn't tell is believed to have it.
pub fn check_room(path: &Path, bytes: u64) -> Outcome {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs4::available_space(folder) {
        Ok(free) if free < bytes => Err(Failure::Other(format!(
            "`{}` can't be written: it needs {} and its disk has {} left; free some, or choose another disk with -o",
            path.display(),
            megabytes(bytes),
            megabytes(free)
        ))),
        _ => Ok(()),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// An empty file beside `path` with the same extension.
fn place(path: &Path) -> std::io::Result<tempfile::TempPath> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    Ok(tempfile::Builder::new().prefix(".mynah-").suffix(&extension).tempfile_in(folder)?.into_temp_path())
}

/// Lets `write` make a file beside `path`.
pub fn make(path: &Path, write: impl FnOnce(&Path) -> Outcome) -> Result<Made, Failure> {
    let temporary = place(path).map_err(|e| cant_write(path, &e))?;
    // The temporary name means nothing to the person.
    let name = |why: String| why.replace(&temporary.display().to_string(), &path.display().to_string());
    write(&temporary).map_err(|e| match e {
        Failure::Usage(why) => Failure::Usage(name(why)),
        Failure::Other(why) => Failure::Other(name(why)),
    })?;
    Ok(Made { temporary, path: path.to_owned() })
}

/// Runs `make_all` with Ctrl-C kept waiting, then puts all it made in place. Nothing is in place where one could not be
/// made.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_is_told_before_the_work() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("long.wav");
        assert!(check_room(&path, 0).is_ok());
        let told = check_room(&path, u64::MAX)
            .map_err(|(Failure::Usage(why) | Failure::Other(why))| why)
            .expect_err("no disk is so large");
        assert!(told.contains("long.wav") && told.contains("MB left"), "{told}");
        assert!(
            check_room(&folder.path().join("none/long.wav"), u64::MAX).is_ok(),
            "another error tells of the folder"
        );
    }
}
