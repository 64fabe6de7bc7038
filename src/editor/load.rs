//! The curve of the last half minute's work against its deadline, with a mark where hops came late. Knows only numbers.

use egui::{CornerRadius, Rect, Response, Sense, Shape, Stroke, Ui, pos2};

use super::theme::palette;
use crate::plugin::history::{KEPT, Work};

/// The highest share of the deadline that is drawn.
const MOST: f32 = 1.25;

/// Draws the curve, the newest at the right; `now` is the share that holds at the moment.
pub fn curve(ui: &mut Ui, rect: Rect, steps: &[Work], now: f32) -> Response {
    let (p, painter) = (palette(ui), ui.painter_at(rect));
    painter.rect_filled(rect, CornerRadius::same(4), p.ground);
    let x = |i: usize| rect.right() - rect.width() * (steps.len() - i) as f32 / KEPT as f32;
    let y = |share: f32| rect.bottom() - (rect.height() - 2.0) * (share / MOST).clamp(0.0, 1.0);
    let wide = (rect.width() / KEPT as f32).max(1.0);
    for (i, step) in steps.iter().enumerate() {
        let colour = if step.load > 1.0 { p.bad } else { p.good };
        let bar = Rect::from_min_max(pos2(x(i), y(step.load)), pos2(x(i) + wide, rect.bottom()));
        painter.rect_filled(bar, CornerRadius::ZERO, colour.gamma_multiply(0.55));
    }
    // Late hops: a triangle that points down from the top.
    for (i, _) in steps.iter().enumerate().filter(|(_, s)| s.late > 0) {
        let tip = pos2(x(i) + wide / 2.0, rect.top() + 7.0);
        let triangle = vec![tip, pos2(tip.x - 3.5, rect.top() + 1.0), pos2(tip.x + 3.5, rect.top() + 1.0)];
        painter.add(Shape::convex_polygon(triangle, p.bad, Stroke::NONE));
    }
    painter.extend(Shape::dashed_line(
        &[pos2(rect.left(), y(1.0)), pos2(rect.right(), y(1.0))],
        Stroke::new(1.0, p.muted),
        3.0,
        3.0,
    ));
    let late: u64 = steps.iter().map(|s| s.late).sum();
    let worst = steps.iter().map(|s| s.load).fold(0.0, f32::max);
    let text = format!(
        "What computing takes of the time that it may take: {:.0} % now, {:.0} % at worst in the last half minute, {late} hops late. Above the dashed line \
         sound would be late; it is replaced then, and the delay stays.",
        100.0 * now,
        100.0 * worst
    );
    ui.interact(rect, ui.scope_id().with("work"), Sense::hover()).on_hover_text(text)
}
