//! The plugin shell for CLAP, VST3 and the standalone: parameters in, sound through the engine, latency out. Thin: it
//! knows no model.
//!
//! The audio thread reads atomics of parameters and drives `AudioPort`; everything that waits or allocates belongs to
//! `instance`.

pub mod audition;
pub mod check;
pub mod closeness;
#[cfg(debug_assertions)]
#[doc(hidden)]
pub mod demand;
pub mod diagnostics;
pub mod diary;
pub mod enrolment;
mod entry;
#[doc(hidden)]
pub mod faults;
pub mod history;
pub mod host;
pub mod instance;
pub mod keeper;
pub mod models;
pub mod outlets;
pub mod params;
pub mod presets;
pub mod readings;
pub mod state;
mod timeline;
pub mod values;
pub mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use assert_no_alloc::assert_no_alloc;
use nice_plug::prelude::*;

use crate::dsp::denormals::FlushDenormals;
use crate::editor::{self, MynahEditor};
use crate::engine::booth::BoothSide;
use crate::engine::{AudioPort, PackSource, Source};
use crate::realtime::{Block, Rendering, WithoutEngine};
pub use entry::clap_entry;
use faults::Call;
use instance::{Frame, Instance};
use params::MynahParams;
use timeline::{Timeline, Told};

/// Rates that the engine takes, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=768_000;
/// The largest block that counts towards the latency.
const LARGEST_BLOCK: usize = 16_384;

static LOGS: AtomicBool = AtomicBool::new(false);

/// Lets the shell log to the standard error stream, as a program of one's own may. In a host it stays silent: a logger
/// or a panic hook that outlives an unloaded plugin would crash it.
pub fn log_to_stderr() {
    LOGS.store(true, Ordering::Relaxed);
}

static SOURCE: Mutex<Option<Arc<dyn Source>>> = Mutex::new(None);

/// Takes another source of voices for all instances that a host starts from now on, in place of the packs. For hosts of
/// one's own and tests.
pub fn use_source(source: Arc<dyn Source>) {
    *SOURCE.lock().unwrap_or_else(|e| e.into_inner()) = Some(source);
}

fn source() -> Arc<dyn Source> {
    let mut held = SOURCE.lock().unwrap_or_else(|e| e.into_inner());
    held.get_or_insert_with(standard_source).clone()
}

fn standard_source() -> Arc<dyn Source> {
    Arc::new(PackSource::standard())
}

/// The plugin.
pub struct Mynah {
    params: Arc<MynahParams>,
    instance: Arc<Instance>,
    port: Option<AudioPort>,
    /// What is heard where there is no port.
    without: WithoutEngine,
    booth: Option<BoothSide>,
    frame: Option<Frame>,
    /// Whether the host said at the activation that it renders.
    offline: bool,
    timeline: Timeline,
    /// The latency in samples that the host was told.
    reported: u32,
}

impl Default for Mynah {
    fn default() -> Self {
        let params = Arc::new(MynahParams::default());
        let instance = Instance::new(params.clone());
        let booth = instance.booth.side();
        Self {
            params,
            instance,
            port: None,
            without: WithoutEngine::new(0, 0),
            booth,
            frame: None,
            offline: false,
            timeline: Timeline::default(),
            reported: 0,
        }
    }
}

impl Mynah {
    /// Whether the engine that runs fits what is wanted; it is then only reset.
    fn keeps_engine(&mut self, frame: Frame) -> bool {
        let Some(port) = &mut self.port else { return false };
        // Takes a crossing that waits: its latency is the one to tell.
        port.reset();
        let status = self.instance.readings().status;
        let fits = status.is_some_and(|s| s.mode == self.params.mode() && s.latency == port.latency());
        self.frame == Some(frame) && fits
    }

    fn tell_latency(&mut self) -> u32 {
        self.reported = self.port.as_ref().map_or(0, |p| p.latency().total as u32);
        self.instance.report(self.reported);
        self.reported
    }

    /// The sound broke down: from now on what the mix says stands in for the voice, at the latency that the host knows.
    /// Allocates once, as the panic did.
    fn give_up(&mut self) {
        if let Some(port) = self.port.take() {
            // Its drop could break down as well, and frees memory.
            std::mem::forget(port);
        }
        self.instance.sound_broke_down();
        self.without = WithoutEngine::new(self.frame.map_or(0, |f| f.channels), self.reported as usize);
    }

    /// What a host's call does: a panic must not get past it, since it would end the host. The sound is given up then,
    /// and the call gives `otherwise`.
    fn guarded<T>(&mut self, otherwise: T, work: impl FnOnce(&mut Self) -> T) -> T {
        catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or_else(|_| {
            self.give_up();
            otherwise
        })
    }

    fn try_activate(
        &mut self,
        layout: &AudioIOLayout,
        config: &BufferConfig,
        context: &mut impl ActivateContext<Self>,
    ) {
        faults::check(Call::Activate);
        let frame = Frame {
            rate: config.sample_rate.round() as u32,
            block: (config.max_buffer_size as usize).clamp(1, LARGEST_BLOCK),
            channels: layout.main_output_channels.map_or(0, |n| n.get() as usize),
        };
        self.offline = config.process_mode == ProcessMode::Offline;
        host::load();
        if !RATES.contains(&frame.rate) {
            self.port = None;
            self.instance.halt(format!(
                "the host's rate is {} Hz; Mynah needs 8,000 to 768,000 Hz and converts nothing",
                frame.rate
            ));
        } else if !self.keeps_engine(frame) {
            self.port = None;
            // Without an engine the sound stays dry, and the editor tells why.
            self.port = self.instance.start(frame, source()).ok();
        }
        self.frame = Some(frame);
        self.without = WithoutEngine::new(frame.channels, 0);
        if let Some(booth) = &mut self.booth {
            booth.prepare(frame.rate);
        }
        context.set_latency_samples(self.tell_latency());
    }

    /// Who says that the block which is processed now is rendered.
    fn rendering(&self) -> Rendering {
        match entry::says_offline().unwrap_or(self.offline) {
            true => Rendering::Declared,
            false if host::renders_unsaid() => Rendering::Unsaid,
            false => Rendering::Live,
        }
    }

    fn try_process(&mut self, buffer: &mut Buffer, context: &mut impl ProcessContext<Self>) -> ProcessStatus {
        faults::check(Call::Process);
        let rendering = self.rendering();
        let Some(port) = &mut self.port else {
            self.without.process(buffer.as_slice(), &self.params.mix());
            return ProcessStatus::Normal;
        };
        let transport = context.transport();
        let seconds = buffer.samples() as f64 / transport.sample_rate.max(1.0) as f64;
        let told = transport.pos_seconds().filter(|_| transport.playing);
        let told = told.map(|seconds| Told { seconds, beats: transport.pos_beats(), tempo: transport.tempo });
        let block = Block {
            controls: self.params.controls(),
            mix: self.params.mix(),
            rendering,
            song: self.timeline.place(told, seconds),
            captions: self.params.captions.on.value(),
        };
        let booth = &mut self.booth;
        let audition = assert_no_alloc(|| {
            let channels = buffer.as_slice();
            booth.iter_mut().for_each(|b| b.input(channels));
            port.process(channels, &block);
            booth
                .as_mut()
                .is_some_and(|b| b.output(channels, block.rendering != Rendering::Declared && !block.mix.bypass))
        });
        let l = port.latency();
        if l.total as u32 != self.reported {
            context.set_latency_samples(self.tell_latency());
        }
        if audition {
            return ProcessStatus::KeepAlive;
        }
        // What went in comes out a latency later, and rings on through the kernels; a host that stops at silence would
        // cut off the end.
        ProcessStatus::Tail((l.total + l.hop + l.resample_in + l.resample_out) as u32)
    }
}

impl Drop for Mynah {
    fn drop(&mut self) {
        self.port = None;
        self.instance.end();
    }
}

impl Plugin for Mynah {
    const NAME: &'static str = "Mynah";
    const VENDOR: &'static str = "Mynah";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = &[layout(2, "Stereo"), layout(1, "Mono")];

    /// Automation acts at its place inside a block, so that a bounce is the same whatever blocks the host sends.
    const SAMPLE_ACCURATE_AUTOMATION: bool = true;

    type Editor = MynahEditor;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        self.params.clone()
    }

    fn filter_state(state: &mut PluginState) {
        state::keep_own(state);
    }

    fn editor(&mut self, _async_executor: AsyncExecutor<Self>) -> Option<Self::Editor> {
        catch_unwind(AssertUnwindSafe(|| editor::create(self.instance.clone()))).unwrap_or(None)
    }

    fn activate(
        &mut self,
        layout: &AudioIOLayout,
        config: &BufferConfig,
        context: &mut impl ActivateContext<Self>,
    ) -> bool {
        self.guarded((), |plugin| plugin.try_activate(layout, config, context));
        true
    }

    fn reset(&mut self) {
        self.guarded((), |plugin| {
            faults::check(Call::Reset);
            plugin.timeline = Timeline::default();
            plugin.without.reset();
            if let Some(port) = &mut plugin.port {
                port.reset();
            }
        });
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _aux: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let _flush = FlushDenormals::new();
        self.guarded(None, |plugin| Some(plugin.try_process(buffer, context))).unwrap_or_else(|| {
            self.without.process(buffer.as_slice(), &self.params.mix());
            ProcessStatus::Normal
        })
    }

    fn stop_processing(&mut self) {
        self.guarded((), |plugin| {
            faults::check(Call::Stop);
            if let Some(port) = &mut plugin.port {
                port.pause();
            }
        });
    }

    fn deactivate(&mut self) {
        self.stop_processing();
    }

    fn setup_logger() -> Option<bool> {
        // `None` is the shell's own logger. `Some(true)` would put its panic hook in, which says nothing without that
        // logger.
        (!LOGS.load(Ordering::Relaxed)).then_some(false)
    }
}

impl ClapPlugin for Mynah {
    const CLAP_ID: &'static str = "audio.mynah.mynah";
    const CLAP_DESCRIPTION: Option<&'static str> = Some(env!("CARGO_PKG_DESCRIPTION"));
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] = &[
        ClapFeature::AudioEffect,
        ClapFeature::PitchShifter,
        ClapFeature::Analyzer,
        ClapFeature::Utility,
        ClapFeature::Stereo,
        ClapFeature::Mono,
    ];

    fn remote_controls(&self, context: &mut impl RemoteControlsContext) {
        let p = &self.params;
        context.add_section("Mynah", |section| {
            section.add_page("Voice", |page| {
                page.add_param(&p.voice.on);
                page.add_param(&p.voice.mode);
                page.add_param(&p.voice.pitch);
                page.add_param(&p.voice.semitones);
            });
            section.add_page("Sound", |page| {
                page.add_param(&p.sound.gate);
                page.add_param(&p.sound.mix);
                page.add_param(&p.sound.gain);
                page.add_param(&p.sound.late);
                page.add_param(&p.bypass);
            });
            section.add_page("Captions", |page| page.add_param(&p.captions.on));
        });
    }
}

impl Vst3Plugin for Mynah {
    const VST3_CLASS_ID: [u8; 16] = *b"MynahVoiceCapt01";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] = &[
        Vst3SubCategory::Fx,
        Vst3SubCategory::PitchShift,
        Vst3SubCategory::Analyzer,
        Vst3SubCategory::Stereo,
        Vst3SubCategory::Mono,
    ];
}

const fn layout(channels: u32, name: &'static str) -> AudioIOLayout {
    let names = PortNames { layout: Some(name), ..PortNames::const_default() };
    let port = NonZeroU32::new(channels);
    AudioIOLayout { main_input_channels: port, main_output_channels: port, names, ..AudioIOLayout::const_default() }
}
