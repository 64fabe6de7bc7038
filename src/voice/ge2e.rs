//! The GE2E speaker encoder (L. Wan et al., "Generalized end-to-end loss for speaker verification", 2018): sound in, a
//! unit vector out.
//!
//! Knows no references and no packs: see `enrol`.

use std::path::Path;

use ort::value::TensorRef;

use super::ConvertError;
use mynah_dsp::level::peak;
use mynah_dsp::mel::{self, GE2E_BANDS, GE2E_HOP};
use mynah_models::runtime::{RuntimeError, Session, SessionOptions, TensorSpec};

/// Numbers of an embedding.
pub const EMBEDDING: usize = 256;
/// Frames that the encoder sees at a time: 1.6 s.
const WINDOW: usize = 160;
/// Frames from one window to the next: 1.3 windows start each second, as the encoder's makers use it.
const STEP: usize = 77;
/// The last window counts if sound covers so much of it.
const COVERAGE: f64 = 0.75;
/// Windows that run at a time.
const BATCH: usize = 8;
/// Sound is brought to this peak before it is embedded.
const PEAK: f32 = 0.7;

/// A loaded speaker encoder.
pub struct Ge2e {
    session: Session,
}

impl Ge2e {
    /// Loads the graph: `mel` f32[n,160,40] → `embedding` f32[n,256].
    pub fn open(path: &Path) -> Result<Self, RuntimeError> {
        let session = Session::load(path, &SessionOptions::default())?;
        session.expect(&[
            TensorSpec::input("mel", &[-1, WINDOW as i64, GE2E_BANDS as i64]),
            TensorSpec::output("embedding", &[-1, EMBEDDING as i64]),
        ])?;
        Ok(Self { session })
    }

    /// The embedding of sound at 16 kHz: the mean over windows, unit length; of silence and of nothing, whatever the
    /// encoder makes of it.
    pub fn embed(&mut self, samples_16k: &[f32]) -> Result<Vec<f32>, ConvertError> {
        let failed = |e: ort::Error| ConvertError::Run(mynah_models::runtime::told::one_line(e));
        let gain = PEAK / peak(samples_16k).max(1e-3);
        let windows = windows(samples_16k.len());
        let covered = ((windows - 1) * STEP + WINDOW) * GE2E_HOP;
        let mut sound: Vec<f32> = samples_16k.iter().map(|x| x * gain).collect();
        sound.resize(sound.len().max(covered), 0.0);
        let mel = mel::ge2e(&sound);
        let mut sum = vec![0.0f32; EMBEDDING];
        let mut batch = Vec::with_capacity(BATCH * WINDOW * GE2E_BANDS);
        for first in (0..windows).step_by(BATCH) {
            let n = BATCH.min(windows - first);
            batch.clear();
            for window in first..first + n {
                batch.extend_from_slice(&mel[window * STEP * GE2E_BANDS..][..WINDOW * GE2E_BANDS]);
            }
            let input = TensorRef::from_array_view(([n, WINDOW, GE2E_BANDS], &batch[..])).map_err(failed)?;
            let outputs = self.session.ort().run(ort::inputs!["mel" => input]).map_err(failed)?;
            let missing = || ConvertError::Run("the output `embedding` is missing".to_owned());
            let (_, rows) =
                outputs.get("embedding").ok_or_else(missing)?.try_extract_tensor::<f32>().map_err(failed)?;
            for row in rows.chunks_exact(EMBEDDING) {
                sum.iter_mut().zip(row).for_each(|(s, r)| *s += r);
            }
        }
        let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
        if !length.is_finite() || length <= 0.0 {
            return Err(ConvertError::NotFinite);
        }
        sum.iter_mut().for_each(|x| *x /= length);
        Ok(sum)
    }
}

/// How many windows sound of so many samples has; at least one.
fn windows(samples: usize) -> usize {
    let frames = (samples + 1).div_ceil(GE2E_HOP);
    let count = (frames + STEP + 1).saturating_sub(WINDOW).max(1).div_ceil(STEP);
    let last = (count - 1) * STEP * GE2E_HOP;
    let coverage = samples.saturating_sub(last) as f64 / (WINDOW * GE2E_HOP) as f64;
    if coverage < COVERAGE && count > 1 { count - 1 } else { count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{asset, golden, reference, runtime};
    use mynah_dsp::resample::resample_all;

    /// Counted with the published cutter of utterances.
    #[test]
    fn windows_are_cut_as_published() {
        for (samples, count) in
            [(1, 1), (16_000, 1), (25_600, 1), (33_000, 2), (36_000, 2), (48_000, 3), (80_000, 5), (480_000, 38)]
        {
            assert_eq!(windows(samples), count, "{samples}");
        }
    }

    #[test]
    fn the_embedding_equals_the_published_one() {
        runtime();
        let mut encoder = Ge2e::open(&asset("ge2e.onnx")).expect("the encoder opens");
        let sound = reference();
        let ours = encoder.embed(&resample_all(&sound.mono(), sound.rate, 16000)).expect("it runs");
        let theirs = golden("reference_embedding");
        let cosine: f32 = ours.iter().zip(&theirs).map(|(a, b)| a * b).sum();
        println!("cosine to the published embedding: {cosine:.6}");
        assert!(cosine > 0.999, "{cosine}");
        assert!((ours.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}
