//! The weights that an ONNX graph keeps in files beside it: which files these are, and their bytes, held once for all
//! sessions. Knows the few fields of onnx.proto that tell, and no session.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use prost::Message;

use mynah_files as files;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
}

/// A tensor or a graph inside of a node: a constant, a branch.
#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(message, optional, tag = "5")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "6")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "10")]
    tensors: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(message, repeated, tag = "13")]
    external: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// The names of the files that a graph keeps weights in; empty for a graph that holds all of its own. A name that leads
/// out of the graph's folder is an error. Bytes that are no graph have none: the runtime says what is wrong with them.
pub fn files_beside(model: &[u8]) -> Result<BTreeSet<String>, String> {
    let mut found = BTreeSet::new();
    if let Some(graph) = Model::decode(model).ok().and_then(|m| m.graph) {
        collect(&graph, &mut found);
    }
    let inside = |name: &str| {
        let mut parts = Path::new(name).components();
        matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
    };
    match found.iter().find(|name| !inside(name)) {
        Some(outside) => Err(format!("its weights are said to lie in `{outside}`, which is no file beside it")),
        None => Ok(found),
    }
}

/// A file as it was: its place, when it was written and how long it is.
type AsItWas = (PathBuf, SystemTime, u64);

/// What was read from files and is in use now: read once however many use it at a time.
pub struct Cache<T: ?Sized>(Mutex<Option<HashMap<AsItWas, Weak<T>>>>);

impl<T: ?Sized> Default for Cache<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: ?Sized> Cache<T> {
    /// With nothing in it.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// What was read from a file as it is now; `read` reads it where nobody has it. Nobody else can ask meanwhile.
    pub fn get<E>(
        &self,
        file: &Path,
        failed: impl Fn(std::io::Error) -> E,
        read: impl FnOnce() -> Result<Arc<T>, E>,
    ) -> Result<Arc<T>, E> {
        let about = std::fs::metadata(file).map_err(&failed)?;
        let key = (file.to_owned(), about.modified().map_err(&failed)?, about.len());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.get_or_insert_with(HashMap::new);
        if let Some(known) = all.get(&key).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let fresh = read()?;
        all.retain(|_, known| known.strong_count() > 0);
        all.insert(key, Arc::downgrade(&fresh));
        Ok(fresh)
    }
}

/// A page or a pointer that was fetched in the place of weights is shorter, in bytes; weights may begin with anything.
const SHORT: usize = 1 << 20;

/// Weights that sessions hold now.
static HELD: Cache<[u8]> = Cache::new();

/// The bytes of a file of weights, read once however many sessions hold them at a time: a project with a voice on many
/// tracks has them once.
pub(super) fn held(file: &Path) -> Result<Arc<[u8]>, String> {
    let read = || match files::read(file, files::WEIGHTS)? {
        // Whatever begins so was fetched in the place of the weights.
        bytes if files::other_than_a_model(&bytes).is_some_and(|_| bytes.len() < SHORT) => {
            Err(files::other_than_a_model(&bytes).unwrap_or_default().to_owned())
        }
        bytes => Ok(bytes.into()),
    };
    HELD.get(file, |e| e.to_string(), read)
}

/// For fuzzing: any bytes as a graph.
pub fn fuzz(data: &[u8]) {
    if let Ok(names) = files_beside(data) {
        assert!(names.iter().all(|n| !n.contains('/')), "a name that leaves the folder: {names:?}");
    }
}

fn collect(graph: &Graph, found: &mut BTreeSet<String>) {
    let attributes = || graph.nodes.iter().flat_map(|n| &n.attributes);
    let inner = attributes().flat_map(|a| a.tensor.iter().chain(&a.tensors));
    let places = graph.initializers.iter().chain(inner).flat_map(|t| &t.external).filter(|e| e.key == "location");
    found.extend(places.map(|e| e.value.clone()));
    attributes().flat_map(|a| a.graph.iter().chain(&a.graphs)).for_each(|g| collect(g, found));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(place: &str) -> Tensor {
        let entry = |key: &str, value: &str| Entry { key: key.to_owned(), value: value.to_owned() };
        Tensor { external: vec![entry("location", place), entry("offset", "0")] }
    }

    fn model(graph: Graph) -> Vec<u8> {
        Model { graph: Some(graph) }.encode_to_vec()
    }

    #[test]
    fn every_file_is_found_once_and_none_outside_is_taken() {
        let branch = Graph { initializers: vec![tensor("b.weights")], ..Graph::default() };
        let attribute = Attribute { graph: Some(branch), tensor: Some(tensor("c.weights")), ..Attribute::default() };
        let node = Node { attributes: vec![attribute] };
        let graph = Graph { nodes: vec![node], initializers: vec![tensor("a.weights"), tensor("a.weights")] };
        let found = files_beside(&model(graph)).expect("all beside");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a.weights", "b.weights", "c.weights"]);
        for bad in ["/etc/passwd", "../a.weights", "a/b.weights", "..", ""] {
            let graph = Graph { initializers: vec![tensor(bad)], ..Graph::default() };
            assert!(files_beside(&model(graph)).is_err(), "{bad}");
        }
        assert!(files_beside(b"no graph").expect("nothing beside").is_empty());
    }

    #[test]
    fn the_voice_pack_keeps_its_weights_in_the_file_that_the_source_checks() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mynah-voice/voice.live.onnx");
        let found = files_beside(&std::fs::read(path).expect("the repository's own pack")).expect("beside it");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["voice.safetensors"]);
    }

    #[test]
    fn what_is_held_is_held_once_and_what_is_written_anew_is_read_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.weights");
        std::fs::write(&file, [1, 2, 3]).expect("writes");
        let (first, second) = (held(&file).expect("reads"), held(&file).expect("reads"));
        assert!(Arc::ptr_eq(&first, &second) && first[..] == [1, 2, 3]);
        std::fs::write(&file, [4, 5, 6, 7]).expect("writes");
        assert_eq!(held(&file).expect("reads")[..], [4, 5, 6, 7]);
        assert_eq!(first[..], [1, 2, 3]);
        assert!(held(&folder.path().join("none")).is_err());
    }
}
