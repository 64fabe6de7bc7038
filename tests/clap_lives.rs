//! Many lives of the plugin in one process with the packs of this machine: instances that come and go while models
//! load, and a rack of them over one ONNX Runtime. What each costs in memory is printed. Linux only: elsewhere nothing
//! tells threads and memory so simply.
#![cfg(target_os = "linux")]

#[path = "common/linked.rs"]
mod linked;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap_host::ClapHost;
use mynah::engine::testing::any_voice;
use mynah::plugin::state::{Container, Settings, with_voice};

const RATE: u32 = 48000;
const BLOCK: usize = 256;
/// How many lives the suite sees; `MYNAH_LIVES=1000` is the whole proof.
const LIVES: usize = 16;
/// How many instances stand in the rack.
const RACK: usize = 16;
/// Memory that may stay behind after the first lives, in MB: pools of the allocator, no more with a thousand lives than
/// with sixteen.
const LEFT_MB: f64 = 64.0;
/// What a further instance may cost, in MB.
const FURTHER_MB: f64 = 60.0;

/// Memory and threads are those of the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// A number of `/proc/self/status`.
fn told(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|l| l.starts_with(name)).expect("its line");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

fn memory_mb() -> f64 {
    told("VmRSS:") / 1024.0
}

fn threads() -> f64 {
    told("Threads:")
}

fn instance(offline: bool) -> ClapHost {
    let mut host = linked::host();
    host.load(&with_voice(Some(&any_voice("Ada")), &Settings::default(), Container::Clap)).expect("a state");
    host.render_offline(offline).expect("a way to render");
    host.activate(RATE, BLOCK).expect("an activation");
    host
}

fn ready(host: &mut ClapHost, which: usize) -> bool {
    let report = host.diagnostics().expect("a report");
    assert_eq!(
        report["instances"][which]["problems"],
        serde_json::json!([]),
        "run `cargo xtask test`, which fetches what tests need"
    );
    report["instances"][which]["engine"]["state"] == "ready"
}

fn noise(at: usize) -> [Vec<f32>; 2] {
    // Speech-like enough: a buzz of 120 Hz.
    let sound: Vec<f32> = (at..at + BLOCK).map(|i| 0.4 * ((i as f32 * 120.0 / RATE as f32).fract() - 0.5)).collect();
    [sound.clone(), sound]
}

#[test]
fn lives_leave_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let lives: usize = std::env::var("MYNAH_LIVES").map_or(LIVES, |n| n.parse().expect("MYNAH_LIVES is a number"));
    let (before, began) = ((memory_mb(), threads()), Instant::now());
    let mut settled = before;
    for life in 0..lives {
        // Every tenth is heard, the others end at any point of their loading.
        let mut host = instance(life % 10 == 0);
        for block in 0..life % 7 {
            host.process(&mut noise(block * BLOCK)).expect("a block");
        }
        std::thread::sleep(Duration::from_millis((life % 5) as u64 * 3));
        if life % 10 == 0 {
            assert!(
                host.silence_until(Duration::from_secs(60), |host| ready(host, 0)).expect("silence"),
                "life {life}"
            );
        }
        drop(host);
        if life == lives / 3 {
            settled = (memory_mb(), threads());
        }
        if life % 100 == 99 {
            println!(
                "{} lives: {:.1} MB, {} threads, {:.0} s",
                life + 1,
                memory_mb(),
                threads(),
                began.elapsed().as_secs_f64()
            );
        }
    }
    let after = (memory_mb(), threads());
    println!(
        "{lives} lives in {:.1} s: before {:.1} MB and {} threads, after a third {:.1} MB and {}, at the end {:.1} MB \
         and {}",
        began.elapsed().as_secs_f64(),
        before.0,
        before.1,
        settled.0,
        settled.1,
        after.0,
        after.1
    );
    assert_eq!(after.1, settled.1, "no thread stays");
    assert!(after.0 - settled.0 < LEFT_MB, "{:.1} MB stay", after.0 - settled.0);
}

#[test]
fn a_rack_of_instances_sounds_as_one_and_loses_some_on_the_way() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let mut rack: Vec<ClapHost> = Vec::new();
    let mut memory = vec![memory_mb()];
    for which in 0..RACK {
        let mut host = instance(true);
        assert!(host.silence_until(Duration::from_secs(60), |host| ready(host, which)).expect("silence"));
        // From the start again, so that all hear the same.
        host.processor().expect("a processor").reset();
        rack.push(host);
        memory.push(memory_mb());
    }
    let costs: Vec<String> = memory.windows(2).map(|m| format!("{:.1}", m[1] - m[0])).collect();
    println!("memory before {:.1} MB; each of {RACK} instances costs in MB: {}", memory[0], costs.join(" "));
    let further = (memory[RACK] - memory[1]) / (RACK - 1) as f64;
    println!("a further instance costs {further:.1} MB, {} threads in all", threads());
    let seconds = 0.3;
    let (began, blocks) = (Instant::now(), (seconds * RATE as f64) as usize / BLOCK);
    let mut heard = 0.0f32;
    for block in 0..blocks {
        let mut all: Vec<[Vec<f32>; 2]> = Vec::new();
        for host in &mut rack {
            let mut sound = noise(block * BLOCK);
            host.process(&mut sound).expect("a block");
            all.push(sound);
        }
        assert!(
            all.iter().all(|sound| *sound == all[0]),
            "block {block}: the instances hear the same and say the same"
        );
        heard = all[0][0].iter().fold(heard, |m, x| m.max(x.abs()));
        if block % 15 == 14 {
            // A track is thrown away while the others play: the first, so that what it began must live on without it.
            drop(rack.remove(0));
        }
    }
    println!("{seconds} s in {RACK} instances, then fewer, took {:.1} s", began.elapsed().as_secs_f64());
    assert!(heard > 0.01 && rack.len() == RACK - blocks / 15);
    assert!(further < FURTHER_MB, "a further instance costs {further:.1} MB");
}

/// How often the threads of this process were woken so far.
fn wakes() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task")
        .expect("Linux")
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
    let switches = |status: String| {
        status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok())
    };
    tasks.filter_map(switches).sum()
}

/// An instance that nobody plays lets the processor sleep.
#[test]
fn an_idle_instance_wakes_up_less_than_twenty_times_a_second() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let mut host = instance(false);
    assert!(host.silence_until(Duration::from_secs(60), |host| ready(host, 0)).expect("silence"));
    std::thread::sleep(Duration::from_millis(2500));
    let (before, began) = (wakes(), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let rate = (wakes() - before) as f64 / began.elapsed().as_secs_f64();
    println!("{rate:.1} wake-ups a second in silence");
    assert!(rate < 20.0, "{rate:.1} wake-ups a second");
    // Woken by the first block: no hop is late, though the worker slept.
    let late =
        |host: &mut ClapHost| host.diagnostics().expect("a report")["instances"][0]["engine"]["late_hops"].as_u64();
    let (before, mut at) = (late(&mut host), Instant::now());
    for block in 0..60 {
        host.process(&mut noise(block * BLOCK)).expect("a block");
        at += Duration::from_secs_f64(BLOCK as f64 / f64::from(RATE));
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
    }
    std::thread::sleep(Duration::from_millis(100));
    let more = late(&mut host).unwrap_or(u64::MAX) - before.unwrap_or(0);
    println!("{more} of 32 hops late in the first 0.3 s of sound");
    assert!(more < 16, "{more} of the first 32 hops were late: the worker slept on");
}
