//! The graphs of a very small network: their shape, their bytes, and what happens when a part is missing.

use std::path::Path;

use prost::Message;

use super::ct2::synthesise;
use super::onnx::{GraphProto, ModelProto};
use super::{Weights, whisper};

const DIM: usize = 8;
const LAYERS: usize = 2;

type Variables = Vec<(String, Vec<usize>, Vec<f32>)>;

fn variables() -> Variables {
    let mut all = Variables::new();
    let mut add = |name: String, shape: &[usize]| {
        let n: usize = shape.iter().product();
        all.push((name, shape.to_vec(), (0..n).map(|i| i as f32 / 8.0).collect()));
    };
    add("encoder/conv1/weight".into(), &[DIM, 4, 3]);
    add("encoder/conv2/weight".into(), &[DIM, DIM, 3]);
    for name in ["encoder/conv1/bias", "encoder/conv2/bias"] {
        add(name.into(), &[DIM]);
    }
    add("decoder/embeddings/weight".into(), &[12, DIM]);
    for (side, context) in [("encoder", 10), ("decoder", 6)] {
        add(format!("{side}/position_encodings/encodings"), &[context, DIM]);
        let mut norms = vec![format!("{side}/layer_norm")];
        for i in 0..LAYERS {
            let layer = format!("{side}/layer_{i}");
            let mut linear = vec![
                ("self_attention/linear_0", 3 * DIM, DIM),
                ("self_attention/linear_1", DIM, DIM),
                ("ffn/linear_0", 16, DIM),
                ("ffn/linear_1", DIM, 16),
            ];
            norms.extend([format!("{layer}/self_attention/layer_norm"), format!("{layer}/ffn/layer_norm")]);
            if side == "decoder" {
                linear.extend([
                    ("attention/linear_0", DIM, DIM),
                    ("attention/linear_1", 2 * DIM, DIM),
                    ("attention/linear_2", DIM, DIM),
                ]);
                norms.push(format!("{layer}/attention/layer_norm"));
            }
            for (name, outputs, inputs) in linear {
                add(format!("{layer}/{name}/weight"), &[outputs, inputs]);
                add(format!("{layer}/{name}/bias"), &[outputs]);
            }
        }
        for norm in norms {
            add(format!("{norm}/gamma"), &[DIM]);
            add(format!("{norm}/beta"), &[DIM]);
        }
    }
    for side in ["encoder", "decoder"] {
        all.push((format!("{side}/num_heads"), vec![], vec![2.0]));
    }
    all
}

fn put(folder: &Path, variables: &Variables, config: &str) {
    std::fs::write(folder.join("model.bin"), synthesise("WhisperSpec", variables)).expect("writes");
    std::fs::write(folder.join("config.json"), config).expect("writes");
}

const CONFIG: &str = r#"{"alignment_heads": [[1, 1], [0, 1], [1, 0]], "suppress_ids": []}"#;

fn graph(path: &Path) -> (GraphProto, ModelProto) {
    let model = ModelProto::decode(&std::fs::read(path).expect("reads")[..]).expect("a model");
    (model.graph.clone().expect("a graph"), model)
}

#[test]
fn both_graphs_carry_the_names_and_sizes_of_their_contract() {
    for weights in [Weights::Half, Weights::Eight] {
        check_contract(weights);
    }
}

fn check_contract(weights: Weights) {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), &variables(), CONFIG);
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    whisper(folder.path(), &a, weights, None).expect("builds");
    whisper(folder.path(), &b, weights, None).expect("builds");
    for name in ["encoder.onnx", "decoder.onnx"] {
        assert_eq!(
            std::fs::read(a.join(name)).expect("reads"),
            std::fs::read(b.join(name)).expect("reads"),
            "{name} differs from run to run"
        );
    }
    let (encoder, _) = graph(&a.join("encoder.onnx"));
    let outputs: Vec<_> = encoder.output.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(outputs, ["cross_k_0", "cross_v_0", "cross_k_1", "cross_v_1"]);
    let (decoder, model) = graph(&a.join("decoder.onnx"));
    assert_eq!(decoder.input.len(), 2 + 4 * LAYERS);
    let outputs: Vec<_> = decoder.output.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(outputs[..2], ["logits", "cross_attention_weights"]);
    assert_eq!(outputs.len(), 2 + 2 * LAYERS);
    let said = |key: &str| model.metadata.iter().find(|e| e.key == key).map(|e| e.value.as_str());
    assert_eq!(
        (said("alignment_heads"), said("n_text_head"), said("n_vocab")),
        (Some("0:1,1:0,1:1"), Some("2"), Some("12"))
    );
    // Every input of every node is made before it is used, and no name is made twice.
    for graph in [&encoder, &decoder] {
        let mut known: std::collections::HashSet<&str> = std::collections::HashSet::new();
        let given =
            graph.input.iter().map(|i| i.name.as_str()).chain(graph.initializer.iter().map(|t| t.name.as_str()));
        assert!(given.into_iter().all(|name| known.insert(name)));
        for node in &graph.node {
            assert!(node.input.iter().all(|i| known.contains(i.as_str())), "{node:?}");
            assert!(node.output.iter().all(|o| known.insert(o)), "{node:?}");
        }
        assert!(graph.output.iter().all(|o| known.contains(o.name.as_str())));
    }
}

#[test]
fn weights_are_turned_so_that_a_row_is_an_input() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), &variables(), CONFIG);
    whisper(folder.path(), folder.path(), Weights::Half, None).expect("builds");
    let (encoder, _) = graph(&folder.path().join("encoder.onnx"));
    let weight =
        encoder.initializer.iter().find(|t| t.name == "encoder/layer_0/ffn/linear_0/weight").expect("the weight");
    assert_eq!(weight.dims, [8, 16]);
    let raw = weight.raw_data.as_deref().expect("data");
    let half = |i: usize| half::f16::from_le_bytes([raw[2 * i], raw[2 * i + 1]]).to_f32();
    // In the file the weight of output 1 and input 0 is the ninth.
    assert_eq!([half(0), half(1), half(16)], [0.0, 1.0, 0.125]);
}

#[test]
fn eight_bits_are_where_they_pay_and_the_last_layers_second_product_keeps_half_floats() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), &variables(), CONFIG);
    whisper(folder.path(), folder.path(), Weights::Eight, None).expect("builds");
    let (encoder, model) = graph(&folder.path().join("encoder.onnx"));
    let count = |g: &GraphProto, op: &str| g.node.iter().filter(|n| n.op_type == op).count();
    // Four products a layer and one for each layer of the decoder, less one; the decoder's read the same value.
    assert_eq!(
        (count(&encoder, "MatMulInteger"), count(&encoder, "DynamicQuantizeLinear")),
        (5 * LAYERS - 1, 4 * LAYERS)
    );
    let kind = |g: &GraphProto, name: &str| g.initializer.iter().find(|t| t.name == name).map(|t| t.data_type);
    assert_eq!(kind(&encoder, "encoder/layer_0/ffn/linear_1/weight"), Some(2));
    assert_eq!(kind(&encoder, "encoder/layer_1/ffn/linear_1/weight"), Some(10));
    assert_eq!(model.opset_import.len(), 1);
    let (decoder, model) = graph(&folder.path().join("decoder.onnx"));
    assert_eq!(
        (count(&decoder, "MatMulNBits"), kind(&decoder, "decoder/embeddings/weight")),
        (6 * LAYERS + 1, Some(2))
    );
    assert!(model.opset_import.iter().any(|set| set.domain.as_deref() == Some("com.microsoft")));
}

#[test]
fn what_was_trained_further_stands_in_its_variables_place() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), &variables(), CONFIG);
    let further = |name: &str| {
        let path = folder.path().join("further.bin");
        // The small file names its first variable once more.
        let first = ("encoder/conv1/weight".into(), vec![DIM, 4, 3], vec![1.0; 12 * DIM]);
        std::fs::write(&path, synthesise("WhisperSpec", &[first, (name.into(), vec![16, DIM], vec![3.0; 16 * DIM])]))
            .expect("writes");
        whisper(folder.path(), folder.path(), Weights::Half, Some(&path))
    };
    let name = "encoder/layer_0/ffn/linear_0/weight";
    further(name).expect("builds");
    let (encoder, _) = graph(&folder.path().join("encoder.onnx"));
    let weight =
        encoder.initializer.iter().find(|t| t.name == name).and_then(|t| t.raw_data.clone()).expect("the weight");
    assert_eq!(weight, half::f16::from_f32(3.0).to_le_bytes().repeat(16 * DIM));
    let message = further("encoder/layer_9/ffn/linear_0/weight").expect_err("must fail").to_string();
    assert!(message.contains("layer_9"), "{message}");
}

#[test]
fn any_missing_part_is_named_and_leaves_no_file() {
    let whole = variables();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    for i in 0..whole.len() {
        let mut fewer = whole.clone();
        let (name, ..) = fewer.remove(i);
        put(folder.path(), &fewer, CONFIG);
        let message = whisper(folder.path(), &out, Weights::Eight, None).expect_err(&name).to_string();
        assert!(message.contains(&name) || message.contains("layers"), "{name}: {message}");
        assert!(!out.join("encoder.onnx").exists() && !out.join("decoder.onnx").exists(), "{name}");
    }
}

#[test]
fn a_wrong_config_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    for config in [
        "{",
        "{}",
        r#"{"alignment_heads": []}"#,
        r#"{"alignment_heads": [[2, 0]]}"#,
        r#"{"alignment_heads": [[0, 2]]}"#,
    ] {
        put(folder.path(), &variables(), config);
        assert!(whisper(folder.path(), folder.path(), Weights::Half, None).is_err(), "{config}");
    }
    assert!(whisper(&folder.path().join("nowhere"), folder.path(), Weights::Half, None).is_err());
}
