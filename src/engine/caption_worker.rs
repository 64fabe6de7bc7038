//! The caption worker: a thread of its own, so that a slow recogniser never costs a voice hop. Takes sound from the tap, gives words to the
//! transcript. It knows no plugin type.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atomic_float::AtomicF32;

use super::source::{Captioner, Source};
use super::voice_worker::{Problem, panic_text};
use crate::bridge::{Shared, TapPull, TapSide};
use crate::captions::RecognizeError;
use crate::captions::outlets::Wire;
use crate::captions::stream::{Event, Settings};
use crate::captions::transcript::Transcript;
use crate::dsp::denormals::FlushDenormals;
use crate::dsp::resample::Resampler;

/// Rate of all recognisers in Hz.
const RATE: u32 = 16000;
/// Host samples taken at a time.
const PULL: usize = 4096;
const NAP: Duration = Duration::from_millis(10);
/// Silence pushed through the resampler at the end of a stretch, in host samples: its kernel's reach.
const FLUSH: usize = 512;

/// What the caption worker tells the others. `Relaxed` suffices: each value stands for itself.
#[derive(Debug, Default)]
pub struct CaptionShared {
    /// Writer: engine. Reader: caption worker. Whether captions are wanted; the first time loads the model.
    pub(super) wanted: AtomicBool,
    /// Writer: caption worker. Reader: engine. Whether a recogniser is loaded.
    pub(super) ready: AtomicBool,
    /// Writer: caption worker. Reader: engine. Seconds of sound that wait.
    pub(super) behind: AtomicF32,
    /// Writer: caption worker. Reader: engine. Stretches of sound whose words are all final.
    pub(super) ended: AtomicU64,
}

/// The worker's state; `run` is its thread.
pub(super) struct CaptionWorker {
    pub tap: TapSide,
    pub source: Arc<dyn Source>,
    pub captions: Arc<CaptionShared>,
    pub shared: Arc<Shared>,
    pub transcript: Arc<Mutex<Transcript>>,
    pub wire: Wire,
    pub problem: Problem,
}

impl CaptionWorker {
    /// The thread: ends when the engine says so or the audio side is gone and all its sound is heard.
    pub fn run(mut self) {
        let _flush = FlushDenormals::new();
        let mut captioner: Option<Box<dyn Captioner>> = None;
        let mut gave_up = false;
        let mut input = vec![0.0f32; PULL];
        let mut heard = vec![0.0f32; PULL * RATE as usize / self.tap.rate().min(RATE) as usize + 64];
        let mut resampler = Resampler::new(self.tap.rate(), RATE, PULL + FLUSH);
        while !self.shared.stopped() {
            let wanted = self.captions.wanted.load(Ordering::Relaxed);
            if !wanted {
                gave_up = false;
            }
            if wanted && captioner.is_none() && !gave_up {
                captioner = self.load();
                gave_up = captioner.is_none();
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| self.step(captioner.as_deref_mut(), &mut resampler, &mut input, &mut heard)));
            match outcome {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return,
                Ok(Err(e)) => self.fail(&mut captioner, &mut gave_up, e.to_string()),
                Err(panic) => {
                    let why = format!("the caption worker broke down ({}); switch captions off and on to revive it", panic_text(&*panic));
                    self.fail(&mut captioner, &mut gave_up, why);
                }
            }
        }
    }

    fn tell(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(|e| e.into_inner()) = problem;
    }

    fn load(&self) -> Option<Box<dyn Captioner>> {
        let loaded = catch_unwind(AssertUnwindSafe(|| self.source.captioner(&Settings::default())));
        let (captioner, problem) = match loaded {
            Ok(Ok(c)) => (Some(c), None),
            Ok(Err(e)) => (None, Some(e.to_string())),
            Err(panic) => (None, Some(format!("the caption model could not be loaded ({})", panic_text(&*panic)))),
        };
        self.tell(problem);
        self.captions.ready.store(captioner.is_some(), Ordering::Relaxed);
        captioner
    }

    fn fail(&self, captioner: &mut Option<Box<dyn Captioner>>, gave_up: &mut bool, why: String) {
        *captioner = None;
        *gave_up = true;
        self.captions.ready.store(false, Ordering::Relaxed);
        self.tell(Some(why));
    }

    /// Takes what comes next; tells whether more can come.
    fn step(
        &mut self,
        mut captioner: Option<&mut (dyn Captioner + 'static)>,
        resampler: &mut Resampler,
        input: &mut [f32],
        heard: &mut [f32],
    ) -> Result<bool, RecognizeError> {
        let mut events = Vec::new();
        let mut ended = false;
        let mut more = true;
        match self.tap.pull(input) {
            TapPull::At(seconds) => {
                resampler.reset(0, 0);
                if let Some(c) = &mut captioner {
                    c.at(seconds, &mut events)?;
                }
            }
            TapPull::Samples(n) => {
                let behind = self.tap.behind();
                self.captions.behind.store(behind as f32, Ordering::Relaxed);
                resampler.push(&input[..n]);
                let n = resampler.pull(heard);
                if let Some(c) = &mut captioner {
                    c.push(&heard[..n], behind, &mut events)?;
                }
            }
            TapPull::End => {
                resampler.push(&[0.0; FLUSH]);
                let n = resampler.pull(heard);
                if let Some(c) = &mut captioner {
                    c.push(&heard[..n], 0.0, &mut events)?;
                    c.end(&mut events)?;
                }
                ended = true;
            }
            TapPull::Empty => {
                self.captions.behind.store(0.0, Ordering::Relaxed);
                std::thread::sleep(NAP);
            }
            TapPull::Closed => {
                if let Some(c) = &mut captioner {
                    c.end(&mut events)?;
                }
                more = false;
            }
        }
        if !events.is_empty() {
            // Nobody watches a bounce, and it is faster than anybody reads.
            if self.wire.takes_bursts() || !self.shared.counters().offline {
                self.wire.tell(&events);
            }
            let mut transcript = self.transcript.lock().unwrap_or_else(|e| e.into_inner());
            events.drain(..).for_each(|e: Event| transcript.apply(e));
        }
        if ended {
            self.captions.ended.fetch_add(1, Ordering::Relaxed);
        }
        Ok(more)
    }
}
