//! For integration tests: models of the tests' data as people have them.

use std::path::{Path, PathBuf};

/// A folder of a home with files of tests/data, each under the name that people have for it.
pub fn folder(home: &Path, name: &str, files: &[(impl AsRef<str>, &str)]) -> PathBuf {
    let folder = home.join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    for (from, to) in files {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(from.as_ref());
        let to = folder.join(to);
        std::fs::create_dir_all(to.parent().unwrap_or(&folder)).expect("a folder");
        std::fs::copy(&from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    }
    folder
}
