//! Equality with the reference: `models/recipes/golden/mynah.py` writes what is compared here.

use std::path::Path;

use super::graph::{Features, Graph};
use super::heard::{BANDS, BINS, HOP, Hearing, RISE, WINDOW};
use super::synth::Synth;
use crate::testing::{clip, golden, runtime, voice_model, voice_weights};
use mynah_models::runtime::SessionOptions;
use mynah_realtime::clock::Mode;

/// The reference keeps one of so many frames' filters.
const KEPT: usize = 24;

/// Features of the clip with the reference's pitch, `lookahead` frames behind the mel bands.
fn features(lookahead: usize) -> Features {
    let padded = [vec![0.0; RISE], clip(), vec![0.0; WINDOW]].concat();
    let (mut hearing, mut power) = (Hearing::new(), vec![0.0; BANDS]);
    let (mut features, f0) = (Features::default(), golden("mynah_f0"));
    let mut energies = Vec::new();
    for t in 0..f0.len() {
        hearing.hear(&padded[t * HOP..][..WINDOW], &mut power);
        energies.push(features.push_mel(&power, 1.0));
        match t.checked_sub(lookahead) {
            Some(leaving) => features.push_voice(f0[leaving], energies[leaving]),
            None => features.push_silence(),
        }
    }
    features
}

fn part(all: &Features, from: usize, to: usize) -> Features {
    Features {
        mel: all.mel[from * BANDS..to * BANDS].to_vec(),
        f0: all.f0[from..to].to_vec(),
        energy: all.energy[from..to].to_vec(),
    }
}

/// Filters of all frames of the clip whose future is known, and the sound without noise.
struct Streamed {
    harmonic: Vec<f32>,
    noise: Vec<f32>,
    sound: Vec<f32>,
}

/// In calls of so many hops, by the network of that file.
fn streamed(file: &Path, mode: Mode, hops: usize) -> Streamed {
    runtime();
    let mut graph = Graph::open(file, mode, &SessionOptions::default()).expect("the graph opens");
    graph.set_speaker(&golden("mynah_speaker"), Some(&golden("mynah_timbre")));
    let mut synth = Synth::new();
    synth.mute_noise();
    golden("mynah_f0").iter().for_each(|f| synth.push_pitch(*f));
    let lookahead = graph.lookahead();
    let all = features(lookahead);
    let mut made = Streamed { harmonic: Vec::new(), noise: Vec::new(), sound: Vec::new() };
    for from in (0..all.f0.len()).step_by(hops) {
        let part = part(&all, from, (from + hops).min(all.f0.len()));
        graph
            .run(&part, |i, h, z| {
                if from + i < lookahead {
                    return;
                }
                made.harmonic.extend_from_slice(h);
                made.noise.extend_from_slice(z);
                synth.frame(Some((h, z)), 1.0, f32::INFINITY);
                let mut out = [0.0; HOP];
                synth.take(&mut out);
                made.sound.extend_from_slice(&out);
            })
            .expect("the graph runs");
    }
    // What frame 0 completes lies before position 0.
    made.sound.drain(..HOP);
    made
}

/// The largest difference, relative to the largest number.
fn worst(a: &[f32], b: &[f32]) -> f32 {
    let largest = b.iter().fold(1e-9f32, |m, x| m.max(x.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

#[test]
fn filters_equal_the_reference_in_every_mode() {
    for (mode, file) in Mode::ALL.into_iter().flat_map(|mode| [(mode, voice_weights()), (mode, voice_model(mode))]) {
        let made = streamed(&file, mode, 1);
        for (name, ours) in [("harmonic", made.harmonic), ("noise", made.noise)] {
            let kept: Vec<f32> = ours.chunks_exact(BINS).step_by(KEPT).flatten().copied().collect();
            let theirs = golden(&format!("mynah_{name}_{}", mode.name()));
            assert_eq!(kept.len(), theirs.len(), "{mode:?} {name}");
            let worst = worst(&kept, &theirs);
            println!("{mode:?} {name}: largest difference {worst:.2e}");
            assert!(worst < 1e-4, "{mode:?} {name}: {worst}");
        }
    }
}

#[test]
fn sound_equals_the_reference() {
    let (sound, theirs) = (streamed(&voice_weights(), Mode::Live, 1).sound, golden("mynah_sound"));
    assert!(sound.len() == theirs.len() && theirs.len() > 20_000, "{} of {}", sound.len(), theirs.len());
    let worst = worst(&sound, &theirs);
    println!("sound without noise: largest difference {worst:.2e}");
    assert!(worst < 1e-4, "{worst}");
    assert!(theirs.iter().fold(0.0f32, |a, x| a.max(x.abs())) > 0.05, "there is sound to compare");
}

#[test]
fn hops_of_any_length_give_the_same_sound() {
    for mode in Mode::ALL {
        // To the bit in Rust; a graph in ONNX Runtime adds up in another order where a call is longer.
        for (file, most) in [(voice_weights(), 0.0), (voice_model(mode), 1e-4)] {
            let one = streamed(&file, mode, 1);
            for hops in [2, 4, 7] {
                let other = streamed(&file, mode, hops);
                for (a, b) in [(&one.harmonic, &other.harmonic), (&one.noise, &other.noise), (&one.sound, &other.sound)]
                {
                    assert_eq!(a.len(), b.len());
                    assert!(worst(a, b) <= most, "{mode:?}, hops of {hops}: {}", worst(a, b));
                }
            }
        }
    }
}
