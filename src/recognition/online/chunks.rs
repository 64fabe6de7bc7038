//! Cuts a stream of sound into the overlapping chunks of features that a cached encoder takes. Knows no model.

use mynah_dsp::fbank::{Fbank, HOP};

/// Frames of a chunk, and from one to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkSize {
    pub(super) frames: usize,
    pub(super) step: usize,
    /// Frames at a chunk's end that are only understood with the next one.
    pub(super) behind: usize,
}

/// The longest chunk: a minute. One that nobody would wait for is a mistake in a file.
const MOST_FRAMES: usize = 6_000;
/// Bands that a filterbank may have.
const BANDS: std::ops::RangeInclusive<i64> = 1..=512;

/// The bands that a file tells, or what is wrong with them.
pub(super) fn bands_of(told: i64) -> Result<usize, String> {
    if BANDS.contains(&told) {
        Ok(told as usize)
    } else {
        Err(format!("{told}, where {} to {} are possible", BANDS.start(), BANDS.end()))
    }
}

impl ChunkSize {
    /// Of sizes that a file tells; else what is wrong with them.
    pub(super) fn new(frames: usize, step: usize, behind: usize) -> Result<Self, String> {
        if (1..=frames).contains(&step) && frames <= MOST_FRAMES && behind <= frames {
            return Ok(Self { frames, step, behind });
        }
        Err(format!("chunks of {frames} frames that begin {step} apart, where 1 to {MOST_FRAMES} are possible"))
    }
}

/// Sound in, chunks out.
pub(super) struct Chunks {
    size: ChunkSize,
    bank: Fbank,
    /// Frames that a chunk still needs; the first is number `from`.
    features: Vec<f32>,
    from: usize,
    /// Samples pushed so far, without the silence at the end.
    pushed: usize,
}

impl Chunks {
    pub(super) fn new(size: ChunkSize, bank: Fbank) -> Self {
        Self { size, bank, features: Vec::new(), from: 0, pushed: 0 }
    }

    pub(super) fn reset(&mut self) {
        self.bank.reset();
        self.features.clear();
        (self.from, self.pushed) = (0, 0);
    }

    pub(super) fn push(&mut self, samples: &[f32]) {
        self.pushed += samples.len();
        self.bank.push(samples, &mut self.features);
    }

    /// Puts so much silence behind the sound that its last frame begins a chunk, and what that leaves to the next one
    /// is understood too.
    pub(super) fn finish(&mut self) {
        self.bank
            .push(&vec![0.0; (self.size.frames + self.size.behind + self.bank.late() + 1) * HOP], &mut self.features);
        self.bank.finish(&mut self.features);
    }

    /// The next chunk, as `frames × bands` numbers, and the number of its first frame. A chunk waits for one frame more
    /// than it has, as in sherpa-onnx.
    pub(super) fn next(&mut self, chunk: &mut Vec<f32>) -> Option<usize> {
        let (frames, step, bands) = (self.size.frames, self.size.step, self.bank.bands());
        if self.features.len() / bands <= frames {
            return None;
        }
        chunk.clear();
        chunk.extend_from_slice(&self.features[..frames * bands]);
        self.features.drain(..step * bands);
        self.from += step;
        Some(self.from - step)
    }

    /// Seconds of sound that were understood in chunks that were taken: what follows is in later ones.
    pub(super) fn heard(&self) -> f64 {
        (self.from.saturating_sub(self.size.behind) * HOP).min(self.pushed) as f64 / 16_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_dsp::fbank::Recipe;

    #[test]
    fn chunks_overlap_and_all_sound_is_in_them() {
        let mut chunks = Chunks::new(ChunkSize { frames: 45, step: 32, behind: 0 }, Fbank::new(Recipe::Icefall, 80));
        let (mut chunk, mut firsts) = (Vec::new(), Vec::new());
        for block in [0.1f32; 16_000].chunks(700) {
            chunks.push(block);
            while let Some(first) = chunks.next(&mut chunk) {
                assert_eq!(chunk.len(), 45 * 80);
                firsts.push(first);
            }
        }
        assert_eq!(firsts, [0, 32], "the third would end with frame 109 of 100");
        assert_eq!(chunks.heard(), 0.64);
        chunks.finish();
        while let Some(first) = chunks.next(&mut chunk) {
            firsts.push(first);
        }
        assert_eq!(firsts, [0, 32, 64, 96]);
        assert_eq!(chunks.heard(), 1.0);
        chunks.reset();
        assert_eq!((chunks.next(&mut chunk), chunks.heard()), (None, 0.0));
    }

    #[test]
    fn what_is_left_to_the_next_chunk_is_heard_with_it() {
        for samples in [0, 1, 9_000, 16_000, 16_137] {
            let mut chunks =
                Chunks::new(ChunkSize { frames: 61, step: 60, behind: 18 }, Fbank::new(Recipe::FunAsr, 80));
            let mut chunk = Vec::new();
            chunks.push(&vec![0.1f32; samples]);
            while chunks.next(&mut chunk).is_some() {}
            let whole = if samples < 16_000 { 0.0 } else { 0.42 };
            assert_eq!(chunks.heard(), whole, "one of 60 frames, less 18");
            chunks.finish();
            while chunks.next(&mut chunk).is_some() {}
            assert_eq!(chunks.heard(), samples as f64 / 16_000.0);
        }
    }
}
