//! When cues stand: in-times at their sound, out-times that leave room to read, all of a programme weighed together. Knows no text.
//!
//! Times are whole milliseconds, because files hold no finer ones: what is planned here is what a player does.

use super::Style;

/// A cue is never shorter than this, whatever the words say.
pub(super) const SHORTEST: i64 = 200;

/// What a cue asks for, times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    /// When its first word begins.
    pub first: i64,
    /// When its last word ends.
    pub last: i64,
    /// Characters to read, spaces counted.
    pub characters: usize,
}

/// The norms of a style in milliseconds, each rounded to its safe side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Between two cues.
    pub gap: i64,
    /// How far an in-time may be from its sound.
    pub in_time: i64,
    /// How long a cue may stay behind its last word.
    pub hang: i64,
    /// The longest cue.
    pub max: i64,
}

impl Clock {
    pub fn of(style: &Style) -> Clock {
        let floor = |s: f64| (s * 1000.0 + 1e-6).floor() as i64;
        Clock { gap: ceil(style.gap), in_time: floor(style.in_time), hang: floor(style.hang), max: floor(style.max_seconds) }
    }
}

/// Seconds in milliseconds, no less.
fn ceil(seconds: f64) -> i64 {
    (seconds * 1000.0 - 1e-6).ceil() as i64
}

/// Milliseconds that so many characters must stand.
pub(super) fn reading(characters: usize, style: &Style) -> i64 {
    ceil(style.reading(characters)).min(Clock::of(style).max)
}

/// When each cue begins and ends. In order, never overlapping, with the gap between; where a norm can't be kept, the order still is.
pub(super) fn schedule(units: &[Unit], style: &Style) -> Vec<(i64, i64)> {
    let clock = Clock::of(style);
    // How late a cue may begin so that it and all after it still can be read; never earlier than its own in-time allows.
    let mut latest = vec![0; units.len()];
    for (k, u) in units.iter().enumerate().rev() {
        let own = u.first + clock.in_time;
        let room = latest.get(k + 1).map_or(own, |next| own.min(next - clock.gap - reading(u.characters, style)));
        latest[k] = room.max(u.first - clock.in_time).max(0);
    }
    let target = |k: usize| units[k].first.min(latest[k]).max(0);
    let mut out: Vec<(i64, i64)> = Vec::with_capacity(units.len());
    for (k, u) in units.iter().enumerate() {
        let start = out.last().map_or(target(k), |(_, end)| target(k).max(end + clock.gap));
        let readable = start + reading(u.characters, style);
        let mut end = readable.max(u.last + clock.hang);
        if k + 1 < units.len() {
            end = end.min(target(k + 1) - clock.gap);
            if end < readable {
                // The next one may begin a little behind its sound.
                end = readable.min(latest[k + 1] - clock.gap);
            }
        }
        out.push((start, end.min(start + clock.max).max(start + SHORTEST)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(first: i64, last: i64, characters: usize) -> Unit {
        Unit { first, last, characters }
    }

    #[test]
    fn a_hurried_cue_borrows_three_frames_on_either_side() {
        // 24 characters need 1,200 ms; from 1,000 to the next in-time at 2,100 there are 1,016.
        let times = schedule(&[unit(1000, 2050, 24), unit(2100, 4000, 20)], &Style::netflix());
        assert_eq!(times[0].1 - times[0].0, 1200);
        assert!((times[0].0 - 1000).abs() <= 125 && (times[1].0 - 2100).abs() <= 125, "{times:?}");
        assert!(times[1].0 - times[0].1 >= 84, "{times:?}");
    }

    #[test]
    fn where_there_is_room_the_sound_leads() {
        let times = schedule(&[unit(1000, 2000, 20), unit(9000, 9100, 4)], &Style::netflix());
        assert_eq!(times, [(1000, 2500), (9000, 9834)]);
    }
}
