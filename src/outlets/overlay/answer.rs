//! What the overlay answers: the page, the words as server-sent events, the words as JSON lines. Knows no connection
//! and no port.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::guard;
use crate::jsonl;
use crate::wire::{Cursor, News, Wire};
use mynah_subtitles::Word;

/// A sign of life is sent after so long without words; a reader that has taken nothing for three times as long is given
/// up.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// Final words that a page gets when it comes: what may stand on it at the moment.
const HISTORY: usize = 60;

/// A body of any length.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

const PAGE: &str = include_str!("page.html");

/// What is served, to whom.
#[derive(Debug)]
pub struct Service {
    wire: Wire,
    /// Tells this run from another, so that an id of an earlier one is not taken for one of this.
    run: Arc<str>,
    /// A clone for each reader of words.
    viewers: Arc<()>,
}

/// When a connection's body was last asked for more: who reads slowly asks seldom.
pub type Asked = Arc<Mutex<Instant>>;

impl Service {
    /// The words of a wire.
    pub fn new(wire: Wire, run: &str) -> Self {
        Self { wire, run: run.into(), viewers: Arc::default() }
    }

    /// How many read words at the moment.
    pub fn viewers(&self) -> usize {
        Arc::strong_count(&self.viewers).saturating_sub(1)
    }

    /// Answers a request.
    pub fn answer<B>(&self, request: &Request<B>, asked: &Asked) -> Response<Body> {
        if let Err(refused) = guard::check(request.method(), request.uri(), request.headers()) {
            return text(refused.status, "text/plain; charset=utf-8", refused.why);
        }
        let head = request.method() == Method::HEAD;
        match request.uri().path() {
            "/" => text(StatusCode::OK, "text/html; charset=utf-8", PAGE),
            "/events" => {
                let place =
                    request.headers().get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|id| self.place(id));
                self.words("text/event-stream", Form::Events { first: place.is_none() }, head, asked, place)
            }
            "/words.jsonl" => {
                let since =
                    request.uri().query().and_then(|q| q.split('&').find_map(|pair| pair.strip_prefix("since=")));
                let place = match since.map(str::parse) {
                    None => self.wire.from_now(),
                    Some(Ok(last)) => self.wire.behind(last),
                    Some(Err(_)) => {
                        let why = "`since` takes the id of a line, a whole number";
                        return text(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", why);
                    }
                };
                self.words("application/jsonl", Form::Lines, head, asked, Some(place))
            }
            _ => text(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "there are /, /events and /words.jsonl here"),
        }
    }

    /// Where a page left off, if in this run.
    fn place(&self, id: &str) -> Option<Cursor> {
        let (run, last) = id.rsplit_once('-')?;
        (*run == *self.run).then(|| last.parse().ok().map(|last| self.wire.behind(last))).flatten()
    }

    /// A body that ends only with its reader.
    fn words(
        &self,
        kind: &'static str,
        form: Form,
        head: bool,
        asked: &Asked,
        place: Option<Cursor>,
    ) -> Response<Body> {
        if head {
            return answer(StatusCode::OK, kind, Full::default().boxed_unsync());
        }
        let reader = Reader {
            wire: self.wire.clone(),
            run: self.run.clone(),
            cursor: place.unwrap_or_else(|| self.wire.with_history(HISTORY)),
            changes: self.wire.changes(),
            form,
            asked: asked.clone(),
            _viewer: self.viewers.clone(),
        };
        let body = StreamBody::new(stream::unfold(reader, |mut reader| async move {
            let piece = reader.next().await?;
            Some((Ok(Frame::data(Bytes::from(piece))), reader))
        }));
        answer(StatusCode::OK, kind, body.boxed_unsync())
    }
}

/// How words are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Server-sent events; the first one may have to say that what a page shows is out of date.
    Events { first: bool },
    /// JSON lines.
    Lines,
}

/// The data of an event.
#[derive(Debug, Serialize)]
struct EventData<'a> {
    /// Whether the page begins anew with these words, and then how many seconds ago the last of them came.
    #[serde(skip_serializing_if = "Option::is_none")]
    fresh: Option<f64>,
    finals: Vec<&'a Word>,
    /// Absent where unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<&'a [Word]>,
    /// Final words that this page was too slow for.
    lost: u64,
}

/// Someone who reads words.
struct Reader {
    wire: Wire,
    run: Arc<str>,
    cursor: Cursor,
    changes: watch::Receiver<u64>,
    form: Form,
    asked: Asked,
    _viewer: Arc<()>,
}

impl Reader {
    /// The next piece of the body; none when the wire is gone.
    async fn next(&mut self) -> Option<String> {
        *self.asked.lock().unwrap_or_else(|e| e.into_inner()) = Instant::now();
        loop {
            self.changes.mark_unchanged();
            let news = self.wire.read(&mut self.cursor);
            let first = self.form == Form::Events { first: true };
            if !news.is_empty() || first {
                return Some(self.written(&news));
            }
            match tokio::time::timeout(HEARTBEAT, self.changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) if self.form == Form::Lines => return Some(jsonl::alive()),
                Err(_) => return Some(": still here\n\n".to_owned()),
            }
        }
    }

    fn written(&mut self, news: &News) -> String {
        let Form::Events { first } = &mut self.form else { return jsonl::lines(news) };
        let mut out = String::new();
        let fresh = std::mem::take(first).then(|| {
            out += "retry: 1000\n";
            self.wire.quiet().map_or(f64::MAX, |quiet| quiet.as_secs_f64())
        });
        let finals = news.finals.iter().map(|(_, w)| w).collect();
        let data = EventData { fresh, finals, partial: news.partial.as_deref(), lost: news.lost };
        // Words are plain data: they always have a JSON form, and it holds no line break.
        let data = serde_json::to_string(&data).unwrap_or_default();
        // Writing to a string does not fail.
        let _ = write!(out, "id: {}-{}\nevent: words\ndata: {data}\n\n", self.run, self.cursor.last);
        out
    }
}

fn text(status: StatusCode, kind: &'static str, text: &'static str) -> Response<Body> {
    answer(status, kind, Full::from(text).boxed_unsync())
}

fn answer(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, policy());
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    guarded(headers);
    response
}

fn guarded(headers: &mut HeaderMap) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// What the page may do: run its own script, known by its hash, be styled (OBS's custom CSS comes as a style of the
/// page), and read words.
fn policy() -> HeaderValue {
    static POLICY: OnceLock<HeaderValue> = OnceLock::new();
    let made = || {
        let script = PAGE
            .split_once("<script>")
            .and_then(|(_, rest)| rest.split_once("</script>"))
            .map_or("", |(script, _)| script);
        let hash = BASE64.encode(&Sha256::digest(script));
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{hash}'; style-src 'unsafe-inline'; font-src data:; img-src data:; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    };
    POLICY.get_or_init(made).clone()
}
