//! A recogniser that hears a stream, timed: `online_times LIBRARY FOLDER BLOCK` takes 16 kHz mono samples (f32, little endian) on stdin, hears them in
//! blocks twice, and says as JSON what was heard, what each block took in which a chunk was heard, and what all blocks took the second time, in seconds.
//! Used by `models/recipes/evaluate/online.py`.

use std::io::{Read, stdin};
use std::path::Path;
use std::time::Instant;

use mynah::captions::online::OnlineRecognizer;
use mynah::captions::online::ctc::Ctc;
use mynah::captions::online::paraformer::{self, Paraformer};
use mynah::captions::online::transducer::{Files, Transducer};
use mynah::runtime::SessionOptions;

type Failure = Box<dyn std::error::Error>;

/// As `models/recipes/contracts` names the files.
fn open(folder: &Path) -> Result<Box<dyn OnlineRecognizer>, Failure> {
    let (options, file) = (SessionOptions::default(), |name: &str| folder.join(name));
    let (encoder, decoder, joiner, tokens) = (file("encoder.onnx"), file("decoder.onnx"), file("joiner.onnx"), file("tokens.txt"));
    if joiner.exists() {
        return Ok(Box::new(Transducer::open(&Files { encoder, decoder, joiner, tokens }, &options)?));
    }
    if decoder.exists() {
        return Ok(Box::new(Paraformer::open(&paraformer::Files { encoder, decoder, tokens }, &options)?));
    }
    Ok(Box::new(Ctc::open(&file("model.onnx"), &tokens, &options)?))
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
    let (mut tokens, mut chunks, mut total) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..2 {
        recognizer.reset()?;
        (tokens, chunks, total) = (Vec::new(), Vec::new(), 0.0);
        for block in samples.chunks(block.max(1)) {
            let heard = recognizer.heard();
            let began = Instant::now();
            recognizer.push(block, &mut tokens)?;
            let took = began.elapsed().as_secs_f64();
            total += took;
            if recognizer.heard() > heard {
                chunks.push(took);
            }
        }
    }
    let tokens: Vec<usize> = tokens.iter().map(|t| t.id).collect();
    println!("{}", serde_json::json!({ "tokens": tokens, "chunks": chunks, "total": total }));
    Ok(())
}
