//! Of two precisions of a streaming recogniser the one that serves better on this machine: what each hears of a phrase, and how long it takes. Knows no file
//! but those of the two.

use std::time::Instant;

use super::{Identified, open_online};
use crate::captions::online::{OnlineRecognizer, Token};
use crate::engine::audition::phrase;
use crate::engine::source::OpenError;

/// Share of tokens that the smaller precision may hear otherwise.
const OTHERWISE: f64 = 0.1;
/// It must take less than this share of the other's time: else nothing is gained.
const QUICKER: f64 = 0.95;
/// Samples heard at a time: 0.1 s.
const BLOCK: usize = 1_600;

/// What a recogniser heard, and the seconds that it took.
struct Trial {
    tokens: Vec<usize>,
    seconds: f64,
}

/// The one to take, with what was measured in its note. Where a trial fails it is the full one.
pub(super) fn better(full: Identified, small: Identified) -> Identified {
    let (Ok(a), Ok(b)) = (trial(&full), trial(&small)) else { return full };
    let otherwise = strsim::generic_levenshtein(&a.tokens, &b.tokens) as f64 / a.tokens.len().max(1) as f64;
    let time = b.seconds / a.seconds.max(1e-9);
    let measured = format!("in the smaller precision {:.0} % of a phrase's tokens differ, in {time:.2} of the time", otherwise * 100.0);
    let (taken, which) = if otherwise <= OTHERWISE && time < QUICKER { (small, "smaller") } else { (full, "full") };
    Identified { note: Some(format!("{measured}: the {which} one is taken")), ..taken }
}

/// Hears the phrase twice: the first time warms up.
fn trial(model: &Identified) -> Result<Trial, OpenError> {
    let file = |name: &str| model.files.iter().find(|(part, _)| *part == name).map(|(_, path)| path.clone()).unwrap_or_default();
    let mut recognizer = open_online(model.family, file).ok_or_else(|| OpenError(format!("{} is no streaming family", model.family)))??;
    let sound = phrase()?;
    let samples = crate::dsp::resample::resample_all(&sound.mono(), sound.rate, 16_000);
    hear(&mut *recognizer, &samples)?;
    let began = Instant::now();
    let tokens = hear(&mut *recognizer, &samples)?;
    Ok(Trial { seconds: began.elapsed().as_secs_f64(), tokens: tokens.iter().map(|t| t.id).collect() })
}

fn hear(recognizer: &mut dyn OnlineRecognizer, samples: &[f32]) -> Result<Vec<Token>, OpenError> {
    let mut tokens = Vec::new();
    recognizer.reset()?;
    for block in samples.chunks(BLOCK) {
        recognizer.push(block, &mut tokens)?;
    }
    recognizer.finish(&mut tokens)?;
    Ok(tokens)
}
