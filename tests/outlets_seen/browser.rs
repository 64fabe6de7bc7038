//! The overlay in a headless Chromium, driven over its DevTools protocol: pixels, places of words, foreign pages.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use mynah::outlets::testing::words_at;
use mynah::outlets::{Outlets, OverlayStatus, Settings, Wire};
use mynah::recognition::stream::Event;
use mynah::subtitles::cues::Style;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::stream::MaybeTlsStream;
use tokio_tungstenite::tungstenite::{Message, WebSocket, connect};

use super::{picture, program};

/// A browser with one page.
struct Page {
    child: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: String,
    next: u64,
    _profile: tempfile::TempDir,
}

impl Page {
    /// None where there is no Chromium.
    fn open() -> Option<Self> {
        let Some(chromium) = program(&["chromium", "chromium-browser", "google-chrome"]) else {
            println!("skipped: no Chromium here; `apt-get install chromium` brings one");
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
            ])
            .args(["--hide-scrollbars", "--remote-debugging-port=0", "--window-size=960,300", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("TMPDIR", profile.path())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("Chromium starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its stderr")).lines();
        let url = lines
            .find_map(|l| l.ok()?.strip_prefix("DevTools listening on ").map(str::to_owned))
            .expect("Chromium's address");
        // What it says later must go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        let (socket, _) = connect(&url).expect("a link to Chromium");
        let mut page = Self { child, socket, session: String::new(), next: 0, _profile: profile };
        let target = page.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let session =
            page.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }))["sessionId"].clone();
        page.session = session.as_str().expect("a session").to_owned();
        page.call("Page.enable", json!({}));
        // As a browser source of OBS is set up: what the page does not paint is transparent.
        page.call(
            "Emulation.setDefaultBackgroundColorOverride",
            json!({ "color": { "r": 0, "g": 0, "b": 0, "a": 0 } }),
        );
        page.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": 960, "height": 300, "deviceScaleFactor": 1, "mobile": false }),
        );
        Some(page)
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut request = json!({ "id": self.next, "method": method, "params": params });
        if !self.session.is_empty() {
            request["sessionId"] = self.session.clone().into();
        }
        self.socket.send(Message::text(request.to_string())).expect("sent to Chromium");
        loop {
            let message = self.socket.read().expect("Chromium answers");
            let answer: Value = serde_json::from_str(message.to_text().expect("text")).expect("JSON");
            if answer["id"] == self.next {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        self.wait("document.readyState === 'complete' && document.getElementById('stage') !== null");
    }

    fn evaluate(&mut self, script: &str) -> Value {
        let answer =
            self.call("Runtime.evaluate", json!({ "expression": script, "awaitPromise": true, "returnByValue": true }));
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    fn wait(&mut self, script: &str) {
        let began = Instant::now();
        while self.evaluate(script) != Value::Bool(true) {
            let seen = self.evaluate("document.body && document.body.innerText");
            assert!(began.elapsed() < Duration::from_secs(20), "{script} did not come to hold; the page shows {seen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn shows(&mut self, text: &str) {
        self.wait(&format!(
            "document.getElementById('stage').innerText.replace(/\\s+/g, ' ').trim() === {}",
            json!(text)
        ));
    }

    fn screenshot(&mut self, name: &str) -> (usize, usize, Vec<u8>) {
        let answer = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        picture(name, &BASE64.decode(answer["data"].as_str().expect("a picture").as_bytes()).expect("base64"))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // Asked to end, it ends all of its processes first; one that outlives it writes into the profile again while
        // that is removed.
        let request = json!({ "id": self.next + 1, "method": "Browser.close" });
        if self.socket.send(Message::text(request.to_string())).is_ok() {
            let began = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn overlay() -> (Wire, Outlets, String) {
    let mut settings = Settings::default();
    (settings.overlay.on, settings.overlay.port) = (true, 0);
    let wire = Wire::default();
    let outlets = Outlets::start(wire.clone(), settings, Style::live()).expect("a thread");
    let began = Instant::now();
    loop {
        if let Some(link) = outlets.status().overlay.as_ref().and_then(OverlayStatus::link) {
            return (wire, outlets, link);
        }
        assert!(began.elapsed() < Duration::from_secs(10), "no overlay");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn final_words(wire: &Wire, text: &str, at: f64) {
    wire.tell(&[Event::Final(words_at(text, at)), Event::Partial(vec![])]);
}

#[test]
fn words_stand_on_nothing_in_the_look_that_was_asked_for() {
    let Some(mut page) = Page::open() else { return };
    let (wire, _outlets, link) = overlay();
    page.go(&format!("{link}?size=40&colour=%2300ff00&outline=0&align=center"));
    wire.tell(&[Event::Final(words_at("The words on a stream", 0.0)), Event::Partial(words_at("come live", 2.5))]);
    page.shows("The words on a stream come live");
    let (width, height, pixels) = page.screenshot("overlay.png");
    assert_eq!((width, height), (960, 300));
    let count = |holds: &dyn Fn(&[u8]) -> bool| pixels.chunks_exact(4).filter(|p| holds(p)).count();
    let clear = count(&|p| p[3] == 0);
    let strong = count(&|p| p[1] > 200 && p[0] < 60 && p[2] < 60 && p[3] == 255);
    let light = count(&|p| p[1] > 100 && p[0] < 60 && (150..=175).contains(&p[3]));
    assert!(clear > pixels.len() / 4 * 80 / 100, "only {clear} pixels are transparent");
    assert!(strong > 800, "only {strong} pixels of final words");
    assert!(light > 300, "only {light} pixels of partial words at 65 %");
    // The standard look: white, outlined, and a background where one is asked for.
    page.go(&format!("{link}?background=rgb(0,0,160)&upper=1&partials=off&fade=0"));
    page.shows("The words on a stream".to_uppercase().as_str());
    let (_, _, pixels) = page.screenshot("overlay-background.png");
    let count = |holds: &dyn Fn(&[u8]) -> bool| pixels.chunks_exact(4).filter(|p| holds(p)).count();
    let (blue, white, black) =
        (count(&|p| p == [0, 0, 160, 255]), count(&|p| p == [255, 255, 255, 255]), count(&|p| p == [0, 0, 0, 255]));
    assert!(blue > 5000 && white > 1000 && black > 1000, "{blue} blue, {white} white, {black} black");
}

#[test]
fn scripts_without_spaces_have_none_and_lines_begin_at_their_own_side() {
    let Some(mut page) = Page::open() else { return };
    let (wire, _outlets, link) = overlay();
    page.go(&format!("{link}?size=24&fade=0&lang=ja"));
    final_words(&wire, "今日 は 晴れ 。 Tokyo Tower 東 京", 0.0);
    page.shows("今日は晴れ。 Tokyo Tower 東京");
    assert_eq!(page.evaluate("document.getElementById('stage').lang"), "ja");
    let side = "(() => { const l = document.querySelector('.line:last-child'), b = l.getBoundingClientRect(), s = stage.getBoundingClientRect(); \
        return [getComputedStyle(l).direction, Math.round(b.left - s.left), Math.round(s.right - b.right)]; })()";
    let left = page.evaluate(side);
    assert!(left[0] == "ltr" && left[1] == 0 && left[2].as_i64() > Some(100), "{left}");
    page.go(&format!("{link}?size=24&fade=0&lines=1"));
    final_words(&wire, "שלום לכולם, 2026!", 90.0);
    page.shows("שלום לכולם, 2026!");
    let right = page.evaluate(side);
    assert!(right[0] == "rtl" && right[2] == 0 && right[1].as_i64() > Some(100), "{right}");
}

/// Each word that stands, with its place, top first.
const PLACES: &str = "[...document.querySelectorAll('.line span')].map((s) => { const r = document.createRange(); r.selectNodeContents(s); \
    const b = r.getBoundingClientRect(); return [s.textContent.trim(), b.right, b.top]; })";

#[test]
fn no_word_that_stands_moves_but_up_with_its_line() {
    let Some(mut page) = Page::open() else { return };
    let (wire, _outlets, link) = overlay();
    page.go(&format!("{link}?size=36&lines=3&fade=0"));
    let text = "it was the best of times it was the worst of times it was the age of wisdom it was the age of foolishness it was the epoch of \
                belief it was the epoch of incredulity it was the season of light it was the season of darkness";
    let said: Vec<_> = text.split_whitespace().collect();
    let mut before: Vec<(String, f64, f64)> = Vec::new();
    let mut rolls = 0;
    for i in 0..said.len() {
        let partial = said[i + 1..(i + 4).min(said.len())].join(" ");
        wire.tell(&[
            Event::Final(words_at(said[i], i as f64 * 0.5)),
            Event::Partial(words_at(&partial, (i + 1) as f64 * 0.5)),
        ]);
        page.wait(&format!("settled.end !== null && Math.abs(settled.end - {}) < 1e-6", i as f64 * 0.5 + 0.4));
        let places = page.evaluate(PLACES);
        let now: Vec<(String, f64, f64)> = places
            .as_array()
            .expect("places")
            .iter()
            .map(|p| (p[0].as_str().expect("a word").to_owned(), p[1].as_f64().expect("x"), p[2].as_f64().expect("y")))
            .collect();
        let lines: std::collections::BTreeSet<_> = now.iter().map(|p| p.2.round() as i64).collect();
        assert!(lines.len() <= 3, "{now:?}");
        // Where the last words of the picture before stand in this one.
        let gone = (0..=before.len())
            .find(|k| before.len() - k <= now.len() && before[*k..].iter().zip(&now).all(|(a, b)| a.0 == b.0));
        let gone = gone.expect("the words go on");
        // All by the same, up by whole lines; a browser may set a line on the next pixel.
        let ups: Vec<f64> = before[gone..]
            .iter()
            .zip(&now)
            .map(|(a, b)| if (a.1 - b.1).abs() < 0.5 { a.2 - b.2 } else { f64::NAN })
            .collect();
        let up = ups.first().copied().unwrap_or(0.0);
        assert!(up >= 0.0 && ups.iter().all(|u| (u - up).abs() <= 1.0), "{ups:?}: {before:?} {now:?}");
        rolls += usize::from(up > 1.0);
        before = now;
    }
    assert!(rolls >= 1, "nothing rolled up");
    page.screenshot("overlay-rolled.png");
}

#[test]
fn words_are_text_whatever_they_hold_and_fade_and_come_back() {
    let Some(mut page) = Page::open() else { return };
    let (wire, outlets, link) = overlay();
    page.go(&format!("{link}?fade=1&size=20"));
    final_words(&wire, "<img/src=x/onerror=alert(1)> </script><b>&amp; \u{202e}odd", 0.0);
    page.shows("<img/src=x/onerror=alert(1)> </script><b>&amp; \u{202e}odd");
    assert_eq!(page.evaluate("document.querySelectorAll('img, b').length"), 0);
    page.wait("document.getElementById('stage').classList.contains('gone')");
    final_words(&wire, "new", 3.0);
    page.shows("new");
    // The overlay goes and comes back on the same port: the page goes on by itself.
    let port: u16 = link.trim_end_matches('/').rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
    drop(outlets);
    let mut settings = Settings::default();
    (settings.overlay.on, settings.overlay.port) = (true, port);
    let _again = Outlets::start(wire.clone(), settings, Style::live()).expect("a thread");
    std::thread::sleep(Duration::from_millis(300));
    final_words(&wire, "back", 4.0);
    page.wait("document.getElementById('stage').innerText.includes('back')");
    // As OBS puts custom CSS in: a style element.
    page.evaluate(
        "{ const s = document.createElement('style'); s.textContent = ':root \
        { --mynah-colour: rgb(1, 2, 3); }'; document.head.append(s); }",
    );
    assert_eq!(page.evaluate("getComputedStyle(document.getElementById('stage')).color"), "rgb(1, 2, 3)");
}

#[test]
fn a_page_of_another_site_reads_nothing() {
    let Some(mut page) = Page::open() else { return };
    let (wire, _outlets, link) = overlay();
    final_words(&wire, "secret", 0.0);
    let fetch = |url: &str| format!("fetch('{url}').then((r) => r.text(), () => 'refused')");
    // From a page without an origin, and from another port of this machine.
    let (_wire, _other, other) = overlay();
    for from in ["data:text/html,<div id=stage>", other.as_str()] {
        page.call("Page.navigate", json!({ "url": from }));
        page.wait("document.readyState === 'complete' && location.href !== 'about:blank'");
        assert_eq!(page.evaluate(&fetch(&format!("{link}words.jsonl?since=0"))), "refused", "{from}");
    }
    // From the page itself nothing but the overlay can be reached.
    assert_eq!(page.evaluate(&fetch("http://127.0.0.1:9/")), "refused");
}
