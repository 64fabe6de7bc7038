//! A limiter that looks ahead, for files: nothing between the samples rises above a ceiling either.
//!
//! ITU-R BS.1770-4, annex 2: the true peak is that of the signal at four times its rate. The gain falls in a straight
//! line before a peak and comes back as slowly; it is the mean, over the look-ahead, of the least gain that any peak in
//! it needs. Knows no files and no engine.

use std::collections::VecDeque;

use super::resample::Resampler;

/// How many times the rate peaks are looked for at.
const TIMES: u32 = 4;
/// Seconds that the gain has to fall and to come back.
const AHEAD_SECONDS: f64 = 0.005;
/// Samples that are given to the resamplers at a time.
const STEP: usize = 1024;

/// Limits all channels by one gain. The output is as long as the input and stands where it stood.
#[derive(Debug)]
pub struct TruePeakLimiter {
    ceiling: f32,
    ahead: usize,
    resamplers: Vec<Resampler>,
    raised: Vec<f32>,
    /// Input that has not been given out, and the gains that it needs, as far as they are known.
    waiting: Vec<VecDeque<f32>>,
    needs: VecDeque<f32>,
    /// Of the span of needs that the next sample sees: places and values that may still become its least, rising.
    falling: VecDeque<(u64, f32)>,
    /// Needs that were taken into the span, and that left it.
    span: (u64, u64),
    /// Least needs over the look-ahead, and their sum.
    least: VecDeque<f32>,
    sum: f64,
    /// Samples of the silence before the sound whose gains are still to be found: the gain falls before the first
    /// sample too.
    early: usize,
    lowered: u64,
    ended: bool,
}

impl TruePeakLimiter {
    /// For so many channels at a rate in Hz, below a ceiling as a share of full scale.
    pub fn new(channels: usize, rate: u32, ceiling: f32) -> Self {
        let ahead = ((AHEAD_SECONDS * f64::from(rate)) as usize).max(1);
        Self {
            ceiling,
            ahead,
            resamplers: (0..channels).map(|_| Resampler::new(rate, rate * TIMES, STEP)).collect(),
            raised: Vec::new(),
            waiting: vec![VecDeque::new(); channels],
            // Silence is before the beginning.
            needs: std::iter::repeat_n(1.0, 2 * ahead).collect(),
            early: ahead,
            falling: VecDeque::new(),
            span: (0, 0),
            least: std::iter::repeat_n(1.0, ahead).collect(),
            sum: ahead as f64,
            lowered: 0,
            ended: false,
        }
    }

    /// Samples whose gain was lowered so far.
    pub fn lowered(&self) -> u64 {
        self.lowered
    }

    /// Takes a block (one slice a channel) and appends to `out` what is done.
    pub fn push(&mut self, block: &[&[f32]], out: &mut [Vec<f32>]) {
        let frames = block.first().map_or(0, |c| c.len());
        for at in (0..frames).step_by(STEP) {
            let to = (at + STEP).min(frames);
            let step: Vec<&[f32]> = block.iter().map(|c| &c[at..to]).collect();
            self.step(&step, out);
        }
    }

    fn step(&mut self, block: &[&[f32]], out: &mut [Vec<f32>]) {
        let mut peaks: Vec<f32> = Vec::new();
        for ((channel, resampler), waiting) in block.iter().zip(&mut self.resamplers).zip(&mut self.waiting) {
            waiting.extend(channel.iter());
            resampler.push(channel);
            let whole = resampler.ready() / TIMES as usize * TIMES as usize;
            self.raised.resize(whole, 0.0);
            resampler.pull(&mut self.raised);
            peaks.resize(whole / TIMES as usize, 0.0);
            for (peak, four) in peaks.iter_mut().zip(self.raised.chunks(TIMES as usize)) {
                *peak = four.iter().fold(*peak, |a, x| a.max(x.abs()));
            }
        }
        self.needs.extend(peaks.iter().map(|p| (self.ceiling / p.max(1e-9)).min(1.0)));
        self.give(out);
    }

    /// Gives out what has its look-ahead.
    fn give(&mut self, out: &mut [Vec<f32>]) {
        // The span of a sample reaches as far behind it as ahead; the first one begins in the silence before the sound.
        let width = 2 * self.ahead as u64 + 1;
        while self.early > 0 || !self.waiting[0].is_empty() {
            while self.span.0 - self.span.1 < width {
                let Some(need) = self.needs.pop_front() else { return };
                while self.falling.back().is_some_and(|(_, n)| *n >= need) {
                    self.falling.pop_back();
                }
                self.falling.push_back((self.span.0, need));
                self.span.0 += 1;
            }
            let least = self.falling.front().map_or(1.0, |(_, n)| *n);
            if self.falling.front().is_some_and(|(place, _)| *place == self.span.1) {
                self.falling.pop_front();
            }
            self.span.1 += 1;
            self.least.push_back(least);
            self.sum += f64::from(least) - self.least.pop_front().map_or(1.0, f64::from);
            let gain = (self.sum / self.ahead as f64) as f32;
            if self.early > 0 {
                self.early -= 1;
                continue;
            }
            self.lowered += u64::from(gain < 0.9999);
            for (waiting, out) in self.waiting.iter_mut().zip(out.iter_mut()) {
                out.extend(waiting.pop_front().map(|x| x * gain));
            }
        }
    }

    /// Appends the rest: silence is behind the end.
    pub fn end(&mut self, out: &mut [Vec<f32>]) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let left: Vec<usize> = self.waiting.iter().map(VecDeque::len).collect();
        let before: Vec<usize> = out.iter().map(Vec::len).collect();
        let silence = vec![0.0; 2 * self.ahead + STEP];
        let block: Vec<&[f32]> = self.waiting.iter().map(|_| &silence[..]).collect();
        self.push(&block, out);
        out.iter_mut().zip(before).zip(left).for_each(|((o, before), left)| o.truncate(before + left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(sound: &[f32], cut: usize) -> Vec<f32> {
        let mut limiter = TruePeakLimiter::new(1, 48_000, 0.891);
        let mut out = [Vec::new()];
        for block in sound.chunks(cut) {
            limiter.push(&[block], &mut out);
        }
        limiter.end(&mut out);
        let [out] = out;
        out
    }

    fn true_peak(sound: &[f32]) -> f32 {
        super::super::resample::resample_all(sound, 48_000, 192_000).iter().fold(0.0, |a, x| a.max(x.abs()))
    }

    #[test]
    fn nothing_between_the_samples_rises_above_the_ceiling() {
        // A quarter of the rate at 45 degrees: samples of 0.7 of a wave of 1.
        let loud: Vec<f32> = (0..48_000)
            .map(|i| ((i as f32 + 0.5) * std::f32::consts::FRAC_PI_2).sin() * if i / 4800 % 2 == 0 { 1.6 } else { 0.3 })
            .collect();
        let out = limited(&loud, 1000);
        assert_eq!(out.len(), loud.len());
        assert!(true_peak(&out) <= 0.9, "{}", true_peak(&out));
        assert!(out[7000..9000].iter().zip(&loud[7000..9000]).all(|(a, b)| a == b), "what is soft is not touched");
        assert_eq!(out, limited(&loud, 333), "the length of calls does not matter");
    }

    #[test]
    fn what_needs_no_limiting_is_not_touched() {
        let soft: Vec<f32> = (0..10_000).map(|i| (i as f32 * 0.1).sin() * 0.5).collect();
        assert_eq!(limited(&soft, 700), soft);
    }
}
