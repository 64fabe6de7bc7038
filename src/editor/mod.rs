//! The window. It reads what the watcher has gathered and sets parameters through the host; it never touches the audio
//! thread.

mod captions;
mod controls;
mod export;
mod files;
mod first_run;
mod header;
mod load;
mod machine;
mod meters;
mod models;
mod norms;
mod outlets;
mod pace;
mod presets;
mod scope;
mod settings;
mod sound;
mod takes;
#[cfg(test)]
mod tests;
mod theme;
mod voices;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Instant;

use egui::{Rect, ScrollArea, Theme, Ui, UiBuilder, ViewportCommand, pos2, vec2};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::LogicalSize;
use nice_plug::editor::{ResizeHint, SizeConstraints};
use nice_plug::prelude::ParamSetter;
use nice_plug_egui::baseview::HandlerError;
use nice_plug_egui::{
    EguiEditor, EguiEditorState, EguiNiceSettings, Frame, NiceEguiApp, RepaintNotifier, create_egui_editor,
};

use crate::engine::journal;
use crate::engine::panic_text;
use crate::exit::OpenWindow;
use crate::plugin::instance::{Instance, Readings};
use crate::plugin::{audition, closeness};
use crate::realtime::WorkerState;
use captions::CaptionCard;
use first_run::FirstRun;
use meters::Meters;
use models::ModelsDialog;
use pace::Pace;
use scope::Scope;
use settings::{LEAST, Look, SCALES, WindowSettings};
use theme::palette;
use voices::VoiceCard;

/// Between cards, and around them.
const GAP: f32 = 10.0;
const EDGE: f32 = 14.0;
/// Height of the card of sound, and the least of the one of the engine below it.
const SOUND: f32 = 304.0;
const ENGINE: f32 = 150.0;
/// What all cards together want in height.
const BODY: f32 = 464.0;
/// From this width on every card has a column of its own.
const WIDE: f32 = 1280.0;
/// Below this width the columns of the voice and the captions get a larger share.
const NARROW: f32 = 900.0;
/// What the system said about dark windows: not asked, dark, light, nothing.
const SAID: [Option<Option<bool>>; 4] = [None, Some(Some(true)), Some(Some(false)), Some(None)];

/// The window's type for the plugin shell.
pub type MynahEditor = EguiEditor<Window>;

/// The window of one instance.
pub struct Window {
    instance: Arc<Instance>,
    context: Option<GuiContext>,
    voices: VoiceCard,
    captions: CaptionCard,
    first_run: FirstRun,
    models: ModelsDialog,
    scope: Scope,
    meters: Meters,
    pace: Pace,
    settings: WindowSettings,
    /// The settings that the file has.
    kept: WindowSettings,
    /// Index in `SAID`. Writer: a thread that asks the system once. Reader: the window.
    system: Arc<AtomicU8>,
    notifier: RepaintNotifier,
    /// Ends the thread that asks for pictures.
    closed: Arc<AtomicBool>,
    /// What the window broke down with: then it shows that and draws no more.
    broken: Option<String>,
    /// While it draws.
    drawing: Option<OpenWindow>,
    /// The size is still to be set: a host that opens the window knows nothing of the scale.
    opening: bool,
}

/// The editor of an instance. No window is opened yet.
pub fn create(instance: Arc<Instance>) -> Option<MynahEditor> {
    let settings = WindowSettings::file().map(|file| WindowSettings::load(&file)).unwrap_or_default();
    // The shell tells hosts this size without the scale, so it stands in it already; `build` sets the scale.
    let size = LogicalSize::new(settings.width * settings.scale, settings.height * settings.scale);
    let state = EguiEditorState::from_size(size, 1.0);
    let least = SCALES[0];
    let resize = ResizeHint {
        size_constraints: SizeConstraints::min_logical_size(LogicalSize::new(LEAST.0 * least, LEAST.1 * least)),
        ..ResizeHint::RESIZABLE
    };
    let shell = EguiNiceSettings::new().with_tile("Mynah").with_resize_hint(resize);
    let notifier = RepaintNotifier::default();
    create_egui_editor(state, notifier.clone(), shell, Window::new(instance, settings, notifier))
}

impl NiceEguiApp for Window {
    // The windowing library keeps a panic and raises it again when the window is closed, inside a call of the host,
    // which then ends. So none gets past here.

    fn build(&mut self, ctx: egui::Context, host: GuiContext, _frame: &mut Frame) -> Result<(), HandlerError> {
        self.drawing = Some(OpenWindow::open());
        self.guarded(|window| window.open(&ctx, host));
        Ok(())
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut Frame) {
        self.drawing.iter().for_each(OpenWindow::picture);
        if self.broken.is_none() {
            self.guarded(|window| window.picture(ui));
        } else if let Some(why) = &self.broken {
            ui.centered_and_justified(|ui| ui.label(why));
        }
    }

    fn editor_closed(&mut self) {
        self.guarded(Window::close);
        self.drawing = None;
        self.context = None;
    }

    fn track_info_changed(&mut self, info: nice_plug::prelude::TrackInfo) {
        self.instance.name_track(info.name());
    }
}

impl Window {
    fn new(instance: Arc<Instance>, settings: WindowSettings, notifier: RepaintNotifier) -> Self {
        Self {
            voices: VoiceCard::new(instance.clone()),
            captions: CaptionCard::new(instance.clone()),
            first_run: FirstRun::new(instance.clone()),
            models: ModelsDialog::new(instance.clone()),
            instance,
            context: None,
            scope: Scope::new(),
            meters: Meters::new(),
            pace: Pace::default(),
            settings,
            kept: settings,
            system: Arc::default(),
            notifier,
            closed: Arc::default(),
            broken: None,
            drawing: None,
            opening: false,
        }
    }

    /// Does what may break down; then the window says so.
    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) {
            let why = panic_text(&*panic);
            self.broken =
                Some(format!("This window broke down ({why}). The sound goes on; close the window and open it again."));
        }
    }

    fn open(&mut self, ctx: &egui::Context, host: GuiContext) {
        self.broken = None;
        theme::apply(ctx);
        ctx.set_zoom_factor(self.settings.scale);
        (self.context, self.opening) = (Some(host), self.settings.scale != 1.0);
        self.voices.refresh();
        self.first_run.look();
        self.instance.look_at_sound(true);
        self.ask_system();
        self.keep_drawing();
        closeness::opened(&self.instance);
    }

    fn picture(&mut self, ui: &mut Ui) {
        self.pace.begin(pace::thread_time());
        let began = Instant::now();
        let Some(context) = self.context.clone() else { return };
        let moving = self.draw(ui, &context.param_setter());
        self.pace.end(began);
        ui.ctx().request_repaint_after(self.pace.next(moving));
    }

    fn close(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        self.instance.look_at_sound(false);
        closeness::closed(&self.instance);
        audition::stop(&self.instance);
        self.keep();
    }

    /// Asks for a picture now and then from outside, until the window closes: each picture asks for the next one, and
    /// X11 may swallow a request while a window is being placed, which would leave it as it is for good.
    fn keep_drawing(&mut self) {
        let (closed, notifier, weak) =
            (Arc::new(AtomicBool::new(false)), self.notifier.clone(), Arc::downgrade(&self.instance));
        self.closed = closed.clone();
        let goes_on = move || {
            !closed.load(Ordering::Relaxed) && weak.upgrade().is_some_and(|i| !i.ends().load(Ordering::Relaxed))
        };
        // Without the thread the window draws as long as no request is lost.
        let _ = self.instance.spawn("mynah-window", move || {
            while goes_on() {
                notifier.request_repaint();
                std::thread::sleep(pace::STILL);
            }
        });
    }

    /// Asks the system once whether it wants dark windows, where its wish counts.
    fn ask_system(&self) {
        if self.settings.look != Look::System || SAID[self.system.load(Ordering::Relaxed) as usize].is_some() {
            return;
        }
        let system = self.system.clone();
        // Where no thread can be had the window is dark.
        let _ = self.instance.spawn("mynah-look", move || {
            let said = Some(settings::system_is_dark());
            system.store(SAID.iter().position(|s| *s == said).unwrap_or(0) as u8, Ordering::Relaxed);
        });
    }

    /// Writes what has changed about the window.
    fn keep(&mut self) {
        if self.settings != self.kept
            && let Some(file) = WindowSettings::file()
        {
            self.settings.save(&file);
            self.kept = self.settings;
        }
    }

    /// Draws all; tells whether something moves.
    fn draw(&mut self, ui: &mut Ui, setter: &ParamSetter) -> bool {
        let said = SAID[self.system.load(Ordering::Relaxed) as usize].flatten();
        let dark = match self.settings.look {
            Look::System => said != Some(false),
            Look::Dark => true,
            Look::Light => false,
        };
        let theme = if dark { Theme::Dark } else { Theme::Light };
        if ui.ctx().theme() != theme {
            ui.ctx().set_theme(theme);
            ui.ctx().request_repaint();
        }
        let readings = self.instance.readings();
        let sounds = match (&readings.status, readings.frame) {
            (Some(status), Some(frame)) => self.scope.take(self.instance.scope(), frame.rate, status.latency.total),
            _ => false,
        };
        if self.first_run.take_fetched() {
            self.voices.refresh();
        }
        let whole = ui.max_rect();
        ui.painter().rect_filled(whole, 0.0, palette(ui).ground);
        self.size(ui, whole);
        let area = whole.shrink(EDGE);
        let header = Rect::from_min_size(area.min, vec2(area.width(), header::HEIGHT));
        let mut chosen = self.settings;
        header::show(ui, header, setter, &self.instance, &readings, |ui| menu(ui, &mut chosen));
        self.choose(ui, chosen);
        // What the cards don't need shows the sound.
        let spare = area.height() - header::HEIGHT - 2.0 * GAP - BODY;
        let hero = spare.max(area.height() * 0.19).clamp(108.0, 360.0);
        let hero = Rect::from_min_size(pos2(area.left(), header.bottom() + GAP), vec2(area.width(), hero));
        place(ui, "hero", hero, |ui| self.hero(ui, &readings));
        let body = Rect::from_min_max(pos2(area.left(), hero.bottom() + GAP), area.max);
        self.body(ui, body, setter, &readings);
        let ctx = ui.ctx().clone();
        self.voices.picker(&ctx);
        self.captions.picker(&ctx);
        self.models.dialog(&ctx, setter, &readings);
        let loading = readings.status.as_ref().is_some_and(|s| s.loading || s.counters.state == WorkerState::Loading);
        sounds
            || loading
            || self.first_run.moves()
            || self.voices.moves()
            || self.models.moves()
            || machine::moves(&self.instance)
    }

    /// Follows the window's size, and sets it where the window has just been opened.
    fn size(&mut self, ui: &Ui, whole: Rect) {
        if std::mem::take(&mut self.opening) {
            ui.send_viewport_cmd(ViewportCommand::InnerSize(vec2(self.settings.width, self.settings.height)));
        } else {
            (self.settings.width, self.settings.height) = (whole.width().round(), whole.height().round());
        }
    }

    /// Takes another look or scale, and keeps it.
    fn choose(&mut self, ui: &Ui, chosen: WindowSettings) {
        if chosen == self.settings {
            return;
        }
        self.settings = chosen;
        ui.ctx().set_zoom_factor(chosen.scale);
        self.ask_system();
        self.keep();
    }

    /// The meters and the live picture of the sound; before the first run is through, what is missing.
    fn hero(&mut self, ui: &mut Ui, readings: &Readings) {
        if self.first_run.is_due() {
            return self.first_run.show(ui);
        }
        let rect = ui.max_rect();
        ui.painter().rect_filled(rect, egui::CornerRadius::same(10), palette(ui).card);
        let inner = rect.shrink2(vec2(12.0, 10.0));
        let meters = Rect::from_min_size(inner.min, vec2(meters::WIDTH, inner.height()));
        self.meters.show(ui, meters, readings.meters);
        self.scope.show(ui, Rect::from_min_max(pos2(meters.right() + 10.0, inner.top()), inner.max));
    }

    fn body(&mut self, ui: &mut Ui, body: Rect, setter: &ParamSetter, readings: &Readings) {
        let instance = self.instance.clone();
        let params = &instance.params;
        let shares: &[f32] = match body.width() {
            w if w >= WIDE => &[0.22, 0.26, 0.22, 0.30],
            w if w < NARROW => &[0.285, 0.345, 0.37],
            _ => &[0.26, 0.39, 0.35],
        };
        let room = body.width() - GAP * (shares.len() - 1) as f32;
        let mut left = body.left();
        let columns: Vec<Rect> = shares
            .iter()
            .map(|share| {
                let column = Rect::from_min_size(pos2(left, body.top()), vec2(share * room, body.height()));
                left = column.right() + GAP;
                column
            })
            .collect();
        place(ui, "voice", columns[0], |ui| theme::card(ui, "Voice", |ui| self.voices.show(ui, setter)));
        let sound = |ui: &mut Ui| theme::card(ui, "Sound", |ui| sound::parameters(ui, setter, params, readings));
        let engine = |ui: &mut Ui| {
            theme::card(ui, "Engine", |ui| {
                sound::engine(ui, readings);
                machine::machine(ui, setter, &instance, readings, &mut self.models);
            })
        };
        if columns.len() == 4 {
            place(ui, "sound", columns[1], sound);
            place(ui, "engine", columns[2], engine);
        } else {
            // Where both don't fit, the column scrolls.
            place(ui, "middle", columns[1], |ui| {
                let lower = (columns[1].height() - SOUND - GAP).max(ENGINE);
                ScrollArea::vertical().id_salt("middle").auto_shrink(false).show(ui, |ui| {
                    let width = ui.available_width();
                    let (whole, _) = ui.allocate_exact_size(vec2(width, SOUND + GAP + lower), egui::Sense::hover());
                    place(ui, "sound", Rect::from_min_size(whole.min, vec2(width, SOUND)), sound);
                    place(
                        ui,
                        "engine",
                        Rect::from_min_max(pos2(whole.left(), whole.bottom() - lower), whole.max),
                        engine,
                    );
                });
            });
        }
        let last = columns[columns.len() - 1];
        place(ui, "captions", last, |ui| theme::card(ui, "Captions", |ui| self.captions.show(ui, setter, readings)));
    }
}

/// Draws something into its place, and not beyond it.
fn place<R>(ui: &mut Ui, name: &str, rect: Rect, contents: impl FnOnce(&mut Ui) -> R) -> R {
    let clip = rect.expand(2.0).intersect(ui.clip_rect());
    let contents = |ui: &mut Ui| {
        ui.set_clip_rect(clip);
        contents(ui)
    };
    ui.scope_builder(UiBuilder::new().max_rect(rect).id_salt(name), contents).inner
}

/// The menu of the window itself: look and scale.
fn menu(ui: &mut Ui, settings: &mut WindowSettings) {
    let button = ui.menu_button("View", |ui| {
        ui.label("Look");
        for (look, name) in Look::ALL {
            if ui.radio(settings.look == look, name).clicked() {
                settings.look = look;
            }
        }
        ui.separator();
        ui.label("Scale");
        for scale in SCALES {
            if ui.radio(settings.scale == scale, format!("{:.0} %", 100.0 * scale)).clicked() {
                settings.scale = scale;
                ui.close();
            }
        }
        ui.separator();
        ui.label(concat!("Mynah ", env!("CARGO_PKG_VERSION")));
        if let Some(log) = journal::file().map(|path| path.display().to_string())
            && ui.button("Copy the log's path").on_hover_text(&log).clicked()
        {
            ui.ctx().copy_text(log);
            ui.close();
        }
    });
    button.response.on_hover_text("The window's look and scale");
}
