//! What a user has chosen for the outlets, and the file that keeps it: the user's own, not the project's, because it
//! holds a password.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The port that the overlay tries first.
pub const OVERLAY_PORT: u16 = 7373;
/// Where OBS listens unless told otherwise.
pub const OBS_ADDRESS: &str = "127.0.0.1:4455";

/// Where the words go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The page for a browser source.
    pub overlay: OverlaySettings,
    /// The link to OBS.
    pub obs: ObsSettings,
}

/// The page for a browser source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverlaySettings {
    /// Whether it is served.
    pub on: bool,
    /// The port to try first; 0 takes any that is free.
    pub port: u16,
}

/// The link to OBS over obs-websocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObsSettings {
    /// Whether it is kept up.
    pub on: bool,
    /// Host and port.
    pub address: String,
    /// The password of OBS's WebSocket server; empty where it asks for none.
    pub password: Password,
    /// The text source that shows the words; empty for none.
    pub source: String,
    /// Whether the words go into the stream as captions.
    pub captions: bool,
}

impl Default for OverlaySettings {
    fn default() -> Self {
        Self { on: false, port: OVERLAY_PORT }
    }
}

impl Default for ObsSettings {
    fn default() -> Self {
        Self {
            on: false,
            address: OBS_ADDRESS.to_owned(),
            password: Password::default(),
            source: "Mynah captions".to_owned(),
            captions: false,
        }
    }
}

/// A password: nothing that prints it by accident.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "…" })
    }
}

/// Why settings could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// They can't be read.
    #[error("the settings of the outlets in `{path}` can't be read: {why}; correct the file or remove it")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// They can't be written.
    #[error("the settings of the outlets can't be kept in `{path}`: {why}; check that its folder may be written to")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

impl Settings {
    /// The file in the user's data folder; none where the platform tells no home.
    pub fn file() -> Option<PathBuf> {
        mynah_files::user_folder().map(|folder| folder.join("outlets.json"))
    }

    /// What a file keeps; the standard settings where there is no file.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let unreadable = |why: String| SettingsError::Read { path: path.to_owned(), why };
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(unreadable(e.to_string())),
        }
    }

    /// Writes the file, whole or not at all, for its owner alone. One that could not be read is kept beside it, with
    /// `.broken` behind its name.
    pub fn save(&self, path: &Path) -> Result<(), SettingsError> {
        let write = || -> std::io::Result<()> {
            let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            if Self::load(path).is_err() && path.is_file() {
                let mut broken = path.as_os_str().to_owned();
                broken.push(".broken");
                std::fs::rename(path, broken)?;
            }
            // A new temporary file can be read by its owner alone, and keeps that when it is put in place.
            let mut file = tempfile::Builder::new().prefix(".outlets-").suffix(".part").tempfile_in(folder)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.flush()?;
            file.persist(path).map_err(|e| e.error)?;
            Ok(())
        };
        write().map_err(|e| SettingsError::Write { path: path.to_owned(), why: e.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_kept_for_the_owner_alone_and_a_broken_file_is_not_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new").join("outlets.json");
        assert_eq!(Settings::load(&path).expect("none yet"), Settings::default());
        let mut settings = Settings::default();
        settings.obs.password = Password("geheim".to_owned());
        settings.overlay.on = true;
        settings.save(&path).expect("kept");
        assert_eq!(Settings::load(&path).expect("read"), settings);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
        assert!(!format!("{settings:?}").contains("geheim"));
        std::fs::write(&path, "{ \"obs\": { \"onn\": true } }").expect("written");
        let wrong = Settings::load(&path).expect_err("an unknown key").to_string();
        assert!(wrong.contains("onn") && wrong.contains("line 1"), "{wrong}");
        settings.save(&path).expect("kept anew");
        assert!(
            std::fs::read_to_string(folder.path().join("new/outlets.json.broken"))
                .expect("the broken one")
                .contains("onn")
        );
    }
}
