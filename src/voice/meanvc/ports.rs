//! Which input of a graph is which, told by type and sizes in the graph's own order: exporters name tensors as it
//! comes. Knows no family.

use std::ops::Range;
use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, TensorRef};

use crate::ConvertError;
use mynah_models::runtime::graph::{Graph, count, one_line, some_of};
use mynah_models::runtime::pairs::paired;
use mynah_models::runtime::{RuntimeError, SessionOptions};

/// An input that a family's contract names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Want {
    /// What it is, for a person.
    pub(super) what: &'static str,
    /// Whether it holds whole numbers; the others hold f32.
    pub(super) whole: bool,
    /// Its sizes; −1 for one that may be anything. None at all: a single number, as no sizes or as `[1]`.
    pub(super) sizes: Vec<i64>,
    /// Whether exporters may have left it out.
    pub(super) optional: bool,
    /// A part of its name that tells it from others of the same sizes, where exporters keep it; empty where nothing
    /// needs telling.
    pub(super) called: &'static str,
}

impl Want {
    pub(super) fn floats(what: &'static str, sizes: &[i64]) -> Self {
        Self { what, whole: false, sizes: sizes.to_vec(), optional: false, called: "" }
    }

    pub(super) fn whole(what: &'static str) -> Self {
        Self { what, whole: true, sizes: Vec::new(), optional: true, called: "" }
    }

    pub(super) fn called(self, called: &'static str) -> Self {
        Self { called, ..self }
    }

    fn fits(&self, whole: bool, found: &[i64]) -> bool {
        if self.whole != whole {
            return false;
        }
        if self.sizes.is_empty() {
            return found.is_empty() || found == [1] || found == [-1];
        }
        found.len() == self.sizes.len() && found.iter().zip(&self.sizes).all(|(&f, &w)| f < 0 || w < 0 || f == w)
    }

    fn text(&self) -> String {
        format!("{} {} {:?}", self.what, if self.whole { "i64" } else { "f32" }, self.sizes)
    }
}

/// A graph whose inputs are known.
pub(super) struct Ports {
    graph: Graph,
    /// For each input of the graph: the place of what it is among those that were wanted.
    order: Vec<usize>,
    /// For each that was wanted: the graph's own sizes of it; none where it has no such input.
    sizes: Vec<Option<Vec<i64>>>,
}

impl Ports {
    /// Opens a graph and tells its inputs; see `of`.
    pub(super) fn open(
        path: &Path,
        options: &SessionOptions,
        outputs: usize,
        wants: impl FnOnce(&Graph) -> Vec<Want>,
    ) -> Result<Self, RuntimeError> {
        Self::of(Graph::open(path, options)?, outputs, wants)
    }

    /// Tells the inputs of a graph: each is the first that fits among those not yet found, one that bears its name
    /// before others. `wants` may look at the graph first. There must be so many outputs; 0 where any number will do.
    pub(super) fn of(
        graph: Graph,
        outputs: usize,
        wants: impl FnOnce(&Graph) -> Vec<Want>,
    ) -> Result<Self, RuntimeError> {
        let wants = wants(&graph);
        let mut sizes: Vec<Option<Vec<i64>>> = vec![None; wants.len()];
        let mut order = Vec::new();
        for outlet in graph.session.inputs() {
            let (whole, found) = kind(outlet);
            let fits = |(i, w): &(usize, &Want)| sizes[*i].is_none() && w.fits(whole, &found);
            let named = |(_, w): &(usize, &Want)| !w.called.is_empty() && outlet.name().contains(w.called);
            let all = || wants.iter().enumerate().filter(fits);
            let fitting = all().find(named).or_else(|| all().next());
            let Some((place, _)) = fitting else {
                let left: Vec<String> =
                    wants.iter().zip(&sizes).filter(|(_, s)| s.is_none()).map(|(w, _)| w.text()).collect();
                let found = format!("`{}` {} {found:?}", outlet.name(), if whole { "i64" } else { "f32" });
                return Err(graph.wrong(&format!("one of these inputs: {}", left.join(", ")), found));
            };
            sizes[place] = Some(found);
            order.push(place);
        }
        if let Some((missing, _)) = wants.iter().zip(&sizes).find(|(w, s)| s.is_none() && !w.optional) {
            return Err(
                graph.wrong(&format!("the input {}", missing.text()), format!("only {}", some_of(&graph.inputs)))
            );
        }
        if graph.outputs.len() != outputs && outputs > 0 {
            return Err(graph.wrong(
                &format!("{outputs} outputs"),
                format!("{} ({})", graph.outputs.len(), some_of(&graph.outputs)),
            ));
        }
        Ok(Self { graph, order, sizes })
    }

    /// The graph itself.
    pub(super) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The graph's own sizes of what was wanted there; empty where it has none.
    pub(super) fn sizes(&self, place: usize) -> &[i64] {
        self.sizes.get(place).and_then(Option::as_deref).unwrap_or_default()
    }

    /// For each of the states that were wanted in these places the place of what it becomes, among the outputs behind
    /// the first: by their names where these pair up, such as `x` and `new_x`, else in order.
    pub(super) fn returned(&self, states: Range<usize>) -> Vec<usize> {
        let name = |place: usize| self.order.iter().position(|&p| p == place).and_then(|i| self.graph.inputs.get(i));
        let names: Vec<&str> = states.clone().filter_map(name).map(String::as_str).collect();
        let outputs: Vec<&str> = self.graph.outputs.iter().skip(1).map(String::as_str).collect();
        paired(&names, &outputs).unwrap_or_else(|| (0..states.len()).collect())
    }

    /// A single whole number in the form that the graph wants it there.
    pub(super) fn count(&self, place: usize, value: usize) -> Result<SessionInputValue<'static>, ConvertError> {
        let sizes = vec![1usize; self.sizes(place).len()];
        Ok(Tensor::from_array((sizes, vec![value as i64])).map_err(failed)?.into())
    }

    /// A single number in the form that the graph wants it there.
    pub(super) fn number(&self, place: usize, value: f32) -> Result<SessionInputValue<'static>, ConvertError> {
        let sizes = vec![1usize; self.sizes(place).len()];
        Ok(Tensor::from_array((sizes, vec![value])).map_err(failed)?.into())
    }

    /// Runs it over what was wanted, in the order of the wants; what the graph has no input for is left out.
    pub(super) fn run(&mut self, values: Vec<SessionInputValue<'_>>) -> Result<Vec<DynValue>, ConvertError> {
        let mut values: Vec<Option<SessionInputValue>> = values.into_iter().map(Some).collect();
        let inputs: Vec<SessionInputValue> =
            self.order.iter().filter_map(|&place| values.get_mut(place)?.take()).collect();
        self.graph.run(inputs).map_err(ConvertError::Run)
    }
}

/// Whether an input holds whole numbers, and its sizes; sizes that fit nothing where it is no tensor of either kind.
fn kind(outlet: &Outlet) -> (bool, Vec<i64>) {
    let sizes = outlet.dtype().tensor_shape().map(|s| s.to_vec()).unwrap_or_default();
    match outlet.dtype().tensor_type() {
        Some(TensorElementType::Float32) => (false, sizes),
        Some(TensorElementType::Int64) => (true, sizes),
        _ => (false, vec![0; 9]),
    }
}

/// A view of numbers as a tensor.
pub(super) fn floats<'v, const N: usize>(
    sizes: [usize; N],
    numbers: &'v [f32],
) -> Result<SessionInputValue<'v>, ConvertError> {
    Ok(TensorRef::from_array_view((sizes, numbers)).map_err(failed)?.into())
}

/// A tensor of zeros, which may have none.
pub(super) fn zeros(sizes: &[usize]) -> Result<DynValue, ConvertError> {
    let count = count(sizes).map_err(ConvertError::Run)?;
    Ok(Tensor::from_array((sizes.to_vec(), vec![0.0f32; count])).map_err(failed)?.into_dyn())
}

/// The sizes and the numbers of an output.
pub(super) fn numbers(value: &DynValue) -> Result<(Vec<usize>, &[f32]), ConvertError> {
    let (shape, numbers) = value.try_extract_tensor::<f32>().map_err(failed)?;
    if !numbers.iter().all(|x| x.is_finite()) {
        return Err(ConvertError::NotFinite);
    }
    Ok((shape.iter().map(|&n| n.max(0) as usize).collect(), numbers))
}

/// The same, where there must be so many numbers.
pub(super) fn exactly<'v>(value: &'v DynValue, count: usize, what: &str) -> Result<&'v [f32], ConvertError> {
    let (sizes, numbers) = numbers(value)?;
    if numbers.len() == count {
        return Ok(numbers);
    }
    Err(ConvertError::Run(format!("{what} came out as {sizes:?} where {count} numbers belong")))
}

/// What states become, in the order of the states, of what [`Ports::returned`] told.
pub(super) fn arranged(values: Vec<DynValue>, places: &[usize]) -> Vec<DynValue> {
    let mut values: Vec<Option<DynValue>> = values.into_iter().map(Some).collect();
    places.iter().filter_map(|&place| values.get_mut(place)?.take()).collect()
}

pub(super) fn failed(e: ort::Error) -> ConvertError {
    ConvertError::Run(one_line(e))
}
