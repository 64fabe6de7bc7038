//! Small packs for the tests of this room.

use std::path::Path;

use super::{Kind, Pack, hash};

/// The text of a `pack.toml` with one file `model.bin` of the given content, which lies beside it.
pub(super) fn manifest_text(id: &str, kind: Kind, content: &str) -> String {
    let sha256 = hash::of_reader(content.as_bytes()).expect("hashed");
    format!(
        "id = \"{id}\"\nkind = \"{kind}\"\nfamily = \"test\"\ntitle = \"Test\"\nlicence = \"MIT\"\norigin = \"a test\"\n\
         [[files]]\nname = \"model.bin\"\nsha256 = \"{sha256}\"\nfrom = {{ beside = \"model.bin\" }}\n"
    )
}

/// Makes the folder `home/id` with that `pack.toml`.
pub(super) fn write_pack(home: &Path, id: &str, text: &str) {
    std::fs::create_dir_all(home.join(id)).expect("a folder");
    std::fs::write(home.join(id).join("pack.toml"), text).expect("a manifest");
}

/// A whole pack with one file.
pub(super) fn a_pack(home: &Path, id: &str, kind: Kind, content: &str) -> Pack {
    write_pack(home, id, &manifest_text(id, kind, content));
    std::fs::write(home.join(id).join("model.bin"), content).expect("a file");
    Pack::load(&home.join(id)).expect("a pack")
}
