//! Equality with the reference: `models/recipes/contracts/meanvc.py` writes what is compared here.

use super::convert::Bare;
use super::tests::{ALL, convert, files, folder, golden, open, shared, speech, voice, worst};
use super::*;
use crate::dsp::level::rms;
use crate::runtime::SessionOptions;
use crate::voice::Converter;
use crate::voice::testing::root;

#[test]
fn features_equal_those_of_kaldi_and_librosa() {
    let theirs = golden(shared("features.f32"));
    let mut bank = kaldi::Features::new();
    let mut ours = Vec::new();
    bank.reset(0);
    speech()[..4000].chunks(333).for_each(|block| bank.push(block, &mut ours));
    println!("Kaldi features: largest difference {:.2e}", worst(&ours, &theirs));
    assert!(worst(&ours, &theirs) < 1e-4);
    let theirs = golden(shared("mel.f32"));
    let ours = mel::frames(&speech());
    println!("mel frames: largest difference {:.2e}", worst(&ours[..theirs.len()], &theirs));
    assert!(worst(&ours[..theirs.len()], &theirs) < 1e-4);
    assert!(mel::frames(&[0.1]).iter().all(|x| x.is_finite()) && mel::frames(&[]).is_empty());
}

#[test]
fn the_sound_equals_the_reference() {
    for model in ALL {
        let mut converter = open("meanvc", model);
        converter.bare = Bare { hush: true, noise: false };
        let (ours, theirs) = (convert(&mut converter, &speech()[..12_000]), golden(folder("meanvc", model).join("sound.f32")));
        println!("{model:?}: largest difference {:.2e} of {:.3} RMS", worst(&ours, &theirs), rms(&theirs));
        assert!(worst(&ours, &theirs) < 1e-3, "{model:?}: {}", worst(&ours, &theirs));
        assert!(rms(&theirs) > 0.02);
    }
}

/// The layout with both steps in one graph and a vocoder that ends at the spectrum.
#[test]
fn a_fused_graph_and_spectra_equal_the_reference_too() {
    let fused = root().join("tests/data/contracts-meanvc/meanvc-fused2-4");
    let files = Files { flow: fused.join("flow.onnx"), vocoder: fused.join("vocoder.onnx"), ..files("meanvc", Model::Two40) };
    let mut converter = MeanVc::open(&files, &voice(Model::Two40), &SessionOptions::default()).expect("the graphs open");
    converter.bare = Bare { hush: true, noise: false };
    let (ours, theirs) = (convert(&mut converter, &speech()[..12_000]), golden(fused.join("sound.f32")));
    println!("fused: largest difference {:.2e} of {:.3} RMS", worst(&ours, &theirs), rms(&theirs));
    assert!(worst(&ours, &theirs) < 1e-3 && rms(&theirs) > 0.02);
    converter.reset(0);
    assert_eq!(convert(&mut converter, &speech()[..12_000]), ours);
}
