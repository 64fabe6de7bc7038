//! The demo: Mynah at its main job inside a host, as a DAW would run it. Loads the CLAP bundle, enrols a reference,
//! plays a recording through the plugin in blocks of 128 samples at 48 kHz with the transport rolling, and leaves the
//! converted sound, its captions and a picture.

mod measures;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use clap_host::{ClapHost, HostResult, Played};
use mynah::audio::{self, Sound, write_wav};
use mynah::clock::Mode;
use mynah::dsp::resample::resample_all;
use mynah::engine::enrol_file;
use mynah::engine::usage::{Steal, steal_clause};
use mynah::plugin::state::{Container, Settings, transcript, with_voice};
use mynah::subtitles::Word;
use mynah::subtitles::cues::{Style, cues};
use mynah::subtitles::formats::{Format, write};

const RATE: u32 = 48000;
const BLOCK: usize = 128;
/// Where hosts look for CLAP plugins of a user.
const CLAP_FOLDER: &str = if cfg!(windows) {
    r"%LOCALAPPDATA%\Programs\Common\CLAP"
} else if cfg!(target_os = "macos") {
    "~/Library/Audio/Plug-Ins/CLAP"
} else {
    "~/.clap"
};
/// Silence after the recording, in seconds: the last words are heard as ended.
const TAIL: f64 = 1.5;
/// How long the plugin may take to load a voice and a recogniser.
const LOADING: Duration = Duration::from_secs(180);
/// The last words are there when none has come for so long.
const SETTLED: Duration = Duration::from_secs(5);

/// Plays a recording through Mynah inside a CLAP host.
#[derive(Debug, Parser)]
struct Arguments {
    /// The plugin: Mynah.clap
    #[arg(long)]
    plugin: PathBuf,
    /// The recording
    #[arg(long = "source", value_name = "RECORDING")]
    input: PathBuf,
    /// A reference of the target voice
    #[arg(long)]
    reference: PathBuf,
    /// The folder for the results; it is made
    #[arg(long = "out", value_name = "FOLDER")]
    output: PathBuf,
    /// Seconds of the recording that are played
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// Render as fast as it goes, as a bounce, instead of in real time
    #[arg(long)]
    fast: bool,
    /// What is said in the recording, as plain text: captions are measured against it; without it the project's own
    /// transcript of a recording of that name
    #[arg(long)]
    transcript: Option<PathBuf>,
    /// live, balanced or studio
    #[arg(long, default_value = "live", value_parser = mode)]
    mode: Mode,
}

fn mode(text: &str) -> Result<Mode, String> {
    Mode::ALL.into_iter().find(|m| m.name() == text).ok_or_else(|| "choose live, balanced or studio".to_owned())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("demo_host: {e}");
            ExitCode::FAILURE
        }
    }
}

/// All that is told and drawn.
pub struct Story {
    /// The recording as played, mono.
    pub before: Vec<f32>,
    /// The converted sound, mono, compensated.
    pub after: Vec<f32>,
    /// Samples a second of both.
    pub rate: u32,
    /// The captions.
    pub words: Vec<Word>,
    /// The title of the picture: what and how.
    pub title: String,
    /// The line under it: figures.
    pub figures: String,
}

fn run(a: &Arguments) -> HostResult<()> {
    std::fs::create_dir_all(&a.output)
        .map_err(|e| format!("`{}` can't be made: {e}; choose another folder", a.output.display()))?;
    let input = recording(&a.input, a.seconds)?;
    println!("enrolling {} …", a.reference.display());
    let voice = enrol_file(&a.reference, &stem(&a.reference))?;

    println!("loading {} …", a.plugin.display());
    let mut host = ClapHost::open(&a.plugin)?;
    let settings = Settings { mode: a.mode, captions: true, ..Settings::default() };
    host.load(&with_voice(Some(&voice), &settings, Container::Clap))?;
    host.render_offline(a.fast)?;
    host.activate(RATE, BLOCK)?;
    let began = Instant::now();
    let ready =
        host.until(LOADING, |d| ours(d)["engine"]["state"] == "ready" && ours(d)["engine"]["captions_ready"] == true)?;
    let now = host.diagnostics()?;
    if !ready {
        return Err(format!(
            "the plugin was not ready after {} s: {}; run `mynah doctor`",
            LOADING.as_secs(),
            ours(&now)["problems"]
        )
        .into());
    }
    let latency = host.latency()?;
    let loading = began.elapsed().as_secs_f64();

    let frames = input[0].len();
    let padded = input.clone().map(|mut c| {
        c.resize(frames + latency + (TAIL * RATE as f64) as usize, 0.0);
        c
    });
    println!(
        "playing {:.1} s {} …",
        frames as f64 / RATE as f64,
        if a.fast { "as fast as it goes" } else { "in real time" }
    );
    let steal = Steal::watch();
    let played = host.play(&padded, !a.fast, |_, _| ())?;
    let stolen = steal.share();
    let worst_load = last_words(&mut host)?;
    let end = host.diagnostics()?;
    let words = transcript(&host.save()?)?.words().to_vec();
    drop(host);

    let converted =
        Sound { rate: RATE, channels: played.channels.iter().map(|c| c[latency..latency + frames].to_vec()).collect() };
    let files = leave(a, &converted, &words)?;
    let before = Sound { rate: RATE, channels: input.to_vec() };
    let likeness = measures::likeness(&voice, &before, &converted)?;
    let wer = said_in(a).map(|p| measures::wer_of_file(&p, &words)).transpose()?;
    let figures = Figures {
        latency,
        loading,
        played: &played,
        seconds: frames as f64 / RATE as f64,
        end: ours(&end),
        worst_load,
        stolen,
        wer,
        likeness,
    };
    let story = Story {
        before: before.mono(),
        after: converted.mono(),
        rate: RATE,
        title: format!(
            "{} in the voice of {}, {} mode, inside a CLAP host",
            stem(&a.input),
            stem(&a.reference),
            a.mode.name()
        ),
        figures: figures.line(),
        words,
    };
    let picture = a.output.join("report.png");
    report::draw(&picture, &story)?;
    tell(a, &figures, &story, &files, &picture);
    Ok(())
}

fn said_in(a: &Arguments) -> Option<PathBuf> {
    let own =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/transcripts").join(stem(&a.input)).with_extension("txt");
    a.transcript.clone().or_else(|| own.is_file().then_some(own))
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "voice".to_owned(), |s| s.to_string_lossy().into_owned())
}

/// The first instance in the plugin's report: this host has one.
fn ours(diagnostics: &serde_json::Value) -> &serde_json::Value {
    &diagnostics["instances"][0]
}

/// The recording at the host's rate, stereo.
fn recording(path: &Path, seconds: f64) -> HostResult<[Vec<f32>; 2]> {
    let mut sound = audio::read(path)?;
    let frames = (seconds.max(0.1) * sound.rate as f64) as usize;
    sound.channels.iter_mut().for_each(|c| c.truncate(frames));
    let at = |i: usize| resample_all(&sound.channels[i.min(sound.channels.len() - 1)], sound.rate, RATE);
    Ok([at(0), at(1)])
}

/// Waits until the recogniser has heard all and no word has come for a while. Gives the worst load: the plugin tells
/// each only once.
fn last_words(host: &mut ClapHost) -> HostResult<f64> {
    let (mut words, mut since, mut worst) = (u64::MAX, Instant::now(), 0.0f64);
    host.until(Duration::from_secs(120), |d| {
        let (now, behind) =
            (ours(d)["words"].as_u64().unwrap_or(0), ours(d)["engine"]["captions_behind"].as_f64().unwrap_or(0.0));
        if now != words || behind > 0.0 {
            (words, since) = (now, Instant::now());
        }
        worst = worst.max(ours(d)["worst_load"].as_f64().unwrap_or(0.0));
        since.elapsed() > SETTLED
    })?;
    Ok(worst)
}

fn leave(a: &Arguments, converted: &Sound, words: &[Word]) -> HostResult<[PathBuf; 3]> {
    let files = ["converted.wav", "captions.srt", "captions.vtt"].map(|name| a.output.join(name));
    write_wav(&files[0], converted)?;
    let cut = cues(words, &Style::netflix());
    write(&files[1], Format::Srt, words, &cut)?;
    write(&files[2], Format::Vtt, words, &cut)?;
    Ok(files)
}

struct Figures<'a> {
    latency: usize,
    loading: f64,
    played: &'a Played,
    seconds: f64,
    end: &'a serde_json::Value,
    worst_load: f64,
    /// Share of the processors' time that a virtual machine's host gave to others while it played.
    stolen: Option<f64>,
    wer: Option<measures::Wer>,
    likeness: measures::Likeness,
}

impl Figures<'_> {
    fn latency_ms(&self) -> f64 {
        self.latency as f64 / RATE as f64 * 1e3
    }

    /// Share of real time that converting takes: what a hop takes of its duration, as the plugin measures it.
    fn rtf(&self) -> f64 {
        self.end["engine"]["load"].as_f64().unwrap_or(f64::NAN)
    }

    fn late(&self) -> (u64, u64) {
        (self.end["engine"]["late_hops"].as_u64().unwrap_or(0), self.end["engine"]["hops"].as_u64().unwrap_or(0))
    }

    fn line(&self) -> String {
        let (late, hops) = self.late();
        let wer = self.wer.as_ref().map_or_else(String::new, |w| format!(" · WER {:.1} %", w.rate() * 1e2));
        format!(
            "latency {:.1} ms ({} samples) · RTF {:.2} · {late} of {hops} hops late · likeness to the target {:.2}, \
             was {:.2}{wer}",
            self.latency_ms(),
            self.latency,
            self.rtf(),
            self.likeness.after,
            self.likeness.before,
        )
    }
}

fn tell(a: &Arguments, f: &Figures, story: &Story, files: &[PathBuf], picture: &Path) {
    let (late, hops) = f.late();
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or(0.0)
    };
    println!();
    match &f.wer {
        Some(w) => {
            println!(
                "captions     {} words, WER {:.1} % ({} of {} words of the transcript so far)",
                story.words.len(),
                w.rate() * 1e2,
                w.errors,
                w.words
            )
        }
        None => println!("captions     {} words (no transcript to measure them against)", story.words.len()),
    }
    println!(
        "likeness     converted to target {:.3}, recording to target {:.3} (GE2E cosine)",
        f.likeness.after, f.likeness.before
    );
    println!("late hops    {late} of {hops}{}", steal_clause(f.stolen));
    println!("load         {:.2} of a hop's time, worst {:.2}", f.rtf(), f.worst_load);
    println!("latency      {:.1} ms, {} samples at {RATE} Hz in blocks of {BLOCK}", f.latency_ms(), f.latency);
    println!(
        "RTF          {:.2} for the voice; {:.1} s of sound took {:.1} s, after {:.1} s of loading",
        f.rtf(),
        f.seconds,
        f.played.took,
        f.loading
    );
    println!(
        "audio thread {:.1} µs a block (p50) of {:.0} µs",
        median(f.played.blocks.clone()) * 1e6,
        BLOCK as f64 / RATE as f64 * 1e6
    );
    if let Some(problems) = f.end["problems"].as_array().filter(|p| !p.is_empty()) {
        problems.iter().for_each(|p| println!("problem      {}", p.as_str().unwrap_or_default()));
    }
    println!();
    println!(
        "Mynah, loaded as a CLAP plugin, spoke {:.1} s of {} in the voice of {}, {}, and captioned it.",
        f.seconds,
        a.input.display(),
        a.reference.display(),
        if a.fast { format!("rendered in {:.1} s", f.played.took) } else { "in real time".to_owned() },
    );
    files.iter().map(PathBuf::as_path).chain([picture]).for_each(|p| println!("  {}", p.display()));
    println!(
        "To open it in a DAW: copy {} to {CLAP_FOLDER} (or add its folder to the DAW's CLAP paths), rescan, put Mynah \
         on a track",
        a.plugin.display()
    );
    println!(
        "with a voice, and choose {} as the reference in its window. Reaper, Bitwig and Qtractor load CLAP;",
        a.reference.display()
    );
    println!("other hosts take Mynah.vst3 from the same folder.");
}
