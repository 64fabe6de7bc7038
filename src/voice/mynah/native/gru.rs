//! A gated recurrent unit (Cho et al. 2014, with the reset gate behind the product, as PyTorch has it). Knows nothing
//! around it.

use super::activation::{sigmoid, tanh};
use super::isa::{Isa, for_every_isa};
use super::matrix::{FRAMES, Matrix};

/// The weights: of what goes in and of the memory, each to the reset, update and new gates, in this order.
#[derive(Debug)]
pub struct GruWeights {
    /// Of what goes in.
    pub input: Matrix,
    /// Of the memory.
    pub memory: Matrix,
}

/// Its memory, and numbers that it needs while it runs.
#[derive(Debug)]
pub struct Gru {
    width: usize,
    memory: Vec<f32>,
    input: Vec<f32>,
    gates: Vec<f32>,
}

impl Gru {
    /// With nothing in its memory.
    pub fn new(weights: &GruWeights) -> Self {
        let (width, stride) = (weights.memory.inputs(), weights.input.stride());
        Self { width, memory: vec![0.0; width], input: vec![0.0; FRAMES * stride], gates: vec![0.0; stride] }
    }

    /// Forgets.
    pub fn reset(&mut self) {
        self.memory.fill(0.0);
    }

    /// Adds to each of `n` rows of `x` what the unit remembers after it; rows are `row` numbers long.
    pub fn run(&mut self, isa: Isa, weights: &GruWeights, x: &mut [f32], row: usize, n: usize) {
        let stride = weights.input.stride();
        weights.input.apply(isa, x, row, n, &mut self.input);
        for (x, input) in x.chunks_exact_mut(row).zip(self.input.chunks_exact(stride)).take(n) {
            weights.memory.apply(isa, &self.memory, self.width, 1, &mut self.gates);
            step(isa, input, &self.gates, &mut self.memory);
            x.iter_mut().zip(&self.memory).for_each(|(x, h)| *x += h);
        }
    }
}

for_every_isa! {
    fn step(input: &[f32], gates: &[f32], memory: &mut [f32]) {
        let width = memory.len();
        let ([xr, xz, xn], [hr, hz, hn]) = ([0, 1, 2].map(|i| &input[i * width..][..width]), [0, 1, 2].map(|i| &gates[i * width..][..width]));
        for (i, h) in memory.iter_mut().enumerate() {
            let (r, z) = (sigmoid(xr[i] + hr[i]), sigmoid(xz[i] + hz[i]));
            let new = tanh(r.mul_add(hn[i], xn[i]));
            *h = z.mul_add(*h - new, new);
        }
    }
}
