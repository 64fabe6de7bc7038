//! The mix as the host set it, delayed like the sound it belongs to: an output sample is put together as was asked for
//! when it came in. Knows no sound.

use std::collections::VecDeque;

use super::Mix;

/// Changes of the mix on their way from the input to the output. Allocation-free after `new`.
#[derive(Debug)]
pub(super) struct MixLine {
    /// Input position from which a mix holds; ascending.
    changes: VecDeque<(i64, Mix)>,
    /// What holds at the output.
    now: Option<Mix>,
    /// What was set last.
    newest: Option<Mix>,
}

impl MixLine {
    /// For changes that are at most `latency` samples on their way.
    pub(super) fn new(latency: usize) -> Self {
        // At most one change a sample is on its way, and one more waits for its first sample.
        Self { changes: VecDeque::with_capacity(latency + 2), now: None, newest: None }
    }

    /// Forgets all changes: the next mix holds from the first sample on, and before it.
    pub(super) fn reset(&mut self) {
        self.changes.clear();
        (self.now, self.newest) = (None, None);
    }

    /// From input position `position` on this mix holds. Positions ascend.
    pub(super) fn set(&mut self, position: i64, mix: Mix) {
        if self.newest == Some(mix) {
            return;
        }
        self.newest = Some(mix);
        let full = self.changes.len() == self.changes.capacity();
        match self.changes.back_mut() {
            // A block without samples, or more changes than the line was made for: the last one counts.
            Some((at, last)) if *at == position || full => *last = mix,
            _ => self.changes.push_back((position, mix)),
        }
    }

    /// The mix of the output sample that came in at `position`, and for how many of the next `most` samples it holds,
    /// at least one.
    pub(super) fn at(&mut self, position: i64, most: usize) -> (Mix, usize) {
        while let Some((_, mix)) = self.changes.front().filter(|(at, _)| *at <= position || self.now.is_none()).copied()
        {
            self.now = Some(mix);
            self.changes.pop_front();
        }
        let until = self.changes.front().map_or(most, |(at, _)| ((at - position) as usize).clamp(1, most.max(1)));
        (self.now.unwrap_or_default(), until)
    }

    /// What was set last.
    pub(super) fn newest(&self) -> Mix {
        self.newest.unwrap_or_default()
    }
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gain(gain: f32) -> Mix {
        Mix { gain, ..Mix::default() }
    }

    proptest! {
        /// Whatever the blocks, sample `p` gets what was set with the last block that began at or before `p`.
        #[test]
        fn each_sample_gets_the_mix_it_came_in_with(blocks in prop::collection::vec((0usize..50, 0u8..4), 1..60), latency in 0usize..120) {
            let (mut line, mut asked, mut got, mut position) = (MixLine::new(latency), Vec::new(), Vec::new(), 0i64);
            for (n, g) in blocks {
                line.set(position, gain(g as f32));
                asked.extend(std::iter::repeat_n(g as f32, n));
                let mut i = 0;
                while i < n {
                    let first = position - latency as i64 + i as i64;
                    let (mix, run) = line.at(first, n - i);
                    prop_assert!(run >= 1 && run <= n - i);
                    got.extend((0..run as i64).map(|k| (first + k, mix.gain)));
                    i += run;
                }
                position += n as i64;
            }
            for (at, gain) in got {
                let wanted = asked.get(at.max(0) as usize).copied();
                // Before the first sample nothing was set; a first block without samples counts for nothing.
                if at >= 0 {
                    prop_assert_eq!(Some(gain), wanted, "sample {}", at);
                }
            }
        }
    }

    #[test]
    fn it_never_grows() {
        let mut line = MixLine::new(16);
        let room = line.changes.capacity();
        for p in 0..1000 {
            line.set(p, gain(p as f32));
            line.at(p - 16, 1);
        }
        (0..1000).for_each(|p| line.set(1000 + p, gain(p as f32)));
        assert_eq!((line.changes.capacity(), line.newest().gain), (room, 999.0));
    }
}
