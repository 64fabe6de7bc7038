//! The packs that Mynah knows by itself. Their `pack.toml` files are part of the program; their weights are not.

use std::path::Path;

use super::{Manifest, PackError};

/// Every `pack.toml` of `models/`, in the order in which they are fetched: the small and most needed first.
const EMBEDDED: [(&str, &str); 6] = [
    ("models/onnxruntime/pack.toml", include_str!("../../models/onnxruntime/pack.toml")),
    ("models/mynah-voice/pack.toml", include_str!("../../models/mynah-voice/pack.toml")),
    ("models/silero-vad/pack.toml", include_str!("../../models/silero-vad/pack.toml")),
    ("models/ge2e/pack.toml", include_str!("../../models/ge2e/pack.toml")),
    ("models/whisper-tiny-en/pack.toml", include_str!("../../models/whisper-tiny-en/pack.toml")),
    ("models/recordings/pack.toml", include_str!("../../models/recordings/pack.toml")),
];

/// The packs that `mynah models fetch` knows by name. An error here is a mistake in Mynah's own `models/` folder.
///
/// A pack whose files lie beside its `pack.toml` (Mynah's own voice) can't be fetched from here: it comes with the bundle, or from its
/// folder through [`Manifest::load`].
pub fn catalogue() -> Result<Vec<Manifest>, PackError> {
    EMBEDDED.iter().map(|(path, text)| Manifest::parse(text, Path::new(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_pack_parses_and_lies_in_the_folder_of_its_id() {
        let all = catalogue().expect("the catalogue parses");
        for (manifest, (path, _)) in all.iter().zip(EMBEDDED) {
            assert_eq!(path, format!("models/{}/pack.toml", &*manifest.id));
        }
        let folders = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("models")).expect("models is there");
        let packs = folders.flatten().filter(|f| f.path().join("pack.toml").exists()).count();
        assert_eq!(packs, all.len(), "a pack of models/ is missing from the catalogue");
    }
}
