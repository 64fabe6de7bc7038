//! The copy of the input that the caption worker gets, with the time of each stretch on the timeline of the host's
//! output.

use super::stream::{Receiver, Sender, stream};

/// Where a stretch of sound stands, or that it ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum TapMark {
    At { seconds: f64, rolling: bool },
    End,
}

/// The audio thread's end.
#[derive(Debug)]
pub(super) struct Tap {
    stream: Sender<TapMark>,
    rate: u32,
    latency: usize,
    /// Time that the next sample has if nothing jumps, and whether the transport rolls; `None` after a stop or a loss.
    next: Option<(f64, bool)>,
    lost: u64,
}

/// The caption worker's end.
#[derive(Debug)]
pub struct TapSide {
    stream: Receiver<TapMark>,
    rate: u32,
}

/// What the caption worker finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TapPull {
    /// The following samples start at this time on the timeline of the host's output.
    At {
        /// The time in seconds.
        seconds: f64,
        /// Whether it is the host's: its transport rolls. Else it only counts on.
        rolling: bool,
    },
    /// So many samples were written.
    Samples(usize),
    /// The stretch of sound is over: what was said is final.
    End,
    /// Nothing at present.
    Empty,
    /// The audio side is gone.
    Closed,
}

pub(super) fn tap(rate: u32, latency: usize, room: usize) -> (Tap, TapSide) {
    let (tx, rx) = stream(room, super::MARKS);
    (Tap { stream: tx, rate, latency, next: None, lost: 0 }, TapSide { stream: rx, rate })
}

/// A jump of the host's time by less than this is rounding.
const JUMP_SECONDS: f64 = 1e-3;

impl Tap {
    /// Sends mono samples. `position` counts host samples since the reset; `song` is the host's time of the first
    /// sample while its transport rolls: with delay compensation the converted sound is heard there. Without a
    /// transport the time is that of the delayed sound. Tells how many samples did not fit; none of what follows them
    /// is lost.
    pub fn send(&mut self, samples: &[f32], position: u64, song: Option<f64>) -> usize {
        let seconds = song.unwrap_or_else(|| (position + self.latency as u64) as f64 / self.rate as f64);
        let rolling = song.is_some();
        if self.next.is_none_or(|(next, rolled)| rolled != rolling || (next - seconds).abs() > JUMP_SECONDS) {
            if self.stream.mark(TapMark::At { seconds, rolling }).is_err() {
                self.next = None;
                return samples.len();
            }
            self.next = Some((seconds, rolling));
        }
        let sent = self.stream.send(samples);
        self.next = self.next.map(|(next, rolling)| (next + sent as f64 / self.rate as f64, rolling));
        samples.len() - sent
    }

    /// Counts samples as lost: the next ones carry their time anew.
    pub fn lose(&mut self, samples: usize) {
        self.lost += samples as u64;
        self.next = None;
    }

    /// The stretch of sound is over.
    pub fn end(&mut self) {
        if self.next.take().is_some() && self.stream.mark(TapMark::End).is_err() {
            self.lost += 1;
        }
    }

    pub fn is_abandoned(&self) -> bool {
        self.stream.is_abandoned()
    }
}

impl TapSide {
    /// The host's rate in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.stream.is_empty()
    }

    /// Seconds of sound that wait.
    pub fn behind(&self) -> f64 {
        self.stream.waiting() as f64 / self.rate as f64
    }

    /// Takes what comes next; samples go to `buffer`.
    pub fn pull(&mut self, buffer: &mut [f32]) -> TapPull {
        match self.stream.mark() {
            Some(TapMark::At { seconds, rolling }) => return TapPull::At { seconds, rolling },
            Some(TapMark::End) => return TapPull::End,
            None => {}
        }
        let closed = self.stream.is_abandoned();
        match self.stream.take(buffer) {
            0 if closed && self.stream.available() == 0 => match self.stream.mark() {
                Some(TapMark::At { seconds, rolling }) => TapPull::At { seconds, rolling },
                Some(TapMark::End) => TapPull::End,
                None => TapPull::Closed,
            },
            0 => TapPull::Empty,
            n => TapPull::Samples(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_the_transport_and_its_jumps() {
        let (mut tx, mut rx) = tap(1000, 50, 4000);
        let mut buffer = [0.0; 500];
        assert_eq!(tx.send(&[0.1; 100], 0, Some(7.0)), 0);
        assert_eq!(tx.send(&[0.1; 100], 100, Some(7.1)), 0);
        assert_eq!(tx.send(&[0.1; 100], 200, Some(3.0)), 0);
        assert_eq!(tx.send(&[0.1; 100], 300, None), 0);
        // The transport starts just where the count has come to: another timeline all the same.
        assert_eq!(tx.send(&[0.1; 100], 400, Some(0.45)), 0);
        tx.end();
        drop(tx);
        let mut seen = Vec::new();
        loop {
            match rx.pull(&mut buffer) {
                TapPull::Closed => break,
                x => seen.push(x),
            }
        }
        use TapPull::*;
        let at = |seconds, rolling| At { seconds, rolling };
        let song = [at(7.0, true), Samples(200), at(3.0, true), Samples(100)];
        assert_eq!(seen[..4], song);
        assert_eq!(seen[4..], [at(0.35, false), Samples(100), at(0.45, true), Samples(100), End]);
    }
}
