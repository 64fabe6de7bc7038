//! Memory and speed of long recordings: `cargo run --release --example long_file -- HOURS [SPEECH.wav]` makes a stereo
//! recording of so many hours at 48 kHz, speech and pauses of the given file (or of the fetched one) again and again,
//! runs `mynah caption` and `mynah convert` on it and prints the peak of memory and the time of each. Linux.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mynah::audio::{Depth, Format, Shape, Writer, read};
use mynah::packs::Store;

const RATE: u32 = 48_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let hours: f64 = arguments.next().map_or(Ok(4.0), |a| a.parse())?;
    let speech = match arguments.next() {
        Some(path) => path.into(),
        None => {
            let packs = Store::standard().list();
            let pack = packs
                .into_iter()
                .flatten()
                .find(|p| p.id() == "recordings")
                .ok_or("the recordings are not here; run `cargo xtask demo`")?;
            pack.folder().join("two_cities.wav")
        }
    };
    let speech = read(&speech)?;
    let speech = mynah::dsp::resample::resample_all(&speech.mono(), speech.rate, RATE);
    let folder = tempfile::tempdir()?;
    let recording = folder.path().join("long.wav");
    write(&recording, &speech, hours)?;
    println!("{hours} h of stereo at 48 kHz, {:.2} GB", std::fs::metadata(&recording)?.len() as f64 / 1e9);
    let mynah = std::env::current_exe()?.parent().and_then(Path::parent).ok_or("no folder")?.join("mynah");
    let (captions, converted) = (folder.path().join("long.srt"), folder.path().join("out.wav"));
    let voice = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reference.flac");
    let path = |p: &Path| p.to_string_lossy().into_owned();
    run(&mynah, &["caption".to_owned(), path(&recording), "-o".to_owned(), path(&captions)], hours)?;
    let convert = [
        "convert".to_owned(),
        path(&recording),
        "--voice".to_owned(),
        path(&voice),
        "--mode".to_owned(),
        "studio".to_owned(),
    ];
    run(&mynah, &[&convert[..], &["-o".to_owned(), path(&converted)]].concat(), hours)?;
    Ok(())
}

fn write(path: &Path, speech: &[f32], hours: f64) -> Result<(), Box<dyn std::error::Error>> {
    let mut writer =
        Writer::new(std::fs::File::create(path)?, Shape { rate: RATE, channels: 2 }, Format::Wav(Depth::Int16))?;
    let pause = vec![0.0; RATE as usize * 2];
    while (writer.frames() as f64) < hours * 3600.0 * f64::from(RATE) {
        writer.write(&[speech, speech])?;
        writer.write(&[&pause, &pause])?;
    }
    writer.finish()?;
    Ok(())
}

/// Runs it and prints what it took.
fn run(program: &Path, arguments: &[String], hours: f64) -> Result<(), Box<dyn std::error::Error>> {
    let began = Instant::now();
    let mut child = Command::new(program).args(arguments).spawn()?;
    let mut peak = 0.0f64;
    let status = loop {
        let about = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let kilobytes = about
            .lines()
            .find_map(|l| l.strip_prefix("VmHWM:"))
            .and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0.0) / 1024.0);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    let took = began.elapsed().as_secs_f64();
    println!(
        "mynah {}: {status}, peak {peak:.0} MiB, {took:.0} s, {:.1} times real time",
        arguments[0],
        hours * 3600.0 / took
    );
    Ok(())
}
