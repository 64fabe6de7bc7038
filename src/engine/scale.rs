//! Several engines at once, as a project with a voice on many tracks has them: how many this machine carries, and what
//! each costs. In real time at 48 kHz on one audio thread, as a host plays its tracks. Prints nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::measure::{HOST_RATE, live_block, some_setup, some_speech};
use super::{AudioPort, Engine, OpenError, Setup, Source, priority, usage};
use mynah_dsp::denormals::FlushDenormals;
use mynah_realtime::clock::Mode;
use mynah_realtime::{Block, Counters};

/// Samples a block.
const BLOCK: usize = 128;
/// How long loading may take, for each engine.
const LOADING: Duration = Duration::from_secs(60);

/// So many engines in one process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// How many.
    pub engines: usize,
    /// Hops that all of them converted.
    pub hops: u64,
    /// Hops of all of them that were late.
    pub late_hops: u64,
    /// Processors that the process kept busy, where the system tells it: seconds of processor a second.
    pub processors: Option<f64>,
    /// Memory that the process held, in KiB, where the system tells it.
    pub memory: Option<u64>,
}

/// What several engines are played.
#[derive(Debug, Clone, Copy)]
pub struct Playing<'a> {
    /// How many engines, with a voice each.
    pub engines: usize,
    /// The mode of all.
    pub mode: Mode,
    /// Whether they caption too.
    pub captions: bool,
    /// What all hear, over and over, at [`HOST_RATE`]; at least a block of it.
    pub sound: &'a [f32],
    /// For so long.
    pub seconds: f64,
}

/// Starts the engines and plays.
pub fn load(source: &Arc<dyn Source>, playing: &Playing) -> Result<Load, OpenError> {
    let &Playing { engines, mode, captions, sound, seconds } = playing;
    let setup = || Setup { captions, ..some_setup(mode, BLOCK) };
    let mut all = (0..engines).map(|_| Engine::start(setup(), source.clone())).collect::<Result<Vec<_>, _>>()?;
    for (engine, port) in &mut all {
        engine.wait_ready(LOADING)?;
        port.reset();
    }
    let about = Block { captions, ..live_block() };
    let play = |all: &mut Vec<(Engine, AudioPort)>| {
        let _flush = FlushDenormals::new();
        let _ = priority::raise(priority::AUDIO);
        let (began, before) = (Instant::now(), usage::processor_seconds());
        for n in 0..(seconds * f64::from(HOST_RATE)) as usize / BLOCK {
            std::thread::sleep(
                Duration::from_secs_f64((n * BLOCK) as f64 / f64::from(HOST_RATE)).saturating_sub(began.elapsed()),
            );
            let from = n % (sound.len() / BLOCK) * BLOCK;
            for (_, port) in all.iter_mut() {
                let mut block: [f32; BLOCK] = std::array::from_fn(|i| sound[from + i]);
                port.process(&mut [&mut block], &about);
            }
        }
        let took = began.elapsed().as_secs_f64();
        before.zip(usage::processor_seconds()).map(|(before, after)| (after - before) / took)
    };
    // A thread of its own, so that the priority is its own too.
    let processors = std::thread::scope(|scope| scope.spawn(|| play(&mut all)).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let sum = |f: &dyn Fn(&Counters) -> u64| all.iter().map(|(_, port)| f(&port.shared().counters())).sum();
    Ok(Load { engines, hops: sum(&|c| c.hops), late_hops: sum(&|c| c.late_hops), processors, memory: usage::memory() })
}

/// Seconds from the start of an engine to the first converted sound that is heard, everything that has to be loaded
/// included: its first hop, and the latency after it.
pub fn first_sound(source: &Arc<dyn Source>, mode: Mode) -> Result<f64, OpenError> {
    let began = Instant::now();
    let (engine, mut port) = Engine::start(some_setup(mode, BLOCK), source.clone())?;
    let about = live_block();
    let mut sound = some_speech(HOST_RATE, BLOCK);
    let mut blocks = 0;
    while port.shared().counters().hops == 0 {
        if began.elapsed() > LOADING {
            engine.wait_ready(Duration::ZERO)?;
            return Err(OpenError(format!("no sound was converted in {} s; run `mynah doctor`", LOADING.as_secs())));
        }
        port.process(&mut [&mut sound], &about);
        blocks += 1;
        std::thread::sleep(
            Duration::from_secs_f64((blocks * BLOCK) as f64 / f64::from(HOST_RATE)).saturating_sub(began.elapsed()),
        );
    }
    Ok(began.elapsed().as_secs_f64() + port.latency().total as f64 / f64::from(HOST_RATE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::IdentitySource;

    #[test]
    fn engines_are_counted_together() {
        let source: Arc<dyn Source> = Arc::new(IdentitySource::default());
        let sound = some_speech(HOST_RATE, BLOCK * 375);
        let few =
            load(&source, &Playing { engines: 3, mode: Mode::Live, captions: false, sound: &sound, seconds: 0.5 })
                .expect("measured");
        assert_eq!(few.engines, 3);
        // Three engines, half a second, a hop each 10 ms.
        assert!((100..=160).contains(&(few.hops + few.late_hops)), "{few:?}");
        let first = first_sound(&source, Mode::Live).expect("measured");
        assert!(first > 0.04 && first < 20.0, "{first}");
    }
}
