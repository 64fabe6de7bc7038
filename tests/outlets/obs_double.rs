//! A double of OBS's WebSocket server, written from the published protocol, for what the real one can't be made to do
//! on demand.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, accept};

/// What it does and has seen.
#[derive(Default)]
pub struct Scene {
    pub password: Option<&'static str>,
    /// Its inputs and their kinds.
    pub inputs: Mutex<Vec<(String, String)>>,
    pub streaming: AtomicBool,
    /// It takes so long for each answer.
    pub slow_ms: AtomicU64,
    /// It reads requests and does nothing about them, as what hangs before it dies.
    pub deaf: AtomicBool,
    /// It says this in place of Hello.
    pub garbage: Mutex<Option<Message>>,
    /// Texts that a source was given.
    pub texts: Mutex<Vec<String>>,
    /// Captions that the stream was given.
    pub captions: Mutex<Vec<String>>,
    /// Events to send.
    pub events: Mutex<VecDeque<Value>>,
    /// Clients that were let in.
    pub entries: AtomicU64,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panicked")
}

/// A running double; gone when dropped, with all its connections.
pub struct Double {
    pub port: u16,
    pub scene: Arc<Scene>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Double {
    pub fn start(scene: Arc<Scene>, port: u16) -> Self {
        let began = Instant::now();
        let listener = loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(listener) => break listener,
                Err(e) => assert!(began.elapsed() < Duration::from_secs(5), "{e}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        listener.set_nonblocking(true).expect("non-blocking");
        let port = listener.local_addr().expect("an address").port();
        let stop = Arc::<AtomicBool>::default();
        let (shown, stopped) = (scene.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut clients: Vec<JoinHandle<()>> = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let (scene, stop) = (shown.clone(), stopped.clone());
                        clients.push(std::thread::spawn(move || serve(stream, &scene, &stop)));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(10)),
                }
            }
            clients.into_iter().for_each(|c| c.join().expect("a client's thread"));
        });
        Self { port, scene, stop, thread: Some(thread) }
    }

    /// The last text of the source.
    pub fn text(&self) -> String {
        lock(&self.scene.texts).last().cloned().unwrap_or_default()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the double's thread");
        }
    }
}

fn serve(stream: TcpStream, scene: &Scene, stop: &AtomicBool) {
    stream.set_nonblocking(false).expect("blocking");
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    // The handshake must not end on the short timeout of reads.
    let began = Instant::now();
    let mut handshake = accept(stream);
    let mut socket = loop {
        match handshake {
            Ok(socket) => break socket,
            Err(tokio_tungstenite::tungstenite::HandshakeError::Interrupted(half))
                if began.elapsed() < Duration::from_secs(5) =>
            {
                handshake = half.handshake();
            }
            Err(_) => return,
        }
    };
    let (salt, challenge) = ("c2FsdA==", "Y2hhbGxlbmdl");
    let mut hello = json!({ "obsWebSocketVersion": "5.1.0", "rpcVersion": 1 });
    if scene.password.is_some() {
        hello["authentication"] = json!({ "challenge": challenge, "salt": salt });
    }
    let greeting =
        lock(&scene.garbage).clone().unwrap_or_else(|| Message::text(json!({ "op": 0, "d": hello }).to_string()));
    if socket.send(greeting).is_err() {
        return;
    }
    let mut identified = false;
    while !stop.load(Ordering::Relaxed) {
        if identified
            && let Some(event) = lock(&scene.events).pop_front()
            && socket.send(Message::text(event.to_string())).is_err()
        {
            return;
        }
        let text = match socket.read() {
            Ok(Message::Text(text)) => text,
            Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => return,
            Ok(_) => continue,
            Err(Error::Io(e)) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => return,
        };
        let message: Value = serde_json::from_str(&text).expect("the client sends JSON");
        match message["op"].as_u64() {
            Some(1) => {
                assert_eq!(message["d"]["rpcVersion"], 1);
                let right = scene.password.map(|password| {
                    let secret = BASE64.encode(&Sha256::digest([password, salt].concat()));
                    BASE64.encode(&Sha256::digest([secret.as_str(), challenge].concat()))
                });
                if right.is_some() && message["d"]["authentication"].as_str() != right.as_deref() {
                    return refuse(&mut socket, 4009, "Authentication failed.");
                }
                scene.entries.fetch_add(1, Ordering::Relaxed);
                identified = true;
                let welcome = json!({ "op": 2, "d": { "negotiatedRpcVersion": 1 } });
                if socket.send(Message::text(welcome.to_string())).is_err() {
                    return;
                }
            }
            Some(6) if identified && scene.deaf.load(Ordering::Relaxed) => {}
            Some(6) if identified => {
                std::thread::sleep(Duration::from_millis(scene.slow_ms.load(Ordering::Relaxed)));
                let request = &message["d"];
                let (code, data) = answer(scene, request);
                let status = json!({ "result": code == 100, "code": code, "comment": "as the double says" });
                let d = json!({ "requestType": request["requestType"], "requestId": request["requestId"], "requestStatus": status, "responseData": data });
                if socket.send(Message::text(json!({ "op": 7, "d": d }).to_string())).is_err() {
                    return;
                }
            }
            _ => return refuse(&mut socket, 4007, "You are not identified."),
        }
    }
}

fn refuse(socket: &mut WebSocket<TcpStream>, code: u16, reason: &'static str) {
    let _ = socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() }));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1)
        && !matches!(socket.read(), Err(Error::ConnectionClosed | Error::Protocol(_)))
    {}
}

fn answer(scene: &Scene, request: &Value) -> (u64, Value) {
    let data = &request["requestData"];
    let kind =
        || lock(&scene.inputs).iter().find(|(name, _)| data["inputName"] == **name).map(|(_, kind)| kind.clone());
    match request["requestType"].as_str() {
        Some("GetStreamStatus") => (100, json!({ "outputActive": scene.streaming.load(Ordering::Relaxed) })),
        Some("GetInputSettings") => match kind() {
            Some(kind) => (100, json!({ "inputKind": kind, "inputSettings": {} })),
            None => (600, Value::Null),
        },
        Some("SetInputSettings") => {
            if kind().is_none() {
                return (600, Value::Null);
            }
            assert_eq!(data["overlay"], true, "the user's font and colours would be lost");
            lock(&scene.texts).push(data["inputSettings"]["text"].as_str().expect("a text").to_owned());
            (100, Value::Null)
        }
        Some("SendStreamCaption") => {
            let text = data["captionText"].as_str().expect("a text");
            assert!(
                text.len() <= 128 && text.lines().count() <= 3 && text.lines().all(|l| l.chars().count() <= 32),
                "{text}"
            );
            if !scene.streaming.load(Ordering::Relaxed) {
                return (501, Value::Null);
            }
            lock(&scene.captions).push(text.to_owned());
            (100, Value::Null)
        }
        other => panic!("an unknown request: {other:?}"),
    }
}
