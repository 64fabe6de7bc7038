//! Where packs lie, and in which order the places are searched.

use std::path::{Path, PathBuf};

use super::{Kind, Pack, PackError, chosen, claims, place, user_folder};

/// An ordered list of folders, each holding packs. Cheap to make; every question reads the disk again.
#[derive(Debug, Clone)]
pub struct Store {
    folders: Vec<PathBuf>,
}

impl Store {
    /// The places of this machine, in this order: the folder in the environment's `MYNAH_PACKS`; the resources beside
    /// the running module (the plugin's bundle, or the program); `packs/` in the user's data folder. Never the working
    /// directory.
    pub fn standard() -> Store {
        let given = std::env::var_os("MYNAH_PACKS")
            .filter(|v| !v.is_empty())
            .and_then(|v| std::path::absolute(PathBuf::from(v)).ok());
        let beside = place::module_path().map(|m| place::resources_of(&m)).unwrap_or_default();
        let user = user_folder().map(|u| u.join("packs"));
        Store::at(given.into_iter().chain(beside).chain(user))
    }

    /// The given folders only, in order; one that is given twice counts once.
    pub fn at(folders: impl IntoIterator<Item = PathBuf>) -> Store {
        let mut once: Vec<PathBuf> = Vec::new();
        for folder in folders {
            if !once.contains(&folder) {
                once.push(folder);
            }
        }
        Store { folders: once }
    }

    /// The folders, in the order in which they are searched; some may not exist.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Every pack of every folder, in order; a folder whose `pack.toml` is wrong is an error in its place. No file is
    /// hashed.
    pub fn list(&self) -> Vec<Result<Pack, PackError>> {
        self.pack_folders().map(|folder| Pack::load(&folder)).collect()
    }

    /// The first whole pack of this kind, and of this id where one is given: all of its files are there with the right
    /// hashes. Where none is given, Mynah's own go before those of others, which could else take a part's place by
    /// their names.
    ///
    /// An earlier pack that is damaged doesn't hide a later whole one. Where none is whole, the error is that of the
    /// first damaged one.
    pub fn find(&self, kind: Kind, id: Option<&str>) -> Result<Pack, PackError> {
        if id.is_none() {
            let own = self.list().into_iter().flatten().filter(|pack| pack.kind() == kind && claims::is_own(pack.id()));
            if let Some(own) = own.into_iter().find(|pack| pack.verify().is_ok()) {
                return Ok(own);
            }
        }
        let mut first_error = None;
        for folder in self.pack_folders() {
            let found = match Pack::load(&folder) {
                Ok(pack) if id.is_some_and(|id| id != pack.id()) => continue,
                Ok(pack) if id.is_none() && pack.kind() != kind => continue,
                Ok(pack) => pack.expect_kind(kind).and_then(|()| pack.verify()).map(|()| pack),
                // What can't be read may be of any kind; by name it only matters if the folder bears that name.
                Err(_) if id.is_some_and(|id| folder.file_name() != Some(id.as_ref())) => continue,
                Err(e) => Err(e),
            };
            match found {
                Ok(pack) => return Ok(pack),
                Err(e) => first_error = first_error.or(Some(e)),
            }
        }
        Err(first_error.unwrap_or_else(|| {
            self.not_found(match id {
                Some(id) => format!("`{id}`"),
                None => format!("of the kind {kind}"),
            })
        }))
    }

    /// The absolute path of ONNX Runtime for this platform, from the runtime pack that was chosen, else from the first
    /// whole one.
    pub fn runtime_library(&self) -> Result<PathBuf, PackError> {
        use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
        self.find(Kind::Runtime, chosen(Kind::Runtime)?.as_deref())?
            .file(&format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}"))
    }

    fn not_found(&self, what: String) -> PackError {
        let searched: Vec<_> = self.folders.iter().map(|f| format!("`{}`", f.display())).collect();
        let searched = if searched.is_empty() {
            "any folder, because this machine tells no home".to_owned()
        } else {
            searched.join(", ")
        };
        PackError::NotFound { what, searched }
    }

    /// The sub-folders that hold a `pack.toml`, by name inside each folder. Hidden ones are half-made packs of `fetch`.
    fn pack_folders(&self) -> impl Iterator<Item = PathBuf> {
        self.folders.iter().flat_map(|folder| {
            let mut inside: Vec<PathBuf> =
                std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
            inside.retain(|p| !hidden(p) && p.join(super::manifest::MANIFEST).exists());
            inside.sort();
            inside
        })
    }
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packs::testing::{a_pack, write_pack};

    fn two() -> (tempfile::TempDir, tempfile::TempDir, Store) {
        let (a, b) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let store = Store::at([a.path().to_owned(), b.path().to_owned()]);
        (a, b, store)
    }

    #[test]
    fn an_earlier_folder_wins() {
        let (a, b, store) = two();
        a_pack(b.path(), "one", Kind::Vad, "late");
        a_pack(a.path(), "one", Kind::Vad, "early");
        assert!(store.find(Kind::Vad, Some("one")).expect("found").folder().starts_with(a.path()));
        assert_eq!(store.list().len(), 2);
    }

    #[test]
    fn a_folder_that_is_given_twice_counts_once() {
        let [a, b] = ["a", "b"].map(PathBuf::from);
        assert_eq!(Store::at([a.clone(), b.clone(), a.clone()]).folders(), [a, b]);
    }

    #[test]
    fn mynahs_own_goes_before_what_others_put_before_it() {
        let (a, b, store) = two();
        a_pack(a.path(), "a-vad", Kind::Vad, "theirs");
        assert_eq!(store.find(Kind::Vad, None).expect("any").id(), "a-vad");
        a_pack(b.path(), "silero-vad", Kind::Vad, "ours");
        assert_eq!(store.find(Kind::Vad, None).expect("ours").id(), "silero-vad");
        assert_eq!(store.find(Kind::Vad, Some("a-vad")).expect("by its name").id(), "a-vad");
    }

    #[test]
    fn a_damaged_early_pack_does_not_hide_a_whole_later_one() {
        let (a, b, store) = two();
        a_pack(b.path(), "one", Kind::Vad, "good");
        let bad = a_pack(a.path(), "one", Kind::Vad, "good");
        std::fs::write(bad.folder().join("model.bin"), "bad").expect("damaged");
        assert!(store.find(Kind::Vad, None).expect("the later one").folder().starts_with(b.path()));
        write_pack(a.path(), "one", "nonsense = ");
        assert!(store.find(Kind::Vad, Some("one")).expect("the later one").folder().starts_with(b.path()));
        assert!(store.list()[0].is_err() && store.list()[1].is_ok());
    }

    #[test]
    fn without_a_whole_pack_the_first_error_is_told() {
        let (a, b, store) = two();
        let first = a_pack(a.path(), "one", Kind::Vad, "x");
        let second = a_pack(b.path(), "one", Kind::Vad, "y");
        std::fs::write(first.folder().join("model.bin"), "damaged").expect("damaged");
        std::fs::remove_file(second.folder().join("model.bin")).expect("removed");
        assert!(matches!(store.find(Kind::Vad, Some("one")), Err(PackError::Hash { .. })));
    }

    #[test]
    fn what_is_not_there_or_of_another_kind_is_said() {
        let (a, _b, store) = two();
        a_pack(a.path(), "one", Kind::Vad, "x");
        write_pack(a.path(), ".half", &crate::packs::testing::manifest_text("half", Kind::Voice, "x"));
        assert!(matches!(store.find(Kind::Vad, Some("two")), Err(PackError::NotFound { .. })));
        assert!(matches!(store.find(Kind::Voice, Some("one")), Err(PackError::WrongKind { .. })));
        let said = store.find(Kind::Voice, None).expect_err("none").to_string();
        assert!(said.contains("voice") && said.contains(&a.path().display().to_string()), "{said}");
    }

    #[test]
    fn every_standard_place_is_absolute() {
        assert!(Store::standard().folders().iter().all(|f| f.is_absolute()));
    }
}
