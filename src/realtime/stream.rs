//! A stream of samples with marks in it: one wait-free ring of samples, one of marks, each mark tied to the sample it
//! stands before.
//!
//! All that crosses between the audio thread and a worker goes through this one type. No call here blocks, allocates or
//! makes a system call.

use super::sync::{Consumer, Producer, PushError, RingBuffer};

/// A mark and the number of samples sent before it.
#[derive(Debug)]
struct At<M> {
    sent: u64,
    mark: M,
}

/// The sending end.
#[derive(Debug)]
pub struct Sender<M> {
    samples: Producer<f32>,
    marks: Producer<At<M>>,
    sent: u64,
}

/// The receiving end.
#[derive(Debug)]
pub struct Receiver<M> {
    samples: Consumer<f32>,
    marks: Consumer<At<M>>,
    received: u64,
}

/// A stream with room for so many samples and marks. Allocates: not for the audio thread.
pub fn stream<M>(samples: usize, marks: usize) -> (Sender<M>, Receiver<M>) {
    let (samples_in, samples_out) = RingBuffer::new(samples);
    let (marks_in, marks_out) = RingBuffer::new(marks);
    (
        Sender { samples: samples_in, marks: marks_in, sent: 0 },
        Receiver { samples: samples_out, marks: marks_out, received: 0 },
    )
}

impl<M> Sender<M> {
    /// Sets a mark before the next sample; gives it back where there is no room.
    pub fn mark(&mut self, mark: M) -> Result<(), M> {
        let PushError::Full(at) = match self.marks.push(At { sent: self.sent, mark }) {
            Ok(()) => return Ok(()),
            Err(e) => e,
        };
        Err(at.mark)
    }

    /// Sends as many samples as fit and tells how many.
    pub fn send(&mut self, samples: &[f32]) -> usize {
        let (taken, _) = self.samples.push_partial_slice(samples);
        self.sent += taken.len() as u64;
        taken.len()
    }

    /// Whether the receiver is gone.
    pub fn is_abandoned(&self) -> bool {
        self.samples.is_abandoned()
    }
}

impl<M> Receiver<M> {
    /// Samples that can be taken before the next mark.
    pub fn available(&self) -> usize {
        // The samples first: a mark is sent before the samples behind it, so whoever sees those sees it too.
        let samples = self.samples.slots();
        match self.marks.peek() {
            Ok(at) => samples.min((at.sent - self.received) as usize),
            Err(_) => samples,
        }
    }

    /// Samples that wait, whatever marks stand among them.
    pub fn waiting(&self) -> usize {
        self.samples.slots()
    }

    /// Whether neither a sample nor a mark waits.
    pub fn is_empty(&self) -> bool {
        self.samples.slots() == 0 && self.marks.peek().is_err()
    }

    /// The next mark, once all samples before it have been taken.
    pub fn mark(&mut self) -> Option<M> {
        match self.marks.peek() {
            Ok(at) if at.sent == self.received => self.marks.pop().ok().map(|at| at.mark),
            _ => None,
        }
    }

    /// Takes samples up to the next mark and tells how many.
    pub fn take(&mut self, samples: &mut [f32]) -> usize {
        let n = self.available().min(samples.len());
        let (taken, _) = self.samples.pop_partial_slice(&mut samples[..n]);
        let n = taken.len();
        self.received += n as u64;
        n
    }

    /// Throws away up to `n` samples before the next mark and tells how many.
    pub fn skip(&mut self, n: usize) -> usize {
        let n = self.available().min(n);
        if let Ok(chunk) = self.samples.read_chunk(n) {
            chunk.commit_all();
            self.received += n as u64;
            return n;
        }
        0
    }

    /// Whether the sender is gone; what it had sent can still be taken.
    pub fn is_abandoned(&self) -> bool {
        self.samples.is_abandoned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_before_their_sample() {
        let (mut tx, mut rx) = stream(8, 2);
        assert_eq!(tx.send(&[1.0, 2.0]), 2);
        assert_eq!(tx.mark("a"), Ok(()));
        assert_eq!(tx.send(&[3.0; 9]), 6);
        let mut buffer = [0.0; 8];
        assert_eq!(rx.mark(), None);
        assert_eq!(rx.take(&mut buffer), 2);
        assert_eq!(rx.take(&mut buffer), 0);
        assert_eq!(rx.mark(), Some("a"));
        assert_eq!(rx.skip(4), 4);
        assert_eq!(rx.available(), 2);
    }

    #[test]
    fn a_full_ring_of_marks_gives_the_mark_back() {
        let (mut tx, _rx) = stream(8, 1);
        assert_eq!(tx.mark(1), Ok(()));
        assert_eq!(tx.mark(2), Err(2));
    }

    #[test]
    fn two_threads_keep_order() {
        // Miri takes a thousand times as long for each.
        const SAMPLES: u64 = if cfg!(miri) { 2000 } else { 20_000 };
        let (mut tx, mut rx) = stream::<u64>(64, 4);
        let sender = std::thread::spawn(move || {
            let mut sent = 0u64;
            while sent < SAMPLES {
                if sent.is_multiple_of(1000) {
                    while tx.mark(sent).is_err() {
                        std::thread::yield_now();
                    }
                }
                let end = (sent + 7).min((sent / 1000 + 1) * 1000);
                let block: Vec<f32> = (sent..end).map(|i| i as f32).collect();
                let mut done = 0;
                while done < block.len() {
                    done += tx.send(&block[done..]);
                    std::thread::yield_now();
                }
                sent = end;
            }
        });
        let mut got = 0u64;
        let mut buffer = [0.0; 13];
        while got < SAMPLES {
            if let Some(mark) = rx.mark() {
                assert_eq!(mark, got);
            }
            let n = rx.take(&mut buffer);
            for x in &buffer[..n] {
                assert_eq!(*x, got as f32);
                got += 1;
            }
            std::thread::yield_now();
        }
        sender.join().expect("the sender finished");
    }
}
