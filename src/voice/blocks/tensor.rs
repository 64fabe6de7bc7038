//! Numbers into graphs and out of them: of single or half precision, as the graph has it. Knows no family.

use std::borrow::Cow;

use half::f16;
use ort::session::SessionInputValue;
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, TensorRef};

use crate::ConvertError;
use mynah_models::runtime::told::one_line;
use mynah_models::runtime::{RuntimeError, Session};

/// How a graph keeps its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    Single,
    /// 16 bits.
    Half,
}

impl Precision {
    /// That of a tensor; none where it holds other things.
    pub fn of(outlet: &Outlet) -> Option<Self> {
        match outlet.dtype().tensor_type() {
            Some(TensorElementType::Float32) => Some(Precision::Single),
            Some(TensorElementType::Float16) => Some(Precision::Half),
            _ => None,
        }
    }
}

/// An input of this name.
pub fn input<'s>(session: &'s Session, name: &str) -> Option<&'s Outlet> {
    session.inputs().iter().find(|o| o.name() == name)
}

/// The sizes of a tensor; −1 for an open one, empty where it is no tensor.
pub fn sizes(outlet: &Outlet) -> Vec<i64> {
    outlet.dtype().tensor_shape().map(|s| s.to_vec()).unwrap_or_default()
}

/// What is not as its contract has it.
pub fn wrong(session: &Session, expected: &str, found: String) -> RuntimeError {
    RuntimeError::Contract { path: session.path().to_owned(), expected: expected.to_owned(), found }
}

/// What the runtime said, in one line.
pub fn failed(e: ort::Error) -> ConvertError {
    ConvertError::Run(one_line(e))
}

/// Numbers as the graph wants them; `shape` must fit their count.
pub fn numbers<'v>(
    precision: Precision,
    shape: &[usize],
    data: &'v [f32],
) -> Result<SessionInputValue<'v>, ConvertError> {
    Ok(match precision {
        Precision::Single => TensorRef::from_array_view((shape.to_vec(), data)).map_err(failed)?.into(),
        Precision::Half => {
            let data: Vec<f16> = data.iter().map(|x| f16::from_f32(*x)).collect();
            Tensor::from_array((shape.to_vec(), data)).map_err(failed)?.into()
        }
    })
}

/// The sizes and the numbers that a graph gave. An error where they are no numbers, or not finite.
pub fn read(value: &DynValue) -> Result<(Vec<i64>, Cow<'_, [f32]>), ConvertError> {
    let (shape, numbers) = if let Ok((shape, data)) = value.try_extract_tensor::<f32>() {
        (shape, Cow::Borrowed(data))
    } else {
        let (shape, data) = value.try_extract_tensor::<f16>().map_err(failed)?;
        (shape, data.iter().map(|x| x.to_f32()).collect())
    };
    if !numbers.iter().all(|x| x.is_finite()) {
        return Err(ConvertError::NotFinite);
    }
    Ok((shape.to_vec(), numbers))
}
