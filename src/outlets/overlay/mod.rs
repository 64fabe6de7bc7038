//! The overlay: a page for a browser source in OBS or any other streaming program, fed with the words as they come.
//! Served on this machine's loopback only, and read-only. Knows words, not who speaks them.

mod answer;
mod fuzzing;
mod guard;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::status::OverlayStatus;
use super::wire::Wire;
use answer::{HEARTBEAT, Service};
pub use fuzzing::fuzz;

/// Connections at a time.
pub const MOST_CLIENTS: usize = 64;
/// A request must have come within this.
const REQUEST: Duration = Duration::from_secs(5);
/// Bytes and lines of a request's head.
const MOST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;
/// Ports that are tried, from the wished one on.
const PORTS: u16 = 20;
/// How often the number of viewers is told.
const LOOK: Duration = Duration::from_millis(250);

/// Listens on the wished port, or the next ones where it is taken.
async fn listen(wished: u16) -> Result<(TcpListener, u16), String> {
    let mut last = String::new();
    for port in (0..PORTS).filter_map(|i| wished.checked_add(i)) {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => {
                let port = listener.local_addr().map_err(|e| e.to_string())?.port();
                return Ok((listener, port));
            }
            Err(e) if wished == 0 || e.kind() != io::ErrorKind::AddrInUse => {
                return Err(format!("the overlay can't be served on port {port}: {e}; choose another port"));
            }
            Err(e) => last = e.to_string(),
        }
    }
    Err(format!(
        "the overlay can't be served: port {wished} and the {} after it are taken ({last}); choose another port",
        PORTS - 1
    ))
}

/// Serves until `stop` is set, and tells how it goes.
pub(super) async fn run(wished: u16, wire: Wire, tell: impl Fn(OverlayStatus), mut stop: watch::Receiver<bool>) {
    let (listener, port) = match listen(wished).await {
        Ok(listening) => listening,
        Err(why) => {
            tell(OverlayStatus::Failed(why));
            return;
        }
    };
    // Where IPv6 is to be had, `localhost` may mean it.
    let second = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.ok();
    let service = Arc::new(Service::new(wire, &super::random_name()));
    let places = Arc::new(Semaphore::new(MOST_CLIENTS));
    let mut connections = JoinSet::new();
    let mut look = tokio::time::interval(LOOK);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            accepted = accept(second.as_ref()) => accepted,
            _ = look.tick() => {
                while connections.try_join_next().is_some() {}
                tell(OverlayStatus::Open { port, wished, viewers: service.viewers() });
                continue;
            }
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, _)) => match places.clone().try_acquire_owned() {
                Ok(place) => {
                    let service = service.clone();
                    connections.spawn(async move {
                        serve(stream, service).await;
                        drop(place);
                    });
                }
                Err(_) => turn_away(&stream),
            },
            // The system has no more sockets for now, or the peer has gone already.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Too many are here already. What can't be sent at once isn't.
fn turn_away(stream: &TcpStream) {
    let why = format!("the overlay serves {MOST_CLIENTS} readers at a time; close one\n");
    let _ = stream.try_write(
        format!("HTTP/1.1 503 Service Unavailable\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{why}", why.len())
            .as_bytes(),
    );
}

/// One connection, one request. Ends with its reader, or when that takes nothing any more.
async fn serve(stream: TcpStream, service: Arc<Service>) {
    // Words are small and must not wait to be joined by others. Where it can't be set they come a little later.
    let _ = stream.set_nodelay(true);
    converse(stream, service).await;
}

/// The same over any stream of bytes.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, service: Arc<Service>) {
    let asked = Arc::new(Mutex::new(Instant::now()));
    let answer = service_fn(|request| {
        let response = service.answer(&request, &asked);
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .keep_alive(false)
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), answer);
    let stuck = async {
        loop {
            let idle = asked.lock().unwrap_or_else(|e| e.into_inner()).elapsed();
            match (3 * HEARTBEAT).checked_sub(idle) {
                Some(patience) if !patience.is_zero() => tokio::time::sleep(patience).await,
                _ => return,
            }
        }
    };
    tokio::select! {
        // A reader that goes away is no error of anybody's.
        _ = connection => {}
        () = stuck => {}
    }
}
