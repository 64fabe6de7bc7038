//! Tests of the streaming policy with a recogniser that knows what is said when: each sample carries its own position.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::said::PROMPT_CHARACTERS;
use super::*;
use crate::{Heard, HeardWord, Hearing};
use mynah_models::runtime::RuntimeError;

/// Positions up to this are exact in a sample, and all are louder than what is raised.
const SCALE: f32 = (1 << 24) as f32;
const LOUD: f32 = (1 << 20) as f32;

/// Samples that tell where they are.
fn sound(seconds: f64) -> Vec<f32> {
    (0..(seconds * RATE as f64) as usize).map(|i| (i as f32 + LOUD) / SCALE).collect()
}

fn place(sample: f32) -> f64 {
    f64::from(sample * SCALE - LOUD) / f64::from(RATE)
}

#[derive(Clone, Default)]
struct Script(Arc<Vec<Word>>);

impl Script {
    fn new(words: Vec<(String, f64, f64)>) -> Self {
        Self(Arc::new(words.into_iter().map(|(text, start, end)| Word { text, start, end, confidence: 1.0 }).collect()))
    }

    /// Words of 0.3 s, one each 0.4 s, from a second on; `w0 w1 …`.
    fn talk(start: f64, count: usize) -> Vec<(String, f64, f64)> {
        (0..count).map(|i| (format!("w{i}"), start + i as f64 * 0.4, start + i as f64 * 0.4 + 0.3)).collect()
    }
}

struct Ear(Script);

impl Detector for Ear {
    fn reset(&mut self) {}

    fn probability(&mut self, frame: &[f32]) -> Result<f32, RuntimeError> {
        let (from, to) = (place(frame[0]), place(frame[0]) + FRAME as f64 / RATE as f64);
        // Like the real one it hears the first frame of a word late, and small pauses not at all.
        let speech = self.0.0.iter().any(|w| from > w.start && to < w.end + 0.15);
        Ok(if speech { 0.95 } else { 0.02 })
    }
}

#[derive(Default)]
struct Log {
    seconds: Vec<f64>,
    prompts: Vec<String>,
    fail: bool,
}

struct Listener {
    script: Script,
    log: Arc<Mutex<Log>>,
    invents: bool,
}

impl Recognizer for Listener {
    fn hear(&mut self, &Hearing { samples, prompt, settled, .. }: &Hearing) -> Result<Heard, RecognizeError> {
        let mut log = self.log.lock().expect("no panic before");
        log.seconds.push(samples.len() as f64 / RATE as f64);
        log.prompts.push(prompt.to_owned());
        if log.fail {
            return Err(RecognizeError::Run("told to".to_owned()));
        }
        let (from, to) = (place(samples[0]), place(samples[0]) + samples.len() as f64 / RATE as f64);
        let settled = settled.last().map_or(0.0, |w| w.end);
        let inside = self.script.0.iter().filter(|w| w.start >= from + settled - 0.02 && w.start < to - 0.05);
        let mut words: Vec<Word> = inside
            .map(|w| match w.end <= to {
                true => Word { start: w.start - from, end: w.end - from, ..w.clone() },
                false => Word { text: "half".to_owned(), start: w.start - from, end: to - from, confidence: 0.3 },
            })
            .collect();
        if self.invents {
            words.push(Word {
                text: "subscribe".to_owned(),
                start: to - from - 0.05,
                end: to - from + 4.0,
                confidence: 0.9,
            });
        }
        Ok(heard(words))
    }
}

/// A hypothesis that reaches as far as its words.
fn heard(words: Vec<Word>) -> Heard {
    let words = words.into_iter().map(|word| HeardWord { reach: word.end, word });
    Heard { words: words.collect(), doubtful: false }
}

fn streamer(script: &Script, policy: Policy) -> (Streamer, Arc<Mutex<Log>>) {
    let log = Arc::new(Mutex::new(Log::default()));
    let listener = Listener { script: script.clone(), log: log.clone(), invents: false };
    (Streamer::with(Box::new(listener), Box::new(Ear(script.clone())), policy), log)
}

fn finals(events: &[Event]) -> Vec<Word> {
    events
        .iter()
        .flat_map(|e| match e {
            Event::Final(words) => words.clone(),
            Event::Partial(_) => Vec::new(),
        })
        .collect()
}

fn assert_said(events: &[Event], script: &Script) {
    let said = finals(events);
    let texts = |words: &[Word]| words.iter().map(|w| w.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&said), texts(&script.0));
    for (a, b) in said.iter().zip(script.0.iter()) {
        assert!((a.start - b.start).abs() < 1e-3 && (a.end - b.end).abs() < 1e-3, "{a:?} {b:?}");
    }
}

#[test]
fn a_talk_with_pauses_becomes_final_once_and_in_order() {
    let mut words = Script::talk(1.0, 20);
    words.extend(Script::talk(12.0, 3));
    words.extend(Script::talk(15.0, 30));
    let script = Script::new(words);
    let (mut s, log) = streamer(&script, Policy::default());
    let mut events = Vec::new();
    s.push(&sound(30.0), &mut events).expect("it runs");
    assert_said(&events, &script);
    assert!(
        matches!(events.last(), Some(Event::Partial(p)) if p.is_empty())
            || matches!(events.last(), Some(Event::Final(_)))
    );
    let before = log.lock().expect("log").seconds.len();
    s.end(&mut events).expect("it runs");
    assert_said(&events, &script);
    assert_eq!(log.lock().expect("log").seconds.len(), before, "nothing new, nothing run");
}

#[test]
fn the_end_makes_all_final_even_in_the_middle_of_speech() {
    let script = Script::new(Script::talk(0.5, 10));
    let (mut s, _) = streamer(&script, Policy::default());
    let mut events = Vec::new();
    s.push(&sound(4.5), &mut events).expect("it runs");
    s.end(&mut events).expect("it runs");
    assert_said(&events, &script);
}

#[test]
fn partial_words_come_within_two_steps_and_finals_follow() {
    let script = Script::new(Script::talk(1.0, 40));
    let (mut s, _) = streamer(&script, Policy::default());
    let all = sound(16.0);
    let (mut events, mut first_partial, mut worst) = (Vec::new(), None, 0.0f64);
    for (i, chunk) in all.chunks(1600).enumerate() {
        s.push(chunk, &mut events).expect("it runs");
        let now = (i + 1) as f64 * 0.1;
        if first_partial.is_none() && !events.is_empty() {
            first_partial = Some(now);
        }
        if now > 3.5 {
            worst = worst.max(now - finals(&events).last().map_or(0.0, |w| w.end));
        }
    }
    let first = first_partial.expect("a partial comes");
    assert!(first < 2.3, "{first}");
    // Two hypotheses, one second apart, and the word that was cut.
    assert!(worst < 3.0, "{worst}");
}

#[test]
fn ten_minutes_without_a_pause_stay_bounded() {
    let script = Script::new(Script::talk(1.0, 1490));
    let (mut s, log) = streamer(&script, Policy::default());
    let all = sound(600.0);
    let (mut events, mut kept) = (Vec::new(), 0.0f64);
    for chunk in all.chunks(8000) {
        s.push(chunk, &mut events).expect("it runs");
        kept = kept.max(s.buffered_seconds());
    }
    s.end(&mut events).expect("it runs");
    assert_said(&events, &script);
    let log = log.lock().expect("log");
    let longest = log.seconds.iter().copied().fold(0.0, f64::max);
    assert!(longest <= 17.0 && kept <= 17.0, "{longest} {kept}");
    assert!(log.prompts.iter().all(|p| p.chars().count() <= PROMPT_CHARACTERS));
    assert!(log.prompts.last().expect("a prompt").starts_with('w'), "whole words");
    assert!(s.said.in_buffer().len() < 60 && s.buffer.capacity() < 40 * RATE as usize);
}

#[test]
fn a_model_that_never_agrees_is_still_bounded_and_heard() {
    struct Fickle(usize, Arc<Mutex<f64>>);
    impl Recognizer for Fickle {
        fn hear(&mut self, &Hearing { samples, settled, .. }: &Hearing) -> Result<Heard, RecognizeError> {
            self.0 += 1;
            let length = samples.len() as f64 / RATE as f64;
            let mut longest = self.1.lock().expect("no panic before");
            *longest = longest.max(length);
            let n = length as usize;
            let word = |i| Word { text: format!("x{}", self.0), start: i as f64, end: i as f64 + 0.9, confidence: 0.6 };
            Ok(heard((settled.len()..n).map(word).collect()))
        }
    }
    let script = Script::new(Script::talk(0.1, 490));
    let longest = Arc::new(Mutex::new(0.0));
    let mut s = Streamer::with(Box::new(Fickle(0, longest.clone())), Box::new(Ear(script)), Policy::default());
    let mut events = Vec::new();
    s.push(&sound(200.0), &mut events).expect("it runs");
    s.end(&mut events).expect("it runs");
    assert!(*longest.lock().expect("log") < 26.0);
    let said = finals(&events);
    assert!(said.len() > 150, "{}", said.len());
    for pair in said.windows(2) {
        assert!(pair[0].end <= pair[1].start);
    }
}

#[test]
fn words_claimed_in_silence_are_dropped() {
    let script = Script::new(Script::talk(1.0, 5));
    let listener = Listener { script: script.clone(), log: Arc::default(), invents: true };
    // The settling run hears the silence, in which the listener invents a word.
    let policy = Policy { step: 5.0, settle: 0.6, endpoint: 0.7, ..Policy::default() };
    let mut s = Streamer::with(Box::new(listener), Box::new(Ear(script.clone())), policy);
    let mut events = Vec::new();
    s.push(&sound(6.0), &mut events).expect("it runs");
    assert_said(&events, &script);
}

#[test]
fn clicks_never_reach_the_recogniser() {
    let script = Script::new(vec![("click".to_owned(), 1.0, 0.95)]);
    let (mut s, log) = streamer(&script, Policy::default());
    let mut events = Vec::new();
    s.push(&sound(5.0), &mut events).expect("it runs");
    s.end(&mut events).expect("it runs");
    assert!(events.is_empty() && log.lock().expect("log").seconds.is_empty());
}

#[test]
fn a_jump_of_the_timeline_ends_what_was_before() {
    let script = Script::new(Script::talk(0.5, 25));
    let (mut s, log) = streamer(&script, Policy::default());
    let mut events = Vec::new();
    let all = sound(12.0);
    let (first, second) = all.split_at(4 * RATE as usize);
    s.at(100.0);
    s.push(first, &mut events).expect("it runs");
    s.at(104.0);
    assert_eq!(s.jump, None, "the timeline goes on");
    s.at(50.0);
    let cut = events.len();
    s.push(second, &mut events).expect("it runs");
    s.end(&mut events).expect("it runs");
    let said = finals(&events);
    let before: Vec<_> = said.iter().filter(|w| w.start >= 100.0).collect();
    let after: Vec<_> = said.iter().filter(|w| w.start < 100.0).collect();
    assert!(before.iter().all(|w| w.end <= 104.05), "{before:?}");
    assert!(after.iter().all(|w| (49.9..58.0).contains(&w.start)), "{after:?}");
    assert!((24..=26).contains(&said.len()), "{}", said.len());
    assert!(matches!(&events[cut], Event::Final(w) if w[0].start >= 100.0), "what was said before comes first");
    assert!((before[0].start - 100.5).abs() < 1e-3);
    // Text from another place of the timeline doesn't lead the recogniser on.
    assert!(log.lock().expect("log").prompts.iter().all(String::is_empty));
}

#[test]
fn the_further_behind_the_less_is_run() {
    let script = Script::new(Script::talk(1.0, 240));
    let fed = |backlog: f64| {
        let (mut s, log) = streamer(&script, Policy::default());
        let mut events = Vec::new();
        s.set_backlog(backlog);
        s.push(&sound(99.0), &mut events).expect("it runs");
        s.end(&mut events).expect("it runs");
        let words = finals(&events).iter().filter(|w| w.text != "half").count();
        assert!(words >= 236, "{words} of 240 words at {backlog} s");
        log.lock().expect("log").seconds.iter().sum::<f64>()
    };
    let (live, behind, far) = (fed(0.0), fed(3.0), fed(7.0));
    assert!(live > 2.5 * behind && behind > 1.5 * far, "{live} {behind} {far}");
    assert!(far < 1.5 * 99.0, "each second is heard hardly more than once: {far}");
}

#[test]
fn what_can_never_be_caught_up_is_left_out_and_marked() {
    let script = Script::new(Script::talk(1.0, 100));
    let (mut s, log) = streamer(&script, Policy::default());
    let (mut events, all) = (Vec::new(), sound(41.0));
    let mut push = |from: f64, to: f64, backlog: f64, events: &mut Vec<Event>| {
        s.set_backlog(backlog);
        s.push(&all[(from * RATE as f64) as usize..(to * RATE as f64) as usize], events).expect("it runs");
        s.buffered_seconds()
    };
    push(0.0, 10.0, 0.0, &mut events);
    let runs = log.lock().expect("log").seconds.len();
    assert!(push(10.0, 16.0, 30.0, &mut events) < 0.1, "nothing is kept");
    push(16.0, 20.0, 3.0, &mut events);
    assert_eq!(log.lock().expect("log").seconds.len(), runs, "what is left out costs nothing");
    push(20.0, 41.0, 0.0, &mut events);
    s.end(&mut events).expect("it runs");
    let said = finals(&events);
    let mark = said.iter().position(|w| w.text == SKIPPED).expect("a mark");
    assert!((said[mark].start - 10.0).abs() < 0.1 && (said[mark].end - 20.0).abs() < 0.1, "{:?}", said[mark]);
    assert!(said[mark - 1].end > 9.0 && said[mark + 1].start < 21.5, "{said:?}");
    assert_eq!(said.iter().filter(|w| w.text == SKIPPED).count(), 1);
    assert!(said.windows(2).all(|w| w[0].end <= w[1].start));
}

#[test]
fn a_stretch_left_out_up_to_the_end_is_marked_too() {
    let script = Script::new(Script::talk(1.0, 10));
    let (mut s, _) = streamer(&script, Policy::default());
    let mut events = Vec::new();
    s.set_backlog(60.0);
    s.push(&sound(5.0), &mut events).expect("it runs");
    s.end(&mut events).expect("it runs");
    assert_eq!(finals(&events).iter().map(|w| w.text.as_str()).collect::<Vec<_>>(), [SKIPPED]);
}

#[test]
fn what_the_model_does_not_know_is_marked_instead_of_invented() {
    let mut words = Script::talk(1.0, 5);
    words.extend(Script::talk(6.0, 60));
    words.extend(Script::talk(34.0, 5));
    let mut said: Vec<Word> = Script::new(words).0.to_vec();
    said[5..65].iter_mut().for_each(|w| w.confidence = 0.25);
    let script = Script(Arc::new(said));
    for policy in [Policy::default(), Policy::whole()] {
        let (mut s, _) = streamer(&script, policy);
        let mut events = Vec::new();
        s.push(&sound(40.0), &mut events).expect("it runs");
        s.end(&mut events).expect("it runs");
        let told = finals(&events);
        let known = told.iter().filter(|w| w.text != UNCLEAR).count();
        assert_eq!(known, 10, "{told:?}");
        let marks: Vec<&Word> = told.iter().filter(|w| w.text == UNCLEAR).collect();
        assert!((1..=3).contains(&marks.len()), "{marks:?}");
        assert!(marks[0].start > 5.9 && marks[0].start < 6.5 && marks[marks.len() - 1].end > 28.5, "{marks:?}");
        assert!(told.windows(2).all(|w| w[0].end <= w[1].start + 1e-9), "{told:?}");
        let shown = events
            .iter()
            .any(|e| matches!(e, Event::Partial(p) if p.iter().any(|w| w.confidence == 0.25 && w.text != "half")));
        assert!(!shown, "nor is it shown");
    }
}

#[test]
fn speech_of_which_no_word_is_heard_is_marked_where_it_is_long() {
    let mut words = Script::talk(1.0, 5);
    // Words without a text: the detector hears them, the recogniser doesn't.
    words.extend(
        Script::talk(6.0, 12)
            .into_iter()
            .chain(Script::talk(14.0, 3))
            .map(|(_, start, end)| (String::new(), start, end)),
    );
    words.extend(Script::talk(18.0, 5));
    let script = Script::new(words);
    for policy in [Policy::default(), Policy::whole()] {
        let (mut s, _) = streamer(&script, policy);
        let mut events = Vec::new();
        s.push(&sound(24.0), &mut events).expect("it runs");
        s.end(&mut events).expect("it runs");
        let told = finals(&events);
        let marks: Vec<&Word> = told.iter().filter(|w| w.text == UNCLEAR).collect();
        assert_eq!((told.len(), marks.len()), (11, 1), "{told:?}");
        assert!((marks[0].start - 6.0).abs() < 0.2 && (marks[0].end - 10.8).abs() < 0.3, "{marks:?}");
        assert!(told.windows(2).all(|w| w[0].end <= w[1].start), "{told:?}");
    }
}

#[test]
fn a_whole_file_is_heard_hardly_more_than_once() {
    let script = Script::new(Script::talk(1.0, 240));
    let (mut s, log) = streamer(&script, Policy::whole());
    let mut events = Vec::new();
    s.push(&sound(99.0), &mut events).expect("it runs");
    s.end(&mut events).expect("it runs");
    assert_eq!(finals(&events).len(), 240);
    let heard = log.lock().expect("log").seconds.iter().sum::<f64>();
    assert!(heard < 1.2 * 99.0, "{heard}");
}

/// Takes what is longer than some seconds for a loop and stops behind its first words.
struct Hasty(Listener);

impl Recognizer for Hasty {
    fn hear(&mut self, hearing: &Hearing) -> Result<Heard, RecognizeError> {
        let mut heard = self.0.hear(hearing)?;
        heard.doubtful = heard.words.len() > 14;
        if heard.doubtful {
            heard.words.truncate(5);
        }
        Ok(heard)
    }
}

#[test]
fn in_a_whole_file_speech_without_words_is_heard_again_and_said_once() {
    // With pauses of half a second, and without any.
    let mut words = Script::talk(1.0, 60);
    (0..12).for_each(|k| words.extend(Script::talk(30.0 + 2.5 * f64::from(k), 5)));
    let script = Script::new(words);
    let said = |policy| {
        let log = Arc::new(Mutex::new(Log::default()));
        let hasty = Hasty(Listener { script: script.clone(), log: log.clone(), invents: false });
        let mut s = Streamer::with(Box::new(hasty), Box::new(Ear(script.clone())), policy);
        let mut events = Vec::new();
        s.push(&sound(63.0), &mut events).expect("it runs");
        s.end(&mut events).expect("it runs");
        let heard = log.lock().expect("log").seconds.iter().sum::<f64>();
        (events, heard)
    };
    let (events, heard) = said(Policy::whole());
    assert_said(&events, &script);
    assert!(heard < 4.0 * 63.0, "{heard} s were heard");
    let (events, _) = said(Policy { again: false, ..Policy::whole() });
    assert!(finals(&events).len() < 60, "else it would be nothing to hear again");
}

#[test]
fn a_doubtful_tail_leaves_what_stood_before() {
    struct Unsure;
    impl Recognizer for Unsure {
        fn hear(&mut self, hearing: &Hearing) -> Result<Heard, RecognizeError> {
            let word = |text: &str, start: f64, confidence| Word {
                text: text.to_owned(),
                start,
                end: start + 0.3,
                confidence,
            };
            let mut words = vec![word("so", 0.5, 0.9), word("far", 0.9, 0.9)];
            if hearing.samples.len() as f64 > 2.5 * f64::from(RATE) {
                words.extend((0..5).map(|i| word("eh", 1.4 + 0.3 * f64::from(i), 0.05)));
            }
            Ok(heard(words))
        }
    }
    let script = Script::new(Script::talk(0.5, 8));
    let policy = Policy { commit: Commit::Agreement { hypotheses: 99 }, ..Policy::default() };
    let mut s = Streamer::with(Box::new(Unsure), Box::new(Ear(script)), policy);
    let mut events = Vec::new();
    s.push(&sound(6.0), &mut events).expect("it runs");
    s.end(&mut events).expect("it runs");
    let texts = |words: &[Word]| words.iter().map(|w| w.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&finals(&events)), ["so", "far", UNCLEAR]);
    let told = events.iter().map_while(|e| if let Event::Partial(words) = e { Some(texts(words)) } else { None });
    let shown: Vec<Vec<String>> = told.skip_while(|words| words.len() < 2).collect();
    assert!(shown == [["so", "far"]], "what is shown stays until it is final: {events:?}");
}

#[test]
fn no_word_ends_behind_the_sound() {
    let script = Script::new(Script::talk(0.2, 5));
    for length in [1.0, 1.11, 2.013, 2.05] {
        let (mut s, _) = streamer(&script, Policy::whole());
        let mut events = Vec::new();
        s.push(&sound(length), &mut events).expect("it runs");
        s.end(&mut events).expect("it runs");
        let words = finals(&events);
        assert!(!words.is_empty() && words.iter().all(|w| w.end <= length + 1e-9), "{length}: {words:?}");
    }
}

#[test]
fn after_a_failure_the_stream_goes_on() {
    let mut words = Script::talk(1.0, 5);
    words.extend(Script::talk(6.0, 5));
    let script = Script::new(words);
    let (mut s, log) = streamer(&script, Policy::default());
    let mut events = Vec::new();
    let all = sound(12.0);
    log.lock().expect("log").fail = true;
    s.push(&all[..5 * RATE as usize], &mut events).expect_err("it fails");
    log.lock().expect("log").fail = false;
    s.push(&all[5 * RATE as usize..], &mut events).expect("it runs");
    assert_eq!(finals(&events).len(), 5);
    assert!((finals(&events)[0].start - 6.0).abs() < 1e-3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// However the sound is portioned, the events are the same.
    #[test]
    fn portions_do_not_matter(
        talks in prop::collection::vec((0.2f64..3.0, 1usize..30), 1..4),
        portions in prop::collection::vec(1usize..9000, 1..50),
    ) {
        let (mut words, mut t) = (Vec::new(), 0.3);
        for (pause, count) in talks {
            words.extend(Script::talk(t + pause, count));
            t += pause + count as f64 * 0.4;
        }
        let script = Script::new(words);
        let all = sound(t + 0.7);
        let (mut whole, _) = streamer(&script, Policy::default());
        let mut a = Vec::new();
        whole.push(&all, &mut a).expect("it runs");
        whole.end(&mut a).expect("it runs");
        let (mut cut, _) = streamer(&script, Policy::default());
        let (mut b, mut rest) = (Vec::new(), &all[..]);
        for n in portions.iter().cycle() {
            let (now, later) = rest.split_at((*n).min(rest.len()));
            cut.push(now, &mut b).expect("it runs");
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        cut.end(&mut b).expect("it runs");
        prop_assert_eq!(&a, &b);
        assert_said(&a, &script);
    }
}
