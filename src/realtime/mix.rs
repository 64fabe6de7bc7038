//! How the output is put together, and the one place that decides what is heard where there is no converted sound.
//! Knows no rings and no positions.

use super::dry::DryLine;

/// What is heard where there is no converted sound: a hop that missed its time, a voice that is still loading, no
/// engine at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LateSound {
    /// The speaker's own voice at the same latency.
    #[default]
    Dry,
    /// Silence, for those who must not be recognised.
    Silence,
}

/// How the output is put together. Changes glide over 10 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// Whether the voice is converted.
    pub voice: bool,
    /// 0 dry, 1 wet.
    pub wet: f32,
    /// Linear gain of the output.
    pub gain: f32,
    /// The input unchanged, at the same latency.
    pub bypass: bool,
    /// What is heard where there is no converted sound.
    pub late: LateSound,
}

impl Default for Mix {
    fn default() -> Self {
        Self { voice: true, wet: 1.0, gain: 1.0, bypass: false, late: LateSound::Dry }
    }
}

impl Mix {
    /// Share of the output that is to be converted sound, 0 to 1. The rest is dry because the user asked for it.
    pub fn wet_share(&self) -> f32 {
        let wanted = if self.wet.is_nan() { 1.0 } else { self.wet.clamp(0.0, 1.0) };
        if self.voice && !self.bypass { wanted } else { 0.0 }
    }

    /// Linear gain of the output.
    pub fn output_gain(&self) -> f32 {
        if self.bypass || !self.gain.is_finite() { 1.0 } else { self.gain }
    }

    /// What stands in for converted sound that isn't there.
    pub fn instead(&self, dry: f32) -> f32 {
        match self.late {
            LateSound::Dry => dry,
            LateSound::Silence => 0.0,
        }
    }
}

/// The output where there is no engine: what the user wants dry, and what stands in for the voice, at the latency that
/// the host was told. For the audio thread; allocation-free after `new`.
pub struct WithoutEngine {
    dry: DryLine,
}

impl WithoutEngine {
    /// For so many channels and samples of latency.
    pub fn new(channels: usize, latency: usize) -> Self {
        Self { dry: DryLine::new(channels, latency) }
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.dry.reset();
    }

    /// A block in place. Channels beyond those it was made for are silent.
    pub fn process(&mut self, channels: &mut [&mut [f32]], mix: &Mix) {
        let (wet, gain) = (mix.wet_share(), mix.output_gain());
        let known = self.dry.channels().min(channels.len());
        let (channels, others) = channels.split_at_mut(known);
        others.iter_mut().for_each(|c| c.fill(0.0));
        let length = channels.iter().map(|c| c.len()).min().unwrap_or(0);
        for i in 0..length {
            for (c, channel) in channels.iter_mut().enumerate() {
                let x = &mut channel[i];
                let dry = self.dry.swap(c, if x.is_finite() { *x } else { 0.0 });
                *x = audible(((1.0 - wet) * dry + wet * mix.instead(dry)) * gain);
            }
            self.dry.step();
        }
    }
}

/// Zero for a number so small that processors take a hundred times as long over it, as some do in plugins further on.
pub(super) fn audible(x: f32) -> f32 {
    if x.is_subnormal() { 0.0 } else { x }
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Without an engine, whoever asked for silence and for nothing dry is not heard.
        #[test]
        fn silence_is_silence(wet in prop_oneof![Just(1.0f32), Just(f32::INFINITY), Just(f32::NAN), 1.0f32..9.0], gain in prop::num::f32::ANY, x in prop::num::f32::ANY) {
            let mix = Mix { wet, gain, late: LateSound::Silence, ..Mix::default() };
            let mut sound = [x, x];
            WithoutEngine::new(1, 1).process(&mut [&mut sound], &mix);
            prop_assert_eq!(sound, [0.0; 2]);
        }

        /// What is dry by the user's wish stays, late by the latency, and no subnormal number comes out.
        #[test]
        fn the_rest_is_dry(x in prop::num::f32::ANY, late in prop_oneof![Just(LateSound::Dry), Just(LateSound::Silence)], bypass in any::<bool>()) {
            let mix = Mix { voice: bypass, bypass, late, ..Mix::default() };
            let mut sound = [x, 1.0, 1.0];
            WithoutEngine::new(1, 2).process(&mut [&mut sound], &mix);
            prop_assert_eq!(sound, [0.0, 0.0, if x.is_normal() { x } else { 0.0 }]);
        }
    }
}
