//! Wave files of every kind that recorders leave: RIFF, RF64, BW64 and Wave64, killed, piped, or with odd headers.
//! Finds the samples; knows no decoders but by their names.
//!
//! Microsoft and IBM 1991, "Multimedia Programming Interface and Data Specifications 1.0"; EBU Tech 3306 (RF64); ITU-R
//! BS.2088 (BW64); Sony Pictures Digital 2003 (Wave64). Why not a library's: of the readers for Rust none takes more
//! than half of these, and a wrong header must cost no sound.

use std::io::{self, Read, SeekFrom};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known as codec;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::io::MediaSource;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

/// Frames a packet of uncompressed sound.
const PACKET_FRAMES: u64 = 4096;
/// No fmt chunk is longer.
const LONGEST_FMT: u64 = 4096;
/// Recorders that don't know the length yet write this or more; so do programs that write into a pipe.
const PLACEHOLDER: u64 = 0x7FFF_F000;
/// Rates that a header may say, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 1..=1_536_000;
/// The GUID of a Wave64 chunk goes on behind its four letters like this, for chunks of the RIFF family and for those of
/// Sony's.
const GUID_RIFF: [u8; 12] = [0x2E, 0x91, 0xCF, 0x11, 0xA5, 0xD6, 0x28, 0xDB, 0x04, 0xC1, 0x00, 0x00];
const GUID_WAVE: [u8; 12] = [0xF3, 0xAC, 0xD3, 0x11, 0x8C, 0xD1, 0x00, 0xC0, 0x4F, 0x8E, 0xDB, 0x8A];

/// What is wrong with a header.
#[derive(Debug, thiserror::Error)]
pub enum RiffError {
    /// The file can't be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It says what can't be.
    #[error("{0}")]
    Header(String),
    /// A coding that Mynah lacks.
    #[error("{0}")]
    Codec(String),
}

/// What is known of the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// So many bytes.
    Bytes(u64),
    /// To the end of the file: the header says nothing that can be meant.
    ToTheEnd,
}

/// How the chunks of a file are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// 32-bit sizes; those of a `ds64` chunk where it has one.
    Riff,
    /// GUIDs and 64-bit sizes that count the chunk's own header; chunks begin at multiples of 8.
    Wave64,
}

/// The samples of a wave file, packet by packet.
pub struct Wave {
    source: Box<dyn MediaSource>,
    params: AudioCodecParameters,
    /// Bytes of a frame, or of a block where it is compressed; frames of that.
    block: (u64, u64),
    length: Length,
    /// Bytes that are really there.
    there: u64,
    at: u64,
    /// Where the next recording begins, if one was put behind this one.
    next: Option<u64>,
}

/// Whether a file begins as one of the family does.
pub fn begins(head: &[u8]) -> bool {
    let is = |at: usize, what: &[u8]| head.get(at..at + what.len()) == Some(what);
    ((is(0, b"RIFF") || is(0, b"RF64") || is(0, b"BW64")) && is(8, b"WAVE"))
        || (is(0, b"riff") && is(4, &GUID_RIFF) && is(24, b"wave"))
}

struct Chunk {
    name: [u8; 4],
    /// Of its content.
    size: u64,
}

impl Wave {
    /// Reads the header at `start` of the file. The source stands behind the sound's beginning then.
    pub fn open(mut source: Box<dyn MediaSource>, start: u64) -> Result<Self, RiffError> {
        let end = source.byte_len().unwrap_or(u64::MAX);
        let mut head = [0u8; 40];
        seek(&mut *source, start)?;
        source.read_exact(&mut head[..12])?;
        let layout = if &head[..4] == b"riff" { Layout::Wave64 } else { Layout::Riff };
        if layout == Layout::Wave64 {
            source.read_exact(&mut head[12..])?;
        }
        let mut at = start + if layout == Layout::Wave64 { 40 } else { 12 };
        let (mut format, mut long_data) = (None, None);
        loop {
            let Some(chunk) = read_chunk(&mut *source, layout)? else {
                return Err(RiffError::Header("it has no chunk of samples".to_owned()));
            };
            let content = at + if layout == Layout::Wave64 { 24 } else { 8 };
            match &chunk.name {
                b"fmt " => {
                    let mut bytes = vec![0; chunk.size.min(LONGEST_FMT) as usize];
                    source.read_exact(&mut bytes)?;
                    format = Some(Format::read(&bytes)?);
                }
                b"ds64" => {
                    let mut bytes = [0u8; 16];
                    source.read_exact(&mut bytes)?;
                    long_data = Some(u64_at(&bytes, 8));
                }
                b"data" => {
                    let format: Format =
                        format.ok_or_else(|| RiffError::Header("its samples come before their format".to_owned()))?;
                    let long = long_data.filter(|_| chunk.size >= u64::from(u32::MAX) || chunk.size == 0);
                    return Self::of(source, format, content, long.unwrap_or(chunk.size), end);
                }
                _ => {}
            }
            let step =
                if layout == Layout::Wave64 { chunk.size.next_multiple_of(8) } else { chunk.size + chunk.size % 2 };
            at = content
                .checked_add(step)
                .filter(|at| *at < end)
                .ok_or_else(|| RiffError::Header("its chunks go on behind its end".to_owned()))?;
            seek(&mut *source, at)?;
        }
    }

    fn of(
        mut source: Box<dyn MediaSource>,
        format: Format,
        content: u64,
        size: u64,
        end: u64,
    ) -> Result<Self, RiffError> {
        let left = end.saturating_sub(content);
        let placeholder =
            size >= PLACEHOLDER && size > left || size == 0 && left > 0 && !chunks_follow(&mut *source, content, end)?;
        let length = if placeholder || end == u64::MAX { Length::ToTheEnd } else { Length::Bytes(size) };
        let there = match length {
            Length::ToTheEnd => left,
            Length::Bytes(size) => size.min(left),
        };
        let behind = content.saturating_add(there).saturating_add(there % 2);
        let mut next = None;
        if length != Length::ToTheEnd && behind.saturating_add(44) <= end {
            let mut head = [0u8; 28];
            seek(&mut *source, behind)?;
            next = (source.read_exact(&mut head).is_ok() && begins(&head)).then_some(behind);
        }
        if end != u64::MAX {
            seek(&mut *source, content)?;
        }
        Ok(Self { source, params: format.params, block: format.block, length, there, at: 0, next })
    }

    /// What the decoder must know.
    pub fn params(&self) -> &AudioCodecParameters {
        &self.params
    }

    /// Frames that the header promises; `None` where it says nothing.
    pub fn promised_frames(&self) -> Option<u64> {
        match self.length {
            Length::Bytes(bytes) => Some(bytes / self.block.0 * self.block.1),
            Length::ToTheEnd => None,
        }
    }

    /// Where another recording begins behind this one, as `cat a.wav b.wav` leaves it.
    pub fn next_recording(&self) -> Option<u64> {
        self.next
    }

    /// The next packet; `None` at the end.
    pub fn next_packet(&mut self) -> io::Result<Option<Packet>> {
        let (bytes, frames) = self.block;
        let blocks = (PACKET_FRAMES / frames).max(1);
        let want = (blocks * bytes).min(self.there.saturating_sub(self.at));
        let mut data = Vec::with_capacity(want as usize);
        (&mut self.source).take(want).read_to_end(&mut data)?;
        // A killed recorder may have written a part of a frame.
        data.truncate(data.len() - data.len() % bytes as usize);
        if data.is_empty() {
            return Ok(None);
        }
        let (first, count) = (self.at / bytes * frames, data.len() as u64 / bytes * frames);
        self.at += data.len() as u64;
        Ok(Some(Packet::new(0, Timestamp::new(first as i64), Duration::new(count), data)))
    }
}

fn seek(source: &mut dyn MediaSource, to: u64) -> io::Result<()> {
    if source.is_seekable() {
        return source.seek(SeekFrom::Start(to)).map(|_| ());
    }
    // A pipe: only onwards.
    let here = source.stream_position()?;
    let ahead = to.checked_sub(here).ok_or_else(|| io::Error::from(io::ErrorKind::NotSeekable))?;
    io::copy(&mut source.take(ahead), &mut io::sink()).map(|_| ())
}

fn read_chunk(source: &mut dyn MediaSource, layout: Layout) -> io::Result<Option<Chunk>> {
    let mut head = [0u8; 24];
    let length = if layout == Layout::Wave64 { 24 } else { 8 };
    match source.read_exact(&mut head[..length]) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let name = [head[0], head[1], head[2], head[3]];
    let size = match layout {
        Layout::Riff => u64::from(u32_at(&head, 4)),
        Layout::Wave64 if head[4..16] == GUID_WAVE || head[4..16] == GUID_RIFF => u64_at(&head, 16).saturating_sub(24),
        Layout::Wave64 => return Ok(Some(Chunk { name: *b"\0\0\0\0", size: u64_at(&head, 16).saturating_sub(24) })),
    };
    Ok(Some(Chunk { name, size }))
}

/// Whether well-formed chunks fill the file from here to its end, so that the data chunk before them is meant to be
/// empty.
fn chunks_follow(source: &mut dyn MediaSource, mut at: u64, end: u64) -> io::Result<bool> {
    while at + 8 <= end {
        seek(source, at)?;
        let Some(chunk) = read_chunk(source, Layout::Riff)? else { break };
        if !chunk.name.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
            return Ok(false);
        }
        at += 8 + chunk.size + chunk.size % 2;
    }
    Ok(at == end || at == end + 1)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The content of a fmt chunk.
struct Format {
    params: AudioCodecParameters,
    block: (u64, u64),
}

impl Format {
    fn read(bytes: &[u8]) -> Result<Self, RiffError> {
        let wrong = |what: String| RiffError::Header(what);
        if bytes.len() < 16 {
            return Err(wrong(format!("its fmt chunk has {} bytes", bytes.len())));
        }
        let (mut tag, channels, rate) = (u16_at(bytes, 0), u16_at(bytes, 2), u32_at(bytes, 4));
        let (align, bits) = (u16_at(bytes, 12), u16_at(bytes, 14));
        if tag == 0xFFFE && bytes.len() >= 26 {
            // Extensible: the first two bytes of the GUID are the tag.
            tag = u16_at(bytes, 24);
        }
        if channels == 0 {
            return Err(wrong("it has no channels".to_owned()));
        }
        if !RATES.contains(&rate) {
            return Err(wrong(format!("its header says {rate} samples a second")));
        }
        // Samples stand in whole bytes, so wide as the frame says; unused bits are the lower ones.
        let width = if align != 0 && align % channels == 0 { align / channels } else { bits.div_ceil(8) };
        let (codec, frames) = Self::codec(tag, bits, width, bytes)?;
        let bytes_a_block = if frames > 1 { u64::from(align) } else { u64::from(width) * u64::from(channels) };
        if bytes_a_block == 0 {
            return Err(wrong("its frames have no bytes".to_owned()));
        }
        let mut params = AudioCodecParameters::new();
        params
            .for_codec(codec)
            .with_sample_rate(rate)
            // Speaker positions are nobody's business here, and a mask of 0 is as good as any.
            .with_channels(Channels::Discrete(channels))
            .with_max_frames_per_packet(PACKET_FRAMES.max(frames))
            .with_frames_per_block(frames);
        Ok(Self { params, block: (bytes_a_block, frames) })
    }

    /// The decoder's name and the frames a block.
    fn codec(tag: u16, bits: u16, width: u16, bytes: &[u8]) -> Result<(AudioCodecId, u64), RiffError> {
        let per_block = if bytes.len() >= 20 { u64::from(u16_at(bytes, 18)) } else { 0 };
        let codec = match (tag, width) {
            (1, 1) => codec::CODEC_ID_PCM_U8,
            (1, 2) => codec::CODEC_ID_PCM_S16LE,
            (1, 3) => codec::CODEC_ID_PCM_S24LE,
            (1, 4) => codec::CODEC_ID_PCM_S32LE,
            (3, 4) => codec::CODEC_ID_PCM_F32LE,
            (3, 8) => codec::CODEC_ID_PCM_F64LE,
            (6, 1) => codec::CODEC_ID_PCM_ALAW,
            (7, 1) => codec::CODEC_ID_PCM_MULAW,
            (2, _) if per_block > 0 => return Ok((codec::CODEC_ID_ADPCM_MS, per_block)),
            (0x11, _) if per_block > 0 => return Ok((codec::CODEC_ID_ADPCM_IMA_WAV, per_block)),
            _ => return Err(RiffError::Codec(format!("wave format {tag:#06x} of {bits} bits"))),
        };
        Ok((codec, 1))
    }
}
