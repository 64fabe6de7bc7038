//! `mynah soak`: a long run over a recording, in real time or as fast as the machine can, each minute or so judged by
//! the same figures.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use mynah::audio;
use mynah::dsp::resample::resample_all;
use mynah::engine::measure::HOST_RATE;
use mynah::engine::soak::{Plan, Report, Round, soak};
use mynah::engine::usage::steal_clause;
use mynah::engine::{PackSource, find_voice};
use mynah::packs::{Kind, Store};

use super::convert::ModeName;
use super::terminal::{Failure, Outcome, say, say_json, stop_gently};

/// What `soak` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Hours of sound
    #[arg(long, default_value_t = 1.0, value_name = "H")]
    hours: f64,
    /// As fast as the machine can, as a host renders; else in real time
    #[arg(long)]
    simulated: bool,
    /// Delay against quality
    #[arg(long, value_enum, default_value_t = ModeName::Live)]
    mode: ModeName,
    /// Threads that keep processors busy meanwhile
    #[arg(long, default_value_t = 0, value_name = "N")]
    busy: usize,
    /// Without captions
    #[arg(long)]
    no_captions: bool,
    /// A recording of speech that is played over and over; without it one of the pack `recordings`
    #[arg(long, value_name = "FILE", value_parser = super::given::path())]
    recording: Option<PathBuf>,
    /// Whose voice it becomes: a recording or an enrolled voice; without it one of the pack `recordings`
    #[arg(long, value_name = "REF.wav|NAME")]
    voice: Option<String>,
    /// As JSON, when all is done
    #[arg(long)]
    json: bool,
}

/// The recordings of the pack that are speech and reference where none are given.
const SPEECH: &str = "two_cities.wav";
const REFERENCE: &str = "beckett.wav";
/// Rate that the judge of likeness hears, in Hz.
const JUDGE_RATE: u32 = 16_000;

/// Runs it.
pub fn run(a: &Arguments) -> Outcome {
    if !(a.hours.is_finite() && a.hours > 0.0) {
        return Err(Failure::Usage("--hours takes a number above 0; give 1 for an hour of sound".to_owned()));
    }
    let own = |given: Option<PathBuf>, name: &str| match given {
        Some(path) => Ok(path),
        None => Ok::<_, Failure>(Store::standard().find(Kind::Recordings, None)?.file(name)?),
    };
    let speech = audio::read(&own(a.recording.clone(), SPEECH)?)?;
    let voice = match &a.voice {
        Some(voice) => find_voice(voice)?,
        None => find_voice(&own(None, REFERENCE)?.to_string_lossy())?,
    };
    let source = Arc::new(PackSource::standard());
    let mut enroller = source.enroller()?;
    let mut judge = |sound: &[f32]| {
        let embedding = enroller.embed(&resample_all(sound, HOST_RATE, JUDGE_RATE)).ok()?;
        Some(embedding.iter().zip(&voice.embedding).map(|(a, b)| a * b).sum())
    };
    let plan = Plan {
        mode: a.mode.into(),
        voice: voice.clone(),
        speech: resample_all(&speech.mono(), speech.rate, HOST_RATE),
        seconds: a.hours * 3600.0,
        realtime: !a.simulated,
        captions: !a.no_captions,
        busy: a.busy,
    };
    let stop = stop_gently();
    let mut told = Ok(());
    if !a.json {
        say(" sound, s   took  hops  late  worst load  delay, ms  likeness  memory, MiB  captions behind, s")?;
    }
    let report = soak(source, &plan, &mut judge, &mut |round| {
        if !a.json && told.is_ok() {
            told = say(&line(round));
        }
        told.is_ok() && !stop.load(std::sync::atomic::Ordering::Relaxed)
    })?;
    told?;
    if a.json {
        say_json(&report)?;
    } else {
        say(&summary(&report))?;
    }
    match &report.broken[..] {
        [] => Ok(()),
        broken => Err(Failure::Other(format!("it did not hold: {}", broken.join("; ")))),
    }
}

fn line(r: &Round) -> String {
    let memory = r.memory.map_or("–".to_owned(), |kib| format!("{:.1}", kib as f64 / 1024.0));
    let likeness = r.likeness.map_or("–".to_owned(), |x| format!("{x:.3}"));
    format!(
        "{:9.0} {:6.1} {:5} {:5} {:11.2} {:10} {:>9} {:>12} {:19.1}",
        r.until, r.took, r.hops, r.late_hops, r.worst_load, r.delay, likeness, memory, r.captions_behind
    )
}

fn summary(r: &Report) -> String {
    let (hops, late) = r.rounds.iter().fold((0, 0), |(h, l), r| (h + r.hops, l + r.late_hops));
    let (until, took) = (r.rounds.last().map_or(0.0, |r| r.until), r.rounds.iter().map(|r| r.took).sum::<f64>());
    let growth = r.growth.map_or(String::new(), |g| format!(", memory grew by {:.2} MiB an hour of sound", g / 1024.0));
    format!(
        "{:.2} h of sound in {:.2} h: {late} of {hops} hops late{growth}{}",
        until / 3600.0,
        took / 3600.0,
        steal_clause(r.stolen)
    )
}
