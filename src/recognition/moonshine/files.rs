//! Which files make a Moonshine model, in each of the layouts in which they are published. Knows names only, and opens
//! nothing.

use super::vocabulary;
use mynah_models::runtime::precision;

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
        // Newer builds keep the frontend's weights in a graph of their own.
        &["decoder_kv_with_attention.onnx", "frontend.weights.onnx"],
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

/// What the names in a folder make; none where they are no Moonshine's. Then the parts, or a sentence's end that says
/// what is missing. Of several precisions the `wanted` one, by its word in names such as `int8`, where a part has it;
/// `None` is the full one.
///
/// Whisper has the two graphs of [`Layout::Merged`], too: the caller must look into the encoder.
pub fn known<'a>(names: &'a [String], wanted: Option<&str>) -> Option<(Layout, Result<Parts<'a>, String>)> {
    let has = |part: &&str| find(names, part, wanted).is_some();
    // The first part of two of them is like no other family's; the third is known by both.
    let ours = |(layout, needed, _): &&(Layout, &[&str], &[&str])| {
        if *layout == Layout::Merged { needed.iter().all(has) } else { has(&needed[0]) }
    };
    let (layout, needed, may) = *LAYOUTS.iter().find(ours)?;
    let missing: Vec<&str> = needed.iter().copied().filter(|part| !has(part)).collect();
    let tokens = vocabulary::NAMES.iter().find(|wanted| names.iter().any(|n| n == *wanted));
    let parts = match tokens {
        _ if !missing.is_empty() => {
            Err(format!("no {}, which a Moonshine model of this layout needs", missing.join(" and no ")))
        }
        None => Err(format!("no vocabulary (`{}`), which a Moonshine model needs", vocabulary::NAMES.join("` or `"))),
        Some(tokens) => Ok(needed
            .iter()
            .chain(may)
            .chain([tokens])
            .filter_map(|&part| Some((part, find(names, part, wanted)?)))
            .collect()),
    };
    Some((layout, parts))
}

/// The file that plays a part: a graph may be in either format, and its precision may stand behind its name
/// (`encode.int8.onnx`, `encoder_model_quantized.onnx`). Of several the wanted one, but the half without weights
/// (`.model.`) before all: its weights then lie beside it.
pub fn find<'a>(names: &'a [String], part: &str, wanted: Option<&str>) -> Option<&'a str> {
    let Some(stem) = part.strip_suffix(".onnx") else { return names.iter().find(|n| *n == part).map(String::as_str) };
    // What goes on with another word is another part's, such as `decoder_kv_with_attention`.
    let precise = |rest: &str| {
        rest.split(|c: char| !c.is_ascii_alphanumeric()).next().is_some_and(|word| precision::smaller(word).is_some())
    };
    let behind = |rest: &str| {
        let named = rest.starts_with('.') || rest.strip_prefix('_').is_some_and(precise);
        named && !rest.starts_with(".weights.") && (rest.ends_with(".onnx") || rest.ends_with(".ort"))
    };
    let graph = |n: &&String| n.strip_prefix(stem).is_some_and(behind);
    names.iter().filter(graph).min_by_key(|n| (!n.contains(".model."), precision::rank(n, wanted))).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn published_folders_are_known() {
        let rest = "adapter.ort cross_kv.ort decoder_kv.ort decoder_kv_with_attention.ort encoder.ort \
            streaming_config.json tokenizer.bin";
        let streaming = names(&format!("{rest} frontend.ort"));
        let (layout, parts) = known(&streaming, None).expect("known");
        let parts = parts.expect("whole");
        assert_eq!((layout, parts.len()), (Layout::Streaming, 8));
        assert!(
            parts.contains(&("decoder_kv.onnx", "decoder_kv.ort"))
                && parts.contains(&("tokenizer.bin", "tokenizer.bin"))
        );
        assert!(parts.contains(&("frontend.onnx", "frontend.ort")));
        for pair in [
            format!("{rest} frontend.model.ort frontend.weights.ort"),
            format!("{rest} frontend.model.ort frontend.ort frontend.weights.ort"),
        ] {
            let streaming = names(&pair);
            let parts = known(&streaming, None).expect("known").1.expect("whole");
            assert!(parts.contains(&("frontend.onnx", "frontend.model.ort")), "{parts:?}");
            assert!(parts.contains(&("frontend.weights.onnx", "frontend.weights.ort")), "{parts:?}");
        }
        let four = names(
            "preprocess.onnx encode.int8.onnx encode.onnx uncached_decode.int8.onnx cached_decode.int8.onnx \
             tokens.txt LICENSE",
        );
        let (layout, parts) = known(&four, None).expect("known");
        let parts = parts.expect("whole");
        assert_eq!(layout, Layout::Four);
        assert!(
            parts.contains(&("encode.onnx", "encode.onnx"))
                && parts.contains(&("cached_decode.onnx", "cached_decode.int8.onnx"))
        );
        let parts = known(&four, Some("int8")).expect("known").1.expect("whole");
        assert!(
            parts.contains(&("encode.onnx", "encode.int8.onnx"))
                && parts.contains(&("preprocess.onnx", "preprocess.onnx"))
        );
        let merged = names("decoder_model_merged.ort encoder_model.ort tokens.txt");
        let (layout, parts) = known(&merged, None).expect("known");
        assert!(layout == Layout::Merged && parts.is_ok());
        let small = names(
            "decoder_model_merged_quantized.onnx encoder_model_quantized.onnx decoder_with_past_model_quantized.onnx \
             tokenizer.json",
        );
        let (layout, parts) = known(&small, None).expect("known");
        assert_eq!(layout, Layout::Merged);
        assert!(parts.expect("whole").contains(&("decoder_model_merged.onnx", "decoder_model_merged_quantized.onnx")));
        let attentive = names("decoder_kv_with_attention_int8.onnx decoder_kv.onnx");
        assert_eq!(find(&attentive, "decoder_kv.onnx", Some("int8")), Some("decoder_kv.onnx"));
        for other in [
            "encoder-epoch-99.onnx decoder-epoch-99.onnx joiner-epoch-99.onnx tokens.txt",
            "encoder_model.onnx decoder_model.onnx",
            "x",
        ] {
            assert!(known(&names(other), None).is_none(), "{other}");
        }
        for layout in LAYOUTS {
            assert_eq!(Layout::of_family(layout.0.family()), Some(layout.0));
        }
    }

    #[test]
    fn the_models_that_are_listed_are_known_by_their_names() {
        let listed = mynah_models::packs::listed::listings().expect("the list");
        for (id, layout) in [
            ("moonshine-streaming-tiny-en", Layout::Streaming),
            ("moonshine-streaming-small-en", Layout::Streaming),
            ("moonshine-streaming-medium-en", Layout::Streaming),
            ("moonshine-tiny-en", Layout::Four),
        ] {
            let listing = listed.iter().find(|l| &*l.id == id).expect("it is listed");
            let names: Vec<String> = listing.files.iter().map(|f| f.name.to_string()).collect();
            let (found, parts) = known(&names, None).expect("known");
            assert_eq!((found, parts.expect("whole").len()), (layout, names.len()), "{id}");
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        for (files, told) in [
            (
                "frontend.ort encoder.ort streaming_config.json tokenizer.bin",
                "no adapter.onnx and no cross_kv.onnx and no decoder_kv.onnx",
            ),
            ("preprocess.onnx encode.onnx uncached_decode.onnx cached_decode.onnx", "tokens.txt"),
        ] {
            let names = names(files);
            let why = known(&names, None).expect("known").1.expect_err("not whole");
            assert!(why.contains(told), "{why}");
        }
    }
}
