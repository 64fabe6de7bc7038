//! The late policy on a clock of its own: a worker that is robbed of its time as badly as chance can, and every sample
//! of the output accounted for.

use std::sync::mpsc::channel;

use proptest::prelude::*;

use super::hops::{HopLoop, PULL};
use super::testing::block;
use super::voice_worker::{Order, Turn, VoiceWorker};
use mynah_dsp::level::click_dbfs;
use mynah_realtime::clock::{ConverterTiming, Timing};
use mynah_realtime::{Crossing, LateSound, Pull, WorkerState, crossing};
use mynah_voice::{Controls, ConvertError, Converter, TargetVoice};

const RATE: usize = 48_000;
const BLOCK: usize = 128;
const CONVERTER: ConverterTiming = ConverterTiming { rate: 24_000, hop: 240, delay: 240 };
/// Samples over which a late hop is faded.
const FADE: usize = RATE / 500;
/// A seam louder than this above 4 kHz is a click, in dBFS.
const CLICK: f32 = -60.0;
/// How far a sample may be from what it should be: the resamplers' ripple.
const RIPPLE: f32 = 0.01;

/// Turns the sound upside down, so that what is converted is never what is dry.
struct Upside {
    line: Vec<f32>,
}

impl Converter for Upside {
    fn timing(&self) -> ConverterTiming {
        CONVERTER
    }

    fn reset(&mut self, _: u64) {
        self.line.fill(0.0);
    }

    fn process(&mut self, input: &[f32], _: &Controls, output: &mut [f32]) -> Result<(), ConvertError> {
        self.line.extend(input.iter().map(|x| -x));
        output.copy_from_slice(&self.line[..CONVERTER.hop]);
        self.line.drain(..CONVERTER.hop);
        Ok(())
    }

    fn set_voice(&mut self, _: &TargetVoice) {}
}

/// What came of a stretch of sound whose worker ran in some blocks only.
struct Outcome {
    latency: usize,
    hop: usize,
    input: Vec<f32>,
    output: Vec<f32>,
    late_hops: u64,
}

fn tone(at: usize) -> f32 {
    0.5 * (at as f32 * 250.0 * std::f32::consts::TAU / RATE as f32).sin()
}

/// Plays so many blocks as each stretch says: with `true` the worker does all that there is to do after each, with
/// `false` nothing.
fn play(stretches: &[(bool, usize)], late: LateSound) -> Outcome {
    let timing = Timing { host_rate: RATE as u32, max_block: BLOCK, converter: CONVERTER, slack: 0.005 };
    let Crossing { latency, mut audio, worker, tap, shared, .. } = crossing::<Controls>(&timing, 1);
    let (orders, inbox) = channel();
    let mut worker = VoiceWorker::new(worker, (inbox, channel().0), Default::default(), timing, latency);
    let upside = HopLoop::new(Box::new(Upside { line: vec![0.0; CONVERTER.delay] }), &timing);
    orders.send(Order::Install(Box::new(upside))).expect("the worker listens");
    let (mut buffer, mut input, mut output) = (vec![0.0; PULL], Vec::new(), Vec::new());
    audio.reset();
    let mut about = block(false);
    about.mix.late = late;
    assert_eq!(worker.turn(&mut buffer), Turn::Idle);
    for works in stretches.iter().flat_map(|&(works, blocks)| std::iter::repeat_n(works, blocks)) {
        let mut sound: Vec<f32> = (input.len()..input.len() + BLOCK).map(tone).collect();
        input.extend_from_slice(&sound);
        audio.process(&mut [&mut sound], &about);
        output.extend_from_slice(&sound);
        while works && worker.turn(&mut buffer) != Turn::Idle {}
    }
    drop(tap);
    Outcome { latency: latency.total, hop: latency.hop, input, output, late_hops: shared.counters().late_hops }
}

impl Outcome {
    /// What each sample from the latency on is: 1 converted, -1 what stands in for it, 0 neither, as far as the tone is
    /// loud enough there to tell.
    fn kinds(&self, stand_in: f32) -> Vec<Option<i8>> {
        let kind = |i: usize| {
            let dry = self.input[i - self.latency];
            let is = |wanted: f32| (self.output[i] - wanted).abs() < RIPPLE;
            match dry.abs() {
                loud if loud < 4.0 * RIPPLE => None,
                _ if is(-dry) => Some(1),
                _ if is(stand_in * dry) => Some(-1),
                _ => Some(0),
            }
        };
        (self.latency..self.output.len()).map(kind).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Stalls of up to 0.8 s between stretches of work of up to 0.8 s.
    #[test]
    fn whatever_is_stolen_the_timeline_stands(
        stretches in prop::collection::vec((1usize..300, 1usize..300), 1..5),
        silence in any::<bool>(),
    ) {
        let plan: Vec<(bool, usize)> = std::iter::once((true, 60)).chain(stretches.iter().flat_map(|&(w, s)| [(false, s), (true, w)])).collect();
        let (late, stand_in) = if silence { (LateSound::Silence, 0.0) } else { (LateSound::Dry, 1.0) };
        let heard = play(&plan, late);
        let kinds = heard.kinds(stand_in);

        // Every sample is the converted or the dry one of exactly its place, but for the fades between both.
        let changes = kinds.iter().flatten().filter(|k| **k != 0).collect::<Vec<_>>().windows(2).filter(|w| w[0] != w[1]).count();
        let neither = kinds.iter().filter(|k| **k == Some(0)).count();
        prop_assert!(neither <= (changes + 1) * (FADE + 2), "{neither} samples are neither, with {changes} changes");

        // Nothing clicks: the steepest step is the tone's and a full fade's.
        let steepest = heard.output.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        prop_assert!(steepest < 0.5 * 250.0 * std::f32::consts::TAU / RATE as f32 + 1.7 / FADE as f32, "a step of {steepest}");

        let click = click_dbfs(&heard.output, RATE as u32, heard.latency + 20 * FADE);
        prop_assert!(click < CLICK, "a click of {click} dBFS");

        // What was missed is counted: as many hops as hold a stand-in, and no hop that holds none.
        let (mut first, mut missed) = (heard.latency, std::collections::BTreeSet::new());
        for kind in &kinds {
            if *kind == Some(-1) {
                missed.insert((first - heard.latency) / heard.hop);
            }
            first += 1;
        }
        prop_assert!(heard.late_hops >= missed.len().saturating_sub(changes) as u64, "{} late, {missed:?}", heard.late_hops);
        prop_assert!(heard.late_hops <= (missed.len() + changes + 1) as u64, "{} late, {missed:?}", heard.late_hops);

        // Two hops and the fades after the worker has its time again, all that is heard is converted.
        let mut at = 0;
        for &(works, blocks) in &plan {
            let end = at + blocks * BLOCK;
            let back = at + BLOCK + 2 * heard.hop + 2 * FADE;
            if works && at > 0 {
                let wrong = (back.max(heard.latency)..end).filter(|i| kinds[i - heard.latency].is_some_and(|k| k != 1)).count();
                prop_assert_eq!(wrong, 0, "after the stretch that began at {}", at);
            }
            at = end;
        }
    }
}

/// Converted sound that could not come in whole before it ends again is left out: it would turn back on its way.
#[test]
fn a_few_samples_that_come_late_are_not_let_in() {
    let timing = Timing { host_rate: RATE as u32, max_block: BLOCK, converter: CONVERTER, slack: 0.005 };
    let Crossing { latency, mut audio, mut worker, tap, .. } = crossing::<Controls>(&timing, 1);
    worker.set_state(WorkerState::Ready);
    audio.reset();
    let (mut buffer, mut at) = (vec![0.0; PULL], 0);
    // A block of the tone, after the worker has given so many samples of its own; gives by how much the block is not
    // the dry one.
    let mut hears = |given: usize| {
        let mut sound: Vec<f32> = (at..at + BLOCK).map(tone).collect();
        let first = at as i64 - latency.total as i64;
        if given > 0 {
            assert_eq!(worker.emit(first as u64, &vec![0.9; given]), given);
        }
        audio.process(&mut [&mut sound], &block(false));
        while !matches!(worker.pull(&mut buffer), Pull::Empty) {}
        at += BLOCK;
        (0..BLOCK).map(|i| (sound[i] - tone((first.max(0) as usize) + i)).abs()).fold(0.0, f32::max)
    };
    (0..40).for_each(|_| _ = hears(0));
    assert_eq!(hears(0), 0.0, "nothing was converted");
    assert_eq!(hears(FADE - 1), 0.0);
    assert_eq!(hears(0), 0.0);
    assert!(hears(BLOCK) > 0.3, "what stays comes in");
    drop(tap);
}
