//! The workers: loading and swapping voices, the hop loop, provider choice, status. Knows no plugin type.

mod hops;
mod source;
pub mod testing;
mod voice_worker;

pub use source::{OpenError, VoiceSource};
