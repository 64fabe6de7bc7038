//! The packs that an instance can be made with: looked for, and fetched where they are published, on threads of their
//! own. Not for the audio thread.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::instance::Instance;
use crate::engine::published::fetch_published;
use crate::engine::{Offer, Source, panic_text};
use crate::packs::fetch::{Progress, Stage};
use crate::packs::listed::{Listing, listings};
use crate::packs::user_folder;

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    /// The packs of this machine.
    pub offers: Vec<Offer>,
    /// The published models that are not here.
    pub published: Vec<Listing>,
    /// One sentence on why not all of it is known.
    pub problem: Option<String>,
}

/// A model that is being fetched.
#[derive(Debug, Clone)]
pub struct Coming {
    /// Its title.
    pub title: String,
    /// How far it is.
    pub progress: Progress,
}

/// How fetching stands.
#[derive(Debug, Default)]
struct Fetching {
    coming: Option<Coming>,
    /// How the last one ended, in a sentence.
    told: Option<Result<String, String>>,
}

/// See the top of the file.
#[derive(Debug, Default)]
pub struct Models {
    shelf: Mutex<Arc<Shelf>>,
    fetching: Mutex<Fetching>,
    /// Writer: the window. Reader: the thread that fetches.
    cancel: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Models {
    /// What there was when it was looked last.
    pub fn shelf(&self) -> Arc<Shelf> {
        lock(&self.shelf).clone()
    }

    /// What is being fetched.
    pub fn coming(&self) -> Option<Coming> {
        lock(&self.fetching).coming.clone()
    }

    /// How the last fetching ended.
    pub fn told(&self) -> Option<Result<String, String>> {
        lock(&self.fetching).told.clone()
    }

    /// Gives up what is being fetched; what has arrived stays for the next time.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

/// Looks for packs.
pub fn look(instance: &Arc<Instance>) {
    let weak = Arc::downgrade(instance);
    let work = move || {
        if let Some(instance) = weak.upgrade() {
            *lock(&instance.models.shelf) = Arc::new(found(&instance));
        }
    };
    if let Err(e) = instance.spawn("mynah-packs", work) {
        *lock(&instance.models.shelf) = Arc::new(Shelf { problem: Some(e.to_string()), ..Shelf::default() });
    }
}

fn found(instance: &Instance) -> Shelf {
    let provider = instance.params.provider.get().0;
    let source: Arc<dyn Source> = instance.source().unwrap_or_else(|| Arc::new(instance.packs()));
    let (offers, lacks) = match source.offers(provider) {
        Ok(offers) => (offers, None),
        Err(e) => (Vec::new(), Some(e.to_string())),
    };
    let (published, unlisted) = match listings() {
        Ok(all) => (all.into_iter().filter(|l| offers.iter().all(|o| o.id != *l.id)).collect(), None),
        Err(e) => (Vec::new(), Some(e.to_string())),
    };
    Shelf { offers, published, problem: lacks.or(unlisted) }
}

/// Fetches a published model, unless another one is on its way.
pub fn fetch(instance: &Arc<Instance>, listing: &Listing) {
    let (models, listing) = (&instance.models, listing.clone());
    let first = Progress { stage: Stage::Download, what: listing.title.clone(), done: 0, total: 0 };
    let mut fetching = lock(&models.fetching);
    if fetching.coming.is_some() {
        return;
    }
    *fetching = Fetching { coming: Some(Coming { title: listing.title.clone(), progress: first }), told: None };
    models.cancel.store(false, Ordering::Relaxed);
    drop(fetching);
    let weak = Arc::downgrade(instance);
    let work = move || {
        let go_on = |progress: &Progress| match weak.upgrade() {
            Some(instance)
                if !instance.ends().load(Ordering::Relaxed) && !instance.models.cancel.load(Ordering::Relaxed) =>
            {
                lock(&instance.models.fetching).coming =
                    Some(Coming { title: listing.title.clone(), progress: progress.clone() });
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        };
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| had(&listing, &mut { go_on })));
        let broke = |panic: Box<dyn Any + Send>| {
            Err(format!("the model could not be looked at ({}); choose another", panic_text(&*panic)))
        };
        let outcome = outcome.unwrap_or_else(broke);
        let Some(instance) = weak.upgrade() else { return };
        *lock(&instance.models.shelf) = Arc::new(found(&instance));
        *lock(&instance.models.fetching) = Fetching { coming: None, told: Some(outcome) };
    };
    if let Err(e) = instance.spawn("mynah-packs", work) {
        *lock(&models.fetching) = Fetching { coming: None, told: Some(Err(e.to_string())) };
    }
}

fn had(listing: &Listing, progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>) -> Result<String, String> {
    let home = user_folder().ok_or("this machine tells no home; set MYNAH_HOME to a folder for packs and voices")?;
    let had = fetch_published(listing, &home.join("packs"), false, progress).map_err(|e| e.to_string())?;
    let note = had.found.note.map_or_else(String::new, |note| format!("; {note}"));
    Ok(format!("{} is here, {}{note}", listing.title, had.trust.words()))
}
