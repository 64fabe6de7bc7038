//! Whether a folder holds more than the one model that was found in it: then nobody knows which is meant, and nothing
//! is taken. By names first; graphs that are a model by themselves are known by their tensors.

use std::path::Path;

use super::{Identified, some_of};
use crate::source::OpenError;
use mynah_models::runtime::{Session, SessionOptions, precision};
use mynah_recognition::moonshine::files::known;
use mynah_recognition::online::nemo::is_signal;
use mynah_voice::{openvoice, rvc};

/// Graphs that play a part in a recogniser of several have one of these words in their names.
const PARTS: [&str; 3] = ["encoder", "decoder", "joiner"];
/// The graphs of MeanVC that nothing else has.
const MEAN: [&[&str]; 2] = [&["dit", "flow"], &["vocos", "vocoder"]];
/// What a Whisper of CTranslate2 is made of.
const WEIGHTS: [&str; 3] = ["model.bin", "config.json", "tokenizer.json"];

fn is_graph(name: &str) -> bool {
    name.ends_with(".onnx") || name.ends_with(".ort")
}

/// An error that names both, where the files that `found` doesn't need are a model too.
pub(super) fn refuse(folder: &Path, names: &[String], found: &Identified) -> Result<(), OpenError> {
    let used: Vec<String> = found.files.iter().filter_map(|(_, path)| name_of(path)).collect();
    let Some(other) = another(folder, names, &used, found.built.is_some()) else { return Ok(()) };
    Err(OpenError(format!(
        "`{}` holds two models: {} ({}), and {other}; put each into a folder of its own",
        folder.display(),
        found.model,
        some_of(&used)
    )))
}

fn name_of(path: &Path) -> Option<String> {
    path.file_name().and_then(|n| n.to_str()).map(str::to_owned)
}

/// The model that the files beside the used ones are, in a few words; `weights` where those are in use too.
fn another(folder: &Path, names: &[String], used: &[String], weights: bool) -> Option<String> {
    let free = |n: &&String| !is_graph(n) || !used.iter().any(|u| u == *n || precision::same_but_for_it(u, n));
    let left: Vec<String> = names.iter().filter(free).cloned().collect();
    if let Some((layout, Ok(parts))) = known(&left, None) {
        let files: Vec<String> = parts.into_iter().map(|(_, file)| file.to_owned()).collect();
        return Some(format!("one in the layout {} ({})", layout.family(), some_of(&files)));
    }
    let graphs: Vec<&String> = left.iter().filter(|n| is_graph(n)).collect();
    let called = |words: &[&str]| {
        graphs.iter().find(|n| words.iter().any(|word| n.to_lowercase().contains(word))).map(|n| (*n).clone())
    };
    let parts: Vec<String> = PARTS.iter().filter_map(|part| called(&[part])).collect();
    // An encoder and what reads it.
    if parts.len() > 1 && called(&PARTS[..1]).is_some() && parts[0] != parts[1] {
        let what = if parts.len() == PARTS.len() { "a transducer" } else { "an encoder with a decoder" };
        return Some(format!("{what} ({})", some_of(&parts)));
    }
    if let [Some(flow), Some(vocoder)] = MEAN.map(called) {
        return Some(format!("MeanVC ({flow}, {vocoder})"));
    }
    if !weights && WEIGHTS.iter().all(|file| names.iter().any(|n| n == file)) {
        return Some(format!("Whisper of CTranslate2 ({})", WEIGHTS[0]));
    }
    graphs.into_iter().find_map(|graph| alone(folder, graph))
}

/// What a graph is that is a model by itself.
fn alone(folder: &Path, graph: &str) -> Option<String> {
    // What can't be opened is nothing that could be meant.
    let session = Session::load(&folder.join(graph), &SessionOptions::default()).ok()?;
    let hears = session.inputs().first().is_some_and(|input| is_signal(input.name()))
        || session.metadata("decode_chunk_len").is_some();
    if hears && !PARTS.iter().any(|part| graph.contains(part)) {
        return Some(format!("a CTC model ({graph})"));
    }
    if rvc::Layout::of(&session).is_some() {
        return Some(format!("a voice of RVC ({graph})"));
    }
    (openvoice::part(&session) == Some(openvoice::Part::Converter))
        .then(|| format!("a converter of OpenVoice ({graph})"))
}

/// What to add to an error about a folder in which several files could play a part: the parts of two models may have
/// been taken for one. Empty elsewhere.
pub(super) fn mixed(names: &[String]) -> String {
    for part in PARTS {
        let mut several: Vec<String> = Vec::new();
        for name in names.iter().filter(|n| is_graph(n) && n.contains(part)) {
            if !several.iter().any(|known| precision::same_but_for_it(known, name)) {
                several.push(name.clone());
            }
        }
        if several.len() > 1 {
            several.truncate(2);
            return format!(
                "; the folder holds several {part}s, such as {}: put each model into a folder of its own",
                several.join(" and ")
            );
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_second_model_is_found_by_its_names_and_companions_are_none() {
        let nowhere = Path::new("/nowhere");
        let second = |all: &str, used: &str| another(nowhere, &names(all), &names(used), false).unwrap_or_default();
        let zipformer = "encoder.onnx decoder.onnx joiner.onnx tokens.txt";
        for (more, told) in [
            ("preprocess.onnx encode.onnx uncached_decode.onnx cached_decode.onnx", "moonshine"),
            (
                "b-encoder.onnx b-decoder.onnx b-joiner.onnx",
                "a transducer (b-encoder.onnx, b-decoder.onnx, b-joiner.onnx)",
            ),
            ("tiny-encoder.onnx tiny-decoder.onnx", "an encoder with a decoder"),
            ("model.bin config.json tokenizer.json", "CTranslate2"),
            ("dit.onnx vocos.onnx", "MeanVC"),
        ] {
            assert!(second(&format!("{zipformer} {more}"), zipformer).contains(told), "{more}");
        }
        for more in [
            "encoder.int8.onnx decoder.int8.onnx joiner.int8.onnx",
            "silero_vad.onnx README.md",
            "b-encoder.onnx",
            "config.json",
        ] {
            assert_eq!(second(&format!("{zipformer} {more}"), zipformer), "", "{more}");
        }
        let optimum = "encoder_model.onnx decoder_model_merged.onnx tokenizer.json config.json";
        assert_eq!(
            second(
                &format!("{optimum} decoder_model.onnx decoder_with_past_model.onnx encoder_model_fp16.onnx"),
                optimum
            ),
            ""
        );
        assert!(
            mixed(&names("a-encoder.onnx b-encoder.onnx a-encoder.int8.onnx"))
                .contains("several encoders, such as a-encoder.onnx and b-encoder.onnx")
        );
        assert_eq!(mixed(&names("a-encoder.onnx a-encoder.int8.onnx decoder.onnx")), "");
    }
}
