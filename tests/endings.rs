//! Hosts that end in the middle of something: they call `exit`, or end the instance and unload the library, while a model is being loaded, while hops run, with the
//! real packs. A program of its own for each, which must end without a signal. Linux and macOS.
#![cfg(unix)]

#[path = "common/library.rs"]
mod library;

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

/// How many endings of each kind the suite sees; `MYNAH_ENDINGS=1000` is the whole proof.
const ENDINGS: u64 = 12;
const ENDING: &str = "MYNAH_ENDING";

/// The program that ends: some instances with captions, played for a while that is drawn.
#[test]
fn ending() {
    let Ok(ending) = std::env::var(ENDING) else { return };
    let (how, seed) = ending.split_once(' ').expect("a kind and a seed");
    let mut random = StdRng::seed_from_u64(seed.parse().expect("a number"));
    let mut hosts: Vec<ClapHost> = Vec::new();
    for _ in 0..random.random_range(1..4) {
        let mut host = ClapHost::open(&library()).expect("an instance");
        let settings = Settings { mode: Mode::ALL[random.random_range(0..3)], captions: random.random_bool(0.5), ..Settings::default() };
        host.load(&with_voice(Some(&any_voice("Ada")), &settings, Container::Clap)).expect("a state");
        host.render_offline(random.random_bool(0.3)).expect("a way to render");
        host.activate(48_000, 256).expect("an activation");
        hosts.push(host);
    }
    let until = Instant::now() + Duration::from_millis(random.random_range(0..1500));
    let mut at = 0u32;
    while Instant::now() < until {
        for host in &mut hosts {
            let sound: Vec<f32> = (at..at + 256).map(|i| 0.4 * ((i as f32 * 120.0 / 48_000.0).fract() - 0.5)).collect();
            host.process(&mut [sound.clone(), sound]).expect("a block");
        }
        at += 256;
        if random.random_bool(0.05) {
            let settings = Settings { mode: Mode::ALL[random.random_range(0..3)], ..Settings::default() };
            hosts[0].load(&with_voice(Some(&any_voice("Grace")), &settings, Container::Clap)).expect("a state");
        }
    }
    match how {
        "exit" => std::process::exit(0),
        _ => {
            // Each instance, then its hold on the library: the last one unloads it.
            drop(hosts);
            std::thread::sleep(Duration::from_millis(random.random_range(0..50)));
            // Nothing of a library that is gone may run from here on.
            std::process::exit(0);
        }
    }
}

fn endings(how: &str) {
    let count: u64 = std::env::var("MYNAH_ENDINGS").map_or(ENDINGS, |n| n.parse().expect("MYNAH_ENDINGS is a number"));
    let (mut wrong, began) = (Vec::new(), Instant::now());
    for seed in 0..count {
        let mut program = Command::new(std::env::current_exe().expect("this test"));
        program.args(["--exact", "ending", "--nocapture", "--test-threads", "1"]).env(ENDING, format!("{how} {seed}"));
        let done = program.output().expect("it runs");
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr).lines().rev().take(6).collect::<Vec<_>>().join(" | ");
            wrong.push(format!("{how} {seed}: {} (signal {:?}): {said}", done.status, done.status.signal()));
        }
    }
    println!("{count} endings by {how} in {:.0} s, {} went wrong", began.elapsed().as_secs_f64(), wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_host_may_exit_at_any_moment() {
    endings("exit");
}

#[test]
fn a_host_may_unload_the_library_at_any_moment() {
    endings("unload");
}
