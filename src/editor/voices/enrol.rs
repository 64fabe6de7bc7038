//! The dialog in which a voice is added: a name, the sentence of consent, and a recording from the input or a file.
//! Knows no models.

use std::path::PathBuf;
use std::sync::Arc;

use egui::{Align2, Context, FontId, ProgressBar, Rect, RichText, Spinner, TextEdit, Ui, pos2, vec2};

use crate::editor::files::{Picker, Purpose};
use crate::editor::theme::{ROUND, palette};
use crate::plugin::enrolment::{self, Level, Loudness, Order, Origin, Stage};
use crate::plugin::instance::Instance;
use crate::voice::library::{CONSENT, Library, agreed};

/// Endings of files that a reference may have.
const SOUNDS: &[&str] =
    &["wav", "flac", "mp3", "ogg", "oga", "m4a", "aac", "aif", "aiff", "caf", "mka", "mkv", "mp4", "webm", "opus"];
/// The lowest level that is shown, in dBFS, and where it is good.
const FLOOR: f32 = -60.0;
const GOOD: std::ops::Range<f32> = -30.0..-1.0;
/// How long a recording is, in seconds.
const RECORDED: f64 = 8.0;

/// See the top of the file.
pub struct EnrolDialog {
    name: String,
    agreed: bool,
    picker: Option<Picker>,
}

/// How a frame of the dialog left it.
#[derive(Debug, PartialEq, Eq)]
pub enum Left {
    /// It stays open.
    Open,
    /// It was closed.
    Closed,
    /// It is done: the library has another voice.
    Done,
}

impl EnrolDialog {
    /// For a new voice, or for one of this name again.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), agreed: false, picker: None }
    }

    /// Draws it over everything else. `taken` tells whether the library has a voice of a name; `folder` is where the
    /// picker begins.
    pub fn show(
        &mut self,
        ctx: &Context,
        instance: &Arc<Instance>,
        taken: &dyn Fn(&str) -> bool,
        folder: &mut PathBuf,
    ) -> Left {
        if self.picker.is_some() {
            if let Some(path) = Picker::file(&mut self.picker, folder, ctx) {
                if self.name.trim().is_empty() {
                    path.file_stem().unwrap_or_default().to_string_lossy().trim().clone_into(&mut self.name);
                }
                self.begin(instance, Origin::File(path));
            }
            return Left::Open;
        }
        let stage = instance.enrolment.stage();
        if matches!(stage, Stage::Done(_)) {
            instance.enrolment.cancel();
            return Left::Done;
        }
        let mut closed = false;
        let response = egui::Modal::new(egui::Id::unique("mynah enrolment")).show(ctx, |ui| {
            ui.set_width(400.0);
            ui.label(RichText::new("A voice for your library").strong());
            match &stage {
                Stage::Countdown(left, level) => {
                    ui.label(
                        RichText::new(format!("{:.0}", left.ceil().max(1.0))).size(44.0).color(palette(ui).accent),
                    );
                    ui.label("Then speak for eight seconds, as you would to a friend.");
                    guide(ui, level);
                }
                Stage::Recording(done, level) => {
                    ui.label(RichText::new("Speak").size(44.0).color(palette(ui).accent));
                    let text = format!("{done:.1} s of {RECORDED:.0} s");
                    ui.add(
                        ProgressBar::new((done / RECORDED) as f32)
                            .text(text)
                            .fill(palette(ui).fill.linear_multiply(0.6)),
                    );
                    guide(ui, level);
                }
                Stage::Analysing => {
                    ui.horizontal(|ui| {
                        ui.add(Spinner::new().size(14.0).color(palette(ui).accent));
                        ui.label(RichText::new("Listening to the reference").color(palette(ui).muted));
                    });
                }
                Stage::Idle | Stage::Failed(_) | Stage::Done(_) => self.form(ui, instance, &stage, taken, folder),
            }
            ui.add_space(4.0);
            closed =
                ui.button(if matches!(stage, Stage::Idle | Stage::Failed(_)) { "Close" } else { "Cancel" }).clicked();
        });
        if closed || response.should_close() {
            instance.enrolment.cancel();
            return Left::Closed;
        }
        Left::Open
    }

    fn form(
        &mut self,
        ui: &mut Ui,
        instance: &Arc<Instance>,
        stage: &Stage,
        taken: &dyn Fn(&str) -> bool,
        folder: &std::path::Path,
    ) {
        let p = palette(ui);
        if let Stage::Failed(why) = stage {
            ui.label(RichText::new(why).color(p.bad));
        }
        ui.horizontal(|ui| {
            ui.label("Name");
            ui.add(
                TextEdit::singleline(&mut self.name)
                    .hint_text("Whose voice it is")
                    .char_limit(80)
                    .desired_width(f32::INFINITY),
            );
        });
        let name = self.name.trim();
        let wrong = if name.is_empty() { None } else { Library::standard().check(name).err() };
        if let Some(wrong) = &wrong {
            ui.label(RichText::new(wrong.to_string()).small().color(p.bad));
        } else if taken(name) {
            ui.label(
                RichText::new("Your library has a voice of this name: the new one takes its place.")
                    .small()
                    .color(p.accent),
            );
        }
        ui.scope(|ui| {
            // Nobody shall have to look for the box.
            ui.visuals_mut().widgets.inactive.bg_stroke = egui::Stroke::new(1.0, p.muted);
            ui.checkbox(&mut self.agreed, CONSENT);
        });
        let lacks = match (self.agreed, &wrong) {
            (false, _) => Some("Tick the sentence above first"),
            (true, Some(_)) => Some("Give it another name first"),
            (true, None) => None,
        };
        let unnamed = name.is_empty().then_some("Give it a name first");
        ui.horizontal(|ui| {
            let button = |ui: &mut Ui, text: &str, lacks: Option<&str>, hint: &str| {
                let button = ui.add_enabled(lacks.is_none(), egui::Button::new(text)).on_hover_text(hint);
                button.on_disabled_hover_text(lacks.unwrap_or_default()).clicked()
            };
            if button(ui, "Record 8 s", lacks.or(unnamed), "From the track's input, after a countdown of three") {
                self.begin(instance, Origin::Input);
            }
            let hint = "Three seconds of one speaker or more; ten are better";
            if button(ui, "From a file", lacks, hint) {
                self.picker = Some(Picker::new("A recording of the voice", Purpose::Open(SOUNDS), folder, ""));
            }
        });
        ui.label(RichText::new("What you agree to is kept with the voice, and when.").small().color(p.muted));
    }

    fn begin(&self, instance: &Arc<Instance>, origin: Origin) {
        let name = self.name.trim().to_owned();
        enrolment::begin(instance, Order { name, origin, consent: agreed(), library: Library::standard() });
    }
}

/// The level with the range in which it is good, and what to do where it is not.
fn guide(ui: &mut Ui, level: &Level) {
    let p = palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 14.0), egui::Sense::hover());
    let x = |db: f32| rect.left() + rect.width() * (1.0 - db.clamp(FLOOR, 0.0) / FLOOR);
    let span = |from: f32, to: f32| Rect::from_min_max(pos2(x(from), rect.top()), pos2(x(to), rect.bottom()));
    ui.painter().rect_filled(rect, ROUND, p.well);
    ui.painter().rect_filled(span(GOOD.start, GOOD.end), 0.0, p.good.linear_multiply(0.18));
    let (colour, words) = match level.loudness() {
        Loudness::Quiet => (p.accent, "Too quiet: come closer, or turn the microphone up".to_owned()),
        Loudness::Good => (p.good, "Good".to_owned()),
        Loudness::Loud if level.clipped > 0 => {
            (p.bad, format!("Too loud: {} samples are clipped; turn the microphone down", level.clipped))
        }
        Loudness::Loud => (p.bad, "Too loud: turn the microphone down".to_owned()),
    };
    let db = 20.0 * level.peak.max(1e-6).log10();
    ui.painter().rect_filled(span(FLOOR, db).shrink2(vec2(0.0, 3.0)), 2.0, colour);
    ui.painter().text(
        pos2(rect.right() - 4.0, rect.center().y),
        Align2::RIGHT_CENTER,
        format!("{db:.0} dBFS"),
        FontId::proportional(10.0),
        p.text,
    );
    ui.label(RichText::new(words).color(colour));
}
