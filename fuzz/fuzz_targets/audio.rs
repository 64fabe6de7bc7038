#![no_main]

// libFuzzer ends the process at any panic. Those of the decoders, which are other people's, are caught by `mynah::audio` and told as damage.
fn spare_decoders() {
    let ends = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|at| at.file().contains("/symphonia-")) {
            ends(panic);
        }
    }));
}

libfuzzer_sys::fuzz_target!(init: spare_decoders(), |data: &[u8]| mynah::fuzzing::run("audio", data));
