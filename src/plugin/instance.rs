//! One instance of the plugin off the audio thread: the engine, the thread that keeps it in line with the parameters,
//! and what windows and diagnostics read. The audio thread knows nothing of this but one atomic number.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use super::audition::Audition;
use super::check::Check;
use super::closeness::Closeness;
use super::enrolment::Enrolment;
use super::entry::{self, Restart};
use super::history::WorkHistory;
use super::keeper;
use super::models::Models;
use super::outlets::InstanceOutlets;
use super::params::MynahParams;
use super::readings::costs;
pub use super::readings::{Frame, Readings};
use super::state::{Seen, checked};
use crate::engine::booth::Booth;
use crate::engine::threads::{PATIENCE, Threads};
use crate::engine::{AudioPort, Engine, OpenError, PackSource, Picks, Setup, Source};
use crate::exit::{self, Act, Inside};
use crate::realtime::ScopeSide;
use crate::runtime::Provider;
use crate::subtitles::transcript::Transcript;
use crate::voice::TargetVoice;

/// How often the parameters are compared with what the engine was told: while sound runs or a window looks, and else.
const LOOK: Duration = Duration::from_millis(20);
const QUIET_LOOK: Duration = Duration::from_millis(200);
/// Looks without sound until the host is told a latency that the next block would tell it.
const LATENCY_LOOKS: u32 = 10;
/// Looks without sound until it looks less often.
const QUIET_LOOKS: u32 = 50;
/// How fast a meter falls, per look.
const FALL: f32 = 0.86;
/// How long the worst load is shown.
const WORST_HELD: Duration = Duration::from_secs(3);

static LIVE: Mutex<Vec<Weak<Instance>>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(1);

/// See the top of the file.
pub struct Instance {
    /// Counts the instances of this process.
    pub id: u64,
    /// The parameters and persisted choices.
    pub params: Arc<MynahParams>,
    /// Where the words go beside the window.
    pub outlets: InstanceOutlets,
    /// What a window needs of the sound.
    pub booth: Booth,
    /// Another voice for the library.
    pub enrolment: Enrolment,
    /// How a voice sounds.
    pub audition: Audition,
    /// How close the output is to the voice.
    pub closeness: Closeness,
    /// What this machine holds.
    pub check: Check,
    /// The packs that can be picked.
    pub models: Models,
    /// Where voices and recognisers come from, and the picks that it is made by.
    source: Mutex<Option<(Arc<dyn Source>, Picks)>>,
    engine: Mutex<Option<Engine>>,
    seen: Mutex<Seen>,
    readings: Mutex<Readings>,
    work: Mutex<WorkHistory>,
    /// Writer: the window. Reader: the watcher. Whether a window looks at the sound.
    looked_at: AtomicBool,
    /// The track's name, as the host tells it.
    track: Mutex<String>,
    /// Where the captions' copy lies, or why there is none; nothing before there is something to keep.
    copy: Mutex<Option<Result<PathBuf, String>>>,
    /// Writer: audio thread. Readers: windows, diagnostics. Samples of latency that the host was told.
    reported: AtomicU32,
    /// Writer: audio thread. Reader: the watcher. The sound broke down and is not tried again before the host starts it
    /// anew.
    sound_is_over: AtomicBool,
    /// A host that may be asked to start the sound anew.
    restart: Option<Restart>,
    /// Writer: whoever ends the instance. Reader: the watcher.
    stop: Arc<AtomicBool>,
    threads: Threads,
}

/// What windows say once the sound broke down.
const SOUND_IS_OVER: &str =
    "Mynah's sound broke down and converts no more; remove the plugin from the track and add it again";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// All instances of this process that live.
pub fn live() -> Vec<Arc<Instance>> {
    lock(&LIVE).iter().filter_map(Weak::upgrade).collect()
}

impl Instance {
    /// An instance that no host has started yet. No threads.
    pub fn new(params: Arc<MynahParams>) -> Arc<Self> {
        crate::engine::journal::tell_of_panics();
        exit::first();
        let seen = Mutex::new(Seen::now(&params));
        let instance = Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            params,
            outlets: InstanceOutlets::default(),
            booth: Booth::default(),
            enrolment: Enrolment::default(),
            audition: Audition::default(),
            closeness: Closeness::default(),
            check: Check::default(),
            models: Models::default(),
            source: Mutex::default(),
            engine: Mutex::default(),
            seen,
            readings: Mutex::default(),
            work: Mutex::default(),
            looked_at: AtomicBool::new(false),
            track: Mutex::default(),
            copy: Mutex::default(),
            reported: AtomicU32::new(0),
            sound_is_over: AtomicBool::new(false),
            restart: entry::host_of_the_new(),
            stop: Arc::default(),
            threads: Threads::default(),
        });
        // An offline host may render as soon as its state is loaded: the first block must find that a voice is
        // expected.
        let weak = Arc::downgrade(&instance);
        instance.params.target.on_choice(move || {
            if let Some(instance) = weak.upgrade() {
                instance.obey();
            }
        });
        let ends = Arc::downgrade(&instance.stop);
        exit::at_exit(move |act| {
            let ends = ends.upgrade().inspect(|ends| {
                ends.fetch_or(act == Act::Stop, Ordering::Relaxed);
            });
            ends.is_some()
        });
        let mut all = lock(&LIVE);
        all.retain(|weak| weak.strong_count() > 0);
        all.push(Arc::downgrade(&instance));
        instance
    }

    /// Replaces the engine by one for this frame and the parameters as they are. Takes up to the time of ending the old
    /// one.
    pub fn start(self: &Arc<Self>, frame: Frame, source: Arc<dyn Source>) -> Result<AudioPort, OpenError> {
        // The old one ends without the lock, which windows wait for.
        let ended = lock(&self.engine).take();
        drop(ended);
        let mut engine = lock(&self.engine);
        self.sound_is_over.store(false, Ordering::Relaxed);
        let seen = Seen::now(&self.params);
        let voice = checked(self.params.target.get().0);
        let setup = Setup {
            host_rate: frame.rate,
            max_block: frame.block,
            channels: frame.channels,
            mode: seen.mode,
            provider: self.params.provider.get().0,
            voice: voice.clone().unwrap_or_default(),
            captions: seen.captions,
        };
        let picks = self.params.picks.get().0;
        let source = source.picked(&picks).unwrap_or(source);
        *lock(&self.source) = Some((source.clone(), picks));
        let costs = costs(&*source, frame, setup.provider);
        let started = Engine::start_on(setup, source, self.outlets.wire());
        *lock(&self.readings) = Readings {
            problem: voice.err().or_else(|| started.as_ref().err().map(ToString::to_string)),
            frame: Some(frame),
            costs,
            ..Readings::default()
        };
        let (new, port) = started?;
        self.params.words.move_to(new.transcript());
        *lock(&self.seen) = seen;
        *engine = Some(new);
        drop(engine);
        self.watch();
        self.look(Instant::now(), &mut Instant::now());
        Ok(port)
    }

    /// Ends the engine; what stands in for the voice is heard, and windows say why.
    pub fn halt(&self, problem: String) {
        let ended = lock(&self.engine).take();
        drop(ended);
        *lock(&self.readings) = Readings { problem: Some(problem), ..Readings::default() };
    }

    /// Ends the engine and all threads: for the last moment of the plugin. Takes at most about `PATIENCE`.
    pub fn end(&self) {
        let until = Instant::now() + PATIENCE;
        self.stop.store(true, Ordering::Relaxed);
        self.threads.close();
        let ended = lock(&self.engine).take();
        drop(ended);
        self.threads.join(until);
        self.outlets.end();
    }

    /// Runs something of this instance on a thread that ends before the plugin does.
    pub fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        self.threads.spawn(name, work)
    }

    /// The same for what runs a model: an exit of the host asks it to end, as [`Instance::ends`] tells, and waits for
    /// it.
    pub fn spawn_model(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let inside =
            Inside::unless_over().ok_or_else(|| OpenError("the host is ending; nothing new is started".to_owned()))?;
        self.threads.spawn(name, move || {
            let _inside = inside;
            work();
        })
    }

    fn watch(self: &Arc<Self>) {
        if self.threads.runs("mynah-watcher") {
            return;
        }
        let (weak, stop) = (Arc::downgrade(self), self.stop.clone());
        let watcher = move || {
            let (mut worst_at, mut played, mut quiet, mut asked) = (Instant::now(), None, 0u32, None);
            while !stop.load(Ordering::Relaxed) {
                let Some(instance) = weak.upgrade() else { return };
                instance.look(Instant::now(), &mut worst_at);
                instance.outlets.keep(instance.params.captions.on.value());
                let now = lock(&instance.readings).status.as_ref().map(|s| s.counters.played);
                let busy = now != std::mem::replace(&mut played, now) || instance.looked_at.load(Ordering::Relaxed);
                quiet = if busy { 0 } else { quiet.saturating_add(1) };
                if quiet >= LATENCY_LOOKS && !stop.load(Ordering::Relaxed) {
                    instance.tell_latency_without_a_block(&mut asked);
                }
                drop(instance);
                std::thread::park_timeout(if quiet < QUIET_LOOKS { LOOK } else { QUIET_LOOK });
            }
        };
        let weak = Arc::downgrade(self);
        for started in [self.spawn("mynah-watcher", watcher), self.spawn(keeper::NAME, move || keeper::run(&weak))] {
            if let Err(e) = started {
                lock(&self.readings).problem = Some(e.to_string());
            }
        }
    }

    /// A latency that has changed while no sound runs, as with the state of a project that is loaded after the
    /// activation, is told with the next block. A host that sends none is asked to start the sound anew, which tells
    /// it. CLAP alone knows such a request from any thread. `asked`: for which one it was asked last.
    fn tell_latency_without_a_block(&self, asked: &mut Option<u32>) {
        let latency = lock(&self.readings).status.as_ref().map(|s| s.latency.total as u32);
        if let (Some(restart), Some(latency)) = (self.restart, latency)
            && latency != self.reported()
            && asked.replace(latency) != Some(latency)
        {
            // SAFETY: the watcher is joined before the plugin is destroyed, and was not told to stop.
            unsafe { restart.ask() };
        }
    }

    /// Tells the engine what has changed, and reads how it does.
    fn look(&self, now: Instant, worst_at: &mut Instant) {
        let engine = lock(&self.engine);
        let Some(engine) = engine.as_ref() else { return };
        self.tell(engine);
        engine.watch(self.looked_at.load(Ordering::Relaxed));
        lock(&engine.transcript()).set_speaker(&self.speaker());
        let status = engine.status();
        let mut readings = lock(&self.readings);
        let fall = |old: f32, peak: f32| (old * FALL).max(peak);
        readings.meters = (fall(readings.meters.0, status.peaks.0), fall(readings.meters.1, status.peaks.1));
        if status.worst_load >= readings.worst_load || now.saturating_duration_since(*worst_at) > WORST_HELD {
            readings.worst_load = status.worst_load;
            *worst_at = now;
        }
        // A server's distance became known, or another provider was chosen.
        let moved =
            readings.status.as_ref().is_some_and(|s| s.latency != status.latency || s.provider != status.provider);
        if let (true, Some(frame), Some(source)) = (moved, readings.frame, self.source()) {
            readings.costs = costs(&*source, frame, self.params.provider.get().0);
        }
        lock(&self.work).note(now, status.worst_load, status.counters.late_hops);
        readings.status = Some(status);
        if self.sound_is_over.load(Ordering::Relaxed) {
            readings.problem = Some(SOUND_IS_OVER.to_owned());
        }
    }

    /// Tells a running engine what has changed.
    fn obey(&self) {
        if let Some(engine) = lock(&self.engine).as_ref() {
            self.tell(engine);
        }
    }

    fn tell(&self, engine: &Engine) {
        let now = Seen::now(&self.params);
        let mut seen = lock(&self.seen);
        if now.picks != seen.picks {
            self.pick(engine);
        }
        if now.provider != seen.provider {
            engine.set_provider(self.params.provider.get().0);
        }
        if now.mode != seen.mode {
            engine.set_mode(now.mode);
        }
        if now.target != seen.target {
            let voice = checked(self.params.target.get().0);
            lock(&self.readings).problem = voice.as_ref().err().cloned();
            engine.set_voice(voice.unwrap_or_default());
        }
        if now.captions != seen.captions {
            engine.set_captions(now.captions);
        }
        *seen = now;
    }

    /// Tells a running engine that other packs are picked: what isn't changed runs on.
    fn pick(&self, engine: &Engine) {
        let picks = self.params.picks.get().0;
        let mut held = lock(&self.source);
        let Some((source, before)) = held.as_mut() else { return };
        let Some(picked) = source.picked(&picks).filter(|_| picks != *before) else { return };
        if picks.voice != before.voice {
            engine.set_voice_source(picked.clone());
            self.check.forget();
        }
        if (&picks.captions, &picks.language) != (&before.captions, &before.language) {
            engine.set_caption_source(picked.clone());
        }
        *held = Some((picked.clone(), picks));
        drop(held);
        let mut readings = lock(&self.readings);
        readings.costs = readings.frame.and_then(|frame| costs(&*picked, frame, self.params.provider.get().0));
    }

    /// Where the voices come from; none before the host has started the sound.
    pub(super) fn source(&self) -> Option<Arc<dyn Source>> {
        lock(&self.source).as_ref().map(|(source, _)| source.clone())
    }

    /// The packs of this machine as this instance picks them.
    pub fn packs(&self) -> PackSource {
        PackSource::standard().with(&self.params.picks.get().0)
    }

    /// The code of the language that is spoken: told, or heard last; empty where it isn't known. May read a pack.
    pub fn language(&self) -> String {
        let heard = self.readings().status.and_then(|s| s.spoken);
        heard.or_else(|| self.packs().language()).unwrap_or_default()
    }

    /// What windows and diagnostics show.
    pub fn readings(&self) -> Readings {
        lock(&self.readings).clone()
    }

    /// How hard the machine worked lately.
    pub fn work(&self) -> MutexGuard<'_, WorkHistory> {
        lock(&self.work)
    }

    /// Whether a window looks at the sound: only then does the audio thread send it, from the watcher's next look on.
    pub fn look_at_sound(&self, looks: bool) {
        self.looked_at.store(looks, Ordering::Relaxed);
    }

    /// What a window that looks draws; none without an engine, or while one is being made.
    pub fn scope(&self) -> Option<Arc<Mutex<ScopeSide>>> {
        self.engine.try_lock().ok()?.as_ref().map(Engine::scope)
    }

    /// Loads the voice and the recogniser again: packs may have come meanwhile.
    pub fn look_again(&self) {
        self.params.target.choose(self.params.target.get().0);
        if let Some(engine) = lock(&self.engine).as_ref() {
            engine.retry_captions();
        }
    }

    /// The latency in samples that the host was told last.
    pub fn reported(&self) -> u32 {
        self.reported.load(Ordering::Relaxed)
    }

    /// The host has been told this latency. For the audio thread too.
    pub fn report(&self, samples: u32) {
        self.reported.store(samples, Ordering::Relaxed);
    }

    /// The sound broke down: windows say so from the next look on. For the audio thread.
    pub(super) fn sound_broke_down(&self) {
        self.sound_is_over.store(true, Ordering::Relaxed);
    }

    /// Another target voice, or none.
    pub fn choose_voice(&self, voice: Option<TargetVoice>) {
        self.params.target.choose(voice);
    }

    /// Other packs, or another language.
    pub fn choose_picks(&self, picks: Picks) {
        self.params.picks.choose(picks);
    }

    /// Another provider.
    pub fn choose_provider(&self, provider: Provider) {
        self.params.provider.choose(provider);
    }

    /// Who speaks: the name that was typed, or else the track's.
    pub fn speaker(&self) -> String {
        let typed = self.params.speaker.get().0;
        if typed.is_empty() { lock(&self.track).clone() } else { typed }
    }

    /// The name of the track that the plugin stands on, as the host tells it.
    pub fn track(&self) -> String {
        lock(&self.track).clone()
    }

    /// The host tells the track's name.
    pub fn name_track(&self, name: &str) {
        name.clone_into(&mut lock(&self.track));
    }

    /// Where the captions' copy lies, or one sentence on why there is none; nothing before there is something to keep.
    pub fn copy(&self) -> Option<Result<PathBuf, String>> {
        lock(&self.copy).clone()
    }

    pub(super) fn tell_copy(&self, copy: Option<Result<PathBuf, String>>) {
        *lock(&self.copy) = copy;
    }

    /// Whether the instance has come to its end.
    pub(crate) fn ends(&self) -> &AtomicBool {
        &self.stop
    }

    /// The words so far.
    pub fn transcript(&self) -> Arc<Mutex<Transcript>> {
        self.params.words.board()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::{IdentitySource, any_voice};

    fn until(instance: &Instance, what: &str, holds: impl Fn(&Readings) -> bool) {
        let start = Instant::now();
        while !holds(&instance.readings()) {
            assert!(start.elapsed() < Duration::from_secs(20), "{what} did not come: {:?}", instance.readings());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_voice_that_can_not_be_had_leaves_the_latency_and_a_sentence() {
        let source = Arc::new(IdentitySource::default());
        source.faults.refusals.store(1, Ordering::Relaxed);
        let instance = Instance::new(Arc::default());
        instance.choose_voice(Some(any_voice("Ada")));
        let frame = Frame { rate: 48000, block: 256, channels: 2 };
        let port = instance.start(frame, source).expect("a port all the same");
        assert!(port.latency().total > 0);
        let problem = |r: &Readings| r.status.as_ref().and_then(|s| s.voice_problem.clone());
        until(&instance, "the sentence", |r| problem(r).is_some_and(|p| p.contains("refusal")));
        // The same voice chosen again is loaded again.
        instance.choose_voice(Some(any_voice("Ada")));
        until(&instance, "the voice", |r| {
            problem(r).is_none() && r.status.as_ref().is_some_and(|s| s.voice.as_deref() == Some("Ada"))
        });
        instance.end();
        assert!(instance.spawn("late", || ()).is_err(), "nothing begins behind the end");
    }

    #[test]
    fn a_projects_broken_voice_is_told_and_not_loaded() {
        let instance = Instance::new(Arc::default());
        instance.choose_voice(Some(TargetVoice { embedding: vec![0.0; 3], ..any_voice("Ada") }));
        let frame = Frame { rate: 48000, block: 256, channels: 1 };
        let _port = instance.start(frame, Arc::new(IdentitySource::default())).expect("a port all the same");
        let readings = instance.readings();
        assert!(readings.problem.is_some_and(|p| p.contains("256")));
        assert!(readings.status.is_some_and(|s| s.voice.is_none() && !s.loading));
        instance.end();
    }
}
