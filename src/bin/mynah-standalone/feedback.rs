//! Whether the microphone hears what the speakers play: Mynah's own voice coming back. Knows no device; runs off the
//! audio threads.
//!
//! The sound that went out and the sound that comes in are compared with GCC-PHAT (Knapp and Carter 1976): where the
//! one holds the other at some delay, however faintly, the correlation of their phases has a peak there. A talker's own
//! voice has none at a delay after it went out: it was heard before.

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// The rate at which sounds are compared, in Hz, about: the next whole divider of the real rate.
const RATE: u32 = 8_000;
/// Seconds of the microphone that are compared at a time; the next ones follow without a gap.
const SPAN: f64 = 1.0;
/// How much of what was found so far still counts a span later: what a sentence has by chance is forgotten, what a room
/// does stays.
const KEPT: f32 = 0.85;
/// Spans before anything is said.
const SPANS: u32 = 4;
/// Delays that are looked at, in seconds: a room's, a sound card's or a server's. Sound that was played a shorter time
/// ago can't have been in the air.
const LONGEST: f64 = 0.5;
const SHORTEST: f64 = 0.01;
/// Frequencies that are compared, in Hz.
const BAND: (f32, f32) = (150.0, 3_400.0);
/// How far a peak must stand out, in standard deviations of the rest, and in how many spans one after the other.
const PEAK: f32 = 14.0;
const LOOKS: u32 = 3;
/// How much the delay may differ from one span to the next, in seconds.
const SAME: f64 = 0.003;
/// Power below which nothing is compared: about −66 dBFS.
const SILENT: f64 = 2.5e-7;

/// Compares what goes out with what comes in, as it goes on.
pub struct Detector {
    divider: usize,
    rate: f64,
    /// Sums of samples that don't yet make one of the lower rate, and how many.
    sums: (f32, f32, usize),
    /// The last `SPAN + LONGEST` seconds, oldest first.
    heard: Vec<f32>,
    played: Vec<f32>,
    fresh: usize,
    /// How the phases of both agree, over all spans, and how many those are.
    agreed: Vec<Complex32>,
    spans: u32,
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
    /// The delay of the last peak in seconds, and in how many looks it was there.
    seen: (f64, u32),
}

impl Detector {
    /// For sound at `rate` Hz.
    pub fn new(rate: u32) -> Self {
        let divider = (rate / RATE).max(1) as usize;
        let low = f64::from(rate) / divider as f64;
        let length = (2.0 * (SPAN + LONGEST) * low) as usize;
        let mut planner = RealFftPlanner::new();
        let forward = planner.plan_fft_forward(length);
        Self {
            divider,
            rate: low,
            sums: (0.0, 0.0, 0),
            heard: Vec::new(),
            played: Vec::new(),
            fresh: 0,
            agreed: forward.make_output_vec(),
            spans: 0,
            forward,
            backward: planner.plan_fft_inverse(length),
            seen: (0.0, 0),
        }
    }

    /// Takes a sample that the microphone heard and one that was played at the same time. Once the one has been found
    /// in the other for some seconds, gives the delay in seconds, with every further look that finds it.
    pub fn push(&mut self, heard: f32, played: f32) -> Option<f64> {
        self.sums = (self.sums.0 + heard, self.sums.1 + played, self.sums.2 + 1);
        if self.sums.2 < self.divider {
            return None;
        }
        self.heard.push(self.sums.0 / self.divider as f32);
        self.played.push(self.sums.1 / self.divider as f32);
        self.sums = (0.0, 0.0, 0);
        self.fresh += 1;
        let (whole, span) = (((SPAN + LONGEST) * self.rate) as usize, (SPAN * self.rate) as usize);
        if self.heard.len() < whole || self.fresh < span {
            return None;
        }
        self.fresh = 0;
        for line in [&mut self.heard, &mut self.played] {
            line.drain(..line.len() - whole);
        }
        if !self.listen(whole - span) {
            return None;
        }
        let (delay, peak) = self.look();
        if peak < PEAK || self.spans < SPANS {
            self.seen.1 = 0;
            return None;
        }
        let again = self.seen.1 > 0 && (self.seen.0 - delay).abs() < SAME;
        self.seen = (delay, if again { self.seen.1 + 1 } else { 1 });
        (self.seen.1 >= LOOKS).then_some(delay)
    }

    /// Adds the last span, whose sound was played up to `earlier` samples before, to what has agreed; false where there
    /// is only silence.
    fn listen(&mut self, earlier: usize) -> bool {
        let power = |x: &[f32]| x.iter().map(|x| f64::from(x * x)).sum::<f64>() / x.len().max(1) as f64;
        if power(&self.heard[earlier..]) < SILENT || power(&self.played) < SILENT {
            return false;
        }
        let length = self.forward.len();
        let spectrum = |x: &[f32], from: usize| {
            let mut padded = vec![0.0; length];
            padded[from..x.len()].copy_from_slice(&x[from..]);
            let mut spectrum = self.forward.make_output_vec();
            // Both have the lengths of the plan.
            let _ = self.forward.process(&mut padded, &mut spectrum);
            spectrum
        };
        let (heard, played) = (spectrum(&self.heard, earlier), spectrum(&self.played, 0));
        let bin = self.rate as f32 / length as f32;
        for (k, (agreed, (h, p))) in self.agreed.iter_mut().zip(heard.iter().zip(&played)).enumerate() {
            let phase = h * p.conj();
            let size = phase.norm();
            let inside = (BAND.0..BAND.1).contains(&(k as f32 * bin));
            *agreed = *agreed * KEPT + if inside && size > 0.0 { phase / size } else { Complex32::default() };
        }
        self.spans += 1;
        true
    }

    /// The delay at which what was heard is most like what was played, and how far that stands out.
    fn look(&self) -> (f64, f32) {
        let mut phases = self.agreed.clone();
        let mut agreement = self.backward.make_output_vec();
        let _ = self.backward.process(&mut phases, &mut agreement);
        let (from, to) = ((SHORTEST * self.rate) as usize, (LONGEST * self.rate) as usize);
        // What lies well behind the longest delay tells how much chance alone makes.
        let rest = &agreement[to + to / 4..agreement.len() / 2];
        let chance = (rest.iter().map(|x| x * x).sum::<f32>() / rest.len() as f32).sqrt();
        let best = (from..to).max_by(|a, b| agreement[*a].abs().total_cmp(&agreement[*b].abs())).unwrap_or(from);
        (best as f64 / self.rate, agreement[best].abs() / chance.max(f32::MIN_POSITIVE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah::audio::read;
    use mynah::packs::{Kind, Store};

    const FULL_RATE: u32 = 48_000;

    fn recording(name: &str) -> Vec<f32> {
        let pack = Store::standard().find(Kind::Recordings, None);
        let file = pack.and_then(|p| p.file(name)).unwrap_or_else(|e| panic!("{e}; `cargo xtask setup` fetches it"));
        let sound = read(&file).expect("a recording");
        mynah::dsp::resample::resample_all(&sound.mono(), sound.rate, FULL_RATE)
    }

    /// A room's answer: a direct path and reflections that die away over 0.2 s, at a level in dB below the sound
    /// itself.
    fn room(level: f32) -> Vec<f32> {
        let mut seed = 7u64;
        let mut next = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let mut answer = vec![0.0; 9600];
        answer[0] = 1.0;
        for k in 0..120 {
            let at = 100 + k * 79;
            answer[at] = 0.3 * next() * (-(at as f32) / 2400.0).exp();
        }
        let gain = 10f32.powf(level / 20.0);
        answer.iter().map(|x| x * gain).collect()
    }

    /// What Mynah makes of a voice: the sound later, or ring-modulated, which shares no phase with it.
    #[derive(Clone, Copy)]
    enum Made {
        Dry,
        Other,
    }

    /// Plays `talk` through Mynah (40 ms late) and, where there is a room, the speakers back into the microphone 60 ms
    /// later. Gives the delays that were warned of, and the largest peak.
    fn warned(talk: &[f32], made: Made, room: Option<&[f32]>) -> (Vec<f64>, f32) {
        let (late, path) = (1920usize, 2880usize);
        let taps: Vec<(usize, f32)> = room
            .map(|r| r.iter().enumerate().filter(|(_, x)| **x != 0.0).map(|(n, x)| (n + path, *x)).collect())
            .unwrap_or_default();
        let (mut heard, mut played) = (Vec::with_capacity(talk.len()), Vec::with_capacity(talk.len()));
        let mut detector = Detector::new(FULL_RATE);
        let (mut delays, mut highest) = (Vec::new(), 0f32);
        for (n, own) in talk.iter().enumerate() {
            let back: f32 = taps
                .iter()
                .filter(|(at, _)| *at <= n)
                .map(|(at, gain)| played.get(n - at).copied().unwrap_or(0.0) * gain)
                .sum();
            heard.push(own + back);
            let source = n.checked_sub(late).map_or(0.0, |at| heard[at]);
            played.push(match made {
                Made::Dry => source,
                Made::Other => source * (n as f32 * 0.0393).cos() * 1.4,
            });
            delays.extend(detector.push(heard[n], played[n]));
            if detector.fresh == 0 && detector.sums.2 == 0 && detector.spans >= SPANS {
                highest = highest.max(detector.look().1);
            }
        }
        (delays, highest)
    }

    #[test]
    fn a_voice_that_comes_back_is_noticed_within_seconds() {
        for (made, level) in [(Made::Other, -12.0), (Made::Other, -20.0), (Made::Other, -26.0), (Made::Dry, -12.0)] {
            let talk = &recording("two_cities.wav")[..FULL_RATE as usize * 10];
            let (delays, peak) = warned(talk, made, Some(&room(level)));
            println!("{level} dB: peak {peak:.0}, warned {} times of {:?}", delays.len(), delays.first());
            assert!(delays.iter().any(|d| (d - 0.06).abs() < 0.003), "{level} dB: {delays:?}, peak {peak}");
        }
    }

    #[test]
    fn plain_talk_is_no_feedback() {
        for name in ["two_cities.wav", "beckett.wav", "endgame_nagg_nell.wav", "clone-test.wav"] {
            let talk = recording(name);
            for made in [Made::Dry, Made::Other] {
                let (delays, peak) = warned(&talk, made, None);
                println!("{name}: peak {peak:.1}");
                assert!(delays.is_empty(), "{name}: {delays:?}, peak {peak}");
            }
        }
    }
}
