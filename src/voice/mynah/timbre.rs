//! The timbre of a reference: what its sound says of the voice beyond the speaker embedding, in numbers that belong to
//! one set of weights.
//!
//! Knows no converter; the stretches in which somebody speaks are the caller's business.

use std::ops::Range;
use std::path::Path;

use ort::value::TensorRef;

use super::graph::{TIMBRE, load};
use super::heard::{BANDS, HOP, Hearing, RATE, RISE, WINDOW, log_mel};
use crate::{ConvertError, HearsTimbre, Timbre};
use mynah_models::runtime::{RuntimeError, Session, SessionOptions, TensorSpec};

/// The rate of the sound that a timbre is taken from, in Hz.
pub const TIMBRE_RATE: u32 = RATE;
/// Frames beyond this tell nothing new: 20 s.
const MOST_FRAMES: usize = 20 * RATE as usize / HOP;

const CONTRACT: [TensorSpec; 2] =
    [TensorSpec::input("mel", &[1, -1, BANDS as i64]), TensorSpec::output("timbre", &[1, TIMBRE as i64])];

/// A loaded encoder of timbres.
pub struct TimbreEncoder {
    session: Session,
    model: String,
}

impl TimbreEncoder {
    /// Loads `reference.onnx`. `model` is the name of the weights: it goes into every timbre, since others can't read
    /// it.
    pub fn open(path: &Path, model: &str) -> Result<Self, RuntimeError> {
        Ok(Self { session: load(path, &CONTRACT, &SessionOptions::default())?, model: model.to_owned() })
    }
}

impl HearsTimbre for TimbreEncoder {
    fn rate(&self) -> u32 {
        TIMBRE_RATE
    }

    /// From the frames whose times lie in these stretches, the first 20 s of them; none where there is no such frame.
    fn timbre(&mut self, samples: &[f32], stretches: &[Range<usize>]) -> Result<Option<Timbre>, ConvertError> {
        let mel = log_mels(samples, stretches);
        if mel.is_empty() {
            return Ok(None);
        }
        let failed = |e: ort::Error| ConvertError::Run(mynah_models::runtime::told::one_line(e));
        let input = TensorRef::from_array_view(([1, mel.len() / BANDS, BANDS], &mel[..])).map_err(failed)?;
        let outputs = self.session.ort().run(ort::inputs!["mel" => input]).map_err(failed)?;
        let missing = || ConvertError::Run("the output `timbre` is missing".to_owned());
        let (_, numbers) = outputs.get("timbre").ok_or_else(missing)?.try_extract_tensor::<f32>().map_err(failed)?;
        if !numbers.iter().all(|x| x.is_finite()) {
            return Err(ConvertError::NotFinite);
        }
        Ok(Some(Timbre { model: self.model.clone(), numbers: numbers.to_vec() }))
    }
}

/// The log-mels of those frames, `BANDS` a frame; silence beyond the sound's ends. Frames keep what stands around them
/// in the sound.
fn log_mels(samples: &[f32], stretches: &[Range<usize>]) -> Vec<f32> {
    let (mut hearing, mut window, mut power) = (Hearing::new(), vec![0.0; WINDOW], vec![0.0; BANDS]);
    let mut mel = Vec::new();
    let frames = stretches.iter().flat_map(|s| s.start.div_ceil(HOP)..s.end.min(samples.len()).div_ceil(HOP));
    for t in frames.take(MOST_FRAMES) {
        for (i, w) in window.iter_mut().enumerate() {
            *w = (t * HOP + i).checked_sub(RISE).and_then(|at| samples.get(at)).copied().unwrap_or(0.0);
        }
        hearing.hear(&window, &mut power);
        mel.extend(power.iter().map(|&p| log_mel(p)));
    }
    mel
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{clip, golden, model_file, runtime};

    fn encoder() -> TimbreEncoder {
        runtime();
        TimbreEncoder::open(&model_file("reference.onnx"), "these weights").expect("the encoder opens")
    }

    fn worst(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn the_timbre_equals_the_reference() {
        let x = clip();
        let timbre =
            encoder().timbre(&x, std::slice::from_ref(&(0..x.len()))).expect("it runs").expect("there are frames");
        assert_eq!(timbre.model, "these weights");
        let worst = worst(&timbre.numbers, &golden("mynah_timbre"));
        println!("timbre: largest difference {worst:.2e}");
        assert!(worst < 1e-4, "{worst}");
    }

    #[test]
    fn level_does_not_matter_and_silence_between_is_left_out() {
        let (mut encoder, x) = (encoder(), clip());
        let soft: Vec<f32> = x.iter().map(|x| x * 0.25).collect();
        let whole = std::slice::from_ref(&(0..24000));
        let numbers = |t: Option<Timbre>| t.expect("there are frames").numbers;
        let plain = numbers(encoder.timbre(&x, whole).expect("it runs"));
        assert!(worst(&plain, &numbers(encoder.timbre(&soft, whole).expect("it runs"))) < 0.1);
        let apart = [vec![0.0; 24000], x[..12000].to_vec(), vec![0.0; 24000], x[12000..].to_vec()].concat();
        let stretches = [24000..36000, 60000..72000];
        assert_eq!(log_mels(&apart, &stretches).len(), log_mels(&x, whole).len());
        assert!(encoder.timbre(&x, &[]).expect("nothing to run").is_none());
    }

    #[test]
    fn a_long_reference_is_cut() {
        assert_eq!(log_mels(&vec![0.1; 30 * 24000], std::slice::from_ref(&(0..30 * 24000))).len(), MOST_FRAMES * BANDS);
    }
}
