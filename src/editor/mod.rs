//! The window. It reads what the watcher has gathered and sets parameters through the host; it never touches the audio thread.

mod captions;
mod controls;
mod files;
mod norms;
mod outlets;
mod sound;
mod takes;
mod theme;
mod voices;

use std::sync::Arc;
use std::time::Duration;

use egui::{Align, Layout, Rect, RichText, Ui, UiBuilder, pos2, vec2};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::LogicalSize;
use nice_plug::editor::{ResizeHint, SizeConstraints};
use nice_plug_egui::baseview::HandlerError;
use nice_plug_egui::{EguiEditor, EguiEditorState, EguiNiceSettings, Frame, NiceEguiApp, RepaintNotifier, create_egui_editor};

use crate::bridge::WorkerState;
use crate::plugin::instance::{Instance, Readings};
use captions::CaptionCard;
use theme::{Palette, palette};
use voices::VoiceCard;

/// Width and height at the start, and the least.
const SIZE: (f32, f32) = (940.0, 580.0);
const LEAST: (f32, f32) = (860.0, 540.0);
/// Time between two pictures.
const FRAME: Duration = Duration::from_millis(33);
const GAP: f32 = 10.0;
const HEADER: f32 = 58.0;

/// The window's type for the plugin shell.
pub type MynahEditor = EguiEditor<Window>;

/// The window of one instance.
pub struct Window {
    instance: Arc<Instance>,
    context: Option<GuiContext>,
    voices: VoiceCard,
    captions: CaptionCard,
}

/// The editor of an instance. No window is opened yet.
pub fn create(instance: Arc<Instance>) -> Option<MynahEditor> {
    let state = EguiEditorState::from_size(LogicalSize::new(SIZE.0, SIZE.1), 1.0);
    let resize =
        ResizeHint { size_constraints: SizeConstraints::min_logical_size(LogicalSize::new(LEAST.0, LEAST.1)), ..ResizeHint::RESIZABLE };
    let settings = EguiNiceSettings::new().with_tile("Mynah").with_resize_hint(resize);
    let window = Window { voices: VoiceCard::new(instance.clone()), captions: CaptionCard::new(instance.clone()), instance, context: None };
    create_egui_editor(state, RepaintNotifier::default(), settings, window)
}

impl NiceEguiApp for Window {
    fn build(&mut self, ctx: egui::Context, host: GuiContext, _frame: &mut Frame) -> Result<(), HandlerError> {
        theme::apply(&ctx);
        self.voices.refresh();
        self.context = Some(host);
        Ok(())
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut Frame) {
        let Some(context) = self.context.clone() else { return };
        let setter = context.param_setter();
        let readings = self.instance.readings();
        let params = self.instance.params.clone();
        let whole = ui.max_rect();
        ui.painter().rect_filled(whole, 0.0, palette(ui).ground);
        let area = whole.shrink(GAP + 4.0);
        let place = |ui: &mut Ui, name: &str, rect: Rect, contents: &mut dyn FnMut(&mut Ui)| {
            ui.scope_builder(UiBuilder::new().max_rect(rect).id_salt(name), |ui| contents(ui));
        };
        let header = Rect::from_min_size(area.min, vec2(area.width(), HEADER));
        place(ui, "header", header, &mut |ui| self.header(ui, &setter, &readings));
        let body = Rect::from_min_max(pos2(area.left(), header.bottom() + GAP), area.max);
        let left = (body.width() * 0.26).max(215.0);
        let middle = (body.width() * 0.38).max(320.0);
        let column = |from: f32, width: f32| Rect::from_min_size(pos2(body.left() + from, body.top()), vec2(width, body.height()));
        place(ui, "voice", column(0.0, left), &mut |ui| theme::card(ui, "Voice", |ui| self.voices.show(ui, &readings)));
        let centre = column(left + GAP, middle);
        let split = centre.top() + 296.0;
        place(ui, "sound", Rect::from_min_max(centre.min, pos2(centre.right(), split)), &mut |ui| {
            theme::card(ui, "Sound", |ui| sound::parameters(ui, &setter, &params));
        });
        place(ui, "engine", Rect::from_min_max(pos2(centre.left(), split + GAP), centre.max), &mut |ui| {
            theme::card(ui, "Engine", |ui| sound::engine(ui, &readings));
        });
        let from = left + middle + 2.0 * GAP;
        place(ui, "captions", column(from, body.width() - from), &mut |ui| {
            theme::card(ui, "Captions", |ui| self.captions.show(ui, &setter, &readings));
        });
        let ctx = ui.ctx().clone();
        self.voices.picker(&ctx);
        self.captions.picker(&ctx);
        ctx.request_repaint_after(FRAME);
    }

    fn editor_closed(&mut self) {
        self.context = None;
    }

    fn track_info_changed(&mut self, info: nice_plug::prelude::TrackInfo) {
        self.instance.name_track(info.name());
    }
}

impl Window {
    fn header(&self, ui: &mut Ui, setter: &nice_plug::prelude::ParamSetter, readings: &Readings) {
        ui.horizontal_centered(|ui| {
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                let name = self.instance.params.target.get().0.map_or_else(|| "No voice yet".to_owned(), |v| v.name);
                ui.label(RichText::new(name).size(24.0).strong());
                let (text, colour) =
                    state(readings, self.instance.params.bypass.value(), self.instance.params.voice.on.value(), palette(ui));
                ui.horizontal(|ui| {
                    let (dot, _) = ui.allocate_exact_size(vec2(8.0, 14.0), egui::Sense::hover());
                    ui.painter().circle_filled(dot.center(), 4.0, colour);
                    ui.label(RichText::new(text).color(colour));
                });
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                controls::switch(ui, setter, &self.instance.params.bypass).on_hover_text("The input unchanged, at the same latency");
                ui.add_space(14.0);
                sound::latency(ui, readings);
            });
        });
    }
}

/// One line on what is heard at the moment.
fn state(readings: &Readings, bypass: bool, voice: bool, p: Palette) -> (String, egui::Color32) {
    let Some(status) = &readings.status else {
        let why = readings.problem.clone().unwrap_or_else(|| "waits for the host to start the sound".to_owned());
        return (why, if readings.problem.is_some() { p.bad } else { p.muted });
    };
    if let Some(problem) = status.voice_problem.as_ref().or(readings.problem.as_ref()) {
        return (format!("plays dry: {problem}"), p.bad);
    }
    match status.counters.state {
        _ if bypass => ("bypassed".to_owned(), p.muted),
        WorkerState::Idle => ("plays dry: choose a voice at the left, or add one from a recording".to_owned(), p.muted),
        WorkerState::Loading => ("is being loaded".to_owned(), p.text),
        WorkerState::Dead => ("plays dry: choose the voice again".to_owned(), p.bad),
        WorkerState::Ready if status.loading => ("speaks; another voice is being loaded".to_owned(), p.good),
        WorkerState::Ready if !voice => ("is switched off".to_owned(), p.muted),
        WorkerState::Ready if status.counters.load > 1.0 && !status.counters.offline => {
            (format!("is too much for {}: close other programs, or choose Studio", status.provider.name().to_uppercase()), p.bad)
        }
        WorkerState::Ready => (format!("speaks, on {}", status.provider.name().to_uppercase()), p.good),
    }
}
