//! Time, and the crossing between the audio thread and the workers: the only place where both meet. Knows neither voice
//! nor captions.
//!
//! `clock` has rates, modes and the one function that adds up the latency.
//!
//! `AudioSide` lives on the audio thread: it never allocates, locks, logs or makes a system call there, and never waits
//! in realtime. `WorkerSide` lives in the voice worker, `TapSide` in the caption worker. Positions are host samples
//! since the last reset.
//!
//! The late policy: an output sample whose hop has not come in time is replaced by the dry sound at the same latency,
//! or by silence, faded within 2 ms; the miss is counted, the late result is thrown away, and the timeline stands.
//! Delay never grows.

mod audio_side;
pub mod clock;
mod doorbell;
mod dry;
#[cfg(loom)]
mod loomed;
mod mix;
mod mix_line;
#[cfg(all(test, loom))]
mod models;
mod pacing;
mod port;
mod scope;
mod seam;
mod shared;
mod stream;
mod sync;
mod tap;
mod worker_side;

use std::sync::Arc;

pub use audio_side::{AudioSide, Block, Rendering};
pub use doorbell::Doorbell;
pub use mix::{LateSound, Mix, WithoutEngine};
pub use port::{AudioPort, PortEntry, port};
pub use scope::{ScopePull, ScopeSide};
pub use shared::{Counters, Shared, WorkerState};
pub use tap::{TapPull, TapSide};
pub use worker_side::{Pull, WorkerSide};

use crate::clock::{Latency, Timing, latency};

/// Seconds of sound that the rings hold beyond the latency.
const SPARE_SECONDS: usize = 2;
/// Seconds of sound that the caption worker may lag behind before sound is skipped.
const TAP_SECONDS: usize = 12;
const MARKS: usize = 1024;

/// What the audio thread tells the voice worker between samples.
#[derive(Debug, Clone, Copy, PartialEq)]
enum InputMark<C> {
    /// The next sample stands at this position and nothing before it counts.
    Restart { epoch: u64, position: u64 },
    /// From the next sample on these controls hold.
    Controls(C),
}

/// What the voice worker tells the audio thread: where the next sample stands.
#[derive(Debug, Clone, Copy, PartialEq)]
struct OutputMark {
    epoch: u64,
    position: u64,
}

/// Both ends of a crossing, and the latency that it keeps. Allocates: not for the audio thread.
///
/// `C` is what the user may change while sound runs; the crossing only carries it.
pub fn crossing<C: Copy + PartialEq + Send>(timing: &Timing, channels: usize) -> Crossing<C> {
    let latency = latency(timing);
    let room = latency.total + 4 * timing.max_block + SPARE_SECONDS * timing.host_rate as usize;
    let (input, worker_input) = stream::stream(room, MARKS);
    let (worker_output, output) = stream::stream(room, MARKS);
    let (tap, tap_side) =
        tap::tap(timing.host_rate, latency.total, TAP_SECONDS * timing.host_rate as usize + 4 * timing.max_block);
    let (scope, scope_side) = scope::scope(timing.host_rate, timing.max_block.max(1));
    let shared = Arc::new(Shared::default());
    Crossing {
        latency,
        audio: AudioSide::new(*timing, latency, channels, input, output, (tap, scope), shared.clone()),
        worker: WorkerSide::new(worker_input, worker_output, shared.clone()),
        tap: tap_side,
        scope: scope_side,
        shared,
    }
}

/// What `crossing` makes.
pub struct Crossing<C> {
    /// What the host is told.
    pub latency: Latency,
    /// For the audio thread.
    pub audio: AudioSide<C>,
    /// For the voice worker.
    pub worker: WorkerSide<C>,
    /// For the caption worker.
    pub tap: TapSide,
    /// For a window, if one looks.
    pub scope: ScopeSide,
    /// For whoever watches.
    pub shared: Arc<Shared>,
}
