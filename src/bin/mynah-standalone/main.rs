//! Mynah without a DAW: a microphone goes through the engine into a virtual microphone that OBS, Discord and the like
//! can choose, with the plugin's own window.
//!
//! This file takes the arguments apart; `live` is a run. Exit status 0, 2 for a usage error, 1 for the rest.

mod arguments;
mod denoise;
mod devices;
mod feedback;
mod follow;
mod keys;
mod live;
mod pump;
mod session;
mod settings;
mod streams;
mod trouble;
#[cfg(target_os = "linux")]
mod virtual_mic;
mod window;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use arguments::Arguments;
use clap::{CommandFactory, Parser};
use devices::{Found, Way};
use settings::Settings;
use trouble::Trouble;

fn main() -> ExitCode {
    // nice-plug's shell has a command line of its own.
    if std::env::args().any(|a| a == "--backend" || a.starts_with("--backend=")) {
        mynah::plugin::log_to_stderr();
        let ended = nice_plug::prelude::nice_export_standalone::<mynah::plugin::Mynah>();
        return if ended { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let arguments = Arguments::parse();
    #[cfg(target_os = "linux")]
    virtual_mic::lend_cookie();
    let outcome = match &arguments {
        a if a.list => list(a.json),
        a if a.forget => forget(),
        Arguments { man: Some(folder), .. } => man(folder),
        a => live::run(a),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("mynah: {why}");
            ExitCode::FAILURE
        }
    }
}

fn list(json: bool) -> Result<(), Trouble> {
    let host = cpal::default_host();
    let (inputs, outputs) = (devices::all(&host, Way::Input)?, devices::all(&host, Way::Output)?);
    if json {
        let shown = |found: &[Found]| {
            serde_json::to_value(found.iter().map(Found::shown).collect::<Vec<_>>()).unwrap_or_default()
        };
        return print(&format!("{:#}\n", serde_json::json!({ "inputs": shown(&inputs), "outputs": shown(&outputs) })));
    }
    let mut text = String::new();
    for (title, found) in [("Microphones (--input)", &inputs), ("Headphones (--output)", &outputs)] {
        text += &format!("{title}\n");
        for one in found {
            text += &format!("  {}{}\n", one.name, if one.standard { " (standard)" } else { "" });
        }
        if found.is_empty() {
            text += "  none; plug one in, or start the sound server\n";
        }
    }
    print(&text)
}

fn man(folder: &Path) -> Result<(), Trouble> {
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Arguments::command(), folder));
    written.map_err(|e| {
        Trouble(format!("the page can't be written to `{}`: {e}; choose another folder", folder.display()))
    })
}

fn forget() -> Result<(), Trouble> {
    let Some(file) = Settings::file() else { return Ok(()) };
    let line = if Settings::forget(&file)? { "what was remembered is dropped\n" } else { "nothing was remembered\n" };
    print(line)
}

/// A reader that has gone is no trouble.
fn print(text: &str) -> Result<(), Trouble> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Trouble(format!("the list could not be printed: {e}")))
        }
        _ => Ok(()),
    }
}
