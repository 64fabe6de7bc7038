//! The dialog in which captions become a file: a style, a format, and a place. Knows no window beside itself.

use std::path::{Path, PathBuf};

use egui::{Context, RichText, Ui};

use super::files::{Picker, Purpose};
use super::theme::palette;
use super::voices::home;
use crate::subtitles::Word;
use crate::subtitles::cues::{Spoken, Style, spoken_cues};
use crate::subtitles::formats::{Format, FrameRate, Programme, render_programme, write_rendered};
use crate::subtitles::language::Language;

/// See the top of the file.
pub struct Export {
    open: bool,
    style: &'static str,
    format: Format,
    /// The frames that iTT counts.
    frame_rate: FrameRate,
    picker: Option<Picker>,
    folder: PathBuf,
    /// How the last export went.
    told: Option<Result<String, String>>,
}

impl Default for Export {
    fn default() -> Self {
        Self {
            open: false,
            style: Style::NAMES[0],
            format: Format::Srt,
            frame_rate: FrameRate::default(),
            picker: None,
            folder: home(),
            told: None,
        }
    }
}

/// What a format is for.
fn purpose(format: Format) -> &'static str {
    match format {
        Format::Srt => "SubRip: what most players and sites take",
        Format::Vtt => "WebVTT: for web pages, with the speaker",
        Format::Ttml => "TTML (IMSC 1.1): for broadcasters and streaming services",
        Format::Itt => "iTunes Timed Text: for Final Cut",
        Format::Json => "Words and cues with all they have",
        Format::Text => "Plain text in paragraphs",
        Format::Csv => "A table of cues",
        Format::Reaper => "Regions for REAPER",
        Format::Ardour => "A script of markers for Ardour",
        Format::Audition => "Markers for Adobe Audition",
    }
}

/// What is written.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// The words.
    pub words: Vec<Word>,
    /// Who says them; empty where that isn't known.
    pub speaker: String,
    /// The language's code; empty where that isn't known.
    pub language: String,
}

impl Export {
    /// The style whose norms hold.
    pub fn style(&self) -> Style {
        Style::named(self.style).unwrap_or_else(Style::netflix)
    }

    /// Opens the dialog.
    pub fn open(&mut self) {
        (self.open, self.told) = (true, None);
    }

    /// How the last export went.
    pub fn told(&self) -> Option<&Result<String, String>> {
        self.told.as_ref()
    }

    /// Forgets how the last export went.
    pub fn forget(&mut self) {
        self.told = None;
    }

    /// Draws the dialog where it is open. `said` gives what is written.
    pub fn dialog(&mut self, ctx: &Context, said: &dyn Fn() -> Said) {
        if let Some(path) = Picker::file(&mut self.picker, &mut self.folder, ctx) {
            self.told = Some(export(&path, said(), &self.style(), self.frame_rate));
        }
        if !self.open {
            return;
        }
        let (mut go, mut closed) = (false, false);
        let response = egui::Modal::new(egui::Id::unique("mynah export")).show(ctx, |ui| {
            ui.set_width(380.0);
            ui.label(RichText::new("Captions in a file").strong());
            self.choices(ui);
            ui.add_space(6.0);
            ui.horizontal(|ui| {
                go = ui.button("Choose a place").clicked();
                closed = ui.button("Cancel").clicked();
            });
        });
        if go {
            let name = format!("captions.{}", self.format.extension());
            self.picker = Some(Picker::new("Where the captions go", Purpose::Save, &self.folder, &name));
        }
        self.open = !(go || closed || response.should_close());
    }

    fn choices(&mut self, ui: &mut Ui) {
        ui.horizontal(|ui| {
            ui.label("Style");
            for name in Style::NAMES {
                let style = Style::named(name).unwrap_or_else(Style::netflix);
                let norms = format!(
                    "{} lines of {} characters, {:.1} to {:.0} s, {:.0} characters a second",
                    style.lines, style.line_characters, style.min_seconds, style.max_seconds, style.characters_a_second
                );
                ui.selectable_value(&mut self.style, name, style.title).on_hover_text(norms);
            }
        });
        ui.horizontal(|ui| {
            ui.label("Format");
            egui::ComboBox::from_id_salt("format").selected_text(format!(".{}", self.format.extension())).show_ui(
                ui,
                |ui| {
                    for format in Format::ALL {
                        ui.selectable_value(
                            &mut self.format,
                            format,
                            format!(".{}  {}", format.extension(), purpose(format)),
                        );
                    }
                },
            );
        });
        if self.format == Format::Itt {
            ui.horizontal(|ui| {
                ui.label("Frames a second");
                egui::ComboBox::from_id_salt("frame rate").selected_text(self.frame_rate.to_string()).show_ui(
                    ui,
                    |ui| {
                        for (name, rate) in FrameRate::all() {
                            ui.selectable_value(&mut self.frame_rate, rate, name);
                        }
                    },
                );
            });
        }
        ui.label(RichText::new(purpose(self.format)).small().color(palette(ui).muted));
    }
}

/// Writes the words as captions in the format that the file's ending names; they are the speaker's where one is named.
fn export(path: &Path, said: Said, style: &Style, frame_rate: FrameRate) -> Result<String, String> {
    let format = Format::from_path(path).map_err(|e| e.to_string())?;
    let Said { words, speaker, language } = said;
    let spoken = [Spoken { speaker: Some(speaker).filter(|name| !name.is_empty()), words }];
    let style = style.clone().spoken_in(Language::of_words(&language, &spoken[0].words));
    let cues = spoken_cues(&spoken, &style);
    let programme = Programme { spoken: &spoken, cues: &cues, frame_rate, language: &language };
    write_rendered(path, &render_programme(format, &programme)).map_err(|e| e.to_string())?;
    Ok(format!("{} words are in {}", spoken[0].words.len(), path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, start: f64) -> Word {
        Word { text: text.to_owned(), start, end: start + 0.3, confidence: 1.0 }
    }

    #[test]
    fn an_export_is_written_or_says_why_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let words = || vec![word("Good", 0.0), word("morning.", 0.4)];
        let said = |speaker: &str| Said { words: words(), speaker: speaker.to_owned(), language: "de".to_owned() };
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("the file");
        let style = Style::netflix();
        assert!(export(&folder.path().join("a.srt"), said(""), &style, FrameRate::F25).is_ok());
        assert!(read("a.srt").contains("Good morning."));
        assert!(
            export(&folder.path().join("a.docx"), said(""), &style, FrameRate::F25)
                .expect_err("no such format")
                .contains(".srt")
        );
        assert!(export(&folder.path().join("a.vtt"), said("Ada"), &style, FrameRate::F25).is_ok());
        assert!(read("a.vtt").contains("<v Ada>Good morning."), "{}", read("a.vtt"));
        assert!(export(&folder.path().join("a.ttml"), said(""), &style, FrameRate::F25).is_ok());
        assert!(read("a.ttml").contains("xml:lang=\"de\""), "{}", read("a.ttml"));
    }

    #[test]
    fn the_style_decides_where_lines_break() {
        let folder = tempfile::tempdir().expect("a folder");
        let words: Vec<Word> = (0..12).map(|i| word("syllable", 0.5 * f64::from(i))).collect();
        let longest = |style: &str| {
            let export_it =
                Export { style: Style::NAMES.iter().find(|n| **n == style).expect("a style"), ..Export::default() };
            let path = folder.path().join("a.srt");
            export(&path, Said { words: words.clone(), ..Said::default() }, &export_it.style(), FrameRate::F25)
                .expect("written");
            let text = std::fs::read_to_string(&path).expect("read");
            text.lines().filter(|l| l.contains("syllable")).map(str::len).max().unwrap_or(0)
        };
        assert!(longest("cea608") <= 32 && longest("netflix") > 32 && longest("netflix") <= 42);
    }
}
