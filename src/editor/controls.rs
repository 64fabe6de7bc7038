//! Controls for the host's parameters: a slider, a row of choices, a switch. Each tells the host where a gesture begins
//! and ends.

use egui::{
    Align2, CursorIcon, Event, EventFilter, FontId, Id, Key, Modifiers, Rect, Response, Role, Sense, StrokeKind, Ui,
    WidgetInfo, pos2, vec2,
};
use nice_plug::prelude::{BoolParam, Enum, EnumParam, FloatParam, Param, ParamSetter};

use super::theme::{ROUND, palette};

/// Width of a control's name.
const NAME: f32 = 74.0;
/// Narrower rows save a little at the name.
const NARROW: f32 = 250.0;
/// Height of a control.
const HEIGHT: f32 = 24.0;
/// How much slower a drag moves the value with the shift key.
const FINE: f32 = 0.1;

fn font() -> FontId {
    FontId::proportional(13.0)
}

/// Sets a parameter, in a gesture of its own.
pub fn set<P: Param>(setter: &ParamSetter, param: &P, normalized: f32) {
    setter.begin_set_parameter(param);
    setter.set_parameter_normalized(param, normalized);
    setter.end_set_parameter(param);
}

/// Tells the host that the project has changed where no parameter has, such as by another voice: no plugin format of
/// ours has a call for it in this shell, so a parameter is set to the value that it has.
pub fn touch<P: Param>(setter: &ParamSetter, param: &P) {
    set(setter, param, param.unmodulated_normalized_value());
}

/// The row of a control: its name, and the place for the rest.
fn row(ui: &mut Ui, name: &str) -> Rect {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::hover());
    ui.painter().text(rect.left_center(), Align2::LEFT_CENTER, name, font(), palette(ui).muted);
    let room = if rect.width() < NARROW { NAME - 6.0 } else { NAME };
    Rect::from_min_max(pos2(rect.left() + room, rect.top()), rect.max)
}

/// A ring around what has the keyboard.
fn ring(ui: &Ui, response: &Response, rect: Rect) {
    if response.has_focus() {
        ui.painter().rect_stroke(rect.expand(1.0), ROUND, (2.0, palette(ui).accent), StrokeKind::Outside);
    }
}

/// Whether a key was pressed while something has the keyboard; nobody else sees it then.
fn key(ui: &Ui, key: Key) -> bool {
    ui.input_mut(|i| i.consume_key(Modifiers::NONE, key) || i.consume_key(Modifiers::SHIFT, key))
}

/// A slider with its value in it: drag, shift-drag for fine steps, double click for the default. With the keyboard:
/// arrows, with Shift in fine steps, Home and End, or a number and Enter.
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
    let typed = if response.has_focus() && enabled { keys(ui, setter, param, id) } else { None };
    if typed.is_none() {
        ui.data_mut(|d| d.remove::<String>(id));
    }
    let normalized = param.unmodulated_normalized_value();
    let (painter, p) = (ui.painter_at(rect), palette(ui));
    painter.rect_filled(rect, ROUND, p.well);
    let fill = if enabled { p.fill.linear_multiply(if response.hovered() { 0.62 } else { 0.5 }) } else { p.well };
    painter.rect_filled(Rect::from_min_size(rect.min, vec2(rect.width() * normalized, rect.height())), ROUND, fill);
    let value = param.normalized_value_to_string(normalized, true);
    response.widget_info(|| WidgetInfo::slider(enabled, param.unmodulated_plain_value() as f64, param.name()));
    let text = typed.map_or(value, |typed| format!("{typed}▏"));
    painter.text(rect.center(), Align2::CENTER_CENTER, text, font(), if enabled { p.text } else { p.muted });
    ring(ui, &response, rect);
    response.on_hover_text(
        "Drag or use the arrow keys, with Shift in fine steps; type a number and press Enter; double \
            click for the default",
    )
}

/// What the keys do to a slider that has the keyboard; gives what is typed so far.
fn keys(ui: &Ui, setter: &ParamSetter, param: &FloatParam, id: Id) -> Option<String> {
    let typed: Option<String> = ui.data(|d| d.get_temp(id));
    let filter = EventFilter {
        horizontal_arrows: true,
        vertical_arrows: true,
        escape: typed.is_some(),
        ..EventFilter::default()
    };
    ui.memory_mut(|m| m.set_focus_lock_filter(id, filter));
    let fine = ui.input(|i| i.modifiers.shift);
    let value = param.unmodulated_normalized_value();
    if key(ui, Key::ArrowRight) || key(ui, Key::ArrowUp) {
        set(setter, param, param.next_normalized_step(value, fine));
    } else if key(ui, Key::ArrowLeft) || key(ui, Key::ArrowDown) {
        set(setter, param, param.previous_normalized_step(value, fine));
    } else if key(ui, Key::Home) {
        set(setter, param, 0.0);
    } else if key(ui, Key::End) {
        set(setter, param, 1.0);
    }
    let mut text = typed.unwrap_or_default();
    ui.input(|i| {
        let written = i.events.iter().filter_map(|e| if let Event::Text(t) = e { Some(t.as_str()) } else { None });
        text.extend(
            written
                .flat_map(str::chars)
                .filter(|c| c.is_ascii_digit() || "+-.,".contains(*c))
                .map(|c| if c == ',' { '.' } else { c }),
        );
    });
    if key(ui, Key::Backspace) {
        text.pop();
    }
    if text.is_empty() || key(ui, Key::Escape) {
        return None;
    }
    if key(ui, Key::Enter) {
        if let Some(wanted) = param.string_to_normalized_value(&text) {
            set(setter, param, wanted);
        }
        return None;
    }
    ui.data_mut(|d| d.insert_temp(id, text.clone()));
    Some(text)
}

/// A row of choices of which one holds. With the keyboard: the arrows.
pub fn choice<T: Enum + PartialEq + 'static>(ui: &mut Ui, setter: &ParamSetter, param: &EnumParam<T>, hints: &[&str]) {
    let rect = row(ui, param.name());
    cells(ui, setter, param, rect, hints, &[]);
}

/// The choices of a row in a place of their own, each with a smaller line under its name where there are `lines`.
pub fn cells<T: Enum + PartialEq + 'static>(
    ui: &mut Ui,
    setter: &ParamSetter,
    param: &EnumParam<T>,
    rect: Rect,
    hints: &[&str],
    lines: &[String],
) {
    let p = palette(ui);
    ui.painter().rect_filled(rect, ROUND, p.well);
    let names = T::variants();
    let last = names.len() - 1;
    let chosen = (param.unmodulated_normalized_value() * last as f32).round() as usize;
    let choose = |i: usize| set(setter, param, i as f32 / last as f32);
    let id = ui.scope_id().with(param.name());
    let whole = ui.interact(rect, id, Sense::focusable_noninteractive());
    whole.widget_info(|| WidgetInfo::labeled(Role::RadioGroup, true, format!("{}: {}", param.name(), names[chosen])));
    if whole.has_focus() {
        let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|m| m.set_focus_lock_filter(id, filter));
        if key(ui, Key::ArrowRight) && chosen < last {
            choose(chosen + 1);
        } else if key(ui, Key::ArrowLeft) && chosen > 0 {
            choose(chosen - 1);
        }
    }
    let width = rect.width() / names.len() as f32;
    for (i, name) in names.iter().enumerate() {
        let cell = Rect::from_min_size(pos2(rect.left() + i as f32 * width, rect.top()), vec2(width, rect.height()));
        let response = ui.interact(cell, id.with(i), Sense::CLICK).on_hover_cursor(CursorIcon::PointingHand);
        if response.clicked() {
            choose(i);
        }
        let colour = if i == chosen {
            ui.painter().rect_filled(cell.shrink(2.0), ROUND, p.fill);
            p.on_fill
        } else if response.hovered() {
            p.text
        } else {
            p.muted
        };
        let up = if lines.is_empty() { 0.0 } else { 7.0 };
        ui.painter().text(cell.center() - vec2(0.0, up), Align2::CENTER_CENTER, name, font(), colour);
        if let Some(line) = lines.get(i) {
            let colour = if i == chosen { p.on_fill } else { p.muted };
            ui.painter().text(
                cell.center() + vec2(0.0, 8.0),
                Align2::CENTER_CENTER,
                line,
                FontId::proportional(11.0),
                colour,
            );
        }
        if let Some(hint) = hints.get(i) {
            response.on_hover_text(*hint);
        }
    }
    ring(ui, &whole, rect);
}

/// A switch with its name beside it. With the keyboard: Space or Enter.
pub fn switch(ui: &mut Ui, setter: &ParamSetter, param: &BoolParam) -> Response {
    let p = palette(ui);
    let name = ui.painter().layout_no_wrap(param.name().to_owned(), font(), p.text);
    let knob = vec2(30.0, 16.0);
    let (rect, response) = ui.allocate_exact_size(vec2(name.size().x + 8.0 + knob.x, HEIGHT), Sense::click());
    if response.clicked() {
        set(setter, param, if param.value() { 0.0 } else { 1.0 });
    }
    let on = param.value();
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, on, param.name()));
    let track = Rect::from_min_size(pos2(rect.right() - knob.x, rect.center().y - knob.y / 2.0), knob);
    ui.painter().rect(
        track,
        8.0,
        if on { p.fill } else { p.well },
        (1.0, if on { p.fill } else { p.muted }),
        StrokeKind::Inside,
    );
    let x = if on { track.right() - 8.0 } else { track.left() + 8.0 };
    ui.painter().circle_filled(pos2(x, track.center().y), 5.0, if on { p.on_fill } else { p.muted });
    ui.painter().galley(pos2(rect.left(), rect.center().y - name.size().y / 2.0), name, p.text);
    ring(ui, &response, rect);
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
