//! What the audio thread does, for a counter of instructions: `cargo xtask bench` runs it under callgrind, which counts
//! inside `mynah_audio_thread` only. With the argument `watched` a window is open, which empties its scope between
//! blocks.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use mynah::clock::Mode;
use mynah::engine::testing::{IdentitySource, block, setup};
use mynah::engine::{AudioPort, Engine};
use mynah::realtime::{Block, ScopePull};
use mynah::voice::Controls;

const BLOCK: usize = 64;
const BLOCKS: usize = 1000;

/// One callback of a stereo host. Its name is what the counter looks for.
#[unsafe(no_mangle)]
#[inline(never)]
fn mynah_audio_thread(port: &mut AudioPort, left: &mut [f32], right: &mut [f32], about: &Block<Controls>) {
    port.process(&mut [left, right], about);
}

fn main() {
    let (engine, mut port) =
        Engine::start(setup(48000, BLOCK, 2, Mode::Live), Arc::new(IdentitySource::default())).expect("the identity");
    engine.wait_ready(Duration::from_secs(60)).expect("the identity is ready");
    let watched = std::env::args().nth(1).is_some_and(|a| a == "watched");
    engine.watch(watched);
    let (scope, mut drawn) = (engine.scope(), vec![0.0; 4 * BLOCK]);
    // Offline: each block finds its sound, however slow the counter makes the worker.
    let about = block(true);
    for k in 0..BLOCKS {
        let mut left: Vec<f32> = (0..BLOCK).map(|i| 0.3 * ((k * BLOCK + i) as f32 * 0.05).sin()).collect();
        let mut right = left.clone();
        mynah_audio_thread(&mut port, &mut left, &mut right, &about);
        black_box((left, right));
        let mut scope = scope.lock().unwrap_or_else(|e| e.into_inner());
        while watched && scope.pull(&mut drawn) != ScopePull::Empty {}
    }
    println!("{BLOCKS}");
}
