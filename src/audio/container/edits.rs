//! The edit lists of an MP4 or QuickTime file: which of a track's sound is heard, and when. Knows no samples.
//!
//! ISO/IEC 14496-12, 8.6.5 and 8.6.6. Coders hide their delay this way, and cameras sound that begins after the
//! picture. Symphonia reads these boxes but gives them to nobody.

use std::io::{Read, Seek, SeekFrom};

/// One stretch that is heard.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Edit {
    /// Seconds of the track's own time at which it begins.
    media: f64,
    /// Seconds of the film at which it is heard.
    heard: f64,
    /// For how many seconds; to the end where the list doesn't say.
    seconds: f64,
}

/// What is heard of a track.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Edits(Vec<Edit>);

/// A piece of a packet that is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Its first frame in the packet.
    pub from: usize,
    /// Behind its last frame in the packet.
    pub to: usize,
    /// Where in the sound it is heard, in frames.
    pub heard: i64,
}

impl Edits {
    /// The pieces of `frames` frames that begin at `start` of the track's own time, at `rate` frames a second.
    pub fn pieces(&self, start: i64, frames: usize, rate: u32) -> Vec<Piece> {
        let at =
            |seconds: f64| if seconds.is_finite() { (seconds * f64::from(rate)).round() as i64 } else { i64::MAX / 4 };
        let piece = |edit: &Edit| {
            let (first, last) = (at(edit.media), at(edit.media).saturating_add(at(edit.seconds)));
            let (from, to) = ((first - start).clamp(0, frames as i64), (last - start).clamp(0, frames as i64));
            (from < to).then(|| Piece {
                from: from as usize,
                to: to as usize,
                heard: at(edit.heard) + start + from - first,
            })
        };
        self.0.iter().filter_map(piece).collect()
    }

    /// Seconds of sound that are heard in all; `None` where the list doesn't say.
    pub fn seconds(&self) -> Option<f64> {
        self.0.last().map(|e| e.heard + e.seconds).filter(|s| s.is_finite())
    }
}

/// The edits of the track with this id; `None` where it has none that make a difference.
pub fn edits(mut source: impl Read + Seek, track: u32) -> Option<Edits> {
    let end = source.seek(SeekFrom::End(0)).ok()?;
    let moov = find(&mut source, (0, end), b"moov")?;
    let film = scale(&content(&mut source, moov, b"mvhd", 64)?)?;
    let mut here = moov.0;
    while let Some(trak) = find(&mut source, (here, moov.1), b"trak") {
        here = trak.1;
        let head = content(&mut source, trak, b"tkhd", 64)?;
        let id = u32_at(&head, if head.first()? == &1 { 20 } else { 12 })?;
        if id == track {
            let mdia = find(&mut source, trak, b"mdia")?;
            let media = scale(&content(&mut source, mdia, b"mdhd", 64)?)?;
            let edts = find(&mut source, trak, b"edts")?;
            let list = content(&mut source, edts, b"elst", 1 << 20)?;
            return parse(&list, film, media);
        }
    }
    None
}

fn parse(list: &[u8], film: f64, media: f64) -> Option<Edits> {
    let wide = *list.first()? == 1;
    let (count, size) = (u32_at(list, 4)? as usize, if wide { 20 } else { 12 });
    let (mut edits, mut heard) = (Vec::new(), 0.0);
    for entry in list.get(8..)?.chunks_exact(size).take(count) {
        let (length, time) = if wide {
            (u64_at(entry, 0)? as f64, u64_at(entry, 8)? as i64)
        } else {
            (f64::from(u32_at(entry, 0)?), i64::from(u32_at(entry, 4)? as i32))
        };
        // A length of 0 stands for all the rest: fragmented files are written so.
        let seconds = if length == 0.0 { f64::INFINITY } else { length / film };
        if time >= 0 {
            edits.push(Edit { media: time as f64 / media, heard, seconds });
        }
        heard += seconds;
    }
    let plain = matches!(edits[..], [Edit { media: 0.0, heard: 0.0, seconds: f64::INFINITY }] | []);
    (!plain).then_some(Edits(edits))
}

/// The time scale of an mvhd or mdhd box: units a second.
fn scale(head: &[u8]) -> Option<f64> {
    let scale = u32_at(head, if head.first()? == &1 { 20 } else { 12 })?;
    (scale > 0).then_some(f64::from(scale))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u32_at(bytes, at)?) << 32 | u64::from(u32_at(bytes, at + 4)?))
}

/// Where the content of the first box of this name lies among those between two places.
fn find(source: &mut (impl Read + Seek), (mut at, end): (u64, u64), name: &[u8; 4]) -> Option<(u64, u64)> {
    while at + 8 <= end {
        source.seek(SeekFrom::Start(at)).ok()?;
        let mut head = [0u8; 16];
        source.read_exact(&mut head[..8]).ok()?;
        let (mut size, mut length) = (u64::from(u32_at(&head, 0)?), 8);
        if size == 1 {
            source.read_exact(&mut head[8..]).ok()?;
            (size, length) = (u64_at(&head, 8)?, 16);
        } else if size == 0 {
            size = end - at;
        }
        if size < length {
            return None;
        }
        let behind = at.checked_add(size)?;
        if &head[4..8] == name {
            return Some((at + length, behind.min(end)));
        }
        at = behind;
    }
    None
}

/// The content of the first box of this name, at most so much of it.
fn content(source: &mut (impl Read + Seek), within: (u64, u64), name: &[u8; 4], most: u64) -> Option<Vec<u8>> {
    let (from, to) = find(source, within, name)?;
    source.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    source.take((to - from).min(most)).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_and_late_start_are_told() {
        let list = |entries: &[(u32, i32)]| {
            let mut bytes = vec![0, 0, 0, 0];
            bytes.extend((entries.len() as u32).to_be_bytes());
            for (length, time) in entries {
                bytes.extend(length.to_be_bytes());
                bytes.extend(time.to_be_bytes());
                bytes.extend([0, 1, 0, 0]);
            }
            bytes
        };
        let edits = parse(&list(&[(2000, -1), (12000, 1024)]), 1000.0, 48000.0).expect("edits");
        assert_eq!(edits.seconds(), Some(14.0));
        assert_eq!(edits.pieces(0, 1024, 48000), []);
        assert_eq!(edits.pieces(512, 1024, 48000), [Piece { from: 512, to: 1024, heard: 96_000 }]);
        let last = 1024 + 12 * 48000;
        assert_eq!(edits.pieces(last - 100, 1024, 48000), [Piece { from: 0, to: 100, heard: 14 * 48000 - 100 }]);
        assert_eq!(parse(&list(&[(0, 0)]), 1000.0, 48000.0), None);
        assert_eq!(parse(&list(&[(0, 0)])[..9], 1000.0, 48000.0), None);
    }
}
