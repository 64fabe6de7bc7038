//! The hidden folder in which a pack is made before it is put in place, and what becomes of one whose process was
//! killed. Knows no manifest.
//!
//! Who works in one holds a lock on a file in it, which the system takes away with the process. So whoever comes next
//! knows what is abandoned.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::PackId;
use super::manifest::MANIFEST;

/// The file that is locked, and its name until it is.
const LOCK: &str = "lock";
const UNLOCKED: &str = "lock.new";
/// Where a pack waits that another one takes the place of.
const ASIDE: &str = "old";
/// Characters behind the last `-` of such a folder's name.
const MARK: usize = 6;
/// Where there is no lock, as versions of before left it, or on a disk that knows none: this old is abandoned.
const OLD: Duration = Duration::from_secs(3600);
/// A folder is made and locked within milliseconds: without a lock after this long its process was killed in between.
const BEGINNING: Duration = Duration::from_secs(60);

/// Such a folder. It is gone when this is dropped.
pub(super) struct Workshop {
    // Dropped first: Windows removes no file that is open.
    _lock: Option<File>,
    folder: TempDir,
}

impl Workshop {
    /// One for a pack of this name in a folder of packs. What others have abandoned there is cleaned away first.
    pub fn open(id: &str, into: &Path) -> io::Result<Self> {
        clean(into);
        let folder = tempfile::Builder::new().prefix(&format!(".{id}-")).rand_bytes(MARK).tempdir_in(into)?;
        // A disk that knows no locks has none: then the age tells.
        let lock = locked(folder.path()).ok();
        Ok(Self { _lock: lock, folder })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Renames a finished folder into its place. A pack that is there goes aside first and comes back if the rename
    /// fails.
    pub fn put_in_place(&self, new: &Path, home: &Path) -> io::Result<()> {
        let aside = self.path().join(ASIDE);
        let had_one = match fs::rename(home, &aside) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(e),
        };
        fs::rename(new, home).inspect_err(|_| {
            if had_one {
                // Nothing more can be done if this fails too; the error that is told is the first.
                let _ = fs::rename(&aside, home);
            }
        })
    }
}

/// A locked file in a folder: it has its name only once it is locked, so that nobody takes the folder for abandoned
/// meanwhile.
fn locked(folder: &Path) -> io::Result<File> {
    let file = File::create(folder.join(UNLOCKED))?;
    file.lock()?;
    fs::rename(folder.join(UNLOCKED), folder.join(LOCK))?;
    Ok(file)
}

/// Takes abandoned folders away. A pack that waits in one is put back where no other took its place. What can't be
/// removed stays for the next time.
fn clean(into: &Path) {
    for entry in fs::read_dir(into).into_iter().flatten().flatten() {
        let (name, folder) = (entry.file_name(), entry.path());
        let Some(id) = name.to_str().and_then(id_of) else { continue };
        if !entry.file_type().is_ok_and(|t| t.is_dir()) || !abandoned(&folder) {
            continue;
        }
        let (aside, home) = (folder.join(ASIDE), into.join(id));
        if aside.join(MANIFEST).exists() && !home.exists() && fs::rename(&aside, &home).is_err() {
            continue;
        }
        let _ = fs::remove_dir_all(&folder);
    }
}

/// The pack's name in that of such a folder; none where it is another folder.
fn id_of(name: &str) -> Option<&str> {
    let (id, mark) = name.strip_prefix('.')?.rsplit_once('-')?;
    let made = mark.len() == MARK && mark.bytes().all(|b| b.is_ascii_alphanumeric());
    (made && PackId::try_from(id.to_owned()).is_ok()).then_some(id)
}

/// Whether nobody works in such a folder any more.
fn abandoned(folder: &Path) -> bool {
    if let Ok(lock) = OpenOptions::new().read(true).write(true).open(folder.join(LOCK)) {
        return lock.try_lock().is_ok();
    }
    let inside: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name()).collect();
    let ours = |name: &str| ["new", "pack", ASIDE, UNLOCKED].contains(&name) || name.starts_with("wheel-");
    let all_ours = inside.iter().all(|name| name.to_str().is_some_and(ours));
    // Nothing was begun in one that holds no more than a lock to be.
    let patience = if inside.iter().all(|name| name == UNLOCKED) { BEGINNING } else { OLD };
    let age = folder.metadata().and_then(|about| about.modified()).ok().and_then(|time| time.elapsed().ok());
    all_ours && age.is_some_and(|age| age > patience)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut all: Vec<String> =
            fs::read_dir(folder).expect("read").flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
        all.sort();
        all
    }

    /// What a process leaves that is killed: the folder without the lock.
    fn killed(work: Workshop) -> String {
        let name = work.path().file_name().and_then(|n| n.to_str()).expect("a name").to_owned();
        let Workshop { _lock, folder } = work;
        let _stays = folder.keep();
        name
    }

    #[test]
    fn what_was_abandoned_goes_and_what_is_worked_in_stays() {
        let into = tempfile::tempdir().expect("a folder");
        let [mut live, dead] = ["one", "two"].map(|id| Workshop::open(id, into.path()).expect("a workshop"));
        let lives = live.path().file_name().and_then(|n| n.to_str()).expect("a name").to_owned();
        let left = killed(dead);
        for other in [".git-backup", ".two.part", ".hidden", "pack-abcdef"] {
            fs::create_dir_all(into.path().join(other).join("x")).expect("a folder of somebody else's");
        }
        drop(Workshop::open("one", into.path()).expect("another of the same name"));
        let there = names(into.path());
        assert!(there.contains(&lives) && !there.contains(&left), "{there:?}");
        assert_eq!(there.len(), 5, "{there:?}");
        live._lock = None;
        clean(into.path());
        assert_eq!(names(into.path()).len(), 4, "its process is dead now");
    }

    #[test]
    fn a_folder_without_a_lock_is_known_by_its_age() {
        let into = tempfile::tempdir().expect("a folder");
        let minutes = Duration::from_secs(60);
        for (name, inside, age) in [
            (".a-abcdef", "pack", 2 * OLD),
            (".b-abcdef", "pack", 2 * minutes),
            (".c-abcdef", "letters", 2 * OLD),
            (".d-abcdef", UNLOCKED, 2 * minutes),
            (".e-abcdef", UNLOCKED, Duration::ZERO),
        ] {
            fs::create_dir_all(into.path().join(name).join(inside)).expect("a folder");
            let then = std::time::SystemTime::now() - age;
            File::open(into.path().join(name)).and_then(|f| f.set_modified(then)).expect("older");
        }
        clean(into.path());
        assert_eq!(
            names(into.path()),
            [".b-abcdef", ".c-abcdef", ".e-abcdef"],
            "two are too young, one is somebody else's"
        );
    }

    #[test]
    fn a_pack_that_was_put_aside_by_who_was_killed_comes_back() {
        let into = tempfile::tempdir().expect("a folder");
        let work = Workshop::open("one", into.path()).expect("a workshop");
        fs::create_dir_all(work.path().join(ASIDE)).expect("a folder");
        fs::write(work.path().join(ASIDE).join(MANIFEST), "the old one").expect("written");
        killed(work);
        drop(Workshop::open("two", into.path()).expect("another"));
        assert_eq!(names(into.path()), ["one"]);
        assert_eq!(fs::read_to_string(into.path().join("one").join(MANIFEST)).expect("there"), "the old one");
    }
}
