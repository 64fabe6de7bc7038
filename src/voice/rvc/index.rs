//! Retrieval: features are drawn towards those that were heard of the voice in its training, which makes the result
//! sound more like it. As RVC does (`infer/modules/vc/pipeline.py`): of the eight nearest rows the mean, weighted by
//! the inverse squares of their squared distances, mixed in by a share.
//!
//! The rows come as a NumPy file `[rows, width]`, which RVC writes beside its index (`total_fea.npy`). All are looked
//! at, one after the other: a voice with many should be thinned out first. Knows no stream.

use std::path::Path;

use half::f16;

use mynah_files as files;
use mynah_models::runtime::RuntimeError;

/// Rows that are mixed.
const NEAREST: usize = 8;
/// Squared distances below this are as good as none.
const LEAST: f32 = 1e-6;
/// More bytes than this are no features of a voice.
const MOST_BYTES: u64 = 1 << 30;

/// Rows of a voice's own features.
pub struct Index {
    rows: Vec<f32>,
    width: usize,
    share: f32,
}

impl Index {
    /// Reads a NumPy file of 32- or 16-bit numbers. `share` is how much of the result comes from it: 0 to 1.
    pub fn open(path: &Path, width: usize, share: f32) -> Result<Self, RuntimeError> {
        let model = |why: String| RuntimeError::File { path: path.to_owned(), why };
        let bytes = files::read(path, MOST_BYTES).map_err(model)?;
        let expected = format!("a NumPy array of 32- or 16-bit numbers [{NEAREST} or more, {width}]");
        let contract =
            |found: String| RuntimeError::Contract { path: path.to_owned(), expected: expected.clone(), found };
        let (header, data) = parts(&bytes).ok_or_else(|| contract("no NumPy file".to_owned()))?;
        let wide = header.contains("'<f4'");
        if !(wide || header.contains("'<f2'")) || !header.contains("'fortran_order': False") {
            return Err(contract(header.trim().to_owned()));
        }
        let rows: Vec<f32> = match wide {
            true => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            false => data.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        };
        let shape = format!("({}, {width})", rows.len() / width);
        if rows.len() < NEAREST * width || !header.contains(&shape) || !rows.iter().all(|x| x.is_finite()) {
            return Err(contract(header.trim().to_owned()));
        }
        Ok(Self { rows, width, share: share.clamp(0.0, 1.0) })
    }

    /// Mixes what is near into features, `width` numbers each.
    pub fn mix(&self, features: &mut [f32]) {
        for feature in features.chunks_exact_mut(self.width) {
            let mut near = [(f32::INFINITY, 0usize); NEAREST];
            for (i, row) in self.rows.chunks_exact(self.width).enumerate() {
                let distance: f32 = row.iter().zip(&*feature).map(|(a, b)| (a - b) * (a - b)).sum();
                if distance < near[NEAREST - 1].0 {
                    near[NEAREST - 1] = (distance, i);
                    near.sort_by(|a, b| a.0.total_cmp(&b.0));
                }
            }
            let weights = near.map(|(distance, _)| distance.max(LEAST).powi(-2));
            let total: f32 = weights.iter().sum();
            feature.iter_mut().for_each(|x| *x *= 1.0 - self.share);
            for (weight, (_, i)) in weights.iter().zip(near) {
                let row = &self.rows[i * self.width..][..self.width];
                feature.iter_mut().zip(row).for_each(|(x, r)| *x += self.share * weight / total * r);
            }
        }
    }
}

/// The header and the data of a NumPy file (numpy.lib.format, versions 1 to 3).
fn parts(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (&[major, _], rest) = rest.split_first_chunk()?;
    let (length, rest) = if major == 1 {
        let (length, rest) = rest.split_first_chunk()?;
        (u16::from_le_bytes(*length) as usize, rest)
    } else {
        let (length, rest) = rest.split_first_chunk()?;
        (u32::from_le_bytes(*length) as usize, rest)
    };
    let (header, data) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(header).ok()?, data))
}
