//! The converter: sound in, content, mel frames, sound out, each made no earlier than its hop needs it.

use super::content::Content;
use super::flow::{Flow, Flow2};
use super::flow1::Flow1;
use super::fused::Fused;
use super::hush::{CELL, Hush};
use super::vocoder::Vocoder;
use super::{BANDS, Files, HOP, HOP_FRAMES, LEAD, Model, WIDTH, timing};
use crate::mynah::noise;
use crate::{Controls, ConvertError, Converter, TargetVoice};
use mynah_models::runtime::graph::Graph;
use mynah_models::runtime::{RuntimeError, SessionOptions};
use mynah_realtime::clock::ConverterTiming;

/// A converter with a voice and its graphs.
pub struct MeanVc {
    timing: ConverterTiming,
    model: Model,
    weights: String,
    content: Content,
    pub(super) flow: Box<dyn Flow>,
    vocoder: Vocoder,
    hush: Hush,
    /// The name of a voice that these weights have never heard.
    stranger: Option<String>,
    /// Content from the next chunk's first frame on.
    said: Vec<f32>,
    /// Sound from the next output sample on.
    sound: Vec<f32>,
    /// Where that sample stands, on the timeline that begins `LEAD` before the input.
    at: i64,
    /// Samples heard since the last reset.
    heard: i64,
    /// Number of the next chunk's first frame, which its noise depends on.
    frame: u64,
    noise: Vec<f32>,
    mel: Vec<f32>,
    #[cfg(test)]
    pub(super) bare: Bare,
}

/// What tests leave out, to see the rest.
#[cfg(test)]
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Bare {
    /// Silence is not kept silent.
    pub(super) hush: bool,
    /// There is no noise to paint from.
    pub(super) noise: bool,
}

/// The transformer in the layout that its graph has.
fn flow(files: &Files, options: &SessionOptions) -> Result<Box<dyn Flow>, RuntimeError> {
    let (model, graph) = (files.model, Graph::open(&files.flow, options)?);
    Ok(match model {
        Model::One200 => Box::new(Flow1::open(graph, model, files.steps)?),
        Model::Two40 | Model::Two120 if Fused::is(&graph) => Box::new(Fused::open(graph, files, model, options)?),
        Model::Two40 | Model::Two120 => Box::new(Flow2::open(graph, files, model, options)?),
    })
}

impl MeanVc {
    /// Loads the graphs, checks them, sets the voice, and runs them until sound comes, so that the first hop is as
    /// quick as the others. The voice must have been enrolled with these weights. Takes up to seconds; any thread but
    /// the audio thread.
    pub fn open(files: &Files, voice: &TargetVoice, options: &SessionOptions) -> Result<Self, RuntimeError> {
        let model = files.model;
        let flow = flow(files, options)?;
        let mut converter = Self {
            timing: timing(model),
            model,
            weights: files.weights.clone(),
            content: Content::open(&files.encoder, model, options)?,
            flow,
            vocoder: Vocoder::open(&files.vocoder, model.overlap(), options)?,
            hush: Hush::new(),
            stranger: None,
            said: Vec::new(),
            sound: Vec::new(),
            at: 0,
            heard: 0,
            frame: 0,
            noise: Vec::new(),
            mel: Vec::new(),
            #[cfg(test)]
            bare: Bare::default(),
        };
        let ran = |e: ConvertError| RuntimeError::Run { path: files.flow.clone(), why: e.why() };
        converter.take_voice(voice).map_err(ran)?;
        converter.begin(0).map_err(ran)?;
        let (input, mut output) = (vec![0.0; HOP], vec![0.0; HOP]);
        // Two chunks: with the second all caches have another size than at the beginning.
        let frames = converter.timing.delay / super::FRAME + 2 * model.chunk();
        for _ in 0..frames / HOP_FRAMES + 1 {
            converter.try_process(&input, &mut output).map_err(ran)?;
        }
        converter.begin(0).map_err(ran)?;
        Ok(converter)
    }

    fn take_voice(&mut self, voice: &TargetVoice) -> Result<(), ConvertError> {
        let Some(numbers) = voice.numbers_of(&self.weights).filter(|n| self.flow.knows(n.len())) else {
            self.stranger = Some(voice.name.clone());
            return Err(ConvertError::Stranger(voice.name.clone()));
        };
        self.stranger = None;
        self.flow.set_voice(numbers)
    }

    fn begin(&mut self, hop_index: u64) -> Result<(), ConvertError> {
        self.vocoder.reset();
        self.hush.reset();
        self.said.clear();
        self.sound.clear();
        (self.at, self.heard) = (0, 0);
        self.frame = hop_index.wrapping_mul(HOP_FRAMES as u64);
        self.content.reset()?;
        self.flow.reset()
    }

    /// Paints a chunk and makes sound of it.
    fn step(&mut self) -> Result<(), ConvertError> {
        let (chunk, frames) = (self.model.chunk(), self.model.chunk() + self.model.ahead());
        if self.said.len() < frames * WIDTH {
            return Err(ConvertError::Run(format!(
                "content came too late: {} frames of {frames}",
                self.said.len() / WIDTH
            )));
        }
        let first = self.frame.wrapping_mul(BANDS as u64);
        self.noise.clear();
        self.noise.extend((0..(frames * BANDS) as u64).map(|i| noise::at(first.wrapping_add(i))));
        #[cfg(test)]
        if self.bare.noise {
            self.noise.fill(0.0);
        }
        self.mel.clear();
        self.flow.step(&self.noise, &self.said[..frames * WIDTH], &mut self.mel)?;
        self.said.drain(..chunk * WIDTH);
        self.frame = self.frame.wrapping_add(chunk as u64);
        self.vocoder.push(&self.mel, &mut self.sound)
    }

    fn try_process(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), ConvertError> {
        if let Some(name) = &self.stranger {
            return Err(ConvertError::Stranger(name.clone()));
        }
        self.hush.hear(input);
        self.content.push(input, &mut self.said)?;
        self.heard += input.len() as i64;
        let end = self.heard - self.timing.delay as i64 + LEAD as i64;
        while self.at + (self.sound.len() as i64) < end {
            self.step()?;
        }
        let from = end - output.len() as i64;
        // Before the input's beginning there was nothing to convert.
        let silent = (LEAD as i64 - from).clamp(0, output.len() as i64) as usize;
        output[..silent].fill(0.0);
        if silent < output.len() {
            let skipped = (from + silent as i64 - self.at) as usize;
            let count = output.len() - silent;
            output[silent..].copy_from_slice(&self.sound[skipped..skipped + count]);
            self.sound.drain(..skipped + count);
            self.at = end;
        }
        #[cfg(test)]
        if self.bare.hush {
            return Ok(());
        }
        self.hush.process((from - LEAD as i64) / CELL as i64, output);
        Ok(())
    }
}

impl Converter for MeanVc {
    fn timing(&self) -> ConverterTiming {
        self.timing
    }

    fn reset(&mut self, hop_index: u64) {
        // It only fills caches with zeros, which can't fail where it went well in `open`.
        let begun = self.begin(hop_index);
        debug_assert!(begun.is_ok());
    }

    fn process(&mut self, input: &[f32], _controls: &Controls, output: &mut [f32]) -> Result<(), ConvertError> {
        self.try_process(input, output)
    }

    fn set_voice(&mut self, voice: &TargetVoice) {
        // A voice that can't be taken is told with the next hop.
        if let Err(ConvertError::Run(_) | ConvertError::NotFinite) = self.take_voice(voice) {
            self.stranger = Some(voice.name.clone());
        }
    }
}
