//! What this machine holds, found out in seconds: how late the system wakes a thread, how long a hop takes in each mode
//! on each provider, and the smallest mode in which both fit. Knows no parameter and no window; whoever asks may
//! overrule it.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::measure::{Spread, hop_times};
use super::usage::Steal;
use super::voice_worker::panic_text;
use super::{OpenError, Source, priority};
use mynah_models::runtime::{Placement, Provider};
use mynah_realtime::clock::Mode;

/// Hops of each trial.
const HOPS: usize = 150;
/// How long wake-ups are watched, and how long each sleep is: what the voice worker does between hops.
const WATCH: Duration = Duration::from_millis(1500);
const SLEEP: Duration = Duration::from_micros(500);
/// Share of a hop's duration that computing it may take: the rest is for the host and for other plugins.
const SHARE: f64 = 0.6;

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preflight {
    /// How much later than asked the system wakes a thread of the worker's priority, in seconds.
    pub wake: Spread,
    /// Share of the processors' time that the host of a virtual machine gave to others meanwhile, where the system
    /// tells it.
    pub stolen: Option<f64>,
    /// Each mode on each provider that works, in the order of modes.
    pub trials: Vec<Trial>,
    /// One sentence for each provider that is compiled in but doesn't work.
    pub notes: Vec<String>,
}

/// A mode on a provider. Times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    /// Delay against quality.
    #[serde(serialize_with = "named")]
    pub mode: Mode,
    /// What computed it.
    pub provider: Provider,
    /// How long a hop lasts.
    pub budget: f64,
    /// How long after its last sample a hop must be converted: what the latency has room for.
    pub slack: f64,
    /// How long converting one takes.
    pub hop: Spread,
    /// What is left of the slack in 99 of 100 hops after the wake-up and the conversion; below 0 there is too little.
    pub margin: f64,
    /// Whether the machine holds the mode: something is left, and a hop takes at most 60 % of its duration.
    pub holds: bool,
    /// What the provider runs of the graph and what fell back; none for the processor, which runs all.
    pub placement: Option<Placement>,
}

fn named<S: serde::Serializer>(mode: &Mode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(mode.name())
}

impl Preflight {
    /// The smallest mode that holds, on the provider that leaves most; none where no mode does.
    pub fn choice(&self) -> Option<&Trial> {
        let holding = |mode| self.trials.iter().filter(move |t| t.mode == mode && t.holds);
        Mode::ALL.into_iter().find_map(|mode| holding(mode).max_by(|a, b| a.margin.total_cmp(&b.margin)))
    }
}

/// Measures on threads of its own, some seconds; `progress` is told how much is done, 0 to 1.
///
/// Fails only where not even the processor can run a mode.
pub fn preflight(
    source: &dyn Source,
    providers: &[Provider],
    progress: &mut dyn FnMut(f64),
) -> Result<Preflight, OpenError> {
    preflight_while(source, providers, &|| true, progress)
}

/// The same, for whoever may not wait to its end: it is given up before the next trial once `go_on` says no.
pub fn preflight_while(
    source: &dyn Source,
    providers: &[Provider],
    go_on: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(f64),
) -> Result<Preflight, OpenError> {
    measure(source, providers, HOPS, go_on, progress)
}

fn measure(
    source: &dyn Source,
    providers: &[Provider],
    hops: usize,
    go_on: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(f64),
) -> Result<Preflight, OpenError> {
    let steal = Steal::watch();
    let wake = wake_ups()?;
    let steps = (providers.len() * Mode::ALL.len() + 1) as f64;
    let mut found = Preflight { wake, stolen: None, trials: Vec::new(), notes: Vec::new() };
    progress(1.0 / steps);
    let (mut done, mut failed) = (1.0, None);
    for mode in Mode::ALL {
        for &provider in providers {
            if !go_on() {
                return Err(OpenError("the measurement was given up; start it again".to_owned()));
            }
            match raised(|| hop_times(source, mode, provider, hops, None)) {
                Ok(times) => {
                    let slack = source.slack(mode, provider);
                    let margin = slack - wake.p99 - times.hop.p99;
                    let holds = margin > 0.0 && times.hop.p99 <= SHARE * times.budget;
                    let placement = match provider {
                        Provider::Cpu => None,
                        // That the hops ran is what counts; where they ran is only told.
                        _ => raised(|| source.placement(mode, provider)).ok().flatten(),
                    };
                    found.trials.push(Trial {
                        mode,
                        provider,
                        budget: times.budget,
                        slack,
                        hop: times.hop,
                        margin,
                        holds,
                        placement,
                    });
                }
                Err(e) => {
                    found.notes.push(format!("{provider}: {e}"));
                    failed = Some(e);
                }
            }
            done += 1.0;
            progress(done / steps);
        }
    }
    found.notes.dedup();
    found.stolen = steal.share();
    match failed {
        Some(e) if found.trials.is_empty() => Err(e),
        _ => Ok(found),
    }
}

/// Sleeps again and again, and tells how late it woke.
fn wake_ups() -> Result<Spread, OpenError> {
    raised(|| {
        let (began, mut late) = (Instant::now(), Vec::new());
        while began.elapsed() < WATCH {
            let asleep = Instant::now();
            std::thread::sleep(SLEEP);
            late.push(asleep.elapsed().saturating_sub(SLEEP).as_secs_f64());
        }
        Ok(Spread::of(&late))
    })
}

/// Does something at the priority that the voice worker has, on a thread of its own, whose priority ends with it.
fn raised<T: Send>(what: impl FnOnce() -> Result<T, OpenError> + Send) -> Result<T, OpenError> {
    let run = || {
        priority::raise(priority::WORKER);
        what()
    };
    let failed =
        |why: String| OpenError(format!("the measurement could not run: {why}; close other programs and try again"));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, run).map_err(|e| failed(e.to_string()))?;
        thread.join().unwrap_or_else(|panic| Err(failed(panic_text(&*panic))))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::IdentitySource;
    use super::*;
    use std::sync::atomic::Ordering;

    fn fly(stall_ms: u32) -> Preflight {
        let source = IdentitySource::default();
        source.faults.stall_ms.store(stall_ms, Ordering::Relaxed);
        measure(&source, &[Provider::Cpu], 10, &|| true, &mut |_| {}).expect("measured")
    }

    #[test]
    fn a_quick_converter_holds_the_smallest_mode() {
        let mut told = Vec::new();
        let found = preflight(&IdentitySource::default(), &[Provider::Cpu], &mut |x| told.push(x)).expect("measured");
        assert!(found.wake.max > 0.0 && found.trials.len() == 3 && found.notes.is_empty());
        assert_eq!(found.stolen.is_some(), cfg!(target_os = "linux"));
        assert!(told.is_sorted() && told.last() == Some(&1.0), "{told:?}");
        // A crowded machine may wake threads so late that no mode is safe: then that is what is said.
        let safe = found.trials.iter().find(|t| t.slack > found.wake.p99 + t.hop.p99);
        assert_eq!(found.choice().map(|t| t.mode), safe.map(|t| t.mode), "{found:?}");
    }

    #[test]
    fn it_can_be_given_up() {
        let given_up = preflight_while(&IdentitySource::default(), &[Provider::Cpu], &|| false, &mut |_| {});
        assert!(given_up.is_err_and(|e| e.to_string().contains("given up")));
    }

    #[test]
    fn a_slow_converter_needs_a_larger_mode_or_has_none() {
        let found = fly(7);
        assert!(found.trials[0].hop.p50 >= 0.007 && !found.trials[0].holds, "{found:?}");
        assert!(found.choice().is_none_or(|t| t.mode != Mode::Live));
        assert_eq!(fly(10).choice(), None);
    }
}
