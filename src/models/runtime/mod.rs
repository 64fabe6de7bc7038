//! The one ONNX Runtime environment of the process, its providers, and sessions with checked contracts.
//!
//! Knows nothing of voices or captions. Nothing here may run on the audio thread: the runtime allocates on every call.

pub mod graph;
pub mod pairs;
mod placement;
pub mod precision;
mod provider;
pub mod remote;
mod session;
pub mod told;
mod weights;

pub use placement::{Part, Placement};
pub use provider::Provider;
pub use session::{Session, SessionOptions, TensorSpec};
pub use weights::{Cache, files_beside};

pub use weights::fuzz as fuzz_weights;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use self::remote::Server;
use crate::exit;

/// What can go wrong between Mynah and ONNX Runtime.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The path of the library was relative; it would resolve against the host's own folder.
    #[error("the path of ONNX Runtime must be absolute, but it is `{0}`; give the full path")]
    RelativePath(PathBuf),
    /// The library could not be opened, or is no ONNX Runtime, or is too old.
    #[error(
        "ONNX Runtime could not be opened at `{path}`: {why}; run `mynah models fetch onnxruntime` or put the right \
         library there"
    )]
    Library {
        /// Where it was looked for.
        path: PathBuf,
        /// What the loader said.
        why: String,
    },
    /// Another library was opened before in this process; there can be only one.
    #[error(
        "this process already runs ONNX Runtime from `{open}`, so `{asked}` can't be opened beside it; restart the \
         host to change it"
    )]
    OtherLibrary {
        /// The library that is open.
        open: PathBuf,
        /// The library that was asked for.
        asked: PathBuf,
    },
    /// A session was asked for before `init`.
    #[error("ONNX Runtime is not open yet; run `mynah doctor` to see what is missing")]
    NotOpen,
    /// A provider can't be used here.
    #[error("the provider {provider} can't be used here: {why}; choose another provider, cpu always works")]
    Provider {
        /// Which one.
        provider: Provider,
        /// What the runtime said.
        why: String,
    },
    /// A server can't compute what it was asked to.
    #[error("the server {server} can't be used: {why}")]
    Server {
        /// Which one.
        server: Server,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// A model file could not be loaded.
    #[error("the model `{path}` could not be loaded: {why}; download the file again, or choose another model")]
    Model {
        /// The file.
        path: PathBuf,
        /// What the runtime said.
        why: String,
    },
    /// A file of a model can't be read, or is something else than it should be.
    #[error("`{path}` can't be used: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do where that is known.
        why: String,
    },
    /// A model's tensors are not those of its family.
    #[error(
        "the model `{path}` does not fit its family: expected {expected}, found {found}; choose a pack of the right \
         family"
    )]
    Contract {
        /// The file.
        path: PathBuf,
        /// The tensor that the family names.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// A loaded model failed while it ran.
    #[error("the model `{path}` failed to run: {why}; reload it or choose another pack")]
    Run {
        /// The file.
        path: PathBuf,
        /// What the runtime said.
        why: String,
    },
}

struct Open {
    path: PathBuf,
    environment: ort::environment::Environment,
}

/// One a process, for ever: ONNX Runtime can't make a second environment after the first is dropped.
static OPEN: Mutex<Option<Open>> = Mutex::new(None);

/// Opens ONNX Runtime from an absolute path. Further calls with the same path do nothing.
///
/// Any thread but the audio thread. Takes some 50 ms the first time.
pub fn init(library: &Path) -> Result<(), RuntimeError> {
    if !library.is_absolute() {
        return Err(RuntimeError::RelativePath(library.to_owned()));
    }
    let failed = |why: String| RuntimeError::Library { path: library.to_owned(), why };
    let path = library.canonicalize().map_err(|e| failed(e.to_string()))?;
    let mut open = OPEN.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(open) = open.as_ref() {
        if open.path == path || same_bytes(&open.path, &path) {
            return Ok(());
        }
        return Err(RuntimeError::OtherLibrary { open: open.path.clone(), asked: path });
    }
    let opened = ort::init_from(&path).map_err(|e| failed(e.to_string()))?;
    let environment = opened.with_name("mynah").with_telemetry(false).build().map_err(|e| failed(e.to_string()))?;
    exit::register();
    environment.set_log_level(ort::logging::LogLevel::Fatal);
    *open = Some(Open { path, environment });
    Ok(())
}

/// The library that is open, if one is.
pub fn library() -> Option<PathBuf> {
    OPEN.lock().unwrap_or_else(|e| e.into_inner()).as_ref().map(|o| o.path.clone())
}

/// The version that the open library tells of itself, such as `1.31.1`.
pub fn version() -> Option<String> {
    let path = library()?;
    // SAFETY: the library is open already and stays so; this only counts one more user of it.
    let library = unsafe { libloading::Library::new(path) }.ok()?;
    // SAFETY: every ONNX Runtime exports this function with this signature.
    let base: libloading::Symbol<unsafe extern "system" fn() -> *const ort::sys::OrtApiBase> =
        unsafe { library.get(b"OrtGetApiBase\0") }.ok()?;
    // SAFETY: it gives a table that lives as long as the library, whose entry gives a string that does so too.
    let text = unsafe { std::ffi::CStr::from_ptr(((*base()).GetVersionString)()) };
    Some(text.to_string_lossy().into_owned())
}

/// Two bundles each carry the same library: the one that is open serves both.
fn same_bytes(a: &Path, b: &Path) -> bool {
    use std::io::Read;
    let read = |p: &Path| std::fs::File::open(p).map(std::io::BufReader::new);
    let (Ok(a_meta), Ok(b_meta), Ok(mut a), Ok(mut b)) = (a.metadata(), b.metadata(), read(a), read(b)) else {
        return false;
    };
    if a_meta.len() != b_meta.len() {
        return false;
    }
    let (mut x, mut y) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut left = a_meta.len();
    while left > 0 {
        let n = left.min(x.len() as u64) as usize;
        if a.read_exact(&mut x[..n]).is_err() || b.read_exact(&mut y[..n]).is_err() || x[..n] != y[..n] {
            return false;
        }
        left -= n as u64;
    }
    true
}

fn with_environment<T>(f: impl FnOnce(&ort::environment::Environment) -> T) -> Result<T, RuntimeError> {
    let open = OPEN.lock().unwrap_or_else(|e| e.into_inner());
    open.as_ref().map(|o| f(&o.environment)).ok_or(RuntimeError::NotOpen)
}
