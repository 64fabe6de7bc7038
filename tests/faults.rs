//! What goes wrong inside never changes the latency, never stops the sound, and can be mended while sound runs.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mynah::bridge::{LateSound, WorkerState};
use mynah::clock::Mode;
use mynah::engine::testing::{Faults, any_voice, block, identity, run, setup};
use mynah::engine::{AudioPort, Engine};

const RATE: u32 = 48000;
const BLOCK: usize = 128;

fn tone(n: usize, from: usize) -> Vec<f32> {
    (from..from + n).map(|i| 0.5 * (i as f32 * 440.0 * std::f32::consts::TAU / RATE as f32).sin()).collect()
}

/// A host in real time: each block comes when its sound would.
struct Live {
    port: AudioPort,
    start: Instant,
    sent: usize,
    heard: Vec<f32>,
}

impl Live {
    fn new(port: AudioPort) -> Self {
        Self { port, start: Instant::now(), sent: 0, heard: Vec::new() }
    }

    fn play(&mut self, seconds: f64) {
        let end = self.sent + (seconds * RATE as f64) as usize;
        while self.sent < end {
            let mut x = tone(BLOCK, self.sent);
            self.port.process(&mut [&mut x], &block(false));
            self.heard.extend_from_slice(&x);
            self.sent += BLOCK;
            let due = self.start + Duration::from_secs_f64(self.sent as f64 / RATE as f64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    /// The identity and the dry sound are equal but for the resampler's ripple, so the output must be the delayed tone at all times, except in
    /// the 2 ms in which one is faded into the other.
    fn check(&self, from: usize) {
        let latency = self.port.latency().total;
        let wanted = tone(self.heard.len(), 0);
        let from = from.max(latency);
        let off = (from..self.heard.len()).filter(|&i| (self.heard[i] - wanted[i - latency]).abs() > 0.02).count();
        assert!(off * 20 < self.heard.len() - from, "the timeline does not stand: {off} of {} samples are off", self.heard.len() - from);
        self.check_steps();
    }

    /// The tone moves by 0.03 a sample and a fade of full scale by 0.01.
    fn check_steps(&self) {
        for (i, w) in self.heard.windows(2).enumerate() {
            assert!((w[1] - w[0]).abs() < 0.06, "a click at sample {i} of {}: {} to {}", self.heard.len(), w[0], w[1]);
        }
    }
}

fn eventually(what: &str, mut f: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !f() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn live() -> (Engine, Live, std::sync::Arc<Faults>) {
    let (engine, port, faults) = identity(setup(RATE, BLOCK, 1, Mode::Live));
    engine.wait_ready(Duration::from_secs(5)).expect("ready");
    (engine, Live::new(port), faults)
}

#[test]
fn a_late_worker_costs_no_latency_and_recovers() {
    let (engine, mut live, faults) = live();
    live.play(0.5);
    let before = engine.status().counters.late_hops;
    faults.stall_ms.store(300, Ordering::Relaxed);
    live.play(1.0);
    faults.stall_ms.store(0, Ordering::Relaxed);
    live.play(1.0);
    let after = engine.status().counters;
    assert!(after.late_hops > before + 20, "the misses are counted: {after:?}");
    live.play(0.5);
    assert!(engine.status().counters.late_hops - after.late_hops <= 5, "it recovered");
    live.check(0);
}

#[test]
fn silence_can_be_chosen_for_late_hops() {
    let (engine, port, faults) = identity(setup(RATE, BLOCK, 1, Mode::Live));
    engine.wait_ready(Duration::from_secs(5)).expect("ready");
    faults.stall_ms.store(2000, Ordering::Relaxed);
    let mut live = Live::new(port);
    let mut b = block(false);
    b.mix.late = LateSound::Silence;
    while live.sent < RATE as usize {
        let mut x = tone(BLOCK, live.sent);
        live.port.process(&mut [&mut x], &b);
        live.heard.extend_from_slice(&x);
        live.sent += BLOCK;
        let due = live.start + Duration::from_secs_f64(live.sent as f64 / RATE as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    assert!(live.heard[live.heard.len() / 2..].iter().all(|x| *x == 0.0));
}

#[test]
fn a_panic_falls_to_dry_and_the_next_load_revives() {
    let (engine, mut live, faults) = live();
    live.play(0.3);
    faults.panics.store(1, Ordering::Relaxed);
    live.play(0.3);
    assert_eq!(engine.status().counters.state, WorkerState::Dead);
    let problem = engine.status().voice_problem.expect("the user is told");
    assert!(problem.contains("a panic was asked for") && problem.contains("choose the voice again"), "{problem}");
    engine.set_voice(Some(any_voice("a")));
    live.play(0.5);
    assert_eq!(engine.status().counters.state, WorkerState::Ready);
    assert_eq!(engine.status().voice_problem, None);
    live.check(0);
}

#[test]
fn an_error_of_the_model_is_told() {
    let (engine, mut live, faults) = live();
    faults.errors.store(1, Ordering::Relaxed);
    live.play(0.3);
    assert!(engine.status().voice_problem.expect("told").contains("an error was asked for"));
    live.check(0);
}

#[test]
fn a_voice_that_can_not_be_loaded_is_told_and_the_next_one_works() {
    let (engine, mut live, faults) = live();
    faults.refusals.store(1, Ordering::Relaxed);
    engine.set_voice(Some(any_voice("bb")));
    live.play(0.2);
    assert!(engine.status().voice_problem.expect("told").contains("a refusal was asked for"));
    engine.set_voice(Some(any_voice("ccc")));
    live.play(0.4);
    assert_eq!(engine.status().voice.as_deref(), Some("ccc"));
    live.check(0);
}

#[test]
fn swaps_in_a_storm_are_not_heard() {
    let (engine, mut live, _) = live();
    for i in 0..40 {
        engine.set_voice(Some(any_voice(&"v".repeat(i + 1))));
        live.play(0.02);
    }
    live.play(0.4);
    assert_eq!(engine.status().voice, Some("v".repeat(40)));
    live.check(0);
}

#[test]
fn another_mode_has_another_latency_once_and_the_sound_goes_on() {
    let (engine, mut live, _) = live();
    live.play(0.3);
    let before = live.port.latency().total;
    engine.set_mode(Mode::Studio);
    eventually("the new mode is in use", || {
        live.play(0.02);
        live.port.latency().total != before
    });
    let changed = live.sent;
    live.play(1.0);
    assert_eq!(engine.status().latency, live.port.latency());
    assert!(live.port.latency().total > before);
    assert_eq!(engine.status().counters.state, WorkerState::Ready);
    let from = changed + live.port.latency().total + RATE as usize / 10;
    live.check(from);
}

#[test]
fn bad_numbers_do_no_harm() {
    let (_engine, mut port, _) = identity(setup(RATE, BLOCK, 1, Mode::Live));
    let mut input = tone(RATE as usize / 2, 0);
    for (i, bad) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, 1e-40].into_iter().enumerate() {
        input[5000 + 40 * i] = bad;
    }
    let output = run(&mut port, &input, &[128], &block(true));
    assert!(output.iter().all(|y| y.is_finite() && y.abs() <= 16.0));
    let latency = port.latency().total;
    let wanted = tone(input.len(), 0);
    let worst = (6000 + latency..output.len()).map(|i| (output[i] - wanted[i - latency]).abs()).fold(0.0, f32::max);
    assert!(worst < 0.02, "{worst}");
}

#[test]
fn empty_blocks_and_resets_are_harmless() {
    let (_engine, mut port, _) = identity(setup(RATE, BLOCK, 1, Mode::Live));
    port.process(&mut [&mut []], &block(true));
    port.process(&mut [], &block(true));
    let input = tone(9600, 0);
    let first = run(&mut port, &input, &[128], &block(true));
    port.reset();
    assert!(first == run(&mut port, &input, &[77], &block(true)), "a reset begins anew, bit for bit");
}

#[test]
fn unloading_in_the_middle_of_a_run_is_quick_and_leaves_the_sound_dry() {
    let (engine, mut live, faults) = live();
    live.play(0.2);
    faults.stall_ms.store(200, Ordering::Relaxed);
    live.play(0.1);
    let began = Instant::now();
    drop(engine);
    assert!(began.elapsed() < Duration::from_secs(2));
    live.play(0.3);
    live.check(0);
}

#[test]
fn a_hundred_engines_come_and_go() {
    for i in 0..100 {
        let (engine, mut port, _) = identity(setup(RATE, BLOCK, 2, Mode::Live));
        let (mut l, mut r) = ([0.1; BLOCK], [0.2; BLOCK]);
        port.process(&mut [&mut l, &mut r], &block(false));
        if i % 2 == 0 {
            drop(engine);
            port.process(&mut [&mut l, &mut r], &block(false));
        }
    }
}
