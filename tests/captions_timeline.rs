//! Captions on the host's timeline with the real recogniser: a bounce says what was heard live, and passes over the
//! same stretch replace each other and are kept.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mynah::clock::Mode;
use mynah::engine::testing::setup;
use mynah::engine::{AudioPort, Engine, PackSource, Setup};
use mynah::realtime::{Block, Mix, Rendering};
use mynah::subtitles::Word;
use mynah::subtitles::transcript::Transcript;
use mynah::voice::Controls;

const RATE: u32 = 48000;

/// A host with the plugin's engine in it, captions on, no voice.
struct Host {
    engine: Engine,
    port: AudioPort,
    stretches: u64,
}

impl Host {
    fn new() -> Self {
        common::runtime();
        let setup = Setup { voice: None, captions: true, ..setup(RATE, 2048, 1, Mode::Live) };
        let (engine, port) = Engine::start(setup, Arc::new(PackSource::standard())).expect("the packs are there");
        let until = Instant::now() + Duration::from_secs(60);
        while !engine.status().captions_ready {
            assert!(Instant::now() < until, "{:?}", engine.status().caption_problem);
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { engine, port, stretches: 0 }
    }

    /// Plays a stretch from this second of the timeline, stops, and waits until its words are final.
    fn play(&mut self, sound: &[f32], from: f64, block: usize, offline: bool) {
        self.port.reset();
        let start = Instant::now();
        for (k, part) in sound.chunks(block).enumerate() {
            let at = (k * block) as f64 / f64::from(RATE);
            if !offline {
                std::thread::sleep((start + Duration::from_secs_f64(at)).saturating_duration_since(Instant::now()));
            }
            let mut part = part.to_vec();
            let rendering = if offline { Rendering::Declared } else { Rendering::Live };
            let about = Block {
                controls: Controls::default(),
                mix: Mix::default(),
                rendering,
                song: Some(from + at),
                captions: true,
            };
            self.port.process(&mut [&mut part], &about);
        }
        self.port.pause();
        self.stretches += 1;
        let until = Instant::now() + Duration::from_secs(120);
        while self.engine.captions_ended() < self.stretches {
            assert!(Instant::now() < until, "the words did not come to an end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn transcript(&self) -> Transcript {
        self.engine.transcript().lock().expect("no panic").clone()
    }
}

fn reading(seconds: f64) -> Vec<f32> {
    let sound = mynah::audio::read(&common::asset("recordings", "two_cities.wav")).expect("reads");
    assert_eq!(sound.rate, RATE);
    sound.mono()[..(seconds * f64::from(RATE)) as usize].to_vec()
}

fn text(words: &[Word]) -> String {
    words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_bounce_says_what_was_heard_live() {
    let sound = reading(9.0);
    let (mut live, mut bounced) = (Host::new(), Host::new());
    live.play(&sound, 100.0, 256, false);
    bounced.play(&sound, 100.0, 2048, true);
    let (live, bounced) = (live.transcript(), bounced.transcript());
    println!("{}", text(live.words()));
    assert!(live.words().len() > 15, "{}", text(live.words()));
    assert_eq!(live.words(), bounced.words());
}

#[test]
fn passes_replace_each_other_and_are_kept() {
    let mut host = Host::new();
    let sound = reading(6.5);
    host.play(&sound, 30.0, 1024, true);
    let first = host.transcript().words().to_vec();
    assert!(first.len() > 10 && first.iter().all(|w| w.start >= 30.0 && w.end <= 36.6), "{first:?}");

    // A loop of two more rounds says the same, once.
    host.play(&sound, 30.0, 480, true);
    host.play(&sound, 30.0, 700, true);
    let looped = host.transcript();
    assert_eq!(text(looped.words()), text(&first));
    assert_eq!(looped.takes(30.0, 36.0).len(), 1, "takes that say the same are one");

    // Elsewhere: nothing here changes.
    host.play(&sound[..3 * RATE as usize], 80.0, 1024, true);
    let both = host.transcript();
    assert!(text(both.words()).starts_with(&text(&first)) && both.words().len() > first.len());

    // Silence is punched in over the middle: what was said there is gone, the rest stands, and the take is still there.
    let gap = |w: &&Word| w.start > 32.0 && w.end < 34.0;
    assert!(first.iter().any(|w| gap(&w)));
    host.play(&vec![0.0; 2 * RATE as usize], 32.0, 1024, true);
    let punched = host.transcript();
    assert_eq!(punched.words().iter().filter(gap).count(), 0, "{}", text(punched.words()));
    let around = |w: &&Word| w.end < 31.9 || (w.start > 34.1 && w.end < 37.0);
    let kept = |words: &[Word]| words.iter().filter(around).map(|w| w.text.clone()).collect::<Vec<_>>();
    assert_eq!(kept(punched.words()), kept(&first));
    let mut chosen = punched.clone();
    let older = chosen.takes(32.0, 34.0).last().map(|t| t.id).expect("the older take");
    assert!(chosen.choose(older, 32.0, 34.0));
    assert_eq!(text(&chosen.words()[..first.len()]), text(&first));

    // A project keeps it all.
    let back = Transcript::from_bytes(&punched.to_bytes()).expect("it is read");
    assert_eq!((back.words(), back.takes(0.0, 1e6).len()), (punched.words(), punched.takes(0.0, 1e6).len()));
}
