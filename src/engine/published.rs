//! A published model from the hub to a pack: its files are fetched, told apart as any folder of files is, and installed
//! whole. Not for the audio thread; knows no window and prints nothing.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::identify::{Identified, Origin, from_hub};
use super::pack_source::PackSource;
use super::source::OpenError;
use mynah_models::exit::Inside;
use mynah_models::packs::fetch::{FetchError, Progress, done_with, fetch_while, gather};
use mynah_models::packs::listed::{Listing, Trust};
use mynah_models::packs::{Kind, Pack, PackError, claims};

/// A published model that is here now.
#[derive(Debug)]
pub struct Had {
    /// The pack.
    pub pack: Pack,
    /// What its files told.
    pub found: Identified,
    /// How well its bytes are known to be the right ones.
    pub trust: Trust,
}

/// Why a published model can't be had. What has arrived of it stays, and the next try goes on there.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its files are no model that Mynah runs.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its manifest can't be made or read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Another pack of that name is there.
    #[error(
        "a pack `{id}` is there already ({what}, in `{folder}`); remove that folder, or give the model another id in \
         catalogue.toml"
    )]
    Taken {
        /// The name.
        id: String,
        /// What is there.
        what: String,
        /// Where it lies.
        folder: PathBuf,
    },
    /// It is something else than the list says.
    #[error("`{id}` is listed as a {listed} pack, but its files are one of {found}")]
    Kind {
        /// Its name.
        id: String,
        /// What the list says.
        listed: Kind,
        /// What its files say.
        found: Kind,
    },
}

/// Fetches a published model into a folder of packs, as long as `progress` goes on with it. With `offline`, only what
/// has arrived already counts. Takes minutes.
pub fn fetch_published(
    listing: &Listing,
    into: &Path,
    offline: bool,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Had, PublishedError> {
    claims::free(&listing.id)?;
    let home = into.join(&*listing.id);
    // One from the same repository is gone on with; another is somebody's own.
    if let Ok(there) = Pack::load(&home)
        && !there.manifest().origin.starts_with(&format!("{} at ", from_hub(listing)))
    {
        let what = there.manifest().title.clone();
        return Err(PublishedError::Taken { id: listing.id.to_string(), what, folder: home });
    }
    let (folder, trust) = gather(listing, into, offline, progress)?;
    let found = {
        let _inside = Inside::unless_over().ok_or(FetchError::Cancelled)?;
        PackSource::standard().identify(&folder)?
    };
    if found.kind != listing.kind {
        return Err(PublishedError::Kind { id: listing.id.to_string(), listed: listing.kind, found: found.kind });
    }
    let manifest = found.meant(&listing.id, &listing.licence, &folder, &Origin::Hub(listing, trust))?;
    let pack = fetch_while(&manifest, into, true, progress)?;
    done_with(&folder)?;
    Ok(Had { pack, found, trust })
}
