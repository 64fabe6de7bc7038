//! Room on the disk: a build that fills it ends after many minutes with a message of the compiler's, so it is said
//! before.

use std::path::Path;

use crate::run::{say, target};

/// Bytes that `target/` holds after a demo that began with nothing.
pub(crate) const DEMO: u64 = 1_600_000_000;
/// Bytes that it holds after a demo and all checks.
pub(crate) const TEST: u64 = 7_100_000_000;
/// What each run may add, however much of it has been built.
const ALWAYS: u64 = 500_000_000;

/// Says so where the disk has less room than what is still to be built will take; `whole` is what a build from nothing
/// takes.
pub(crate) fn say_if_short(whole: u64) {
    let folder = target();
    let Some(there) = folder.ancestors().find(|f| f.is_dir()) else { return };
    let Ok(free) = fs4::available_space(there) else { return };
    if let Some(sentence) = short(&folder, free, held(&folder), whole) {
        say(&sentence);
    }
}

/// The sentence, where `free` bytes are too few for what `held` of `whole` lacks.
fn short(folder: &Path, free: u64, held: u64, whole: u64) -> Option<String> {
    let wanted = whole.saturating_sub(held).max(ALWAYS);
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    (free < wanted).then(|| {
        format!(
            "the disk of `{}` has {:.1} GB free and this may take {:.1} GB: free some, or name a folder on another \
             disk in CARGO_TARGET_DIR",
            folder.display(),
            gigabytes(free),
            gigabytes(wanted)
        )
    })
}

/// Bytes of the files under a folder; what can't be read counts nothing.
fn held(folder: &Path) -> u64 {
    let inside = std::fs::read_dir(folder).into_iter().flatten().flatten();
    inside
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => held(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_already_needs_no_room() {
        let folder = Path::new("target");
        let told = short(folder, 2_600_000_000, 0, TEST).unwrap_or_default();
        assert!(told.contains("`target` has 2.6 GB free"), "{told}");
        assert_eq!(short(folder, 2_600_000_000, TEST - 2_000_000_000, TEST), None);
        assert!(short(folder, 100_000_000, TEST, TEST).is_some(), "a run fills what is nearly full");
    }

    #[test]
    fn files_in_folders_count() {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(home.path().join("a/b")).expect("folders");
        for name in ["one", "a/two", "a/b/three"] {
            std::fs::write(home.path().join(name), [0; 10]).expect("written");
        }
        assert_eq!(held(home.path()), 30);
        assert_eq!(held(&home.path().join("none")), 0);
    }
}
