//! Mynah: the voice on a track becomes another voice, and is captioned, live, with one exact latency.
//!
//! This package is the plugin, its window and the two programs. What they stand on are crates of their own under `src/`;
//! `docs/architecture.md` has the picture. They are named here so that one path leads to each.

pub mod editor;
#[doc(hidden)]
pub mod fuzzing;
pub mod plugin;

pub use mynah_audio as audio;
pub use mynah_dsp as dsp;
pub use mynah_engine as engine;
pub use mynah_files as files;
pub use mynah_files::{names, typed};
pub use mynah_models::{exit, packs, runtime, vad};
pub use mynah_outlets as outlets;
pub use mynah_realtime as realtime;
pub use mynah_realtime::clock;
pub use mynah_recognition as recognition;
pub use mynah_subtitles as subtitles;
pub use mynah_voice as voice;
pub use plugin::clap_entry;

/// In debug builds an allocation on the audio thread ends the process: the tests would see it. Release builds have the
/// ordinary allocator.
#[cfg(debug_assertions)]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
