//! A bad network on loopback: passes everything on to a server, until it is told to do something else with it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// What becomes of hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Weather {
    /// Nothing.
    Fair,
    /// Requests wait before they are passed on.
    Delay,
    /// Connections are closed as soon as something is said.
    Dropped,
    /// Answers are bytes of no protocol.
    Noise,
    /// Answers are HTTP, but hold nothing that was asked for.
    Nonsense,
    /// Answers end in the middle.
    Half,
    /// Nothing is ever answered.
    Silent,
}

struct Shared {
    weather: AtomicU8,
    delay_ms: AtomicU32,
    requests: AtomicU64,
    connections: AtomicU64,
    stop: AtomicBool,
}

impl Shared {
    fn is(&self, weather: Weather) -> bool {
        self.weather.load(Ordering::Relaxed) == weather as u8
    }
}

/// The network between Mynah and a server.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// In front of a port of this machine, where a server listens now or later.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            weather: AtomicU8::new(Weather::Fair as u8),
            delay_ms: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let all = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if all.stop.load(Ordering::Relaxed) {
                    return;
                }
                all.connections.fetch_add(1, Ordering::Relaxed);
                // Where nobody listens the connection ends at once.
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let ways =
                    [(client.try_clone(), server.try_clone(), true), (server.try_clone(), client.try_clone(), false)];
                for (from, to, asks) in ways {
                    let (Ok(from), Ok(to), shared) = (from, to, all.clone()) else { continue };
                    std::thread::spawn(move || pass(from, to, asks, &shared));
                }
            }
        });
        Self { port, shared }
    }

    /// What happens from now on.
    pub fn set(&self, weather: Weather) {
        self.shared.weather.store(weather as u8, Ordering::Relaxed);
    }

    /// Requests wait so long from now on.
    pub fn delay(&self, ms: u32) {
        self.shared.delay_ms.store(ms, Ordering::Relaxed);
        self.set(Weather::Delay);
    }

    /// Requests so far, and connections.
    pub fn seen(&self) -> (u64, u64) {
        (self.shared.requests.load(Ordering::Relaxed), self.shared.connections.load(Ordering::Relaxed))
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// One way of a connection, until it ends.
fn pass(mut from: TcpStream, mut to: TcpStream, asks: bool, shared: &Shared) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n) = from.read(&mut buffer) {
        let bytes = &buffer[..n];
        if n == 0 || shared.is(Weather::Dropped) {
            break;
        }
        if asks {
            if bytes.starts_with(b"POST ") || bytes.starts_with(b"GET ") {
                shared.requests.fetch_add(1, Ordering::Relaxed);
                if shared.is(Weather::Delay) {
                    std::thread::sleep(Duration::from_millis(u64::from(shared.delay_ms.load(Ordering::Relaxed))));
                }
            }
        } else if shared.is(Weather::Silent) {
            continue;
        } else if let Some(instead) = instead(bytes, shared) {
            let _ = to.write_all(&instead);
            break;
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
}

/// What is sent in place of a piece of an answer, before the connection is closed; none where it is passed on.
fn instead(bytes: &[u8], shared: &Shared) -> Option<Vec<u8>> {
    if shared.is(Weather::Noise) {
        return Some((0..3000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect());
    }
    if shared.is(Weather::Half) {
        return Some(bytes[..bytes.len() / 2].to_vec());
    }
    let nonsense =
        br#"{"outputs":[{"name":"harmonic","shape":[1],"datatype":"FP32","data":[0.5]},{"name":"noise","data":"x"}]}"#;
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", nonsense.len());
    shared.is(Weather::Nonsense).then(|| [head.as_bytes(), nonsense].concat())
}
