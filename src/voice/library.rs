//! The user's target voices: one JSON file each in one folder. Knows no models.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::TargetVoice;
use super::enrol::Heard;

/// What can go wrong with the voices on disk.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A name that no file can have.
    #[error("`{0}` can't be the name of a voice; use letters, digits, spaces, `-` or `_`")]
    Name(String),
    /// There is a voice of this name already.
    #[error("there is a voice `{0}` already; choose another name, or remove that one first")]
    Taken(String),
    /// There is no voice of this name.
    #[error("there is no voice `{name}` in `{folder}`; see `mynah voices list`, or enrol it with `mynah voices enrol`")]
    Missing {
        /// The name asked for.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A file is there but is no voice.
    #[error("the voice file `{path}` can't be read: {why}; enrol the voice again or delete the file")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The folder or a file can't be written.
    #[error("the voice could not be written to `{path}`: {why}; make room there or check its permissions")]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A file can't be deleted.
    #[error("the voice file `{path}` could not be deleted: {why}; check its permissions")]
    Remove {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

/// A voice of the library and what is known of its origin. A project keeps the voice alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The voice.
    pub voice: TargetVoice,
    /// Where it comes from; none for voices of before this was kept.
    pub about: Option<About>,
}

/// Where a voice comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// When it was enrolled: RFC 3339, in UTC.
    pub enrolled: String,
    /// What it was enrolled from: a file's name, or that it was recorded.
    pub from: String,
    /// What was heard of the reference.
    pub heard: Heard,
    /// What whoever enrolled it has agreed to.
    #[serde(default)]
    pub consent: Option<Consent>,
}

/// What was agreed to, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The sentence.
    pub words: String,
    /// RFC 3339, in UTC.
    pub given: String,
}

/// What must be agreed to.
pub const CONSENT: &str = "I may use this voice: it is mine, or I have its owner's permission.";

/// Now, as libraries keep it.
pub fn now() -> String {
    let t = OffsetDateTime::now_utc();
    format!("{}T{:02}:{:02}:{:02}Z", t.date(), t.hour(), t.minute(), t.second())
}

/// That the sentence was agreed to just now.
pub fn agreed() -> Consent {
    Consent { words: CONSENT.to_owned(), given: now() }
}

/// As a file holds it: the voice's fields, and beside them `about`.
#[derive(Serialize)]
struct Kept<'a> {
    #[serde(flatten)]
    voice: &'a TargetVoice,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<&'a About>,
}

/// What of a file is no voice.
#[derive(Deserialize)]
struct Beside {
    #[serde(default)]
    about: Option<About>,
}

/// Numbers in a speaker embedding.
const EMBEDDING: usize = 256;

/// A folder of voices. Every call looks at the disk: any thread but the audio thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    folder: PathBuf,
}

impl Library {
    /// `voices` in the user's data folder: `MYNAH_HOME` if it is set, else the platform's own place.
    pub fn standard() -> Self {
        let home = mynah_files::user_folder().unwrap_or_else(|| PathBuf::from("mynah"));
        Self { folder: home.join("voices") }
    }

    /// A folder of one's own; it is made when the first voice is saved.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Where the voices lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All voices that can be read, sorted by name. A folder that is not there has none; broken files are left out, see
    /// `broken`.
    pub fn list(&self) -> Result<Vec<TargetVoice>, LibraryError> {
        Ok(self.entries()?.into_iter().map(|entry| entry.voice).collect())
    }

    /// The same with what is known of their origin.
    pub fn entries(&self) -> Result<Vec<Entry>, LibraryError> {
        let mut entries: Vec<_> = self.read_all()?.into_iter().filter_map(Result::ok).collect();
        entries.sort_by(|a, b| a.voice.name.cmp(&b.voice.name));
        Ok(entries)
    }

    /// An error for each file in the folder that should be a voice and is not.
    pub fn broken(&self) -> Result<Vec<LibraryError>, LibraryError> {
        Ok(self.read_all()?.into_iter().filter_map(Result::err).collect())
    }

    /// The voice of this name.
    pub fn get(&self, name: &str) -> Result<TargetVoice, LibraryError> {
        let path = self.path(name)?;
        if !path.exists() {
            return Err(LibraryError::Missing { name: name.to_owned(), folder: self.folder.clone() });
        }
        Ok(read(&path)?.voice)
    }

    /// Whether this can be the name of a voice.
    pub fn check(&self, name: &str) -> Result<(), LibraryError> {
        self.path(name).map(drop)
    }

    /// Writes a voice; one of the same name is replaced, in one step.
    pub fn save(&self, voice: &TargetVoice) -> Result<(), LibraryError> {
        self.write(voice, None)
    }

    /// The same with what is known of its origin.
    pub fn keep(&self, entry: &Entry) -> Result<(), LibraryError> {
        self.write(&entry.voice, entry.about.as_ref())
    }

    /// Gives a voice another name, under which there must be none yet. Gives the voice as it is then.
    pub fn rename(&self, entry: &Entry, name: &str) -> Result<Entry, LibraryError> {
        if self.path(name)?.exists() {
            return Err(LibraryError::Taken(name.to_owned()));
        }
        let renamed =
            Entry { voice: TargetVoice { name: name.to_owned(), ..entry.voice.clone() }, about: entry.about.clone() };
        self.keep(&renamed)?;
        self.remove(&entry.voice.name)?;
        Ok(renamed)
    }

    fn write(&self, voice: &TargetVoice, about: Option<&About>) -> Result<(), LibraryError> {
        let path = self.path(&voice.name)?;
        let failed = |e: &dyn std::fmt::Display| LibraryError::Write { path: path.clone(), why: e.to_string() };
        std::fs::create_dir_all(&self.folder).map_err(|e| failed(&e))?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(|e| failed(&e))?;
        serde_json::to_writer_pretty(&mut file, &Kept { voice, about }).map_err(|e| failed(&e))?;
        file.flush().map_err(|e| failed(&e))?;
        file.persist(&path).map_err(|e| failed(&e.error))?;
        Ok(())
    }

    /// Deletes the voice of this name.
    pub fn remove(&self, name: &str) -> Result<(), LibraryError> {
        let path = self.path(name)?;
        std::fs::remove_file(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                LibraryError::Missing { name: name.to_owned(), folder: self.folder.clone() }
            }
            _ => LibraryError::Remove { path, why: e.to_string() },
        })
    }

    /// The file of a name. A name is letters, digits, spaces and a few marks, so that it is a file name on every
    /// platform and leads nowhere else; two names that differ are two files.
    fn path(&self, name: &str) -> Result<PathBuf, LibraryError> {
        let allowed = |c: char| c.is_alphanumeric() || " -_.,()'+&".contains(c);
        let fits = !name.is_empty()
            && name.len() <= 120
            && name.chars().all(allowed)
            && name.trim() == name
            && !name.starts_with('.')
            && !name.ends_with('.')
            && !is_reserved(name);
        if fits { Ok(self.folder.join(format!("{name}.json"))) } else { Err(LibraryError::Name(name.to_owned())) }
    }

    fn read_all(&self) -> Result<Vec<Result<Entry, LibraryError>>, LibraryError> {
        let broken = |e: std::io::Error| LibraryError::Broken { path: self.folder.clone(), why: e.to_string() };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(broken(e)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(broken)?.path();
            if path.extension().is_some_and(|e| e == "json") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths.iter().map(|p| read(p)).collect())
    }
}

/// Names that Windows keeps for devices, whatever follows a dot.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    let numbered =
        (stem.starts_with("COM") || stem.starts_with("LPT")) && stem.chars().count() == 4 && !stem.ends_with('0');
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered
}

fn read(path: &Path) -> Result<Entry, LibraryError> {
    let broken = |why: String| LibraryError::Broken { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|e| broken(e.to_string()))?;
    let voice: TargetVoice = serde_json::from_str(&text).map_err(|e| broken(e.to_string()))?;
    if voice.embedding.len() != EMBEDDING {
        return Err(broken(format!("its embedding has {} numbers instead of {EMBEDDING}", voice.embedding.len())));
    }
    if !voice.median_pitch.is_finite() || !voice.embedding.iter().all(|x| x.is_finite()) {
        return Err(broken("it holds numbers that are not finite".to_owned()));
    }
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    if voice.name != stem {
        return Err(broken(format!("it holds the voice `{}` but is named otherwise", voice.name)));
    }
    // A voice speaks whatever is written of its origin.
    let about = serde_json::from_str::<Beside>(&text).ok().and_then(|beside| beside.about);
    Ok(Entry { voice, about })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timbre;

    fn voice(name: &str) -> TargetVoice {
        TargetVoice {
            name: name.to_owned(),
            embedding: (0..256).map(|i| i as f32 / 4891.0).collect(),
            median_pitch: 181.25,
            timbres: Vec::new(),
        }
    }

    #[test]
    fn consent_has_its_words_and_its_time() {
        assert!(now().len() == 20 && now().ends_with('Z') && agreed().words == CONSENT);
    }

    #[test]
    fn what_is_saved_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let library = Library::at(&folder.path().join("voices"));
        assert!(library.list().expect("no folder yet").is_empty());
        for name in ["Zoë (soft)", "Anna", "日本 2"] {
            library.save(&voice(name)).expect("saved");
        }
        assert_eq!(library.get("Anna").expect("there"), voice("Anna"));
        let names: Vec<_> = library.list().expect("listed").into_iter().map(|v| v.name).collect();
        assert_eq!(names, ["Anna", "Zoë (soft)", "日本 2"]);
        let changed = TargetVoice { median_pitch: 99.0, ..voice("Anna") };
        library.save(&changed).expect("replaced");
        assert_eq!(library.get("Anna").expect("there"), changed);
        library.remove("Anna").expect("removed");
        assert!(matches!(library.get("Anna"), Err(LibraryError::Missing { .. })));
        assert!(matches!(library.remove("Anna"), Err(LibraryError::Missing { .. })));
        assert_eq!(std::fs::read_dir(library.folder()).expect("folder").count(), 2, "no other file is left");
    }

    /// A file of before there were timbres, and one whose timbre is no good, are voices all the same.
    #[test]
    fn a_timbre_is_kept_and_may_be_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let library = Library::at(folder.path());
        let timbre = Timbre { model: "w".to_owned(), numbers: (0..128).map(|i| i as f32 / 999.0).collect() };
        let told = TargetVoice { timbres: vec![timbre.clone()], ..voice("told") };
        library.save(&told).expect("saved");
        let back = library.get("told").expect("there");
        assert_eq!((back.timbre_of("w"), back.timbre_of("v")), (Some(&timbre.numbers[..]), None));
        let old = serde_json::json!({ "name": "old", "embedding": voice("old").embedding, "median_pitch": 181.25 });
        std::fs::write(folder.path().join("old.json"), old.to_string()).expect("written");
        assert_eq!(library.get("old").expect("there"), voice("old"));
        let short = TargetVoice { timbres: vec![Timbre { numbers: vec![0.5], ..timbre }], ..voice("short") };
        library.save(&short).expect("saved");
        assert_eq!(library.get("short").expect("there").timbre_of("w"), None);
    }

    #[test]
    fn an_origin_is_kept_with_the_voice_and_goes_with_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let library = Library::at(folder.path());
        let consent = Consent { words: "I may.".to_owned(), given: "2026-11-27T18:00:00Z".to_owned() };
        let heard = Heard { seconds: 8.0, speech: 7.1, peak_dbfs: -6.0, above_noise_db: Some(41.5) };
        let about =
            About { enrolled: consent.given.clone(), from: "ada.wav".to_owned(), heard, consent: Some(consent) };
        let entry = Entry { voice: voice("Ada"), about: Some(about) };
        library.keep(&entry).expect("kept");
        library.save(&voice("Old")).expect("saved");
        assert_eq!(library.entries().expect("listed"), [entry.clone(), Entry { voice: voice("Old"), about: None }]);
        assert!(matches!(library.rename(&entry, "Old"), Err(LibraryError::Taken(_))));
        assert!(matches!(library.rename(&entry, "../Ada"), Err(LibraryError::Name(_))));
        let renamed = library.rename(&entry, "Countess").expect("renamed");
        assert_eq!((renamed.about.as_ref(), renamed.voice.name.as_str()), (entry.about.as_ref(), "Countess"));
        assert_eq!(library.list().expect("listed"), [voice("Countess"), voice("Old")]);
        // An origin that can't be read leaves a voice.
        let text =
            std::fs::read_to_string(folder.path().join("Countess.json")).expect("read").replace("7.1", "\"much\"");
        std::fs::write(folder.path().join("Countess.json"), text).expect("written");
        assert_eq!(library.entries().expect("listed")[0], Entry { voice: voice("Countess"), about: None });
    }

    #[test]
    fn no_name_leaves_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let library = Library::at(&folder.path().join("voices"));
        for name in [
            "", "..", ".", "../x", "a/b", "a\\b", "/etc/x", "c:x", "x\0", " x", "x ", ".x", "x.", "nul", "COM1.a",
            "a\nb",
        ] {
            assert!(matches!(library.save(&voice(name)), Err(LibraryError::Name(_))), "{name:?}");
            assert!(library.get(name).is_err() && library.remove(name).is_err(), "{name:?}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
    }

    #[test]
    fn a_broken_file_is_named_and_the_others_listed() {
        let folder = tempfile::tempdir().expect("a folder");
        let library = Library::at(folder.path());
        library.save(&voice("good")).expect("saved");
        std::fs::write(folder.path().join("half.json"), "{\"name\": \"half\", \"emb").expect("written");
        let short = TargetVoice { embedding: vec![1.0], ..voice("short") };
        std::fs::write(folder.path().join("short.json"), serde_json::to_string(&short).expect("json"))
            .expect("written");
        std::fs::write(folder.path().join("notes.txt"), "not a voice").expect("written");
        assert_eq!(library.list().expect("listed").len(), 1);
        let broken: Vec<String> = library.broken().expect("listed").iter().map(|e| e.to_string()).collect();
        assert_eq!(broken.len(), 2);
        assert!(broken[0].contains("half.json") && broken[1].contains("short.json"), "{broken:?}");
        assert!(library.get("half").expect_err("broken").to_string().contains("half.json"));
    }

    #[test]
    fn a_folder_that_can_not_be_written_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let library = Library::at(&file.path().join("voices"));
        let said = library.save(&voice("x")).expect_err("a file is no folder").to_string();
        assert!(said.contains("voices") && said.contains("could not be written"), "{said}");
    }
}
