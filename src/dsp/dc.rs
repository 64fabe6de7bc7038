//! Takes a constant offset off a signal, as cheap interfaces add one: it is no sound, but it would count as loudness.
//! Knows nothing of voices.

/// Corner of the filter, in Hz: below every voice.
const CORNER: f64 = 20.0;

/// A first-order high-pass, `y[n] = x[n] − x[n−1] + r·y[n−1]`. Allocation-free.
#[derive(Debug, Clone)]
pub struct DcBlock {
    pole: f32,
    last: (f32, f32),
}

impl DcBlock {
    /// For sound at `rate` Hz.
    pub fn new(rate: f64) -> Self {
        Self { pole: (-std::f64::consts::TAU * CORNER / rate).exp() as f32, last: (0.0, 0.0) }
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.last = (0.0, 0.0);
    }

    /// The next sample without the offset.
    pub fn process(&mut self, x: f32) -> f32 {
        let y = x - self.last.0 + self.pole * self.last.1;
        self.last = (x, y);
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_fades_and_a_voice_stays() {
        let rate = 24000.0;
        let mut block = DcBlock::new(rate);
        let tone = |i: usize| (std::f32::consts::TAU * 100.0 * i as f32 / rate as f32).sin();
        let made: Vec<f32> = (0..24000).map(|i| block.process(0.5 + tone(i))).collect();
        let late = &made[12000..];
        let mean = late.iter().sum::<f32>() / late.len() as f32;
        let rms = (late.iter().map(|y| y * y).sum::<f32>() / late.len() as f32).sqrt();
        assert!(mean.abs() < 1e-3, "{mean}");
        assert!((rms - 0.5f32.sqrt()).abs() < 0.02, "{rms}");
    }
}
