//! A graph whose tensors are known by their order, and what it says of itself. Knows no family.

use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Outlet};

use crate::runtime::{RuntimeError, Session, SessionOptions};

/// An opened graph with the names of its tensors in its own order: exporters name some as it comes.
pub(in crate::captions) struct Graph {
    pub(in crate::captions) session: Session,
    pub(in crate::captions) inputs: Vec<String>,
    pub(in crate::captions) outputs: Vec<String>,
}

impl Graph {
    pub(in crate::captions) fn open(path: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let session = Session::load(path, options)?;
        let names = |outlets: &[Outlet]| outlets.iter().map(|o| o.name().to_owned()).collect();
        Ok(Self { inputs: names(session.inputs()), outputs: names(session.outputs()), session })
    }

    /// Runs it over all inputs; gives all outputs.
    pub(in crate::captions) fn run<'v>(
        &mut self,
        inputs: impl IntoIterator<Item = SessionInputValue<'v>>,
    ) -> Result<Vec<DynValue>, String> {
        let inputs: Vec<(&str, SessionInputValue)> = self.inputs.iter().map(String::as_str).zip(inputs).collect();
        let mut outputs = self.session.ort().run(inputs).map_err(one_line)?;
        let all: Option<Vec<DynValue>> = self.outputs.iter().map(|name| outputs.remove(name)).collect();
        all.ok_or_else(|| "a graph gave less than it has".to_owned())
    }

    /// Fails where it has other counts of inputs and outputs.
    pub(in crate::captions) fn expect(&self, inputs: usize, outputs: usize, what: &str) -> Result<(), RuntimeError> {
        if (self.inputs.len(), self.outputs.len()) == (inputs, outputs) {
            return Ok(());
        }
        let found = format!("{} and {} ({})", self.inputs.len(), self.outputs.len(), self.inputs.join(", "));
        Err(self.wrong(&format!("{inputs} inputs and {outputs} outputs: {what}"), found))
    }

    /// What is not as its contract has it.
    pub(in crate::captions) fn wrong(&self, expected: &str, found: String) -> RuntimeError {
        RuntimeError::Contract { path: self.session.path().to_owned(), expected: expected.to_owned(), found }
    }

    /// What it says of itself in the metadata; empty where it says nothing.
    pub(in crate::captions) fn text(&self, key: &str) -> String {
        self.session.metadata(key).unwrap_or_default()
    }

    /// The same, where a whole number above 0 is needed.
    pub(in crate::captions) fn number(&self, key: &str) -> Result<usize, RuntimeError> {
        let found = self.text(key);
        let number = found.trim().parse::<usize>().ok().filter(|&v| v > 0 && v < 1 << 20);
        number.ok_or_else(|| self.wrong(&format!("a whole number `{key}` in the metadata"), format!("`{found}`")))
    }

    /// The sizes of an input; −1 for an open one, empty where it is no tensor.
    pub(in crate::captions) fn sizes(&self, input: usize) -> Vec<i64> {
        self.session.inputs().get(input).and_then(|o| o.dtype().tensor_shape()).map(|s| s.to_vec()).unwrap_or_default()
    }
}

pub(in crate::captions) fn one_line(e: ort::Error) -> String {
    e.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The place of the largest number, and its share after a softmax.
pub(in crate::captions) fn best(logits: &[f32]) -> (usize, f32) {
    let mut at = 0;
    for (i, x) in logits.iter().enumerate() {
        // The first of equals, and never what is no number.
        if *x > logits[at] || logits[at].is_nan() {
            at = i;
        }
    }
    let sum: f32 = logits.iter().map(|x| (x - logits[at]).exp()).sum();
    (at, if sum.is_finite() { (1.0 / sum).clamp(0.0, 1.0) } else { 0.0 })
}
