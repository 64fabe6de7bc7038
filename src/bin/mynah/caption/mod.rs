//! `mynah caption`: the words of recordings.

mod live;
mod options;
mod record;
mod wording;

pub use options::{Arguments, StyleName};
pub use wording::WordingArguments;

use std::path::{Path, PathBuf};

use serde::Serialize;

use mynah::audio::{self, Sound};
use mynah::captions::cues::{Spoken, Style, Violation, lint, spoken_cues, told};
use mynah::captions::formats::{self, Format, FrameRate, Programme};
use mynah::captions::stream::{Event, Settings};
use mynah::captions::wording::{Worded, Wording};
use mynah::captions::{Word, stream::Policy};
use mynah::dsp::bleep::bleep;
use mynah::engine::offline::{self, Pace, Told};
use mynah::engine::{PackSource, Source};
use mynah::names::did_you_mean;

use crate::outputs::{Outputs, commit, make};
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
    error: Option<String>,
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
    style: Style,
    wording: Wording,
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
    let mut outputs = Outputs::default();
    let mut jobs = Vec::new();
    for recording in &a.inputs {
        let target = match (a.target(recording), &a.merge) {
            (Some(path), None) => Some((a.format_of(&path)?, outputs.promise(&path)?)),
            _ => None,
        };
        jobs.push(Job { recording, target });
    }
    let merged = a.merge.as_ref().map(|path| Ok::<_, Failure>((a.format_of(path)?, outputs.promise(path)?))).transpose()?;
    let sound = a.sound.as_ref().map(|path| outputs.promise(path)).transpose()?;
    let run = Run::new(a)?;
    match merged {
        Some((format, path)) => run.merge(&jobs, format, &path),
        None => run.each(&jobs, sound.as_deref()),
    }
}

impl Run<'_> {
    fn new(a: &Arguments) -> Result<Run<'_>, Failure> {
        let (policy, pace): (Policy, Pace) = a.live.manner()?;
        let wording = a.wording.wording()?;
        let (hint, hot) = wording.glossary.as_ref().map(|g| (g.prompt(), g.spellings())).unwrap_or_default();
        let packs = if a.inputs.len() > 1 { record::packs() } else { Vec::new() };
        let settings = Settings { policy, hint, hot, language: a.language() };
        Ok(Run { a, style: a.style.into(), wording, settings, pace, source: PackSource::standard(), packs })
    }

    /// Each recording to its own file. What fails doesn't stop the others.
    fn each(&self, jobs: &[Job], sound: Option<&Path>) -> Outcome {
        let mut done = Vec::new();
        for (k, job) in jobs.iter().enumerate() {
            let written = job.target.as_ref().map(|(_, path)| path.as_path());
            let mut one = Done { recording: job.recording, written, kept: false, words: 0, violations: Vec::new(), error: None };
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
        let record = if of > 1 { Record::now(job.recording, &self.options(job), &self.packs) } else { None };
        if let (Some(record), Some((_, path))) = (&record, &job.target)
            && !self.a.force
            && record.holds(path)
        {
            done.kept = true;
            return self.report(&format!("{}: done before", path.display()));
        }
        let mut sound = audio::read(job.recording)?;
        let (Heard { worded, language }, lines) = self.hear(job.recording, &sound, &place(k, of), job.target.is_some())?;
        done.words = worded.words.len();
        let spoken = [Spoken { speaker: self.a.speaker_of(job.recording), words: worded.words }];
        let Some((format, path)) = &job.target else { return printed(lines) };
        let (text, violations) = self.cut(*format, &spoken, &language, path)?;
        commit(|| {
            let mut made = vec![make(path, |p| Ok(formats::write_rendered(p, &text)?))?];
            if let Some(out) = sound_out {
                bleep(&mut sound.channels, sound.rate, &worded.masked);
                made.push(make(out, |p| Ok(audio::write_wav(p, &sound)?))?);
            }
            Ok(made)
        })?;
        if let Some(record) = record {
            record.keep(path);
        }
        done.violations = violations;
        printed(lines)?;
        self.report(&format!("{}: {} words", path.display(), done.words))
    }

    /// All recordings in one file, each a speaker.
    fn merge(&self, jobs: &[Job], format: Format, path: &Path) -> Outcome {
        let (mut spoken, mut languages, mut all_lines) = (Vec::new(), Vec::new(), Ok(()));
        for (k, job) in jobs.iter().enumerate() {
            let sound = audio::read(job.recording)?;
            let (Heard { worded: Worded { words, .. }, language }, lines) =
                self.hear(job.recording, &sound, &place(k, jobs.len()), true)?;
            all_lines = all_lines.and(lines);
            languages.push(language);
            let stem = || job.recording.file_stem().map(|s| s.to_string_lossy().into_owned());
            spoken.push(Spoken { speaker: self.a.speaker_of(job.recording).or_else(stem), words });
        }
        // A file has one language; of several it says none.
        languages.dedup();
        let language = if let [one] = &languages[..] { one } else { "" };
        let (text, violations) = self.cut(format, &spoken, language, path)?;
        commit(|| Ok(vec![make(path, |p| Ok(formats::write_rendered(p, &text)?))?]))?;
        printed(all_lines)?;
        let words = spoken.iter().map(|s| s.words.len()).sum();
        if self.a.json {
            let whole = Done { recording: path, written: Some(path), kept: false, words, violations, error: None };
            return say_json(&Summary { recordings: &[whole] });
        }
        self.report(&format!("{}: {words} words of {} speakers", path.display(), spoken.len()))
    }

    /// The file's text and the norms that its cues break, which are told; with `--strict` they are an error.
    fn cut(&self, format: Format, spoken: &[Spoken], language: &str, path: &Path) -> Result<(String, Vec<Violation>), Failure> {
        let cues = spoken_cues(spoken, &self.style);
        let shown: Vec<_> = cues.iter().map(|c| c.shown()).collect();
        let words = if let [one] = spoken { Some(one.words.as_slice()) } else { None };
        let violations = lint(&shown, words, &self.style);
        if let Some(what) = told(&violations, &self.style) {
            if self.a.strict {
                return Err(Failure::Other(format!("`{}` was not written, since {what}", path.display())));
            }
            eprintln!("mynah: {}: {what}", path.display());
        }
        let programme = Programme { spoken, cues: &cues, frame_rate: FrameRate::default(), language };
        Ok((formats::render_programme(format, &programme), violations))
    }

    /// All that decides what is written, in words.
    fn options(&self, job: &Job) -> String {
        let speaker = self.a.speaker_of(job.recording);
        let format = job.target.as_ref().map(|(format, _)| format);
        format!("{:?} {:?} {:?} {speaker:?} {:?} {:?} {:?}", format, self.style, self.a.strict, self.wording, self.settings, self.pace)
    }

    fn report(&self, line: &str) -> Outcome {
        if self.a.jsonl || self.a.json { Ok(()) } else { say(line) }
    }

    /// The words, and what came of printing them. Where a file is still `to_write`, a stdout that is full or gone must not cost it.
    fn hear(&self, recording: &Path, sound: &Sound, place: &str, to_write: bool) -> Result<(Heard, std::io::Result<()>), Failure> {
        let bar = sound_bar(&format!("captioning {}{place}", recording.display()), sound.seconds());
        let mut lines = Ok(());
        let source: &dyn Source = &self.source;
        let heard = offline::caption(sound, source, &self.settings, self.pace, &mut |Told { heard, clock }, events| {
            bar.set_position((heard * 100.0) as u64);
            for event in events.iter().filter(|_| self.a.jsonl) {
                let (kind, words) = match event {
                    Event::Partial(words) => ("partial", words),
                    Event::Final(words) => ("final", words),
                };
                if lines.is_ok() {
                    let line = serde_json::to_string(&Line { kind, file: recording, heard, clock, words });
                    lines = line.map_err(std::io::Error::other).and_then(|l| print(&format!("{l}\n")));
                }
                if !to_write && lines.as_ref().is_err_and(is_gone) {
                    // Nobody listens, and nothing is left to do.
                    leave(0);
                }
            }
        })?;
        bar.finish_and_clear();
        Ok((Heard { worded: self.wording.apply(&heard.words), language: heard.language.unwrap_or_default() }, lines))
    }
}

/// What was said in a recording.
struct Heard {
    worded: Worded,
    /// Its code; empty where it isn't known.
    language: String,
}

/// Which one of several.
fn place(k: usize, of: usize) -> String {
    if of > 1 { format!(" ({} of {of})", k + 1) } else { String::new() }
}
