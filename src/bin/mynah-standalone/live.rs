//! One run of the standalone: devices are chosen, sound runs, switches are thrown, and what must be said is said, in
//! sentences on stderr.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cpal::Host;
#[cfg(target_os = "linux")]
use cpal::traits::{DeviceTrait, HostTrait};
use mynah::engine::find_voice;
use mynah::plugin::instance::Instance;
use mynah::plugin::params::{GATE_OFF, MynahParams};
use mynah::plugin::{state, values};
use mynah::voice::PitchMode;
use rtrb::Consumer;

use crate::arguments::Arguments;
use crate::devices::{self, Choice, Found, Way};
use crate::feedback::Detector;
use crate::keys::{self, Key};
use crate::pump::Switches;
use crate::session::Session;
use crate::settings::Settings;
use crate::streams::{Plan, Told};
use crate::trouble::Trouble;
#[cfg(target_os = "linux")]
use crate::virtual_mic::VirtualMic;
use crate::window;

/// How often keys, devices and settings are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long sound has run before its delay is told.
const TOLD_AFTER: Duration = Duration::from_millis(1500);
/// How often a warning of feedback is repeated at most.
const WARNED_AGAIN: Duration = Duration::from_secs(30);
/// How long the outputs play out what they hold, so that a sink that goes away leaves nothing to be heard elsewhere.
const LAST_SOUND: Duration = Duration::from_millis(100);

/// Ended by a signal.
static ENDED: AtomicBool = AtomicBool::new(false);

fn say(line: &str) {
    eprintln!("mynah: {line}");
}

fn row(name: &str, what: &str) {
    eprintln!("  {name:<12}{what}");
}

/// Where the sound goes beside the headphones.
struct Exit {
    found: Found,
    /// What other programs choose.
    shown: String,
    #[cfg(target_os = "linux")]
    mic: Option<VirtualMic>,
}

/// Runs until the person ends it.
pub fn run(a: &Arguments) -> Result<(), Trouble> {
    ctrlc::set_handler(|| ENDED.store(true, Ordering::Relaxed)).map_err(|e| Trouble::from_error(&e))?;
    let file = Settings::file();
    let mut settings = a.over(file.as_deref().map(Settings::load).transpose()?.unwrap_or_default());
    let instance = Instance::new(Arc::<MynahParams>::default());
    let voice = voice(a, &mut settings)?;
    values::apply(&instance.params, &wanted(&settings, a.passthrough));
    instance.choose_picks(settings.picks.clone());
    if let Some(voice) = voice {
        instance.choose_voice(Some(voice));
    }

    let host = cpal::default_host();
    let input =
        devices::choose(&devices::all(&host, Way::Input)?, Way::Input, a.input.as_deref(), settings.input.as_deref())?;
    told(&input);
    let plan = Plan::input(&input.found, a.period)?;
    if plan.rate() != crate::denoise::RATE && settings.denoise {
        say(&format!(
            "noise suppression needs a microphone at 48,000 Hz, and `{}` runs at {} Hz; it is off",
            plan.name(),
            plan.rate()
        ));
        settings.denoise = false;
    }
    if settings.channel.is_some_and(|c| c > plan.channels()) {
        return Err(Trouble(format!(
            "`{}` has {} channels; give one of them with --channel",
            plan.name(),
            plan.channels()
        )));
    }
    // A connection for each output: PulseAudio takes two streams of one connection for streams that belong together,
    // and refuses them on different sinks.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(unused_mut, reason = "only a microphone of Mynah's own is taken out of it")
    )]
    let mut exit = exit(a, &cpal::default_host(), plan.rate())?;
    let headphones = headphones(a, &cpal::default_host(), &settings, exit.as_ref())?;
    remember(a, &mut settings, &input, headphones.as_ref());

    let switches = Arc::new(Switches::default());
    switches.denoise.store(settings.denoise, Ordering::Relaxed);
    switches.monitor.store(settings.monitor || exit.is_none(), Ordering::Relaxed);
    let (session, compare) =
        Session::open(a, instance, switches, &plan, &settings, exit.as_ref().map(|e| &e.found), headphones.as_ref())?;
    introduce(&session, &plan, exit.as_ref(), headphones.as_ref());

    let shows = !a.no_window && window::possible();
    if !a.no_window && !shows {
        say("there is no screen, so no window opens; --no-window says so from the start");
    }
    #[cfg(target_os = "linux")]
    let mic = exit.as_mut().and_then(|e| e.mic.take());
    let control = Control {
        instance: session.instance.clone(),
        switches: session.switches.clone(),
        input: session.input.told.clone(),
        outputs: session.outputs.iter().map(|o| o.told.clone()).collect(),
        only_headphones: exit.is_none(),
        rate: plan.rate(),
        settings,
        file,
        leaves: shows,
    };
    let work = move || {
        let outcome = control.run(compare);
        // The outputs have played out by now.
        #[cfg(target_os = "linux")]
        drop(mic);
        if control.leaves && ENDED.load(Ordering::Relaxed) {
            leave(&outcome);
        }
        outcome
    };
    let failed = |e| Trouble(format!("a thread could not be started: {e}; close other programs and try again"));
    let worker = std::thread::Builder::new().name("mynah-live".to_owned()).spawn(work).map_err(failed)?;
    if shows {
        if !window::show(session.instance.clone(), a.scale) {
            say("the window can't be opened here; Mynah goes on in the terminal");
        } else {
            session.switches.stop.store(true, Ordering::Relaxed);
        }
    }
    let outcome = worker
        .join()
        .unwrap_or_else(|_| Err(Trouble("Mynah failed in a way that nobody foresaw; start it again".to_owned())));
    drop(session);
    outcome
}

/// Ends the program although its window is open: nothing can close that from another thread. The virtual microphone is
/// gone and the settings are kept by now.
fn leave(outcome: &Result<(), Trouble>) -> ! {
    if let Err(e) = outcome {
        say(&e.to_string());
    }
    #[cfg(unix)]
    // SAFETY: nothing that is left behind needs an orderly end; destructors would take ONNX Runtime away from a worker
    // that is inside it.
    unsafe {
        libc::_exit(i32::from(outcome.is_err()))
    }
    #[cfg(not(unix))]
    std::process::exit(i32::from(outcome.is_err()))
}

fn told(choice: &Choice) {
    if let Some(note) = &choice.note {
        say(note);
    }
}

/// The target voice; one that was remembered may be gone.
fn voice(a: &Arguments, settings: &mut Settings) -> Result<Option<mynah::voice::TargetVoice>, Trouble> {
    let Some(wanted) = a.voice.as_ref().or(settings.voice.as_ref()) else { return Ok(None) };
    match find_voice(wanted) {
        Ok(voice) => {
            settings.voice = Some(voice.name.clone());
            Ok(Some(voice))
        }
        Err(e) if a.voice.is_some() => Err(Trouble::from_error(&e)),
        Err(_) => {
            say(&format!(
                "the voice `{wanted}` of last time is gone, so you are heard as you are; choose another in the window \
                 or with --voice"
            ));
            settings.voice = None;
            Ok(None)
        }
    }
}

fn wanted(settings: &Settings, bypass: bool) -> state::Settings {
    state::Settings {
        bypass,
        mode: settings.mode,
        provider: settings.provider,
        pitch: settings.semitones.map_or(PitchMode::Auto, PitchMode::Semitones),
        gate_dbfs: settings.gate.unwrap_or(GATE_OFF),
        gain_db: settings.gain,
        captions: settings.captions,
        ..state::Settings::default()
    }
}

/// The virtual microphone's inner end: made on Linux, found by name elsewhere; none where none is wanted.
fn exit(a: &Arguments, host: &Host, rate: u32) -> Result<Option<Exit>, Trouble> {
    if a.no_virtual_mic {
        return Ok(None);
    }
    #[cfg(target_os = "linux")]
    {
        let (mic, stale) = VirtualMic::make(rate)?;
        if stale > 0 {
            say("the virtual microphone of a run that was killed has been removed");
        }
        let failed =
            |e: cpal::Error| Trouble(format!("the virtual microphone can't be found: {e}; restart the sound server"));
        let is_ours = |d: &cpal::Device| d.id().is_ok_and(|id| id.id() == mic.sink);
        let device = host.output_devices().map_err(failed)?.find(is_ours);
        let none = || {
            let why = "this program hears no PulseAudio server, only ALSA, so it can't play into a virtual microphone; unset PULSE_SERVER, or \
                       go without by --no-virtual-mic --output NAME";
            Trouble(why.to_owned())
        };
        let device = device.ok_or_else(none)?;
        let found = Found { name: mic.name.clone(), id: mic.sink.clone(), standard: false, device };
        Ok(Some(Exit { found, shown: mic.name.clone(), mic: Some(mic) }))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = rate;
        let outputs = devices::all(host, Way::Output)?;
        let names: Vec<&str> = outputs.iter().map(|f| f.name.as_str()).collect();
        let Some((place, shown)) = devices::cable(&names) else {
            let which = if cfg!(target_os = "macos") { "BlackHole" } else { "VB-CABLE" };
            return Err(Trouble(format!(
                "no virtual cable was found; install {which} (free) and start again, or choose where the sound goes \
                 with --no-virtual-mic --output NAME"
            )));
        };
        Ok(Some(Exit { found: outputs[place].clone(), shown }))
    }
}

/// Where one hears oneself. Without any output of the machine there is none, which only matters where the sound has no
/// other way out.
fn headphones(a: &Arguments, host: &Host, settings: &Settings, exit: Option<&Exit>) -> Result<Option<Choice>, Trouble> {
    if exit.is_none() && a.output.is_none() && settings.output.is_none() {
        return Err(Trouble("--no-virtual-mic needs to know where the sound goes; add --output NAME".to_owned()));
    }
    let outputs: Vec<Found> =
        devices::all(host, Way::Output)?.into_iter().filter(|f| exit.is_none_or(|e| e.found.id != f.id)).collect();
    match devices::choose(&outputs, Way::Output, a.output.as_deref(), settings.output.as_deref()) {
        Ok(choice) => {
            told(&choice);
            Ok(Some(choice))
        }
        Err(e) if a.output.is_some() || exit.is_none() => Err(e),
        Err(_) => Ok(None),
    }
}

/// Only what somebody chose is remembered: where the standard device is taken, it shall be the standard device of the
/// day.
fn remember(a: &Arguments, settings: &mut Settings, input: &Choice, output: Option<&Choice>) {
    if a.input.is_some() || input.note.is_some() {
        settings.input = a.input.is_some().then(|| input.found.name.clone());
    }
    if a.output.is_some() || output.is_some_and(|o| o.note.is_some()) {
        settings.output = output.filter(|_| a.output.is_some()).map(|o| o.found.name.clone());
    }
}

fn introduce(session: &Session, plan: &Plan, exit: Option<&Exit>, headphones: Option<&Choice>) {
    let block = session.instance.readings().frame.map_or(0, |f| f.block);
    let ms = block as f64 / f64::from(plan.rate()) * 1e3;
    say("the sound runs");
    row("microphone", &format!("{}, {} Hz, {ms:.1} ms at a time", plan.name(), plan.rate()));
    if let Some(exit) = exit {
        row("goes to", &format!("{}: choose it as the microphone in OBS, Discord and the like", exit.shown));
    }
    if let Some(headphones) = headphones {
        let heard = if session.switches.monitor.load(Ordering::Relaxed) {
            ""
        } else {
            ", silent until you want to hear yourself (m)"
        };
        row("headphones", &format!("{}{heard}", headphones.found.name));
    }
    let voice = session
        .instance
        .params
        .target
        .get()
        .0
        .map_or_else(|| "none yet: choose one in the window or with --voice".to_owned(), |v| v.name);
    row("voice", &format!("{voice}; {}", session.instance.params.mode().name()));
    row("keys", keys::HELP);
}

/// What looks after a run.
struct Control {
    instance: Arc<Instance>,
    switches: Arc<Switches>,
    input: Arc<Told>,
    outputs: Vec<Arc<Told>>,
    /// There is no other way out for the sound.
    only_headphones: bool,
    rate: u32,
    settings: Settings,
    file: Option<PathBuf>,
    /// Whether a window keeps the main thread.
    leaves: bool,
}

impl Control {
    fn run(&self, mut compare: Consumer<(f32, f32)>) -> Result<(), Trouble> {
        let keys = keys::listen();
        let mut detector = Detector::new(self.rate);
        let mut warned: Option<Instant> = None;
        let mut kept = None;
        let (began, mut told_delay, mut problem) = (Instant::now(), false, None);
        let mut voice_problem = None;
        while !ENDED.load(Ordering::Relaxed) && !self.switches.stop.load(Ordering::Relaxed) {
            for key in keys.try_iter() {
                self.press(key);
            }
            while let Ok((heard, played)) = compare.pop() {
                if let Some(delay) = detector.push(heard, played)
                    && warned.is_none_or(|at| at.elapsed() > WARNED_AGAIN)
                {
                    warned = Some(Instant::now());
                    say(&format!(
                        "your microphone hears Mynah's own voice, {:.0} ms after it was played; wear headphones, or \
                         turn the speakers or the monitor (m) down",
                        delay * 1e3
                    ));
                }
            }
            if !told_delay && began.elapsed() > TOLD_AFTER {
                told_delay = true;
                row("delay", &self.delay());
            }
            let readings = self.instance.readings();
            let news = readings.problem.or(readings.status.and_then(|s| s.voice_problem));
            if news != voice_problem {
                news.iter().for_each(|why| say(why));
                voice_problem = news;
            }
            self.keep(&mut kept);
            problem = std::iter::once(&self.input).chain(&self.outputs).find_map(|told| told.problem());
            if problem.is_some() {
                ENDED.store(true, Ordering::Relaxed);
            }
            std::thread::sleep(LOOK);
        }
        self.keep(&mut kept);
        self.switches.stop.store(true, Ordering::Relaxed);
        std::thread::sleep(LAST_SOUND);
        problem.map_or(Ok(()), |why| Err(Trouble(why)))
    }

    fn press(&self, key: Key) {
        let turn = |switch: &AtomicBool| !switch.fetch_not(Ordering::Relaxed);
        let on = |on: bool| if on { "on" } else { "off" };
        match key {
            Key::Passthrough => {
                let bypass = !self.instance.params.bypass.value();
                values::set_bypass(&self.instance.params, bypass);
                say(if bypass { "your own voice, at the same delay" } else { "the other voice" });
            }
            Key::Monitor if self.only_headphones => say("the sound has no other way out, so you always hear it"),
            Key::Monitor if self.outputs.len() < 2 => {
                say("there are no headphones to hear yourself in; start anew with --output NAME")
            }
            Key::Monitor => say(&format!("hearing yourself: {}", on(turn(&self.switches.monitor)))),
            Key::Denoise if self.rate != crate::denoise::RATE => {
                say("noise suppression needs a microphone at 48,000 Hz")
            }
            Key::Denoise => say(&format!("noise suppression: {}", on(turn(&self.switches.denoise)))),
            Key::Status => {
                row("delay", &self.delay());
                row("late", &self.late());
            }
            Key::Quit => {
                self.switches.stop.store(true, Ordering::Relaxed);
                // A window can't be closed from here.
                ENDED.store(true, Ordering::Relaxed);
            }
            Key::Help => say(keys::HELP),
        }
    }

    /// All that makes up the delay from the mouth to whoever listens, as it is now.
    fn delay(&self) -> String {
        let ms = |samples: usize| samples as f64 / f64::from(self.rate) * 1e3;
        let us = |at: &std::sync::atomic::AtomicU64| at.load(Ordering::Relaxed) as f64 / 1e3;
        let mynah = ms(self.instance.reported() as usize);
        let denoise = ms(self.switches.denoise_delay.load(Ordering::Relaxed));
        let microphone = us(&self.input.latency);
        let output = self.outputs.first().map_or(0.0, |o| us(&o.waits) + us(&o.latency));
        let suppressed = if denoise > 0.0 { format!(" + noise suppression {denoise:.1} ms") } else { String::new() };
        let sum = microphone + mynah + denoise + output;
        format!("microphone {microphone:.1} ms{suppressed} + Mynah {mynah:.1} ms + output {output:.1} ms = {sum:.1} ms")
    }

    fn late(&self) -> String {
        let counters = self.instance.readings().status.map(|s| s.counters);
        let (late, hops) = counters.map_or((0, 0), |c| (c.late_hops, c.hops));
        let gaps: u32 = self.outputs.iter().map(|o| o.dry.load(Ordering::Relaxed)).sum();
        let dropped: u64 = self.outputs.iter().map(|o| o.dropped.load(Ordering::Relaxed)).sum();
        let lost = self.input.lost.load(Ordering::Relaxed) + dropped;
        format!("{late} of {hops} hops; {gaps} gaps in the output, {lost} samples lost")
    }

    /// Writes the settings where they have changed.
    fn keep(&self, kept: &mut Option<Settings>) {
        let values = values::of(&self.instance.params);
        let now = Settings {
            monitor: if self.only_headphones {
                self.settings.monitor
            } else {
                self.switches.monitor.load(Ordering::Relaxed)
            },
            denoise: self.switches.denoise.load(Ordering::Relaxed),
            voice: self.instance.params.target.get().0.map(|v| v.name),
            mode: values.mode,
            provider: values.provider,
            semitones: match values.pitch {
                PitchMode::Auto | PitchMode::Known(_) => None,
                PitchMode::Semitones(s) => Some(s),
            },
            gate: Some(values.gate_dbfs).filter(|g| *g > GATE_OFF),
            gain: values.gain_db,
            captions: values.captions,
            picks: self.instance.params.picks.get().0,
            ..self.settings.clone()
        };
        if kept.as_ref() == Some(&now) {
            return;
        }
        if let Some(Err(e)) = self.file.as_deref().map(|file| now.save(file)) {
            say(&e.to_string());
        }
        *kept = Some(now);
    }
}
