//! Whole files: a sound goes through the very engine that the plugin runs, block by block, and comes back at equal
//! length with the latency taken out. Knows no files and no command line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{AudioPort, Engine, OpenError, Setup, Source};
use mynah_audio::{AudioError, Blocks, Mono, Note, Sound};
use mynah_dsp::pitch;
use mynah_models::runtime::Provider;
use mynah_realtime::clock::{Latency, Mode};
use mynah_realtime::{Block, Mix, Rendering, WorkerState};
use mynah_recognition::stream::{Event, Settings};
use mynah_recognition::{RecognizeError, Word};
use mynah_subtitles::transcript::{Place, Transcript};
use mynah_voice::{Controls, TargetVoice};

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

/// Takes converted blocks: one slice a channel.
pub type Out<'a> = &'a mut dyn FnMut(&[&[f32]]) -> Result<(), AudioError>;

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
    /// The sound can't be read, or not to its end.
    #[error(transparent)]
    Audio(#[from] AudioError),
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
/// `progress` hears how many seconds of sound are done. Blocks until all is done; starts the engine's threads and ends
/// them. The result has the input's rate, channels and length, and each sample stands where it stood.
pub fn convert(
    sound: &Sound,
    voice: &TargetVoice,
    job: &Job,
    source: Arc<dyn Source>,
    progress: &mut dyn FnMut(f64),
) -> Result<Converted, OfflineError> {
    if sound.frames() == 0 {
        return Err(OfflineError::Empty);
    }
    let mut out: Vec<Vec<f32>> = sound.channels.iter().map(|_| Vec::with_capacity(sound.frames())).collect();
    let mut take = |block: &[&[f32]]| {
        out.iter_mut().zip(block).for_each(|(o, b)| o.extend_from_slice(b));
        Ok(())
    };
    let done = convert_blocks(&mut sound.blocks(), voice, job, source, &mut take, progress)?;
    Ok(Converted {
        sound: Sound { rate: sound.rate, channels: out },
        words: done.words,
        latency: done.latency,
        provider: done.provider,
        note: done.note,
        took: done.took,
        loading: done.loading,
    })
}

/// What became of sound that came in blocks.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Samples a channel that were given out: as many as came in.
    pub frames: u64,
    /// The words, as [`Converted`] has them.
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

/// The same of sound that comes in blocks; `out` takes the converted blocks, one slice a channel. Memory does not grow
/// with the length.
pub fn convert_blocks(
    blocks: &mut dyn Blocks,
    voice: &TargetVoice,
    job: &Job,
    source: Arc<dyn Source>,
    out: Out<'_>,
    progress: &mut dyn FnMut(f64),
) -> Result<Rendered, OfflineError> {
    if !RATES.contains(&blocks.rate()) {
        return Err(OfflineError::Rate(blocks.rate()));
    }
    if !BLOCKS.contains(&job.block) {
        return Err(OfflineError::Block(job.block));
    }
    let began = Instant::now();
    source.measure(job.mode, job.provider)?;
    let setup = Setup {
        host_rate: blocks.rate(),
        max_block: job.block,
        channels: blocks.channels(),
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
    let frames = render(blocks, job, &engine, &mut port, out, progress)?;
    let words = if job.captions { last_words(&engine, &mut port)? } else { Vec::new() };
    Ok(Rendered {
        frames,
        words,
        latency: status.latency,
        provider: status.provider,
        note: status.note,
        took: began.elapsed().as_secs_f64(),
        loading,
    })
}

/// The median pitch of the speaker in Hz; `None` where no voice is found. For a recording that is there as a whole: a
/// live one is found while it is heard.
pub fn median_pitch(sound: &Sound) -> Option<f32> {
    if sound.frames() == 0 || sound.rate == 0 {
        return None;
    }
    // Sound in memory can always be read.
    median_pitch_of(&mut sound.blocks()).ok().flatten()
}

/// The same of sound that comes in blocks.
pub fn median_pitch_of(blocks: &mut dyn Blocks) -> Result<Option<f32>, AudioError> {
    let mut mono = Mono::new(blocks, pitch::RATE);
    let mut tracks = pitch::Tracks::new(PITCH_LAG);
    while let Some(samples) = mono.next_samples()? {
        tracks.push(&samples);
    }
    Ok(Some(pitch::median(&tracks.end())).filter(|median| *median > 0.0))
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

/// The blocks of the sound, then as many samples of silence as the latency holds back. Gives how many frames came in.
fn render(
    blocks: &mut dyn Blocks,
    job: &Job,
    engine: &Engine,
    port: &mut AudioPort,
    out: Out<'_>,
    progress: &mut dyn FnMut(f64),
) -> Result<u64, OfflineError> {
    let (rate, channels) = (f64::from(blocks.rate()), blocks.channels());
    let latency = port.latency().total as u64;
    let mut waiting: Vec<Vec<f32>> = vec![Vec::new(); channels];
    let mut block: Vec<Vec<f32>> = vec![vec![0.0; job.block]; channels];
    // Frames that came in; `None` while more may come.
    let (mut came, mut whole, mut at) = (0u64, None, 0u64);
    port.reset();
    loop {
        while whole.is_none() && (waiting[0].len() < job.block) {
            match blocks.next_block()? {
                Some(next) => {
                    came += next[0].len() as u64;
                    waiting.iter_mut().zip(next).for_each(|(w, n)| w.extend_from_slice(&n));
                }
                None => whole = Some(came),
            }
        }
        let n = match whole {
            None => job.block,
            Some(0) => return Err(OfflineError::Empty),
            Some(frames) if at >= frames + latency => break,
            Some(frames) => (job.block as u64).min(frames + latency - at) as usize,
        };
        for (b, w) in block.iter_mut().zip(&mut waiting) {
            let real = n.min(w.len());
            b[..real].copy_from_slice(&w[..real]);
            b[real..n].fill(0.0);
            w.drain(..real);
        }
        let mut slices: Vec<&mut [f32]> = block.iter_mut().map(|b| &mut b[..n]).collect();
        let about = Block {
            controls: job.controls,
            mix: Mix::default(),
            rendering: Rendering::Declared,
            song: Some(at as f64 / rate),
            captions: job.captions && whole.is_none_or(|frames| at < frames),
        };
        port.process(&mut slices, &about);
        let skip = latency.saturating_sub(at).min(n as u64) as usize;
        let slices: Vec<&[f32]> = block.iter().map(|b| &b[skip..n]).collect();
        out(&slices)?;
        at += n as u64;
        let seconds = at.min(came) as f64 / rate;
        let counters = port.shared().counters();
        if counters.state == WorkerState::Dead {
            let why =
                engine.status().voice_problem.unwrap_or_else(|| "no reason was given; run `mynah doctor`".to_owned());
            return Err(OfflineError::Voice { seconds, why });
        }
        if counters.late_hops > 0 {
            // A server that is away says why.
            return Err(match engine.status().voice_problem {
                Some(why) => OfflineError::Voice { seconds, why },
                None => OfflineError::Late(counters.late_hops),
            });
        }
        progress(seconds);
    }
    Ok(came)
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
    /// As if it were spoken now: what the recogniser needs too long for waits, and the policy hears how much that is.
    /// Nobody sleeps: the time that passes is counted, so that a file is done sooner than it is long.
    Live,
}

/// When something was told.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Told {
    /// Seconds of sound that were heard.
    pub heard: f64,
    /// Seconds since the sound began to be spoken: no less than `heard`. Equal to it where nobody waits
    /// ([`Pace::Whole`]).
    pub clock: f64,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Captioned {
    /// The words, on the sound's timeline in seconds.
    pub words: Vec<Word>,
    /// The code of the language that was told or heard; none where that isn't known.
    pub language: Option<String>,
    /// How long the sound is.
    pub seconds: f64,
    /// What must be said of how its channels were mixed.
    pub note: Option<Note>,
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
    caption_blocks(&mut sound.blocks(), source, settings, pace, Course { from: None, event, keep: &mut |_| () })
}

/// What was said up to a second: enough to go on from there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// All words that start before it are known.
    pub seconds: f64,
    /// They.
    pub words: Vec<Word>,
}

/// How a recording is gone through.
pub struct Course<'a> {
    /// Where it was stopped before.
    pub from: Option<Kept>,
    /// Hears each step.
    pub event: &'a mut dyn FnMut(Told, &[Event]),
    /// Is offered, after each minute of sound, what allows to go on from there another time.
    pub keep: &'a mut dyn FnMut(Kept),
}

/// Seconds of sound between two offers of what may be kept.
const KEPT_EACH: f64 = 60.0;

/// The same of sound that comes in blocks: memory does not grow with its length.
pub fn caption_blocks(
    blocks: &mut dyn Blocks,
    source: &dyn Source,
    settings: &Settings,
    pace: Pace,
    course: Course<'_>,
) -> Result<Captioned, OfflineError> {
    let Course { from, event, keep } = course;
    let from = from.unwrap_or_default();
    let mut captioner = source.captioner(settings)?;
    let rate = f64::from(blocks.rate().max(1));
    let mut mono = Mono::new(blocks, CAPTION_RATE);
    // The file is one pass: words that share a frame of the recogniser, or stand far apart, are no other one.
    let mut transcript = Transcript::default();
    transcript.begin(0.0, Place::Free);
    let mut events = Vec::new();
    let mut told = Told::default();
    captioner.at(from.seconds, &mut events)?;
    let mut kept = from.seconds;
    if !from.words.is_empty() {
        transcript.apply(Event::Final(from.words));
    }
    // What was heard another time is not heard again.
    let known = (from.seconds * f64::from(CAPTION_RATE)) as u64;
    let (mut skipped, mut done, mut waiting) = (0u64, known, Vec::new());
    let mut ended = false;
    while !ended {
        match mono.next_samples()? {
            Some(samples) => {
                let skip = (known - skipped).min(samples.len() as u64) as usize;
                skipped += skip as u64;
                waiting.extend_from_slice(&samples[skip..]);
            }
            None => ended = true,
        }
        let whole = if ended { waiting.len() } else { waiting.len() / CAPTION_CHUNK * CAPTION_CHUNK };
        for chunk in waiting[..whole].chunks(CAPTION_CHUNK) {
            done += chunk.len() as u64;
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
        waiting.drain(..whole);
        if let Some(settled) = captioner.settled().filter(|s| *s - kept >= KEPT_EACH) {
            kept = settled;
            let words = transcript.words().iter().filter(|w| w.start < settled).cloned().collect();
            keep(Kept { seconds: settled, words });
        }
    }
    if mono.frames() == 0 {
        return Err(OfflineError::Empty);
    }
    let began = Instant::now();
    captioner.end(&mut events)?;
    told.heard = mono.frames() as f64 / rate;
    told.clock = told.clock.max(told.heard) + if pace == Pace::Live { began.elapsed().as_secs_f64() } else { 0.0 };
    event(told, &events);
    events.drain(..).for_each(|e| transcript.apply(e));
    let language = captioner.spoken().map(str::to_owned);
    Ok(Captioned { words: transcript.words().to_vec(), language, seconds: told.heard, note: mono.note() })
}

#[cfg(test)]
mod one_pass;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{IdentitySource, any_voice};

    fn job(block: usize) -> Job {
        Job { mode: Mode::Live, provider: Provider::Cpu, controls: Controls::default(), block, captions: true }
    }

    /// Low tones in two channels and a loud stretch at 0.5 s: what the identity gives back is known.
    fn sound(rate: u32) -> Sound {
        let tone = |gain: f32| {
            (0..rate as usize + 37)
                .map(|i| {
                    let loud = i > rate as usize / 2 && i < rate as usize * 6 / 10;
                    gain * (if loud { 0.9 } else { 0.2 })
                        * (i as f32 * 300.0 * std::f32::consts::TAU / rate as f32).sin()
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
            let out =
                convert(&input, &any_voice("a"), &job(512), Arc::new(IdentitySource::default()), &mut |s| heard = s)
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
            convert(&input, &any_voice("a"), &job(block), Arc::new(IdentitySource::default()), &mut |_| ())
                .expect("the identity converts")
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
        let wrong =
            convert(&input, &any_voice("a"), &job(512), Arc::new(source), &mut |_| ()).expect_err("a hop failed");
        assert!(matches!(wrong, OfflineError::Voice { .. }), "{wrong}");
        let empty = Sound { rate: 48000, channels: vec![Vec::new()] };
        let wrong = convert(&empty, &any_voice("a"), &job(512), Arc::new(IdentitySource::default()), &mut |_| ());
        assert!(matches!(wrong, Err(OfflineError::Empty)));
        let slow = Sound { rate: 4000, channels: vec![vec![0.0; 100]] };
        let wrong = convert(&slow, &any_voice("a"), &job(512), Arc::new(IdentitySource::default()), &mut |_| ());
        assert!(matches!(wrong, Err(OfflineError::Rate(4000))));
    }

    #[test]
    fn captions_that_were_stopped_go_on_from_any_place_that_was_kept() {
        let rate = 8000;
        let mut sound = Sound { rate, channels: vec![vec![0.0; rate as usize * 200]] };
        for second in (1..200).step_by(7) {
            sound.channels[0][second * rate as usize..][..800].fill(0.9);
        }
        let run = |from: Option<Kept>| {
            let mut kept = Vec::new();
            let course = Course { from, event: &mut |_, _| (), keep: &mut |k| kept.push(k) };
            let settings = Settings::default();
            let said = caption_blocks(&mut sound.blocks(), &IdentitySource::default(), &settings, Pace::Whole, course)
                .expect("captions");
            (said, kept)
        };
        let (whole, kept) = run(None);
        assert_eq!(whole.words.len(), 29);
        assert_eq!(kept.len(), 3);
        for k in kept {
            let (again, _) = run(Some(k.clone()));
            assert_eq!(again.words.len(), whole.words.len(), "from {}", k.seconds);
            assert!(again.words.iter().zip(&whole.words).all(|(a, b)| (a.start - b.start).abs() < 1e-3));
            assert_eq!(again.seconds, whole.seconds);
        }
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
