use super::*;
use proptest::prelude::*;

fn word(text: &str, start: f64) -> Word {
    long(text, start, start + 0.4)
}

fn long(text: &str, start: f64, end: f64) -> Word {
    Word { text: text.to_owned(), start, end, confidence: 1.0 }
}

fn said(words: &[(&str, f64)]) -> Event {
    Event::Final(words.iter().map(|(t, s)| word(t, *s)).collect())
}

fn joined(words: &[Word]) -> String {
    words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
}

fn text(t: &Transcript) -> String {
    joined(t.words())
}

/// A whole pass on the timeline.
fn pass(t: &mut Transcript, from: f64, to: f64, words: Vec<Word>) {
    t.begin(from, Place::Rolling);
    if !words.is_empty() {
        t.apply(Event::Final(words));
    }
    t.heard(to);
    t.end();
}

fn speech() -> Transcript {
    let mut t = Transcript::default();
    pass(
        &mut t,
        0.0,
        6.0,
        ["one", "two", "three", "four", "five"].iter().zip(1..).map(|(x, i)| word(x, i as f64)).collect(),
    );
    t
}

#[test]
fn finals_add_up_and_partials_replace_each_other() {
    let mut t = Transcript::default();
    t.apply(Event::Partial(vec![word("a", 0.0)]));
    t.apply(Event::Partial(vec![word("a", 0.0), word("bee", 0.5)]));
    assert_eq!(t.partial().len(), 2);
    let revision = t.revision();
    t.apply(said(&[("a", 0.0)]));
    t.apply(Event::Partial(vec![word("b", 0.5)]));
    t.apply(said(&[("b", 0.5)]));
    t.apply(Event::Partial(vec![]));
    assert_eq!((text(&t).as_str(), t.partial().len()), ("a b", 0));
    assert!(t.revision() > revision);
}

#[test]
fn without_word_of_passes_time_tells_them() {
    let mut t = Transcript::default();
    t.apply(said(&[("one", 1.0), ("two", 2.0), ("three", 3.0)]));
    t.apply(said(&[("four", 4.0), ("five", 5.0)]));
    // Back to 1.9 s: the second pass hears something else, and nothing where "three" was.
    t.apply(said(&[("zwei", 1.9)]));
    t.apply(said(&[("vier", 4.1)]));
    assert_eq!(text(&t), "one zwei vier five");
    t.apply(said(&[("nine", 90.0)]));
    assert_eq!(text(&t), "one zwei vier five nine", "a jump forward keeps what lies between");
}

#[test]
fn silence_replaces_words_as_far_as_it_was_heard() {
    let mut t = speech();
    t.begin(1.7, Place::Rolling);
    assert_eq!(text(&t), "one two three four five");
    t.heard(2.2);
    assert_eq!(text(&t), "one two three four five", "half of a word is no silence");
    t.heard(2.7);
    assert_eq!(text(&t), "one three four five");
    t.heard(4.2);
    t.end();
    assert_eq!(text(&t), "one four five");
}

#[test]
fn a_punch_in_replaces_only_what_was_punched() {
    let mut t = speech();
    pass(&mut t, 1.8, 3.7, vec![word("zwei", 2.1), word("drei", 3.0)]);
    assert_eq!(text(&t), "one zwei drei four five");
    let takes = t.takes(2.0, 3.0);
    assert_eq!(takes.iter().map(|t| joined(t.words_in(2.0, 3.5))).collect::<Vec<_>>(), ["zwei drei", "two three"]);
    assert_eq!(t.takes(4.5, 5.0).len(), 1);
}

#[test]
fn an_older_take_can_be_chosen_again() {
    let mut t = speech();
    pass(&mut t, 1.8, 4.7, vec![word("zwei", 2.0), word("drei", 3.0), word("vier", 4.0)]);
    let old = t.takes(0.0, 9.0).last().expect("the first").id;
    assert!(t.choose(old, 2.7, 3.6));
    assert_eq!(text(&t), "one zwei three vier five");
    assert!(t.choose(old, f64::NEG_INFINITY, f64::INFINITY));
    assert_eq!(text(&t), "one two three four five");
    assert!(!t.choose(77, 0.0, 1.0));
    assert_eq!(t.takes(2.0, 4.0).len(), 2, "choosing loses nothing");
}

#[test]
fn rounds_of_a_loop_are_takes_and_equal_ones_are_one() {
    let mut t = speech();
    for round in ["b", "b", "c", "c", "b"] {
        pass(&mut t, 2.0, 5.0, vec![word(round, 2.5), word(round, 3.52)]);
    }
    assert_eq!(text(&t), "one b b five");
    assert_eq!(
        t.takes(2.0, 5.0).iter().map(|t| joined(t.words())).collect::<Vec<_>>(),
        ["c c", "b b", "one two three four five"]
    );
    // Playing it all again, heard the same within some milliseconds, adds nothing.
    let again = t.words().iter().map(|w| Word { start: w.start + 0.02, end: w.end + 0.03, ..w.clone() }).collect();
    pass(&mut t, 0.0, 6.0, again);
    assert_eq!((text(&t).as_str(), t.takes(0.0, 6.0).len()), ("one b b five", 3));
}

#[test]
fn a_word_that_the_edge_of_a_pass_cuts_is_neither_lost_nor_doubled() {
    let whole = || vec![long("mynah", 1.0, 2.0), long("bird", 2.2, 3.0)];
    let mut t = Transcript::default();
    pass(&mut t, 0.0, 4.0, whole());
    // Located into the first word, stopped in the second.
    pass(&mut t, 1.4, 2.6, vec![long("nah", 1.42, 2.02), long("bir", 2.2, 2.58)]);
    assert_eq!(text(&t), "mynah bird");
    assert_eq!(t.words(), whole());
    // Inside one word nothing is recognised.
    pass(&mut t, 1.2, 1.9, vec![]);
    assert_eq!(text(&t), "mynah bird");
    // Almost all of it was heard, and it is another word.
    pass(&mut t, 1.1, 2.1, vec![long("parrot", 1.12, 2.0)]);
    assert_eq!(text(&t), "parrot bird");
}

#[test]
fn a_transport_that_stands_still_touches_no_timeline() {
    let mut t = Transcript::default();
    t.begin(0.5, Place::Free);
    t.apply(said(&[("test", 1.0)]));
    assert_eq!(text(&t), "test", "without any timeline it is shown");
    pass(&mut t, 0.0, 6.0, vec![word("one", 1.0)]);
    assert_eq!(text(&t), "one");
    t.begin(0.0, Place::Free);
    t.apply(said(&[("aside", 2.0)]));
    t.heard(9.0);
    assert_eq!((text(&t), joined(t.latest())), ("one".to_owned(), "aside".to_owned()));
    t.end();
    assert_eq!(text(&t), "one");
}

#[test]
fn clearing_and_replacing_leave_the_pass_going() {
    let mut t = Transcript::default();
    t.set_speaker("Ada");
    t.begin(0.0, Place::Rolling);
    t.apply(said(&[("one", 1.0)]));
    let revision = t.revision();
    t.clear();
    assert!(t.words().is_empty() && t.takes(0.0, 9.0).len() == 1 && t.revision() > revision);
    t.apply(said(&[("two", 2.0)]));
    assert_eq!((text(&t).as_str(), t.speaker()), ("two", "Ada"));
    t.replace(speech());
    t.apply(said(&[("drei", 3.0)]));
    t.heard(3.6);
    t.end();
    assert_eq!(text(&t), "one two drei four five");
}

#[test]
fn odd_words_stay_out_and_words_without_length_stay() {
    let mut t = Transcript::default();
    t.begin(0.0, Place::Rolling);
    t.apply(said(&[("one", 1.0), ("nan", f64::NAN), ("inf", f64::INFINITY), ("two", 2.0)]));
    t.apply(Event::Final(vec![long("nought", 3.0, 3.0)]));
    t.end();
    t.begin(f64::NAN, Place::Rolling);
    t.heard(f64::NAN);
    assert_eq!(text(&t), "one two nought");
}

#[test]
fn it_stays_bounded() {
    let mut t = Transcript::default();
    for i in 0..110 {
        t.apply(Event::Final((0..1000).map(|j| word("x", (i * 1000 + j) as f64 * 0.5)).collect()));
    }
    assert_eq!(t.words().len(), MAX_WORDS);
    assert_eq!(t.words()[0].start, 5000.0);
}

#[test]
fn the_oldest_takes_go_first_and_what_is_shown_stays() {
    let mut t = Transcript::default();
    for i in 0..MAX_TAKES + 20 {
        pass(&mut t, 0.0, 5.0, vec![word(&format!("t{i}"), 1.0)]);
    }
    assert_eq!((text(&t), t.takes(0.0, 5.0).len()), (format!("t{}", MAX_TAKES + 19), MAX_TAKES));
    let oldest = t.takes(0.0, 5.0).last().map(|t| joined(t.words()));
    assert_eq!(oldest.as_deref(), Some("t20"));
    // A chosen take outlives newer ones.
    let chosen = t.takes(0.0, 5.0).last().expect("the oldest").id;
    assert!(t.choose(chosen, 0.0, 1.5));
    pass(&mut t, 2.0, 5.0, vec![word("end", 3.0)]);
    assert_eq!((text(&t).as_str(), t.takes(0.0, 5.0).len()), ("t20 end", MAX_TAKES));
    // Passes side by side are all shown: the oldest become one.
    for i in 10..MAX_TAKES + 300 {
        pass(&mut t, i as f64, i as f64 + 0.9, vec![word("s", i as f64 + 0.2)]);
    }
    assert_eq!(t.words().len(), 2 + MAX_TAKES + 290);
    assert!(t.takes.len() <= MAX_TAKES);
}

/// Any pass: where it begins, what is said how far apart and how long, how much silence is behind, and whether it is
/// told.
type AnyPass = (f64, Vec<(f64, f64)>, f64, bool);

fn passes(most: usize) -> impl Strategy<Value = Vec<AnyPass>> {
    let words = prop::collection::vec((0.0f64..1.0, 0.0f64..1.0), 0..8);
    prop::collection::vec((0.0f64..30.0, words, 0.0f64..2.0, any::<bool>()), 1..most)
}

/// Plays passes, each word with a text of its own, and calls `after` with the words of each and where it ended.
fn play(passes: Vec<AnyPass>, mut after: impl FnMut(&Transcript, f64, f64, &[Word])) -> Transcript {
    let (mut t, mut n) = (Transcript::default(), 0);
    for (from, words, silence, split) in passes {
        let mut at = from;
        let new: Vec<Word> = words
            .into_iter()
            .map(|(gap, length)| {
                n += 1;
                let w = long(&format!("{n}"), at + gap, at + gap + length);
                at = w.end;
                w
            })
            .collect();
        t.begin(from, Place::Rolling);
        if split {
            new.iter().for_each(|w| {
                t.heard(w.start);
                t.apply(Event::Final(vec![w.clone()]));
            });
        } else if !new.is_empty() {
            t.apply(Event::Final(new.clone()));
        }
        t.heard(at + silence);
        t.end();
        after(&t, from, at + silence, &new);
    }
    t
}

proptest! {
    #[test]
    fn any_passes_leave_words_in_order_and_the_last_one_on_top(passes in passes(25)) {
        let t = play(passes, |t, from, to, new| {
            for pair in t.words().windows(2) {
                assert!(pair[0].start <= pair[0].end && pair[0].end <= pair[1].start, "{pair:?}");
            }
            // All that the pass said is shown, but for the first and the last word, which its edges may have cut.
            let inner: Vec<&str> = new.iter().skip(1).take(new.len().saturating_sub(2)).map(|w| w.text.as_str()).collect();
            let shown: Vec<&str> = t.words().iter().map(|w| w.text.as_str()).collect();
            assert!(inner.is_empty() || shown.windows(inner.len()).any(|w| w == inner), "{inner:?} in {shown:?}");
            // Nothing else is shown where it was heard, but for words that reach over its edges.
            for w in t.words().iter().filter(|w| w.start > from + 0.001 && w.end < to - 0.001) {
                let whole = t.takes(from, to).iter().flat_map(|t| t.words()).find(|x| x.text == w.text).expect("its take").clone();
                assert!(new.iter().any(|n| n.text == w.text) || whole.start <= from + 0.001 || whole.end >= to - 0.001, "{w:?}");
            }
        });
        // What is shown is what the pieces say, and the list that is kept ready is the one that is made anew.
        let mut anew = Shown::default();
        anew.refresh(f64::NEG_INFINITY, f64::INFINITY, &t.comp, &t.takes);
        prop_assert_eq!(&anew, &t.shown);
    }

    #[test]
    fn every_take_can_be_had_again(passes in passes(10), choices in prop::collection::vec((any::<prop::sample::Index>(), 0.0f64..30.0, 0.0f64..10.0), 1..10)) {
        let mut t = play(passes, |_, _, _, _| ());
        let takes: Vec<Take> = t.takes(f64::NEG_INFINITY, f64::INFINITY).into_iter().cloned().collect();
        for (which, from, length) in choices {
            let Some(take) = (!takes.is_empty()).then(|| which.get(&takes)) else { continue };
            prop_assert!(t.choose(take.id, from, from + length));
            let (from, to) = (rounded(from).max(take.from), rounded(from + length).min(take.to));
            // A word that is shown may be cut at a piece's end, so that its middle is another one.
            let shown: Vec<&str> = t.words().iter().filter(|w| w.end >= from && w.start <= to).map(|w| w.text.as_str()).collect();
            for w in take.words_in(from, to) {
                prop_assert!(shown.contains(&w.text.as_str()), "{w:?} {shown:?}");
            }
            let mut anew = Shown::default();
            anew.refresh(f64::NEG_INFINITY, f64::INFINITY, &t.comp, &t.takes);
            prop_assert_eq!(&anew, &t.shown);
        }
        // Whatever is shown, whole takes come back.
        for take in &takes {
            t.choose(take.id, take.from, take.to);
            let words: Vec<Word> = t.words().iter().filter(|w| take.words.iter().any(|x| x.text == w.text)).cloned().collect();
            prop_assert_eq!(&words, &take.words);
        }
    }

    #[test]
    fn a_save_loses_nothing(passes in passes(15)) {
        let t = play(passes, |_, _, _, _| ());
        let back = Transcript::from_bytes(&t.to_bytes()).expect("what was saved");
        prop_assert_eq!(back.words(), t.words());
        prop_assert_eq!(&back.takes, &t.takes);
        prop_assert_eq!(&back.comp, &t.comp);
        prop_assert_eq!(back.to_bytes(), t.to_bytes());
    }

    #[test]
    fn damaged_bytes_are_told(passes in passes(5), cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>(), bit in 0u8..8) {
        let t = play(passes, |_, _, _, _| ());
        let bytes = t.to_bytes();
        prop_assert!(Transcript::from_bytes(&bytes[..cut.index(bytes.len())]).is_err());
        let mut other = bytes.clone();
        other[flip.index(bytes.len())] ^= 1 << bit;
        // A flip in what the checksum doesn't cover (the packer's name, say) changes no word.
        if let Ok(back) = Transcript::from_bytes(&other) {
            prop_assert_eq!(back.words(), t.words());
        }
    }

    #[test]
    fn any_bytes_load_or_are_told(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Transcript::from_bytes(&bytes).is_err());
    }

    #[test]
    fn any_numbers_in_a_saved_form_load_or_are_told(numbers in prop::collection::vec(any::<i64>(), 6), ids in prop::collection::vec(any::<u32>(), 3)) {
        use std::io::Write;
        let json = serde_json::json!({ "version": 1, "rolled": true,
            "takes": [{ "id": ids[0], "from": numbers[0].min(numbers[1]) % 100_000, "to": numbers[1], "free": false, "texts": ["a", "b"],
                "gaps": [numbers[2], numbers[3]], "lengths": [numbers[4], 1], "confidences": [7, 255] }],
            "pieces": [[numbers[5], numbers[1], ids[1]], [0, 1000, ids[0]]] });
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(json.to_string().as_bytes()).expect("memory");
        if let Ok(t) = Transcript::from_bytes(&packer.finish().expect("memory")) {
            prop_assert!(t.words().iter().all(|w| w.start.is_finite() && w.end.is_finite()));
            prop_assert!(t.words().windows(2).all(|p| p[0].end <= p[1].start));
        }
    }
}

#[test]
fn ten_hours_of_talk_are_saved_in_bounded_time_and_room() {
    let words = ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs,", "doesn't", "it?"];
    let mut seed = 1u64;
    let mut random = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize
    };
    let mut t = Transcript::default();
    for take in 0..3 {
        t.begin(0.0, Place::Rolling);
        let mut at = 0.0;
        for i in 0..90_000 {
            let length = 0.1 + (random() % 200) as f64 / 1000.0;
            let text = format!("{}{}", words[random() % words.len()], random() % 500);
            t.apply(Event::Final(vec![Word {
                text,
                start: at,
                end: at + length,
                confidence: (random() % 100) as f32 / 100.0,
            }]));
            at += length + (random() % 400) as f64 / 1000.0;
            if i % 100 == take {
                t.heard(at);
            }
        }
        t.end();
    }
    assert!(t.words().len() > 89_000 && t.takes(0.0, 1.0).len() > 1);
    let start = std::time::Instant::now();
    let bytes = t.to_bytes();
    let saved = start.elapsed();
    let back = Transcript::from_bytes(&bytes).expect("what was saved");
    println!(
        "{} words, {} kB, saved in {saved:?}, loaded in {:?}",
        t.words().len(),
        bytes.len() / 1024,
        start.elapsed() - saved
    );
    assert!(bytes.len() <= MAX_BYTES && start.elapsed().as_secs() < 20);
    assert_eq!(back.words(), t.words());
}
