//! The standalone against a real sound server, which each test starts for itself: PulseAudio without a sound card, with
//! a sink that stands for the air before a microphone and one that stands for headphones. With the packs of this
//! machine; skipped, with a line, where no server is installed.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mynah::audio::{Sound, read, write_wav};
use mynah::dsp::resample::resample_all;
use mynah::packs::{Kind, Store};
use realfft::RealFftPlanner;

const RATE: u32 = 48_000;

/// A program that must not outlive the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A sound server of the test's own, in a folder of its own.
struct Server {
    home: tempfile::TempDir,
    _daemon: Ends,
}

impl Server {
    /// None where PulseAudio isn't installed.
    fn start() -> Option<Self> {
        let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
        if let Some(missing) = ["pulseaudio", "pactl", "parec", "paplay"].into_iter().find(|p| !there(p)) {
            println!("skipped: `{missing}` is not installed (`cargo xtask setup`)");
            return None;
        }
        let home = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("pulseaudio");
        command.args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--log-level=error"]);
        for module in [
            "module-native-protocol-unix auth-anonymous=1",
            "module-null-sink sink_name=air rate=48000",
            "module-remap-source master=air.monitor source_name=mic \
             source_properties=device.description=Test-microphone",
            "module-null-sink sink_name=phones rate=48000 sink_properties=device.description=Test-headphones",
        ] {
            command.arg(format!("--load={module}"));
        }
        let daemon = Ends(inside(&mut command, home.path()).stderr(Stdio::null()).spawn().expect("the server starts"));
        let server = Self { home, _daemon: daemon };
        until("the server answers", || server.pactl(&["list", "short", "sources"]).contains("mic"));
        Some(server)
    }

    fn pactl(&self, arguments: &[&str]) -> String {
        let output = inside(Command::new("pactl").args(arguments), self.home.path()).output().expect("pactl");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// How many modules of Mynah are loaded.
    fn modules(&self) -> usize {
        self.pactl(&["list", "short", "modules"]).matches("mynah.owner=").count()
    }

    fn standalone(&self, arguments: &[&str]) -> Standalone {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mynah-standalone"));
        let packs = mynah::packs::user_folder().expect("a data folder").join("packs");
        inside(&mut command, self.home.path()).arg("--no-window").args(arguments).env("MYNAH_PACKS", packs);
        let piped = command.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = piped.spawn().expect("the program runs");
        let stdin = child.stdin.take().expect("its stdin");
        let stderr = BufReader::new(child.stderr.take().expect("its stderr"));
        let said = Arc::<Mutex<Vec<String>>>::default();
        let into = said.clone();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|l| into.lock().expect("lines").push(l))
        });
        Standalone { child: Ends(child), stdin, said }
    }

    /// Plays a recording into the air before the microphone, and gives what a source hears meanwhile.
    fn heard(&self, clip: &Path, source: &str, seconds: f64) -> Vec<f32> {
        let mut record = Command::new("parec");
        record.args([
            &format!("--device={source}"),
            "--format=float32le",
            "--rate=48000",
            "--channels=1",
            "--raw",
            "--latency-msec=50",
        ]);
        let mut record = Ends(inside(&mut record, self.home.path()).stdout(Stdio::piped()).spawn().expect("parec"));
        let mut play = Command::new("paplay");
        play.arg("--device=air").arg(clip);
        let _play = Ends(inside(&mut play, self.home.path()).spawn().expect("paplay"));
        let mut bytes = vec![0; (seconds * f64::from(RATE)) as usize * 4];
        record.0.stdout.take().expect("its stdout").read_exact(&mut bytes).expect("sound");
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }
}

/// A program that talks to the test's server and keeps its settings in the test's folder.
fn inside<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env("XDG_RUNTIME_DIR", home).env("HOME", home).env("TMPDIR", home).env("MYNAH_HOME", home.join("data"));
    ["PULSE_SERVER", "PULSE_RUNTIME_PATH", "PULSE_COOKIE", "DISPLAY", "WAYLAND_DISPLAY"].iter().for_each(|name| {
        command.env_remove(name);
    });
    command
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: it did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

struct Standalone {
    child: Ends,
    stdin: ChildStdin,
    said: Arc<Mutex<Vec<String>>>,
}

impl Standalone {
    fn said(&self) -> String {
        self.said.lock().expect("lines").join("\n")
    }

    fn waits_for(&self, words: &str) {
        until(words, || self.said().contains(words));
    }

    fn press(&mut self, key: &str, answer: &str) {
        let before = self.said().matches(answer).count();
        writeln!(self.stdin, "{key}").expect("it reads");
        until(answer, || self.said().matches(answer).count() > before);
    }

    fn signal(&self, signal: i32) {
        // SAFETY: a signal to a process that this test started and has not waited for; it can't touch this process's
        // memory.
        unsafe { libc::kill(self.child.0.id() as i32, signal) };
    }

    fn ends_well(mut self) {
        let status = self.child.0.wait().expect("an end");
        assert!(status.success(), "{status}: {}", self.said());
    }
}

fn recording(name: &str) -> PathBuf {
    let pack = Store::standard().find(Kind::Recordings, None);
    pack.and_then(|p| p.file(name)).unwrap_or_else(|e| panic!("{e}; `cargo xtask setup` fetches it"))
}

/// The first seconds of a recording at 48 kHz, as a file in `folder` and as samples.
fn clip(folder: &Path, seconds: usize) -> (PathBuf, Vec<f32>) {
    let sound = read(&recording("two_cities.wav")).expect("a recording");
    let mut mono = resample_all(&sound.mono(), sound.rate, RATE);
    mono.truncate(RATE as usize * seconds);
    let path = folder.join("clip.wav");
    write_wav(&path, &Sound { rate: RATE, channels: vec![mono.clone()] }).expect("written");
    (path, mono)
}

fn level(sound: &[f32]) -> f64 {
    (sound.iter().map(|x| f64::from(x * x)).sum::<f64>() / sound.len().max(1) as f64).sqrt()
}

/// How alike the waveforms of what was heard and what was spoken are, 0 to 1: the median over tenths of a second in
/// which there is sound, each at the best of all delays. A server without a sound card has a clock that stumbles on a
/// busy machine, so one delay for all would say little.
fn likeness(heard: &[f32], spoken: &[f32]) -> f64 {
    let length = (spoken.len() * 2).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, backward) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
    let spectrum = |x: &[f32]| {
        let mut padded = x.to_vec();
        padded.resize(length, 0.0);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).expect("lengths fit");
        spectrum
    };
    let whole = spectrum(spoken);
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(spoken.iter().scan(0.0, |sum, x| {
            *sum += f64::from(x * x);
            Some(*sum)
        }))
        .collect();
    let piece = RATE as usize / 10;
    let loud = level(heard);
    let mut likenesses: Vec<f64> = Vec::new();
    for part in heard.chunks_exact(piece).filter(|p| level(p) > loud) {
        let mut product: Vec<_> = whole.iter().zip(spectrum(part)).map(|(a, b)| a * b.conj()).collect();
        // Both ends are real in a product of real sounds' spectra.
        (product[0].im, product[length / 2].im) = (0.0, 0.0);
        let mut agreement = backward.make_output_vec();
        backward.process(&mut product, &mut agreement).expect("lengths fit");
        let own = part.iter().map(|x| f64::from(x * x)).sum::<f64>();
        let at = |lag: usize| {
            let there = sums[lag + piece] - sums[lag];
            // A place that is all but silent is like nothing.
            if there < 0.01 * own {
                0.0
            } else {
                f64::from(agreement[lag]).abs() / length as f64 / (own * there).sqrt()
            }
        };
        likenesses.push((0..spoken.len() - piece).map(at).fold(0.0, f64::max));
    }
    likenesses.sort_by(f64::total_cmp);
    assert!(likenesses.len() > 3, "there is hardly any sound");
    likenesses[likenesses.len() / 2]
}

#[test]
fn a_microphone_becomes_another_voice_in_a_virtual_one() {
    let Some(server) = Server::start() else { return };
    let (file, spoken) = clip(server.home.path(), 6);
    let reference = recording("clone-test.wav");
    let reference = reference.to_str().expect("UTF-8");
    let mut live = server.standalone(&[
        "--input",
        "test-mic",
        "--output",
        "headphones",
        "--voice",
        reference,
        "--mode",
        "studio",
        "--passthrough",
    ]);
    live.waits_for("the sound runs");
    live.waits_for("delay");
    assert!(server.pactl(&["list", "sources"]).contains("Description: Mynah microphone"));

    let own = server.heard(&file, "mynah_microphone", 5.0);
    assert!(
        likeness(&own, &spoken) > 0.9,
        "passthrough is {:.2} of what was spoken\n{}",
        likeness(&own, &spoken),
        live.said()
    );
    assert!(level(&server.heard(&file, "phones.monitor", 2.0)) < 1e-6, "the headphones are not silent");
    live.press("m", "hearing yourself: on");
    let phones = level(&server.heard(&file, "phones.monitor", 4.0));
    assert!(phones > 0.3 * level(&own), "the headphones are silent: {phones:.5}");

    live.press("p", "the other voice");
    let other = server.heard(&file, "mynah_microphone", 5.0);
    live.press("s", "hops");
    let said = live.said();
    assert!(level(&other) > 0.2 * level(&own), "the virtual microphone is all but silent\n{said}");
    assert!(
        likeness(&other, &spoken) < 0.7,
        "what comes out is {:.2} of what was spoken\n{said}",
        likeness(&other, &spoken)
    );
    println!("{said}\npassthrough {:.3}, converted {:.3}", likeness(&own, &spoken), likeness(&other, &spoken));
    live.press("d", "noise suppression: on");
    std::thread::sleep(Duration::from_millis(300));
    live.press("s", "noise suppression 20.0 ms");
    live.signal(libc::SIGINT);
    live.ends_well();
    assert_eq!(server.modules(), 0);
}

#[test]
fn what_a_killed_run_left_is_removed_and_two_runs_leave_each_other_alone() {
    let Some(server) = Server::start() else { return };
    let arguments = ["--input", "test-mic"];
    let first = server.standalone(&arguments);
    first.waits_for("the sound runs");
    first.waits_for("choose it as the microphone");
    assert_eq!(server.modules(), 2);
    first.signal(libc::SIGKILL);
    drop(first);
    assert_eq!(server.modules(), 2, "a killed run can't clean up");

    // Its settings are remembered: the microphone needs no name any more.
    let second = server.standalone(&[]);
    second.waits_for("the sound runs");
    second.waits_for("choose it as the microphone");
    assert!(second.said().contains("has been removed"), "{}", second.said());
    assert!(second.said().contains("Test-microphone"), "{}", second.said());
    assert_eq!(server.modules(), 2);

    let mut third = server.standalone(&arguments);
    third.waits_for("choose it as the microphone");
    assert!(
        third.said().contains("Mynah microphone 2") && !third.said().contains("has been removed"),
        "{}",
        third.said()
    );
    assert_eq!(server.modules(), 4);
    writeln!(third.stdin, "q").expect("it reads");
    third.ends_well();
    assert_eq!(server.modules(), 2, "the other run's microphone is gone");
    second.signal(libc::SIGTERM);
    second.ends_well();
    assert_eq!(server.modules(), 0);
    let left = std::fs::read_dir(server.home.path())
        .expect("a folder")
        .flatten()
        .filter(|f| f.path().extension().is_some_and(|e| e == "lock"));
    assert_eq!(left.count(), 0, "marks are left");
}

#[test]
fn a_device_that_is_gone_is_told_and_replaced() {
    let Some(server) = Server::start() else { return };
    let data = server.home.path().join("data");
    std::fs::create_dir_all(&data).expect("a folder");
    std::fs::write(data.join("standalone.json"), r#"{ "input": "Old microphone", "voice": "nobody" }"#)
        .expect("written");
    let live = server.standalone(&[]);
    live.waits_for("the sound runs");
    let said = live.said();
    assert!(said.contains("`Old microphone` of last time is gone, so it is `Test-microphone`"), "{said}");
    assert!(said.contains("the voice `nobody` of last time is gone"), "{said}");
    live.signal(libc::SIGTERM);
    live.ends_well();

    let wrong = server.standalone(&["--input", "test-mikrophone"]);
    until("an end", || wrong.said().contains("did you mean `Test-microphone`?"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mynah-standalone"));
    let listed = inside(command.args(["--list", "--json"]), server.home.path()).output().expect("the program runs");
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(listed["inputs"][0]["name"], "Test-microphone", "{listed}");
    assert_eq!(listed["inputs"].as_array().map(Vec::len), Some(1), "monitors are no microphones: {listed}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mynah-standalone"));
    let dropped = inside(command.arg("--forget"), server.home.path()).output().expect("the program runs");
    assert!(dropped.status.success() && !data.join("standalone.json").exists());
}
