//! The captions of a stream with the real models over a real recording: few words wrong, soon final, the same however
//! it is portioned.

mod common;
#[path = "common/text.rs"]
mod words;

use mynah::recognition::stream::{Event, Settings, Streamer};
use mynah::recognition::whisper::Whisper;
use mynah::runtime::SessionOptions;
use mynah::subtitles::Word;
use mynah::vad::Vad;
use words::{plain, word_error_rate};

const RATE: usize = 16_000;

fn streamer() -> Streamer {
    common::runtime();
    let folder = common::asset("whisper-tiny-en", "decoder.onnx");
    let whisper =
        Whisper::open(folder.parent().expect("a folder"), &SessionOptions::default()).expect("the captions pack opens");
    let vad = Vad::open(&common::asset("silero-vad", "silero_vad_16k.onnx")).expect("the vad pack opens");
    Streamer::new(Box::new(whisper), vad, &Settings::default()).expect("nothing is expected")
}

fn recording(name: &str) -> Vec<f32> {
    let sound = mynah::audio::read(&common::asset("recordings", name)).expect("reads");
    mynah::dsp::resample::resample_all(&sound.mono(), sound.rate, RATE as u32)
}

fn finals(events: &[Event]) -> Vec<Word> {
    let of = |e: &Event| match e {
        Event::Final(words) => words.clone(),
        Event::Partial(_) => Vec::new(),
    };
    events.iter().flat_map(of).collect()
}

fn text(words: &[Word]) -> String {
    words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_reading_is_captioned_soon_and_with_few_errors() {
    let samples = recording("two_cities.wav");
    let mut streamer = streamer();
    let (mut events, mut delays, mut kept) = (Vec::new(), Vec::new(), 0.0f64);
    let began = std::time::Instant::now();
    for (i, chunk) in samples.chunks(RATE / 10).enumerate() {
        let before = events.len();
        streamer.push(chunk, &mut events).expect("it runs");
        let now = (i + 1) as f64 / 10.0;
        delays.extend(finals(&events[before..]).iter().map(|w| now - w.end));
        kept = kept.max(streamer.buffered_seconds());
    }
    streamer.end(&mut events).expect("it runs");
    let took = began.elapsed().as_secs_f64();
    let words = finals(&events);
    let rate = word_error_rate(&plain(include_str!("data/transcripts/two_cities.txt")), &plain(&text(&words)));
    delays.sort_unstable_by(f64::total_cmp);
    let (middle, late) = (delays[delays.len() / 2], delays[delays.len() * 95 / 100]);
    println!(
        "WER {:.1} %, final after {middle:.1} s (p50), {late:.1} s (p95) of sound, at most {kept:.1} s kept, \
         {took:.1} s for {} s\n{}",
        100.0 * rate,
        samples.len() / RATE,
        text(&words)
    );
    assert!(rate < 0.08, "{:.1} % of words are wrong: {}", 100.0 * rate, text(&words));
    assert!(middle < 3.0 && late < 6.0, "words become final after {middle} s, {late} s");
    assert!(words.windows(2).all(|w| w[0].end <= w[1].start), "words stand in order");
    assert!(kept < 26.0);
}

#[test]
fn portions_change_nothing_and_silence_says_nothing() {
    let mut samples = vec![0.0; 3 * RATE];
    samples.extend(recording("clone-test.wav"));
    samples.extend(vec![0.0; 3 * RATE]);
    let run = |portion: usize| {
        let (mut streamer, mut events) = (streamer(), Vec::new());
        streamer.at(600.0);
        for chunk in samples.chunks(portion) {
            streamer.push(chunk, &mut events).expect("it runs");
        }
        let before = events.len();
        streamer.push(&vec![0.0; 20 * RATE], &mut events).expect("it runs");
        streamer.end(&mut events).expect("it runs");
        assert_eq!(events.len(), before, "silence says nothing");
        events
    };
    let (a, b) = (run(480), run(samples.len()));
    assert_eq!(a, b);
    let words = finals(&a);
    println!("{}", text(&words));
    assert!(!words.is_empty() && words.iter().all(|w| w.start >= 602.5 && w.end <= 608.0), "{words:?}");
}
