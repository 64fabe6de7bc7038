//! The outlets as the programs at their other end see them: the overlay over sockets, the link to OBS against a double
//! that is written from the published protocol. tests/outlets_seen.rs has the real browser and the real OBS.

mod bursts;
mod obs_double;
mod obs_faults;
mod overlay;

use std::time::{Duration, Instant};

use mynah::outlets::testing::words_at;
use mynah::outlets::{Outlets, Settings, Status, Wire};
use mynah::recognition::stream::Event;
use mynah::subtitles::cues::Style;

fn start(settings: Settings) -> (Wire, Outlets) {
    let wire = Wire::default();
    let outlets = Outlets::start(wire.clone(), settings, Style::live()).expect("a thread");
    (wire, outlets)
}

/// Waits until a status holds, and tells how long it took.
fn until(outlets: &Outlets, what: &str, holds: impl Fn(&Status) -> bool) -> Duration {
    let start = Instant::now();
    while !holds(&outlets.status()) {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} did not come: {:?}", outlets.status());
        std::thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}

/// Says words that are final.
fn say(wire: &Wire, text: &str, at: f64) {
    wire.tell(&[Event::Final(words_at(text, at)), Event::Partial(vec![])]);
}
