//! `mynah serve` as a script and a browser see it: a recording at its own pace, words on stdout and over HTTP, Ctrl-C,
//! sentences. With the packs of this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use mynah::audio::{read, write_wav};
use mynah::packs::{Kind, Store};
use serde_json::Value;

/// Seconds of the clip, and what is said in it.
const SECONDS: f64 = 5.0;
const SAID: &str = "It was the best of times. It was the worst of times.";

/// The beginning of a recording of the fetched pack.
fn clip(folder: &Path) -> PathBuf {
    let pack = Store::standard().find(Kind::Recordings, None);
    let file =
        pack.and_then(|p| p.file("two_cities.wav")).unwrap_or_else(|e| panic!("{e}; `cargo xtask setup` fetches it"));
    let mut sound = read(&file).expect("a recording");
    let frames = (SECONDS * f64::from(sound.rate)) as usize;
    sound.channels.iter_mut().for_each(|c| c.truncate(frames));
    let path = folder.join("clip.wav");
    write_wav(&path, &sound).expect("written");
    path
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mynah"));
    command.arg("serve").args(arguments).env_remove("MYNAH_OBS_PASSWORD").stdin(Stdio::null());
    command
}

fn started(arguments: &[&str], input: &Path) -> Child {
    let mut command = command(arguments);
    command.arg("--input").arg(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("MYNAH_OBS_PASSWORD", "not to be told").spawn().expect("the program runs")
}

/// A program that must not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn text_of(line: &Value) -> Vec<String> {
    line["words"].as_array().expect("words").iter().map(|w| w["text"].as_str().expect("text").to_owned()).collect()
}

/// Final words of lines, whose numbers must count them.
fn finals(lines: &[Value]) -> String {
    let mut words = Vec::new();
    for line in lines.iter().filter(|l| l["kind"] == "final") {
        words.extend(text_of(line));
        assert_eq!(line["id"].as_u64(), Some(words.len() as u64), "{line}");
    }
    words.join(" ")
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
}

#[test]
fn a_recording_is_captioned_at_its_own_pace_on_stdout_and_over_http() {
    let home = tempfile::tempdir().expect("a folder");
    let began = Instant::now();
    let mut serve = Running(started(&["--jsonl", "--overlay", "0"], &clip(home.path())));
    let stdout = BufReader::new(serve.0.stdout.take().expect("its stdout"));
    let printed = std::thread::spawn(move || stdout.lines().map(|l| json(&l.expect("UTF-8"))).collect::<Vec<_>>());
    let mut told = String::new();
    let mut stderr = BufReader::new(serve.0.stderr.take().expect("its stderr"));
    stderr.read_line(&mut told).expect("UTF-8");
    let port = told.trim().strip_prefix("mynah: the overlay is at http://127.0.0.1:").and_then(|r| r.strip_suffix('/'));
    let port: u16 = port.and_then(|p| p.parse().ok()).unwrap_or_else(|| panic!("no address in: {told}"));

    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("the overlay answers");
    socket.write_all(b"GET /words.jsonl?since=0 HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("asked");
    // It ends with the program.
    let served: Vec<Value> = BufReader::new(socket)
        .lines()
        .map_while(Result::ok)
        .skip_while(|l| !l.starts_with('{'))
        .map(|l| json(&l))
        .collect();
    let ended = serve.0.wait().expect("an end");
    let took = began.elapsed().as_secs_f64();
    let printed = printed.join().expect("the lines");

    assert!(ended.success(), "{ended}");
    assert!(took >= SECONDS, "{SECONDS} s were played in {took:.1} s");
    assert_eq!(finals(&printed), SAID);
    assert_eq!(finals(&served), SAID);
    let kinds: Vec<_> = printed.iter().map(|l| l["kind"].as_str().expect("a kind")).collect();
    let first = |kind| kinds.iter().position(|k| *k == kind).expect(kind);
    assert!(first("partial") < first("final"), "{kinds:?}");
    assert!(kinds.iter().filter(|k| **k == "final").count() > 1, "all words came at once: {kinds:?}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_cleanly_with_the_last_words_and_says_how_obs_is() {
    let home = tempfile::tempdir().expect("a folder");
    let arguments = ["--jsonl", "--no-overlay", "--obs", "127.0.0.1:1", "--obs-source", "Captions"];
    let mut serve = Running(started(&arguments, &clip(home.path())));
    let mut lines =
        BufReader::new(serve.0.stdout.take().expect("its stdout")).lines().map(|l| json(&l.expect("UTF-8")));
    let mut printed: Vec<Value> = Vec::new();
    while printed.last().is_none_or(|l| l["kind"] != "partial" || text_of(l).len() < 2) {
        printed.push(lines.next().expect("words before the end"));
    }
    // SAFETY: a signal to a process that this test started and has not waited for; it can't touch this process's
    // memory.
    unsafe { libc::kill(serve.0.id() as i32, libc::SIGINT) };
    printed.extend(lines);
    assert!(serve.0.wait().expect("an end").success());
    assert!(finals(&printed).starts_with("It was"), "{printed:?}");
    assert!(finals(&printed).len() < SAID.len(), "it did not stop: {printed:?}");
    assert_eq!(text_of(printed.last().expect("lines")).len(), 0, "words are left open: {printed:?}");
    let told: Vec<_> =
        BufReader::new(serve.0.stderr.take().expect("its stderr")).lines().map_while(Result::ok).collect();
    assert!(told.iter().any(|l| l.starts_with("mynah: OBS does not answer at 127.0.0.1:1")), "{told:?}");
    assert!(!told.concat().contains("not to be told"), "{told:?}");
}

#[test]
fn what_can_not_be_served_is_one_sentence() {
    let home = tempfile::tempdir().expect("a folder");
    let wav = clip(home.path());
    let wav = wav.to_str().expect("UTF-8");
    std::fs::write(home.path().join("note.wav"), "no sound").expect("written");
    let note = home.path().join("note.wav");
    let told = |arguments: &[&str], code: i32, words: &str| {
        let Output { status, stderr, .. } = command(arguments).output().expect("the program runs");
        let said = String::from_utf8(stderr).expect("UTF-8");
        assert_eq!(status.code(), Some(code), "{said}");
        // A system without a sound card has more to say, on lines of its own.
        let ours: Vec<_> = said.lines().filter(|l| l.starts_with("mynah: ")).collect();
        assert!(ours.len() == 1 && ours[0].contains(words), "{said}");
    };
    told(&["--input", "no such thing"], 1, "mynah serve --list");
    told(&["--input", note.to_str().expect("UTF-8")], 1, "note.wav");
    told(&["--input", wav, "--obs"], 2, "--obs-source");
    told(&["--input", wav, "--obs", "--obs-source", "x", "--obs-password-file", "nowhere"], 1, "`nowhere`");
    told(&["--input", wav, "--no-overlay"], 2, "--jsonl");
}
