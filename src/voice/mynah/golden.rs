//! Equality with the reference: `models/recipes/golden/mynah.py` writes what is compared here.

use super::graph::{BINS, Features, Graph};
use super::synth::{HOP, Synth};
use crate::dsp::mel::MelBank;
use crate::dsp::stft::Frames;
use crate::runtime::SessionOptions;
use crate::voice::testing::{clip, golden, runtime, voice_model};
use realfft::num_complex::Complex;

/// Features of the clip with the reference's pitch, from windows centred on each hop.
fn features() -> Features {
    let x = clip();
    let mut padded = vec![0.0; x.len() + 960];
    padded[480..480 + x.len()].copy_from_slice(&x);
    let (mut frames, bank) = (Frames::new(960, 1024), MelBank::slaney(24000, 1024, 80, 40.0, 11500.0));
    let (mut spectrum, mut power) = (vec![Complex::default(); BINS], vec![0.0; 80]);
    let mut features = Features::default();
    for (t, f0) in golden("mynah_f0").into_iter().enumerate() {
        frames.forward(&padded[t * HOP..], &mut spectrum);
        let bins: Vec<f32> = spectrum.iter().map(|s| s.norm_sqr()).collect();
        bank.apply(&bins, &mut power);
        features.push(&power, 1.0, f0);
    }
    features
}

fn part(all: &Features, from: usize, to: usize) -> Features {
    Features { mel: all.mel[from * 80..to * 80].to_vec(), f0: all.f0[from..to].to_vec(), energy: all.energy[from..to].to_vec() }
}

/// Filters of all frames, the graph's look-ahead taken off, and the sound without noise.
fn streamed(hops: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    runtime();
    let mut graph = Graph::open(&voice_model(), &SessionOptions::default()).expect("the graph opens");
    graph.set_speaker(&golden("mynah_speaker"));
    let mut synth = Synth::new();
    synth.mute_noise();
    let all = features();
    let (mut harmonic, mut noise, mut sound) = (Vec::new(), Vec::new(), Vec::new());
    let lookahead = graph.lookahead();
    for from in (0..all.f0.len()).step_by(hops) {
        let part = part(&all, from, (from + hops).min(all.f0.len()));
        part.f0.iter().for_each(|f| synth.push_pitch(*f));
        graph
            .run(&part, |i, h, z| {
                if from + i < lookahead {
                    return;
                }
                harmonic.extend_from_slice(h);
                noise.extend_from_slice(z);
                synth.frame(Some((h, z)), 1.0, f32::INFINITY);
                let mut out = [0.0; HOP];
                synth.take(&mut out);
                sound.extend_from_slice(&out);
            })
            .expect("the graph runs");
    }
    (harmonic, noise, sound.split_off(2 * HOP))
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn every_eighth(filters: &[f32]) -> Vec<f32> {
    filters.chunks_exact(BINS).step_by(8).flatten().copied().collect()
}

#[test]
fn filters_and_sound_equal_the_reference() {
    let (harmonic, noise, sound) = streamed(1);
    for (name, ours) in [("mynah_harmonic", every_eighth(&harmonic)), ("mynah_noise", every_eighth(&noise))] {
        let theirs = golden(name);
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let worst = worst(&ours, &theirs);
        println!("{name}: largest difference {worst:.2e}");
        assert!(worst < 2e-3, "{name}: {worst}");
    }
    let theirs = golden("mynah_sound");
    assert!(sound.len() >= theirs.len() && theirs.len() > 20_000, "{} of {}", sound.len(), theirs.len());
    let worst = worst(&sound, &theirs);
    println!("sound without noise: largest difference {worst:.2e}");
    assert!(worst < 1e-3, "{worst}");
    assert!(theirs.iter().fold(0.0f32, |a, x| a.max(x.abs())) > 0.05, "there is sound to compare");
}

#[test]
fn hops_of_any_length_give_the_same_sound() {
    let one = streamed(1);
    for hops in [2, 4, 7] {
        let other = streamed(hops);
        for (a, b) in [(&one.0, &other.0), (&one.1, &other.1), (&one.2, &other.2)] {
            assert_eq!(a.len(), b.len());
            assert!(worst(a, b) < 1e-3, "hops of {hops}: {}", worst(a, b));
        }
    }
}
