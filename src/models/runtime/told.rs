//! What ONNX Runtime says of a failure, as a person reads it: one line, without the places of its own source, and
//! short. Knows no session.

/// Characters that a person reads of it.
const MOST: usize = 240;
/// What the runtime writes before the cause.
const BEFORE: [&str; 2] = ["Status Message:", "Exception during initialization:"];
/// What it writes behind it, for whoever programs.
const BEHIND: [&str; 2] = ["Stacktrace:", "==== backtrace"];

/// An error of the runtime in one line.
pub fn one_line(e: ort::Error) -> String {
    short(&e.to_string())
}

/// The same of its text. What says nothing of the cause is left out; a long rest ends with "…".
pub fn short(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cause = BEFORE.iter().filter_map(|mark| text.rfind(mark).map(|at| at + mark.len())).max().unwrap_or(0);
    let end = BEHIND.iter().filter_map(|mark| text[cause..].find(mark)).min().map_or(text.len(), |at| at + cause);
    // The sentence that it becomes a part of goes on.
    let bare = without_places(text[cause..end].trim().trim_end_matches('.'));
    // Nothing but places: better those than nothing.
    let bare = if bare.is_empty() { text } else { other_sizes(&bare).unwrap_or(bare) };
    if bare.chars().count() <= MOST {
        return bare;
    }
    let kept: String = bare.chars().take(MOST).collect();
    format!("{}…", kept.rsplit_once(' ').map_or(&*kept, |(whole, _)| whole).trim_end_matches([',', ';', ':', ' ']))
}

/// What the runtime says of an input of other sizes, "Got invalid dimensions for input: x for the following indices
/// index: 1 Got: 24 Expected: 32 …", in a sentence; none where it says something else.
fn other_sizes(text: &str) -> Option<String> {
    let (input, rest) =
        text.strip_prefix("Got invalid dimensions for input: ")?.split_once(" for the following indices ")?;
    let mut places = Vec::new();
    for place in rest.split("index: ").skip(1) {
        let mut words = place.split_whitespace();
        let (index, got, expected) = (words.next()?, words.nth(1)?, words.nth(1)?);
        places.push(format!("{got} where {expected} is expected, in place {index}"));
    }
    (!places.is_empty()).then(|| format!("its input `{input}` gets another size: {}", places.join(", and ")))
}

/// Without words such as `/onnxruntime_src/core/a.cc:540` and the name of the function behind each.
fn without_places(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = if is_place(word) { behind_function(after) } else { after };
        if !is_place(word) {
            kept.push(word);
        }
    }
    kept.join(" ")
}

/// Whether a word is a line of C++: `…/a.cc:540`, `…\a.h:12`.
fn is_place(word: &str) -> bool {
    let word = word.trim_matches(['(', ')', '[', ']', ',']);
    let Some((file, line)) = word.rsplit_once(':') else { return false };
    let source = [".cc", ".h", ".cpp", ".hpp", ".cu"].iter().any(|end| file.ends_with(end));
    source && file.contains(['/', '\\']) && !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit())
}

/// What follows the name of a function of C++ with its parameters; all of it where none stands there.
fn behind_function(text: &str) -> &str {
    let mut at = 0;
    loop {
        let Some(open) = text[at..].find('(').map(|n| n + at) else { return text };
        // A name has `::`, and nothing that a sentence has.
        if at == 0 && (!text[..open].contains("::") || text[..open].contains(". ")) {
            return text;
        }
        let mut depth = 0usize;
        let Some(close) = text[open..].char_indices().find_map(|(n, c)| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(open + n + 1)
        }) else {
            return text;
        };
        let rest = &text[close..];
        // `f(int)::<lambda(x)>` and `(anonymous namespace)::f(int)` go on.
        if rest.starts_with("::") {
            at = close;
            continue;
        }
        let rest = rest.trim_start_matches('>').trim_start();
        let rest =
            rest.strip_prefix("const").filter(|r| r.is_empty() || r.starts_with(' ')).unwrap_or(rest).trim_start();
        return match rest.strip_prefix("[with ").and_then(|r| r.split_once(']')) {
            Some((_, rest)) => rest.trim_start(),
            None => rest,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_functions_are_left_out() {
        for (said, told) in [
            (
                "Non-zero status code returned while running Add node. Name:'/joiner/Add' Status Message: \
                 /onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:540 void \
                 onnxruntime::BroadcastIterator::Append(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. \
                 Attempting to broadcast an axis by a dimension other than 1. 64 by 65",
                "axis == 1 || axis == largest was false. Attempting to broadcast an axis by a dimension other than 1. \
                 64 by 65",
            ),
            (
                "Load model from x failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:175 \
                 onnxruntime::Model::Model(onnx::ModelProto&&, const std::vector<int, std::allocator<int> >*) Unsupported model IR version: 99",
                "Load model from Unsupported model IR version: 99",
            ),
            (
                "D:\\a\\_work\\1\\s\\onnxruntime\\core\\framework\\bfc_arena.cc:359 void* onnxruntime::(anonymous namespace)::Raw(size_t) const \
                 [with T = float] Failed to allocate memory for requested buffer of size 17\n\nStacktrace:\na.so(+0x1)",
                "Failed to allocate memory for requested buffer of size 17",
            ),
            ("Protobuf parsing failed.", "Protobuf parsing failed"),
            (
                "Got invalid dimensions for input: x for the following indices\n index: 1 Got: 24 Expected: 32\n index: 2 Got: 8 Expected: 12\n \
                 Please fix either the inputs/outputs or the model.",
                "its input `x` gets another size: 24 where 32 is expected, in place 1, and 8 where 12 is expected, in \
                 place 2",
            ),
            ("Got: 64 Expected: 65 (a::b is fine)", "Got: 64 Expected: 65 (a::b is fine)"),
        ] {
            let short = short(said);
            assert!(
                short == told || told.starts_with("Load") && short.ends_with("Unsupported model IR version: 99"),
                "{short}"
            );
            assert!(!short.contains(".cc") && !short.contains("onnxruntime::"), "{short}");
        }
    }

    #[test]
    fn what_is_long_ends_at_a_word() {
        let told = short(&"word ".repeat(200));
        assert!(told.ends_with("word…") && told.chars().count() <= MOST + 1, "{told}");
        assert_eq!(short("/a/b.cc:12"), "/a/b.cc:12", "nothing else is known");
    }
}
