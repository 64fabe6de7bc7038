//! The hop loop: host samples in, resampled, cut on absolute positions, converted, gated, limited, resampled back.
//! Knows no threads and no rings.

use mynah_dsp::limiter::Limiter;
use mynah_dsp::resample::{Resampler, half_width};
use mynah_realtime::clock::{ConverterTiming, Timing};
use mynah_voice::gate::Gate;
use mynah_voice::{Controls, ConvertError, Converter, TargetVoice};

/// A converter with its resamplers, at one place on the timeline.
pub struct HopLoop {
    converter: Box<dyn Converter>,
    timing: ConverterTiming,
    to_model: Resampler,
    to_host: Resampler,
    gate: Gate,
    limiter: Limiter,
    input: Vec<f32>,
    output: Vec<f32>,
    host_rate: u32,
    /// Model samples after a start in which the kernels still reach into what was not heard.
    margin: usize,
    hop_index: u64,
    position: u64,
    host: Vec<f32>,
}

impl HopLoop {
    /// Around a converter whose timing is that of `timing`. Allocates all it needs, except what the converter itself
    /// allocates.
    pub fn new(converter: Box<dyn Converter>, timing: &Timing) -> Self {
        let c = timing.converter;
        let hop_host = (c.hop as u64 * timing.host_rate as u64).div_ceil(c.rate as u64) as usize + 1;
        let mut hops = Self {
            converter,
            timing: c,
            to_model: Resampler::new(timing.host_rate, c.rate, hop_host.max(PULL) * 2),
            to_host: Resampler::new(c.rate, timing.host_rate, c.hop * 2 + c.delay),
            gate: Gate::new(c.rate, c.hop, c.delay),
            limiter: Limiter::new(c.rate, c.hop, c.delay),
            input: vec![0.0; c.hop],
            output: vec![0.0; c.hop],
            host_rate: timing.host_rate,
            margin: 2 * half_width(c.rate, timing.host_rate),
            hop_index: 0,
            position: 0,
            host: vec![0.0; hop_host * 2 + 64],
        };
        hops.restart(0);
        hops
    }

    /// Forgets all sound. The next input sample stands at `position`. Hops keep their places whatever happens, so the
    /// first one starts at or after it, and the output begins there, where the resamplers know both sides of it;
    /// `position` tells where. Only a start at 0 has all that it needs, since before it there is silence.
    pub fn restart(&mut self, position: u64) {
        let t = self.timing;
        let hop_index = self.to_model_position(position).div_ceil(t.hop as u64);
        let first = hop_index * t.hop as u64;
        self.hop_index = hop_index;
        self.position = match position {
            0 => 0,
            _ => (first + self.margin as u64).saturating_mul(self.host_rate as u64).div_ceil(t.rate as u64),
        };
        self.converter.reset(hop_index);
        self.gate.reset();
        self.limiter.reset();
        self.to_model.reset(position as i64, first);
        self.to_host.reset(first as i64 - t.delay as i64, self.position);
    }

    fn to_model_position(&self, host: u64) -> u64 {
        self.to_model.output_at(host)
    }

    /// Takes host samples that follow the last ones. At most `PULL` at a time.
    pub fn push(&mut self, samples: &[f32]) {
        self.to_model.push(samples);
    }

    /// The converter's timing.
    pub fn timing(&self) -> ConverterTiming {
        self.timing
    }

    /// Seconds of sound that the next hop still needs; 0 where it is full.
    pub fn missing(&self) -> f64 {
        self.timing.hop.saturating_sub(self.to_model.ready()) as f64 / f64::from(self.timing.rate)
    }

    /// Whether a hop is full.
    pub fn is_ready(&self) -> bool {
        self.to_model.ready() >= self.timing.hop
    }

    /// Converts a hop, if one is full. Gives where the new host samples start, and the samples; an empty slice while
    /// the first ones are still on their way.
    pub fn step(&mut self, controls: &Controls) -> Result<Option<(u64, &[f32])>, ConvertError> {
        if !self.is_ready() {
            return Ok(None);
        }
        self.to_model.pull(&mut self.input);
        self.hop_index += 1;
        self.converter.process(&self.input, controls, &mut self.output)?;
        // One such number would sound for as long as the resampler remembers it.
        if !self.output.iter().all(|x| x.is_finite()) {
            return Err(ConvertError::NotFinite);
        }
        self.gate.process(&self.input, &mut self.output, controls.gate_dbfs);
        self.limiter.process(&self.input, &mut self.output);
        self.to_host.push(&self.output);
        let start = self.position;
        let n = self.to_host.ready();
        if n > self.host.len() {
            self.host.resize(n, 0.0);
        }
        let n = self.to_host.pull(&mut self.host[..n]);
        self.position += n as u64;
        Ok(Some((start, &self.host[..n])))
    }

    /// Position of the next output sample.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether somebody renders from the next hop on; see [`Converter::renders`].
    pub fn renders(&mut self, renders: bool) {
        self.converter.renders(renders);
    }

    /// Takes another target voice from the next hop on.
    pub fn set_voice(&mut self, voice: &TargetVoice) {
        self.converter.set_voice(voice);
    }
}

/// Host samples that a worker takes at a time.
pub const PULL: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Identity;
    use mynah_realtime::clock::latency;

    /// What goes in at a position comes out at that position, wherever the loop was started.
    #[test]
    fn positions_stand_across_a_restart() {
        for (host_rate, start) in
            [(48000, 0), (44100, 0), (44100, 12_345), (8000, 777), (24000, 1001), (192_000, 100_003)]
        {
            let converter = ConverterTiming { rate: 24000, hop: 240, delay: 1440 };
            let timing = Timing { host_rate, max_block: 64, converter, slack: 0.0 };
            let mut hops = HopLoop::new(Box::new(Identity::new(converter)), &timing);
            hops.restart(start);
            let at = start + host_rate as u64 / 10;
            let first = hops.position();
            assert!(first >= start && first - start < host_rate as u64 / 50, "{host_rate}: begins at {first}");
            let mut heard = Vec::new();
            let mut position = start;
            while heard.len() < host_rate as usize / 5 {
                let samples: Vec<f32> = (0..50).map(|i| if position + i == at { 1.0 } else { 0.0 }).collect();
                hops.push(&samples);
                position += 50;
                while let Some((from, samples)) = hops.step(&Controls::default()).expect("identity can't fail") {
                    assert_eq!(from, first + heard.len() as u64);
                    heard.extend_from_slice(samples);
                }
                let lag = position as i64 - (first + heard.len() as u64) as i64;
                assert!(lag <= latency(&timing).total as i64, "{host_rate}: behind by {lag}");
            }
            let peak = (0..heard.len()).max_by(|&a, &b| heard[a].total_cmp(&heard[b])).expect("sound");
            assert_eq!(first + peak as u64, at, "{host_rate}");
        }
    }
}
