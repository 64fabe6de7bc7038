//! A server that speaks the Open Inference Protocol v2 over HTTP (Triton, MLServer, KServe): its address, and what was
//! measured of it.
//!
//! `client` asks it, `wire` writes and reads what is sent. Knows no voice: a hop is tensors by name.

mod client;
mod wire;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub use client::{Asked, Away, Client};
pub use wire::{Given, Shape};

use mynah_realtime::clock::Mode;

/// What is known of an address, once for the whole process. Kept for ever: a few bytes for each address that was ever
/// named.
#[derive(Debug)]
struct Known {
    address: String,
    /// Microseconds of a round trip in each mode that 99 of 100 keep to; 0 where it was not measured.
    rooms: [AtomicU32; 3],
}

static KNOWN: Mutex<Vec<&'static Known>> = Mutex::new(Vec::new());
/// Addresses that a process takes, and how long one may be: more are a broken project's, not a person's.
const MOST_KNOWN: usize = 1000;
const LONGEST: usize = 300;
/// The longest round trip that a latency makes room for, in seconds; and the one that it does before anything was
/// measured.
const MOST_ROOM: f64 = 0.5;
const ASSUMED_ROOM: f64 = 0.01;

/// A server by its address, such as `http://10.0.0.7:8000`. Copies are the same server.
#[derive(Debug, Clone, Copy)]
pub struct Server(&'static Known);

impl Server {
    /// The server of an address that somebody typed: it is to be measured anew.
    pub fn chosen(address: &str) -> Result<Self, String> {
        let server = Self::known(address)?;
        server.0.rooms.iter().for_each(|room| room.store(0, Ordering::Relaxed));
        Ok(server)
    }

    /// The server of a saved text: the address, `#`, and the rooms of the modes in microseconds. What this process has
    /// measured itself stays.
    pub(super) fn restored(saved: &str) -> Result<Self, String> {
        let (address, rooms) = saved.split_once('#').unwrap_or((saved, ""));
        let server = Self::known(address)?;
        for (room, text) in server.0.rooms.iter().zip(rooms.split(',')) {
            let saved = text.parse().unwrap_or(0).min((MOST_ROOM * 1e6) as u32);
            let _ = room.compare_exchange(0, saved, Ordering::Relaxed, Ordering::Relaxed);
        }
        Ok(server)
    }

    /// What `restored` takes.
    pub(super) fn saved(self) -> String {
        let rooms = self.0.rooms.each_ref().map(|room| room.load(Ordering::Relaxed).to_string());
        format!("{}#{}", self.0.address, rooms.join(","))
    }

    fn known(address: &str) -> Result<Self, String> {
        let address = address.trim().trim_end_matches('/');
        let wrong = || format!("`{address}` is no address of a server; give http://HOST:PORT");
        let host = address.strip_prefix("http://").ok_or_else(wrong)?;
        let plain = |c: char| c.is_ascii_graphic() && !"#?@\\\"<>^`{|}".contains(c);
        if host.is_empty() || host.starts_with([':', '/']) || address.len() > LONGEST || !host.chars().all(plain) {
            return Err(wrong());
        }
        let mut known = KNOWN.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(there) = known.iter().find(|k| k.address == address) {
            return Ok(Self(there));
        }
        if known.len() >= MOST_KNOWN {
            return Err(format!("{MOST_KNOWN} servers were named already; start the host again"));
        }
        let new = Box::leak(Box::new(Known { address: address.to_owned(), rooms: Default::default() }));
        known.push(new);
        Ok(Self(new))
    }

    /// Its address, without a slash at the end.
    pub fn address(self) -> &'static str {
        &self.0.address
    }

    fn room_of(self, mode: Mode) -> &'static AtomicU32 {
        let [live, balanced, studio] = &self.0.rooms;
        match mode {
            Mode::Live => live,
            Mode::Balanced => balanced,
            Mode::Studio => studio,
        }
    }

    /// How long a hop's way there and back takes in 99 of 100 cases; none where that was not measured.
    pub fn measured(self, mode: Mode) -> Option<Duration> {
        let room = self.room_of(mode).load(Ordering::Relaxed);
        (room > 0).then(|| Duration::from_micros(u64::from(room)))
    }

    /// Takes note of a measurement; the latency of this mode makes room for it from now on, up to half a second.
    pub fn measure(self, mode: Mode, round_trip: Duration) {
        let room = round_trip.as_secs_f64().min(MOST_ROOM) * 1e6;
        self.room_of(mode).store((room as u32).max(1), Ordering::Relaxed);
    }

    /// Seconds that a latency has to keep for the way there and back: what was measured, or something usual.
    pub fn room(self, mode: Mode) -> f64 {
        self.measured(mode).map_or(ASSUMED_ROOM, |d| d.as_secs_f64())
    }
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Server {}

impl std::hash::Hash for Server {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.address.hash(state);
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_server_and_what_was_measured_is_saved_with_it() {
        let server = Server::chosen("http://room.test:8000/").expect("an address");
        assert_eq!(server, Server::chosen(" http://room.test:8000").expect("the same"));
        assert_eq!((server.measured(Mode::Live), server.room(Mode::Live)), (None, ASSUMED_ROOM));
        server.measure(Mode::Live, Duration::from_micros(3100));
        server.measure(Mode::Studio, Duration::from_secs(9));
        assert_eq!(server.saved(), "http://room.test:8000#3100,0,500000");
        // A project that is opened later keeps what this process knows, and brings what it doesn't.
        let same = Server::restored("http://room.test:8000#1,2200,3,4").expect("the same");
        assert_eq!((same, server.measured(Mode::Balanced)), (server, Some(Duration::from_micros(2200))));
        assert_eq!(server.measured(Mode::Live), Some(Duration::from_micros(3100)));
        Server::chosen("http://room.test:8000").expect("chosen again");
        assert_eq!(server.measured(Mode::Live), None);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "",
            "http://",
            "https://h:1",
            "h:8000",
            "http://:80",
            "http:///v2",
            "http://a b",
            "http://u@h",
            "http://h?x",
            "http://ü",
        ] {
            assert!(Server::chosen(wrong).is_err(), "{wrong}");
        }
        assert!(Server::chosen(&format!("http://{}", "h".repeat(LONGEST))).is_err());
        assert!(Server::restored("http://h#not,a,number").is_ok_and(|s| s.measured(Mode::Live).is_none()));
        assert!(Server::chosen("http://[::1]:8000/under/a/path").is_ok());
    }
}
