//! What runs a network that carries states from call to call: Rust on the processor, a session here, or a server that
//! is sent the states with each hop.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor, TensorRef};

use super::graph::Features;
use super::heard::BINS;
use super::native::Network;
use super::told::Told;
use crate::ConvertError;
use mynah_models::runtime::remote::{Asked, Client, Given, Server, Shape};
use mynah_models::runtime::{RuntimeError, Session};
use mynah_realtime::clock::Mode;

/// The outputs that are no states.
const FILTERS: [&str; 2] = ["harmonic", "noise"];

/// Runs a network for a voice.
pub(super) enum Body {
    /// In Rust, without a graph.
    Native(Box<Native>),
    /// As a graph that is told of the voice with each run.
    Graph(Box<(Told, Place)>),
}

/// Where a graph is run.
pub(super) enum Place {
    /// On a provider of this machine.
    Here(Here),
    /// On a server.
    There(There),
}

/// The network in Rust, and the filters that it makes.
pub(super) struct Native {
    network: Network,
    harmonic: Vec<f32>,
    noise: Vec<f32>,
}

impl Native {
    pub fn new(network: Network) -> Self {
        Self { network, harmonic: Vec::new(), noise: Vec::new() }
    }

    fn run(
        &mut self,
        features: &Features,
        take: impl FnOnce(&[f32], &[f32]) -> Result<(), ConvertError>,
    ) -> Result<(), ConvertError> {
        let n = features.f0.len() * BINS;
        self.harmonic.resize(n, 0.0);
        self.noise.resize(n, 0.0);
        self.network.run(&features.mel, &features.f0, &features.energy, &mut self.harmonic, &mut self.noise);
        take(&self.harmonic, &self.noise)
    }
}

impl Body {
    /// A run: who takes the two filters. After an error the states are none to go on with.
    pub fn run(
        &mut self,
        features: &Features,
        take: impl FnOnce(&[f32], &[f32]) -> Result<(), ConvertError>,
    ) -> Result<(), ConvertError> {
        match self {
            Body::Native(native) => native.run(features, take),
            Body::Graph(graph) => {
                let (told, place) = &mut **graph;
                let told = told.given()?;
                features.given(told, |given| match place {
                    Place::Here(here) => here.run(given, take),
                    Place::There(there) => there.run(given, take),
                })
            }
        }
    }

    /// Takes another voice from the next run on: the embedding, then the timbre.
    pub fn set_speaker(&mut self, speaker: &[f32]) {
        match self {
            Body::Native(native) => native.network.set_speaker(speaker),
            Body::Graph(graph) => graph.0.set_speaker(speaker),
        }
    }

    /// There is nothing to run at present.
    pub fn rest(&mut self) {
        if let Some(there) = self.there() {
            there.client.rest();
        }
    }

    /// Whether somebody renders, who may wait for a server.
    pub fn renders(&mut self, renders: bool) {
        if let Some(there) = self.there() {
            there.client.renders(renders);
        }
    }

    /// All states back to zero.
    pub fn reset(&mut self) {
        match self {
            Body::Native(native) => native.network.reset(),
            Body::Graph(graph) => match &mut graph.1 {
                Place::Here(here) => here.reset(),
                Place::There(there) => there.states.iter_mut().for_each(|s| s.numbers.fill(0.0)),
            },
        }
    }

    fn there(&mut self) -> Option<&mut There> {
        match self {
            Body::Graph(graph) => match &mut graph.1 {
                Place::There(there) => Some(there),
                Place::Here(_) => None,
            },
            Body::Native(_) => None,
        }
    }
}

/// The graph as this machine runs it.
pub(super) struct Here {
    session: Session,
    states: Vec<State>,
}

struct State {
    input: String,
    output: String,
    value: DynValue,
}

impl Here {
    /// Takes a session whose inputs `state_…` each have an output `state_…_out` and fixed sizes.
    pub fn new(mut session: Session, path: &Path) -> Result<Self, RuntimeError> {
        let contract =
            |expected: String, found: String| RuntimeError::Contract { path: path.to_owned(), expected, found };
        let model = session.ort();
        let mut states = Vec::new();
        for outlet in model.inputs().iter().filter(|o| o.name().starts_with("state_")) {
            let (input, output) = (outlet.name().to_owned(), format!("{}_out", outlet.name()));
            if !model.outputs().iter().any(|o| o.name() == output) {
                return Err(contract(
                    format!("the output `{output}` beside the input `{input}`"),
                    "none of that name".to_owned(),
                ));
            }
            let shape: Vec<i64> = outlet.dtype().tensor_shape().map(|s| s.to_vec()).unwrap_or_default();
            if shape.is_empty() || shape.iter().any(|&n| n <= 0) {
                return Err(contract(format!("the state `{input}` with fixed sizes"), format!("{shape:?}")));
            }
            let zeros = vec![0.0f32; shape.iter().product::<i64>() as usize];
            let value = Tensor::from_array((shape, zeros))
                .map_err(|e| RuntimeError::Model { path: path.to_owned(), why: e.to_string() })?
                .into_dyn();
            states.push(State { input, output, value });
        }
        Ok(Self { session, states })
    }

    fn reset(&mut self) {
        for state in &mut self.states {
            if let Ok((_, numbers)) = state.value.try_extract_tensor_mut::<f32>() {
                numbers.fill(0.0);
            }
        }
    }

    /// The states move from output to input without a copy.
    fn run(
        &mut self,
        given: &[Given],
        take: impl FnOnce(&[f32], &[f32]) -> Result<(), ConvertError>,
    ) -> Result<(), ConvertError> {
        let failed = |e: ort::Error| ConvertError::Run(mynah_models::runtime::told::one_line(e));
        let mut inputs: Vec<(Cow<str>, SessionInputValue)> = Vec::with_capacity(given.len() + self.states.len());
        for g in given {
            inputs.push((
                g.name.into(),
                TensorRef::from_array_view((g.shape.to_vec(), g.numbers)).map_err(failed)?.into(),
            ));
        }
        for state in &self.states {
            inputs.push((state.input.as_str().into(), (&state.value).into()));
        }
        let mut outputs = self.session.ort().run(inputs).map_err(failed)?;
        {
            let missing = || ConvertError::Run("an output of the model is missing".to_owned());
            let [harmonic, noise] = FILTERS.map(|name| outputs.get(name));
            let (_, harmonic) = harmonic.ok_or_else(missing)?.try_extract_tensor::<f32>().map_err(failed)?;
            let (_, noise) = noise.ok_or_else(missing)?.try_extract_tensor::<f32>().map_err(failed)?;
            take(harmonic, noise)?;
        }
        for state in &mut self.states {
            state.value = outputs
                .remove(&state.output)
                .ok_or_else(|| ConvertError::Run(format!("`{}` is missing", state.output)))?;
        }
        Ok(())
    }

    /// What a server must have to run the same.
    fn asked(&self, model: &str) -> Asked {
        let tensors = |outlets: &[ort::value::Outlet]| {
            let shape = |o: &ort::value::Outlet| o.dtype().tensor_shape().map(|s| s.to_vec()).unwrap_or_default();
            outlets.iter().map(|o| (o.name().to_owned(), shape(o))).collect()
        };
        Asked {
            model: model.to_owned(),
            inputs: tensors(self.session.inputs()),
            outputs: tensors(self.session.outputs()),
        }
    }
}

/// The graph as a server runs it, which keeps nothing: the states are sent with each hop.
pub(super) struct There {
    client: Client,
    states: Vec<Carried>,
    /// The filters, then what becomes of the states.
    wanted: Vec<String>,
}

struct Carried {
    input: String,
    shape: Shape,
    numbers: Vec<f32>,
}

/// Numbers of a server and of this machine may differ by so much of the largest: graphics processors round otherwise.
/// Other weights differ by far more.
const SAME: f32 = 0.01;
/// Runs that are compared.
const COMPARED: usize = 3;
/// Hops whose way is measured, how long that may take, and the first ones, which don't count.
const MEASURED: usize = 100;
const MEASURING: Duration = Duration::from_millis(1500);
const WARM: usize = 5;

impl There {
    /// Finds the graph on a server, holds its numbers against those of this machine for what `given` says, and measures
    /// its way there and back where that isn't known.
    pub fn open(mut here: Here, server: Server, mode: Mode, given: &[Given]) -> Result<Self, RuntimeError> {
        let model = format!("mynah-voice-{}", mode.name());
        let failed = |why: String| RuntimeError::Server { server, why };
        let asked = here.asked(&model);
        let sizes = |input: &str| {
            asked.inputs.iter().find(|(name, _)| name == input).map(|(_, shape)| shape.clone()).unwrap_or_default()
        };
        let states: Vec<Carried> = here
            .states
            .iter()
            .map(|s| {
                let shape = sizes(&s.input);
                Carried { input: s.input.clone(), numbers: vec![0.0; shape.iter().product::<i64>() as usize], shape }
            })
            .collect();
        let wanted =
            FILTERS.iter().map(|f| (*f).to_owned()).chain(here.states.iter().map(|s| s.output.clone())).collect();
        let mut there = Self { client: Client::open(server, &asked)?, states, wanted };
        // Whoever loads a voice can wait; who drives it says when no longer.
        there.client.renders(true);
        for _ in 0..COMPARED {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            let into = |heard: &mut Vec<f32>, harmonic: &[f32], noise: &[f32]| {
                heard.extend(harmonic.iter().chain(noise));
                Ok(())
            };
            here.run(given, |h, n| into(&mut ours, h, n)).map_err(|e| failed(e.to_string()))?;
            there.run(given, |h, n| into(&mut theirs, h, n)).map_err(|e| match e {
                ConvertError::Away(away) => failed(away.why),
                e => failed(e.to_string()),
            })?;
            let largest = ours.iter().fold(0.0f32, |a, x| a.max(x.abs()));
            let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
            // Also false for a number that is none.
            let same = ours.len() == theirs.len() && theirs.iter().all(|x| x.is_finite()) && apart <= SAME * largest;
            if !same {
                let why = format!(
                    "its model `{model}` gives other numbers than this machine's voice pack; give it the graphs of \
                     the same pack"
                );
                return Err(failed(why));
            }
        }
        if server.measured(mode).is_none() {
            server.measure(mode, there.round_trip(given).map_err(|e| failed(e.to_string()))?);
        }
        if let Some(usual) = server.measured(mode) {
            there.client.expect(usual);
        }
        there.states.iter_mut().for_each(|s| s.numbers.fill(0.0));
        Ok(there)
    }

    /// How long a run takes there and back, in 99 of 100 of those that are made for it.
    fn round_trip(&mut self, given: &[Given]) -> Result<Duration, ConvertError> {
        let (began, mut times) = (Instant::now(), Vec::new());
        for n in 0..WARM + MEASURED {
            let before = Instant::now();
            self.run(given, |_, _| Ok(()))?;
            if n >= WARM {
                times.push(before.elapsed());
            }
            if began.elapsed() >= MEASURING && !times.is_empty() {
                break;
            }
        }
        times.sort();
        let place = (times.len() * 99).div_ceil(100).saturating_sub(1);
        Ok(times.get(place).copied().unwrap_or(MEASURING))
    }

    fn run(
        &mut self,
        given: &[Given],
        take: impl FnOnce(&[f32], &[f32]) -> Result<(), ConvertError>,
    ) -> Result<(), ConvertError> {
        let states = self.states.iter().map(|s| Given { name: &s.input, shape: &s.shape, numbers: &s.numbers });
        let given: Vec<Given> = given.iter().copied().chain(states).collect();
        let wanted: Vec<&str> = self.wanted.iter().map(String::as_str).collect();
        let mut outputs = self.client.run(&given, &wanted)?;
        let states = outputs.split_off(FILTERS.len());
        if let Some((state, _)) = self.states.iter().zip(&states).find(|(s, numbers)| s.numbers.len() != numbers.len())
        {
            return Err(ConvertError::Run(format!(
                "the server {} gave `{}` another size",
                self.client.server(),
                state.input
            )));
        }
        take(&outputs[0], &outputs[1])?;
        self.states.iter_mut().zip(states).for_each(|(s, numbers)| s.numbers = numbers);
        Ok(())
    }
}
