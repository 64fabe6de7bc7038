//! For integration tests: where fetched packs lie.

#[path = "runtime.rs"]
mod opened;

use std::path::PathBuf;

use mynah::packs::Store;

pub use opened::runtime;

/// A file of a fetched pack; fails with a sentence if it is missing.
pub fn asset(pack: &str, name: &str) -> PathBuf {
    let packs = Store::standard().list();
    let found = packs
        .into_iter()
        .flatten()
        .find(|p| p.id() == pack)
        .map(|p| p.folder().join(name))
        .filter(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("the pack `{pack}` with `{name}` is not here; run `cargo xtask test`, which fetches what tests need")
    })
}
