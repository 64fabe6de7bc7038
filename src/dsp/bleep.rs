//! A tone in place of what may not be heard. Knows samples and times, not words.

use std::f64::consts::TAU;
use std::ops::Range;

/// Hz of the tone.
const TONE: f64 = 1000.0;
/// Its level: −20 dBFS, the peak of a sine at a tenth of full scale.
const LEVEL: f32 = 0.1;
/// Seconds of tone before and behind each span.
const MARGIN: f64 = 0.060;
/// Seconds in which sound and tone change places, inside the margin.
const FADE: f64 = 0.005;

/// Replaces spans, in seconds from the first sample, by a tone in all channels. Outside of a span and its margin of 60
/// ms no sample changes; spans that meet become one. Returns the samples that were replaced, in order.
pub fn bleep(channels: &mut [Vec<f32>], rate: u32, spans: &[(f64, f64)]) -> Vec<Range<usize>> {
    let frames = channels.iter().map(Vec::len).min().unwrap_or(0);
    let bleep = Bleep::new(rate, frames, spans);
    bleep.apply(channels, 0);
    bleep.ranges
}

/// The same block by block.
#[derive(Debug)]
pub struct Bleep {
    rate: u32,
    frames: usize,
    ranges: Vec<Range<usize>>,
}

impl Bleep {
    /// For sound of so many frames at `rate` Hz.
    pub fn new(rate: u32, frames: usize, spans: &[(f64, f64)]) -> Self {
        let at = |seconds: f64| ((seconds * f64::from(rate)).round().max(0.0) as usize).min(frames);
        let mut ranges: Vec<Range<usize>> =
            spans.iter().map(|(a, b)| at(a - MARGIN)..at(b.max(*a) + MARGIN)).filter(|r| !r.is_empty()).collect();
        ranges.sort_by_key(|r| r.start);
        let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Self { rate, frames, ranges: joined }
    }

    /// Replaces what of the spans lies in a block that begins at frame `start`.
    pub fn apply(&self, channels: &mut [Vec<f32>], start: usize) {
        let end = start + channels.iter().map(Vec::len).min().unwrap_or(0);
        let fade = FADE * f64::from(self.rate);
        for range in self.ranges.iter().filter(|r| r.start < end && r.end > start) {
            for i in range.start.max(start)..range.end.min(end) {
                // How far in: 0 at the first and last sample's outer edge, 1 after the fade. The edge of the file needs
                // no fade.
                let before = if range.start == 0 { f64::MAX } else { (i - range.start) as f64 + 0.5 };
                let behind = if range.end == self.frames { f64::MAX } else { (range.end - i) as f64 - 0.5 };
                let share = (before.min(behind) / fade).min(1.0) as f32;
                let tone = LEVEL * ((i - range.start) as f64 * TONE * TAU / f64::from(self.rate)).sin() as f32;
                for channel in channels.iter_mut() {
                    let x = &mut channel[i - start];
                    *x = share * tone + if share < 1.0 { (1.0 - share) * *x } else { 0.0 };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_give_what_the_whole_gives() {
        let mut whole = vec![(0..9000).map(|i| (i % 17) as f32 * 0.05).collect::<Vec<f32>>(); 2];
        let mut parts: Vec<Vec<Vec<f32>>> =
            (0..9).map(|k| whole.iter().map(|c| c[k * 1000..(k + 1) * 1000].to_vec()).collect()).collect();
        let spans = [(0.0, 0.1), (0.35, 0.6), (1.05, 2.0)];
        bleep(&mut whole, 8000, &spans);
        let in_blocks = Bleep::new(8000, 9000, &spans);
        parts.iter_mut().enumerate().for_each(|(k, part)| in_blocks.apply(part, k * 1000));
        let joined: Vec<f32> = parts.iter().flat_map(|p| p[1].clone()).collect();
        assert_eq!(joined, whole[1]);
    }

    #[test]
    fn only_the_spans_change_and_there_the_tone_stands() {
        for rate in [8000u32, 44100, 48000] {
            let n = rate as usize * 3;
            let noise: Vec<f32> = (0..n).map(|i| ((i * 7919 % 1000) as f32 / 500.0 - 1.0) * 0.8).collect();
            let mut channels = vec![noise.clone(), noise.iter().map(|x| -x).collect()];
            let replaced = bleep(&mut channels, rate, &[(1.0, 1.3), (1.35, 1.5), (2.9, 9.0)]);
            let sample = |s: f64| (s * f64::from(rate)).round() as usize;
            assert_eq!(replaced, [sample(0.94)..sample(1.56), sample(2.84)..n]);
            for i in (0..n).filter(|i| !replaced.iter().any(|r| r.contains(i))) {
                assert!(channels[0][i].to_bits() == noise[i].to_bits() && channels[1][i] == -noise[i], "{rate} {i}");
            }
            // Inside: a sine of 1 kHz at −20 dBFS and nothing else.
            let inside = sample(1.0)..sample(1.5);
            let (mut sine, mut cosine, mut power) = (0.0f64, 0.0f64, 0.0f64);
            for i in inside.clone() {
                let phase = i as f64 * TONE * TAU / f64::from(rate);
                let x = f64::from(channels[0][i]);
                (sine, cosine, power) = (sine + x * phase.sin(), cosine + x * phase.cos(), power + x * x);
            }
            let n = inside.len() as f64;
            let amplitude = 2.0 * (sine * sine + cosine * cosine).sqrt() / n;
            assert!((amplitude - 0.1).abs() < 1e-4 && (power / n - 0.005).abs() < 1e-4, "{rate}: {amplitude} {power}");
        }
    }

    #[test]
    fn what_is_broken_inside_is_gone() {
        let mut channels = vec![vec![f32::NAN; 8000]];
        bleep(&mut channels, 8000, &[(0.0, 1.0)]);
        assert!(channels[0].iter().all(|x| x.is_finite()));
        assert!(bleep(&mut [], 8000, &[(0.0, 1.0)]).is_empty());
    }
}
