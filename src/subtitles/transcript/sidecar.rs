//! A copy of the captions beside the project: a file in the user's data folder, so that a host that crashes takes no
//! words with it. Knows when it is due, not who asks.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::Transcript;
use crate::Word;

/// The newest so many copies are kept, of no more than so many bytes together.
pub const MOST_COPIES: usize = 50;
const MOST_BYTES: u64 = 200 << 20;
/// The least time between two writings, and how often their own time passes in between.
const PAUSE: Duration = Duration::from_secs(3);
const SHARE: u32 = 20;
/// After a failure it is tried again so much later.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
/// A half-written file that is so old is nobody's.
const STALE: Duration = Duration::from_secs(86_400);

/// The copy can't be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the copy of the captions can't be written to `{path}`: {why}; make room there or switch it off. The captions \
     themselves are not touched"
)]
pub struct SidecarError {
    /// Where.
    pub path: PathBuf,
    /// What the system said.
    pub why: String,
}

/// What stands in the file: `words` as in an exported `.json`, and all takes with their own.
#[derive(Serialize)]
struct File<'a> {
    version: u32,
    speaker: &'a str,
    words: &'a [Word],
    takes: Vec<SavedTake<'a>>,
}

#[derive(Serialize)]
struct SavedTake<'a> {
    from: f64,
    to: f64,
    words: &'a [Word],
}

/// The copy of one transcript. The file is made with the first word. Any thread but the audio thread.
#[derive(Debug)]
pub struct Sidecar {
    path: PathBuf,
    /// The edition in the file, or the one that needs no file.
    kept: u64,
    due: Option<Instant>,
    began: bool,
}

impl Sidecar {
    /// In a folder, which is made when it is needed. `instance` tells copies of one process apart; `edition` is one
    /// that needs no copy.
    pub fn new(folder: &Path, instance: u64, edition: u64) -> Self {
        let now = time::OffsetDateTime::from(SystemTime::now());
        let (date, clock) = (now.date(), now.time());
        let day = format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day());
        let name = format!(
            "{day}T{:02}{:02}{:02}Z-{}-{instance}.json",
            clock.hour(),
            clock.minute(),
            clock.second(),
            std::process::id()
        );
        Self { path: folder.join(name), kept: edition, due: None, began: false }
    }

    /// The file; there is none before something was said.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is there.
    pub fn began(&self) -> bool {
        self.began
    }

    /// This edition needs no copy: it came from a project.
    pub fn has(&mut self, edition: u64) {
        self.kept = edition;
    }

    /// Whether this edition should be written now; `last` where there is no later.
    pub fn is_due(&self, edition: u64, now: Instant, last: bool) -> bool {
        edition != self.kept && (last || self.due.is_none_or(|due| now >= due))
    }

    /// Writes the file, whole or not at all. A transcript without words and takes makes none.
    pub fn write(&mut self, transcript: &Transcript) -> Result<(), SidecarError> {
        if !self.began && transcript.words().is_empty() && transcript.latest().is_empty() {
            self.kept = transcript.edition();
            return Ok(());
        }
        let start = Instant::now();
        let written = self.store(transcript);
        let pause = if written.is_ok() { (start.elapsed() * SHARE).max(PAUSE) } else { AFTER_FAILURE };
        self.due = Some(Instant::now() + pause);
        written.map_err(|e| SidecarError { path: self.path.clone(), why: e.to_string() })?;
        self.kept = transcript.edition();
        self.began = true;
        Ok(())
    }

    fn store(&self, transcript: &Transcript) -> std::io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        if !self.began {
            tidy(folder);
        }
        let takes = transcript.takes.iter().map(|t| SavedTake { from: t.from, to: t.to, words: &t.words }).collect();
        let file = File { version: 1, speaker: transcript.speaker(), words: transcript.words(), takes };
        mynah_files::write_whole(&self.path, |out| {
            let mut out = BufWriter::new(out);
            serde_json::to_writer(&mut out, &file)?;
            out.write_all(b"\n")?;
            out.flush()
        })
    }
}

/// The copies in a folder, the oldest first. None where there is no folder.
pub fn copies(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| is_copy(p)).collect();
    // The name begins with the time.
    found.sort();
    found
}

/// Whether a file has the name of a copy; what else lies in the folder is somebody else's.
fn is_copy(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let Some(rest) = name.strip_suffix(".json") else { return false };
    let parts: Vec<&str> = rest.split('-').collect();
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    matches!(parts[..], [year, month, day, process, instance]
        if digits(year) && digits(month) && day.len() == 10 && day.ends_with('Z') && digits(process) && digits(instance))
}

/// Removes the oldest copies where there are too many, and what a crash left half-written. What can't be removed stays.
fn tidy(folder: &Path) {
    let mut bytes = 0;
    for (i, path) in copies(folder).iter().rev().enumerate() {
        bytes += path.metadata().map_or(0, |m| m.len());
        // One place is for the copy to come.
        if i + 1 >= MOST_COPIES || bytes > MOST_BYTES {
            let _ = std::fs::remove_file(path);
        }
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let half = name.to_string_lossy().starts_with(".mynah-") && name.to_string_lossy().ends_with(".part");
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
        if half && age.is_some_and(|a| a > STALE) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    fn said(text: &str, start: f64) -> Event {
        Event::Final(vec![Word { text: text.to_owned(), start, end: start + 0.5, confidence: 1.0 }])
    }

    #[test]
    fn it_is_written_when_something_was_said_and_not_too_often() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("captions");
        let mut transcript = Transcript::default();
        let mut sidecar = Sidecar::new(&inside, 7, transcript.edition());
        let now = Instant::now();
        assert!(!sidecar.is_due(transcript.edition(), now, true));
        transcript.set_speaker("Ada");
        assert!(!sidecar.is_due(transcript.edition(), now, true));
        transcript.clear();
        sidecar.write(&transcript).expect("nothing to write");
        assert!(!inside.exists());
        transcript.apply(said("hello", 1.0));
        assert!(sidecar.is_due(transcript.edition(), now, false));
        sidecar.write(&transcript).expect("written");
        assert_eq!(copies(&inside), [sidecar.path().to_owned()]);
        let value: serde_json::Value =
            serde_json::from_slice(&std::fs::read(sidecar.path()).expect("the file")).expect("JSON");
        assert_eq!((&value["speaker"], &value["words"][0]["text"]), (&"Ada".into(), &"hello".into()));
        assert_eq!(value["takes"][0]["words"][0]["start"], 1.0);
        transcript.apply(said("there", 2.0));
        assert!(!sidecar.is_due(transcript.edition(), Instant::now(), false), "too soon");
        assert!(sidecar.is_due(transcript.edition(), Instant::now() + PAUSE * 2, false));
        assert!(sidecar.is_due(transcript.edition(), Instant::now(), true), "there is no later");
    }

    #[test]
    fn a_folder_that_can_not_be_written_to_is_told_and_tried_again_later() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("captions"), "a file").expect("a file stands where the folder belongs");
        let mut transcript = Transcript::default();
        let mut sidecar = Sidecar::new(&folder.path().join("captions"), 1, 0);
        transcript.apply(said("hello", 1.0));
        let told = sidecar.write(&transcript).expect_err("no folder").to_string();
        assert!(told.contains("captions") && told.contains("switch it off"), "{told}");
        assert!(!sidecar.is_due(transcript.edition(), Instant::now() + PAUSE * 2, false));
        assert!(sidecar.is_due(transcript.edition(), Instant::now() + AFTER_FAILURE, false));
        assert_eq!(transcript.words().len(), 1);
    }

    #[test]
    fn the_oldest_copies_go_and_other_files_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = |i: usize| format!("2020-01-{:02}T{:02}0000Z-1-1.json", 1 + i / 24, i % 24);
        for i in 0..MOST_COPIES + 5 {
            std::fs::write(folder.path().join(name(i)), "{}").expect("a copy");
        }
        std::fs::write(folder.path().join("mine.json"), "{}").expect("another file");
        let mut transcript = Transcript::default();
        transcript.apply(said("hello", 1.0));
        let mut sidecar = Sidecar::new(folder.path(), 1, 0);
        sidecar.write(&transcript).expect("written");
        let left = copies(folder.path());
        assert_eq!(left.len(), MOST_COPIES);
        assert_eq!((left.first(), left.last()), (Some(&folder.path().join(name(6))), Some(&sidecar.path().to_owned())));
        assert!(folder.path().join("mine.json").exists());
    }
}
