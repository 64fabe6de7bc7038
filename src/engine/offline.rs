//! Whole files: a sound goes through the very engine that the plugin runs, block by block, and comes back at equal length with the latency
//! taken out. Knows no files and no command line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{AudioPort, Engine, OpenError, Setup, Source};
use crate::audio::Sound;
use crate::bridge::{Block, Mix, Rendering, WorkerState};
use crate::captions::stream::{Event, Settings};
use crate::captions::transcript::Transcript;
use crate::captions::{RecognizeError, Word};
use crate::clock::{Latency, Mode};
use crate::dsp::pitch;
use crate::dsp::resample::resample_all;
use crate::runtime::Provider;
use crate::voice::{Controls, TargetVoice};

/// How long loading a voice or a recogniser may take.
const LOADING: Duration = Duration::from_secs(120);
/// How long the recogniser may take for what it has not heard yet when the sound has ended.
const LAST_WORDS: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(5);
/// Rate of all recognisers in Hz, and how much they are given at a time: a frame of the voice activity model.
const CAPTION_RATE: u32 = 16000;
const CAPTION_CHUNK: usize = 512;
/// Frames of 10 ms that the pitch of a whole recording may look ahead.
const PITCH_LAG: usize = 8;
/// Rates that the engine takes, in Hz, and the blocks, in samples.
const RATES: std::ops::RangeInclusive<u32> = 8000..=192_000;
const BLOCKS: std::ops::RangeInclusive<usize> = 1..=16384;

/// How a file is converted.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Delay against quality.
    pub mode: Mode,
    /// What computes the voice.
    pub provider: Provider,
    /// Pitch and gate.
    pub controls: Controls,
    /// Samples a block, 1 to 16,384. The result does not depend on it.
    pub block: usize,
    /// Whether the words are wanted too.
    pub captions: bool,
}

/// What became of a file.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The converted sound: rate, channels and length of the input.
    pub sound: Sound,
    /// The words, on the input's timeline in seconds. Empty unless asked for.
    pub words: Vec<Word>,
    /// The latency that was taken out.
    pub latency: Latency,
    /// What computed the voice.
    pub provider: Provider,
    /// One sentence where that is not what was asked for.
    pub note: Option<String>,
    /// Seconds that it took, without loading.
    pub took: f64,
    /// Seconds of loading.
    pub loading: f64,
}

/// Why a file could not be converted or captioned.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The rate is out of the engine's range.
    #[error("a rate of {0} Hz is out of range; resample the file to between 8,000 and 192,000 Hz first")]
    Rate(u32),
    /// The block is out of the engine's range.
    #[error("a block of {0} samples is out of range; choose 1 to 16384")]
    Block(usize),
    /// There is nothing in it.
    #[error("the sound is empty; choose a file that holds sound")]
    Empty,
    /// Voice or captions could not be loaded.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The recogniser failed.
    #[error(transparent)]
    Recognize(#[from] RecognizeError),
    /// The voice gave up on the way.
    #[error("the voice stopped after {seconds:.1} s: {why}")]
    Voice {
        /// Where in the sound.
        seconds: f64,
        /// What the worker said, which says what to do.
        why: String,
    },
    /// A part of the result is missing.
    #[error("{0} hops were not converted in time; close other programs and try again, or run `mynah doctor`")]
    Late(u64),
    /// The recogniser did not come to an end.
    #[error("the captions were not ready {0} s after the sound; run `mynah doctor`")]
    Slow(u64),
}

/// Converts a sound as the plugin would in an offline render of blocks of `job.block` samples.
///
/// `progress` hears how many seconds of sound are done. Blocks until all is done; starts the engine's threads and ends them. The result has
/// the input's rate, channels and length, and each sample stands where it stood.
pub fn convert(
    sound: &Sound,
    voice: &TargetVoice,
    job: &Job,
    source: Arc<dyn Source>,
    progress: &mut dyn FnMut(f64),
) -> Result<Converted, OfflineError> {
    check(sound)?;
    if !BLOCKS.contains(&job.block) {
        return Err(OfflineError::Block(job.block));
    }
    let began = Instant::now();
    source.measure(job.mode, job.provider)?;
    let setup = Setup {
        host_rate: sound.rate,
        max_block: job.block,
        channels: sound.channels.len(),
        mode: job.mode,
        provider: job.provider,
        voice: Some(voice.clone()),
        captions: job.captions,
    };
    let (engine, mut port) = Engine::start(setup, source)?;
    engine.wait_ready(LOADING)?;
    if job.captions {
        wait_captions(&engine)?;
    }
    let status = engine.status();
    let loading = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let converted = render(sound, job, &engine, &mut port, progress)?;
    let words = if job.captions { last_words(&engine, &mut port)? } else { Vec::new() };
    Ok(Converted {
        sound: converted,
        words,
        latency: status.latency,
        provider: status.provider,
        note: status.note,
        took: began.elapsed().as_secs_f64(),
        loading,
    })
}

/// The median pitch of the speaker in Hz; `None` where no voice is found. For a recording that is there as a whole: a live one is found while it is heard.
pub fn median_pitch(sound: &Sound) -> Option<f32> {
    if sound.frames() == 0 || sound.rate == 0 {
        return None;
    }
    let samples = resample_all(&sound.mono(), sound.rate, pitch::RATE);
    Some(pitch::median(&pitch::track(&samples, PITCH_LAG))).filter(|median| *median > 0.0)
}

fn check(sound: &Sound) -> Result<(), OfflineError> {
    if !RATES.contains(&sound.rate) {
        return Err(OfflineError::Rate(sound.rate));
    }
    if sound.frames() == 0 { Err(OfflineError::Empty) } else { Ok(()) }
}

fn wait_captions(engine: &Engine) -> Result<(), OfflineError> {
    let until = Instant::now() + LOADING;
    loop {
        let status = engine.status();
        match status.caption_problem {
            _ if status.captions_ready => return Ok(()),
            Some(why) => return Err(OpenError(why).into()),
            None if Instant::now() >= until => return Err(OfflineError::Slow(LOADING.as_secs())),
            None => std::thread::sleep(LOOK),
        }
    }
}

/// The blocks of the sound, then as many samples of silence as the latency holds back.
fn render(sound: &Sound, job: &Job, engine: &Engine, port: &mut AudioPort, progress: &mut dyn FnMut(f64)) -> Result<Sound, OfflineError> {
    let (frames, rate) = (sound.frames(), sound.rate as f64);
    let latency = port.latency().total;
    let mut out: Vec<Vec<f32>> = sound.channels.iter().map(|_| Vec::with_capacity(frames)).collect();
    let mut block: Vec<Vec<f32>> = vec![vec![0.0; job.block]; out.len()];
    port.reset();
    let mut at = 0;
    while at < frames + latency {
        let n = job.block.min(frames + latency - at);
        for (b, channel) in block.iter_mut().zip(&sound.channels) {
            let from = at.min(frames);
            let real = &channel[from..(at + n).min(frames).max(from)];
            b[..real.len()].copy_from_slice(real);
            b[real.len()..n].fill(0.0);
        }
        let mut slices: Vec<&mut [f32]> = block.iter_mut().map(|b| &mut b[..n]).collect();
        let about = Block {
            controls: job.controls,
            mix: Mix::default(),
            rendering: Rendering::Declared,
            song: Some(at as f64 / rate),
            captions: job.captions && at < frames,
        };
        port.process(&mut slices, &about);
        let skip = latency.saturating_sub(at).min(n);
        out.iter_mut().zip(&block).for_each(|(o, b)| o.extend_from_slice(&b[skip..n]));
        at += n;
        let counters = port.shared().counters();
        if counters.state == WorkerState::Dead {
            let why = engine.status().voice_problem.unwrap_or_else(|| "no reason was given; run `mynah doctor`".to_owned());
            return Err(OfflineError::Voice { seconds: at.min(frames) as f64 / rate, why });
        }
        if counters.late_hops > 0 {
            // A server that is away says why.
            return Err(match engine.status().voice_problem {
                Some(why) => OfflineError::Voice { seconds: at.min(frames) as f64 / rate, why },
                None => OfflineError::Late(counters.late_hops),
            });
        }
        progress(at.min(frames) as f64 / rate);
    }
    Ok(Sound { rate: sound.rate, channels: out })
}

/// Ends the stretch of sound and waits until its words are final.
fn last_words(engine: &Engine, port: &mut AudioPort) -> Result<Vec<Word>, OfflineError> {
    port.pause();
    let until = Instant::now() + LAST_WORDS;
    while engine.captions_ended() == 0 {
        if let Some(why) = engine.status().caption_problem {
            return Err(OpenError(why).into());
        }
        if Instant::now() >= until {
            return Err(OfflineError::Slow(LAST_WORDS.as_secs()));
        }
        std::thread::sleep(LOOK);
    }
    if let Some(why) = engine.status().caption_problem {
        return Err(OpenError(why).into());
    }
    let transcript = engine.transcript();
    let transcript = transcript.lock().unwrap_or_else(|e| e.into_inner());
    Ok(transcript.words().to_vec())
}

/// How fast the sound of a file comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the recogniser takes it.
    Whole,
    /// As if it were spoken now: what the recogniser needs too long for waits, and the policy hears how much that is. Nobody sleeps: the
    /// time that passes is counted, so that a file is done sooner than it is long.
    Live,
}

/// When something was told.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Told {
    /// Seconds of sound that were heard.
    pub heard: f64,
    /// Seconds since the sound began to be spoken: no less than `heard`. Equal to it where nobody waits ([`Pace::Whole`]).
    pub clock: f64,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Captioned {
    /// The words, on the sound's timeline in seconds.
    pub words: Vec<Word>,
    /// The code of the language that was told or heard; none where that isn't known.
    pub language: Option<String>,
}

/// Captions a sound with a recogniser from `source`.
///
/// `event` hears each step. Runs on the calling thread.
pub fn caption(
    sound: &Sound,
    source: &dyn Source,
    settings: &Settings,
    pace: Pace,
    event: &mut dyn FnMut(Told, &[Event]),
) -> Result<Captioned, OfflineError> {
    if sound.frames() == 0 || sound.rate == 0 {
        return Err(OfflineError::Empty);
    }
    let mut captioner = source.captioner(settings)?;
    let samples = resample_all(&sound.mono(), sound.rate, CAPTION_RATE);
    let mut transcript = Transcript::default();
    let mut events = Vec::new();
    let mut told = Told::default();
    captioner.at(0.0, &mut events)?;
    let mut done = 0;
    for chunk in samples.chunks(CAPTION_CHUNK) {
        done += chunk.len();
        told.heard = done as f64 / f64::from(CAPTION_RATE);
        told.clock = told.clock.max(told.heard);
        let began = Instant::now();
        captioner.push(chunk, told.clock - told.heard, &mut events)?;
        if pace == Pace::Live {
            told.clock += began.elapsed().as_secs_f64();
        }
        event(told, &events);
        events.drain(..).for_each(|e| transcript.apply(e));
    }
    let began = Instant::now();
    captioner.end(&mut events)?;
    told.heard = sound.seconds();
    told.clock = told.clock.max(told.heard) + if pace == Pace::Live { began.elapsed().as_secs_f64() } else { 0.0 };
    event(told, &events);
    events.drain(..).for_each(|e| transcript.apply(e));
    Ok(Captioned { words: transcript.words().to_vec(), language: captioner.spoken().map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::{IdentitySource, any_voice};

    fn job(block: usize) -> Job {
        Job { mode: Mode::Live, provider: Provider::Cpu, controls: Controls::default(), block, captions: true }
    }

    /// Low tones in two channels and a loud stretch at 0.5 s: what the identity gives back is known.
    fn sound(rate: u32) -> Sound {
        let tone = |gain: f32| {
            (0..rate as usize + 37)
                .map(|i| {
                    let loud = i > rate as usize / 2 && i < rate as usize * 6 / 10;
                    gain * (if loud { 0.9 } else { 0.2 }) * (i as f32 * 300.0 * std::f32::consts::TAU / rate as f32).sin()
                })
                .collect::<Vec<f32>>()
        };
        Sound { rate, channels: vec![tone(1.0), tone(0.9)] }
    }

    #[test]
    fn a_file_keeps_length_place_rate_and_channels() {
        for rate in [8000, 44100, 48000, 96000] {
            let input = sound(rate);
            let mut heard = 0.0;
            let out = convert(&input, &any_voice("a"), &job(512), Arc::new(IdentitySource::default()), &mut |s| heard = s)
                .expect("the identity converts");
            assert_eq!((out.sound.rate, out.sound.channels.len(), out.sound.frames()), (rate, 2, input.frames()));
            assert!((heard - input.seconds()).abs() < 1e-9, "{heard}");
            // Equal but for the first and last milliseconds, where the resamplers reach over the edge.
            let edge = rate as usize / 50;
            let mono = (input.mono(), out.sound.mono());
            let worst = (edge..input.frames() - edge).map(|i| (mono.0[i] - mono.1[i]).abs()).fold(0.0f32, f32::max);
            assert!(worst < 0.03, "{rate}: {worst}");
        }
    }

    #[test]
    fn words_stand_on_the_files_timeline_and_blocks_do_not_matter() {
        let input = sound(48000);
        let convert = |block| {
            convert(&input, &any_voice("a"), &job(block), Arc::new(IdentitySource::default()), &mut |_| ()).expect("the identity converts")
        };
        let (a, b) = (convert(64), convert(1000));
        assert_eq!(a.sound, b.sound);
        assert_eq!(a.words, b.words);
        let first = a.words.first().expect("a beep was heard");
        assert!((first.start - 0.5).abs() < 0.005, "{first:?}");
    }

    #[test]
    fn what_goes_wrong_is_told() {
        let source = IdentitySource::default();
        source.faults.errors.store(1, std::sync::atomic::Ordering::Relaxed);
        let input = sound(48000);
        let wrong = convert(&input, &any_voice("a"), &job(512), Arc::new(source), &mut |_| ()).expect_err("a hop failed");
        assert!(matches!(wrong, OfflineError::Voice { .. }), "{wrong}");
        let empty = Sound { rate: 48000, channels: vec![Vec::new()] };
        let wrong = convert(&empty, &any_voice("a"), &job(512), Arc::new(IdentitySource::default()), &mut |_| ());
        assert!(matches!(wrong, Err(OfflineError::Empty)));
        let slow = Sound { rate: 4000, channels: vec![vec![0.0; 100]] };
        let wrong = convert(&slow, &any_voice("a"), &job(512), Arc::new(IdentitySource::default()), &mut |_| ());
        assert!(matches!(wrong, Err(OfflineError::Rate(4000))));
    }

    #[test]
    fn captions_alone_hear_the_whole_file() {
        let mut seen = 0;
        let hear = |pace, event: &mut dyn FnMut(Told, &[Event])| {
            caption(&sound(44100), &IdentitySource::default(), &Settings::default(), pace, event).expect("words").words
        };
        let words = hear(Pace::Whole, &mut |told, events| {
            seen += events.len();
            assert_eq!(told.heard, told.clock);
        });
        assert!(seen > 0);
        assert!((words.first().expect("a beep").start - 0.5).abs() < 0.005, "{words:?}");
        let mut last = Told::default();
        let live = hear(Pace::Live, &mut |told, _| {
            assert!(told.clock >= told.heard && told.clock >= last.clock && told.heard >= last.heard);
            last = told;
        });
        assert_eq!(live, words);
    }
}
