//! `mynah caption`: the words of recordings.

mod again;
mod live;
mod options;
mod record;
mod wording;
mod writing;

pub use options::{Arguments, StyleName, check_frames};
pub use record::{Guard, keep_unlisted};
pub use wording::WordingArguments;
pub use writing::Writing;

use std::path::{Path, PathBuf};

use serde::Serialize;

use mynah::audio::{AudioError, Depth, Format as FileFormat, Note, Shape, Writer};
use mynah::dsp::bleep::Bleep;
use mynah::engine::offline::{self, Course, Kept, Pace};
use mynah::engine::{PackSource, Source};
use mynah::names::did_you_mean;
use mynah::recognition::stream::Policy;
use mynah::recognition::stream::{Event, Settings};
use mynah::subtitles::Word;
use mynah::subtitles::cues::{Spoken, Violation};
use mynah::subtitles::formats::{self, Format};
use mynah::subtitles::wording::Worded;
use mynah::typed::title;

use crate::outputs::{Outputs, commit, make};
use crate::recording::{Recording, Told};
use crate::terminal::{Failure, Outcome, is_gone, leave, print, printed, say, say_json, sound_bar};
use record::Record;

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

/// What came of a run, for `--json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    recordings: &'a [Done<'a>],
}

/// What came of a recording.
#[derive(Debug, Serialize)]
struct Done<'a> {
    recording: &'a Path,
    written: Option<&'a Path>,
    /// It was done before, from the same recording with the same options.
    kept: bool,
    words: usize,
    violations: Vec<Violation>,
    /// What must be said of how the recording was read.
    notes: Vec<Told>,
    error: Option<String>,
}

impl<'a> Done<'a> {
    fn of(recording: &'a Path, written: Option<&'a Path>) -> Self {
        Self { recording, written, kept: false, words: 0, violations: Vec::new(), notes: Vec::new(), error: None }
    }
}

/// The format that a file's name asks for.
pub fn format_of(path: &Path) -> Result<Format, Failure> {
    Format::from_path(path).map_err(|e| {
        let ending = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        Failure::Usage(format!("{e}{}", did_you_mean(&Format::ALL.map(Format::extension), &ending)))
    })
}

/// What is the same for all recordings of a run.
struct Run<'a> {
    a: &'a Arguments,
    writing: Writing,
    settings: Settings,
    pace: Pace,
    source: PackSource,
    packs: Vec<String>,
}

/// A recording and where its captions go.
struct Job<'a> {
    recording: &'a Path,
    target: Option<(Format, PathBuf)>,
}

/// Runs it.
pub fn run(a: &Arguments) -> Outcome {
    a.check()?;
    if again::asked_for(&a.inputs)? {
        return again::run(a);
    }
    let mut outputs = Outputs::default();
    let mut jobs = Vec::new();
    for recording in &a.inputs {
        let target = match (a.target(recording), &a.merge) {
            (Some(path), None) => Some((a.format_of(&path)?, outputs.promise_from(&path, recording)?)),
            _ => None,
        };
        jobs.push(Job { recording, target });
    }
    let merged =
        a.merge.as_ref().map(|path| Ok::<_, Failure>((a.format_of(path)?, outputs.promise(path)?))).transpose()?;
    let sound = a.sound.as_ref().map(|path| outputs.promise(path)).transpose()?;
    a.check_frames(jobs.iter().filter_map(|job| job.target.as_ref()).chain(&merged).map(|(format, _)| *format))?;
    let run = Run::new(a)?;
    match merged {
        Some((format, path)) => run.merge(&jobs, format, &path),
        None => run.each(&jobs, sound.as_deref()),
    }
}

impl Run<'_> {
    fn new(a: &Arguments) -> Result<Run<'_>, Failure> {
        let (policy, pace): (Policy, Pace) = a.live.manner()?;
        let writing = a.writing()?;
        let settings = writing.settings(policy, a.language());
        Ok(Run { a, writing, settings, pace, source: PackSource::standard(), packs: record::packs() })
    }

    /// Each recording to its own file. What fails doesn't stop the others.
    fn each(&self, jobs: &[Job], sound: Option<&Path>) -> Outcome {
        let mut done = Vec::new();
        for (k, job) in jobs.iter().enumerate() {
            let written = job.target.as_ref().map(|(_, path)| path.as_path());
            let mut one = Done::of(job.recording, written);
            if let Err(Failure::Other(why) | Failure::Usage(why)) = self.one(k, jobs.len(), job, sound, &mut one) {
                if jobs.len() == 1 {
                    return Err(Failure::Other(why));
                }
                eprintln!("mynah: {why}");
                one.error = Some(why);
            }
            done.push(one);
        }
        if self.a.json {
            say_json(&Summary { recordings: &done })?;
        }
        let failed = done.iter().filter(|d| d.error.is_some()).count();
        if failed > 0 {
            return Err(Failure::Other(format!(
                "{failed} of {} recordings could not be captioned; what was wrong stands above",
                jobs.len()
            )));
        }
        Ok(())
    }

    fn one(&self, k: usize, of: usize, job: &Job, sound_out: Option<&Path>, done: &mut Done) -> Outcome {
        let record = Record::now(job.recording, &self.options(job), &self.packs);
        if let (Some(record), Some((_, path))) = (&record, &job.target)
            && !self.a.force
            && of > 1
        {
            let edited = record.is_edited(path);
            done.kept = edited || record.holds(path);
            if done.kept {
                let why = if edited { "kept as it was changed; --force makes it anew" } else { "done before" };
                return self.report(&format!("{}: {why}", path.display()));
            }
        }
        let guard = job.target.as_ref().map(|(_, path)| Guard::watch(path, self.a.force, "-o")).transpose()?;
        let recording = Recording::open(job.recording, &self.a.recording, &self.source)?;
        let half = record
            .as_ref()
            .zip(job.target.as_ref().map(|(_, path)| path.as_path()))
            .filter(|_| self.pace == Pace::Whole && !self.a.jsonl);
        let (Heard { worded, language, notes, frames, seconds }, lines) =
            self.hear(job.recording, &recording, &place(k, of), job.target.is_some(), half)?;
        done.notes = recording.tell(&notes, self.a.strict)?;
        done.words = worded.words.len();
        let spoken = [Spoken { speaker: self.a.speaker_of(job.recording), words: worded.words }];
        let (Some((format, path)), Some(guard)) = (&job.target, guard) else { return printed(lines) };
        let (text, violations) = self.writing.cut(*format, &spoken, &language, Some(seconds), path)?;
        let path = &guard.place();
        commit(|| {
            let mut made = vec![make(path, |p| Ok(formats::write_rendered(p, &text)?))?];
            if let Some(out) = sound_out {
                made.push(make(out, |p| bleeped(p, &recording, &worded.masked, frames))?);
            }
            Ok(made)
        })?;
        if let Some(record) = &record {
            record.keep(path);
        }
        if let Some((_, path)) = half {
            Record::forget_half(path);
        }
        done.violations = violations;
        printed(lines)?;
        self.report(&format!("{}: {} words", path.display(), done.words))
    }

    /// All recordings in one file, each a speaker.
    fn merge(&self, jobs: &[Job], format: Format, path: &Path) -> Outcome {
        let guard = Guard::watch(path, self.a.force, "--merge")?;
        let (mut spoken, mut languages, mut all_lines, mut all_notes, mut end) =
            (Vec::new(), Vec::new(), Ok(()), Vec::new(), 0.0f64);
        for (k, job) in jobs.iter().enumerate() {
            let recording = Recording::open(job.recording, &self.a.recording, &self.source)?;
            let (Heard { worded: Worded { words, .. }, language, notes, seconds, .. }, lines) =
                self.hear(job.recording, &recording, &place(k, jobs.len()), true, None)?;
            end = end.max(seconds);
            all_notes.extend(recording.tell(&notes, self.a.strict)?);
            all_lines = all_lines.and(lines);
            languages.push(language);
            let name = || title(job.recording);
            spoken.push(Spoken { speaker: Some(self.a.speaker_of(job.recording).unwrap_or_else(name)), words });
        }
        // A file has one language; of several it says none.
        languages.dedup();
        let language = if let [one] = &languages[..] { one } else { "" };
        let (text, violations) = self.writing.cut(format, &spoken, language, Some(end), path)?;
        let path = &guard.place();
        commit(|| Ok(vec![make(path, |p| Ok(formats::write_rendered(p, &text)?))?]))?;
        keep_unlisted(path);
        printed(all_lines)?;
        let words = spoken.iter().map(|s| s.words.len()).sum();
        if self.a.json {
            let done = Done { words, violations, notes: all_notes, ..Done::of(path, Some(path)) };
            return say_json(&Summary { recordings: &[done] });
        }
        self.report(&format!("{}: {words} words of {} speakers", path.display(), spoken.len()))
    }

    /// All that decides what is written, in words.
    fn options(&self, job: &Job) -> String {
        let speaker = self.a.speaker_of(job.recording);
        let format = job.target.as_ref().map(|(format, _)| format);
        format!(
            "{format:?} {speaker:?} {:?} {:?} {:?} {:?}",
            self.writing, self.settings, self.pace, self.a.recording.track
        )
    }

    fn report(&self, line: &str) -> Outcome {
        if self.a.jsonl || self.a.json { Ok(()) } else { say(line) }
    }

    /// The words, and what came of printing them. Where a file is still `to_write`, a stdout that is full or gone must
    /// not cost it. A long recording of which `half` was heard before goes on there.
    fn hear(
        &self,
        path: &Path,
        recording: &Recording,
        place: &str,
        to_write: bool,
        half: Option<(&Record, &Path)>,
    ) -> Result<(Heard, std::io::Result<()>), Failure> {
        let mut reader = recording.reader()?;
        let rate = f64::from(reader.rate());
        let bar = sound_bar(&format!("captioning {}{place}", path.display()), reader.promised_seconds().unwrap_or(0.0));
        let mut lines = Ok(());
        let source: &dyn Source = &self.source;
        let mut event = |offline::Told { heard, clock }: offline::Told, events: &[Event]| {
            bar.set_position((heard * 100.0) as u64);
            for event in events.iter().filter(|_| self.a.jsonl) {
                let (kind, words) = match event {
                    Event::Partial(words) => ("partial", words),
                    Event::Final(words) => ("final", words),
                };
                if lines.is_ok() {
                    let line = serde_json::to_string(&Line { kind, file: path, heard, clock, words });
                    lines = line.map_err(std::io::Error::other).and_then(|l| print(&format!("{l}\n")));
                }
                if !to_write && lines.as_ref().is_err_and(is_gone) {
                    // Nobody listens, and nothing is left to do.
                    leave(0);
                }
            }
        };
        let from = half.filter(|_| !self.a.force).and_then(|(record, written)| record.half(written));
        if let Some(from) = &from {
            eprintln!(
                "mynah: {}: goes on at {:.0} s, where it was stopped; --force begins anew",
                path.display(),
                from.seconds
            );
        }
        let mut keep = |kept: Kept| half.iter().for_each(|(record, written)| record.keep_half(written, kept.clone()));
        let course = Course { from, event: &mut event, keep: &mut keep };
        let heard = offline::caption_blocks(&mut reader, source, &self.settings, self.pace, course)?;
        bar.finish_and_clear();
        let notes = reader.notes().iter().cloned().chain(heard.note).collect();
        let frames = (heard.seconds * rate).round() as u64;
        let language = heard.language.unwrap_or_default();
        let worded = self.writing.worded(&heard.words, &language, path);
        Ok((Heard { worded, language, notes, frames, seconds: heard.seconds }, lines))
    }
}

/// What was said in a recording.
struct Heard {
    worded: Worded,
    /// Its code; empty where it isn't known.
    language: String,
    /// Of how it was read.
    notes: Vec<Note>,
    /// Samples a channel.
    frames: u64,
    /// How long the sound is.
    seconds: f64,
}

/// The recording with tones, as wav.
fn bleeped(path: &Path, recording: &Recording, masked: &[(f64, f64)], frames: u64) -> Outcome {
    let mut reader = recording.reader()?;
    let bleep = Bleep::new(reader.rate(), frames as usize, masked);
    let shape = Shape { rate: reader.rate(), channels: reader.channels() };
    let written = |e: std::io::Error| AudioError::written(path, &e);
    let mut writer =
        Writer::new(std::fs::File::create(path)?, shape, FileFormat::Wav(Depth::Float32)).map_err(written)?;
    while let Some(mut block) = reader.next_block()? {
        bleep.apply(&mut block, writer.frames() as usize);
        let slices: Vec<&[f32]> = block.iter().map(Vec::as_slice).collect();
        writer.write(&slices).map_err(written)?;
    }
    writer.finish().map_err(written)?;
    Ok(())
}

/// Which one of several.
fn place(k: usize, of: usize) -> String {
    if of > 1 { format!(" ({} of {of})", k + 1) } else { String::new() }
}
