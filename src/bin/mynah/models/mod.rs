//! `mynah models`: the packs of this machine, and those that can be had. How they are had stands in [`get`].

mod get;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use mynah::names::did_you_mean;
use mynah::packs::listed::{Listing, forbids_commerce, licence_in_words, listings};
use mynah::packs::{self, Kind, LookAhead, Manifest, Pack, PackError, Store, catalogue, runtimes};

use super::terminal::{Failure, Outcome, say, say_json};

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
    /// Fetch packs that Mynah knows by name: its own parts, or published models from the model hub
    Fetch(get::FetchArguments),
    /// Take a model of one's own: from a folder with a pack.toml, or from any folder with the files of a family that
    /// Mynah knows
    Add(get::AddArguments),
    /// Choose the pack that captions are made with, that voices are made with, or that computes, from now on
    Use {
        /// Its id; without it Mynah's own of all kinds
        pack: Option<String>,
        /// Also where its licence forbids commerce: what is made with it earns no money
        #[arg(long)]
        non_commercial: bool,
    },
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
    /// None for a published model: it is told from its files once they are here.
    family: Option<String>,
    title: String,
    rate: Option<u32>,
    hop: Option<usize>,
    look_ahead: Option<LookAhead>,
    painting_steps: Option<u8>,
    licence: String,
    origin: String,
    /// Where it lies; none for one that can be fetched.
    folder: Option<PathBuf>,
    /// What a published model has to be fetched, to the byte or rounded, where that is known.
    bytes: Option<u64>,
    #[serde(skip)]
    size: Option<String>,
    /// What is worth knowing of a published model before it is fetched.
    note: Option<String>,
    files: Vec<ShownFile>,
}

#[derive(Debug, Serialize)]
struct ShownFile {
    name: String,
    /// None where nobody published it.
    sha256: Option<String>,
}

impl Shown {
    fn new(m: &Manifest, folder: Option<&Path>) -> Self {
        Self {
            id: m.id.to_string(),
            kind: m.kind.name(),
            family: Some(m.family.clone()),
            title: m.title.clone(),
            rate: m.rate,
            hop: m.hop,
            look_ahead: m.look_ahead,
            painting_steps: m.painting_steps,
            licence: m.licence.clone(),
            origin: m.origin.clone(),
            folder: folder.map(Path::to_owned),
            bytes: None,
            size: None,
            note: None,
            files: m
                .installed()
                .map(|(name, sha256)| ShownFile { name: name.to_string(), sha256: Some(sha256.to_string()) })
                .collect(),
        }
    }

    fn published(l: &Listing) -> Self {
        let file = |f: &packs::listed::ListedFile| ShownFile {
            name: f.name.to_string(),
            sha256: f.sha256.as_ref().map(ToString::to_string),
        };
        Self {
            id: l.id.to_string(),
            kind: l.kind.name(),
            family: None,
            title: l.title.clone(),
            rate: None,
            hop: None,
            look_ahead: None,
            painting_steps: None,
            licence: l.licence.clone(),
            origin: format!("model hub, {} at {}; {}", l.hub, l.revision, l.trust().words()),
            folder: None,
            bytes: l.bytes(),
            size: l.size(),
            note: l.note.clone(),
            files: l.files.iter().map(file).collect(),
        }
    }

    /// What to do about a pack that isn't here, with what it costs.
    fn elsewhere(&self) -> String {
        match (&self.family, &self.size) {
            (Some(_), _) => "not here; fetch it".to_owned(),
            (None, Some(size)) => format!("published, {size}, {}; fetch it", licence_in_words(&self.licence)),
            (None, None) => format!("published, {}; fetch it", licence_in_words(&self.licence)),
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
        Command::Fetch(a) => get::fetch_wanted(a),
        Command::Add(a) => get::add(a),
        Command::Use { pack, non_commercial } => choose(&store, pack.as_deref(), *non_commercial),
    }
}

/// What is known of packs.
struct Known {
    here: Vec<Pack>,
    /// Why a folder of a pack can't be read.
    broken: Vec<PackError>,
    /// Those of the catalogue that are not here.
    elsewhere: Vec<Manifest>,
    /// The published models that are not here.
    published: Vec<Listing>,
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
        let elsewhere =
            catalogue()?.into_iter().chain(runtimes()?).filter(|m| here.iter().all(|p| p.id() != &*m.id)).collect();
        let published = listings()?.into_iter().filter(|l| here.iter().all(|p| p.id() != &*l.id)).collect();
        Ok(Self { here, broken, elsewhere, published })
    }
}

fn list(store: &Store, json: bool) -> Outcome {
    let Known { here, broken, elsewhere, published } = Known::of(store)?;
    broken.iter().for_each(|e| eprintln!("mynah: {e}"));
    let installed = here.iter().map(|p| Shown::new(p.manifest(), Some(p.folder())));
    let shown: Vec<_> = installed
        .chain(elsewhere.iter().map(|m| Shown::new(m, None)))
        .chain(published.iter().map(Shown::published))
        .collect();
    if json {
        return say_json(&Listed { packs: &shown });
    }
    let width = shown.iter().map(|s| s.id.len()).max().unwrap_or(0);
    for s in &shown {
        let place = s.folder.as_ref().map_or_else(|| s.elsewhere(), |f| f.display().to_string());
        say(&format!("{:width$}  {:10}  {}  ({place})", s.id, s.kind, s.title))?;
    }
    Ok(())
}

fn info(store: &Store, id: &str, json: bool) -> Outcome {
    let Known { here, elsewhere, published, .. } = Known::of(store)?;
    let installed = here.iter().find(|p| p.id() == id).map(|p| Shown::new(p.manifest(), Some(p.folder())));
    let known = || elsewhere.iter().find(|m| &*m.id == id).map(|m| Shown::new(m, None));
    let listed = || published.iter().find(|l| &*l.id == id).map(Shown::published);
    let Some(shown) = installed.or_else(known).or_else(listed) else {
        let ids =
            here.iter().map(Pack::id).chain(elsewhere.iter().map(|m| &*m.id)).chain(published.iter().map(|l| &*l.id));
        return Err(unknown(id, ids));
    };
    if json {
        return say_json(&shown);
    }
    let or_none = |n: Option<String>| n.unwrap_or_else(|| "none".to_owned());
    say(&format!("{}: {}", shown.id, shown.title))?;
    match &shown.family {
        Some(family) => {
            say(&format!("kind {}, family {family}", shown.kind))?;
            say(&format!(
                "rate {}, hop {}, look-ahead {}",
                or_none(shown.rate.map(|r| format!("{r} Hz"))),
                or_none(shown.hop.map(|h| h.to_string())),
                or_none(
                    shown.look_ahead.map(|l| format!("{} live, {} balanced, {} studio", l.live, l.balanced, l.studio))
                ),
            ))?;
            if let Some(steps) = shown.painting_steps {
                say(&format!("paints its frames in {steps} {}", if steps == 1 { "step" } else { "steps" }))?;
            }
        }
        None => say(&format!("kind {}; its family is told from its files once they are here", shown.kind))?,
    }
    say(&format!("{}; {}", licence_in_words(&shown.licence), shown.origin))?;
    if let Some(note) = &shown.note {
        say(note)?;
    }
    say(&shown
        .folder
        .as_ref()
        .map_or_else(|| format!("not here: mynah models fetch {id}"), |f| format!("in {}", f.display())))?;
    for file in &shown.files {
        say(&format!("{}  {}", file.sha256.as_deref().unwrap_or("unverified"), file.name))?;
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
        (bad, seen, _) => Err(Failure::Other(format!(
            "{bad} of {seen} packs are not whole; fetch them again with `mynah models fetch`"
        ))),
    }
}

fn choose(store: &Store, id: Option<&str>, non_commercial: bool) -> Outcome {
    let Some(id) = id else {
        for kind in CHOSEN {
            packs::choose(kind, None)?;
        }
        return say("Mynah's own packs are used again");
    };
    let found = store.list().into_iter().flatten().find(|pack| pack.id() == id);
    let kind = found.map_or(Kind::Captions, |pack| pack.kind());
    if !CHOSEN.contains(&kind) {
        return Err(Failure::Other(format!(
            "`{id}` is a {kind} pack, of which there is nothing to choose; choose a voice, a captions or a runtime pack"
        )));
    }
    let pack = store.find(kind, Some(id))?;
    let licence = &pack.manifest().licence;
    may_be_used(licence, non_commercial)?;
    packs::choose(kind, Some(id))?;
    say(&format!(
        "{} are made with {}: {}; {}",
        made_with(kind),
        pack.id(),
        pack.manifest().title,
        licence_in_words(licence)
    ))
}

/// The kinds of which one may be chosen.
const CHOSEN: [Kind; 3] = [Kind::Voice, Kind::Captions, Kind::Runtime];

/// What is made with a pack of a kind that may be chosen.
fn made_with(kind: Kind) -> &'static str {
    match kind {
        Kind::Voice => "voices",
        Kind::Captions => "captions",
        _ => "all results",
    }
}

/// An error where a licence forbids commerce and nobody said that none is meant.
fn may_be_used(licence: &str, non_commercial: bool) -> Outcome {
    if forbids_commerce(licence) && !non_commercial {
        let why = format!(
            "the licence {licence} forbids commercial use; add --non-commercial where what you make with it earns no \
             money"
        );
        return Err(Failure::Other(why));
    }
    Ok(())
}
