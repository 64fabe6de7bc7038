//! What runs while the standalone runs: the microphone's stream, the engine, the pump and the outputs' streams. Knows
//! no key, no settings file and no sentence but its errors.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mynah::engine::PackSource;
use mynah::plugin::instance::{Frame, Instance};
use rtrb::{Consumer, RingBuffer};

use crate::arguments::Arguments;
use crate::devices::{Choice, Found};
use crate::follow::Follower;
use crate::pump::{self, Switches, Wires};
use crate::settings::Settings;
use crate::streams::{Ear, Mouth, Plan, Running, Told};
use crate::trouble::Trouble;

/// Seconds of sound that a ring holds.
const HELD: f64 = 1.0;
/// How long a microphone settles, and how long its blocks are then watched before the engine is told how long they are.
const SETTLING: Duration = Duration::from_millis(200);
const WATCHED: Duration = Duration::from_millis(300);
/// How long a microphone may take for its first sound.
const FIRST_SOUND: Duration = Duration::from_secs(5);

/// All that runs; the streams stay on the thread that made them.
pub struct Session {
    pub instance: Arc<Instance>,
    pub switches: Arc<Switches>,
    pub input: Running,
    pub outputs: Vec<Running>,
    pump: Option<JoinHandle<()>>,
}

impl Session {
    /// Opens the microphone, the engine and the outputs, in this order. Gives what the pump heard and played, for who
    /// compares them.
    pub fn open(
        a: &Arguments,
        instance: Arc<Instance>,
        switches: Arc<Switches>,
        plan: &Plan,
        settings: &Settings,
        exit: Option<&Found>,
        headphones: Option<&Choice>,
    ) -> Result<(Self, Consumer<(f32, f32)>), Trouble> {
        let held = (HELD * f64::from(plan.rate())) as usize;
        let wake = Arc::<OnceLock<_>>::default();
        let mut heard = None;
        let input = plan.record(|| {
            let (ring, consumer) = RingBuffer::new(held);
            heard = Some(consumer);
            Ear { ring, channel: settings.channel.map(|c| usize::from(c) - 1), wake: wake.clone() }
        })?;
        let Some(heard) = heard else { return Err(Trouble(format!("`{}` gave no sound", plan.name()))) };
        let block = watch(&input.told, plan)?;
        let frame = Frame { rate: plan.rate(), block, channels: 1 };
        let port = instance.start(frame, Arc::new(PackSource::standard())).map_err(|e| Trouble::from_error(&e))?;
        instance.report(port.latency().total as u32);

        let (mut outputs, mut outs) = (Vec::new(), Vec::new());
        let always = Arc::new(AtomicBool::new(true));
        let ways = exit
            .map(|found| (found, always))
            .into_iter()
            .chain(headphones.map(|h| (&h.found, switches.monitor.clone())));
        for (found, audible) in ways {
            let out = Plan::output(found, plan.rate(), a.period)?;
            let mut producer = None;
            let running = out.play(|| {
                let (into, ring) = RingBuffer::new(held);
                producer = Some(into);
                Mouth::new(Follower::new(ring, plan.rate(), out.rate(), block), audible.clone())
            })?;
            outputs.push(running);
            outs.extend(producer);
        }
        let (compare, compared) = RingBuffer::new(held);
        let wires = Wires { heard, outs, compare };
        // While the engine was started nobody took what came.
        input.told.lost.store(0, Ordering::Relaxed);
        let pump = pump::start(wires, port, block, instance.clone(), switches.clone(), &wake)?;
        Ok((Self { instance, switches, input, outputs, pump: Some(pump) }, compared))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.switches.stop.store(true, Ordering::Relaxed);
        if let Some(pump) = self.pump.take() {
            let _ = pump.join();
        }
        self.outputs.clear();
        self.instance.end();
    }
}

/// How many samples a microphone gives at once: the block that the engine is promised.
fn watch(told: &Told, plan: &Plan) -> Result<usize, Trouble> {
    let began = Instant::now();
    while told.samples.load(Ordering::Relaxed) == 0 {
        if began.elapsed() > FIRST_SOUND || told.problem().is_some() {
            let why = told.problem().unwrap_or_else(|| {
                format!("`{}` gives no sound; check that it is plugged in and not muted", plan.name())
            });
            return Err(Trouble(why));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // A sound server may begin with all that it had kept.
    std::thread::sleep(SETTLING);
    told.largest.store(0, Ordering::Relaxed);
    std::thread::sleep(WATCHED);
    Ok(told.largest.load(Ordering::Relaxed).clamp(16, 16_384))
}
