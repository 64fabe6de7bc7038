//! The link to OBS when all goes well and when it doesn't.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mynah::outlets::testing::words;
use mynah::outlets::{ObsLink, Outlets, Password, Settings, SourceProblem, Status, Wire};
use mynah::recognition::stream::Event;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::obs_double::{Double, Scene, lock};
use super::{say, start, until};

const SOURCE: &str = "Mynah captions";

fn scene() -> Scene {
    let scene = Scene::default();
    lock(&scene.inputs).push((SOURCE.to_owned(), "text_ft2_source_v2".to_owned()));
    scene
}

fn linked(port: u16, password: &str, captions: bool) -> (Wire, Outlets) {
    let mut settings = Settings::default();
    settings.obs.on = true;
    settings.obs.address = format!("localhost:{port}");
    settings.obs.password = Password(password.to_owned());
    settings.obs.captions = captions;
    start(settings)
}

fn link(status: &Status) -> Option<&ObsLink> {
    status.obs.as_ref().map(|o| &o.link)
}

fn connected(status: &Status) -> bool {
    matches!(link(status), Some(ObsLink::Connected { source: None, .. }))
}

fn sentence(outlets: &Outlets) -> String {
    outlets.status().obs.map(|o| o.sentence()).unwrap_or_default()
}

fn wait(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(25), "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether each word of a row stands in one of the texts, in order.
fn all_shown(texts: &[String], words: &str) -> bool {
    let mut left = words.split(' ').peekable();
    for text in texts {
        let mut here = text.split([' ', '\n']);
        while let Some(word) = left.peek() {
            if !here.any(|shown| shown == *word) {
                break;
            }
            left.next();
        }
    }
    left.peek().is_none()
}

#[test]
fn words_stand_in_the_source_and_go_after_a_pause_and_at_the_end() {
    let obs = Double::start(Arc::new(Scene { password: Some("geheim"), ..scene() }), 0);
    let (wire, outlets) = linked(obs.port, "geheim", false);
    until(&outlets, "the link", connected);
    wire.tell(&[Event::Partial(words("good"))]);
    wait("a partial", || obs.text() == "good");
    wire.tell(&[Event::Final(words("Good")), Event::Partial(words("morning"))]);
    wait("a final", || obs.text() == "Good" || obs.text() == "Good\nmorning" || obs.text() == "Good morning");
    let began = Instant::now();
    say(&wire, "everybody", 1.0);
    wait("the pause", || obs.text().is_empty());
    assert!(began.elapsed() >= Duration::from_secs(4), "it went after {:?}", began.elapsed());
    say(&wire, "again", 20.0);
    wait("words anew", || obs.text() == "again");
    drop(outlets);
    assert_eq!(obs.text(), "", "a text stayed in OBS");
}

#[test]
fn a_password_that_is_wrong_or_missing_is_told_and_mended() {
    let obs = Double::start(Arc::new(Scene { password: Some("geheim"), ..scene() }), 0);
    let (_wire, outlets) = linked(obs.port, "falsch", false);
    until(&outlets, "the refusal", |s| link(s) == Some(&ObsLink::PasswordWrong));
    assert!(sentence(&outlets).contains("refuses the password"));
    let mut settings = Settings::default();
    (settings.obs.on, settings.obs.address) = (true, format!("127.0.0.1:{}", obs.port));
    outlets.set(settings.clone());
    until(&outlets, "the question", |s| link(s) == Some(&ObsLink::PasswordMissing));
    settings.obs.password = Password("geheim".to_owned());
    outlets.set(settings);
    until(&outlets, "the link", connected);
}

#[test]
fn obs_goes_away_and_comes_back_and_no_final_is_lost() {
    let scene = Arc::new(scene());
    let obs = Double::start(scene.clone(), 0);
    let port = obs.port;
    let (wire, outlets) = linked(port, "", false);
    until(&outlets, "the link", connected);
    say(&wire, "one two", 0.0);
    wait("words", || obs.text() == "one two");
    drop(obs);
    until(&outlets, "the loss", |s| matches!(link(s), Some(ObsLink::BrokeOff(_) | ObsLink::Unreachable { .. })));
    let unseen = (0..40).map(|i| format!("unseen{i}")).collect::<Vec<_>>().join(" ");
    say(&wire, &unseen, 1.0);
    std::thread::sleep(Duration::from_millis(1500));
    let obs = Double::start(scene, port);
    let took = until(&outlets, "the link anew", connected);
    assert!(took < Duration::from_secs(11), "{took:?}");
    wait("the words of the outage", || all_shown(&lock(&obs.scene.texts), &format!("one two {unseen}")));
    assert_eq!(outlets.status().obs.map(|o| o.lost), Some(0));
    assert_eq!(obs.scene.entries.load(Ordering::Relaxed), 2);
}

#[test]
fn words_on_their_way_when_obs_dies_are_sent_again() {
    let scene = Arc::new(Scene { streaming: true.into(), ..scene() });
    let obs = Double::start(scene.clone(), 0);
    let port = obs.port;
    let (wire, outlets) = linked(port, "", true);
    until(&outlets, "the stream", |s| {
        matches!(link(s), Some(ObsLink::Connected { streaming: true, source: None, .. }))
    });
    scene.deaf.store(true, Ordering::Relaxed);
    say(&wire, "on the way", 0.0);
    // Long enough that both are asked, and short enough that nobody has given up.
    std::thread::sleep(Duration::from_millis(500));
    drop(obs);
    until(&outlets, "the loss", |s| matches!(link(s), Some(ObsLink::BrokeOff(_) | ObsLink::Unreachable { .. })));
    say(&wire, "and away", 1.5);
    assert!(lock(&scene.texts).is_empty() && lock(&scene.captions).is_empty(), "the double did something");
    scene.deaf.store(false, Ordering::Relaxed);
    let obs = Double::start(scene, port);
    wait("the words in the source", || all_shown(&lock(&obs.scene.texts), "on the way and away"));
    wait("the words in the stream", || all_shown(&lock(&obs.scene.captions), "on the way and away"));
    assert_eq!(outlets.status().obs.map(|o| o.lost), Some(0));
}

#[test]
fn a_long_outage_loses_the_oldest_words_and_counts_them() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = nobody.local_addr().expect("an address").port();
    drop(nobody);
    let (wire, outlets) = linked(port, "", false);
    until(&outlets, "the refusal", |s| matches!(link(s), Some(ObsLink::Unreachable { .. })));
    assert!(sentence(&outlets).contains("start it"), "{}", sentence(&outlets));
    let began = Instant::now();
    (0..300).for_each(|i| say(&wire, "word", i as f64 * 0.5));
    assert!(began.elapsed() < Duration::from_secs(1), "the words waited for OBS: {:?}", began.elapsed());
    until(&outlets, "the count", |s| s.obs.as_ref().is_some_and(|o| o.lost == 100));
    assert!(sentence(&outlets).contains("100 words came too late"), "{}", sentence(&outlets));
}

#[test]
fn a_slow_obs_misses_partials_but_no_final() {
    let obs = Double::start(Arc::new(scene()), 0);
    let (wire, outlets) = linked(obs.port, "", false);
    until(&outlets, "the link", connected);
    obs.scene.slow_ms.store(700, Ordering::Relaxed);
    let began = Instant::now();
    let said: Vec<_> = (0..60).map(|i| format!("w{i}")).collect();
    for (i, word) in said.iter().enumerate() {
        wire.tell(&[
            Event::Final(mynah::outlets::testing::words_at(word, i as f64 * 0.5)),
            Event::Partial(words("maybe")),
        ]);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() < Duration::from_secs(4), "the words waited for OBS: {:?}", began.elapsed());
    wait("all words", || all_shown(&lock(&obs.scene.texts), &said.join(" ")));
    assert!(lock(&obs.scene.texts).len() < 30);
    assert!(connected(&outlets.status()));
}

#[test]
fn captions_wait_for_a_stream_and_not_being_on_air_is_no_failure() {
    let obs = Double::start(Arc::new(scene()), 0);
    let (wire, outlets) = linked(obs.port, "", true);
    until(&outlets, "the link", connected);
    say(&wire, "nobody sees this", 0.0);
    wait("words in the source", || obs.text() == "nobody sees this");
    assert!(sentence(&outlets).contains("OBS is not streaming"), "{}", sentence(&outlets));
    assert!(!outlets.status().obs.is_some_and(|o| o.is_problem()));
    obs.scene.streaming.store(true, Ordering::Relaxed);
    let event = |active: bool| {
        let data = json!({ "outputActive": active, "outputState": if active { "OBS_WEBSOCKET_OUTPUT_STARTED" } else { "OBS_WEBSOCKET_OUTPUT_STOPPED" } });
        json!({ "op": 5, "d": { "eventType": "StreamStateChanged", "eventIntent": 64, "eventData": data } })
    };
    lock(&obs.scene.events).push_back(event(true));
    until(&outlets, "the stream", |s| matches!(link(s), Some(ObsLink::Connected { streaming: true, .. })));
    let said = (0..30).map(|i| format!("größer{i}")).collect::<Vec<_>>().join(" ");
    say(&wire, &said, 10.0);
    wait("captions", || all_shown(&lock(&obs.scene.captions), &said));
    assert!(!lock(&obs.scene.captions).iter().any(|c| c.contains("nobody")));
    // The stream ends without a word: the next caption finds out.
    obs.scene.streaming.store(false, Ordering::Relaxed);
    say(&wire, "too late", 60.0);
    until(&outlets, "the end of the stream", |s| {
        matches!(link(s), Some(ObsLink::Connected { streaming: false, source: None, .. }))
    });
    obs.scene.streaming.store(true, Ordering::Relaxed);
    lock(&obs.scene.events).push_back(event(true));
    until(&outlets, "the next stream", |s| matches!(link(s), Some(ObsLink::Connected { streaming: true, .. })));
    say(&wire, "hello", 90.0);
    wait("captions anew", || lock(&obs.scene.captions).last().is_some_and(|c| c == "hello"));
}

#[test]
fn a_source_that_is_missing_or_shows_no_text_is_told_until_it_is_mended() {
    let obs = Double::start(Arc::default(), 0);
    let (wire, outlets) = linked(obs.port, "", false);
    let problem = |s: &Status| match link(s) {
        Some(ObsLink::Connected { source, .. }) => source.clone(),
        _ => None,
    };
    until(&outlets, "the gap", |s| problem(s) == Some(SourceProblem::Missing(SOURCE.to_owned())));
    assert!(sentence(&outlets).contains("no source named `Mynah captions`"), "{}", sentence(&outlets));
    say(&wire, "kept for later", 0.0);
    lock(&obs.scene.inputs).push((SOURCE.to_owned(), "wasapi_input_capture".to_owned()));
    until(&outlets, "the wrong kind", |s| matches!(problem(s), Some(SourceProblem::NoText { .. })));
    lock(&obs.scene.inputs)[0].1 = "text_gdiplus_v3".to_owned();
    until(&outlets, "the right kind", connected);
    wait("the words", || obs.text() == "kept for later");
    // It is taken away while words stand.
    lock(&obs.scene.inputs).clear();
    say(&wire, "more", 1.5);
    until(&outlets, "the gap anew", |s| matches!(problem(s), Some(SourceProblem::Missing(_))));
    lock(&obs.scene.inputs).push((SOURCE.to_owned(), "text_ft2_source_v2".to_owned()));
    wait("the rest", || obs.text() == "kept for later more");
}

#[test]
fn what_is_not_obs_is_told() {
    let greetings = [
        Message::text("hello there"),
        Message::text(r#"{"op":0}"#),
        Message::binary(vec![0u8; 64]),
        Message::text(format!(r#"{{"op":0,"d":{{"rpcVersion":1,"x":"{}"}}}}"#, "y".repeat(2 << 20))),
    ];
    for garbage in greetings {
        let scene = Scene::default();
        *lock(&scene.garbage) = Some(garbage);
        let obs = Double::start(Arc::new(scene), 0);
        let (_wire, outlets) = linked(obs.port, "", false);
        until(&outlets, "the surprise", |s| matches!(link(s), Some(ObsLink::NotObs { .. } | ObsLink::BrokeOff(_))));
    }
    // No WebSocket at all: a server that talks at once, and one that says nothing.
    let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = web.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in web.incoming().flatten().take(1) {
            let mut stream = stream;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let (_wire, outlets) = linked(port, "", false);
    until(&outlets, "the surprise", |s| matches!(link(s), Some(ObsLink::NotObs { .. })));
    assert!(sentence(&outlets).contains("is not OBS 28 or newer"), "{}", sentence(&outlets));
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let (_wire, outlets) = linked(silent.local_addr().expect("an address").port(), "", false);
    until(&outlets, "the silence", |s| matches!(link(s), Some(ObsLink::Unreachable { .. })));
    let began = Instant::now();
    drop(outlets);
    assert!(began.elapsed() < Duration::from_secs(3), "the end took {:?}", began.elapsed());
}
