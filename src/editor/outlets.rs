//! The outlets in the card of captions: the overlay's link to copy and how OBS is doing, and a dialog with the
//! settings. Knows no connection.

use std::sync::Arc;

use egui::{Context, DragValue, RichText, TextEdit, Ui};

use super::theme::palette;
use crate::outlets::Settings;
use crate::plugin::instance::Instance;

/// See the top of the file.
pub struct OutletPanel {
    instance: Arc<Instance>,
    /// The settings as they are being typed, while the dialog is open.
    draft: Option<Settings>,
}

impl OutletPanel {
    /// The outlets of this instance.
    pub fn new(instance: Arc<Instance>) -> Self {
        Self { instance, draft: None }
    }

    /// Draws the button that opens the dialog.
    pub fn button(&mut self, ui: &mut Ui) {
        if ui.button("Stream").on_hover_text("The words in OBS, or in any program with a browser source").clicked() {
            self.draft = Some(self.instance.outlets.settings());
        }
    }

    /// Draws a line for each outlet that runs, and for what is wrong.
    pub fn lines(&self, ui: &mut Ui) {
        let p = palette(ui);
        let (status, problem) = self.instance.outlets.status();
        if let Some(overlay) = &status.overlay {
            ui.horizontal(|ui| {
                let colour = if overlay.is_problem() { p.bad } else { p.muted };
                match overlay.link() {
                    Some(link) => {
                        let more = [Some(overlay.sentence()), overlay.readers()]
                            .into_iter()
                            .flatten()
                            .collect::<Vec<_>>()
                            .join("; ");
                        let shown = egui::Link::new(RichText::new(&link).small().color(colour));
                        if ui.add(shown).on_hover_text(format!("{more}; click to look at it")).clicked() {
                            ui.ctx().open_url(egui::OpenUrl::new_tab(&link));
                        }
                        if ui
                            .small_button("Copy")
                            .on_hover_text("Paste it as the address of a browser source")
                            .clicked()
                        {
                            ui.ctx().copy_text(link);
                        }
                    }
                    None => {
                        ui.label(RichText::new(overlay.sentence()).small().color(colour));
                    }
                }
            });
        }
        if let Some(obs) = &status.obs {
            let colour = if obs.is_problem() { p.bad } else { p.good };
            ui.label(RichText::new(obs.sentence()).small().color(colour));
        }
        if let Some(problem) = problem {
            ui.label(RichText::new(problem).small().color(p.bad));
        }
    }

    /// Draws the dialog where it is open; what is typed counts once a field is left.
    pub fn dialog(&mut self, ctx: &Context) {
        let Some(draft) = &mut self.draft else { return };
        let mut done = false;
        let mut changed = false;
        let response = egui::Modal::new(egui::Id::unique("mynah outlets")).show(ctx, |ui| {
            ui.set_width(380.0);
            ui.label(RichText::new("The words on a stream").strong());
            ui.label(RichText::new("They come while this track is captioned.").small().color(palette(ui).muted));
            changed |= ui.checkbox(&mut draft.overlay.on, "A page for a browser source").changed();
            ui.horizontal(|ui| {
                ui.label("Port");
                let port = ui.add(DragValue::new(&mut draft.overlay.port).range(1024..=65535).speed(1.0));
                changed |= port.lost_focus() || port.drag_stopped();
            });
            ui.separator();
            changed |= ui.checkbox(&mut draft.obs.on, "OBS, over its WebSocket server").changed();
            changed |= field(ui, "Address", &mut draft.obs.address, false);
            changed |= field(ui, "Password", &mut draft.obs.password.0, true);
            changed |= field(ui, "Text source", &mut draft.obs.source, false);
            changed |= ui.checkbox(&mut draft.obs.captions, "Also as captions of the stream").changed();
            ui.add_space(6.0);
            done = ui.button("Done").clicked();
        });
        if changed || done || response.should_close() {
            self.instance.outlets.choose(draft.clone());
        }
        if done || response.should_close() {
            self.draft = None;
        }
    }
}

/// A field with its name; whether it was left.
fn field(ui: &mut Ui, name: &str, text: &mut String, secret: bool) -> bool {
    ui.horizontal(|ui| {
        ui.add_sized([90.0, 18.0], egui::Label::new(name));
        ui.add(TextEdit::singleline(text).password(secret).desired_width(f32::INFINITY)).lost_focus()
    })
    .inner
}
