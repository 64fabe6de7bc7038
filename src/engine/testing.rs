//! Converters whose sound is known exactly: for tests of the crossing, of the latency and of faults, here and in
//! `tests/`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::source::{Captioner, OpenError, Opened, Source};
use super::{AudioPort, Engine, Setup};
use mynah_models::runtime::Provider;
use mynah_realtime::clock::{ConverterTiming, Mode};
use mynah_realtime::{Block, Mix, Rendering};
use mynah_recognition::stream::{Event, Settings};
use mynah_recognition::{RecognizeError, Word};
use mynah_voice::{Controls, ConvertError, Converter, TargetVoice};

/// Gives back what it got, `delay` samples later: what a perfect converter to the same voice would do.
#[derive(Debug)]
pub struct Identity {
    timing: ConverterTiming,
    line: Vec<f32>,
    sign: f32,
    faults: Arc<Faults>,
}

/// The name of a voice that gives everything back with its sign turned, so that a test can tell it from dry sound.
pub const INVERTED: &str = "Inverted";

/// What shall go wrong, switched from a test while sound runs.
#[derive(Debug, Default)]
pub struct Faults {
    /// Milliseconds that each hop takes.
    pub stall_ms: AtomicU32,
    /// The next so many hops panic.
    pub panics: AtomicU32,
    /// The next so many resets panic.
    pub reset_panics: AtomicU32,
    /// The next so many drops of a converter panic.
    pub drop_panics: AtomicU32,
    /// The next so many hops come to no end before `released`.
    pub hangs: AtomicU32,
    /// Ends the hops that hang.
    pub released: AtomicBool,
    /// The next so many hops give samples that are no numbers.
    pub not_finite: AtomicU32,
    /// The next so many hops give an error.
    pub errors: AtomicU32,
    /// The next so many loads fail.
    pub refusals: AtomicU32,
    /// The next so many loads panic.
    pub load_panics: AtomicU32,
    /// Milliseconds that loading takes.
    pub load_ms: AtomicU32,
}

impl Identity {
    /// With this timing and no faults.
    pub fn new(timing: ConverterTiming) -> Self {
        Self::with_faults(timing, Arc::default())
    }

    fn with_faults(timing: ConverterTiming, faults: Arc<Faults>) -> Self {
        Self { timing, line: vec![0.0; timing.delay + timing.hop], sign: 1.0, faults }
    }
}

fn take(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
}

impl Converter for Identity {
    fn timing(&self) -> ConverterTiming {
        self.timing
    }

    fn reset(&mut self, _hop_index: u64) {
        assert!(!take(&self.faults.reset_panics), "a panic of a reset was asked for");
        self.line.fill(0.0);
    }

    fn process(&mut self, input: &[f32], _controls: &Controls, output: &mut [f32]) -> Result<(), ConvertError> {
        let stall = self.faults.stall_ms.load(Ordering::Relaxed);
        if stall > 0 {
            std::thread::sleep(Duration::from_millis(stall as u64));
        }
        let hangs = take(&self.faults.hangs);
        while hangs && !self.faults.released.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!take(&self.faults.panics), "a panic was asked for");
        if take(&self.faults.errors) {
            return Err(ConvertError::Run("an error was asked for".to_owned()));
        }
        self.line.copy_within(self.timing.hop.., 0);
        let delay = self.timing.delay;
        self.line[delay..].copy_from_slice(input);
        output.copy_from_slice(&self.line[..self.timing.hop]);
        output.iter_mut().for_each(|x| *x *= self.sign);
        if take(&self.faults.not_finite) {
            output.fill(f32::NAN);
        }
        Ok(())
    }

    fn set_voice(&mut self, voice: &TargetVoice) {
        self.sign = if voice.name == INVERTED { -1.0 } else { 1.0 };
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || !take(&self.faults.drop_panics), "a panic of a drop was asked for");
    }
}

/// A source of identities, with a different hop and delay for each mode.
#[derive(Debug, Default)]
pub struct IdentitySource {
    /// What shall go wrong.
    pub faults: Arc<Faults>,
}

impl Source for IdentitySource {
    fn timing(&self, mode: Mode) -> Result<ConverterTiming, OpenError> {
        let (hop, delay) = match mode {
            Mode::Live => (240, 1440),
            Mode::Balanced => (480, 2400),
            Mode::Studio => (960, 4807),
        };
        Ok(ConverterTiming { rate: 24000, hop, delay })
    }

    fn slack(&self, _mode: Mode, _provider: Provider) -> f64 {
        0.008
    }

    fn open(&self, mode: Mode, voice: &TargetVoice, provider: Provider) -> Result<Opened, OpenError> {
        std::thread::sleep(Duration::from_millis(self.faults.load_ms.load(Ordering::Relaxed) as u64));
        assert!(!take(&self.faults.load_panics), "a panic of a load was asked for");
        if take(&self.faults.refusals) {
            return Err(OpenError("a refusal was asked for".to_owned()));
        }
        let mut converter = Identity::with_faults(self.timing(mode)?, self.faults.clone());
        converter.set_voice(voice);
        Ok(Opened { converter: Box::new(converter), provider, note: None })
    }

    fn captioner(&self, _: &Settings) -> Result<Box<dyn Captioner>, OpenError> {
        Ok(Box::new(Beeps::default()))
    }
}

/// Seconds of quiet after which the next loud sample is another beep.
const QUIET: f64 = 0.02;

/// A captioner that says `beep` where a stretch of sound louder than half scale begins.
#[derive(Debug, Default)]
struct Beeps {
    now: f64,
    last_loud: Option<f64>,
}

impl Captioner for Beeps {
    fn at(&mut self, seconds: f64, _events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        (self.now, self.last_loud) = (seconds, None);
        Ok(())
    }

    fn push(&mut self, samples: &[f32], _behind: f64, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        for x in samples {
            if x.abs() > 0.5 {
                if self.last_loud.is_none_or(|last| self.now - last > QUIET) {
                    let word =
                        Word { text: "beep".to_owned(), start: self.now, end: self.now + QUIET, confidence: 1.0 };
                    events.push(Event::Final(vec![word]));
                }
                self.last_loud = Some(self.now);
            }
            self.now += 1.0 / 16000.0;
        }
        Ok(())
    }

    fn end(&mut self, _events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        Ok(())
    }

    fn settled(&self) -> Option<f64> {
        Some(self.now)
    }
}

/// A target voice that no reference was needed for.
pub fn any_voice(name: &str) -> TargetVoice {
    let mut embedding = vec![0.0; 256];
    embedding[name.len() % 256] = 1.0;
    TargetVoice { name: name.to_owned(), embedding, median_pitch: 180.0, timbres: Vec::new() }
}

/// A setup with a voice, on the processor, without captions.
pub fn setup(host_rate: u32, max_block: usize, channels: usize, mode: Mode) -> Setup {
    Setup {
        host_rate,
        max_block,
        channels,
        mode,
        provider: Provider::Cpu,
        voice: Some(any_voice("a")),
        captions: false,
    }
}

/// An engine around the identity: what comes out is what went in, later.
pub fn identity(setup: Setup) -> (Engine, AudioPort, Arc<Faults>) {
    let source = IdentitySource::default();
    let faults = source.faults.clone();
    let (engine, port) = Engine::start(setup, Arc::new(source)).expect("the identity needs nothing");
    (engine, port, faults)
}

/// A block's controls as a host in its first minute has them.
pub fn block(offline: bool) -> Block<Controls> {
    let rendering = if offline { Rendering::Declared } else { Rendering::Live };
    Block { controls: Controls::default(), mix: Mix::default(), rendering, song: None, captions: false }
}

/// Sends a mono signal through in blocks of the given sizes, over and over, and gives all that comes out.
pub fn run(port: &mut AudioPort, input: &[f32], sizes: &[usize], block: &Block<Controls>) -> Vec<f32> {
    let mut output = input.to_vec();
    let mut at = 0;
    for n in sizes.iter().cycle() {
        if at >= output.len() {
            return output;
        }
        let end = (at + n).min(output.len());
        port.process(&mut [&mut output[at..end]], block);
        at = end;
    }
    output
}
