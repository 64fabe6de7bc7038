//! The audio thread allocates and frees nothing: not while a voice is swapped, a mode changes, the worker is late, dead
//! or gone.

use std::sync::atomic::Ordering;
use std::time::Duration;

use assert_no_alloc::assert_no_alloc;
use mynah::clock::Mode;
use mynah::engine::AudioPort;
use mynah::engine::booth::{Booth, BoothSide};
use mynah::engine::testing::{any_voice, block, identity, setup};

fn play(port: &mut AudioPort, blocks: usize, captions: bool) {
    let (mut l, mut r) = ([0.3f32; 64], [-0.1f32; 64]);
    let mut b = block(false);
    b.captions = captions;
    for _ in 0..blocks {
        assert_no_alloc(|| port.process(&mut [&mut l, &mut r], &b));
        std::thread::sleep(Duration::from_micros(1300));
    }
}

#[test]
fn nothing_is_allocated_whatever_happens() {
    let (engine, mut port, faults) = identity(setup(48000, 64, 2, Mode::Live));
    faults.load_ms.store(30, Ordering::Relaxed);
    play(&mut port, 100, false);
    engine.set_captions(true);
    play(&mut port, 100, true);
    engine.set_voice(Some(any_voice("bb")));
    play(&mut port, 300, true);
    faults.stall_ms.store(100, Ordering::Relaxed);
    play(&mut port, 200, true);
    faults.stall_ms.store(0, Ordering::Relaxed);
    let before = port.latency();
    engine.set_mode(Mode::Balanced);
    play(&mut port, 300, true);
    // A window opens, and its scope is full after half a second, since nobody empties it.
    engine.watch(true);
    play(&mut port, 500, true);
    assert_ne!(port.latency(), before, "the mode changed");
    assert_no_alloc(|| port.reset());
    play(&mut port, 100, true);
    faults.panics.store(1, Ordering::Relaxed);
    for _ in 0..100 {
        play(&mut port, 20, true);
        if engine.status().voice_problem.is_some() {
            break;
        }
    }
    assert!(engine.status().voice_problem.is_some(), "the worker died");
    engine.set_voice(None);
    play(&mut port, 50, false);
    assert_no_alloc(|| port.pause());
    drop(engine);
    play(&mut port, 50, true);
}

/// What a window asks for beside the conversion: a recording, the likeness, clips that come, are replaced, stop and
/// end.
#[test]
fn nothing_is_allocated_for_a_window_either() {
    fn play(side: &mut BoothSide, blocks: usize, allowed: bool) {
        let (mut l, mut r) = ([0.3f32; 64], [-0.1f32; 64]);
        for _ in 0..blocks {
            assert_no_alloc(|| {
                side.input(&[&mut l, &mut r]);
                side.output(&mut [&mut l, &mut r], allowed);
            });
        }
    }
    let booth = Booth::default();
    let mut side = booth.side().expect("the first time");
    side.prepare(48000);
    booth.hear_input(true);
    booth.hear_output(true);
    // More than the taps have room for, and clips of which only the booth knows that they are over.
    play(&mut side, 4000, true);
    for length in [0, 1, 100, 5000, 100_000] {
        booth.play(vec![0.5; length].into()).expect("room");
        play(&mut side, 20, true);
    }
    booth.stop();
    play(&mut side, 20, true);
    booth.play(vec![0.5; 5000].into()).expect("room");
    play(&mut side, 5, true);
    play(&mut side, 5, false);
    let (mut input, mut output) = (Vec::new(), Vec::new());
    assert!(booth.input(&mut input) > 0 && !input.is_empty());
    booth.output(&mut output);
    assert!(!output.is_empty());
    assert_eq!(booth.clip(), (0, 0));
    drop(booth);
    play(&mut side, 5, true);
}
