//! `mynah doctor`: what this machine has and lacks, each finding with its remedy.

use clap::Args;
use cpal::traits::{DeviceTrait, HostTrait};
use serde::Serialize;

use mynah::clock::Mode;
use mynah::engine::PackSource;
use mynah::engine::journal;
use mynah::engine::preflight::{Trial, preflight};
use mynah::engine::usage::steal_sentence;
use mynah::packs::{Kind, Pack, Store, catalogue};
use mynah::plugin::keeper;
use mynah::runtime::{self, Provider, Session, SessionOptions};
use mynah::subtitles::transcript::sidecar;
use mynah::voice::library::Library;

use super::terminal::{Failure, Outcome, bar, say, say_json};

/// What `doctor` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// One text to paste into a bug report: the findings, the system, and the end of the plugin's log
    #[arg(long, conflicts_with = "json")]
    report: bool,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    /// As it should be.
    Ok,
    /// Mynah works without it.
    Note,
    /// Mynah does not work like this.
    Bad,
}

/// All of it, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    findings: &'a [Finding],
}

#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    grade: Grade,
    found: String,
    /// What to do; none where nothing is to be done.
    remedy: Option<String>,
}

impl Finding {
    fn ok(what: &str, found: impl Into<String>) -> Self {
        Self { what: what.to_owned(), grade: Grade::Ok, found: found.into(), remedy: None }
    }

    fn amiss(what: &str, grade: Grade, found: impl Into<String>, remedy: &str) -> Self {
        Self { what: what.to_owned(), grade, found: found.into(), remedy: Some(remedy.to_owned()) }
    }
}

/// Without a pack of these kinds something that Mynah is for does not work.
const NEEDED: [(Kind, &str); 5] = [
    (Kind::Runtime, "run any model"),
    (Kind::Voice, "convert"),
    (Kind::Speaker, "enrol a voice"),
    (Kind::Vad, "enrol a voice or caption"),
    (Kind::Captions, "caption"),
];

/// Runs it.
pub fn run(a: &Arguments) -> Outcome {
    let store = Store::standard();
    let mut findings = vec![library(&store)];
    findings.extend(packs(&store)?);
    findings.extend(needed(&store));
    findings.extend(providers(&store));
    findings.extend(devices());
    findings.push(processors());
    timing(&mut findings);
    findings.extend(timbres());
    findings.push(captions_copies());
    findings.push(log());
    if a.report {
        say(&format!("Mynah {} on {} ({})", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH))?;
    }
    if a.json {
        say_json(&Listed { findings: &findings })?;
    } else {
        let width = findings.iter().map(|f| f.what.chars().count()).max().unwrap_or(0);
        for f in &findings {
            let sign = match f.grade {
                Grade::Ok => "ok  ",
                Grade::Note => "note",
                Grade::Bad => "BAD ",
            };
            say(&format!("{sign}  {:width$}  {}", f.what, f.found))?;
            if let Some(remedy) = &f.remedy {
                say(&format!("      {:width$}  → {remedy}", ""))?;
            }
        }
    }
    if a.report
        && let Some(path) = journal::file()
    {
        let end = journal::tail(&path, LOGGED).unwrap_or_else(|e| format!("it can't be read: {e}"));
        say(&format!("\nThe end of {}:\n{end}", path.display()))?;
    }
    match findings.iter().filter(|f| f.grade == Grade::Bad).count() {
        0 => Ok(()),
        n => Err(Failure::Other(format!("{n} findings keep Mynah from working here; each names its remedy above"))),
    }
}

/// Lines of the log in a report.
const LOGGED: usize = 80;

/// Where the plugin's log lies.
fn log() -> Finding {
    match journal::file() {
        None => Finding::amiss(
            "log",
            Grade::Note,
            "this machine tells no home, so there is none",
            "set MYNAH_HOME to a folder",
        ),
        Some(path) if path.is_file() => Finding::ok("log", format!("{} (no sound, no words)", path.display())),
        Some(path) => Finding::ok("log", format!("{}, once a plugin or the standalone has run", path.display())),
    }
}

fn library(store: &Store) -> Finding {
    let what = "ONNX Runtime";
    let remedy = "run `mynah models fetch onnxruntime`";
    match store.runtime_library() {
        Err(e) => Finding::amiss(what, Grade::Bad, e.to_string(), remedy),
        Ok(path) => match runtime::init(&path) {
            Err(e) => Finding::amiss(what, Grade::Bad, e.to_string(), remedy),
            Ok(()) => {
                let version = runtime::version().unwrap_or_else(|| "of unknown version".to_owned());
                Finding::ok(what, format!("{version}, hash right, {}", path.display()))
            }
        },
    }
}

fn packs(store: &Store) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let mut here = Vec::new();
    for pack in store.list() {
        let id = pack.as_ref().ok().map(|p| p.id().to_owned());
        let checked = pack.and_then(|p| p.verify().map(|()| p));
        let what = id.as_ref().map_or_else(|| "a pack".to_owned(), |id| format!("pack {id}"));
        here.extend(id);
        findings.push(match checked {
            Ok(pack) => Finding::ok(&what, format!("{}, whole, {}", pack.kind(), pack.folder().display())),
            Err(e) => Finding::amiss(
                &what,
                Grade::Note,
                e.to_string(),
                "fetch it again with `mynah models fetch`, or remove its folder",
            ),
        });
    }
    for manifest in catalogue()?.iter().filter(|m| !here.iter().any(|id| *id == *m.id)) {
        let remedy = format!("run `mynah models fetch {}`", manifest.id);
        findings.push(Finding::amiss(&format!("pack {}", manifest.id), Grade::Note, "not here", &remedy));
    }
    Ok(findings)
}

/// What is missing altogether.
fn needed(store: &Store) -> Vec<Finding> {
    let lacking = NEEDED.iter().filter_map(|&(kind, purpose)| store.find(kind, None).err().map(|e| (kind, purpose, e)));
    lacking
        .map(|(kind, purpose, e)| {
            let what = format!("kind {kind}");
            Finding::amiss(
                &what,
                Grade::Bad,
                format!("without it Mynah can't {purpose}: {e}"),
                "run `mynah models fetch --all`",
            )
        })
        .collect()
}

/// Whether a provider is usable is only known from loading a model on it: the smallest.
fn providers(store: &Store) -> Vec<Finding> {
    // The voice's own graph where there is one: not every provider takes every graph, and the voice is what it would
    // compute.
    let voice = PackSource::standard().voice_graph(Mode::Live).ok().flatten();
    let model = voice.or_else(|| store.find(Kind::Vad, None).ok().and_then(|pack| first_model(&pack)));
    let mut findings = Vec::new();
    for provider in Provider::ALL {
        let what = format!("provider {provider}");
        if !provider.compiled_in() {
            findings.push(Finding::amiss(
                &what,
                Grade::Note,
                "not in this library",
                "use cpu, or a runtime pack that has it",
            ));
            continue;
        }
        let Some(model) = &model else {
            findings.push(Finding::amiss(
                &what,
                Grade::Note,
                "in the library, not tried",
                "fetch the pack mynah-voice or silero-vad to try it",
            ));
            continue;
        };
        findings.push(match Session::load(model, &SessionOptions { provider, threads: 1 }) {
            Ok(_) => Finding::ok(&what, "usable"),
            Err(e) => Finding::amiss(&what, Grade::Note, e.to_string(), "use cpu, or install what the message names"),
        });
    }
    findings
}

fn first_model(pack: &Pack) -> Option<std::path::PathBuf> {
    let name = pack.manifest().installed().map(|(name, _)| name.to_string()).find(|name| name.ends_with(".onnx"))?;
    pack.file(&name).ok()
}

fn devices() -> Vec<Finding> {
    let host = cpal::default_host();
    let system = host.id().name();
    let name = |d: cpal::Device| {
        d.description().map_or_else(|_| "a device without a name".to_owned(), |d| d.name().to_owned())
    };
    let remedy = "plug one in or start the sound server; plugins and files need none";
    [("sound input", host.default_input_device()), ("sound output", host.default_output_device())]
        .into_iter()
        .map(|(what, device)| match device {
            Some(device) => Finding::ok(what, format!("{} ({system})", name(device))),
            None => Finding::amiss(what, Grade::Note, format!("none ({system})"), remedy),
        })
        .collect()
}

fn processors() -> Finding {
    match std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
        1 => {
            Finding::amiss("processors", Grade::Note, "1", "captions and voice share it: watch the load in the editor")
        }
        n => Finding::ok("processors", n.to_string()),
    }
}

/// Enrolled voices whose timbre the voice pack in use can't read; nothing to say without voices or without the pack.
fn timbres() -> Option<Finding> {
    let model = PackSource::standard().timbre_model()?;
    let voices = Library::standard().list().ok().filter(|v| !v.is_empty())?;
    let what = "voices";
    let without: Vec<_> =
        voices.iter().filter(|v| v.timbre_of(&model).is_none()).map(|v| format!("`{}`", v.name)).collect();
    Some(if without.is_empty() {
        Finding::ok(what, format!("{}, all with their timbre", voices.len()))
    } else {
        let found =
            format!("{} of {} have no timbre for this voice pack: {}", without.len(), voices.len(), without.join(", "));
        Finding::amiss(
            what,
            Grade::Note,
            found,
            "they work; enrol them again with `mynah voices enrol` and they come closer",
        )
    })
}

/// Where plugins keep copies of their captions.
fn captions_copies() -> Finding {
    let what = "captions kept";
    let Some(folder) = keeper::folder() else {
        let remedy = "set MYNAH_HOME to a folder; projects keep their captions all the same";
        return Finding::amiss(what, Grade::Note, "no copies: this machine tells no home folder", remedy);
    };
    let copies = sidecar::copies(&folder);
    let newest =
        copies.last().and_then(|p| p.file_name()).map(|name| format!(", the newest {}", name.to_string_lossy()));
    Finding::ok(
        what,
        format!(
            "{} of {} copies in {}{}",
            copies.len(),
            sidecar::MOST_COPIES,
            folder.display(),
            newest.unwrap_or_default()
        ),
    )
}

/// What the machine holds: wake-ups, each mode on each provider that works, and the smallest mode that is safe.
fn timing(findings: &mut Vec<Finding>) {
    let usable: Vec<Provider> = Provider::ALL.into_iter().filter(|p| p.compiled_in()).collect();
    let bar = bar(100, "measuring {wide_bar} {percent} %");
    let found = preflight(&PackSource::standard(), &usable, &mut |done| bar.set_position((done * 100.0) as u64));
    bar.finish_and_clear();
    let found = match found {
        Ok(found) => found,
        Err(e) => {
            return findings.push(Finding::amiss(
                "timing",
                Grade::Note,
                format!("not measured: {e}"),
                "see the findings above",
            ));
        }
    };
    let ms = 1e3;
    let wake = format!("{:.2} ms late (p99), {:.2} ms at worst", found.wake.p99 * ms, found.wake.max * ms);
    findings.push(Finding::ok("wake-ups", wake));
    if let Some(stolen) = found.stolen.and_then(steal_sentence) {
        findings.push(Finding::amiss(
            "stolen time",
            Grade::Note,
            stolen,
            "expect late hops, however idle it is; studio has the most room for them",
        ));
    }
    for trial in &found.trials {
        findings.push(judge(trial));
        if let Some(placement) = &trial.placement {
            findings
                .push(Finding::ok(&format!("nodes {} on {}", trial.mode.name(), trial.provider), placement.sentence()));
        }
    }
    findings.extend(
        found
            .notes
            .iter()
            .map(|note| Finding::amiss("timing", Grade::Note, note, "use cpu, or install what the message names")),
    );
    findings.push(match found.choice() {
        Some(t) => Finding::ok(
            "mode",
            format!("{} on {} holds, with {:.1} ms to spare", t.mode.name(), t.provider, t.margin * ms),
        ),
        None => Finding::amiss(
            "mode",
            Grade::Note,
            format!("none is safe{}", unoptimised()),
            "close other programs, or use studio and watch the late hops",
        ),
    });
}

fn unoptimised() -> &'static str {
    if cfg!(debug_assertions) { "; this is no optimised build" } else { "" }
}

fn judge(t: &Trial) -> Finding {
    let what = format!("timing {} on {}", t.mode.name(), t.provider);
    let (hop, ms) = (&t.hop, 1e3);
    let times =
        format!("a hop takes {:.2} ms (p50), {:.2} ms (p99) of {:.0} ms", hop.p50 * ms, hop.p99 * ms, t.budget * ms);
    let found = format!("{times}; {:.1} of {:.1} ms to spare", t.margin * ms, t.slack * ms);
    if t.holds {
        return Finding::ok(&what, found);
    }
    let grade = if hop.p50 < t.budget { Grade::Note } else { Grade::Bad };
    Finding::amiss(
        &what,
        grade,
        format!("{found}{}", unoptimised()),
        "close other programs, or choose a mode or machine with more time a hop",
    )
}
