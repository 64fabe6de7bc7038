//! One voice of the library as a card: its portrait, name and origin, a button to hear it and a menu. Tells what was
//! clicked; knows no library.

use egui::{
    Align2, CursorIcon, FontId, Popup, Pos2, Rect, Response, RichText, Role, Sense, Shape, Stroke, StrokeKind,
    TextWrapMode, Ui, WidgetInfo, WidgetText, pos2, vec2,
};

use super::portrait::Portrait;
use crate::editor::theme::{ROUND, palette};
use crate::voice::TargetVoice;
use crate::voice::library::About;

/// Height of a card, and of one with advice.
const HEIGHT: f32 = 50.0;
const ADVISED: f32 = 66.0;
/// Side of a portrait.
const PORTRAIT: f32 = 38.0;

/// What a card shows.
pub struct Card<'a> {
    /// The voice.
    pub voice: &'a TargetVoice,
    /// Its origin, where that is known.
    pub about: Option<&'a About>,
    /// Its picture.
    pub portrait: &'a Portrait,
    /// Whether it is the voice in use.
    pub chosen: bool,
    /// Whether it stands in the library, so that it can be renamed and removed.
    pub kept: bool,
    /// Whether the voice pack in use knows its timbre.
    pub known: bool,
    /// How its audition stands.
    pub listening: Listening,
}

/// How the audition of a voice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listening {
    /// It is not asked for.
    No,
    /// It will be heard in a moment.
    Soon,
    /// It is heard.
    Now,
}

/// What was clicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Click {
    /// Speak with this voice.
    Choose,
    /// Let it be heard, or stop.
    Listen,
    /// Another name.
    Rename,
    /// Out of the library.
    Remove,
    /// Enrol it again.
    Again,
}

impl Card<'_> {
    /// What enrolling the voice again would bring, where it would bring it closer.
    fn advice(&self) -> Option<&'static str> {
        match self.about {
            _ if !self.known => Some("Enrol it again: it comes closer"),
            Some(about) if about.heard.verdict() == "short" => Some("A longer reference brings it closer"),
            Some(about) if about.heard.is_weak() => Some("A quieter room brings it closer"),
            _ => None,
        }
    }

    /// The line under the name.
    fn line(&self) -> String {
        let pitch = (self.voice.median_pitch > 0.0).then(|| format!("{:.0} Hz", self.voice.median_pitch));
        let heard = self.about.map(|about| format!("{:.0} s, {}", about.heard.speech, about.heard.verdict()));
        let place = (!self.kept).then(|| "in the project only".to_owned());
        [pitch, heard, place].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }

    /// All that is known of its origin.
    fn origin(&self) -> String {
        let mut told = match self.voice.median_pitch {
            pitch if pitch > 0.0 => vec![format!("A voice of about {pitch:.0} Hz")],
            _ => vec!["A voice whose pitch is not known".to_owned()],
        };
        if let Some(about) = self.about {
            let heard = &about.heard;
            told.push(format!("Enrolled {} from {}", day(&about.enrolled), about.from));
            told.push(format!(
                "{:.1} s of speech in {:.1} s, peak {:.0} dBFS",
                heard.speech, heard.seconds, heard.peak_dbfs
            ));
            told.extend(heard.above_noise_db.map(|db| format!("{db:.0} dB above the noise")));
            told.extend(about.consent.as_ref().map(|c| format!("Agreed {}: {}", day(&c.given), c.words)));
        }
        if !self.kept {
            told.push("Kept in the project; it is not in your library".to_owned());
        }
        told.join("\n")
    }

    /// Draws it, as wide as there is room.
    pub fn show(&self, ui: &mut Ui) -> Option<Click> {
        let (p, advice) = (palette(ui), self.advice());
        let height = if advice.is_some() { ADVISED } else { HEIGHT };
        let (rect, whole) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click());
        whole.widget_info(|| WidgetInfo::selected(Role::Button, true, self.chosen, &self.voice.name));
        let painter = ui.painter_at(rect.expand(1.0));
        let fill = match (self.chosen, whole.hovered() || whole.has_focus()) {
            (true, _) => p.card.lerp_to_gamma(p.fill, 0.22),
            (false, true) => p.well.lerp_to_gamma(p.muted, 0.15),
            (false, false) => p.well.lerp_to_gamma(p.card, 0.35),
        };
        painter.rect_filled(rect, ROUND, fill);
        if self.chosen || whole.has_focus() {
            painter.rect_stroke(rect, ROUND, Stroke::new(1.5, p.accent), StrokeKind::Inside);
        }
        let middle = rect.top() + HEIGHT / 2.0;
        let picture =
            Rect::from_center_size(pos2(rect.left() + 6.0 + PORTRAIT / 2.0, middle), vec2(PORTRAIT, PORTRAIT));
        self.portrait.draw(&painter, picture, ui.visuals().dark_mode);
        if self.chosen {
            tick(&painter, picture.right_bottom() - vec2(4.0, 4.0), p.fill, p.on_fill);
        }
        let (listen, more) = (pos2(rect.right() - 40.0, middle), pos2(rect.right() - 13.0, middle));
        let left = picture.right() + 8.0;
        let room = listen.x - 14.0 - left;
        let write = |text: String, size: f32, colour, y: f32, room: f32| {
            let text = WidgetText::from(RichText::new(text).color(colour));
            let galley = text.into_galley(ui, Some(TextWrapMode::Truncate), room, FontId::proportional(size));
            painter.galley(pos2(left, y), galley, colour);
        };
        write(self.voice.name.clone(), 14.0, p.text, middle - 18.0, room);
        write(self.line(), 11.0, p.muted, middle + 2.0, room);
        if let Some(advice) = advice {
            painter.text(
                pos2(rect.left() + 8.0, rect.bottom() - 5.0),
                Align2::LEFT_BOTTOM,
                advice,
                FontId::proportional(11.0),
                p.accent,
            );
        }
        let heard = self.listen(ui, listen);
        let menu = self.menu(ui, more);
        let chosen = whole.on_hover_cursor(CursorIcon::PointingHand).on_hover_text(self.origin()).clicked();
        heard.or(menu).or(chosen.then_some(Click::Choose))
    }

    fn button(&self, ui: &Ui, at: Pos2, what: &str) -> Response {
        let rect = Rect::from_center_size(at, vec2(24.0, 24.0));
        let response = ui.interact(rect, ui.scope_id().with((what, &self.voice.name, self.kept)), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("{what} {}", self.voice.name)));
        if response.hovered() || response.has_focus() {
            ui.painter().circle_filled(at, 12.0, palette(ui).well.lerp_to_gamma(palette(ui).muted, 0.4));
        }
        response.on_hover_cursor(CursorIcon::PointingHand)
    }

    fn listen(&self, ui: &Ui, at: Pos2) -> Option<Click> {
        let (p, response) = (palette(ui), self.button(ui, at, "Listen to"));
        let hint = match self.listening {
            Listening::No => {
                let corners = [vec2(-4.0, -5.5), vec2(-4.0, 5.5), vec2(6.0, 0.0)].map(|v| at + v);
                ui.painter().add(Shape::convex_polygon(corners.to_vec(), p.text, Stroke::NONE));
                "Hear a phrase in this voice, in place of the track"
            }
            Listening::Soon => {
                egui::Spinner::new().color(p.accent).paint_at(ui, Rect::from_center_size(at, vec2(14.0, 14.0)));
                "It is being prepared; click to give it up"
            }
            Listening::Now => {
                ui.painter().rect_filled(Rect::from_center_size(at, vec2(10.0, 10.0)), 1.0, p.accent);
                "It is heard in place of the track; click to stop"
            }
        };
        response.on_hover_text(hint).clicked().then_some(Click::Listen)
    }

    fn menu(&self, ui: &Ui, at: Pos2) -> Option<Click> {
        let response = self.button(ui, at, "More about").on_hover_text("Rename, remove, enrol again");
        for y in [-4.5, 0.0, 4.5] {
            ui.painter().circle_filled(at + vec2(0.0, y), 1.5, palette(ui).muted);
        }
        let mut click = None;
        Popup::menu(&response).show(|ui| {
            for (name, what, offered) in [
                ("Enrol again", Click::Again, true),
                ("Rename", Click::Rename, self.kept),
                ("Remove", Click::Remove, self.kept),
            ] {
                if ui.add_enabled(offered, egui::Button::new(name)).clicked() {
                    click = Some(what);
                    ui.close();
                }
            }
        });
        click
    }
}

/// The mark of the chosen voice, so that colour is not all that tells.
fn tick(painter: &egui::Painter, at: Pos2, fill: egui::Color32, stroke: egui::Color32) {
    painter.circle_filled(at, 7.0, fill);
    painter
        .line([vec2(-3.0, 0.0), vec2(-0.8, 2.6), vec2(3.2, -2.6)].map(|v| at + v).to_vec(), Stroke::new(1.6, stroke));
}

/// The day of a time as libraries keep it.
fn day(rfc3339: &str) -> &str {
    rfc3339.get(..10).unwrap_or(rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::any_voice;
    use crate::voice::enrol::Heard;
    use crate::voice::library::agreed;

    #[test]
    fn a_card_tells_what_is_known_and_what_would_help() {
        let heard = Heard { seconds: 9.0, speech: 7.6, peak_dbfs: -6.0, above_noise_db: Some(40.0) };
        let about = About {
            enrolled: "2026-11-27T18:00:00Z".to_owned(),
            from: "ada.wav".to_owned(),
            heard,
            consent: Some(agreed()),
        };
        let (voice, short) = (any_voice("Ada"), About { heard: Heard { speech: 3.0, ..heard }, ..about.clone() });
        let portrait = Portrait::of(&voice);
        let card = |about, kept, known| Card {
            voice: &voice,
            about,
            portrait: &portrait,
            chosen: false,
            kept,
            known,
            listening: Listening::No,
        };
        let good = card(Some(&about), true, true);
        assert_eq!((good.line().as_str(), good.advice()), ("180 Hz · 8 s, good", None));
        assert!(
            good.origin().contains("2026-11-27 from ada.wav") && good.origin().contains("permission"),
            "{}",
            good.origin()
        );
        assert_eq!(card(None, false, true).line(), "180 Hz · in the project only");
        assert!(card(Some(&short), true, true).advice().is_some_and(|a| a.contains("longer")));
        assert!(card(Some(&about), true, false).advice().is_some_and(|a| a.contains("again")));
    }
}
