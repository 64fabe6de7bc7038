//! Streams of the sound system: a microphone into a ring, a ring into an output. What runs on a device's thread here
//! neither allocates nor waits. Knows no engine.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{
    BufferSize, ErrorKind, FromSample, SampleFormat, SizedSample, Stream, StreamConfig, SupportedBufferSize,
    SupportedStreamConfig,
};
use mynah::engine::priority;
use rtrb::Producer;

use crate::devices::Found;
use crate::follow::Follower;
use crate::trouble::Trouble;

/// The rate that is taken where a device has it, in Hz.
const RATE: u32 = 48_000;
/// Rates that the engine takes, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// Samples that an output fills at once at most; what a device asks for beyond that is filled in pieces.
const LARGEST: usize = 16_384;
/// Seconds over which the output fades where it is switched on or off.
const FADE: f32 = 0.01;

/// What a stream tells of itself while it runs.
#[derive(Debug, Default)]
pub struct Told {
    /// Writer: the device's thread. The most samples that came or went at once.
    pub largest: AtomicUsize,
    /// Writer: the device's thread. Samples so far, of one channel.
    pub samples: AtomicU64,
    /// Writer: the device's thread. Samples for which there was no room.
    pub lost: AtomicU64,
    /// Writer: the device's thread. Microseconds between the thread and the air, as the sound system has it.
    pub latency: AtomicU64,
    /// Writer: the device's thread. Microseconds that sound waits in the ring before an output.
    pub waits: AtomicU64,
    /// Writer: the device's thread. How often an output had nothing to play.
    pub dry: AtomicU32,
    /// Writer: the device's thread. Samples that an output threw away to catch up.
    pub dropped: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl Told {
    /// Why no sound comes or goes any more.
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    fn failed(&self, name: &str, e: &cpal::Error) {
        // A gap in the sound or a thread without priority ends nothing.
        if !matches!(e.kind(), ErrorKind::Xrun | ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged) {
            let why = format!("`{name}` broke off: {e}; plug it in again and start anew");
            self.problem.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(why);
        }
    }

    fn count(&self, samples: usize, latency: Duration) {
        self.largest.fetch_max(samples, Ordering::Relaxed);
        self.samples.fetch_add(samples as u64, Ordering::Relaxed);
        self.latency.store(latency.as_micros() as u64, Ordering::Relaxed);
    }
}

/// A stream that runs until it is dropped.
pub struct Running {
    _stream: Stream,
    /// What it tells.
    pub told: Arc<Told>,
}

/// How a device is going to run.
#[derive(Clone)]
pub struct Plan {
    found: Found,
    config: SupportedStreamConfig,
    period: u32,
}

impl Plan {
    /// For a microphone: 48 kHz where it can.
    pub fn input(found: &Found, period: u32) -> Result<Self, Trouble> {
        let standard = found.device.default_input_config().map_err(|e| trouble(found, &e))?;
        let ranges = found.device.supported_input_configs().map_err(|e| trouble(found, &e))?;
        Self::at(found, standard, ranges, RATE, period)
    }

    /// For an output: the microphone's rate where it can.
    pub fn output(found: &Found, rate: u32, period: u32) -> Result<Self, Trouble> {
        let standard = found.device.default_output_config().map_err(|e| trouble(found, &e))?;
        let ranges = found.device.supported_output_configs().map_err(|e| trouble(found, &e))?;
        Self::at(found, standard, ranges, rate, period)
    }

    fn at(
        found: &Found,
        standard: SupportedStreamConfig,
        ranges: impl Iterator<Item = cpal::SupportedStreamConfigRange>,
        rate: u32,
        period: u32,
    ) -> Result<Self, Trouble> {
        let fits = |r: &cpal::SupportedStreamConfigRange| {
            r.channels() == standard.channels()
                && r.sample_format() == standard.sample_format()
                && (r.min_sample_rate()..=r.max_sample_rate()).contains(&rate)
        };
        let config = ranges.into_iter().find(fits).map_or(standard, |r| r.with_sample_rate(rate));
        if !RATES.contains(&config.sample_rate()) {
            let why =
                format!("`{}` runs at {} Hz; set it to between 8,000 and 192,000 Hz", found.name, config.sample_rate());
            return Err(Trouble(why));
        }
        Ok(Self { found: found.clone(), config, period })
    }

    /// Samples a second.
    pub fn rate(&self) -> u32 {
        self.config.sample_rate()
    }

    /// How many channels the device has.
    pub fn channels(&self) -> u16 {
        self.config.channels()
    }

    /// What a person calls the device.
    pub fn name(&self) -> &str {
        &self.found.name
    }

    /// The wanted block first, then the device's own.
    fn configs(&self) -> Vec<StreamConfig> {
        let own = StreamConfig { buffer_size: BufferSize::Default, ..self.config.config() };
        let wanted = StreamConfig { buffer_size: BufferSize::Fixed(self.period), ..own };
        let can = match self.config.buffer_size() {
            SupportedBufferSize::Range { min, max } => (*min..=*max).contains(&self.period),
            SupportedBufferSize::Unknown => true,
        };
        if can { vec![wanted, own] } else { vec![own] }
    }

    /// Starts the microphone: its samples go into the ring, one channel of them or all mixed, and whoever waits for
    /// them is woken.
    pub fn record(&self, mut make: impl FnMut() -> Ear) -> Result<Running, Trouble> {
        self.start(|device, config, told| {
            let ear = make();
            match self.config.sample_format() {
                SampleFormat::I8 => ear.on::<i8>(device, config, told),
                SampleFormat::I16 => ear.on::<i16>(device, config, told),
                SampleFormat::I24 => ear.on::<cpal::I24>(device, config, told),
                SampleFormat::I32 => ear.on::<i32>(device, config, told),
                SampleFormat::U8 => ear.on::<u8>(device, config, told),
                SampleFormat::U16 => ear.on::<u16>(device, config, told),
                SampleFormat::F64 => ear.on::<f64>(device, config, told),
                _ => ear.on::<f32>(device, config, told),
            }
        })
    }

    /// Starts the output: the same sound on all its channels.
    pub fn play(&self, mut make: impl FnMut() -> Mouth) -> Result<Running, Trouble> {
        self.start(|device, config, told| {
            let mouth = make();
            match self.config.sample_format() {
                SampleFormat::I8 => mouth.on::<i8>(device, config, told),
                SampleFormat::I16 => mouth.on::<i16>(device, config, told),
                SampleFormat::I24 => mouth.on::<cpal::I24>(device, config, told),
                SampleFormat::I32 => mouth.on::<i32>(device, config, told),
                SampleFormat::U8 => mouth.on::<u8>(device, config, told),
                SampleFormat::U16 => mouth.on::<u16>(device, config, told),
                SampleFormat::F64 => mouth.on::<f64>(device, config, told),
                _ => mouth.on::<f32>(device, config, told),
            }
        })
    }

    fn start(
        &self,
        mut build: impl FnMut(&Found, StreamConfig, Arc<Told>) -> Result<Stream, cpal::Error>,
    ) -> Result<Running, Trouble> {
        let mut last = None;
        for config in self.configs() {
            let told = Arc::<Told>::default();
            match build(&self.found, config, told.clone()).and_then(|stream| stream.play().map(|()| stream)) {
                Ok(_stream) => return Ok(Running { _stream, told }),
                Err(e) => last = Some(trouble(&self.found, &e)),
            }
        }
        Err(last.unwrap_or_else(|| Trouble(format!("`{}` has no way to run", self.found.name))))
    }
}

fn trouble(found: &Found, e: &cpal::Error) -> Trouble {
    let why = e.to_string();
    Trouble(format!(
        "`{}` can't be used: {}; check that no other program holds it, or choose another (`mynah-standalone --list`)",
        found.name,
        why.trim_end_matches('.')
    ))
}

/// Sound servers on Linux leave their clients' threads at an ordinary priority, where a busy machine makes them lose
/// sound; other systems raise them. To be called by a device's thread when it first runs.
fn raise(raised: &mut bool) {
    if cfg!(target_os = "linux") && !std::mem::replace(raised, true) {
        priority::raise_own(priority::DEVICE);
    }
}

/// What takes a microphone's samples.
pub struct Ear {
    /// Where they go, mono.
    pub ring: Producer<f32>,
    /// The one channel that counts, from 0.
    pub channel: Option<usize>,
    /// Who waits for them.
    pub wake: Arc<OnceLock<Thread>>,
}

impl Ear {
    fn on<T: SizedSample>(mut self, found: &Found, config: StreamConfig, told: Arc<Told>) -> Result<Stream, cpal::Error>
    where
        f32: FromSample<T>,
    {
        let channels = usize::from(config.channels).max(1);
        let (problem, name, mut raised) = (told.clone(), found.name.clone(), false);
        let heard = move |data: &[T], info: &cpal::InputCallbackInfo| {
            raise(&mut raised);
            let at = info.timestamp();
            told.count(data.len() / channels, at.callback.duration_since(at.capture));
            self.hear(data, channels, &told);
        };
        found.device.build_input_stream(config, heard, move |e| problem.failed(&name, &e), None)
    }

    fn hear<T: SizedSample>(&mut self, data: &[T], channels: usize, told: &Told)
    where
        f32: FromSample<T>,
    {
        let scale = 1.0 / channels as f32;
        for frame in data.chunks_exact(channels) {
            let sample = match self.channel {
                Some(one) => f32::from_sample_(frame[one.min(channels - 1)]),
                None => frame.iter().map(|x| f32::from_sample_(*x)).sum::<f32>() * scale,
            };
            if self.ring.push(sample).is_err() {
                told.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        if let Some(thread) = self.wake.get() {
            thread.unpark();
        }
    }
}

/// What gives an output its samples.
pub struct Mouth {
    follower: Follower,
    /// Whether it is heard.
    audible: Arc<AtomicBool>,
    gain: f32,
    block: Vec<f32>,
}

impl Mouth {
    /// Silent while not `audible`.
    pub fn new(follower: Follower, audible: Arc<AtomicBool>) -> Self {
        Self { follower, audible, gain: 0.0, block: vec![0.0; LARGEST] }
    }

    fn on<T: SizedSample + FromSample<f32>>(
        mut self,
        found: &Found,
        config: StreamConfig,
        told: Arc<Told>,
    ) -> Result<Stream, cpal::Error> {
        let channels = usize::from(config.channels).max(1);
        let step = 1.0 / (FADE * config.sample_rate as f32);
        let (problem, name, mut raised) = (told.clone(), found.name.clone(), false);
        let play = move |data: &mut [T], info: &cpal::OutputCallbackInfo| {
            raise(&mut raised);
            let at = info.timestamp();
            told.count(data.len() / channels, at.playback.duration_since(at.callback));
            for part in data.chunks_mut(LARGEST * channels) {
                self.speak(part, channels, step);
            }
            told.waits.store((self.follower.delay() * 1e6) as u64, Ordering::Relaxed);
            let counts = self.follower.counts();
            told.dry.store(counts.dry as u32, Ordering::Relaxed);
            told.dropped.store(counts.dropped, Ordering::Relaxed);
        };
        found.device.build_output_stream(config, play, move |e| problem.failed(&name, &e), None)
    }

    fn speak<T: SizedSample + FromSample<f32>>(&mut self, data: &mut [T], channels: usize, step: f32) {
        let block = &mut self.block[..data.len() / channels];
        self.follower.pull(block);
        let aim = if self.audible.load(Ordering::Relaxed) { 1.0 } else { 0.0 };
        for (frame, x) in data.chunks_mut(channels).zip(block) {
            self.gain += (aim - self.gain).clamp(-step, step);
            frame.fill(T::from_sample_(*x * self.gain));
        }
    }
}
