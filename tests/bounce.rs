//! A bounce is what was heard, with the real models: live, rendered, in any blocks, and again: the same bits.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mynah::clock::Mode;
use mynah::engine::testing::{block, run, setup};
use mynah::engine::{AudioPort, Engine, PackSource};
use mynah::realtime::{Block, Rendering};
use mynah::voice::TargetVoice;

const RATE: u32 = 48_000;
const SECONDS: usize = 4;

fn speech() -> Vec<f32> {
    let sound = mynah::audio::read(&common::asset("recordings", "two_cities.wav")).expect("reads");
    let mut speech = mynah::dsp::resample::resample_all(&sound.mono(), sound.rate, RATE);
    speech.truncate(SECONDS * RATE as usize);
    speech
}

/// Any voice will do: what is compared is the engine with itself.
fn voice() -> TargetVoice {
    TargetVoice {
        name: "bounce".to_owned(),
        embedding: vec![1.0 / 16.0; 256],
        median_pitch: 180.0,
        timbres: Vec::new(),
    }
}

fn started(mode: Mode, most: usize) -> (Engine, AudioPort) {
    common::runtime();
    let setup = mynah::engine::Setup { voice: Some(voice()), ..setup(RATE, most, 1, mode) };
    let (engine, mut port) = Engine::start(setup, Arc::new(PackSource::standard())).expect("the engine starts");
    engine.wait_ready(Duration::from_secs(60)).expect("a voice");
    port.reset();
    (engine, port)
}

/// What a host with delay compensation has of an output: larger blocks have a larger latency, which is part of the
/// promise.
fn compensated(port: &AudioPort, mut output: Vec<f32>) -> Vec<f32> {
    output.drain(..port.latency().total);
    output
}

/// As fast as the host asks: it says that it renders, or its user does and it is told by its pace. Gives also how many
/// samples late hops may have changed, which are none where it says so itself.
fn rendered(mode: Mode, speech: &[f32], sizes: &[usize], rendering: Rendering) -> (Vec<f32>, usize) {
    let (_engine, mut port) = started(mode, *sizes.iter().max().expect("a size"));
    let output = run(&mut port, speech, sizes, &Block { rendering, ..block(true) });
    let changed = changed_by_late_hops(&port);
    assert!(changed == 0 || rendering != Rendering::Declared, "{mode:?} in blocks of {sizes:?}");
    (compensated(&port, output), changed)
}

/// The same at the pace of the sound.
fn live(mode: Mode, speech: &[f32], size: usize) -> (Vec<f32>, usize) {
    let (_engine, mut port) = started(mode, size);
    let (mut output, began) = (speech.to_vec(), Instant::now());
    for (n, sound) in output.chunks_mut(size).enumerate() {
        std::thread::sleep(
            Duration::from_secs_f64((n * size) as f64 / f64::from(RATE)).saturating_sub(began.elapsed()),
        );
        port.process(&mut [sound], &block(false));
    }
    let changed = changed_by_late_hops(&port);
    (compensated(&port, output), changed)
}

/// A late hop changes its own samples and the fades on both sides of it.
fn changed_by_late_hops(port: &AudioPort) -> usize {
    port.shared().counters().late_hops as usize * (port.latency().hop + 2 * RATE as usize / 500)
}

fn differing(a: &[f32], b: &[f32]) -> usize {
    assert!(a.len().abs_diff(b.len()) < RATE as usize / 2);
    a.iter().zip(b).filter(|(a, b)| a.to_bits() != b.to_bits()).count()
}

#[test]
fn a_render_is_the_same_whatever_the_blocks_the_run_and_what_the_host_says() {
    let speech = speech();
    for mode in Mode::ALL {
        let began = Instant::now();
        let (first, _) = rendered(mode, &speech, &[512], Rendering::Declared);
        println!("{mode:?}: {:.1} × real time, loading included", SECONDS as f64 / began.elapsed().as_secs_f64());
        assert!(first.iter().map(|x| x * x).sum::<f32>() > 1.0, "{mode:?}: there is sound");
        assert!(differing(&first, &speech) > speech.len() / 2, "{mode:?}: it is converted");
        for (sizes, rendering) in [
            (&[512][..], Rendering::Declared),
            (&[1, 7, 64, 1024, 333], Rendering::Declared),
            (&[128], Rendering::Unsaid),
        ] {
            let (again, may_differ) = rendered(mode, &speech, sizes, rendering);
            let differ = differing(&first, &again);
            println!(
                "{mode:?}, blocks of {sizes:?}, {rendering:?}: {differ} samples differ; late hops explain up to \
                 {may_differ}"
            );
            assert!(
                differ <= may_differ && may_differ < speech.len() / 20,
                "{mode:?}, blocks of {sizes:?}: {differ} differ, not {may_differ}"
            );
        }
    }
}

/// Every sample that was heard live is the rendered one to the bit, but for those of hops that this machine was too
/// slow for, which are counted.
#[test]
fn what_is_heard_live_is_what_is_rendered() {
    let speech = speech();
    for mode in Mode::ALL {
        let (bounced, _) = rendered(mode, &speech, &[1024], Rendering::Declared);
        let (heard, may_differ) = live(mode, &speech, 128);
        let differ = differing(&bounced, &heard);
        println!("{mode:?}: {differ} of {} samples differ; late hops explain up to {may_differ}", speech.len());
        assert!(differ <= may_differ, "{mode:?}: {differ} samples differ where late hops explain {may_differ}");
        assert!(may_differ < speech.len() / 2, "{mode:?}: this machine is too slow to tell");
    }
}
