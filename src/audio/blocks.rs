//! Sound that comes in blocks, wherever from, and the same as one channel at another rate. Knows no files.

use super::codecs::Shape;
use super::notes::Note;
use super::reshape::Reshape;
use super::{AudioError, Reader, Sound};
use mynah_dsp::downmix::Downmix;

/// Frames of a block of sound that is in memory.
const BLOCK: usize = 16_384;

/// A source of blocks.
pub trait Blocks {
    /// Samples a second.
    fn rate(&self) -> u32;
    /// How many channels there are.
    fn channels(&self) -> usize;
    /// Seconds that it will give, where that is known.
    fn seconds(&self) -> Option<f64>;
    /// The next block: one vector a channel, of equal length; `None` at the end.
    fn next_block(&mut self) -> Result<Option<Vec<Vec<f32>>>, AudioError>;
}

impl Blocks for Reader {
    fn rate(&self) -> u32 {
        Reader::rate(self)
    }

    fn channels(&self) -> usize {
        Reader::channels(self)
    }

    fn seconds(&self) -> Option<f64> {
        self.promised_seconds()
    }

    fn next_block(&mut self) -> Result<Option<Vec<Vec<f32>>>, AudioError> {
        Reader::next_block(self)
    }
}

/// Blocks of sound in memory.
#[derive(Debug)]
pub struct SoundBlocks<'a> {
    sound: &'a Sound,
    at: usize,
}

impl Sound {
    /// Its blocks.
    pub fn blocks(&self) -> SoundBlocks<'_> {
        SoundBlocks { sound: self, at: 0 }
    }
}

impl Blocks for SoundBlocks<'_> {
    fn rate(&self) -> u32 {
        self.sound.rate
    }

    fn channels(&self) -> usize {
        self.sound.channels.len()
    }

    fn seconds(&self) -> Option<f64> {
        Some(self.sound.seconds())
    }

    fn next_block(&mut self) -> Result<Option<Vec<Vec<f32>>>, AudioError> {
        let (from, to) = (self.at, (self.at + BLOCK).min(self.sound.frames()));
        self.at = to;
        Ok((from < to).then(|| self.sound.channels.iter().map(|c| c[from..to].to_vec()).collect()))
    }
}

/// One channel of what comes in blocks, at another rate.
pub struct Mono<'a> {
    blocks: &'a mut dyn Blocks,
    downmix: Downmix,
    reshape: Reshape,
    frames: u64,
    ended: bool,
}

impl<'a> Mono<'a> {
    /// At `rate` Hz.
    pub fn new(blocks: &'a mut dyn Blocks, rate: u32) -> Self {
        let from = Shape { rate: blocks.rate(), channels: 1 };
        let downmix = Downmix::of_sounding(blocks.channels(), from.rate);
        Self { blocks, downmix, reshape: Reshape::new(from, Shape { rate, channels: 1 }), frames: 0, ended: false }
    }

    /// Frames that were taken from the blocks so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// What the next block comes to; `None` at the end. May be empty.
    pub fn next_samples(&mut self) -> Result<Option<Vec<f32>>, AudioError> {
        let mut out = [Vec::new()];
        match self.blocks.next_block()? {
            Some(block) => {
                let frames = block.first().map_or(0, Vec::len);
                self.frames += frames as u64;
                let mixed: Vec<f32> = (0..frames).map(|i| self.downmix.frame(|k| block[k][i])).collect();
                self.reshape.push(&[&mixed], &mut out);
            }
            None if self.ended => return Ok(None),
            None => {
                self.ended = true;
                self.reshape.end(&mut out);
            }
        }
        let [out] = out;
        Ok(Some(out))
    }

    /// What must be said of the mixing.
    pub fn note(&self) -> Option<Note> {
        self.downmix.opposite_from().map(|at| Note::Opposite { at })
    }
}
