//! Small ONNX graphs written by hand, for faults that no real model has. The field numbers are those of onnx.proto
//! (ONNX IR version 8, operators version 17).

/// Types of tensors.
#[derive(Clone, Copy)]
pub enum Kind {
    Float = 1,
    Int64 = 7,
}

/// An attribute of a node, encoded.
pub struct Attribute(Vec<u8>);

impl Attribute {
    /// A whole number.
    pub fn int(name: &str, value: i64) -> Self {
        const INT: u64 = 2;
        Self([text(1, name), number(3, value as u64), number(20, INT)].concat())
    }
}

/// A graph under construction; nodes stand in the order in which they were added.
#[derive(Default)]
pub struct Graph(Vec<u8>);

impl Graph {
    /// An input of 32-bit floats; `None` is a size that may be anything.
    pub fn input(&mut self, name: &str, shape: &[Option<u64>]) {
        self.0.extend(bytes(11, &value(name, shape)));
    }

    /// An output of 32-bit floats.
    pub fn output(&mut self, name: &str, shape: &[Option<u64>]) {
        self.0.extend(bytes(12, &value(name, shape)));
    }

    /// A constant number without sizes.
    pub fn floats(&mut self, name: &str, x: f32) {
        self.0.extend(bytes(5, &[number(2, Kind::Float as u64), text(8, name), bytes(9, &x.to_le_bytes())].concat()));
    }

    /// A constant row of whole numbers.
    pub fn ints(&mut self, name: &str, row: &[i64]) {
        let raw: Vec<u8> = row.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.0.extend(bytes(
            5,
            &[number(1, row.len() as u64), number(2, Kind::Int64 as u64), text(8, name), bytes(9, &raw)].concat(),
        ));
    }

    /// A constant row of 32-bit floats that lie in a file beside the graph.
    pub fn weights_beside(&mut self, name: &str, count: u64, file: &str) {
        const EXTERNAL: u64 = 1;
        let place = bytes(13, &[text(1, "location"), text(2, file)].concat());
        self.0.extend(bytes(
            5,
            &[number(1, count), number(2, Kind::Float as u64), text(8, name), place, number(14, EXTERNAL)].concat(),
        ));
    }

    /// A node with one output.
    pub fn node(&mut self, operator: &str, inputs: &[&str], output: &str, attributes: &[Attribute]) {
        let mut node: Vec<u8> = inputs.iter().flat_map(|i| text(1, i)).collect();
        node.extend([text(2, output), text(4, operator)].concat());
        node.extend(attributes.iter().flat_map(|a| bytes(5, &a.0)));
        self.0.extend(bytes(1, &node));
    }

    /// The whole file, with these metadata.
    pub fn model(mut self, metadata: &[(&str, &str)]) -> Vec<u8> {
        self.0.extend(text(2, "tiny"));
        let operators = number(2, 17);
        let entries = metadata.iter().flat_map(|(key, value)| bytes(14, &[text(1, key), text(2, value)].concat()));
        [number(1, 8), bytes(7, &self.0), bytes(8, &operators)].concat().into_iter().chain(entries).collect()
    }
}

fn value(name: &str, shape: &[Option<u64>]) -> Vec<u8> {
    let sizes: Vec<u8> =
        shape.iter().flat_map(|n| bytes(1, &n.map_or_else(|| text(2, "n"), |n| number(1, n)))).collect();
    [text(1, name), bytes(2, &bytes(1, &[number(1, Kind::Float as u64), bytes(2, &sizes)].concat()))].concat()
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

fn number(field: u64, n: u64) -> Vec<u8> {
    [varint(field << 3), varint(n)].concat()
}

fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn text(field: u64, content: &str) -> Vec<u8> {
    bytes(field, content.as_bytes())
}
