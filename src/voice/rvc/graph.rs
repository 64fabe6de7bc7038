//! The generator of a voice in both layouts that RVC models are exported in, and what a graph says of itself. Knows no
//! sound and no stream.
//!
//! The layouts: w-okada's voice changer (`server/voice_changer/RVC/onnxExporter`), with JSON under the metadata key
//! `metadata`; and RVC-Project's own (`infer/lib/infer_pack/models_onnx.py`), which says nothing of itself. Half
//! precision and models without pitch exist of both.

use std::path::Path;

use ort::session::SessionInputValue;
use ort::value::{Tensor, TensorElementType};

use crate::ConvertError;
use crate::blocks::{Precision, chance, failed, input, numbers, read, sizes, wrong};
use mynah_models::runtime::{RuntimeError, Session, SessionOptions};

/// Frames a second of a generator's inputs.
pub const FRAMES_A_SECOND: usize = 100;
/// Rates that a voice may have: those of a sound whose 20 ms are whole samples.
const RATES: std::ops::RangeInclusive<usize> = 16_000..=48_000;
/// Frames of a run that only tells the rate.
const PROBE: usize = 48;
/// The widths of features that there are: v1 and v2 of RVC.
pub const WIDTHS: [usize; 2] = [256, 768];

/// Who exported a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// w-okada's voice changer.
    WOkada,
    /// RVC-Project.
    RvcProject,
}

impl Layout {
    /// The layout's name for people.
    pub fn name(self) -> &'static str {
        match self {
            Layout::WOkada => "w-okada",
            Layout::RvcProject => "RVC-Project",
        }
    }

    fn features(self) -> &'static str {
        match self {
            Layout::WOkada => "feats",
            Layout::RvcProject => "phone",
        }
    }

    fn lengths(self) -> &'static str {
        match self {
            Layout::WOkada => "p_len",
            Layout::RvcProject => "phone_lengths",
        }
    }

    /// That of a graph; none where it is no generator of RVC.
    pub fn of(session: &Session) -> Option<Self> {
        [Layout::WOkada, Layout::RvcProject]
            .into_iter()
            .find(|l| input(session, l.features()).is_some() && input(session, l.lengths()).is_some())
    }
}

/// What a generator is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Who exported it.
    pub layout: Layout,
    /// The rate of its sound in Hz.
    pub rate: u32,
    /// Numbers of a frame of features: 256 (v1) or 768 (v2).
    pub width: usize,
    /// Whether it is told the pitch.
    pub pitch: bool,
    /// Channels of noise that it is given; none where it makes its own.
    pub noise: Option<usize>,
    /// Whether equal inputs give equal bits: not where the graph draws random numbers, as most exports of either layout
    /// do.
    pub deterministic: bool,
}

/// What a run is told, for `frames` frames.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// `[frames, width]`.
    pub features: Vec<f32>,
    /// Pitch of each frame in Hz, 0 where unvoiced.
    pub hertz: Vec<f32>,
    /// `[noise, frames]`; unused where the generator makes its own.
    pub noise: Vec<f32>,
}

/// A loaded generator.
pub struct Generator {
    session: Session,
    look: Look,
    speaker: i64,
}

impl Generator {
    /// Loads a graph and looks at it.
    pub fn open(path: &Path, speaker: i64, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let session = Session::load(path, options)?;
        let Some(layout) = Layout::of(&session) else {
            let names: Vec<_> = session.inputs().iter().map(|o| o.name()).take(12).collect();
            return Err(wrong(
                &session,
                "the inputs `feats` and `p_len` (w-okada) or `phone` and `phone_lengths` (RVC-Project)",
                names.join(", "),
            ));
        };
        let look = Look {
            layout,
            rate: said_rate(&session).unwrap_or(0),
            width: width(&session, layout)?,
            pitch: input(&session, "pitch").is_some(),
            noise: noise(&session)?,
            deterministic: !chance::graph_draws(path),
        };
        check_inputs(&session, &look)?;
        if session.outputs().is_empty() {
            return Err(wrong(&session, "the output `audio`", "no output".to_owned()));
        }
        let mut generator = Self { session, look, speaker };
        generator.check_rate()?;
        Ok(generator)
    }

    /// What it is.
    pub fn look(&self) -> &Look {
        &self.look
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        self.session.path()
    }

    /// Finds the rate where the graph doesn't say it, from how much sound a run gives.
    fn check_rate(&mut self) -> Result<(), RuntimeError> {
        if self.look.rate == 0 {
            let told = Told {
                features: vec![0.0; PROBE * self.look.width],
                hertz: vec![0.0; PROBE],
                noise: vec![0.0; PROBE * self.look.noise.unwrap_or(0)],
            };
            let mut sound = Vec::new();
            let run = self.raw(&told, &mut sound);
            run.map_err(|e| RuntimeError::Run { path: self.path().to_owned(), why: e.why() })?;
            self.look.rate = (sound.len() * FRAMES_A_SECOND / PROBE) as u32;
        }
        let rate = self.look.rate as usize;
        if RATES.contains(&rate) && rate.is_multiple_of(FRAMES_A_SECOND) {
            return Ok(());
        }
        let expected = format!("a rate from {} to {} Hz in steps of {FRAMES_A_SECOND}", RATES.start(), RATES.end());
        Err(wrong(&self.session, &expected, format!("{rate} Hz")))
    }

    /// Makes the sound of some frames: `rate / 100` samples each.
    pub fn run(&mut self, told: &Told, sound: &mut Vec<f32>) -> Result<(), ConvertError> {
        self.raw(told, sound)?;
        let wanted = told.hertz.len() * self.look.rate as usize / FRAMES_A_SECOND;
        if sound.len() != wanted {
            return Err(ConvertError::Run(format!(
                "it gave {} samples where {} frames at {} Hz have {wanted}",
                sound.len(),
                told.hertz.len(),
                self.look.rate
            )));
        }
        Ok(())
    }

    fn raw(&mut self, told: &Told, sound: &mut Vec<f32>) -> Result<(), ConvertError> {
        let (frames, look) = (told.hertz.len(), &self.look);
        let layout = look.layout;
        let precision = |name: &str| input(&self.session, name).and_then(Precision::of).unwrap_or(Precision::Single);
        let whole = |n: i64| Tensor::from_array(([1usize], vec![n])).map_err(failed);
        let mut inputs: Vec<(&str, SessionInputValue)> = Vec::with_capacity(6);
        inputs.push((
            layout.features(),
            numbers(precision(layout.features()), &[1, frames, look.width], &told.features)?,
        ));
        inputs.push((layout.lengths(), whole(frames as i64)?.into()));
        if look.pitch {
            let coarse: Vec<i64> = told.hertz.iter().map(|f| coarse(*f)).collect();
            inputs.push(("pitch", Tensor::from_array(([1, frames], coarse)).map_err(failed)?.into()));
            inputs.push(("pitchf", numbers(precision("pitchf"), &[1, frames], &told.hertz)?));
        }
        inputs.push((speaker_name(&self.session), whole(self.speaker)?.into()));
        if let Some(channels) = look.noise {
            inputs.push(("rnd", numbers(precision("rnd"), &[1, channels, frames], &told.noise)?));
        }
        let outputs = self.session.ort().run(inputs).map_err(failed)?;
        let (_, made) = read(&outputs[0])?;
        sound.clear();
        sound.extend_from_slice(&made);
        Ok(())
    }
}

/// RVC-Project's own export calls the speaker `ds`, others after it `sid`.
fn speaker_name(session: &Session) -> &'static str {
    if input(session, "ds").is_some() { "ds" } else { "sid" }
}

/// What w-okada's export says of itself.
fn said(session: &Session) -> serde_json::Value {
    session.metadata("metadata").and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn said_rate(session: &Session) -> Option<u32> {
    said(session)["samplingRate"].as_u64().and_then(|rate| u32::try_from(rate).ok())
}

fn width(session: &Session, layout: Layout) -> Result<usize, RuntimeError> {
    let shape = input(session, layout.features()).map(sizes).unwrap_or_default();
    let known = match shape[..] {
        [_, _, width] if width > 0 => width as usize,
        [_, _, _] => said(session)["embChannels"].as_u64().unwrap_or(0) as usize,
        _ => 0,
    };
    if WIDTHS.contains(&known) {
        return Ok(known);
    }
    Err(wrong(session, &format!("the input `{}` [1, frames, 256 or 768]", layout.features()), format!("{shape:?}")))
}

/// Channels of the input `rnd`, if there is one.
fn noise(session: &Session) -> Result<Option<usize>, RuntimeError> {
    let Some(outlet) = input(session, "rnd") else { return Ok(None) };
    match sizes(outlet)[..] {
        [_, channels @ 1..=4096, _] => Ok(Some(channels as usize)),
        // What all published configurations have where the export left it open.
        [_, channels, _] if channels < 0 => Ok(Some(192)),
        ref other => Err(wrong(session, "the input `rnd` [1, 192, frames]", format!("{other:?}"))),
    }
}

/// Every input must be one that is known, of its kind; and all that the layout has must be there.
fn check_inputs(session: &Session, look: &Look) -> Result<(), RuntimeError> {
    let mut known = vec![(look.layout.features(), false), (look.layout.lengths(), true), (speaker_name(session), true)];
    if look.pitch {
        known.extend([("pitch", true), ("pitchf", false)]);
    }
    if look.noise.is_some() {
        known.push(("rnd", false));
    }
    let names = || session.inputs().iter().map(|o| o.name()).take(12).collect::<Vec<_>>().join(", ");
    let all = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    for (name, whole) in &known {
        let Some(outlet) = input(session, name) else {
            return Err(wrong(session, &format!("the inputs {}", all()), format!("inputs {}", names())));
        };
        let kind = outlet.dtype().tensor_type();
        let fits = if *whole { kind == Some(TensorElementType::Int64) } else { Precision::of(outlet).is_some() };
        if !fits {
            let kinds = if *whole { "64-bit whole numbers" } else { "numbers of 32 or 16 bits" };
            return Err(wrong(session, &format!("the input `{name}` of {kinds}"), format!("{kind:?}")));
        }
    }
    if session.inputs().len() != known.len() {
        return Err(wrong(session, &format!("no inputs but {}", all()), format!("inputs {}", names())));
    }
    Ok(())
}

/// The pitch as one of 255 steps of equal mel from 50 to 1100 Hz; 1 is unvoiced too (RVC's
/// `infer/modules/vc/pipeline.py`).
pub fn coarse(hertz: f32) -> i64 {
    let mel = |f: f64| 1127.0 * (1.0 + f / 700.0).ln();
    let (low, high) = (mel(50.0), mel(1100.0));
    let step = (mel(f64::from(hertz.max(0.0))) - low) * 254.0 / (high - low) + 1.0;
    step.clamp(1.0, 255.0).round_ties_even() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against NumPy's: `np.rint((1127*np.log(1+f/700) - lo) * 254 / (hi - lo) + 1)`.
    #[test]
    fn the_coarse_pitch_is_rvcs() {
        for (hertz, wanted) in COARSE {
            assert_eq!(coarse(hertz), wanted, "{hertz} Hz");
        }
    }

    const COARSE: [(f32, i64); 8] =
        [(0.0, 1), (30.0, 1), (55.0, 3), (100.0, 20), (220.0, 60), (440.0, 122), (1100.0, 255), (2000.0, 255)];
}
