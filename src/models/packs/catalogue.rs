//! The packs that Mynah knows by itself. Their `pack.toml` files are part of the program; their weights are not.

use std::path::Path;

use super::{Manifest, PackError};

/// Every `pack.toml` of `models/`, in the order in which they are fetched: the small and most needed first.
const EMBEDDED: [(&str, &str); 6] = [
    ("models/onnxruntime/pack.toml", include_str!("../../../models/onnxruntime/pack.toml")),
    ("models/mynah-voice/pack.toml", include_str!("../../../models/mynah-voice/pack.toml")),
    ("models/silero-vad/pack.toml", include_str!("../../../models/silero-vad/pack.toml")),
    ("models/ge2e/pack.toml", include_str!("../../../models/ge2e/pack.toml")),
    ("models/whisper-tiny-en/pack.toml", include_str!("../../../models/whisper-tiny-en/pack.toml")),
    ("models/recordings/pack.toml", include_str!("../../../models/recordings/pack.toml")),
];

/// Runtime packs for other providers than the processor: each in the place of `onnxruntime`, fetched by name only,
/// since one suffices and some are large.
const RUNTIMES: [(&str, &str); 4] = [
    ("models/onnxruntime-cuda/pack.toml", include_str!("../../../models/onnxruntime-cuda/pack.toml")),
    ("models/onnxruntime-directml/pack.toml", include_str!("../../../models/onnxruntime-directml/pack.toml")),
    ("models/onnxruntime-openvino/pack.toml", include_str!("../../../models/onnxruntime-openvino/pack.toml")),
    ("models/onnxruntime-webgpu/pack.toml", include_str!("../../../models/onnxruntime-webgpu/pack.toml")),
];

/// The packs that Mynah is made of: `mynah models fetch --all` brings them all. An error here is a mistake in Mynah's
/// own `models/` folder.
///
/// A pack whose files lie beside its `pack.toml` (Mynah's own voice) can't be fetched from here: it comes with the
/// bundle, or from its folder through [`Manifest::load`].
pub fn catalogue() -> Result<Vec<Manifest>, PackError> {
    parsed(&EMBEDDED)
}

/// The runtime packs for other providers that can be fetched by name.
pub fn runtimes() -> Result<Vec<Manifest>, PackError> {
    parsed(&RUNTIMES)
}

fn parsed(texts: &[(&str, &str)]) -> Result<Vec<Manifest>, PackError> {
    texts.iter().map(|(path, text)| Manifest::parse(text, Path::new(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_pack_parses_and_lies_in_the_folder_of_its_id() {
        let mut all = catalogue().expect("the catalogue parses");
        all.extend(runtimes().expect("the runtimes parse"));
        for (manifest, (path, _)) in all.iter().zip(EMBEDDED.into_iter().chain(RUNTIMES)) {
            assert_eq!(path, format!("models/{}/pack.toml", &*manifest.id));
        }
        let folders =
            std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models")).expect("models is there");
        let packs = folders.flatten().filter(|f| f.path().join("pack.toml").exists()).count();
        assert_eq!(packs, all.len(), "a pack of models/ is missing from the catalogue");
    }
}
