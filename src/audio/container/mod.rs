//! What a file is: its tracks, and packets with their times, whatever the container. Knows no decoders.

pub mod edits;
pub mod mpeg;
pub mod riff;

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::{
    FORMAT_ID_ISOMP4, FORMAT_ID_MKV, FORMAT_ID_MP1, FORMAT_ID_MP2, FORMAT_ID_MP3, FORMAT_ID_OGG,
};
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackFlags};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia::core::units::TimeBase;

use riff::{RiffError, Wave};

/// Where the bytes of a sound file are; opened as often as needed.
#[derive(Debug, Clone)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// Bytes in memory.
    Bytes(Arc<[u8]>),
}

impl Input {
    /// The bytes from the beginning.
    pub fn open(&self) -> io::Result<Box<dyn MediaSource>> {
        Ok(match self {
            Self::File(path) => Box::new(std::fs::File::open(path)?),
            Self::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
        })
    }

    /// A part of them, as if it were a file.
    pub fn section(&self, (from, to): (u64, u64)) -> io::Result<Box<dyn MediaSource>> {
        let mut source = self.open()?;
        source.seek(SeekFrom::Start(from))?;
        Ok(Box::new(Section { source, from, to, at: from }))
    }
}

struct Section {
    source: Box<dyn MediaSource>,
    from: u64,
    to: u64,
    at: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.to - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.source.read(&mut buffer[..most])?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Section {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let wanted = match to {
            SeekFrom::Start(n) => i128::from(self.from) + i128::from(n),
            SeekFrom::Current(n) => i128::from(self.at) + i128::from(n),
            SeekFrom::End(n) => i128::from(self.to) + i128::from(n),
        };
        let wanted = wanted.clamp(i128::from(self.from), i128::from(self.to)) as u64;
        self.at = self.source.seek(SeekFrom::Start(wanted))?;
        Ok(self.at - self.from)
    }
}

impl MediaSource for Section {
    fn is_seekable(&self) -> bool {
        self.source.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.to - self.from)
    }
}

/// The kinds of containers that are treated differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RIFF and its kin.
    Wave,
    /// MPEG audio without a container.
    Mpeg,
    /// MP4, M4A, QuickTime.
    Mp4,
    /// Matroska and WebM.
    Matroska,
    /// Ogg.
    Ogg,
    /// FLAC, AIFF, CAF, ADTS and others that hold one track from 0 on.
    Plain,
}

/// An open file.
pub enum Container {
    /// Read here.
    Wave(Box<Wave>),
    /// Read by symphonia.
    Media(Box<dyn FormatReader>),
}

/// What is known of a track of sound before it is decoded.
#[derive(Debug, Clone)]
pub struct SoundTrack {
    /// How the container calls it.
    pub id: u32,
    /// What the decoder must know.
    pub params: AudioCodecParameters,
    /// Seconds a tick of its times.
    pub time_base: Option<TimeBase>,
    /// Ticks of the coder's delay that its times count as sound.
    pub delay: i64,
    /// Seconds that the container promises.
    pub promised: Option<f64>,
    /// Its language, where it is told.
    pub language: Option<String>,
    /// Whether the container calls it the one to play.
    pub default: bool,
}

/// Why a file can't be opened.
#[derive(Debug)]
pub enum ProbeError {
    /// No format that is known, or a broken header: what the reader said.
    Format(String),
    /// A known format with a coding that is not.
    Codec(String),
}

impl Container {
    /// Opens what begins at the source's beginning.
    pub fn open(mut source: Box<dyn MediaSource>, extension: Option<&str>) -> Result<(Self, Kind), ProbeError> {
        let mut head = Vec::new();
        let format = |e: &dyn std::fmt::Display| ProbeError::Format(e.to_string());
        (&mut source).take(64).read_to_end(&mut head).map_err(|e| format(&e))?;
        source.seek(SeekFrom::Start(0)).map_err(|e| format(&e))?;
        if riff::begins(&head) {
            return match Wave::open(source, 0) {
                Ok(wave) => Ok((Self::Wave(Box::new(wave)), Kind::Wave)),
                Err(RiffError::Codec(what)) => Err(ProbeError::Codec(what)),
                Err(e) => Err(format(&e)),
            };
        }
        let mut hint = Hint::new();
        if let Some(extension) = extension {
            hint.with_extension(extension);
        }
        let stream = MediaSourceStream::new(source, Default::default());
        let media = symphonia::default::get_probe()
            .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|e| ProbeError::Format(super::reader::one_line(&e)))?;
        let kind = match media.format_info().format {
            FORMAT_ID_MP1 | FORMAT_ID_MP2 | FORMAT_ID_MP3 => Kind::Mpeg,
            FORMAT_ID_ISOMP4 => Kind::Mp4,
            FORMAT_ID_MKV => Kind::Matroska,
            FORMAT_ID_OGG => Kind::Ogg,
            _ => Kind::Plain,
        };
        Ok((Self::Media(media), kind))
    }

    /// Its tracks of sound.
    pub fn tracks(&self) -> Vec<SoundTrack> {
        match self {
            Self::Wave(wave) => {
                let params = wave.params().clone();
                let rate = params.sample_rate.unwrap_or(1);
                let promised = wave.promised_frames().map(|n| n as f64 / f64::from(rate));
                let time_base = TimeBase::try_from_recip(rate);
                vec![SoundTrack { id: 0, params, time_base, delay: 0, promised, language: None, default: true }]
            }
            Self::Media(media) => {
                let ogg = media.format_info().format == FORMAT_ID_OGG;
                media.tracks().iter().filter_map(|t| sound_track(t, ogg)).collect()
            }
        }
    }

    /// Tracks of any kind.
    pub fn all_tracks(&self) -> usize {
        match self {
            Self::Wave(_) => 1,
            Self::Media(media) => media.tracks().len(),
        }
    }

    /// Seconds a tick of a track's times, of any kind.
    pub fn time_base(&self, id: u32) -> Option<TimeBase> {
        match self {
            Self::Wave(wave) => wave.params().sample_rate.and_then(TimeBase::try_from_recip),
            Self::Media(media) => media.tracks().iter().find(|t| t.id == id)?.time_base,
        }
    }

    /// The next packet of any track; `None` at the end.
    pub fn next_packet(&mut self) -> Result<Option<Packet>, Error> {
        match self {
            Self::Wave(wave) => Ok(wave.next_packet()?),
            Self::Media(media) => media.next_packet(),
        }
    }
}

fn sound_track(track: &Track, ogg: bool) -> Option<SoundTrack> {
    let params = track.codec_params.as_ref()?.audio()?.clone();
    let ticks = track.duration.zip(track.time_base).map(|(d, base)| seconds(d.get() as i64, base));
    let frames =
        track.num_frames.zip(params.sample_rate.filter(|r| *r > 0)).map(|(n, rate)| n as f64 / f64::from(rate));
    // Positions of Opus in Ogg count the samples that are skipped at the beginning (RFC 7845, 4.3); symphonia hands
    // them on as they are.
    let counted = ogg && params.codec == CODEC_ID_OPUS;
    Some(SoundTrack {
        id: track.id,
        delay: if counted { i64::from(track.delay.unwrap_or(0)) } else { 0 },
        time_base: track.time_base,
        promised: frames.or(ticks),
        language: track.language.clone().filter(|l| l != "und"),
        default: track.flags.contains(TrackFlags::DEFAULT),
        params,
    })
}

/// Seconds of so many ticks.
pub fn seconds(ticks: i64, base: TimeBase) -> f64 {
    ticks as f64 * f64::from(base.numer.get()) / f64::from(base.denom.get())
}

/// Frames of so many ticks at a rate, to the nearest.
pub fn frames(ticks: i64, base: TimeBase, rate: u32) -> i64 {
    let (n, d) = (i128::from(ticks) * i128::from(base.numer.get()) * i128::from(rate), i128::from(base.denom.get()));
    ((2 * n + d).div_euclid(2 * d)).clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}
