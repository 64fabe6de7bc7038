//! Hosts that end in the middle of something: they call `exit`, or end the instance and unload the library, while
//! models are loaded and run, while a pack is fetched, while a disk hangs, with the window open, with the real packs. A
//! program of its own for each, which must end without a signal and in time. Linux and macOS.
#![cfg(unix)]

#[path = "../common/library.rs"]
mod library;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../common/program.rs"]
mod program;
mod world;

use std::ffi::{CString, c_char};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use clap_host::ClapHost;
use library::library;
use mynah::clock::Mode;
use mynah::engine::testing::any_voice;
use mynah::plugin::state::{Container, Settings, with_voice};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use world::{Display, HungDisk, Line, SlowHub, left_behind};

/// How many endings of each kind the suite sees, and one of so many where each waits for ten seconds;
/// `MYNAH_ENDINGS=100` is more than a thousand in all.
const ENDINGS: u64 = 8;
const SLOW: u64 = 8;
const ENDING: &str = "MYNAH_ENDING";
/// Unloading waits ten seconds for a thread that hangs, and half of one for the log.
const UNLOADED: Duration = Duration::from_secs(14);
/// Speech, for a model that listens.
const SPEECH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/reference.flac");

fn settings(random: &mut StdRng) -> Settings {
    Settings { mode: Mode::ALL[random.random_range(0..3)], captions: random.random_bool(0.5), ..Settings::default() }
}

fn opened(settings: &Settings, offline: bool) -> ClapHost {
    let mut host = ClapHost::open(&library()).expect("an instance");
    host.load(&with_voice(Some(&any_voice("Ada")), settings, Container::Clap)).expect("a state");
    host.render_offline(offline).expect("a way to render");
    host.activate(48_000, 256).expect("an activation");
    host
}

/// Plays for a while, with another voice now and then.
fn play(hosts: &mut [ClapHost], random: &mut StdRng, most: u64) {
    let until = Instant::now() + Duration::from_millis(random.random_range(0..most));
    let mut at = 0u32;
    while Instant::now() < until {
        for host in &mut *hosts {
            let sound: Vec<f32> = (at..at + 256).map(|i| 0.4 * ((i as f32 * 120.0 / 48_000.0).fract() - 0.5)).collect();
            host.process(&mut [sound.clone(), sound]).expect("a block");
        }
        at += 256;
        if random.random_bool(0.05) {
            let settings = settings(random);
            hosts[0].load(&with_voice(Some(&any_voice("Grace")), &settings, Container::Clap)).expect("a state");
        }
    }
}

/// What a person would click, in all instances.
fn demand(what: &str) {
    let what = CString::new(what).expect("no 0 in it");
    // SAFETY: the library is loaded already; a debug build exports this function with this signature, and the string
    // lives.
    let could = unsafe {
        let library = libloading::Library::new(library()).expect("the library");
        let begin: libloading::Symbol<unsafe extern "C" fn(*const c_char) -> bool> =
            library.get(b"mynah_demand\0").expect("a debug build");
        begin(what.as_ptr())
    };
    assert!(could, "{what:?} could not be begun");
}

/// Renders speech, so that the keeper has words to write, and waits until it does.
fn speak(host: &mut ClapHost) {
    let sound = mynah::audio::read(SPEECH.as_ref()).expect("speech");
    let sound = mynah::dsp::resample::resample_all(&sound.mono(), sound.rate, 48_000);
    for block in sound.chunks_exact(256).take(4 * 48_000 / 256) {
        host.process(&mut [block.to_vec(), block.to_vec()]).expect("a block");
    }
    #[cfg(target_os = "linux")]
    world::until_it_hangs("mynah-keeper");
}

/// On the main thread, as hosts exit: before the tests' own `main`, which would give each test another thread.
#[used]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    if std::env::var_os(ENDING).is_some() {
        // A panic has been told by then.
        let ended = std::panic::catch_unwind(ending);
        std::process::exit(if ended.is_ok() { 0 } else { 101 });
    }
}

/// The program that ends: some instances in the midst of what it is told to do.
fn ending() {
    let Ok(ending) = std::env::var(ENDING) else { return };
    let [how, what, seed] = ending.split(' ').collect::<Vec<_>>()[..] else { panic!("a kind, a scene and a seed") };
    let mut random = StdRng::seed_from_u64(seed.parse().expect("a number"));
    let hangs = matches!(what, "stall" | "log" | "disk");
    let count = if what == "play" { random.random_range(1..4) } else { 1 };
    let mut hosts: Vec<ClapHost> = (0..count)
        .map(|_| {
            let captions = what == "disk" || random.random_bool(0.5);
            let offline = what == "disk" || random.random_bool(0.3);
            opened(&Settings { captions, ..settings(&mut random) }, offline)
        })
        .collect();
    let window = match what {
        "fetch" | "stall" => {
            demand("fetch mine");
            world::until_a_part_is_here();
            None
        }
        "click" => {
            play(&mut hosts, &mut random, 600);
            for _ in 0..random.random_range(1..3) {
                demand(["check", "closeness", "audition", &format!("enrol {SPEECH}")][random.random_range(0..4)]);
            }
            None
        }
        "disk" => {
            speak(&mut hosts[0]);
            None
        }
        "window" => Some(world::window(&mut hosts[0])),
        "log" => {
            std::thread::sleep(Duration::from_millis(50));
            None
        }
        _ => None,
    };
    if what == "window" && random.random_bool(0.5) {
        demand("closeness");
    }
    play(&mut hosts, &mut random, if hangs { 200 } else { 900 });
    if how == "unload" {
        let began = Instant::now();
        // Each instance, its window open, then its hold on the library: the last one unloads it.
        drop(hosts);
        assert!(began.elapsed() < UNLOADED * count as u32, "it took {:?}", began.elapsed());
        if hangs {
            left_behind(&library(), if what == "stall" { "mynah-packs" } else { "mynah-keeper" }, what != "log");
        }
        std::thread::sleep(Duration::from_millis(random.random_range(0..50)));
        // Nothing of a library that is gone may run from here on.
        drop(window);
    }
    std::process::exit(0);
}

/// Lets programs end, each in a home of its own that `furnish` makes, and gives the command what it needs there.
fn endings<T>(how: &str, what: &str, one_of: u64, furnish: impl Fn(&std::path::Path, &mut Command) -> T) {
    let all: u64 = std::env::var("MYNAH_ENDINGS").map_or(ENDINGS, |n| n.parse().expect("MYNAH_ENDINGS is a number"));
    let (count, began) = (all.div_ceil(one_of), Instant::now());
    let mut wrong = Vec::new();
    for seed in 0..count {
        let home = tempfile::tempdir().expect("a folder");
        let mut program = program::at_home(Command::new(std::env::current_exe().expect("this test")), home.path());
        program.env(ENDING, format!("{how} {what} {seed}")).env("RUST_BACKTRACE", "0");
        let held = furnish(home.path(), &mut program);
        let ended = Instant::now();
        let done = program.output().expect("it runs");
        drop(held);
        if !done.status.success() || (how == "exit" && ended.elapsed() > Duration::from_secs(40)) {
            let said = String::from_utf8_lossy(&done.stderr).lines().take(8).collect::<Vec<_>>().join(" | ");
            let took = ended.elapsed();
            wrong.push(format!(
                "{how} {what} {seed}: {} (signal {:?}) after {took:?}: {said}",
                done.status,
                done.status.signal()
            ));
        }
    }
    println!(
        "{count} endings by {how} in `{what}` in {:.0} s, {} went wrong",
        began.elapsed().as_secs_f64(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_host_may_exit_at_any_moment() {
    endings("exit", "play", 1, |_, _| ());
}

#[test]
fn a_host_may_unload_the_library_at_any_moment() {
    endings("unload", "play", 1, |_, _| ());
}

#[test]
fn a_host_may_end_while_a_click_runs_models() {
    endings("exit", "click", 1, |_, _| ());
    endings("unload", "click", 1, |_, _| ());
}

#[test]
fn a_host_may_end_in_the_middle_of_a_fetch() {
    for (line, what, unloads) in [(Line::Slow, "fetch", 1), (Line::Dead, "stall", SLOW)] {
        let hub = SlowHub::open(line);
        endings("exit", what, 1, |home, program| hub.furnish(home, program));
        endings("unload", what, unloads, |home, program| hub.furnish(home, program));
    }
}

/// A log that is a pipe without a reader: the keeper hangs when it opens it, and so does whoever would tell of that.
#[test]
fn a_host_may_end_while_the_keeper_hangs_in_the_log() {
    let pipe = |home: &std::path::Path, _: &mut Command| {
        std::fs::create_dir_all(home.join("logs")).expect("a folder");
        world::pipe(&home.join("logs/mynah.log"));
    };
    endings("exit", "log", 1, pipe);
    endings("unload", "log", SLOW, pipe);
}

/// A file system that never answers, where the copies of the captions are kept.
#[cfg(target_os = "linux")]
#[test]
fn a_host_may_end_while_the_keeper_hangs_in_a_write() {
    let probe = tempfile::tempdir().expect("a folder");
    if let Err(why) = HungDisk::mount(probe.path()) {
        return println!("not run: only who may mount a file system can let one hang ({why})");
    }
    let hang = |home: &std::path::Path, _: &mut Command| {
        HungDisk::mount(&home.join("captions")).expect("it was mounted before")
    };
    endings("exit", "disk", SLOW, hang);
    endings("unload", "disk", SLOW, hang);
}

#[cfg(target_os = "linux")]
#[test]
fn a_host_may_end_with_the_window_open() {
    let Some(display) = Display::open() else { return println!("not run: there is no Xvfb") };
    let show = |_: &std::path::Path, program: &mut Command| _ = program.env("DISPLAY", &display.name);
    endings("exit", "window", 1, show);
    endings("unload", "window", 1, show);
}
