//! A small CLAP host, as a DAW would be one: loads a bundle from disk, keeps its main thread, plays on an audio thread
//! of its own. Or takes a plugin that is linked into the caller, and plays block by block on the caller's thread, so
//! that a test sees each one. Knows no engine; what the plugin tells of itself comes through `mynah_diagnostics` of the
//! loaded library, or from whom the caller names.

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clack_extensions::gui::{GuiApiType, GuiConfiguration, GuiSize, HostGui, HostGuiImpl, PluginGui, Window};
use clack_extensions::latency::{HostLatency, HostLatencyImpl, PluginLatency};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::PluginState;
use clack_host::events::event_types::{ParamValueEvent, TransportEvent, TransportFlags};
use clack_host::events::{EventFlags, EventHeader, Pckn};
use clack_host::extensions::prelude::{Extension, PluginExtensionSide};
use clack_host::prelude::*;
use clack_host::utils::{BeatTime, SecondsTime};

/// What goes wrong in here is told in one sentence.
pub type HostResult<T> = Result<T, Box<dyn std::error::Error>>;

/// The plugin's id.
pub const ID: &CStr = c"audio.mynah.mynah";

/// What the plugin asks of its host, noted by any thread.
#[derive(Default)]
pub struct Asked {
    restart: AtomicBool,
    callback: AtomicBool,
    /// Width and height that its window wants, in one number; 0 for no wish.
    size: AtomicU64,
    /// Its window is gone.
    closed: AtomicBool,
}

impl SharedHandler<'_> for Asked {
    fn request_restart(&self) {
        self.restart.store(true, Ordering::Relaxed);
    }

    fn request_process(&self) {}

    fn request_callback(&self) {
        self.callback.store(true, Ordering::Relaxed);
    }
}

impl HostGuiImpl for Asked {
    fn resize_hints_changed(&self) {}

    fn request_resize(&self, size: GuiSize) -> Result<(), HostError> {
        self.size.store(u64::from(size.width) << 32 | u64::from(size.height), Ordering::Relaxed);
        Ok(())
    }

    fn request_show(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn request_hide(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn closed(&self, _was_destroyed: bool) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// What the plugin tells the host's main thread.
#[derive(Default)]
pub struct Told {
    latency_changes: Cell<u32>,
}

impl MainThreadHandler<'_> for Told {}

impl HostLatencyImpl for Told {
    fn changed(&self) {
        self.latency_changes.set(self.latency_changes.get() + 1);
    }
}

/// The host's kinds of threads.
pub struct Handlers;

impl HostHandlers for Handlers {
    type Shared<'a> = Asked;
    type MainThread<'a> = Told;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _: &Self::Shared<'_>) {
        builder.register::<HostLatency>().register::<HostGui>();
    }
}

/// What came of playing.
pub struct Played {
    /// The output, channel by channel, as long as the input: not compensated.
    pub channels: Vec<Vec<f32>>,
    /// Seconds that each block took on the audio thread.
    pub blocks: Vec<f64>,
    /// Seconds of it all.
    pub took: f64,
}

/// Who tells of the plugin.
enum Teller {
    Library(libloading::Library),
    Linked(fn() -> serde_json::Value),
}

/// A plugin in its host. Stereo.
pub struct ClapHost {
    // Dropped first: the processor, then the instance, then the library.
    processor: Option<PluginAudioProcessor<Handlers>>,
    /// The instance, for what this host has no words for.
    pub plugin: PluginInstance<Handlers>,
    teller: Teller,
    rate: u32,
    block: usize,
}

impl ClapHost {
    /// Loads a bundle and makes an instance.
    pub fn open(bundle: &Path) -> HostResult<Self> {
        let bundle = std::path::absolute(bundle)?;
        let why = |e: &dyn std::fmt::Display| {
            format!("`{}` can't be loaded as a CLAP plugin: {e}; build it with `cargo xtask bundle`", bundle.display())
        };
        let file = library_of(&bundle);
        // SAFETY: the library is the plugin that was named; loading it runs its initialisers, as any host does.
        let library = unsafe { libloading::Library::new(&file) }.map_err(|e| why(&e))?;
        // SAFETY: the same library; its entry is that of a CLAP plugin.
        let entry = unsafe { PluginEntry::load(&bundle) }.map_err(|e| why(&e))?;
        Self::of(&entry, Teller::Library(library)).map_err(|e| why(&e).into())
    }

    /// An instance of a linked plugin, which `report` tells of as `mynah_diagnostics` would.
    pub fn linked(entry: &PluginEntry, report: fn() -> serde_json::Value) -> HostResult<Self> {
        Self::of(entry, Teller::Linked(report))
    }

    fn of(entry: &PluginEntry, teller: Teller) -> HostResult<Self> {
        let info = HostInfo::new("Mynah demo host", "Mynah", "", env!("CARGO_PKG_VERSION"))?;
        let plugin = PluginInstance::<Handlers>::new(|_| Asked::default(), |_| Told::default(), entry, ID, &info)?;
        Ok(Self { processor: None, plugin, teller, rate: 0, block: 0 })
    }

    /// What the plugin offers under a name.
    pub fn extension<E: Extension<ExtensionSide = PluginExtensionSide>>(&mut self, name: &str) -> HostResult<E> {
        self.plugin
            .plugin_handle()
            .get_extension::<E>()
            .ok_or_else(|| format!("the plugin lacks the extension `{name}`").into())
    }

    /// Loads a saved state.
    pub fn load(&mut self, state: &[u8]) -> HostResult<()> {
        self.load_from(&mut Cursor::new(state))
    }

    /// Loads a saved state that comes in pieces.
    pub fn load_from(&mut self, reader: &mut impl Read) -> HostResult<()> {
        let extension: PluginState = self.extension("state")?;
        let loaded = extension.load(&self.plugin.plugin_handle(), reader);
        self.answer();
        Ok(loaded?)
    }

    /// The plugin's state, as a project would keep it.
    pub fn save(&mut self) -> HostResult<Vec<u8>> {
        let mut bytes = Vec::new();
        self.save_to(&mut bytes)?;
        Ok(bytes)
    }

    /// The plugin's state, written in the pieces that the writer takes.
    pub fn save_to(&mut self, writer: &mut impl Write) -> HostResult<()> {
        let extension: PluginState = self.extension("state")?;
        Ok(extension.save(&self.plugin.plugin_handle(), writer)?)
    }

    /// Tells the plugin whether sound is rendered offline.
    pub fn render_offline(&mut self, offline: bool) -> HostResult<()> {
        let extension: PluginRender = self.extension("render")?;
        extension
            .set(&self.plugin.plugin_handle(), if offline { RenderMode::Offline } else { RenderMode::Realtime })?;
        Ok(())
    }

    /// Activates at a rate and with a largest block; gives the latency in samples.
    pub fn activate(&mut self, rate: u32, block: usize) -> HostResult<usize> {
        (self.rate, self.block) = (rate, block);
        let configuration =
            PluginAudioConfiguration { sample_rate: rate as f64, min_frames_count: 1, max_frames_count: block as u32 };
        self.processor = Some(self.plugin.activate(|_, _| (), configuration)?.into());
        self.answer();
        self.latency()
    }

    /// Makes the plugin's window, which isn't shown yet; gives the size in pixels that it wants.
    pub fn make_window(&mut self) -> HostResult<(u32, u32)> {
        let gui: PluginGui = self.extension("gui")?;
        let plugin = self.plugin.plugin_handle();
        gui.create(&plugin, GuiConfiguration { api_type: GuiApiType::X11, is_floating: false })?;
        let size = gui.get_size(&plugin).ok_or("the plugin tells no size of its window")?;
        Ok((size.width, size.height))
    }

    /// Shows it inside a window of X11's.
    pub fn show_window(&mut self, parent: u64) -> HostResult<()> {
        let gui: PluginGui = self.extension("gui")?;
        let plugin = self.plugin.plugin_handle();
        // SAFETY: the caller's window lives as long as the plugin's own in it.
        unsafe { gui.set_parent(&plugin, Window::from_x11_handle(parent as _)) }?;
        Ok(gui.show(&plugin)?)
    }

    /// Closes it.
    pub fn close_window(&mut self) -> HostResult<()> {
        let gui: PluginGui = self.extension("gui")?;
        gui.destroy(&self.plugin.plugin_handle());
        Ok(())
    }

    /// The size in pixels that the plugin's window asked for since this was asked last.
    pub fn wanted_size(&self) -> Option<(u32, u32)> {
        let size = self.plugin.access_shared_handler(|asked| asked.size.swap(0, Ordering::Relaxed));
        (size != 0).then_some(((size >> 32) as u32, size as u32))
    }

    /// Gives the plugin's window a size in pixels.
    pub fn size_window(&mut self, (width, height): (u32, u32)) -> HostResult<()> {
        let gui: PluginGui = self.extension("gui")?;
        Ok(gui.set_size(&self.plugin.plugin_handle(), GuiSize { width, height })?)
    }

    /// Whether the plugin said that its window is gone.
    pub fn window_is_closed(&self) -> bool {
        self.plugin.access_shared_handler(|asked| asked.closed.load(Ordering::Relaxed))
    }

    /// Ends what `activate` began.
    pub fn deactivate(&mut self) {
        if let Some(processor) = self.processor.take() {
            self.plugin.deactivate(processor.into_stopped());
        }
    }

    /// The latency that the plugin tells, in samples.
    pub fn latency(&mut self) -> HostResult<usize> {
        let extension: PluginLatency = self.extension("latency")?;
        Ok(extension.get(&self.plugin.plugin_handle()) as usize)
    }

    /// How often the plugin said that its latency has changed.
    pub fn latency_changes(&self) -> u32 {
        self.plugin.access_handler(|told| told.latency_changes.get())
    }

    /// Does what the plugin asked of the main thread; a restart where nothing plays.
    pub fn answer(&mut self) {
        while self.plugin.access_shared_handler(|asked| asked.callback.swap(false, Ordering::Relaxed)) {
            self.plugin.call_on_main_thread_callback();
        }
        if self.processor.is_some()
            && self.plugin.access_shared_handler(|asked| asked.restart.swap(false, Ordering::Relaxed))
        {
            self.deactivate();
            // A plugin that refuses now has no processor, which the next block tells.
            let _ = self.activate(self.rate, self.block);
        }
    }

    /// What the plugin tells of itself: the report of `mynah_diagnostics`.
    pub fn diagnostics(&self) -> HostResult<serde_json::Value> {
        let library = match &self.teller {
            Teller::Library(library) => library,
            Teller::Linked(report) => return Ok(report()),
        };
        // SAFETY: the plugin exports this function with this signature.
        let report: libloading::Symbol<unsafe extern "C" fn(*mut c_char, usize) -> usize> =
            unsafe { library.get(b"mynah_diagnostics\0") }?;
        let mut buffer = vec![0u8; 1 << 16];
        // SAFETY: the buffer has that length.
        let written = unsafe { report(buffer.as_mut_ptr().cast(), buffer.len()) };
        Ok(serde_json::from_slice(&buffer[..written.min(buffer.len() - 1)])?)
    }

    /// Waits, while the main thread does its duty, until the plugin's own report satisfies `holds`.
    pub fn until(&mut self, patience: Duration, mut holds: impl FnMut(&serde_json::Value) -> bool) -> HostResult<bool> {
        let until = Instant::now() + patience;
        loop {
            self.answer();
            if holds(&self.diagnostics()?) {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Plays stereo sound from the start of the timeline, the transport rolling, on an audio thread: in real time or as
    /// fast as it goes. The main thread does its duty meanwhile; `watch` is called there now and then with the seconds
    /// so far, and may ask the plugin things.
    pub fn play(
        &mut self,
        channels: &[Vec<f32>; 2],
        realtime: bool,
        mut watch: impl FnMut(&mut Self, f64),
    ) -> HostResult<Played> {
        self.play_while(channels, realtime, |host, seconds| {
            watch(host, seconds);
            true
        })
    }

    /// The same, as long as `watch` says so.
    pub fn play_while(
        &mut self,
        channels: &[Vec<f32>; 2],
        realtime: bool,
        mut watch: impl FnMut(&mut Self, f64) -> bool,
    ) -> HostResult<Played> {
        let processor = self.processor.take().ok_or("the plugin is not active")?.into_stopped();
        let mut processor = processor.start_processing().map_err(|e| format!("the plugin refuses to start: {e}"))?;
        let (rate, block) = (self.rate, self.block);
        let done = AtomicBool::new(false);
        let (heard, goes_on) = (AtomicU64::new(0), AtomicBool::new(true));
        let (processor, played) = std::thread::scope(|scope| {
            let audio = scope.spawn(|| {
                let played = sound(&mut processor, channels, rate, block, realtime, &heard, &goes_on);
                done.store(true, Ordering::Release);
                (processor.stop_processing(), played)
            });
            while !done.load(Ordering::Acquire) {
                if self.plugin.access_shared_handler(|asked| asked.callback.swap(false, Ordering::Relaxed)) {
                    self.plugin.call_on_main_thread_callback();
                }
                goes_on.store(watch(self, heard.load(Ordering::Relaxed) as f64 / rate as f64), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
            audio.join().map_err(|_| "the audio thread broke down")
        })?;
        self.processor = Some(processor.into());
        self.answer();
        Ok(played?)
    }

    /// The processor, started: for what this host has no words for.
    pub fn processor(&mut self) -> HostResult<&mut StartedPluginAudioProcessor<Handlers>> {
        let processor = self.processor.as_mut().ok_or("the plugin is not active")?;
        Ok(processor.ensure_processing_started()?)
    }

    /// Plays a block in place of the channels on this thread, the transport unknown.
    pub fn process(&mut self, channels: &mut [Vec<f32>; 2]) -> HostResult<ProcessStatus> {
        self.process_with(channels, &InputEvents::empty(), false)
    }

    /// The same with events; `constant` says of each channel of the input that it holds one value.
    pub fn process_with(
        &mut self,
        channels: &mut [Vec<f32>; 2],
        events: &InputEvents,
        constant: bool,
    ) -> HostResult<ProcessStatus> {
        let mut heard = channels.clone();
        let (mut inputs, mut outputs) = (AudioPorts::with_capacity(2, 1), AudioPorts::with_capacity(2, 1));
        let input = inputs.with_input_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_input_only(
                channels.iter_mut().map(|c| InputChannel::from_buffer(c, constant)),
            ),
        }]);
        let mut output = outputs.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(heard.iter_mut().map(|c| c.as_mut_slice())),
        }]);
        let status = self.processor()?.process(&input, &mut output, events, &mut OutputEvents::void(), None, None)?;
        *channels = heard;
        Ok(status)
    }

    /// Sets a parameter by its own name, as automation would.
    pub fn set(&mut self, name: &str, value: f64) -> HostResult<ProcessStatus> {
        let events = [ParamValueEvent::new(0, id(name), Pckn::match_all(), value)];
        self.process_with(&mut [vec![], vec![]], &InputEvents::from_buffer(&events), false)
    }

    /// Plays silence on this thread, and does the main thread's duty, until something holds.
    pub fn silence_until(&mut self, patience: Duration, mut holds: impl FnMut(&mut Self) -> bool) -> HostResult<bool> {
        let until = Instant::now() + patience;
        while !holds(self) {
            if Instant::now() >= until {
                return Ok(false);
            }
            let n = self.block;
            self.process(&mut [vec![0.0; n], vec![0.0; n]])?;
            self.answer();
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(true)
    }
}

/// The host's number of a parameter with this name in the plugin.
pub fn id(name: &str) -> ClapId {
    let hash = name.bytes().fold(0u32, |h, b| h.wrapping_mul(31).wrapping_add(b as u32));
    ClapId::new(hash & !(1 << 31))
}

impl Drop for ClapHost {
    fn drop(&mut self) {
        self.deactivate();
    }
}

/// On macOS a CLAP is a folder with the library inside, elsewhere the library itself.
fn library_of(bundle: &Path) -> PathBuf {
    let inside = bundle.join("Contents").join("MacOS").join(bundle.file_stem().unwrap_or_default());
    if inside.is_file() { inside } else { bundle.to_owned() }
}

/// The audio thread.
fn sound(
    processor: &mut StartedPluginAudioProcessor<Handlers>,
    channels: &[Vec<f32>; 2],
    rate: u32,
    block: usize,
    realtime: bool,
    heard: &AtomicU64,
    goes_on: &AtomicBool,
) -> Result<Played, String> {
    let frames = channels[0].len().min(channels[1].len());
    let mut output = vec![Vec::with_capacity(frames), Vec::with_capacity(frames)];
    let (mut inputs, mut outputs) = (AudioPorts::with_capacity(2, 1), AudioPorts::with_capacity(2, 1));
    let (mut dry, mut wet) = (vec![vec![0.0f32; block]; 2], vec![vec![0.0f32; block]; 2]);
    let mut blocks = Vec::with_capacity(frames / block + 1);
    let began = Instant::now();
    let mut at = 0;
    while at < frames && goes_on.load(Ordering::Relaxed) {
        let n = block.min(frames - at);
        if realtime {
            // A device asks for a block when it has played one; a host that sleeps keeps the same pace.
            let due = Duration::from_secs_f64(at as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        dry.iter_mut().zip(channels).for_each(|(d, c)| d[..n].copy_from_slice(&c[at..at + n]));
        let input = inputs.with_input_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_input_only(dry.iter_mut().map(|c| InputChannel::variable(&mut c[..n]))),
        }]);
        let mut out = outputs.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(wet.iter_mut().map(|c| &mut c[..n])),
        }]);
        let transport = rolling(at as f64 / rate as f64);
        let before = Instant::now();
        processor
            .process(
                &input,
                &mut out,
                &InputEvents::empty(),
                &mut OutputEvents::void(),
                Some(at as u64),
                Some(&transport),
            )
            .map_err(|e| format!("the plugin failed at {:.2} s: {e}", at as f64 / rate as f64))?;
        blocks.push(before.elapsed().as_secs_f64());
        output.iter_mut().zip(&wet).for_each(|(o, w)| o.extend_from_slice(&w[..n]));
        at += n;
        heard.store(at as u64, Ordering::Relaxed);
    }
    Ok(Played { channels: output, blocks, took: began.elapsed().as_secs_f64() })
}

/// The transport at a time, rolling, with no tempo.
fn rolling(seconds: f64) -> TransportEvent {
    TransportEvent {
        header: EventHeader::new_core(0, EventFlags::empty()),
        flags: TransportFlags::HAS_SECONDS_TIMELINE | TransportFlags::IS_PLAYING,
        song_pos_beats: BeatTime::from_int(0),
        song_pos_seconds: SecondsTime::from_float(seconds),
        tempo: 0.0,
        tempo_inc: 0.0,
        loop_start_beats: BeatTime::from_int(0),
        loop_end_beats: BeatTime::from_int(0),
        loop_start_seconds: SecondsTime::from_int(0),
        loop_end_seconds: SecondsTime::from_int(0),
        bar_start: BeatTime::from_int(0),
        bar_number: 0,
        time_signature_numerator: 4,
        time_signature_denominator: 4,
    }
}
