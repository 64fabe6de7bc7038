//! The plugin's real window in a small host: loads the CLAP bundle, embeds its window in one of X11's, and plays a
//! recording through it in real time, over and over, until the standard input ends. Each line there is answered:
//! `voice` chooses the voice of the reference as a project that is loaded would, `status` is answered with what the
//! plugin tells of itself, `where` with the seconds so far.

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("window_host: it embeds windows of X11, which this system doesn't have");
    ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;
    match x11::run(&x11::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("window_host: {e}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
mod x11 {
    use std::io::{BufRead, Write};
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{Receiver, TryRecvError, channel};
    use std::time::{Duration, Instant};

    use clap::Parser;
    use clap_host::{ClapHost, HostResult};
    use mynah::audio::{self, Sound, write_wav};
    use mynah::clock::Mode;
    use mynah::dsp::resample::resample_all;
    use mynah::engine::PackSource;
    use mynah::packs::Store;
    use mynah::plugin::state::{Container, Settings, with_voice};
    use mynah::voice::TargetVoice;
    use x11rb::connection::Connection;
    use x11rb::protocol::Event;
    use x11rb::protocol::xproto::{
        AtomEnum, ConfigureWindowAux, ConnectionExt, CreateWindowAux, EventMask, PropMode, WindowClass,
    };
    use x11rb::rust_connection::RustConnection;
    use x11rb::wrapper::ConnectionExt as _;

    const RATE: u32 = 48_000;
    const BLOCK: usize = 128;
    /// The longest that it plays, in seconds.
    const LONGEST: usize = 600;

    /// Shows Mynah's window in a host that plays a recording.
    #[derive(Debug, Parser)]
    pub struct Arguments {
        /// The plugin: Mynah.clap
        #[arg(long)]
        plugin: PathBuf,
        /// The recording
        #[arg(long = "source", value_name = "RECORDING")]
        input: PathBuf,
        /// A reference of the target voice, which is chosen at the line `voice`
        #[arg(long)]
        reference: Option<PathBuf>,
        /// The folder of packs that the reference is enrolled with, where it isn't the user's
        #[arg(long)]
        packs: Option<PathBuf>,
        /// The voice's name
        #[arg(long, default_value = "Nell")]
        name: String,
        /// live, balanced or studio
        #[arg(long, default_value = "live", value_parser = mode)]
        mode: Mode,
        /// Caption what is said
        #[arg(long)]
        captions: bool,
        /// Take the processor from the voice worker now and then, as a machine does that has too much to do
        #[arg(long)]
        starve: bool,
        /// Write what was heard to this file at the end
        #[arg(long, value_name = "WAV")]
        out: Option<PathBuf>,
    }

    fn mode(text: &str) -> Result<Mode, String> {
        Mode::ALL.into_iter().find(|m| m.name() == text).ok_or_else(|| "choose live, balanced or studio".to_owned())
    }

    pub fn run(a: &Arguments) -> HostResult<()> {
        let voice = a.reference.as_ref().map(|file| enrol(file, a)).transpose()?;
        let mut host = ClapHost::open(&a.plugin)?;
        let settings = Settings { mode: a.mode, captions: a.captions, ..Settings::default() };
        host.load(&with_voice(None, &settings, Container::Clap))?;
        let project = with_voice(voice.as_ref(), &settings, Container::Clap);
        host.activate(RATE, BLOCK)?;
        let frame = HostWindow::open(&mut host)?;
        let lines = lines();
        println!("open");
        let starving = AtomicBool::new(a.starve);
        let played = std::thread::scope(|scope| {
            if a.starve {
                scope.spawn(|| starve(&starving));
            }
            let played = host.play_while(&recording(a)?, true, |host, seconds| {
                let goes_on =
                    frame.serve(host).unwrap_or(false) && answer(host, seconds, &lines, &project).unwrap_or(false);
                if !goes_on {
                    starving.store(false, Ordering::Relaxed);
                }
                goes_on
            });
            starving.store(false, Ordering::Relaxed);
            played
        })?;
        host.close_window()?;
        if let Some(out) = &a.out {
            write_wav(out, &Sound { rate: RATE, channels: played.channels })?;
        }
        Ok(())
    }

    /// The voice of a reference, from the packs that the plugin may lack.
    fn enrol(reference: &Path, a: &Arguments) -> HostResult<TargetVoice> {
        let packs = a.packs.clone().map_or_else(PackSource::standard, |folder| PackSource::at(Store::at([folder])));
        Ok(packs.enroller()?.enrol(&audio::read(reference)?, &a.name)?)
    }

    /// The recording at the host's rate, stereo, over and over.
    fn recording(a: &Arguments) -> HostResult<[Vec<f32>; 2]> {
        let sound = audio::read(&a.input)?;
        let once = resample_all(&sound.mono(), sound.rate, RATE);
        let all: Vec<f32> = once.iter().copied().cycle().take(LONGEST * RATE as usize).collect();
        Ok([all.clone(), all])
    }

    /// The lines of the standard input.
    fn lines() -> Receiver<String> {
        let (tx, rx) = channel();
        std::thread::spawn(move || {
            std::io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| tx.send(line))
        });
        rx
    }

    /// Answers what was asked; tells whether it goes on.
    fn answer(host: &mut ClapHost, seconds: f64, lines: &Receiver<String>, project: &[u8]) -> HostResult<bool> {
        loop {
            match lines.try_recv() {
                Ok(line) => match line.trim() {
                    "status" => println!("{}", host.diagnostics()?["instances"][0]),
                    "voice" => {
                        host.load(project)?;
                        println!("chosen");
                    }
                    "where" => println!("{seconds:.3}"),
                    other => println!("`{other}` is not known; write voice, status or where"),
                },
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => return Ok(false),
            }
            std::io::stdout().flush()?;
        }
    }

    /// The host's own window, around the plugin's.
    struct HostWindow {
        x: RustConnection,
        window: u32,
        closing: u32,
    }

    impl HostWindow {
        fn open(host: &mut ClapHost) -> HostResult<Self> {
            let (x, screen) = x11rb::connect(None).map_err(|e| format!("there is no screen: {e}; set DISPLAY"))?;
            let root = &x.setup().roots[screen];
            let window = x.generate_id()?;
            let events = CreateWindowAux::new().event_mask(EventMask::STRUCTURE_NOTIFY);
            x.create_window(
                root.root_depth,
                window,
                root.root,
                0,
                0,
                100,
                100,
                0,
                WindowClass::INPUT_OUTPUT,
                root.root_visual,
                &events,
            )?;
            x.change_property8(PropMode::REPLACE, window, AtomEnum::WM_NAME, AtomEnum::STRING, b"Mynah in its host")?;
            let (protocols, closing) = (
                x.intern_atom(false, b"WM_PROTOCOLS")?.reply()?.atom,
                x.intern_atom(false, b"WM_DELETE_WINDOW")?.reply()?.atom,
            );
            x.change_property32(PropMode::REPLACE, window, protocols, AtomEnum::ATOM, &[closing])?;
            x.map_window(window)?;
            x.sync()?;
            let this = Self { x, window, closing };
            // The size first: a window that is resized while it is being shown may lose its first picture.
            this.resize(host.make_window()?)?;
            this.x.sync()?;
            host.show_window(window.into())?;
            Ok(this)
        }

        fn resize(&self, (width, height): (u32, u32)) -> HostResult<()> {
            self.x.configure_window(self.window, &ConfigureWindowAux::new().width(width).height(height))?;
            Ok(self.x.flush()?)
        }

        /// Does what the two windows ask of each other; tells whether they are still there.
        fn serve(&self, host: &mut ClapHost) -> HostResult<bool> {
            if let Some(size) = host.wanted_size() {
                self.resize(size)?;
                host.size_window(size)?;
            }
            while let Some(event) = self.x.poll_for_event()? {
                match event {
                    Event::ConfigureNotify(e) if e.window == self.window => {
                        host.size_window((e.width.into(), e.height.into()))?
                    }
                    Event::ClientMessage(e) if e.data.as_data32()[0] == self.closing => return Ok(false),
                    _ => {}
                }
            }
            Ok(!host.window_is_closed())
        }
    }

    /// Seconds from one shortage to the next, and how long one lasts.
    const SHORTAGE: (f64, f64) = (1.3, 0.07);

    /// Puts the voice worker on one core with a thread that has the better claim to it, and lets that one work now and
    /// then.
    fn starve(goes_on: &AtomicBool) {
        // SAFETY: all-zero bytes are an empty set.
        let mut core: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set lives, and has a place 0.
        unsafe { libc::CPU_SET(0, &mut core) };
        let pin = |thread: i32| {
            // SAFETY: the set is initialised and of the size that is told; a thread that is gone is an error and
            // nothing more.
            _ = unsafe { libc::sched_setaffinity(thread, std::mem::size_of::<libc::cpu_set_t>(), &core) };
        };
        pin(0);
        while goes_on.load(Ordering::Relaxed) {
            for thread in threads("mynah-voice") {
                pin(thread);
                let least = libc::sched_param { sched_priority: 0 };
                // SAFETY: the parameter lives; a thread that is gone is an error and nothing more.
                _ = unsafe { libc::sched_setscheduler(thread, libc::SCHED_IDLE, &least) };
            }
            let until = Instant::now() + Duration::from_secs_f64(SHORTAGE.1);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            std::thread::sleep(Duration::from_secs_f64(SHORTAGE.0 - SHORTAGE.1));
        }
    }

    /// This process's threads of a name.
    fn threads(name: &str) -> Vec<i32> {
        let named =
            |id: &i32| std::fs::read_to_string(format!("/proc/self/task/{id}/comm")).is_ok_and(|n| n.trim() == name);
        let all = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        all.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter(named).collect()
    }
}
