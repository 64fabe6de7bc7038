//! How `mynah serve` is doing, on stderr: a line for each change that matters, and on a terminal one more below them
//! that changes in place. Knows no engine.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use mynah::outlets::{OverlayStatus, Status};

/// See the top of the file.
pub struct Board {
    /// None where stderr is no terminal.
    bar: Option<ProgressBar>,
    /// What was told last of the overlay and of OBS.
    told: [String; 2],
}

impl Board {
    /// A board with nothing on it.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, told: Default::default() }
    }

    /// Shows what is being done and how the outlets are.
    pub fn show(&mut self, doing: &str, status: &Status) {
        let open = status.overlay.as_ref().filter(|o| **o != OverlayStatus::Opening);
        // How many look, and how many words were lost, is no news for a log.
        self.tell([open.map(OverlayStatus::sentence), status.obs.as_ref().map(|o| o.link.sentence())]);
        if let Some(bar) = &self.bar {
            let readers = open.and_then(OverlayStatus::readers);
            let lost = status.obs.as_ref().and_then(|o| o.lost());
            bar.set_message(
                [Some(doing.to_owned()), lost, readers].into_iter().flatten().collect::<Vec<_>>().join(" · "),
            );
            bar.tick();
        }
    }

    fn tell(&mut self, news: [Option<String>; 2]) {
        for (told, new) in self.told.iter_mut().zip(news) {
            let Some(new) = new.filter(|new| new != told) else { continue };
            let line = format!("mynah: {new}");
            match &self.bar {
                Some(bar) => bar.println(line),
                None => eprintln!("{line}"),
            }
            *told = new;
        }
    }

    /// Takes the line that changes away.
    pub fn end(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
