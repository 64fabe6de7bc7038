//! The log for the day it happens: a small file in the user's folder with what Mynah did and met, no sound and no
//! words. Knows no plugin and no engine.
//!
//! `logs/mynah.log` in the data folder; at [`MOST`] it becomes `mynah.1.log`, in place of the one before. All programs
//! and hosts of a user write to the same file, each line at once. Not for the audio thread: its panics wait until
//! another thread comes by ([`flush`]).

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Mutex, Once};
use std::time::Duration;

use time::OffsetDateTime;

use mynah_models::packs::user_folder;

/// Bytes at which another file begins.
pub const MOST: u64 = 256 << 10;
/// Lines that wait for a thread that may write.
const WAITING: usize = 64;
/// Frames of a panic's backtrace that are kept, as text.
const TRACE: usize = 6_000;

static WAIT: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Where the log lies; none where this machine tells no home.
pub fn file() -> Option<PathBuf> {
    user_folder().map(|home| home.join("logs").join("mynah.log"))
}

/// Writes a line, with the time and the process. A log that can't be written is done without: nobody could be told.
pub fn note(text: &str) {
    hold(text);
    flush();
}

/// The same on a thread of its own, which is waited for no longer than `patience`, for a caller that must not hang with
/// the disk. The module must be pinned.
pub fn note_within(text: &str, patience: Duration) {
    hold(text);
    let (done, written) = channel();
    let write = move || {
        flush();
        // Whoever waited may have gone.
        let _ = done.send(());
    };
    if std::thread::Builder::new().name("mynah-log".to_owned()).spawn(write).is_ok() {
        let _ = written.recv_timeout(patience);
    }
}

/// Has a line written by the next thread that comes by: for a thread that may not wait for a disk.
pub fn later(text: &str) {
    hold(text);
}

fn hold(text: &str) {
    let mut waiting = WAIT.lock().unwrap_or_else(|e| e.into_inner());
    if waiting.len() == WAITING {
        waiting.pop_front();
    }
    waiting.push_back(stamped(text));
}

/// Writes what waits.
pub fn flush() {
    let lines: String = WAIT.lock().unwrap_or_else(|e| e.into_inner()).drain(..).collect();
    if let (false, Some(path)) = (lines.is_empty(), file()) {
        let _ = append(&path, &lines);
    }
}

fn stamped(text: &str) -> String {
    let t = OffsetDateTime::now_utc();
    let (year, month, day) = t.to_calendar_date();
    let mut line = format!(
        "{year}-{:02}-{day:02}T{:02}:{:02}:{:02}Z {} ",
        u8::from(month),
        t.hour(),
        t.minute(),
        t.second(),
        std::process::id()
    );
    // One entry a line; what follows is set in.
    let _ = writeln!(line, "{}", text.trim_end().replace('\n', "\n    "));
    line
}

fn append(path: &Path, lines: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if std::fs::metadata(path).is_ok_and(|m| m.len() + lines.len() as u64 > MOST) {
        std::fs::rename(path, path.with_extension("1.log"))?;
    }
    OpenOptions::new().create(true).append(true).open(path)?.write_all(lines.as_bytes())
}

/// The last `lines` lines of the log, oldest first.
pub fn tail(path: &Path, lines: usize) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    Ok(all[all.len().saturating_sub(lines)..].join("\n"))
}

/// From now on the log tells of every panic, with its place and backtrace, beside what told of it before. A plugin's
/// library has a standard library of its own, so the hook ends with it and meets no panic of the host's.
pub fn tell_of_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let trace = std::backtrace::Backtrace::force_capture().to_string();
            let cut = trace.char_indices().nth(TRACE).map_or(trace.len(), |(at, _)| at);
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("a host's thread");
            hold(&format!("panic on {name}: {panic}\n{}", &trace[..cut]));
            // A host's thread may be the audio thread, which waits for no disk.
            if name.starts_with("mynah") || name == "main" {
                flush();
            }
            before(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_came_last() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deeper").join("mynah.log");
        let mut written = 0;
        while written < 5 * MOST / 2 {
            let line = stamped(&format!("line {written}\nand its second line"));
            append(&path, &line).expect("written");
            written += line.len() as u64;
        }
        let sizes: Vec<u64> = [path.clone(), path.with_extension("1.log")]
            .iter()
            .map(|p| std::fs::metadata(p).expect("both").len())
            .collect();
        assert!(sizes.iter().all(|s| *s <= MOST) && sizes[1] > MOST / 2, "{sizes:?}");
        assert_eq!(std::fs::read_dir(path.parent().expect("a folder")).expect("listed").count(), 2);
        let last = tail(&path, 2).expect("read");
        assert_eq!(last.lines().count(), 2);
        assert!(
            last.lines().next().is_some_and(|l| l.starts_with("20") && l.contains("Z ") && l.contains("line ")),
            "{last}"
        );
        assert!(last.ends_with("    and its second line"), "{last}");
    }

    #[test]
    fn it_waits_no_longer_than_it_has_room_for() {
        for n in 0..2 * WAITING {
            hold(&format!("{n}"));
        }
        let mut waiting = WAIT.lock().expect("nobody broke down");
        assert!(
            waiting.len() <= WAITING
                && waiting.back().is_some_and(|l| l.trim_end().ends_with(&(2 * WAITING - 1).to_string()))
        );
        waiting.clear();
    }
}
