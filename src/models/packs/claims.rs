//! Whose name a pack may bear: Mynah's own packs keep theirs, and what is there under a name isn't replaced unasked.
//! Knows no model.

use std::path::Path;
use std::sync::LazyLock;

use super::{Manifest, Pack, PackError, catalogue, runtimes};

/// An error where this is the name of one of Mynah's own packs.
pub fn free(id: &str) -> Result<(), PackError> {
    if is_own(id) { Err(PackError::Reserved { id: id.to_owned() }) } else { Ok(()) }
}

/// Whether this is the name of one of Mynah's own packs.
pub(super) fn is_own(id: &str) -> bool {
    static IDS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let all = [catalogue(), runtimes()].into_iter().flatten().flatten();
        all.map(|m| m.id.to_string()).collect()
    });
    IDS.iter().any(|own| own == id)
}

/// Mynah's own pack of a name, whether it is here or not.
fn own(id: &str) -> Result<Option<Manifest>, PackError> {
    Ok(catalogue()?.into_iter().chain(runtimes()?).find(|m| &*m.id == id))
}

/// Whether a pack may be put into a folder of packs: under a name of Mynah's own only what is Mynah's own, and in the
/// place of another pack only where that is meant. Tells what is replaced, in a few words; none where nothing is, or
/// where it has the same files.
pub fn may_be_put(manifest: &Manifest, into: &Path, replace: bool) -> Result<Option<String>, PackError> {
    let (id, home) = (&*manifest.id, into.join(&*manifest.id));
    if let Some(own) = own(id)? {
        // From the bundle or the repository; an older one may be there.
        return if manifest.same_files(&own) { Ok(None) } else { Err(PackError::Reserved { id: id.to_owned() }) };
    }
    if home.symlink_metadata().is_err() {
        return Ok(None);
    }
    let what = match Pack::load(&home) {
        Ok(there) if there.manifest().same_files(manifest) => return Ok(None),
        Ok(there) => format!("{}, of the family {}", there.manifest().title, there.family()),
        Err(_) => "something that is no whole pack".to_owned(),
    };
    if replace { Ok(Some(what)) } else { Err(PackError::Taken { id: id.to_owned(), what, folder: home }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packs::Kind;
    use crate::packs::testing::{a_pack, manifest_text};

    fn meant(id: &str, content: &str) -> Manifest {
        Manifest::parse(&manifest_text(id, Kind::Captions, content), Path::new("pack.toml")).expect("parsed")
    }

    #[test]
    fn names_of_mynahs_own_are_its_own() {
        let into = tempfile::tempdir().expect("a folder");
        for own in catalogue().expect("known").into_iter().chain(runtimes().expect("known")) {
            assert!(free(&own.id).expect_err("its own").to_string().contains("Mynah's own"), "{}", &*own.id);
            let why = may_be_put(&meant(&own.id, "x"), into.path(), true).expect_err("its own");
            assert!(matches!(why, PackError::Reserved { .. }), "{why}");
            assert_eq!(may_be_put(&own, into.path(), false).expect("itself"), None);
        }
        free("zipformer-en").expect("free");
    }

    #[test]
    fn what_is_there_is_replaced_only_where_that_is_meant() {
        let into = tempfile::tempdir().expect("a folder");
        assert_eq!(may_be_put(&meant("one", "x"), into.path(), false).expect("nothing is there"), None);
        a_pack(into.path(), "one", Kind::Captions, "x");
        assert_eq!(may_be_put(&meant("one", "x"), into.path(), false).expect("the same"), None);
        let why = may_be_put(&meant("one", "y"), into.path(), false).expect_err("another").to_string();
        assert!(why.contains("Test, of the family test") && why.contains("--replace") && why.contains("one"), "{why}");
        let told = may_be_put(&meant("one", "y"), into.path(), true).expect("meant");
        assert_eq!(told.as_deref(), Some("Test, of the family test"));
        std::fs::write(into.path().join("one/pack.toml"), "id = 3").expect("broken");
        assert!(
            may_be_put(&meant("one", "x"), into.path(), false)
                .expect_err("there")
                .to_string()
                .contains("no whole pack")
        );
    }
}
