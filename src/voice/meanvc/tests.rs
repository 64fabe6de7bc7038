//! What the converters promise, on graphs of the published contracts with random weights:
//! `models/recipes/contracts/meanvc.py` writes them, and what a runner of its own makes of a second of speech with
//! them.

use std::path::PathBuf;

use super::*;
use crate::testing::{reference, root, runtime};
use crate::{Controls, ConvertError, Converter, HearsTimbre, TargetVoice, Timbre};
use mynah_dsp::level::rms;
use mynah_models::runtime::SessionOptions;

pub(super) const ALL: [Model; 3] = [Model::Two40, Model::Two120, Model::One200];

pub(super) fn folder(kind: &str, model: Model) -> PathBuf {
    let family = if model == Model::One200 { "" } else { "2" };
    root().join(format!("tests/data/contracts-meanvc/{kind}{family}-{}", model.chunk()))
}

pub(super) fn files(kind: &str, model: Model) -> Files {
    let folder = folder(kind, model);
    let memory = (model != Model::One200).then(|| folder.join("memory.onnx"));
    let (weights, steps) = ("random".to_owned(), Steps::Two);
    let [encoder, flow, vocoder] = ["encoder.onnx", "flow.onnx", "vocoder.onnx"].map(|name| folder.join(name));
    Files { model, weights, encoder, memory, flow, vocoder, steps }
}

pub(super) fn golden(path: PathBuf) -> Vec<f32> {
    let bytes = std::fs::read(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; run models/recipes/contracts/meanvc.py", path.display()));
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
}

pub(super) fn shared(name: &str) -> PathBuf {
    root().join("tests/data/contracts-meanvc/meanvc").join(name)
}

/// The speech that the generator takes.
pub(super) fn speech() -> Vec<f32> {
    reference().mono()[16_000..64_000].to_vec()
}

pub(super) fn voice(model: Model) -> TargetVoice {
    runtime();
    let mut encoder = SpeakerEncoder::open(&shared("speaker.onnx"), model, "random").expect("the encoder opens");
    let timbre = encoder.timbre(&speech(), std::slice::from_ref(&(0..48_000))).expect("it runs");
    TargetVoice {
        name: "Ada".to_owned(),
        embedding: vec![1.0 / 16.0; 256],
        median_pitch: 180.0,
        timbres: timbre.into_iter().collect(),
    }
}

pub(super) fn open(kind: &str, model: Model) -> MeanVc {
    let voice = voice(model);
    MeanVc::open(&files(kind, model), &voice, &SessionOptions::default()).expect("the graphs open")
}

/// Whole hops in, as many out.
pub(super) fn hops(converter: &mut MeanVc, input: &[f32]) -> Vec<f32> {
    let mut output = vec![0.0; input.len()];
    for (x, y) in input.chunks_exact(HOP).zip(output.chunks_exact_mut(HOP)) {
        converter.process(x, &Controls::default(), y).expect("the graphs run");
    }
    output
}

/// All of the input and then silence for as long as the delay; the output from position 0 on, as long as the input.
pub(super) fn convert(converter: &mut MeanVc, input: &[f32]) -> Vec<f32> {
    let delay = converter.timing().delay;
    let mut padded = input.to_vec();
    padded.resize((input.len() + delay).next_multiple_of(HOP), 0.0);
    hops(converter, &padded)[delay..delay + input.len()].to_vec()
}

pub(super) fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// 185 ms, 345 ms and 275 ms from a sample to its conversion.
#[test]
fn the_delays_are_those_of_chunks_windows_and_overlap() {
    assert_eq!((Model::two(4), Model::two(12), Model::two(20)), (Some(Model::Two40), Some(Model::Two120), None));
    for (model, milliseconds) in ALL.into_iter().zip([185, 345, 275]) {
        let t = timing(model);
        assert_eq!((t.rate, t.hop, t.hop + t.delay), (16_000, 640, milliseconds * 16), "{model:?}");
        assert_eq!(open("meanvc", model).timing(), t);
    }
}

/// Loudness is painted where it was: a burst of noise keeps its middle within the 20 ms that a window of the encoder
/// leaves open.
#[test]
fn sound_stands_where_it_stood() {
    for model in ALL {
        let mut converter = open("meanvc-plain", model);
        let mut state = 1u32;
        let mut hiss = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            0.2 * (state as f32 / u32::MAX as f32 - 0.5)
        };
        for middle in [20_000usize, 22_345, 25_001] {
            let mut input = vec![0.0; 48_000];
            input[middle - 2400..middle + 2400].iter_mut().for_each(|x| *x = hiss());
            converter.reset(0);
            let output = convert(&mut converter, &input);
            let power = |x: &[f32]| x.iter().map(|x| f64::from(x * x)).collect::<Vec<_>>();
            let centre =
                |p: &[f64]| p.iter().enumerate().map(|(i, p)| i as f64 * p).sum::<f64>() / p.iter().sum::<f64>();
            let (of_input, of_output) = (centre(&power(&input)), centre(&power(&output)));
            println!(
                "{model:?}: a burst around {of_input:.0} comes out around {of_output:.0}, {:.1} ms off",
                (of_output - of_input) / 16.0
            );
            assert!((of_output - of_input).abs() < 320.0, "{model:?}");
        }
    }
}

#[test]
fn equal_hops_give_equal_bits_wherever_they_are_cut() {
    for model in ALL {
        let input = speech();
        let input = &input[..30 * HOP];
        let (mut one, mut other) = (open("meanvc", model), open("meanvc", model));
        one.reset(7);
        let first = hops(&mut one, input);
        for cut in [1, 2, 5, 13] {
            other.reset(3);
            hops(&mut other, &input[..cut * HOP]);
            other.reset(7);
            let again = hops(&mut other, input);
            assert!(
                first.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()),
                "{model:?}, cut after {cut} hops"
            );
        }
        other.reset(8);
        assert!(worst(&first, &hops(&mut other, input)) > 1e-3, "{model:?}: the noise is that of the hop's number");
    }
}

/// Where velocity is that to the same frames from everywhere, one step goes as far as two.
#[test]
fn one_step_paints_too() {
    for model in ALL {
        let (input, voice) = (speech(), voice(model));
        let sound = |kind: &str, steps: Steps| {
            let files = Files { steps, ..files(kind, model) };
            convert(
                &mut MeanVc::open(&files, &voice, &SessionOptions::default()).expect("the graphs open"),
                &input[..20 * HOP],
            )
        };
        assert!(worst(&sound("meanvc-plain", Steps::One), &sound("meanvc-plain", Steps::Two)) < 1e-5, "{model:?}");
        assert!(worst(&sound("meanvc", Steps::One), &sound("meanvc", Steps::Two)) > 1e-2, "{model:?}");
    }
}

#[test]
fn silence_stays_silent_and_words_keep_their_ends() {
    for model in ALL {
        let mut converter = open("meanvc", model);
        assert!(hops(&mut converter, &[0.0; 100 * HOP]).iter().all(|x| *x == 0.0), "{model:?}");
        converter.reset(0);
        let mut input = vec![0.0; 64_000];
        input[24_000..32_000].copy_from_slice(&speech()[..8000]);
        let hushed = convert(&mut converter, &input);
        converter.reset(0);
        converter.bare.hush = true;
        let plain = convert(&mut converter, &input);
        let (from, to) = (24_000 - 40 * 16, 32_000 + 240 * 16);
        assert_eq!(&hushed[from..to], &plain[from..to], "{model:?}: nothing is changed around the sound");
        assert!(hushed[..24_000 - 60 * 16].iter().chain(&hushed[32_000 + 260 * 16..]).all(|x| *x == 0.0), "{model:?}");
        assert!(rms(&plain[..20_000]) > 1e-3, "{model:?}: the model itself would not be silent");
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let told = |change: &dyn Fn(&mut Files), model: Model| {
        let mut files = files("meanvc", model);
        change(&mut files);
        MeanVc::open(&files, &voice(model), &SessionOptions::default()).err().expect("it does not fit").to_string()
    };
    for model in ALL {
        let said = told(&|f| std::mem::swap(&mut f.encoder, &mut f.vocoder), model);
        assert!(said.contains("vocoder.onnx") && said.contains("expected") && said.contains("found"), "{said}");
        let said = told(&|f| f.flow = f.encoder.clone(), model);
        assert!(
            said.contains("encoder.onnx")
                && said.contains("expected one of these inputs: ")
                && said.contains("found `"),
            "{said}"
        );
    }
    let other = |f: &mut Files| f.flow = folder("meanvc", Model::Two120).join("flow.onnx");
    let said = told(&other, Model::Two40);
    assert!(said.contains("noise f32 [1, 8, 80]") && said.contains("[1, 16, 80]"), "{said}");
    let said = told(&|f| f.weights = "others".to_owned(), Model::Two40);
    assert!(said.contains("the voice `Ada` was enrolled without this voice pack"), "{said}");
    let fused =
        |f: &mut Files| (f.flow, f.steps) = (folder("meanvc-fused", Model::Two40).join("flow.onnx"), Steps::One);
    let said = told(&fused, Model::Two40);
    assert!(said.contains("one step") && said.contains("both steps itself"), "{said}");
    let said = told(&|f| f.vocoder = PathBuf::from("nowhere.onnx"), Model::Two40);
    assert!(said.contains("no such file"), "{said}");
    runtime();
    let said = SpeakerEncoder::open(&shared("../meanvc2-4/memory.onnx"), Model::Two40, "w")
        .err()
        .expect("no waveform")
        .to_string();
    assert!(said.contains("2 (k_mem, v_mem)") || said.contains("a waveform"), "{said}");
}

#[test]
fn a_voice_is_what_the_weights_heard() {
    let theirs = golden(shared("speaker.f32"));
    for model in ALL {
        let timbre = voice(model).timbres.remove(0);
        assert_eq!(timbre.model, "random");
        assert!(worst(&timbre.numbers[..256], &theirs) < 1e-5);
        let prompt = if model == Model::One200 { 256 * BANDS } else { 0 };
        assert_eq!(timbre.numbers.len(), 256 + prompt, "{model:?}");
        let saved = serde_json::to_string(&timbre).expect("it can be saved");
        println!("{model:?}: a voice takes {} kB where it is saved", saved.len() / 1000);
        assert!(saved.len() < 128_000);
        assert_eq!(serde_json::from_str::<Timbre>(&saved).expect("and read"), timbre);
    }
    runtime();
    let mut encoder = SpeakerEncoder::open(&shared("speaker.onnx"), Model::Two40, "random").expect("it opens");
    assert!(encoder.timbre(&speech(), &[]).expect("it runs").is_none(), "nothing to hear");
    assert!(
        encoder.timbre(&speech(), std::slice::from_ref(&(40_000..1 << 40))).expect("it runs").is_none(),
        "half a second"
    );
}

#[test]
fn another_voice_is_heard_from_the_next_chunk_on_and_a_stranger_is_told() {
    for model in ALL {
        let (mut converter, input) = (open("meanvc", model), speech());
        let input = &input[..50 * HOP];
        let first = convert(&mut converter, input);
        let mut other = voice(model);
        if let Some(timbre) = other.timbres.first_mut() {
            timbre.numbers.iter_mut().for_each(|x| *x = -*x);
        }
        converter.reset(0);
        converter.set_voice(&other);
        assert!(worst(&first, &convert(&mut converter, input)) > 1e-2, "{model:?}: it is another voice");
        let stranger = TargetVoice { name: "Eve".to_owned(), timbres: Vec::new(), ..other.clone() };
        converter.set_voice(&stranger);
        let told = converter.process(&[0.0; HOP], &Controls::default(), &mut [0.0; HOP]);
        assert!(matches!(told, Err(ConvertError::Stranger(name)) if name == "Eve"), "{model:?}");
        converter.set_voice(&voice(model));
        converter.reset(0);
        assert_eq!(convert(&mut converter, input), first, "{model:?}: the first voice again");
    }
}

#[test]
fn broken_sound_does_not_break_it() {
    for model in ALL {
        let mut converter = open("meanvc", model);
        let mut input = speech()[..40 * HOP].to_vec();
        input[5000..5200].fill(f32::NAN);
        input[9000] = f32::INFINITY;
        input[12_000..12_100].fill(1e9);
        assert!(convert(&mut converter, &input).iter().all(|x| x.is_finite()), "{model:?}");
    }
}
