//! Resampling and Whisper's features as the workers do them, timed: samples (f32, little endian) come on stdin, results
//! go to stdout, and the seconds that it took to stderr. Used by `models/recipes/evaluate/dsp.py`.
//!
//! `dsp_times resample FROM TO BLOCK` takes one channel in blocks; `dsp_times whisper` gives `[80, frames]` of 16 kHz
//! sound.

use std::io::{Read, Write, stdin, stdout};
use std::time::Instant;

use mynah::dsp::resample::Resampler;
use mynah::recognition::whisper::features::{Features, HOP};

/// Whisper's bands before `large-v3`.
const BANDS: usize = 80;

fn resample(samples: &[f32], from: u32, to: u32, block: usize) -> Vec<f32> {
    let mut resampler = Resampler::new(from, to, block);
    let mut output = vec![0.0; (samples.len() as u64 * u64::from(to) / u64::from(from)) as usize + 1];
    let mut done = 0;
    for block in samples.chunks(block) {
        resampler.push(block);
        done += resampler.pull(&mut output[done..]);
    }
    output.truncate(done);
    output
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut bytes = Vec::new();
    stdin().read_to_end(&mut bytes)?;
    let samples: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (result, took) = match words[..] {
        ["resample", from, to, block] => {
            let (from, to, block) = (from.parse()?, to.parse()?, block.parse()?);
            let began = Instant::now();
            (resample(&samples, from, to, block), began.elapsed())
        }
        ["whisper"] => {
            let mut features = Features::new(BANDS);
            let began = Instant::now();
            (features.log_mel(&samples, samples.len() / HOP), began.elapsed())
        }
        _ => return Err("give `resample FROM TO BLOCK` or `whisper`".into()),
    };
    eprintln!("{}", took.as_secs_f64());
    stdout().write_all(&result.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())?;
    Ok(())
}
