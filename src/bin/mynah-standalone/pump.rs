//! The thread between the devices: takes what the microphone heard, through the noise suppression and the engine, to
//! the outputs. Knows no device: only rings.
//!
//! It has a thread of its own because one sound goes to two devices, because noise suppression allocates, and because a
//! device's thread may not wait. A microphone's block is passed on as soon as it is there, so nothing is added but the
//! time to wake.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use mynah::dsp::denormals::FlushDenormals;
use mynah::engine::{AudioPort, priority};
use mynah::plugin::instance::Instance;
use mynah::realtime::{Block, Rendering};
use rtrb::{Consumer, Producer};

use crate::denoise::{self, Denoiser};
use crate::trouble::Trouble;

/// The longest sleep without sound.
const NAP: Duration = Duration::from_millis(5);

/// What is switched while sound runs.
#[derive(Debug, Default)]
pub struct Switches {
    /// Writer: whoever ends it. Reader: the pump.
    pub stop: AtomicBool,
    /// Writer: the person. Reader: the pump. Noise is taken out.
    pub denoise: AtomicBool,
    /// Writer: the person. Reader: the headphones. One hears oneself.
    pub monitor: Arc<AtomicBool>,
    /// Writer: the pump. Samples by which noise suppression delays at the moment.
    pub denoise_delay: AtomicUsize,
}

/// Where sound comes from and goes to.
pub struct Wires {
    /// From the microphone, mono.
    pub heard: Consumer<f32>,
    /// To each output.
    pub outs: Vec<Producer<f32>>,
    /// To whoever compares both: what was heard and what was played at the same time. What doesn't fit is left out.
    pub compare: Producer<(f32, f32)>,
}

/// Starts the thread. `block`: the most samples that the port takes at once. What waits in the ring from `heard` is
/// dropped first: it is old.
pub fn start(
    wires: Wires,
    port: AudioPort,
    block: usize,
    instance: Arc<Instance>,
    switches: Arc<Switches>,
    wake: &OnceLock<Thread>,
) -> Result<JoinHandle<()>, Trouble> {
    let pump = Pump { wires, port, block: vec![0.0; block.max(1)], clean: vec![0.0; block.max(1)], instance, switches };
    let thread = std::thread::Builder::new().name("mynah-pump".to_owned()).spawn(move || pump.run());
    let thread = thread
        .map_err(|e| Trouble(format!("a thread could not be started: {e}; close other programs and try again")))?;
    let _ = wake.set(thread.thread().clone());
    Ok(thread)
}

struct Pump {
    wires: Wires,
    port: AudioPort,
    block: Vec<f32>,
    clean: Vec<f32>,
    instance: Arc<Instance>,
    switches: Arc<Switches>,
}

impl Pump {
    fn run(mut self) {
        priority::raise_own(priority::AUDIO);
        let _flush = FlushDenormals::new();
        let mut denoiser = Denoiser::new(self.switches.denoise.load(Ordering::Relaxed));
        while self.wires.heard.pop().is_ok() {}
        let mut told = 0;
        while !self.switches.stop.load(Ordering::Relaxed) {
            let n = self.wires.heard.slots().min(self.block.len());
            if n == 0 {
                std::thread::park_timeout(NAP);
                continue;
            }
            for place in &mut self.block[..n] {
                *place = self.wires.heard.pop().unwrap_or_default();
            }
            denoiser.process(&mut self.block[..n], self.switches.denoise.load(Ordering::Relaxed));
            self.switches.denoise_delay.store(if denoiser.on() { denoise::DELAY } else { 0 }, Ordering::Relaxed);
            self.pass(n);
            let latency = self.port.latency().total as u32;
            if latency != told {
                self.instance.report(latency);
                told = latency;
            }
        }
        self.port.pause();
    }

    fn pass(&mut self, n: usize) {
        let (sound, clean) = (&mut self.block[..n], &mut self.clean[..n]);
        clean.copy_from_slice(sound);
        let params = &self.instance.params;
        let about = Block {
            controls: params.controls(),
            mix: params.mix(),
            rendering: Rendering::Live,
            song: None,
            captions: params.captions.on.value(),
        };
        self.port.process(&mut [sound], &about);
        let sound = &self.block[..n];
        for out in &mut self.wires.outs {
            // An output that does not keep up loses sound; it must not hold up the others.
            for x in sound {
                let _ = out.push(*x);
            }
        }
        for pair in self.clean[..n].iter().zip(sound) {
            let _ = self.wires.compare.push((*pair.0, *pair.1));
        }
    }
}
