//! Noise taken out of the microphone before anything else hears it: RNNoise (Valin 2018, "A Hybrid DSP/Deep Learning
//! Approach to Real-Time Full-Band Speech Enhancement"), in Rust. Knows no device and no engine.

use nnnoiseless::DenoiseState;

/// The one rate that RNNoise knows, in Hz.
pub const RATE: u32 = 48_000;
/// Samples it takes at once.
const FRAME: usize = DenoiseState::FRAME_SIZE;
/// Samples by which the sound comes later: a frame is gathered, and the windows of two frames overlap.
pub const DELAY: usize = 2 * FRAME;
/// What full scale is to RNNoise.
const FULL: f32 = 32_768.0;
/// Samples over which the sound fades out before it is switched, and in after it.
const FADE: usize = 240;

/// The stage, switched on or off while sound runs. Allocates in its first frames (a Fourier transform's scratch space),
/// so it belongs on a thread of one's own, not on a device's.
pub struct Denoiser {
    state: Box<DenoiseState<'static>>,
    gathered: [f32; FRAME],
    given: [f32; FRAME],
    at: usize,
    on: bool,
    /// 0 to `FADE`.
    gain: usize,
}

impl Denoiser {
    /// Off or on to begin with.
    pub fn new(on: bool) -> Self {
        Self { state: DenoiseState::new(), gathered: [0.0; FRAME], given: [0.0; FRAME], at: 0, on, gain: FADE }
    }

    /// Whether it is on: then the sound is `DELAY` samples late.
    pub fn on(&self) -> bool {
        self.on
    }

    /// Takes the noise out of `sound`, at `RATE`, in place, where that is `wanted`; else leaves it as it is. A change
    /// fades out and in.
    pub fn process(&mut self, sound: &mut [f32], wanted: bool) {
        if !self.on && !wanted && self.gain == FADE {
            return;
        }
        for x in sound {
            let given = self.given[self.at] / FULL;
            self.gathered[self.at] = *x * FULL;
            self.at += 1;
            if self.at == FRAME {
                self.at = 0;
                self.state.process_frame(&mut self.given, &self.gathered);
            }
            if self.on != wanted {
                self.gain -= 1;
                if self.gain == 0 {
                    self.on = wanted;
                }
            } else if self.gain < FADE {
                self.gain += 1;
            }
            let heard = if self.on { given } else { *x };
            *x = heard * self.gain as f32 / FADE as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah::audio::read;
    use mynah::dsp::resample::resample_all;
    use mynah::packs::{Kind, Store};

    /// Ten seconds of a recording at 48 kHz.
    fn talk() -> Vec<f32> {
        let pack = Store::standard().find(Kind::Recordings, None);
        let file = pack
            .and_then(|p| p.file("two_cities.wav"))
            .unwrap_or_else(|e| panic!("{e}; `cargo xtask setup` fetches it"));
        let sound = read(&file).expect("a recording");
        let mut mono = resample_all(&sound.mono(), sound.rate, RATE);
        mono.truncate(RATE as usize * 10);
        mono
    }

    fn power(x: &[f32]) -> f64 {
        x.iter().map(|x| f64::from(x * x)).sum::<f64>() / x.len().max(1) as f64
    }

    /// White noise of the given power.
    fn noise(n: usize, power: f64) -> Vec<f32> {
        let mut seed = 1u64;
        let mut next = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((seed >> 33) as f64 / f64::from(1u32 << 31) * 2.0 - 1.0) * (3.0 * power).sqrt()
        };
        (0..n).map(|_| next() as f32).collect()
    }

    fn through(mut sound: Vec<f32>, blocks: usize) -> Vec<f32> {
        let mut denoiser = Denoiser::new(true);
        sound.chunks_mut(blocks).for_each(|b| denoiser.process(b, true));
        sound
    }

    /// Places of 10 ms where somebody speaks: within 25 dB of the loudest.
    fn spoken(clean: &[f32]) -> Vec<bool> {
        let levels: Vec<f64> = clean.chunks(FRAME).map(power).collect();
        let loudest = levels.iter().copied().fold(0.0, f64::max);
        levels.iter().map(|l| *l > loudest * 10f64.powf(-2.5)).collect()
    }

    fn part(x: &[f32], wanted: bool, spoken: &[bool]) -> f64 {
        let frames: Vec<&[f32]> = x.chunks(FRAME).zip(spoken).filter(|(_, s)| **s == wanted).map(|(f, _)| f).collect();
        power(&frames.concat())
    }

    #[test]
    fn the_delay_is_told_to_the_sample() {
        let clean = talk();
        let out = through(clean.clone(), 128);
        let agreement = |lag: usize| -> f64 { clean.iter().zip(&out[lag..]).map(|(a, b)| f64::from(a * b)).sum() };
        let best = (0..2 * DELAY).max_by(|a, b| agreement(*a).total_cmp(&agreement(*b))).expect("lags");
        assert_eq!(best, DELAY);
        assert_eq!(out, through(clean, 1000), "blocks of another size give another sound");
    }

    #[test]
    fn noise_goes_and_speech_stays() {
        let clean = talk();
        let spoken = spoken(&clean);
        let noise = noise(clean.len(), power(&clean) / 10.0);
        let noisy: Vec<f32> = clean.iter().zip(&noise).map(|(a, b)| a + b).collect();
        let out = through(noisy.clone(), 256);
        // The first second is RNNoise's to learn from.
        let from = RATE as usize;
        let (before, after) = (&noisy[from..clean.len() - DELAY], &out[from + DELAY..]);
        let spoken = &spoken[from / FRAME..];
        let db = |a: f64, b: f64| 10.0 * (a / b).log10();
        let removed = db(part(before, false, spoken), part(after, false, spoken));
        let level = db(part(after, true, spoken), part(&clean[from..], true, spoken));
        let untouched =
            db(part(&through(clean.clone(), 256)[from + DELAY..], true, spoken), part(&clean[from..], true, spoken));
        println!("{removed:.1} dB of the noise removed, speech {level:+.2} dB, {untouched:+.2} dB without noise");
        assert!(removed > 12.0, "{removed:.1} dB of the noise removed");
        assert!(level.abs() < 1.0, "speech is {level:+.2} dB");
        assert!(untouched.abs() < 1.0, "speech without noise is {untouched:+.2} dB");
    }

    #[test]
    fn off_it_changes_nothing_and_the_switch_makes_no_click() {
        let tone: Vec<f32> = (0..RATE as usize).map(|n| (n as f32 * 0.02).sin() * 0.3).collect();
        let mut denoiser = Denoiser::new(false);
        let mut out = tone.clone();
        denoiser.process(&mut out, false);
        assert_eq!(out, tone);
        for wanted in [true, false] {
            let mut out = tone.clone();
            out.chunks_mut(100).for_each(|b| denoiser.process(b, wanted));
            let step = out.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
            assert!(step < 0.01, "{step}");
            assert_eq!(denoiser.on(), wanted);
        }
    }
}
