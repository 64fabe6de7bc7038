//! A recogniser that hears a stream, timed: `online_times LIBRARY FOLDER BLOCK` takes 16 kHz mono samples (f32, little
//! endian) on stdin, hears them in blocks twice, and says as JSON what was heard, and of the second time, in seconds:
//! what each block took in which a chunk was heard, how much of that this thread was computing (on Unix; else the
//! same), and what all blocks took. Used by `models/recipes/evaluate/online.py`.

use std::io::{Read, stdin};
use std::path::Path;
use std::time::Instant;

use mynah::engine::Identified;
use mynah::recognition::online::OnlineRecognizer;

type Failure = Box<dyn std::error::Error>;

/// A model of any family that hears a stream, as its files are published.
fn open(folder: &Path) -> Result<Box<dyn OnlineRecognizer>, Failure> {
    let found = Identified::of(folder)?;
    let recognizer = found.open_online().ok_or_else(|| {
        format!("`{}` holds a model of the family {}, which hears no stream", folder.display(), found.family)
    })?;
    Ok(recognizer?)
}

/// Seconds that this thread has been computing.
#[cfg(unix)]
fn computing(_: Instant) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one `timespec`, which is there.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[cfg(not(unix))]
fn computing(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, folder, block] = &arguments[..] else { return Err("give LIBRARY FOLDER BLOCK".into()) };
    let block: usize = block.parse()?;
    let mut bytes = Vec::new();
    stdin().read_to_end(&mut bytes)?;
    let samples: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    mynah::runtime::init(&std::path::absolute(library)?)?;
    let mut recognizer = open(Path::new(folder))?;
    let start = Instant::now();
    let (mut tokens, mut chunks, mut computed, mut total) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
    for _ in 0..2 {
        recognizer.reset()?;
        (tokens, chunks, computed, total) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
        for block in samples.chunks(block.max(1)) {
            let heard = recognizer.heard();
            let (before, began) = (computing(start), Instant::now());
            recognizer.push(block, &mut tokens)?;
            let took = began.elapsed().as_secs_f64();
            total += took;
            if recognizer.heard() > heard {
                chunks.push(took);
                computed.push(computing(start) - before);
            }
        }
    }
    let tokens: Vec<usize> = tokens.iter().map(|t| t.id).collect();
    println!("{}", serde_json::json!({ "tokens": tokens, "chunks": chunks, "computed": computed, "total": total }));
    Ok(())
}
