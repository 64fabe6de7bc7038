//! Which packs somebody picked for one track, and what there is to pick from. Knows no threads and no plugin.

use serde::{Deserialize, Serialize};

use mynah_models::packs::Kind;
use mynah_models::packs::listed::{forbids_commerce, licence_in_words};
use mynah_realtime::clock::ConverterTiming;

/// What is picked of the packs. What isn't is as this machine's own choice has it (`mynah models use`), or else Mynah's
/// own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Picks {
    /// The id of the pack that voices are made with.
    pub voice: Option<String>,
    /// The id of the pack that captions are made with.
    pub captions: Option<String>,
    /// The code of the language that is spoken, such as `de`; none to hear it, where the recogniser knows several.
    pub language: Option<String>,
}

impl Picks {
    /// The id of the pack that was picked of a kind.
    pub fn pack(&self, kind: Kind) -> Option<&str> {
        match kind {
            Kind::Voice => self.voice.as_deref(),
            Kind::Captions => self.captions.as_deref(),
            _ => None,
        }
    }
}

/// A pack of this machine that can be picked.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Its name.
    pub id: String,
    /// What it is for: voice or captions.
    pub kind: Kind,
    /// A line for a person.
    pub title: String,
    /// The licence of its weights.
    pub licence: String,
    /// Whether it is taken where nothing is picked.
    pub standard: bool,
    /// Of a pack of voices: the timing of each mode in the order of modes, and the seconds kept for computing a hop
    /// here.
    pub timings: Option<[(ConverterTiming, f64); 3]>,
}

impl Offer {
    /// Whether what is made with it may earn no money.
    pub fn forbids_commerce(&self) -> bool {
        forbids_commerce(&self.licence)
    }

    /// Its licence in words.
    pub fn licence_line(&self) -> String {
        licence_in_words(&self.licence)
    }
}
