//! What windows and diagnostics read of an instance, and what the host has settled on. Knows no thread.

use crate::clock::{ConverterTiming, Mode, Timing, latency};
use crate::engine::{Source, Status};
use crate::runtime::Provider;

/// What the host has settled on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The host's rate in Hz.
    pub rate: u32,
    /// The largest block.
    pub block: usize,
    /// Channels in and out.
    pub channels: usize,
}

/// What windows and diagnostics read, brought up to date fifty times a second.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    /// The engine's status; none before the host has started the sound.
    pub status: Option<Status>,
    /// Meters of input and output, linear, falling.
    pub meters: (f32, f32),
    /// The worst share of a hop's duration in the last seconds.
    pub worst_load: f32,
    /// What the host has settled on.
    pub frame: Option<Frame>,
    /// The latency of each mode in samples at the host's rate and block, in the order of modes, where that is known.
    pub costs: Option<[usize; 3]>,
    /// One sentence on what this instance can't do.
    pub problem: Option<String>,
}

/// The latency in samples that a host of this frame is told of a converter for whose hops so many seconds are kept.
pub fn cost(frame: Frame, converter: ConverterTiming, slack: f64) -> usize {
    latency(&Timing { host_rate: frame.rate, max_block: frame.block, converter, slack }).total
}

/// The latency of each mode; see [`Readings::costs`].
pub(super) fn costs(source: &dyn Source, frame: Frame, provider: Provider) -> Option<[usize; 3]> {
    let of = |mode| Some(cost(frame, source.timing(mode).ok()?, source.slack(mode, provider)));
    let [live, balanced, studio] = Mode::ALL.map(of);
    Some([live?, balanced?, studio?])
}
