//! Whisper models as people have them: a folder of CTranslate2's, of sherpa-onnx's or of optimum's files. Knows no
//! other family.

use std::path::{Path, PathBuf};

use super::{Identified, Making, some_of, trial};
use crate::source::OpenError;
use mynah_models::packs::build::{self, Weights};
use mynah_models::packs::{Builder, Kind, sha256_of};
use mynah_models::runtime::{Session, SessionOptions, precision};
use mynah_recognition::Recognizer;
use mynah_recognition::whisper::{Layout, Whisper, is_sherpa_encoder};

const WEIGHTS: &str = "model.bin";
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const GENERATION: &str = "generation_config.json";

/// What a folder with these files is; `None` where it is no Whisper. Of several precisions the `wanted` one, as
/// [`precision::rank`] has it. Opens the graphs, and builds them first where there are only weights.
pub(super) fn whisper(folder: &Path, names: &[String], wanted: Option<&str>) -> Option<Result<Identified, OpenError>> {
    let there = |name: &str| names.iter().any(|n| n == name);
    let find = |fits: &dyn Fn(&str) -> bool| {
        names.iter().filter(|n| fits(n)).min_by_key(|n| precision::rank(n, wanted)).map(|n| folder.join(n))
    };
    let graph = |word: &str| find(&|n| n.ends_with(".onnx") && n.contains(word));
    if let (Some(encoder), true) = (graph("encoder_model"), names.iter().any(|n| n.contains("decoder_model"))) {
        return Some(optimum(folder, names, encoder, graph("decoder_model_merged")));
    }
    if !names.iter().any(|n| n.ends_with(".onnx")) {
        return (there(WEIGHTS) && there(CONFIG)).then(|| ctranslate2(folder, names));
    }
    let (encoder, decoder) = (graph("encoder")?, graph("decoder")?);
    if graph("joiner").is_some() {
        return None;
    }
    // What can't be opened isn't known to be a Whisper.
    let session = Session::load(&encoder, &SessionOptions::default()).ok().filter(is_sherpa_encoder)?;
    let model = session.metadata("model_type").unwrap_or_default();
    drop(session);
    let tokens = find(&|n| n.ends_with("tokens.txt"));
    let Some(tokens) = tokens else { return Some(Err(lacks(folder, names, "tokens.txt"))) };
    Some(opened(Layout::Sherpa, model, vec![encoder, decoder, tokens]))
}

fn lacks(folder: &Path, names: &[String], what: &str) -> OpenError {
    OpenError(format!(
        "`{}` holds {}, but no {what}, which a Whisper needs; put it there and try again",
        folder.display(),
        some_of(names)
    ))
}

/// The files with these names, all of which must be there.
fn all_of(folder: &Path, names: &[String], wanted: &[&str]) -> Result<Vec<PathBuf>, OpenError> {
    let one = |want: &&str| {
        names.iter().any(|n| n == want).then(|| folder.join(want)).ok_or_else(|| lacks(folder, names, want))
    };
    wanted.iter().map(one).collect()
}

fn optimum(
    folder: &Path,
    names: &[String],
    encoder: PathBuf,
    decoder: Option<PathBuf>,
) -> Result<Identified, OpenError> {
    let decoder = decoder.ok_or_else(|| lacks(folder, names, "decoder_model_merged.onnx"))?;
    let mut files = vec![encoder, decoder];
    files.extend(all_of(folder, names, &[TOKENIZER, CONFIG, GENERATION])?);
    opened(Layout::Optimum, "whisper of optimum".to_owned(), files)
}

/// Builds the graphs where nobody keeps them, to open them once and to know their hashes.
fn ctranslate2(folder: &Path, names: &[String]) -> Result<Identified, OpenError> {
    let kept = all_of(folder, names, &[TOKENIZER, CONFIG])?;
    let cant = |e: std::io::Error| {
        OpenError(format!("the graphs of `{}` can't be built: {e}; free some space", folder.display()))
    };
    let work = tempfile::tempdir().map_err(cant)?;
    build::whisper(folder, work.path(), Weights::Eight, None).map_err(|e| OpenError(e.to_string()))?;
    let graphs = ["encoder.onnx", "decoder.onnx"];
    let built = graphs.map(|name| work.path().join(name));
    let hashes = graphs
        .iter()
        .zip(&built)
        .map(|(name, path)| Ok((*name, sha256_of(path)?)))
        .collect::<Result<_, OpenError>>()?;
    let files = built.into_iter().chain(kept).collect();
    let mut found = opened(Layout::Mynah, "whisper of CTranslate2".to_owned(), files)?;
    found.files.retain(|(name, _)| !graphs.contains(name));
    found.beside.clear();
    found.built = Some(Making { builder: Builder::Whisper, weights: folder.join(WEIGHTS), graphs: hashes });
    Ok(found)
}

/// Opens files in the order of the layout's names.
fn opened(layout: Layout, model: String, paths: Vec<PathBuf>) -> Result<Identified, OpenError> {
    let files: Vec<(&'static str, PathBuf)> = layout.files().iter().copied().zip(paths).collect();
    let file =
        |name: &str| files.iter().find(|(part, _)| *part == name).map(|(_, path)| path.clone()).unwrap_or_default();
    let mut whisper = Whisper::open_as(layout, &file, &SessionOptions::default())?;
    trial::buffer(&mut whisper)?;
    let languages = whisper.languages();
    let knows = if languages.len() > 1 {
        format!("it knows {} languages", languages.len())
    } else {
        "it knows English only".to_owned()
    };
    let times = if whisper.has_attention() {
        "words' times come of its attention"
    } else {
        "its decoder gives no attention, so words' times are estimated from their letters and the pauses"
    };
    let note = Some(format!("{knows}; {times}"));
    Ok(Identified { note, ..Identified::plain(Kind::Captions, layout.family(), model, files)? })
}
