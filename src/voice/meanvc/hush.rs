//! Silence stays silence: where the input holds nothing, the output is taken down, whatever a model says there. Knows
//! no model.

use std::collections::VecDeque;

use super::FRAME;

/// Input and output are looked at in cells of 5 ms.
pub(super) const CELL: usize = FRAME / 2;
/// What stays below this holds nothing: −80 dBFS.
const NOTHING: f32 = 1e-4;
/// A sound in the input opens the output from so many cells before it to so many behind it: 50 ms and 250 ms, so that
/// no word loses its ends.
const BEFORE: i64 = 10;
const BEHIND: i64 = 50;

/// Follows the input and takes the output down.
#[derive(Debug)]
pub(super) struct Hush {
    /// Cells heard.
    heard: i64,
    /// The cells that held something and that an output may still lie near.
    loud: VecDeque<i64>,
    /// The last gain.
    gain: f32,
}

impl Hush {
    pub(super) fn new() -> Self {
        Self { heard: 0, loud: VecDeque::new(), gain: 0.0 }
    }

    /// Forgets all sound.
    pub(super) fn reset(&mut self) {
        self.heard = 0;
        self.loud.clear();
        self.gain = 0.0;
    }

    /// Hears whole cells of input.
    pub(super) fn hear(&mut self, input: &[f32]) {
        for cell in input.chunks_exact(CELL) {
            if cell.iter().any(|x| x.abs() > NOTHING) {
                self.loud.push_back(self.heard);
            }
            self.heard += 1;
        }
    }

    /// Takes whole cells of output down that stand at this cell of the input's timeline; calls go forward in time.
    pub(super) fn process(&mut self, first: i64, output: &mut [f32]) {
        for (at, cell) in (first..).zip(output.chunks_exact_mut(CELL)) {
            while self.loud.front().is_some_and(|&loud| loud + BEHIND < at) {
                self.loud.pop_front();
            }
            let open = self.loud.front().is_some_and(|&loud| loud - BEFORE <= at);
            let wanted = if open { 1.0 } else { 0.0 };
            let step = (wanted - self.gain) / CELL as f32;
            for x in cell.iter_mut() {
                self.gain += step;
                *x *= self.gain;
            }
            self.gain = wanted;
        }
    }
}
