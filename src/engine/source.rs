//! Where converters come from: the packs, or a test.

use crate::clock::{ConverterTiming, Mode};
use crate::runtime::Provider;
use crate::voice::{Converter, TargetVoice};

/// Why a voice can't be had: one sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

/// Makes converters. Called on the engine's threads, never on the audio thread.
pub trait VoiceSource: Send + Sync {
    /// The timing of a mode; quick, since it must be known before any model is loaded.
    fn timing(&self, mode: Mode) -> Result<ConverterTiming, OpenError>;
    /// Seconds kept for computing a hop in a mode.
    fn slack(&self, mode: Mode) -> f64;
    /// Loads and warms up a converter. Takes up to seconds.
    fn open(&self, mode: Mode, voice: &TargetVoice, provider: Provider) -> Result<Box<dyn Converter>, OpenError>;
}
