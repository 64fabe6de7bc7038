//! Fetching packs through the built command line, so that there is one implementation, and where they lie then.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{Profile, checked, mynah, say};

/// The packs that every bundle carries: a project opens on a machine that has nothing else.
pub(crate) const BUNDLED: [&str; 5] = ["onnxruntime", "mynah-voice", "silero-vad", "ge2e", "whisper-tiny-en"];

/// Which runtime pack a provider's bundle carries in the place of `onnxruntime`. CoreML is in the ordinary one for macOS.
pub(crate) const RUNTIMES: [(&str, &str); 6] = [
    ("cpu", "onnxruntime"),
    ("coreml", "onnxruntime"),
    ("cuda", "onnxruntime-cuda"),
    ("directml", "onnxruntime-directml"),
    ("openvino", "onnxruntime-openvino"),
    ("webgpu", "onnxruntime-webgpu"),
];

/// Packs with files of our own, which lie in the repository.
const OWN: [&str; 2] = ["models/mynah-voice", "models/whisper-tiny-en"];

/// Puts every pack into the user's folder; what is there and whole stays. The programs of this profile must be built.
pub(crate) fn fetch(profile: Profile, offline: bool) -> Result<()> {
    say("fetching packs");
    for folder in OWN {
        checked(Command::new(mynah(profile)).args(["models", "add", folder]).args(offline.then_some("--offline")))?;
    }
    checked(Command::new(mynah(profile)).args(["models", "fetch", "--all"]).args(offline.then_some("--offline")))
}

/// Puts a pack into a folder of packs, for another platform where one is named.
pub(crate) fn fetch_into(profile: Profile, id: &str, into: &Path, platform: Option<&str>, offline: bool) -> Result<()> {
    let mut command = Command::new(mynah(profile));
    command.args(["models", "fetch", id, "--into"]).arg(into).args(offline.then_some("--offline"));
    checked(command.args(platform.map(|p| ["--for", p]).into_iter().flatten()))
}

/// The user's folder of packs: the same rule as `mynah::packs::user_folder`.
pub(crate) fn folder() -> Result<PathBuf> {
    let home = match std::env::var_os("MYNAH_HOME").filter(|v| !v.is_empty()) {
        Some(home) => std::path::absolute(PathBuf::from(home))?,
        None => directories::BaseDirs::new().context("this machine tells no home; set MYNAH_HOME")?.data_dir().join("mynah"),
    };
    Ok(home.join("packs"))
}
