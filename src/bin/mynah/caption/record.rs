//! What was captioned before: so that a long batch that was stopped goes on where it was. Knows files, not sound.
//!
//! A small file in the data folder for each written one: what it was made from (size, time of change), with which options and packs, and the hash of what
//! was written. All must be as they were, or the work is done again.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use mynah::engine::PackSource;
use mynah::packs::{Kind, Store};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
    used.into_iter().flatten().filter_map(|pack| std::fs::read(pack.folder().join("pack.toml")).ok().map(|text| hash(&text))).collect()
}

/// Where the record of a written file lies.
fn place(written: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(written).ok()?;
    Some(mynah::packs::user_folder()?.join("captioned").join(format!("{}.json", &hash(whole.to_string_lossy().as_bytes())[..32])))
}

impl Record {
    /// What a file made now from this recording with these options would have; `None` where the recording can't be looked at.
    pub fn now(recording: &Path, options: &str, packs: &[String]) -> Option<Record> {
        let about = std::fs::metadata(recording).ok()?;
        let changed = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        Some(Record { bytes: about.len(), changed, options: options.to_owned(), packs: packs.to_vec(), written: String::new() })
    }

    /// Whether `written` was made from the same, and nobody changed it since.
    pub fn holds(&self, written: &Path) -> bool {
        let kept = place(written).and_then(|p| std::fs::read(p).ok()).and_then(|text| serde_json::from_slice::<Record>(&text).ok());
        let content = std::fs::read(written).map(|content| hash(&content));
        kept.zip(content.ok()).is_some_and(|(kept, content)| kept == Record { written: content, ..self.clone() })
    }

    /// Keeps it for the file that was written. Where that can't be the work is only done again another time.
    pub fn keep(&self, written: &Path) {
        let Some((place, content)) = place(written).zip(std::fs::read(written).ok()) else { return };
        let record = Record { written: hash(&content), ..self.clone() };
        let kept = place
            .parent()
            .map(std::fs::create_dir_all)
            .transpose()
            .and_then(|_| mynah::audio::write_whole(&place, |file| serde_json::to_writer(file, &record).map_err(std::io::Error::from)));
        if let Err(e) = kept {
            eprintln!("mynah: `{}` can't be noted as done ({e}); it will be done again next time", written.display());
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
        std::fs::write(&written, "my words").expect("writes");
        assert!(!record.holds(&written), "somebody wrote in it");
        std::fs::write(&written, "words").expect("writes");
        std::fs::write(&recording, "other sound").expect("writes");
        assert!(!Record::now(&recording, "netflix", &[]).expect("there").holds(&written), "another recording");
        assert_eq!(Record::now(&folder.path().join("gone.wav"), "netflix", &[]), None);
        place(&written).map(std::fs::remove_file).expect("a place").expect("removed");
    }
}
