//! What threads share: the standard library's atomics and rtrb's rings. Under `cfg(loom)`, which `cargo xtask loom`
//! sets, both are models of the same, whose every interleaving and every stale value that the orderings allow can be
//! played.

#[cfg(loom)]
pub use crate::loomed::*;
#[cfg(not(loom))]
pub use {
    atomic_float::AtomicF32,
    rtrb::{Consumer, Producer, PushError, RingBuffer},
    std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering},
};
