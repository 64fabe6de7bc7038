//! Words in a real OBS under Xvfb: its text source and its picture. A configuration of its own, a port of its own.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use mynah::outlets::testing::words_at;
use mynah::outlets::{ObsLink, Outlets, Password, Settings, SourceProblem, Wire};
use mynah::recognition::stream::Event;
use mynah::subtitles::cues::Style;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_tungstenite::tungstenite::stream::MaybeTlsStream;
use tokio_tungstenite::tungstenite::{Message, WebSocket, connect};

use super::{picture, program};

const PASSWORD: &str = "correct horse battery";
const SOURCE: &str = "Mynah captions";

/// An OBS, and a link of the test's own to it.
struct Obs {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
    screen: Screen,
}

/// A screen that nobody sees.
struct Screen {
    child: Child,
    display: String,
}

impl Screen {
    fn start() -> Self {
        // It looks for a free number itself, and says which.
        let mut child = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x720x24", "-nolisten", "tcp"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let mut number = String::new();
        BufReader::new(child.stdout.take().expect("its stdout"))
            .read_line(&mut number)
            .expect("the number of the display");
        assert!(number.trim().parse::<u16>().is_ok(), "Xvfb gave no display: `{number}`");
        Self { child, display: format!(":{}", number.trim()) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Asked, not killed: then it takes the lock of its display away. SAFETY: a signal to a process that this test
        // started and has not waited for; it can't touch this process's memory.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}

impl Obs {
    /// None where OBS or Xvfb isn't there.
    fn start() -> Option<Self> {
        if program(&["obs"]).is_none() || program(&["Xvfb"]).is_none() {
            println!(
                "skipped: no OBS with Xvfb here; `apt-get install --no-install-recommends obs-studio xvfb` brings them"
            );
            return None;
        }
        let screen = Screen::start();
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let config = folder.path().join("obs-studio");
        std::fs::create_dir_all(&config).expect("a folder");
        let ini = format!(
            "[General]\nFirstRun=true\nEnableAutoUpdates=false\n\n[OBSWebSocket]\nFirstLoad=false\nServerEnabled=true\nServerPort={port}\n\
             AlertsEnabled=false\nAuthRequired=true\nServerPassword={PASSWORD}\n"
        );
        std::fs::write(config.join("global.ini"), ini).expect("its settings");
        let child = Self::run(&screen, &folder, port);
        Some(Self { child, port, folder, screen })
    }

    fn run(screen: &Screen, folder: &tempfile::TempDir, port: u16) -> Child {
        let child = Command::new("obs")
            .args(["--multi", "--disable-updater"])
            .env("DISPLAY", &screen.display)
            .env("XDG_CONFIG_HOME", folder.path())
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("QT_QPA_PLATFORM", "xcb")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("OBS starts");
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "OBS's server did not come up");
            std::thread::sleep(Duration::from_millis(100));
        }
        child
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn link(&self) -> Client {
        let (socket, _) = connect(format!("ws://127.0.0.1:{}/", self.port)).expect("a link to OBS");
        let mut client = Client { socket, next: 0 };
        let hello = client.read();
        let text = |v: &Value| v.as_str().expect("a text").to_owned();
        let asked = &hello["d"]["authentication"];
        let secret = BASE64.encode(&Sha256::digest(PASSWORD.to_owned() + &text(&asked["salt"])));
        let proof = BASE64.encode(&Sha256::digest(secret + &text(&asked["challenge"])));
        client.send(&json!({ "op": 1, "d": { "rpcVersion": 1, "authentication": proof, "eventSubscriptions": 0 } }));
        assert_eq!(client.read()["op"], 2);
        client
    }
}

impl Drop for Obs {
    fn drop(&mut self) {
        self.end();
        // What OBS said, for whoever looks into a failure.
        for log in std::fs::read_dir(self.folder.path().join("obs-studio/logs")).into_iter().flatten().flatten() {
            let _ = std::fs::copy(
                log.path(),
                std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("obs-{}.log", self.port)),
            );
        }
    }
}

/// A client of obs-websocket that asks one thing after the other.
struct Client {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    next: u64,
}

impl Client {
    fn read(&mut self) -> Value {
        let message = self.socket.read().expect("OBS says something");
        serde_json::from_str(message.to_text().expect("text")).expect("JSON")
    }

    fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).expect("sent to OBS");
    }

    fn ask(&mut self, kind: &str, data: Value) -> Value {
        // OBS answers 207 while it is still being set up.
        let began = Instant::now();
        loop {
            self.next += 1;
            self.send(&json!({ "op": 6, "d": { "requestType": kind, "requestId": self.next.to_string(), "requestData": data } }));
            let answer = self.read()["d"].clone();
            if answer["requestStatus"]["code"] != 207 || began.elapsed() > Duration::from_secs(20) {
                assert_eq!(answer["requestStatus"]["result"], true, "{kind}: {answer}");
                return answer["responseData"].clone();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn text(&mut self) -> String {
        let settings = self.ask("GetInputSettings", json!({ "inputName": SOURCE }));
        settings["inputSettings"]["text"].as_str().unwrap_or_default().to_owned()
    }

    fn wait_text(&mut self, text: &str) {
        let began = Instant::now();
        loop {
            let seen = self.text();
            if seen == text {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(15), "OBS shows `{seen}` and not `{text}`");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn until(outlets: &Outlets, what: &str, holds: impl Fn(&ObsLink) -> bool) {
    let began = Instant::now();
    while !outlets.status().obs.is_some_and(|o| holds(&o.link)) {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} did not come: {:?}", outlets.status());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_real_obs_shows_the_words_goes_and_comes_back() {
    let Some(mut obs) = Obs::start() else { return };
    let mut settings = Settings::default();
    (settings.obs.on, settings.obs.address) = (true, format!("127.0.0.1:{}", obs.port));
    (settings.obs.source, settings.obs.captions) = (SOURCE.to_owned(), true);
    settings.obs.password = Password("wrong".to_owned());
    let wire = Wire::default();
    let outlets = Outlets::start(wire.clone(), settings.clone(), Style::live()).expect("a thread");
    until(&outlets, "the refusal", |l| *l == ObsLink::PasswordWrong);
    settings.obs.password = Password(PASSWORD.to_owned());
    outlets.set(settings);
    let missing = |l: &ObsLink| matches!(l, ObsLink::Connected { source: Some(SourceProblem::Missing(name)), .. } if name == SOURCE);
    until(&outlets, "the missing source", missing);

    let mut client = obs.link();
    let scene = client.ask("GetCurrentProgramScene", json!({}))["currentProgramSceneName"].clone();
    let look = json!({ "text": "", "font": { "face": "DejaVu Sans", "size": 64, "flags": 0 } });
    client.ask(
        "CreateInput",
        json!({ "sceneName": scene, "inputName": SOURCE, "inputKind": "text_ft2_source_v2", "inputSettings": look }),
    );
    until(&outlets, "the source", |l| matches!(l, ObsLink::Connected { source: None, streaming: false, .. }));
    let sentence = outlets.status().obs.map(|o| o.sentence()).unwrap_or_default();
    assert!(sentence.contains("OBS is not streaming"), "{sentence}");

    let screenshot = |client: &mut Client, name: &str| {
        let shot = client.ask("GetSourceScreenshot", json!({ "sourceName": scene, "imageFormat": "png" }));
        let data = shot["imageData"].as_str().and_then(|d| d.split_once(',')).expect("a picture").1.to_owned();
        let (_, _, pixels) = picture(name, &BASE64.decode(data.as_bytes()).expect("base64"));
        pixels.chunks_exact(4).filter(|p| p[0] > 200 && p[1] > 200 && p[2] > 200).count()
    };
    let before = screenshot(&mut client, "obs-before.png");
    wire.tell(&[Event::Final(words_at("It was the best", 0.0)), Event::Partial(words_at("of", 2.0))]);
    client.wait_text("It was the best of");
    wire.tell(&[Event::Final(words_at("of times, größer", 2.0)), Event::Partial(vec![])]);
    client.wait_text("It was the best of times, größer");
    std::thread::sleep(Duration::from_millis(500));
    let after = screenshot(&mut client, "obs-words.png");
    assert!(before == 0 && after > 1000, "{before} bright pixels before, {after} after");
    let font = client.ask("GetInputSettings", json!({ "inputName": SOURCE }))["inputSettings"]["font"]["size"].clone();
    assert_eq!(font, 64, "the user's look is gone");
    client.wait_text("");
    wire.tell(&[Event::Final(words_at("kept", 30.0))]);
    client.wait_text("kept");

    // OBS is killed, comes back as it was saved or not, and gets what was said meanwhile.
    client.ask("SetCurrentProgramScene", json!({ "sceneName": scene }));
    drop(client);
    obs.end();
    until(&outlets, "the loss", |l| matches!(l, ObsLink::BrokeOff(_) | ObsLink::Unreachable { .. }));
    wire.tell(&[Event::Final(words_at("said meanwhile", 30.5))]);
    obs.child = Obs::run(&obs.screen, &obs.folder, obs.port);
    until(&outlets, "the link anew", |l| matches!(l, ObsLink::Connected { .. }));
    let mut client = obs.link();
    let inputs = client.ask("GetInputList", json!({}));
    let there = inputs["inputs"].as_array().is_some_and(|all| all.iter().any(|i| i["inputName"] == SOURCE));
    if !there {
        let scene = client.ask("GetCurrentProgramScene", json!({}))["currentProgramSceneName"].clone();
        client.ask(
            "CreateInput",
            json!({ "sceneName": scene, "inputName": SOURCE, "inputKind": "text_ft2_source_v2", "inputSettings": {} }),
        );
    }
    client.wait_text("kept said meanwhile");
    drop(outlets);
    client.wait_text("");
}

/// A free port.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).expect("a port").port()
}

#[test]
fn captions_are_in_the_stream_that_obs_sends() {
    if program(&["ffmpeg"]).is_none() {
        println!("skipped: no ffmpeg here, which receives the stream");
        return;
    }
    let stream = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("obs-stream.h264");
    let _ = std::fs::remove_file(&stream); // of an earlier run
    let port = free_port();
    // Before OBS, so that it listens when the stream begins.
    let receiver = Command::new("ffmpeg")
        .args(["-loglevel", "fatal", "-y", "-listen", "1", "-i", &format!("rtmp://127.0.0.1:{port}/live/test")])
        .args(["-map", "0:v", "-c", "copy", "-bsf:v", "h264_mp4toannexb", "-flush_packets", "1", "-f", "h264"])
        .arg(&stream)
        .stdin(Stdio::null())
        .spawn()
        .expect("ffmpeg starts");
    let mut receiver = Receiver(receiver);
    let Some(obs) = Obs::start() else { return };
    let mut settings = Settings::default();
    (settings.obs.on, settings.obs.address) = (true, format!("127.0.0.1:{}", obs.port));
    (settings.obs.source, settings.obs.captions) = (String::new(), true);
    settings.obs.password = Password(PASSWORD.to_owned());
    let wire = Wire::default();
    let outlets = Outlets::start(wire.clone(), settings, Style::live()).expect("a thread");
    until(&outlets, "the link", |l| matches!(l, ObsLink::Connected { streaming: false, .. }));
    let mut client = obs.link();
    let video = json!({ "baseWidth": 320, "baseHeight": 180, "outputWidth": 320, "outputHeight": 180, "fpsNumerator": 30, "fpsDenominator": 1 });
    client.ask("SetVideoSettings", video);
    let service = json!({ "server": format!("rtmp://127.0.0.1:{port}/live"), "key": "test" });
    client.ask(
        "SetStreamServiceSettings",
        json!({ "streamServiceType": "rtmp_custom", "streamServiceSettings": service }),
    );
    client.ask("StartStream", json!({}));
    until(&outlets, "the stream", |l| matches!(l, ObsLink::Connected { streaming: true, .. }));
    std::thread::sleep(Duration::from_secs(1));
    let said = "captions of this stream, sent by a parrot";
    wire.tell(&[Event::Final(words_at(said, 0.0))]);
    let arrives = |text: &str| {
        // A busy machine draws and sends few frames a second, and each carries two characters.
        let until = Instant::now() + Duration::from_secs(40);
        while Instant::now() < until && !std::fs::read(&stream).is_ok_and(|h264| captions(&h264).contains(text)) {
            std::thread::sleep(Duration::from_millis(250));
        }
    };
    arrives(said);
    wire.tell(&[Event::Final(words_at("and here is more", 10.0))]);
    arrives("and here is more");
    client.ask("StopStream", json!({}));
    until(&outlets, "the end of the stream", |l| {
        matches!(l, ObsLink::Connected { streaming: false, source: None, .. })
    });
    receiver.wait();
    let text = captions(&std::fs::read(&stream).expect("the stream was received"));
    assert!(text.contains(said), "{text}");
    assert!(text.contains("and here is more"), "{text}");
}

/// The text of the CEA-608 captions in an H.264 stream: pairs of characters in messages to the decoder (ATSC A/53,
/// `GA94`), each with a bit of parity. Commands between the characters are spaces here.
fn captions(h264: &[u8]) -> String {
    let starts: Vec<usize> = h264.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(i, _)| i + 3).collect();
    let mut text = String::new();
    for (k, start) in starts.iter().enumerate() {
        let unit = &h264[*start..starts.get(k + 1).map_or(h264.len(), |next| next - 3)];
        if unit.first().is_none_or(|b| b & 0x1f != 6) {
            continue;
        }
        // Where two zeros stand a 3 was put in, so that nothing looks like the start of a unit.
        let mut plain: Vec<u8> = Vec::with_capacity(unit.len());
        for byte in unit {
            if *byte != 3 || !plain.ends_with(&[0, 0]) {
                plain.push(*byte);
            }
        }
        let Some(found) = plain.windows(4).position(|w| w == b"GA94") else { continue };
        let count = usize::from(plain[found + 5] & 0x1f);
        for triple in plain[found + 7..].chunks_exact(3).take(count).filter(|t| t[0] & 7 == 4) {
            match (triple[1] & 0x7f, triple[2] & 0x7f) {
                (0, 0) => {}
                (command, _) if command < 0x20 => text.push(' '),
                (a, b) => text.extend([a, b].iter().filter(|c| **c >= 0x20).map(|c| char::from(*c))),
            }
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An ffmpeg that ends with its stream, or with the test.
struct Receiver(Child);

impl Receiver {
    fn wait(&mut self) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            if self.0.try_wait().is_ok_and(|done| done.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
