//! One model on a server, asked over a connection that is kept. Never waits longer than it may, and while the server is
//! away asks only now and then.

use std::time::{Duration, Instant};

use super::wire::{self, Form, Given, ModelTold, ServerTold, Shape, TensorTold, Trouble};
use super::{MOST_ROOM, Server};
use crate::runtime::RuntimeError;

/// What an answer may hold beside numbers, and the largest one that is read.
const LARGEST: u64 = 64 << 20;
/// How long the questions at the beginning may take, each.
const OPENING: Duration = Duration::from_secs(2);
/// Beyond the usual round trip, an answer is waited for so long: as long as the worker takes output for worth
/// computing.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long an answer is waited for while a render waits, and how often it is asked for until then.
const RENDER_PATIENCE: Duration = Duration::from_secs(10);
const RENDER_PAUSE: Duration = Duration::from_millis(50);
/// How long a server that is away is left alone.
const LEFT_ALONE: Duration = Duration::from_millis(250);
/// Servers and what lies between close connections that rest. After so long without a hop one is made sure of.
const RESTED: Duration = Duration::from_secs(1);

/// A server did not give a hop back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server {server} is away ({why}); it is asked again and again, and until it answers its hops are late")]
pub struct Away {
    server: Server,
    /// What was seen of it.
    pub why: String,
}

/// What a model must have there: its tensors by name, and their sizes.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The model's name on the server.
    pub model: String,
    /// What goes in.
    pub inputs: Vec<(String, Shape)>,
    /// What comes out.
    pub outputs: Vec<(String, Shape)>,
}

/// A model on a server.
#[derive(Debug)]
pub struct Client {
    server: Server,
    agent: ureq::Agent,
    infer: String,
    form: Form,
    body: Vec<u8>,
    /// How long an answer is waited for.
    patience: Duration,
    /// Whether a render waits, which may take its time.
    renders: bool,
    /// Since when the server is away, and why.
    away: Option<(Instant, String)>,
    /// When it last answered.
    heard: Instant,
}

impl Client {
    /// Asks a server whether it is ready, what it can do, and whether it has the model. Takes up to some seconds; any
    /// thread but the audio thread.
    pub fn open(server: Server, asked: &Asked) -> Result<Self, RuntimeError> {
        let failed = |why: String| RuntimeError::Server { server, why };
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .no_delay(true)
            .proxy(None)
            .max_idle_connections_per_host(1)
            .max_idle_age(Duration::from_secs(3600))
            .build()
            .into();
        let base = server.address();
        let told = |path: &str| {
            get(&agent, &format!("{base}{path}"), OPENING)
                .map_err(|e| failed(format!("{e}; start it, or correct the address")))
        };
        let (status, _) = told("/v2/health/ready")?;
        if status != 200 {
            return Err(failed(format!(
                "it says that it is not ready (status {status}); wait until its models are loaded"
            )));
        }
        let extensions = serde_json::from_slice::<ServerTold>(&told("/v2")?.1).unwrap_or_default().extensions;
        let (status, body) = told(&format!("/v2/models/{}", asked.model))?;
        if status != 200 {
            let said = said(&body);
            return Err(failed(format!(
                "it has no model `{}` (status {status}{said}); give it the voice's graphs, as docs/remote.md says",
                asked.model
            )));
        }
        let model: ModelTold = serde_json::from_slice(&body).map_err(|e| {
            failed(format!(
                "what it tells of its model `{}` can't be read ({e}); it must speak the Open Inference Protocol v2",
                asked.model
            ))
        })?;
        let packed = !model.inputs.is_empty() && model.inputs.iter().all(TensorTold::is_base64);
        let form = if extensions.iter().any(|e| e == "binary_tensor_data") {
            Form::Binary
        } else if packed {
            Form::Base64
        } else {
            Form::Json
        };
        if !packed {
            for (kind, wanted, there) in
                [("input", &asked.inputs, &model.inputs), ("output", &asked.outputs, &model.outputs)]
            {
                fits(wanted, there).map_err(|e| {
                    failed(format!(
                        "its model `{}` does not fit: the {kind} {e}; give it the graphs of this machine's voice pack",
                        asked.model
                    ))
                })?;
            }
        }
        let infer = format!("{base}/v2/models/{}/infer", asked.model);
        let patience = PATIENCE + Duration::from_secs_f64(MOST_ROOM);
        Ok(Self {
            server,
            agent,
            infer,
            form,
            body: Vec::new(),
            patience,
            renders: false,
            away: None,
            heard: Instant::now(),
        })
    }

    /// Which server it is.
    pub fn server(&self) -> Server {
        self.server
    }

    /// How numbers are written, in a word.
    pub fn form(&self) -> &'static str {
        match self.form {
            Form::Binary => "binary",
            Form::Base64 => "base64",
            Form::Json => "json",
        }
    }

    /// How long a round trip takes usually: what comes later than a tenth of a second after that is not waited for.
    pub fn expect(&mut self, round_trip: Duration) {
        self.patience = PATIENCE + round_trip;
    }

    /// Whether somebody renders: then answers are waited for, and asked for again, up to ten seconds.
    pub fn renders(&mut self, renders: bool) {
        self.renders = renders;
    }

    /// A run of the model: the wanted tensors, in order. Blocks as long as it may.
    ///
    /// A run leaves nothing behind on the server, so it can be asked for again. After a failure the connection is not
    /// used again: its answer may still come, and would be taken for another's.
    pub fn run(&mut self, given: &[Given], wanted: &[&str]) -> Result<Vec<Vec<f32>>, Away> {
        if !self.renders
            && let Some((since, why)) = &self.away
            && since.elapsed() < LEFT_ALONE
        {
            return Err(Away { server: self.server, why: why.clone() });
        }
        let began = Instant::now();
        let mut body = std::mem::take(&mut self.body);
        let json = wire::request(self.form, given, wanted, &mut body);
        let outcome = loop {
            let left = if self.renders { RENDER_PATIENCE.saturating_sub(began.elapsed()) } else { self.patience };
            match self.ask(&body, json, wanted, left) {
                Err(_) if self.renders && began.elapsed() + RENDER_PAUSE < RENDER_PATIENCE => {
                    std::thread::sleep(RENDER_PAUSE)
                }
                outcome => break outcome,
            }
        };
        self.body = body;
        match outcome {
            Ok(numbers) => {
                (self.away, self.heard) = (None, Instant::now());
                Ok(numbers)
            }
            Err(why) => {
                self.away = Some((Instant::now(), why.clone()));
                Err(Away { server: self.server, why })
            }
        }
    }

    /// There is no hop to run at present. Now and then the connection is made sure of, so that the next hop need not
    /// wait for a new one.
    pub fn rest(&mut self) {
        if self.heard.elapsed() >= RESTED {
            self.heard = Instant::now();
            // Whether it answers is seen at the next hop.
            let _ = get(&self.agent, &format!("{}/v2/health/live", self.server.address()), self.patience);
        }
    }

    fn ask(&self, body: &[u8], json: usize, wanted: &[&str], patience: Duration) -> Result<Vec<Vec<f32>>, String> {
        let mut request = self.agent.post(&self.infer).config().timeout_global(Some(patience)).build();
        request = match self.form {
            Form::Binary => request.header("Content-Type", "application/octet-stream").header(LENGTH, json.to_string()),
            Form::Base64 | Form::Json => request.header("Content-Type", "application/json"),
        };
        let mut response = request.send(body).map_err(|e| reason(&e))?;
        let json = response.headers().get(LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(|e| reason(&e))?;
        if status != 200 {
            return Err(format!("status {status}{}", said(&body)));
        }
        wire::answer(&body, json, wanted).map_err(|e| format!("its answer can't be read: {e}"))
    }
}

/// Where the length of the JSON stands in the binary form.
const LENGTH: &str = "inference-header-content-length";

fn get(agent: &ureq::Agent, url: &str, patience: Duration) -> Result<(u16, Vec<u8>), String> {
    let mut response = agent.get(url).config().timeout_global(Some(patience)).build().call().map_err(|e| reason(&e))?;
    let status = response.status().as_u16();
    Ok((status, response.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(|e| reason(&e))?))
}

/// In words that say what it means for a server.
fn reason(error: &ureq::Error) -> String {
    use std::io::ErrorKind;
    match error {
        ureq::Error::Timeout(_) => "it did not answer in time".to_owned(),
        ureq::Error::HostNotFound => "no machine of this name is known".to_owned(),
        ureq::Error::Protocol(_) => "its answer is no HTTP".to_owned(),
        ureq::Error::Io(e) if e.kind() == ErrorKind::TimedOut => "it did not answer in time".to_owned(),
        ureq::Error::Io(e) if e.kind() == ErrorKind::ConnectionRefused => "nothing listens at this address".to_owned(),
        ureq::Error::Io(e)
            if matches!(
                e.kind(),
                ErrorKind::UnexpectedEof
                    | ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
            ) =>
        {
            "the connection broke off".to_owned()
        }
        other => other.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// What a server says about a failure, behind a colon; nothing where it says nothing that can be read.
fn said(body: &[u8]) -> String {
    let Trouble { error, detail } = serde_json::from_slice(body).unwrap_or_default();
    let said = if error.is_empty() { detail.as_str().unwrap_or_default().to_owned() } else { error };
    let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
    if said.is_empty() { said } else { format!(": {said}") }
}

/// Whether all that is wanted is there as floats of the right sizes. A server that tells of no tensors is believed: its
/// numbers are compared later.
fn fits(wanted: &[(String, Shape)], there: &[TensorTold]) -> Result<(), String> {
    if there.is_empty() {
        return Ok(());
    }
    for (name, shape) in wanted {
        let Some(found) = there.iter().find(|t| t.name == *name) else {
            let names: Vec<_> = there.iter().map(|t| t.name.as_str()).take(12).collect();
            return Err(format!("`{name}` is not among {}", names.join(", ")));
        };
        let same =
            found.shape.len() == shape.len() && found.shape.iter().zip(shape).all(|(a, b)| a == b || *a < 0 || *b < 0);
        if found.datatype != "FP32" || !same {
            return Err(format!("`{name}` is {} {:?} where FP32 {shape:?} is expected", found.datatype, found.shape));
        }
    }
    Ok(())
}
