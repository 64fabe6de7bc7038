//! Mynah: the voice on a track becomes another voice, and is captioned, live, with one exact latency.
//!
//! The map of the crate; `docs/architecture.md` has the picture. Imports run downward:
//! `plugin`, `editor`, the binaries → `engine` → `voice`, `captions` → `vad` → `runtime`, `packs`, `audio` → `dsp`, `clock`.
//! `bridge` stands beside `engine` and knows neither voice nor captions.

pub mod audio;
pub mod bridge;
pub mod captions;
pub mod clock;
pub mod dsp;
pub mod editor;
pub mod engine;
pub mod packs;
pub mod plugin;
pub mod runtime;
pub mod vad;
pub mod voice;

nice_plug::nice_export_clap!(plugin::Mynah);
nice_plug::nice_export_vst3!(plugin::Mynah);
