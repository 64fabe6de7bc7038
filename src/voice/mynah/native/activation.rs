//! The network's curves as polynomials without branches, so that a loop over them becomes vector instructions: the same
//! bits with any vector width, and with any C library. Knows no network.
//!
//! Coefficients are minimax fits (weighted least squares, iterated) in 64-bit floats. The tests hold each curve against
//! 64-bit references over its range.

use super::isa::for_every_isa;

/// 1.5 · 2²³: adding it rounds a number to a whole one, which then stands in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// eˣ to 2e-7 of its value from −87 to 88; beyond, the value at the end.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Also keeps what is no number: comparisons with it are false.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    // ln 2 in two parts, the first of few bits.
    let rest = whole.mul_add(-0.693_359_4, x);
    let rest = whole.mul_add(2.121_944_4e-4, rest);
    let p = 1.381_446_7e-3_f32.mul_add(rest, 8.368_781e-3);
    let p = p.mul_add(rest, 4.166_839_3e-2);
    let p = p.mul_add(rest, 1.666_652e-1);
    let p = p.mul_add(rest, 0.499_999_94);
    let p = p.mul_add(rest * rest, rest);
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    p.mul_add(power, power)
}

/// 1 / (1 + e⁻ˣ) to 2e-7.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent to 2e-7.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let e = exp(-2.0 * x.abs());
    ((1.0 - e) / (1.0 + e)).copysign(x)
}

/// The error function to 6e-7.
#[inline(always)]
#[expect(clippy::approx_constant, reason = "the fit's own coefficient, which is not quite 2 / √π")]
pub fn erf(x: f32) -> f32 {
    let x = if x < -3.95 { -3.95 } else { x };
    let x = if x > 3.95 { 3.95 } else { x };
    let s = x * x;
    let p = 2.011_738_4e-6_f32.mul_add(s, 2.876_004e-4);
    let p = p.mul_add(s, 3.917_319_7e-3);
    let p = p.mul_add(s, 5.320_706_6e-2);
    let p = p.mul_add(s, 1.940_357_8e-1);
    let p = p.mul_add(s, 1.128_379);
    let q = 3.783_965_4e-5_f32.mul_add(s, 1.198_200_7e-3);
    let q = q.mul_add(s, 1.527_070_7e-2);
    let q = q.mul_add(s, 1.155_907_9e-1);
    let q = q.mul_add(s, 5.052_912e-1);
    let q = q.mul_add(s, 1.0);
    x * p / q
}

/// x Φ(x) with the normal distribution's Φ (Hendrycks and Gimpel 2016, exact form), to 3e-7 of the larger of 1 and |x|.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    let half = 0.5 * x;
    half.mul_add(erf(x * std::f32::consts::FRAC_1_SQRT_2), half)
}

/// The logarithm to base 2 of a positive number, by the series of the inverse hyperbolic tangent: exact to a 32-bit
/// float's last bit, or the one before.
pub fn log2(x: f32) -> f32 {
    if x.is_nan() || x < f32::MIN_POSITIVE || x == f32::INFINITY {
        return f32::NAN;
    }
    let bits = x.to_bits();
    let mut exponent = (bits >> 23) as i32 - 127;
    let mut m = f64::from(f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000));
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        exponent += 1;
    }
    let t = (m - 1.0) / (m + 1.0);
    let (s, mut sum) = (t * t, 0.0);
    for k in (0..12).rev() {
        sum = sum * s + 1.0 / f64::from(2 * k + 1);
    }
    (f64::from(exponent) + 2.0 * std::f64::consts::LOG2_E * t * sum) as f32
}

for_every_isa! {
    /// `gelu` of every number.
    pub fn gelu_all(x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = gelu(*x));
    }
}

for_every_isa! {
    /// `tanh` of every number.
    pub fn tanh_all(x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = tanh(*x));
    }
}

for_every_isa! {
    /// e to the power of every number, held between −12 and 6, less `less`.
    pub fn exp_all(x: &mut [f32], less: f32) {
        x.iter_mut().for_each(|x| *x = exp(x.clamp(-12.0, 6.0) - less));
    }
}

#[cfg(test)]
mod tests {
    use super::super::isa::Isa;
    use super::*;

    fn range(from: f32, to: f32) -> impl Iterator<Item = f32> {
        (0..=200_000).map(move |i| from + (to - from) * i as f32 / 200_000.0)
    }

    /// By its Taylor series, in 64 bits.
    fn erf_reference(x: f64) -> f64 {
        if x.abs() > 5.0 {
            return x.signum();
        }
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-18 {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    fn worst(from: f32, to: f32, ours: fn(f32) -> f32, theirs: fn(f64) -> f64, over: fn(f64) -> f64) -> f64 {
        range(from, to)
            .map(|x| (f64::from(ours(x)) - theirs(f64::from(x))).abs() / over(f64::from(x)))
            .fold(0.0, f64::max)
    }

    #[test]
    fn curves_are_as_exact_as_they_say() {
        let normal = |x: f64| 0.5 * x * (1.0 + erf_reference(x / std::f64::consts::SQRT_2));
        let errors = [
            ("exp", worst(-87.0, 88.0, exp, f64::exp, f64::exp), 2e-7),
            ("sigmoid", worst(-30.0, 30.0, sigmoid, |x| 1.0 / (1.0 + (-x).exp()), |_| 1.0), 2e-7),
            ("tanh", worst(-20.0, 20.0, tanh, f64::tanh, |_| 1.0), 2e-7),
            ("erf", worst(-8.0, 8.0, erf, erf_reference, |_| 1.0), 6e-7),
            ("gelu", worst(-12.0, 12.0, gelu, normal, |x| x.abs().max(1.0)), 3e-7),
            ("log2", worst(1e-3, 1e3, log2, f64::log2, |x| x.log2().abs().max(0.1)), 2e-7),
        ];
        for (name, error, most) in errors {
            println!("{name}: {error:.1e}");
            assert!(error < most, "{name}: {error}");
        }
    }

    #[test]
    fn what_is_no_number_stays_none_and_ends_are_ends() {
        for curve in [exp, sigmoid, tanh, erf, gelu, log2] {
            assert!(curve(f32::NAN).is_nan());
        }
        assert_eq!([tanh(f32::INFINITY), tanh(-100.0), sigmoid(200.0), gelu(0.0)], [1.0, -1.0, 1.0, 0.0]);
        assert!(exp(-1e9) < 2e-38 && exp(1e9).is_finite() && gelu(-1e4).abs() < 1e-2 && log2(0.0).is_nan());
        assert_eq!([log2(1.0), log2(8.0), log2(0.25)], [0.0, 3.0, -2.0]);
    }

    #[test]
    fn every_set_of_instructions_gives_the_same_bits() {
        let x: Vec<f32> = range(-15.0, 15.0).collect();
        let all = |curve: fn(Isa, &mut [f32])| {
            let made = Isa::all().into_iter().map(|isa| {
                let mut y = x.clone();
                curve(isa, &mut y);
                y.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            });
            let made: Vec<_> = made.collect();
            assert!(made.windows(2).all(|w| w[0] == w[1]));
        };
        all(gelu_all);
        all(tanh_all);
        all(|isa, x| exp_all(isa, x, 1.0));
    }
}
