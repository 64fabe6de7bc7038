//! Reads sound files of at most 30 s with the recogniser alone, without streaming: a JSON line a file with its words
//! and the time it took.
//!
//! `cargo run --example recognise -- LIBRARY PACK_FOLDER FILE…`; used by `models/recipes/golden/compare_whisper.py`.

use std::path::Path;
use std::time::Instant;

use mynah::recognition::Recognizer;
use mynah::recognition::whisper::Whisper;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, folder, files @ ..] = &arguments[..] else { return Err("give LIBRARY PACK_FOLDER FILE…".into()) };
    mynah::runtime::init(&std::path::absolute(library)?)?;
    let mut whisper = Whisper::open(Path::new(folder), &Default::default())?;
    for file in files {
        let sound = mynah::audio::read(Path::new(file))?;
        let samples = mynah::dsp::resample::resample_all(&sound.mono(), sound.rate, 16_000);
        let start = Instant::now();
        let words = whisper.transcribe(&samples, "")?;
        let took = start.elapsed().as_secs_f64();
        println!(
            "{}",
            serde_json::json!({ "file": file, "seconds": samples.len() as f64 / 16_000.0, "took": took, "words": words })
        );
    }
    Ok(())
}
