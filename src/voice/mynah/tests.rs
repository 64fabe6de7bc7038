//! What the converter promises: positions, level, silence, and a pure function of the hops since the reset.

use super::*;
use crate::dsp::level::{rms, to_db};
use crate::voice::PitchMode;
use crate::voice::testing::{clip, runtime, voice, voice_model};

fn open(mode: Mode) -> Mynah {
    runtime();
    Mynah::open(&voice_model(), mode, &voice(), &SessionOptions::default()).expect("the model opens")
}

/// All of the input and then silence for as long as the delay; the output from position 0 on, as long as the input.
fn convert(mynah: &mut Mynah, input: &[f32], controls: &Controls) -> Vec<f32> {
    let t = mynah.timing();
    let mut padded = input.to_vec();
    padded.resize((input.len() + t.delay).next_multiple_of(t.hop), 0.0);
    let mut output = vec![0.0; padded.len()];
    for (x, y) in padded.chunks_exact(t.hop).zip(output.chunks_exact_mut(t.hop)) {
        mynah.process(x, controls, y).expect("the model runs");
    }
    output[t.delay..t.delay + input.len()].to_vec()
}

#[test]
fn the_delays_are_those_of_the_windows() {
    assert_eq!(timing(Mode::Live), ConverterTiming { rate: 24000, hop: 240, delay: 1440 });
    assert_eq!(timing(Mode::Balanced), ConverterTiming { rate: 24000, hop: 480, delay: 1920 });
    assert_eq!(timing(Mode::Studio), ConverterTiming { rate: 24000, hop: 960, delay: 3360 });
}

/// Analysis, delays and overlap with filters that let everything pass: a pulse train comes out where it would have been made at once. The
/// pulses of the whole-file formula are at the places that the pitch alone gives.
#[test]
fn pulses_stand_at_their_places_to_the_sample() {
    let ones = vec![1.0; graph::BINS];
    let zeros = vec![0.0; graph::BINS];
    let mut synth = Synth::new();
    let mut sound = Vec::new();
    (0..3).for_each(|_| synth.push_pitch(100.0));
    for _ in 0..60 {
        synth.push_pitch(100.0);
        synth.frame(Some((&ones, &zeros)), 1.0, f32::INFINITY);
        let mut out = [0.0; HOP];
        synth.take(&mut out);
        sound.extend_from_slice(&out);
    }
    let sound = &sound[WINDOW / 2..];
    // 100 Hz at 24 kHz: the phase passes 0 at samples 239, 479, …
    for k in 4..50 {
        let around = &sound[k * 240 - 120..k * 240 + 120];
        let peak = (0..240).max_by(|&a, &b| around[a].total_cmp(&around[b])).expect("samples");
        assert_eq!(peak, 119, "pulse {k}");
    }
}

/// The same conversion of the whole sound at once, on absolute positions: no buffers, no hops, no delay.
fn whole(mode: Mode, x: &[f32]) -> Vec<f32> {
    let (lag, count) = (shape(mode).1, x.len() / HOP);
    let mut padded = vec![0.0; WINDOW / 2 + x.len() + WINDOW * 8];
    padded[WINDOW / 2..][..x.len()].copy_from_slice(x);
    let pitch = crate::dsp::pitch::track(&padded[WINDOW / 2..], lag);
    let mut frames = crate::dsp::stft::Frames::new(WINDOW, synth::SIZE);
    let bank = crate::dsp::mel::MelBank::slaney(24000, synth::SIZE, graph::BANDS, 40.0, 11500.0);
    let (mut bins, mut power) = (vec![realfft::num_complex::Complex::default(); graph::BINS], vec![0.0; graph::BANDS]);
    let (mut leveller, mut shift) = (analysis::Leveller::new(), PitchShift::new(voice().median_pitch));
    let mut graph = Graph::open(&voice_model(), &SessionOptions::default()).expect("the graph opens");
    graph.set_speaker(&voice().embedding);
    let (mut features, mut loudness, mut synth) = (Features::default(), Vec::new(), Synth::new());
    for t in 0..count + 8 {
        let window = &padded[t * HOP..][..WINDOW];
        frames.forward(window, &mut bins);
        let squares: Vec<f32> = bins.iter().map(|b| b.norm_sqr()).collect();
        bank.apply(&squares, &mut power);
        let gain = leveller.hear(rms(window));
        let f0 = shift.next(pitch[t], PitchMode::Auto);
        features.push(&power, gain * gain, f0);
        loudness.push((1.0 / gain, squares.iter().sum::<f32>() * MOST));
        synth.push_pitch(f0);
    }
    let mut sound = Vec::new();
    graph
        .run(&features, |i, h, n| {
            let Some(frame) = i.checked_sub(graph::LOOKAHEAD) else { return };
            synth.frame(Some((h, n)), loudness[frame].0, loudness[frame].1);
            let mut out = [0.0; HOP];
            synth.take(&mut out);
            sound.extend_from_slice(&out);
        })
        .expect("the graph runs");
    sound[WINDOW / 2..][..x.len()].to_vec()
}

/// The delay of `timing` is the delay: not one sample lies elsewhere than in the conversion of the whole sound.
#[test]
fn the_sound_stands_where_it_was_to_the_sample() {
    for mode in Mode::ALL {
        let x = clip();
        let y = convert(&mut open(mode), &x, &Controls::default());
        let wanted = whole(mode, &x);
        let worst = (0..x.len()).map(|i| (y[i] - wanted[i]).abs()).fold(0.0, f32::max);
        println!("{mode:?}: largest difference {worst:.2e}");
        assert!(worst < 1e-3, "{mode:?}: {worst}");
        assert!(rms(&wanted) > 0.01);
        let shifted = (1..x.len()).map(|i| (y[i - 1] - wanted[i]).abs()).fold(0.0, f32::max);
        assert!(shifted > 0.01, "one sample off would be seen");
    }
}

#[test]
fn equal_hops_give_equal_bits_after_any_reset() {
    let mut mynah = open(Mode::Live);
    let x = clip();
    mynah.reset(7);
    let first = convert(&mut mynah, &x[..12000], &Controls::default());
    mynah.reset(7);
    let second = convert(&mut mynah, &x[..12000], &Controls::default());
    assert!(first.iter().zip(&second).all(|(a, b)| a.to_bits() == b.to_bits()));
    mynah.reset(8);
    assert_ne!(first, convert(&mut mynah, &x[..12000], &Controls::default()), "other hops have other noise");
}

#[test]
fn silence_stays_silent_and_nothing_bursts() {
    for mode in Mode::ALL {
        let mut mynah = open(mode);
        let y = convert(&mut mynah, &vec![0.0; 24000], &Controls::default());
        let loudest = y.chunks_exact(240).map(rms).fold(0.0, f32::max);
        println!("{mode:?}: silence gives {:.1} dBFS", to_db(loudest));
        assert!(to_db(loudest) < -80.0, "{mode:?}: {:.1} dBFS", to_db(loudest));
    }
}

#[test]
fn the_output_is_as_loud_as_the_input() {
    for gain_db in [0.0, -20.0, 6.0] {
        let mut mynah = open(Mode::Live);
        let x: Vec<f32> = clip().iter().cycle().take(24000 * 4).map(|x| x * crate::dsp::level::from_db(gain_db)).collect();
        let y = convert(&mut mynah, &x, &Controls::default());
        let change = to_db(rms(&y[24000..])) - to_db(rms(&x[24000..]));
        println!("at {gain_db:+.0} dB the output is {change:+.1} dB louder");
        assert!(change.abs() < 3.0, "{gain_db}: {change}");
    }
}

#[test]
fn what_is_no_number_does_no_lasting_harm() {
    let mut mynah = open(Mode::Live);
    let mut input = vec![f32::NAN; 240];
    input[7] = f32::INFINITY;
    let mut output = vec![0.0; 240];
    mynah.process(&input, &Controls::default(), &mut output).expect("counts as silence");
    let y = convert(&mut mynah, &clip(), &Controls::default());
    assert!(y.iter().all(|v| v.is_finite()) && rms(&y) > 0.01);
}

#[test]
fn a_voice_that_is_no_number_is_an_error_and_the_next_one_works() {
    let mut mynah = open(Mode::Live);
    let mut broken = voice();
    broken.embedding[3] = f32::NAN;
    mynah.set_voice(&broken);
    let mut output = vec![1.0; 240];
    let errors = clip().chunks_exact(240).take(20).filter(|x| mynah.process(x, &Controls::default(), &mut output).is_err()).count();
    assert!(errors > 0);
    assert!(output.iter().all(|v| v.is_finite()));
    mynah.set_voice(&voice());
    let y = convert(&mut mynah, &clip(), &Controls::default());
    assert!(y.iter().all(|v| v.is_finite()) && rms(&y) > 0.01);
}

#[test]
fn another_model_is_named_with_what_it_lacks() {
    runtime();
    let other = crate::voice::testing::asset("silero_vad_16k.onnx");
    let said = Mynah::open(&other, Mode::Live, &voice(), &SessionOptions::default()).err().expect("it is no voice").to_string();
    assert!(said.contains("`mel`") && said.contains("silero_vad_16k.onnx"), "{said}");
}

/// The pitch of the output is the one asked for.
#[test]
fn the_pitch_moves_as_asked() {
    let x: Vec<f32> = clip().iter().cycle().take(24000 * 3).copied().collect();
    let source = crate::dsp::pitch::median(&crate::dsp::pitch::track(&x, 8));
    for (pitch, wanted) in [(PitchMode::Auto, 180.0), (PitchMode::Semitones(0.0), source), (PitchMode::Semitones(-5.0), source * 0.749)] {
        let y = convert(&mut open(Mode::Live), &x, &Controls { pitch, ..Controls::default() });
        let got = crate::dsp::pitch::median(&crate::dsp::pitch::track(&y, 8));
        println!("{pitch:?}: {got:.1} Hz, wanted {wanted:.1} Hz");
        assert!((got / wanted).log2().abs() < 1.0 / 12.0, "{pitch:?}: {got} Hz instead of {wanted} Hz");
    }
}
