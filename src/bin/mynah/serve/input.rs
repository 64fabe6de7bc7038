//! Where `mynah serve` hears from: a sound input of the system, or a recording at its own pace. Knows the engine's
//! port, no captions.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Device, ErrorKind, FromSample, SampleFormat, SizedSample, StreamConfig, SupportedStreamConfig};

use mynah::audio::{Mono, Reader};
use mynah::engine::{AudioPort, PackSource};
use mynah::names::{Meant, did_you_mean, meant};
use mynah::realtime::{Block, Mix, Rendering};
use mynah::typed::meant as meant_path;
use mynah::voice::Controls;

use super::super::recording::{Recording, RecordingArguments};
use super::super::terminal::{Failure, Outcome, say};

/// Samples a block: 10 ms at 48 kHz.
pub const BLOCK: usize = 480;
/// Rates that the engine takes, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 8000..=192_000;

/// Something to listen to.
pub enum Input {
    /// A sound input, and how it records.
    Device(Box<Device>, SupportedStreamConfig),
    /// A recording.
    File { path: PathBuf, reader: Box<Reader> },
}

/// What both kinds of input share with whoever started them.
#[derive(Debug, Default)]
struct Shared {
    /// Writer: who started it. Reader: the input. No more sound is wanted.
    stop: AtomicBool,
    /// Writer: the input. Reader: who started it. The sound has ended and the engine knows.
    done: AtomicBool,
    problem: Mutex<Option<String>>,
}

/// An input that is heard.
pub struct Running {
    shared: Arc<Shared>,
    stream: Option<cpal::Stream>,
    thread: Option<JoinHandle<()>>,
}

fn name_of(device: &Device) -> String {
    device.description().map_or_else(|_| "an input without a name".to_owned(), |d| d.name().to_owned())
}

fn devices() -> Result<Vec<Device>, Failure> {
    let host = cpal::default_host();
    let listed = host
        .input_devices()
        .map_err(|e| Failure::Other(format!("the sound inputs can't be listed: {e}; run `mynah doctor`")))?;
    Ok(listed.collect())
}

/// Prints the names of the sound inputs, the standard one first.
pub fn list() -> Outcome {
    let standard = cpal::default_host().default_input_device();
    let id = |d: &Device| d.id().ok();
    let standard_id = standard.as_ref().and_then(id);
    let others: Vec<_> = devices()?.into_iter().filter(|d| id(d) != standard_id).collect();
    if standard.is_none() && others.is_empty() {
        return Err(Failure::Other(
            "this machine has no sound input; plug in a microphone or start the sound server".to_owned(),
        ));
    }
    if let Some(device) = standard {
        say(&format!("{} (standard)", name_of(&device)))?;
    }
    others.iter().try_for_each(|d| say(&name_of(d)))
}

impl Input {
    /// A recording where there is such a file, else the input whose name is this or holds it; without a name the
    /// system's standard input.
    pub fn find(wanted: Option<&str>) -> Result<Self, Failure> {
        let Some(wanted) = wanted else {
            let standard = cpal::default_host().default_input_device();
            let none = "this machine has no sound input; plug in a microphone, or name a recording with --input FILE";
            return Self::device(standard.ok_or_else(|| Failure::Other(none.to_owned()))?);
        };
        let file = meant_path(Path::new(wanted));
        if file.path.exists() {
            file.note.iter().for_each(|note| eprintln!("mynah: {note}"));
            let recording = Recording::open(&file.path, &RecordingArguments::default(), &PackSource::standard())?;
            return Self::file(file.path, recording.reader()?);
        }
        let mut all = devices()?;
        let names: Vec<_> = all.iter().map(name_of).collect();
        match meant(&names, wanted) {
            Meant::One(place) => Self::device(all.swap_remove(place)),
            Meant::None => {
                let guess = did_you_mean(&names, wanted);
                let why = format!(
                    "there is no file and no sound input `{wanted}`{guess} (`mynah serve --list` lists the inputs)"
                );
                Err(Failure::Other(why))
            }
            Meant::Several(n) => {
                Err(Failure::Other(format!("{n} sound inputs have `{wanted}` in their names; give one whole name")))
            }
        }
    }

    fn device(device: Device) -> Result<Self, Failure> {
        let config = device.default_input_config().map_err(|e| trouble(&device, &e))?;
        if !RATES.contains(&config.sample_rate()) {
            let why = format!(
                "{} records at {} Hz; set it to between 8,000 and 192,000 Hz",
                name_of(&device),
                config.sample_rate()
            );
            return Err(Failure::Other(why));
        }
        Ok(Self::Device(Box::new(device), config))
    }

    fn file(path: PathBuf, reader: Reader) -> Result<Self, Failure> {
        let rate = reader.rate();
        if !RATES.contains(&rate) {
            let why = format!(
                "`{}` has a rate of {rate} Hz; resample it to between 8,000 and 192,000 Hz first",
                path.display()
            );
            return Err(Failure::Other(why));
        }
        Ok(Self::File { path, reader: Box::new(reader) })
    }

    /// Samples a second.
    pub fn rate(&self) -> u32 {
        match self {
            Input::Device(_, config) => config.sample_rate(),
            Input::File { reader, .. } => reader.rate(),
        }
    }

    /// What a person calls it.
    pub fn name(&self) -> String {
        match self {
            Input::Device(device, _) => name_of(device),
            Input::File { path, .. } => {
                path.file_name().map_or_else(|| path.display(), |n| Path::new(n).display()).to_string()
            }
        }
    }

    /// Sends its sound through the port from now on.
    pub fn start(self, port: AudioPort) -> Result<Running, Failure> {
        let shared = Arc::<Shared>::default();
        let ear = Ear { port, block: vec![0.0; BLOCK], shared: shared.clone() };
        match self {
            Input::File { path, reader } => {
                let play = move || play(ear, &path, *reader);
                let thread = std::thread::Builder::new().name("mynah-player".to_owned()).spawn(play)?;
                Ok(Running { shared, stream: None, thread: Some(thread) })
            }
            Input::Device(device, config) => {
                let stream = record(&device, &config, ear).map_err(|e| trouble(&device, &e))?;
                stream.play().map_err(|e| trouble(&device, &e))?;
                Ok(Running { shared, stream: Some(stream), thread: None })
            }
        }
    }
}

fn trouble(device: &Device, e: &cpal::Error) -> Failure {
    let (name, why) = (name_of(device), e.to_string());
    let why = why.trim_end_matches('.');
    Failure::Other(format!(
        "the sound input `{name}` can't be heard: {why}; check that no other program holds it, or choose another with \
         --input"
    ))
}

/// What hears: lives on the audio thread, where nothing may allocate or wait.
struct Ear {
    port: AudioPort,
    block: Vec<f32>,
    shared: Arc<Shared>,
}

impl Ear {
    /// Hears so many mono samples, given one by one, at most a block.
    fn hear(&mut self, samples: impl Iterator<Item = f32>) {
        let mut n = 0;
        for (place, x) in self.block.iter_mut().zip(samples) {
            *place = x;
            n += 1;
        }
        let about = Block {
            controls: Controls::default(),
            mix: Mix::default(),
            rendering: Rendering::Live,
            song: None,
            captions: true,
        };
        // What comes out is the same sound, later: nobody listens to it here.
        self.port.process(&mut [&mut self.block[..n]], &about);
    }

    /// The sound has ended.
    fn end(&mut self) {
        if !self.shared.done.swap(true, Ordering::Relaxed) {
            self.port.pause();
        }
    }
}

/// Plays a recording at its own pace.
fn play(mut ear: Ear, path: &Path, mut reader: Reader) {
    let began = Instant::now();
    let rate = reader.rate();
    let mut heard = 0;
    let mut mono = Mono::new(&mut reader, rate);
    let ended = loop {
        match mono.next_samples() {
            Ok(Some(samples)) => {
                for block in samples.chunks(BLOCK) {
                    if ear.shared.stop.load(Ordering::Relaxed) {
                        return ear.end();
                    }
                    ear.hear(block.iter().copied());
                    heard += block.len();
                    let due = Duration::from_secs_f64(heard as f64 / f64::from(rate));
                    std::thread::sleep(due.saturating_sub(began.elapsed()));
                }
            }
            Ok(None) => break Ok(mono.note()),
            Err(e) => break Err(e),
        }
    };
    match ended {
        Ok(note) => reader.notes().iter().chain(&note).for_each(|note| eprintln!("mynah: {}: {note}", path.display())),
        Err(e) => *ear.shared.problem.lock().unwrap_or_else(|e| e.into_inner()) = Some(e.to_string()),
    }
    ear.end();
}

fn record(device: &Device, config: &SupportedStreamConfig, ear: Ear) -> Result<cpal::Stream, cpal::Error> {
    let how: StreamConfig = config.config();
    match config.sample_format() {
        SampleFormat::I8 => record_as::<i8>(device, how, ear),
        SampleFormat::I16 => record_as::<i16>(device, how, ear),
        SampleFormat::I24 => record_as::<cpal::I24>(device, how, ear),
        SampleFormat::I32 => record_as::<i32>(device, how, ear),
        SampleFormat::U8 => record_as::<u8>(device, how, ear),
        SampleFormat::U16 => record_as::<u16>(device, how, ear),
        SampleFormat::F64 => record_as::<f64>(device, how, ear),
        _ => record_as::<f32>(device, how, ear),
    }
}

fn record_as<T: SizedSample>(device: &Device, how: StreamConfig, mut ear: Ear) -> Result<cpal::Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let channels = usize::from(how.channels).max(1);
    let scale = 1.0 / channels as f32;
    let shared = ear.shared.clone();
    let heard = move |data: &[T], _: &cpal::InputCallbackInfo| {
        if ear.shared.stop.load(Ordering::Relaxed) {
            ear.end();
            return;
        }
        for part in data.chunks(BLOCK * channels) {
            ear.hear(
                part.chunks_exact(channels)
                    .map(|frame| frame.iter().map(|x| f32::from_sample_(*x)).sum::<f32>() * scale),
            );
        }
    };
    let failed = move |e: cpal::Error| {
        // A gap in the sound or a thread without priority costs a word at most.
        if !matches!(e.kind(), ErrorKind::Xrun | ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged) {
            let why = format!("the sound input broke off: {e}; plug it in again and start anew");
            shared.problem.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(why);
        }
    };
    device.build_input_stream(how, heard, failed, None)
}

impl Running {
    /// Whether the sound has ended by itself or by `end`.
    pub fn done(&self) -> bool {
        self.shared.done.load(Ordering::Relaxed)
    }

    /// Why no sound comes any more.
    pub fn problem(&self) -> Option<String> {
        self.shared.problem.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Ends the sound: what was said becomes final.
    pub fn end(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
        self.stream = None;
        if let Some(thread) = self.thread.take() {
            // It was told to end, and has nothing more to tell.
            let _ = thread.join();
        }
    }
}
