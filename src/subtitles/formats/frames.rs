//! Time in frames, as iTT and video programs count it.

use std::fmt;
use std::str::FromStr;

/// A frame rate of film or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FrameRate {
    /// Film on NTSC video, 24000/1001.
    F23976,
    /// Film.
    #[default]
    F24,
    /// PAL.
    F25,
    /// NTSC, 30000/1001, counted without drops: its clock falls behind by 3.6 s an hour.
    F2997,
    /// NTSC with dropped numbers: its clock keeps up.
    F2997Drop,
    /// Thirty.
    F30,
    /// Twice PAL.
    F50,
    /// Twice NTSC, 60000/1001, counted without drops.
    F5994,
    /// Sixty.
    F60,
}

impl FrameRate {
    const ALL: [(&'static str, FrameRate); 9] = [
        ("23.976", FrameRate::F23976),
        ("24", FrameRate::F24),
        ("25", FrameRate::F25),
        ("29.97", FrameRate::F2997),
        ("29.97df", FrameRate::F2997Drop),
        ("30", FrameRate::F30),
        ("50", FrameRate::F50),
        ("59.94", FrameRate::F5994),
        ("60", FrameRate::F60),
    ];

    /// All rates, each with the name that a person gives it.
    pub fn all() -> impl Iterator<Item = (&'static str, FrameRate)> {
        Self::ALL.into_iter()
    }

    /// Frames a second of the clock that is counted.
    pub fn nominal(self) -> u64 {
        match self {
            FrameRate::F23976 | FrameRate::F24 => 24,
            FrameRate::F25 => 25,
            FrameRate::F2997 | FrameRate::F2997Drop | FrameRate::F30 => 30,
            FrameRate::F50 => 50,
            FrameRate::F5994 | FrameRate::F60 => 60,
        }
    }

    /// Whether it is slowed by 1000/1001.
    pub fn slowed(self) -> bool {
        matches!(self, FrameRate::F23976 | FrameRate::F2997 | FrameRate::F2997Drop | FrameRate::F5994)
    }

    /// Whether numbers are dropped: two each minute, but not each tenth.
    pub fn drops(self) -> bool {
        self == FrameRate::F2997Drop
    }

    fn a_second(self) -> f64 {
        self.nominal() as f64 * if self.slowed() { 1000.0 / 1001.0 } else { 1.0 }
    }

    /// The frame in which a cue begins: the nearest.
    pub(super) fn begin(self, seconds: f64) -> u64 {
        (seconds.max(0.0) * self.a_second()).round() as u64
    }

    /// The frame before which a cue ends: the last that has begun, so that a gap of two frames stays one.
    pub(super) fn end(self, seconds: f64) -> u64 {
        (seconds.max(0.0) * self.a_second() + 1e-6).floor() as u64
    }

    /// Hours, minutes, seconds and frames of a frame's number (SMPTE ST 12-1).
    pub(super) fn code(self, frame: u64) -> String {
        let n = self.nominal();
        let mut frame = frame;
        if self.drops() {
            // 17,982 frames in ten minutes, 1,798 in each minute but the first of them, which has 1,800.
            let (tens, rest) = (frame / 17_982, frame % 17_982);
            frame += 18 * tens + if rest >= 1800 { 2 * ((rest - 1800) / 1798 + 1) } else { 0 };
        }
        format!("{:02}:{:02}:{:02}:{:02}", frame / (n * 3600), frame / (n * 60) % 60, frame / n % 60, frame % n)
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(_, rate)| rate == self).map_or("", |(name, _)| name))
    }
}

impl FromStr for FrameRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(|(name, _)| name).join(", ");
        Self::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, rate)| *rate)
            .ok_or_else(|| format!("give one of {names}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        let code = |rate: FrameRate, frame| rate.code(frame);
        assert_eq!(code(FrameRate::F24, 24 * 3661 + 5), "01:01:01:05");
        assert_eq!(code(FrameRate::F2997Drop, 1799), "00:00:59:29");
        assert_eq!(code(FrameRate::F2997Drop, 1800), "00:01:00:02");
        assert_eq!(code(FrameRate::F2997Drop, 17_981), "00:09:59:29");
        assert_eq!(code(FrameRate::F2997Drop, 17_982), "00:10:00:00");
        assert_eq!(code(FrameRate::F2997Drop, 107_892), "01:00:00:00");
        // An hour of sound on a clock that drops nothing.
        assert_eq!(code(FrameRate::F2997, FrameRate::F2997.begin(3600.0)), "00:59:56:12");
        assert_eq!("29.97df".parse::<FrameRate>(), Ok(FrameRate::F2997Drop));
        assert!("12".parse::<FrameRate>().is_err());
        assert_eq!(FrameRate::F23976.to_string(), "23.976");
        assert_eq!(code(FrameRate::F50, 50 * 3661 + 49), "01:01:01:49");
        assert_eq!(code(FrameRate::F5994, FrameRate::F5994.begin(3600.0)), "00:59:56:24");
    }

    #[test]
    fn a_gap_of_two_frames_stays_one() {
        for (_, rate) in FrameRate::ALL {
            for k in 0..4000 {
                let end = 10.0 + k as f64 * 0.0007;
                assert!(rate.begin(end + 0.084) - rate.end(end) >= 2, "{rate} {end}");
            }
        }
    }
}
