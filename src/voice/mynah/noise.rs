//! White noise that is a pure function of a sample's position. Knows nothing else.
//!
//! SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) of the position
//! gives 64 bits; the sum of four 16-bit numbers made of them is close enough to a Gaussian and, unlike a Box-Muller
//! transform, has the same bits on every machine.

const SEED: u64 = 0x6d79_6e61_6821_0001;

/// The noise at a position: mean 0, variance 1, independent from sample to sample.
pub fn at(position: u64) -> f32 {
    let mut z = SEED.wrapping_add(position.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let sum = (z & 0xffff) + (z >> 16 & 0xffff) + (z >> 32 & 0xffff) + (z >> 48);
    // Each of the four is uniform with variance 65536²/12.
    (sum as f32 - 2.0 * 65535.0) * (3f32.sqrt() / 65536.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_white_and_of_unit_power() {
        let n = 200_000;
        let x: Vec<f64> = (0..n).map(|i| at(i) as f64).collect();
        let correlation = |lag: usize| x.iter().zip(&x[lag..]).map(|(a, b)| a * b).sum::<f64>() / n as f64;
        assert!((correlation(0) - 1.0).abs() < 0.01);
        assert!((x.iter().sum::<f64>() / n as f64).abs() < 0.01);
        for lag in [1, 2, 240, 960] {
            assert!(correlation(lag).abs() < 0.01, "lag {lag}");
        }
    }
}
