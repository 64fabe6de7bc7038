//! Against whole sounds: `models/recipes/contracts/rvc.py` writes graphs of both layouts and what ONNX Runtime makes of
//! all of a sound at once. What the windows make of it hop by hop must be the same at the same places; so the delay is
//! the one that is told, to the sample.

use std::path::Path;

use super::*;
use crate::PitchMode;
use crate::testing::{reference, root, runtime};

const VOICES: [&str; 4] = ["okada-768", "okada-256-half", "project-768", "project-256"];
/// The last of them, drawn to the features in `index.npy` by half.
const DRAWN: &str = "project-256-drawn";
/// The script keeps every so many samples.
const KEPT: usize = 13;

fn folder() -> PathBuf {
    root().join("tests/data/converters/rvc")
}

fn files(name: &str) -> Files {
    let file = |name: &str| folder().join(format!("{name}.onnx"));
    if name == DRAWN {
        return Files {
            retrieval: Some(Retrieval { features: folder().join("index.npy"), share: 0.5 }),
            ..files("project-256")
        };
    }
    Files { voice: file(name), content: file("content"), pitch: Some(file("rmvpe")), speaker: 0, retrieval: None }
}

fn voice() -> TargetVoice {
    TargetVoice { name: "rvc".to_owned(), embedding: Vec::new(), median_pitch: 200.0, timbres: Vec::new() }
}

fn open(name: &str, mode: Mode) -> Rvc {
    runtime();
    Rvc::open(&files(name), mode, &voice(), &SessionOptions::default()).expect("the voice opens")
}

/// The pitch as it was heard, as the script has it.
const AS_HEARD: Controls = Controls { pitch: PitchMode::Semitones(0.0), gate_dbfs: f32::NEG_INFINITY };

/// All of the input from position 0 on; hops of silence behind it.
fn convert(rvc: &mut Rvc, input: &[f32], controls: &Controls) -> Vec<f32> {
    let t = rvc.timing();
    let mut padded = input.to_vec();
    padded.resize((input.len() + t.delay).next_multiple_of(t.hop), 0.0);
    let mut output = vec![0.0; padded.len()];
    for (x, y) in padded.chunks_exact(t.hop).zip(output.chunks_exact_mut(t.hop)) {
        rvc.process(x, controls, y).expect("the model runs");
    }
    output[t.delay..t.delay + input.len()].to_vec()
}

/// The reference, as if it had been recorded at the voice's rate; as much of it as there is.
fn sound(rate: u32, seconds: f64) -> Vec<f32> {
    reference().mono().iter().take((seconds * f64::from(rate)) as usize).copied().collect()
}

fn golden(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(folder().join(format!("{name}.f32"))).expect("the script wrote it");
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn timing_is_known_before_anything_is_loaded() {
    assert_eq!(timing(Mode::Live, 48000), ConverterTiming { rate: 48000, hop: 4800, delay: 3120 });
    assert_eq!(timing(Mode::Balanced, 40000), ConverterTiming { rate: 40000, hop: 9600, delay: 3800 });
    assert_eq!(timing(Mode::Studio, 32000), ConverterTiming { rate: 32000, hop: 16000, delay: 4960 });
    for mode in Mode::ALL {
        assert_eq!(open("okada-768", mode).timing(), timing(mode, 48000));
    }
}

/// Runs as they come out of the graphs, faded but not moved.
fn unmoved(rvc: &mut Rvc) {
    rvc.join = Join::new(rvc.blocks.crossfade * rvc.timing.rate as usize / 100, 0);
}

/// The whole has what comes after a block where a run has its end: there, and only there, the two may differ, while the
/// next run fades in.
#[test]
fn hops_make_what_the_whole_makes_at_its_place() {
    for name in VOICES.into_iter().chain([DRAWN]) {
        for mode in Mode::ALL {
            let mut rvc = open(name, mode);
            unmoved(&mut rvc);
            let t = rvc.timing();
            let wanted = golden(name);
            let y = convert(&mut rvc, &sound(t.rate, 2.6), &AS_HEARD);
            let crossfade = blocks(mode).crossfade * t.rate as usize / 100;
            // Position 0 of the sound is `delay` samples into the output of the first hop.
            let in_join = |p: usize| (p + t.delay) % t.hop < crossfade;
            // The whole has an edge where the windows have silence.
            let places = || (t.rate as usize / 10..wanted.len() * KEPT).filter(|p| p % KEPT == 0);
            let off = |shift: usize, joins: bool| {
                let all = places().filter(|p| in_join(*p) == joins).map(|p| (y[p + shift] - wanted[p / KEPT]).abs());
                all.fold((0.0f32, 0.0f32, 0), |(most, sum, n), d| (most.max(d), sum + d * d, n + 1))
            };
            let ((worst, ..), (shifted, ..), (_, power, n)) = (off(0, false), off(1, false), off(0, true));
            let joins =
                10.0 * (power / n as f32 / wanted.iter().map(|x| x * x).sum::<f32>() * wanted.len() as f32).log10();
            println!(
                "{name}, {mode:?}: largest difference {worst:.1e}; one sample later {shifted:.1e}; in joins \
                 {joins:.0} dB"
            );
            // One draws noise, another has numbers of 16 bits.
            let allowed = if name.starts_with("okada") { 1e-3 } else { 3e-5 };
            assert!(worst < allowed, "{name}, {mode:?}: {worst}");
            assert!(shifted > 0.05, "{name}, {mode:?}: one sample off would be seen");
            assert!(n > 100 && joins < -10.0, "{name}, {mode:?}: {n} samples of joins {joins} dB below the sound");
        }
    }
}

/// The search moves a block by no more than it reaches, and the next one from its own place again.
#[test]
fn a_moved_block_is_near_its_place() {
    let x = sound(32000, 2.0);
    let mut plain = open("project-256", Mode::Live);
    unmoved(&mut plain);
    let t = plain.timing();
    let (still, moved) =
        (convert(&mut plain, &x, &AS_HEARD), convert(&mut open("project-256", Mode::Live), &x, &AS_HEARD));
    let (search, crossfade) = (search(t.rate), blocks(Mode::Live).crossfade * t.rate as usize / 100);
    for block in 2..18 {
        // What is in the block wherever it was moved to.
        let from = block * t.hop - t.delay + crossfade + search;
        let inside = from..from + t.hop - crossfade - 2 * search;
        let found = (0..=2 * search)
            .find(|o| moved[inside.clone()] == still[inside.start + o - search..inside.end + o - search]);
        assert!(found.is_some(), "block {block} is further off");
    }
}

#[test]
fn equal_hops_give_equal_bits_after_any_reset() {
    let mut rvc = open("project-768", Mode::Live);
    assert!(rvc.deterministic());
    let x = sound(40000, 1.0);
    let bits = |y: &[f32]| y.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    rvc.reset(7);
    let first = convert(&mut rvc, &x, &Controls::default());
    rvc.reset(7);
    assert_eq!(bits(&first), bits(&convert(&mut rvc, &x, &Controls::default())));
    assert_eq!(bits(&first), {
        let mut other = open("project-768", Mode::Live);
        other.reset(7);
        bits(&convert(&mut other, &x, &Controls::default()))
    });
    rvc.reset(8);
    assert_ne!(first, convert(&mut rvc, &x, &Controls::default()), "other hops have other noise");
}

/// A start in the middle stands on the same timeline: frames, noise and sound are where they were.
#[test]
fn a_start_in_the_middle_is_on_the_same_timeline() {
    let mut rvc = open("project-256", Mode::Live);
    let (t, x) = (rvc.timing(), sound(32000, 2.0));
    let all = convert(&mut rvc, &x, &AS_HEARD);
    rvc.reset(5);
    let rest = convert(&mut rvc, &x[5 * t.hop..], &AS_HEARD);
    let heard = t.hop;
    let off = worst(&rest[heard..], &all[5 * t.hop + heard..]);
    assert!(off < 1e-4, "{off}");
    let shifted = worst(&rest[heard + 1..], &all[5 * t.hop + heard..all.len() - 1]);
    assert!(shifted > 0.05, "one sample off would be seen");
}

#[test]
fn a_graph_that_draws_is_told_from_one_that_does_not() {
    let drawing: Vec<&str> = VOICES.into_iter().filter(|name| !open(name, Mode::Live).deterministic()).collect();
    assert_eq!(drawing, ["okada-768"]);
}

#[test]
fn silence_and_what_is_no_number_are_silent() {
    let mut rvc = open("okada-768", Mode::Live);
    assert!(convert(&mut rvc, &vec![0.0; 48000], &Controls::default()).iter().all(|y| *y == 0.0));
    rvc.reset(0);
    let mut x = sound(48000, 1.0);
    x[30_000] = f32::NAN;
    x[30_001] = f32::INFINITY;
    assert!(convert(&mut rvc, &x, &Controls::default()).iter().all(|y| y.is_finite()));
    rvc.reset(0);
    let y = convert(&mut rvc, &sound(48000, 1.0), &Controls::default());
    assert!(y[..480].iter().all(|y| y.is_finite()) && mynah_dsp::level::rms(&y) > 0.05);
}

#[test]
fn the_pitch_moves_as_asked() {
    let x = sound(40000, 1.0);
    let heard = |pitch: PitchMode| {
        let mut rvc = open("project-768", Mode::Live);
        convert(&mut rvc, &x, &Controls { pitch, ..Controls::default() });
        rvc.told.hertz.iter().copied().filter(|f| *f > 0.0).collect::<Vec<f32>>()
    };
    let (plain, up) = (heard(PitchMode::Semitones(0.0)), heard(PitchMode::Semitones(5.0)));
    assert!(plain.len() > 10);
    assert!(plain.iter().zip(&up).all(|(a, b)| (a * (5.0f32 / 12.0).exp2() - b).abs() < 0.01));
    let median = mynah_dsp::pitch::median(&heard(PitchMode::Auto));
    assert!((median / 200.0).log2().abs() < 1.5 / 12.0, "{median}");
}

/// Without RMVPE the pitch is that of Mynah's tracker over the whole sound, frame for frame.
#[test]
fn the_trackers_pitch_stands_at_its_frame() {
    // At the tracker's own rate, so that no resampler comes between.
    for (hop, lag) in [(2400, 0), (5760, 2), (12000, 8)] {
        let x: Vec<f32> = crate::testing::clip().into_iter().cycle().take(48000).collect();
        let whole = mynah_dsp::pitch::track(&x, lag);
        let mut pitch = Pitch::Own(Box::new(Own::new(24000, hop, lag)));
        let (mut all, mut hertz) = (Vec::new(), Vec::new());
        for start in [0, 3 * hop] {
            // Nothing of before the reset is left.
            all.clear();
            pitch.reset(start as u64);
            for (k, block) in x.chunks_exact(hop).enumerate() {
                let count = hop / 240 - if k == 0 { lag + REACH } else { 0 };
                pitch.hear(block, &[], 0, count, &mut hertz).expect("heard");
                all.extend_from_slice(&hertz);
            }
        }
        assert!(all.iter().filter(|f| **f > 0.0).count() > 40);
        assert_eq!(all, whole[..all.len()]);
    }
    runtime();
    let plain = Files { pitch: None, ..files("project-768") };
    let mut rvc = Rvc::open(&plain, Mode::Balanced, &voice(), &SessionOptions::default()).expect("the voice opens");
    let y = convert(&mut rvc, &sound(40000, 1.0), &AS_HEARD);
    assert!(y.iter().all(|y| y.is_finite()) && rvc.told.hertz.iter().any(|f| *f > 60.0));
}

#[test]
fn graphs_are_told_apart() {
    runtime();
    let look = |name: &str| {
        let session = Session::load(&folder().join(format!("{name}.onnx")), &SessionOptions::default()).expect("loads");
        part(&session, &SessionOptions::default()).expect("a whole graph")
    };
    let voice = |layout, rate, width, pitch, noise, deterministic| {
        Some(Part::Voice(Look { layout, rate, width, pitch, noise, deterministic }))
    };
    assert_eq!(look("okada-768"), voice(Layout::WOkada, 48000, 768, true, None, false));
    assert_eq!(look("okada-256-half"), voice(Layout::WOkada, 32000, 256, false, None, true));
    assert_eq!(look("project-768"), voice(Layout::RvcProject, 40000, 768, true, Some(192), true));
    assert_eq!(look("project-256"), voice(Layout::RvcProject, 32000, 256, true, Some(192), true));
    assert_eq!(look("content"), Some(Part::Content));
    let content = Session::load(&folder().join("content.onnx"), &SessionOptions::default()).expect("loads");
    let widths: Vec<i64> = content.outputs().iter().map(|o| crate::blocks::sizes(o)[2]).collect();
    assert_eq!(widths, [-1, 768], "one output says its width, the other is known by its name");
    assert_eq!(look("rmvpe"), Some(Part::Pitch));
    let other =
        Session::load(&crate::testing::asset("silero_vad_16k.onnx"), &SessionOptions::default()).expect("loads");
    assert_eq!(part(&other, &SessionOptions::default()).expect("no error"), None);
}

#[test]
fn a_graph_in_anothers_place_is_named_with_what_it_lacks() {
    runtime();
    let said = |files: Files| {
        Rvc::open(&files, Mode::Live, &voice(), &SessionOptions::default()).err().expect("it can't be used").to_string()
    };
    let at = |name: &str| -> PathBuf { Path::new(&folder()).join(format!("{name}.onnx")) };
    let plain = files("project-768");
    let wrong = said(Files { voice: at("content"), ..plain.clone() });
    assert!(wrong.contains("`phone`") && wrong.contains("found audio") && wrong.contains("content.onnx"), "{wrong}");
    let wrong = said(Files { content: at("rmvpe"), ..plain.clone() });
    assert!(wrong.contains("[1, frames, 768]") && wrong.contains("`waveform`"), "{wrong}");
    let wrong = said(Files { pitch: Some(at("content")), ..plain.clone() });
    assert!(wrong.contains("`waveform`") && wrong.contains("audio"), "{wrong}");
    let index = |file: PathBuf| Some(Retrieval { features: file, share: 0.5 });
    let wrong = said(Files { retrieval: index(folder().join("index.npy")), ..plain.clone() });
    assert!(wrong.contains("[8 or more, 768]") && wrong.contains("(48, 256)"), "{wrong}");
    let wrong = said(Files { retrieval: index(at("content")), ..plain.clone() });
    assert!(wrong.contains("no NumPy file"), "{wrong}");
    // A speaker that the generator doesn't know.
    let wrong = said(Files { speaker: 7, ..plain });
    assert!(wrong.contains("project-768.onnx"), "{wrong}");
}
