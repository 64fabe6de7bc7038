//! Weights in 8 bits. Plain functions over a row an output; knows no network.
//!
//! Both ways are symmetric and round to the nearest, half away from zero, so the bytes are the same on every machine.

/// Weights in blocks of [`BLOCK`] inputs, each with its own scale, as `MatMulNBits` reads them.
pub(super) struct Blocks {
    /// [outputs, blocks, BLOCK].
    pub(super) bytes: Vec<u8>,
    /// [outputs, blocks].
    pub(super) scales: Vec<f32>,
    /// Blocks an output.
    pub(super) blocks: usize,
}

/// Inputs that share a scale.
pub(super) const BLOCK: usize = 128;
/// The largest whole number that stands for a weight.
const MOST: f32 = 127.0;
/// The byte that stands for 0. Bytes without a sign, since on processors without VNNI ONNX Runtime multiplies bytes
/// with a sign by a way that adds two products in 16 bits, where 255 × 127 × 2 has no room and is cut off, without a
/// word.
pub(super) const ZERO: u8 = 128;

/// Blocks of `weights`, which have a row of `inputs` an output; the last block of a row is filled up with zeros.
pub(super) fn blocks(weights: &[f32], inputs: usize) -> Blocks {
    let blocks = inputs.div_ceil(BLOCK);
    let (mut bytes, mut scales) = (Vec::with_capacity(weights.len()), Vec::new());
    for block in weights.chunks_exact(inputs).flat_map(|row| row.chunks(BLOCK)) {
        let scale = scale(block.iter());
        bytes.extend(block.iter().map(|w| byte(*w, scale)));
        bytes.resize(bytes.len().next_multiple_of(BLOCK), ZERO);
        scales.push(scale);
    }
    Blocks { bytes, scales, blocks }
}

/// [inputs, outputs] of `weights`, which have a row of `inputs` an output, and a scale an output.
pub(super) fn columns(weights: &[f32], inputs: usize) -> (Vec<u8>, Vec<f32>) {
    let scales: Vec<f32> = weights.chunks_exact(inputs).map(|row| scale(row.iter())).collect();
    let column = |i: usize| weights.iter().skip(i).step_by(inputs).zip(&scales).map(|(w, s)| byte(*w, *s));
    ((0..inputs).flat_map(column).collect(), scales)
}

/// What one step of the whole numbers is worth; 1 where all weights are 0.
fn scale<'a>(weights: impl Iterator<Item = &'a f32>) -> f32 {
    let largest = weights.fold(0.0_f32, |a, w| a.max(w.abs()));
    if largest > 0.0 { largest / MOST } else { 1.0 }
}

fn byte(weight: f32, scale: f32) -> u8 {
    ((weight / scale).round().clamp(-MOST, MOST) as i16 + i16::from(ZERO)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(outputs: usize, inputs: usize) -> Vec<f32> {
        (0..outputs * inputs).map(|i| ((i * 7919) % 1001) as f32 / 500.0 - 1.0).collect()
    }

    #[test]
    fn columns_come_back_within_half_a_step() {
        let (outputs, inputs) = (5, 9);
        let all = weights(outputs, inputs);
        let (turned, scales) = columns(&all, inputs);
        for o in 0..outputs {
            for i in 0..inputs {
                let back = (f32::from(turned[i * outputs + o]) - 128.0) * scales[o];
                assert!((back - all[o * inputs + i]).abs() <= 0.5001 * scales[o]);
            }
        }
        assert!(turned.iter().any(|&w| [1, 255].contains(&w)), "the largest weight uses the whole range");
    }

    #[test]
    fn blocks_come_back_within_half_a_step_and_are_filled_up() {
        let (outputs, inputs) = (3, 300);
        let all = weights(outputs, inputs);
        let Blocks { bytes, scales, blocks } = blocks(&all, inputs);
        assert_eq!((bytes.len(), scales.len(), blocks), (outputs * 3 * BLOCK, outputs * 3, 3));
        for o in 0..outputs {
            for i in 0..3 * BLOCK {
                let at = o * 3 * BLOCK + i;
                let back = (f32::from(bytes[at]) - 128.0) * scales[at / BLOCK];
                let is = if i < inputs { all[o * inputs + i] } else { 0.0 };
                assert!((back - is).abs() <= 0.5001 * scales[at / BLOCK]);
            }
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        assert_eq!(columns(&[0.0; 4], 2), (vec![ZERO; 4], vec![1.0; 2]));
        assert!(blocks(&[0.0; 4], 2).bytes.iter().all(|&b| b == ZERO));
    }
}
