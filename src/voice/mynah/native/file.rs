//! Reading `voice.safetensors`: what it says of itself, and tensors of checked sizes. Knows no network.
//!
//! The file's own code (the crate `safetensors`) holds the header to the file's length; here every name and size is
//! held to what is asked for before anything is allocated.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::matrix::Matrix;
use mynah_models::runtime::RuntimeError;

/// What the name of a matrix's scales ends with.
const SCALE: &str = ".scale";

/// An opened file.
pub struct File<'a> {
    path: &'a Path,
    about: HashMap<String, String>,
    tensors: SafeTensors<'a>,
}

impl<'a> File<'a> {
    /// Reads the header of these bytes of the file at `path`.
    pub fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Self, RuntimeError> {
        let wrong =
            |e| RuntimeError::Model { path: path.to_owned(), why: format!("it is no whole safetensors file ({e})") };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(wrong)?;
        Ok(Self { path, about: header.metadata().clone().unwrap_or_default(), tensors })
    }

    /// What is not as it must be.
    pub fn contract(&self, expected: String, found: String) -> RuntimeError {
        RuntimeError::Contract { path: self.path.to_owned(), expected, found }
    }

    fn text(&self, key: &str) -> &str {
        self.about.get(key).map_or("", String::as_str)
    }

    /// Fails where the metadata says something else.
    pub fn expect(&self, key: &str, wanted: &str) -> Result<(), RuntimeError> {
        match self.about.get(key) {
            Some(found) if found == wanted => Ok(()),
            found => {
                let found = found.map_or_else(|| "none".to_owned(), |f| format!("`{f}`"));
                Err(self.contract(format!("the metadata `{key}` to be `{wanted}`"), found))
            }
        }
    }

    /// A whole number of the metadata.
    pub fn number(&self, key: &str, range: RangeInclusive<usize>) -> Result<usize, RuntimeError> {
        let text = self.text(key);
        text.parse().ok().filter(|n| range.contains(n)).ok_or_else(|| {
            self.contract(
                format!("the metadata `{key}` to be a number from {} to {}", range.start(), range.end()),
                format!("`{text}`"),
            )
        })
    }

    /// Whole numbers of the metadata, as many as `count` allows.
    pub fn numbers(
        &self,
        key: &str,
        range: RangeInclusive<usize>,
        count: RangeInclusive<usize>,
    ) -> Result<Vec<usize>, RuntimeError> {
        let text = self.text(key);
        let parts = text.split(',').filter(|part| !part.is_empty()).take(count.end() + 1);
        let numbers: Option<Vec<usize>> = parts.map(|n| n.parse().ok().filter(|n| range.contains(n))).collect();
        numbers.filter(|n| count.contains(&n.len())).ok_or_else(|| {
            let (few, many) = (count.start(), count.end());
            let expected = format!(
                "the metadata `{key}` to be {few} to {many} numbers from {} to {} with commas",
                range.start(),
                range.end()
            );
            self.contract(expected, format!("`{}`", text.chars().take(60).collect::<String>()))
        })
    }

    /// Where a word stands among the first `count` of a list of the metadata.
    pub fn place(&self, key: &str, word: &str, count: usize) -> Result<usize, RuntimeError> {
        let text = self.text(key);
        let place = text.split(',').take(count).position(|w| w == word);
        place.ok_or_else(|| self.contract(format!("the metadata `{key}` to name `{word}`"), format!("`{text}`")))
    }

    fn view(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<TensorView<'a>, RuntimeError> {
        let wanted = || format!("the tensor `{name}` of {dtype:?} {shape:?}");
        let view = self.tensors.tensor(name).map_err(|_| self.contract(wanted(), "none of that name".to_owned()))?;
        if view.dtype() != dtype || view.shape() != shape {
            return Err(self.contract(wanted(), format!("{:?} {:?}", view.dtype(), view.shape())));
        }
        Ok(view)
    }

    /// The sizes of a tensor of two dimensions.
    pub fn rows_and_columns(&self, name: &str) -> Result<(usize, usize), RuntimeError> {
        let found = self.tensors.tensor(name).map(|view| view.shape().to_vec()).unwrap_or_default();
        match found[..] {
            [rows, columns] if rows > 0 && columns > 0 => Ok((rows, columns)),
            _ => Err(self.contract(format!("the tensor `{name}` with two sizes"), format!("{found:?}"))),
        }
    }

    /// The numbers of a tensor of 32-bit floats, all of which must be finite.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, RuntimeError> {
        let view = self.view(name, Dtype::F32, shape)?;
        let numbers: Vec<f32> = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        if !numbers.iter().all(|x| x.is_finite()) {
            return Err(self.contract(format!("finite numbers in the tensor `{name}`"), "others".to_owned()));
        }
        Ok(numbers)
    }

    fn codes(&self, name: &str, shape: &[usize]) -> Result<Vec<i8>, RuntimeError> {
        Ok(self.view(name, Dtype::I8, shape)?.data().iter().map(|b| b.cast_signed()).collect())
    }

    /// The linear layer `name`: a matrix of eight bits, its scales and its biases.
    pub fn layer(&self, name: &str, inputs: usize, outputs: usize) -> Result<Matrix, RuntimeError> {
        self.matrix(&format!("{name}.weight"), &format!("{name}.bias"), inputs, outputs)
    }

    /// A matrix `[outputs, inputs]` and its biases.
    pub fn matrix(&self, weight: &str, bias: &str, inputs: usize, outputs: usize) -> Result<Matrix, RuntimeError> {
        let codes = self.codes(weight, &[outputs, inputs])?;
        let (scales, biases) = (self.floats(&format!("{weight}{SCALE}"), &[outputs])?, self.floats(bias, &[outputs])?);
        Ok(Matrix::new(&codes, inputs, &scales, &biases, |o, i| o * inputs + i))
    }

    /// A convolution in time `[outputs, inputs, taps]` as a matrix over `taps` frames, one after the other.
    pub fn convolution(&self, name: &str, inputs: usize, outputs: usize, taps: usize) -> Result<Matrix, RuntimeError> {
        let codes = self.codes(&format!("{name}.weight"), &[outputs, inputs, taps])?;
        let (scales, biases) = (
            self.floats(&format!("{name}.weight{SCALE}"), &[outputs])?,
            self.floats(&format!("{name}.bias"), &[outputs])?,
        );
        Ok(Matrix::new(&codes, inputs * taps, &scales, &biases, |o, i| (o * inputs + i % inputs) * taps + i / inputs))
    }
}
