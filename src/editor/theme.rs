//! Colours, type and the card that everything lies on. Knows no state.

use egui::{Color32, Context, CornerRadius, FontFamily, FontId, Frame, Margin, RichText, Stroke, TextStyle, Theme, Ui, Visuals};

/// Behind everything.
pub const GROUND: Color32 = Color32::from_rgb(0x12, 0x14, 0x18);
/// Cards.
pub const CARD: Color32 = Color32::from_rgb(0x1b, 0x1e, 0x24);
/// Wells that values lie in.
pub const WELL: Color32 = Color32::from_rgb(0x27, 0x2b, 0x33);
/// The beak of a mynah.
pub const ACCENT: Color32 = Color32::from_rgb(0xf2, 0xa9, 0x3b);
/// Text.
pub const TEXT: Color32 = Color32::from_rgb(0xe9, 0xea, 0xec);
/// Text that stands back.
pub const MUTED: Color32 = Color32::from_rgb(0x8d, 0x94, 0xa1);
/// All is well.
pub const GOOD: Color32 = Color32::from_rgb(0x63, 0xc9, 0x8c);
/// Something is wrong.
pub const BAD: Color32 = Color32::from_rgb(0xf0, 0x70, 0x5f);

/// Rounding of cards and wells.
pub const ROUND: CornerRadius = CornerRadius::same(6);

/// Sets the window up. The fonts are egui's own, brought along by the feature `default_fonts`.
pub fn apply(ctx: &Context) {
    ctx.set_theme(Theme::Dark);
    ctx.set_fonts(egui::FontDefinitions::default());
    ctx.all_styles_mut(|style| {
        let font = |size: f32| FontId::new(size, FontFamily::Proportional);
        style.text_styles = [
            (TextStyle::Small, font(11.0)),
            (TextStyle::Body, font(13.0)),
            (TextStyle::Button, font(13.0)),
            (TextStyle::Heading, font(20.0)),
            (TextStyle::Monospace, FontId::new(12.0, FontFamily::Monospace)),
        ]
        .into();
        style.visuals = visuals();
        style.spacing.item_spacing = egui::vec2(8.0, 7.0);
        style.spacing.button_padding = egui::vec2(10.0, 5.0);
        style.interaction.selectable_labels = false;
    });
}

fn visuals() -> Visuals {
    let mut v = Visuals::dark();
    v.override_text_color = Some(TEXT);
    v.panel_fill = GROUND;
    v.window_fill = CARD;
    v.window_stroke = Stroke::new(1.0, WELL);
    v.extreme_bg_color = GROUND;
    v.selection.bg_fill = ACCENT.linear_multiply(0.35);
    v.selection.stroke = Stroke::new(1.0, ACCENT);
    for (widget, fill) in [
        (&mut v.widgets.inactive, WELL),
        (&mut v.widgets.hovered, WELL.gamma_multiply(1.35)),
        (&mut v.widgets.active, ACCENT.linear_multiply(0.5)),
        (&mut v.widgets.open, WELL),
    ] {
        (widget.bg_fill, widget.weak_bg_fill) = (fill, fill);
        (widget.bg_stroke, widget.expansion) = (Stroke::NONE, 0.0);
        widget.corner_radius = ROUND;
    }
    v
}

/// A card with a title.
pub fn card<R>(ui: &mut Ui, title: &str, contents: impl FnOnce(&mut Ui) -> R) -> R {
    let size = ui.available_size();
    Frame::new()
        .fill(CARD)
        .corner_radius(CornerRadius::same(10))
        .inner_margin(Margin::symmetric(14, 12))
        .show(ui, |ui| {
            ui.set_min_size(size - egui::vec2(28.0, 24.0));
            ui.set_max_size(size - egui::vec2(28.0, 24.0));
            ui.label(RichText::new(title.to_uppercase()).small().color(MUTED).extra_letter_spacing(1.0));
            contents(ui)
        })
        .inner
}
