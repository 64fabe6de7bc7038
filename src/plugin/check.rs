//! What this machine holds, found out at a click on threads of their own: `engine::preflight` for an instance. Not for
//! the audio thread.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use super::instance::Instance;
use crate::engine::preflight::{Preflight, preflight_while};
use crate::runtime::Provider;

/// How a check stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Stage {
    /// None was asked for.
    #[default]
    Idle,
    /// So much is done, 0 to 1.
    Running(f64),
    /// What was found.
    Done(Box<Preflight>),
    /// One sentence on why nothing was.
    Failed(String),
}

/// The check of an instance. See the top of the file.
#[derive(Debug, Default)]
pub struct Check {
    stage: Mutex<Stage>,
}

impl Check {
    fn held(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// What was found holds no longer: another voice's model is used.
    pub fn forget(&self) {
        let mut stage = self.held();
        if !matches!(*stage, Stage::Running(_)) {
            *stage = Stage::Idle;
        }
    }

    /// How it stands.
    pub fn stage(&self) -> Stage {
        self.held().clone()
    }
}

/// Begins a check of all providers that are there, unless one is going on.
pub fn begin(instance: &Arc<Instance>) {
    let check = &instance.check;
    if matches!(*check.held(), Stage::Running(_)) {
        return;
    }
    let Some(source) = instance.source() else {
        *check.held() = Stage::Failed("the host has not started the sound; start it, then measure again".to_owned());
        return;
    };
    *check.held() = Stage::Running(0.0);
    let weak = Arc::downgrade(instance);
    let work = move || {
        let Some(instance) = weak.upgrade() else { return };
        let server = instance.params.provider.get().0.server().map(Provider::Remote);
        let providers: Vec<_> =
            Provider::ALL.into_iter().filter(|p| *p == Provider::Cpu || p.compiled_in()).chain(server).collect();
        let go_on = || !instance.ends().load(Ordering::Relaxed);
        let found =
            preflight_while(&*source, &providers, &go_on, &mut |done| *instance.check.held() = Stage::Running(done));
        *instance.check.held() = match found {
            Ok(found) => Stage::Done(Box::new(found)),
            Err(e) => Stage::Failed(e.to_string()),
        };
    };
    if let Err(e) = instance.spawn_model("mynah-check", work) {
        *check.held() = Stage::Failed(e.to_string());
    }
}
