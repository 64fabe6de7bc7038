//! `mynah caption`: the words of recordings.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use mynah::audio;
use mynah::captions::Word;
use mynah::captions::cues::{Style, cues};
use mynah::captions::formats::{self, Format};
use mynah::captions::stream::{Event, Settings};
use mynah::engine::offline::Told;
use mynah::engine::{PackSource, Source, offline};

use super::live::LiveArguments;
use super::outputs::{Outputs, commit, make};
use super::terminal::{Failure, Outcome, say, sound_bar};

/// What `caption` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The recordings: wav, flac, mp3, ogg or m4a
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// The file to write: .srt, .vtt, .ttml, .json or .txt; without it an .srt beside each recording
    #[arg(short, long, value_name = "OUT.srt")]
    output: Option<PathBuf>,
    /// How captions are cut
    #[arg(long, value_enum, default_value_t = StyleName::Netflix)]
    style: StyleName,
    /// Print partial and final words as they come, one JSON object a line; files are written only with -o
    #[arg(long)]
    jsonl: bool,
    #[command(flatten)]
    live: LiveArguments,
}

/// The styles by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StyleName {
    /// 42 characters, two lines
    Netflix,
    /// 37 characters, two lines
    Bbc,
    /// 32 characters, for CEA-608 decoders
    Cea608,
    /// Short cues as early as they can be
    Live,
}

impl From<StyleName> for Style {
    fn from(name: StyleName) -> Self {
        match name {
            StyleName::Netflix => Style::netflix(),
            StyleName::Bbc => Style::bbc(),
            StyleName::Cea608 => Style::cea608(),
            StyleName::Live => Style::live(),
        }
    }
}

/// A line of `--jsonl`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// `partial` or `final`.
    kind: &'static str,
    /// The recording.
    file: &'a Path,
    /// Seconds of sound heard when the words came.
    heard: f64,
    /// Seconds since the sound began to be spoken; more than `heard` where the recogniser took its time.
    clock: f64,
    /// The words; partial ones replace the former partial ones.
    words: &'a [Word],
}

/// The format that a file's name asks for.
pub fn format_of(path: &Path) -> Result<Format, Failure> {
    Format::from_path(path).map_err(|e| Failure::Usage(e.to_string()))
}

/// Runs it.
pub fn run(a: &Arguments) -> Outcome {
    if a.output.is_some() && a.inputs.len() > 1 {
        return Err(Failure::Usage(
            "-o names one file, but several recordings were given; leave it out to write one beside each".to_owned(),
        ));
    }
    let mut outputs = Outputs::default();
    let mut jobs = Vec::new();
    for input in &a.inputs {
        let path = match &a.output {
            Some(path) => Some(path.clone()),
            None if a.jsonl => None,
            None => Some(input.with_extension("srt")),
        };
        let target = path.map(|p| Ok::<_, Failure>((format_of(&p)?, outputs.promise(&p)?))).transpose()?;
        jobs.push((input, target));
    }
    let source = PackSource::standard();
    for (input, target) in jobs {
        let words = recognise(a, input, &source)?;
        let Some((format, path)) = target else { continue };
        commit(|| Ok(vec![make(&path, |p| Ok(formats::write(p, format, &words, &cues(&words, &a.style.into()))?))?]))?;
        if !a.jsonl {
            say(&format!("{}: {} words", path.display(), words.len()))?;
        }
    }
    Ok(())
}

fn recognise(a: &Arguments, input: &Path, source: &dyn Source) -> Result<Vec<Word>, Failure> {
    let sound = audio::read(input)?;
    let bar = sound_bar(&format!("captioning {}", input.display()), sound.seconds());
    let (policy, pace) = a.live.manner()?;
    let settings = Settings { policy, ..Settings::default() };
    let mut printed = Ok(());
    let words = offline::caption(&sound, source, &settings, pace, &mut |Told { heard, clock }, events| {
        bar.set_position((heard * 100.0) as u64);
        for event in events.iter().filter(|_| a.jsonl) {
            let (kind, words) = match event {
                Event::Partial(words) => ("partial", words),
                Event::Final(words) => ("final", words),
            };
            let line = serde_json::to_string(&Line { kind, file: input, heard, clock, words });
            printed = std::mem::replace(&mut printed, Ok(())).and(line.map_err(Failure::from).and_then(|l| say(&l)));
        }
    })?;
    bar.finish_and_clear();
    printed.map(|()| words)
}
