//! For fuzzing: whatever bytes a program on this machine may send to the overlay's port, through the real server,
//! without a port.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::answer::Service;
use super::converse;
use crate::wire::Wire;

/// How often it is looked whether an answer has begun, and how long between.
const LOOKS: u32 = 2000;
const LOOK: Duration = Duration::from_millis(5);

/// A peer that sends all of its bytes, waits a little for the answer, goes, and keeps what it got.
struct Peer {
    sends: Vec<u8>,
    sent: usize,
    /// How often it is asked for more before it goes: who goes at once gets no answer.
    waits: u32,
    got: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.sent == self.sends.len() && self.waits > 0 {
            self.waits -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let n = buffer.remaining().min(self.sends.len() - self.sent);
        buffer.put_slice(&self.sends[self.sent..self.sent + n]);
        self.sent += n;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.got.lock().unwrap_or_else(|e| e.into_inner()).extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What the overlay answers to these bytes.
fn answer(sends: &[u8]) -> Vec<u8> {
    thread_local! {
        static RUNTIME: Option<tokio::runtime::Runtime> = tokio::runtime::Builder::new_current_thread().enable_time().build().ok();
    }
    let got = Arc::<Mutex<Vec<u8>>>::default();
    let peer = Peer { sends: sends.to_vec(), sent: 0, waits: 16, got: got.clone() };
    let service = Arc::new(Service::new(Wire::default(), "run"));
    let begun = || !got.lock().unwrap_or_else(|e| e.into_inner()).is_empty();
    let done = async {
        tokio::select! {
            () = converse(peer, service) => true,
            // Words go on for as long as they can be sent: where more came behind the request, its sender's going is
            // only noticed then.
            begun = async {
                for _ in 0..LOOKS {
                    tokio::time::sleep(LOOK).await;
                    if begun() {
                        return true;
                    }
                }
                false
            } => begun,
        }
    };
    let ended = RUNTIME.with(|r| r.as_ref().map(|r| r.block_on(done)));
    assert_eq!(ended, Some(true), "a connection without an answer outlives its peer");
    std::mem::take(&mut got.lock().unwrap_or_else(|e| e.into_inner()))
}

/// Whatever is sent, only a request that names this machine is let in, and the connection ends.
pub fn fuzz(data: &[u8]) {
    let got = answer(data);
    assert!(got.is_empty() || got.starts_with(b"HTTP/1."), "an answer that is no HTTP");
    if got.starts_with(b"HTTP/1.1 200") || got.starts_with(b"HTTP/1.0 200") {
        let sent = data.to_ascii_lowercase();
        let names = |name: &[u8]| sent.windows(name.len()).any(|w| w == name);
        assert!(names(b"127.0.0.1") || names(b"localhost") || names(b"[::1]"), "another host was answered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fuzzed_connection_is_a_real_one() {
        let page = answer(b"GET / HTTP/1.1\r\nhost: localhost:7373\r\n\r\n");
        assert!(page.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&page));
        let refused = answer(b"GET / HTTP/1.1\r\nhost: evil.example\r\n\r\n");
        assert!(refused.starts_with(b"HTTP/1.1 403"), "{}", String::from_utf8_lossy(&refused));
        assert!(answer(b"").is_empty());
    }
}
