//! Decoding a whole file. Knows containers and codecs only through symphonia.

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;

use super::{AudioError, Sound};

/// What had to be mended while reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notes {
    /// Samples that were not finite and became 0.
    pub cleaned: usize,
    /// Packets that could not be decoded and became silence.
    pub damaged_packets: usize,
}

/// A file may have this share of undecodable packets before it counts as damaged.
const MAX_DAMAGED_SHARE: f64 = 0.05;
/// Frames of the longest packet of any codec (FLAC's largest block).
const LONGEST_PACKET: u64 = 65_536;
/// After so many damaged packets, if they are most of all, the rest is not tried.
const HOPELESS: usize = 100;
/// A decoded length this many seconds short of the header's is a truncated file; codecs' own padding is far shorter.
const TRUNCATED_SECONDS: f64 = 0.1;
/// And this share of the whole: the length of an mp3 without an index is an estimate.
const TRUNCATED_SHARE: f64 = 0.01;

/// Decodes a whole file: wav, aiff, caf, flac, mp3, ogg vorbis, m4a (AAC-LC, ALAC), mkv/webm. Any rate, any number of channels.
///
/// The encoder's delay and padding are trimmed where the container tells them. Samples that are not finite become 0.
/// Fails with one sentence for a missing, unreadable, empty, unknown, truncated or damaged file.
pub fn read(path: &Path) -> Result<Sound, AudioError> {
    read_with_notes(path).map(|(sound, _)| sound)
}

/// As [`read`], and tells what had to be mended.
pub fn read_with_notes(path: &Path) -> Result<(Sound, Notes), AudioError> {
    let open = |e: std::io::Error| AudioError::Open { path: path.to_owned(), why: e.to_string() };
    let meta = std::fs::metadata(path).map_err(open)?;
    if meta.is_dir() {
        return Err(AudioError::Folder(path.to_owned()));
    }
    if meta.is_file() && meta.len() == 0 {
        return Err(AudioError::Empty(path.to_owned()));
    }
    let source = File::open(path).map_err(open)?;
    read_from(Box::new(source), path)
}

/// The same from any source of bytes; `path` is what errors call it, and its ending a hint.
pub(crate) fn read_from(source: Box<dyn MediaSource>, path: &Path) -> Result<(Sound, Notes), AudioError> {
    // The decoders are other people's, and some break down over what a fuzzer makes of a file.
    std::panic::catch_unwind(AssertUnwindSafe(|| probe_and_decode(source, path)))
        .unwrap_or_else(|_| Err(AudioError::Damaged { path: path.to_owned(), seconds: 0.0, why: "its decoder broke down".to_owned() }))
}

fn probe_and_decode(source: Box<dyn MediaSource>, path: &Path) -> Result<(Sound, Notes), AudioError> {
    let source = MediaSourceStream::new(source, Default::default());
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
        hint.with_extension(extension);
    }
    let format = symphonia::default::get_probe()
        .probe(&hint, source, FormatOptions::default(), MetadataOptions::default())
        .map_err(|e| AudioError::Format { path: path.to_owned(), why: why(&e) })?;
    decode(path, format)
}

/// What is gathered while packets are decoded.
struct Decoded {
    rate: u32,
    channels: Vec<Vec<f32>>,
    packets: usize,
    notes: Notes,
    last_error: Option<(f64, String)>,
}

impl Decoded {
    fn frames(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    fn seconds(&self) -> f64 {
        self.frames() as f64 / self.rate.max(1) as f64
    }

    /// Interleaved samples of one packet.
    fn append(&mut self, samples: &[f32]) {
        for frame in samples.chunks_exact(self.channels.len()) {
            for (channel, &x) in self.channels.iter_mut().zip(frame) {
                self.notes.cleaned += usize::from(!x.is_finite());
                channel.push(if x.is_finite() { x } else { 0.0 });
            }
        }
    }

    fn damage(&mut self, error: String, frames: usize) {
        self.last_error = Some((self.seconds(), error));
        self.notes.damaged_packets += 1;
        for channel in &mut self.channels {
            channel.resize(channel.len() + frames, 0.0);
        }
    }
}

fn decode(path: &Path, mut format: Box<dyn FormatReader>) -> Result<(Sound, Notes), AudioError> {
    let codec_error = |codec: String| AudioError::Codec { path: path.to_owned(), codec };
    let track = format
        .first_track_known_codec(TrackType::Audio)
        .or_else(|| format.default_track(TrackType::Audio))
        .ok_or_else(|| AudioError::Format { path: path.to_owned(), why: "it has no track of sound".to_owned() })?;
    let params = track.codec_params.as_ref().and_then(|p| p.audio()).ok_or_else(|| codec_error("unknown".to_owned()))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(params, &AudioDecoderOptions::default())
        .map_err(|e| codec_error(format!("{}; {}", params.codec, why(&e))))?;
    let (id, expected) = (track.id, expected_seconds(track, params.sample_rate));
    let damaged = |seconds: f64, why: String| AudioError::Damaged { path: path.to_owned(), seconds, why };

    let mut out = Decoded { rate: 0, channels: Vec::new(), packets: 0, notes: Notes::default(), last_error: None };
    let mut interleaved: Vec<f32> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // The end of the data, or the start of another stream chained behind this one.
            Err(Error::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(Error::ResetRequired) => break,
            Err(e) => {
                out.last_error = Some((out.seconds(), why(&e)));
                break;
            }
        };
        if packet.track_id != id {
            continue;
        }
        out.packets += 1;
        match decoder.decode(&packet) {
            Ok(buffer) => {
                let spec = buffer.spec();
                let (rate, count) = (spec.rate(), spec.channels().count());
                if out.channels.is_empty() {
                    out.rate = rate;
                    out.channels = vec![Vec::new(); count];
                }
                if rate != out.rate || count != out.channels.len() {
                    return Err(damaged(out.seconds(), "the rate or the channels change in the middle".to_owned()));
                }
                buffer.copy_to_vec_interleaved(&mut interleaved);
                out.append(&interleaved);
            }
            // The time of a lost packet stays, so that what follows keeps its place.
            // A damaged header may claim any length for it, or any number of packets.
            Err(e) => {
                out.damage(why(&e), packet.dur.get().min(LONGEST_PACKET) as usize);
                if out.notes.damaged_packets > HOPELESS && out.notes.damaged_packets * 2 > out.packets {
                    break;
                }
            }
        }
    }

    let sound_lost = out.notes.damaged_packets as f64 > out.packets as f64 * MAX_DAMAGED_SHARE;
    if let Some(expected) = expected {
        let missing = expected - out.seconds();
        if out.frames() > 0 && missing > TRUNCATED_SECONDS && missing > expected * TRUNCATED_SHARE && !sound_lost {
            return Err(AudioError::Truncated { path: path.to_owned(), found: out.seconds(), expected });
        }
    }
    match out.last_error.take() {
        Some((seconds, why)) if sound_lost || out.frames() == 0 => return Err(damaged(seconds, why)),
        _ => {}
    }
    if out.frames() == 0 {
        return Err(AudioError::Empty(path.to_owned()));
    }
    Ok((Sound { rate: out.rate, channels: out.channels }, out.notes))
}

/// The length that the container promises.
fn expected_seconds(track: &Track, rate: Option<u32>) -> Option<f64> {
    let (frames, rate) = (track.num_frames?, rate?);
    (rate > 0).then(|| frames as f64 / rate as f64)
}

/// The reader's messages, on one line.
fn why(e: &Error) -> String {
    e.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
