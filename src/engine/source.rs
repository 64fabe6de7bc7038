//! Where converters and captioners come from: the packs, or a test.

use std::sync::Arc;

use super::picks::{Offer, Picks};
use mynah_models::runtime::{Placement, Provider};
use mynah_realtime::clock::{ConverterTiming, Mode};
use mynah_recognition::RecognizeError;
use mynah_recognition::stream::{Event, Settings};
use mynah_voice::{Converter, TargetVoice};

/// Why a voice or a recogniser can't be had: one sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

/// A converter that is loaded and warm.
pub struct Opened {
    /// The converter.
    pub converter: Box<dyn Converter>,
    /// What computes it.
    pub provider: Provider,
    /// One sentence where that is not what was asked for.
    pub note: Option<String>,
}

/// Turns sound into words as it comes; driven by the caption worker. 16 kHz mono.
pub trait Captioner: Send {
    /// The next sample stands at this time on the timeline, in seconds.
    fn at(&mut self, seconds: f64, events: &mut Vec<Event>) -> Result<(), RecognizeError>;
    /// Takes samples that follow the last ones. `behind` is the sound in seconds that waits after these.
    fn push(&mut self, samples: &[f32], behind: f64, events: &mut Vec<Event>) -> Result<(), RecognizeError>;
    /// The stretch of sound is over: what was said becomes final.
    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), RecognizeError>;
    /// The codes of the languages that can be told; none where the model hears its own alone.
    fn languages(&self) -> Vec<&str> {
        Vec::new()
    }
    /// The code of the language that was told or, so far, heard; none where that isn't known.
    fn spoken(&self) -> Option<&str> {
        None
    }
    /// The second up to which all words have been told: what comes later starts behind it. None where that isn't known
    /// before the end.
    fn settled(&self) -> Option<f64> {
        None
    }
}

/// Makes converters and captioners. Called on the engine's threads, never on the audio thread.
pub trait Source: Send + Sync {
    /// The timing of a mode; quick, since it must be known before any model is loaded.
    fn timing(&self, mode: Mode) -> Result<ConverterTiming, OpenError>;
    /// Seconds kept for computing a hop in a mode on a provider; quick. Of a provider that has to be measured,
    /// something usual until it was.
    fn slack(&self, mode: Mode, provider: Provider) -> f64;
    /// Finds out what `slack` has to know of a provider that can only be known by asking it: a server. Takes up to some
    /// seconds.
    fn measure(&self, _mode: Mode, _provider: Provider) -> Result<(), OpenError> {
        Ok(())
    }
    /// Loads and warms up a converter. Takes up to seconds.
    fn open(&self, mode: Mode, voice: &TargetVoice, provider: Provider) -> Result<Opened, OpenError>;
    /// Where the nodes of a mode's graph run when a provider is asked for; none where the voice has no graph of its own
    /// to look at. Takes up to seconds.
    fn placement(&self, _mode: Mode, _provider: Provider) -> Result<Option<Placement>, OpenError> {
        Ok(None)
    }
    /// Loads a captioner. Takes up to seconds.
    fn captioner(&self, settings: &Settings) -> Result<Box<dyn Captioner>, OpenError>;
    /// The same source with other packs picked; none where there is nothing to pick.
    fn picked(&self, _picks: &Picks) -> Option<Arc<dyn Source>> {
        None
    }
    /// The packs that can be picked, with what they cost on a provider. Reads the disk.
    fn offers(&self, _provider: Provider) -> Result<Vec<Offer>, OpenError> {
        Ok(Vec::new())
    }
}
