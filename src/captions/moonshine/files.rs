//! Which files make a Moonshine model, in each of the layouts in which they are published. Knows names only, and opens nothing.

use super::vocabulary;

/// A way in which a model is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// v2: the five graphs of Moonshine's own runtime.
    Streaming,
    /// v1: four graphs, as sherpa-onnx publishes them.
    Four,
    /// v1, and v2's models that don't stream: an encoder and a merged decoder, as Hugging Face's exporter makes them.
    Merged,
}

/// The layouts, the files that one can't do without, and those that it may have.
const LAYOUTS: [(Layout, &[&str], &[&str]); 3] = [
    (
        Layout::Streaming,
        &["frontend.onnx", "encoder.onnx", "adapter.onnx", "cross_kv.onnx", "decoder_kv.onnx", "streaming_config.json"],
        &["decoder_kv_with_attention.onnx"],
    ),
    (Layout::Four, &["preprocess.onnx", "encode.onnx", "uncached_decode.onnx", "cached_decode.onnx"], &[]),
    (Layout::Merged, &["encoder_model.onnx", "decoder_model_merged.onnx"], &["decoder_with_attention.onnx"]),
];

/// The names that a pack's files have, and the names of those that play their parts.
pub type Parts<'a> = Vec<(&'static str, &'a str)>;

impl Layout {
    /// The family that a pack names.
    pub fn family(self) -> &'static str {
        match self {
            Self::Streaming => "moonshine-streaming",
            Self::Four => "moonshine",
            Self::Merged => "moonshine-merged",
        }
    }

    /// The layout of a family; none where it is no Moonshine's.
    pub fn of_family(family: &str) -> Option<Self> {
        LAYOUTS.iter().map(|l| l.0).find(|l| l.family() == family)
    }
}

/// What the names in a folder make; none where they are no Moonshine's, and a sentence's end where something is missing.
pub fn known(names: &[String]) -> Option<Result<(Layout, Parts<'_>), String>> {
    // The first part of each is like no other family's.
    let (layout, needed, may) = *LAYOUTS.iter().find(|(_, needed, _)| find(names, needed[0]).is_some())?;
    let missing: Vec<&str> = needed.iter().copied().filter(|part| find(names, part).is_none()).collect();
    if !missing.is_empty() {
        return Some(Err(format!("no {}, which a Moonshine model of this layout needs", missing.join(" and no "))));
    }
    if let Some(weights) = names.iter().find(|n| n.ends_with(".weights.ort")) {
        return Some(Err(format!(
            "its graph's weights in a file of their own (`{weights}`), which can't be read: take a build with whole graphs, and no such file"
        )));
    }
    let Some(tokens) = vocabulary::NAMES.iter().find(|wanted| names.iter().any(|n| n == *wanted)) else {
        return Some(Err(format!("no vocabulary (`{}`), which a Moonshine model needs", vocabulary::NAMES.join("` or `"))));
    };
    let parts = needed.iter().chain(may).chain([tokens]).filter_map(|&part| Some((part, find(names, part)?)));
    Some(Ok((layout, parts.collect())))
}

/// The file that plays a part: a graph may be in either format, and its precision may stand behind its name. Of several the full one.
fn find<'a>(names: &'a [String], part: &str) -> Option<&'a str> {
    let Some(stem) = part.strip_suffix(".onnx") else { return names.iter().find(|n| *n == part).map(String::as_str) };
    let graph =
        |n: &&String| n.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.') && (rest.ends_with(".onnx") || rest.ends_with(".ort")));
    names.iter().filter(graph).min_by_key(|n| (n.contains("int8") || n.contains("fp16"), n.len())).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn published_folders_are_known() {
        let streaming = names(
            "adapter.ort cross_kv.ort decoder_kv.ort decoder_kv_with_attention.ort encoder.ort frontend.ort streaming_config.json tokenizer.bin",
        );
        let (layout, parts) = known(&streaming).expect("known").expect("whole");
        assert_eq!((layout, parts.len()), (Layout::Streaming, 8));
        assert!(parts.contains(&("decoder_kv.onnx", "decoder_kv.ort")) && parts.contains(&("tokenizer.bin", "tokenizer.bin")));
        let four =
            names("preprocess.onnx encode.int8.onnx encode.onnx uncached_decode.int8.onnx cached_decode.int8.onnx tokens.txt LICENSE");
        let (layout, parts) = known(&four).expect("known").expect("whole");
        assert_eq!(layout, Layout::Four);
        assert!(parts.contains(&("encode.onnx", "encode.onnx")) && parts.contains(&("cached_decode.onnx", "cached_decode.int8.onnx")));
        let merged = names("decoder_model_merged.ort encoder_model.ort tokens.txt");
        assert_eq!(known(&merged).expect("known").expect("whole").0, Layout::Merged);
        assert!(known(&names("encoder-epoch-99.onnx decoder-epoch-99.onnx joiner-epoch-99.onnx tokens.txt")).is_none());
        for layout in LAYOUTS {
            assert_eq!(Layout::of_family(layout.0.family()), Some(layout.0));
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        for (files, told) in [
            ("frontend.ort encoder.ort streaming_config.json tokenizer.bin", "no adapter.onnx and no cross_kv.onnx and no decoder_kv.onnx"),
            ("preprocess.onnx encode.onnx uncached_decode.onnx cached_decode.onnx", "tokens.txt"),
            (
                "frontend.model.ort frontend.weights.ort encoder.ort adapter.ort cross_kv.ort decoder_kv.ort streaming_config.json tokenizer.bin",
                "frontend.weights.ort",
            ),
        ] {
            let names = names(files);
            let why = known(&names).expect("known").expect_err("not whole");
            assert!(why.contains(told), "{why}");
        }
    }
}
