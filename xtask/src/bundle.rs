//! The plugin bundles: the library in each format's layout, and the packs beside it where `mynah::packs` looks for
//! them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nice_plug_xtask::{Architecture, CompilationTarget};

use crate::run::{Profile, build, bundled, checked, program, say, target};
use crate::{cross, packs};

/// Builds both bundles with their packs, for this platform's processor.
pub(crate) fn bundle(profile: Profile, offline: bool) -> Result<()> {
    bundle_with(profile, "cpu", None, offline)
}

/// Builds both bundles with the runtime that has a provider; or those of another platform, or what lies in their
/// resources.
pub(crate) fn bundle_with(profile: Profile, provider: &str, platform: Option<&str>, offline: bool) -> Result<()> {
    let runtime = packs::runtime(provider, &platform.map_or_else(packs::here, str::to_owned))?;
    build(profile)?;
    packs::fetch(profile, offline)?;
    if let Some(platform) = platform {
        let fetched = |into: &Path| packs::fetch_into(profile, runtime, into, Some(platform), offline);
        let home = bundled().join(platform);
        resources(&home, &packs::folder()?, runtime, platform, &fetched)?;
        return cross::libraries(&home, platform);
    }
    if runtime != packs::ORDINARY {
        packs::fetch_into(profile, runtime, &packs::folder()?, None, offline)?;
    }
    let carried = packs::BUNDLED.map(|id| if id == packs::ORDINARY { runtime } else { id });
    say("bundling");
    let args: Vec<String> = profile.cargo_args().iter().map(|&a| a.to_owned()).collect();
    nice_plug_xtask::bundle(&target(), "mynah", &args, false)?;
    programs(profile)?;
    let from = packs::folder()?;
    for (plugin, resources) in plugins() {
        if !plugin.exists() {
            bail!(
                "no `{}` was made, because the library exports no such plugin; look at the exports in src/lib.rs",
                plugin.display()
            );
        }
        let into = resources.join("packs");
        remove(&into).with_context(|| format!("`{}` can't be replaced", into.display()))?;
        for id in carried {
            link_tree(&from.join(id), &into.join(id))
                .with_context(|| format!("the pack {id} can't be put into `{}`", into.display()))?;
        }
        if cfg!(target_os = "macos") {
            // The first signature was made before the packs came in.
            let architecture = if cfg!(target_arch = "aarch64") { Architecture::AArch64 } else { Architecture::X86_64 };
            nice_plug_xtask::maybe_codesign(&plugin, CompilationTarget::MacOS(architecture));
        }
        say(&format!("`{}` carries {}", plugin.display(), carried.join(", ")));
    }
    Ok(())
}

/// How the libraries of a system begin, where they have their packs in a bundle, and what the plugin's own library is
/// called there.
fn system(platform: &str) -> Result<(&'static [&'static [u8]], [&'static str; 2])> {
    match platform.split('-').next() {
        Some("linux") => Ok((&[b"\x7fELF"], ["Mynah.vst3/Contents/Resources/packs", "Mynah.resources/packs"])),
        Some("windows") => Ok((&[b"MZ"], ["Mynah.vst3/Contents/Resources/packs", "Mynah.resources/packs"])),
        Some("macos") => {
            // 64-bit, and several architectures in one.
            let heads: &[&[u8]] = &[&[0xcf, 0xfa, 0xed, 0xfe], &[0xca, 0xfe, 0xba, 0xbe]];
            Ok((heads, ["Mynah.vst3/Contents/Resources/packs", "Mynah.clap/Contents/Resources/packs"]))
        }
        _ => bail!("`{platform}` is no platform; give one such as linux-x86_64, windows-x86_64 or macos-aarch64"),
    }
}

/// Puts what lies in the bundles' resources on another platform into `home`: the packs of `from`, and the runtime,
/// which `fetch` brings into a folder of packs. Nothing of it is run here, so its contents are looked at: every file
/// has its hash, and every library is one of that system.
fn resources(
    home: &Path,
    from: &Path,
    runtime: &str,
    platform: &str,
    fetch: &dyn Fn(&Path) -> Result<()>,
) -> Result<()> {
    let (heads, places) = system(platform)?;
    remove(home).with_context(|| format!("`{}` can't be replaced", home.display()))?;
    let first = home.join(places[0]);
    fetch(&first)?;
    for id in packs::BUNDLED.iter().filter(|id| **id != packs::ORDINARY) {
        link_tree(&from.join(id), &first.join(id))
            .with_context(|| format!("the pack {id} can't be put into `{}`", first.display()))?;
    }
    let mut libraries = 0;
    for entry in fs::read_dir(first.join(runtime))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if [".so", ".dll", ".dylib"].iter().any(|end| name.contains(end)) {
            let bytes = fs::read(&path).with_context(|| format!("`{}` can't be read", path.display()))?;
            if !heads.iter().any(|head| bytes.starts_with(head)) {
                bail!("`{}` is no library of {platform}; the runtime pack names a wrong file", path.display());
            }
            libraries += 1;
        }
    }
    if libraries == 0 {
        bail!("the runtime pack {runtime} has no library for {platform}; choose another provider for it");
    }
    link_tree(&first, &home.join(places[1])).with_context(|| format!("`{}` can't be filled", home.display()))?;
    say(&format!(
        "`{}` holds {runtime} ({libraries} libraries) and {}; nothing of it was run here",
        home.display(),
        packs::BUNDLED[1..].join(", ")
    ));
    Ok(())
}

/// Puts the programs beside the bundles under their own names: they find the CLAP's packs there. The bundler knows only
/// one program, the command line, and would call it after the plugin.
fn programs(profile: Profile) -> Result<()> {
    let renamed = if cfg!(target_os = "macos") {
        "Mynah.app".to_owned()
    } else {
        format!("Mynah{}", std::env::consts::EXE_SUFFIX)
    };
    remove(&bundled().join(renamed))?;
    for name in ["mynah", "mynah-standalone"] {
        let (built, place) =
            (program(profile, name), bundled().join(format!("{name}{}", std::env::consts::EXE_SUFFIX)));
        remove(&place)?;
        fs::copy(&built, &place)
            .with_context(|| format!("`{}` can't be copied to `{}`", built.display(), place.display()))?;
    }
    pages(profile)
}

/// Puts manual pages and what shells complete by beside the programs.
fn pages(profile: Profile) -> Result<()> {
    let (mynah, standalone) = (program(profile, "mynah"), program(profile, "mynah-standalone"));
    let (man, completions) = (bundled().join("man").join("man1"), bundled().join("completions"));
    checked(Command::new(&mynah).arg("man").arg(&man).stdout(Stdio::null()))?;
    checked(Command::new(&standalone).arg("--man").arg(&man))?;
    fs::create_dir_all(&completions).with_context(|| format!("`{}` can't be made", completions.display()))?;
    for (shell, name) in
        [("bash", "mynah.bash"), ("zsh", "_mynah"), ("fish", "mynah.fish"), ("powershell", "mynah.ps1")]
    {
        let told = Command::new(&mynah).args(["completions", shell]).output();
        let told = told.with_context(|| format!("`{}` can't be run", mynah.display()))?;
        let place = completions.join(name);
        fs::write(&place, told.stdout).with_context(|| format!("`{}` can't be written", place.display()))?;
    }
    Ok(())
}

/// Removes a file or a folder with all in it; one that isn't there is fine.
pub(crate) fn remove(path: &Path) -> std::io::Result<()> {
    match path.symlink_metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    }
}

/// Each bundle and the folder of its resources. A CLAP is a bundle on macOS and a single file elsewhere.
pub(crate) fn plugins() -> [(PathBuf, PathBuf); 2] {
    let (vst3, clap) = (bundled().join("Mynah.vst3"), bundled().join("Mynah.clap"));
    let inside = |bundle: &Path| bundle.join("Contents").join("Resources");
    let clap_resources = if cfg!(target_os = "macos") { inside(&clap) } else { bundled().join("Mynah.resources") };
    [(vst3.clone(), inside(&vst3)), (clap, clap_resources)]
}

/// Hard-links every file of a folder into another, and copies where the file system can't link.
fn link_tree(from: &Path, into: &Path) -> std::io::Result<()> {
    each_file(from, into, &|from, to| fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ())))
}

/// Copies a file or a folder with all in it.
pub(crate) fn copy_tree(from: &Path, into: &Path) -> std::io::Result<()> {
    each_file(from, into, &|from, to| fs::copy(from, to).map(|_| ()))
}

fn each_file(from: &Path, into: &Path, put: &dyn Fn(&Path, &Path) -> std::io::Result<()>) -> std::io::Result<()> {
    if !from.is_dir() {
        return put(from, into);
    }
    fs::create_dir_all(into)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        each_file(&entry.path(), &into.join(entry.file_name()), put)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of packs as `mynah models fetch` leaves it, and a runtime for another platform with a library of these
    /// first bytes.
    struct Fetched {
        home: tempfile::TempDir,
        library: (&'static str, &'static [u8]),
    }

    impl Fetched {
        fn new(library: (&'static str, &'static [u8])) -> Self {
            let home = tempfile::tempdir().expect("a folder");
            for id in packs::BUNDLED {
                let pack = home.path().join("packs").join(id);
                fs::create_dir_all(&pack).expect("a folder");
                // The runtime of this machine is an ELF library, which must not come along.
                fs::write(pack.join("libonnxruntime.so"), b"\x7fELF").expect("written");
                fs::write(pack.join("pack.toml"), id).expect("written");
            }
            Self { home, library }
        }

        fn resources(&self, platform: &str) -> Result<PathBuf> {
            let made = self.home.path().join(platform);
            let fetch = |into: &Path| {
                let pack = into.join("onnxruntime-other");
                fs::create_dir_all(&pack)?;
                fs::write(pack.join(self.library.0), self.library.1)?;
                Ok(fs::write(pack.join("LICENSE"), "MIT")?)
            };
            resources(&made, &self.home.path().join("packs"), "onnxruntime-other", platform, &fetch).map(|()| made)
        }
    }

    #[test]
    fn resources_of_another_platform_hold_its_runtime_and_all_packs() {
        for (platform, library, clap) in [
            ("windows-x86_64", ("onnxruntime.dll", &b"MZ\x90"[..]), "Mynah.resources/packs"),
            ("macos-aarch64", ("libonnxruntime.dylib", b"\xcf\xfa\xed\xfe\x0c"), "Mynah.clap/Contents/Resources/packs"),
            ("linux-aarch64", ("libonnxruntime.so", b"\x7fELF"), "Mynah.resources/packs"),
        ] {
            let fetched = Fetched::new(library);
            // What an earlier one left is gone.
            let old = fetched.home.path().join(platform).join(clap).join("old");
            fs::create_dir_all(&old).expect("a folder");
            let made = fetched.resources(platform).expect("filled");
            assert!(!old.exists(), "{platform}");
            for place in ["Mynah.vst3/Contents/Resources/packs", clap] {
                let packs_there = made.join(place);
                assert_eq!(
                    fs::read(packs_there.join("onnxruntime-other").join(library.0)).expect("the runtime"),
                    library.1,
                    "{place}"
                );
                for id in &packs::BUNDLED[1..] {
                    assert_eq!(
                        fs::read_to_string(packs_there.join(id).join("pack.toml")).expect("a pack"),
                        *id,
                        "{place}"
                    );
                }
                assert!(!packs_there.join(packs::ORDINARY).exists(), "{place}: the runtime of this machine");
            }
        }
    }

    #[test]
    fn a_library_of_another_system_or_none_is_told() {
        let elf = Fetched::new(("onnxruntime.dll", b"\x7fELF"));
        let told = elf.resources("windows-x86_64").expect_err("no library of Windows").to_string();
        assert!(told.contains("onnxruntime.dll` is no library of windows-x86_64"), "{told}");
        let told = Fetched::new(("readme.txt", b"MZ")).resources("windows-x86_64").expect_err("no library").to_string();
        assert!(told.contains("onnxruntime-other has no library for windows-x86_64"), "{told}");
        let told = elf.resources("amiga-68k").expect_err("no platform").to_string();
        assert!(told.contains("`amiga-68k` is no platform"), "{told}");
        // A pack that is missing is told, too.
        let fetched = Fetched::new(("onnxruntime.dll", b"MZ"));
        fs::remove_dir_all(fetched.home.path().join("packs/ge2e")).expect("removed");
        let told = format!("{:#}", fetched.resources("windows-x86_64").expect_err("a pack is missing"));
        assert!(told.contains("the pack ge2e can't be put into"), "{told}");
    }

    #[test]
    fn a_tree_is_linked_and_copied_whole() {
        let home = tempfile::tempdir().expect("a folder");
        let (from, linked, copied) = (home.path().join("a"), home.path().join("b"), home.path().join("c"));
        fs::create_dir_all(from.join("x")).expect("a folder");
        fs::write(from.join("x/y"), "1").expect("written");
        link_tree(&from, &linked).expect("linked");
        copy_tree(&from, &copied).expect("copied");
        assert_eq!(fs::read_to_string(linked.join("x/y")).expect("read"), "1");
        assert_eq!(fs::read_to_string(copied.join("x/y")).expect("read"), "1");
        assert!(link_tree(&home.path().join("none"), &home.path().join("d")).is_err());
    }
}
