//! What an mp3 file really holds: its frames counted, its recordings told apart. Decodes nothing.
//!
//! ISO/IEC 11172-3 and 13818-3 (frame headers); the tag of a first frame is Xing's, LAME's or Fraunhofer's. Why: an mp3
//! has no length of its own. Its tag, or the bit rate of its first frames, is a promise that files joined in a row, cut
//! files and files of variable bit rate break.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// No frame is longer.
const LONGEST_FRAME: usize = 2881;
/// Bytes behind a frame's header in which its tag begins at the latest.
const TAG_REACH: usize = 64;

/// What stands before a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    /// Another recording, or nothing.
    Recording,
    /// Bytes that are no frames, as long as so many samples.
    Gap(u64),
}

/// Frames in a row that one decoder can decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it begins and ends in the file, in bytes.
    pub bytes: (u64, u64),
    /// Samples a second.
    pub rate: u32,
    /// Samples a channel that its frames hold, with the coder's own delay and padding.
    pub samples: u64,
    /// So many does its tag promise, where it has one that says so.
    pub promised: Option<u64>,
    /// What stands before it.
    pub joint: Joint,
    /// Whether its last frame is there to its last byte.
    pub ends_whole: bool,
}

impl Part {
    /// Whether its tag tells the length that is there, so that its delay and padding may be taken from it.
    pub fn keeps_its_promise(&self) -> bool {
        self.promised == Some(self.samples)
    }

    /// Seconds that its frames hold.
    pub fn seconds(&self) -> f64 {
        self.samples as f64 / f64::from(self.rate)
    }
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    /// Version, layer, rate and whether it is mono: one decoder takes only frames that agree in these.
    kind: (u8, u8, u32, bool),
    bytes: usize,
    samples: u64,
    /// Where a Xing or Info tag would begin.
    tag: usize,
}

const BITRATES: [[[u16; 15]; 3]; 2] = [
    [
        [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
        [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    ],
    [
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    ],
];

impl Frame {
    fn read(head: &[u8]) -> Option<Self> {
        let [a, b, c, d] = *head.first_chunk::<4>()?;
        if a != 0xFF || b & 0xE0 != 0xE0 {
            return None;
        }
        let (version, layer) = (b >> 3 & 3, b >> 1 & 3);
        let (bitrate, rate) = (usize::from(c >> 4), usize::from(c >> 2 & 3));
        if version == 1 || layer == 0 || bitrate == 0 || bitrate == 15 || rate == 3 {
            return None;
        }
        let (first, place) = (version == 3, usize::from(3 - layer)); // MPEG-1; layer I, II, III
        let halved = match version {
            3 => 0,
            2 => 1,
            _ => 2, // MPEG-2.5
        };
        let rate = [44100, 48000, 32000][rate] >> halved;
        let (bits, padding) = (u64::from(BITRATES[usize::from(!first)][place][bitrate]) * 1000, u64::from(c >> 1 & 1));
        let samples = match (place, first) {
            (0, _) => 384,
            (2, false) => 576,
            _ => 1152,
        };
        let bytes = match place {
            0 => (12 * bits / u64::from(rate) + padding) * 4,
            _ => samples / 8 * bits / u64::from(rate) + padding,
        } as usize;
        let mono = d >> 6 == 3;
        let tag = 4 + match (first, mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        Some(Self { kind: (version, layer, rate, mono), bytes, samples, tag })
    }

    /// What the tag in this frame promises in frames, where it holds one: `Some(None)` where it holds a tag without a
    /// count.
    fn promise(&self, whole: &[u8]) -> Option<Option<u64>> {
        let at =
            |place: usize| whole.get(place..place + 4).map(|b| u64::from(u32::from_be_bytes([b[0], b[1], b[2], b[3]])));
        let here = whole.get(self.tag..self.tag + 4)?;
        if here == b"Xing" || here == b"Info" {
            return Some(at(self.tag + 4).filter(|flags| flags & 1 != 0).and_then(|_| at(self.tag + 8)));
        }
        // Fraunhofer's always stands 32 bytes behind the header.
        (whole.get(36..40)? == b"VBRI").then(|| at(50))
    }
}

/// The parts of an mp3 file; none where no frame is found. Reads all of it, a header at a time.
pub fn parts(source: impl Read + Seek) -> io::Result<Vec<Part>> {
    let mut source = BufReader::with_capacity(1 << 16, source);
    let (mut parts, mut at): (Vec<Part>, u64) = (Vec::new(), 0);
    let mut last: Option<Frame> = None;
    let (mut lost, mut joined) = (0u64, true);
    loop {
        let head = peek(&mut source, LONGEST_FRAME + 4)?;
        if head.len() < 4 {
            break;
        }
        let foreign = tag_bytes(head);
        let frame =
            Frame::read(head).filter(|f| last.is_some_and(|l| l.kind == f.kind && lost == 0) || follows(head, f));
        match frame {
            _ if foreign > 0 => {
                joined = true;
                at += skip(&mut source, foreign)?;
            }
            None => {
                lost += 1;
                at += skip(&mut source, 1)?;
            }
            Some(frame) => {
                let tag = frame.promise(&head[..head.len().min(frame.tag.max(36) + TAG_REACH)]);
                let whole = head.len() >= frame.bytes;
                if tag.is_some() || joined || lost > 0 || last.is_some_and(|l| l.kind != frame.kind) {
                    let gap =
                        if joined || tag.is_some() { 0 } else { lost / frame.bytes.max(1) as u64 * frame.samples };
                    let joint = if joined || tag.is_some() || lost == 0 { Joint::Recording } else { Joint::Gap(gap) };
                    let promised = tag.flatten().map(|frames| frames * frame.samples);
                    parts.push(Part {
                        bytes: (at, at),
                        rate: frame.kind.2,
                        samples: 0,
                        promised,
                        joint,
                        ends_whole: true,
                    });
                }
                (lost, joined, last) = (0, false, Some(frame));
                at += skip(&mut source, frame.bytes as u64)?;
                if let Some(part) = parts.last_mut() {
                    part.bytes.1 = at;
                    part.ends_whole = whole;
                    // The frame of a tag holds no sound; a frame that is cut off can't be decoded.
                    part.samples += if tag.is_some() || !whole { 0 } else { frame.samples };
                }
            }
        }
    }
    parts.retain(|p| p.samples > 0);
    Ok(parts)
}

/// Whether another frame of the same kind, or the end, follows a frame: four bytes alone may be anything.
fn follows(head: &[u8], frame: &Frame) -> bool {
    match head.get(frame.bytes..) {
        Some(next) if next.len() >= 4 => Frame::read(next).is_some_and(|n| n.kind == frame.kind) || tag_bytes(next) > 0,
        Some(_) => true,
        None => false,
    }
}

/// How long the tag is that begins here, in bytes; 0 where none does.
fn tag_bytes(head: &[u8]) -> u64 {
    match head {
        [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] if [a, b, c, d].iter().all(|x| **x < 128) => {
            let size = [a, b, c, d].iter().fold(0u64, |sum, x| sum << 7 | u64::from(**x));
            10 + size + if flags & 0x10 != 0 { 10 } else { 0 }
        }
        [b'T', b'A', b'G', ..] => 128,
        [b'A', b'P', b'E', b'T', b'A', b'G', b'E', b'X', _, _, _, _, a, b, c, d, ..] => {
            32 + u64::from(u32::from_le_bytes([*a, *b, *c, *d]))
        }
        _ => 0,
    }
}

/// The next bytes, up to `most`, fewer at the end of the file; they stay.
fn peek<R: Read + Seek>(source: &mut BufReader<R>, most: usize) -> io::Result<&[u8]> {
    if source.buffer().len() < most {
        // Refills whole: a move back inside the buffer's reach costs nothing.
        let left = source.buffer().len() as i64;
        let here = source.stream_position()?;
        source.seek(SeekFrom::Start(here))?;
        let filled = source.fill_buf()?.len() as i64;
        debug_assert!(filled >= left.min(1) || filled == 0);
    }
    let buffer = source.buffer();
    Ok(&buffer[..buffer.len().min(most)])
}

fn skip<R: Read + Seek>(source: &mut BufReader<R>, bytes: u64) -> io::Result<u64> {
    source.seek_relative(bytes as i64)?;
    Ok(bytes)
}
