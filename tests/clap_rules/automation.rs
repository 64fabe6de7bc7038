//! Automation: an event acts on the sound that comes in with it, at its place inside a block, whatever the blocks.

use super::*;

const RATE: u32 = 48000;
const LENGTH: usize = 48000;

/// Events at absolute samples: (sample, parameter, value).
type Programme = [(usize, &'static str, f64)];

/// Renders the sound with the events of the programme, in blocks of these sizes, over and over; with the latency.
fn automated(
    settings: &Settings,
    sound: &[Vec<f32>; 2],
    programme: &Programme,
    sizes: &[usize],
) -> ([Vec<f32>; 2], usize) {
    let mut host = instance();
    host.load(&state(INVERTED, settings)).expect("a state");
    host.render_offline(true).expect("offline");
    let latency = host.activate(RATE, 1024).expect("an activation");
    let mut heard = [Vec::new(), Vec::new()];
    let mut sizes = sizes.iter().cycle();
    while heard[0].len() < sound[0].len() {
        let at = heard[0].len();
        let end = (at + sizes.next().expect("endless")).min(sound[0].len());
        let events: Vec<ParamValueEvent> = programme
            .iter()
            .filter(|(sample, ..)| (at..end).contains(sample))
            .map(|(sample, name, value)| {
                ParamValueEvent::new((sample - at) as u32, id(name), Pckn::match_all(), *value)
            })
            .collect();
        let mut block = [sound[0][at..end].to_vec(), sound[1][at..end].to_vec()];
        host.process_with(&mut block, &InputEvents::from_buffer(&events), false).expect("a block");
        heard.iter_mut().zip(&block).for_each(|(h, b)| h.extend(b));
    }
    (heard, latency)
}

/// Where two sounds first differ.
fn first_difference(a: &[f32], b: &[f32]) -> Option<usize> {
    a.iter().zip(b).position(|(a, b)| a != b)
}

#[test]
fn blocks_make_no_difference() {
    let programme = [
        (3_000, "gain", 0.25),
        (3_001, "gain", 0.75),
        (7_777, "bypass", 1.0),
        (9_001, "bypass", 0.0),
        (12_345, "mix", 0.4),
        (20_000, "voice", 0.0),
        (22_501, "voice", 1.0),
        (30_000, "mix", 1.0),
        (31_000, "gain", 0.5),
        (40_000, "semis", 0.7),
        (40_500, "gate", 0.3),
    ];
    for mode in [Mode::Live, Mode::Balanced, Mode::Studio] {
        let settings = Settings { mode, ..Settings::default() };
        let sound = noise(21, LENGTH);
        let (expected, _) = automated(&settings, &sound, &programme, &[64]);
        for sizes in [&[1024][..], &[1, 700, 33, 1024], &[512]] {
            let (heard, _) = automated(&settings, &sound, &programme, sizes);
            assert_eq!(first_difference(&heard[0], &expected[0]), None, "{mode:?}, blocks of {sizes:?}");
            assert_eq!(first_difference(&heard[1], &expected[1]), None, "{mode:?}, blocks of {sizes:?}");
        }
    }
}

#[test]
fn a_parameter_acts_on_the_sample_it_came_with() {
    for mode in [Mode::Live, Mode::Balanced, Mode::Studio] {
        for (name, value) in [("gain", 0.25), ("mix", 0.0), ("voice", 0.0), ("bypass", 1.0)] {
            let settings = Settings { mode, ..Settings::default() };
            let sound = noise(22, LENGTH);
            let (without, latency) = automated(&settings, &sound, &[], &[1024]);
            let (with, _) = automated(&settings, &sound, &[(20_011, name, value)], &[1024]);
            assert_eq!(first_difference(&with[0], &without[0]), Some(20_011 + latency), "{name} in {mode:?}");
        }
    }
}

#[test]
fn the_end_of_a_disguised_passage_is_not_given_away() {
    // A steady sound, so that converted sound is told from dry by its sign; the disguise ends at 30,000.
    let sound = [vec![0.25; LENGTH], vec![0.25; LENGTH]];
    for name in ["bypass", "voice", "mix"] {
        let value = if name == "bypass" { 1.0 } else { 0.0 };
        let settings = Settings { late: mynah::realtime::LateSound::Silence, ..Settings::default() };
        let (heard, latency) = automated(&settings, &sound, &[(30_000, name, value)], &[480]);
        let disguised = &heard[0][latency + 2_000..30_000 + latency];
        assert!(disguised.iter().all(|x| *x < -0.2), "{name}: {:?}", disguised.iter().position(|x| *x >= -0.2));
        assert!(
            heard[0][30_000 + latency + 2_000..].iter().all(|x| (x - 0.25).abs() < 1e-3),
            "{name}: dry once that was asked for"
        );
    }
}
