//! Voice models as people have them: RVC with ContentVec, OpenVoice v2, MeanVC. Each graph is opened and looked at. Knows no recogniser.

use std::path::{Path, PathBuf};

use super::Identified;
use crate::engine::source::OpenError;
use crate::engine::voices::{CONTENT, CONVERTER, ENCODER, FEATURES, FLOW, MEMORY, PITCH, SPEAKER, VOCODER, VOICE};
use crate::packs::Kind;
use crate::runtime::{Session, SessionOptions, precision};
use crate::voice::meanvc::Model;
use crate::voice::{openvoice, rvc};

/// Words in the names of MeanVC's graphs, and the part that each plays.
const MEAN: [(&[&str], &str); 5] = [
    (&["asr", "encoder"], ENCODER),
    (&["gtm", "memory"], MEMORY),
    (&["dit", "flow"], FLOW),
    (&["vocos", "vocoder"], VOCODER),
    (&["speaker", "spk"], SPEAKER),
];

/// What a folder with these files is; `None` where it is no voice. Opens the graphs.
pub(super) fn voice(folder: &Path, names: &[String]) -> Result<Option<Identified>, OpenError> {
    let graphs: Vec<PathBuf> = names.iter().filter(|n| n.ends_with(".onnx")).map(|n| folder.join(n)).collect();
    // Recognisers say which token is which word.
    if graphs.is_empty() || names.iter().any(|n| n.ends_with("tokens.txt") || n == "tokenizer.json") {
        return Ok(None);
    }
    if let Some(found) = mean(folder, names)? {
        return Ok(Some(found));
    }
    let options = SessionOptions::default();
    let (mut tones, mut parts, mut looks) = ((None, None), (None, None, None), None);
    for graph in graphs {
        // What can't be opened is no part of a voice; a recogniser's own look says more of it.
        let Ok(session) = Session::load(&graph, &options) else { continue };
        match openvoice::part(&session) {
            Some(openvoice::Part::Encoder) => tones.0 = Some(graph),
            Some(openvoice::Part::Converter) => tones.1 = Some(graph),
            None => match rvc::part(&session, &options)? {
                Some(rvc::Part::Voice(look)) => (parts.0, looks) = (Some(graph), Some(look)),
                Some(rvc::Part::Content) => parts.1 = Some(graph),
                Some(rvc::Part::Pitch) => parts.2 = Some(graph),
                None => {}
            },
        }
    }
    let lacks =
        |what: &str| OpenError(format!("`{}` holds {}, but no {what}; put it there and try again", folder.display(), names.join(", ")));
    match (tones, parts, looks) {
        ((Some(encoder), Some(converter)), _, _) => {
            let files = vec![(ENCODER, encoder), (CONVERTER, converter)];
            Identified::plain(Kind::Voice, "openvoice", "OpenVoice v2".to_owned(), files).map(Some)
        }
        ((None, Some(_)), _, _) => Err(lacks("reference encoder, which an OpenVoice converter needs")),
        (_, (Some(voice), Some(content), pitch), Some(look)) => {
            let mut files = vec![(VOICE, voice), (CONTENT, content)];
            files.extend(pitch.map(|graph| (PITCH, graph)));
            files.extend(names.iter().find(|n| n.ends_with(".npy")).map(|n| (FEATURES, folder.join(n))));
            let model = format!("RVC of {} Hz, exported by {}", look.rate, look.layout.name());
            Ok(Some(Identified { rate: Some(look.rate), ..Identified::plain(Kind::Voice, "rvc", model, files)? }))
        }
        (_, (Some(_), None, _), _) => Err(lacks("ContentVec (a graph from 16 kHz sound to features), which an RVC voice needs")),
        _ => Ok(None),
    }
}

/// MeanVC's graphs are known by their names, since their tensors' names are as they come; opening them tells whether they are what they are called.
fn mean(folder: &Path, names: &[String]) -> Result<Option<Identified>, OpenError> {
    let named = |words: &[&str]| {
        let fits = |n: &&String| n.ends_with(".onnx") && words.iter().any(|word| n.to_lowercase().contains(word));
        // Of several precisions the full one.
        names.iter().filter(fits).min_by_key(|n| precision::rank(n, None))
    };
    let found: Vec<(&str, Option<&String>)> = MEAN.iter().map(|(words, part)| (*part, named(words))).collect();
    let there = |part: &str| found.iter().any(|(name, file)| *name == part && file.is_some());
    if !there(FLOW) || !there(VOCODER) {
        return Ok(None);
    }
    for part in [ENCODER, SPEAKER] {
        if !there(part) {
            return Err(OpenError(format!(
                "`{}` holds {}, but no {} graph, which MeanVC needs; put it there and try again",
                folder.display(),
                names.join(", "),
                part.trim_end_matches(".onnx")
            )));
        }
    }
    let files: Vec<(&'static str, PathBuf)> =
        MEAN.iter().filter_map(|(words, part)| named(words).map(|name| (*part, folder.join(name)))).collect();
    let encoder = &files.iter().find(|(part, _)| *part == ENCODER).ok_or_else(|| OpenError("MeanVC needs an encoder".to_owned()))?.1;
    let session = Session::load(encoder, &SessionOptions::default())?;
    let window = session.inputs().first().and_then(|input| input.dtype().tensor_shape()).and_then(|shape| shape.get(1).copied());
    let Some(model) = window.and_then(|frames| Model::of_window(usize::try_from(frames).ok()?)) else {
        return Err(OpenError(format!(
            "the encoder `{}` hears {window:?} frames at a time where MeanVC 2 hears 11 or 19 and MeanVC 23; choose the graphs of one of them",
            encoder.display()
        )));
    };
    let (family, told) = match model {
        Model::One200 => ("meanvc", "MeanVC, chunks of 200 ms".to_owned()),
        _ => ("meanvc2", format!("MeanVC 2, chunks of {} ms", model.chunk() * 10)),
    };
    Ok(Some(Identified {
        rate: Some(crate::voice::meanvc::RATE),
        hop: Some(model.samples()),
        ..Identified::plain(Kind::Voice, family, told, files)?
    }))
}
