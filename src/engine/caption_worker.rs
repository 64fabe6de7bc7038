//! The caption worker: a thread of its own, so that a slow recogniser never costs a voice hop. Takes sound from the
//! tap, gives words to the transcript. It knows no plugin type.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use atomic_float::AtomicF32;

use super::source::{Captioner, Source};
use super::voice_worker::{Problem, panic_text};
use mynah_dsp::denormals::FlushDenormals;
use mynah_dsp::resample::Resampler;
use mynah_models::exit;
use mynah_outlets::Wire;
use mynah_realtime::{Shared, TapPull, TapSide};
use mynah_recognition::RecognizeError;
use mynah_recognition::stream::{Event, Settings};
use mynah_subtitles::transcript::{Place, Transcript};

/// Rate of all recognisers in Hz.
const RATE: u32 = 16000;
/// Host samples taken at a time.
const PULL: usize = 4096;
const NAP: Duration = Duration::from_millis(10);
/// After so many naps without sound it sleeps until it is woken, and looks around all the same after so long.
const QUIET: u32 = 100;
const SLEEP: Duration = Duration::from_secs(1);
/// Silence pushed through the resampler at the end of a stretch, in host samples: its kernel's reach.
const FLUSH: usize = 512;

/// A backlog of less than so many seconds counts as none: what is live decides as a bounce does while the machine keeps
/// up.
const KEEPS_UP: f64 = 1.0;

/// What the caption worker tells the others. `Relaxed` suffices: each value stands for itself.
pub struct CaptionShared {
    /// Writer: engine. Reader: caption worker. Where recognisers come from.
    source: Mutex<Arc<dyn Source>>,
    /// Writers: engine (raises), caption worker (takes). Whether another recogniser is wanted than the one that is
    /// loaded.
    renew: AtomicBool,
    /// Writer: caption worker. Reader: engine. The languages that the loaded recogniser can be told.
    languages: Mutex<Arc<[String]>>,
    /// Writer: caption worker. Reader: engine. The language that was told it or heard last.
    spoken: Mutex<Option<String>>,
    /// Writer: engine. Reader: caption worker. Whether captions are wanted; the first time loads the model.
    wanted: AtomicBool,
    /// Writers: engine (raises), caption worker (takes). Whether one that could not be loaded is tried again.
    retry: AtomicBool,
    /// Writer: engine. Reader: caption worker. How often the engine has asked for something: a worker that has seen
    /// less doesn't go to sleep.
    asked: AtomicU64,
    /// Writer: caption worker. Reader: engine. Whether a recogniser is loaded.
    pub(super) ready: AtomicBool,
    /// Writer: caption worker. Reader: engine. Seconds of sound that wait.
    pub(super) behind: AtomicF32,
    /// Writer: caption worker. Reader: engine. Stretches of sound whose words are all final.
    pub(super) ended: AtomicU64,
    /// Held by the worker that writes on the transcript: that of a former mode finishes before the next one begins.
    turn: Mutex<()>,
}

impl CaptionShared {
    /// Nothing is wanted yet.
    pub(super) fn new(source: Arc<dyn Source>) -> Self {
        Self {
            source: Mutex::new(source),
            renew: AtomicBool::default(),
            languages: Mutex::default(),
            spoken: Mutex::default(),
            wanted: AtomicBool::default(),
            retry: AtomicBool::default(),
            asked: AtomicU64::default(),
            ready: AtomicBool::default(),
            behind: AtomicF32::default(),
            ended: AtomicU64::default(),
            turn: Mutex::default(),
        }
    }

    /// Recognisers come from elsewhere from now on.
    pub(super) fn take_from(&self, source: Arc<dyn Source>) {
        *held(&self.source) = source;
        self.renew.store(true, Ordering::Release);
        self.ask();
    }

    /// Whether captions are wanted.
    pub(super) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
        self.ask();
    }

    /// One that could not be loaded is tried again.
    pub(super) fn try_again(&self) {
        self.retry.store(true, Ordering::Relaxed);
        self.ask();
    }

    /// What was asked for before is to be seen by whoever reads `asked`.
    fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Release);
    }

    /// The languages that the loaded recogniser can be told.
    pub(super) fn languages(&self) -> Arc<[String]> {
        held(&self.languages).clone()
    }

    /// The language that was told the recogniser, or that it heard last; none where that isn't known.
    pub(super) fn spoken(&self) -> Option<String> {
        held(&self.spoken).clone()
    }

    fn note_spoken(&self, spoken: Option<&str>) {
        let mut known = held(&self.spoken);
        if known.as_deref() != spoken {
            *known = spoken.map(str::to_owned);
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// The worker's state; `run` is its thread.
pub(super) struct CaptionWorker {
    pub tap: TapSide,
    pub captions: Arc<CaptionShared>,
    pub shared: Arc<Shared>,
    pub transcript: Arc<Mutex<Transcript>>,
    pub wire: Wire,
    pub problem: Problem,
    pub now: Option<Now>,
    /// Naps since sound came last.
    pub empty: u32,
    /// What the engine had asked for at the last look.
    pub asked: u64,
}

/// Where on the timeline the next sample stands. Counted in samples, so that portions of any size come to the same
/// second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    began: f64,
    passed: u64,
    place: Place,
    /// Whether the recogniser has been told.
    told: bool,
}

impl CaptionWorker {
    /// The thread: ends when the engine says so or the audio side is gone and all its sound is heard.
    pub fn run(mut self) {
        let _flush = FlushDenormals::new();
        let captions = self.captions.clone();
        let Some(_turn) = self.turn(&captions.turn) else { return };
        let mut captioner: Option<Box<dyn Captioner>> = None;
        let mut gave_up = false;
        let mut input = vec![0.0f32; PULL];
        let mut heard = vec![0.0f32; PULL * RATE as usize / self.tap.rate().min(RATE) as usize + 64];
        let mut resampler = Resampler::new(self.tap.rate(), RATE, PULL + FLUSH);
        while !self.shared.stopped() {
            self.asked = self.captions.asked.load(Ordering::Acquire);
            let wanted = self.captions.wanted.load(Ordering::Relaxed);
            if self.captions.retry.swap(false, Ordering::Relaxed) || !wanted {
                gave_up = false;
            }
            if self.captions.renew.swap(false, Ordering::Acquire) {
                self.put_away(captioner.take(), &mut resampler, &mut heard);
                gave_up = false;
            }
            if wanted && captioner.is_none() && !gave_up {
                captioner = self.load();
                gave_up = captioner.is_none();
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                self.step(captioner.as_deref_mut(), &mut resampler, &mut input, &mut heard)
            }));
            match outcome {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return,
                Ok(Err(e)) => self.fail(&mut captioner, &mut gave_up, e.to_string()),
                Err(panic) => {
                    let why = format!(
                        "the caption worker broke down ({}); switch captions off and on to revive it",
                        panic_text(&*panic)
                    );
                    self.fail(&mut captioner, &mut gave_up, why);
                }
            }
        }
    }

    /// Waits for the worker before this one.
    fn turn<'a>(&self, turn: &'a Mutex<()>) -> Option<MutexGuard<'a, ()>> {
        while !self.shared.stopped() {
            match turn.try_lock() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(e)) => return Some(e.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(NAP),
            }
        }
        None
    }

    fn tell(&self, problem: Option<String>) {
        *held(&self.problem) = problem;
    }

    fn load(&self) -> Option<Box<dyn Captioner>> {
        let source = held(&self.captions.source).clone();
        let loaded = catch_unwind(AssertUnwindSafe(|| source.captioner(&Settings::default())));
        let (captioner, problem) = match loaded {
            Ok(Ok(c)) => (Some(c), None),
            Ok(Err(e)) => (None, Some(e.to_string())),
            Err(panic) => (None, Some(format!("the caption model could not be loaded ({})", panic_text(&*panic)))),
        };
        self.tell(problem);
        let languages = captioner.iter().flat_map(|c| c.languages()).map(str::to_owned).collect();
        *held(&self.captions.languages) = languages;
        self.captions.note_spoken(captioner.as_ref().and_then(|c| c.spoken()));
        self.captions.ready.store(captioner.is_some(), Ordering::Relaxed);
        exit::register();
        captioner
    }

    /// Lets go of a recogniser in whose place another is wanted: what it heard so far is final.
    fn put_away(&mut self, captioner: Option<Box<dyn Captioner>>, resampler: &mut Resampler, heard: &mut [f32]) {
        let Some(mut captioner) = captioner else { return };
        self.captions.ready.store(false, Ordering::Relaxed);
        let ended = catch_unwind(AssertUnwindSafe(|| self.finish(&mut *captioner, resampler, heard)));
        // One that fails now takes a few words along; the next one tells what is wrong with itself.
        drop(ended);
        resampler.reset(0, 0);
        self.untold();
        self.transcript().end();
    }

    fn fail(&mut self, captioner: &mut Option<Box<dyn Captioner>>, gave_up: &mut bool, why: String) {
        *captioner = None;
        *gave_up = true;
        self.untold();
        self.transcript().end();
        self.captions.ready.store(false, Ordering::Relaxed);
        self.tell(Some(why));
    }

    fn transcript(&self) -> MutexGuard<'_, Transcript> {
        held(&self.transcript)
    }

    /// Another recogniser must be told where the sound stands.
    fn untold(&mut self) {
        self.now = self.now.map(|now| Now { told: false, ..now });
    }

    /// Takes what comes next; tells whether more can come.
    fn step(
        &mut self,
        captioner: Option<&mut (dyn Captioner + 'static)>,
        resampler: &mut Resampler,
        input: &mut [f32],
        heard: &mut [f32],
    ) -> Result<bool, RecognizeError> {
        let mut events = Vec::new();
        let Some(c) = captioner else {
            let pulled = self.pull(input);
            self.move_on(pulled, resampler);
            resampler.reset(0, 0);
            return Ok(pulled != TapPull::Closed);
        };
        if self.now.is_some_and(|now| !now.told) {
            self.begin(c, &mut events)?;
        }
        let pulled = self.pull(input);
        match pulled {
            TapPull::At { .. } => {
                let outcome = self.finish(c, resampler, heard);
                self.move_on(pulled, resampler);
                outcome.and_then(|()| self.begin(c, &mut events))?;
                self.give(&mut events, None);
            }
            TapPull::Samples(n) => {
                let behind = self.tap.behind();
                self.captions.behind.store(behind as f32, Ordering::Relaxed);
                // An offline render waits for the recogniser, which may take its time.
                let behind = if behind < KEEPS_UP || self.shared.offline() { 0.0 } else { behind };
                resampler.push(&input[..n]);
                let n = resampler.pull(heard);
                let outcome = c.push(&heard[..n], behind, &mut events);
                if !events.is_empty() {
                    self.captions.note_spoken(c.spoken());
                }
                self.move_on(pulled, resampler);
                self.give(&mut events, c.settled());
                outcome?;
            }
            TapPull::End | TapPull::Closed => {
                let outcome = self.finish(c, resampler, heard);
                self.transcript().end();
                // Whoever waits for the end must find what went wrong.
                outcome?;
                self.move_on(pulled, resampler);
            }
            TapPull::Empty => self.move_on(pulled, resampler),
        }
        Ok(pulled != TapPull::Closed)
    }

    fn pull(&mut self, input: &mut [f32]) -> TapPull {
        let pulled = self.tap.pull(input);
        if pulled != TapPull::Empty {
            self.empty = 0;
        }
        pulled
    }

    /// Keeps the count of where the sound stands, and of stretches that ended.
    fn move_on(&mut self, pulled: TapPull, resampler: &mut Resampler) {
        match pulled {
            TapPull::At { seconds, rolling } => {
                resampler.reset(0, 0);
                let place = if rolling { Place::Rolling } else { Place::Free };
                self.now = Some(Now { began: seconds, passed: 0, place, told: false });
            }
            TapPull::Samples(n) => {
                self.now = self.now.map(|now| Now { passed: now.passed + n as u64, ..now });
            }
            TapPull::End => {
                self.now = None;
                self.captions.ended.fetch_add(1, Ordering::Relaxed);
            }
            TapPull::Empty => {
                self.captions.behind.store(0.0, Ordering::Relaxed);
                self.rest();
            }
            TapPull::Closed => {}
        }
    }

    /// Nothing came: waits a little, or until somebody rings where nothing has come for a while.
    fn rest(&mut self) {
        self.empty = self.empty.saturating_add(1);
        if self.empty < QUIET {
            return std::thread::sleep(NAP);
        }
        self.shared.caption_bell.sleep(SLEEP, || {
            self.tap.is_empty() && !self.shared.stopped() && self.captions.asked.load(Ordering::Acquire) == self.asked
        });
    }

    /// A pass begins where the sound stands.
    fn begin(&mut self, c: &mut (dyn Captioner + 'static), events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        let Some(now) = &mut self.now else { return Ok(()) };
        now.told = true;
        let now = *now;
        let seconds = self.seconds(now);
        c.at(seconds, events)?;
        self.transcript().begin(seconds, now.place);
        Ok(())
    }

    /// A pass is over: what is left of its sound is heard, and all its words are final.
    fn finish(
        &self,
        c: &mut (dyn Captioner + 'static),
        resampler: &mut Resampler,
        heard: &mut [f32],
    ) -> Result<(), RecognizeError> {
        if self.now.is_none() {
            return Ok(());
        }
        let mut events = Vec::new();
        resampler.push(&[0.0; FLUSH]);
        let n = resampler.pull(heard);
        let outcome = c.push(&heard[..n], 0.0, &mut events).and_then(|()| c.end(&mut events));
        self.give(&mut events, self.now.map(|now| self.seconds(now)));
        outcome
    }

    fn seconds(&self, now: Now) -> f64 {
        now.began + now.passed as f64 / self.tap.rate() as f64
    }

    /// Gives the words to the transcript, and the second up to which there are no others: never more than was heard.
    fn give(&self, events: &mut Vec<Event>, settled: Option<f64>) {
        // Nobody watches a bounce, and it is faster than anybody reads.
        if !events.is_empty() && !self.shared.offline() {
            self.wire.tell(events);
        }
        let mut transcript = self.transcript();
        events.drain(..).for_each(|e| transcript.apply(e));
        if let Some((settled, now)) = settled.zip(self.now) {
            transcript.heard(settled.min(self.seconds(now)));
        }
    }
}
