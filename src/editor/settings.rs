//! What a user sets about the window itself: its look, its scale and its size, kept in a small file of the data folder.
//! Knows no window.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::packs::user_folder;

/// Scales that can be chosen, as shares of the system's.
pub const SCALES: [f32; 6] = [0.75, 1.0, 1.25, 1.5, 1.75, 2.0];
/// Sizes of the window in points: the least, the first and the largest.
pub const LEAST: (f32, f32) = (800.0, 500.0);
pub const FIRST: (f32, f32) = (1040.0, 740.0);
pub const LARGEST: (f32, f32) = (7680.0, 4320.0);

/// Dark or light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Look {
    /// As the system says; dark where it says nothing.
    #[default]
    System,
    /// Dark.
    Dark,
    /// Light.
    Light,
}

impl Look {
    /// All looks, with their names.
    pub const ALL: [(Look, &str); 3] = [(Look::System, "As the system"), (Look::Dark, "Dark"), (Look::Light, "Light")];
}

/// The settings of all windows of this user.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WindowSettings {
    /// Dark or light.
    pub look: Look,
    /// Share of the system's scale, 0.75 to 2.
    pub scale: f32,
    /// Width in points.
    pub width: f32,
    /// Height in points.
    pub height: f32,
}

impl Default for WindowSettings {
    fn default() -> Self {
        Self { look: Look::System, scale: 1.0, width: FIRST.0, height: FIRST.1 }
    }
}

impl WindowSettings {
    /// Where they are kept; none where the platform tells no home.
    pub fn file() -> Option<PathBuf> {
        Some(user_folder()?.join("window.toml"))
    }

    /// As they were left; what is missing or unreadable is as it first was.
    pub fn load(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        toml::from_str::<Self>(&text).unwrap_or_default().within()
    }

    /// Keeps them. They are a comfort: where they can't be written, the next window begins as the first.
    pub fn save(&self, file: &Path) {
        if let (Ok(text), Some(folder)) = (toml::to_string(self), file.parent()) {
            let _ = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(file, text));
        }
    }

    fn within(mut self) -> Self {
        let keep = |x: f32, least: f32, most: f32, other: f32| if x.is_finite() { x.clamp(least, most) } else { other };
        self.scale = keep(self.scale, SCALES[0], SCALES[SCALES.len() - 1], 1.0);
        self.width = keep(self.width, LEAST.0, LARGEST.0, FIRST.0);
        self.height = keep(self.height, LEAST.1, LARGEST.1, FIRST.1);
        self
    }
}

/// Whether the system wants dark windows; none where it doesn't say. May take some tenths of a second.
pub fn system_is_dark() -> Option<bool> {
    let asked = |program: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new(program);
        command.args(arguments).stdin(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        #[cfg(windows)]
        {
            /// `CREATE_NO_WINDOW`: no console flashes up.
            const NO_WINDOW: u32 = 0x0800_0000;
            std::os::windows::process::CommandExt::creation_flags(&mut command, NO_WINDOW);
        }
        command.output().ok().map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
    };
    if cfg!(target_os = "macos") {
        // The key is there in dark mode only.
        asked("defaults", &["read", "-g", "AppleInterfaceStyle"]).map(|said| said.contains("Dark"))
    } else if cfg!(windows) {
        let key = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Themes\Personalize";
        let said = asked("reg", &["query", key, "/v", "AppsUseLightTheme"])?;
        said.contains("0x").then(|| said.contains("0x0"))
    } else {
        let said = asked("gsettings", &["get", "org.gnome.desktop.interface", "color-scheme"])?;
        // `default` is no wish.
        if said.contains("dark") { Some(true) } else { said.contains("light").then_some(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_back_as_they_were_and_nonsense_is_mended() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("new").join("window.toml");
        assert_eq!(WindowSettings::load(&file), WindowSettings::default());
        let chosen = WindowSettings { look: Look::Light, scale: 1.5, width: 900.0, height: 600.0 };
        chosen.save(&file);
        assert_eq!(WindowSettings::load(&file), chosen);
        std::fs::write(&file, "look = \"dark\"\nscale = 90.0\nwidth = nan\n").expect("written");
        assert_eq!(
            WindowSettings::load(&file),
            WindowSettings { look: Look::Dark, scale: 2.0, ..WindowSettings::default() }
        );
        std::fs::write(&file, "look = 3").expect("written");
        assert_eq!(WindowSettings::load(&file), WindowSettings::default());
    }
}
