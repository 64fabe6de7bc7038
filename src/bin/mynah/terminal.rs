//! What all subcommands share toward the person: failures, printing, progress bars, Ctrl-C. Knows no engine.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Why a subcommand ended early: one sentence that says what to do.
#[derive(Debug)]
pub enum Failure {
    /// The person asked for something that makes no sense: exit status 2.
    Usage(String),
    /// All else: exit status 1.
    Other(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(e: E) -> Self {
        Failure::Other(one_sentence(&e.to_string()))
    }
}

/// Messages of other programs may run over several lines; a person reads one.
fn one_sentence(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a subcommand comes to.
pub type Outcome = Result<(), Failure>;

/// Held while files are put in place: Ctrl-C waits for it, so that nothing half-made stays.
static WRITING: Mutex<()> = Mutex::new(());

/// Whether Ctrl-C is the way in which this command is meant to end, and whether it was pressed.
static GENTLE: AtomicBool = AtomicBool::new(false);
static STOP: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C only sets what is given back, and the command ends by itself; a second one ends it at
/// once.
pub fn stop_gently() -> &'static AtomicBool {
    GENTLE.store(true, Ordering::Relaxed);
    &STOP
}

/// From now on Ctrl-C ends the program at once, or as soon as the file that is being written is whole. Exit status 1.
pub fn watch_interrupts() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if GENTLE.load(Ordering::Relaxed) && !STOP.swap(true, Ordering::Relaxed) {
            return;
        }
        let _whole = writing();
        super::outputs::forget_unfinished();
        eprintln!("mynah: stopped");
        leave(1);
    })
}

/// Ends the program at once: the destructors that an ordinary exit runs would take ONNX Runtime away from a worker that
/// is inside it.
#[cfg(unix)]
pub fn leave(status: i32) -> ! {
    // SAFETY: nothing that is left behind needs an orderly end: files are put in place as a whole, and what was printed
    // has left the program.
    unsafe { libc::_exit(status) }
}

#[cfg(not(unix))]
pub fn leave(status: i32) -> ! {
    std::process::exit(status)
}

/// Keeps Ctrl-C waiting until the guard is dropped.
pub fn writing() -> MutexGuard<'static, ()> {
    WRITING.lock().unwrap_or_else(|e| e.into_inner())
}

/// Prints a line to stdout; see [`say_text`].
pub fn say(line: &str) -> Outcome {
    say_text(&format!("{line}\n"))
}

/// Prints whole lines to stdout. A reader that has gone (`| head`) ends the program quietly, as other programs do.
pub fn say_text(lines: &str) -> Outcome {
    printed(print(lines))
}

/// The same without an end of the program: for where something else is to be done first. [`printed`] makes an outcome
/// of it.
pub fn print(lines: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    write!(out, "{lines}").and_then(|()| out.flush())
}

/// Whether printing failed because the reader has gone.
pub fn is_gone(e: &std::io::Error) -> bool {
    e.kind() == std::io::ErrorKind::BrokenPipe
}

/// What printing comes to: a reader that has gone ends the program quietly.
pub fn printed(outcome: std::io::Result<()>) -> Outcome {
    match outcome {
        Ok(()) => Ok(()),
        Err(e) if is_gone(&e) => leave(0),
        Err(e) => Err(Failure::Other(format!("the result could not be printed: {e}; check where stdout leads"))),
    }
}

/// Prints a value as JSON.
pub fn say_json(value: &impl serde::Serialize) -> Outcome {
    say(&serde_json::to_string_pretty(value)?)
}

/// A bar over so many steps, on stderr; invisible unless that is a terminal.
pub fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(length) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A bar over seconds of sound, in hundredths.
pub fn sound_bar(what: &str, seconds: f64) -> ProgressBar {
    let bar = bar((seconds * 100.0) as u64, "{msg} {wide_bar} {percent}% {eta}");
    bar.set_message(what.to_owned());
    bar
}
