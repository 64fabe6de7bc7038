//! A tokenizer out of ranks: the `tokens.txt` of sherpa-onnx's exports, whose lines are OpenAI's tiktoken ranks (a
//! token's bytes in base64, and its number). Knows no model.
//!
//! Ranks have no merges, but they tell them: a token is merged from the two parts that the merges of lower ranks leave
//! of its bytes.

use std::collections::HashMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokenizers::Tokenizer;

use crate::online::symbols::without_gaps;
use mynah_files as files;
use mynah_models::runtime::RuntimeError;

/// Reads the file.
pub(super) fn tokenizer(path: &Path) -> Result<Tokenizer, RuntimeError> {
    let wrong = |why: String| RuntimeError::File { path: path.to_owned(), why };
    let text = files::text(path, files::VOCABULARY).map_err(wrong)?;
    build(&parse(&text).map_err(wrong)?).map_err(wrong)
}

fn parse(text: &str) -> Result<HashMap<Vec<u8>, u32>, String> {
    let (mut ranks, mut lines) = (HashMap::new(), Vec::new());
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = || format!("line {} is `{line}`, where a token in base64 and its number belong", n + 1);
        let (token, id) = line.trim().rsplit_once(char::is_whitespace).ok_or_else(wrong)?;
        let id: u32 = id.parse().ok().filter(|&id| id < 1 << 20).ok_or_else(wrong)?;
        lines.push((id as usize, n + 1));
        // OpenAI's multilingual file has one token of no bytes, `=`.
        let token = token.trim_end_matches('=');
        let padded = format!("{token}{}", &"==="[..(4 - token.len() % 4) % 4]);
        let bytes = STANDARD.decode(padded).map_err(|_| wrong())?;
        if !bytes.is_empty() && ranks.insert(bytes, id).is_some() {
            return Err(format!("line {} gives a token once more", n + 1));
        }
    }
    without_gaps(lines)?;
    if ranks.is_empty() { Err("there is no token in it".to_owned()) } else { Ok(ranks) }
}

/// A byte-level tokenizer, by way of its JSON.
fn build(ranks: &HashMap<Vec<u8>, u32>) -> Result<Tokenizer, String> {
    let mut sorted: Vec<(&Vec<u8>, u32)> = ranks.iter().map(|(bytes, &id)| (bytes, id)).collect();
    sorted.sort_unstable_by_key(|t| t.1);
    let vocab: serde_json::Map<_, _> = sorted.iter().map(|&(bytes, id)| (shown(bytes), id.into())).collect();
    let merges: Vec<[String; 2]> = sorted.iter().filter_map(|(bytes, id)| parts(ranks, bytes, *id)).collect();
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
            "fuse_unk": false, "vocab": vocab, "merges": merges}
    });
    Tokenizer::from_bytes(json.to_string()).map_err(|e| e.to_string())
}

/// The two parts that a token is merged from; none for a byte, or where merges don't lead to it.
fn parts(ranks: &HashMap<Vec<u8>, u32>, bytes: &[u8], id: u32) -> Option<[String; 2]> {
    let mut cuts: Vec<usize> = (0..=bytes.len()).collect();
    while cuts.len() > 3 {
        let merged = |w: &[usize]| ranks.get(&bytes[w[0]..w[2]]).copied().filter(|&r| r < id);
        let best = cuts.windows(3).enumerate().filter_map(|(i, w)| Some((merged(w)?, i))).min()?;
        cuts.remove(best.1 + 1);
    }
    let [from, cut, to] = cuts[..] else { return None };
    Some([shown(&bytes[from..cut]), shown(&bytes[cut..to])])
}

/// Bytes as byte-level tokenizers write them (GPT-2's `encoder.py`): what is printable in Latin-1 stands for itself,
/// the rest in order from U+0100 on.
fn shown(bytes: &[u8]) -> String {
    let printable = |b: u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let one = |&b: &u8| {
        if printable(b) {
            char::from(b)
        } else {
            char::from_u32(256 + (0..b).filter(|&x| !printable(x)).count() as u32).unwrap_or(' ')
        }
    };
    bytes.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(token: &str, id: u32) -> String {
        format!("{} {id}\n", STANDARD.encode(token))
    }

    #[test]
    fn ranks_become_a_tokenizer_that_merges_as_they_say() {
        let bytes: String = (0..=255u8).map(|b| format!("{} {b}\n", STANDARD.encode([b]))).collect();
        let more: String =
            ["th", " th", "he", " the", "é", " é"].iter().zip(256..).map(|(t, id)| line(t, id)).collect();
        let tokenizer = build(&parse(&format!("{bytes}{more}= 262\n")).expect("ranks")).expect("a tokenizer");
        let ids = |text: &str| tokenizer.encode_fast(text, false).expect("tokens").get_ids().to_vec();
        // `th` comes first, then ` th`; ` the` is those and an `e`, never ` t` and `he`.
        assert_eq!(ids(" the"), [259]);
        assert_eq!(ids("he"), [258]);
        assert_eq!(ids(" thé"), [257, 260]);
        assert_eq!(tokenizer.decode(&[259, 261, 32, 400], true).expect("text"), " the é ");
    }

    #[test]
    fn bytes_are_shown_as_gpt2_shows_them() {
        assert_eq!(shown(b" a\n"), "\u{120}a\u{10a}");
        assert_eq!(shown(&[0x7f, 0xa0, 0xad, 0xc3]), "\u{121}\u{142}\u{143}\u{c3}");
    }

    #[test]
    fn what_is_no_vocabulary_is_told_by_its_line() {
        for (text, told) in [
            ("", "no token"),
            ("YQ== 1\nYQ== 2", "line 2"),
            ("YQ==", "line 1"),
            ("!! 3", "line 1"),
            ("YQ== x", "line 1"),
        ] {
            let why = parse(text).expect_err(text);
            assert!(why.contains(told), "{text:?}: {why}");
        }
    }
}
