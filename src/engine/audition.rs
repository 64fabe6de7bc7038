//! A built-in phrase in another voice, as quickly as the processor makes it: through the converter alone, without an
//! engine. Knows no threads and no window.

use std::path::Path;

use super::{HopLoop, OpenError, Source};
use mynah_audio::{self, AudioError, Sound};
use mynah_dsp::resample::resample_all;
use mynah_models::runtime::Provider;
use mynah_realtime::clock::{Mode, Timing};
use mynah_voice::{Controls, TargetVoice};

/// "Good evening, and welcome. This is how I would sound if I were reading to you." Made by `models/recipes/phrase`.
const PHRASE: &[u8] = include_bytes!("phrase/phrase.flac");

/// The phrase as it was spoken: mono.
pub fn phrase() -> Result<Sound, AudioError> {
    mynah_audio::Reader::from_bytes(PHRASE, Path::new("phrase.flac")).and_then(Sound::of)
}

/// The modes sound alike (models/mynah-voice/EVALUATION.md), and this one has the longest hops, so it is the quickest.
const MODE: Mode = Mode::Studio;

/// A mono sound in another voice, at a rate in Hz and as long as it was, converted on the processor. None where `stop`
/// said so on the way.
pub fn convert_clip(
    sound: &Sound,
    source: &dyn Source,
    voice: &TargetVoice,
    controls: &Controls,
    rate: u32,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Vec<f32>>, OpenError> {
    let failed = |e: &dyn std::fmt::Display| OpenError(format!("the voice could not be auditioned: {e}"));
    let opened = source.open(MODE, voice, Provider::Cpu)?;
    let converter = opened.converter.timing();
    let timing = Timing { host_rate: converter.rate, max_block: super::hops::PULL, converter, slack: 0.0 };
    let mut hops = HopLoop::new(opened.converter, &timing);
    let mut samples = resample_all(&sound.mono(), sound.rate, converter.rate);
    let length = samples.len();
    samples.resize(length + converter.delay + 2 * converter.hop, 0.0);
    let mut converted = Vec::with_capacity(samples.len());
    for chunk in samples.chunks(super::hops::PULL) {
        hops.push(chunk);
        while let Some((_, piece)) = hops.step(controls).map_err(|e| failed(&e))? {
            converted.extend_from_slice(piece);
            if stop() {
                return Ok(None);
            }
        }
    }
    converted.resize(length, 0.0);
    Ok(Some(resample_all(&converted, converter.rate, rate)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PackSource;
    use crate::testing::{IdentitySource, any_voice};
    use mynah_dsp::level::peak;
    use std::time::Instant;

    #[test]
    fn the_phrase_comes_back_where_it_was_and_can_be_stopped() {
        let phrase = phrase().expect("it is built in");
        assert!((3.0..6.0).contains(&phrase.seconds()) && (0.4..0.6).contains(&peak(&phrase.mono())));
        let about = &Controls::default();
        let convert = |stop: &dyn Fn() -> bool| {
            convert_clip(&phrase, &IdentitySource::default(), &any_voice("a"), about, phrase.rate, stop)
                .expect("the identity converts")
        };
        let (heard, said) = (convert(&|| false).expect("all of it"), phrase.mono());
        let worst = heard.iter().zip(&said).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
        assert!(heard.len() == said.len() && worst < 1e-6, "{worst}");
        assert_eq!(convert(&|| true), None);
        let source = IdentitySource::default();
        source.faults.errors.store(1, std::sync::atomic::Ordering::Relaxed);
        assert!(convert_clip(&phrase, &source, &any_voice("a"), about, 48000, &|| false).is_err());
    }

    /// What is promised: sound within two seconds of a click.
    #[test]
    fn the_phrase_is_converted_in_less_than_it_lasts() {
        let phrase = phrase().expect("it is built in");
        let (began, source) = (Instant::now(), PackSource::standard());
        let heard = convert_clip(&phrase, &source, &any_voice("a"), &Controls::default(), 48000, &|| false);
        let heard = heard.expect("it converts").expect("all of it");
        let took = began.elapsed().as_secs_f64();
        println!("{:.2} s of sound in {took:.2} s, loading included", heard.len() as f64 / 48000.0);
        assert!(heard.iter().all(|x| x.is_finite()) && peak(&heard) > 0.05);
        assert!(took < phrase.seconds(), "{took}");
    }
}
