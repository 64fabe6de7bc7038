//! Copying the bundles to where hosts look for plugins of this user. Asks nothing, and says what it did.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::bundle::{bundle, copy_tree, plugins, remove};
use crate::run::{Profile, say};

/// Bundles, then copies.
pub(crate) fn install(offline: bool) -> Result<()> {
    bundle(Profile::Release, offline)?;
    let (vst3, clap) = folders()?;
    for ((plugin, resources), folder) in plugins().into_iter().zip([vst3, clap]) {
        put(&plugin, &folder)?;
        if !resources.starts_with(&plugin) {
            put(&resources, &folder)?;
        }
    }
    Ok(())
}

/// The user's folders for VST3 and CLAP: the places that the two standards name.
fn folders() -> Result<(PathBuf, PathBuf)> {
    let dirs = directories::BaseDirs::new()
        .context("this machine tells no home, so there is no plugin folder; copy target/bundled by hand")?;
    Ok(if cfg!(target_os = "macos") {
        let plug_ins = dirs.home_dir().join("Library/Audio/Plug-Ins");
        (plug_ins.join("VST3"), plug_ins.join("CLAP"))
    } else if cfg!(windows) {
        let common = dirs.data_local_dir().join("Programs").join("Common");
        (common.join("VST3"), common.join("CLAP"))
    } else {
        (dirs.home_dir().join(".vst3"), dirs.home_dir().join(".clap"))
    })
}

/// Puts a file or folder into a folder under its own name. The copy is made beside the old one, which goes at the very
/// end.
fn put(from: &Path, folder: &Path) -> Result<()> {
    let name = from.file_name().context("a bundle without a name")?;
    let (place, mut beside) = (folder.join(name), name.to_owned());
    beside.push(".new");
    let new = folder.join(beside);
    let replace = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        remove(&new)?;
        copy_tree(from, &new)?;
        remove(&place)?;
        fs::rename(&new, &place)
    };
    replace().with_context(|| {
        format!("`{}` can't be installed; free some space or close the host that uses it", place.display())
    })?;
    say(&format!("installed `{}`", place.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_bundle_is_replaced_whole() {
        let home = tempfile::tempdir().expect("a folder");
        let (from, into) = (home.path().join("Mynah.vst3"), home.path().join("plugins"));
        fs::create_dir_all(into.join("Mynah.vst3")).expect("a folder");
        fs::write(into.join("Mynah.vst3/stale"), "old").expect("written");
        fs::create_dir_all(from.join("Contents")).expect("a folder");
        fs::write(from.join("Contents/a"), "new").expect("written");
        put(&from, &into).expect("installed");
        assert!(!into.join("Mynah.vst3/stale").exists() && into.join("Mynah.vst3/Contents/a").exists());
        assert_eq!(fs::read_dir(&into).expect("read").count(), 1);
    }
}
