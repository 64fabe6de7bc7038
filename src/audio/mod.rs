//! Sound files: decoding whatever a podcaster has, and writing wav.
//!
//! Knows nothing of models or threads. Any thread but the audio thread: everything here reads or writes files.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use read::read_from;
pub use read::{Notes, read, read_with_notes};
pub use write::write_whole;
pub use write::{Depth, write_wav, write_wav_as};

use std::path::PathBuf;

/// Decoded sound: one vector a channel, all of the same length, ±1.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// Channels in the file's order.
    pub channels: Vec<Vec<f32>>,
}

impl Sound {
    /// The mean of all channels.
    pub fn mono(&self) -> Vec<f32> {
        match self.channels.as_slice() {
            [] => Vec::new(),
            [one] => one.clone(),
            many => {
                let scale = 1.0 / many.len() as f32;
                (0..self.frames()).map(|i| many.iter().map(|c| c.get(i).copied().unwrap_or(0.0)).sum::<f32>() * scale).collect()
            }
        }
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
    #[error("`{path}` is no sound file that Mynah can read ({why}); give a wav, flac, mp3, ogg vorbis or m4a file")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        why: String,
    },
    /// A known container with sound in a codec that Mynah lacks.
    #[error("the sound in `{path}` is coded in a way that Mynah can't decode ({codec}); convert it to wav or flac first")]
    Codec {
        /// The file.
        path: PathBuf,
        /// The codec, as the container names it.
        codec: String,
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
