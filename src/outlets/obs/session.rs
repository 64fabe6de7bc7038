//! One connection to OBS, from its opening to its end.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::super::settings::ObsSettings;
use super::super::status::{ObsLink, SourceProblem};
use super::super::wire::{Cursor, Wire};
use super::channel::{Channel, Target};
use super::protocol::{self, Said};

/// How long OBS may take to be reached, to say who it is, and to answer a request.
const PATIENCE: Duration = Duration::from_secs(5);
/// A source that isn't there is looked for so often.
const LOOK_FOR_SOURCE: Duration = Duration::from_secs(2);
/// Without a word from OBS for so long it is asked for a sign of life; for twice as long it is gone.
const QUIET: Duration = Duration::from_secs(10);
/// How long the last request may take at the end.
const LAST: Duration = Duration::from_millis(500);
/// Bytes of a message at most: OBS's answers are far smaller.
const MOST: usize = 1 << 20;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The text of a channel, by its place.
    Show(usize),
    /// Whether the source of a channel is there.
    Source(usize),
    /// Whether OBS streams.
    Stream,
}

/// A connection that OBS has let in.
pub struct Session<'a> {
    socket: Socket,
    channels: &'a mut [Channel],
    /// Requests without an answer yet.
    asked: Vec<(String, Asked, Instant)>,
    next_id: u64,
    /// Whether OBS streams; none before it has said so.
    streaming: Option<bool>,
    problem: Option<SourceProblem>,
    heard: Instant,
    pinged: bool,
    look: Option<Instant>,
}

/// Connects and says who this is. An error is the state to show until the next try.
pub async fn open<'a>(settings: &ObsSettings, channels: &'a mut [Channel]) -> Result<Session<'a>, ObsLink> {
    let address = address(&settings.address);
    let unreachable = |why: String| ObsLink::Unreachable { address: address.clone(), why };
    let not_obs = |why: String| ObsLink::NotObs { address: address.clone(), why };
    let config = WebSocketConfig::default().max_message_size(Some(MOST)).max_frame_size(Some(MOST));
    let connected = timeout(PATIENCE, connect_async_with_config(format!("ws://{address}/"), Some(config), true)).await;
    let mut socket = match connected {
        Ok(Ok((socket, _))) => socket,
        Ok(Err(Error::Io(e))) => return Err(unreachable(e.to_string())),
        Ok(Err(e)) => return Err(not_obs(e.to_string())),
        Err(_) => return Err(unreachable(format!("not within {} s", PATIENCE.as_secs()))),
    };
    let identified = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => match protocol::read(&text).map_err(&not_obs)? {
                    Said::Hello { challenge, .. } => {
                        let proof = match challenge {
                            Some(_) if settings.password.0.is_empty() => return Err(ObsLink::PasswordMissing),
                            Some(asked) => Some(protocol::proof(&settings.password.0, &asked)),
                            None => None,
                        };
                        socket
                            .send(Message::text(protocol::identify(proof)))
                            .await
                            .map_err(|e| ObsLink::BrokeOff(e.to_string()))?;
                    }
                    Said::Identified => return Ok(()),
                    _ => {}
                },
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.as_ref().map_or(0, |f| f.code.into());
                    let reason = frame.map_or_else(|| "no reason".to_owned(), |f| f.reason.to_string());
                    return Err(match code {
                        protocol::CLOSE_AUTHENTICATION_FAILED => ObsLink::PasswordWrong,
                        protocol::CLOSE_UNSUPPORTED_RPC_VERSION => {
                            not_obs("it speaks another version of the protocol".to_owned())
                        }
                        _ => ObsLink::BrokeOff(format!("OBS closed it: {reason}")),
                    });
                }
                Some(Ok(Message::Binary(_))) => return Err(not_obs("it sends bytes where text belongs".to_owned())),
                Some(Ok(_)) => {}
                Some(Err(e)) => return Err(ObsLink::BrokeOff(e.to_string())),
                None => return Err(ObsLink::BrokeOff("it was closed at once".to_owned())),
            }
        }
    };
    let quiet = not_obs(format!("it said nothing for {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, identified).await.unwrap_or(Err(quiet))?;
    let now = Instant::now();
    Ok(Session {
        socket,
        channels,
        asked: Vec::new(),
        next_id: 0,
        streaming: None,
        problem: None,
        heard: now,
        pinged: false,
        look: Some(now),
    })
}

/// Host and port of what a person typed.
fn address(typed: &str) -> String {
    let bare = typed.trim().trim_start_matches("ws://").trim_end_matches('/');
    let (host, port) = match bare.rsplit_once(':') {
        Some((host, port)) if !bare.ends_with(']') => (host, port),
        _ => (bare, "4455"),
    };
    // This machine needs no look-up.
    let host = if host.eq_ignore_ascii_case("localhost") || host.is_empty() { "127.0.0.1" } else { host };
    format!("{host}:{port}")
}

impl Session<'_> {
    /// Shows words until `stop` is set (`None`) or the connection ends (the state to show).
    pub async fn run(
        &mut self,
        wire: &Wire,
        cursor: &mut Cursor,
        tell: &impl Fn(ObsLink, &[Channel]),
        stop: &mut watch::Receiver<bool>,
    ) -> Option<ObsLink> {
        let ended = self.talk(wire, cursor, tell, stop).await;
        if ended.is_none() {
            self.farewell().await;
        }
        self.channels.iter_mut().for_each(Channel::disconnected);
        ended
    }

    async fn talk(
        &mut self,
        wire: &Wire,
        cursor: &mut Cursor,
        tell: &impl Fn(ObsLink, &[Channel]),
        stop: &mut watch::Receiver<bool>,
    ) -> Option<ObsLink> {
        let mut changes = wire.changes();
        if let Err(e) = self.ask(Asked::Stream, protocol::get_stream_status).await {
            return Some(e);
        }
        loop {
            changes.mark_unchanged();
            let (news, now) = (wire.read(cursor), Instant::now());
            if !news.is_empty() {
                self.channels.iter_mut().for_each(|c| c.take(news.clone(), self.streaming.is_some(), now));
            }
            if let Err(e) = self.act(now).await {
                return Some(e);
            }
            let captions = self.channels.iter().any(|c| c.target == Target::Stream);
            tell(
                ObsLink::Connected { streaming: self.streaming == Some(true), source: self.problem.clone(), captions },
                self.channels,
            );
            let wake = self.wake();
            tokio::select! {
                message = self.socket.next() => match self.hear(message) {
                    Ok(()) => {}
                    Err(e) => return Some(e),
                },
                changed = changes.changed() => if changed.is_err() {
                    return None;
                },
                () = sleep_until(wake.into()) => {}
                _ = stop.wait_for(|stop| *stop) => return None,
            }
        }
    }

    /// When something is due.
    fn wake(&self) -> Instant {
        let alive = self.heard + if self.pinged { 2 * QUIET } else { QUIET };
        let answer = self.asked.iter().map(|(_, _, at)| *at + PATIENCE);
        self.channels.iter().filter_map(Channel::wake).chain(answer).chain(self.look).min().unwrap_or(alive).min(alive)
    }

    /// Sends what is due.
    async fn act(&mut self, now: Instant) -> Result<(), ObsLink> {
        if self.asked.iter().any(|(_, _, at)| now >= *at + PATIENCE) || now >= self.heard + 2 * QUIET {
            return Err(ObsLink::BrokeOff(format!("OBS did not answer for {} s", PATIENCE.as_secs())));
        }
        if now >= self.heard + QUIET && !self.pinged {
            self.pinged = true;
            self.send(Message::Ping(Vec::new().into())).await?;
        }
        if self.look.is_some_and(|at| now >= at) {
            self.look = None;
            for i in 0..self.channels.len() {
                if let Target::Source(name) = self.channels[i].target.clone() {
                    self.ask(Asked::Source(i), |id| protocol::get_input(id, &name)).await?;
                }
            }
        }
        for i in 0..self.channels.len() {
            if let Some(text) = self.channels[i].next(now) {
                let id = self.id();
                let request = self.channels[i].request(&id, &text);
                self.asked.push((id, Asked::Show(i), now));
                self.send(Message::text(request)).await?;
            }
        }
        Ok(())
    }

    fn id(&mut self) -> String {
        self.next_id += 1;
        self.next_id.to_string()
    }

    async fn ask(&mut self, what: Asked, request: impl FnOnce(&str) -> String) -> Result<(), ObsLink> {
        let id = self.id();
        let request = request(&id);
        self.asked.push((id, what, Instant::now()));
        self.send(Message::text(request)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), ObsLink> {
        match timeout(PATIENCE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(ObsLink::BrokeOff(e.to_string())),
            Err(_) => Err(ObsLink::BrokeOff(format!("OBS took nothing for {} s", PATIENCE.as_secs()))),
        }
    }

    fn hear(&mut self, message: Option<Result<Message, Error>>) -> Result<(), ObsLink> {
        (self.heard, self.pinged) = (Instant::now(), false);
        match message {
            Some(Ok(Message::Text(text))) => match protocol::read(&text).map_err(ObsLink::BrokeOff)? {
                Said::Streaming(active) => self.set_streaming(active),
                Said::Response { id, code, comment, data } => {
                    if let Some(k) = self.asked.iter().position(|(asked, _, _)| *asked == id) {
                        let (_, what, _) = self.asked.swap_remove(k);
                        self.answered(what, code, comment, &data);
                    }
                }
                _ => {}
            },
            Some(Ok(Message::Close(frame))) => {
                let why = frame.map(|f| f.reason.to_string()).filter(|r| !r.is_empty());
                return Err(ObsLink::BrokeOff(why.unwrap_or_else(|| "OBS closed it".to_owned())));
            }
            Some(Ok(_)) => {}
            Some(Err(e)) => return Err(ObsLink::BrokeOff(e.to_string())),
            None => return Err(ObsLink::BrokeOff("OBS has gone".to_owned())),
        }
        Ok(())
    }

    fn set_streaming(&mut self, active: bool) {
        self.streaming = Some(active);
        for channel in self.channels.iter_mut().filter(|c| c.target == Target::Stream) {
            match active {
                true => channel.open = true,
                false => channel.failed(),
            }
        }
    }

    fn answered(&mut self, what: Asked, code: u64, comment: String, data: &serde_json::Value) {
        let ok = code == protocol::SUCCESS;
        match what {
            Asked::Stream => {
                let active = ok && data["outputActive"].as_bool().unwrap_or(false);
                self.set_streaming(active);
            }
            Asked::Source(i) => self.problem = self.source_problem(i, code, comment, data),
            Asked::Show(i) if ok => self.channels[i].sent(Instant::now()),
            Asked::Show(i) => {
                self.channels[i].failed();
                if let Target::Source(name) = &self.channels[i].target {
                    self.problem = Some(refusal(name, code, comment));
                    self.look = Some(Instant::now() + LOOK_FOR_SOURCE);
                } else if code == protocol::OUTPUT_NOT_RUNNING {
                    self.streaming = Some(false);
                } else {
                    // Nothing that a stream needs is missing, yet the caption is refused: the next words are tried all
                    // the same.
                    self.channels[i].open = self.streaming == Some(true);
                }
            }
        }
    }

    /// What OBS says of a channel's source: opens the channel where it can show text, else looks again later.
    fn source_problem(
        &mut self,
        i: usize,
        code: u64,
        comment: String,
        data: &serde_json::Value,
    ) -> Option<SourceProblem> {
        let Target::Source(name) = &self.channels[i].target else { return None };
        let kind = data["inputKind"].as_str().unwrap_or_default();
        let problem = match code {
            protocol::SUCCESS if kind.starts_with("text_") => None,
            protocol::SUCCESS => Some(SourceProblem::NoText { name: name.clone(), kind: kind.to_owned() }),
            _ => Some(refusal(name, code, comment)),
        };
        self.channels[i].open = problem.is_none();
        self.look = problem.is_some().then(|| Instant::now() + LOOK_FOR_SOURCE);
        problem
    }

    /// Takes away what OBS shows, then closes the connection.
    async fn farewell(&mut self) {
        let last = async {
            for i in 0..self.channels.len() {
                if self.channels[i].open && self.channels[i].shows() {
                    let id = self.id();
                    let request = self.channels[i].request(&id, "");
                    self.asked.push((id, Asked::Show(i), Instant::now()));
                    self.send(Message::text(request)).await?;
                }
            }
            while !self.asked.is_empty() {
                let message = self.socket.next().await;
                self.hear(message)?;
            }
            Ok::<(), ObsLink>(())
        };
        // OBS may have gone in the meantime, and then shows nothing.
        let _ = timeout(LAST, last).await;
        let _ = timeout(LAST, self.socket.close(None)).await;
    }
}

fn refusal(name: &str, code: u64, comment: String) -> SourceProblem {
    match code {
        protocol::RESOURCE_NOT_FOUND => SourceProblem::Missing(name.to_owned()),
        _ => SourceProblem::Refused(if comment.is_empty() {
            format!("code {code}")
        } else {
            format!("{comment}, code {code}")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses_are_taken_as_people_type_them() {
        for (typed, meant) in [
            ("127.0.0.1:4455", "127.0.0.1:4455"),
            ("localhost:4460", "127.0.0.1:4460"),
            (" ws://192.168.1.20:4455/ ", "192.168.1.20:4455"),
            ("studio", "studio:4455"),
            ("[::1]", "[::1]:4455"),
            ("[::1]:4456", "[::1]:4456"),
            ("", "127.0.0.1:4455"),
        ] {
            assert_eq!(address(typed), meant);
        }
    }
}
