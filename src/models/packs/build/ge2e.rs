//! The GE2E speaker encoder of Resemblyzer as an ONNX graph: `mel` f32 [n, 160, 40] → `embedding` f32 [n, 256].
//!
//! Wan et al., "Generalized End-to-End Loss for Speaker Verification" (2018), in the shape that Resemblyzer trained:
//! three LSTM layers of 256, the last hidden state, a linear layer, ReLU, unit length.

use std::path::Path;

use super::onnx::{Dim, FLOAT, Graph, Is};
use super::torch::Torch;
use super::{BuildError, write};

const FRAMES: usize = 160;
const MELS: usize = 40;
const SIZE: usize = 256;
const LAYERS: usize = 3;

/// Builds the speaker encoder from Resemblyzer's `pretrained.pt` and writes it to `out_onnx`, all or nothing.
///
/// The graph: `mel` f32 [n, 160, 40] (mel power, 10 ms frames) → `embedding` f32 [n, 256], each row without negatives
/// and of unit length. Takes less than a second; any thread but the audio thread.
pub fn ge2e(pretrained_pt: &Path, out_onnx: &Path) -> Result<(), BuildError> {
    write(out_onnx, &graph(&Torch::open(pretrained_pt)?)?)
}

fn graph(file: &Torch) -> Result<Vec<u8>, BuildError> {
    let tensor = |name: String, shape: &[usize]| file.tensor("model_state", &name, shape);
    let mut g = Graph::new("ge2e");
    let mel = g.input("mel", FLOAT, &[Dim::Free("n"), Dim::Fixed(FRAMES), Dim::Fixed(MELS)]);
    let direction = g.i64s("direction", &[1]);
    // ONNX's LSTM wants the frames first.
    let mut x = g.op("Transpose", &[&mel], &[("perm", Is::Ints(&[1, 0, 2]))]);
    let mut last = String::new();
    for layer in 0..LAYERS {
        let inputs = if layer == 0 { MELS } else { SIZE };
        let w = reorder(&tensor(format!("lstm.weight_ih_l{layer}"), &[4 * SIZE, inputs])?, inputs);
        let r = reorder(&tensor(format!("lstm.weight_hh_l{layer}"), &[4 * SIZE, SIZE])?, SIZE);
        let mut b = reorder(&tensor(format!("lstm.bias_ih_l{layer}"), &[4 * SIZE])?, 1);
        b.extend(reorder(&tensor(format!("lstm.bias_hh_l{layer}"), &[4 * SIZE])?, 1));
        let w = g.f32s(&format!("w{layer}"), &[1, 4 * SIZE, inputs], &w);
        let r = g.f32s(&format!("r{layer}"), &[1, 4 * SIZE, SIZE], &r);
        let b = g.f32s(&format!("b{layer}"), &[1, 8 * SIZE], &b);
        let (all, end) = (format!("all{layer}"), format!("end{layer}"));
        g.named("LSTM", &[&x, &w, &r, &b], &[&all, &end], &[("hidden_size", Is::Int(SIZE as i64))]);
        x = g.op("Squeeze", &[&all, &direction], &[]);
        last = end;
    }
    let first = g.i64s("first", &[0]);
    let hidden = g.op("Squeeze", &[&last, &first], &[]);
    let weight = tensor("linear.weight".to_owned(), &[SIZE, SIZE])?;
    let bias = tensor("linear.bias".to_owned(), &[SIZE])?;
    let weight = g.f32s("linear.weight", &[SIZE, SIZE], &weight);
    let bias = g.f32s("linear.bias", &[SIZE], &bias);
    let linear = g.op("Gemm", &[&hidden, &weight, &bias], &[("transB", Is::Int(1))]);
    let relu = g.op("Relu", &[&linear], &[]);
    let length = g.op("ReduceL2", &[&relu], &[("axes", Is::Ints(&[1])), ("keepdims", Is::Int(1))]);
    // A row of zeros stays zeros instead of becoming NaN.
    let least = g.f32_scalar("least", 1e-12);
    let length = g.op("Max", &[&length, &least], &[]);
    g.named("Div", &[&relu, &length], &["embedding"], &[]);
    g.output("embedding", FLOAT, &[Dim::Free("n"), Dim::Fixed(SIZE)]);
    Ok(g.bytes())
}

/// Torch's gates are input, forget, cell, output; ONNX's are input, output, forget, cell.
fn reorder(rows: &[f32], columns: usize) -> Vec<f32> {
    let gate = SIZE * columns;
    [0, 3, 1, 2].iter().flat_map(|&g| &rows[g * gate..(g + 1) * gate]).copied().collect()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::super::onnx::ModelProto;
    use super::super::torch::synthesise;
    use super::*;

    fn tensors() -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let mut all = Vec::new();
        for l in 0..LAYERS {
            let inputs = if l == 0 { MELS } else { SIZE };
            for (name, shape) in [
                ("weight_ih", vec![4 * SIZE, inputs]),
                ("weight_hh", vec![4 * SIZE, SIZE]),
                ("bias_ih", vec![4 * SIZE]),
                ("bias_hh", vec![4 * SIZE]),
            ] {
                let n = shape.iter().product();
                all.push((format!("lstm.{name}_l{l}"), shape, (0..n).map(|i| i as f32).collect()));
            }
        }
        all.push(("linear.weight".into(), vec![SIZE, SIZE], vec![0.5; SIZE * SIZE]));
        all.push(("linear.bias".into(), vec![SIZE], vec![0.0; SIZE]));
        all
    }

    #[test]
    fn the_gates_are_put_in_the_order_of_onnx_and_the_bytes_are_the_same_each_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let (pt, a, b) = (folder.path().join("p.pt"), folder.path().join("a.onnx"), folder.path().join("b.onnx"));
        std::fs::write(&pt, synthesise(&tensors())).expect("writes");
        ge2e(&pt, &a).expect("builds");
        ge2e(&pt, &b).expect("builds");
        let bytes = std::fs::read(&a).expect("reads");
        assert_eq!(bytes, std::fs::read(&b).expect("reads"));
        let graph = ModelProto::decode(&bytes[..]).expect("a model").graph.expect("a graph");
        let b1 = graph.initializer.iter().find(|t| t.name == "b1").and_then(|t| t.raw_data.as_deref()).expect("b1");
        let first = |gate: usize| f32::from_le_bytes(b1[4 * SIZE * gate..][..4].try_into().expect("four bytes"));
        assert_eq!([first(0), first(1), first(2), first(3), first(4)], [0.0, 768.0, 256.0, 512.0, 0.0]);
    }

    #[test]
    fn a_missing_tensor_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (pt, out) = (folder.path().join("p.pt"), folder.path().join("a.onnx"));
        let mut fewer = tensors();
        fewer.retain(|t| t.0 != "lstm.bias_hh_l2");
        std::fs::write(&pt, synthesise(&fewer)).expect("writes");
        let message = ge2e(&pt, &out).expect_err("must fail").to_string();
        assert!(message.contains("lstm.bias_hh_l2"), "{message}");
        assert!(!out.exists());
    }
}
