//! What the name of a graph's file says of its numbers: exporters put a word for a smaller precision into it
//! (sherpa-onnx `encoder.int8.onnx`, optimum `encoder_model_quantized.onnx`). Knows names only, and opens nothing.

/// Words for a precision smaller than 32 bits, as sherpa-onnx's and optimum's exporters and those of Transformers.js
/// write them.
const SMALLER: [&str; 7] = ["int8", "uint8", "quantized", "fp16", "q4", "q4f16", "bnb4"];

/// Words for the full one.
const FULL: [&str; 3] = ["fp32", "f32", "float32"];

/// The smaller precision that a graph's name tells; none where it is of the full one.
pub fn smaller(name: &str) -> Option<&'static str> {
    words(name).find_map(|word| SMALLER.into_iter().find(|known| known.eq_ignore_ascii_case(word)))
}

/// The smaller precisions of which names of graphs tell, each once.
pub fn smaller_among(names: &[String]) -> Vec<&'static str> {
    let graphs = || names.iter().filter(|n| n.ends_with(".onnx") || n.ends_with(".ort"));
    SMALLER.into_iter().filter(|known| graphs().any(|n| smaller(n) == Some(known))).collect()
}

/// Where one of several graphs is wanted in a precision (`None`: the full one), the least of these is it: in that
/// precision, else in the full one, else in any; of more the one with the shortest name.
pub fn rank(name: &str, wanted: Option<&str>) -> (bool, bool, usize) {
    let precision = smaller(name);
    (precision != wanted, precision.is_some(), name.len())
}

/// Whether two names are the same but for their precision.
pub fn same_but_for_it(a: &str, b: &str) -> bool {
    let full = |word: &str| FULL.iter().any(|known| known.eq_ignore_ascii_case(word));
    let bare = |name| words(name).filter(move |word| smaller(word).is_none() && !full(word));
    bare(a).eq(bare(b))
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_precision() {
        for (name, told) in [
            ("encode.onnx", None),
            ("base.en-encoder.int8.onnx", Some("int8")),
            ("encoder_model_quantized.onnx", Some("quantized")),
            ("decoder_model_merged_fp16.onnx", Some("fp16")),
            ("decoder_model_merged_q4f16.onnx", Some("q4f16")),
            ("encoder_model_uint8.onnx", Some("uint8")),
            ("encoder-seq4-avg.onnx", None),
        ] {
            assert_eq!(smaller(name), told, "{name}");
        }
        let names = ["a.onnx", "a.int8.onnx", "b.INT8.ort", "c_fp16.onnx", "tokens.q4.txt"].map(str::to_owned);
        assert_eq!(smaller_among(&names), ["int8", "fp16"]);
    }

    #[test]
    fn the_wanted_precision_comes_first_then_the_full_one() {
        let best =
            |names: &[&'static str], wanted| names.iter().copied().min_by_key(|n| rank(n, wanted)).expect("a name");
        let all = ["e.int8.onnx", "e_fp16.onnx", "e.onnx"];
        assert_eq!(
            [None, Some("int8"), Some("fp16"), Some("q4")].map(|w| best(&all, w)),
            ["e.onnx", "e.int8.onnx", "e_fp16.onnx", "e.onnx"]
        );
        assert_eq!(best(&all[..1], None), "e.int8.onnx", "where there is no other");
        assert!(same_but_for_it("model.int8.onnx", "model.onnx") && same_but_for_it("model_fp16.onnx", "model.onnx"));
        assert!(
            !same_but_for_it("model.int8.onnx", "other.int8.onnx") && same_but_for_it("model.fp32.onnx", "model.onnx")
        );
    }
}
