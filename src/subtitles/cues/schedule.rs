//! When cues stand: in-times at their sound, out-times that leave room to read, all of a programme weighed together.
//! Knows no text.
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
        Clock {
            gap: ceil(style.gap),
            in_time: floor(style.in_time),
            hang: floor(style.hang),
            max: floor(style.max_seconds),
        }
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

/// When each cue begins and ends. In order, never overlapping, with the gap between; where a norm can't be kept, the
/// order still is. None lasts beyond the `end` of the sound, if it is known; what doesn't fit begins early by what the
/// style allows.
pub(super) fn schedule(units: &[Unit], style: &Style, end: Option<i64>) -> Vec<(i64, i64)> {
    let clock = Clock::of(style);
    // How late a cue may begin so that it and all after it still can be read; never earlier than its own in-time
    // allows.
    let mut latest = vec![0; units.len()];
    for (k, u) in units.iter().enumerate().rev() {
        let own = u.first + clock.in_time;
        let next = latest.get(k + 1).map(|next| next - clock.gap).or(end);
        let room = next.map_or(own, |next| own.min(next - reading(u.characters, style)));
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
    if let Some(end) = end {
        within(&mut out, end, clock.gap);
    }
    out
}

/// Moves what lasts beyond the end of the sound before it: the last cues give way to each other, each as long as the
/// shortest if there is room.
fn within(times: &mut [(i64, i64)], end: i64, gap: i64) {
    let mut most = end.max(1);
    for (k, (start, last)) in times.iter_mut().enumerate().rev() {
        if *last <= most {
            break;
        }
        *last = most;
        // Each before it needs a millisecond.
        *start = (*start).min(most - SHORTEST).max(k as i64).min(most - 1);
        most = (*start - gap).max(k as i64);
    }
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
        let times = schedule(&[unit(1000, 2050, 24), unit(2100, 4000, 20)], &Style::netflix(), None);
        assert_eq!(times[0].1 - times[0].0, 1200);
        assert!((times[0].0 - 1000).abs() <= 125 && (times[1].0 - 2100).abs() <= 125, "{times:?}");
        assert!(times[1].0 - times[0].1 >= 84, "{times:?}");
    }

    #[test]
    fn where_there_is_room_the_sound_leads() {
        let times = schedule(&[unit(1000, 2000, 20), unit(9000, 9100, 4)], &Style::netflix(), None);
        assert_eq!(times, [(1000, 2500), (9000, 9834)]);
    }
    #[test]
    fn no_cue_lasts_beyond_the_end_of_the_sound() {
        let of = |units: &[Unit], end| schedule(units, &Style::netflix(), Some(end));
        assert_eq!(
            of(&[unit(1000, 2000, 20), unit(9000, 9100, 4)], 20_000),
            [(1000, 2500), (9000, 9834)],
            "there is room"
        );
        assert_eq!(of(&[unit(1000, 2000, 20)], 2100), [(1000, 2100)], "it may not hang");
        assert_eq!(of(&[unit(1000, 1500, 12)], 1750), [(916, 1750)], "it may begin a little early");
        assert_eq!(of(&[unit(1000, 1010, 40)], 1010), [(810, 1010)], "it is never shorter than the shortest");
        let crowded = of(&[unit(0, 100, 20), unit(110, 150, 20), unit(160, 180, 20)], 200);
        assert!(crowded.iter().all(|t| t.0 < t.1 && t.1 <= 200), "{crowded:?}");
        assert!(crowded.windows(2).all(|w| w[0].1 <= w[1].0), "{crowded:?}");
    }

    proptest::proptest! {
        #[test]
        fn cues_stay_apart_and_within_the_sound(list in proptest::collection::vec((0i64..3000, 1i64..3000, 1usize..80), 1..12), more in 0i64..1500) {
            let mut at = 0;
            let units: Vec<Unit> = list.iter().map(|&(gap, length, characters)| { let first = at + gap; at = first + length; unit(first, at, characters) }).collect();
            let end = at + more;
            let times = schedule(&units, &Style::netflix(), Some(end));
            proptest::prop_assert!(times.iter().all(|t| t.0 >= 0 && t.0 < t.1 && t.1 <= end), "{:?} {}", times, end);
            proptest::prop_assert!(times.windows(2).all(|w| w[0].1 <= w[1].0), "{:?}", times);
        }
    }
}
