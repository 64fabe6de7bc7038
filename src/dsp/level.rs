//! Levels: root mean square and decibels. Knows nothing of what the sound means.

/// Root mean square; 0 for no samples.
pub fn rms(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    (samples.iter().map(|&x| x as f64 * x as f64).sum::<f64>() / samples.len() as f64).sqrt() as f32
}

/// The largest magnitude; 0 for no samples.
pub fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |a, x| a.max(x.abs()))
}

/// An amplitude in decibels, 1.0 being 0 dB; `f32::NEG_INFINITY` for 0.
pub fn to_db(amplitude: f32) -> f32 {
    20.0 * amplitude.log10()
}

/// The amplitude of a level in decibels.
pub fn from_db(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

/// The loudest sample above 4 kHz from a place on, in dBFS: what of a sound of low tones is a click. Two high passes in
/// a row that make a Butterworth filter of the fourth order (Bristow-Johnson, "Cookbook formulae for audio EQ biquad
/// filter coefficients").
pub fn click_dbfs(sound: &[f32], rate: u32, from: usize) -> f32 {
    let mut x: Vec<f64> = sound.iter().map(|&s| f64::from(s)).collect();
    for q in [0.541_196_1, 1.306_562_97] {
        let w = std::f64::consts::TAU * 4000.0 / f64::from(rate);
        let alpha = w.sin() / (2.0 * q);
        let (b, a0, a1, a2) = ((1.0 + w.cos()) / 2.0, 1.0 + alpha, -2.0 * w.cos(), 1.0 - alpha);
        let (mut x1, mut x2, mut y1, mut y2) = (0.0, 0.0, 0.0, 0.0);
        for s in &mut x {
            let y = (b * (*s - 2.0 * x1 + x2) - a1 * y1 - a2 * y2) / a0;
            (x2, x1, y2, y1) = (x1, *s, y1, y);
            *s = y;
        }
    }
    let loudest = x.get(from..).unwrap_or_default().iter().fold(0.0_f64, |a, s| a.max(s.abs()));
    (20.0 * loudest.log10()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_sine_is_3_db_below_full_scale() {
        let sine: Vec<f32> = (0..4800).map(|i| (i as f32 * std::f32::consts::TAU / 48.0).sin()).collect();
        assert!((to_db(rms(&sine)) + 3.01).abs() < 0.01);
        assert!((peak(&sine) - 1.0).abs() < 1e-6);
        assert_eq!(rms(&[]), 0.0);
        assert_eq!(to_db(0.0), f32::NEG_INFINITY);
        assert!((from_db(to_db(0.25)) - 0.25).abs() < 1e-6);
    }
}
