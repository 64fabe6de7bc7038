//! The card of voices: the library to pick from, to hear, to rename and to add to, and how close the sound is to the
//! voice in use.

mod card;
mod enrol;
pub(super) mod portrait;

use std::path::PathBuf;
use std::sync::Arc;

use egui::{Align, Context, Layout, RichText, ScrollArea, TextEdit, Ui};

use nice_plug::prelude::ParamSetter;

use super::controls::touch;
use super::presets::PresetMenu;
use super::theme::palette;
use crate::plugin::audition::{self, Stage};
use crate::plugin::closeness::{self, Likeness, NATURAL, STRANGER};
use crate::plugin::instance::Instance;
use crate::voice::TargetVoice;
use crate::voice::library::{Entry, Library};
use card::{Card, Click, Listening};
use enrol::{EnrolDialog, Left};
use portrait::Portrait;

/// With more voices than this there is a field to search in.
const FEW: usize = 6;
/// Height of the row with the button that adds one.
const ADD: f32 = 28.0;

/// What can be taken back.
enum Undo {
    /// This voice was removed.
    Removed(Box<Entry>),
    /// The second was the first before it was renamed.
    Renamed(Box<(Entry, Entry)>),
}

/// See the top of the file.
pub struct VoiceCard {
    instance: Arc<Instance>,
    library: Library,
    voices: Vec<(Entry, Portrait)>,
    /// The picture of a voice that only the project has.
    stranger: Option<(TargetVoice, Portrait)>,
    /// The name that timbres of the voice pack in use bear.
    timbre_model: Option<String>,
    problem: Option<String>,
    search: String,
    enrol: Option<EnrolDialog>,
    /// The voice that is being renamed, and the name that is typed.
    rename: Option<(Entry, String)>,
    undo: Option<Undo>,
    presets: PresetMenu,
    /// Which choice of a voice the host was told of.
    told: u64,
    /// Which pick of packs the card was drawn for last.
    picked: u64,
    folder: PathBuf,
}

/// The folder where pickers begin.
pub fn home() -> PathBuf {
    directories::UserDirs::new().map_or_else(|| PathBuf::from("/"), |dirs| dirs.home_dir().to_owned())
}

impl VoiceCard {
    /// A card that has not looked at the library yet.
    pub fn new(instance: Arc<Instance>) -> Self {
        Self {
            presets: PresetMenu::new(instance.clone()),
            told: instance.params.target.generation(),
            picked: 0,
            instance,
            library: Library::standard(),
            voices: Vec::new(),
            stranger: None,
            timbre_model: None,
            problem: None,
            search: String::new(),
            enrol: None,
            rename: None,
            undo: None,
            folder: home(),
        }
    }

    /// Looks at the library, and at the voice pack in use.
    pub fn refresh(&mut self) {
        self.timbre_model = self.instance.packs().timbre_model();
        self.picked = self.instance.params.picks.generation();
        match self.library.entries() {
            Ok(entries) => {
                self.voices =
                    entries.into_iter().map(|entry| (Portrait::of(&entry.voice), entry)).map(|(p, e)| (e, p)).collect();
                self.problem = None;
            }
            Err(e) => self.problem = Some(e.to_string()),
        }
    }

    /// Draws the card.
    pub fn show(&mut self, ui: &mut Ui, setter: &ParamSetter) {
        let p = palette(ui);
        // What the host itself has loaded counts too; being told once more does it no harm.
        let chosen = self.instance.params.target.generation();
        if std::mem::replace(&mut self.told, chosen) != chosen {
            touch(setter, &self.instance.params.voice.on);
        }
        if self.instance.params.picks.generation() != self.picked {
            self.refresh();
        }
        if self.voices.len() > FEW {
            ui.add(TextEdit::singleline(&mut self.search).hint_text("Search").desired_width(f32::INFINITY));
        }
        ui.with_layout(Layout::bottom_up(Align::Min), |ui| {
            self.likeness(ui);
            // A row from below must have its height beforehand, else it grows out of the card.
            let row = egui::vec2(ui.available_width(), ADD);
            ui.allocate_ui_with_layout(row, Layout::left_to_right(Align::Center), |ui| {
                let add = egui::Button::new("Add a voice").min_size(egui::vec2(ui.available_width() - 84.0, ADD));
                if ui.add(add).on_hover_text("From the input or from a file").clicked() {
                    self.enrol = Some(EnrolDialog::new(""));
                }
                self.presets.button(ui, setter);
            });
            self.presets.line(ui);
            self.undo(ui);
            let audition = audition::stage(&self.instance);
            if let Stage::Failed(_, why) = &audition {
                ui.label(RichText::new(why).small().color(p.bad));
            }
            if let Some(problem) = &self.problem {
                ui.label(RichText::new(problem).small().color(p.bad));
            }
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                ScrollArea::vertical().id_salt("voices").auto_shrink(false).show(ui, |ui| self.list(ui, &audition));
            });
        });
    }

    fn list(&mut self, ui: &mut Ui, audition: &Stage) {
        ui.spacing_mut().item_spacing.y = 5.0;
        if self.voices.is_empty() {
            ui.label(
                RichText::new("Your voices will stand here. A few seconds of somebody's speech are enough to add one.")
                    .color(palette(ui).muted),
            );
        }
        let chosen = self.instance.params.target.get().0;
        let sought = self.search.trim().to_lowercase();
        let listening = |name: &str| match audition {
            Stage::Preparing(n) if n == name => Listening::Soon,
            Stage::Playing(n) if n == name => Listening::Now,
            _ => Listening::No,
        };
        let known = |voice: &TargetVoice| self.timbre_model.as_ref().is_none_or(|m| voice.timbre_of(m).is_some());
        let mut clicked = None;
        if let Some(voice) = chosen.as_ref().filter(|c| self.voices.iter().all(|(e, _)| e.voice != **c)) {
            if self.stranger.as_ref().is_none_or(|(v, _)| v != voice) {
                self.stranger = Some((voice.clone(), Portrait::of(voice)));
            }
            if let Some((voice, portrait)) = &self.stranger {
                let card = Card {
                    voice,
                    about: None,
                    portrait,
                    chosen: true,
                    kept: false,
                    known: known(voice),
                    listening: listening(&voice.name),
                };
                clicked = card.show(ui).map(|click| (click, Entry { voice: voice.clone(), about: None }));
            }
        }
        let mut shown = 0;
        for (entry, portrait) in self.voices.iter().filter(|(e, _)| e.voice.name.to_lowercase().contains(&sought)) {
            shown += 1;
            let voice = &entry.voice;
            let card = Card {
                voice,
                about: entry.about.as_ref(),
                portrait,
                chosen: chosen.as_ref() == Some(voice),
                kept: true,
                known: known(voice),
                listening: listening(&voice.name),
            };
            clicked = clicked.or(card.show(ui).map(|click| (click, entry.clone())));
        }
        if shown == 0 && !sought.is_empty() {
            ui.label(RichText::new("No voice has this in its name.").color(palette(ui).muted));
        }
        if let Some((click, entry)) = clicked {
            self.click(click, entry);
        }
    }

    fn click(&mut self, click: Click, entry: Entry) {
        match click {
            Click::Choose => self.instance.choose_voice(Some(entry.voice)),
            Click::Listen => audition::click(&self.instance, &entry.voice),
            Click::Rename => {
                let name = entry.voice.name.clone();
                self.rename = Some((entry, name));
            }
            Click::Again => self.enrol = Some(EnrolDialog::new(&entry.voice.name)),
            Click::Remove => match self.library.remove(&entry.voice.name) {
                Ok(()) => {
                    self.undo = Some(Undo::Removed(Box::new(entry)));
                    self.refresh();
                }
                Err(e) => self.problem = Some(e.to_string()),
            },
        }
    }

    /// What was removed or renamed last, and the way back.
    fn undo(&mut self, ui: &mut Ui) {
        let Some(undo) = &self.undo else { return };
        let told = match undo {
            Undo::Removed(entry) => format!("{} is removed", entry.voice.name),
            Undo::Renamed(pair) => format!("{} is now {}", pair.0.voice.name, pair.1.voice.name),
        };
        let back = ui.horizontal(|ui| {
            let back = ui.small_button("Undo").clicked();
            ui.add(egui::Label::new(RichText::new(told).small().color(palette(ui).muted)).truncate());
            back
        });
        if back.inner
            && let Some(undo) = self.undo.take()
        {
            self.take_back(undo);
        }
    }

    fn take_back(&mut self, undo: Undo) {
        let done = match undo {
            Undo::Removed(entry) => self.library.keep(&entry).map_err(|e| e.to_string()),
            Undo::Renamed(pair) => self.name(&pair.1, &pair.0.voice.name).map(drop),
        };
        self.refresh();
        if let Err(why) = done {
            self.problem = Some(why);
        }
    }

    /// Renames a voice of the library, and in the project where it is the one in use.
    fn name(&self, entry: &Entry, name: &str) -> Result<Entry, String> {
        let renamed = self.library.rename(entry, name).map_err(|e| e.to_string())?;
        if self.instance.params.target.get().0.as_ref() == Some(&entry.voice) {
            self.instance.choose_voice(Some(renamed.voice.clone()));
        }
        Ok(renamed)
    }

    /// How close the sound is to the voice, in a line.
    fn likeness(&self, ui: &mut Ui) {
        let p = palette(ui);
        let (text, colour) = match self.instance.closeness.likeness() {
            Likeness::Unknown => ("How close: —".to_owned(), p.muted),
            Likeness::Cosine(c) => (format!("How close: {c:.2}, {}", closeness::words(c)), p.text),
            Likeness::Problem(why) => (why, p.bad),
        };
        ui.label(RichText::new(text).small().color(colour)).on_hover_text(format!(
            "What the speech of the last five seconds has in common with the voice: the cosine of their GE2E embeddings. The speaker's own other \
             recordings reach {NATURAL:.2}, a stranger {STRANGER:.2}."
        ));
    }

    /// Whether something is going on that has to be seen at once.
    pub fn moves(&self) -> bool {
        self.instance.enrolment.is_busy() || audition::stage(&self.instance) != Stage::Idle
    }

    /// Draws the dialogs where they are open.
    pub fn picker(&mut self, ctx: &Context) {
        if let Some(dialog) = &mut self.enrol {
            let taken = |name: &str| self.voices.iter().any(|(e, _)| e.voice.name == name);
            match dialog.show(ctx, &self.instance, &taken, &mut self.folder) {
                Left::Open => {}
                Left::Closed => self.enrol = None,
                Left::Done => {
                    self.enrol = None;
                    self.refresh();
                }
            }
        }
        self.renaming(ctx);
        self.presets.dialogs(ctx);
    }

    fn renaming(&mut self, ctx: &Context) {
        let Some((entry, mut name)) = self.rename.take() else { return };
        let (mut done, mut closed) = (false, false);
        let response = egui::Modal::new(egui::Id::unique("mynah rename")).show(ctx, |ui| {
            ui.set_width(300.0);
            ui.label(RichText::new(format!("Another name for {}", entry.voice.name)).strong());
            let field = ui.add(TextEdit::singleline(&mut name).char_limit(80).desired_width(f32::INFINITY));
            let entered = field.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
            if let Some(problem) = &self.problem {
                ui.label(RichText::new(problem).small().color(palette(ui).bad));
            }
            ui.horizontal(|ui| {
                done = ui.button("Rename").clicked() || entered;
                closed = ui.button("Cancel").clicked();
            });
        });
        if closed || response.should_close() || (done && name.trim() == entry.voice.name) {
            self.problem = None;
        } else if !done {
            self.rename = Some((entry, name));
        } else {
            match self.name(&entry, name.trim()) {
                Ok(renamed) => {
                    self.undo = Some(Undo::Renamed(Box::new((entry, renamed))));
                    self.refresh();
                }
                Err(why) => (self.problem, self.rename) = (Some(why), Some((entry, name))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::any_voice;
    use crate::plugin::presets::testing::Host;

    fn card(names: &[&str]) -> (VoiceCard, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let library = Library::at(folder.path());
        names.iter().for_each(|name| library.save(&any_voice(name)).expect("saved"));
        let mut card = VoiceCard { library, ..VoiceCard::new(Instance::new(Arc::default())) };
        card.refresh();
        (card, folder)
    }

    /// All text of a frame of the card.
    fn drawn(card: &mut VoiceCard, ctx: &Context, events: Vec<egui::Event>) -> Vec<(String, egui::Rect)> {
        drawn_in(&Host::default(), card, ctx, events)
    }

    fn drawn_in(
        host: &Host,
        card: &mut VoiceCard,
        ctx: &Context,
        events: Vec<egui::Event>,
    ) -> Vec<(String, egui::Rect)> {
        let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(700.0, 480.0));
        let input = egui::RawInput { screen_rect: Some(screen), events, ..Default::default() };
        let mut output = ctx.run_ui(input, |ui| {
            card.show(ui, &ParamSetter::new(host));
            let ctx = ui.ctx().clone();
            card.picker(&ctx);
        });
        output.textures_delta.clear();
        let text = |shape: &egui::epaint::ClippedShape| match &shape.shape {
            egui::Shape::Text(text) => Some((text.galley.text().to_owned(), text.visual_bounding_rect())),
            _ => None,
        };
        output.shapes.iter().filter_map(text).collect()
    }

    fn at(drawn: &[(String, egui::Rect)], text: &str) -> egui::Pos2 {
        drawn.iter().find(|(t, _)| t == text).unwrap_or_else(|| panic!("{text} is not drawn: {drawn:?}")).1.center()
    }

    fn click(card: &mut VoiceCard, ctx: &Context, at: egui::Pos2) {
        let button = |pressed| egui::Event::PointerButton {
            pos: at,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: Default::default(),
        };
        drawn(card, ctx, vec![egui::Event::PointerMoved(at)]);
        drawn(card, ctx, vec![button(true)]);
        drawn(card, ctx, vec![button(false)]);
    }

    #[test]
    fn a_click_chooses_and_search_finds() {
        let names = ["Ada", "Beckett", "Carl", "Dora", "Emil", "Fritz", "Gudrun"];
        let (mut card, _folder) = card(&names);
        let ctx = Context::default();
        let first = drawn(&mut card, &ctx, Vec::new());
        let carl = at(&first, "Carl");
        click(&mut card, &ctx, carl);
        assert_eq!(card.instance.params.target.get().0, Some(any_voice("Carl")));
        card.instance.choose_voice(Some(any_voice("Dora")));
        let host = Host::default();
        (0..3).for_each(|_| drop(drawn_in(&host, &mut card, &ctx, Vec::new())));
        assert_eq!(
            *host.0.lock().expect("not poisoned"),
            [1, 1, 1],
            "the host is told once that the project has changed"
        );
        assert!(card.instance.params.voice.on.value(), "by a value that stays");
        card.search = "dO".to_owned();
        drawn(&mut card, &ctx, Vec::new());
        let found = drawn(&mut card, &ctx, Vec::new());
        let shown: Vec<_> = names.iter().filter(|n| found.iter().any(|(t, _)| t == *n)).collect();
        assert_eq!(shown, [&"Dora"]);
    }

    #[test]
    fn what_is_removed_or_renamed_comes_back() {
        let (mut card, _folder) = card(&["Ada", "Beckett"]);
        let entry = |card: &VoiceCard, name: &str| {
            card.voices.iter().find(|(e, _)| e.voice.name == name).map(|(e, _)| e.clone())
        };
        let ada = entry(&card, "Ada").expect("there");
        card.click(Click::Remove, ada.clone());
        assert!(entry(&card, "Ada").is_none());
        let undo = card.undo.take().expect("a way back");
        card.take_back(undo);
        assert_eq!(entry(&card, "Ada"), Some(ada.clone()));
        card.instance.choose_voice(Some(ada.voice.clone()));
        let countess = card.name(&ada, "Countess").expect("renamed");
        assert_eq!(card.instance.params.target.get().0, Some(countess.voice.clone()), "the project goes with it");
        assert!(card.name(&countess, "Beckett").is_err_and(|why| why.contains("already")));
        card.take_back(Undo::Renamed(Box::new((ada.clone(), countess))));
        assert_eq!((entry(&card, "Ada"), card.instance.params.target.get().0), (Some(ada.clone()), Some(ada.voice)));
    }

    #[test]
    fn a_voice_of_the_project_alone_is_shown_and_nothing_is_enrolled_unagreed() {
        let (mut card, _folder) = card(&["Ada"]);
        let ctx = Context::default();
        card.instance.choose_voice(Some(any_voice("Stranger")));
        let first = drawn(&mut card, &ctx, Vec::new());
        assert!(first.iter().any(|(t, _)| t.contains("in the project only")), "{first:?}");
        let add = at(&first, "Add a voice");
        click(&mut card, &ctx, add);
        card.enrol = Some(EnrolDialog::new("Eve"));
        drawn(&mut card, &ctx, Vec::new());
        let dialog = drawn(&mut card, &ctx, Vec::new());
        let record = at(&dialog, "Record 8 s");
        click(&mut card, &ctx, record);
        assert!(!card.instance.enrolment.is_busy(), "the sentence is not ticked");
        let consent = at(&dialog, crate::voice::library::CONSENT);
        click(&mut card, &ctx, consent);
        click(&mut card, &ctx, record);
        assert!(
            card.instance.enrolment.is_busy()
                || matches!(card.instance.enrolment.stage(), crate::plugin::enrolment::Stage::Failed(_))
        );
        card.instance.end();
    }
}
