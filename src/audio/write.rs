//! Writing sound files block by block. Knows no engine.

use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, StreamInfo};
use flacenc::error::{Verified, Verify};
use flacenc::source::{Context, Fill, FrameBuf};

use mynah_files::write_whole;

use super::{AudioError, Shape, Sound};

/// How samples are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// 16-bit integers.
    Int16,
    /// 24-bit integers.
    Int24,
    /// 32-bit floats; nothing is lost.
    #[default]
    Float32,
}

impl Depth {
    fn bits(self) -> u16 {
        match self {
            Depth::Int16 => 16,
            Depth::Int24 => 24,
            Depth::Float32 => 32,
        }
    }
}

/// What kind of file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Wave; RF64 where it becomes longer than 4 GB.
    Wav(Depth),
    /// FLAC, of 16 or 24 bits.
    Flac(Depth),
}

impl Format {
    /// What a file's name asks for: `.wav` or `.flac`; FLAC of 24 bits where floats were asked for, which it has not.
    pub fn of(path: &Path, depth: Depth) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match (ending.as_str(), depth) {
            ("wav" | "wave", depth) => Some(Self::Wav(depth)),
            ("flac", Depth::Int16) => Some(Self::Flac(Depth::Int16)),
            ("flac", _) => Some(Self::Flac(Depth::Int24)),
            _ => None,
        }
    }

    /// Bytes that so many seconds of sound will take; of FLAC half of what they are unpacked, as speech does.
    pub fn bytes(self, shape: Shape, seconds: f64) -> u64 {
        let of = |depth: Depth| f64::from(shape.rate) * shape.channels as f64 * f64::from(depth.bits() / 8) * seconds;
        match self {
            Self::Wav(depth) => of(depth) as u64,
            Self::Flac(depth) => (of(depth) / 2.0) as u64,
        }
    }
}

/// Frames of a FLAC block.
const FLAC_BLOCK: usize = 4096;
/// Channels that FLAC can hold, and its highest rate in Hz.
const FLAC_MOST: (usize, u32) = (8, 655_350);
/// Bytes of samples that the 32-bit sizes of a wave file can tell, with room for the header.
const RIFF_MOST: u64 = u32::MAX as u64 - 4096;
/// Content of the chunk that is kept free for the sizes of RF64 (EBU Tech 3306).
const DS64: u32 = 28;

/// A sound file that is being written. It is complete after [`Writer::finish`] only.
pub struct Writer<W: Write + Seek> {
    out: BufWriter<W>,
    shape: Shape,
    frames: u64,
    clipped: u64,
    kind: Kind,
    bytes: Vec<u8>,
    /// Bytes of samples from which on RF64 is needed.
    riff_most: u64,
}

enum Kind {
    Wav { depth: Depth, data: u64 },
    Flac { depth: Depth, encoder: Box<Flac> },
}

struct Flac {
    config: Verified<flacenc::config::Encoder>,
    info: StreamInfo,
    context: Context,
    /// Interleaved samples that are no whole block yet.
    waiting: Vec<i32>,
    frame: usize,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a file. Fails with a reason where the format can't hold such sound, and where nothing can be written.
    pub fn new(out: W, shape: Shape, format: Format) -> std::io::Result<Self> {
        let wrong = |why: String| std::io::Error::new(std::io::ErrorKind::InvalidInput, why);
        if shape.channels == 0 || shape.channels > usize::from(u16::MAX) || shape.rate == 0 {
            return Err(wrong("it has no channels, too many, or no rate".to_owned()));
        }
        let kind = match format {
            Format::Wav(depth) => Kind::Wav { depth, data: 0 },
            Format::Flac(_) if shape.channels > FLAC_MOST.0 || shape.rate > FLAC_MOST.1 => {
                return Err(wrong(format!(
                    "FLAC holds up to 8 channels and 655,350 Hz, not {} at {} Hz",
                    shape.channels, shape.rate
                )));
            }
            Format::Flac(depth) => Kind::Flac { depth, encoder: Box::new(Flac::new(shape, depth).map_err(wrong)?) },
        };
        let mut writer = Self {
            out: BufWriter::new(out),
            shape,
            frames: 0,
            clipped: 0,
            kind,
            bytes: Vec::new(),
            riff_most: RIFF_MOST,
        };
        writer.header()?;
        Ok(writer)
    }

    /// Frames that were written so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Samples above full scale that integers can't hold, and that were held there.
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// Writes a block: one slice a channel, of equal length.
    pub fn write(&mut self, block: &[&[f32]]) -> std::io::Result<()> {
        let frames = block.first().map_or(0, |c| c.len());
        if block.len() != self.shape.channels || block.iter().any(|c| c.len() != frames) {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "its channels differ in length"));
        }
        let clipped = &mut self.clipped;
        let mut whole = |x: f32, bits: u16| {
            let full = (1i64 << (bits - 1)) as f64;
            let y = (f64::from(x) * full).round();
            *clipped += u64::from(y > full || y < -full);
            y.clamp(-full, full - 1.0) as i32
        };
        self.bytes.clear();
        match &mut self.kind {
            Kind::Wav { depth, data } => {
                for i in 0..frames {
                    for channel in block {
                        match depth {
                            Depth::Float32 => self.bytes.extend(channel[i].to_le_bytes()),
                            Depth::Int24 => self.bytes.extend(&whole(channel[i], 24).to_le_bytes()[..3]),
                            Depth::Int16 => self.bytes.extend((whole(channel[i], 16) as i16).to_le_bytes()),
                        }
                    }
                }
                *data += self.bytes.len() as u64;
                self.out.write_all(&self.bytes)?;
            }
            Kind::Flac { depth, encoder } => {
                for i in 0..frames {
                    encoder.waiting.extend(block.iter().map(|c| whole(c[i], depth.bits())));
                }
                encoder.encode(self.shape.channels, false, &mut self.out)?;
            }
        }
        self.frames += frames as u64;
        Ok(())
    }

    /// Writes what is still held back and the sizes, and gives back what was written to.
    pub fn finish(mut self) -> std::io::Result<W> {
        match &mut self.kind {
            Kind::Wav { data, .. } => {
                if *data % 2 == 1 {
                    self.out.write_all(&[0])?;
                }
            }
            Kind::Flac { encoder, .. } => {
                encoder.encode(self.shape.channels, true, &mut self.out)?;
                encoder.info.set_md5_digest(&encoder.context.md5_digest());
                encoder.info.set_total_samples(usize::try_from(self.frames).unwrap_or(0));
            }
        }
        self.out.seek(SeekFrom::Start(0))?;
        self.header()?;
        self.out.into_inner().map_err(|e| e.into_error())
    }

    /// The header for what was written so far, always of the same length.
    fn header(&mut self) -> std::io::Result<()> {
        let mut head = Vec::new();
        match &self.kind {
            Kind::Wav { depth, data } => {
                let (channels, bits) = (self.shape.channels as u16, depth.bits());
                let align = channels.wrapping_mul(bits / 8);
                let long = *data > self.riff_most;
                let floats = *depth == Depth::Float32;
                // Up to two channels of 16 bits as every program reads them; else the extensible kind, without speaker
                // positions, which nobody knows here.
                let extensible = channels > 2 || bits == 24;
                let format: u32 = if extensible { 40 } else { 16 };
                let fact: u32 = if floats { 12 } else { 0 };
                let all = 4 + 8 + u64::from(DS64) + 8 + u64::from(format) + u64::from(fact) + 8 + data + data % 2;
                let size = |n: u64| if long { u32::MAX } else { n as u32 };
                head.extend(if long { b"RF64" } else { b"RIFF" });
                head.extend(size(all).to_le_bytes());
                head.extend(b"WAVE");
                head.extend(if long { b"ds64" } else { b"JUNK" });
                head.extend(DS64.to_le_bytes());
                if long {
                    head.extend(all.to_le_bytes());
                    head.extend(data.to_le_bytes());
                    head.extend(self.frames.to_le_bytes());
                    head.extend(0u32.to_le_bytes());
                } else {
                    head.extend([0; DS64 as usize]);
                }
                head.extend(b"fmt ");
                head.extend(format.to_le_bytes());
                let tag: u16 = if floats { 3 } else { 1 };
                head.extend(if extensible { 0xFFFE } else { tag }.to_le_bytes());
                head.extend(channels.to_le_bytes());
                head.extend(self.shape.rate.to_le_bytes());
                head.extend(self.shape.rate.wrapping_mul(u32::from(align)).to_le_bytes());
                head.extend(align.to_le_bytes());
                head.extend(bits.to_le_bytes());
                if extensible {
                    head.extend(22u16.to_le_bytes());
                    head.extend(bits.to_le_bytes());
                    head.extend(0u32.to_le_bytes());
                    head.extend(tag.to_le_bytes());
                    head.extend([0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71]);
                }
                if floats {
                    head.extend(b"fact");
                    head.extend(4u32.to_le_bytes());
                    head.extend(u32::try_from(self.frames).unwrap_or(u32::MAX).to_le_bytes());
                }
                head.extend(b"data");
                head.extend(size(*data).to_le_bytes());
            }
            Kind::Flac { encoder, .. } => {
                head.extend(b"fLaC");
                let mut sink = ByteSink::new();
                encoder.info.write(&mut sink).map_err(|e| std::io::Error::other(e.to_string()))?;
                let info = sink.as_slice();
                // The last and only block of metadata, of kind 0.
                head.extend([0x80, 0, 0, info.len() as u8]);
                head.extend(info);
            }
        }
        self.out.write_all(&head)
    }
}

impl Flac {
    fn new(shape: Shape, depth: Depth) -> Result<Self, String> {
        let config = flacenc::config::Encoder::default().into_verified().map_err(|(_, e)| e.to_string())?;
        let bits = usize::from(depth.bits());
        let mut info = StreamInfo::new(shape.rate as usize, shape.channels, bits).map_err(|e| e.to_string())?;
        info.set_block_sizes(FLAC_BLOCK, FLAC_BLOCK).map_err(|e| e.to_string())?;
        Ok(Self { config, info, context: Context::new(bits, shape.channels), waiting: Vec::new(), frame: 0 })
    }

    /// Writes all whole blocks that wait; with `last` all that waits.
    fn encode(&mut self, channels: usize, last: bool, out: &mut impl Write) -> std::io::Result<()> {
        let other = |e: &dyn std::fmt::Display| std::io::Error::other(e.to_string());
        let mut at = 0;
        while self.waiting.len() - at >= FLAC_BLOCK * channels || last && at < self.waiting.len() {
            let block = &self.waiting[at..(at + FLAC_BLOCK * channels).min(self.waiting.len())];
            let mut frame = FrameBuf::with_size(channels, block.len() / channels).map_err(|e| other(&e))?;
            frame.fill_interleaved(block).map_err(|e| other(&e))?;
            self.context.fill_interleaved(block).map_err(|e| other(&e))?;
            let coded = flacenc::encode_fixed_size_frame(&self.config, &frame, self.frame, &self.info)
                .map_err(|e| other(&e))?;
            let mut sink = ByteSink::new();
            coded.write(&mut sink).map_err(|e| other(&e))?;
            out.write_all(sink.as_slice())?;
            self.frame += 1;
            at += block.len();
        }
        self.waiting.drain(..at);
        Ok(())
    }
}

/// Writes 32-bit float wav: whole or not at all, replacing what stood there.
pub fn write_wav(path: &Path, sound: &Sound) -> Result<(), AudioError> {
    write_wav_as(path, sound, Depth::default())
}

/// Writes wav at a depth: whole or not at all. Integer depths are rounded to the nearest step and held at full scale.
pub fn write_wav_as(path: &Path, sound: &Sound, depth: Depth) -> Result<(), AudioError> {
    let shape = Shape { rate: sound.rate, channels: sound.channels.len() };
    let written = write_whole(path, |file| {
        let mut writer = Writer::new(file, shape, Format::Wav(depth))?;
        let channels: Vec<&[f32]> = sound.channels.iter().map(Vec::as_slice).collect();
        writer.write(&channels)?;
        writer.finish().map(|_| ())
    });
    written.map_err(|e| AudioError::written(path, &e))
}

impl AudioError {
    /// What went wrong while a sound file was written.
    pub fn written(path: &Path, e: &std::io::Error) -> Self {
        let (path, why) = (path.to_owned(), e.to_string());
        if e.kind() == std::io::ErrorKind::InvalidInput {
            Self::Unwritable { path, why }
        } else {
            Self::Write { path, why }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::Reader;
    use super::*;

    fn written(sound: &[Vec<f32>], rate: u32, format: Format, riff_most: u64) -> Vec<u8> {
        let mut writer =
            Writer::new(Cursor::new(Vec::new()), Shape { rate, channels: sound.len() }, format).expect("begins");
        writer.riff_most = riff_most;
        let frames = sound[0].len();
        for at in (0..frames).step_by(1000) {
            let block: Vec<&[f32]> = sound.iter().map(|c| &c[at..(at + 1000).min(frames)]).collect();
            writer.write(&block).expect("written");
        }
        writer.finish().expect("finished").into_inner()
    }

    #[test]
    fn every_format_comes_back_and_long_files_are_rf64() {
        let channel = |c: usize| (0..12_345).map(|i| ((i * (c + 1)) as f32 * 0.01).sin() * 0.7).collect::<Vec<f32>>();
        for channels in [1, 2, 6] {
            let sound: Vec<Vec<f32>> = (0..channels).map(channel).collect();
            for (format, name, worst) in [
                (Format::Wav(Depth::Float32), "a.wav", 0.0),
                (Format::Wav(Depth::Int24), "a.wav", 1e-7),
                (Format::Wav(Depth::Int16), "a.wav", 2e-5),
                (Format::Flac(Depth::Int24), "a.flac", 1e-7),
                (Format::Flac(Depth::Int16), "a.flac", 2e-5),
            ] {
                for riff_most in [RIFF_MOST, 1000] {
                    let bytes = written(&sound, 44_100, format, riff_most);
                    let reader = Reader::from_bytes(&bytes, Path::new(name)).expect("opens");
                    let back = Sound::of(reader).expect("read");
                    assert_eq!(
                        (back.rate, back.channels.len(), back.frames()),
                        (44_100, channels, 12_345),
                        "{format:?}"
                    );
                    let off = back
                        .channels
                        .iter()
                        .flatten()
                        .zip(sound.iter().flatten())
                        .map(|(a, b)| (a - b).abs())
                        .fold(0.0, f32::max);
                    assert!(off <= worst, "{format:?} {channels}: {off}");
                    if name == "a.wav" {
                        assert_eq!(&bytes[..4], if riff_most == 1000 { b"RF64" } else { b"RIFF" });
                    }
                }
            }
        }
    }

    #[test]
    fn what_integers_cannot_hold_is_counted() {
        let mut writer =
            Writer::new(Cursor::new(Vec::new()), Shape { rate: 8000, channels: 1 }, Format::Wav(Depth::Int16))
                .expect("begins");
        writer.write(&[&[1.5, 0.5, -2.0]]).expect("written");
        assert_eq!((writer.clipped(), writer.frames()), (2, 3));
        assert!(
            Writer::new(Cursor::new(Vec::new()), Shape { rate: 48_000, channels: 9 }, Format::Flac(Depth::Int16))
                .is_err()
        );
    }
}
