//! The engine: workers, loading and swapping of voices, status. The plugin, the standalone and the command line all use
//! this. Knows no plugin type.
//!
//! `Engine` is for the threads of windows and commands, `AudioPort` for the audio thread. Both come from
//! `Engine::start`.

pub mod audition;
pub mod booth;
mod caption_worker;
mod find;
mod hops;
mod identify;
pub mod journal;
#[cfg(test)]
mod late_tests;
mod loader;
pub mod measure;
pub mod offline;
mod pack_source;
mod picks;
pub mod preflight;
pub mod priority;
pub mod published;
pub mod scale;
pub mod soak;
mod source;
mod spoken_track;
mod station;
pub mod testing;
pub mod threads;
pub mod usage;
mod voice_worker;
mod voices;

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use find::{find_voice, with_suggestion};
pub use hops::HopLoop;
pub use identify::{Identified, Making, Origin};
pub use pack_source::{PackSource, enrol_file, enrol_file_and_tell, reference};
pub use picks::{Offer, Picks};
pub use source::{Captioner, OpenError, Opened, Source};

pub use voice_worker::panic_text;

use caption_worker::CaptionShared;

use mynah_models::runtime::Provider;
use mynah_outlets::Wire;
use mynah_realtime::clock::{Latency, Mode};
use mynah_realtime::{self as realtime, Counters, ScopeSide, Shared, WorkerState};
use mynah_subtitles::transcript::Transcript;
use mynah_voice::{Controls, TargetVoice};

/// What the host and the user have settled on. A change of rate, block or channels needs a new engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// The host's rate in Hz, 8,000 to 768,000.
    pub host_rate: u32,
    /// The largest block that the host may send, in samples.
    pub max_block: usize,
    /// Channels in and out.
    pub channels: usize,
    /// Delay against quality.
    pub mode: Mode,
    /// What computes the voice.
    pub provider: Provider,
    /// The target voice to begin with.
    pub voice: Option<TargetVoice>,
    /// Whether captions are wanted to begin with.
    pub captions: bool,
}

/// What the loader has beyond the workers that it waits for.
const LOADER_MORE: Duration = Duration::from_millis(500);

/// What the user is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The mode in use.
    pub mode: Mode,
    /// Its latency.
    pub latency: Latency,
    /// The counters of the crossing in use.
    pub counters: Counters,
    /// The worst share of a hop's duration since the last look.
    pub worst_load: f32,
    /// Peaks of input and output since the last look, linear.
    pub peaks: (f32, f32),
    /// The target voice in use.
    pub voice: Option<String>,
    /// Whether a voice is being loaded.
    pub loading: bool,
    /// What computes the voice.
    pub provider: Provider,
    /// One sentence where that is not what was asked for.
    pub note: Option<String>,
    /// One sentence on what is wrong with the voice.
    pub voice_problem: Option<String>,
    /// One sentence on what is wrong with the captions.
    pub caption_problem: Option<String>,
    /// Whether a recogniser is loaded.
    pub captions_ready: bool,
    /// The codes of the languages that it can be told; none where it hears its own alone.
    pub languages: Arc<[String]>,
    /// The code of the language that it was told, or that it heard last; none where that isn't known.
    pub spoken: Option<String>,
    /// Seconds of sound that wait for the recogniser.
    pub captions_behind: f32,
}

/// What the loader tells of the crossing in use.
struct View {
    mode: Mode,
    latency: Latency,
    shared: Arc<Shared>,
    scope: station::Scope,
    /// Whether a window looks at the sound.
    watched: bool,
    voice: Option<String>,
    loading: bool,
    provider: Provider,
    note: Option<String>,
}

/// The audio thread's handle on the engine.
pub type AudioPort = realtime::AudioPort<Controls>;

/// The engine. Dropping it ends all its threads; the audio port then plays dry.
pub struct Engine {
    wish: Mutex<loader::Wish>,
    wishes: Option<Sender<loader::Wish>>,
    view: Arc<Mutex<View>>,
    boards: station::Boards,
    loader: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the workers and begins to load the voice. Does not wait for it.
    pub fn start(setup: Setup, source: Arc<dyn Source>) -> Result<(Self, AudioPort), OpenError> {
        Self::start_on(setup, source, Wire::default())
    }

    /// The same; words that are heard in real time go on a wire too, for outlets; those of a render don't.
    pub fn start_on(setup: Setup, source: Arc<dyn Source>, wire: Wire) -> Result<(Self, AudioPort), OpenError> {
        let boards = station::Boards {
            captions: Arc::new(CaptionShared::new(source.clone())),
            transcript: Arc::default(),
            wire,
            voice_problem: Arc::default(),
            caption_problem: Arc::default(),
            ending: Arc::default(),
        };
        boards.captions.want(setup.captions);
        let (station, side) =
            station::Station::start(&setup, (setup.mode, source.slack(setup.mode, setup.provider)), &*source, &boards)?;
        let (port, entry) = realtime::port(side, setup.host_rate, priority::of_this_thread);
        let view = View {
            mode: setup.mode,
            latency: station.latency,
            shared: station.shared.clone(),
            scope: station.scope.clone(),
            watched: false,
            voice: None,
            loading: setup.voice.is_some(),
            provider: setup.provider,
            note: None,
        };
        let view = Arc::new(Mutex::new(view));
        let (wishes, inbox) = channel();
        let wish =
            loader::Wish { mode: setup.mode, provider: setup.provider, source, voice: setup.voice.clone(), load: 0 };
        let loader = loader::Loader {
            setup,
            boards: boards.clone(),
            view: view.clone(),
            entry,
            stations: vec![station],
            wishes: inbox,
            again: None,
        };
        let thread =
            std::thread::Builder::new().name("mynah-loader".to_owned()).spawn(move || loader.run()).map_err(|e| {
                OpenError(format!("the loader thread could not be started: {e}; close other programs and try again"))
            })?;
        let engine = Self { wish: Mutex::new(wish.clone()), wishes: Some(wishes), view, boards, loader: Some(thread) };
        if wish.voice.is_some() {
            engine.set_voice(wish.voice);
        }
        Ok((engine, port))
    }

    fn wish(&self, change: impl FnOnce(&mut loader::Wish)) {
        let mut wish = self.wish.lock().unwrap_or_else(|e| e.into_inner());
        change(&mut wish);
        if let Some(wishes) = &self.wishes {
            // The loader ends only with the engine.
            let _ = wishes.send(wish.clone());
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Whoever renders waits for the voice from now on.
    fn expect_voice(&self) {
        let mut view = self.view();
        view.shared.expect_voice();
        view.loading = true;
    }

    /// Loads a target voice and crossfades to it; without one the sound stays dry. Asking for the same voice again
    /// revives a dead worker.
    pub fn set_voice(&self, voice: Option<TargetVoice>) {
        if voice.is_some() {
            self.expect_voice();
        }
        self.wish(|w| {
            w.voice = voice;
            w.load += 1;
        });
    }

    /// Changes the mode: the latency changes with it, once, when the new workers are ready.
    pub fn set_mode(&self, mode: Mode) {
        self.wish(|w| {
            if w.mode != mode {
                w.mode = mode;
                w.load += 1;
            }
        });
    }

    /// Loads the voice anew on another provider. The latency changes with it, once, where that is a server, or was one.
    /// The same server again is measured again.
    pub fn set_provider(&self, provider: Provider) {
        self.wish(|w| {
            if w.provider != provider || provider.server().is_some() {
                w.provider = provider;
                w.load += 1;
            }
        });
    }

    /// Takes voices from another source, and loads the one in use anew. It is crossfaded where the timing stays as it
    /// was; else the latency changes, once.
    pub fn set_voice_source(&self, source: Arc<dyn Source>) {
        let some = self.wish.lock().unwrap_or_else(|e| e.into_inner()).voice.is_some();
        if some {
            self.expect_voice();
        }
        self.wish(|w| {
            w.source = source;
            w.load += 1;
        });
    }

    /// Takes recognisers from another source: what was said so far becomes final, and the next word is heard by the new
    /// one.
    pub fn set_caption_source(&self, source: Arc<dyn Source>) {
        self.boards.captions.take_from(source);
        self.view().shared.ring();
    }

    /// Whether captions are wanted; the first time loads the recogniser.
    pub fn set_captions(&self, wanted: bool) {
        self.boards.captions.want(wanted);
        self.view().shared.ring();
    }

    /// Tries again to load a recogniser that could not be loaded.
    pub fn retry_captions(&self) {
        self.boards.captions.try_again();
        self.view().shared.ring();
    }

    /// The words so far. Not for the audio thread.
    pub fn transcript(&self) -> Arc<Mutex<Transcript>> {
        self.boards.transcript.clone()
    }

    /// What the user is shown. Takes the peaks and the worst load: for one reader.
    pub fn status(&self) -> Status {
        let view = self.view();
        let problem = |p: &voice_worker::Problem| p.lock().unwrap_or_else(|e| e.into_inner()).clone();
        Status {
            mode: view.mode,
            latency: view.latency,
            counters: view.shared.counters(),
            worst_load: view.shared.take_worst_load(),
            peaks: view.shared.take_peaks(),
            voice: view.voice.clone(),
            loading: view.loading,
            provider: view.provider,
            note: view.note.clone(),
            voice_problem: problem(&self.boards.voice_problem),
            caption_problem: problem(&self.boards.caption_problem),
            captions_ready: self.boards.captions.ready.load(Ordering::Relaxed),
            languages: self.boards.captions.languages(),
            spoken: self.boards.captions.spoken(),
            captions_behind: self.boards.captions.behind.load(Ordering::Relaxed),
        }
    }

    /// Whether a window looks at the sound: only then does the audio thread send it.
    pub fn watch(&self, looks: bool) {
        let mut view = self.view();
        view.watched = looks;
        view.shared.watch(looks);
    }

    /// What a window that looks draws: input and output of the crossing in use. A change of mode makes another one. For
    /// one reader.
    pub fn scope(&self) -> Arc<Mutex<ScopeSide>> {
        self.view().scope.clone()
    }

    /// Waits until the wished voice converts, or tells why it can't. Not for the audio thread.
    pub fn wait_ready(&self, patience: Duration) -> Result<(), OpenError> {
        let until = Instant::now() + patience;
        loop {
            let status = self.status();
            if !status.loading {
                match status.counters.state {
                    WorkerState::Ready | WorkerState::Idle => return Ok(()),
                    WorkerState::Dead => {
                        return Err(OpenError(
                            status.voice_problem.unwrap_or_else(|| "the voice could not be loaded".to_owned()),
                        ));
                    }
                    WorkerState::Loading => {}
                }
            }
            if Instant::now() >= until {
                return Err(OpenError(format!(
                    "the voice was not ready after {} s; run `mynah doctor`",
                    patience.as_secs()
                )));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stretches of sound whose words are all final: grows by one after each `AudioPort::pause` that ended one.
    pub fn captions_ended(&self) -> u64 {
        self.boards.captions.ended.load(Ordering::Relaxed)
    }
}

impl Drop for Engine {
    /// Waits for the workers and then for the loader, which waits for them too: all have one deadline, the loader a
    /// little more.
    fn drop(&mut self) {
        let until = Instant::now() + threads::PATIENCE;
        // Nobody else sets it.
        let _ = self.boards.ending.set(until);
        self.view().shared.stop();
        self.wishes = None;
        if let Some(loader) = self.loader.take() {
            threads::join_within(loader, until + LOADER_MORE);
        }
    }
}

/// An allocation inside `assert_no_alloc` ends the test.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
