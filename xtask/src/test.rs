//! Every check, one after the other; a failed one doesn't stop the rest. The last line counts them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{Profile, cargo, checked, say, shown};
use crate::{bundle, hosts, setup, space};

/// How many checks held and how many didn't.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// The last line; an error where a check failed.
    fn tell(self) -> Result<()> {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed > 0 {
            bail!("not every check held; what failed stands above");
        }
        Ok(())
    }

    /// Counts a check that is one by itself.
    fn one(&mut self, name: &str, done: Result<()>) {
        match done {
            Ok(()) => self.passed += 1,
            Err(e) => {
                eprintln!("{name}: {e:#}");
                self.failed += 1;
            }
        }
    }
}

/// Runs all checks.
pub(crate) fn test(offline: bool) -> Result<()> {
    space::say_if_short(space::TEST);
    setup::install_for_tests(offline)?;
    let mut tally = Tally::default();
    format(&mut tally);
    // What the tests in hosts load, and the packs that many tests need: without them the rest says nothing.
    let bundled = bundle::bundle(Profile::Release, offline);
    tally.one("bundle", bundled);
    lints(&mut tally);
    hosts::servers(offline);
    say("tests");
    tally.add(counted(cargo().args(["test", "--workspace", "--no-fail-fast"]))?);
    match hosts::tests(offline) {
        Ok(None) => {}
        Ok(Some(mut command)) => {
            say("hosts");
            tally.add(counted(&mut command)?);
        }
        Err(e) => tally.one("hosts", Err(e)),
    }
    tally.tell()
}

/// The inner loop: what needs no hosts and no bundles.
pub(crate) fn check() -> Result<()> {
    let mut tally = Tally::default();
    format(&mut tally);
    lints(&mut tally);
    say("unit tests");
    tally.add(counted(cargo().args(["test", "--workspace", "--lib", "--bins", "--no-fail-fast"]))?);
    tally.tell()
}

fn format(tally: &mut Tally) {
    say("format");
    tally.one("format", checked(cargo().args(["fmt", "--all", "--check"])));
}

fn lints(tally: &mut Tally) {
    say("lints");
    tally.one("lints", checked(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])));
}

/// Runs a program that tells its counts, shows all it says, and adds the counts up. A failure without a failed test
/// counts as one.
fn counted(command: &mut Command) -> Result<Tally> {
    let name = shown(command);
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = started.with_context(|| format!("`{name}` could not be started; install it and run this again"))?;
    let mut tally = Tally::default();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(|out| out.split(b'\n')) {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        tally.add(counts_in(&line).unwrap_or_default());
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        eprintln!("`{name}` failed ({status}) before its tests could say why");
        tally.failed += 1;
    }
    if status.success() && tally.passed == 0 {
        eprintln!("`{name}` told of no passed test");
        tally.failed += 1;
    }
    Ok(tally)
}

/// The counts in a closing line of cargo's test runner (`test result: ok. 3 passed; 0 failed; …`) or of pytest (`3
/// passed, 1 error in 2s`, `3 passed in 72.24s (0:01:12)`).
fn counts_in(line: &str) -> Option<Tally> {
    let words: Vec<&str> = line.trim_matches('=').split_whitespace().collect();
    let timed = words
        .iter()
        .rposition(|w| *w == "in")
        .is_some_and(|at| at >= 2 && words.get(at + 1).is_some_and(|t| t.ends_with('s')));
    let closing = line.starts_with("test result:") || (timed && words[0].parse::<u64>().is_ok());
    if !closing {
        return None;
    }
    let count = |names: &[&str]| -> u64 {
        let named = |pair: &&[&str]| names.contains(&pair[1].trim_end_matches([',', ';']));
        words.windows(2).filter(named).filter_map(|pair| pair[0].parse::<u64>().ok()).sum()
    };
    Some(Tally { passed: count(&["passed"]), failed: count(&["failed", "error", "errors"]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_both_runners_are_counted() {
        let tally = |passed, failed| Some(Tally { passed, failed });
        assert_eq!(
            counts_in(
                "test result: ok. 33 passed; 0 failed; 0 ignored; 0 measured; 13 filtered out; finished in 0.12s"
            ),
            tally(33, 0)
        );
        assert_eq!(
            counts_in(
                "test result: FAILED. 32 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s"
            ),
            tally(32, 1)
        );
        assert_eq!(counts_in("2 failed, 3 passed, 1 error in 2.01s"), tally(3, 3));
        assert_eq!(counts_in("==== 3 passed in 2.01s ===="), tally(3, 0));
        assert_eq!(counts_in("57 passed in 72.24s (0:01:12)"), tally(57, 0));
        assert_eq!(counts_in("test packs::x ... ok"), None);
        assert_eq!(counts_in("wrote 3 passed things"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_run_that_dies_or_says_nothing_counts_as_failed() {
        let run = |script: &str| counted(Command::new("sh").args(["-c", script])).expect("run");
        assert_eq!(run("exit 3"), Tally { passed: 0, failed: 1 });
        assert_eq!(run("true"), Tally { passed: 0, failed: 1 });
        assert_eq!(run("echo 'test result: ok. 2 passed; 0 failed'"), Tally { passed: 2, failed: 0 });
        assert_eq!(run("echo 'test result: FAILED. 2 passed; 1 failed'; exit 1"), Tally { passed: 2, failed: 1 });
    }
}
