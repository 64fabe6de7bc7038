//! Controls for the host's parameters: a slider, a row of choices, a switch. Each tells the host where a gesture begins and ends.

use egui::{Align2, CursorIcon, FontId, Rect, Response, Sense, StrokeKind, Ui, pos2, vec2};
use nice_plug::prelude::{BoolParam, Enum, EnumParam, FloatParam, Param, ParamSetter};

use super::theme::{ROUND, palette};

/// Width of a control's name.
const NAME: f32 = 74.0;
/// Height of a control.
const HEIGHT: f32 = 24.0;
/// How much slower a drag moves the value with the shift key.
const FINE: f32 = 0.1;

fn font() -> FontId {
    FontId::proportional(13.0)
}

fn set<P: Param>(setter: &ParamSetter, param: &P, normalized: f32) {
    setter.begin_set_parameter(param);
    setter.set_parameter_normalized(param, normalized);
    setter.end_set_parameter(param);
}

/// The row of a control: its name, and the place for the rest.
fn row(ui: &mut Ui, name: &str) -> Rect {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::hover());
    ui.painter().text(rect.left_center(), Align2::LEFT_CENTER, name, font(), palette(ui).muted);
    Rect::from_min_max(pos2(rect.left() + NAME, rect.top()), rect.max)
}

/// A slider with its value in it: drag, shift-drag for fine steps, double click for the default.
pub fn slider(ui: &mut Ui, setter: &ParamSetter, param: &FloatParam, enabled: bool) -> Response {
    let rect = row(ui, param.name());
    let id = ui.scope_id().with(param.name());
    let sense = if enabled { Sense::click_and_drag() } else { Sense::hover() };
    let response = ui.interact(rect, id, sense).on_hover_cursor(CursorIcon::ResizeHorizontal);
    if response.drag_started() {
        setter.begin_set_parameter(param);
    }
    if response.dragged() {
        let fine = if ui.input(|i| i.modifiers.shift) { FINE } else { 1.0 };
        let value = param.unmodulated_normalized_value() + fine * response.drag_delta().x / rect.width();
        // Steps are coarser than a pixel now and then: what is left over is carried along.
        let left: f32 = ui.data(|d| d.get_temp(id)).unwrap_or(0.0);
        let wanted = (value + left).clamp(0.0, 1.0);
        setter.set_parameter_normalized(param, wanted);
        let snapped = param.preview_normalized(param.preview_plain(wanted));
        ui.data_mut(|d| d.insert_temp(id, wanted - snapped));
    }
    if response.drag_stopped() {
        setter.end_set_parameter(param);
        ui.data_mut(|d| d.remove::<f32>(id));
    }
    if response.double_clicked() {
        set(setter, param, param.default_normalized_value());
    }
    let normalized = param.unmodulated_normalized_value();
    let (painter, p) = (ui.painter_at(rect), palette(ui));
    painter.rect_filled(rect, ROUND, p.well);
    let fill = if enabled { p.fill.linear_multiply(if response.hovered() { 0.62 } else { 0.5 }) } else { p.well };
    painter.rect_filled(Rect::from_min_size(rect.min, vec2(rect.width() * normalized, rect.height())), ROUND, fill);
    let text = param.normalized_value_to_string(normalized, true);
    painter.text(rect.center(), Align2::CENTER_CENTER, text, font(), if enabled { p.text } else { p.muted });
    response.on_hover_text("Drag; with Shift in fine steps; double click for the default")
}

/// A row of choices of which one holds.
pub fn choice<T: Enum + PartialEq + 'static>(ui: &mut Ui, setter: &ParamSetter, param: &EnumParam<T>, hints: &[&str]) {
    let (rect, p) = (row(ui, param.name()), palette(ui));
    ui.painter().rect_filled(rect, ROUND, p.well);
    let names = T::variants();
    let chosen = (param.unmodulated_normalized_value() * (names.len() - 1) as f32).round() as usize;
    let width = rect.width() / names.len() as f32;
    for (i, name) in names.iter().enumerate() {
        let cell = Rect::from_min_size(pos2(rect.left() + i as f32 * width, rect.top()), vec2(width, rect.height()));
        let response = ui.interact(cell, ui.scope_id().with((param.name(), i)), Sense::click()).on_hover_cursor(CursorIcon::PointingHand);
        if response.clicked() {
            set(setter, param, i as f32 / (names.len() - 1) as f32);
        }
        let colour = if i == chosen {
            ui.painter().rect_filled(cell.shrink(2.0), ROUND, p.fill);
            p.on_fill
        } else if response.hovered() {
            p.text
        } else {
            p.muted
        };
        ui.painter().text(cell.center(), Align2::CENTER_CENTER, name, font(), colour);
        if let Some(hint) = hints.get(i) {
            response.on_hover_text(*hint);
        }
    }
}

/// A switch with its name beside it.
pub fn switch(ui: &mut Ui, setter: &ParamSetter, param: &BoolParam) -> Response {
    let p = palette(ui);
    let name = ui.painter().layout_no_wrap(param.name().to_owned(), font(), p.text);
    let knob = vec2(30.0, 16.0);
    let (rect, response) = ui.allocate_exact_size(vec2(name.size().x + 8.0 + knob.x, HEIGHT), Sense::click());
    if response.clicked() {
        set(setter, param, if param.value() { 0.0 } else { 1.0 });
    }
    let on = param.value();
    let track = Rect::from_min_size(pos2(rect.right() - knob.x, rect.center().y - knob.y / 2.0), knob);
    ui.painter().rect(track, 8.0, if on { p.fill } else { p.well }, (1.0, if on { p.fill } else { p.muted }), StrokeKind::Inside);
    let x = if on { track.right() - 8.0 } else { track.left() + 8.0 };
    ui.painter().circle_filled(pos2(x, track.center().y), 5.0, if on { p.on_fill } else { p.muted });
    ui.painter().galley(pos2(rect.left(), rect.center().y - name.size().y / 2.0), name, p.text);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// A bar: how full, in which colour, with text in it.
pub fn bar(ui: &mut Ui, name: &str, share: f32, colour: egui::Color32, text: &str) -> Response {
    let rect = row(ui, name);
    let (painter, p) = (ui.painter_at(rect), palette(ui));
    painter.rect_filled(rect, ROUND, p.well);
    let filled = Rect::from_min_size(rect.min, vec2(rect.width() * share.clamp(0.0, 1.0), rect.height()));
    painter.rect_filled(filled, ROUND, colour.linear_multiply(0.5));
    painter.text(rect.center(), Align2::CENTER_CENTER, text, font(), p.text);
    ui.interact(rect, ui.scope_id().with(("bar", name)), Sense::hover())
}
