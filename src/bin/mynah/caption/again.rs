//! `mynah caption` of captions: files of Mynah's words, of SubRip or of WebVTT become any format and style again, and a
//! text that a person corrected gets the times of the words that were heard. Hears no sound.

use std::path::{Path, PathBuf};

use mynah::subtitles::cues::{Spoken, Violation, lint, told};
use mynah::subtitles::formats::{self, Format, ReadBack, is_read_back, read_back};
use mynah::subtitles::language::Language;
use mynah::subtitles::wording::corrected;
use mynah::typed::same_text;

use super::record::{Guard, keep_unlisted};
use super::{Arguments, Done, Summary, Writing};
use crate::outputs::{Outputs, commit, make};
use crate::terminal::{Failure, Outcome, say, say_json};

/// Whether all that was given is captions; an error where some is.
pub fn asked_for(inputs: &[PathBuf]) -> Result<bool, Failure> {
    let captions = inputs.iter().filter(|path| is_read_back(path)).count();
    match captions {
        0 => Ok(false),
        n if n == inputs.len() => Ok(true),
        _ => Err(Failure::Usage("recordings and captions were given together; give them to two calls".to_owned())),
    }
}

/// A file of captions and what becomes of it.
struct Job<'a> {
    from: &'a Path,
    format: Format,
    path: PathBuf,
}

/// Runs it.
pub fn run(a: &Arguments) -> Outcome {
    a.check_again()?;
    let mut outputs = Outputs::default();
    let mut jobs = Vec::new();
    for from in &a.inputs {
        let Some(target) = a.target(from) else { continue };
        if same_text(from, &target) {
            let why = format!(
                "`{}` would be written over itself; name the result with -o, or its format with --format",
                from.display()
            );
            return Err(Failure::Usage(why));
        }
        jobs.push(Job { from, format: a.format_of(&target)?, path: outputs.promise_from(&target, from)? });
    }
    a.check_frames(jobs.iter().map(|job| job.format))?;
    let writing = a.writing()?;
    let mut done = Vec::new();
    for job in &jobs {
        let mut one = Done::of(job.from, Some(&job.path));
        match written(a, &writing, job) {
            Ok((words, violations)) => (one.words, one.violations) = (words, violations),
            Err(failure) if jobs.len() == 1 => return Err(failure),
            Err(Failure::Other(why) | Failure::Usage(why)) => {
                eprintln!("mynah: {why}");
                one.error = Some(why);
            }
        }
        done.push(one);
    }
    if a.json {
        say_json(&Summary { recordings: &done })?;
    } else {
        done.iter().filter(|d| d.error.is_none()).try_for_each(Done::say)?;
    }
    match done.iter().filter(|d| d.error.is_some()).count() {
        0 => Ok(()),
        failed => Err(Failure::Other(format!(
            "{failed} of {} files of captions could not be written again; what was wrong stands above",
            done.len()
        ))),
    }
}

impl Done<'_> {
    fn say(&self) -> Outcome {
        self.written.map_or(Ok(()), |path| say(&format!("{}: {} words", path.display(), self.words)))
    }
}

fn written(a: &Arguments, writing: &Writing, job: &Job) -> Result<(usize, Vec<Violation>), Failure> {
    let guard = Guard::watch(&job.path, a.force, "-o")?;
    let mut read = read_back(job.from)?;
    let mut anew = read.timed_words || a.style.is_some() || a.wording.asks();
    if let Some(words) = &a.words {
        read = with_times(read, read_back(words)?, a.language().as_deref(), words)?;
        anew = true;
    } else if read.timed_words {
        tell_of_cues(&read, job.from);
    }
    let language = a.language().unwrap_or_else(|| read.language.clone());
    if let Some(name) = a.speaker_of(job.from) {
        read.spoken.iter_mut().filter(|s| s.speaker.is_none()).for_each(|s| s.speaker = Some(name.clone()));
        read.cues
            .iter_mut()
            .flat_map(|c| &mut c.speakers)
            .filter(|who| who.is_none())
            .for_each(|who| *who = Some(name.clone()));
    }
    for s in &mut read.spoken {
        s.words = writing.worded(&s.words, &language, job.from).words;
    }
    let words = read.spoken.iter().map(|s| s.words.len()).sum();
    let (text, violations) = if anew {
        writing.cut(job.format, &read.spoken, &language, None, &job.path)?
    } else {
        // The cues stand as they are: nobody asked for other ones.
        let shown: Vec<_> = read.cues.iter().map(|c| c.shown()).collect();
        let violations = if writing.strict { lint(&shown, None, &writing.style) } else { Vec::new() };
        if let Some(what) = told(&violations, &writing.style) {
            return Err(Failure::Other(format!("`{}` was not written, since {what}", job.path.display())));
        }
        (writing.rendered(job.format, &read.spoken, &read.cues, &language), violations)
    };
    let place = guard.place();
    commit(|| Ok(vec![make(&place, |p| Ok(formats::write_rendered(p, &text)?))?]))?;
    keep_unlisted(&place);
    Ok((words, violations))
}

/// The corrected text with the times of the words: each speaker's text on that speaker's words.
fn with_times(text: ReadBack, words: ReadBack, language: Option<&str>, path: &Path) -> Result<ReadBack, Failure> {
    if !words.timed_words {
        let why = format!(
            "`{}` holds no words with times of their own; give the .json that `mynah caption` wrote",
            path.display()
        );
        return Err(Failure::Usage(why));
    }
    let code = language.map_or_else(|| words.language.clone(), str::to_owned);
    let mut spoken = Vec::with_capacity(words.spoken.len());
    for heard in &words.spoken {
        let language = Language::of_words(&code, &heard.words);
        let own = |who: &Option<String>| *who == heard.speaker || words.spoken.len() == 1;
        let lines = text
            .cues
            .iter()
            .flat_map(|c| c.cue.lines.iter().zip(&c.speakers))
            .filter(|(_, who)| own(who))
            .map(|(line, _)| line.as_str());
        let said = language.joined(lines);
        if said.is_empty() && words.spoken.len() > 1 {
            let name = heard.speaker.as_deref().unwrap_or("somebody unnamed");
            let why = format!(
                "`{}` has words of {name}, but the corrected text none; correct a .vtt or .json, which name the \
                 speakers",
                path.display()
            );
            return Err(Failure::Other(why));
        }
        spoken.push(Spoken { speaker: heard.speaker.clone(), words: corrected(&said, &heard.words, &language) });
    }
    let known = |who: &Option<String>| words.spoken.len() == 1 || words.spoken.iter().any(|s| s.speaker == *who);
    if let Some(other) = text.cues.iter().flat_map(|c| &c.speakers).find(|who| !known(who)) {
        let name = other.as_deref().unwrap_or("somebody unnamed");
        return Err(Failure::Other(format!(
            "the corrected text has lines of {name}, whom `{}` doesn't know; name speakers as they stand there",
            path.display()
        )));
    }
    Ok(ReadBack { spoken, cues: Vec::new(), language: words.language, timed_words: true })
}

/// Says that the cues of a file of words are made anew, where they say something else than the words.
fn tell_of_cues(read: &ReadBack, path: &Path) {
    let letters = |texts: &mut dyn Iterator<Item = &str>| -> String {
        texts.flat_map(str::chars).filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let [one] = &read.spoken[..] else { return };
    let words = letters(&mut one.words.iter().map(|w| w.text.as_str()));
    let cues = letters(&mut read.cues.iter().flat_map(|c| &c.cue.lines).map(String::as_str));
    if !cues.is_empty() && words != cues {
        eprintln!(
            "mynah: {}: its cues say something else than its words; the words were taken, and the cues made anew",
            path.display()
        );
    }
}
