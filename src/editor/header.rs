//! The line above all else: whose voice it is, whether it works, how hard the machine works, and how late the sound is.
//! Knows no control but bypass.

use egui::{
    Align, Align2, Color32, FontId, Label, Layout, Painter, Pos2, Rect, RichText, Sense, Shape, Stroke, Ui, UiBuilder,
    pos2, vec2,
};
use nice_plug::prelude::ParamSetter;

use super::controls::switch;
use super::theme::{Palette, palette};
use super::voices::portrait::Portrait;
use super::{load, sound};
use crate::clock::Mode;
use crate::plugin::history::Work;
use crate::plugin::instance::{Instance, Readings};
use crate::realtime::WorkerState;
use crate::voice::TargetVoice;

/// Height of the header.
pub const HEIGHT: f32 = 52.0;

/// How well it goes. Each has a shape of its own beside its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// All is well: a disc.
    Good,
    /// Something is on its way: a ring, half closed.
    Waits,
    /// Nothing is asked for: an empty ring.
    Off,
    /// It works, but not well: a triangle.
    Strained,
    /// Something is wrong: a triangle that is filled.
    Bad,
}

impl Mood {
    fn colour(self, p: Palette) -> Color32 {
        match self {
            Mood::Good => p.good,
            Mood::Waits | Mood::Strained => p.accent,
            Mood::Off => p.muted,
            Mood::Bad => p.bad,
        }
    }

    /// Draws the shape, some eleven points wide.
    fn draw(self, painter: &Painter, at: Pos2, p: Palette) {
        let colour = self.colour(p);
        let triangle = || vec![at + vec2(0.0, -5.0), at + vec2(5.5, 4.5), at + vec2(-5.5, 4.5)];
        match self {
            Mood::Good => _ = painter.circle_filled(at, 4.5, colour),
            Mood::Off => _ = painter.circle_stroke(at, 4.0, Stroke::new(1.5, colour)),
            Mood::Waits => {
                painter.circle_stroke(at, 4.5, Stroke::new(1.5, colour.gamma_multiply(0.4)));
                let arc =
                    (0..=12).map(|i| at + 4.5 * egui::Vec2::angled(i as f32 / 12.0 * std::f32::consts::PI)).collect();
                painter.add(Shape::line(arc, Stroke::new(2.0, colour)));
            }
            Mood::Strained => _ = painter.add(Shape::closed_line(triangle(), Stroke::new(1.5, colour))),
            Mood::Bad => _ = painter.add(Shape::convex_polygon(triangle(), colour, Stroke::NONE)),
        }
    }
}

/// Draws the header into its place; `menu` draws what stands at its right end.
pub fn show(
    ui: &mut Ui,
    rect: Rect,
    setter: &ParamSetter,
    instance: &Instance,
    readings: &Readings,
    menu: impl FnOnce(&mut Ui),
) {
    let p = palette(ui);
    let steps: Vec<Work> = instance.work().steps().collect();
    let late = steps.iter().map(|s| s.late).sum();
    let right = ui.scope_builder(
        UiBuilder::new().max_rect(rect).layout(Layout::right_to_left(Align::Center)).id_salt("right"),
        |ui| {
            ui.spacing_mut().item_spacing.x = 12.0;
            menu(ui);
            switch(ui, setter, &instance.params.bypass).on_hover_text("The input unchanged, at the same latency");
            sound::latency(ui, readings);
            if let Some(status) = &readings.status {
                let wide = (rect.width() * 0.16).clamp(110.0, 260.0);
                let (place, _) = ui.allocate_exact_size(vec2(wide, HEIGHT - 8.0), Sense::hover());
                let load = status.counters.load;
                let (text, font) = (format!("load {:.0} %", 100.0 * load), FontId::proportional(11.0));
                ui.painter().text(place.left_top(), Align2::LEFT_TOP, text, font.clone(), p.muted);
                if late > 0 {
                    ui.painter().text(place.right_top(), Align2::RIGHT_TOP, format!("{late} late"), font, p.bad);
                }
                load::curve(ui, Rect::from_min_max(place.min + vec2(0.0, 16.0), place.max), &steps, load);
            }
            ui.min_rect().left()
        },
    );
    let whose = Rect::from_min_max(rect.min, pos2(right.inner - 12.0, rect.bottom()));
    ui.scope_builder(UiBuilder::new().max_rect(whose).id_salt("whose"), |ui| {
        ui.set_clip_rect(whose.intersect(ui.clip_rect()));
        let voice = instance.params.target.get().0;
        let (text, mood) = state(readings, instance.params.bypass.value(), instance.params.voice.on.value(), late);
        ui.horizontal_centered(|ui| {
            emblem(ui, voice.as_ref(), mood, p);
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                ui.add_space(3.0);
                let name = voice.map_or_else(|| "No voice yet".to_owned(), |v| v.name);
                ui.add(Label::new(RichText::new(&name).size(22.0).strong()).truncate());
                ui.horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = 6.0;
                    let (dot, _) = ui.allocate_exact_size(vec2(12.0, 16.0), Sense::hover());
                    mood.draw(ui.painter(), dot.center(), p);
                    ui.add(Label::new(RichText::new(&text).color(mood.colour(p))).truncate()).on_hover_text(&text);
                });
            });
        });
    });
}

/// The voice's portrait in a ring of the mood's colour.
fn emblem(ui: &mut Ui, voice: Option<&TargetVoice>, mood: Mood, p: Palette) {
    let (rect, _) = ui.allocate_exact_size(vec2(HEIGHT - 8.0, HEIGHT - 8.0), Sense::hover());
    ui.painter().circle(rect.center(), 21.0, p.card, Stroke::new(2.0, mood.colour(p)));
    if let Some(voice) = voice {
        Portrait::of(voice).draw(
            ui.painter(),
            Rect::from_center_size(rect.center(), vec2(34.0, 34.0)),
            ui.visuals().dark_mode,
        );
    }
}

/// What helps where this mode is not in time.
fn remedy(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "close programs, or choose Balanced",
        Mode::Balanced => "close programs, or choose Studio",
        Mode::Studio => "close programs, or give the host a larger buffer",
    }
}

/// One line on what is heard at the moment. `late` hops were late in the last half minute.
fn state(readings: &Readings, bypass: bool, voice: bool, late: u64) -> (String, Mood) {
    let Some(status) = &readings.status else {
        let why = readings.problem.clone().unwrap_or_else(|| "waits for the host to start the sound".to_owned());
        return (why, if readings.problem.is_some() { Mood::Bad } else { Mood::Off });
    };
    if let Some(problem) = status.voice_problem.as_ref().or(readings.problem.as_ref()) {
        return (format!("plays dry: {problem}"), Mood::Bad);
    }
    let on = status.provider.name().to_uppercase();
    match status.counters.state {
        _ if bypass => ("bypassed: your own voice is heard".to_owned(), Mood::Off),
        WorkerState::Idle => ("plays dry: choose a voice below, or add one from a recording".to_owned(), Mood::Off),
        WorkerState::Loading => ("is being loaded; your own voice is heard until then".to_owned(), Mood::Waits),
        WorkerState::Dead => ("plays dry: choose the voice again".to_owned(), Mood::Bad),
        WorkerState::Ready if status.loading => ("speaks; another voice is being loaded".to_owned(), Mood::Waits),
        WorkerState::Ready if !voice => ("is switched off: your own voice is heard".to_owned(), Mood::Off),
        WorkerState::Ready if status.counters.load > 1.0 && (late > 0 || !status.counters.offline) => {
            (format!("is too much for {on}: {}", remedy(status.mode)), Mood::Bad)
        }
        WorkerState::Ready if late > 0 => {
            (format!("speaks, but {late} hops came late: {}", remedy(status.mode)), Mood::Strained)
        }
        WorkerState::Ready => (format!("speaks, on {on}"), Mood::Good),
    }
}
