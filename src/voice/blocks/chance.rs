//! Whether a graph draws random numbers by itself: ONNX Runtime draws them anew at each run, so such a graph never
//! gives the same bits twice. Knows the few fields of onnx.proto that tell, and no session.

use std::path::Path;

use prost::Message;

use mynah_files as files;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "25")]
    functions: Vec<Function>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(message, repeated, tag = "7")]
    nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, tag = "4")]
    kind: String,
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
}

/// A branch or a loop inside of a node.
#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(message, optional, tag = "6")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<Graph>,
}

/// The operators of ONNX that draw.
const DRAWING: [&str; 6] =
    ["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"];

fn draws(nodes: &[Node]) -> bool {
    let inner = |n: &Node| n.attributes.iter().flat_map(|a| a.graph.iter().chain(&a.graphs)).any(|g| draws(&g.nodes));
    nodes.iter().any(|n| DRAWING.contains(&&*n.kind) || inner(n))
}

/// Whether the graph in this file draws random numbers. What can't be read or is no graph draws none: the runtime says
/// what is wrong with it.
pub fn graph_draws(path: &Path) -> bool {
    files::read(path, files::GRAPH).is_ok_and(|bytes| bytes_draw(&bytes))
}

fn bytes_draw(bytes: &[u8]) -> bool {
    let model = Model::decode(bytes).unwrap_or_default();
    model.graph.is_some_and(|g| draws(&g.nodes)) || model.functions.iter().any(|f| draws(&f.nodes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(kind: &str, inner: Option<Graph>) -> Node {
        Node { kind: kind.to_owned(), attributes: vec![Attribute { graph: inner, graphs: Vec::new() }] }
    }

    #[test]
    fn what_draws_is_found_wherever_it_is() {
        let plain = || Graph { nodes: vec![node("Conv", None), node("Tanh", None)] };
        let drawing = || Graph { nodes: vec![node("Conv", None), node("RandomNormalLike", None)] };
        let said = |graph: Graph, functions: Vec<Function>| {
            bytes_draw(&Model { graph: Some(graph), functions }.encode_to_vec())
        };
        assert!(!said(plain(), Vec::new()));
        assert!(said(drawing(), Vec::new()));
        let (loop_of, branches) =
            (|g| Graph { nodes: vec![node("Loop", Some(g))] }, |g| Attribute { graph: None, graphs: vec![plain(), g] });
        assert!(said(loop_of(loop_of(drawing())), Vec::new()) && !said(loop_of(plain()), Vec::new()));
        assert!(said(
            Graph { nodes: vec![Node { kind: "If".to_owned(), attributes: vec![branches(drawing())] }] },
            Vec::new()
        ));
        assert!(
            said(plain(), vec![Function { nodes: drawing().nodes }])
                && !said(plain(), vec![Function { nodes: plain().nodes }])
        );
        assert!(!bytes_draw(b"no graph at all"));
    }
}
