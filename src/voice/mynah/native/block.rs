//! A residual block: a depthwise convolution in time over a ring of what came before, a norm that the voice may
//! modulate, and a mix of channels. Knows no order of blocks.

use super::activation::gelu_all;
use super::isa::{Isa, for_every_isa};
use super::matrix::{FRAMES, LANES, Matrix};

/// What is added to the variance: PyTorch's and ONNX's own default of a layer norm.
const EPSILON: f32 = 1e-5;
/// Numbers that a sum over channels adds side by side before it adds these.
const SIDE: usize = 16;

/// The weights of a block. Rows are as long as the network's width to a multiple of `LANES`, and 0 behind it.
#[derive(Debug)]
pub struct BlockWeights {
    /// Frames from one tap to the next.
    pub dilation: usize,
    /// Taps that lie at or before a frame; all others are ahead of it.
    pub kernel: usize,
    /// `[taps][row]`, those that lie ahead last.
    pub taps: Vec<f32>,
    /// One a channel.
    pub bias: Vec<f32>,
    /// The norm's factor and summand, one a channel.
    pub gain: Vec<f32>,
    /// See `gain`.
    pub shift: Vec<f32>,
    /// What the voice makes of scale and shift; none in a block that the voice does not reach.
    pub modulate: Option<Matrix>,
    /// Width to twice as many.
    pub widen: Matrix,
    /// And back.
    pub narrow: Matrix,
}

/// A block that runs: its past, and its norm as the voice modulates it.
#[derive(Debug)]
pub struct Block {
    ahead: usize,
    width: usize,
    row: usize,
    /// Rows of frames; frame `t` lies at `t` modulo their count.
    ring: Vec<f32>,
    frames: usize,
    /// Where the next frame goes.
    next: usize,
    gain: Vec<f32>,
    shift: Vec<f32>,
}

/// Numbers that blocks need while they run.
#[derive(Debug)]
pub struct Scratch {
    heard: Vec<f32>,
    wide: Vec<f32>,
    narrow: Vec<f32>,
    /// Where the rows of the taps begin.
    rows: Vec<usize>,
}

impl Scratch {
    /// For blocks of rows of `row` numbers, mixed in `hidden`, with at most `taps` taps.
    pub fn new(row: usize, hidden: usize, taps: usize) -> Self {
        let of = |n: usize| vec![0.0; FRAMES * n];
        Self { heard: of(row), wide: of(hidden), narrow: of(row), rows: vec![0; taps] }
    }
}

impl Block {
    /// With `ahead` taps ahead of a frame: so many taps later it comes out.
    pub fn new(weights: &BlockWeights, width: usize, ahead: usize) -> Self {
        let row = weights.bias.len();
        let frames = (weights.kernel - 1 + ahead) * weights.dilation + FRAMES;
        let (gain, shift) = (weights.gain.clone(), weights.shift.clone());
        Self { ahead, width, row, ring: vec![0.0; frames * row], frames, next: 0, gain, shift }
    }

    /// Forgets all frames.
    pub fn reset(&mut self) {
        self.ring.fill(0.0);
        self.next = 0;
    }

    /// Takes scale and shift from what the voice makes of them, `2 · width` numbers: `norm · (1 + scale) + shift`,
    /// folded into the norm.
    pub fn modulate(&mut self, weights: &BlockWeights, told: &[f32]) {
        let (scale, shift) = told.split_at(self.width);
        for c in 0..self.width {
            self.gain[c] = weights.gain[c] * (1.0 + scale[c]);
            self.shift[c] = weights.shift[c].mul_add(1.0 + scale[c], shift[c]);
        }
    }

    /// Takes `n` frames of `x` and puts those in their place that come out for them.
    pub fn run(&mut self, isa: Isa, weights: &BlockWeights, x: &mut [f32], n: usize, scratch: &mut Scratch) {
        let (row, dilation, used) = (self.row, weights.dilation, weights.kernel + self.ahead);
        for t in 0..n {
            let at = (self.next + t) % self.frames;
            self.ring[at * row..][..row].copy_from_slice(&x[t * row..][..row]);
        }
        // The first tap of the frame that comes out for the first one lies so far back.
        let back = (used - 1) * dilation;
        let place = |frame: usize| (self.next + 2 * self.frames - back + frame) % self.frames;
        let rows = &mut scratch.rows[..used];
        for t in 0..n {
            for (tap, at) in rows.iter_mut().enumerate() {
                *at = place(t + tap * dilation) * row;
            }
            convolve(isa, &self.ring, rows, &weights.taps, &weights.bias, &mut scratch.heard[t * row..][..row]);
            normalise(isa, &mut scratch.heard[t * row..][..row], self.width, &self.gain, &self.shift);
            // What comes out is that frame and what the block adds to it.
            let itself = place(t + (weights.kernel - 1) * dilation) * row;
            x[t * row..][..row].copy_from_slice(&self.ring[itself..][..row]);
        }
        let hidden = weights.widen.stride();
        weights.widen.apply(isa, &scratch.heard, row, n, &mut scratch.wide);
        gelu_all(isa, &mut scratch.wide[..n * hidden]);
        weights.narrow.apply(isa, &scratch.wide, hidden, n, &mut scratch.narrow);
        x[..n * row].iter_mut().zip(&scratch.narrow).for_each(|(x, more)| *x += more);
        self.next = (self.next + n) % self.frames;
    }
}

for_every_isa! {
    /// One frame of a depthwise convolution: rows of `ring` at the places `rows`, one a tap.
    fn convolve(ring: &[f32], rows: &[usize], taps: &[f32], bias: &[f32], output: &mut [f32]) {
        let row = output.len();
        for (at, output) in output.chunks_exact_mut(LANES).enumerate() {
            let at = at * LANES;
            let mut sums: [f32; LANES] = *bias[at..].first_chunk().unwrap_or(&[0.0; LANES]);
            for (tap, &place) in rows.iter().enumerate() {
                let (x, weights) = (&ring[place + at..][..LANES], &taps[tap * row + at..][..LANES]);
                for (sum, (x, weight)) in sums.iter_mut().zip(x.iter().zip(weights)) {
                    *sum = weight.mul_add(*x, *sum);
                }
            }
            output.copy_from_slice(&sums);
        }
    }
}

for_every_isa! {
    /// The layer norm of the first `width` numbers (Ba, Kiros and Hinton 2016).
    pub fn normalise(x: &mut [f32], width: usize, gain: &[f32], shift: &[f32]) {
        let over = 1.0 / width as f32;
        let mut sums = [0.0f32; SIDE];
        let (whole, rest) = x[..width].as_chunks::<SIDE>();
        for x in whole {
            sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
        }
        sums.iter_mut().zip(rest).for_each(|(sum, x)| *sum += x);
        let mean = folded(sums) * over;
        let mut sums = [0.0f32; SIDE];
        for x in whole {
            sums.iter_mut().zip(x).for_each(|(sum, x)| *sum = (x - mean).mul_add(x - mean, *sum));
        }
        sums.iter_mut().zip(rest).for_each(|(sum, x)| *sum = (x - mean).mul_add(x - mean, *sum));
        let factor = 1.0 / folded(sums).mul_add(over, EPSILON).sqrt();
        for (x, (gain, shift)) in x.iter_mut().zip(gain.iter().zip(shift)) {
            *x = ((*x - mean) * factor).mul_add(*gain, *shift);
        }
    }
}

/// Their sum, by halves.
#[inline(always)]
fn folded(mut sums: [f32; SIDE]) -> f32 {
    let mut n = SIDE / 2;
    while n > 0 {
        for i in 0..n {
            sums[i] += sums[i + n];
        }
        n /= 2;
    }
    sums[0]
}
