//! The voice worker: a thread that takes input from the crossing, runs the hop loop, and gives its output back in time.
//!
//! It survives what happens inside a converter, whichever of its calls fails, also its drop: a panic or an error makes
//! it `Dead` (what the mix says is heard instead, at the same latency) until another converter is installed. It knows
//! no plugin type.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SendError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::hops::{HopLoop, PULL};
use super::priority::Priority;
use mynah_dsp::denormals::FlushDenormals;
use mynah_realtime::clock::{Latency, Timing};
use mynah_realtime::{Pull, WorkerSide, WorkerState};
use mynah_voice::{Controls, ConvertError};

/// What the engine asks of the worker.
pub enum Order {
    /// A voice is being loaded.
    Loading,
    /// Use this voice from now on; a running one is crossfaded.
    Install(Box<HopLoop>),
    /// No voice any more.
    Idle,
    /// No voice could be loaded.
    Failed,
    /// Another crossing takes over from this one: no voice comes any more where none runs yet, so nobody may wait for
    /// it.
    HandedOver,
}

/// The least sleep between two looks at the rings while sound runs, and how long before a hop can be full the worker
/// looks again.
const NAP: Duration = Duration::from_micros(250);
const EARLY: Duration = Duration::from_millis(1);
/// Without sound for so long it sleeps until it is woken, and looks around all the same after so long.
const QUIET: Duration = Duration::from_secs(1);
const SLEEP: Duration = Duration::from_secs(1);
/// Output that is late by more than this is not worth computing: the loop starts afresh where the sound is now.
const TOO_LATE_SECONDS: f64 = 0.1;
/// Sound beyond the latency that is kept while a voice is being loaded; less than the ring's room.
const HELD_SECONDS: f64 = 1.0;
/// A new voice hears so much before it is heard, and fades in over so much.
const WARM_SECONDS: f64 = 0.15;
const SWAP_SECONDS: f64 = 0.03;
/// What was told of a hop that was lost is read in so much time.
const READ_SECONDS: f64 = 5.0;

/// Where problems are told: one sentence, or none.
pub type Problem = Arc<Mutex<Option<String>>>;

/// A voice that is about to take over.
struct Swap {
    hops: Box<HopLoop>,
    /// Host position where its fade-in starts.
    from: u64,
    pending: Vec<f32>,
}

/// What came of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Sound was taken.
    Heard,
    /// Something else was taken.
    Told,
    /// There was nothing to do.
    Idle,
    /// The work is over.
    End,
}

/// The worker's state; `run` is its thread.
pub struct VoiceWorker {
    side: WorkerSide<Controls>,
    orders: Receiver<Order>,
    /// One that was found while lying down to sleep.
    found: Option<Order>,
    /// Where voices go that are used no more: dropping one frees a model, which takes longer than a hop may.
    spent: Sender<Box<HopLoop>>,
    problem: Problem,
    timing: Timing,
    latency: Latency,
    controls: Controls,
    hops: Option<Box<HopLoop>>,
    swap: Option<Swap>,
    hop_seconds: f64,
    /// What was told of a lost hop, and how many must come until it is over.
    lost: Option<(String, u32)>,
    priority: Priority,
}

impl VoiceWorker {
    /// A worker that has no voice yet.
    pub fn new(
        side: WorkerSide<Controls>,
        (orders, spent): (Receiver<Order>, Sender<Box<HopLoop>>),
        problem: Problem,
        timing: Timing,
        latency: Latency,
    ) -> Self {
        let hop_seconds = timing.converter.hop as f64 / timing.converter.rate as f64;
        let controls = Controls::default();
        let (found, hops, swap, lost, priority) = (None, None, None, None, Priority::default());
        Self { side, orders, found, spent, problem, timing, latency, controls, hops, swap, hop_seconds, lost, priority }
    }

    /// The thread: ends when the engine says so or the audio side is gone.
    pub fn run(mut self) {
        let _flush = FlushDenormals::new();
        let mut buffer = vec![0.0f32; PULL];
        let mut last_sound = Instant::now();
        loop {
            let begun = Instant::now();
            // A panic in here may have left a hop half done: the voice goes, the worker stays.
            let turn = catch_unwind(AssertUnwindSafe(|| self.turn(&mut buffer))).unwrap_or_else(|panic| {
                self.break_down(&*panic);
                Turn::Told
            });
            match turn {
                Turn::Heard => {
                    let shared = self.side.shared();
                    self.priority.suit(shared.declared_offline(), shared.audio_priority());
                    last_sound = Instant::now();
                    self.priority.worked(last_sound - begun);
                }
                Turn::Told => {}
                Turn::Idle => {
                    self.rest(last_sound.elapsed());
                    self.priority.rested();
                }
                Turn::End => break,
            }
        }
    }

    /// Sleeps until there may be something to do; sound came last so long ago. In real time a hop can't be full before
    /// its time has passed.
    fn rest(&mut self, since: Duration) {
        if since < QUIET || self.side.waiting() > 0 {
            let full = self.hops.as_ref().map_or(Duration::ZERO, |hops| Duration::from_secs_f64(hops.missing()));
            return std::thread::sleep(full.saturating_sub(since + EARLY).max(NAP));
        }
        let (side, orders, found) = (&self.side, &self.orders, &mut self.found);
        side.sleep(SLEEP, || {
            *found = orders.try_recv().ok();
            found.is_none()
        });
    }

    /// Does what is to be done next, without waiting for it. `buffer` has room for [`PULL`] samples.
    pub(super) fn turn(&mut self, buffer: &mut [f32]) -> Turn {
        if self.side.must_end() {
            return Turn::End;
        }
        while let Some(order) = self.found.take().or_else(|| self.orders.try_recv().ok()) {
            self.obey(order);
        }
        if self.holds_back() {
            return Turn::Idle;
        }
        match self.side.pull(buffer) {
            Pull::Restart(position) => self.restart(position),
            Pull::Controls(controls) => self.controls = controls,
            Pull::Samples(n) => {
                self.hear(&buffer[..n]);
                return Turn::Heard;
            }
            Pull::Empty => return Turn::Idle,
            Pull::Closed => return Turn::End,
        }
        Turn::Told
    }

    /// While a first voice is being loaded the sound waits in the ring, so that an offline render loses none of it.
    fn holds_back(&self) -> bool {
        let enough = self.latency.total + (HELD_SECONDS * self.timing.host_rate as f64) as usize;
        self.hops.is_none() && self.side.shared().state() == WorkerState::Loading && self.side.waiting() < enough
    }

    fn tell(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(|e| e.into_inner()) = problem;
    }

    /// Tells of a hop that was lost, until so many have come.
    fn lose(&mut self, why: ConvertError, hops: u32) {
        let why = why.to_string();
        self.tell(Some(why.clone()));
        self.lost = Some((why, hops));
    }

    /// A hop came.
    fn forget(&mut self) {
        self.lost = self.lost.take().and_then(|(why, hops)| {
            if hops > 1 {
                return Some((why, hops - 1));
            }
            // Something else may have been told since.
            self.problem.lock().unwrap_or_else(|e| e.into_inner()).take_if(|told| *told == why);
            None
        });
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Loading if self.hops.is_none() => self.side.set_state(WorkerState::Loading),
            Order::HandedOver if self.hops.is_none() => self.side.set_state(WorkerState::Idle),
            Order::Loading | Order::HandedOver => {}
            Order::Install(hops) => {
                self.priority.begins_anew();
                self.install(hops);
            }
            Order::Idle | Order::Failed => {
                self.let_go();
                self.side.set_state(if matches!(order, Order::Idle) { WorkerState::Idle } else { WorkerState::Dead });
            }
        }
    }

    fn install(&mut self, mut hops: Box<HopLoop>) {
        if hops.timing() != self.timing.converter {
            // Another mode's converter came after the mode was left; the engine opens a new crossing for it.
            return self.give_back(hops);
        }
        let position = self.side.position();
        if self.hops.is_some() {
            hops.restart(position);
            let from = position + (WARM_SECONDS * self.timing.host_rate as f64) as u64;
            let former = self.swap.replace(Swap { hops, from, pending: Vec::new() });
            former.into_iter().for_each(|swap| self.give_back(swap.hops));
        } else {
            let position = self.side.skip_to(self.side.due().max(0) as u64).max(position);
            hops.restart(position);
            self.hops = Some(hops);
            self.tell(None);
            // What is played from here on needs input from here on: the first output comes a latency later.
            let owed = if position == 0 { 0 } else { position + self.latency.total as u64 };
            self.side.ready_from(owed);
        }
    }

    /// Leaves a voice to the loader.
    fn give_back(&self, hops: Box<HopLoop>) {
        if let Err(SendError(hops)) = self.spent.send(hops) {
            drop_guarded(hops);
        }
    }

    /// The voice that was about to take over has.
    fn take_over(&mut self, swap: Swap) {
        let former = self.hops.replace(swap.hops);
        former.into_iter().for_each(|hops| self.give_back(hops));
    }

    fn restart(&mut self, position: u64) {
        if let Some(swap) = self.swap.take() {
            self.take_over(swap);
        }
        if let Some(hops) = &mut self.hops {
            hops.restart(position);
        }
    }

    fn hear(&mut self, samples: &[f32]) {
        let Some(hops) = &mut self.hops else { return };
        hops.push(samples);
        if let Some(swap) = &mut self.swap {
            swap.hops.push(samples);
        }
        // The worker fell behind for good: catch up by leaving out what can't be played any more.
        let behind = self.side.due() - hops.position() as i64;
        if behind as f64 > TOO_LATE_SECONDS * self.timing.host_rate as f64 {
            let position = self.side.skip_to(self.side.due().max(0) as u64);
            self.restart(position);
            return;
        }
        // Only where the host says so: a live one that is in a hurry for a moment must not wait for a server.
        let renders = self.side.shared().declared_offline();
        self.hops.iter_mut().chain(self.swap.iter_mut().map(|s| &mut s.hops)).for_each(|h| h.renders(renders));
        while self.hops.as_ref().is_some_and(|hops| hops.is_ready()) && !self.side.must_end() {
            let began = Instant::now();
            match self.hop() {
                Ok(()) => {
                    self.side.count_hop((began.elapsed().as_secs_f64() / self.hop_seconds) as f32);
                    self.forget();
                }
                Err(ConvertError::NotFinite) => {
                    // The next hop may well be right, so this one's sentence stays for as long as it takes to read.
                    self.lose(ConvertError::NotFinite, (READ_SECONDS / self.hop_seconds) as u32);
                    let position = self.side.position();
                    self.restart(position);
                }
                Err(e @ ConvertError::Away(_)) => {
                    // The state of the model went with the hop. What has come meanwhile and can still be played is
                    // where it starts afresh.
                    self.lose(e, 1);
                    let position = self.side.skip_to(self.side.due().max(0) as u64);
                    self.restart(position);
                }
                Err(e) => self.die(e.to_string()),
            }
        }
    }

    fn break_down(&mut self, panic: &(dyn std::any::Any + Send)) {
        self.die(format!("the voice broke down ({}); choose it again to revive it", panic_text(panic)));
    }

    /// Lets both voices go.
    fn let_go(&mut self) {
        let (hops, swap) = (self.hops.take(), self.swap.take());
        hops.into_iter().chain(swap.map(|swap| swap.hops)).for_each(|hops| self.give_back(hops));
    }

    fn die(&mut self, why: String) {
        self.let_go();
        self.tell(Some(why));
        self.side.set_state(WorkerState::Dead);
    }

    /// One hop of the voice, and of the one that is about to take over.
    fn hop(&mut self) -> Result<(), ConvertError> {
        let Some(hops) = &mut self.hops else { return Ok(()) };
        let controls = self.controls;
        let Some((start, samples)) = hops.step(&controls)? else { return Ok(()) };
        let mut done = false;
        let mixed;
        let samples = match &mut self.swap {
            None => samples,
            Some(swap) => {
                if let Some((_, new)) = swap.hops.step(&controls)? {
                    swap.pending.extend_from_slice(new);
                }
                let fade = (SWAP_SECONDS * self.timing.host_rate as f64) as u64;
                (mixed, done) = crossfade(samples, start, swap, fade);
                &mixed[..]
            }
        };
        give(&mut self.side, start, samples);
        if done && let Some(swap) = self.swap.take() {
            // Both loops cut their hops at the same places, so the new one goes on exactly where the old one stops.
            self.take_over(swap);
            self.tell(None);
        }
        Ok(())
    }
}

/// Output of a swap: the old voice, then a mixture, then the new one; tells whether the new one has taken over
/// entirely.
fn crossfade(old: &[f32], start: u64, swap: &mut Swap, fade: u64) -> (Vec<f32>, bool) {
    let first_new = swap.hops.position() - swap.pending.len() as u64;
    let mut mixed = Vec::with_capacity(old.len());
    for (i, &x) in old.iter().enumerate() {
        let position = start + i as u64;
        let share = (position.saturating_sub(swap.from) as f32 / fade as f32).min(1.0);
        let new = position.checked_sub(first_new).and_then(|k| swap.pending.get(k as usize)).copied();
        mixed.push(match new {
            Some(y) if share > 0.0 => x + share * (y - x),
            _ => x,
        });
    }
    let end = start + old.len() as u64;
    let spent = (end.saturating_sub(first_new) as usize).min(swap.pending.len());
    swap.pending.drain(..spent);
    (mixed, end >= swap.from + fade && swap.hops.position() == end)
}

/// Gives samples to the audio side; waits where its ring is full, which only an offline render or a paused host can
/// bring about.
fn give(side: &mut WorkerSide<Controls>, mut start: u64, mut samples: &[f32]) {
    while !samples.is_empty() && !side.must_end() {
        let n = side.emit(start, samples);
        start += n as u64;
        samples = &samples[n..];
        if n == 0 {
            std::thread::sleep(NAP);
        }
    }
}

/// Drops a voice. One that panics in its drop is gone all the same.
pub(super) fn drop_guarded(hops: Box<HopLoop>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(hops)));
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".to_owned())
}
