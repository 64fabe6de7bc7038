//! Sound files: reading whatever a podcaster has, block by block, and writing wav.
//!
//! ```text
//! file ─ container ─ packets ─ codecs ─ samples ─ timeline ─ Reader ─ blocks
//! ```
//! Knows nothing of models or threads. Any thread but the audio thread: everything here reads or writes files.

mod blocks;
mod codecs;
mod container;
mod ffmpeg;
mod notes;
mod opus;
mod reader;
mod reshape;
#[cfg(test)]
mod tests;
mod timeline;
mod write;

pub use blocks::{Blocks, Mono, SoundBlocks};
pub use codecs::Shape;
pub use notes::Note;
pub use reader::{Choice, Reader, TrackInfo};
pub use reshape::Reshape;
pub use write::{Depth, Format, Writer, write_wav, write_wav_as};

use std::path::{Path, PathBuf};

use mynah_dsp::downmix::Downmix;

/// Decoded sound: one vector a channel, all of the same length, ±1.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// Channels in the file's order.
    pub channels: Vec<Vec<f32>>,
}

/// Reads a whole file into memory: for references and other short recordings. Fails as [`Reader`] does.
pub fn read(path: &Path) -> Result<Sound, AudioError> {
    Sound::of(Reader::open(path)?)
}

impl Sound {
    /// All that a reader gives.
    pub fn of(reader: Reader) -> Result<Sound, AudioError> {
        Self::beginning(reader, f64::INFINITY)
    }

    /// What a reader gives first, up to the block in which so many seconds are over.
    pub fn beginning(mut reader: Reader, seconds: f64) -> Result<Sound, AudioError> {
        let mut channels: Vec<Vec<f32>> = vec![Vec::new(); reader.channels()];
        let most = seconds * f64::from(reader.rate());
        while (channels[0].len() as f64) < most
            && let Some(block) = reader.next_block()?
        {
            channels.iter_mut().zip(block).for_each(|(all, new)| all.extend_from_slice(&new));
        }
        Ok(Sound { rate: reader.rate(), channels })
    }

    /// One channel: the mean, unless the channels cancel each other out in it; of more than two those that are silent
    /// don't count.
    pub fn mono(&self) -> Vec<f32> {
        let mut mix = Downmix::of_sounding(self.channels.len(), self.rate);
        (0..self.frames()).map(|i| mix.frame(|k| self.channels[k].get(i).copied().unwrap_or(0.0))).collect()
    }

    /// Its length in seconds.
    pub fn seconds(&self) -> f64 {
        self.frames() as f64 / self.rate.max(1) as f64
    }

    /// Samples a channel.
    pub fn frames(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }
}

/// What can go wrong with a sound file.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file can't be opened or read.
    #[error("the sound file `{path}` can't be read: {why}; check the path and its permissions")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A folder stands there.
    #[error("`{0}` is a folder, not a sound file; name a file in it")]
    Folder(PathBuf),
    /// There is no sound in it.
    #[error("the sound file `{0}` is empty; choose a file that holds sound")]
    Empty(PathBuf),
    /// No format that Mynah knows.
    #[error(
        "`{path}` is no sound file that Mynah can read ({why}); give a wav, flac, mp3, ogg, m4a, mkv or webm file, or \
         install FFmpeg, through which Mynah reads nearly all others"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        why: String,
    },
    /// A known container with sound in a codec that Mynah lacks.
    #[error(
        "the sound in `{path}` is coded in a way that Mynah can't decode ({codec}); install FFmpeg, through which \
         Mynah reads it, or convert it to wav or flac first"
    )]
    Codec {
        /// The file.
        path: PathBuf,
        /// The codec, as the container names it.
        codec: String,
    },
    /// There is no such track.
    #[error("`{path}` has {there} tracks of sound, so there is no track {wanted}; choose one from 1 to {there}")]
    NoTrack {
        /// The file.
        path: PathBuf,
        /// Which was asked for, from 1.
        wanted: usize,
        /// How many there are.
        there: usize,
    },
    /// The file ends before its header says it should.
    #[error("the sound file `{path}` ends after {found:.1} s of {expected:.1} s; copy or download it again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Seconds that could be decoded.
        found: f64,
        /// Seconds that the header promises.
        expected: f64,
    },
    /// Too much of it can't be decoded.
    #[error("the sound file `{path}` is damaged at {seconds:.1} s ({why}); copy or download it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        seconds: f64,
        /// What the decoder said.
        why: String,
    },
    /// A file can't be written.
    #[error("the file `{path}` can't be written: {why}; check that its folder exists, may be written to, and has room")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// What shall be written is no sound a wav file can hold.
    #[error("this sound can't be written to `{path}`: {why}; shorten or mix it down first")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}
