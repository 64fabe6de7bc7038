//! What the converter promises: positions, level, silence, and a pure function of the hops since the reset.

use super::*;
use crate::testing::{WEIGHTS, clip, runtime, voice, voice_model, voice_weights};
use crate::{PitchMode, Timbre};
use mynah_dsp::dc::DcBlock;
use mynah_dsp::level::{rms, to_db};

fn open(mode: Mode) -> Mynah {
    runtime();
    Mynah::open(&voice_weights(), WEIGHTS, mode, &voice(), &SessionOptions::default()).expect("the model opens")
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
fn the_delays_are_those_of_window_and_look_ahead() {
    assert_eq!(timing(Mode::Live), ConverterTiming { rate: 24000, hop: 240, delay: 480 });
    assert_eq!(timing(Mode::Balanced), ConverterTiming { rate: 24000, hop: 480, delay: 1200 });
    assert_eq!(timing(Mode::Studio), ConverterTiming { rate: 24000, hop: 960, delay: 3120 });
    for mode in Mode::ALL {
        assert_eq!(open(mode).timing(), timing(mode), "the usual look-ahead is that of the repository's model");
    }
}

/// Filters that let everything pass: a pulse train comes out at the places that the pitch alone gives, and a frame's
/// sound ends at its time.
#[test]
fn pulses_stand_at_their_places_to_the_sample() {
    let (ones, zeros) = (vec![1.0; heard::BINS], vec![0.0; heard::BINS]);
    let mut synth = Synth::new();
    let mut sound = Vec::new();
    for _ in 0..60 {
        synth.push_pitch(100.0);
        synth.frame(Some((&ones, &zeros)), 1.0, f32::INFINITY);
        let mut out = [0.0; HOP];
        synth.take(&mut out);
        sound.extend_from_slice(&out);
    }
    assert!(sound[..HOP].iter().all(|x| x.abs() < 1e-6), "nothing sounds before the first frame's time");
    let sound = &sound[HOP..];
    // 100 Hz at 24 kHz: the phase passes 0 at samples 239, 479, …
    for k in 1..58 {
        let around = &sound[k * 240 - 120..k * 240 + 120];
        let peak = (0..240).max_by(|&a, &b| around[a].total_cmp(&around[b])).expect("samples");
        assert_eq!(peak, 119, "pulse {k}");
    }
}

/// A filter rings on after its piece, and no sound comes before the excitation does.
#[test]
fn filters_are_causal() {
    let resonance: Vec<f32> = (0..heard::BINS).map(|k| 1.0 / (0.02 + ((k as f32 - 40.0) / 40.0).powi(2))).collect();
    let mut synth = Synth::new();
    synth.mute_noise();
    let mut sound = Vec::new();
    for t in 0..20 {
        synth.push_pitch(if t == 10 { 120.0 } else { 0.0 });
        synth.frame(Some((&resonance, &resonance)), 1.0, f32::INFINITY);
        let mut out = [0.0; HOP];
        synth.take(&mut out);
        sound.extend_from_slice(&out);
    }
    let from = 11 * HOP;
    assert!(rms(&sound[from..from + HOP]) > 0.1, "the voiced hop sounds at its place");
    assert!(rms(&sound[..from]) < 1e-3 * rms(&sound[from..from + HOP]), "and not before");
}

/// Cutting a low voice into short pieces must not make it softer where it is allowed to be as loud as it is in the
/// mean.
#[test]
fn a_low_voice_is_not_held_down_pulse_by_pulse() {
    let (ones, zeros) = (vec![1.0; heard::BINS], vec![0.0; heard::BINS]);
    let run = |most: f32| {
        let mut synth = Synth::new();
        synth.mute_noise();
        let mut sound = Vec::new();
        for _ in 0..100 {
            synth.push_pitch(55.0);
            synth.frame(Some((&ones, &zeros)), 1.0, most);
            let mut out = [0.0; HOP];
            synth.take(&mut out);
            sound.extend_from_slice(&out);
        }
        sound
    };
    let free = run(f32::INFINITY);
    // Excitation has a power of 0.09; so much has a piece of it, in 513 bins.
    let mean = 0.09 * 0.375 * 480.0 * heard::BINS as f32;
    assert_eq!(run(mean * 1.01), free);
    let change = to_db(rms(&run(mean * 0.25)[4800..])) - to_db(rms(&free[4800..]));
    assert!((-9.0..-4.0).contains(&change), "a quarter of the power is 6 dB less: {change}");
    assert!(run(0.0).iter().all(|x| *x == 0.0));
}

/// The same conversion of the whole sound at once, on absolute positions: no buffers, no hops, no delay.
fn whole(mode: Mode, x: &[f32]) -> Vec<f32> {
    let mut graph = Graph::open(&voice_weights(), mode, &SessionOptions::default()).expect("the network opens");
    let (lookahead, count) = (graph.lookahead(), x.len() / HOP);
    let frames = count + 1 + lookahead;
    let mut dc = DcBlock::new(heard::RATE as f64);
    let steady = [x, &[0.0; WINDOW * 8]].concat().into_iter().map(|x| dc.process(x));
    let padded: Vec<f32> = std::iter::repeat_n(0.0, heard::RISE).chain(steady).collect();
    let pitch = mynah_dsp::pitch::track(&padded[heard::RISE..], lag(lookahead));
    let (mut hearing, mut power) = (heard::Hearing::new(), vec![0.0; heard::BANDS]);
    let (mut leveller, mut shift) = (analysis::Leveller::new(), PitchShift::new(voice().median_pitch));
    graph.set_speaker(&voice().embedding, voice().timbre_of(WEIGHTS));
    let (mut features, mut energies, mut loudness) = (Features::default(), Vec::new(), Vec::new());
    let pitch: Vec<f32> = pitch[..frames].iter().map(|f| shift.next(*f, PitchMode::Auto)).collect();
    for t in 0..frames {
        let window = &padded[t * HOP..][..WINDOW];
        let total = hearing.hear(window, &mut power);
        let gain = leveller.hear(rms(window));
        energies.push(features.push_mel(&power, gain * gain));
        loudness.push((1.0 / gain, total * MOST / 2.0));
        match t.checked_sub(lookahead) {
            Some(leaving) => features.push_voice(pitch[leaving], energies[leaving]),
            None => features.push_silence(),
        }
    }
    let (mut synth, mut sound) = (Synth::new(), Vec::new());
    // Where the next frame's pitch can't be known in time, it is not known here either.
    let early = if lookahead > PITCH_BEHIND { frames } else { 0 };
    pitch[..early].iter().for_each(|f| synth.push_pitch(*f));
    graph
        .run(&features, |i, h, n| {
            let Some(frame) = i.checked_sub(lookahead) else { return };
            if early == 0 {
                synth.push_pitch(pitch[frame]);
            }
            synth.frame(Some((h, n)), loudness[frame].0, loudness[frame].1);
            let mut out = [0.0; HOP];
            synth.take(&mut out);
            sound.extend_from_slice(&out);
        })
        .expect("the graph runs");
    sound[HOP..][..x.len()].to_vec()
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
        assert!(worst < 1e-4, "{mode:?}: {worst}");
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

/// In a long silence the graph runs no more, and what is heard after it is what would have been heard anyway.
#[test]
fn a_long_silence_saves_the_graph_and_changes_nothing() {
    let (speech, seconds) = (clip(), 8);
    for mode in [Mode::Live, Mode::Studio] {
        let mut input = [&speech[..24000], &vec![0.0; seconds * 24000], &speech[..24000]].concat();
        input.truncate(input.len() / 960 * 960);
        let run = |off: bool| {
            let mut mynah = open(mode);
            mynah.graph.reuse = graph::Reuse { off, ..Default::default() };
            let sound = convert(&mut mynah, &input, &Controls::default());
            (sound, mynah.graph.reuse)
        };
        let ((all, every), (some, reuse)) = (run(true), run(false));
        assert_eq!((every.saved, every.made), (0, reuse.made + reuse.saved));
        let silent = seconds * 24000 / timing(mode).hop;
        let back = (seconds + 1) * 24000;
        let level = |x: &[f32]| to_db(rms(&x[back..]));
        let off: Vec<f32> = all.iter().zip(&some).map(|(a, b)| a - b).collect();
        assert!(off[..back - HOP].iter().all(|x| *x == 0.0), "{mode:?}: silence is silence");
        let (under, louder) = (level(&all) - level(&off), level(&some) - level(&all));
        let saved = reuse.saved;
        println!(
            "{mode:?}: {saved} of {silent} runs saved; the sound after it differs by -{under:.0} dB and is \
             {louder:+.2} dB louder"
        );
        assert!(reuse.saved * 2 > silent, "{mode:?}: {reuse:?}");
        assert!(louder.abs() < 0.5 && under > 30.0, "{mode:?}: {under}");
    }
}

/// A voice or a place that changes in the middle of silence is heard by the graph, though no feature changed.
#[test]
fn another_voice_ends_what_is_reused() {
    let mut mynah = open(Mode::Studio);
    let (silence, mut output) = ([0.0; 960], [0.0; 960]);
    let mut hop =
        |mynah: &mut Mynah| mynah.process(&silence, &Controls::default(), &mut output).expect("the model runs");
    (0..100).for_each(|_| hop(&mut mynah));
    let made = mynah.graph.reuse.made;
    hop(&mut mynah);
    assert_eq!(mynah.graph.reuse.made, made, "nothing new");
    mynah.set_voice(&TargetVoice { timbres: Vec::new(), ..voice() });
    hop(&mut mynah);
    assert_eq!(mynah.graph.reuse.made, made + 1);
    mynah.reset(300);
    hop(&mut mynah);
    assert_eq!(mynah.graph.reuse.made, made + 2);
}

#[test]
fn the_output_is_as_loud_as_the_input() {
    for gain_db in [0.0, -20.0, 6.0] {
        let mut mynah = open(Mode::Live);
        let x: Vec<f32> =
            clip().iter().cycle().take(24000 * 4).map(|x| x * mynah_dsp::level::from_db(gain_db)).collect();
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
    let errors = clip()
        .chunks_exact(240)
        .take(20)
        .filter(|x| mynah.process(x, &Controls::default(), &mut output).is_err())
        .count();
    assert!(errors > 0);
    assert!(output.iter().all(|v| v.is_finite()));
    mynah.set_voice(&voice());
    let y = convert(&mut mynah, &clip(), &Controls::default());
    assert!(y.iter().all(|v| v.is_finite()) && rms(&y) > 0.01);
}

#[test]
fn another_model_is_named_with_what_it_lacks() {
    runtime();
    let other = crate::testing::asset("silero_vad_16k.onnx");
    let said = Mynah::open(&other, WEIGHTS, Mode::Live, &voice(), &SessionOptions::default())
        .err()
        .expect("it is no voice")
        .to_string();
    assert!(said.contains("`mel`") && said.contains("silero_vad_16k.onnx"), "{said}");
    let said = Mynah::open(&voice_model(Mode::Studio), WEIGHTS, Mode::Live, &voice(), &SessionOptions::default());
    let said = said.err().expect("another mode's").to_string();
    assert!(said.contains("`mode`") && said.contains("`studio`"), "{said}");
}

/// What runs the graphs elsewhere makes the same sound.
#[test]
fn the_graph_makes_the_sound_of_the_network() {
    for mode in Mode::ALL {
        let mut graph = Mynah::open(&voice_model(mode), WEIGHTS, mode, &voice(), &SessionOptions::default())
            .expect("the graph opens");
        let (ours, theirs) = (
            convert(&mut open(mode), &clip(), &Controls::default()),
            convert(&mut graph, &clip(), &Controls::default()),
        );
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{mode:?}: largest difference {worst:.2e}");
        assert!(graph.timing() == timing(mode) && worst < 1e-4, "{mode:?}: {worst}");
    }
}

#[test]
fn weights_are_for_the_processor_alone() {
    let options = SessionOptions { provider: mynah_models::runtime::Provider::Cuda, threads: 1 };
    let said =
        Mynah::open(&voice_weights(), WEIGHTS, Mode::Live, &voice(), &options).err().expect("no graph").to_string();
    assert!(said.contains("cuda") && said.contains("runs graphs"), "{said}");
}

/// Timbres of other weights mean nothing to these: such a voice is one without a timbre.
#[test]
fn only_the_timbre_of_the_same_weights_is_used() {
    let mut mynah = open(Mode::Live);
    let speaker = |timbre: &[f32]| [&voice().embedding[..], timbre].concat();
    let own = voice().timbres.remove(0);
    assert_eq!(mynah.graph.speaker(), speaker(&own.numbers));
    mynah.set_voice(&TargetVoice { timbres: vec![Timbre { model: "others".to_owned(), ..own.clone() }], ..voice() });
    assert_eq!(mynah.graph.speaker(), speaker(&[0.0; TIMBRE]));
    mynah.set_voice(&voice());
    mynah.set_voice(&TargetVoice { timbres: Vec::new(), ..voice() });
    assert_eq!(mynah.graph.speaker(), speaker(&[0.0; TIMBRE]));
    mynah.set_voice(&TargetVoice { timbres: vec![Timbre { numbers: vec![f32::NAN; TIMBRE], ..own }], ..voice() });
    assert_eq!(mynah.graph.speaker(), speaker(&[0.0; TIMBRE]));
}

/// The pitch of the output is the one asked for.
#[test]
fn the_pitch_moves_as_asked() {
    let x: Vec<f32> = clip().iter().cycle().take(24000 * 3).copied().collect();
    let source = mynah_dsp::pitch::median(&mynah_dsp::pitch::track(&x, 8));
    for (pitch, wanted) in
        [(PitchMode::Auto, 180.0), (PitchMode::Semitones(0.0), source), (PitchMode::Semitones(-5.0), source * 0.749)]
    {
        let y = convert(&mut open(Mode::Live), &x, &Controls { pitch, ..Controls::default() });
        let got = mynah_dsp::pitch::median(&mynah_dsp::pitch::track(&y, 8));
        println!("{pitch:?}: {got:.1} Hz, wanted {wanted:.1} Hz");
        assert!((got / wanted).log2().abs() < 1.0 / 12.0, "{pitch:?}: {got} Hz instead of {wanted} Hz");
    }
}
