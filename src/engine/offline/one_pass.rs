//! A test: a file is one pass of the transcript, so that no word of it takes another one's place.

use super::{Pace, caption};
use crate::testing::IdentitySource;
use crate::{Captioner, OpenError, Opened, Source};
use mynah_audio::Sound;
use mynah_models::runtime::Provider;
use mynah_realtime::clock::{ConverterTiming, Mode};
use mynah_recognition::stream::{Event, Settings};
use mynah_recognition::{RecognizeError, Word};
use mynah_voice::TargetVoice;

/// Tells words as recognisers do whose tokens share a frame: no length, and far apart.
struct Telling;

impl Captioner for Telling {
    fn at(&mut self, _: f64, _: &mut Vec<Event>) -> Result<(), RecognizeError> {
        Ok(())
    }

    fn push(&mut self, _: &[f32], _: f64, _: &mut Vec<Event>) -> Result<(), RecognizeError> {
        Ok(())
    }

    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        for (text, start) in
            [("to", 0.16), ("be", 0.16), ("or", 0.16), ("not", 0.24), ("that", 0.24), ("is", 9.2), ("it", 9.2)]
        {
            events.push(Event::Final(vec![Word { text: text.to_owned(), start, end: start, confidence: 1.0 }]));
        }
        Ok(())
    }
}

impl Source for Telling {
    fn timing(&self, mode: Mode) -> Result<ConverterTiming, OpenError> {
        IdentitySource::default().timing(mode)
    }

    fn slack(&self, mode: Mode, provider: Provider) -> f64 {
        IdentitySource::default().slack(mode, provider)
    }

    fn open(&self, mode: Mode, voice: &TargetVoice, provider: Provider) -> Result<Opened, OpenError> {
        IdentitySource::default().open(mode, voice, provider)
    }

    fn captioner(&self, _: &Settings) -> Result<Box<dyn Captioner>, OpenError> {
        Ok(Box::new(Telling))
    }
}

#[test]
fn words_that_share_a_frame_are_all_kept() {
    let sound = Sound { rate: 16000, channels: vec![vec![0.0; 160_000]] };
    let heard = caption(&sound, &Telling, &Settings::default(), Pace::Whole, &mut |_, _| ()).expect("words");
    let text: Vec<&str> = heard.words.iter().map(|w| w.text.as_str()).collect();
    assert_eq!(text, ["to", "be", "or", "not", "that", "is", "it"]);
}
