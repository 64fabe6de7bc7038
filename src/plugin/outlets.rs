//! The outlets of one instance: they run while the track is captioned and the user's settings ask for any. The settings
//! belong to the user, not to the project, because they hold a password; so a project never carries it. Not for the
//! audio thread.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use crate::outlets::{Outlets, Settings, Status, Wire};
use crate::subtitles::cues::Style;

/// See the top of the file.
#[derive(Debug, Default)]
pub struct InstanceOutlets {
    wire: Wire,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where the settings are kept; none before they were read, or without a home.
    file: Option<PathBuf>,
    /// None before they were read.
    settings: Option<Settings>,
    problem: Option<String>,
    running: Option<Outlets>,
    /// The outlets could not be started: not tried again before the settings change.
    gave_up: bool,
}

impl State {
    fn settings(&mut self) -> &mut Settings {
        if self.settings.is_none() {
            self.file = Settings::file();
            let (settings, problem) = match self.file.as_deref().map(Settings::load) {
                Some(Ok(settings)) => (settings, None),
                Some(Err(e)) => (Settings::default(), Some(e.to_string())),
                None => (Settings::default(), None),
            };
            (self.settings, self.problem) = (Some(settings), problem);
        }
        self.settings.get_or_insert_default()
    }
}

impl InstanceOutlets {
    /// Where the engine puts the words.
    pub fn wire(&self) -> Wire {
        self.wire.clone()
    }

    /// Starts or ends the outlets as the settings say; `captioned` tells whether there are words. Called over and over.
    pub fn keep(&self, captioned: bool) {
        let mut state = self.state();
        let settings = state.settings().clone();
        let wanted = captioned && (settings.overlay.on || settings.obs.on);
        if wanted && state.running.is_none() && !state.gave_up {
            match Outlets::start(self.wire.clone(), settings, Style::live()) {
                Ok(outlets) => state.running = Some(outlets),
                Err(e) => (state.problem, state.gave_up) = (Some(e.to_string()), true),
            }
        } else if !wanted {
            let ended = state.running.take();
            // Their good-bye takes a moment, for which no window shall wait.
            drop(state);
            drop(ended);
        }
    }

    /// What the user has chosen.
    pub fn settings(&self) -> Settings {
        self.state().settings().clone()
    }

    /// Takes other settings, and keeps them for all instances to come.
    pub fn choose(&self, settings: Settings) {
        let mut state = self.state();
        if *state.settings() == settings {
            return;
        }
        state.problem = state.file.as_deref().and_then(|file| settings.save(file).err()).map(|e| e.to_string());
        if let Some(outlets) = &state.running {
            outlets.set(settings.clone());
        }
        (state.settings, state.gave_up) = (Some(settings), false);
    }

    /// How the outlets are doing, and a sentence where their settings could not be read or kept.
    pub fn status(&self) -> (Status, Option<String>) {
        let state = self.state();
        (state.running.as_ref().map(Outlets::status).unwrap_or_default(), state.problem.clone())
    }

    /// Ends the outlets: for the last moment of the plugin.
    pub fn end(&self) {
        let ended = self.state().running.take();
        drop(ended);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outlets::OverlayStatus;
    use std::time::{Duration, Instant};

    #[test]
    fn they_run_while_the_track_is_captioned_and_settings_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("outlets.json");
        let outlets = InstanceOutlets::default();
        *outlets.state() = State { file: Some(file.clone()), settings: Some(Settings::default()), ..State::default() };
        outlets.keep(true);
        assert_eq!(outlets.status(), (Status::default(), None), "nothing was asked for");
        let mut settings = Settings::default();
        (settings.overlay.on, settings.overlay.port) = (true, 0);
        outlets.choose(settings.clone());
        assert_eq!(Settings::load(&file).expect("kept"), settings);
        outlets.keep(false);
        assert_eq!(outlets.status().0.overlay, None, "there are no words");
        outlets.keep(true);
        let start = Instant::now();
        while !matches!(outlets.status().0.overlay, Some(OverlayStatus::Open { .. })) {
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", outlets.status());
            std::thread::sleep(Duration::from_millis(5));
        }
        outlets.keep(false);
        assert_eq!(outlets.status().0.overlay, None);
        outlets.keep(true);
        outlets.end();
    }
}
