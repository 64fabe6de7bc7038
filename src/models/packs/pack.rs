//! A pack on disk. Its files come out only with their hash checked.

use std::path::{Path, PathBuf};

use super::manifest::MANIFEST;
use super::{Kind, Manifest, PackError, hash};

/// A folder with a `pack.toml` that has been read. The files themselves are checked when they are asked for.
#[derive(Debug, Clone)]
pub struct Pack {
    folder: PathBuf,
    manifest: Manifest,
}

impl Pack {
    /// Reads the `pack.toml` of a folder; looks at no other file.
    pub fn load(folder: &Path) -> Result<Pack, PackError> {
        let folder =
            std::path::absolute(folder).map_err(|e| PackError::Read { path: folder.to_owned(), why: e.to_string() })?;
        let manifest = Manifest::load(&folder)?;
        Ok(Pack { folder, manifest })
    }

    /// The pack that a folder is, or would be, by a manifest from elsewhere.
    pub(super) fn with_manifest(folder: &Path, manifest: &Manifest) -> Pack {
        Pack { folder: folder.to_owned(), manifest: manifest.clone() }
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.manifest.id
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        self.manifest.kind
    }

    /// The model family: which code runs it.
    pub fn family(&self) -> &str {
        &self.manifest.family
    }

    /// All that its `pack.toml` says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its folder, absolute.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The absolute path of its `pack.toml`.
    pub fn manifest_path(&self) -> PathBuf {
        self.folder.join(MANIFEST)
    }

    /// An error that says both kinds, where the pack is not of the kind asked for.
    pub fn expect_kind(&self, kind: Kind) -> Result<(), PackError> {
        if self.kind() == kind {
            Ok(())
        } else {
            Err(PackError::WrongKind { id: self.id().to_owned(), asked: kind, found: self.kind() })
        }
    }

    /// An error that says both families, where the pack is not of the family asked for.
    pub fn expect_family(&self, family: &str) -> Result<(), PackError> {
        if self.family() == family {
            return Ok(());
        }
        Err(PackError::WrongFamily {
            id: self.id().to_owned(),
            asked: family.to_owned(),
            found: self.family().to_owned(),
        })
    }

    /// The absolute path of one of its files, which exists, lies in the folder and has the right sha256.
    ///
    /// The first call for a file reads all of it; later calls look only at its length and time of change.
    pub fn file(&self, name: &str) -> Result<PathBuf, PackError> {
        let id = || self.id().to_owned();
        let (name, expected) = self
            .manifest
            .installed()
            .find(|(known, _)| &***known == name)
            .ok_or_else(|| PackError::NoSuchFile { id: id(), name: name.to_owned() })?;
        let path = self.folder.join(&**name);
        let read = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => PackError::Missing { id: id(), path: path.clone() },
            _ => PackError::Read { path: path.clone(), why: e.to_string() },
        };
        let real = path.canonicalize().map_err(read)?;
        if !real.starts_with(self.folder.canonicalize().map_err(read)?) {
            return Err(PackError::Outside { id: id(), path, target: real });
        }
        let found = hash::of_file(&real).map_err(read)?;
        if *found != **expected {
            return Err(PackError::Hash { id: id(), path, expected: expected.to_string(), found });
        }
        Ok(path)
    }

    /// Checks every file; the first that is wrong is the error.
    pub fn verify(&self) -> Result<(), PackError> {
        self.manifest.installed().try_for_each(|(name, _)| self.file(name).map(|_| ()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packs::testing::{a_pack, write_pack};

    #[test]
    fn a_whole_pack_gives_its_file() {
        let home = tempfile::tempdir().expect("a folder");
        let pack = a_pack(home.path(), "one", Kind::Vad, "abc");
        pack.verify().expect("whole");
        let path = pack.file("model.bin").expect("there");
        assert!(path.is_absolute() && path.ends_with("one/model.bin"));
        assert!(matches!(pack.file("other"), Err(PackError::NoSuchFile { .. })));
        assert!(matches!(pack.file("../one/model.bin"), Err(PackError::NoSuchFile { .. })));
    }

    #[test]
    fn a_missing_file_says_how_to_fetch_it() {
        let home = tempfile::tempdir().expect("a folder");
        let pack = a_pack(home.path(), "one", Kind::Vad, "abc");
        std::fs::remove_file(pack.folder().join("model.bin")).expect("removed");
        let said = pack.verify().expect_err("missing").to_string();
        assert!(said.contains("run `mynah models fetch one`"), "{said}");
    }

    #[test]
    fn a_truncated_or_changed_file_is_refused_even_after_a_good_look() {
        let home = tempfile::tempdir().expect("a folder");
        let pack = a_pack(home.path(), "one", Kind::Vad, "abc");
        let path = pack.file("model.bin").expect("good at first");
        std::fs::write(&path, "ab").expect("truncated");
        let Err(PackError::Hash { expected, found, .. }) = pack.file("model.bin") else {
            panic!("a truncated file must be refused")
        };
        assert_ne!(expected, found);
        std::fs::write(&path, "").expect("emptied");
        assert!(matches!(pack.verify(), Err(PackError::Hash { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_folder_is_refused_even_with_the_right_bytes() {
        let home = tempfile::tempdir().expect("a folder");
        let pack = a_pack(home.path(), "one", Kind::Vad, "abc");
        let (inside, outside) = (pack.folder().join("model.bin"), home.path().join("elsewhere"));
        std::fs::rename(&inside, &outside).expect("moved");
        std::os::unix::fs::symlink(&outside, &inside).expect("linked");
        assert!(matches!(pack.file("model.bin"), Err(PackError::Outside { .. })));
    }

    #[test]
    fn a_wrong_kind_or_family_says_both() {
        let home = tempfile::tempdir().expect("a folder");
        let pack = a_pack(home.path(), "one", Kind::Vad, "abc");
        let said = pack.expect_kind(Kind::Voice).expect_err("another kind").to_string();
        assert!(said.contains("vad") && said.contains("voice"), "{said}");
        let said = pack.expect_family("mynah").expect_err("another family").to_string();
        assert!(said.contains("mynah") && said.contains("test"), "{said}");
    }

    #[test]
    fn a_folder_without_a_manifest_is_no_pack() {
        let home = tempfile::tempdir().expect("a folder");
        assert!(matches!(Pack::load(home.path()), Err(PackError::NoManifest(_))));
        write_pack(home.path(), "bad", "id = 3");
        assert!(matches!(Pack::load(&home.path().join("bad")), Err(PackError::Manifest { line: 1, .. })));
    }
}
