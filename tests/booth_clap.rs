//! What a window does with the sound, in a CLAP host: a phrase is heard in place of the track at a click and no longer
//! than that, and a recording from the input holds what the host sent and becomes a voice. The voices are identities;
//! the debug build aborts when the audio thread allocates.

#[path = "common/mod.rs"]
mod common;
#[path = "common/linked.rs"]
mod linked;

use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use clap_host::ClapHost;
use mynah::dsp::resample::resample_all;
use mynah::engine::audition::phrase;
use mynah::engine::testing::{IdentitySource, any_voice};
use mynah::plugin::audition::{self, Stage};
use mynah::plugin::enrolment::{self, Order, Origin};
use mynah::plugin::instance::{Instance, live};
use mynah::plugin::state::{Container, Settings, with_voice};
use mynah::voice::library::Library;

const RATE: u32 = 48000;
const BLOCK: usize = 256;
const PATIENCE: Duration = Duration::from_secs(20);

/// The only instance of the process is the test's: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn instance(settings: &Settings) -> (ClapHost, Arc<Instance>) {
    static SOURCE: Once = Once::new();
    SOURCE.call_once(|| mynah::plugin::use_source(Arc::new(IdentitySource::default())));
    let mut host = linked::host();
    host.load(&with_voice(Some(&any_voice("Ada")), settings, Container::Clap)).expect("a state");
    host.activate(RATE, BLOCK).expect("an activation");
    let instance = live().pop().expect("the one just made");
    (host, instance)
}

/// So many blocks of silence, and what is heard on the left; both channels are the same.
fn heard(host: &mut ClapHost, blocks: usize) -> Vec<f32> {
    let mut all = Vec::new();
    for _ in 0..blocks {
        let mut channels = [vec![0.0; BLOCK], vec![0.0; BLOCK]];
        host.process(&mut channels).expect("a block");
        assert_eq!(channels[0], channels[1]);
        all.extend_from_slice(&channels[0]);
        host.answer();
    }
    all
}

fn is_silent(sound: &[f32]) -> bool {
    sound.iter().all(|x| *x == 0.0)
}

/// Silence in the host's blocks until the phrase is heard; gives its first block, and how long that took.
fn first_block(host: &mut ClapHost) -> (Vec<f32>, Duration) {
    let began = Instant::now();
    loop {
        let block = heard(host, 1);
        if !is_silent(&block) {
            return (block, began.elapsed());
        }
        assert!(began.elapsed() < PATIENCE, "nothing is heard");
        std::thread::sleep(Duration::from_millis(3));
    }
}

#[test]
fn the_phrase_is_heard_at_a_click_with_the_transport_stopped_and_until_the_next() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let (mut host, instance) = instance(&Settings::default());
    assert!(is_silent(&heard(&mut host, 20)));
    audition::click(&instance, &any_voice("Eve"));
    let (mut sound, took) = first_block(&mut host);
    println!("from click to sound, with the identity: {:.2} s", took.as_secs_f64());
    assert_eq!(audition::stage(&instance), Stage::Playing("Eve".to_owned()));
    let phrase = phrase().expect("it is built in");
    let wanted = resample_all(&phrase.mono(), phrase.rate, RATE);
    sound.extend(heard(&mut host, wanted.len() / BLOCK + 2));
    // The phrase is heard from the first sample of a block on; ten milliseconds at either end fade.
    let worst = (480..wanted.len() - 481).map(|i| (sound[i] - wanted[i]).abs()).fold(0.0f32, f32::max);
    assert!(worst < 1e-4, "{worst}");
    assert!(is_silent(&sound[wanted.len()..]) && audition::stage(&instance) == Stage::Idle, "it ends by itself");
    // Kept, so at once; the second click stops it.
    audition::click(&instance, &any_voice("Eve"));
    assert!(!is_silent(&heard(&mut host, 40)));
    audition::click(&instance, &any_voice("Eve"));
    heard(&mut host, 4);
    assert!(is_silent(&heard(&mut host, 20)) && audition::stage(&instance) == Stage::Idle);
}

#[test]
fn a_render_and_a_bypass_never_hear_it() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let (mut host, instance) = instance(&Settings::default());
    audition::click(&instance, &any_voice("Eve"));
    first_block(&mut host);
    host.deactivate();
    host.render_offline(true).expect("offline");
    host.activate(RATE, BLOCK).expect("an activation");
    assert!(is_silent(&heard(&mut host, 100)), "a clip ends where a render begins");
    audition::click(&instance, &any_voice("Eve"));
    assert!(is_silent(&heard(&mut host, 100)), "and none begins there");
    drop(host);
    drop(instance);
    let (mut host, instance) = self::instance(&Settings { bypass: true, ..Settings::default() });
    audition::click(&instance, &any_voice("Eve"));
    assert!(matches!(audition::stage(&instance), Stage::Failed(_, why) if why.contains("Bypass")));
    assert!(is_silent(&heard(&mut host, 20)));
}

/// A host that sends no blocks is told of, instead of nothing happening.
#[test]
fn without_sound_from_the_host_a_sentence_comes() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let (_host, instance) = instance(&Settings::default());
    audition::click(&instance, &any_voice("Eve"));
    let began = Instant::now();
    while !matches!(audition::stage(&instance), Stage::Failed(_, why) if why.contains("sends no sound")) {
        assert!(began.elapsed() < PATIENCE, "{:?}", audition::stage(&instance));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Eleven seconds in real time, with the real speaker encoder.
#[test]
fn eight_seconds_of_the_input_become_a_voice_whose_owner_agreed() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let (mut host, instance) = instance(&Settings::default());
    common::runtime();
    let sound = mynah::audio::read(&common::asset("recordings", "two_cities.wav")).expect("reads");
    let speech = resample_all(&sound.mono(), sound.rate, RATE);
    let folder = tempfile::tempdir().expect("a folder");
    let library = Library::at(folder.path());
    let consent = mynah::voice::library::agreed();
    enrolment::begin(
        &instance,
        Order { name: "Reader".to_owned(), origin: Origin::Input, consent: consent.clone(), library: library.clone() },
    );
    let began = Instant::now();
    let mut blocks = speech.chunks_exact(BLOCK).cycle();
    let mut sent = 0;
    while instance.enrolment.is_busy() {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", instance.enrolment.stage());
        let block = blocks.next().expect("endless").to_vec();
        host.process(&mut [block.clone(), block]).expect("a block");
        host.answer();
        sent += 1;
        let due = Duration::from_secs_f64((sent * BLOCK) as f64 / f64::from(RATE));
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    assert_eq!(instance.enrolment.stage(), enrolment::Stage::Done("Reader".to_owned()));
    let entry = library.entries().expect("listed").pop().expect("a voice");
    let about = entry.about.expect("its origin");
    println!("enrolled after {:.1} s: {:?}", began.elapsed().as_secs_f64(), about.heard);
    assert_eq!(about.consent, Some(consent));
    assert!(
        about.from.contains("input") && (about.heard.seconds - 8.0).abs() < 1e-9 && about.heard.speech > 4.0,
        "{about:?}"
    );
    assert_eq!(instance.params.target.get().0, Some(entry.voice));
}
