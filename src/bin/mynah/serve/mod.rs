//! `mynah serve`: the caption overlay and the link to OBS, without a plugin: a microphone, or a recording at its own
//! pace, goes through the engine, and the words go to the outlets.

mod board;
mod input;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Args;
use mynah::clock::Mode;
use mynah::engine::{Engine, PackSource, Picks, Setup};
use mynah::outlets::{
    Cursor, OBS_ADDRESS, OVERLAY_PORT, Outlets, OverlayStatus, Password, Settings, Status, Wire, jsonl,
};
use mynah::recognition::AUTO;
use mynah::runtime::Provider;
use mynah::subtitles::cues::Style;
use mynah::subtitles::language::Language;
use mynah::typed::text_of;

use super::caption::StyleName;
use super::given;
use super::terminal::{Failure, Outcome, say_text, stop_gently};
use board::Board;
use input::{BLOCK, Input, Running};

/// The password of OBS, for those who don't want a file.
const PASSWORD: &str = "MYNAH_OBS_PASSWORD";
/// How often words and states are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long loading the recogniser may take.
const LOADING: Duration = Duration::from_secs(120);
/// How long the last words may take, and how long they are then shown.
const LAST_WORDS: Duration = Duration::from_secs(10);
const LINGER: Duration = Duration::from_secs(2);

/// What `serve` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A sound input by its name or a part of it, or a recording that is played at its own pace; without it the
    /// system's standard input
    #[arg(long, value_name = "DEVICE|FILE")]
    input: Option<String>,
    /// List the sound inputs of this machine and end
    #[arg(long)]
    list: bool,
    /// The port of the overlay's page; the next free one where it is taken
    #[arg(long, value_name = "PORT", default_value_t = OVERLAY_PORT)]
    overlay: u16,
    /// Serve no overlay
    #[arg(long)]
    no_overlay: bool,
    /// Show the words in OBS, over its WebSocket server
    #[arg(long, value_name = "HOST:PORT", num_args = 0..=1, default_missing_value = OBS_ADDRESS)]
    obs: Option<String>,
    /// The text source of OBS that shows the words
    #[arg(long, value_name = "NAME", requires = "obs")]
    obs_source: Option<String>,
    /// Send the words as captions of the stream, which viewers can switch on
    #[arg(long, requires = "obs")]
    obs_captions: bool,
    /// A file that holds OBS's password; else the environment's MYNAH_OBS_PASSWORD is taken
    #[arg(long, value_name = "FILE", requires = "obs", value_parser = given::path())]
    obs_password_file: Option<PathBuf>,
    /// How the rows of OBS's text source are cut
    #[arg(long, value_enum, default_value_t = StyleName::Live)]
    style: StyleName,
    /// Print partial and final words as they come, one JSON object a line
    #[arg(long)]
    jsonl: bool,
    /// The language that is spoken, by its code, such as `de`; `auto` hears it, where the model knows several
    #[arg(long, value_name = "CODE", default_value = AUTO)]
    language: String,
}

/// What the outlets shall do.
fn settings(a: &Arguments) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    (settings.overlay.on, settings.overlay.port) = (!a.no_overlay, a.overlay);
    if let Some(address) = &a.obs {
        if a.obs_source.is_none() && !a.obs_captions {
            return Err(Failure::Usage(
                "--obs needs to know where the words go; add --obs-source NAME, --obs-captions or both".to_owned(),
            ));
        }
        let password = match &a.obs_password_file {
            Some(file) => text_of(file).map_err(|why| {
                Failure::Other(format!("the password file `{}` can't be read: {why}; check the path", file.display()))
            })?,
            None => std::env::var(PASSWORD).unwrap_or_default(),
        };
        settings.obs.on = true;
        settings.obs.address.clone_from(address);
        settings.obs.password = Password(password.trim_end_matches(['\r', '\n']).to_owned());
        settings.obs.source = a.obs_source.clone().unwrap_or_default();
        settings.obs.captions = a.obs_captions;
    }
    if a.no_overlay && a.obs.is_none() && !a.jsonl {
        return Err(Failure::Usage(
            "nothing would be served; leave out --no-overlay, or add --obs or --jsonl".to_owned(),
        ));
    }
    Ok(settings)
}

/// Runs it.
pub fn run(a: &Arguments) -> Outcome {
    if a.list {
        return input::list();
    }
    let settings = settings(a)?;
    let input = Input::find(a.input.as_deref())?;
    let stop = stop_gently();
    let wire = Wire::default();
    let setup = Setup {
        host_rate: input.rate(),
        max_block: BLOCK,
        channels: 1,
        mode: Mode::Live,
        provider: Provider::Cpu,
        voice: None,
        captions: true,
    };
    let picks = Picks { language: Some(a.language.clone()).filter(|code| code != AUTO), ..Picks::default() };
    let (engine, port) = Engine::start_on(setup, Arc::new(PackSource::standard().with(&picks)), wire.clone())?;
    let spoken = Language::of(if a.language == AUTO { "" } else { &a.language });
    let outlets = Outlets::start(wire.clone(), settings, Style::from(a.style).spoken_in(spoken))?;
    let mut board = Board::new();
    let mut words = a.jsonl.then(|| wire.from_now());
    let name = input.name();
    let loading = Instant::now();
    while !engine.status().captions_ready {
        let status = outlets.status();
        served(&engine, &status)?;
        board.show("the recogniser is being loaded", &status);
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if loading.elapsed() > LOADING {
            return Err(Failure::Other(format!(
                "the recogniser was not ready after {} s; run `mynah doctor`",
                LOADING.as_secs()
            )));
        }
        std::thread::sleep(LOOK);
    }
    let running = input.start(port)?;
    while !stop.load(Ordering::Relaxed) && !running.done() {
        let status = outlets.status();
        served(&engine, &status)?;
        if let Some(why) = running.problem() {
            return Err(Failure::Other(why));
        }
        let behind = engine.status().captions_behind;
        let late = if behind > 3.0 { format!(", {behind:.0} s behind") } else { String::new() };
        board.show(&format!("listening to {name}{late}"), &status);
        print_words(&wire, words.as_mut())?;
        std::thread::sleep(LOOK);
    }
    finish(&engine, &running, &mut || print_words(&wire, words.as_mut()))?;
    if running.done() && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LINGER);
    }
    board.end();
    drop(outlets);
    Ok(())
}

/// Lets the recogniser come to the end of what it has heard.
fn finish(engine: &Engine, running: &Running, print: &mut dyn FnMut() -> Outcome) -> Outcome {
    running.end();
    let until = Instant::now() + LAST_WORDS;
    while engine.captions_ended() == 0 && engine.status().caption_problem.is_none() && Instant::now() < until {
        std::thread::sleep(LOOK);
        print()?;
    }
    print()?;
    match engine.status().caption_problem {
        Some(why) => Err(Failure::Other(why)),
        None if engine.captions_ended() == 0 => {
            let why = format!(
                "the last words were not ready after {} s; close other programs, or run `mynah doctor`",
                LAST_WORDS.as_secs()
            );
            Err(Failure::Other(why))
        }
        None => Ok(()),
    }
}

/// What can't go on: captions without a recogniser, an overlay without a port.
fn served(engine: &Engine, status: &Status) -> Outcome {
    if let Some(why) = engine.status().caption_problem {
        return Err(Failure::Other(why));
    }
    match &status.overlay {
        Some(OverlayStatus::Failed(why)) => Err(Failure::Other(why.clone())),
        _ => Ok(()),
    }
}

fn print_words(wire: &Wire, cursor: Option<&mut Cursor>) -> Outcome {
    match cursor.map(|c| jsonl::lines(&wire.read(c))) {
        Some(lines) if !lines.is_empty() => say_text(&lines),
        _ => Ok(()),
    }
}
