//! The card of captions: the words as they come, those that may still change lighter, and their way into a file.

use std::ops::Range;
use std::sync::Arc;

use egui::text::{LayoutJob, TextFormat};
use egui::{Align, Context, FontId, Label, Layout, RichText, ScrollArea, Sense, TextEdit, Ui};
use nice_plug::prelude::ParamSetter;

use super::controls::switch;
use super::export::{Export, Said};
use super::models;
use super::norms::Norms;
use super::outlets::OutletPanel;
use super::takes;
use super::theme::{Palette, palette};
use crate::plugin::instance::{Instance, Readings};
use crate::plugin::keeper;
use crate::subtitles::Word;
use crate::subtitles::language::Language;
use crate::subtitles::transcript::Transcript;

/// Words that are shown.
const SHOWN: usize = 400;
/// A pause of so many seconds begins a paragraph.
const PAUSE: f64 = 1.5;

/// See the top of the file.
pub struct CaptionCard {
    instance: Arc<Instance>,
    outlets: OutletPanel,
    export: Export,
    /// The word that was clicked last.
    picked: Option<Word>,
    /// What was cleared last.
    cleared: Option<Transcript>,
    norms: Norms,
}

impl CaptionCard {
    /// A card of this instance's words.
    pub fn new(instance: Arc<Instance>) -> Self {
        Self {
            outlets: OutletPanel::new(instance.clone()),
            instance,
            export: Export::default(),
            picked: None,
            cleared: None,
            norms: Norms::default(),
        }
    }

    /// Draws the card.
    pub fn show(&mut self, ui: &mut Ui, setter: &ParamSetter, readings: &Readings) {
        let (p, on) = (palette(ui), &self.instance.params.captions.on);
        ui.horizontal(|ui| {
            switch(ui, setter, on).on_hover_text("Whether the sound is captioned");
            if let Some(status) = readings.status.as_ref().filter(|_| on.value()) {
                let (text, colour) = match &status.caption_problem {
                    Some(_) => ("stopped".to_owned(), p.bad),
                    None if !status.captions_ready => ("being loaded".to_owned(), p.muted),
                    None if status.captions_behind > 3.0 => {
                        (format!("{:.0} s behind", status.captions_behind), p.accent)
                    }
                    None => ("listening".to_owned(), p.good),
                };
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| ui.label(RichText::new(text).color(colour)));
            }
        });
        if on.value() {
            models::language(ui, setter, &self.instance, readings);
        }
        if let Some(problem) = readings.status.as_ref().and_then(|s| s.caption_problem.as_ref()) {
            ui.label(RichText::new(problem).color(p.bad));
        }
        self.outlets.lines(ui);
        let board = self.instance.transcript();
        let transcript = board.lock().unwrap_or_else(|e| e.into_inner());
        let (empty, (job, spans)) = (transcript.words().is_empty(), layout(&transcript, ui.available_width() - 8.0, p));
        let spoken = readings.status.as_ref().and_then(|s| s.spoken.as_deref()).unwrap_or_default();
        let broken =
            self.norms.look(&transcript, &self.export.style(), spoken).map(|sentence| (sentence.to_owned(), p.accent));
        drop(transcript);
        let notes: Vec<_> = self.notes(p).into_iter().chain(broken).collect();
        let foot = 70.0 + 40.0 * notes.len() as f32 + if self.picked.is_some() { 20.0 } else { 0.0 };
        ScrollArea::vertical()
            .id_salt("words")
            .max_height(ui.available_height() - foot)
            .auto_shrink(false)
            .stick_to_bottom(true)
            .show(ui, |ui| {
                if job.is_empty() {
                    ui.label(RichText::new("What is said will stand here, word by word.").color(p.muted));
                } else {
                    let galley = ui.painter().layout_job(job);
                    let label = ui.add(Label::new(galley.clone()).sense(Sense::click()));
                    let at = label.interact_pointer_pos().filter(|_| label.clicked());
                    if let Some(at) = at {
                        let index = galley.cursor_from_pos(at - label.rect.min).index.0;
                        self.picked = spans.into_iter().find(|(span, _)| span.contains(&index)).map(|(_, word)| word);
                    }
                }
            });
        if let Some(word) = &self.picked {
            ui.label(RichText::new(told(word)).small().color(p.text)).on_hover_text("The word that was clicked");
        }
        ui.horizontal_wrapped(|ui| {
            if ui
                .add_enabled(!empty, egui::Button::new("Export"))
                .on_hover_text("Into a file, in ten formats and four styles")
                .clicked()
            {
                self.export.open();
            }
            if ui.add_enabled(!empty, egui::Button::new("Clear")).clicked() {
                let mut transcript = board.lock().unwrap_or_else(|e| e.into_inner());
                self.cleared = Some(transcript.clone());
                transcript.clear();
                self.picked = None;
                self.export.forget();
            }
            if empty
                && self.cleared.is_some()
                && ui.button("Undo").on_hover_text("Brings back what was cleared").clicked()
                && let Some(mut words) = self.cleared.take()
            {
                words.end();
                board.lock().unwrap_or_else(|e| e.into_inner()).replace(words);
            }
            takes::menu(ui, &board);
            self.outlets.button(ui);
        });
        ui.horizontal(|ui| self.keeping(ui));
        for (note, colour) in notes {
            ui.label(RichText::new(note).small().color(colour));
        }
    }

    /// How the last export went, and what is wrong with what a project or the disk keeps.
    fn notes(&self, p: Palette) -> Vec<(String, egui::Color32)> {
        let exported = self.export.told().cloned().map(|done| match done {
            Ok(done) => (done, p.good),
            Err(why) => (why, p.bad),
        });
        let wrong = [self.instance.params.words.problem(), self.instance.copy().and_then(Result::err)];
        exported.into_iter().chain(wrong.into_iter().flatten().map(|why| (why, p.bad))).collect()
    }

    /// Who speaks, and whether a copy is kept.
    fn keeping(&self, ui: &mut Ui) {
        let params = &self.instance.params;
        let (mut speaker, track) = (params.speaker.get().0, self.instance.track());
        let hint = if track.is_empty() { "Speaker" } else { &track };
        let field = TextEdit::singleline(&mut speaker).hint_text(hint).char_limit(80).desired_width(110.0);
        if ui
            .add(field)
            .on_hover_text("Who speaks, for exported captions; the track's name where nothing is written here")
            .changed()
        {
            params.speaker.choose(speaker);
        }
        let mut keep = !params.no_copy.get().0;
        let place = match (self.instance.copy(), keeper::folder()) {
            (Some(Ok(file)), _) => file.display().to_string(),
            (_, Some(folder)) => folder.display().to_string(),
            (_, None) => "nowhere: this machine tells no home folder".to_owned(),
        };
        let told = format!("Keeps a copy of the captions outside the project, in case the host crashes: {place}");
        if ui.checkbox(&mut keep, "Copy on disk").on_hover_text(told).changed() {
            params.no_copy.choose(!keep);
        }
    }

    /// Draws the picker where one is open.
    pub fn picker(&mut self, ctx: &Context) {
        self.outlets.dialog(ctx);
        let instance = &self.instance;
        let said = || Said {
            words: instance.transcript().lock().unwrap_or_else(|e| e.into_inner()).words().to_vec(),
            speaker: instance.speaker(),
            language: instance.language(),
        };
        self.export.dialog(ctx, &said);
    }
}

/// A word with its time and how sure it is.
fn told(word: &Word) -> String {
    let time =
        |seconds: f64| format!("{}{:05.2}", &clock(seconds)[..clock(seconds).len() - 2], seconds.max(0.0) % 60.0);
    format!("“{}”  {}–{}, {:.0} % sure", word.text, time(word.start), time(word.end), 100.0 * word.confidence)
}

/// Minutes and seconds.
pub(super) fn clock(seconds: f64) -> String {
    let s = seconds.max(0.0) as u64;
    format!("{}:{:02}", s / 60, s % 60)
}

/// The last words in paragraphs, each with its time; and where each word stands, in characters.
fn layout(transcript: &Transcript, width: f32, p: Palette) -> (LayoutJob, Vec<(Range<usize>, Word)>) {
    let format = |size: f32, color: egui::Color32| TextFormat {
        font_id: FontId::proportional(size),
        color,
        line_height: Some(size * 1.4),
        ..TextFormat::default()
    };
    let mut job = LayoutJob::default();
    job.wrap.max_width = width;
    let words = transcript.words();
    let finals = words[words.len().saturating_sub(SHOWN)..].iter().map(|w| (w, p.text));
    let partials = transcript.partial().iter().map(|w| (w, p.muted));
    let (mut last, mut before, mut spans, mut at): (Option<f64>, &str, _, usize) = (None, "", Vec::new(), 0);
    let mut append = |job: &mut LayoutJob, text: &str, format: TextFormat| {
        job.append(text, 0.0, format);
        let from = at;
        at += text.chars().count();
        from..at
    };
    for (word, color) in finals.chain(partials) {
        if last.is_none_or(|end| word.start - end > PAUSE || word.start < end - PAUSE) {
            let lead = if last.is_some() { "\n" } else { "" };
            append(&mut job, &format!("{lead}{}  ", clock(word.start)), format(11.0, p.accent));
        } else {
            append(&mut job, Language::default().glue(before, &word.text), format(14.0, color));
        }
        spans.push((append(&mut job, &word.text, format(14.0, color)), word.clone()));
        (last, before) = (Some(word.end), &word.text);
    }
    (job, spans)
}

#[cfg(test)]
mod tests {
    use super::super::theme::DARK;
    use super::*;
    use crate::recognition::stream::Event;

    fn word(text: &str, start: f64) -> Word {
        Word { text: text.to_owned(), start, end: start + 0.3, confidence: 1.0 }
    }

    #[test]
    fn words_stand_in_paragraphs_and_partial_ones_are_lighter() {
        let mut t = Transcript::default();
        t.apply(Event::Final(vec![word("one", 0.0), word("two.", 0.4), word("Three", 65.0)]));
        t.apply(Event::Partial(vec![word("four", 65.4)]));
        let (job, spans) = layout(&t, 300.0, DARK);
        assert_eq!(job.text, "0:00  one two.\n1:05  Three four");
        assert_eq!(job.sections.last().map(|s| s.format.color), Some(DARK.muted));
        for (span, word) in spans {
            let shown: String = job.text.chars().skip(span.start).take(span.len()).collect();
            assert_eq!(shown, word.text);
        }
        assert_eq!(told(&Word { confidence: 0.874, ..word("Three", 65.0) }), "“Three”  1:05.00–1:05.30, 87 % sure");
    }
}
