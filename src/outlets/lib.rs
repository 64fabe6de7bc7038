//! Outlets: the words as they come, for the programs of people who stream. One folder or file an outlet, all driven
//! from one thread of their own. Knows words and cues, no engine and no plugin.
//!
//! The caption worker writes on a [`Wire`] and never waits for anybody. A slow or dead outlet misses partials; final
//! words wait for it, a bounded number, and how many it lost is told.

mod display;
pub mod jsonl;
mod obs;
mod overlay;
mod rows;
mod settings;
mod status;
pub mod testing;
mod wire;

pub use obs::fuzz as fuzz_obs;
pub use overlay::MOST_CLIENTS;
pub use overlay::fuzz as fuzz_overlay;
pub use settings::{OBS_ADDRESS, OVERLAY_PORT, ObsSettings, OverlaySettings, Password, Settings, SettingsError};
pub use status::{ObsLink, ObsStatus, OverlayStatus, SourceProblem, Status};
pub use wire::{Cursor, KEPT, News, Numbered, Wire};

use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle as Task;

use mynah_subtitles::cues::Style;

/// How long an outlet may take to say good-bye: OBS gets its text cleared.
const FAREWELL: Duration = Duration::from_millis(1500);
/// How long the look-up of a host's name may hold up the end.
const LOOK_UP: Duration = Duration::from_secs(10);

/// Why the outlets could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the outlets could not be started: {0}; close other programs and try again")]
pub struct OutletError(#[from] std::io::Error);

/// The running outlets. Dropping it ends them and their thread, within seconds.
#[derive(Debug)]
pub struct Outlets {
    wishes: Option<watch::Sender<Settings>>,
    status: Arc<Mutex<Status>>,
    thread: Option<JoinHandle<()>>,
}

impl Outlets {
    /// Starts the thread and whatever the settings ask for. `style` gives the rows of OBS's text source.
    pub fn start(wire: Wire, settings: Settings, style: Style) -> Result<Self, OutletError> {
        let (wishes, inbox) = watch::channel(settings);
        let status = Arc::<Mutex<Status>>::default();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().max_blocking_threads(2).build()?;
        let house = House { wire, style, status: status.clone() };
        let thread = std::thread::Builder::new().name("mynah-outlets".to_owned()).spawn(move || {
            runtime.block_on(house.keep(inbox));
            runtime.shutdown_timeout(LOOK_UP);
        })?;
        Ok(Self { wishes: Some(wishes), status, thread: Some(thread) })
    }

    /// Other settings: what they change is started anew, the rest goes on.
    pub fn set(&self, settings: Settings) {
        if let Some(wishes) = &self.wishes {
            wishes.send_if_modified(|held| std::mem::replace(held, settings) != *held);
        }
    }

    /// How the outlets are doing.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

impl Drop for Outlets {
    fn drop(&mut self) {
        self.wishes = None;
        if let Some(thread) = self.thread.take() {
            // A panic of its own was its own end: there is nothing left to tell.
            let _ = thread.join();
        }
    }
}

/// What the thread holds.
struct House {
    wire: Wire,
    style: Style,
    status: Arc<Mutex<Status>>,
}

/// An outlet that runs, with the settings that it runs by.
struct Running<S> {
    settings: S,
    stop: watch::Sender<bool>,
    task: Task<()>,
}

impl<S: Clone + PartialEq> Running<S> {
    /// Makes an outlet fit its settings: ends the old one and starts another where they differ.
    async fn fit<F: Future<Output = ()> + Send + 'static>(
        held: &mut Option<Self>,
        wished: Option<&S>,
        start: impl FnOnce(watch::Receiver<bool>) -> F,
    ) {
        if held.as_ref().map(|h| &h.settings) == wished {
            return;
        }
        if let Some(Running { stop, mut task, .. }) = held.take() {
            stop.send_replace(true);
            if tokio::time::timeout(FAREWELL, &mut task).await.is_err() {
                task.abort();
            }
        }
        if let Some(settings) = wished {
            let (stop, stopped) = watch::channel(false);
            *held = Some(Self { settings: settings.clone(), stop, task: tokio::spawn(start(stopped)) });
        }
    }
}

impl House {
    /// Keeps the outlets as the settings say, until nobody can change them any more.
    async fn keep(self, mut inbox: watch::Receiver<Settings>) {
        let (mut overlay, mut obs) = (None, None);
        loop {
            let wished = inbox.borrow_and_update().clone();
            self.tell(|s| {
                s.overlay = s.overlay.take().filter(|_| wished.overlay.on);
                s.obs = s.obs.take().filter(|_| wished.obs.on);
            });
            self.fit(&mut overlay, &mut obs, &wished).await;
            if inbox.changed().await.is_err() {
                break;
            }
        }
        self.fit(&mut overlay, &mut obs, &Settings::default()).await;
    }

    async fn fit(
        &self,
        overlay: &mut Option<Running<OverlaySettings>>,
        obs: &mut Option<Running<ObsSettings>>,
        wished: &Settings,
    ) {
        Running::fit(overlay, Some(&wished.overlay).filter(|o| o.on), |stop| {
            self.tell(|s| s.overlay = Some(OverlayStatus::Opening));
            let status = self.status.clone();
            let tell = move |told| status.lock().unwrap_or_else(|e| e.into_inner()).overlay = Some(told);
            overlay::run(wished.overlay.port, self.wire.clone(), tell, stop)
        })
        .await;
        Running::fit(obs, Some(&wished.obs).filter(|o| o.on), |stop| {
            self.tell(|s| s.obs = Some(ObsStatus { link: ObsLink::Connecting, lost: 0 }));
            let status = self.status.clone();
            let tell = move |told| status.lock().unwrap_or_else(|e| e.into_inner()).obs = Some(told);
            obs::run(wished.obs.clone(), self.style.clone(), self.wire.clone(), tell, stop)
        })
        .await;
    }

    fn tell(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock().unwrap_or_else(|e| e.into_inner()));
    }
}

/// A number that nobody can foretell, for names and for spreading retries.
fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

/// A short name that no other run bears.
fn random_name() -> String {
    format!("{:016x}", random())
}
