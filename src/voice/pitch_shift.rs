//! Where the pitch of the source is moved: to the target's median, or by so many semitones. Causal; knows no models.

use super::PitchMode;

/// The range of pitch that a voice is given, in Hz.
pub const RANGE: (f32, f32) = (50.0, 800.0);

const BINS_PER_OCTAVE: usize = 48;
const OCTAVES: usize = 4;
/// A voiced frame's weight fades by this factor with every later one: half after 14 s of voice, so that another speaker
/// is soon heard.
const FADE: f64 = 0.9995;
/// How fast the shift may follow the median, in octaves a voiced frame: at first quick, then slower than anyone hears.
const QUICK: f32 = 0.01;
const SLOW: f32 = 0.001;
/// Voiced frames after which it is slow: half a second.
const QUICK_FRAMES: u32 = 50;
/// What a median that is known from before weighs, in voiced frames: as much as 14 s of voice do half a fade later.
const KNOWN_FRAMES: f64 = 1000.0;

/// Moves the pitch, frame by frame. A pure function of the frames since `reset`. Allocation-free after `new`.
#[derive(Debug, Clone)]
pub struct PitchShift {
    /// Weights of the source's pitches, by logarithm.
    histogram: Vec<f64>,
    /// What a frame weighs now; it grows instead of all others shrinking.
    weight: f64,
    total: f64,
    voiced: u32,
    /// The shift in octaves towards the median, smoothed.
    shift: f32,
    target: f32,
}

impl PitchShift {
    /// To a target whose median pitch is `target` Hz; 0 leaves the pitch where it is.
    pub fn new(target: f32) -> Self {
        Self { histogram: vec![0.0; BINS_PER_OCTAVE * OCTAVES], weight: 1.0, total: 0.0, voiced: 0, shift: 0.0, target }
    }

    /// Forgets the source.
    pub fn reset(&mut self) {
        self.histogram.fill(0.0);
        self.weight = 1.0;
        self.total = 0.0;
        self.voiced = 0;
        self.shift = 0.0;
    }

    /// Another target, to which the pitch moves at once; what is known of the source stays.
    pub fn set_target(&mut self, target: f32) {
        self.target = target;
        self.shift = self.wanted();
    }

    /// The pitch of the next frame in Hz, moved; 0, which is unvoiced, stays 0.
    pub fn next(&mut self, hertz: f32, mode: PitchMode) -> f32 {
        if hertz <= 0.0 {
            return 0.0;
        }
        if let (0, PitchMode::Known(median)) = (self.voiced, mode) {
            self.know(median);
        }
        self.hear(hertz);
        let octaves = match mode {
            PitchMode::Auto | PitchMode::Known(_) => self.shift,
            PitchMode::Semitones(s) => s / 12.0,
        };
        let octaves = if octaves.is_finite() { octaves } else { 0.0 };
        (hertz * octaves.exp2()).clamp(RANGE.0, RANGE.1)
    }

    /// Begins as if a source of this median in Hz had been heard for long.
    fn know(&mut self, median: f32) {
        if (RANGE.0..=RANGE.1).contains(&median) {
            self.count(median, KNOWN_FRAMES * self.weight);
            self.shift = self.wanted();
            self.voiced = QUICK_FRAMES;
        }
    }

    fn count(&mut self, hertz: f32, weight: f64) {
        let bin = (hertz / RANGE.0).log2() * BINS_PER_OCTAVE as f32;
        self.histogram[(bin.max(0.0) as usize).min(BINS_PER_OCTAVE * OCTAVES - 1)] += weight;
        self.total += weight;
    }

    fn hear(&mut self, hertz: f32) {
        self.count(hertz, self.weight);
        self.weight /= FADE;
        if self.weight > 1e12 {
            self.histogram.iter_mut().for_each(|w| *w /= 1e12);
            self.total /= 1e12;
            self.weight /= 1e12;
        }
        let wanted = self.wanted();
        let step = if self.voiced < QUICK_FRAMES { QUICK } else { SLOW };
        self.shift = if self.voiced == 0 { wanted } else { self.shift + (wanted - self.shift).clamp(-step, step) };
        self.voiced = self.voiced.saturating_add(1);
    }

    fn wanted(&self) -> f32 {
        if self.target <= 0.0 || self.total <= 0.0 { 0.0 } else { (self.target / self.median()).log2() }
    }

    /// The median of the source so far in Hz, inside its bin by proportion.
    fn median(&self) -> f32 {
        let mut below = 0.0;
        for (bin, w) in self.histogram.iter().enumerate() {
            if below + w >= self.total / 2.0 && *w > 0.0 {
                let inside = ((self.total / 2.0 - below) / w) as f32;
                return RANGE.0 * ((bin as f32 + inside) / BINS_PER_OCTAVE as f32).exp2();
            }
            below += w;
        }
        RANGE.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(frame: usize) -> f32 {
        if frame % 50 < 15 { 0.0 } else { 110.0 * (0.2 * (frame as f32 * 0.37).sin()).exp2() }
    }

    #[test]
    fn the_median_moves_to_the_target() {
        let mut shift = PitchShift::new(220.0);
        let moved: Vec<f32> = (0..1000).map(|t| shift.next(source(t), PitchMode::Auto)).collect();
        assert!(moved.iter().enumerate().all(|(t, f)| (*f == 0.0) == (source(t) == 0.0)), "voicing stays");
        let median = mynah_dsp::pitch::median(&moved[300..]);
        assert!((median / 220.0).log2().abs() < 0.5 / 12.0, "{median}");
        let first = moved.iter().find(|f| **f > 0.0).expect("voiced");
        assert!((first / 220.0).log2().abs() < 4.0 / 12.0, "the first frame is near it already: {first}");
    }

    /// A sentence often begins far from its speaker's median.
    #[test]
    fn a_known_source_is_right_from_its_first_frame_and_another_is_followed() {
        let source = |t: usize| if t < 100 { 155.0 } else { 110.0 * (0.2 * (t as f32 * 0.37).sin()).exp2() };
        let error = |mode, frames: std::ops::Range<usize>| {
            let mut shift = PitchShift::new(220.0);
            let moved: Vec<f32> =
                (0..frames.end).map(|t| (shift.next(source(t), mode) / source(t) / 2.0).log2().abs() * 12.0).collect();
            moved[frames].iter().copied().fold(0.0f32, f32::max)
        };
        assert!(error(PitchMode::Known(110.0), 0..1000) < 0.8, "{}", error(PitchMode::Known(110.0), 0..1000));
        assert!(error(PitchMode::Auto, 0..1000) > 4.0);
        let mut shift = PitchShift::new(220.0);
        let last = (0..4000).map(|_| shift.next(150.0, PitchMode::Known(110.0))).last().expect("frames");
        assert!((last / 220.0).log2().abs() < 0.5 / 12.0, "another speaker: {last}");
        for nonsense in [0.0, -3.0, f32::NAN, f32::INFINITY] {
            assert_eq!(
                PitchShift::new(220.0).next(110.0, PitchMode::Known(nonsense)),
                PitchShift::new(220.0).next(110.0, PitchMode::Auto)
            );
        }
    }

    #[test]
    fn semitones_are_exact_and_clipped() {
        let mut shift = PitchShift::new(500.0);
        assert!((shift.next(100.0, PitchMode::Semitones(12.0)) - 200.0).abs() < 1e-3);
        assert_eq!(shift.next(700.0, PitchMode::Semitones(12.0)), 800.0);
        assert_eq!(shift.next(60.0, PitchMode::Semitones(-12.0)), 50.0);
        assert_eq!(shift.next(0.0, PitchMode::Semitones(12.0)), 0.0);
    }

    #[test]
    fn without_a_known_target_the_pitch_stays() {
        let mut shift = PitchShift::new(0.0);
        assert_eq!(shift.next(123.0, PitchMode::Auto), 123.0);
    }

    #[test]
    fn it_never_glides_fast() {
        let mut shift = PitchShift::new(220.0);
        let mut last = None;
        for t in 0..2000 {
            let f = if t < 1000 { 110.0 } else { 180.0 };
            let octaves = (shift.next(f, PitchMode::Auto) / f).log2();
            if let Some(l) = last {
                let step: f32 = octaves - l;
                assert!(step.abs() <= QUICK + 1e-4);
            }
            last = Some(octaves);
        }
    }
}
