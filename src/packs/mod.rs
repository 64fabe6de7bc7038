//! packs.

pub mod build;
