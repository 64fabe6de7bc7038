//! The meters of input and output: peaks in dBFS, falling, with a line that holds the highest. Knows only numbers.

use std::time::{Duration, Instant};

use egui::{Align2, CornerRadius, FontId, Painter, Rect, Response, Sense, Ui, pos2, vec2};

use super::theme::{Palette, palette};

/// The lowest level, in dBFS.
const FLOOR: f32 = -60.0;
/// From here on a level is too much.
const FULL: f32 = -0.1;
/// How long the highest level is held, and how fast it then falls, in dB a second.
const HELD: Duration = Duration::from_millis(1500);
const FALL: f32 = 24.0;
/// How long it is told that a level was too much.
const TOLD: Duration = Duration::from_secs(3);
/// Marks on the scale, in dBFS.
const TICKS: [i32; 5] = [0, -6, -12, -24, -48];

/// Width of both meters with their scale.
pub const WIDTH: f32 = 104.0;

/// A peak, linear, as a level in dBFS; at least -120.
pub fn decibels(peak: f32) -> f32 {
    20.0 * peak.max(1e-6).log10()
}

/// The line that holds.
#[derive(Debug, Clone, Copy)]
struct Hold {
    level: f32,
    at: Instant,
    full_at: Option<Instant>,
}

impl Hold {
    fn new(now: Instant) -> Self {
        Self { level: f32::NEG_INFINITY, at: now, full_at: None }
    }

    /// Takes a level; gives the one that is held.
    fn take(&mut self, level: f32, now: Instant) -> f32 {
        if level >= FULL {
            self.full_at = Some(now);
        }
        let fallen = now.saturating_duration_since(self.at + HELD).as_secs_f32() * FALL;
        if level >= self.level - fallen {
            (self.level, self.at) = (level, now);
            return level;
        }
        self.level - fallen
    }

    fn was_full(&self, now: Instant) -> bool {
        self.full_at.is_some_and(|at| now.saturating_duration_since(at) < TOLD)
    }
}

/// See the top of the file.
#[derive(Debug)]
pub struct Meters {
    holds: [Hold; 2],
}

impl Meters {
    /// Meters that have heard nothing.
    pub fn new() -> Self {
        Self { holds: [Hold::new(Instant::now()); 2] }
    }

    /// Draws both with the scale between them; peaks linear.
    pub fn show(&mut self, ui: &mut Ui, rect: Rect, peaks: (f32, f32)) -> Response {
        let (p, now, painter) = (palette(ui), Instant::now(), ui.painter_at(rect));
        let foot = 30.0;
        let bars = Rect::from_min_max(rect.min + vec2(0.0, 3.0), pos2(rect.right(), rect.bottom() - foot));
        let width = 14.0;
        let column = rect.width() / 2.0;
        let mut told = String::new();
        for (i, (name, peak)) in [("In", peaks.0), ("Out", peaks.1)].into_iter().enumerate() {
            let (level, hold) = (decibels(peak), &mut self.holds[i]);
            let held = hold.take(level, now);
            let centre = rect.left() + column * (i as f32 + 0.5);
            let x = if i == 0 { rect.left() + 16.0 } else { rect.right() - 16.0 - width };
            let bar = Rect::from_min_size(pos2(x, bars.top()), vec2(width, bars.height()));
            draw(&painter, bar, level, held, p);
            let number = if held <= FLOOR { "silent".to_owned() } else { format!("{held:.1}") };
            let full = hold.was_full(now);
            let (text, colour) = if full { ("▲ full".to_owned(), p.bad) } else { (number.clone(), p.text) };
            painter.text(
                pos2(centre, rect.bottom() - 15.0),
                Align2::CENTER_BOTTOM,
                text,
                FontId::proportional(11.5),
                colour,
            );
            painter.text(pos2(centre, rect.bottom()), Align2::CENTER_BOTTOM, name, FontId::proportional(11.0), p.muted);
            told += &format!("{name}: {number} dBFS at most{}. ", if full { ", too loud: turn it down" } else { "" });
        }
        // On a low scale -6 would stand on its neighbours.
        for tick in TICKS.into_iter().filter(|t| bars.height() > 110.0 || *t != -6) {
            let y = bars.top() + bars.height() * (tick as f32 / FLOOR);
            let near = |text| {
                painter.text(pos2(rect.center().x, y), Align2::CENTER_CENTER, text, FontId::proportional(9.5), p.muted)
            };
            near(if tick == 0 { "0 dB".to_owned() } else { format!("−{}", -tick) });
        }
        ui.interact(rect, ui.scope_id().with("meters"), Sense::hover()).on_hover_text(told)
    }
}

fn draw(painter: &Painter, bar: Rect, level: f32, held: f32, p: Palette) {
    let round = CornerRadius::same(3);
    painter.rect_filled(bar, round, p.ground);
    let y = |level: f32| bar.top() + bar.height() * (level / FLOOR).clamp(0.0, 1.0);
    let part = |from: f32, to: f32, colour| {
        // From the lower level up to the higher one, as far as the bar is filled.
        let (low, high) = (from, level.min(to));
        if high > low {
            painter.rect_filled(
                Rect::from_min_max(pos2(bar.left(), y(high)), pos2(bar.right(), y(low))),
                round,
                colour,
            );
        }
    };
    part(FLOOR, 0.0, p.good);
    part(-6.0, 0.0, p.accent);
    part(FULL, 0.0, p.bad);
    for tick in TICKS {
        painter.hline(bar.x_range(), y(tick as f32), (1.0, p.card));
    }
    if held > FLOOR {
        painter.hline(bar.x_range(), y(held), (2.0, p.text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_level_is_held_and_then_falls() {
        assert!((decibels(0.5) + 6.02).abs() < 0.01);
        let start = Instant::now();
        let mut hold = Hold::new(start);
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(hold.take(-6.0, at(0)), -6.0);
        assert_eq!(hold.take(-30.0, at(1400)), -6.0);
        let falling = hold.take(-30.0, at(2000));
        assert!((falling + 18.0).abs() < 0.01, "{falling}");
        assert_eq!(hold.take(-30.0, at(4000)), -30.0);
        assert!(!hold.was_full(at(4000)));
        hold.take(0.0, at(5000));
        assert!(hold.was_full(at(7900)) && !hold.was_full(at(8100)));
    }
}
