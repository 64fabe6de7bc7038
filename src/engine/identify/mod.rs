//! What a folder of somebody's model files is: which family, which file plays which part, what is missing. Opens the
//! graphs, so that what is wrong with them is told at once. Not for the audio thread; knows no plugin and prints
//! nothing.

mod rival;
mod trial;
mod tried;
mod variant;
mod voice;
mod whisper;

use std::path::{Path, PathBuf};

use super::source::OpenError;
use mynah_models::packs::listed::{Listing, Trust};
use mynah_models::packs::{Builder, Kind, Manifest, PackError, sha256_of};
use mynah_models::runtime::graph::some_of;
use mynah_models::runtime::{RuntimeError, Session, SessionOptions, files_beside, precision};
use mynah_recognition::Recognizer;
use mynah_recognition::moonshine::Moonshine;
use mynah_recognition::moonshine::files::{Layout, find, known};
use mynah_recognition::online::OnlineRecognizer;
use mynah_recognition::online::ctc::Ctc;
use mynah_recognition::online::nemo::{JointFiles, NemoCtc, NemoTransducer, is_signal};
use mynah_recognition::online::paraformer::{self, Paraformer};
use mynah_recognition::online::transducer::{Files, Transducer};

/// A model that was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// What it is for.
    pub kind: Kind,
    /// Which code runs it.
    pub family: &'static str,
    /// What its metadata call the model, such as `zipformer2`.
    pub model: String,
    /// The names that a pack's files have, and the files that play their parts.
    pub files: Vec<(&'static str, PathBuf)>,
    /// The rate of its sound in Hz, where its family wants to know it before it is loaded.
    pub rate: Option<u32>,
    /// Samples of a chunk, the same.
    pub hop: Option<usize>,
    /// Files that the graphs keep weights in, under the names that the graphs know.
    pub beside: Vec<PathBuf>,
    /// What is built of the files, where they are weights and no graphs.
    pub built: Option<Making>,
    /// What is worth knowing before it is used.
    pub note: Option<String>,
}

/// How a pack's graphs are made of weights, which are not kept themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Making {
    /// What makes them.
    pub builder: Builder,
    /// The weights.
    pub weights: PathBuf,
    /// The graphs' names with the hashes that came of it here: the same come everywhere.
    pub graphs: Vec<(&'static str, String)>,
}

/// The families, each with the files that a folder of it holds. A graph's file is the one whose name has the word in
/// it.
const TRANSDUCER: [&str; 3] = ["encoder", "decoder", "joiner"];
const JOINT: &str = "decoder_joint.onnx";
const TOKENS: &str = "tokens.txt";
/// What an encoder's first input is called that hears no sound itself.
const FEATURES: &str = "input_features";

/// Opens a recogniser that hears a stream, where the family is one; `file` tells where a pack's file lies.
pub(super) fn open_online(
    family: &str,
    file: impl Fn(&str) -> PathBuf,
) -> Option<Result<Box<dyn OnlineRecognizer>, OpenError>> {
    fn boxed<R: OnlineRecognizer + 'static>(
        opened: Result<R, RuntimeError>,
    ) -> Result<Box<dyn OnlineRecognizer>, OpenError> {
        Ok(Box::new(opened?))
    }
    let options = SessionOptions::default();
    let files = || {
        let [encoder, decoder, joiner] = TRANSDUCER.map(|part| file(&format!("{part}.onnx")));
        Files { encoder, decoder, joiner, tokens: file(TOKENS) }
    };
    match family {
        "transducer" => Some(boxed(Transducer::open(&files(), &options))),
        "ctc" => Some(boxed(Ctc::open(&file("model.onnx"), &file(TOKENS), &options))),
        "nemo-transducer" => Some(boxed(NemoTransducer::open(&files(), &options))),
        "nemo-ctc" => Some(boxed(NemoCtc::open(&file("model.onnx"), &file(TOKENS), &options))),
        "nemo-joint" => {
            let files = JointFiles { encoder: file("encoder.onnx"), decoder_joint: file(JOINT), tokens: file(TOKENS) };
            Some(boxed(NemoTransducer::open_joint(&files, &options)))
        }
        "paraformer" => {
            let files = paraformer::Files {
                encoder: file("encoder.onnx"),
                decoder: file("decoder.onnx"),
                tokens: file(TOKENS),
            };
            Some(boxed(Paraformer::open(&files, &options)))
        }
        _ => None,
    }
}

/// The name of a graph's first input, which exporters keep.
fn first_input(graph: &Path) -> Result<String, OpenError> {
    let session = Session::load(graph, &SessionOptions::default())?;
    Ok(session.inputs().first().map_or_else(String::new, |input| input.name().to_owned()))
}

/// Opens a recogniser that reads whole buffers, where the family is one of those that are found here; `file` tells
/// where a pack's file lies.
pub(super) fn open_whole(
    family: &str,
    file: impl Fn(&str) -> PathBuf,
) -> Option<Result<Box<dyn Recognizer>, OpenError>> {
    let layout = Layout::of_family(family)?;
    let opened: Result<Box<dyn Recognizer>, OpenError> = match Moonshine::open(&layout, file) {
        Ok(moonshine) => Ok(Box::new(moonshine)),
        Err(e) => Err(e.into()),
    };
    Some(opened)
}

/// What the names in a folder make of a Moonshine model; none where they are another family's.
fn moonshine(folder: &Path, names: &[String], wanted: Option<&str>) -> Result<Option<Identified>, OpenError> {
    let Some((layout, parts)) = known(names, wanted) else { return Ok(None) };
    if layout == Layout::Merged
        && let Some(encoder) = find(names, "encoder_model.onnx", wanted)
        && Session::load(&folder.join(encoder), &SessionOptions::default())?
            .inputs()
            .first()
            .is_some_and(|i| i.name() == FEATURES)
    {
        // Whisper's files have the same names.
        return Ok(None);
    }
    let lacks = |what| {
        OpenError(format!("`{}` holds {}, but {what}; put it there and try again", folder.display(), some_of(names)))
    };
    let files: Vec<(&'static str, PathBuf)> =
        parts.map_err(lacks)?.into_iter().map(|(part, name)| (part, folder.join(name))).collect();
    let file =
        |name: &str| files.iter().find(|(part, _)| *part == name).map(|(_, path)| path.clone()).unwrap_or_default();
    if let Some(mut recognizer) = open_whole(layout.family(), file).transpose()? {
        trial::buffer(&mut *recognizer)?;
    }
    let model = if layout == Layout::Streaming { "Moonshine v2, streaming" } else { "Moonshine" };
    Identified::plain(Kind::Captions, layout.family(), model.to_owned(), files).map(Some)
}

/// Looks at the files of a folder. ONNX Runtime must be open. Takes some seconds: the graphs are opened.
pub fn identify(folder: &Path) -> Result<Identified, OpenError> {
    let wrong = |why: String| OpenError(format!("`{}` {why}", folder.display()));
    let inside = std::fs::read_dir(folder)
        .map_err(|e| wrong(format!("can't be read: {e}; give a folder with a model's files")))?;
    let mut names: Vec<String> = inside.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    let full = look(folder, &names, None).map_err(|OpenError(why)| OpenError(why + &rival::mixed(&names)))?;
    rival::refuse(folder, &names, &full)?;
    if full.kind != Kind::Captions || full.built.is_some() {
        return Ok(full);
    }
    // What of a smaller precision is there stands a trial, unless it can less: with other languages or without
    // attention.
    let same = |small: &Identified| small.files != full.files && small.family == full.family && small.note == full.note;
    let smaller = precision::smaller_among(&names)
        .into_iter()
        .map(|precision| (precision, look(folder, &names, Some(precision))));
    let smaller = smaller.filter(|(_, small)| small.as_ref().map_or(true, same)).collect();
    Ok(variant::better(full, smaller))
}

/// What the files of a folder are, with graphs of the `wanted` precision where there are such, as [`precision::rank`]
/// has it.
fn look(folder: &Path, names: &[String], wanted: Option<&str>) -> Result<Identified, OpenError> {
    if let Some(found) = moonshine(folder, names, wanted)? {
        return Ok(found);
    }
    if let Some(whisper) = whisper::whisper(folder, names, wanted) {
        return whisper;
    }
    if let Some(voice) = voice::voice(folder, names)? {
        return Ok(voice);
    }
    if !names.iter().any(|n| n.ends_with(".onnx")) {
        let why = "holds no graph (*.onnx); give the folder in which the model's files lie";
        return Err(OpenError(format!("`{}` {why}", folder.display())));
    }
    streaming(folder, names, wanted)
}

/// The same for a streaming recogniser.
fn streaming(folder: &Path, names: &[String], wanted: Option<&str>) -> Result<Identified, OpenError> {
    let wrong = |why: String| OpenError(format!("`{}` {why}", folder.display()));
    let graphs: Vec<&String> = names.iter().filter(|n| n.ends_with(".onnx")).collect();
    let part = |word: &str| graphs.iter().filter(|n| n.contains(word)).min_by_key(|n| precision::rank(n, wanted));
    let parts = TRANSDUCER.map(part);
    let tokens = names.iter().find(|n| *n == TOKENS);
    let lacks = |what: &str| wrong(format!("holds {}, but no {what}; put it there and try again", some_of(names)));
    let tokens = |kind: &str| tokens.ok_or_else(|| lacks(&format!("`{TOKENS}`, which {kind} needs")));
    let (family, files): (_, Vec<(&'static str, PathBuf)>) = match parts {
        [None, None, None] => {
            let (Some(graph), true) = (part(""), graphs.iter().all(|g| precision::same_but_for_it(g, graphs[0])))
            else {
                return Err(wrong(format!(
                    "holds {} graphs of which none is named after its part (encoder, decoder, joiner)",
                    graphs.len()
                )));
            };
            ("ctc", vec![("model.onnx", folder.join(graph)), (TOKENS, folder.join(tokens("a CTC model")?))])
        }
        [Some(encoder), Some(decoder), Some(joiner)] => {
            let graph = |name: &str| folder.join(name);
            let tokens = folder.join(tokens("a transducer")?);
            let files = vec![
                ("encoder.onnx", graph(encoder)),
                ("decoder.onnx", graph(decoder)),
                ("joiner.onnx", graph(joiner)),
                (TOKENS, tokens),
            ];
            ("transducer", files)
        }
        [Some(encoder), Some(decoder), None] if first_input(&folder.join(encoder))? == paraformer::SPEECH => {
            let tokens = folder.join(tokens("a Paraformer")?);
            (
                "paraformer",
                vec![("encoder.onnx", folder.join(encoder)), ("decoder.onnx", folder.join(decoder)), (TOKENS, tokens)],
            )
        }
        [Some(encoder), Some(decoder), None]
            if decoder.contains("joint") && is_signal(&first_input(&folder.join(encoder))?) =>
        {
            let tokens = folder.join(tokens("a transducer")?);
            (
                "nemo-joint",
                vec![("encoder.onnx", folder.join(encoder)), (JOINT, folder.join(decoder)), (TOKENS, tokens)],
            )
        }
        _ => {
            let missing: Vec<&str> =
                TRANSDUCER.iter().zip(parts).filter(|(_, found)| found.is_none()).map(|(word, _)| *word).collect();
            return Err(lacks(&format!(
                "graph of the {}, which a transducer needs",
                missing.join(" and no graph of the ")
            )));
        }
    };
    let first = Session::load(&files[0].1, &SessionOptions::default())?;
    let family = match (family, first.inputs().first().is_some_and(|input| is_signal(input.name()))) {
        ("transducer", true) => "nemo-transducer",
        ("ctc", true) => "nemo-ctc",
        _ => family,
    };
    let model = first.metadata("model_type").filter(|m| !m.is_empty()).unwrap_or_else(|| family.to_owned());
    let file =
        |name: &str| files.iter().find(|(part, _)| *part == name).map(|(_, path)| path.clone()).unwrap_or_default();
    if let Some(mut recognizer) = open_online(family, file).transpose()? {
        trial::stream(&mut *recognizer)?;
    }
    Identified::plain(Kind::Captions, family, model, files)
}

/// What the origin of a pack begins with that was made of a published model.
pub(super) fn from_hub(listing: &Listing) -> String {
    format!("model hub, {}", listing.hub)
}

/// Where somebody's model files come from.
pub enum Origin<'a> {
    /// A folder of this machine.
    Folder,
    /// A published model, whose files were gathered in the folder.
    Hub(&'a Listing, Trust),
}

impl Identified {
    /// What a folder of somebody's model files is. ONNX Runtime must be open. Takes some seconds: the graphs are
    /// opened, and heard with where there are several precisions.
    pub fn of(folder: &Path) -> Result<Self, OpenError> {
        identify(folder)
    }

    /// Opens the recogniser where it is one that hears a stream, of whichever family. Takes up to seconds.
    pub fn open_online(&self) -> Option<Result<Box<dyn OnlineRecognizer>, OpenError>> {
        open_online(self.family, |name| self.file(name))
    }

    /// The file that plays a part; an empty path where none does.
    fn file(&self, name: &str) -> PathBuf {
        self.files.iter().find(|(part, _)| *part == name).map(|(_, path)| path.clone()).unwrap_or_default()
    }

    /// Of files that become a pack as they are, with the files that graphs among them keep weights in.
    fn plain(
        kind: Kind,
        family: &'static str,
        model: String,
        files: Vec<(&'static str, PathBuf)>,
    ) -> Result<Self, OpenError> {
        let mut beside = Vec::new();
        for (_, path) in files.iter().filter(|(name, _)| name.ends_with(".onnx")) {
            let wrong = |why: String| OpenError(format!("`{}`: {why}", path.display()));
            let graph = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
            beside.extend(files_beside(&graph).map_err(wrong)?.into_iter().map(|name| path.with_file_name(name)));
        }
        beside.sort();
        beside.dedup();
        Ok(Self { kind, family, model, files, rate: None, hop: None, beside, built: None, note: None })
    }

    /// The pack that is made of these files where they lie in `folder`.
    pub fn meant(&self, id: &str, licence: &str, folder: &Path, origin: &Origin) -> Result<Manifest, OpenError> {
        let text = self.manifest(id, licence, folder, origin)?;
        Manifest::meant_for(&text, folder).map_err(|e| match e {
            // Nobody can look at a line of a file that is nowhere.
            PackError::Manifest { why, .. } => {
                OpenError(format!("no pack can be made of `{}`: {why}", folder.display()))
            }
            other => other.into(),
        })
    }

    /// The `pack.toml` of a pack made of these files where they lie in `folder`.
    pub fn manifest(&self, id: &str, licence: &str, folder: &Path, origin: &Origin) -> Result<String, OpenError> {
        let title = folder.file_name().map_or_else(|| id.into(), |n| n.to_string_lossy());
        let (title, told) = match origin {
            Origin::Folder => (format!("{title} ({})", self.model), format!("files of {}", folder.display())),
            Origin::Hub(l, trust) => (l.title.clone(), format!("{} at {}; {}", from_hub(l), l.revision, trust.words())),
        };
        let mut text = String::new();
        let mut line =
            |key: &str, value: &str| text.push_str(&format!("{key} = {}\n", toml::Value::String(value.to_owned())));
        line("id", id);
        line("kind", self.kind.name());
        line("family", self.family);
        line("title", &title);
        line("licence", licence);
        line("origin", &told);
        for (key, number) in [("rate", self.rate.map(|n| n as usize)), ("hop", self.hop)] {
            text.push_str(&number.map_or_else(String::new, |n| format!("{key} = {n}\n")));
        }
        let entry = |name: &str, path: &Path, build_only| {
            entry(name, path, build_only, matches!(origin, Origin::Hub(..)).then_some(folder))
        };
        let beside = self.beside.iter().filter_map(|path| Some((path.file_name()?.to_str()?, path)));
        for (name, path) in self.files.iter().map(|(name, path)| (*name, path)).chain(beside) {
            text.push_str(&entry(name, path, false)?);
        }
        if let Some(Making { builder, weights, graphs }) = &self.built {
            let source = weights.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
            text.push_str(&entry(&source, weights, true)?);
            for (name, hash) in graphs {
                let builder = builder.name();
                text.push_str(&format!(
                    "\n[[built]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nbuilder = \"{builder}\"\nsource = {}\n",
                    toml::Value::String(source.to_string())
                ));
            }
        }
        Ok(text)
    }
}

/// A file's entry of a `pack.toml`.
fn entry(name: &str, path: &Path, build_only: bool, home: Option<&Path>) -> Result<String, OpenError> {
    let hash = sha256_of(path)?;
    let text = |path: &Path| toml::Value::String(path.to_string_lossy().into_owned());
    let from = match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(beside) => format!("beside = {}", text(beside)),
        None => format!(
            "path = {}",
            text(&std::path::absolute(path).map_err(|e| OpenError(format!("`{}`: {e}", path.display())))?)
        ),
    };
    let name = toml::Value::String(name.to_owned());
    let only = if build_only { "build_only = true\n" } else { "" };
    Ok(format!("\n[[files]]\nname = {name}\nsha256 = \"{hash}\"\n{only}from = {{ {from} }}\n"))
}
