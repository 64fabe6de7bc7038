//! Words of sound that comes in bursts: a render of a host, which nobody watches, or a device that hands over half a
//! second at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mynah::clock::Mode;
use mynah::engine::testing::{IdentitySource, block, setup};
use mynah::engine::{Engine, Setup};
use mynah::outlets::Wire;
use mynah::realtime::Block;
use mynah::voice::Controls;

/// Ten seconds of sound at once, with a beep each second; the words that came on the wire when the transcript has them
/// all.
fn words_of_a_burst(renders: bool) -> usize {
    let wire = Wire::default();
    let setup = Setup { captions: true, voice: None, ..setup(16000, 160, 1, Mode::Live) };
    let mut cursor = wire.from_now();
    let (engine, mut port) =
        Engine::start_on(setup, Arc::new(IdentitySource::default()), wire.clone()).expect("an engine");
    let about: Block<Controls> = Block { captions: true, ..block(renders) };
    for k in 0..1000 {
        let level = if k % 100 == 50 { 0.9 } else { 0.0 };
        port.process(&mut [&mut [level; 160]], &about);
    }
    port.pause();
    let began = Instant::now();
    while engine.captions_ended() == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "the captions did not end");
        std::thread::sleep(Duration::from_millis(2));
    }
    let transcript = engine.transcript();
    assert_eq!(transcript.lock().expect("no panic").words().len(), 10);
    wire.read(&mut cursor).finals.len()
}

#[test]
fn a_device_that_hands_over_much_at_once_loses_no_word_and_a_render_is_not_served() {
    assert_eq!(words_of_a_burst(false), 10);
    assert_eq!(words_of_a_burst(true), 0);
}
