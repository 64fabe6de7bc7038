//! The overlay over sockets: who is answered, what is bounded, that nobody's words are lost to another's slowness.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use mynah::outlets::testing::words;
use mynah::outlets::{MOST_CLIENTS, Outlets, OverlayStatus, Settings, Wire};
use mynah::recognition::stream::Event;
use serde_json::Value;

use super::{say, start, until};

fn overlay(port: u16) -> (Wire, Outlets, u16) {
    let mut settings = Settings::default();
    (settings.overlay.on, settings.overlay.port) = (true, port);
    let (wire, outlets) = start(settings);
    until(&outlets, "the overlay", |s| matches!(s.overlay, Some(OverlayStatus::Open { .. })));
    let Some(OverlayStatus::Open { port, .. }) = outlets.status().overlay else { panic!("it was open") };
    (wire, outlets, port)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream
}

/// Asks in HTTP 1.0, so that a body comes as it is.
fn ask(port: u16, request: &str, headers: &str) -> BufReader<TcpStream> {
    let mut stream = connect(port);
    let host =
        if headers.to_lowercase().contains("host:") { String::new() } else { format!("Host: 127.0.0.1:{port}\r\n") };
    stream.write_all(format!("{request} HTTP/1.0\r\n{host}{headers}\r\n").as_bytes()).expect("asked");
    BufReader::new(stream)
}

/// The status and the headers of an answer.
fn head(answer: &mut BufReader<TcpStream>) -> (u16, String) {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        let n = answer.read_line(&mut line).expect("a head");
        if n == 0 || line == "\r\n" {
            break;
        }
        head += &line;
    }
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, head.to_lowercase())
}

fn status(port: u16, request: &str, headers: &str) -> u16 {
    head(&mut ask(port, request, headers)).0
}

/// The next event of words: its id and data.
fn event(events: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let (mut id, mut data) = (String::new(), None);
    loop {
        let mut line = String::new();
        if events.read_line(&mut line).expect("a line") == 0 {
            return None;
        }
        let line = line.trim_end();
        if let Some(value) = line.strip_prefix("id: ") {
            id = value.to_owned();
        } else if let Some(json) = line.strip_prefix("data: ") {
            data = Some(serde_json::from_str(json).expect("JSON"));
        } else if line.is_empty() && data.is_some() {
            return data.map(|d| (id, d));
        }
    }
}

fn texts(data: &Value) -> String {
    let finals = data["finals"].as_array().expect("finals");
    finals.iter().map(|w| w["text"].as_str().expect("a text")).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_comes_with_its_policy_and_only_to_this_machine() {
    let (_wire, outlets, port) = overlay(0);
    let mut page = ask(port, "GET /?size=60&font=serif", "");
    let (code, headers) = head(&mut page);
    let mut body = String::new();
    page.read_to_string(&mut body).expect("the page");
    assert_eq!(code, 200);
    assert!(body.starts_with("<!doctype html>") && body.trim_end().ends_with("</html>"));
    for part in [
        "content-security-policy: default-src 'none'; script-src 'sha256-",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
    ] {
        assert!(headers.contains(part), "{part} is missing in {headers}");
    }
    assert!(!headers.contains("access-control"), "{headers}");
    // No part of it comes from elsewhere.
    assert!(!body.contains("//cdn") && !body.contains("src=") && !body.contains("@import"));
    let refused = [
        ("GET /", "Host: evil.example\r\n", 403),
        ("GET /events", "Host: localhost.evil.example:80\r\n", 403),
        ("GET /words.jsonl", "Origin: https://evil.example\r\n", 403),
        ("GET /words.jsonl", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", 403),
        ("POST /", "Content-Length: 3\r\n", 405),
        ("GET /", "Content-Length: 3\r\n", 413),
        ("GET /../../etc/passwd", "", 404),
        ("GET /words.jsonl?since=x", "", 400),
        ("HEAD /events", "", 200),
        ("GET /", "Host: [::1]:1\r\n", 200),
    ];
    for (request, headers, code) in refused {
        assert_eq!(status(port, request, headers), code, "{request} {headers}");
    }
    // Not to other machines: nobody listens on an address that they could reach.
    let other = std::net::SocketAddr::from(([127, 0, 0, 2], port));
    assert!(TcpStream::connect_timeout(&other, Duration::from_secs(1)).is_err());
    drop(outlets);
}

#[test]
fn a_taken_port_leads_to_the_next_one_and_it_is_said() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let wished = taken.local_addr().expect("its number").port();
    let (_wire, outlets, port) = overlay(wished);
    assert!(port > wished && port <= wished + 19, "{port} for {wished}");
    let sentence = outlets.status().overlay.map(|o| o.sentence()).unwrap_or_default();
    assert!(
        sentence.contains(&format!("port {wished} was taken")) && sentence.contains(&format!("127.0.0.1:{port}/")),
        "{sentence}"
    );
    // Another wish is fulfilled while it runs, and the old port is free again.
    let mut settings = Settings::default();
    (settings.overlay.on, settings.overlay.port) = (true, 0);
    outlets.set(settings);
    until(&outlets, "another port", |s| matches!(s.overlay, Some(OverlayStatus::Open { wished: 0, .. })));
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("free again");
    outlets.set(Settings::default());
    until(&outlets, "no overlay", |s| s.overlay.is_none());
}

#[test]
fn fifty_pages_get_every_final_in_order_and_the_latest_partial() {
    let (wire, outlets, port) = overlay(0);
    say(&wire, "before", 0.0);
    let mut pages: Vec<_> = (0..50).map(|_| ask(port, "GET /events", "")).collect();
    pages.iter_mut().for_each(|p| {
        assert_eq!(head(p).0, 200);
        let (_, first) = event(p).expect("what stands");
        assert!(first["fresh"].as_f64().is_some_and(|s| s < 20.0) && texts(&first) == "before", "{first}");
    });
    until(&outlets, "fifty readers", |s| matches!(s.overlay, Some(OverlayStatus::Open { viewers: 50, .. })));
    let began = Instant::now();
    for i in 0..100 {
        wire.tell(&[Event::Final(words(&format!("w{i}"))), Event::Partial(words(&format!("p{i} p")))]);
        std::thread::sleep(Duration::from_millis(2));
    }
    let said = (0..100).map(|i| format!("w{i}")).collect::<Vec<_>>().join(" ");
    for page in &mut pages {
        let (mut all, mut partial) = (String::new(), Value::Null);
        while all.len() < said.len() {
            let (_, data) = event(page).expect("more words");
            all = [all, texts(&data)].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(" ");
            partial = data["partial"].clone();
        }
        assert_eq!(all, said);
        assert_eq!(partial[0]["text"], "p99");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(pages);
    until(&outlets, "no readers", |s| matches!(s.overlay, Some(OverlayStatus::Open { viewers: 0, .. })));
}

#[test]
fn a_page_that_comes_back_goes_on_where_it_was() {
    let (wire, _outlets, port) = overlay(0);
    say(&wire, "one two", 0.0);
    let mut page = ask(port, "GET /events", "");
    head(&mut page);
    let (id, first) = event(&mut page).expect("what stands");
    assert_eq!(texts(&first), "one two");
    drop(page);
    say(&wire, "three four", 1.0);
    let mut page = ask(port, "GET /events", &format!("Last-Event-ID: {id}\r\n"));
    head(&mut page);
    let (_, rest) = event(&mut page).expect("the rest");
    assert!(texts(&rest) == "three four" && rest["fresh"].is_null(), "{rest}");
    // An id of another run is no place in this one: the page begins anew.
    for foreign in ["0123456789abcdef-1", "-1", "x", &format!("{id}9999999999999999999999")] {
        let mut page = ask(port, "GET /events", &format!("Last-Event-ID: {foreign}\r\n"));
        head(&mut page);
        let (_, data) = event(&mut page).expect("all that stands");
        assert!(texts(&data) == "one two three four" && data["fresh"].is_number(), "{foreign}: {data}");
    }
}

#[test]
fn programs_read_lines_from_now_on_or_from_an_id() {
    let (wire, _outlets, port) = overlay(0);
    say(&wire, "early", 0.0);
    let read = |lines: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        serde_json::from_str::<Value>(&line).expect("JSON")
    };
    let mut now = ask(port, "GET /words.jsonl", "");
    let mut early = ask(port, "GET /words.jsonl?since=0", "");
    assert_eq!((head(&mut now).0, head(&mut early).0), (200, 200));
    let line = read(&mut early);
    assert_eq!(
        (line["kind"].as_str(), line["id"].as_u64(), line["words"][0]["text"].as_str()),
        (Some("final"), Some(1), Some("early"))
    );
    assert_eq!(read(&mut now)["kind"], "partial", "the partial of the moment comes first");
    wire.tell(&[Event::Final(words("late")), Event::Partial(words("later"))]);
    let (a, b) = (read(&mut now), read(&mut now));
    assert_eq!(
        (&a["kind"], &a["id"], &b["kind"], &b["words"][0]["text"]),
        (&"final".into(), &2.into(), &"partial".into(), &"later".into())
    );
    // A program that speaks HTTP 1.1 gets chunks.
    let mut stream = connect(port);
    stream.write_all(b"GET /words.jsonl HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("asked");
    assert!(head(&mut BufReader::new(stream)).1.contains("transfer-encoding: chunked"));
}

#[test]
fn requests_are_bounded_in_size_time_and_number() {
    let (_wire, _outlets, port) = overlay(0);
    // A head that never ends.
    let mut stream = connect(port);
    let junk = format!("X: {}\r\n", "y".repeat(1000));
    let mut sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n").is_ok();
    for _ in 0..100 {
        sent &= stream.write_all(junk.as_bytes()).is_ok();
    }
    let mut answer = String::new();
    let read = BufReader::new(stream).read_line(&mut answer);
    assert!(!sent || read.is_err() || answer.is_empty() || answer.contains("431"), "{answer}");
    // Drop by drop, and not a byte at all.
    let (mut slow, mut silent) = (connect(port), connect(port));
    let began = Instant::now();
    for byte in b"GET / HTTP/1.1\r\nHost: loc".iter().cycle() {
        if slow.write_all(&[*byte]).is_err() || began.elapsed() > Duration::from_secs(15) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(began.elapsed() < Duration::from_secs(9), "a slow request was still taken after {:?}", began.elapsed());
    let mut rest = Vec::new();
    // Closed, in order or not.
    let _ = silent.read_to_end(&mut rest);
    assert!(began.elapsed() < Duration::from_secs(9), "a silent connection stood for {:?}", began.elapsed());
    // One more than there are places.
    let mut pages: Vec<_> = (0..MOST_CLIENTS).map(|_| ask(port, "GET /events", "")).collect();
    pages.iter_mut().for_each(|p| assert_eq!(head(p).0, 200));
    let mut answer = String::new();
    let _ = connect(port).read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(pages);
    let began = Instant::now();
    while status(port, "GET /", "") != 200 {
        assert!(began.elapsed() < Duration::from_secs(5), "no place was free again");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_that_does_not_read_holds_up_nobody_and_the_end_is_quick() {
    let (wire, outlets, port) = overlay(0);
    let mut stuck = ask(port, "GET /words.jsonl", "");
    let mut page = ask(port, "GET /events", "");
    assert_eq!((head(&mut stuck).0, head(&mut page).0), (200, 200));
    event(&mut page).expect("what stands");
    let began = Instant::now();
    let reader = std::thread::spawn(move || {
        let mut count = 0;
        while let Some((_, data)) = event(&mut page) {
            count += data["finals"].as_array().map_or(0, Vec::len) as u64 + data["lost"].as_u64().unwrap_or(0);
            if texts(&data).ends_with("end") {
                break;
            }
        }
        count
    });
    // Far more than the sockets' buffers hold.
    let long = "x".repeat(200);
    for _ in 0..40_000 {
        wire.tell(&[Event::Final(words(&long))]);
    }
    let told = began.elapsed();
    say(&wire, "end", 0.0);
    assert_eq!(reader.join().expect("the page"), 40_001, "words that are missing were not told");
    assert!(told < Duration::from_secs(10), "the words waited for a reader: {told:?}");
    // The stuck one, when it reads again, is told what it lost.
    let (mut finals, mut lost) = (0, 0);
    let mut line = String::new();
    while finals + lost < 40_001 {
        line.clear();
        stuck.read_line(&mut line).expect("a line");
        let value: Value = serde_json::from_str(&line).expect("JSON");
        match value["kind"].as_str() {
            Some("final") => finals += value["words"].as_array().map_or(0, Vec::len),
            Some("lost") => lost += value["words"].as_u64().unwrap_or(0) as usize,
            _ => {}
        }
    }
    assert!(lost > 0 && finals + lost == 40_001, "{finals} + {lost}");
    let began = Instant::now();
    drop(outlets);
    assert!(began.elapsed() < Duration::from_secs(3), "the end took {:?}", began.elapsed());
}
