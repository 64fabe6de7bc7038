//! The promise of one exact latency: an impulse lands where the host was told it would, whatever the block sizes, rates
//! and modes, and the output does not depend on the blocks.

use mynah::clock::Mode;
use mynah::engine::testing::{block, identity, run, setup};
use proptest::prelude::*;

const BLOCKS: [usize; 10] = [1, 7, 32, 64, 100, 128, 441, 512, 1024, 4096];
const RATES: [u32; 12] = [8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192_000, 384_000, 768_000];

/// Where the loudest sample is.
fn peak(x: &[f32]) -> usize {
    (0..x.len()).max_by(|&a, &b| x[a].abs().total_cmp(&x[b].abs())).expect("a signal")
}

fn impulse_error(rate: u32, sizes: &[usize], mode: Mode) -> i64 {
    let max = *sizes.iter().max().expect("a size");
    let (_engine, mut port, _) = identity(setup(rate, max, 1, mode));
    let at = rate as usize / 20 + 13;
    let total = port.latency().total;
    let mut input = vec![0.0; at + total + rate as usize / 10];
    input[at] = 0.9;
    let output = run(&mut port, &input, sizes, &block(true));
    assert_eq!(port.shared().counters().late_hops, 0, "{rate} Hz, {sizes:?}, {mode:?}");
    // One sample is narrower than the model's band: what is left of it is the ratio of the rates.
    let left = 0.9 * (24000.0 / rate as f32).min(1.0);
    assert!(output[peak(&output)].abs() > 0.7 * left, "{rate} Hz, {sizes:?}, {mode:?}: the impulse is gone");
    peak(&output) as i64 - (at + total) as i64
}

#[test]
fn the_impulse_lands_at_the_reported_latency() {
    for mode in Mode::ALL {
        for rate in RATES {
            for size in BLOCKS {
                assert_eq!(impulse_error(rate, &[size], mode), 0, "{rate} Hz, blocks of {size}, {mode:?}");
            }
        }
    }
}

#[test]
fn the_sum_is_the_sum_of_its_parts() {
    let (_engine, port, _) = identity(setup(44100, 512, 1, Mode::Live));
    let l = port.latency();
    assert_eq!(l.total, l.resample_in + l.hop + l.look_ahead + l.resample_out + l.block + l.slack);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn any_mixture_of_blocks_keeps_it(
        rate in prop::sample::select(RATES.to_vec()),
        sizes in prop::collection::vec(1usize..5000, 1..12),
        mode in prop::sample::select(Mode::ALL.to_vec()),
    ) {
        prop_assert_eq!(impulse_error(rate, &sizes, mode), 0);
    }

    /// Block sizes must not be heard. The largest block is a part of the latency, so it is the same for all.
    #[test]
    fn the_output_does_not_depend_on_the_blocks(
        rate in prop::sample::select(vec![8000u32, 44100, 48000, 96000]),
        sizes in prop::collection::vec(1usize..1024, 1..12),
        seed in 1u32..1000,
    ) {
        let mut x = seed;
        let noise: Vec<f32> = (0..rate as usize / 2).map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 8) as f32 / (1 << 24) as f32 - 0.5
        }).collect();
        let mut outputs = [&sizes[..], &[64], &[1024]].map(|sizes| {
            let (_engine, mut port, _) = identity(setup(rate, 1024, 1, Mode::Live));
            run(&mut port, &noise, sizes, &block(true))
        }).into_iter();
        let first = outputs.next().expect("three runs");
        prop_assert!(first.iter().any(|y| y.abs() > 0.05));
        for other in outputs {
            prop_assert!(first == other);
        }
    }
}
