//! From a reference to a target voice: a few seconds of one speaker become an embedding, a median pitch and a timbre.
//! Knows no files and no packs.

use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ge2e::Ge2e;
use super::{ConvertError, HearsTimbre, TargetVoice, Timbre};
use mynah_audio::Sound;
use mynah_dsp::level::{peak, to_db};
use mynah_dsp::pitch;
use mynah_dsp::resample::resample_all;
use mynah_models::runtime::RuntimeError;
use mynah_models::vad::{self, Vad};

/// The shortest reference, in seconds.
const SHORTEST: f64 = 3.0;
/// The least speech in it, in seconds.
const LEAST_SPEECH: f64 = 1.5;
/// With less speech than this a longer reference would be better, in seconds: GE2E's windows are 1.6 s long, and some
/// of them should agree.
const GOOD_SPEECH: f64 = 5.0;
/// Below this the noise is part of what is enrolled, in dB.
const NOISY_DB: f32 = 15.0;
/// What lies between words tells of noise where there is so much of it, in seconds.
const LEAST_BETWEEN: f64 = 0.3;
/// Speech beyond this tells nothing new, in seconds.
const MOST_SPEECH: usize = 30;
/// Speech is looked for so far from the start, in seconds.
pub const SEARCHED: usize = 300;
/// A reference whose peak is below this is silent: −60 dBFS.
const SILENT: f32 = 1e-3;
/// Samples at or above this are at full scale, and so many in a row are clipped.
const FULL_SCALE: f32 = 0.999;
const CLIPPED_RUN: usize = 3;
/// The largest share of clipped samples.
const MOST_CLIPPED: f64 = 0.01;
/// The encoder's and the voice detector's rate, in Hz.
const RATE: u32 = 16000;
/// The timbre is taken from sound that was brought to this peak, so that a soft reference stands above the floor of the
/// features.
const PEAK: f32 = 0.7;
/// Frames of look-ahead for the pitch: there is no hurry.
const PITCH_LAG: usize = 8;

/// Why a reference can't be enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Shorter than three seconds.
    #[error("the reference lasts only {0:.1} s; give at least 3 seconds of one speaker, better 10")]
    TooShort(f64),
    /// Too little of it is speech.
    #[error(
        "the reference holds only {0:.1} s of speech; give a clip in which one speaker talks for at least 2 seconds"
    )]
    TooLittleSpeech(f64),
    /// Nothing is to be heard.
    #[error("the reference is silent (its peak is {0:.0} dBFS); give a louder recording")]
    Silent(f32),
    /// It is overdriven.
    #[error("{0:.0} % of the reference is clipped at full scale; give a recording with a lower level")]
    Clipped(f64),
    /// A model could not be run.
    #[error("the reference could not be analysed: {0}")]
    Model(String),
}

impl From<RuntimeError> for EnrolError {
    fn from(e: RuntimeError) -> Self {
        EnrolError::Model(e.to_string())
    }
}

/// What was heard of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// How long it is, in seconds.
    pub seconds: f64,
    /// How much of that is speech, in seconds.
    pub speech: f64,
    /// Its peak in dBFS.
    pub peak_dbfs: f32,
    /// How far its speech stands above what lies between, in dB of power; none where hardly anything lies between.
    pub above_noise_db: Option<f32>,
}

impl Heard {
    /// In a word or two: what would make the reference better, or that it is good.
    pub fn verdict(&self) -> &'static str {
        match self {
            Heard { speech, .. } if *speech < GOOD_SPEECH => "short",
            Heard { above_noise_db: Some(db), .. } if *db < NOISY_DB => "noisy",
            _ => "good",
        }
    }

    /// Whether a better reference would bring the voice closer.
    pub fn is_weak(&self) -> bool {
        self.verdict() != "good"
    }
}

/// Makes target voices. Any thread but the audio thread.
pub struct Enroller {
    encoder: Ge2e,
    vad: Vad,
    hearing: Vec<Box<dyn HearsTimbre>>,
}

impl Enroller {
    /// Loads the speaker encoder and the voice detector.
    pub fn open(ge2e_onnx: &Path, vad: &Path) -> Result<Self, RuntimeError> {
        Ok(Self { encoder: Ge2e::open(ge2e_onnx)?, vad: Vad::open(vad)?, hearing: Vec::new() })
    }

    /// Takes a timbre too from now on, for the voice pack that this encoder belongs to.
    pub fn with_timbre(mut self, encoder: Box<dyn HearsTimbre>) -> Self {
        self.hearing.push(encoder);
        self
    }

    /// Makes a target voice of a reference: any rate, any number of channels. Silence between words is cut out; of long
    /// references the first 30 s of speech are used.
    pub fn enrol(&mut self, sound: &Sound, name: &str) -> Result<TargetVoice, EnrolError> {
        self.enrol_and_tell(sound, name).map(|(voice, _)| voice)
    }

    /// The same, and what was heard of the reference.
    pub fn enrol_and_tell(&mut self, sound: &Sound, name: &str) -> Result<(TargetVoice, Heard), EnrolError> {
        if sound.seconds() < SHORTEST {
            return Err(EnrolError::TooShort(sound.seconds()));
        }
        let mut mono = sound.mono();
        mono.truncate(SEARCHED * sound.rate as usize);
        mono.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
        let loudest = peak(&mono);
        if loudest < SILENT {
            return Err(EnrolError::Silent(to_db(loudest)));
        }
        let clipped = sound.channels.iter().map(|c| clipped_share(c)).fold(0.0, f64::max);
        if clipped > MOST_CLIPPED {
            return Err(EnrolError::Clipped(clipped * 100.0));
        }
        let samples = resample_all(&mono, sound.rate, RATE);
        let stretches = vad::speech(&mut self.vad, &samples)?;
        let mut speech = Vec::new();
        for stretch in &stretches {
            speech.extend_from_slice(&samples[stretch.clone()]);
        }
        let seconds = speech.len() as f64 / RATE as f64;
        if seconds < LEAST_SPEECH {
            return Err(EnrolError::TooLittleSpeech(seconds));
        }
        let above_noise_db = above_noise(&samples, &stretches);
        let heard = Heard { seconds: sound.seconds(), speech: seconds, peak_dbfs: to_db(loudest), above_noise_db };
        speech.truncate(MOST_SPEECH * RATE as usize);
        let embedding = self.embed(&speech)?;
        let track = pitch::track(&resample_all(&speech, RATE, pitch::RATE), PITCH_LAG);
        mono.iter_mut().for_each(|x| *x *= PEAK / loudest);
        let timbres = self.timbres(&mono, sound.rate, &stretches)?;
        Ok((TargetVoice { name: name.to_owned(), embedding, median_pitch: pitch::median(&track), timbres }, heard))
    }

    /// The timbres of a sound at this rate in these stretches of the sound at `RATE`.
    fn timbres(&mut self, samples: &[f32], rate: u32, stretches: &[Range<usize>]) -> Result<Vec<Timbre>, EnrolError> {
        let mut timbres = Vec::new();
        for encoder in &mut self.hearing {
            let there = |at: usize| at * encoder.rate() as usize / RATE as usize;
            let stretches: Vec<_> = stretches.iter().map(|s| there(s.start)..there(s.end)).collect();
            timbres.extend(
                encoder
                    .timbre(&resample_all(samples, rate, encoder.rate()), &stretches)
                    .map_err(|e| failed("the voice pack", e))?,
            );
        }
        Ok(timbres)
    }

    /// How like a voice the speech in a mono sound is: the cosine of their embeddings. None where less than a second
    /// and a half of it is speech.
    pub fn likeness(&mut self, samples: &[f32], rate: u32, voice: &TargetVoice) -> Result<Option<f32>, EnrolError> {
        let samples = resample_all(samples, rate, RATE);
        let stretches = vad::speech(&mut self.vad, &samples)?;
        let speech: Vec<f32> = stretches.iter().flat_map(|s| &samples[s.clone()]).copied().collect();
        if (speech.len() as f64) < LEAST_SPEECH * f64::from(RATE) {
            return Ok(None);
        }
        let embedding = self.embed(&speech)?;
        Ok(Some(embedding.iter().zip(&voice.embedding).map(|(a, b)| a * b).sum()))
    }

    /// The embedding of all of the sound, at 16 kHz: 256 numbers of unit length. Nothing is cut out.
    pub fn embed(&mut self, samples_16k: &[f32]) -> Result<Vec<f32>, EnrolError> {
        if samples_16k.is_empty() {
            return Err(EnrolError::TooShort(0.0));
        }
        self.encoder.embed(samples_16k).map_err(|e| failed("the speaker encoder", e))
    }
}

fn failed(who: &str, e: ConvertError) -> EnrolError {
    match e {
        ConvertError::Run(why) => EnrolError::Model(why),
        ConvertError::Away(away) => EnrolError::Model(away.to_string()),
        ConvertError::NotFinite => EnrolError::Model(format!("{who} gave numbers that are not finite")),
        other @ ConvertError::Stranger(_) => EnrolError::Model(other.to_string()),
    }
}

/// How far the power of these stretches stands above that of the rest, in dB.
fn above_noise(samples: &[f32], stretches: &[Range<usize>]) -> Option<f32> {
    let power = |sum: f64, n: usize| sum / n.max(1) as f64;
    let sum = |samples: &[f32]| samples.iter().map(|x| f64::from(x * x)).sum::<f64>();
    let (speech, n) = stretches.iter().fold((0.0, 0), |(s, n), r| (s + sum(&samples[r.clone()]), n + r.len()));
    let between = samples.len() - n;
    if (between as f64) < LEAST_BETWEEN * f64::from(RATE) {
        return None;
    }
    let noise = power((sum(samples) - speech).max(0.0), between);
    Some((10.0 * (power(speech, n) / noise.max(1e-10)).max(1e-10).log10()) as f32)
}

/// The share of samples that stand at full scale with their neighbours. Floats may go higher: there only what stands at
/// the highest peak was cut off.
fn clipped_share(samples: &[f32]) -> f64 {
    let (mut clipped, mut run) = (0, 0);
    let most = FULL_SCALE * peak(samples).max(1.0);
    for x in samples {
        run = if x.abs() >= most { run + 1 } else { 0 };
        clipped += match run {
            0..CLIPPED_RUN => 0,
            CLIPPED_RUN => CLIPPED_RUN,
            _ => 1,
        };
    }
    clipped as f64 / samples.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mynah::TimbreEncoder;
    use crate::testing::{WEIGHTS, asset, golden, model_file, reference, runtime};

    fn enroller() -> Enroller {
        runtime();
        Enroller::open(&asset("ge2e.onnx"), &asset("silero_vad_16k.onnx")).expect("the models open")
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn a_reference_becomes_a_voice() {
        let voice = enroller().enrol(&reference(), "Ada").expect("enrolled");
        assert_eq!(voice.name, "Ada");
        let near = cosine(&voice.embedding, &golden("reference_embedding"));
        println!("cosine after cutting: {near:.4}; median pitch {:.1} Hz", voice.median_pitch);
        assert!(near > 0.95, "cutting silence leaves the speaker: {near}");
        let wanted = golden("reference_pitch")[0];
        assert!(
            (voice.median_pitch / wanted).log2().abs() < 1.0 / 12.0,
            "{} Hz instead of {wanted} Hz",
            voice.median_pitch
        );
    }

    #[test]
    fn a_timbre_comes_with_a_voice_pack_only() {
        assert_eq!(enroller().enrol(&reference(), "Ada").expect("enrolled").timbres, []);
        let encoder = || TimbreEncoder::open(&model_file("reference.onnx"), WEIGHTS).expect("the encoder opens");
        let mut enroller = enroller().with_timbre(Box::new(encoder()));
        let sound = reference();
        let voice = enroller.enrol(&sound, "Ada").expect("enrolled");
        let timbre = voice.timbre_of(WEIGHTS).expect("a timbre");
        assert!(timbre.iter().all(|x| x.abs() <= 1.0) && timbre.iter().any(|x| x.abs() > 0.01), "{timbre:?}");
        assert!(voice.timbre_of("other weights").is_none());
        // Silence around and the level say nothing of a timbre.
        let long = [vec![0.0; 16000], sound.mono().iter().map(|x| x * 0.1).collect(), vec![0.0; 16000]].concat();
        let other = enroller.enrol(&Sound { rate: sound.rate, channels: vec![long] }, "Eve").expect("enrolled");
        let worst = timbre
            .iter()
            .zip(other.timbre_of(WEIGHTS).expect("a timbre"))
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        println!("timbre, softer and with silence around: largest difference {worst:.3}");
        assert!(worst < 0.1, "{worst}");
    }

    #[test]
    fn rate_channels_and_silence_around_do_not_matter() {
        let mut enroller = enroller();
        let one = reference();
        let plain = enroller.enrol(&one, "a").expect("enrolled");
        let mut long = vec![0.0; 48000];
        long.extend(resample_all(&one.mono(), one.rate, 48000).iter().map(|x| 0.5 * x));
        long.extend(vec![0.0; 96000]);
        let eight = Sound { rate: 48000, channels: vec![long; 8] };
        let other = enroller.enrol(&eight, "b").expect("enrolled");
        assert!(cosine(&plain.embedding, &other.embedding) > 0.98);
        assert!((plain.median_pitch / other.median_pitch).log2().abs() < 0.02);
    }

    #[test]
    fn what_is_no_reference_is_told_in_a_sentence() {
        let mut enroller = enroller();
        let one = reference();
        let said =
            |sound: &Sound, enroller: &mut Enroller| enroller.enrol(sound, "x").expect_err("no reference").to_string();
        let of = |samples: Vec<f32>| Sound { rate: 16000, channels: vec![samples] };
        assert!(said(&of(one.mono()[..32000].to_vec()), &mut enroller).contains("lasts only 2.0 s"));
        assert!(said(&of(vec![0.0; 80000]), &mut enroller).contains("silent"));
        assert!(said(&of(vec![f32::NAN; 80000]), &mut enroller).contains("silent"));
        assert!(said(&Sound { rate: 16000, channels: Vec::new() }, &mut enroller).contains("lasts only"));
        let hum: Vec<f32> = (0..80000).map(|i| 0.2 * (i as f32 * 0.02).sin()).collect();
        assert!(said(&of(hum), &mut enroller).contains("of speech"));
        let driven = one.mono().iter().map(|x| (x * 40.0).clamp(-1.0, 1.0)).collect();
        assert!(said(&of(driven), &mut enroller).contains("clipped"));
    }

    #[test]
    fn what_was_heard_is_told_and_a_voice_is_like_itself() {
        let mut enroller = enroller();
        let one = reference();
        let (voice, heard) = enroller.enrol_and_tell(&one, "Ada").expect("enrolled");
        assert!(heard.speech > 1.5 && heard.speech <= heard.seconds && heard.seconds == one.seconds(), "{heard:?}");
        let (mono, began) = (one.mono(), std::time::Instant::now());
        let like = enroller.likeness(&mono, one.rate, &voice).expect("it runs").expect("speech");
        println!("likeness of {:.1} s: {like:.3} in {:.3} s", one.seconds(), began.elapsed().as_secs_f64());
        assert!(like > 0.99, "{like}");
        assert_eq!(enroller.likeness(&vec![0.0; 80_000], 16000, &voice).expect("it runs"), None);
        let mut noise = 1u32;
        let mut hiss = |x: &f32| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            x + 0.04 * (noise as f32 / u32::MAX as f32 - 0.5)
        };
        let noisy: Vec<f32> = [vec![0.0; 16000], one.mono(), vec![0.0; 16000]].concat().iter().map(&mut hiss).collect();
        let (_, other) =
            enroller.enrol_and_tell(&Sound { rate: one.rate, channels: vec![noisy] }, "Ada").expect("enrolled");
        println!("{heard:?}, with hiss {other:?}");
        let clean = Heard { seconds: 9.0, speech: 8.0, peak_dbfs: -3.0, above_noise_db: Some(40.0) };
        assert!(other.above_noise_db.expect("a second on either side") < 40.0);
        assert_eq!((clean.verdict(), Heard { above_noise_db: Some(9.0), ..clean }.verdict()), ("good", "noisy"));
        assert!(Heard { speech: 3.0, ..clean }.is_weak());
    }

    #[test]
    fn single_peaks_are_not_clipping() {
        let mut x = vec![0.1; 1000];
        x.iter_mut().step_by(10).for_each(|v| *v = 1.0);
        assert_eq!(clipped_share(&x), 0.0);
        x[100..120].fill(1.0);
        assert!((clipped_share(&x) - 0.021).abs() < 0.002);
        let loud: Vec<f32> = (0..48_000).map(|i| 8.0 * (i as f32 * 0.02).sin()).collect();
        assert!(clipped_share(&loud) < 0.03, "a loud file of floats: {}", clipped_share(&loud));
    }
}
