//! The thread that keeps a copy of an instance's captions on disk, so that a host that crashes loses no more than
//! seconds. A disk that is full or hangs costs nothing but the copy.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::diary::Diary;
use super::host;
use super::instance::Instance;
use crate::engine::journal;
use crate::packs;
use crate::subtitles::transcript::sidecar::Sidecar;

/// The thread's name.
pub const NAME: &str = "mynah-keeper";
/// How often it looks; it is woken for the end.
const LOOK: Duration = Duration::from_millis(500);

static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Keeps copies in another folder than the user's, for all instances whose sound is started from now on. For hosts of
/// one's own and tests.
pub fn use_folder(folder: PathBuf) {
    *FOLDER.lock().unwrap_or_else(|e| e.into_inner()) = Some(folder);
}

/// Where copies are kept: `captions` in the user's data folder. None where this machine tells no home.
pub fn folder() -> Option<PathBuf> {
    let given = FOLDER.lock().unwrap_or_else(|e| e.into_inner()).clone();
    given.or_else(|| packs::user_folder().map(|home| home.join("captions")))
}

/// The thread: ends with the instance, after a last look.
pub fn run(instance: &std::sync::Weak<Instance>) {
    let Some(folder) = folder() else { return };
    let Some((id, mut sidecar)) = instance.upgrade().map(|i| (i.id, Sidecar::new(&folder, i.id, edition(&i)))) else {
        return;
    };
    let mut diary = Diary::default();
    let (version, system) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS);
    journal::note(&format!("instance {id}: Mynah {version} in {}, {system}", host::name()));
    while let Some(instance) = instance.upgrade() {
        let last = instance.ends().load(Ordering::Relaxed);
        for line in diary.lines(instance.id, &instance.readings(), Instant::now()) {
            journal::note(&line);
        }
        journal::flush();
        look(&instance, &mut sidecar, last);
        if last {
            journal::note(&format!("instance {} ends", instance.id));
            return;
        }
        drop(instance);
        std::thread::park_timeout(LOOK);
    }
}

fn edition(instance: &Instance) -> u64 {
    instance.transcript().lock().unwrap_or_else(|e| e.into_inner()).edition()
}

fn look(instance: &Arc<Instance>, sidecar: &mut Sidecar, last: bool) {
    let loaded = instance.params.words.loaded();
    let board = instance.transcript();
    let transcript = {
        let held = board.lock().unwrap_or_else(|e| e.into_inner());
        if held.edition() == loaded || instance.params.no_copy.get().0 {
            sidecar.has(held.edition());
        }
        if !sidecar.is_due(held.edition(), Instant::now(), last) {
            return;
        }
        held.clone()
    };
    // Written without the board, which the caption worker waits for.
    let written = sidecar.write(&transcript);
    instance.tell_copy(match written {
        Ok(()) => sidecar.began().then(|| Ok(sidecar.path().to_owned())),
        Err(e) => Some(Err(e.to_string())),
    });
}
