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
pub mod exit;
mod files;
#[doc(hidden)]
pub mod fuzzing;
pub mod journal;
pub mod names;
pub mod packs;
pub mod plugin;
pub mod runtime;
pub mod typed;
pub mod vad;
pub mod voice;

pub use plugin::clap_entry;

/// In debug builds an allocation on the audio thread ends the process: the tests would see it. Release builds have the ordinary allocator.
#[cfg(debug_assertions)]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
