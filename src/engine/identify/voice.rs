//! Voice models as people have them: RVC with ContentVec, OpenVoice v2, MeanVC. Each graph is opened and looked at.
//! Knows no recogniser.

use std::path::{Path, PathBuf};

use super::{Identified, some_of, trial};
use crate::source::OpenError;
use crate::voices::{CONTENT, CONVERTER, DRAWN, ENCODER, FEATURES, FLOW, MEMORY, PITCH, SPEAKER, VOCODER, VOICE};
use mynah_models::packs::Kind;
use mynah_models::runtime::{Session, SessionOptions, precision};
use mynah_realtime::clock::Mode;
use mynah_voice::meanvc::{self, Files, MeanVc, Model, SpeakerEncoder, Steps};
use mynah_voice::openvoice::{self, OpenVoice, ToneEncoder};
use mynah_voice::rvc::{self, Rvc};

/// What a trial calls weights that have no name yet.
const TRIAL: &str = "trial";
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
    // Recognisers say which token is which word.
    if names.iter().any(|n| n.ends_with("tokens.txt") || n == "tokenizer.json") {
        return Ok(None);
    }
    if let Some(found) = mean(folder, &graphs_within(folder, names))? {
        return Ok(Some(found));
    }
    let graphs: Vec<PathBuf> = names.iter().filter(|n| n.ends_with(".onnx")).map(|n| folder.join(n)).collect();
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
    let lacks = |what: &str| {
        OpenError(format!("`{}` holds {}, but no {what}; put it there and try again", folder.display(), some_of(names)))
    };
    match (tones, parts, looks) {
        ((Some(encoder), Some(converter)), _, _) => {
            let voice = trial::anybody(Some(Box::new(ToneEncoder::open(&encoder, TRIAL, &options)?)))?;
            let tried =
                openvoice::Files { encoder: encoder.clone(), converter: converter.clone(), model: TRIAL.to_owned() };
            trial::converter(&mut OpenVoice::open(&tried, Mode::Live, &voice, &options)?)?;
            let files = vec![(ENCODER, encoder), (CONVERTER, converter)];
            Identified::plain(Kind::Voice, "openvoice", "OpenVoice v2".to_owned(), files).map(Some)
        }
        ((None, Some(_)), _, _) => Err(lacks("reference encoder, which an OpenVoice converter needs")),
        (_, (Some(voice), Some(content), pitch), Some(look)) => {
            let features = names.iter().find(|n| n.ends_with(".npy")).map(|n| folder.join(n));
            let retrieval = features.clone().map(|features| rvc::Retrieval { features, share: DRAWN });
            let tried = rvc::Files {
                voice: voice.clone(),
                content: content.clone(),
                pitch: pitch.clone(),
                speaker: 0,
                retrieval,
            };
            trial::converter(&mut Rvc::open(&tried, Mode::Live, &trial::anybody(None)?, &options)?)?;
            let mut files = vec![(VOICE, voice), (CONTENT, content)];
            files.extend(pitch.map(|graph| (PITCH, graph)));
            files.extend(features.map(|features| (FEATURES, features)));
            let model = format!("RVC of {} Hz, exported by {}", look.rate, look.layout.name());
            Ok(Some(Identified { rate: Some(look.rate), ..Identified::plain(Kind::Voice, "rvc", model, files)? }))
        }
        (_, (Some(_), None, _), _) => {
            Err(lacks("ContentVec (a graph from 16 kHz sound to features), which an RVC voice needs"))
        }
        _ => Ok(None),
    }
}

/// The graphs of a folder and of the folders in it, two deep: `kiarina/MeanVC2-ONNX` has the encoder of speakers in one
/// of its own, and others keep precisions apart.
fn graphs_within(folder: &Path, names: &[String]) -> Vec<String> {
    let mut all: Vec<String> = names.to_vec();
    for depth in 1..=2 {
        let deeper: Vec<String> =
            all.iter().filter(|n| n.split('/').count() == depth && !n.starts_with('.')).cloned().collect();
        for name in deeper {
            let inside = std::fs::read_dir(folder.join(&name)).into_iter().flatten().flatten();
            all.extend(
                inside.filter_map(|e| e.file_name().into_string().ok()).map(|within| format!("{name}/{within}")),
            );
        }
    }
    all.retain(|n| n.ends_with(".onnx"));
    all.sort();
    all
}

/// MeanVC's graphs are known by their names, since their tensors' names are as they come; opening them tells whether
/// they are what they are called. What else lies there, such as a graph of features (`fbank`), is none of them.
fn mean(folder: &Path, graphs: &[String]) -> Result<Option<Identified>, OpenError> {
    let called = |n: &str, words: &[&str]| {
        let last = n.rsplit('/').next().unwrap_or(n).to_lowercase();
        words.iter().any(|word| last.contains(word))
    };
    let named = |words: &[&str], part: &str| {
        // An encoder of speakers is one of content only by its name.
        let fits = |n: &&String| called(n, words) && (part == SPEAKER || !called(n, MEAN[4].0));
        // Of several precisions the full one.
        graphs.iter().filter(fits).min_by_key(|n| precision::rank(n, None))
    };
    let found: Vec<(&'static str, Option<&String>)> =
        MEAN.iter().map(|(words, part)| (*part, named(words, part))).collect();
    let there = |part: &str| found.iter().find(|(name, _)| *name == part).and_then(|(_, file)| *file);
    if there(FLOW).is_none() || there(VOCODER).is_none() {
        return Ok(None);
    }
    let needed = |part: &str| {
        let lacks = || {
            let (all, part) = (some_of(graphs), part.trim_end_matches(".onnx"));
            OpenError(format!(
                "`{}` holds {all}, but no {part} graph, which MeanVC needs; put it there and try again",
                folder.display()
            ))
        };
        there(part).map(|name| folder.join(name)).ok_or_else(lacks)
    };
    let (encoder, speaker) = (needed(ENCODER)?, needed(SPEAKER)?);
    let session = Session::load(&encoder, &SessionOptions::default())?;
    let sizes = session.inputs().iter().filter_map(|input| input.dtype().tensor_shape());
    let window = sizes.filter(|shape| shape.len() == 3).find_map(|shape| shape.get(1).copied());
    drop(session);
    let Some(model) = window.and_then(|frames| Model::of_window(usize::try_from(frames).ok()?)) else {
        return Err(OpenError(format!(
            "the encoder `{}` hears {window:?} frames at a time where MeanVC 2 hears 11 or 19 and MeanVC 23; choose \
             the graphs of one of them",
            encoder.display()
        )));
    };
    let (family, told, memory) = match model {
        Model::One200 => ("meanvc", "MeanVC, chunks of 200 ms".to_owned(), None),
        _ => ("meanvc2", format!("MeanVC 2, chunks of {} ms", model.chunk() * 10), Some(needed(MEMORY)?)),
    };
    let (weights, flow, vocoder) = (TRIAL.to_owned(), needed(FLOW)?, needed(VOCODER)?);
    let opened = Files { model, weights, encoder, memory, flow, vocoder, steps: Steps::default() };
    let voice = trial::anybody(Some(Box::new(SpeakerEncoder::open(&speaker, model, TRIAL)?)))?;
    trial::converter(&mut MeanVc::open(&opened, &voice, &SessionOptions::default())?)?;
    let eight: Vec<&str> = found
        .iter()
        .filter_map(|(_, file)| file.map(String::as_str))
        .filter(|n| precision::smaller(n).is_some())
        .collect();
    let (timing, milliseconds) = (meanvc::timing(model), meanvc::RATE as usize / 1000);
    let (hop, delay) = (timing.hop / milliseconds, timing.delay / milliseconds);
    let small = if eight.is_empty() {
        String::new()
    } else {
        format!("; {} have a smaller precision, and no full one is there", eight.join(", "))
    };
    let files = found.into_iter().filter_map(|(part, file)| file.map(|name| (part, folder.join(name)))).collect();
    Ok(Some(Identified {
        rate: Some(meanvc::RATE),
        hop: Some(model.samples()),
        note: Some(format!("in all modes a hop of {hop} ms, and {delay} ms of look-ahead and overlap{small}")),
        ..Identified::plain(Kind::Voice, family, told, files)?
    }))
}
