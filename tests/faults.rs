//! What goes wrong inside never changes the latency, never stops the sound, and can be mended while sound runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mynah::clock::Mode;
use mynah::engine::testing::{Faults, INVERTED, any_voice, block, identity, run, setup};
use mynah::engine::{AudioPort, Engine, Setup};
use mynah::realtime::{LateSound, WorkerState};
use proptest::prelude::*;

const RATE: u32 = 48000;
const BLOCK: usize = 128;
/// The most that a host may have to wait for an unload: the engine's patience with a thread that hangs, and some for a
/// busy machine.
const UNLOAD: Duration = Duration::from_secs(13);

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

    /// Plays on while `work` is done on another thread; tells how long that took.
    fn play_during(&mut self, work: impl FnOnce() + Send + 'static) -> Duration {
        let began = Instant::now();
        let thread = std::thread::spawn(work);
        while !thread.is_finished() {
            self.play(0.01);
        }
        thread.join().expect("the work is done");
        began.elapsed()
    }

    /// The identity and the dry sound are equal but for the resampler's ripple, so the output must be the delayed tone
    /// at all times, except in the 2 ms in which one is faded into the other.
    fn check(&self, from: usize) {
        let latency = self.port.latency().total;
        let wanted = tone(self.heard.len(), 0);
        let from = from.max(latency);
        let off = (from..self.heard.len()).filter(|&i| (self.heard[i] - wanted[i - latency]).abs() > 0.02).count();
        assert!(
            off * 20 < self.heard.len() - from,
            "the timeline does not stand: {off} of {} samples are off",
            self.heard.len() - from
        );
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

fn live() -> (Engine, Live, Arc<Faults>) {
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
    assert!(problem.contains("a panic was asked for") && problem.contains("choose it again"), "{problem}");
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

/// Blocks that are no sound at all, of every kind in turn, for half a second; then a tone. What is right again is
/// counted from the first clean sample on.
#[test]
fn a_storm_of_bad_numbers_is_over_two_hops_after_its_end() {
    let (_engine, mut port, _) = identity(setup(RATE, BLOCK, 1, Mode::Live));
    let latency = port.latency();
    let storm = RATE as usize / 2;
    let mut input = tone(2 * storm, 0);
    let kinds = [
        f32::NAN,
        f32::INFINITY,
        -f32::NAN,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN,
        1e30,
        f32::MIN_POSITIVE / 2.0,
        -1e-45,
    ];
    for (i, x) in input[..storm].iter_mut().enumerate() {
        let (block, within) = (i / BLOCK, i % BLOCK);
        // Whole blocks of one kind, blocks of all kinds, and blocks of sound with one bad number.
        match block % 3 {
            0 => *x = kinds[block / 3 % kinds.len()],
            1 => *x = kinds[within % kinds.len()],
            _ if within == block % BLOCK => *x = kinds[block / 3 % kinds.len()],
            _ => {}
        }
    }
    let output = run(&mut port, &input, &[BLOCK, 1, 77], &block(true));
    // What is no sound is cut to 16; the resamplers may overshoot that where it jumps.
    assert!(output.iter().all(|y| y.is_finite() && y.abs() <= 32.0), "no bad number comes out");
    let wanted = tone(input.len(), 0);
    let from = storm + latency.total + 2 * latency.hop;
    let worst = (from..output.len()).map(|i| (output[i] - wanted[i - latency.total]).abs()).fold(0.0, f32::max);
    assert!(worst < 0.02, "two hops after the storm the sound is still off by {worst}");
}

#[test]
fn numbers_of_a_model_that_are_none_are_told_and_not_heard() {
    let (engine, mut live, faults) = live();
    live.play(0.3);
    faults.not_finite.store(3, Ordering::Relaxed);
    live.play(0.3);
    assert!(live.heard.iter().all(|y| y.is_finite()));
    assert!(engine.status().voice_problem.expect("told").contains("not finite"));
    assert_eq!(engine.status().counters.state, WorkerState::Ready, "the model goes on");
    live.play(3.0);
    assert!(engine.status().voice_problem.is_some(), "it can be read");
    live.play(2.5);
    assert_eq!(engine.status().voice_problem, None, "it is over");
    live.check(0);
}

#[test]
fn panics_in_a_storm_are_each_revived() {
    let (engine, mut live, faults) = live();
    for i in 0..20 {
        faults.panics.store(1, Ordering::Relaxed);
        if i % 4 == 3 {
            faults.load_panics.store(1, Ordering::Relaxed);
            engine.set_voice(Some(any_voice("lost")));
            eventually("the load that panicked is told", || {
                live.play(0.01);
                engine.status().voice_problem.is_some_and(|p| p.contains("could not be loaded"))
            });
        }
        // Also in the midst of a change of voices, where two converters run.
        engine.set_voice(Some(any_voice(&"v".repeat(i + 1))));
        eventually("the panic", || {
            live.play(0.01);
            faults.panics.load(Ordering::Relaxed) == 0
        });
        engine.set_voice(Some(any_voice(&"v".repeat(i + 1))));
        eventually("the revival", || {
            live.play(0.01);
            engine.status().counters.state == WorkerState::Ready && !engine.status().loading
        });
    }
    live.play(0.4);
    assert_eq!((engine.status().voice, engine.status().voice_problem), (Some("v".repeat(20)), None));
    live.check(0);
}

/// The host's window thread may wait for an unload, but never for ever; meanwhile the sound is dry at the same latency.
#[test]
fn a_worker_that_hangs_for_ever_does_not_hold_up_the_unloading() {
    let (engine, mut live, faults) = live();
    live.play(0.3);
    faults.hangs.store(1, Ordering::Relaxed);
    live.play(0.7);
    assert!(engine.status().counters.late_hops > 20, "what it owes is counted: {:?}", engine.status().counters);
    let took = live.play_during(move || drop(engine));
    assert!(took < UNLOAD, "unloading took {took:?}");
    live.play(0.3);
    live.check(0);
    // The thread that was left behind ends by itself once it can.
    faults.released.store(true, Ordering::Relaxed);
    eventually("the end of the worker", || Arc::strong_count(&faults) == 1);
}

#[test]
fn a_load_that_hangs_does_not_hold_up_the_unloading() {
    let (engine, mut live, faults) = live();
    faults.load_ms.store(60_000, Ordering::Relaxed);
    engine.set_voice(Some(any_voice("bb")));
    live.play(0.2);
    let took = live.play_during(move || drop(engine));
    assert!(took < UNLOAD, "unloading took {took:?}");
    live.check(0);
}

#[test]
fn another_mode_leaves_a_worker_that_hangs_behind() {
    let (engine, mut live, faults) = live();
    live.play(0.3);
    faults.hangs.store(1, Ordering::Relaxed);
    live.play(0.3);
    let before = live.port.latency().total;
    engine.set_mode(Mode::Balanced);
    eventually("the new mode is in use", || {
        live.play(0.02);
        live.port.latency().total != before
    });
    let changed = live.sent;
    live.play(1.0);
    assert_eq!(engine.status().counters.state, WorkerState::Ready, "the old worker hangs still, the new one works");
    live.check(changed + live.port.latency().total + RATE as usize / 10);
    faults.released.store(true, Ordering::Relaxed);
}

/// A host that can't make up its mind: each rate has an engine of its own, made while the last one may still be loading
/// or hearing sound.
#[test]
fn rates_flip_in_mid_sound_and_each_has_its_own_exact_latency() {
    let rates = [8_000, 44_100, 48_000, 192_000, 11_025, 96_000, 22_050, 88_200, 16_000, 176_400];
    for i in 0..60 {
        let rate = rates[i * 7 % rates.len()];
        let (engine, mut port, faults) =
            identity(setup(rate, BLOCK, 1, [Mode::Live, Mode::Balanced, Mode::Studio][i % 3]));
        faults.load_ms.store(if i % 4 == 0 { 20 } else { 0 }, Ordering::Relaxed);
        if i % 5 == 0 {
            // Gone before anything was loaded.
            drop(engine);
            continue;
        }
        let latency = port.latency().total;
        let mut input = vec![0.0; latency + rate as usize / 20];
        input[100] = 1.0;
        let output = run(&mut port, &input, &[BLOCK, 31], &block(true));
        let peak = (0..output.len()).max_by(|&a, &b| output[a].abs().total_cmp(&output[b].abs())).expect("sound");
        assert_eq!(peak, 100 + latency, "{rate} Hz, flip {i}");
        // What the model's rate of 24 kHz can't carry of an impulse is gone.
        let kept = (24_000.0 / rate as f32).min(1.0);
        assert!((output[peak] / kept - 1.0).abs() < 0.2, "{rate} Hz: {} where about {kept} is expected", output[peak]);
    }
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

#[test]
fn a_panic_in_any_call_costs_the_voice_and_not_the_worker() {
    type Fault = (&'static str, fn(&Faults) -> &AtomicU32, fn(&Engine, &mut Live));
    let calls: [Fault; 4] = [
        ("process", |f| &f.panics, |_, _| ()),
        ("reset", |f| &f.reset_panics, |_, live| live.port.reset()),
        ("install", |f| &f.reset_panics, |engine, _| engine.set_voice(Some(any_voice("b")))),
        ("drop", |f| &f.drop_panics, |engine, _| engine.set_voice(None)),
    ];
    for (call, fault, provoke) in calls {
        let (engine, mut live, faults) = live();
        live.play(0.2);
        fault(&faults).store(1, Ordering::Relaxed);
        provoke(&engine, &mut live);
        let until = Instant::now() + Duration::from_secs(10);
        while fault(&faults).load(Ordering::Relaxed) > 0 || engine.status().counters.state == WorkerState::Ready {
            live.play(0.02);
            assert!(Instant::now() < until, "{call}: it never failed");
        }
        // A voice that was let go says nothing; another fault is told.
        assert_eq!(
            engine.status().voice_problem.is_some(),
            call != "drop",
            "{call}: {:?}",
            engine.status().voice_problem
        );
        let late = engine.status().counters.late_hops;
        live.play(0.2);
        assert_eq!(engine.status().counters.late_hops, late, "{call}: nothing is late where no voice is");
        engine.set_voice(Some(any_voice("again")));
        engine.wait_ready(Duration::from_secs(5)).unwrap_or_else(|e| panic!("{call}: {e}"));
        live.play(0.2);
        assert_eq!(engine.status().counters.state, WorkerState::Ready, "{call}");
    }
}

/// What may happen to an engine in use.
#[derive(Debug, Clone, Copy)]
enum Event {
    Stall,
    Panic,
    ResetPanic,
    DropPanic,
    Error,
    NotFinite,
    Refusal,
    LoadPanic,
    SlowLoad,
    NoVoice,
    Voice,
    Mode(Mode),
    Reset,
}

const EVENTS: [Event; 15] = [
    Event::Stall,
    Event::Panic,
    Event::ResetPanic,
    Event::DropPanic,
    Event::Error,
    Event::NotFinite,
    Event::Refusal,
    Event::LoadPanic,
    Event::SlowLoad,
    Event::NoVoice,
    Event::Voice,
    Event::Mode(Mode::Live),
    Event::Mode(Mode::Balanced),
    Event::Mode(Mode::Studio),
    Event::Reset,
];

fn happen(event: Event, engine: &Engine, port: &mut AudioPort, faults: &Faults) {
    match event {
        Event::Stall => {
            faults.stall_ms.store(if faults.stall_ms.load(Ordering::Relaxed) > 0 { 0 } else { 60 }, Ordering::Relaxed)
        }
        Event::Panic => faults.panics.store(1, Ordering::Relaxed),
        Event::ResetPanic => faults.reset_panics.store(1, Ordering::Relaxed),
        Event::DropPanic => faults.drop_panics.store(1, Ordering::Relaxed),
        Event::Error => faults.errors.store(3, Ordering::Relaxed),
        Event::NotFinite => faults.not_finite.store(2, Ordering::Relaxed),
        Event::Refusal => faults.refusals.store(1, Ordering::Relaxed),
        Event::LoadPanic => faults.load_panics.store(1, Ordering::Relaxed),
        Event::SlowLoad => faults.load_ms.store(120, Ordering::Relaxed),
        Event::NoVoice => engine.set_voice(None),
        Event::Voice => engine.set_voice(Some(any_voice(INVERTED))),
        Event::Mode(mode) => engine.set_mode(mode),
        Event::Reset => port.reset(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10) })]

    /// Whatever happens, in whatever order: with silence chosen, the speaker's own voice is never among what comes out.
    /// The sound is steady and positive; the voice turns its sign, so what is positive by more than a filter's ripple
    /// is dry.
    #[test]
    fn who_must_not_be_recognised_never_is(events in prop::collection::vec((prop::sample::select(EVENTS.to_vec()), 1u32..25), 8..20)) {
        let setup = Setup { voice: Some(any_voice(INVERTED)), ..setup(RATE, BLOCK, 1, Mode::Live) };
        let (engine, mut port, faults) = identity(setup);
        let mut asked = block(false);
        asked.mix.late = LateSound::Silence;
        let (start, mut sent) = (Instant::now(), 0usize);
        for (event, blocks) in events {
            happen(event, &engine, &mut port, &faults);
            for _ in 0..blocks {
                let mut x = [0.25; BLOCK];
                port.process(&mut [&mut x], &asked);
                let loudest = x.iter().copied().fold(f32::MIN, f32::max);
                prop_assert!(loudest < 0.06, "after {:?} dry sound of {}", event, loudest);
                sent += BLOCK;
                let due = start + Duration::from_secs_f64(sent as f64 / RATE as f64);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
    }
}
