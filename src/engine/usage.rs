//! What the system tells of memory and processors, where it is Linux: of this process, and of what a virtual machine
//! never got. Prints nothing.

/// Share of the processors' time from which on it is worth saying that the host took it.
const WORTH_SAYING: f64 = 0.005;

/// Resident memory of this process in KiB, where the system tells it.
pub(super) fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

/// What this process has used of processors, in seconds; none where the system doesn't tell.
pub(super) fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may hold anything; user and system time are the 12th and 13th field behind it, in ticks of
    // 1/100 s (proc(5)).
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11..13)?.iter().map(|f| f.parse::<u64>().unwrap_or(0)).sum();
    Some(ticks as f64 / 100.0)
}

/// Watches how much of a virtual machine's processors its host gives to others: steal time. No priority helps against
/// it, and hops come late by it.
#[derive(Debug, Clone, Copy)]
pub struct Steal(Option<Ticks>);

/// Time of all processors since the system began, in ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ticks {
    all: u64,
    stolen: u64,
}

impl Steal {
    /// Begins to watch.
    pub fn watch() -> Self {
        Self(now())
    }

    /// Share of the processors' time that was stolen since then, 0 to 1; none where the system doesn't tell.
    pub fn share(&self) -> Option<f64> {
        let (began, ended) = (self.0?, now()?);
        let [all, stolen] = [ended.all.saturating_sub(began.all), ended.stolen.saturating_sub(began.stolen)];
        (all > 0).then(|| stolen as f64 / all as f64)
    }
}

/// What a person reads of such a share; none where it is nothing to speak of.
pub fn steal_sentence(share: f64) -> Option<String> {
    (share >= WORTH_SAYING).then(|| {
        format!("the host of this virtual machine kept {:.1} % of its processors' time from it", share * 100.0)
    })
}

/// The same as the end of a line; empty where it is nothing to speak of or nobody tells.
pub fn steal_clause(share: Option<f64>) -> String {
    share.and_then(steal_sentence).map_or_else(String::new, |sentence| format!("; {sentence}"))
}

fn now() -> Option<Ticks> {
    ticks_in(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// Of the line of all processors: user, nice, system, idle, iowait, irq, softirq, steal; the guests' behind them are in
/// the users' already (proc_stat(5)).
fn ticks_in(stat: &str) -> Option<Ticks> {
    let fields = stat.lines().find_map(|l| l.strip_prefix("cpu "))?.split_whitespace().take(8);
    let ticks: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
    Some(Ticks { all: ticks.iter().sum(), stolen: *ticks.get(7)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_the_eighth_of_the_line_of_all_processors() {
        let stat = "cpu  60 40 10 800 5 0 1 84 30 20\ncpu0 30 20 5 400 2 0 0 42 15 10\nintr 5\n";
        assert_eq!(ticks_in(stat), Some(Ticks { all: 1000, stolen: 84 }));
        for other in ["", "cpu  1 2 3\n", "cpu  1 2 3 4 5 6 7 x\n", "cpu0 1 2 3 4 5 6 7 8\n"] {
            assert_eq!(ticks_in(other), None, "{other}");
        }
    }

    #[test]
    fn what_was_stolen_is_a_share_and_little_of_it_is_not_told() {
        let watch = Steal::watch();
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(watch.share().is_some(), cfg!(target_os = "linux"));
        assert!(watch.share().is_none_or(|share| (0.0..=1.0).contains(&share)));
        assert_eq!(steal_sentence(0.004), None);
        assert!(steal_sentence(0.036).is_some_and(|s| s.contains("3.6 %")));
        assert!(steal_clause(Some(0.036)).starts_with("; the host"));
        assert_eq!([steal_clause(Some(0.004)), steal_clause(None)], ["", ""]);
    }
}
