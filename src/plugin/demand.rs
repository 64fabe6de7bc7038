//! What a person would click in the window, begun on demand, for tests that load the library as a host does: no host
//! can click. Debug builds alone have it.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;
use std::sync::Arc;

use super::instance::{Instance, live};
use super::{audition, check, closeness, enrolment, models};
use crate::packs::listed::listings;
use crate::voice::library::{CONSENT, Consent, Library, now};

/// Begins something for each live instance: `fetch ID`, `enrol FILE`, `check`, `closeness`, or `audition` of the voice
/// that is chosen. Tells whether it could.
///
/// # Safety
/// `what` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mynah_demand(what: *const c_char) -> bool {
    // SAFETY: the caller gives a string that ends with 0.
    let what = unsafe { CStr::from_ptr(what) }.to_string_lossy().into_owned();
    live().iter().all(|instance| begin(instance, &what).is_some())
}

fn begin(instance: &Arc<Instance>, what: &str) -> Option<()> {
    match what.split_once(' ').unwrap_or((what, "")) {
        ("fetch", id) => models::fetch(instance, listings().ok()?.iter().find(|l| *l.id == *id)?),
        ("enrol", file) => {
            let consent = Consent { words: CONSENT.to_owned(), given: now() };
            let origin = enrolment::Origin::File(PathBuf::from(file));
            enrolment::begin(
                instance,
                enrolment::Order { name: "Somebody".to_owned(), origin, consent, library: Library::standard() },
            );
        }
        ("check", _) => check::begin(instance),
        ("closeness", _) => closeness::opened(instance),
        ("audition", _) => audition::click(instance, &instance.params.target.get().0?),
        _ => return None,
    }
    Some(())
}
