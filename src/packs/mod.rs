//! packs.
