//! The loader: one thread that brings what runs in line with what is wanted. Loading takes up to seconds, so neither the user nor the audio
//! thread waits for it; of many wishes in a row only the last is loaded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::port::PortEntry;
use super::source::{OpenError, Opened, Source};
use super::station::{Boards, Station};
use super::voice_worker::{Order, panic_text};
use super::{Setup, View};
use crate::bridge::AudioSide;
use crate::clock::Mode;
use crate::runtime::Provider;
use crate::voice::{Controls, TargetVoice};

/// What is wanted. `load` grows with each wish for a voice, so that the same voice asked for again is loaded again: that revives a dead worker.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub mode: Mode,
    pub provider: Provider,
    pub voice: Option<TargetVoice>,
    pub load: u64,
}

/// How often it looks for crossings that the audio thread has given back.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Loader {
    pub setup: Setup,
    pub source: Arc<dyn Source>,
    pub boards: Boards,
    pub view: Arc<Mutex<View>>,
    pub entry: PortEntry,
    /// The one in use is the last.
    pub stations: Vec<Station>,
    pub wishes: Receiver<Wish>,
}

impl Loader {
    /// The thread: ends when the engine is dropped, and with it all workers.
    pub fn run(mut self) {
        let mut loaded = 0;
        let mut waiting: Option<Box<AudioSide<Controls>>> = None;
        loop {
            match self.wishes.recv_timeout(LOOK) {
                Ok(wish) => {
                    let wish = self.wishes.try_iter().last().unwrap_or(wish);
                    if let Some(side) = self.meet(&wish, &mut loaded) {
                        waiting = Some(Box::new(side));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if let Some(side) = waiting.take() {
                waiting = self.entry.replace(*side).err();
            }
            self.retire(waiting.is_some());
        }
    }

    /// Ends the workers whose crossings came back from the audio thread.
    fn retire(&mut self, waiting: bool) {
        let back = self.entry.clean_up();
        let keep = 1 + usize::from(waiting);
        let spent = back.min(self.stations.len().saturating_sub(keep));
        self.stations.drain(..spent);
    }

    /// Gives the new crossing where the mode changed.
    fn meet(&mut self, wish: &Wish, loaded: &mut u64) -> Option<AudioSide<Controls>> {
        let current = self.stations.last()?.mode;
        let mut side = None;
        if wish.mode != current {
            match Station::start(&self.setup, wish.mode, &self.source, &self.boards) {
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
            self.load(wish);
        }
        side
    }

    fn tell(&self, problem: Option<String>) {
        *self.boards.voice_problem.lock().unwrap_or_else(|e| e.into_inner()) = problem;
    }

    fn load(&self, wish: &Wish) {
        let Some(station) = self.stations.last() else { return };
        let Some(voice) = &wish.voice else {
            station.order(Order::Idle);
            self.tell(None);
            self.view(|v| (v.voice, v.note, v.loading) = (None, None, false));
            return;
        };
        station.order(Order::Loading);
        let opened = catch_unwind(AssertUnwindSafe(|| self.source.open(station.mode, voice, wish.provider)))
            .unwrap_or_else(|panic| Err(OpenError(format!("the voice could not be loaded ({})", panic_text(&*panic)))));
        match opened {
            Ok(Opened { converter, provider, note }) => {
                station.order(Order::Install(converter));
                self.tell(None);
                self.view(|v| (v.voice, v.provider, v.note, v.loading) = (Some(voice.name.clone()), provider, note, false));
            }
            Err(e) => {
                station.order(Order::Failed);
                self.tell(Some(e.to_string()));
                self.view(|v| v.loading = false);
            }
        }
    }

    fn view(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.view.lock().unwrap_or_else(|e| e.into_inner()));
    }
}
