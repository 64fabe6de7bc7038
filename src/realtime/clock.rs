//! Rates, modes, and the one function that adds up the latency.
//!
//! Every position in Mynah is a count of samples since the last reset, at a stated rate. Hops are cut on these
//! positions and never on block borders. This room knows nothing of threads, models or files.

use mynah_dsp::resample::half_width;
use serde::{Deserialize, Serialize};

/// How much delay is traded for quality. One latency belongs to each; it stays until the user picks another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The smallest delay.
    #[default]
    Live,
    /// A middle way.
    Balanced,
    /// The best sound; for playback with latency compensation.
    Studio,
}

impl Mode {
    /// All modes, smallest delay first.
    pub const ALL: [Mode; 3] = [Mode::Live, Mode::Balanced, Mode::Studio];

    /// The name used on the command line and in `pack.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Live => "live",
            Mode::Balanced => "balanced",
            Mode::Studio => "studio",
        }
    }
}

/// What a converter tells about its time: all counts are samples at `rate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConverterTiming {
    /// The model's rate in Hz.
    pub rate: u32,
    /// Samples a call takes and gives.
    pub hop: usize,
    /// How far a call's output lies behind its input: look-ahead, windows and overlap, without the hop itself.
    pub delay: usize,
}

/// All that the latency depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// The host's rate in Hz, 8,000 to 768,000.
    pub host_rate: u32,
    /// The largest block that the host may send.
    pub max_block: usize,
    /// The converter's own time.
    pub converter: ConverterTiming,
    /// Time kept for computing a hop, in seconds.
    pub slack: f64,
}

/// The latency and its parts, in samples at the host's rate. The parts sum to `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// Reach of the kernel from the host's rate to the model's.
    pub resample_in: usize,
    /// One hop: input waits until it is full.
    pub hop: usize,
    /// The converter's look-ahead, windows and overlap.
    pub look_ahead: usize,
    /// Reach of the kernel back to the host's rate.
    pub resample_out: usize,
    /// The host's largest block: its last output sample leaves together with its first input sample.
    pub block: usize,
    /// Time kept for computing.
    pub slack: usize,
    /// The sum: what the host is told.
    pub total: usize,
}

/// Share of a block's own duration that is kept for computing the hops that complete inside it.
const BLOCK_COMPUTE_SHARE: f64 = 0.5;

/// The one place where the latency is added up.
///
/// An output sample at position `p` needs the converter's output up to `p·rate/host_rate + half_out`, which is there
/// once the hop that holds that position plus `delay` has run, which needs the input up to that hop's end plus
/// `half_in`. The host asks for a whole block before any of it has been seen, and the worker needs time: `block` and
/// `slack`.
pub fn latency(t: &Timing) -> Latency {
    let c = t.converter;
    let to_host = |samples: usize| (samples as u64 * t.host_rate as u64).div_ceil(c.rate as u64) as usize;
    let resample_in = half_width(t.host_rate, c.rate) + 1;
    let hop = to_host(c.hop);
    let look_ahead = to_host(c.delay);
    let resample_out = to_host(half_width(c.rate, t.host_rate));
    let block = t.max_block;
    let slack = (t.slack * t.host_rate as f64 + t.max_block as f64 * BLOCK_COMPUTE_SHARE).ceil() as usize;
    Latency {
        resample_in,
        hop,
        look_ahead,
        resample_out,
        block,
        slack,
        total: resample_in + hop + look_ahead + resample_out + block + slack,
    }
}
