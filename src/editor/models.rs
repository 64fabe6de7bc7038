//! The dialog of models: which packs this track's voice and captions are made with, each with its delay and its licence
//! before it is taken, and published ones that can be fetched. Knows no file and no network.

use std::sync::Arc;

use egui::{ComboBox, Context, ProgressBar, RichText, ScrollArea, Ui};
use nice_plug::prelude::ParamSetter;

use super::controls::touch;
use super::theme::palette;
use crate::clock::Mode;
use crate::engine::{Offer, Picks};
use crate::packs::Kind;
use crate::packs::listed::{Listing, forbids_commerce, licence_in_words};
use crate::plugin::instance::{Frame, Instance, Readings};
use crate::plugin::models;
use crate::plugin::readings::cost;

/// Height of the list at most.
const TALL: f32 = 330.0;
/// What is said where a licence forbids commerce, beside the button that takes the model all the same.
const UNPAID: &str = "What I make with it earns no money";

/// Something that waits for the word that no money is meant.
#[derive(Debug, Clone, PartialEq)]
enum Asked {
    /// A pack of this kind and name is to be used.
    Use(Kind, String),
    /// A published model of this name is to be fetched.
    Fetch(String),
}

/// See the top of the file.
pub struct ModelsDialog {
    instance: Arc<Instance>,
    open: bool,
    asked: Option<Asked>,
}

impl ModelsDialog {
    /// The models of this instance.
    pub fn new(instance: Arc<Instance>) -> Self {
        Self { instance, open: false, asked: None }
    }

    /// Draws the button that opens the dialog.
    pub fn button(&mut self, ui: &mut Ui) {
        if ui.button("Models").on_hover_text("What the voice and the captions of this track are made with").clicked() {
            self.open();
        }
    }

    fn open(&mut self) {
        (self.open, self.asked) = (true, None);
        models::look(&self.instance);
    }

    /// Whether something changes while nobody does anything.
    pub fn moves(&self) -> bool {
        self.instance.models.coming().is_some()
    }

    /// Draws the dialog where it is open.
    pub fn dialog(&mut self, ctx: &Context, setter: &ParamSetter, readings: &Readings) {
        if !self.open {
            return;
        }
        let mut done = false;
        let response = egui::Modal::new(egui::Id::unique("mynah models")).show(ctx, |ui| {
            ui.set_width(520.0);
            ui.label(RichText::new("What this track is made with").strong());
            let shelf = self.instance.models.shelf();
            ScrollArea::vertical().id_salt("models").max_height(TALL).show(ui, |ui| {
                self.kind(ui, setter, readings, &shelf.offers, Kind::Voice);
                ui.add_space(8.0);
                self.kind(ui, setter, readings, &shelf.offers, Kind::Captions);
                language(ui, setter, &self.instance, readings);
                ui.add_space(8.0);
                self.published(ui, &shelf.published);
            });
            if let Some(problem) = &shelf.problem {
                ui.label(RichText::new(problem).small().color(palette(ui).bad));
            }
            self.coming(ui);
            ui.add_space(6.0);
            done = ui.button("Done").clicked();
        });
        self.open = !(done || response.should_close());
    }

    /// The packs of a kind, of which one is taken.
    fn kind(&mut self, ui: &mut Ui, setter: &ParamSetter, readings: &Readings, offers: &[Offer], kind: Kind) {
        let p = palette(ui);
        let picks = self.instance.params.picks.get().0;
        ui.label(RichText::new(if kind == Kind::Voice { "Voice" } else { "Captions" }).color(p.muted));
        let of_kind = || offers.iter().filter(|o| o.kind == kind);
        let standard = of_kind().find(|o| o.standard).map_or("none is here", |o| &o.title);
        let hint = "What `mynah models use` chose on this machine, or else Mynah's own";
        if ui.radio(picks.pack(kind).is_none(), format!("As this machine: {standard}")).on_hover_text(hint).clicked() {
            self.pick(setter, kind, None);
        }
        for offer in of_kind() {
            let text = match delay(offer, readings.frame, self.instance.params.mode()) {
                Some(ms) => format!("{}, {ms:.0} ms", offer.title),
                None => offer.title.clone(),
            };
            let hint = format!("{}; {}", offer.id, offer.licence_line());
            let taken = picks.pack(kind) == Some(&offer.id);
            if ui.radio(taken, text).on_hover_text(hint).clicked() && !taken {
                if offer.forbids_commerce() {
                    self.asked = Some(Asked::Use(kind, offer.id.clone()));
                } else {
                    self.pick(setter, kind, Some(&offer.id));
                }
            }
            if offer.forbids_commerce() {
                ui.label(RichText::new(format!("      {}", offer.licence_line())).small().color(p.accent));
            }
            if self.asked == Some(Asked::Use(kind, offer.id.clone())) && self.word(ui) == Some(true) {
                self.pick(setter, kind, Some(&offer.id));
            }
        }
        // A project may come from a machine that had more.
        if let Some(id) = picks.pack(kind)
            && of_kind().all(|o| o.id != id)
        {
            ui.label(RichText::new(format!("The project wants `{id}`, which is not here")).small().color(p.bad));
        }
    }

    /// Asks whether no money is meant; tells once it was answered.
    fn word(&mut self, ui: &mut Ui) -> Option<bool> {
        let answer = ui
            .horizontal(|ui| {
                ui.add_space(22.0);
                if ui.button(UNPAID).clicked() {
                    return Some(true);
                }
                ui.button("Leave it").clicked().then_some(false)
            })
            .inner;
        if answer.is_some() {
            self.asked = None;
        }
        answer
    }

    fn pick(&mut self, setter: &ParamSetter, kind: Kind, id: Option<&str>) {
        self.asked = None;
        let (mut picks, id) = (self.instance.params.picks.get().0, id.map(str::to_owned));
        match kind {
            Kind::Voice => picks.voice = id,
            _ => (picks.captions, picks.language) = (id, None),
        }
        choose(&self.instance, setter, picks);
    }

    /// Published models that are not here.
    fn published(&mut self, ui: &mut Ui, listed: &[Listing]) {
        if listed.is_empty() {
            return;
        }
        let (p, busy) = (palette(ui), self.instance.models.coming().is_some());
        ui.collapsing("Published models that can be fetched", |ui| {
            for listing in listed {
                let id = listing.id.to_string();
                ui.horizontal(|ui| {
                    let command = format!("mynah models fetch {id}");
                    if ui.add_enabled(!busy, egui::Button::new("Fetch").small()).on_hover_text(command).clicked() {
                        if forbids_commerce(&listing.licence) {
                            self.asked = Some(Asked::Fetch(id.clone()));
                        } else {
                            models::fetch(&self.instance, listing);
                        }
                    }
                    let more = listing.note.as_ref().map_or_else(String::new, |note| format!("\n{note}"));
                    ui.label(told(listing)).on_hover_text(format!("{}{more}", listing.trust().words()));
                });
                let colour = if forbids_commerce(&listing.licence) { p.accent } else { p.muted };
                ui.label(RichText::new(format!("      {}", licence_in_words(&listing.licence))).small().color(colour));
                if self.asked == Some(Asked::Fetch(id)) && self.word(ui) == Some(true) {
                    models::fetch(&self.instance, listing);
                }
            }
        });
    }

    /// How far a model is on its way, or how the last one arrived.
    fn coming(&self, ui: &mut Ui) {
        let p = palette(ui);
        if let Some(coming) = self.instance.models.coming() {
            let (done, total) = (coming.progress.done as f64 / 1e6, coming.progress.total as f64 / 1e6);
            let share = if total > 0.0 { (done / total) as f32 } else { 0.0 };
            ui.horizontal(|ui| {
                let text = format!("{}: {done:.0} of {total:.0} MB", coming.title);
                ui.add(ProgressBar::new(share).desired_width(420.0).text(text).fill(p.fill.linear_multiply(0.6)));
                if ui.button("Cancel").on_hover_text("What has arrived stays for the next time").clicked() {
                    self.instance.models.cancel();
                }
            });
        }
        match self.instance.models.told() {
            Some(Ok(here)) => _ = ui.label(RichText::new(here).small().color(p.good)),
            Some(Err(why)) => _ = ui.label(RichText::new(why).small().color(p.bad)),
            None => {}
        }
    }
}

/// The language that is spoken, where the recogniser knows several, or where one was picked that it may not know.
pub fn language(ui: &mut Ui, setter: &ParamSetter, instance: &Instance, readings: &Readings) {
    let mut picks = instance.params.picks.get().0;
    let Some(status) = readings.status.as_ref().filter(|s| s.languages.len() > 1 || picks.language.is_some()) else {
        return;
    };
    let heard = status
        .spoken
        .as_deref()
        .map_or_else(|| "Language: as heard".to_owned(), |code| format!("Heard: {}", named(code)));
    let shown = picks.language.as_deref().map_or(heard, named);
    let before = picks.language.clone();
    ComboBox::from_id_salt("language").selected_text(shown).width(150.0).show_ui(ui, |ui| {
        ui.selectable_value(&mut picks.language, None, "As heard");
        let mut all: Vec<(String, &String)> = status.languages.iter().map(|code| (named(code), code)).collect();
        all.sort();
        for (name, code) in all {
            ui.selectable_value(&mut picks.language, Some(code.clone()), name);
        }
    });
    if picks.language != before {
        choose(instance, setter, picks);
    }
}

fn choose(instance: &Instance, setter: &ParamSetter, picks: Picks) {
    instance.choose_picks(picks);
    touch(setter, &instance.params.voice.on);
}

/// A language's English name, with its region where the code has one; the code where it has no name.
fn named(code: &str) -> String {
    let (base, region) = code.split_once(['-', '_']).map_or((code, None), |(base, region)| (base, Some(region)));
    let known = isolang::Language::from_639_1(base).or_else(|| isolang::Language::from_639_3(base));
    match (known, region) {
        (Some(language), None) => language.to_name().to_owned(),
        (Some(language), Some(region)) => format!("{} ({region})", language.to_name()),
        (None, _) => code.to_owned(),
    }
}

/// The latency in milliseconds that the host would be told of a pack of voices.
fn delay(offer: &Offer, frame: Option<Frame>, mode: Mode) -> Option<f64> {
    let ((converter, slack), frame) = (offer.timings?[Mode::ALL.iter().position(|m| *m == mode)?], frame?);
    Some(cost(frame, converter, slack) as f64 * 1e3 / f64::from(frame.rate))
}

/// A published model in a line.
fn told(listing: &Listing) -> String {
    let size = listing.size().map_or_else(String::new, |size| format!(", {size}"));
    format!("{}: {}{size}", if listing.kind == Kind::Voice { "voice" } else { "captions" }, listing.title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_have_names() {
        assert_eq!(
            (named("de"), named("pt-BR"), named("yue")),
            ("German".to_owned(), "Portuguese (BR)".to_owned(), "Yue Chinese".to_owned())
        );
        assert_eq!(named("xx-unknown"), "xx-unknown");
    }
}
