//! What Mynah reads of sound files: `cargo run --example read_sound -- FILE...` prints rate, channels, tracks, length
//! and notes of each; with `--wav FOLDER` before them what was read lies there too.

use std::path::Path;

use mynah::audio::Reader;

fn tell(path: &Path) -> Result<String, mynah::audio::AudioError> {
    let mut reader = Reader::open(path)?;
    let (mut frames, mut sum) = (0u64, 0.0f64);
    while let Some(block) = reader.next_block()? {
        frames += block[0].len() as u64;
        sum += block.iter().flatten().map(|x| f64::from(*x).powi(2)).sum::<f64>() / block.len() as f64;
    }
    let level = 10.0 * (sum / frames.max(1) as f64).log10();
    let (rate, channels) = (reader.rate(), reader.channels());
    let mut lines = vec![format!(
        "{frames} frames ({:.3} s) at {rate} Hz, {channels} channels, {level:.1} dBFS",
        frames as f64 / f64::from(rate)
    )];
    lines.extend(
        reader
            .tracks()
            .iter()
            .filter(|_| reader.tracks().len() > 1)
            .map(|t| format!("track {}: {}", t.number, t.codec)),
    );
    lines.extend(reader.notes().iter().map(|n| format!("note: {n}")));
    Ok(lines.join("\n    "))
}

fn main() {
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let folder = if arguments.first().is_some_and(|a| a == "--wav") { arguments.drain(..2).nth(1) } else { None };
    for path in &arguments {
        let path = Path::new(path);
        if let (Some(folder), Ok(sound), Some(name)) = (&folder, mynah::audio::read(path), path.file_name()) {
            let mut out = Path::new(folder).join(name).into_os_string();
            out.push(".wav");
            if let Err(e) = mynah::audio::write_wav(Path::new(&out), &sound) {
                println!("{e}");
            }
        }
        match tell(path) {
            Ok(told) => println!("{}: {told}", path.display()),
            Err(e) => println!("{}: ERROR {e}", path.display()),
        }
    }
}
