//! What is said, whoever says it: ContentVec's features, 50 a second, each of which stands for two frames of the
//! generator. Knows no stream.
//!
//! Two exports are around: `audio` [1, N] → `unit9` (256 numbers) and `unit12` (768), and RVC-Project's `source` [1, 1,
//! N] → one of them.

use std::path::Path;

use crate::ConvertError;
use crate::blocks::{Precision, failed, numbers, read, sizes, wrong};
use mynah_models::runtime::{RuntimeError, Session, SessionOptions};

/// The rate that it hears, in Hz.
pub const RATE: u32 = 16_000;
/// Samples from one feature to the next.
pub const HOP: usize = 320;
/// Samples that a feature is made of, beginning at its time: the reach of its strided convolutions.
pub const REACH: usize = 400;

/// A loaded ContentVec.
pub struct Content {
    session: Session,
    /// Which output.
    output: usize,
    width: usize,
}

/// Whether a graph looks like one: a sound in, features of a known width out.
pub fn is_content(session: &Session) -> bool {
    super::graph::WIDTHS.iter().any(|&width| output_of(session, width).is_some())
}

/// The output that holds features of this width.
fn output_of(session: &Session, width: usize) -> Option<usize> {
    let [sound] = session.inputs() else { return None };
    let shape = sizes(sound);
    // A third size is a channel: features of a sound, which other encoders hear, have more.
    let hears = matches!(shape[..], [_, n] if n < 0) || matches!(shape[..], [_, channels, n] if channels <= 1 && n < 0);
    if !hears || Precision::of(sound).is_none() {
        return None;
    }
    let last = |o: &ort::value::Outlet| matches!(sizes(o)[..], [_, _, _]).then(|| sizes(o)[2]);
    // `unit12s` beside `unit12` is the same with its gradient stopped: the first of its width.
    let of_width = session.outputs().iter().position(|o| last(o) == Some(width as i64));
    // Outputs of open sizes are known by the layer in their names; an only one may be of any width, which the first run
    // tells.
    let layer = if width == 768 { "12" } else { "9" };
    let open = |o: &ort::value::Outlet| {
        last(o).is_some_and(|n| n < 0) && (session.outputs().len() == 1 || o.name().ends_with(layer))
    };
    of_width.or_else(|| session.outputs().iter().position(open))
}

impl Content {
    /// Loads the graph, for features of this width.
    pub fn open(path: &Path, width: usize, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let session = Session::load(path, options)?;
        let Some(output) = output_of(&session, width) else {
            let shape = |o: &ort::value::Outlet| format!("`{}` {:?}", o.name(), sizes(o));
            let list = |all: &[ort::value::Outlet]| all.iter().take(6).map(shape).collect::<Vec<_>>().join(", ");
            let expected = format!("a sound [1, samples] in and features [1, frames, {width}] out");
            return Err(wrong(
                &session,
                &expected,
                format!("{} in and {} out", list(session.inputs()), list(session.outputs())),
            ));
        };
        Ok(Self { session, output, width })
    }

    /// The features of `frames · HOP + REACH − HOP` samples at `RATE`: `frames · width` numbers.
    pub fn features(&mut self, samples: &[f32], features: &mut Vec<f32>) -> Result<(), ConvertError> {
        let sound = &self.session.inputs()[0];
        let (name, precision) = (sound.name().to_owned(), Precision::of(sound).unwrap_or(Precision::Single));
        let shape: &[usize] = if sizes(sound).len() == 3 { &[1, 1, samples.len()] } else { &[1, samples.len()] };
        let outputs = self.session.ort().run(vec![(name, numbers(precision, shape, samples)?)]).map_err(failed)?;
        let (shape, made) = read(&outputs[self.output])?;
        let frames = (samples.len() + HOP - REACH) / HOP;
        if shape.last() != Some(&(self.width as i64)) || made.len() != frames * self.width {
            return Err(ConvertError::Run(format!(
                "ContentVec gave {shape:?} where [1, {frames}, {}] belongs",
                self.width
            )));
        }
        features.clear();
        features.extend_from_slice(&made);
        Ok(())
    }
}
