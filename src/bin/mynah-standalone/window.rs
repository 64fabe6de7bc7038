//! The plugin's own window without a host. nice-plug's standalone shell opens it and carries changes of parameters;
//! sound doesn't pass through that shell, whose streams add 150 ms, know one output only and panic where a device
//! fails. Knows no device.

use std::sync::{Arc, Mutex};

use mynah::editor::{self, MynahEditor};
use mynah::plugin::Mynah;
use mynah::plugin::instance::Instance;
use nice_plug::prelude::*;

/// The instance that the next window shows: the shell makes its plugin without asking anybody.
static SHOWN: Mutex<Option<Arc<Instance>>> = Mutex::new(None);

/// A plugin that is a window and nothing else.
struct Shell {
    instance: Arc<Instance>,
}

impl Default for Shell {
    fn default() -> Self {
        let shown = SHOWN.lock().unwrap_or_else(|e| e.into_inner()).clone();
        Self { instance: shown.unwrap_or_else(|| Instance::new(Arc::default())) }
    }
}

impl Plugin for Shell {
    const NAME: &'static str = Mynah::NAME;
    const VENDOR: &'static str = Mynah::VENDOR;
    const URL: &'static str = Mynah::URL;
    const EMAIL: &'static str = Mynah::EMAIL;
    const VERSION: &'static str = Mynah::VERSION;
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = Mynah::AUDIO_IO_LAYOUTS;

    type Editor = MynahEditor;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        self.instance.params.clone()
    }

    fn editor(&mut self, _async_executor: AsyncExecutor<Self>) -> Option<Self::Editor> {
        editor::create(self.instance.clone())
    }

    fn process(
        &mut self,
        _buffer: &mut Buffer,
        _aux: &mut AuxiliaryBuffers,
        _context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        ProcessStatus::Normal
    }

    fn setup_logger() -> Option<bool> {
        Some(false)
    }
}

/// Whether this machine has a screen, as far as can be told.
pub fn possible() -> bool {
    !cfg!(target_os = "linux")
        || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()))
}

/// Shows an instance until the window is closed: for the main thread. Tells whether there was a window.
pub fn show(instance: Arc<Instance>, scale: f64) -> bool {
    *SHOWN.lock().unwrap_or_else(|e| e.into_inner()) = Some(instance);
    // The block and rate of this backend only say how often changes of parameters are taken over.
    let arguments =
        ["mynah-standalone", "--backend", "dummy", "--period-size", "480", "--dpi-scale", &scale.to_string()];
    let shown = nice_export_standalone_with_args::<Shell, _>(arguments.map(str::to_owned));
    *SHOWN.lock().unwrap_or_else(|e| e.into_inner()) = None;
    shown
}
