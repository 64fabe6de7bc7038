//! A long run of the whole engine over one recording, again and again: does it hold? In real time beside other load, or
//! as fast as the machine can. Each round of the recording is judged by the same figures, so the last one can be
//! compared with the first. Knows no files; prints nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::measure::HOST_RATE;
use super::usage::{self, Steal};
use super::{AudioPort, Engine, OpenError, Setup, Source, priority};
use mynah_dsp::denormals::FlushDenormals;
use mynah_models::runtime::Provider;
use mynah_realtime::clock::Mode;
use mynah_realtime::{Block, Counters, Mix, Rendering};
use mynah_voice::{Controls, TargetVoice};

/// Samples a block.
const BLOCK: usize = 128;
/// How long loading may take.
const LOADING: Duration = Duration::from_secs(120);
/// Samples of one value of an envelope: 1 ms.
const STEP: usize = HOST_RATE as usize / 1000;
/// The largest delay that is looked for, in steps.
const LONGEST_DELAY: usize = 600;
/// Whole rounds at the beginning in which memory may still grow: pools fill.
const WARM_ROUNDS: usize = 2;

/// What is run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Delay against quality.
    pub mode: Mode,
    /// Whose voice it becomes.
    pub voice: TargetVoice,
    /// A recording of speech, mono at [`HOST_RATE`], that is played over and over.
    pub speech: Vec<f32>,
    /// Seconds of sound in all; whole rounds of the recording are run, at least one.
    pub seconds: f64,
    /// Whether blocks come when their sound would; else as fast as the machine can, as a host renders.
    pub realtime: bool,
    /// Whether the sound is captioned as well.
    pub captions: bool,
    /// Threads that do nothing but keep processors busy.
    pub busy: usize,
}

/// What a round of the recording came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Round {
    /// Seconds of sound at its end.
    pub until: f64,
    /// Seconds that it took.
    pub took: f64,
    /// Hops converted in it.
    pub hops: u64,
    /// Hops that missed their time in it.
    pub late_hops: u64,
    /// The worst share of a hop's duration that computing one took.
    pub worst_load: f32,
    /// The latency that the host is told, in samples.
    pub latency: usize,
    /// The delay of the output's loudness behind the input's in milliseconds: measured, not told.
    pub delay: usize,
    /// The largest step from a sample to the next.
    pub steepest: f32,
    /// Memory that the process holds, in KiB, where the system tells it.
    pub memory: Option<u64>,
    /// Seconds of sound that wait for the recogniser.
    pub captions_behind: f32,
    /// How like the target the output was, as the judge says: a cosine.
    pub likeness: Option<f32>,
}

/// What all rounds came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Each round.
    pub rounds: Vec<Round>,
    /// Whether the audio thread of the run had the priority that a host gives it.
    pub raised: bool,
    /// By how much memory grew, in KiB an hour of sound: the least squares through all rounds but the first two.
    pub growth: Option<f64>,
    /// Share of the processors' time that the host of a virtual machine gave to others during the run, where the system
    /// tells it.
    pub stolen: Option<f64>,
    /// What did not hold; each one sentence.
    pub broken: Vec<String>,
}

/// How far the delay may wander, in milliseconds: what loudness can tell.
const DELAY_WANDERS: usize = 6;
/// Rounds in a row that must agree on a delay that has moved: a single one may take another hill of the loudness for
/// the true one, as about 1 in 20 does.
const AGREE: usize = 3;
/// How much less like its target the last round may be than the first.
const LIKENESS_WANDERS: f32 = 0.02;
/// How much memory may grow in an hour of sound, in KiB.
const GROWTH: f64 = 4096.0;
/// How much steeper than in the first round a step may be.
const STEEPER: f32 = 1.5;

/// Runs a plan. `judge` hears the output of a round (mono at [`HOST_RATE`]); `progress` is told of each round and ends
/// the run with `false`. Both run on the calling thread, while the next round plays on one of its own.
pub fn soak(
    source: Arc<dyn Source>,
    plan: &Plan,
    judge: &mut dyn FnMut(&[f32]) -> Option<f32>,
    progress: &mut dyn FnMut(&Round) -> bool,
) -> Result<Report, OpenError> {
    let setup = Setup {
        host_rate: HOST_RATE,
        max_block: BLOCK,
        channels: 1,
        mode: plan.mode,
        provider: Provider::Cpu,
        voice: Some(plan.voice.clone()),
        captions: plan.captions,
    };
    let speech = &plan.speech[..plan.speech.len() / BLOCK * BLOCK];
    if speech.is_empty() {
        return Err(OpenError("the recording is empty; give one of speech".to_owned()));
    }
    let (engine, port) = Engine::start(setup, source)?;
    engine.wait_ready(LOADING)?;
    let lasts = speech.len() as f64 / f64::from(HOST_RATE);
    let _busy = Busy::start(plan.busy);
    let stop = AtomicBool::new(false);
    let steal = Steal::watch();
    let (heard, rounds_heard) = sync_channel(4);
    let (mut rounds, mut before, mut raised) = (Vec::new(), port.shared().counters(), false);
    std::thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || play(port, speech, plan, stop, &heard));
        for h in rounds_heard {
            let status = engine.status();
            let round = Round {
                until: (rounds.len() + 1) as f64 * lasts,
                took: h.took,
                hops: h.counters.hops - before.hops,
                late_hops: h.counters.late_hops - before.late_hops,
                worst_load: status.worst_load,
                latency: h.latency,
                delay: delay(speech, &h.output),
                steepest: h.output.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max),
                memory: usage::memory(),
                captions_behind: status.captions_behind,
                likeness: judge(&h.output),
            };
            (before, raised) = (h.counters, h.raised);
            if !progress(&round) {
                stop.store(true, Ordering::Relaxed);
            }
            rounds.push(round);
        }
    });
    let growth = growth(&rounds);
    let broken = broken(&rounds, growth);
    Ok(Report { rounds, raised, growth, stolen: steal.share(), broken })
}

/// What the audio thread hands over after a round.
struct Heard {
    output: Vec<f32>,
    took: f64,
    counters: Counters,
    latency: usize,
    raised: bool,
}

/// The audio thread: whole rounds until the plan is done or the run is stopped.
fn play(mut port: AudioPort, speech: &[f32], plan: &Plan, stop: &AtomicBool, heard: &SyncSender<Heard>) {
    let _flush = FlushDenormals::new();
    let raised = plan.realtime && priority::raise(priority::AUDIO);
    let rounds = (plan.seconds * f64::from(HOST_RATE) / speech.len() as f64).ceil().max(1.0) as u64;
    port.reset();
    let (start, mut sent) = (Instant::now(), 0u64);
    for _ in 0..rounds {
        let began = Instant::now();
        let mut output = speech.to_vec();
        for block in output.chunks_exact_mut(BLOCK) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let seconds = sent as f64 / f64::from(HOST_RATE);
            if plan.realtime {
                std::thread::sleep(Duration::from_secs_f64(seconds).saturating_sub(start.elapsed()));
            }
            let mix = Mix::default();
            let rendering = if plan.realtime { Rendering::Live } else { Rendering::Declared };
            let about =
                Block { controls: Controls::default(), mix, rendering, song: Some(seconds), captions: plan.captions };
            port.process(&mut [block], &about);
            sent += BLOCK as u64;
        }
        let (took, counters, latency) = (began.elapsed().as_secs_f64(), port.shared().counters(), port.latency().total);
        // Whoever judges may be slower than a render: then it is waited for. In real time it never is.
        if heard.send(Heard { output, took, counters, latency, raised }).is_err() {
            return;
        }
    }
}

/// Threads that keep processors busy until dropped.
struct Busy {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Busy {
    fn start(threads: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let spin = |stop: Arc<AtomicBool>| {
            move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::black_box((0..1000).fold(1.0f64, |x, k| x * 1.000_1 + f64::from(k)));
                }
            }
        };
        let threads = (0..threads).map(|_| std::thread::spawn(spin(stop.clone()))).collect();
        Self { stop, threads }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Root mean square of each step, less the mean of all.
fn envelope(sound: &[f32]) -> Vec<f32> {
    let mut levels: Vec<f32> =
        sound.chunks_exact(STEP).map(|c| (c.iter().map(|x| x * x).sum::<f32>() / STEP as f32).sqrt()).collect();
    let mean = levels.iter().sum::<f32>() / levels.len().max(1) as f32;
    levels.iter_mut().for_each(|x| *x -= mean);
    levels
}

/// How many steps the loudness of `output` is behind that of `input`: where both correlate best.
fn delay(input: &[f32], output: &[f32]) -> usize {
    let (input, output) = (envelope(input), envelope(output));
    let product =
        |lag: usize| input.iter().zip(&output[lag..]).map(|(a, b)| a * b).sum::<f32>() / (output.len() - lag) as f32;
    (0..LONGEST_DELAY.min(output.len()))
        .map(|lag| (lag, product(lag)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(0, |(lag, _)| lag)
}

/// KiB an hour of sound, by least squares.
fn growth(rounds: &[Round]) -> Option<f64> {
    let points: Vec<(f64, f64)> =
        rounds.iter().skip(WARM_ROUNDS).filter_map(|r| Some((r.until / 3600.0, r.memory? as f64))).collect();
    if points.len() < 3 {
        return None;
    }
    let n = points.len() as f64;
    let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let (over, under) = points.iter().fold((0.0, 0.0), |(o, u), p| (o + (p.0 - x) * (p.1 - y), u + (p.0 - x).powi(2)));
    Some(over / under)
}

/// What did not hold.
fn broken(rounds: &[Round], growth: Option<f64>) -> Vec<String> {
    let mut broken = Vec::new();
    // The first round begins with silence instead of the end of the one before: the second one is what the rest is
    // like.
    let (Some(first), Some(last)) = (rounds.get(1).or(rounds.first()), rounds.last()) else { return broken };
    let (hops, late) = rounds.iter().fold((0, 0), |(h, l), r| (h + r.hops, l + r.late_hops));
    if late > 0 {
        broken.push(format!("{late} of {hops} hops were late"));
    }
    if let Some(r) = rounds.iter().find(|r| r.latency != first.latency) {
        broken.push(format!("the latency went from {} to {} samples after {:.0} s", first.latency, r.latency, r.until));
    }
    let moved = |r: &Round| r.delay.abs_diff(first.delay) > DELAY_WANDERS;
    if let Some(r) =
        rounds.windows(AGREE.min(rounds.len())).find(|agree| agree.iter().all(moved)).map(|agree| &agree[0])
    {
        broken.push(format!("the delay went from {} to {} ms after {:.0} s", first.delay, r.delay, r.until));
    }
    if let Some(r) = rounds.iter().skip(1).find(|r| r.steepest > STEEPER * first.steepest) {
        broken.push(format!(
            "a step of {:.3} from a sample to the next within {:.0} s; the first rounds had at most {:.3}",
            r.steepest, r.until, first.steepest
        ));
    }
    if let Some((a, b)) = first.likeness.zip(last.likeness).filter(|(a, b)| b < &(a - LIKENESS_WANDERS)) {
        broken.push(format!("the voice's likeness to its target went from {a:.3} to {b:.3}"));
    }
    if let Some(g) = growth.filter(|&g| g > GROWTH) {
        broken.push(format!("memory grew by {:.1} MiB an hour of sound", g / 1024.0));
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::super::measure::{some_speech, some_voice};
    use super::super::testing::IdentitySource;
    use super::*;

    /// A buzz in syllables of 40 to 200 ms, none as loud as the next, so that no other delay looks like the true one.
    fn talk(seconds: usize) -> Vec<f32> {
        let mut sound = some_speech(HOST_RATE, seconds * HOST_RATE as usize);
        let (mut state, mut at) = (1u64, 0);
        while at < sound.len() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (length, gain) = ((40 + (state >> 40) as usize % 160) * STEP, (state >> 56) as f32 / 256.0);
            let end = (at + length).min(sound.len());
            sound[at..end].iter_mut().for_each(|x| *x *= gain);
            at = end;
        }
        sound
    }

    fn plan(seconds: f64, realtime: bool) -> Plan {
        let speech = talk(1);
        Plan { mode: Mode::Live, voice: some_voice(), speech, seconds, realtime, captions: false, busy: 0 }
    }

    #[test]
    fn a_render_is_faster_than_real_time_and_each_round_is_judged() {
        let source = Arc::new(IdentitySource::default());
        let (mut judged, mut told) = (0, 0);
        let mut judge = |sound: &[f32]| {
            judged += 1;
            Some(sound.iter().fold(0.0, |a: f32, x| a.max(x.abs())))
        };
        let report = soak(source, &plan(20.0, false), &mut judge, &mut |_| {
            told += 1;
            true
        })
        .expect("ran");
        assert_eq!((judged, told, report.rounds.len()), (20, 20, 20));
        assert!(report.rounds.iter().map(|r| r.took).sum::<f64>() < 20.0);
        assert!(report.rounds.iter().all(|r| r.hops >= 95 && r.late_hops == 0), "{report:?}");
        let ms = report.rounds[1].latency / STEP;
        assert!(report.rounds.iter().skip(1).all(|r| r.delay.abs_diff(ms) <= 2), "{ms} ms and {report:?}");
        assert!(!report.raised && report.growth.is_some());
    }

    #[test]
    fn late_hops_are_found_and_it_can_be_stopped() {
        let source = Arc::new(IdentitySource::default());
        source.faults.stall_ms.store(50, Ordering::Relaxed);
        let report = soak(source, &plan(60.0, true), &mut |_| None, &mut |_| false).expect("ran");
        assert_eq!(report.rounds.len(), 1);
        assert!(report.broken.iter().any(|b| b.contains("hops were late")), "{report:?}");
    }

    #[test]
    fn what_does_not_hold_is_said() {
        let round = |k: usize| Round {
            until: k as f64 * 60.0,
            took: 60.0,
            hops: 100,
            late_hops: 0,
            worst_load: 0.2,
            latency: 1913,
            delay: 40,
            steepest: 0.1,
            memory: Some(100_000),
            captions_behind: 0.0,
            likeness: Some(0.8),
        };
        let whole: Vec<Round> = (1..=60).map(round).collect();
        assert_eq!(broken(&whole, growth(&whole)), [""; 0]);
        let with = |change: &dyn Fn(usize, &mut Round)| {
            let mut rounds = whole.clone();
            rounds.iter_mut().enumerate().for_each(|(i, r)| change(i, r));
            broken(&rounds, growth(&rounds))
        };
        assert!(with(&|i, r| r.late_hops = u64::from(i == 3))[0].contains("1 of 6000 hops"));
        assert!(with(&|i, r| r.delay += i)[0].contains("delay went from 41 to"));
        assert!(with(&|i, r| r.delay -= 8 * usize::from(i >= 57))[0].contains("delay went from 40 to 32"));
        assert!(with(&|i, r| r.delay -= 8 * usize::from(i % 5 > 2)).is_empty());
        assert!(with(&|i, r| r.latency += i / 59)[0].contains("latency"));
        assert!(with(&|i, r| r.steepest *= 1.0 + i as f32)[0].contains("step"));
        assert!(with(&|i, r| r.likeness = Some(0.8 - i as f32 * 0.001))[0].contains("likeness"));
        assert!(with(&|i, r| r.memory = Some(100_000 + 200 * i as u64))[0].contains("11.7 MiB"));
        assert_eq!(growth(&whole[..4]), None);
    }

    #[test]
    fn a_delay_is_found_in_the_loudness() {
        let sound = talk(2);
        let late: Vec<f32> =
            std::iter::repeat_n(0.0, 123 * STEP).chain(sound.iter().copied()).take(sound.len()).collect();
        assert_eq!(delay(&sound, &late), 123);
        assert_eq!(delay(&[], &[]), 0);
    }
}
