//! Nothing happens where others begin anew.

use super::convert::Bare;
use super::tests::{ALL, files, hops, open, speech, worst};
use super::*;
use crate::Converter;
use crate::testing::runtime;
use mynah_models::runtime::SessionOptions;

/// MeanVC's own runtime drops its caches after 40 s. Here nothing happens there: under steady sound and without noise
/// the output repeats itself, and goes on to. What dropping does is measured beside it.
#[test]
fn there_is_no_seam_at_40_seconds() {
    let period = 12 * HOP;
    let periods = |s: f64| (s * 16_000.0 / period as f64) as usize;
    for model in ALL {
        // MeanVC's chunks of 200 ms come round with five of these periods.
        let round = if model == Model::One200 { 5 } else { 1 };
        let mut converter = open("meanvc", model);
        converter.bare = Bare { hush: true, noise: true };
        let input: Vec<f32> = (0..period)
            .map(|i| 0.1 * (i as f32 * std::f32::consts::TAU / 160.0).sin() + 0.05 * ((i / 80 % 2) as f32))
            .collect();
        let mut run = |seconds: f64, dropped: Option<f64>| {
            converter.reset(0);
            let mut output: Vec<Vec<f32>> = Vec::new();
            for n in 0..periods(seconds) {
                if dropped.map(periods) == Some(n) {
                    converter.flow.reset().expect("caches are emptied");
                }
                output.push(hops(&mut converter, &input));
            }
            (round..output.len()).map(|n| worst(&output[n], &output[n - round])).collect::<Vec<_>>()
        };
        let most = |changes: &[f32], from: f64, to: f64| {
            changes[periods(from) - round..periods(to) - round].iter().copied().fold(0.0, f32::max)
        };
        let (ours, theirs) = (run(46.0, None), run(16.0, Some(10.0)));
        let (before, at, dropped) = (most(&ours, 30.0, 38.0), most(&ours, 39.0, 45.5), most(&theirs, 9.5, 15.0));
        println!(
            "{model:?}: from one round to the next {before:.2e} before 38 s, {at:.2e} from 39 s on; {dropped:.2e} \
             where caches are dropped"
        );
        assert!(at <= 2.0 * before.max(1e-4), "{model:?}: {at} after {before}");
        assert!(dropped > 10.0 * at.max(1e-4), "{model:?}: what is looked for would be seen");
    }
}

/// The encoder's positions are held after 40 s: content of a sound that comes again and again changes with them, never
/// more where they are held than before, and from then on not at all.
#[test]
fn held_positions_make_no_step() {
    let period = 12 * HOP;
    for model in ALL {
        runtime();
        let round = if model == Model::One200 { 5 } else { 1 };
        let mut content = content::Content::open(&files("meanvc", model).encoder, model, &SessionOptions::default())
            .expect("it opens");
        let input = &speech()[..period];
        let rounds: Vec<Vec<f32>> = (0..120 / round)
            .map(|_| {
                let mut frames = Vec::new();
                (0..round).for_each(|_| content.push(input, &mut frames).expect("it runs"));
                frames
            })
            .collect();
        // A round is 0.48 s, or five of them; position 1,000 is that of 40 s.
        let changes: Vec<f32> = (2..rounds.len()).map(|n| worst(&rounds[n], &rounds[n - 1])).collect();
        let at = 40_000 / (480 * round) - 2;
        let most = |changes: &[f32]| changes.iter().copied().fold(0.0, f32::max);
        // A row reaches back through all layers: 6 s.
        let settled = at + 2 + 13 / round;
        let (before, then, after) =
            (most(&changes[at / 2..at - 1]), most(&changes[at - 1..settled]), most(&changes[settled..]));
        println!(
            "{model:?}: content changes by {before:.2e} a round before positions are held, {then:.2e} there, \
             {after:.2e} afterwards"
        );
        assert!(before > 1e-3, "{model:?}: positions are heard");
        assert!(then <= before && after < 1e-5, "{model:?}: {then} after {before}, then {after}");
    }
}
