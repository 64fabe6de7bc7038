//! Tests of cues: the norms over any words, and the taste over a known text.

use proptest::prelude::*;

use super::*;

/// Words at a speed: each takes so many seconds a character.
fn talk(text: &str, start: f64, per_character: f64) -> Vec<Word> {
    let mut t = start;
    text.split_whitespace()
        .map(|w| {
            let from = t;
            t += (w.chars().count() + 1) as f64 * per_character;
            Word { text: w.to_owned(), start: from, end: t - per_character, confidence: 1.0 }
        })
        .collect()
}

const AUSTEN: &str = "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife. \
    However little known the feelings or views of such a man may be on his first entering a neighbourhood, this truth is so well fixed in \
    the minds of the surrounding families, that he is considered the rightful property of some one or other of their daughters. \
    My dear Mr. Bennet, said his lady to him one day, have you heard that Netherfield Park is let at last?";

#[test]
fn a_known_text_keeps_every_norm_and_breaks_at_clauses() {
    for name in Style::NAMES {
        let style = Style::named(name).expect("known");
        let words = talk(AUSTEN, 10.0, 0.07);
        let out = cues(&words, &style);
        assert!(out.iter().all(|c| c.unmet.is_empty()), "{name}: {out:#?}");
        assert_eq!(out.iter().map(Cue::text).collect::<Vec<_>>().join(" "), AUSTEN.split_whitespace().collect::<Vec<_>>().join(" "));
        assert_eq!(out[0].start, 10.0);
        for c in &out {
            for line in &c.lines {
                assert!(!weak_end(line.rsplit(' ').next().expect("a word")), "{name}: {line:?} in {:?}", c.lines);
                assert!(!line.ends_with("Netherfield"), "{name}: a name is broken in {:?}", c.lines);
            }
        }
    }
}

#[test]
fn a_pause_ends_a_cue_and_the_end_hangs_a_little() {
    let mut words = talk("Nobody spoke.", 1.0, 0.08);
    let end = words[1].end;
    words.extend(talk("Then somebody did.", 6.0, 0.08));
    let out = cues(&words, &Style::netflix());
    assert_eq!(out.len(), 2);
    assert!((out[0].end - (end + 0.5)).abs() < 1e-9 && out[1].start == 6.0, "{out:?}");
}

#[test]
fn a_short_word_stays_for_five_sixths_of_a_second() {
    let out = cues(&talk("Yes.", 3.0, 0.02), &Style::netflix());
    assert!((out[0].end - 3.0 - 5.0 / 6.0).abs() < 1e-9);
    assert!(out[0].unmet.is_empty());
}

#[test]
fn what_cannot_be_kept_is_told() {
    let fast = cues(&talk(AUSTEN, 0.0, 0.02), &Style::netflix());
    assert!(fast.iter().any(|c| c.unmet.contains(&Norm::Speed)));
    let long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft";
    let out = cues(&talk(&format!("the {long} was"), 0.0, 0.1), &Style::bbc());
    assert!(out.iter().any(|c| c.unmet.contains(&Norm::LineLength) && c.lines == [long]), "{out:?}");
}

#[test]
fn odd_words_are_shown_on_one_line_or_left_out() {
    let word = |text: &str, start: f64| Word { text: text.to_owned(), start, end: start + 0.2, confidence: 1.0 };
    let out = cues(&[word("a\n\nb", 0.0), word("  ", 0.3), word("\u{7}c", 0.4), word("nan", f64::NAN), word("d", -3.0)], &Style::netflix());
    assert_eq!(out[0].lines, ["a b c d"]);
    assert!(cues(&[], &Style::netflix()).is_empty());
}

#[test]
fn a_running_text_rolls_up_and_never_moves() {
    let words = talk(&AUSTEN.repeat(12), 0.0, 0.06);
    let style = Style::live();
    let mut before: Vec<String> = Vec::new();
    for n in 1..words.len() {
        let partial = &words[n..(n + 2).min(words.len())];
        let now = roll_up(&words[..n], partial, &style);
        assert!(now.len() <= 2 && now.iter().all(|l| l.chars().count() <= 42));
        let finals = roll_up(&words[..n], &[], &style);
        if let (Some(old), Some(new)) = (before.last(), finals.last()) {
            let stays = new.starts_with(old.as_str()) || finals.len() > 1 && finals[finals.len() - 2] == *old;
            // Every 500 words the count starts anew from an older word.
            assert!(stays || n % 500 < 2, "{before:?} {finals:?}");
        }
        before = finals;
    }
    assert!(roll_up(&[], &[], &style).is_empty());
}

fn any_words() -> impl Strategy<Value = Vec<Word>> {
    let text = prop::sample::select(vec![
        "a",
        "the",
        "sea,",
        "Mr.",
        "possession",
        "of",
        "universally",
        "yes.",
        "Netherfield",
        "Park",
        "it",
        "is",
        "no?",
        "extraordinarily-long-winded-word",
        "é",
        "Pneumonoultramicroscopicsilicovolcanoconiosis",
    ]);
    prop::collection::vec(
        (text, prop_oneof![4 => 0.0f64..0.2, 1 => 0.0f64..4.0], prop_oneof![6 => 0.02f64..0.6, 1 => 0.0f64..0.001, 1 => 0.0f64..12.0]),
        0..120,
    )
    .prop_map(|list| {
        let mut t = 0.0;
        list.into_iter()
            .map(|(text, gap, length)| {
                let start = t + gap;
                t = start + length;
                Word { text: text.to_owned(), start, end: t, confidence: 1.0 }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn every_word_once_in_order_and_every_norm_kept_or_told(words in any_words(), which in 0usize..4) {
        let style = Style::named(Style::NAMES[which]).expect("known");
        let out = cues(&words, &style);
        let said: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
        let shown: Vec<String> = out.iter().flat_map(|c| c.text().split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
        prop_assert_eq!(said, shown);
        for c in &out {
            prop_assert!(c.lines.len() <= style.lines && !c.lines.is_empty());
            let long = c.lines.iter().any(|l| l.chars().count() > style.line_characters);
            prop_assert_eq!(long, c.unmet.contains(&Norm::LineLength));
            let length = c.end - c.start;
            prop_assert!(length <= style.max_seconds + 1e-6);
            prop_assert!(length + 1e-4 >= style.min_seconds || c.unmet.contains(&Norm::Shortest), "{:?}", c);
            let speed = c.text().chars().count() as f64 / length;
            prop_assert!(speed <= style.characters_a_second + 0.01 || c.unmet.contains(&Norm::Speed), "{:?}", c);
        }
        for pair in out.windows(2) {
            prop_assert!(pair[0].start < pair[0].end);
            prop_assert!(pair[1].start - pair[0].end >= style.gap - 1e-6, "{:?}", pair);
        }
    }
}
