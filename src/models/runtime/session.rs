//! A loaded model on one provider, with its tensors checked against its family's contract.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::told::short;
use super::{Placement, Provider, RuntimeError, weights, with_environment};
use crate::exit;
use mynah_files as files;

/// How a session is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionOptions {
    /// What computes it.
    pub provider: Provider,
    /// Threads inside one run; 1 starts none.
    pub threads: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { provider: Provider::Cpu, threads: 1 }
    }
}

/// A tensor that a family's contract names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the graph.
    pub name: &'static str,
    /// Whether it is an input.
    pub input: bool,
    /// Its sizes; −1 for a size that may be anything.
    pub shape: &'static [i64],
}

impl TensorSpec {
    /// An input tensor.
    pub const fn input(name: &'static str, shape: &'static [i64]) -> Self {
        Self { name, input: true, shape }
    }

    /// An output tensor.
    pub const fn output(name: &'static str, shape: &'static [i64]) -> Self {
        Self { name, input: false, shape }
    }
}

/// A loaded model.
#[derive(Debug)]
pub struct Session {
    inner: ort::session::Session,
    /// Dropped after the session, which may use them where they lie.
    _weights: Vec<Arc<[u8]>>,
    path: PathBuf,
    provider: Provider,
    /// Where the profile is written, if one is.
    profile: Option<tempfile::TempDir>,
}

impl Session {
    /// Loads a model file. Threads never spin while idle. Any thread but the audio thread; takes up to seconds.
    ///
    /// There is no fallback in here: a provider that can't be used is an error, and the caller says so before trying
    /// another.
    pub fn load(path: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        Self::open(path, options, None)
    }

    /// The same, for a session whose runs are watched until [`Session::placement`] is asked for. Slower than an
    /// unwatched one.
    pub fn load_watched(path: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let folder = tempfile::tempdir()
            .map_err(|e| RuntimeError::Model { path: path.to_owned(), why: format!("no place for a profile: {e}") })?;
        Self::open(path, options, Some(folder))
    }

    fn open(path: &Path, options: &SessionOptions, profile: Option<tempfile::TempDir>) -> Result<Self, RuntimeError> {
        let model =
            |e: &dyn std::fmt::Display| RuntimeError::Model { path: path.to_owned(), why: short(&e.to_string()) };
        if options.provider.server().is_some() {
            let why = "a server computes the voice alone".to_owned();
            return Err(RuntimeError::Provider { provider: options.provider, why });
        }
        let mut builder = with_environment(ort::session::Session::builder)?
            .map_err(|e| model(&e))?
            .with_intra_threads(options.threads.max(1))
            .map_err(|e| model(&e))?
            .with_inter_threads(1)
            .map_err(|e| model(&e))?
            .with_intra_op_spinning(false)
            .map_err(|e| model(&e))?
            .with_inter_op_spinning(false)
            .map_err(|e| model(&e))?
            .with_flush_to_zero()
            .map_err(|e| model(&e))?
            // What goes wrong comes back as an error, to be told once and in one sentence; the host's terminal is not
            // ours to write on.
            .with_log_level(ort::logging::LogLevel::Fatal)
            .map_err(|e| model(&e))?;
        if let Some(dispatch) = options.provider.dispatch() {
            builder = builder
                .with_execution_providers([dispatch])
                .map_err(|e| RuntimeError::Provider { provider: options.provider, why: short(&e.to_string()) })?;
        }
        if let Some(folder) = &profile {
            builder = builder.with_profiling(folder.path().join("runs")).map_err(|e| model(&e))?;
        }
        let graph = graph_of(path)?;
        let mut held = Vec::new();
        // The runtime would map these files: what is overwritten on disk would be heard, and what is cut off would end
        // the host by a signal.
        for name in weights::files_beside(&graph).map_err(|e| model(&e))? {
            let file = path.with_file_name(&name);
            let bytes = weights::held(&file).map_err(|why| RuntimeError::File { path: file.clone(), why })?;
            builder = builder.with_external_initializer_file_in_memory(name, bytes.clone()).map_err(|e| model(&e))?;
            held.push(bytes);
        }
        let inner = builder.commit_from_memory(&graph).map_err(|e| model(&e))?;
        exit::register();
        Ok(Self { inner, _weights: held, path: path.to_owned(), provider: options.provider, profile })
    }

    /// The session itself, for running.
    pub fn ort(&mut self) -> &mut ort::session::Session {
        &mut self.inner
    }

    /// The graph's inputs, in its order.
    pub fn inputs(&self) -> &[ort::value::Outlet] {
        self.inner.inputs()
    }

    /// The graph's outputs, in its order.
    pub fn outputs(&self) -> &[ort::value::Outlet] {
        self.inner.outputs()
    }

    /// The file it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What computes it.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Where the nodes ran in the `runs` runs of a watched session. Ends the watching: only the first call tells
    /// something.
    pub fn placement(&mut self, runs: usize) -> Result<Placement, RuntimeError> {
        let failed = |why: String| RuntimeError::Run { path: self.path.clone(), why };
        if self.profile.is_none() {
            return Err(failed("its runs were not watched".to_owned()));
        }
        let written = self.inner.end_profiling().map_err(|e| failed(short(&e.to_string())))?;
        let placed = Placement::read(Path::new(&written), runs, self.provider).map_err(failed);
        self.profile = None;
        placed
    }

    /// An entry of the model's own metadata.
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.inner.metadata().ok()?.custom(key)
    }

    /// Checks names, ranks and fixed sizes against a family's contract. A size that the graph leaves open fits
    /// anything.
    pub fn expect(&self, tensors: &[TensorSpec]) -> Result<(), RuntimeError> {
        for t in tensors {
            let outlets = if t.input { self.inner.inputs() } else { self.inner.outputs() };
            let side = if t.input { "input" } else { "output" };
            let expected = format!("the {side} `{}` {:?}", t.name, t.shape);
            let contract =
                |found: String| RuntimeError::Contract { path: self.path.clone(), expected: expected.clone(), found };
            let Some(outlet) = outlets.iter().find(|o| o.name() == t.name) else {
                let names: Vec<_> = outlets.iter().map(|o| o.name()).take(12).collect();
                return Err(contract(format!("{side}s {}", names.join(", "))));
            };
            let Some(shape) = outlet.dtype().tensor_shape() else {
                return Err(contract("something that is no tensor".to_owned()));
            };
            let fits =
                shape.len() == t.shape.len() && shape.iter().zip(t.shape).all(|(&g, &w)| g < 0 || w < 0 || g == w);
            if !fits {
                return Err(contract(format!("`{}` {:?}", t.name, shape.as_ref() as &[i64])));
            }
        }
        Ok(())
    }
}

/// The bytes of a file that is a graph, as far as its beginning tells.
fn graph_of(path: &Path) -> Result<Vec<u8>, RuntimeError> {
    let file = |why: String| RuntimeError::File { path: path.to_owned(), why };
    let bytes = files::read(path, files::GRAPH).map_err(file)?;
    match files::other_than_a_model(&bytes) {
        Some(what) => Err(file(what.to_owned())),
        None => Ok(bytes),
    }
}
