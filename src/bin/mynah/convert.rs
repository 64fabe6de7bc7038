//! `mynah convert`: a recording into another voice.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;

use mynah::audio::{self, Sound};
use mynah::captions::cues::{Style, cues};
use mynah::captions::formats::{self, Format};
use mynah::clock::Mode;
use mynah::dsp::bleep::bleep;
use mynah::engine::offline::{self, Converted, Job};
use mynah::engine::{PackSource, find_voice};
use mynah::runtime::Provider;
use mynah::voice::{Controls, PitchMode};

use super::outputs::{Outputs, commit, make};
use super::terminal::{Failure, Outcome, say, say_json, sound_bar};

/// What `convert` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The recording: wav, flac, mp3, ogg or m4a
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The target voice: a reference recording of 3 s or more, or the name of an enrolled voice
    #[arg(long, value_name = "REF|NAME")]
    voice: String,
    /// The wav file to write: length, rate and channels of the recording
    #[arg(short, long, value_name = "OUT.wav")]
    output: PathBuf,
    /// Write the words too: .srt, .vtt, .ttml, .json or .txt
    #[arg(long, value_name = "OUT.srt")]
    captions: Option<PathBuf>,
    /// Delay against quality, as in the plugin
    #[arg(long, value_enum, default_value_t = ModeName::Live)]
    mode: ModeName,
    /// The pitch: moved to the target's, by the median of the whole recording (auto) or as the plugin finds it while it listens (live); or shifted by so many
    /// semitones
    #[arg(long, value_parser = pitch, default_value = "auto", value_name = "auto|live|SEMITONES", allow_hyphen_values = true)]
    pitch: Pitch,
    /// Silence what is softer than this, in dBFS; without it nothing is silenced
    #[arg(long, value_parser = gate, value_name = "DBFS", allow_hyphen_values = true)]
    gate: Option<f32>,
    /// Samples a block, as a host would send them; the result does not depend on it
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16384), default_value_t = 512, value_name = "N")]
    block: u32,
    /// What computes the voice
    #[arg(long, default_value_t = Provider::Cpu, value_name = "cpu|cuda|…|remote=URL")]
    provider: Provider,
    /// How captions are cut
    #[arg(long, value_enum, default_value_t = super::caption::StyleName::Netflix)]
    style: super::caption::StyleName,
    #[command(flatten)]
    wording: super::caption::WordingArguments,
    /// Print what came of it as JSON
    #[arg(long)]
    json: bool,
}

/// What came of it, for `--json`. Times in seconds.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    recording: &'a Path,
    written: &'a Path,
    seconds: f64,
    /// Without loading.
    took: f64,
    loading: f64,
    mode: &'static str,
    provider: String,
    /// What a host would be told, and what was taken out here: samples at the recording's rate.
    latency_samples: usize,
    latency: f64,
    captions: Option<&'a Path>,
    /// None where no captions were asked for.
    words: Option<usize>,
    /// One sentence where something is not what was asked for.
    note: Option<&'a str>,
}

/// The modes by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// The smallest delay
    Live,
    /// A middle way
    Balanced,
    /// The best sound
    Studio,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Live => Mode::Live,
            ModeName::Balanced => Mode::Balanced,
            ModeName::Studio => Mode::Studio,
        }
    }
}

/// How the pitch is moved.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Pitch {
    /// By what the whole recording says.
    Measured,
    /// By this alone.
    Told(PitchMode),
}

impl Pitch {
    fn of(self, sound: &Sound) -> PitchMode {
        match self {
            Self::Told(mode) => mode,
            Self::Measured => match offline::median_pitch(sound) {
                Some(median) => PitchMode::Known(median),
                None => PitchMode::Auto,
            },
        }
    }
}

fn pitch(text: &str) -> Result<Pitch, String> {
    match (text, text.parse::<f32>()) {
        ("auto", _) => Ok(Pitch::Measured),
        ("live", _) => Ok(Pitch::Told(PitchMode::Auto)),
        (_, Ok(s)) if s.abs() <= 24.0 => Ok(Pitch::Told(PitchMode::Semitones(s))),
        _ => Err("give auto, live, or semitones from -24 to 24".to_owned()),
    }
}

fn gate(text: &str) -> Result<f32, String> {
    text.parse::<f32>().ok().filter(|d| (-120.0..=0.0).contains(d)).ok_or_else(|| "give dBFS from -120 to 0".to_owned())
}

/// Runs it.
pub fn run(a: &Arguments) -> Outcome {
    if !a.output.extension().is_some_and(|e| e.eq_ignore_ascii_case("wav")) {
        return Err(Failure::Usage(format!("`{}` does not end in .wav; the converted sound is written as wav", a.output.display())));
    }
    let format = a.captions.as_deref().map(super::caption::format_of).transpose()?;
    let mut outputs = Outputs::default();
    let output = outputs.promise(&a.output)?;
    let captions = a.captions.as_deref().map(|p| outputs.promise(p)).transpose()?;
    let wording = a.wording.wording()?;
    let sound = audio::read(&a.input)?;
    let voice = find_voice(&a.voice)?;
    let job = Job {
        mode: a.mode.into(),
        provider: a.provider,
        controls: Controls { pitch: a.pitch.of(&sound), gate_dbfs: a.gate.unwrap_or(f32::NEG_INFINITY) },
        block: a.block as usize,
        captions: captions.is_some() || a.wording.bleeps(),
    };
    let bar = sound_bar("converting", sound.seconds());
    let mut converted =
        offline::convert(&sound, &voice, &job, Arc::new(PackSource::standard()), &mut |s| bar.set_position((s * 100.0) as u64))?;
    bar.finish_and_clear();
    let worded = wording.apply(&converted.words);
    converted.words = worded.words;
    if a.wording.bleeps() {
        bleep(&mut converted.sound.channels, converted.sound.rate, &worded.masked);
    }
    commit(|| {
        let mut made = vec![make(&output, |p| Ok(audio::write_wav(p, &converted.sound)?))?];
        if let (Some(path), Some(format)) = (&captions, format) {
            made.push(make(path, |p| write_captions(p, format, &converted, &a.style.into()))?);
        }
        Ok(made)
    })?;
    if a.json {
        return say_json(&summary(a, &sound, &converted));
    }
    if let Some(note) = &converted.note {
        eprintln!("mynah: {note}");
    }
    report(a, &sound, &converted)
}

fn write_captions(path: &Path, format: Format, converted: &Converted, style: &Style) -> Outcome {
    Ok(formats::write(path, format, &converted.words, &cues(&converted.words, style))?)
}

fn summary<'a>(a: &'a Arguments, sound: &Sound, c: &'a Converted) -> Summary<'a> {
    Summary {
        recording: &a.input,
        written: &a.output,
        seconds: sound.seconds(),
        took: c.took,
        loading: c.loading,
        mode: Mode::from(a.mode).name(),
        provider: c.provider.to_string(),
        latency_samples: c.latency.total,
        latency: c.latency.total as f64 / sound.rate as f64,
        captions: a.captions.as_deref(),
        words: a.captions.as_ref().map(|_| c.words.len()),
        note: c.note.as_deref(),
    }
}

fn report(a: &Arguments, sound: &Sound, c: &Converted) -> Outcome {
    let (seconds, rate) = (sound.seconds(), sound.rate as f64);
    say(&format!(
        "{}: {seconds:.2} s in {:.2} s ({:.2}× real time, {:.2} s of loading apart), {} on {}, latency of {:.1} ms ({} samples) taken out",
        a.output.display(),
        c.took,
        seconds / c.took.max(1e-9),
        c.loading,
        Mode::from(a.mode).name(),
        c.provider,
        c.latency.total as f64 / rate * 1e3,
        c.latency.total,
    ))?;
    if let Some(path) = &a.captions {
        say(&format!("{}: {} words", path.display(), c.words.len()))?;
    }
    Ok(())
}
