//! What a window draws of the sound: input and output side by side, sent only while somebody looks. Knows no picture:
//! all of it is made by the receiver.

use super::stream::{Receiver, Sender, stream};

/// Seconds that the receiver may leave waiting before sound is skipped.
const SECONDS: f64 = 0.5;

/// The audio thread's end.
#[derive(Debug)]
pub(super) struct Scope {
    stream: Sender<u64>,
    /// Input and output in turn, for one block.
    pairs: Vec<f32>,
    /// Position that the receiver takes the next pair for; `None` where it must be told.
    next: Option<u64>,
}

/// The window's end. Nobody else reads it.
#[derive(Debug)]
pub struct ScopeSide {
    stream: Receiver<u64>,
}

/// What a window finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopePull {
    /// The following pair stands at this position, counted since the last reset; what was before it doesn't reach up to
    /// it.
    At(u64),
    /// So many pairs were written. The output of a pair belongs to the input of a latency before.
    Pairs(usize),
    /// Nothing at present.
    Empty,
}

/// Both ends, for a rate in Hz and the largest block. Allocates: not for the audio thread.
pub(super) fn scope(rate: u32, block: usize) -> (Scope, ScopeSide) {
    // An even number: the ring never has room for half a pair.
    let room = 2 * ((SECONDS * rate as f64) as usize + 2 * block);
    let (tx, rx) = stream(room, super::MARKS);
    (Scope { stream: tx, pairs: vec![0.0; 2 * block], next: None }, ScopeSide { stream: rx })
}

impl Scope {
    /// Sends a block of at most the largest one: its mono input, and the first `channels` from `start` on as its
    /// output. What doesn't fit is lost, and the receiver told.
    pub fn send(&mut self, position: u64, input: &[f32], channels: &[&mut [f32]], start: usize) {
        if self.next != Some(position) && self.stream.mark(position).is_err() {
            return;
        }
        let share = 1.0 / channels.len().max(1) as f32;
        let pairs = &mut self.pairs[..2 * input.len()];
        pairs.chunks_exact_mut(2).zip(input).for_each(|(pair, x)| pair.copy_from_slice(&[*x, 0.0]));
        for channel in channels {
            let sound = &channel[start..start + input.len()];
            pairs.chunks_exact_mut(2).zip(sound).for_each(|(pair, x)| pair[1] += share * x);
        }
        let sent = self.stream.send(pairs);
        self.next = (sent == pairs.len()).then_some(position + input.len() as u64);
    }

    /// Nobody looks, or sound is forgotten: the next pair tells its position anew.
    pub fn rest(&mut self) {
        self.next = None;
    }
}

impl ScopeSide {
    /// Takes what comes next; input and output in turn go to `buffer`, whose length is even.
    pub fn pull(&mut self, buffer: &mut [f32]) -> ScopePull {
        if let Some(position) = self.stream.mark() {
            return ScopePull::At(position);
        }
        match self.stream.take(buffer) {
            0 => ScopePull::Empty,
            n => ScopePull::Pairs(n / 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_and_output_come_in_pairs_and_a_loss_is_told() {
        let (mut tx, mut rx) = scope(16, 4);
        let (mut left, mut right) = ([1.0f32; 6], [3.0f32; 6]);
        let mut send = |tx: &mut Scope, at: u64| tx.send(at, &[0.5; 4], &[&mut left[..], &mut right[..]], 2);
        let mut buffer = [0.0; 64];
        send(&mut tx, 0);
        send(&mut tx, 4);
        assert_eq!((rx.pull(&mut buffer), rx.pull(&mut buffer)), (ScopePull::At(0), ScopePull::Pairs(8)));
        assert_eq!(buffer[..4], [0.5, 2.0, 0.5, 2.0]);
        // Sixteen pairs have room: the fifth block finds none, the one after it tells where it stands.
        (2..7).for_each(|k| send(&mut tx, 4 * k));
        assert_eq!(rx.pull(&mut buffer), ScopePull::Pairs(16));
        send(&mut tx, 28);
        assert_eq!((rx.pull(&mut buffer), rx.pull(&mut buffer)), (ScopePull::At(28), ScopePull::Pairs(4)));
        tx.rest();
        send(&mut tx, 32);
        assert_eq!((rx.pull(&mut buffer), rx.pull(&mut buffer)), (ScopePull::At(32), ScopePull::Pairs(4)));
        assert_eq!(rx.pull(&mut buffer), ScopePull::Empty);
    }
}
