//! The platforms that a file of a pack can be for. Knows no pack.

use serde::Deserialize;

/// A platform that a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Linux on x86-64.
    #[serde(rename = "linux-x86_64")]
    LinuxX64,
    /// Linux on 64-bit Arm.
    #[serde(rename = "linux-aarch64")]
    LinuxArm64,
    /// Windows on x86-64.
    #[serde(rename = "windows-x86_64")]
    WindowsX64,
    /// Windows on 64-bit Arm.
    #[serde(rename = "windows-aarch64")]
    WindowsArm64,
    /// macOS on x86-64.
    #[serde(rename = "macos-x86_64")]
    MacX64,
    /// macOS on Apple silicon.
    #[serde(rename = "macos-aarch64")]
    MacArm64,
}

impl Target {
    /// All of them, with the names that a `pack.toml` has for them.
    pub const ALL: [(&'static str, Target); 6] = [
        ("linux-x86_64", Target::LinuxX64),
        ("linux-aarch64", Target::LinuxArm64),
        ("windows-x86_64", Target::WindowsX64),
        ("windows-aarch64", Target::WindowsArm64),
        ("macos-x86_64", Target::MacX64),
        ("macos-aarch64", Target::MacArm64),
    ];

    /// The platform that this program was built for; `None` where no pack can name it.
    pub fn here() -> Option<Target> {
        Some(match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => Target::LinuxX64,
            ("linux", "aarch64") => Target::LinuxArm64,
            ("windows", "x86_64") => Target::WindowsX64,
            ("windows", "aarch64") => Target::WindowsArm64,
            ("macos", "x86_64") => Target::MacX64,
            ("macos", "aarch64") => Target::MacArm64,
            _ => return None,
        })
    }
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Target::ALL.into_iter().find(|(name, _)| *name == s).map(|(_, target)| target).ok_or_else(|| {
            let names: Vec<_> = Target::ALL.iter().map(|(name, _)| *name).collect();
            format!("`{s}` is no platform; choose one of {}", names.join(", "))
        })
    }
}
