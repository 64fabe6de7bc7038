//! The menu of takes: what was heard where, the newest first, to be shown again. Knows only the transcript.

use std::sync::Mutex;

use egui::{Button, RichText, Ui};

use super::captions::clock;
use crate::subtitles::transcript::{Take, Transcript};

/// Takes that are listed, and words of each.
const LISTED: usize = 30;
const WORDS: usize = 6;

/// Draws the menu. A take that is chosen is shown from its beginning to its end.
pub fn menu(ui: &mut Ui, board: &Mutex<Transcript>) {
    let several = board.lock().unwrap_or_else(|e| e.into_inner()).takes(f64::NEG_INFINITY, f64::INFINITY).len() > 1;
    ui.add_enabled_ui(several, |ui| {
        ui.menu_button("Takes", |ui| {
            let mut transcript = board.lock().unwrap_or_else(|e| e.into_inner());
            let takes = transcript.takes(f64::NEG_INFINITY, f64::INFINITY);
            let lines: Vec<(u32, f64, f64, String)> =
                takes.iter().take(LISTED).map(|t| (t.id, t.from, t.to, line(t))).collect();
            for (id, from, to, line) in lines {
                if ui
                    .add(Button::new(RichText::new(line)))
                    .on_hover_text("Shows this take from its beginning to its end")
                    .clicked()
                {
                    transcript.choose(id, from, to);
                    ui.close();
                }
            }
        })
        .response
        .on_hover_text("What was heard in each pass over the timeline, the newest first");
    });
}

fn line(take: &Take) -> String {
    let said: Vec<&str> = take.words().iter().take(WORDS).map(|w| w.text.as_str()).collect();
    let said = match (said.len(), take.words().len()) {
        (0, _) => "silence".to_owned(),
        (n, all) if n < all => format!("{} …", said.join(" ")),
        _ => said.join(" "),
    };
    let aside = if take.free { ", transport stopped" } else { "" };
    format!("{}–{}{aside}  {said}", clock(take.from), clock(take.to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subtitles::Word;

    #[test]
    fn a_take_is_told_in_a_line() {
        let word =
            |i: usize| Word { text: format!("w{i}"), start: 64.0 + i as f64, end: 64.5 + i as f64, confidence: 1.0 };
        let t: Transcript = (0..8).map(word).collect::<Vec<_>>().into();
        let takes = t.takes(f64::NEG_INFINITY, f64::INFINITY);
        assert_eq!(line(takes[0]), "1:04–1:11, transport stopped  w0 w1 w2 w3 w4 w5 …");
    }
}
