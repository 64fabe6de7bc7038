//! A matrix of eight-bit weights with a scale a row, laid out for products with few rows of activations. Knows no
//! network and no file.
//!
//! Outputs go in blocks of [`LANES`]; a block's weights lie input by input, so a product walks through memory once, in
//! order. Every output is one chain of fused multiply-adds over the inputs, from the first to the last, whatever the
//! vectors' width and however many frames share the weights of a call: its bits depend on nothing but the frame.

use super::isa::{Isa, Set};

/// Outputs of a block. Rows of activations are as long as a multiple of it; what lies behind the last output is 0.
pub const LANES: usize = 64;
/// Frames that a product takes at most.
pub const FRAMES: usize = 4;

/// One input's weights for a block of outputs.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Codes([i8; LANES]);

/// A linear layer: `outputs` numbers of `inputs`.
#[derive(Debug)]
pub struct Matrix {
    inputs: usize,
    outputs: usize,
    /// `[blocks][inputs]`.
    codes: Vec<Codes>,
    /// Of each output, to a multiple of `LANES`; 0 behind the last.
    scales: Vec<f32>,
    biases: Vec<f32>,
}

/// So long are rows of `n` numbers.
pub fn stride(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

impl Matrix {
    /// Of codes that lie at `place(output, input)`; one scale and one bias an output.
    pub fn new(
        codes: &[i8],
        inputs: usize,
        scales: &[f32],
        biases: &[f32],
        place: impl Fn(usize, usize) -> usize,
    ) -> Self {
        let outputs = scales.len();
        assert!(codes.len() == inputs * outputs && biases.len() == outputs, "a matrix of {outputs} times {inputs}");
        let blocks = stride(outputs) / LANES;
        let mut packed = vec![Codes([0; LANES]); blocks * inputs];
        for output in 0..outputs {
            for input in 0..inputs {
                packed[output / LANES * inputs + input].0[output % LANES] = codes[place(output, input)];
            }
        }
        let whole = |numbers: &[f32]| [numbers, &vec![0.0; stride(outputs) - outputs]].concat();
        Self { inputs, outputs, codes: packed, scales: whole(scales), biases: whole(biases) }
    }

    /// Numbers of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Numbers of a row that comes out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The length of a row of `output`.
    pub fn stride(&self) -> usize {
        stride(self.outputs)
    }

    /// The product with `frames` rows of `x`, of which one begins each `step` numbers (rows may share numbers); rows of
    /// `output` are `stride()` long.
    pub fn apply(&self, isa: Isa, x: &[f32], step: usize, frames: usize, output: &mut [f32]) {
        assert!(frames > 0 && x.len() >= (frames - 1) * step + self.inputs && output.len() >= frames * self.stride());
        let (mut x, mut output, mut left) = (x, output, frames);
        while left > 0 {
            let now = match left {
                FRAMES.. => FRAMES,
                2.. => 2,
                _ => 1,
            };
            match now {
                FRAMES => self.tiles::<FRAMES>(isa, x, step, output),
                2 => self.tiles::<2>(isa, x, step, output),
                _ => self.tiles::<1>(isa, x, step, output),
            }
            left -= now;
            if left > 0 {
                (x, output) = (&x[now * step..], &mut output[now * self.stride()..]);
            }
        }
    }

    fn tiles<const T: usize>(&self, isa: Isa, x: &[f32], step: usize, output: &mut [f32]) {
        let stride = self.stride();
        let rows: [&[f32]; T] = std::array::from_fn(|t| &x[t * step..][..self.inputs]);
        for (block, codes) in self.codes.chunks_exact(self.inputs.max(1)).enumerate() {
            let at = block * LANES;
            let [scales, biases] = [&self.scales, &self.biases].map(|all| lanes(all, at));
            let mut made = [[0.0f32; LANES]; T];
            match isa.set() {
                Set::Plain => plain(codes, &rows, scales, biases, &mut made),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an `Isa` is only made of instructions that were found on this processor; each row is as long
                // as `codes`.
                Set::Avx2 => unsafe { x86::avx2_of(codes, &rows, scales, biases, &mut made) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                Set::Avx512 => unsafe { x86::avx512::<T>(codes, &rows, scales, biases, &mut made) },
            }
            for (t, made) in made.iter().enumerate() {
                output[t * stride + at..][..LANES].copy_from_slice(made);
            }
        }
    }
}

fn lanes(all: &[f32], at: usize) -> &[f32; LANES] {
    all[at..].first_chunk().unwrap_or(&[0.0; LANES])
}

/// The product of a block in plain code; what the vectorised ones must equal to the bit.
fn plain<const T: usize>(
    codes: &[Codes],
    x: &[&[f32]; T],
    scales: &[f32; LANES],
    biases: &[f32; LANES],
    made: &mut [[f32; LANES]; T],
) {
    for (x, made) in x.iter().zip(made) {
        let mut sums = [0.0f32; LANES];
        for (codes, x) in codes.iter().zip(*x) {
            for (sum, &code) in sums.iter_mut().zip(&codes.0) {
                *sum = f32::from(code).mul_add(*x, *sum);
            }
        }
        for (i, made) in made.iter_mut().enumerate() {
            *made = sums[i].mul_add(scales[i], biases[i]);
        }
    }
}

/// The same with vectors. Written out, since the compiler's own vectors for several frames at a time were up to twenty
/// times slower.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Codes, FRAMES, LANES};

    /// As many outputs at a time as leave the sums in sixteen registers.
    ///
    /// # Safety
    /// Each row of `x` must be as long as `codes`.
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn avx2_of<const T: usize>(
        codes: &[Codes],
        x: &[&[f32]; T],
        scales: &[f32; LANES],
        biases: &[f32; LANES],
        made: &mut [[f32; LANES]; T],
    ) {
        // SAFETY: the caller's promise is passed on.
        unsafe {
            match T {
                1 => avx2::<T, 8>(codes, x, scales, biases, made),
                2..FRAMES => avx2::<T, 4>(codes, x, scales, biases, made),
                _ => avx2::<T, 2>(codes, x, scales, biases, made),
            }
        }
    }

    /// # Safety
    /// Each row of `x` must be as long as `codes`; `V` divides 8.
    #[target_feature(enable = "avx2,fma")]
    #[expect(clippy::needless_range_loop, reason = "of each frame's sums the one at `v`")]
    unsafe fn avx2<const T: usize, const V: usize>(
        codes: &[Codes],
        x: &[&[f32]; T],
        scales: &[f32; LANES],
        biases: &[f32; LANES],
        made: &mut [[f32; LANES]; T],
    ) {
        for at in (0..LANES).step_by(8 * V) {
            let mut sums = [[_mm256_setzero_ps(); V]; T];
            for (k, codes) in codes.iter().enumerate() {
                for v in 0..V {
                    // SAFETY: eight codes from `at + 8 v` on, of 64; `at` steps by 8 V.
                    let eight = unsafe { _mm_loadl_epi64(codes.0.as_ptr().add(at + 8 * v).cast()) };
                    let weights = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight));
                    for t in 0..T {
                        // SAFETY: the rows are as long as `codes`.
                        let x = unsafe { *x[t].get_unchecked(k) };
                        sums[t][v] = _mm256_fmadd_ps(weights, _mm256_set1_ps(x), sums[t][v]);
                    }
                }
            }
            for (sums, made) in sums.iter().zip(made.iter_mut()) {
                for (v, sum) in sums.iter().enumerate() {
                    let at = at + 8 * v;
                    // SAFETY: eight numbers from `at` on, of 64.
                    unsafe {
                        let (scale, bias) =
                            (_mm256_loadu_ps(scales.as_ptr().add(at)), _mm256_loadu_ps(biases.as_ptr().add(at)));
                        _mm256_storeu_ps(made.as_mut_ptr().add(at), _mm256_fmadd_ps(*sum, scale, bias));
                    }
                }
            }
        }
    }

    /// # Safety
    /// Each row of `x` must be as long as `codes`.
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
    #[expect(clippy::needless_range_loop, reason = "of each frame's sums the one at `v`")]
    pub unsafe fn avx512<const T: usize>(
        codes: &[Codes],
        x: &[&[f32]; T],
        scales: &[f32; LANES],
        biases: &[f32; LANES],
        made: &mut [[f32; LANES]; T],
    ) {
        const V: usize = LANES / 16;
        let mut sums = [[_mm512_setzero_ps(); V]; T];
        for (k, codes) in codes.iter().enumerate() {
            for v in 0..V {
                // SAFETY: sixteen codes from `16 v` on, of 64.
                let sixteen = unsafe { _mm_loadu_si128(codes.0.as_ptr().add(16 * v).cast()) };
                let weights = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(sixteen));
                for t in 0..T {
                    // SAFETY: the rows are as long as `codes`.
                    let x = unsafe { *x[t].get_unchecked(k) };
                    sums[t][v] = _mm512_fmadd_ps(weights, _mm512_set1_ps(x), sums[t][v]);
                }
            }
        }
        for (sums, made) in sums.iter().zip(made.iter_mut()) {
            for (v, sum) in sums.iter().enumerate() {
                // SAFETY: sixteen numbers from `16 v` on, of 64.
                unsafe {
                    let (scale, bias) =
                        (_mm512_loadu_ps(scales.as_ptr().add(16 * v)), _mm512_loadu_ps(biases.as_ptr().add(16 * v)));
                    _mm512_storeu_ps(made.as_mut_ptr().add(16 * v), _mm512_fmadd_ps(*sum, scale, bias));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some(n: usize, seed: u32) -> Vec<f32> {
        (0..n).map(|i| ((i as f32 + seed as f32) * 0.7391).sin()).collect()
    }

    proptest! {
        /// Any sizes: equal to a plain sum in 64 bits but for rounding; equal to the bit in every set of instructions,
        /// and for a frame alone.
        #[test]
        fn products_are_products(inputs in 1usize..150, outputs in 1usize..150, frames in 1usize..12, more in 0usize..9, seed in 0u32..1000) {
            let codes: Vec<i8> = (0..inputs * outputs).map(|i| ((i as u32 * 7919 + seed) % 255) as i8).collect();
            let (scales, biases) = (some(outputs, seed), some(outputs, seed + 9));
            let matrix = Matrix::new(&codes, inputs, &scales, &biases, |o, i| o * inputs + i);
            let (step, stride) = (inputs + more, matrix.stride());
            let x = some(frames * step, seed + 17);
            let run = |isa, x: &[f32], frames| {
                let mut made = vec![f32::NAN; frames * stride];
                matrix.apply(isa, x, step, frames, &mut made);
                made
            };
            let made = run(Isa::best(), &x, frames);
            for isa in Isa::all() {
                prop_assert!(run(isa, &x, frames).iter().zip(&made).all(|(a, b)| a.to_bits() == b.to_bits()), "{}", isa.name());
            }
            for t in 0..frames {
                let alone = run(Isa::best(), &x[t * step..], 1);
                prop_assert!(alone.iter().zip(&made[t * stride..]).all(|(a, b)| a.to_bits() == b.to_bits()));
                for o in 0..stride {
                    let sum: f64 = if o < outputs { (0..inputs).map(|i| f64::from(codes[o * inputs + i]) * f64::from(x[t * step + i])).sum() } else { 0.0 };
                    let wanted = if o < outputs { sum * f64::from(scales[o]) + f64::from(biases[o]) } else { 0.0 };
                    prop_assert!((f64::from(made[t * stride + o]) - wanted).abs() < 2e-3, "{o}: {} for {wanted}", made[t * stride + o]);
                }
            }
        }
    }
}
