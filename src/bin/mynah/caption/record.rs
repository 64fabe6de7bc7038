//! What was captioned before: so that a long batch that was stopped goes on where it was, and that nothing is written
//! over what a person changed. Knows files, not sound.
//!
//! A small file in the data folder for each written one: what it was made from (size, time of change), with which
//! options and packs, and the hash of what was written. All must be as they were, or the work is done again.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mynah::engine::PackSource;
use mynah::engine::offline::Kept;
use mynah::packs::{Kind, Store};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::terminal::Failure;

/// How long a record outlives its file: a disk that is unplugged comes back, a file that was thrown away doesn't.
const OUTLIVES: Duration = Duration::from_secs(90 * 24 * 3600);

/// What a written file was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    bytes: u64,
    /// Nanoseconds since 1970 when the recording was last changed.
    changed: u128,
    options: String,
    /// Of the packs that make words.
    packs: Vec<String>,
    /// Of the written file; empty before it is written.
    written: String,
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The packs that make words, by the hashes of their `pack.toml`, which hold those of all their files.
pub fn packs() -> Vec<String> {
    let used = [PackSource::standard().captions_pack(), Store::standard().find(Kind::Vad, None)];
    used.into_iter()
        .flatten()
        .filter_map(|pack| std::fs::read(pack.folder().join("pack.toml")).ok().map(|text| hash(&text)))
        .collect()
}

/// The folder of the records.
fn folder() -> Option<PathBuf> {
    Some(mynah::packs::user_folder()?.join("captioned"))
}

/// Where the record of a written file lies.
fn place(written: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(written).ok()?;
    Some(folder()?.join(format!("{}.json", &hash(whole.to_string_lossy().as_bytes())[..32])))
}

/// A record as it lies on the disk.
#[derive(Serialize, Deserialize)]
struct Stored {
    record: Record,
    /// The written file.
    file: PathBuf,
}

/// What was kept of a written file.
fn kept(written: &Path) -> Option<Record> {
    let text = place(written).and_then(|p| std::fs::read(p).ok())?;
    // Records from before 2026-12 lie there without the file's name.
    serde_json::from_slice::<Stored>(&text).map(|stored| stored.record).or_else(|_| serde_json::from_slice(&text)).ok()
}

/// Removes the records of files that are gone, and works that nobody went on with, where they were not written for
/// `OUTLIVES` before `now`.
fn prune(folder: &Path, now: SystemTime) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let changed = entry.metadata().and_then(|about| about.modified());
        let old = changed.is_ok_and(|changed| now.duration_since(changed).is_ok_and(|age| age > OUTLIVES));
        let is_wanted = || {
            let stored = std::fs::read(entry.path()).ok().and_then(|text| serde_json::from_slice::<Stored>(&text).ok());
            stored.is_some_and(|stored| stored.file.exists())
        };
        if old && !is_wanted() {
            // Another program of Mynah's may have been first.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Keeps that Mynah wrote a file, which no batch takes for done.
pub fn keep_unlisted(written: &Path) {
    Record { bytes: 0, changed: 0, options: String::new(), packs: Vec::new(), written: String::new() }.keep(written);
}

/// A file that is going to be written, and what stands there until then.
#[derive(Debug)]
pub struct Guard {
    path: PathBuf,
    seen: Option<String>,
    force: bool,
}

impl Guard {
    /// Looks at what stands in the place. An error where a person may have written it: it was changed since Mynah wrote
    /// it, or Mynah didn't. `option` is the one that gives another name.
    pub fn watch(path: &Path, force: bool, option: &str) -> Result<Guard, Failure> {
        let content = std::fs::read(path).ok();
        let seen = content.as_deref().map(hash);
        let nothing_to_lose = force || content.is_none_or(|c| c.is_empty());
        let whose = match kept(path) {
            _ if nothing_to_lose => None,
            Some(kept) if Some(&kept.written) == seen.as_ref() => None,
            Some(_) => Some("was changed since Mynah wrote it"),
            None => Some("is there already, and Mynah didn't write it"),
        };
        match whose {
            None => Ok(Guard { path: path.to_owned(), seen, force }),
            Some(whose) => {
                let what = format!(
                    "`{}` {whose}; nothing was written: give --force to replace it, or another name with {option}",
                    path.display()
                );
                Err(Failure::Other(what))
            }
        }
    }

    /// Where to write now: the place itself or, where somebody wrote there meanwhile, a free name beside it, which is
    /// told.
    pub fn place(&self) -> PathBuf {
        let now = std::fs::read(&self.path).ok().as_deref().map(hash);
        if self.force || now == self.seen {
            return self.path.clone();
        }
        let ending = self.path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let free = |n: &u32| !self.path.with_file_name(format!("{name}.new{n}.{ending}")).exists();
        let beside = self.path.with_file_name(format!("{name}.new{}.{ending}", (1..).find(free).unwrap_or(1)));
        eprintln!(
            "mynah: `{}` was changed meanwhile and stays as it is; what was heard goes to `{}`",
            self.path.display(),
            beside.display()
        );
        beside
    }
}

impl Record {
    /// What a file made now from this recording with these options would have; `None` where the recording can't be
    /// looked at.
    pub fn now(recording: &Path, options: &str, packs: &[String]) -> Option<Record> {
        let about = std::fs::metadata(recording).ok()?;
        let changed = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        Some(Record {
            bytes: about.len(),
            changed,
            options: options.to_owned(),
            packs: packs.to_vec(),
            written: String::new(),
        })
    }

    /// Whether `written` was made from the same, and nobody changed it since.
    pub fn holds(&self, written: &Path) -> bool {
        let content = std::fs::read(written).map(|content| hash(&content));
        kept(written)
            .zip(content.ok())
            .is_some_and(|(kept, content)| kept == Record { written: content, ..self.clone() })
    }

    /// Whether `written` was made from the same, and somebody changed it since.
    pub fn is_edited(&self, written: &Path) -> bool {
        let content = std::fs::read(written).map(|content| hash(&content));
        let edited = |(kept, content): (Record, String)| {
            kept.written != content && Record { written: String::new(), ..kept } == *self
        };
        kept(written).zip(content.ok()).is_some_and(edited)
    }

    /// Keeps it for the file that was written. Where that can't be, which is told, the file counts as a person's
    /// another time.
    pub fn keep(&self, written: &Path) {
        static PRUNED: Once = Once::new();
        PRUNED.call_once(|| folder().iter().for_each(|folder| prune(folder, SystemTime::now())));
        let Some((place, content)) = place(written).zip(std::fs::read(written).ok()) else { return };
        let file = std::path::absolute(written).unwrap_or_default();
        let record = Stored { record: Record { written: hash(&content), ..self.clone() }, file };
        let kept = place.parent().map(std::fs::create_dir_all).transpose().and_then(|_| {
            mynah::files::write_whole(&place, |file| serde_json::to_writer(file, &record).map_err(std::io::Error::from))
        });
        if let Err(e) = kept {
            eprintln!(
                "mynah: `{}` can't be noted as Mynah's own ({e}); to write it again takes --force",
                written.display()
            );
        }
    }
}

/// What was heard of a long recording before somebody stopped the work.
#[derive(Serialize, Deserialize)]
struct Half {
    record: Record,
    kept: Kept,
}

/// Where that lies meanwhile.
fn half_place(written: &Path) -> Option<PathBuf> {
    place(written).map(|p| p.with_extension("half.json"))
}

impl Record {
    /// What was heard before, if it was of the same recording with the same options.
    pub fn half(&self, written: &Path) -> Option<Kept> {
        let text = half_place(written).and_then(|p| std::fs::read(p).ok())?;
        serde_json::from_slice::<Half>(&text).ok().filter(|half| half.record == *self).map(|half| half.kept)
    }

    /// Keeps what was heard so far. Where that can't be the work only begins anew another time.
    pub fn keep_half(&self, written: &Path, kept: Kept) {
        let Some(place) = half_place(written) else { return };
        let half = Half { record: self.clone(), kept };
        if place.parent().is_some_and(|folder| std::fs::create_dir_all(folder).is_ok()) {
            let _ = mynah::files::write_whole(&place, |file| {
                serde_json::to_writer(file, &half).map_err(std::io::Error::from)
            });
        }
    }

    /// The work is done.
    pub fn forget_half(written: &Path) {
        if let Some(place) = half_place(written) {
            // Most recordings are too short to have one.
            let _ = std::fs::remove_file(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_that_changed_asks_for_the_work_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (recording, written) = (folder.path().join("a.wav"), folder.path().join("a.srt"));
        std::fs::write(&recording, "sound").expect("writes");
        std::fs::write(&written, "words").expect("writes");
        let record = Record::now(&recording, "netflix", &[]).expect("there");
        assert!(!record.holds(&written), "nothing is kept yet");
        record.keep(&written);
        assert!(record.holds(&written));
        assert!(!Record::now(&recording, "bbc", &[]).expect("there").holds(&written), "other options");
        assert!(Guard::watch(&written, false, "-o").is_ok_and(|g| g.place() == written), "Mynah wrote it");
        std::fs::write(&written, "my words").expect("writes");
        assert!(!record.holds(&written), "somebody wrote in it");
        assert!(record.is_edited(&written) && !Record::now(&recording, "bbc", &[]).expect("there").is_edited(&written));
        let told = Guard::watch(&written, false, "-o")
            .map_err(|(Failure::Usage(why) | Failure::Other(why))| why)
            .expect_err("edited");
        assert!(told.contains("a.srt") && told.contains("changed since") && told.contains("--force"), "{told}");
        assert!(Guard::watch(&written, true, "-o").is_ok());
        let foreign = folder.path().join("b.srt");
        std::fs::write(&foreign, "not ours").expect("writes");
        assert!(
            Guard::watch(&foreign, false, "-o")
                .is_err_and(|(Failure::Usage(why) | Failure::Other(why))| why.contains("didn't write it"))
        );
        std::fs::write(&foreign, "").expect("writes");
        let guard = Guard::watch(&foreign, false, "-o").map_err(|_| ()).expect("an empty file is nothing to lose");
        std::fs::write(&foreign, "typed while the work went on").expect("writes");
        assert_eq!(guard.place(), folder.path().join("b.new1.srt"));
        std::fs::write(&written, "words").expect("writes");
        std::fs::write(&recording, "other sound").expect("writes");
        assert!(!Record::now(&recording, "netflix", &[]).expect("there").holds(&written), "another recording");
        assert_eq!(Record::now(&folder.path().join("gone.wav"), "netflix", &[]), None);
        place(&written).map(std::fs::remove_file).expect("a place").expect("removed");
    }

    #[test]
    fn records_of_files_that_are_gone_are_removed_after_a_while() {
        let home = tempfile::tempdir().expect("a folder");
        let elsewhere = tempfile::tempdir().expect("a folder");
        let there = elsewhere.path().join("there.srt");
        std::fs::write(&there, "words").expect("writes");
        let record =
            Record { bytes: 1, changed: 2, options: String::new(), packs: Vec::new(), written: "3".to_owned() };
        let text = serde_json::to_vec(&record).expect("json");
        std::fs::write(home.path().join("nameless.json"), text).expect("writes");
        for (name, file) in [("kept", there), ("gone", home.path().join("gone.srt"))] {
            let text = serde_json::to_vec(&Stored { record: record.clone(), file }).expect("json");
            std::fs::write(home.path().join(name).with_extension("json"), text).expect("writes");
        }
        let left = || ["kept", "gone", "nameless"].map(|name| home.path().join(name).with_extension("json").exists());
        prune(home.path(), SystemTime::now());
        assert_eq!(left(), [true; 3], "a disk may only be unplugged");
        prune(home.path(), SystemTime::now() + OUTLIVES + Duration::from_secs(60));
        assert_eq!(left(), [true, false, false]);
    }

    #[test]
    fn half_a_work_goes_on_only_with_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let (recording, written) = (folder.path().join("a.wav"), folder.path().join("a.srt"));
        std::fs::write(&recording, "sound").expect("writes");
        let record = Record::now(&recording, "netflix", &[]).expect("there");
        assert_eq!(record.half(&written), None);
        let kept = Kept { seconds: 61.5, words: Vec::new() };
        record.keep_half(&written, kept.clone());
        assert_eq!(record.half(&written), Some(kept));
        assert_eq!(Record::now(&recording, "bbc", &[]).expect("there").half(&written), None);
        Record::forget_half(&written);
        assert_eq!(record.half(&written), None);
    }
}
