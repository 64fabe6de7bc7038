//! What the standalone remembers from one start to the next: devices, switches, voice. Knows no device and no engine.

use std::io::Write;
use std::path::{Path, PathBuf};

use mynah::clock::Mode;
use mynah::engine::Picks;
use mynah::runtime::Provider;
use serde::{Deserialize, Serialize};

use crate::trouble::Trouble;

/// See the top of the file. Devices and voices by name; none where the standard one was taken.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The microphone.
    pub input: Option<String>,
    /// Its channel, from 1; all of them mixed where there is none.
    pub channel: Option<u16>,
    /// The headphones.
    pub output: Option<String>,
    /// Whether one hears oneself.
    pub monitor: bool,
    /// Whether noise is taken out of the microphone.
    pub denoise: bool,
    /// The target voice's name in the library.
    pub voice: Option<String>,
    /// Delay against quality.
    pub mode: Mode,
    /// What computes the voice.
    pub provider: Provider,
    /// The shift of pitch in semitones; moved to the target's where there is none.
    pub semitones: Option<f32>,
    /// The gate's threshold in dBFS; off where there is none.
    pub gate: Option<f32>,
    /// Gain of the output in dB.
    pub gain: f32,
    /// Whether the sound is captioned.
    pub captions: bool,
    /// The packs that voice and captions are made with, and the language that is spoken.
    pub picks: Picks,
}

impl Settings {
    /// The file in the user's data folder; none where the platform tells no home.
    pub fn file() -> Option<PathBuf> {
        mynah::packs::user_folder().map(|folder| folder.join("standalone.json"))
    }

    /// What a file keeps; the standard settings where there is no file.
    pub fn load(path: &Path) -> Result<Self, Trouble> {
        let unreadable = |why: &dyn std::fmt::Display| {
            Trouble(format!(
                "what was remembered in `{}` can't be read: {why}; drop it with `mynah-standalone --forget`",
                path.display()
            ))
        };
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| unreadable(&e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(unreadable(&e)),
        }
    }

    /// Writes the file, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), Trouble> {
        let write = || -> std::io::Result<()> {
            let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            let mut file = tempfile::Builder::new().prefix(".standalone-").suffix(".part").tempfile_in(folder)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.flush()?;
            file.persist(path).map_err(|e| e.error)?;
            Ok(())
        };
        write().map_err(|e| {
            Trouble(format!(
                "the settings can't be kept in `{}`: {e}; check that its folder may be written to",
                path.display()
            ))
        })
    }

    /// Removes the file; tells whether there was one.
    pub fn forget(path: &Path) -> Result<bool, Trouble> {
        match std::fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Trouble(format!("`{}` can't be removed: {e}; check its permissions", path.display()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_kept_and_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new").join("standalone.json");
        assert_eq!(Settings::load(&path).expect("none yet"), Settings::default());
        let settings = Settings {
            input: Some("Scarlett".to_owned()),
            monitor: true,
            mode: Mode::Studio,
            gate: Some(-45.0),
            ..Settings::default()
        };
        settings.save(&path).expect("kept");
        assert_eq!(Settings::load(&path).expect("read"), settings);
        assert!(Settings::forget(&path).expect("forgotten"));
        assert!(!Settings::forget(&path).expect("nothing there"));
        std::fs::write(&path, "{ \"inptu\": 3 }").expect("written");
        let said = Settings::load(&path).expect_err("an unknown word").to_string();
        assert!(said.contains("inptu") && said.contains("--forget"), "{said}");
    }
}
