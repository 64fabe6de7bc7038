//! A trial of files before they are taken: a second of silence and a second of noise through the whole chain of a
//! model, and what these may leave out. What can't run, or gives what are no numbers, is found here and not while
//! somebody speaks. Knows no file.

use crate::source::OpenError;
use mynah_recognition::online::OnlineRecognizer;
use mynah_recognition::{RecognizeError, Recognizer};
use mynah_voice::{Controls, ConvertError, Converter, HearsTimbre, TargetVoice};

/// Samples a second that recognisers hear.
const RATE: usize = 16_000;
/// Samples that a stream is given at a time: 0.1 s.
const BLOCK: usize = 1_600;
/// Chunks that a stream must have heard: with the second one its caches come from the model itself, with the third from
/// those.
const CHUNKS: usize = 3;
/// The most seconds of noise that it gets for that.
const LONGEST: usize = 240;
/// Numbers of a voice's embedding.
const EMBEDDING: usize = 256;

/// Noise of a peak of 0.1, the same everywhere: 32 bits of a linear congruential generator (Knuth's MMIX).
fn noise() -> impl Iterator<Item = f32> {
    let mut state = 1u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 32) as f32 / u32::MAX as f32 - 0.5) * 0.2
    })
}

/// A second of silence, then one of noise.
fn sound(rate: usize) -> Vec<f32> {
    std::iter::repeat_n(0.0, rate).chain(noise().take(rate)).collect()
}

fn failed(why: &str) -> OpenError {
    OpenError(format!("the files don't make a model that runs: {why}"))
}

fn unheard(e: RecognizeError) -> OpenError {
    match e {
        RecognizeError::Run(why) => failed(&why),
        other => failed(&other.to_string()),
    }
}

fn unsaid(e: ConvertError) -> OpenError {
    match e {
        ConvertError::Run(why) => failed(&why),
        ConvertError::NotFinite => failed("the model gives what is no number (NaN or infinity)"),
        other => failed(&other.to_string()),
    }
}

/// Tries a recogniser that hears a stream. It stands at its beginning afterwards.
pub(super) fn stream(recognizer: &mut dyn OnlineRecognizer) -> Result<(), OpenError> {
    let mut tokens = Vec::new();
    recognizer.reset().map_err(unheard)?;
    let (mut heard, mut chunks) = (0.0, 0);
    let mut take = |recognizer: &mut dyn OnlineRecognizer, block: &[f32]| {
        recognizer.push(block, &mut tokens).map_err(unheard)?;
        chunks += usize::from(recognizer.heard() > heard);
        heard = recognizer.heard();
        Ok::<_, OpenError>(chunks)
    };
    for block in sound(RATE).chunks(BLOCK) {
        take(recognizer, block)?;
    }
    let mut more = noise();
    for _ in 0..LONGEST * RATE / BLOCK {
        if take(recognizer, &more.by_ref().take(BLOCK).collect::<Vec<_>>())? >= CHUNKS {
            break;
        }
    }
    recognizer.finish(&mut tokens).map_err(unheard)?;
    if let Some(token) = tokens.iter().find(|token| !token.probability.is_finite() || !token.time.is_finite()) {
        return Err(failed(&format!("its token {} has no probability or time", token.id)));
    }
    recognizer.reset().map_err(unheard)?;
    recognizer.rehearse().map_err(unheard)?;
    recognizer.reset().map_err(unheard)
}

/// Tries a recogniser that reads whole buffers.
pub(super) fn buffer(recognizer: &mut dyn Recognizer) -> Result<(), OpenError> {
    let words = recognizer.transcribe(&sound(RATE), "").map_err(unheard)?;
    if let Some(word) = words.iter().find(|w| ![w.start, w.end, f64::from(w.confidence)].iter().all(|x| x.is_finite()))
    {
        return Err(failed(&format!("its word `{}` has no time or confidence", word.text)));
    }
    recognizer.rehearse().map_err(unheard)?;
    // What silence and noise sound like is no language.
    recognizer.speak(None).map_err(unheard)
}

/// A voice for a trial, as what hears a pack's timbres hears noise.
pub(super) fn anybody(hears: Option<Box<dyn HearsTimbre>>) -> Result<TargetVoice, OpenError> {
    let mut timbres = Vec::new();
    if let Some(mut hears) = hears {
        let samples: Vec<f32> = noise().take(2 * hears.rate() as usize).collect();
        let heard = hears.timbre(&samples, std::slice::from_ref(&(0..samples.len()))).map_err(unsaid)?;
        timbres.extend(heard);
        if !timbres.iter().all(|t| t.numbers.iter().all(|x| x.is_finite())) {
            return Err(unsaid(ConvertError::NotFinite));
        }
    }
    Ok(TargetVoice { name: "anybody".to_owned(), embedding: vec![1.0 / 16.0; EMBEDDING], median_pitch: 150.0, timbres })
}

/// Tries a converter. It stands at its beginning afterwards.
pub(super) fn converter(converter: &mut dyn Converter) -> Result<(), OpenError> {
    let timing = converter.timing();
    let mut output = vec![0.0; timing.hop];
    for hop in sound(timing.rate as usize).chunks_exact(timing.hop) {
        converter.process(hop, &Controls::default(), &mut output).map_err(unsaid)?;
        if !output.iter().all(|x| x.is_finite()) {
            return Err(unsaid(ConvertError::NotFinite));
        }
    }
    converter.reset(0);
    Ok(())
}
