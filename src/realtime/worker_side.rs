//! The voice worker's end of the crossing.

use std::sync::Arc;
use std::time::Duration;

use super::shared::Owed;
use super::stream::{Receiver, Sender};
use super::{InputMark, OutputMark, Shared, WorkerState};

/// The voice worker's end: takes input and controls in order, gives output with its position.
pub struct WorkerSide<C> {
    input: Receiver<InputMark<C>>,
    output: Sender<OutputMark>,
    shared: Arc<Shared>,
    /// Position of the next input sample.
    position: u64,
    epoch: u64,
    /// Where the next output sample stands if no mark is set; `None` where one must be set first.
    emitted: Option<u64>,
}

/// What the worker finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pull<C> {
    /// Forget everything: the next sample stands at this position.
    Restart(u64),
    /// These controls hold from the next sample on.
    Controls(C),
    /// So many samples were written.
    Samples(usize),
    /// Nothing at present.
    Empty,
    /// The audio side is gone.
    Closed,
}

impl<C> WorkerSide<C> {
    pub(super) fn new(input: Receiver<InputMark<C>>, output: Sender<OutputMark>, shared: Arc<Shared>) -> Self {
        Self { input, output, shared, position: 0, epoch: 0, emitted: None }
    }

    /// The counters and switches of this crossing.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Takes what comes next; samples go to `buffer`.
    pub fn pull(&mut self, buffer: &mut [f32]) -> Pull<C> {
        let closed = self.input.is_abandoned();
        match self.input.mark() {
            Some(InputMark::Restart { epoch, position }) => {
                (self.epoch, self.position, self.emitted) = (epoch, position, None);
                return Pull::Restart(position);
            }
            Some(InputMark::Controls(c)) => return Pull::Controls(c),
            None => {}
        }
        match self.input.take(buffer) {
            0 if closed => Pull::Closed,
            0 => Pull::Empty,
            n => {
                self.position += n as u64;
                Pull::Samples(n)
            }
        }
    }

    /// Position of the next input sample.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Sleeps until the audio side sends something or somebody rings, at most so long; not at all where something is
    /// there, here or for `nothing_else`.
    pub fn sleep(&self, at_most: Duration, nothing_else: impl FnOnce() -> bool) {
        self.shared.voice_bell.sleep(at_most, || self.input.is_empty() && !self.must_end() && nothing_else());
    }

    /// Input samples that wait.
    pub fn waiting(&self) -> usize {
        self.input.waiting()
    }

    /// The first output position that can still be played.
    pub fn due(&self) -> i64 {
        self.shared.due()
    }

    /// Throws input away up to `position`, or up to the next mark; tells where the next sample stands.
    pub fn skip_to(&mut self, position: u64) -> u64 {
        self.position += self.input.skip(position.saturating_sub(self.position) as usize) as u64;
        self.emitted = None;
        self.position
    }

    /// Gives output samples that start at `position`; tells how many fit. What does not fit must be given again.
    pub fn emit(&mut self, position: u64, samples: &[f32]) -> usize {
        if self.emitted != Some(position) {
            if self.output.mark(OutputMark { epoch: self.epoch, position }).is_err() {
                return 0;
            }
            self.emitted = Some(position);
        }
        let n = self.output.send(samples);
        self.emitted = Some(position + n as u64);
        n
    }

    /// The worker can convert from now on and owes its output from `position` on.
    pub fn ready_from(&self, position: u64) {
        self.shared.set_owed(Owed { epoch: self.epoch, from: position });
        self.shared.set_state(WorkerState::Ready);
    }

    /// Tells what the worker can do, where that is not `Ready`.
    pub fn set_state(&self, state: WorkerState) {
        self.shared.set_state(state);
    }

    /// Tells of a converted hop: the share of its duration that it took.
    pub fn count_hop(&self, share: f32) {
        self.shared.count_hop(share);
    }

    /// Whether the worker must end: the engine says so, or the audio side is gone.
    pub fn must_end(&self) -> bool {
        self.shared.stopped() || self.output.is_abandoned()
    }
}
