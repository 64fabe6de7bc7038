//! The seconds of the host's timeline, block by block. Some hosts count seconds by the present tempo: where that
//! changes, their seconds jump although the sound goes on. Here they go on too, until the host locates. For the audio
//! thread; knows nothing but numbers.

/// Steps of less than so many seconds are rounding.
const ROUNDING: f64 = 1e-3;
/// And of less than so many beats.
const BEAT_ROUNDING: f64 = 2e-3;

/// What a host tells of a block's first sample while its transport rolls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    /// Seconds of its timeline.
    pub seconds: f64,
    /// Quarter notes.
    pub beats: Option<f64>,
    /// Quarter notes a minute.
    pub tempo: Option<f64>,
}

/// See the top of the file.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    last: Option<Last>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    told: Told,
    /// What was made of the host's seconds.
    seconds: f64,
    /// Seconds of the block.
    length: f64,
}

impl Timeline {
    /// The second of a block's first sample, from what the host tells (none while its transport stands still) and the
    /// block's length.
    pub fn place(&mut self, told: Option<Told>, length: f64) -> Option<f64> {
        let Some(told) = told else {
            self.last = None;
            return None;
        };
        let seconds = match self.last {
            Some(last) if (told.seconds - last.told.seconds - last.length).abs() < ROUNDING => {
                // The host's own number where nothing was bridged, so that no rounding adds up.
                if last.seconds == last.told.seconds { told.seconds } else { last.seconds + last.length }
            }
            Some(last) if last.goes_on_at_another_tempo(&told) => last.seconds + last.length,
            _ => told.seconds,
        };
        self.last = Some(Last { told, seconds, length });
        Some(seconds)
    }
}

impl Last {
    fn goes_on_at_another_tempo(&self, told: &Told) -> bool {
        let (Some(before), Some(now), Some(tempo), Some(new)) =
            (self.told.beats, told.beats, self.told.tempo, told.tempo)
        else {
            return false;
        };
        let passed = |tempo: f64| self.length * tempo / 60.0;
        let (least, most) = (passed(tempo.min(new)) - BEAT_ROUNDING, passed(tempo.max(new)) + BEAT_ROUNDING);
        tempo != new && (least..=most).contains(&(now - before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: f64 = 0.01;

    /// A host that knows beats only: its seconds are beats by the present tempo.
    fn by_beats(beats: f64, tempo: f64) -> Option<Told> {
        Some(Told { seconds: beats / tempo * 60.0, beats: Some(beats), tempo: Some(tempo) })
    }

    #[test]
    fn a_change_of_tempo_moves_nothing_and_a_locate_does() {
        let mut timeline = Timeline::default();
        let (mut beats, mut seconds) = (100.0, 50.0);
        for i in 0..300 {
            // A step at 1 s, then a ramp.
            let tempo = if i < 100 { 120.0 } else { 60.0 + (i - 100) as f64 * 0.3 };
            let placed = timeline.place(by_beats(beats, tempo), BLOCK).expect("it rolls");
            assert!((placed - seconds).abs() < 1e-6, "{i}: {placed} {seconds}");
            beats += BLOCK * tempo / 60.0;
            seconds += BLOCK;
        }
        assert_eq!(timeline.place(by_beats(8.0, 60.0), BLOCK), Some(8.0));
        assert_eq!(timeline.place(None, BLOCK), None);
        assert_eq!(timeline.place(by_beats(9.0, 120.0), BLOCK), Some(4.5));
    }

    #[test]
    fn a_host_that_counts_seconds_is_taken_at_its_word() {
        let mut timeline = Timeline::default();
        let told =
            |seconds: f64, tempo: f64| Some(Told { seconds, beats: Some(seconds * tempo / 60.0), tempo: Some(tempo) });
        for (seconds, tempo) in [(1.0, 120.0), (1.01, 120.0), (1.02, 60.0), (7.0, 60.0), (3.0, 90.0), (3.01, 90.0)] {
            assert_eq!(timeline.place(told(seconds, tempo), BLOCK), Some(seconds));
        }
        let bare = |seconds: f64| Some(Told { seconds, beats: None, tempo: None });
        assert_eq!(timeline.place(bare(3.02), BLOCK), Some(3.02));
        assert_eq!(timeline.place(bare(9.0), BLOCK), Some(9.0));
    }
}
