//! Of several precisions of a recogniser the one that serves better on this machine: what each hears of a phrase, and
//! how long it takes. Knows no file but those of the models that it is given.

use std::time::Instant;

use super::{Identified, open_whole};
use crate::audition::phrase;
use crate::source::OpenError;
use mynah_models::runtime::SessionOptions;
use mynah_recognition::Recognizer;
use mynah_recognition::online::OnlineRecognizer;
use mynah_recognition::whisper::{Layout, Whisper};

/// Share of tokens or words that a smaller precision may hear otherwise.
const OTHERWISE: f64 = 0.1;
/// It must take less than this share of the full one's time: else nothing is gained.
const QUICKER: f64 = 0.95;
/// The phrase is heard so often, and the least time counts, unless that has taken so many seconds already: what is slow
/// is timed well enough at once.
const TURNS: usize = 3;
const ENOUGH: f64 = 2.0;
/// Samples that a streaming recogniser hears at a time: 0.1 s.
const BLOCK: usize = 1_600;

/// What a recogniser heard, and the seconds that it took.
struct Trial {
    /// Tokens by their numbers, where it hears a stream, or the words of a buffer.
    said: Vec<String>,
    /// What these are called.
    unit: &'static str,
    seconds: f64,
}

/// A smaller precision beside the full one.
struct Compared {
    /// Share of what the full one said that it heard otherwise.
    otherwise: f64,
    /// Share of the full one's time that it took.
    time: f64,
}

impl Compared {
    fn new(full: &Trial, small: &Trial) -> Self {
        let otherwise = strsim::generic_levenshtein::<Vec<_>, Vec<_>, _, _>(&full.said, &small.said) as f64
            / full.said.len().max(1) as f64;
        Self { otherwise, time: small.seconds / full.seconds.max(1e-9) }
    }

    /// Whether it may stand in the full one's place.
    fn serves(&self) -> bool {
        self.otherwise <= OTHERWISE && self.time < QUICKER
    }
}

/// The one to take, with what was measured in its note; each of the smaller ones comes with the word for its precision,
/// or why it can't be opened, which the note tells too. Where the full one fails at the phrase or hears nothing in it,
/// nothing can be compared and it is taken.
pub(super) fn better(full: Identified, smaller: Vec<(&str, Result<Identified, OpenError>)>) -> Identified {
    if smaller.is_empty() {
        return full;
    }
    let mut heard = match trial(&full) {
        Ok(heard) if !heard.said.is_empty() => heard,
        other => {
            let nothing = |_| "it hears nothing in a phrase of English".to_owned();
            let why = other.map_or_else(|e| format!("it fails at a phrase of English ({e})"), nothing);
            return with_note(full, &format!("{why}, so its precisions can't be compared: the full one is taken"));
        }
    };
    let alone = smaller.len() == 1;
    let tried: Vec<_> = smaller
        .into_iter()
        .map(|(precision, small)| (precision, small.and_then(|small| Ok((trial(&small)?, small)))))
        .collect();
    if tried.iter().any(|(_, tried)| tried.as_ref().is_ok_and(|(again, _)| Compared::new(&heard, again).serves())) {
        // Whoever is first finds a machine that is colder, or busier: the full one is heard once more before it is
        // given up.
        heard.seconds = trial(&full).map_or(heard.seconds, |again| again.seconds.min(heard.seconds));
    }
    let (mut told, mut taken, mut which, mut least) = (Vec::new(), full, "the full one".to_owned(), f64::MAX);
    for (precision, tried) in tried {
        let name = if alone { "the smaller precision".to_owned() } else { format!("the precision {precision}") };
        let (again, small) = match tried {
            Ok(heard) => heard,
            Err(e) => {
                told.push(format!("{name} can't be used ({e})"));
                continue;
            }
        };
        let compared = Compared::new(&heard, &again);
        let Compared { otherwise, time } = compared;
        told.push(format!(
            "in {name} {:.0} % of a phrase's {} differ, in {time:.2} of the time",
            otherwise.min(1.0) * 100.0,
            heard.unit
        ));
        if compared.serves() && time < least {
            (taken, which, least) =
                (small, if alone { "the smaller one".to_owned() } else { precision.to_owned() }, time);
        }
    }
    with_note(taken, &format!("{}: {which} is taken", told.join("; ")))
}

/// A model with something more to know of it.
fn with_note(model: Identified, more: &str) -> Identified {
    let note = model.note.as_ref().map_or_else(|| more.to_owned(), |note| format!("{note}; {more}"));
    Identified { note: Some(note), ..model }
}

/// Hears the phrase.
fn trial(model: &Identified) -> Result<Trial, OpenError> {
    if let Some(recognizer) = model.open_online() {
        let mut recognizer = recognizer?;
        return timed("tokens", |samples| tokens(&mut *recognizer, samples));
    }
    let file = |name: &str| model.file(name);
    let mut recognizer: Box<dyn Recognizer> = match (open_whole(model.family, file), Layout::of_family(model.family)) {
        (Some(moonshine), _) => moonshine?,
        (None, Some(layout)) => Box::new(Whisper::open_as(layout, &file, &SessionOptions::default())?),
        (None, None) => return Err(OpenError(format!("{} is no family of recognisers", model.family))),
    };
    timed("words", |samples| Ok(recognizer.transcribe(samples, "")?.into_iter().map(|word| word.text).collect()))
}

/// Hears half of the phrase and then all of it, which counts, in turns. The half warms up; one that reads whole buffers
/// has a guess of it, as it has of a buffer that grows while somebody speaks.
fn timed(
    unit: &'static str,
    mut hear: impl FnMut(&[f32]) -> Result<Vec<String>, OpenError>,
) -> Result<Trial, OpenError> {
    let sound = phrase()?;
    let samples = mynah_dsp::resample::resample_all(&sound.mono(), sound.rate, 16_000);
    let (first, mut trial) = (Instant::now(), Trial { said: Vec::new(), unit, seconds: f64::MAX });
    for _ in 0..TURNS {
        hear(&samples[..samples.len() / 2])?;
        let began = Instant::now();
        trial.said = hear(&samples)?;
        trial.seconds = trial.seconds.min(began.elapsed().as_secs_f64());
        if first.elapsed().as_secs_f64() > ENOUGH {
            break;
        }
    }
    Ok(trial)
}

/// The tokens of a stream that begins and ends.
fn tokens(recognizer: &mut dyn OnlineRecognizer, samples: &[f32]) -> Result<Vec<String>, OpenError> {
    let mut tokens = Vec::new();
    recognizer.reset()?;
    for block in samples.chunks(BLOCK) {
        recognizer.push(block, &mut tokens)?;
    }
    recognizer.finish(&mut tokens)?;
    Ok(tokens.iter().map(|token| token.id.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(said: &str, seconds: f64) -> Trial {
        Trial { said: said.split_whitespace().map(str::to_owned).collect(), unit: "words", seconds }
    }

    #[test]
    fn a_smaller_one_serves_where_it_hears_the_same_in_less_time() {
        let full = trial("a b c d e f g h i j", 2.0);
        for (said, seconds, serves) in [
            ("a b c d e f g h i j", 1.0, true),
            ("a b c d x f g h i j", 1.0, true),
            ("a b c d x f g h i", 1.0, false),
            ("a b c d e f g h i j", 1.95, false),
            ("", 0.1, false),
        ] {
            assert_eq!(Compared::new(&full, &trial(said, seconds)).serves(), serves, "{said}: {seconds}");
        }
    }
}
