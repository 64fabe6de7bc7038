//! What the log tells of an instance: when it starts and ends, what it can't do, hops that were late. Pure: readings
//! in, lines out.

use std::time::{Duration, Instant};

use super::instance::{Frame, Readings};
use crate::realtime::WorkerState;

/// Late hops are told no more often than this.
const LATE_EVERY: Duration = Duration::from_secs(60);

/// What was told of an instance.
#[derive(Debug, Default)]
pub struct Diary {
    frame: Option<Frame>,
    /// Mode, provider and latency.
    runs: Option<String>,
    state: Option<WorkerState>,
    problems: [Option<String>; 3],
    late: u64,
    late_at: Option<Instant>,
    hurry: bool,
}

impl Diary {
    /// What is new in the readings of instance `id`.
    pub fn lines(&mut self, id: u64, readings: &Readings, now: Instant) -> Vec<String> {
        let mut new = Vec::new();
        if let Some(frame) = readings.frame
            && self.frame.replace(frame) != Some(frame)
        {
            new.push(format!("sound at {} Hz, blocks up to {}, {} channels", frame.rate, frame.block, frame.channels));
        }
        let status = readings.status.as_ref();
        let problems = [
            &readings.problem,
            &status.and_then(|s| s.voice_problem.clone()),
            &status.and_then(|s| s.caption_problem.clone()),
        ];
        for (told, is) in self.problems.iter_mut().zip(problems) {
            if told != is {
                new.push(is.as_ref().map_or_else(|| "that is over".to_owned(), Clone::clone));
                told.clone_from(is);
            }
        }
        if let Some(s) = status {
            let runs = format!("{} on {}, latency {} samples", s.mode.name(), s.provider, s.latency.total);
            if self.runs.as_ref() != Some(&runs) {
                new.push(runs.clone());
                self.runs = Some(runs);
            }
            if self.state != Some(s.counters.state) {
                self.state = Some(s.counters.state);
                new.push(format!("voice: {:?}", s.counters.state).to_lowercase());
            }
            if s.counters.hurry && !std::mem::replace(&mut self.hurry, true) {
                new.push("this host asks for sound as a render does, and says that it plays".to_owned());
            }
            // Counters begin anew with each crossing.
            self.late = self.late.min(s.counters.late_hops);
            if s.counters.late_hops > self.late
                && self.late_at.is_none_or(|at| now.saturating_duration_since(at) >= LATE_EVERY)
            {
                let (more, load) = (s.counters.late_hops - self.late, 100.0 * s.counters.load);
                new.push(format!(
                    "{more} hops late, of {} so far; a hop takes {load:.0} % of its time",
                    s.counters.hops
                ));
                (self.late, self.late_at) = (s.counters.late_hops, Some(now));
            }
        }
        new.into_iter().map(|line| format!("instance {id}: {line}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Mode;
    use crate::engine::Engine;
    use crate::engine::testing::{IdentitySource, setup};
    use std::sync::Arc;

    #[test]
    fn what_is_new_is_told_once_and_late_hops_once_a_minute() {
        let (engine, _port) =
            Engine::start(setup(48_000, 512, 1, Mode::Live), Arc::new(IdentitySource::default())).expect("an engine");
        engine.wait_ready(Duration::from_secs(20)).expect("a voice");
        let (mut diary, began) = (Diary::default(), Instant::now());
        let frame = Frame { rate: 48_000, block: 512, channels: 2 };
        let mut readings = Readings { status: Some(engine.status()), frame: Some(frame), ..Readings::default() };
        let first = diary.lines(7, &readings, began);
        assert!(
            first.iter().all(|l| l.starts_with("instance 7: "))
                && first[0].contains("48000 Hz")
                && first.iter().any(|l| l.contains("voice: ready")),
            "{first:?}"
        );
        assert!(diary.lines(7, &readings, began).is_empty());
        readings.problem = Some("the disk is full".to_owned());
        let late =
            |readings: &mut Readings, late| readings.status.as_mut().expect("a status").counters.late_hops = late;
        late(&mut readings, 3);
        let told = diary.lines(7, &readings, began);
        assert!(
            told.len() == 2 && told[0].ends_with("the disk is full") && told[1].contains("3 hops late"),
            "{told:?}"
        );
        late(&mut readings, 9);
        assert!(diary.lines(7, &readings, began + LATE_EVERY / 2).is_empty(), "not again so soon");
        readings.problem = None;
        let told = diary.lines(7, &readings, began + LATE_EVERY);
        assert!(told.len() == 2 && told[0].ends_with("over") && told[1].contains("6 hops late"), "{told:?}");
        late(&mut readings, 1);
        assert!(diary.lines(7, &readings, began + 2 * LATE_EVERY).is_empty(), "another crossing counts anew");
        late(&mut readings, 2);
        assert_eq!(diary.lines(7, &readings, began + 3 * LATE_EVERY).len(), 1);
    }
}
