//! The card of voices: those in the library to pick from, and enrolment of another from a recording, on a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use egui::{Context, RichText, ScrollArea, Spinner, Ui};

use super::files::{Picker, Purpose};
use super::theme::palette;
use crate::engine::{PackSource, enrol_file};
use crate::plugin::instance::{Instance, Readings};
use crate::runtime::Provider;
use crate::voice::TargetVoice;
use crate::voice::library::Library;

/// Endings of files that a reference may have.
const SOUNDS: &[&str] = &["wav", "flac", "mp3", "ogg", "oga", "m4a", "aac", "aif", "aiff", "caf", "mka", "mkv", "mp4", "webm", "opus"];

/// Height of the line of providers.
const PROVIDER: f32 = 30.0;

/// How an enrolment stands.
#[derive(Debug, Default)]
enum Enrolment {
    #[default]
    None,
    /// Of this file.
    Running(String),
    /// With this sentence.
    Failed(String),
    /// The library has another voice.
    Done,
}

/// See the top of the file.
pub struct VoiceCard {
    instance: Arc<Instance>,
    library: Vec<TargetVoice>,
    /// The name that timbres of the voice pack in use bear.
    timbre_model: Option<String>,
    problem: Option<String>,
    enrolment: Arc<Mutex<Enrolment>>,
    picker: Option<Picker>,
    folder: PathBuf,
}

/// The folder where pickers begin.
pub fn home() -> PathBuf {
    directories::UserDirs::new().map_or_else(|| PathBuf::from("/"), |dirs| dirs.home_dir().to_owned())
}

impl VoiceCard {
    /// A card that has not looked at the library yet.
    pub fn new(instance: Arc<Instance>) -> Self {
        Self { instance, library: Vec::new(), timbre_model: None, problem: None, enrolment: Arc::default(), picker: None, folder: home() }
    }

    /// Looks at the library, and at the voice pack in use.
    pub fn refresh(&mut self) {
        self.timbre_model = PackSource::standard().timbre_model();
        match Library::standard().list() {
            Ok(voices) => (self.library, self.problem) = (voices, None),
            Err(e) => self.problem = Some(e.to_string()),
        }
    }

    /// Draws the card.
    pub fn show(&mut self, ui: &mut Ui, readings: &Readings) {
        let foot = if self.problem.is_some() || self.failed() { 150.0 } else { 96.0 };
        let chosen = self.instance.params.target.get().0;
        ScrollArea::vertical().id_salt("voices").max_height(ui.available_height() - foot).auto_shrink(false).show(ui, |ui| {
            if self.library.is_empty() {
                ui.label(
                    RichText::new("Your voices will stand here. A few seconds of somebody's speech are enough to add one.")
                        .color(palette(ui).muted),
                );
            }
            for voice in &self.library {
                let on = chosen.as_ref().is_some_and(|c| c == voice);
                let text = RichText::new(&voice.name).size(14.0);
                let line = ui.add_sized([ui.available_width(), 28.0], egui::Button::selectable(on, text));
                let pitch =
                    if voice.median_pitch > 0.0 { format!("about {:.0} Hz", voice.median_pitch) } else { "no pitch known".to_owned() };
                let known = self.timbre_model.as_ref().is_none_or(|m| voice.timbre_of(m).is_some());
                let advice = if known { "" } else { "; add it again from its recording and it comes closer" };
                if line.on_hover_text(pitch + advice).clicked() {
                    self.instance.choose_voice(Some(voice.clone()));
                }
            }
            if let Some(voice) = chosen.filter(|c| !self.library.contains(c)) {
                ui.add_sized([ui.available_width(), 28.0], egui::Button::selectable(true, &voice.name))
                    .on_hover_text("Kept in the project; it is not in your library");
            }
        });
        self.enrolment(ui);
        ui.add_space((ui.available_height() - PROVIDER).max(0.0));
        self.provider(ui, readings);
    }

    fn failed(&self) -> bool {
        matches!(*self.held(), Enrolment::Failed(_))
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Enrolment> {
        self.enrolment.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn enrolment(&mut self, ui: &mut Ui) {
        if let Some(problem) = &self.problem {
            ui.label(RichText::new(problem).color(palette(ui).bad));
        }
        let mut done = false;
        let mut running = false;
        match &*self.held() {
            Enrolment::Running(name) => {
                running = true;
                ui.horizontal(|ui| {
                    ui.add(Spinner::new().size(14.0).color(palette(ui).accent));
                    ui.label(RichText::new(format!("listening to {name}")).color(palette(ui).muted));
                });
            }
            Enrolment::Failed(why) => {
                ui.label(RichText::new(why).color(palette(ui).bad));
            }
            Enrolment::Done => done = true,
            Enrolment::None => {}
        }
        if done {
            *self.held() = Enrolment::None;
            self.refresh();
        }
        if !running && ui.add_sized([ui.available_width(), 30.0], egui::Button::new("Add a voice from a recording")).clicked() {
            self.picker = Some(Picker::new("A recording of the voice", Purpose::Open(SOUNDS), &self.folder, ""));
        }
    }

    fn provider(&self, ui: &mut Ui, readings: &Readings) {
        let chosen = self.instance.params.provider.get().0;
        ui.horizontal(|ui| {
            ui.label(RichText::new("Computed on").color(palette(ui).muted));
            egui::ComboBox::from_id_salt("provider").selected_text(chosen.name()).width(100.0).show_ui(ui, |ui| {
                for provider in Provider::ALL.into_iter().filter(|p| *p == chosen || *p == Provider::Cpu || p.compiled_in()) {
                    if ui.selectable_label(provider == chosen, provider.name()).clicked() && provider != chosen {
                        self.instance.choose_provider(provider);
                    }
                }
            });
            if let Some(s) = readings.status.as_ref().filter(|s| s.voice.is_some() && !s.loading && s.provider != chosen) {
                ui.label(RichText::new(format!("in fact {}", s.provider.name())).small().color(palette(ui).accent))
                    .on_hover_text("Why stands under Engine");
            }
        });
    }

    /// Draws the picker where one is open.
    pub fn picker(&mut self, ctx: &Context) {
        if let Some(path) = Picker::file(&mut self.picker, &mut self.folder, ctx) {
            self.enrol(&path);
        }
    }

    fn enrol(&self, path: &Path) {
        let name = path.file_stem().and_then(|s| s.to_str()).unwrap_or("voice").to_owned();
        *self.held() = Enrolment::Running(name.clone());
        let (state, path, weak) = (self.enrolment.clone(), path.to_owned(), Arc::downgrade(&self.instance));
        let work = move || {
            let outcome = enrol_file(&path, &name).map_err(|e| e.to_string()).and_then(|voice| {
                // The voice speaks even where it can't be kept.
                if let Some(instance) = weak.upgrade() {
                    instance.choose_voice(Some(voice.clone()));
                }
                Library::standard().save(&voice).map_err(|e| e.to_string())
            });
            *state.lock().unwrap_or_else(|e| e.into_inner()) = match outcome {
                Ok(()) => Enrolment::Done,
                Err(why) => Enrolment::Failed(why),
            };
        };
        if let Err(e) = self.instance.spawn("mynah-enrol", work) {
            *self.held() = Enrolment::Failed(e.to_string());
        }
    }
}
