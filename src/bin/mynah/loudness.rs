//! A file brought to a loudness: measured while it was written, then written again with one gain and a limiter. Knows
//! no voices.
//!
//! EBU R 128 and ITU-R BS.1770-4, by the crate `ebur128`.

use std::fs::File;
use std::path::Path;

use ebur128::{EbuR128, Mode};
use serde::Serialize;

use mynah::audio::{Format, Reader, Shape, Writer};
use mynah::dsp::true_peak::TruePeakLimiter;

use super::terminal::Failure;

/// Nothing rises above this, between samples either: -1 dB true peak, as R 128 asks.
const CEILING_DB: f64 = -1.0;
/// No gain is larger: a recording of silence is left alone.
const LARGEST_GAIN_DB: f64 = 40.0;

/// Measures what passes.
pub struct Meter(EbuR128);

/// What was done, for `--json`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Levelled {
    /// Before, in LUFS.
    pub before: f64,
    /// The gain in dB.
    pub gain: f64,
    /// Seconds in which the limiter lowered it.
    pub limited: f64,
}

impl Meter {
    /// For sound of a shape.
    pub fn new(shape: Shape) -> Result<Self, Failure> {
        let meter = EbuR128::new(shape.channels as u32, shape.rate, Mode::I);
        meter.map(Self).map_err(|e| {
            Failure::Other(format!(
                "the loudness of {} channels at {} Hz can't be measured: {e}",
                shape.channels, shape.rate
            ))
        })
    }

    /// Hears a block.
    pub fn hear(&mut self, block: &[&[f32]]) {
        // It fails only for another number of channels than it was told.
        let _ = self.0.add_frames_planar_f32(block);
    }

    /// LUFS of all that was heard; `None` of silence.
    pub fn loudness(&self) -> Option<f64> {
        self.0.loudness_global().ok().filter(|l| l.is_finite())
    }
}

/// Writes `from` (wav of floats) to `to` at `target` LUFS.
pub fn level(from: &Path, to: File, format: Format, meter: &Meter, target: f64) -> Result<Levelled, Failure> {
    let mut reader = Reader::open(from)?;
    let shape = Shape { rate: reader.rate(), channels: reader.channels() };
    let before = meter.loudness().unwrap_or(f64::NEG_INFINITY);
    let wanted = target - before;
    let gain = if wanted <= LARGEST_GAIN_DB { wanted } else { 0.0 };
    let (factor, ceiling) = (10f64.powf(gain / 20.0) as f32, 10f64.powf(CEILING_DB / 20.0) as f32);
    let mut limiter = TruePeakLimiter::new(shape.channels, shape.rate, ceiling);
    let mut writer = Writer::new(to, shape, format)?;
    let mut out: Vec<Vec<f32>> = vec![Vec::new(); shape.channels];
    while let Some(mut block) = reader.next_block()? {
        block.iter_mut().flatten().for_each(|x| *x *= factor);
        let slices: Vec<&[f32]> = block.iter().map(Vec::as_slice).collect();
        limiter.push(&slices, &mut out);
        give(&mut writer, &mut out)?;
    }
    limiter.end(&mut out);
    give(&mut writer, &mut out)?;
    writer.finish()?;
    Ok(Levelled { before, gain, limited: limiter.lowered() as f64 / f64::from(shape.rate) })
}

fn give(writer: &mut Writer<File>, out: &mut [Vec<f32>]) -> std::io::Result<()> {
    let slices: Vec<&[f32]> = out.iter().map(Vec::as_slice).collect();
    writer.write(&slices)?;
    out.iter_mut().for_each(Vec::clear);
    Ok(())
}
