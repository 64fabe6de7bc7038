//! Colours, type and the card that everything lies on. Knows no state.
//!
//! Colours are asked from the [`Palette`] that holds: `theme::palette(ui)`. State is never told by hue alone: a word or
//! a shape goes with it.

use egui::{
    Color32, Context, CornerRadius, FontFamily, FontId, Frame, Margin, RichText, Stroke, Style, TextStyle, Theme, Ui,
    Visuals,
};

/// The colours of one theme. Text colours are readable on `ground`, `card` and `well`: a contrast of 4.5 and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Behind everything.
    pub ground: Color32,
    /// Cards.
    pub card: Color32,
    /// Wells that values lie in, and buttons.
    pub well: Color32,
    /// Text.
    pub text: Color32,
    /// Text that stands back.
    pub muted: Color32,
    /// What stands out: text, strokes and marks.
    pub accent: Color32,
    /// What is chosen: the fill, and text on it.
    pub fill: Color32,
    /// Text on `fill`.
    pub on_fill: Color32,
    /// All is well.
    pub good: Color32,
    /// Something is wrong.
    pub bad: Color32,
}

/// A dark room: near black, with the yellow of a mynah's beak.
pub const DARK: Palette = Palette {
    ground: Color32::from_rgb(0x0f, 0x12, 0x16),
    card: Color32::from_rgb(0x18, 0x1c, 0x22),
    well: Color32::from_rgb(0x25, 0x2a, 0x32),
    text: Color32::from_rgb(0xe9, 0xeb, 0xee),
    muted: Color32::from_rgb(0xa0, 0xa8, 0xb4),
    accent: Color32::from_rgb(0xf4, 0xb0, 0x4a),
    fill: Color32::from_rgb(0xf4, 0xb0, 0x4a),
    on_fill: Color32::from_rgb(0x14, 0x10, 0x08),
    good: Color32::from_rgb(0x5c, 0xc8, 0xd6),
    bad: Color32::from_rgb(0xff, 0x7a, 0x6b),
};

/// A bright room.
pub const LIGHT: Palette = Palette {
    ground: Color32::from_rgb(0xec, 0xee, 0xf1),
    card: Color32::from_rgb(0xfb, 0xfc, 0xfd),
    well: Color32::from_rgb(0xe2, 0xe5, 0xea),
    text: Color32::from_rgb(0x1a, 0x1e, 0x25),
    muted: Color32::from_rgb(0x52, 0x5b, 0x68),
    accent: Color32::from_rgb(0x7a, 0x4e, 0x00),
    fill: Color32::from_rgb(0xf4, 0xb0, 0x4a),
    on_fill: Color32::from_rgb(0x14, 0x10, 0x08),
    good: Color32::from_rgb(0x00, 0x5f, 0x8a),
    bad: Color32::from_rgb(0xb3, 0x12, 0x3a),
};

/// Rounding of cards and wells.
pub const ROUND: CornerRadius = CornerRadius::same(6);

/// The colours that hold here.
pub fn palette(ui: &Ui) -> Palette {
    if ui.visuals().dark_mode { DARK } else { LIGHT }
}

/// The colours that hold in a window.
#[cfg(test)]
pub fn palette_of(ctx: &Context) -> Palette {
    if ctx.theme() == Theme::Dark { DARK } else { LIGHT }
}

/// Sets the window up, dark. The fonts are egui's own, brought along by the feature `default_fonts`.
pub fn apply(ctx: &Context) {
    ctx.set_theme(Theme::Dark);
    ctx.set_fonts(egui::FontDefinitions::default());
    ctx.style_mut_of(Theme::Dark, |style| dress(style, Visuals::dark(), DARK));
    ctx.style_mut_of(Theme::Light, |style| dress(style, Visuals::light(), LIGHT));
}

fn dress(style: &mut Style, base: Visuals, palette: Palette) {
    let font = |size: f32| FontId::new(size, FontFamily::Proportional);
    style.text_styles = [
        (TextStyle::Small, font(11.0)),
        (TextStyle::Body, font(13.0)),
        (TextStyle::Button, font(13.0)),
        (TextStyle::Heading, font(20.0)),
        (TextStyle::Monospace, FontId::new(12.0, FontFamily::Monospace)),
    ]
    .into();
    style.visuals = visuals(base, palette);
    style.spacing.item_spacing = egui::vec2(8.0, 7.0);
    style.spacing.button_padding = egui::vec2(10.0, 5.0);
    style.interaction.selectable_labels = false;
}

fn visuals(mut v: Visuals, p: Palette) -> Visuals {
    v.override_text_color = Some(p.text);
    v.panel_fill = p.ground;
    v.window_fill = p.card;
    v.window_stroke = Stroke::new(1.0, p.well);
    v.extreme_bg_color = p.ground;
    v.selection.bg_fill = p.fill.linear_multiply(0.35);
    v.selection.stroke = Stroke::new(1.0, p.accent);
    for (widget, fill) in [
        (&mut v.widgets.inactive, p.well),
        (&mut v.widgets.hovered, p.well.lerp_to_gamma(p.muted, 0.2)),
        (&mut v.widgets.active, p.well.lerp_to_gamma(p.fill, 0.5)),
        (&mut v.widgets.open, p.well),
    ] {
        (widget.bg_fill, widget.weak_bg_fill) = (fill, fill);
        (widget.bg_stroke, widget.expansion) = (Stroke::NONE, 0.0);
        widget.corner_radius = ROUND;
    }
    // What has the keyboard is drawn as active: a ring that is seen on every ground.
    v.widgets.active.bg_stroke = Stroke::new(2.0, p.accent);
    v
}

/// A card with a title.
pub fn card<R>(ui: &mut Ui, title: &str, contents: impl FnOnce(&mut Ui) -> R) -> R {
    let (size, palette) = (ui.available_size(), palette(ui));
    Frame::new()
        .fill(palette.card)
        .corner_radius(CornerRadius::same(10))
        .inner_margin(Margin::symmetric(14, 12))
        .show(ui, |ui| {
            ui.set_min_size(size - egui::vec2(28.0, 24.0));
            ui.set_max_size(size - egui::vec2(28.0, 24.0));
            ui.label(RichText::new(title.to_uppercase()).small().color(palette.muted).extra_letter_spacing(1.0));
            contents(ui)
        })
        .inner
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(c: Color32) -> [f64; 3] {
        [c.r(), c.g(), c.b()].map(|x| {
            let x = x as f64 / 255.0;
            if x <= 0.04045 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn times(m: [[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
        m.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
    }

    /// WCAG 2.2, "contrast ratio".
    fn contrast(a: Color32, b: Color32) -> f64 {
        let luminance = |c| linear(c).iter().zip([0.2126, 0.7152, 0.0722]).map(|(x, w)| x * w).sum::<f64>();
        let (a, b): (f64, f64) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// CIE 1976 L*a*b* of linear sRGB, white D65.
    fn lab(rgb: [f64; 3]) -> [f64; 3] {
        let xyz = times(
            [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
            rgb.map(|x| x.clamp(0.0, 1.0)),
        );
        let f = |t: f64| if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
        let (x, y, z) = (f(xyz[0] / 0.95047), f(xyz[1]), f(xyz[2] / 1.08883));
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    /// Sight without the red or the green cones: Machado, Oliveira and Fernandes, "A Physiologically-based Model for
    /// Simulation of Color Vision Deficiency", IEEE TVCG 15 (2009), severity 1.0.
    const SIGHTS: [(&str, [[f64; 3]; 3]); 3] = [
        ("all cones", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (
            "protanopia",
            [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        ),
        (
            "deuteranopia",
            [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
        ),
    ];

    #[test]
    fn every_text_is_readable_on_every_ground() {
        for (theme, p) in [("dark", DARK), ("light", LIGHT)] {
            for (name, text) in
                [("text", p.text), ("muted", p.muted), ("accent", p.accent), ("good", p.good), ("bad", p.bad)]
            {
                for (on, ground) in [("ground", p.ground), ("card", p.card), ("well", p.well)] {
                    let c = contrast(text, ground);
                    assert!(c >= 4.5, "{theme}: {name} on {on}: {c:.2}");
                }
            }
            assert!(contrast(p.on_fill, p.fill) >= 4.5, "{theme}: what is chosen");
        }
    }

    #[test]
    fn states_are_told_apart_without_red_or_green_cones() {
        for (theme, p) in [("dark", DARK), ("light", LIGHT)] {
            for (sight, matrix) in SIGHTS {
                for (pair, a, b) in
                    [("good, bad", p.good, p.bad), ("good, accent", p.good, p.accent), ("bad, accent", p.bad, p.accent)]
                {
                    let (a, b) = (lab(times(matrix, linear(a))), lab(times(matrix, linear(b))));
                    let apart = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                    assert!(apart >= 15.0, "{theme}, {sight}: {pair}: ΔE {apart:.1}");
                }
            }
        }
    }
}
