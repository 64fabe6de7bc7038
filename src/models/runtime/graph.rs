//! A graph whose tensors are known by their order, and what it says of itself. Knows no family.

use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Outlet, Tensor};

pub use super::told::one_line;
use super::{RuntimeError, Session, SessionOptions};

/// The most numbers that all caches of a graph hold at the beginning: 256 MiB. Those of the largest recogniser that is
/// published are 37 million.
pub const ROOM: usize = 1 << 26;

/// How many numbers a tensor of these sizes holds; an error where they are more than [`ROOM`].
pub fn count(sizes: &[usize]) -> Result<usize, String> {
    let count = sizes.iter().try_fold(1usize, |all, &n| all.checked_mul(n)).filter(|&all| all <= ROOM);
    count.ok_or_else(|| format!("sizes {sizes:?} that come to more than {ROOM} numbers, which no model needs"))
}

/// A tensor of zeros, for sizes that a file tells.
pub fn zeros(sizes: &[usize]) -> Result<DynValue, String> {
    let count = count(sizes)?;
    Tensor::from_array((sizes.to_vec(), vec![0.0f32; count])).map(Tensor::into_dyn).map_err(one_line)
}

/// Names of tensors in a sentence, of which a person reads some.
pub fn some_of(names: &[String]) -> String {
    const READ: usize = 6;
    let told = names.iter().take(READ).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > READ { format!("{told} and {} more", names.len() - READ) } else { told }
}

/// An opened graph with the names of its tensors in its own order: exporters name some as it comes.
pub struct Graph {
    /// The session.
    pub session: Session,
    /// Names of the inputs.
    pub inputs: Vec<String>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// Its file's name, for a person.
    file: String,
}

impl Graph {
    /// Opens the graph of a file. Takes up to seconds.
    pub fn open(path: &Path, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let session = Session::load(path, options)?;
        let names = |outlets: &[Outlet]| outlets.iter().map(|o| o.name().to_owned()).collect();
        let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { inputs: names(session.inputs()), outputs: names(session.outputs()), session, file })
    }

    /// Runs it over all inputs; gives all outputs.
    pub fn run<'v>(
        &mut self,
        inputs: impl IntoIterator<Item = SessionInputValue<'v>>,
    ) -> Result<Vec<DynValue>, String> {
        let inputs: Vec<(&str, SessionInputValue)> = self.inputs.iter().map(String::as_str).zip(inputs).collect();
        let file = &self.file;
        let mut outputs = self.session.ort().run(inputs).map_err(|e| format!("`{file}`: {}", one_line(e)))?;
        let all: Option<Vec<DynValue>> = self.outputs.iter().map(|name| outputs.remove(name)).collect();
        all.ok_or_else(|| "a graph gave less than it has".to_owned())
    }

    /// Fails where it has other counts of inputs and outputs.
    pub fn expect(&self, inputs: usize, outputs: usize, what: &str) -> Result<(), RuntimeError> {
        if (self.inputs.len(), self.outputs.len()) == (inputs, outputs) {
            return Ok(());
        }
        let found = format!("{} and {} ({})", self.inputs.len(), self.outputs.len(), some_of(&self.inputs));
        Err(self.wrong(&format!("{inputs} inputs and {outputs} outputs: {what}"), found))
    }

    /// What is not as its contract has it.
    pub fn wrong(&self, expected: &str, found: String) -> RuntimeError {
        RuntimeError::Contract { path: self.session.path().to_owned(), expected: expected.to_owned(), found }
    }

    /// What it says of itself in the metadata; empty where it says nothing.
    pub fn text(&self, key: &str) -> String {
        self.session.metadata(key).unwrap_or_default()
    }

    /// The same, where a whole number above 0 is needed if anything is said.
    pub fn maybe(&self, key: &str) -> Result<Option<usize>, RuntimeError> {
        if self.text(key).is_empty() { Ok(None) } else { self.number(key).map(Some) }
    }

    /// The same, where one must be.
    pub fn number(&self, key: &str) -> Result<usize, RuntimeError> {
        let found = self.text(key);
        let number = found.trim().parse::<usize>().ok().filter(|&v| v > 0 && v < 1 << 20);
        let told = if found.is_empty() {
            "none".to_owned()
        } else {
            format!("`{}`", found.chars().take(40).collect::<String>())
        };
        number.ok_or_else(|| self.wrong(&format!("a whole number `{key}` in the metadata"), told))
    }

    /// The sizes of an input; −1 for an open one, empty where it is no tensor.
    pub fn sizes(&self, input: usize) -> Vec<i64> {
        self.session.inputs().get(input).and_then(|o| o.dtype().tensor_shape()).map(|s| s.to_vec()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_no_machine_has_are_told() {
        assert_eq!(count(&[2, 1, 448, 1280]), Ok(1_146_880));
        assert_eq!(count(&[]), Ok(1));
        assert_eq!(count(&[1, 0, 4]), Ok(0));
        for sizes in [&[1 << 40][..], &[1_000_000; 4], &[usize::MAX, 2], &[1 << 26, 2]] {
            assert!(count(sizes).is_err_and(|why| why.contains("no model needs")), "{sizes:?}");
        }
    }
}
