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
