//! The converter of the family `rvc`: the voice is the model. ContentVec tells what is said, a tracker tells its pitch,
//! a generator says it again.
//!
//! None of the three knows a stream: all are run over the last seconds anew at each hop, as RVC's own realtime window
//! does, and the newest part of each result is joined to the one before (`blocks::Join`). Frames, noise and windows lie
//! on absolute places, so that what is the same in two windows is the same in both results. Knows no threads and no
//! packs: it is opened with paths.

mod content;
mod graph;
mod index;
mod pitch;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use self::content::Content;
use self::graph::{FRAMES_A_SECOND, Generator, Told};
pub use self::graph::{Layout, Look};
use self::index::Index;
use self::pitch::{Own, Pitch, Rmvpe};
use super::blocks::{Join, sane, slide};
use super::mynah::noise;
use super::pitch_shift::PitchShift;
use super::{Controls, ConvertError, Converter, TargetVoice};
use mynah_dsp::resample::Resampler;
use mynah_models::runtime::{RuntimeError, Session, SessionOptions};
use mynah_realtime::clock::{ConverterTiming, Mode};

/// The files of a voice.
#[derive(Debug, Clone, PartialEq)]
pub struct Files {
    /// The generator, of either layout.
    pub voice: PathBuf,
    /// ContentVec.
    pub content: PathBuf,
    /// RMVPE; without it the pitch is that of Mynah's own tracker. Voices that are told no pitch need neither.
    pub pitch: Option<PathBuf>,
    /// Which speaker of a generator that knows several; 0 is the one of all others.
    pub speaker: i64,
    /// Features of the voice that what is said is drawn to, if there are any.
    pub retrieval: Option<Retrieval>,
}

/// Features that were heard of the voice in its training.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrieval {
    /// A NumPy file `[rows, 256 or 768]`.
    pub features: PathBuf,
    /// How much of the result comes from them: 0 to 1.
    pub share: f32,
}

/// What a graph of this family is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A generator.
    Voice(Look),
    /// ContentVec.
    Content,
    /// RMVPE.
    Pitch,
}

/// Looks at an opened graph; none where it belongs to no part of the family. Opens a generator once more, and runs it
/// where it doesn't say its rate: takes as long as loading it.
pub fn part(session: &Session, options: &SessionOptions) -> Result<Option<Part>, RuntimeError> {
    if Layout::of(session).is_some() {
        return Ok(Some(Part::Voice(Generator::open(session.path(), 0, options)?.look().clone())));
    }
    if pitch::is_rmvpe(session) {
        return Ok(Some(Part::Pitch));
    }
    Ok(content::is_content(session).then_some(Part::Content))
}

/// How a mode cuts the sound, in frames of 10 ms.
#[derive(Debug, Clone, Copy)]
struct Blocks {
    /// Even: a feature is two frames long, and windows must begin with one.
    hop: usize,
    /// What a run hears before the sound that is taken from it.
    context: usize,
    crossfade: usize,
    /// How much more of the future ContentVec and the pitch tracker hear, in features.
    ahead: usize,
}

/// RVC's own window has blocks of 250 ms, a context of 2.5 s and a crossfade of 40 to 50 ms.
fn blocks(mode: Mode) -> Blocks {
    match mode {
        Mode::Live => Blocks { hop: 10, context: 100, crossfade: 4, ahead: 0 },
        Mode::Balanced => Blocks { hop: 24, context: 250, crossfade: 5, ahead: 1 },
        Mode::Studio => Blocks { hop: 50, context: 250, crossfade: 5, ahead: 4 },
    }
}

/// Frames of a feature.
const FEATURE: usize = 2;
/// Frames that the newest feature ends before the newest sound: it reaches 25 ms from its time on, and the resampler 1
/// ms further.
const REACH: usize = 2;

/// Frames of the context that are drawn to the voice's own features too.
const DRAWN_BEFORE: usize = 20;

/// How far a run is moved to meet the one before it, either way: together RVC's 10 ms.
fn search(rate: u32) -> usize {
    rate as usize / 200
}

/// The timing of a mode with a voice at `rate` Hz. A block's sound is taken from a run with the crossfade to the next
/// one and the search behind it.
pub fn timing(mode: Mode, rate: u32) -> ConverterTiming {
    let (b, frame) = (blocks(mode), rate as usize / FRAMES_A_SECOND);
    ConverterTiming {
        rate,
        hop: b.hop * frame,
        delay: (b.crossfade + REACH + b.ahead * FEATURE) * frame + search(rate),
    }
}

/// The noise of RVC's posterior has this share of the model's deviation (`models.py`, `infer`); its ONNX export leaves
/// that to whoever gives the noise.
const TEMPERATURE: f32 = 0.66666;

/// A converter with a voice's graphs.
pub struct Rvc {
    timing: ConverterTiming,
    blocks: Blocks,
    content: Content,
    index: Option<Index>,
    generator: Generator,
    pitch: Pitch,
    shift: PitchShift,
    resampler: Resampler,
    join: Join,
    clean: Vec<f32>,
    /// The newest sound at ContentVec's rate.
    heard: Vec<f32>,
    block: Vec<f32>,
    /// Pitches of a hop's frames.
    hertz: Vec<f32>,
    features: Vec<f32>,
    told: Told,
    made: Vec<f32>,
    /// The index of the next hop, and of the first one since the reset.
    hop: u64,
    first: u64,
}

impl Rvc {
    /// Loads the graphs, checks them, and runs them twice, so that the first hop is as quick as the others. Takes
    /// seconds; any thread but the audio thread.
    pub fn open(
        files: &Files,
        mode: Mode,
        voice: &TargetVoice,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let generator = Generator::open(&files.voice, files.speaker, options)?;
        let look = generator.look().clone();
        let content = Content::open(&files.content, look.width, options)?;
        let (timing, blocks) = (timing(mode, look.rate), blocks(mode));
        let pitch = match &files.pitch {
            _ if !look.pitch => Pitch::Unheard,
            Some(path) => Pitch::Rmvpe(Rmvpe::open(path, options)?),
            None => Pitch::Own(Box::new(Own::new(look.rate, timing.hop, blocks.ahead * FEATURE))),
        };
        let index = files.retrieval.as_ref().map(|r| Index::open(&r.features, look.width, r.share)).transpose()?;
        // Before the block the search and the context, behind it the crossfade and the search once more; whole
        // features.
        let frames = (blocks.context + blocks.hop + blocks.crossfade + 1).next_multiple_of(FEATURE);
        let mut rvc = Self {
            resampler: Resampler::new(look.rate, content::RATE, 2 * timing.hop),
            join: Join::new(blocks.crossfade * look.rate as usize / FRAMES_A_SECOND, search(look.rate)),
            clean: vec![0.0; timing.hop],
            heard: vec![0.0; (frames / FEATURE + blocks.ahead + REACH) * content::HOP],
            block: Vec::new(),
            hertz: Vec::new(),
            features: Vec::new(),
            told: Told {
                features: vec![0.0; frames * look.width],
                hertz: vec![0.0; frames],
                noise: vec![0.0; frames * look.noise.unwrap_or(0)],
            },
            made: Vec::new(),
            shift: PitchShift::new(voice.median_pitch),
            hop: 0,
            first: 0,
            timing,
            blocks,
            content,
            index,
            generator,
            pitch,
        };
        rvc.reset(0);
        // A graph is not run in silence.
        let (hop, mut output) = (vec![0.1; timing.hop], vec![0.0; timing.hop]);
        for _ in 0..2 {
            rvc.process(&hop, &Controls::default(), &mut output)
                .map_err(|e| RuntimeError::Run { path: files.voice.clone(), why: e.why() })?;
        }
        rvc.reset(0);
        Ok(rvc)
    }

    /// What its generator is.
    pub fn look(&self) -> &Look {
        self.generator.look()
    }

    /// Whether equal hops give equal bits: not where the generator draws random numbers by itself, which a panel should
    /// say.
    pub fn deterministic(&self) -> bool {
        self.look().deterministic
    }

    /// Samples of a run behind its block: the crossfade to the next one and the search.
    fn behind_block(&self) -> usize {
        self.blocks.crossfade * self.timing.rate as usize / FRAMES_A_SECOND + search(self.timing.rate)
    }

    /// Frames that lie behind the generator's last one in the newest hop.
    fn behind(&self) -> usize {
        REACH + self.blocks.ahead * FEATURE
    }

    /// Takes a hop: its sound at ContentVec's rate, and the pitches that it makes known.
    fn hear(&mut self, input: &[f32], controls: &Controls) -> Result<(), ConvertError> {
        self.clean.iter_mut().zip(input).for_each(|(y, x)| *y = sane(*x));
        self.resampler.push(&self.clean);
        self.block.resize(self.resampler.ready(), 0.0);
        self.resampler.pull(&mut self.block);
        slide(&mut self.heard, &self.block);
        // The first hop is short of what its end needs of the next one.
        let count = if self.hop == self.first { self.blocks.hop - self.behind() } else { self.blocks.hop };
        let newest = (self.hop + 1) * (self.blocks.hop * content::HOP / FEATURE) as u64;
        let after = self.resampler.next_output() + (self.behind() * content::HOP / FEATURE) as u64 - newest;
        let heard = self.pitch.hear(&self.clean, &self.heard, after as usize, count, &mut self.hertz);
        if heard.is_err() {
            self.hertz.clear();
            self.hertz.resize(count, 0.0);
        }
        self.hertz.iter_mut().for_each(|f| *f = self.shift.next(*f, controls.pitch));
        slide(&mut self.told.hertz, &self.hertz);
        heard
    }

    /// Runs the graphs over the window that ends in the newest hop.
    fn run(&mut self) -> Result<(), ConvertError> {
        let (frames, rate) = (self.told.hertz.len(), self.timing.rate as usize);
        if self.heard.iter().all(|x| *x == 0.0) {
            // A muted microphone costs nothing, and silence stays silent whatever the model says.
            self.made.clear();
            self.made.resize(frames * rate / FRAMES_A_SECOND, 0.0);
            return Ok(());
        }
        // The newest feature begins `REACH` frames before the hop's end.
        let newest = (self.hop + 1) * (self.blocks.hop * content::HOP / FEATURE) as u64;
        let spare = self.resampler.next_output() + (2 * content::HOP - content::REACH) as u64 - newest;
        let end = self.heard.len() - spare as usize;
        let count = frames / FEATURE + self.blocks.ahead;
        let window = &self.heard[end - (count * content::HOP + content::REACH - content::HOP)..end];
        self.content.features(window, &mut self.features)?;
        let width = self.generator.look().width;
        if let Some(index) = &self.index {
            // What is only context is left as it is: to look for it would take most of the time.
            let drawn =
                (self.blocks.hop + self.blocks.crossfade + 1 + DRAWN_BEFORE).min(frames).next_multiple_of(FEATURE);
            index.mix(&mut self.features[(frames - drawn) / FEATURE * width..frames / FEATURE * width]);
        }
        for (two, feature) in
            self.told.features.chunks_exact_mut(FEATURE * width).zip(self.features.chunks_exact(width))
        {
            two.chunks_exact_mut(width).for_each(|frame| frame.copy_from_slice(feature));
        }
        let first = ((self.hop + 1) * self.blocks.hop as u64).wrapping_sub((self.behind() + frames) as u64);
        if let Some(channels) = self.generator.look().noise {
            for (channel, row) in self.told.noise.chunks_exact_mut(frames).enumerate() {
                for (frame, x) in row.iter_mut().enumerate() {
                    // A frame has the same noise in every window that it is in.
                    let place =
                        first.wrapping_add(frame as u64).wrapping_mul(channels as u64).wrapping_add(channel as u64);
                    *x = noise::at(place) * TEMPERATURE;
                }
            }
        }
        self.generator.run(&self.told, &mut self.made)
    }
}

impl Converter for Rvc {
    fn timing(&self) -> ConverterTiming {
        self.timing
    }

    fn reset(&mut self, hop_index: u64) {
        let position = hop_index * self.timing.hop as u64;
        self.resampler.reset(position as i64, self.resampler.output_at(position));
        self.pitch.reset(position);
        self.shift.reset();
        self.join.reset();
        self.heard.fill(0.0);
        self.told.hertz.fill(0.0);
        (self.hop, self.first) = (hop_index, hop_index);
    }

    fn process(&mut self, input: &[f32], controls: &Controls, output: &mut [f32]) -> Result<(), ConvertError> {
        let outcome = self.hear(input, controls).and_then(|()| self.run());
        let done = (self.hop - self.first) as usize * self.timing.hop;
        self.hop += 1;
        if let Err(e) = outcome {
            self.join.reset();
            output.fill(0.0);
            return Err(e);
        }
        let at = self.made.len() - self.timing.hop - self.behind_block();
        self.join.next(&self.made, at, output);
        // What lies before the first sample since the reset was not heard.
        let before = self.timing.delay.saturating_sub(done).min(output.len());
        output[..before].fill(0.0);
        Ok(())
    }

    fn set_voice(&mut self, voice: &TargetVoice) {
        self.shift.set_target(voice.median_pitch);
    }
}
