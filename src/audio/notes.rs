//! What a person must know about how a sound file was read: each a sentence. Knows no containers.

use std::fmt;

use serde::Serialize;

/// One thing that was missing, mended, estimated or chosen while a file was read. Times in seconds of the sound.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Note {
    /// The header doesn't say how long the sound is, as when a recorder was killed or wrote into a pipe: all there was
    /// was read.
    NoLength,
    /// The header or tag is wrong about the length.
    OtherLength {
        /// What it says.
        promised: f64,
        /// What is there.
        found: f64,
    },
    /// Packets are missing: silence stands for them.
    Hole {
        /// Where the first one begins.
        at: f64,
        /// How many there are.
        holes: usize,
        /// How long they are together.
        seconds: f64,
    },
    /// Sound begins later than the file: silence stands before it.
    LateStart {
        /// For how long.
        seconds: f64,
    },
    /// Packets could not be decoded: silence stands for them.
    Damaged {
        /// Where the first one is.
        at: f64,
        /// How many.
        packets: usize,
        /// What the decoder said of the first.
        why: String,
    },
    /// The file is several recordings in a row.
    Joined {
        /// How many.
        parts: usize,
    },
    /// Rate or channels change within the file; what follows was made as the beginning is.
    ChangedShape {
        /// Where first.
        at: f64,
    },
    /// The file ends in the middle of something.
    Unfinished,
    /// Samples that were no numbers became 0.
    NotNumbers {
        /// How many.
        samples: usize,
    },
    /// There are several tracks of sound, and one was read.
    Track {
        /// Which, from 1.
        read: usize,
        /// How many there are.
        of: usize,
        /// Why this one.
        why: &'static str,
    },
    /// Of a coding in two layers the lower was read.
    LowerBand {
        /// Up to which frequency in kHz.
        up_to_khz: f64,
    },
    /// FFmpeg read it, since Mynah can't.
    ByFfmpeg {
        /// What the file holds, as far as that is known.
        what: String,
    },
    /// The channels cancel each other out in their mean, so the louder one was heard.
    Opposite {
        /// Where first.
        at: f64,
    },
}

impl Note {
    /// Whether something of the sound is missing, replaced or estimated; else something was only chosen or recognised.
    pub fn is_loss(&self) -> bool {
        !matches!(
            self,
            Self::Track { .. }
                | Self::LateStart { .. }
                | Self::Joined { .. }
                | Self::ByFfmpeg { .. }
                | Self::Opposite { .. }
        )
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLength => {
                write!(
                    f,
                    "its header doesn't say how long it is (was the recorder stopped by force?); all that is there \
                     was read"
                )
            }
            Self::OtherLength { promised, found } => {
                write!(f, "its header says {promised:.1} s, but {found:.1} s are there; all of it was read")
            }
            Self::Hole { at, holes: 1, seconds } => {
                write!(f, "{seconds:.2} s of sound are missing at {at:.2} s; silence stands there")
            }
            Self::Hole { at, holes, seconds } => {
                write!(
                    f,
                    "sound is missing in {holes} places, first at {at:.2} s, {seconds:.2} s in all; silence stands \
                     there"
                )
            }
            Self::LateStart { seconds } => {
                write!(f, "its sound begins {seconds:.2} s after the file does; silence stands before it")
            }
            Self::Damaged { at, packets: 1, why } => {
                write!(f, "a packet at {at:.2} s can't be decoded ({why}); silence stands for it")
            }
            Self::Damaged { at, packets, why } => {
                write!(f, "{packets} packets can't be decoded, the first at {at:.2} s ({why}); silence stands for them")
            }
            Self::Joined { parts } => write!(f, "it is {parts} recordings in a row; all were read"),
            Self::ChangedShape { at } => {
                write!(f, "rate or channels change at {at:.2} s; what follows was made as the beginning is")
            }
            Self::Unfinished => {
                write!(f, "it ends without the mark of its end; if it was cut off, what is missing can't be known")
            }
            Self::NotNumbers { samples } => write!(f, "{samples} samples are no numbers; they became silence"),
            Self::Track { read, of, why } => {
                write!(f, "track {read} of {of} was read ({why}); choose another with --track")
            }
            Self::LowerBand { up_to_khz } => {
                write!(
                    f,
                    "it is HE-AAC, of which frequencies up to {up_to_khz:.0} kHz were read; for all of it convert it \
                     to wav first"
                )
            }
            Self::ByFfmpeg { what } => write!(f, "FFmpeg read it, since Mynah doesn't know what it holds ({what})"),
            Self::Opposite { at } => {
                write!(
                    f,
                    "its channels cancel each other out from {at:.2} s on (one is wired the wrong way round?); the \
                     louder one was heard"
                )
            }
        }
    }
}
