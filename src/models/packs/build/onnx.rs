//! The part of ONNX's protobuf messages that the builders write, and a graph that is put together node by node.
//!
//! Field numbers are those of onnx.proto (ONNX IR version 8). Knows no network.

use prost::Message;

pub(super) const FLOAT: i32 = 1;
pub(super) const INT64: i32 = 7;
const FLOAT16: i32 = 10;
const UINT8: i32 = 2;
/// Where ONNX Runtime's own operators live.
pub(super) const MICROSOFT: &str = "com.microsoft";

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelProto {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetId>,
    #[prost(message, repeated, tag = "14")]
    pub metadata: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OperatorSetId {
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Entry {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    #[prost(string, tag = "7")]
    pub domain: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    pub kind: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub kind: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TypeProto {
    #[prost(message, optional, tag = "1")]
    pub tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorType {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<ShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Dimension {
    #[prost(int64, optional, tag = "1")]
    pub value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub param: Option<String>,
}

/// An attribute's value.
pub(super) enum Is<'a> {
    Int(i64),
    Float(f32),
    Ints(&'a [i64]),
}

/// A size of a graph's input or output.
#[derive(Clone, Copy)]
pub(super) enum Dim<'a> {
    Fixed(usize),
    Free(&'a str),
}

/// A graph under construction. Values are named by their strings; nodes stand in the order in which they were added.
#[derive(Default)]
pub(super) struct Graph {
    proto: GraphProto,
    metadata: Vec<Entry>,
}

impl Graph {
    pub(super) fn new(name: &str) -> Self {
        Self { proto: GraphProto { name: name.to_owned(), ..Default::default() }, metadata: Vec::new() }
    }

    pub(super) fn input(&mut self, name: &str, element: i32, shape: &[Dim]) -> String {
        self.proto.input.push(value_info(name, element, shape));
        name.to_owned()
    }

    pub(super) fn output(&mut self, name: &str, element: i32, shape: &[Dim]) {
        self.proto.output.push(value_info(name, element, shape));
    }

    pub(super) fn metadata(&mut self, key: &str, value: impl ToString) {
        self.metadata.push(Entry { key: key.to_owned(), value: value.to_string() });
    }

    /// A node with one output, named after its place unless `name` is given.
    pub(super) fn op(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Is)]) -> String {
        let name = format!("{}_{}", op.to_lowercase(), self.proto.node.len());
        self.named(op, inputs, &[&name], attributes);
        name
    }

    /// The same with an operator of [`MICROSOFT`].
    pub(super) fn microsoft(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Is)]) -> String {
        let name = self.op(op, inputs, attributes);
        if let Some(node) = self.proto.node.last_mut() {
            MICROSOFT.clone_into(&mut node.domain);
        }
        name
    }

    /// A node with the given outputs; an empty name stands for an output or input that is left out.
    pub(super) fn named(&mut self, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, Is)]) {
        let attribute = |(name, is): &(&str, Is)| {
            let empty = Attribute { name: (*name).to_owned(), ..Default::default() };
            match is {
                Is::Float(f) => Attribute { f: Some(*f), kind: 1, ..empty },
                Is::Int(i) => Attribute { i: Some(*i), kind: 2, ..empty },
                Is::Ints(v) => Attribute { ints: v.to_vec(), kind: 7, ..empty },
            }
        };
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|&s| s.to_owned()).collect(),
            output: outputs.iter().map(|&s| s.to_owned()).collect(),
            name: format!("{op}_{}", self.proto.node.len()),
            op_type: op.to_owned(),
            attribute: attributes.iter().map(attribute).collect(),
            domain: String::new(),
        });
    }

    fn initializer(&mut self, name: &str, data_type: i32, dims: &[usize], raw: Vec<u8>) -> String {
        let dims = dims.iter().map(|&d| d as i64).collect();
        self.proto.initializer.push(TensorProto { dims, data_type, name: name.to_owned(), raw_data: Some(raw) });
        name.to_owned()
    }

    /// Whether there is a constant of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.proto.initializer.iter().any(|t| t.name == name)
    }

    pub(super) fn f32s(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        debug_assert_eq!(dims.iter().product::<usize>(), values.len());
        self.initializer(name, FLOAT, dims, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// Half floats, as they lie in the source's file.
    pub(super) fn f16s(&mut self, name: &str, dims: &[usize], raw: Vec<u8>) -> String {
        debug_assert_eq!(2 * dims.iter().product::<usize>(), raw.len());
        self.initializer(name, FLOAT16, dims, raw)
    }

    pub(super) fn u8s(&mut self, name: &str, dims: &[usize], values: Vec<u8>) -> String {
        debug_assert_eq!(dims.iter().product::<usize>(), values.len());
        self.initializer(name, UINT8, dims, values)
    }

    pub(super) fn i64s(&mut self, name: &str, values: &[i64]) -> String {
        self.initializer(name, INT64, &[values.len()], values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    pub(super) fn i64_scalar(&mut self, name: &str, value: i64) -> String {
        self.initializer(name, INT64, &[], value.to_le_bytes().to_vec())
    }

    pub(super) fn f32_scalar(&mut self, name: &str, value: f32) -> String {
        self.initializer(name, FLOAT, &[], value.to_le_bytes().to_vec())
    }

    /// The model's bytes, at operator set 17, which every runtime from 1.12 on knows; [`MICROSOFT`]'s set only where it
    /// is used.
    pub(super) fn bytes(self) -> Vec<u8> {
        let set = |domain: &str, version| OperatorSetId { domain: Some(domain.to_owned()), version: Some(version) };
        let own = self.proto.node.iter().any(|n| n.domain == MICROSOFT);
        ModelProto {
            ir_version: 8,
            producer_name: "mynah".to_owned(),
            graph: Some(self.proto),
            opset_import: std::iter::once(set("", 17)).chain(own.then(|| set(MICROSOFT, 1))).collect(),
            metadata: self.metadata,
        }
        .encode_to_vec()
    }
}

fn value_info(name: &str, element: i32, shape: &[Dim]) -> ValueInfo {
    let dimension = |d: &Dim| match d {
        Dim::Fixed(n) => Dimension { value: Some(*n as i64), param: None },
        Dim::Free(s) => Dimension { value: None, param: Some((*s).to_owned()) },
    };
    let shape = ShapeProto { dim: shape.iter().map(dimension).collect() };
    let tensor = TensorType { elem_type: element, shape: Some(shape) };
    ValueInfo { name: name.to_owned(), kind: Some(TypeProto { tensor: Some(tensor) }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_a_model_that_reads_back() {
        let mut g = Graph::new("g");
        let x = g.input("x", FLOAT, &[Dim::Free("n"), Dim::Fixed(2)]);
        let w = g.f32s("w", &[2], &[1.0, -2.0]);
        g.named("Mul", &[&x, &w], &["y"], &[]);
        g.output("y", FLOAT, &[Dim::Free("n"), Dim::Fixed(2)]);
        g.metadata("k", 3);
        let bytes = g.bytes();
        let model = ModelProto::decode(&bytes[..]).expect("a model");
        let graph = model.graph.expect("a graph");
        assert_eq!(graph.node[0].op_type, "Mul");
        assert_eq!(graph.initializer[0].raw_data.as_deref(), Some(&[0, 0, 128, 63, 0, 0, 0, 192][..]));
        assert_eq!(graph.output[0].kind.as_ref().and_then(|k| k.tensor.as_ref()).map(|t| t.elem_type), Some(1));
        assert_eq!(model.metadata[0].value, "3");
        // ModelProto.ir_version is field 1, a varint.
        assert_eq!(&bytes[..2], &[0x08, 8]);
    }
}
