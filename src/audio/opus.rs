//! Opus packets, by libopus in its translation to Rust. Knows no containers.
//!
//! RFC 6716 (the codec), RFC 7845 5.1 (the header: channels, gain, streams). The translation needs no C compiler and no
//! CMake, which the other ways to libopus do.

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::packet::Packet;
use unsafe_libopus::{
    OpusMSDecoder, opus_multistream_decode_float, opus_multistream_decoder_create, opus_multistream_decoder_destroy,
};

use super::codecs::Shape;

/// Opus is always decoded at this rate, in Hz.
const RATE: u32 = 48_000;
/// Frames of the longest packet: 120 ms.
const LONGEST: usize = 5760;

/// A decoder of one track.
pub struct Opus {
    state: *mut OpusMSDecoder,
    channels: usize,
    gain: f32,
}

// SAFETY: the state is a block of memory that only this decoder points to; libopus keeps nothing in threads.
unsafe impl Send for Opus {}

impl Opus {
    /// From the track's OpusHead.
    pub fn new(params: &AudioCodecParameters) -> Result<Self, String> {
        let fallback = [1, params.channels.as_ref().map_or(2, |c| c.count().clamp(1, 2)) as u8];
        let head = params.extra_data.as_deref().filter(|head| head.len() >= 19 && head.starts_with(b"OpusHead"));
        let channels = head.map_or(fallback[1], |h| h[9]);
        let gain = head.map_or(0, |h| i16::from_le_bytes([h[16], h[17]]));
        let family = head.map_or(0, |h| h[18]);
        let (streams, coupled, mapping) = match (family, head.and_then(|h| h.get(19..21 + usize::from(channels)))) {
            (0, _) if channels <= 2 => (1, channels - 1, vec![0, 1]),
            (_, Some(table)) => (table[0], table[1], table[2..].to_vec()),
            _ => return Err("its Opus header is wrong".to_owned()),
        };
        let mut error = 0;
        // SAFETY: the mapping has at least `channels` entries, and the call reads no more; it checks all numbers.
        let state = unsafe {
            opus_multistream_decoder_create(
                RATE as i32,
                i32::from(channels),
                i32::from(streams),
                i32::from(coupled),
                mapping.as_ptr(),
                &mut error,
            )
        };
        if state.is_null() || channels == 0 {
            return Err(format!("its Opus header is wrong (error {error})"));
        }
        Ok(Self { state, channels: usize::from(channels), gain: 10f32.powf(f32::from(gain) / 256.0 / 20.0) })
    }

    /// Decodes a packet into interleaved samples, without what is marked as delay or padding.
    pub fn decode(&mut self, packet: &Packet, out: &mut Vec<f32>) -> Result<Shape, String> {
        out.resize(LONGEST * self.channels, 0.0);
        let length = i32::try_from(packet.data.len()).map_err(|_| "a packet is too long".to_owned())?;
        // SAFETY: the packet's bytes are as many as `length` says, and `out` has room for LONGEST frames, which is what
        // libopus is told.
        let frames = unsafe {
            opus_multistream_decode_float(self.state, packet.data.as_ptr(), length, out.as_mut_ptr(), LONGEST as i32, 0)
        };
        let frames = usize::try_from(frames).map_err(|_| format!("Opus error {frames}"))?;
        out.truncate(frames * self.channels);
        let trimmed = |n: u64| usize::try_from(n).unwrap_or(frames).min(frames);
        let (first, last) = (trimmed(packet.trim_start.get()), trimmed(packet.trim_end.get()));
        out.truncate((frames - last) * self.channels);
        out.drain(..(first * self.channels).min(out.len()));
        if self.gain != 1.0 {
            out.iter_mut().for_each(|x| *x *= self.gain);
        }
        Ok(Shape { rate: RATE, channels: self.channels })
    }
}

impl Drop for Opus {
    fn drop(&mut self) {
        // SAFETY: the state came from `create`, and nobody uses it any more.
        unsafe { opus_multistream_decoder_destroy(self.state) }
    }
}
