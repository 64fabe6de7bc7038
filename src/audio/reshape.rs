//! Sound of one shape made into another, block by block: for files whose rate or channels change, and for whoever hears
//! at another rate. Knows no files.

use super::codecs::Shape;
use mynah_dsp::resample::Resampler;

/// Frames that are given to a resampler at a time.
const STEP: usize = 4096;

/// Makes blocks of one shape into another.
#[derive(Debug)]
pub struct Reshape {
    from: Shape,
    to: Shape,
    resamplers: Vec<Resampler>,
    /// Frames that came in and went out.
    frames: (u64, u64),
}

impl Reshape {
    /// From one shape to another.
    pub fn new(from: Shape, to: Shape) -> Self {
        let resampler = || Resampler::new(from.rate, to.rate, STEP);
        Self { from, to, resamplers: (0..to.channels).map(|_| resampler()).collect(), frames: (0, 0) }
    }

    /// What it takes.
    pub fn takes(&self) -> Shape {
        self.from
    }

    /// Appends to `out` what the block (one slice a channel) allows.
    pub fn push(&mut self, block: &[&[f32]], out: &mut [Vec<f32>]) {
        let frames = block.first().map_or(0, |c| c.len());
        self.frames.0 += frames as u64;
        let mean: Vec<f32>;
        for (k, (resampler, out)) in self.resamplers.iter_mut().zip(out).enumerate() {
            let channel: &[f32] = match (block.len(), self.to.channels) {
                (1, _) => block[0],
                (many, 1) => {
                    mean = (0..frames).map(|i| block.iter().map(|c| c[i]).sum::<f32>() / many as f32).collect();
                    push(resampler, &mean, out);
                    break;
                }
                _ if k < block.len() => block[k],
                _ => &vec![0.0; frames],
            };
            push(resampler, channel, out);
        }
        self.frames.1 = self.resamplers.first().map_or(0, Resampler::next_output);
    }

    /// Appends the last frames: silence is behind the end.
    pub fn end(&mut self, out: &mut [Vec<f32>]) {
        let whole = (u128::from(self.frames.0) * u128::from(self.to.rate) / u128::from(self.from.rate.max(1))) as u64;
        for (resampler, out) in self.resamplers.iter_mut().zip(out) {
            let missing = whole.saturating_sub(resampler.next_output()) as usize;
            let had = out.len();
            let input = resampler.needed_for(whole).max(0) as usize;
            push(resampler, &vec![0.0; input.saturating_sub(self.frames.0 as usize)], out);
            out.truncate(had + missing);
        }
        self.frames.1 = whole;
    }
}

fn push(resampler: &mut Resampler, channel: &[f32], out: &mut Vec<f32>) {
    for step in channel.chunks(STEP) {
        resampler.push(step);
        let had = out.len();
        out.resize(had + resampler.ready(), 0.0);
        let pulled = resampler.pull(&mut out[had..]);
        out.truncate(had + pulled);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use mynah_dsp::resample::resample_all;

    const RATES: [u32; 8] = [8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn blocks_of_any_length_give_what_the_whole_gives(from in 0usize..8, to in 0usize..8, cut in 1usize..5000, frames in 1usize..9000) {
            let (from, to) = (RATES[from], RATES[to]);
            let sound: Vec<f32> = (0..frames).map(|i| (i as f32 * 0.05).sin()).collect();
            let mut reshape = Reshape::new(Shape { rate: from, channels: 1 }, Shape { rate: to, channels: 2 });
            let mut out = vec![Vec::new(), Vec::new()];
            for block in sound.chunks(cut) {
                reshape.push(&[block], &mut out);
            }
            reshape.end(&mut out);
            prop_assert_eq!(&out[0], &out[1]);
            prop_assert_eq!(&out[0], &resample_all(&sound, from, to));
        }
    }
}
