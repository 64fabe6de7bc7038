//! `mynah convert`: a recording into another voice.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;

use mynah::audio::{AudioError, Depth, Format as FileFormat, Note, Reader, Shape, Writer};
use mynah::clock::Mode;
use mynah::dsp::bleep::Bleep;
use mynah::engine::offline::{self, Course, Job, Pace, Rendered};
use mynah::engine::{PackSource, find_voice};
use mynah::recognition::AUTO;
use mynah::recognition::stream::{Event, Policy};
use mynah::runtime::Provider;
use mynah::subtitles::cues::Spoken;
use mynah::subtitles::formats::{self, FrameRate};
use mynah::subtitles::wording::Worded;
use mynah::voice::{Controls, PitchMode};

use super::caption::{Guard, Writing, keep_unlisted};
use super::given;
use super::loudness::{self, Levelled, Meter};
use super::outputs::{Making, Outputs, check_room, commit, make};
use super::recording::{Recording, RecordingArguments, Told};
use super::terminal::{Failure, Outcome, say, say_json, sound_bar};

/// What `convert` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The recording: wav, flac, mp3, ogg, m4a, mkv, webm; with FFmpeg installed nearly all others
    #[arg(value_name = "IN", value_parser = given::path())]
    input: PathBuf,
    /// The target voice: a reference recording of 3 s or more, or the name of an enrolled voice
    #[arg(long, value_name = "REF|NAME")]
    voice: String,
    /// The wav or flac file to write: length, rate and channels of the recording
    #[arg(short, long, value_name = "OUT.wav", value_parser = given::path())]
    output: PathBuf,
    #[command(flatten)]
    recording: RecordingArguments,
    /// How samples are stored; flac has no floats, so 24 bits there
    #[arg(long, value_enum, default_value_t = DepthName::Float)]
    depth: DepthName,
    /// Bring the result to a loudness in LUFS (EBU R 128), such as -16 for podcasts, with true peaks below -1 dB
    #[arg(long, value_parser = loudness, value_name = "LUFS", allow_hyphen_values = true)]
    loudness: Option<f64>,
    /// Write nothing where sound of the recording is missing, damaged or estimated; else that is told
    #[arg(long)]
    strict: bool,
    /// Write the words too, as `mynah caption` does: .srt, .vtt, .ttml, .json or .txt
    #[arg(long, value_name = "OUT.srt", value_parser = given::path())]
    captions: Option<PathBuf>,
    /// The frames a second that captions in iTT count [default: 24]
    #[arg(long, requires = "captions", value_name = "23.976|24|25|29.97|29.97df|30|50|59.94|60")]
    frame_rate: Option<FrameRate>,
    /// Replace captions that were changed since Mynah wrote them, or that it didn't write
    #[arg(long, requires = "captions")]
    force: bool,
    /// The language that is spoken, for captions: its code, such as `de`; `auto` hears it, where the model knows
    /// several
    #[arg(long, value_name = "CODE", default_value = AUTO)]
    language: String,
    /// How far ahead the voice hears, as in the plugin: a file has no delay, so studio
    #[arg(long, value_enum, default_value_t = ModeName::Studio)]
    mode: ModeName,
    /// The pitch: moved to the target's, by the median of the whole recording (auto) or as the plugin finds it while it
    /// listens (live); or shifted by so many semitones
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
    /// What must be said of how the recording was read.
    notes: &'a [Told],
    /// Samples above full scale that the depth can't hold.
    clipped: u64,
    /// None where no loudness was asked for.
    loudness: Option<Levelled>,
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

/// How samples are stored, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DepthName {
    /// Integers of 16 bits
    #[value(name = "16")]
    Int16,
    /// Integers of 24 bits
    #[value(name = "24")]
    Int24,
    /// Floats of 32 bits
    #[value(name = "32f")]
    Float,
}

impl From<DepthName> for Depth {
    fn from(name: DepthName) -> Self {
        match name {
            DepthName::Int16 => Depth::Int16,
            DepthName::Int24 => Depth::Int24,
            DepthName::Float => Depth::Float32,
        }
    }
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
    fn of(self, recording: &Recording) -> Result<PitchMode, Failure> {
        Ok(match self {
            Self::Told(mode) => mode,
            Self::Measured => match offline::median_pitch_of(&mut recording.reader()?)? {
                Some(median) => PitchMode::Known(median),
                None => PitchMode::Auto,
            },
        })
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

fn loudness(text: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|d| (-70.0..=-5.0).contains(d)).ok_or_else(|| "give LUFS from -70 to -5".to_owned())
}

fn gate(text: &str) -> Result<f32, String> {
    text.parse::<f32>().ok().filter(|d| (-120.0..=0.0).contains(d)).ok_or_else(|| "give dBFS from -120 to 0".to_owned())
}

/// Runs it.
pub fn run(a: &Arguments) -> Outcome {
    let Some(file_format) = FileFormat::of(&a.output, a.depth.into()) else {
        let why = format!(
            "`{}` ends neither in .wav nor in .flac; the converted sound is written as one of these",
            a.output.display()
        );
        return Err(Failure::Usage(why));
    };
    let format = a.captions.as_deref().map(super::caption::format_of).transpose()?;
    super::caption::check_frames(a.frame_rate, format)?;
    let mut outputs = Outputs::default();
    let output = outputs.promise(&a.output)?;
    let captions = a.captions.as_deref().map(|p| outputs.promise(p)).transpose()?;
    let guard = captions.as_deref().map(|path| Guard::watch(path, a.force, "--captions")).transpose()?;
    let wording = a.wording.wording()?;
    let writing =
        Writing { style: a.style.into(), wording, frame_rate: a.frame_rate.unwrap_or_default(), strict: false };
    let source = PackSource::standard();
    let recording = Recording::open(&a.input, &a.recording, &source)?;
    let mut reader = recording.reader()?;
    let shape = Shape { rate: reader.rate(), channels: reader.channels() };
    // What is worked on again afterwards is kept as it is meanwhile.
    let again = a.loudness.is_some() || a.wording.bleeps();
    let bytes = |format: FileFormat| format.bytes(shape, reader.promised_seconds().unwrap_or(0.0));
    let meanwhile = FileFormat::Wav(Depth::Float32);
    check_room(&output, bytes(file_format) + if again { bytes(meanwhile) } else { 0 })?;
    let voice = find_voice(&given::found(PathBuf::from(&a.voice)).to_string_lossy())?;
    // The words are those of the recording, heard as a whole: before the conversion, which takes longer.
    let heard =
        if captions.is_some() || a.wording.bleeps() { Some(words(a, &recording, &writing, &source)?) } else { None };
    let (worded, language, mixed) = heard.unwrap_or_default();
    let job = Job {
        mode: a.mode.into(),
        provider: a.provider,
        controls: Controls { pitch: a.pitch.of(&recording)?, gate_dbfs: a.gate.unwrap_or(f32::NEG_INFINITY) },
        block: a.block as usize,
        captions: false,
    };
    let mut meter = a.loudness.map(|_| Meter::new(shape)).transpose()?;
    let (mut making, file) = Making::begin(&output)?;
    let mut writer = Writer::new(file, shape, if again { meanwhile } else { file_format })?;
    let bar = sound_bar("converting", reader.promised_seconds().unwrap_or(0.0));
    let mut out = |block: &[&[f32]]| {
        meter.iter_mut().for_each(|m| m.hear(block));
        writer.write(block).map_err(|e| AudioError::written(&output, &e))
    };
    let mut progress = |s: f64| bar.set_position((s * 100.0) as u64);
    let mut converted = offline::convert_blocks(&mut reader, &voice, &job, Arc::new(source), &mut out, &mut progress)?;
    bar.finish_and_clear();
    let mut clipped = writer.clipped();
    writer.finish().map_err(|e| AudioError::written(&output, &e))?;
    let read: Vec<Note> = reader.notes().iter().cloned().chain(mixed).collect();
    let notes = recording.tell(&read, a.strict)?;
    if a.wording.bleeps() {
        let last = if meter.is_some() { meanwhile } else { file_format };
        (making, clipped) = bleeped(&making, &output, last, &worded.masked, converted.frames)?;
    }
    let mut levelled = None;
    if let (Some(meter), Some(target)) = (&meter, a.loudness) {
        let (next, file) = Making::begin(&output)?;
        levelled = Some(loudness::level(making.temporary(), file, file_format, meter, target)?);
        making = next;
    }
    converted.words = worded.words;
    let spoken = [Spoken { speaker: None, words: converted.words.clone() }];
    let end = converted.frames as f64 / f64::from(shape.rate);
    let place = guard.map(|g| g.place());
    let text = place
        .as_deref()
        .zip(format)
        .map(|(path, format)| writing.cut(format, &spoken, &language, Some(end), path))
        .transpose()?;
    commit(|| {
        let mut made = vec![making.done()];
        if let (Some(path), Some((text, _))) = (&place, &text) {
            made.push(make(path, |p| Ok(formats::write_rendered(p, text)?))?);
        }
        Ok(made)
    })?;
    place.iter().for_each(|path| keep_unlisted(path));
    let done = Finished { a, shape, converted: &converted, notes: &notes, clipped, levelled };
    if a.json { say_json(&done.summary()) } else { done.report() }
}

/// The file once more, with tones.
fn bleeped(
    from: &Making,
    output: &Path,
    format: FileFormat,
    masked: &[(f64, f64)],
    frames: u64,
) -> Result<(Making, u64), Failure> {
    let mut reader = Reader::open(from.temporary())?;
    let bleep = Bleep::new(reader.rate(), frames as usize, masked);
    let (making, file) = Making::begin(output)?;
    let mut writer = Writer::new(file, Shape { rate: reader.rate(), channels: reader.channels() }, format)?;
    while let Some(mut block) = reader.next_block()? {
        bleep.apply(&mut block, writer.frames() as usize);
        let slices: Vec<&[f32]> = block.iter().map(Vec::as_slice).collect();
        writer.write(&slices).map_err(|e| AudioError::written(output, &e))?;
    }
    let clipped = writer.clipped();
    writer.finish().map_err(|e| AudioError::written(output, &e))?;
    Ok((making, clipped))
}

/// The words of the recording, their language, and what must be said of its channels: as `mynah caption` hears and
/// writes them.
fn words(
    a: &Arguments,
    recording: &Recording,
    writing: &Writing,
    source: &PackSource,
) -> Result<(Worded, String, Option<Note>), Failure> {
    let mut reader = recording.reader()?;
    let bar = sound_bar("captioning", reader.promised_seconds().unwrap_or(0.0));
    let settings = writing.settings(Policy::whole(), Some(a.language.clone()).filter(|code| code != AUTO));
    let mut event = |told: offline::Told, _: &[Event]| bar.set_position((told.heard * 100.0) as u64);
    let course = Course { from: None, event: &mut event, keep: &mut |_| () };
    let heard = offline::caption_blocks(&mut reader, source, &settings, Pace::Whole, course)?;
    bar.finish_and_clear();
    let language = heard.language.unwrap_or_default();
    Ok((writing.worded(&heard.words, &language, &a.input), language, heard.note))
}

/// What is told at the end.
struct Finished<'a> {
    a: &'a Arguments,
    shape: Shape,
    converted: &'a Rendered,
    notes: &'a [Told],
    clipped: u64,
    levelled: Option<Levelled>,
}

impl Finished<'_> {
    fn seconds(&self) -> f64 {
        self.converted.frames as f64 / f64::from(self.shape.rate)
    }

    fn summary(&self) -> Summary<'_> {
        let (a, c) = (self.a, self.converted);
        Summary {
            recording: &a.input,
            written: &a.output,
            seconds: self.seconds(),
            took: c.took,
            loading: c.loading,
            mode: Mode::from(a.mode).name(),
            provider: c.provider.to_string(),
            latency_samples: c.latency.total,
            latency: c.latency.total as f64 / f64::from(self.shape.rate),
            captions: a.captions.as_deref(),
            words: a.captions.as_ref().map(|_| c.words.len()),
            note: c.note.as_deref(),
            notes: self.notes,
            clipped: self.clipped,
            loudness: self.levelled,
        }
    }

    fn report(&self) -> Outcome {
        let (a, c, seconds) = (self.a, self.converted, self.seconds());
        if let Some(note) = &c.note {
            eprintln!("mynah: {note}");
        }
        if self.clipped > 0 {
            eprintln!(
                "mynah: {} samples above full scale were held there; write --depth 32f to keep them",
                self.clipped
            );
        }
        say(&format!(
            "{}: {seconds:.2} s in {:.2} s ({:.2}× real time, {:.2} s of loading apart), {} on {}, latency of {:.1} \
             ms ({} samples) taken out",
            a.output.display(),
            c.took,
            seconds / c.took.max(1e-9),
            c.loading,
            Mode::from(a.mode).name(),
            c.provider,
            c.latency.total as f64 / f64::from(self.shape.rate) * 1e3,
            c.latency.total,
        ))?;
        if let Some(l) = &self.levelled {
            say(&format!(
                "loudness: {:.1} LUFS before, {:+.1} dB of gain, limited for {:.2} s",
                l.before, l.gain, l.limited
            ))?;
        }
        if let Some(path) = &a.captions {
            say(&format!("{}: {} words", path.display(), c.words.len()))?;
        }
        Ok(())
    }
}
