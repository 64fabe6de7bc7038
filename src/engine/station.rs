//! A crossing with its two workers: what runs for one mode, from its making to the joining of its threads.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::caption_worker::{CaptionShared, CaptionWorker};
use super::source::Source;
use super::voice_worker::{Order, Problem, VoiceWorker};
use super::{OpenError, Setup};
use crate::bridge::{AudioSide, ScopeSide, Shared, crossing};
use crate::captions::outlets::Wire;
use crate::captions::transcript::Transcript;
use crate::clock::{ConverterTiming, Latency, Mode, Timing};
use crate::voice::Controls;

/// How long an ending waits for a worker that is inside a model's run.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What a window draws of a mode's sound.
pub(super) type Scope = Arc<Mutex<ScopeSide>>;

/// Where the workers of all modes write.
#[derive(Clone)]
pub(super) struct Boards {
    pub captions: Arc<CaptionShared>,
    pub transcript: Arc<Mutex<Transcript>>,
    pub wire: Wire,
    pub voice_problem: Problem,
    pub caption_problem: Problem,
}

/// The running workers of one mode.
pub(super) struct Station {
    pub mode: Mode,
    /// Seconds kept for computing a hop.
    pub slack: f64,
    /// What every converter of this station has.
    pub converter: ConverterTiming,
    pub latency: Latency,
    pub shared: Arc<Shared>,
    pub scope: Scope,
    orders: Sender<Order>,
    threads: Vec<JoinHandle<()>>,
}

impl Station {
    /// Starts the workers. The audio side belongs to the audio thread.
    pub fn start(
        setup: &Setup,
        (mode, slack): (Mode, f64),
        source: &dyn Source,
        boards: &Boards,
    ) -> Result<(Self, AudioSide<Controls>), OpenError> {
        let converter = source.timing(mode)?;
        let timing = Timing { host_rate: setup.host_rate, max_block: setup.max_block, converter, slack };
        let c = crossing::<Controls>(&timing, setup.channels);
        let (orders, inbox) = channel();
        let voice = VoiceWorker::new(c.worker, inbox, boards.voice_problem.clone(), timing, c.latency);
        let captions = CaptionWorker {
            tap: c.tap,
            captions: boards.captions.clone(),
            shared: c.shared.clone(),
            transcript: boards.transcript.clone(),
            wire: boards.wire.clone(),
            problem: boards.caption_problem.clone(),
            now: None,
        };
        let failed =
            |e: std::io::Error| OpenError(format!("a worker thread could not be started: {e}; close other programs and try again"));
        let mut station = Self {
            mode,
            slack,
            converter,
            latency: c.latency,
            shared: c.shared,
            scope: Arc::new(Mutex::new(c.scope)),
            orders,
            threads: Vec::with_capacity(2),
        };
        let spawn = |name: &str, f: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name.to_owned()).spawn(f);
        station.threads.push(spawn("mynah-voice", Box::new(move || voice.run())).map_err(failed)?);
        station.threads.push(spawn("mynah-captions", Box::new(move || captions.run())).map_err(failed)?);
        Ok((station, c.audio))
    }

    /// Tells the voice worker what to do next. A worker that has ended hears nothing.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}

impl Drop for Station {
    /// Ends the workers and waits for them, a bounded time: a thread that hangs inside a model is left behind rather than hanging the host.
    fn drop(&mut self) {
        self.shared.stop();
        let until = Instant::now() + PATIENCE;
        self.threads.drain(..).for_each(|thread| join_within(thread, until));
    }
}

/// Joins a thread if it ends in time, and leaves it behind if not.
pub(super) fn join_within(thread: JoinHandle<()>, until: Instant) {
    while !thread.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    if thread.is_finished() {
        // A worker catches its own panics; one that got past is told by its state.
        let _ = thread.join();
    }
}
