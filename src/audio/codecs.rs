//! Decoders: symphonia's, libopus, and the lower layer of HE-AAC. Knows packets, no containers and no timeline.

use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_OPUS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::Packet;

use super::opus::Opus;

/// Rates that a decoder may give, in Hz: nobody's sound is faster.
const RATES: std::ops::RangeInclusive<u32> = 1..=1_536_000;
/// And so many channels.
const MOST_CHANNELS: usize = 1024;

/// Rate in Hz and channels of decoded sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Samples a second.
    pub rate: u32,
    /// How many.
    pub channels: usize,
}

/// What a person calls a track's coding.
pub fn name(params: &AudioCodecParameters) -> String {
    if params.codec == CODEC_ID_OPUS {
        return "Opus".to_owned();
    }
    let known = symphonia::default::get_codecs().get_audio_decoder(params.codec);
    known.map_or_else(|| format!("coding {}", params.codec), |d| d.codec.info.long_name.to_owned())
}

/// A decoder of one track.
pub enum Decoder {
    /// One of symphonia's.
    Symphonia(Box<dyn AudioDecoder>),
    /// libopus.
    Opus(Opus),
}

/// A decoder, and what must be said of it.
pub struct Made {
    /// The decoder.
    pub decoder: Decoder,
    /// The rate in Hz of the layer that is read, where it is only the lower one.
    pub lower: Option<u32>,
}

impl Decoder {
    /// For a track. Fails with what symphonia says where there is no decoder for it.
    pub fn make(params: &AudioCodecParameters) -> Result<Made, String> {
        if params.codec == CODEC_ID_OPUS {
            return Opus::new(params).map(|opus| Made { decoder: Self::Opus(opus), lower: None });
        }
        let make = |params: &AudioCodecParameters| {
            symphonia::default::get_codecs()
                .make_audio_decoder(params, &AudioDecoderOptions::default())
                .map(Self::Symphonia)
                .map_err(|e| super::reader::one_line(&e))
        };
        match make(params) {
            Ok(decoder) => Ok(Made { decoder, lower: None }),
            Err(why) => match lower_layer(params) {
                Some((params, rate)) => Ok(Made { decoder: make(&params)?, lower: Some(rate) }),
                None => Err(why),
            },
        }
    }

    /// Decodes a packet into interleaved samples, which replace those in `out`. What the container marks as the coder's
    /// delay or padding is left out.
    pub fn decode(&mut self, packet: &Packet, out: &mut Vec<f32>) -> Result<Shape, String> {
        let shape = match self {
            Self::Opus(opus) => opus.decode(packet, out)?,
            Self::Symphonia(decoder) => {
                let buffer = decoder.decode(packet).map_err(|e| super::reader::one_line(&e))?;
                buffer.copy_to_vec_interleaved(out);
                Shape { rate: buffer.spec().rate(), channels: buffer.spec().channels().count() }
            }
        };
        let sane = RATES.contains(&shape.rate) && (1..=MOST_CHANNELS).contains(&shape.channels);
        sane.then_some(shape).ok_or_else(|| format!("it says it has {} channels at {} Hz", shape.channels, shape.rate))
    }
}

/// Bits of an AudioSpecificConfig, from the most significant.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, bits: usize) -> Option<u32> {
        (0..bits).try_fold(0, |value, _| {
            let byte = *self.bytes.get(self.at / 8)?;
            let bit = byte >> (7 - self.at % 8) & 1;
            self.at += 1;
            Some(value << 1 | u32::from(bit))
        })
    }

    /// A rate: an index, or for the index 15 the rate itself.
    fn rate(&mut self) -> Option<u32> {
        const RATES: [u32; 13] =
            [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];
        match self.take(4)? {
            15 => self.take(24),
            index => RATES.get(index as usize).copied(),
        }
    }
}

/// Of HE-AAC (spectral band replication over AAC-LC; ISO/IEC 14496-3, 1.6.2.1) the parameters of the AAC-LC below, and
/// its rate in Hz. The band above is made up by the decoder from the one below; no Rust decoder does that, and it holds
/// no words.
fn lower_layer(params: &AudioCodecParameters) -> Option<(AudioCodecParameters, u32)> {
    const AAC_LC: u32 = 2;
    const SBR: u32 = 5;
    const PARAMETRIC_STEREO: u32 = 29;
    let config = params.extra_data.as_deref().filter(|_| params.codec == CODEC_ID_AAC)?;
    let mut bits = Bits { bytes: config, at: 0 };
    let kind = bits.take(5)?;
    let rate = bits.rate()?;
    let channels = bits.take(4)?;
    let lower = match kind {
        SBR | PARAMETRIC_STEREO => {
            bits.rate()?;
            bits.take(5)? == AAC_LC
        }
        // What announces the upper band stands behind, where older decoders don't look.
        AAC_LC => true,
        _ => false,
    };
    let index = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350]
        .iter()
        .position(|r| *r == rate)? as u32;
    let plain = (AAC_LC << 11 | index << 7 | channels << 3) as u16;
    let mut changed = params.clone();
    changed.with_extra_data(plain.to_be_bytes().into()).with_sample_rate(rate);
    lower.then_some((changed, rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: &[u8]) -> AudioCodecParameters {
        let mut params = AudioCodecParameters::new();
        params.for_codec(CODEC_ID_AAC).with_extra_data(config.into());
        params
    }

    #[test]
    fn the_lower_layer_of_he_aac_is_plain_aac() {
        // Object type 5 or 29 at 22,050 Hz in mono, 44,100 above, AAC-LC below; then AAC-LC at 24,000 Hz that announces
        // the upper band behind its own header.
        for (config, rate, plain) in [
            (&[0x2B, 0x8A, 0x08, 0x00][..], 22_050, [0x13, 0x88]),
            (&[0xEB, 0x8A, 0x08, 0x00][..], 22_050, [0x13, 0x88]),
            (&[0x13, 0x10, 0x56, 0xE5, 0x98][..], 24_000, [0x13, 0x10]),
        ] {
            let (lower, found) = lower_layer(&of(config)).expect("a lower layer");
            assert_eq!((found, lower.extra_data.as_deref()), (rate, Some(&plain[..])), "{config:x?}");
            // What is announced behind the header symphonia overlooks, and so decodes the lower layer by itself.
            let signalled = config[0] >> 3 != 2;
            assert!(Decoder::make(&of(config)).is_ok_and(|m| m.lower == signalled.then_some(rate)), "{config:x?}");
        }
        // AAC Main, and headers that end too soon.
        for config in [&[0x0A, 0x10][..], &[0x2B], &[]] {
            assert!(lower_layer(&of(config)).is_none());
        }
    }
}
