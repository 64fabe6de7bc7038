//! Mynah without a host: the plugin on the sound card (JACK, ALSA, CoreAudio or WASAPI), in a window of its own. `--help` lists the devices.

use std::process::ExitCode;

fn main() -> ExitCode {
    mynah::plugin::log_to_stderr();
    match nice_plug::prelude::nice_export_standalone::<mynah::plugin::Mynah>() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
