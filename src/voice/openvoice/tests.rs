//! Against whole sounds: `models/recipes/contracts/openvoice.py` writes graphs of the contract and what ONNX Runtime
//! makes of all of a sound at once. What the windows make of it hop by hop must be the same at the same places; so the
//! delay is the one that is told, to the sample.

use super::*;
use crate::testing::{reference, root, runtime};
use crate::{HearsTimbre, Timbre};

/// The script keeps every so many samples, and every so many frames.
const KEPT: usize = 11;
const KEPT_FRAMES: usize = 40;
const MODEL: &str = "these weights";

fn folder() -> PathBuf {
    root().join("tests/data/converters/openvoice")
}

fn files(converter: &str) -> Files {
    let file = |name: &str| folder().join(format!("{name}.onnx"));
    Files { encoder: file("encoder"), converter: file(converter), model: MODEL.to_owned() }
}

fn golden(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(folder().join(format!("{name}.f32"))).expect("the script wrote it");
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
}

fn voice() -> TargetVoice {
    let timbre = Timbre { model: MODEL.to_owned(), numbers: golden("target") };
    TargetVoice { name: "tone".to_owned(), embedding: Vec::new(), median_pitch: 0.0, timbres: vec![timbre] }
}

fn open(converter: &str, mode: Mode) -> OpenVoice {
    runtime();
    OpenVoice::open(&files(converter), mode, &voice(), &SessionOptions::default()).expect("the voice opens")
}

/// The reference, as if it had been recorded at the family's rate.
fn sound() -> Vec<f32> {
    reference().mono().to_vec()
}

/// All of the input from position 0 on; hops of silence behind it.
fn convert(openvoice: &mut OpenVoice, input: &[f32]) -> Vec<f32> {
    let t = openvoice.timing();
    let mut padded = input.to_vec();
    padded.resize((input.len() + t.delay).next_multiple_of(t.hop), 0.0);
    let mut output = vec![0.0; padded.len()];
    for (x, y) in padded.chunks_exact(t.hop).zip(output.chunks_exact_mut(t.hop)) {
        openvoice.process(x, &Controls::default(), y).expect("the model runs");
    }
    output[t.delay..t.delay + input.len()].to_vec()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn timing_is_known_before_anything_is_loaded() {
    assert_eq!(timing(Mode::Live), ConverterTiming { rate: 22050, hop: 2048, delay: 5120 });
    assert_eq!(timing(Mode::Balanced), ConverterTiming { rate: 22050, hop: 5120, delay: 9216 });
    assert_eq!(timing(Mode::Studio), ConverterTiming { rate: 22050, hop: 11264, delay: 28928 });
    for mode in Mode::ALL {
        assert_eq!(open("converter-1", mode).timing(), timing(mode));
    }
}

#[test]
fn the_spectrogram_is_openvoices() {
    let (all, wanted) = (Spectrum::new().all(&sound()), golden("spectrogram"));
    for (frame, wanted) in all.chunks_exact(BINS).step_by(KEPT_FRAMES).zip(wanted.chunks_exact(BINS)) {
        let off = worst(frame, wanted);
        assert!(off < 1e-3 * wanted.iter().copied().fold(0.0, f32::max), "{off}");
    }
    assert_eq!(all.len() / BINS, sound().len() / HOP);
}

#[test]
fn the_tone_is_that_of_the_encoder() {
    runtime();
    let mut encoder =
        ToneEncoder::open(&files("").encoder, MODEL, &SessionOptions::default()).expect("the encoder opens");
    let x = sound();
    let tone = encoder.timbre(&x, std::slice::from_ref(&(0..x.len()))).expect("it runs").expect("there are frames");
    let off = worst(&tone.numbers, &golden("tone"));
    assert!(tone.model == MODEL && off < 1e-4, "{off}");
    // Two stretches are heard as one sound.
    let two = encoder.timbre(&x, &[0..22528, 45056..x.len() + 9]).expect("it runs").expect("there are frames");
    let spoken = [&x[..22528], &x[45056..]].concat();
    let one =
        encoder.timbre(&spoken, std::slice::from_ref(&(0..spoken.len()))).expect("it runs").expect("there are frames");
    assert_eq!(two, one);
    assert_ne!(two, tone);
    assert_eq!(encoder.timbre(&x, &[]).expect("nothing to run"), None);
}

#[test]
fn hops_make_what_the_whole_makes_at_its_place() {
    for name in ["converter-1", "converter-2"] {
        for mode in Mode::ALL {
            let mut openvoice = open(name, mode);
            openvoice.told = Some(golden("source"));
            let (y, wanted) = (convert(&mut openvoice, &sound()), golden(name));
            // The whole has its own reflection before it where the windows have silence.
            let from = 8 * HOP / KEPT;
            let at = |shift: usize| y[shift..].iter().step_by(KEPT).take(wanted.len()).copied().collect::<Vec<f32>>();
            let off = worst(&at(0)[from..], &wanted[from..]);
            let shifted = worst(&at(1)[from..], &wanted[from..]);
            println!("{name}, {mode:?}: largest difference {off:.1e}; one sample later {shifted:.1e}");
            let allowed = if openvoice.deterministic() { 1e-4 } else { 1e-3 };
            assert!(off < allowed, "{name}, {mode:?}: {off}");
            assert!(shifted > 5.0 * off, "{name}, {mode:?}: one sample off would be seen");
        }
    }
}

#[test]
fn equal_hops_give_equal_bits_after_any_reset() {
    let (mut openvoice, x) = (open("converter-1", Mode::Live), sound());
    assert!(openvoice.deterministic() && !open("converter-2", Mode::Live).deterministic());
    let bits = |y: &[f32]| y.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let mut convert_from = |hop: u64| {
        openvoice.reset(hop);
        bits(&convert(&mut openvoice, &x))
    };
    let first = convert_from(3);
    assert_eq!(first, convert_from(3));
    assert_eq!(first, convert_from(9), "nothing of this family depends on where a hop lies");
}

/// What is known of the source comes near to what is known of it whole, and a second source takes the first one's
/// place.
#[test]
fn the_sources_tone_is_learned_and_learned_anew() {
    runtime();
    let mut encoder =
        ToneEncoder::open(&files("").encoder, MODEL, &SessionOptions::default()).expect("the encoder opens");
    let frames = Spectrum::new().all(&sound());
    let other: Vec<f32> = frames.chunks_exact(BINS).flat_map(|f| f.iter().rev().copied()).collect();
    let (whole, whole_other) = (golden("tone"), encoder.of_frames(&other).expect("it runs"));
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    let apart = distance(&whole, &whole_other);
    let mut source = SourceTone::default();
    source.hear(&vec![SILENCE; 8 * BINS], &mut encoder).expect("heard");
    assert_eq!(source.tone(), None, "silence says nothing");
    let mut hear = |source: &mut SourceTone, frames: &[f32], times: usize| {
        (0..times).for_each(|_| frames.chunks(8 * BINS).for_each(|hop| source.hear(hop, &mut encoder).expect("heard")));
        source.tone().expect("known").to_vec()
    };
    let early = hear(&mut source, &frames[..40 * BINS], 1);
    let active: Vec<f32> =
        frames[..40 * BINS].chunks_exact(BINS).filter(|f| spectrum::level(f) > 0.00316).flatten().copied().collect();
    assert!(active.len() > BINS && active.len() < 40 * BINS);
    let mut again =
        ToneEncoder::open(&files("").encoder, MODEL, &SessionOptions::default()).expect("the encoder opens");
    assert_eq!(early, again.of_frames(&active).expect("it runs"), "all that was spoken, and nothing else");
    let known = hear(&mut source, &frames, 2);
    assert!(distance(&known, &whole) < 0.3 * apart, "{} of {apart}", distance(&known, &whole));
    let turned = hear(&mut source, &other, 12);
    assert!(distance(&turned, &whole_other) < 0.3 * apart, "{} of {apart}", distance(&turned, &whole_other));
    source.reset();
    assert_eq!(source.tone(), None);
}

#[test]
fn silence_and_what_is_no_number_are_silent() {
    let mut openvoice = open("converter-1", Mode::Live);
    assert!(convert(&mut openvoice, &vec![0.0; 22050]).iter().all(|y| *y == 0.0));
    let mut x = sound();
    x[9000] = f32::NAN;
    x[9001] = f32::NEG_INFINITY;
    openvoice.reset(0);
    let y = convert(&mut openvoice, &x);
    assert!(y.iter().all(|y| y.is_finite()) && mynah_dsp::level::rms(&y) > 0.05);
}

#[test]
fn a_voice_of_other_weights_is_told_and_the_next_one_works() {
    let mut openvoice = open("converter-1", Mode::Live);
    let other =
        TargetVoice { timbres: vec![Timbre { model: "others".to_owned(), numbers: golden("target") }], ..voice() };
    let (hop, mut output) = (sound()[..2048].to_vec(), vec![0.0; 2048]);
    openvoice.set_voice(&other);
    let said = openvoice.process(&hop, &Controls::default(), &mut output).expect_err("no tone").to_string();
    assert!(said.contains("enrol it again"), "{said}");
    openvoice.set_voice(&voice());
    openvoice.process(&hop, &Controls::default(), &mut output).expect("the model runs");
    let said = OpenVoice::open(&files("converter-1"), Mode::Live, &other, &SessionOptions::default())
        .err()
        .expect("no tone")
        .to_string();
    assert!(said.contains("enrol it again") && said.contains("converter-1.onnx"), "{said}");
    let damaged =
        TargetVoice { timbres: vec![Timbre { model: MODEL.to_owned(), numbers: vec![f32::NAN; TONE] }], ..voice() };
    assert!(tone::tone_of(&damaged, MODEL).is_none() && tone::tone_of(&voice(), MODEL).is_some());
}

#[test]
fn graphs_are_told_apart_and_a_wrong_one_is_named_with_what_it_lacks() {
    runtime();
    let options = SessionOptions::default();
    let look = |file: PathBuf| part(&Session::load(&file, &options).expect("loads"));
    assert_eq!(look(files("converter-1").converter), Some(Part::Converter));
    assert_eq!(look(files("converter-2").converter), Some(Part::Converter));
    assert_eq!(look(files("").encoder), Some(Part::Encoder));
    assert_eq!(look(root().join("tests/data/converters/rvc/project-768.onnx")), None);
    assert_eq!(look(root().join("tests/data/converters/rvc/content.onnx")), None);
    let plain = files("converter-1");
    let said = |files: Files| {
        OpenVoice::open(&files, Mode::Live, &voice(), &options).err().expect("it can't be used").to_string()
    };
    let wrong = said(Files { converter: plain.encoder.clone(), ..plain.clone() });
    assert!(wrong.contains("[1, 513, frames]") && wrong.contains("`input` [1, -1, 513]"), "{wrong}");
    let wrong = said(Files { encoder: plain.converter.clone(), ..plain });
    assert!(wrong.contains("one input [1, frames, 513]") && wrong.contains("`src_tone`"), "{wrong}");
}
