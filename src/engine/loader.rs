//! The loader: one thread that brings what runs in line with what is wanted. Loading takes up to seconds, so neither
//! the user nor the audio thread waits for it; of many wishes in a row only the last is loaded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::source::{OpenError, Opened, Source};
use super::station::{Boards, Station};
use super::voice_worker::{Order, panic_text};
use super::{Setup, View};
use mynah_models::exit::{self, Inside};
use mynah_models::runtime::Provider;
use mynah_realtime::clock::Mode;
use mynah_realtime::{AudioSide, PortEntry};
use mynah_voice::{Controls, TargetVoice};

/// What is wanted. `load` grows with each wish for a voice, so that the same voice asked for again is loaded again:
/// that revives a dead worker.
#[derive(Clone)]
pub(super) struct Wish {
    pub mode: Mode,
    pub provider: Provider,
    pub source: Arc<dyn Source>,
    pub voice: Option<TargetVoice>,
    pub load: u64,
}

/// How often it looks for crossings that the audio thread has given back, while it waits for one, and for voices that a
/// worker has.
const LOOK: Duration = Duration::from_millis(20);
const SELDOM: Duration = Duration::from_secs(1);
/// How long after a failed load a server is asked again: it may have been started since, and nobody has to choose it
/// again.
const AGAIN: Duration = Duration::from_secs(2);

pub(super) struct Loader {
    pub setup: Setup,
    pub boards: Boards,
    pub view: Arc<Mutex<View>>,
    pub entry: PortEntry<Controls>,
    /// The one in use is the last.
    pub stations: Vec<Station>,
    pub wishes: Receiver<Wish>,
    /// When a wish that a server could not fulfil is tried again, and which.
    pub again: Option<(Instant, Wish)>,
}

impl Loader {
    /// The thread: ends when the engine is dropped, and with it all workers.
    pub fn run(self) {
        let mut loader = self;
        let mut loaded = 0;
        let mut waiting: Option<Box<AudioSide<Controls>>> = None;
        loop {
            let look =
                if waiting.is_some() || loader.stations.len() > 1 || loader.again.is_some() { LOOK } else { SELDOM };
            let told = loader.wishes.recv_timeout(look);
            // In a process that is ending nothing is loaded or dropped any more: what it would need may be gone.
            let Some(_inside) = Inside::unless_over() else {
                match told {
                    Err(RecvTimeoutError::Disconnected) => return std::mem::forget(loader),
                    _ => continue,
                }
            };
            match told {
                Ok(wish) => {
                    let wish = loader.wishes.try_iter().last().unwrap_or(wish);
                    if let Some(side) = loader.try_to_meet(&wish, &mut loaded) {
                        waiting = Some(Box::new(side));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some((_, wish)) = loader.again.take_if(|(when, _)| Instant::now() >= *when) {
                        loaded = 0;
                        if let Some(side) = loader.try_to_meet(&wish, &mut loaded) {
                            waiting = Some(Box::new(side));
                        }
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return drop(loader),
            }
            if let Some(side) = waiting.take() {
                waiting = loader.entry.replace(*side).err();
                if waiting.is_none() {
                    loader.stations.iter().rev().skip(1).for_each(|former| former.order(Order::HandedOver));
                }
            }
            loader.retire(waiting.is_some());
            loader.stations.iter().for_each(Station::tidy);
        }
    }

    /// Ends the workers whose crossings came back from the audio thread.
    fn retire(&mut self, waiting: bool) {
        let back = self.entry.clean_up();
        let keep = 1 + usize::from(waiting);
        let spent = back.min(self.stations.len().saturating_sub(keep));
        self.stations.drain(..spent);
    }

    /// The same; a panic in it is told, and the next wish is tried.
    fn try_to_meet(&mut self, wish: &Wish, loaded: &mut u64) -> Option<AudioSide<Controls>> {
        catch_unwind(AssertUnwindSafe(|| self.meet(wish, loaded))).unwrap_or_else(|panic| {
            self.tell(Some(format!("the voice could not be loaded ({}); choose it again", panic_text(&*panic))));
            self.view(|v| v.loading = false);
            None
        })
    }

    /// Gives the new crossing where the latency changed: with the mode, with another pack, or with a server and its
    /// distance.
    fn meet(&mut self, wish: &Wish, loaded: &mut u64) -> Option<AudioSide<Controls>> {
        self.again = None;
        let due = wish.load != *loaded && wish.voice.is_some();
        let mut known = Ok(());
        if due && wish.provider.server().is_some() {
            self.view(|v| v.loading = true);
            known = guarded(|| wish.source.measure(wish.mode, wish.provider));
        }
        let slack = wish.source.slack(wish.mode, wish.provider);
        let current = self.stations.last()?;
        let mut side = None;
        let moved =
            slack != current.slack || wish.source.timing(wish.mode).is_ok_and(|timing| timing != current.converter);
        if wish.mode != current.mode || (known.is_ok() && moved) || current.is_over() {
            match Station::start(&self.setup, (wish.mode, slack), &*wish.source, &self.boards) {
                Ok((station, audio)) => {
                    self.stations.push(station);
                    side = Some(audio);
                    *loaded = 0;
                }
                Err(e) => self.tell(Some(e.to_string())),
            }
        }
        let station = self.stations.last()?;
        let mut view = self.view.lock().unwrap_or_else(|e| e.into_inner());
        station.shared.watch(view.watched);
        (view.mode, view.latency) = (station.mode, station.latency);
        (view.shared, view.scope) = (station.shared.clone(), station.scope.clone());
        view.loading = wish.load != *loaded && wish.voice.is_some();
        drop(view);
        if wish.load != *loaded {
            *loaded = wish.load;
            self.load(wish, known);
        }
        side
    }

    fn tell(&self, problem: Option<String>) {
        *self.boards.voice_problem.lock().unwrap_or_else(|e| e.into_inner()) = problem;
    }

    /// `known`: whether what has to be known of the provider is.
    fn load(&mut self, wish: &Wish, known: Result<(), OpenError>) {
        let Some(station) = self.stations.last() else { return };
        let Some(voice) = &wish.voice else {
            station.order(Order::Idle);
            self.tell(None);
            self.view(|v| (v.voice, v.note, v.loading) = (None, None, false));
            return;
        };
        station.order(Order::Loading);
        let opened = known.and_then(|()| {
            guarded(|| {
                let Opened { converter, provider, note } = wish.source.open(station.mode, voice, wish.provider)?;
                Ok((station.around(converter), provider, note))
            })
        });
        exit::register();
        match opened {
            Ok((hops, provider, note)) => {
                station.order(Order::Install(hops));
                self.tell(None);
                self.view(|v| {
                    (v.voice, v.provider, v.note, v.loading) = (Some(voice.name.clone()), provider, note, false)
                });
            }
            Err(e) => {
                station.order(Order::Failed);
                self.tell(Some(e.to_string()));
                self.view(|v| v.loading = false);
                self.again = wish.provider.server().map(|_| (Instant::now() + AGAIN, wish.clone()));
            }
        }
    }

    fn view(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.view.lock().unwrap_or_else(|e| e.into_inner()));
    }
}

/// What a source says, or what it broke down with.
fn guarded<T>(work: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(OpenError(format!("the voice could not be loaded ({})", panic_text(&*panic)))))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::source::Captioner;
    use crate::testing::{Identity, IdentitySource, block, setup};
    use crate::{AudioPort, Engine};
    use mynah_realtime::clock::ConverterTiming;

    /// The identity of a model that looks further ahead.
    #[derive(Default)]
    struct Further(IdentitySource);

    impl Source for Further {
        fn timing(&self, mode: Mode) -> Result<ConverterTiming, OpenError> {
            let timing = self.0.timing(mode)?;
            Ok(ConverterTiming { delay: timing.delay + timing.hop, ..timing })
        }

        fn slack(&self, mode: Mode, provider: Provider) -> f64 {
            self.0.slack(mode, provider)
        }

        fn open(&self, mode: Mode, _: &TargetVoice, provider: Provider) -> Result<Opened, OpenError> {
            // Long enough for a host to come and wait meanwhile.
            std::thread::sleep(Duration::from_millis(300));
            let converter = Box::new(Identity::new(self.timing(mode)?));
            Ok(Opened { converter, provider, note: None })
        }

        fn captioner(&self, settings: &mynah_recognition::stream::Settings) -> Result<Box<dyn Captioner>, OpenError> {
            self.0.captioner(settings)
        }
    }

    /// A host that renders waits for the voice that is expected; not in a crossing that another one has taken over
    /// from, where none comes any more.
    #[test]
    fn a_render_goes_on_to_the_crossing_that_takes_over() {
        let source = IdentitySource::default();
        source.faults.refusals.store(1, Ordering::Relaxed);
        let (engine, mut port) = Engine::start(setup(48_000, 512, 1, Mode::Live), Arc::new(source)).expect("an engine");
        engine.wait_ready(Duration::from_secs(20)).expect_err("no voice yet");
        let before = port.latency().total;
        let play = |port: &mut AudioPort| port.process(&mut [&mut [0.1; 512]], &block(true));
        (0..100).for_each(|_| play(&mut port));
        engine.set_voice_source(Arc::new(Further::default()));
        let began = Instant::now();
        while port.latency().total == before {
            play(&mut port);
            assert!(began.elapsed() < Duration::from_secs(20), "it waits where nothing comes");
        }
        engine.wait_ready(Duration::from_secs(20)).expect("the other model speaks");
    }
}
