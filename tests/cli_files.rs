//! The command line and sound files: which track is heard, what is told, loudness, and long captions that are stopped.
//! With the packs of this machine, and FFmpeg to make files.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use mynah::audio::{Sound, read, write_wav};
use mynah::packs::{Kind, Store};

fn mynah(folder: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mynah"));
    command.args(line.split_whitespace()).current_dir(folder).output().expect("the program runs")
}

fn ffmpeg(folder: &Path, line: &str) {
    let mut command = Command::new("ffmpeg");
    let done =
        command.args(["-nostdin", "-v", "error", "-y"]).args(line.split_whitespace()).current_dir(folder).output();
    let done = done.expect("ffmpeg is installed (`cargo xtask setup`)");
    assert!(done.status.success(), "ffmpeg {line}: {}", String::from_utf8_lossy(&done.stderr));
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn recording(name: &str) -> PathBuf {
    let pack = Store::standard().find(Kind::Recordings, None);
    pack.and_then(|p| p.file(name)).unwrap_or_else(|e| panic!("{e}; `cargo xtask setup` fetches it"))
}

/// A folder with `in.wav`: the first seconds of somebody who reads.
fn home(seconds: f64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sound = read(&recording("two_cities.wav")).expect("a recording");
    let frames = (seconds * f64::from(sound.rate)) as usize;
    sound.channels.iter_mut().for_each(|c| *c = c.iter().copied().cycle().take(frames).collect());
    write_wav(&folder.path().join("in.wav"), &sound).expect("written");
    folder
}

#[test]
fn the_track_in_which_somebody_speaks_is_captioned() {
    let home = home(6.0);
    ffmpeg(home.path(), "-f lavfi -i sine=frequency=220:duration=6 -i in.wav -map 0 -map 1 -c:a aac obs.mkv");
    let spoken = mynah(home.path(), "caption obs.mkv -o words.srt --json");
    let said = json(&spoken);
    assert!(said["recordings"][0]["words"].as_u64().is_some_and(|n| n > 5), "{said}");
    assert_eq!(said["recordings"][0]["notes"][0]["kind"], "track");
    assert!(stderr(&spoken).contains("track 2 of 2 was read (in it somebody speaks most)"), "{}", stderr(&spoken));
    let game = json(&mynah(home.path(), "caption obs.mkv -o game.srt --track 1 --json"));
    assert_eq!(game["recordings"][0]["words"], 0);
    let none = mynah(home.path(), "caption obs.mkv -o none.srt --track 3");
    assert!(stderr(&none).contains("has 2 tracks of sound, so there is no track 3"), "{}", stderr(&none));
    assert!(!none.status.success() && !home.path().join("none.srt").exists());
}

#[test]
fn what_was_lost_is_told_and_strict_writes_nothing() {
    let home = home(6.0);
    ffmpeg(home.path(), "-i in.wav -c:a libopus -bsf:a noise=drop=between(n\\,100\\,150) hole.mkv");
    let told = mynah(home.path(), "caption hole.mkv -o words.srt");
    assert!(told.status.success() && stderr(&told).contains("of sound are missing at 1.99"), "{}", stderr(&told));
    for line in ["caption hole.mkv -o strict.srt --strict", "convert hole.mkv --voice in.wav -o strict.wav --strict"] {
        let strict = mynah(home.path(), line);
        assert!(!strict.status.success() && stderr(&strict).contains("nothing was written"), "{}", stderr(&strict));
    }
    let left =
        std::fs::read_dir(home.path()).expect("listed").flatten().map(|f| f.file_name().to_string_lossy().into_owned());
    let left: Vec<String> = left.collect();
    assert!(left.iter().all(|name| !name.starts_with("strict") && !name.starts_with('.')), "{left:?}");
}

#[test]
fn opposite_channels_are_heard_and_that_is_said() {
    let home = home(6.0);
    let sound = read(&home.path().join("in.wav")).expect("read");
    let mono = sound.mono();
    let inverted = Sound { rate: sound.rate, channels: vec![mono.clone(), mono.iter().map(|x| -x).collect()] };
    write_wav(&home.path().join("inverted.wav"), &inverted).expect("written");
    let said = mynah(home.path(), "caption inverted.wav -o words.srt --json");
    assert!(stderr(&said).contains("cancel each other out"), "{}", stderr(&said));
    assert!(json(&said)["recordings"][0]["words"].as_u64().is_some_and(|n| n > 5));
    let voice = mynah(home.path(), "convert in.wav --voice inverted.wav -o out.wav");
    assert!(voice.status.success(), "{}", stderr(&voice));
    assert!(mynah(home.path(), "convert inverted.wav --voice in.wav -o out.wav").status.success());
    let loudest =
        read(&home.path().join("out.wav")).expect("read").channels[0].iter().fold(0.0f32, |a, x| a.max(x.abs()));
    assert!(loudest > 0.05, "{loudest}");
}

#[test]
fn a_result_has_the_loudness_that_was_asked_for() {
    let home = home(8.0);
    for (target, name, options) in [(-16.0, "podcast.flac", "--depth 24"), (-30.0, "soft.wav", "--depth 16")] {
        let said = json(&mynah(
            home.path(),
            &format!("convert in.wav --voice in.wav -o {name} --loudness {target} {options} --json"),
        ));
        let sound = read(&home.path().join(name)).expect("read");
        assert_eq!(sound.frames(), read(&home.path().join("in.wav")).expect("read").frames());
        let modes = ebur128::Mode::I | ebur128::Mode::TRUE_PEAK;
        let mut meter = ebur128::EbuR128::new(sound.channels.len() as u32, sound.rate, modes).expect("a meter");
        let slices: Vec<&[f32]> = sound.channels.iter().map(Vec::as_slice).collect();
        meter.add_frames_planar_f32(&slices).expect("heard");
        let loudness = meter.loudness_global().expect("loudness");
        assert!((loudness - target).abs() < 0.7, "{name}: {loudness} LUFS for {target}: {said}");
        let peak = meter.true_peak(0).expect("a peak");
        assert!(peak <= 0.9, "{name}: {peak}");
    }
}

#[cfg(unix)]
#[test]
fn captions_that_were_stopped_go_on_where_they_were() {
    let home = home(420.0);
    let whole = mynah(home.path(), "caption in.wav -o whole.txt");
    assert!(whole.status.success(), "{}", stderr(&whole));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mynah"));
    command.args(["caption", "in.wav", "-o", "words.txt"]).current_dir(home.path()).stderr(Stdio::null());
    let mut child = command.spawn().expect("starts");
    let kept = mynah::packs::user_folder().expect("a folder").join("captioned");
    let began = Instant::now();
    let newest = |after: std::time::SystemTime| {
        let files = std::fs::read_dir(&kept).into_iter().flatten().flatten();
        let mut halves = files.filter(|f| f.file_name().to_string_lossy().ends_with(".half.json"));
        halves.any(|f| f.metadata().and_then(|m| m.modified()).is_ok_and(|at| at >= after))
    };
    let start = std::time::SystemTime::now();
    while !newest(start) && child.try_wait().is_ok_and(|ended| ended.is_none()) {
        assert!(began.elapsed() < Duration::from_secs(300), "nothing was kept");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("stopped");
    child.wait().expect("ended");
    assert!(!home.path().join("words.txt").exists(), "it was stopped before its end");
    let again = mynah(home.path(), "caption in.wav -o words.txt");
    assert!(stderr(&again).contains("where it was stopped"), "{}", stderr(&again));
    let words = |name: &str| {
        std::fs::read_to_string(home.path().join(name))
            .expect("written")
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (one, other) = (words("whole.txt"), words("words.txt"));
    assert!(one.len().abs_diff(other.len()) <= one.len() / 50, "{} words for {}", other.len(), one.len());
}
