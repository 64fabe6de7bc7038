//! Fetching packs through the built command line, so that there is one implementation, and where they lie then.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{Profile, checked, mynah, say};

/// The packs that every bundle carries: a project opens on a machine that has nothing else.
pub(crate) const BUNDLED: [&str; 5] = ["onnxruntime", "mynah-voice", "silero-vad", "ge2e", "whisper-tiny-en"];

/// The one of them that another provider's stands in for.
pub(crate) const ORDINARY: &str = BUNDLED[0];

/// Which runtime pack a provider's bundle carries in the place of `onnxruntime`. CoreML is in the ordinary one for
/// macOS.
const RUNTIMES: [(&str, &str); 6] = [
    ("cpu", "onnxruntime"),
    ("coreml", "onnxruntime"),
    ("cuda", "onnxruntime-cuda"),
    ("directml", "onnxruntime-directml"),
    ("openvino", "onnxruntime-openvino"),
    ("webgpu", "onnxruntime-webgpu"),
];

/// Packs of the repository, each with a `pack.toml` that says for which platforms it has files.
const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");

/// The runtime pack that has a provider on a platform; an error that says where else it can be had.
pub(crate) fn runtime(provider: &str, platform: &str) -> Result<&'static str> {
    let Some(&(_, pack)) = RUNTIMES.iter().find(|(name, _)| *name == provider) else {
        let names: Vec<_> = RUNTIMES.iter().map(|(name, _)| *name).collect();
        bail!("there is no runtime for the provider `{provider}`; choose one of {}", names.join(", "));
    };
    let path = Path::new(MODELS).join(pack).join("pack.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("`{}` can't be read", path.display()))?;
    let targets = text.lines().filter_map(|line| line.trim().strip_prefix("target = \"")?.strip_suffix('"'));
    // The ordinary runtime has it on macOS only.
    let mut there: Vec<&str> = targets.filter(|target| provider != "coreml" || target.starts_with("macos")).collect();
    there.dedup();
    if !there.contains(&platform) {
        bail!(
            "there is no runtime with the provider `{provider}` for {platform}; there is one for {}",
            there.join(", ")
        );
    }
    Ok(pack)
}

/// This platform, as packs name it.
pub(crate) fn here() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

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
        None => {
            directories::BaseDirs::new().context("this machine tells no home; set MYNAH_HOME")?.data_dir().join("mynah")
        }
    };
    Ok(home.join("packs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_a_platform_has_not_is_told() {
        for (provider, platform, pack) in [
            ("cpu", "windows-x86_64", "onnxruntime"),
            ("cpu", "linux-aarch64", "onnxruntime"),
            ("coreml", "macos-aarch64", "onnxruntime"),
            ("directml", "windows-x86_64", "onnxruntime-directml"),
            ("webgpu", "macos-aarch64", "onnxruntime-webgpu"),
        ] {
            assert_eq!(runtime(provider, platform).expect("there is one"), pack, "{provider} on {platform}");
        }
        for (provider, platform, elsewhere) in [
            ("directml", "macos-aarch64", "for windows-x86_64"),
            ("openvino", "windows-x86_64", "for linux-x86_64"),
            ("cuda", "macos-aarch64", "for linux-x86_64, windows-x86_64"),
            ("coreml", "windows-x86_64", "for macos-aarch64"),
            ("cpu", "windows", "linux-x86_64, linux-aarch64, windows-x86_64"),
        ] {
            let told = runtime(provider, platform).expect_err("there is none").to_string();
            assert!(told.contains(&format!("`{provider}` for {platform};")) && told.contains(elsewhere), "{told}");
        }
        let told = runtime("vulkan", "linux-x86_64").expect_err("nobody knows it").to_string();
        assert!(told.contains("`vulkan`") && told.contains("cpu, coreml, cuda"), "{told}");
    }
}
