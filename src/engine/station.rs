//! A crossing with its two workers: what runs for one mode, from its making to the joining of its threads.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use super::caption_worker::{CaptionShared, CaptionWorker};
use super::hops::HopLoop;
use super::source::Source;
use super::threads::{PATIENCE, Threads};
use super::voice_worker::{Order, Problem, VoiceWorker, drop_guarded};
use super::{OpenError, Setup};
use mynah_models::exit::{self, Act, Inside};
use mynah_outlets::Wire;
use mynah_realtime::clock::{ConverterTiming, Latency, Mode, Timing};
use mynah_realtime::{AudioSide, ScopeSide, Shared, crossing};
use mynah_subtitles::transcript::Transcript;
use mynah_voice::{Controls, Converter};

/// The voice worker's thread.
const VOICE: &str = "mynah-voice";

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
    /// When the engine's end waits no longer; empty while it runs.
    pub ending: Arc<OnceLock<Instant>>,
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
    timing: Timing,
    orders: Sender<Order>,
    /// Voices that are used no more.
    spent: Receiver<Box<HopLoop>>,
    threads: Threads,
    ending: Arc<OnceLock<Instant>>,
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
        let (back, spent) = channel();
        let voice = VoiceWorker::new(c.worker, (inbox, back), boards.voice_problem.clone(), timing, c.latency);
        let captions = CaptionWorker {
            tap: c.tap,
            captions: boards.captions.clone(),
            shared: c.shared.clone(),
            transcript: boards.transcript.clone(),
            wire: boards.wire.clone(),
            problem: boards.caption_problem.clone(),
            now: None,
            empty: 0,
            asked: 0,
        };
        let station = Self {
            mode,
            slack,
            converter,
            latency: c.latency,
            shared: c.shared,
            scope: Arc::new(Mutex::new(c.scope)),
            timing,
            orders,
            spent,
            threads: Threads::default(),
            ending: boards.ending.clone(),
        };
        let workers = Arc::downgrade(&station.shared);
        exit::at_exit(move |act| {
            let workers = workers.upgrade().inspect(|shared| {
                if act == Act::Stop {
                    shared.stop();
                }
            });
            workers.is_some()
        });
        // Each counts as inside a model from before it runs until all that it holds is dropped.
        let inside = Inside::enter();
        station.threads.spawn(VOICE, move || {
            let _inside = inside;
            voice.run();
        })?;
        let inside = Inside::enter();
        station.threads.spawn("mynah-captions", move || {
            let _inside = inside;
            captions.run();
        })?;
        Ok((station, c.audio))
    }

    /// Whether the voice worker has ended although nobody asked it to.
    pub fn is_over(&self) -> bool {
        !self.threads.runs(VOICE)
    }

    /// Tells the voice worker what to do next. One that has ended hears nothing: the loader starts another station.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
        self.shared.ring();
    }

    /// What the voice worker needs around a converter, made here, as what it needs no more is dropped by
    /// [`Station::tidy`]: both take longer than a hop may.
    pub fn around(&self, converter: Box<dyn Converter>) -> Box<HopLoop> {
        Box::new(HopLoop::new(converter, &self.timing))
    }

    /// Drops voices that the worker gave back.
    pub fn tidy(&self) {
        self.spent.try_iter().for_each(drop_guarded);
    }
}

impl Drop for Station {
    /// Ends the workers and waits for them, a bounded time: a thread that hangs inside a model is left behind rather
    /// than hanging the host.
    fn drop(&mut self) {
        self.shared.stop();
        let own = Instant::now() + PATIENCE;
        self.threads.join(self.ending.get().map_or(own, |all| own.min(*all)));
    }
}
