//! The layers that Whisper's encoder and decoder share, as nodes of a graph. Doesn't know how a product's weights are
//! kept.

use std::collections::HashMap;

use super::BuildError;
use super::onnx::{FLOAT, Graph, Is};
use super::whisper::Net;
use super::whisper_products::Product;

/// A graph with the parts that encoder and decoder share.
pub(super) struct Builder<'a> {
    pub(super) net: &'a Net,
    pub(super) g: Graph,
    pub(super) heads: usize,
    pub(super) product: Product,
    /// Values of which 8 bits were made: the bytes, the scale and the zero.
    pub(super) bytes: HashMap<String, [String; 3]>,
    /// Constants that every layer shares.
    shapes: [String; 2],
    numbers: [String; 4],
}

impl<'a> Builder<'a> {
    pub(super) fn new(net: &'a Net, name: &str, heads: usize, product: Product) -> Self {
        let mut g = Graph::new(name);
        let size = net.dim / heads;
        // In a Reshape a 0 keeps the size that is there.
        let shapes =
            [g.i64s("split_heads", &[0, 0, heads as i64, size as i64]), g.i64s("join_heads", &[0, 0, net.dim as i64])];
        let scale = (size as f32).sqrt().recip();
        let numbers = [("scale", scale), ("root_two", std::f32::consts::SQRT_2), ("one", 1.0), ("half", 0.5)]
            .map(|(n, v)| g.f32_scalar(n, v));
        Self { net, g, heads, product, bytes: HashMap::new(), shapes, numbers }
    }

    /// A variable as half floats in the graph.
    fn halves(&mut self, name: &str, shape: &[usize]) -> Result<String, BuildError> {
        let raw = self.net.file.halves(name, shape)?;
        Ok(self.g.f16s(name, shape, raw))
    }

    pub(super) fn widen(&mut self, x: &str) -> String {
        self.g.op("Cast", &[x], &[("to", Is::Int(FLOAT.into()))])
    }

    pub(super) fn floats(&mut self, name: &str, shape: &[usize]) -> Result<String, BuildError> {
        let values = self.net.file.floats(name, shape)?;
        Ok(self.g.f32s(name, shape, &values))
    }

    /// One size of a value, as a vector of one.
    pub(super) fn size(&mut self, x: &str, axis: i64) -> String {
        self.g.op("Shape", &[x], &[("start", Is::Int(axis)), ("end", Is::Int(axis + 1))])
    }

    pub(super) fn convolution(
        &mut self,
        x: &str,
        name: &str,
        inputs: usize,
        stride: i64,
    ) -> Result<String, BuildError> {
        let weight = self.halves(&format!("{name}/weight"), &[self.net.dim, inputs, 3])?;
        let weight = self.widen(&weight);
        let bias = self.floats(&format!("{name}/bias"), &[self.net.dim])?;
        let attributes =
            [("pads", Is::Ints(&[1, 1])), ("strides", Is::Ints(&[stride])), ("kernel_shape", Is::Ints(&[3]))];
        let y = self.g.op("Conv", &[x, &weight, &bias], &attributes);
        Ok(self.gelu(&y))
    }

    /// The exact form; the runtime knows this pattern and computes it in one go.
    fn gelu(&mut self, x: &str) -> String {
        let [_, root_two, one, half] = self.numbers.clone();
        let y = self.g.op("Div", &[x, &root_two], &[]);
        let y = self.g.op("Erf", &[&y], &[]);
        let y = self.g.op("Add", &[&y, &one], &[]);
        let y = self.g.op("Mul", &[x, &y], &[]);
        self.g.op("Mul", &[&y, &half], &[])
    }

    pub(super) fn positions(
        &mut self,
        x: &str,
        side: &str,
        context: usize,
        from: &str,
        to: &str,
    ) -> Result<String, BuildError> {
        let table = self.floats(&format!("{side}/position_encodings/encodings"), &[context, self.net.dim])?;
        let axis = self.g.i64s("time", &[0]);
        let rows = self.g.op("Slice", &[&table, from, to, &axis], &[]);
        Ok(self.g.op("Add", &[x, &rows], &[]))
    }

    pub(super) fn norm(&mut self, x: &str, name: &str) -> Result<String, BuildError> {
        let gamma = self.floats(&format!("{name}/gamma"), &[self.net.dim])?;
        let beta = self.floats(&format!("{name}/beta"), &[self.net.dim])?;
        Ok(self.g.op("LayerNormalization", &[x, &gamma, &beta], &[("axis", Is::Int(-1)), ("epsilon", Is::Float(1e-5))]))
    }

    /// Rows [1, n, D] with the last one twice.
    pub(super) fn pad(&mut self, x: &str) -> String {
        if !self.g.has("from_last") {
            for (name, value) in [("from_last", -1), ("to_end", i64::MAX), ("rows_axis", 1)] {
                self.g.i64s(name, &[value]);
            }
        }
        let last = self.g.op("Slice", &[x, "from_last", "to_end", "rows_axis"], &[]);
        self.g.op("Concat", &[x, &last], &[("axis", Is::Int(1))])
    }

    /// The first `count` (a vector of one) along an axis, as the value `name`.
    pub(super) fn first(&mut self, x: &str, count: &str, axis: i64, name: &str) {
        let (zero, along) = ("from_zero", format!("along_{axis}"));
        if !self.g.has(zero) {
            self.g.i64s(zero, &[0]);
        }
        if !self.g.has(&along) {
            self.g.i64s(&along, &[axis]);
        }
        self.g.named("Slice", &[x, zero, count, &along], &[name], &[]);
    }

    /// A layer that makes N things at once.
    pub(super) fn fused<const N: usize>(&mut self, x: &str, name: &str) -> Result<[String; N], BuildError> {
        let y = self.linear(x, name, self.net.dim, N * self.net.dim)?;
        let parts = std::array::from_fn(|i| format!("{name}/part_{i}"));
        let outputs: Vec<&str> = parts.iter().map(String::as_str).collect();
        let sizes = self.g.i64s(&format!("{name}/sizes"), &[self.net.dim as i64; N]);
        self.g.named("Split", &[&y, &sizes], &outputs, &[("axis", Is::Int(-1))]);
        Ok(parts)
    }

    /// [1, n, D] → [1, H, n, S], scaled.
    pub(super) fn queries(&mut self, x: &str) -> String {
        let scale = self.numbers[0].clone();
        let x = self.g.op("Mul", &[x, &scale], &[]);
        self.split(&x, &[0, 2, 1, 3], None)
    }

    /// [1, n, D] → [1, H, S, n].
    pub(super) fn keys(&mut self, x: &str, name: Option<&str>) -> String {
        self.split(x, &[0, 2, 3, 1], name)
    }

    /// [1, n, D] → [1, H, n, S].
    pub(super) fn values(&mut self, x: &str, name: Option<&str>) -> String {
        self.split(x, &[0, 2, 1, 3], name)
    }

    fn split(&mut self, x: &str, order: &[i64], name: Option<&str>) -> String {
        let shape = self.shapes[0].clone();
        let x = self.g.op("Reshape", &[x, &shape], &[]);
        let order = [("perm", Is::Ints(order))];
        let Some(name) = name else { return self.g.op("Transpose", &[&x], &order) };
        self.g.named("Transpose", &[&x], &[name], &order);
        name.to_owned()
    }

    /// The attended values [1, n, D] and the weights [1, H, n, positions].
    pub(super) fn attend(&mut self, q: &str, k: &str, v: &str, mask: Option<&str>) -> (String, String) {
        let mut scores = self.g.op("MatMul", &[q, k], &[]);
        if let Some(mask) = mask {
            scores = self.g.op("Add", &[&scores, mask], &[]);
        }
        let weights = self.g.op("Softmax", &[&scores], &[("axis", Is::Int(-1))]);
        let y = self.g.op("MatMul", &[&weights, v], &[]);
        let y = self.g.op("Transpose", &[&y], &[("perm", Is::Ints(&[0, 2, 1, 3]))]);
        let shape = self.shapes[1].clone();
        (self.g.op("Reshape", &[&y, &shape], &[]), weights)
    }

    /// 0 where a token may look, a large negative number at the tokens after it: [end − past, end].
    pub(super) fn mask(&mut self, past: &str, end: &str) -> String {
        let none = self.g.i64s("none", &[0]);
        let [past, end] = [past, end].map(|x| self.g.op("Squeeze", &[x, &none], &[]));
        let (zero, one) = (self.g.i64_scalar("from", 0), self.g.i64_scalar("step", 1));
        let rows = self.g.op("Range", &[&past, &end, &one], &[]);
        let columns = self.g.op("Range", &[&zero, &end, &one], &[]);
        let axis = self.g.i64s("column", &[1]);
        let rows = self.g.op("Unsqueeze", &[&rows, &axis], &[]);
        let later = self.g.op("Greater", &[&columns, &rows], &[]);
        let (open, shut) = (self.g.f32_scalar("open", 0.0), self.g.f32_scalar("shut", -1e9));
        self.g.op("Where", &[&later, &shut, &open], &[])
    }

    /// The feed-forward part of a layer; `second` is how the weights of its second product are kept.
    pub(super) fn feed_forward(&mut self, x: &str, layer: &str, second: Product) -> Result<String, BuildError> {
        let y = self.norm(x, &format!("{layer}/ffn/layer_norm"))?;
        let y = self.linear(&y, &format!("{layer}/ffn/linear_0"), self.net.dim, self.net.inner)?;
        let y = self.gelu(&y);
        let y = self.linear_as(second, &y, &format!("{layer}/ffn/linear_1"), self.net.inner, self.net.dim)?;
        Ok(self.g.op("Add", &[x, &y], &[]))
    }
}
