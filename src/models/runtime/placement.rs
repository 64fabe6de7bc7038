//! Which provider each node of a graph really runs on, and what that takes: read from ONNX Runtime's own profile of
//! some runs. Knows no model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Provider;

/// Operators that are named in a sentence.
const NAMED: usize = 4;

/// What ran where.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Placement {
    /// The provider that was asked for.
    pub asked: Provider,
    /// One part a provider, the one that takes longest first.
    pub parts: Vec<Part>,
}

/// The nodes that one provider runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// ONNX Runtime's name of it, such as `CPUExecutionProvider`.
    pub provider: String,
    /// Its nodes; a part of the graph that a provider took as a whole is one.
    pub nodes: usize,
    /// Seconds that a run spends in them.
    pub seconds: f64,
    /// Their operators, in alphabetical order.
    pub operators: BTreeSet<String>,
}

/// An event of the profile; its other fields, and other events, don't matter here.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    #[serde(default)]
    name: String,
    /// Microseconds.
    #[serde(default)]
    dur: f64,
    #[serde(default)]
    args: Arguments,
}

#[derive(Default, Deserialize)]
struct Arguments {
    provider: Option<String>,
    op_name: Option<String>,
}

impl Placement {
    /// Reads a profile of so many runs.
    pub(super) fn read(path: &Path, runs: usize, asked: Provider) -> Result<Self, String> {
        let text = std::fs::read(path).map_err(|e| e.to_string())?;
        let events: Vec<Event> =
            serde_json::from_slice(&text).map_err(|e| format!("its profile can't be read: {e}"))?;
        let mut parts: BTreeMap<String, (BTreeSet<String>, f64, BTreeSet<String>)> = BTreeMap::new();
        for event in events.into_iter().filter(|e| e.cat == "Node") {
            let Some(provider) = event.args.provider.filter(|p| !p.is_empty()) else { continue };
            let (nodes, micros, operators) = parts.entry(provider).or_default();
            nodes.insert(event.name);
            *micros += event.dur;
            operators.extend(event.args.op_name);
        }
        let part = |(provider, (nodes, micros, operators)): (String, (BTreeSet<String>, f64, BTreeSet<String>))| Part {
            provider,
            nodes: nodes.len(),
            seconds: micros * 1e-6 / runs.max(1) as f64,
            operators,
        };
        let mut parts: Vec<Part> = parts.into_iter().map(part).collect();
        parts.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        Ok(Self { asked, parts })
    }

    /// The parts that don't run on the provider that was asked for.
    pub fn fallen_back(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.provider != self.asked.runtime_name())
    }

    /// In a sentence: what the provider runs, what fell back, and what that costs.
    pub fn sentence(&self) -> String {
        let own = self.parts.iter().find(|part| part.provider == self.asked.runtime_name());
        let count = |n: usize| if n == 1 { "1 node".to_owned() } else { format!("{n} nodes") };
        let ms = |part: &Part| format!("{:.2} ms", part.seconds * 1e3);
        let mut told = own.map_or_else(
            || format!("{} runs nothing of the graph", self.asked),
            |part| format!("{} runs {} in {}", self.asked, count(part.nodes), ms(part)),
        );
        for part in self.fallen_back() {
            let mut operators: Vec<&str> = part.operators.iter().take(NAMED).map(String::as_str).collect();
            if part.operators.len() > NAMED {
                operators.push("…");
            }
            let name = part.provider.trim_end_matches("ExecutionProvider");
            told += &format!("; {} fell back to {name} ({}): {}", count(part.nodes), operators.join(", "), ms(part));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_once_and_their_time_is_that_of_a_run() {
        let event = |name: &str, provider: &str, op: &str, dur: u32| {
            format!(
                r#"{{"cat":"Node","name":"{name}","dur":{dur},"args":{{"provider":"{provider}","op_name":"{op}"}}}}"#
            )
        };
        let own = "OpenVINOExecutionProvider";
        let events = [
            r#"{"cat":"Session","name":"model_run","dur":9}"#.to_owned(),
            event("a_kernel_time", own, "Whole", 3000),
            event("b_kernel_time", "CPUExecutionProvider", "Loop", 400),
            event("a_kernel_time", own, "Whole", 1000),
            event("b_kernel_time", "CPUExecutionProvider", "Loop", 200),
            event("c_kernel_time", "CPUExecutionProvider", "If", 200),
            r#"{"cat":"Node","name":"fence","dur":7,"args":{}}"#.to_owned(),
        ];
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), format!("[{}]", events.join(","))).expect("written");
        let placed = Placement::read(file.path(), 2, Provider::OpenVino).expect("read");
        assert_eq!(placed.sentence(), "openvino runs 1 node in 2.00 ms; 2 nodes fell back to CPU (If, Loop): 0.40 ms");
        let elsewhere = Placement { asked: Provider::Cuda, ..placed };
        assert!(
            elsewhere.sentence().starts_with("cuda runs nothing of the graph; 1 node fell back to OpenVINO"),
            "{}",
            elsewhere.sentence()
        );
        std::fs::write(file.path(), "[").expect("written");
        assert!(Placement::read(file.path(), 2, Provider::Cpu).is_err());
    }
}
