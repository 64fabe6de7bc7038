//! The menu of presets: those built in, the user's own, and the ways in and out of files. Knows the files only through
//! `plugin::presets`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{Context, RichText, TextEdit, Ui};
use nice_plug::prelude::ParamSetter;

use super::files::{Picker, Purpose};
use super::theme::palette;
use super::voices::home;
use crate::plugin::instance::Instance;
use crate::plugin::presets::{self, Preset};

/// See the top of the file.
pub struct PresetMenu {
    instance: Arc<Instance>,
    /// The user's own, read when the menu is opened.
    own: Vec<Preset>,
    open: bool,
    /// The name that is typed, and whether the voice goes with it, while the dialog is open.
    saving: Option<(String, bool)>,
    picker: Option<Picker>,
    folder: PathBuf,
    /// What was chosen in a dialog, to be applied where the host can be told.
    chosen: Option<Preset>,
    /// How the last file went.
    told: Option<Result<String, String>>,
}

impl PresetMenu {
    /// Of this instance.
    pub fn new(instance: Arc<Instance>) -> Self {
        Self {
            instance,
            own: Vec::new(),
            open: false,
            saving: None,
            picker: None,
            folder: home(),
            chosen: None,
            told: None,
        }
    }

    /// Draws the button with its menu.
    pub fn button(&mut self, ui: &mut Ui, setter: &ParamSetter) {
        if let Some(preset) = self.chosen.take() {
            preset.apply(setter, &self.instance);
        }
        let menu = ui.menu_button("Presets", |ui| {
            if !std::mem::replace(&mut self.open, true) {
                self.own = presets::list(&presets::folder());
            }
            self.menu(ui, setter);
        });
        if menu.inner.is_none() {
            self.open = false;
        }
        menu.response.on_hover_text("Settings of the sound under a name");
    }

    fn menu(&mut self, ui: &mut Ui, setter: &ParamSetter) {
        for preset in presets::factory().iter().chain(&self.own) {
            let with = preset.voice.as_ref().map_or_else(String::new, |v| format!(" · {}", v.name));
            if ui.button(format!("{}{with}", preset.name)).clicked() {
                preset.apply(setter, &self.instance);
                self.told = None;
            }
        }
        ui.separator();
        if ui.button("Save as").clicked() {
            self.saving = Some((String::new(), false));
        }
        if ui.button("From a file").clicked() {
            self.picker = Some(Picker::new("A preset", Purpose::Open(&["json"]), &self.folder, ""));
        }
    }

    /// Draws a line on how the last file went.
    pub fn line(&self, ui: &mut Ui) {
        if let Some(told) = &self.told {
            let (text, colour) = match told {
                Ok(text) => (text, palette(ui).muted),
                Err(text) => (text, palette(ui).bad),
            };
            ui.label(RichText::new(text).small().color(colour));
        }
    }

    /// Draws the dialogs where they are open.
    pub fn dialogs(&mut self, ctx: &Context) {
        if let Some(path) = Picker::file(&mut self.picker, &mut self.folder, ctx) {
            match Preset::read(&path) {
                Ok(preset) => (self.chosen, self.told) = (Some(preset), None),
                Err(e) => self.told = Some(Err(e.to_string())),
            }
        }
        let Some((mut name, mut with)) = self.saving.take() else { return };
        let voice = self.instance.params.target.get().0;
        let (mut done, mut closed) = (false, false);
        let response = egui::Modal::new(egui::Id::unique("mynah preset")).show(ctx, |ui| {
            ui.set_width(320.0);
            ui.label(RichText::new("A preset of your own").strong());
            let field =
                ui.add(TextEdit::singleline(&mut name).hint_text("Name").char_limit(80).desired_width(f32::INFINITY));
            ui.add_enabled_ui(voice.is_some(), |ui| {
                ui.checkbox(&mut with, "With the voice in use")
                    .on_hover_text("Whoever gets the file can speak with this voice");
            });
            ui.label(
                RichText::new(format!("A file in {}, to be shared as it is", presets::folder().display()))
                    .small()
                    .color(palette(ui).muted),
            );
            ui.horizontal(|ui| {
                done = ui.button("Save").clicked()
                    || (field.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter)));
                closed = ui.button("Cancel").clicked();
            });
        });
        if done {
            self.told = Some(self.save(&presets::folder(), name.trim(), with));
        } else if !closed && !response.should_close() {
            self.saving = Some((name, with));
        }
    }

    fn save(&self, folder: &Path, name: &str, with: bool) -> Result<String, String> {
        let path = presets::file(folder, name).map_err(|e| e.to_string())?;
        let voice = self.instance.params.target.get().0.filter(|_| with);
        Preset::now(name, &self.instance.params, voice).write(&path).map_err(|e| e.to_string())?;
        Ok(format!("The preset is in {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::any_voice;

    #[test]
    fn a_preset_is_saved_with_the_voice_only_where_asked() {
        let (folder, instance) = (tempfile::tempdir().expect("a folder"), Instance::new(Arc::default()));
        instance.choose_voice(Some(any_voice("Ada")));
        let menu = PresetMenu::new(instance);
        assert!(menu.save(folder.path(), "Plain", false).expect("saved").contains("Plain.json"));
        menu.save(folder.path(), "With Ada", true).expect("saved");
        assert!(menu.save(folder.path(), "", true).expect_err("no name").contains("name"));
        let saved = presets::list(folder.path());
        assert_eq!(
            saved.iter().map(|p| p.voice.as_ref().map(|v| v.name.as_str())).collect::<Vec<_>>(),
            [None, Some("Ada")]
        );
    }
}
