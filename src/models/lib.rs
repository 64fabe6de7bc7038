//! Models on this machine: packs and where they lie, the one ONNX Runtime of the process, and where speech is.
//!
//! `packs` finds, checks, fetches and builds; `runtime` opens sessions with checked contracts; `vad` is the one model
//! that both voices and captions ask; `exit` keeps a host's `exit` waiting until nobody is inside a model. Knows
//! neither voices nor captions. Nothing here may run on the audio thread.

pub mod exit;
pub mod packs;
pub mod runtime;
pub mod vad;
