//! A picker of files inside the window: it works in every host, also where no desktop offers a dialog. Knows only the
//! file system.

use std::path::{Path, PathBuf};

use egui::{Align, Context, Key, Layout, RichText, ScrollArea, TextEdit};

use super::theme::palette;

/// What a picker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A file that exists, with one of these endings.
    Open(&'static [&'static str]),
    /// A file to write.
    Save,
}

/// A picker that is open.
#[derive(Debug)]
pub struct Picker {
    title: &'static str,
    purpose: Purpose,
    folder: PathBuf,
    /// Folders, then files, by name.
    entries: Vec<(String, bool)>,
    /// What is typed: a file's name, or a path.
    typed: String,
    /// The field has had the keyboard's focus.
    focused: bool,
    problem: Option<String>,
}

/// What a frame of the picker brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Picked {
    /// Not yet.
    Open,
    /// It was given up.
    Cancelled,
    /// This file.
    File(PathBuf),
}

impl Picker {
    /// Draws the picker of a panel, where one is open: gives the file once one is chosen, closes it when it is done,
    /// remembers its folder.
    pub fn file(open: &mut Option<Picker>, folder: &mut PathBuf, ctx: &Context) -> Option<PathBuf> {
        let picker = open.as_mut()?;
        let picked = picker.show(ctx);
        *folder = picker.folder().to_owned();
        if picked != Picked::Open {
            *open = None;
        }
        match picked {
            Picked::File(path) => Some(path),
            _ => None,
        }
    }

    /// A picker that shows a folder; `typed` stands in its field.
    pub fn new(title: &'static str, purpose: Purpose, folder: &Path, typed: &str) -> Self {
        let mut picker = Self {
            title,
            purpose,
            folder: PathBuf::new(),
            entries: Vec::new(),
            typed: typed.to_owned(),
            focused: false,
            problem: None,
        };
        picker.enter(folder.to_owned());
        picker
    }

    /// The folder that is shown.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn enter(&mut self, folder: PathBuf) {
        self.problem = None;
        match std::fs::read_dir(&folder) {
            Ok(entries) => {
                self.entries = entries.flatten().filter_map(|e| self.entry(&e.path())).collect();
                self.entries.sort_by_key(|(name, is_folder)| (!is_folder, name.to_lowercase()));
                self.folder = folder;
            }
            Err(e) => {
                self.problem = Some(format!("the folder {} can't be read: {e}; choose another", folder.display()))
            }
        }
    }

    fn entry(&self, path: &Path) -> Option<(String, bool)> {
        let name = path.file_name()?.to_str()?.to_owned();
        let fits = match self.purpose {
            Purpose::Open(endings) => {
                path.extension().and_then(|e| e.to_str()).is_some_and(|e| endings.contains(&e.to_lowercase().as_str()))
            }
            Purpose::Save => true,
        };
        (!name.starts_with('.') && (path.is_dir() || fits)).then(|| (name, path.is_dir()))
    }

    /// Takes what is typed: a folder is entered, a file is picked.
    fn take(&mut self) -> Picked {
        let path = self.folder.join(self.typed.trim());
        if self.typed.trim().is_empty() {
            self.problem = Some("no file is named; click one or type its path".to_owned());
        } else if path.is_dir() {
            self.typed.clear();
            self.enter(path);
        } else if self.purpose != Purpose::Save && !path.is_file() {
            self.problem = Some(format!("there is no file {}; choose another", path.display()));
        } else {
            return Picked::File(path);
        }
        Picked::Open
    }

    /// Draws it over everything else.
    pub fn show(&mut self, ctx: &Context) -> Picked {
        let mut picked = Picked::Open;
        let response = egui::Modal::new(egui::Id::unique("mynah files")).show(ctx, |ui| {
            ui.set_width(460.0);
            ui.horizontal(|ui| {
                ui.label(RichText::new(self.title).strong());
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if ui.button("Up").clicked()
                        && let Some(parent) = self.folder.parent()
                    {
                        self.enter(parent.to_owned());
                    }
                });
            });
            ui.label(RichText::new(self.folder.display().to_string()).small().color(palette(ui).muted));
            let mut enter = None;
            ScrollArea::vertical()
                .id_salt("entries")
                .max_height(240.0)
                .min_scrolled_height(240.0)
                .auto_shrink(false)
                .show(ui, |ui| {
                    for (name, is_folder) in &self.entries {
                        let text = if *is_folder { format!("{name}/") } else { name.clone() };
                        let line = ui.selectable_label(self.typed == *name, text);
                        if line.clicked() && *is_folder {
                            enter = Some(self.folder.join(name));
                        } else if line.clicked() {
                            self.typed = name.clone();
                        }
                        if line.double_clicked() && !is_folder {
                            picked = Picked::File(self.folder.join(name));
                        }
                    }
                });
            if let Some(folder) = enter {
                self.enter(folder);
            }
            let field = ui.add(
                TextEdit::singleline(&mut self.typed).hint_text("A file's name or path").desired_width(f32::INFINITY),
            );
            if !std::mem::replace(&mut self.focused, true) {
                field.request_focus();
            }
            let entered = field.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
            if let Some(problem) = &self.problem {
                ui.label(RichText::new(problem).color(palette(ui).bad));
            }
            ui.horizontal(|ui| {
                let word = if self.purpose == Purpose::Save { "Save" } else { "Open" };
                if ui.button(word).clicked() || entered {
                    picked = self.take();
                }
                if ui.button("Cancel").clicked() {
                    picked = Picked::Cancelled;
                }
            });
        });
        if response.should_close() && picked == Picked::Open { Picked::Cancelled } else { picked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lists_what_fits_and_takes_what_is_typed() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("takes")).expect("a folder in it");
        for name in ["b.WAV", "a.flac", "notes.md", ".hidden.wav"] {
            std::fs::write(folder.path().join(name), []).expect("a file");
        }
        let mut picker = Picker::new("", Purpose::Open(&["wav", "flac"]), folder.path(), "");
        let names: Vec<_> = picker.entries.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["takes", "a.flac", "b.WAV"]);
        assert_eq!(picker.take(), Picked::Open);
        picker.typed = "c.wav".to_owned();
        assert_eq!(picker.take(), Picked::Open);
        assert!(picker.problem.as_ref().is_some_and(|p| p.contains("c.wav")));
        picker.typed = "a.flac".to_owned();
        assert_eq!(picker.take(), Picked::File(folder.path().join("a.flac")));
        picker.typed = "takes".to_owned();
        assert_eq!((picker.take(), picker.folder()), (Picked::Open, folder.path().join("takes").as_path()));
        let mut save = Picker::new("", Purpose::Save, folder.path(), "words.srt");
        assert_eq!(save.take(), Picked::File(folder.path().join("words.srt")));
    }
}
