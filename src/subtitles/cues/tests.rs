//! Tests of cues: the norms over any words, and the taste over a known text.

use proptest::prelude::*;

use super::lines::weak_end;
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

fn english(style: Style) -> Style {
    style.spoken_in(Language::english())
}

const AUSTEN: &str = "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife. \
    However little known the feelings or views of such a man may be on his first entering a neighbourhood, this truth is so well fixed in \
    the minds of the surrounding families, that he is considered the rightful property of some one or other of their daughters. \
    My dear Mr. Bennet, said his lady to him one day, have you heard that Netherfield Park is let at last?";

#[test]
fn a_known_text_keeps_every_norm_and_breaks_at_clauses() {
    for name in Style::NAMES {
        let style = english(Style::named(name).expect("known"));
        let words = talk(AUSTEN, 10.0, 0.07);
        let out = cues(&words, &style);
        assert!(out.iter().all(|c| c.unmet.is_empty()), "{name}: {out:#?}");
        assert_eq!(
            out.iter().map(Cue::text).collect::<Vec<_>>().join(" "),
            AUSTEN.split_whitespace().collect::<Vec<_>>().join(" ")
        );
        assert_eq!(out[0].start, 10.0);
        for c in &out {
            for line in &c.lines {
                assert!(
                    !weak_end(line.rsplit(' ').next().expect("a word"), &style),
                    "{name}: {line:?} in {:?}",
                    c.lines
                );
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
    assert!((out[0].end - 3.0 - 5.0 / 6.0).abs() < 1e-3);
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
    let out = cues(
        &[word("a\n\nb", 0.0), word("  ", 0.3), word("\u{7}c", 0.4), word("nan", f64::NAN), word("d", -3.0)],
        &Style::netflix(),
    );
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
        "東京",
        "は",
        "大",
        "です。",
        "「今日はとても良い天気ですから、明日もきっと晴れるでしょうと彼は言いました」",
        "สวัสดีครับ",
        "Pneumonoultramicroscopicsilicovolcanoconiosis",
    ]);
    prop::collection::vec(
        (
            text,
            prop_oneof![4 => 0.0f64..0.2, 1 => 0.0f64..4.0],
            prop_oneof![6 => 0.02f64..0.6, 1 => 0.0f64..0.001, 1 => 0.0f64..12.0],
        ),
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
    fn every_word_once_in_order_and_every_norm_kept_or_told(words in any_words(), which in 0usize..4, spoken in 0usize..6) {
        let language = Language::of(["", "en", "ja", "zh", "th", "de"][spoken]);
        let style = Style::named(Style::NAMES[which]).expect("known").spoken_in(language.clone());
        let out = cues(&words, &style);
        let said = language.joined(words.iter().map(|w| w.text.as_str()));
        let texts: Vec<String> = out.iter().map(|c| c.text_in(&language)).collect();
        prop_assert_eq!(said, language.joined(texts.iter().map(String::as_str)));
        for pair in out.windows(2) {
            prop_assert!(pair[0].start < pair[0].end && pair[0].end < pair[1].start, "{:?}", pair);
        }
        // The check knows nothing of the cutter, and each finds what the other does.
        let mut found: Vec<(usize, Norm)> = lint(&out, Some(&words), &style).into_iter().map(|v| (v.cue, v.norm)).collect();
        let mut told: Vec<(usize, Norm)> = out.iter().enumerate().flat_map(|(k, c)| c.unmet.iter().map(move |n| (k, *n))).collect();
        found.sort_by_key(|(k, n)| (*k, *n as u8));
        told.sort_by_key(|(k, n)| (*k, *n as u8));
        prop_assert_eq!(found, told);
    }

    #[test]
    fn people_who_talk_at_once_lose_no_word(a in any_words(), b in any_words(), c in any_words(), which in 0usize..4) {
        let style = Style::named(Style::NAMES[which]).expect("known");
        let spoken: Vec<Spoken> = [("Ada", a), ("Bo", b), ("Cy", c)].map(|(who, words)| Spoken { speaker: Some(who.to_owned()), words }).into();
        let out = spoken_cues(&spoken, &style);
        for s in &spoken {
            let said = style.language.joined(s.words.iter().map(|w| w.text.as_str()));
            let lines = out.iter().flat_map(|c| c.cue.lines.iter().zip(&c.speakers)).filter(|(_, who)| **who == s.speaker);
            prop_assert_eq!(said, style.language.joined(lines.map(|(line, _)| line.as_str())));
        }
        for c in &out {
            prop_assert!(c.cue.lines.len() == c.speakers.len() && c.cue.lines.len() <= style.lines, "{:?}", c);
        }
        for pair in out.windows(2) {
            prop_assert!(pair[0].cue.start < pair[0].cue.end && pair[0].cue.end < pair[1].cue.start, "{:?}", pair);
        }
    }
}

#[test]
fn each_norm_is_found_by_itself_and_told() {
    let style = Style::netflix();
    let cue = |start: f64, end: f64, lines: &[&str]| Cue {
        start,
        end,
        lines: lines.iter().map(|l| (*l).to_owned()).collect(),
        unmet: Vec::new(),
    };
    let word = |text: &str, start: f64, end: f64| Word { text: text.to_owned(), start, end, confidence: 1.0 };
    let alone = |cues: &[Cue], norm: Norm| {
        let found = lint(cues, None, &style);
        assert!(found.len() == 1 && found[0].norm == norm, "{norm:?}: {found:?}");
    };
    assert!(lint(&[cue(1.0, 2.0, &["Good morning."]), cue(2.084, 4.0, &["And good night."])], None, &style).is_empty());
    alone(&[cue(1.0, 4.0, &["A line that is longer than forty-two letters."])], Norm::LineLength);
    alone(&[cue(1.0, 4.0, &["one", "two", "three"])], Norm::Lines);
    alone(&[cue(1.0, 2.0, &["Twenty-four letters here."])], Norm::Speed);
    alone(&[cue(1.0, 1.8, &["Yes."])], Norm::Shortest);
    alone(&[cue(1.0, 8.1, &["Yes."])], Norm::Longest);
    alone(&[cue(1.0, 2.0, &["Yes."]), cue(2.05, 3.0, &["No."])], Norm::Gap);
    alone(&[cue(1.0, 2.0, &["Yes."]), cue(1.9, 3.0, &["No."])], Norm::Overlap);
    alone(&[cue(1.0, 2.0, &["Yes.", " "])], Norm::Empty);
    alone(&[cue(1.0, 2.0, &[])], Norm::Empty);
    alone(&[cue(2.0, 1.0, &["Yes."])], Norm::Overlap);
    alone(&[cue(1.0, f64::NAN, &["Yes."])], Norm::Overlap);
    let against = |cues: &[Cue], words: &[Word], norm: Norm| {
        let found = lint(cues, Some(words), &style);
        assert!(found.len() == 1 && found[0].norm == norm, "{norm:?}: {found:?}");
    };
    let words = [word("Good", 1.0, 1.3), word("morning.", 1.4, 2.0)];
    against(&[cue(1.13, 2.3, &["Good morning."])], &words, Norm::Late);
    against(&[cue(0.87, 2.3, &["Good morning."])], &words, Norm::Early);
    against(&[cue(1.0, 2.6, &["Good morning."])], &words, Norm::Hang);
    against(&[cue(1.0, 2.3, &["Good evening."])], &words, Norm::Text);
    against(&[cue(1.0, 1.834, &["Good"])], &words, Norm::Text);
    // A short word may hang as long as reading takes.
    assert!(lint(&[cue(1.0, 1.833, &["Yes."])], Some(&[word("Yes.", 1.0, 1.1)]), &style).is_empty());
    let odd = lint(&[cue(1.0, 2.0, &["東京"])], None, &Style::cea608());
    assert!(odd.len() == 1 && odd[0].norm == Norm::Characters && odd[0].measured == 2.0, "{odd:?}");
    let many: Vec<Cue> = (0..5).map(|k| cue(70.0 + k as f64 * 3.0, 70.5 + k as f64 * 3.0, &["Yes."])).collect();
    let sentence = told(&lint(&many, None, &style), &style).expect("broken");
    assert!(sentence.starts_with("5 cues break the norms of Netflix: cue 1 at 1:10.0 shorter"), "{sentence}");
    assert!(sentence.contains("(0.5 of 0.83 s)") && sentence.ends_with("and 2 more"), "{sentence}");
    assert_eq!(told(&[], &style), None);
    assert_eq!(leaning_ends(&[cue(1.0, 2.0, &["He went to the", "house."])], &english(style)), [(0, 0)]);
}

/// Characters as a recogniser of single characters gives them.
fn characters(text: &str, start: f64, each: f64) -> Vec<Word> {
    let word = |(k, c): (usize, char)| Word {
        text: c.into(),
        start: start + k as f64 * each,
        end: start + (k + 1) as f64 * each,
        confidence: 1.0,
    };
    text.chars().enumerate().map(word).collect()
}

#[test]
fn chinese_and_japanese_lines_have_no_spaces_and_the_width_of_their_guide() {
    for (code, columns, text) in [
        ("zh", 32, "今天天气很好，我们一起去公园散步吧。公园里有很多人在唱歌跳舞，孩子们在草地上跑来跑去。"),
        ("ja", 26, "今日はとても天気が良いので、みんなで公園に散歩に行きましょう。公園にはたくさんの人がいます。"),
    ] {
        let style = Style::netflix().spoken_in(Language::of(code));
        // As single characters, and as sentences that came as one word.
        let sentences: Vec<Word> = text
            .split_inclusive('。')
            .scan(0.0, |t, s| {
                Some(Word {
                    text: s.to_owned(),
                    start: *t,
                    end: {
                        *t += s.chars().count() as f64 * 0.2;
                        *t
                    },
                    confidence: 1.0,
                })
            })
            .collect();
        for words in [characters(text, 0.0, 0.2), sentences] {
            let out = cues(&words, &style);
            assert_eq!(out.iter().map(|c| c.text_in(&style.language)).collect::<String>(), text);
            for line in out.iter().flat_map(|c| &c.lines) {
                assert!(!line.contains(' ') && width(line) <= columns, "{line}");
                assert!(!line.starts_with(['。', '、', '，', 'は', 'を', 'に', 'が', '吧', '的']), "{line} in {out:?}");
            }
            assert!(out.iter().all(|c| c.unmet.is_empty()), "{out:#?}");
            assert!(lint(&out, Some(&words), &style).is_empty());
        }
    }
    // Koreans part their words.
    let korean = cues(
        &talk("오늘은 날씨가 아주 좋아서 우리는 함께 공원에 산책하러 갑니다.", 0.0, 0.1),
        &Style::netflix().spoken_in(Language::of("ko")),
    );
    assert!(korean.iter().flat_map(|c| &c.lines).all(|l| l.contains(' ') && width(l) <= 32), "{korean:?}");
}

#[test]
fn lines_of_a_language_break_by_its_own_words() {
    let german = "Er ging mit dem alten Hund durch den tiefen Wald und suchte die verlorene Katze der Nachbarin bis \
        in die Nacht hinein.";
    let style = Style::netflix().spoken_in(Language::of("de"));
    let out = cues(&talk(german, 0.0, 0.07), &style);
    assert!(leaning_ends(&out, &style).is_empty(), "{out:?}");
    for line in out.iter().flat_map(|c| &c.lines) {
        assert!(!["dem", "den", "die", "der", "und", "mit"].iter().any(|w| line.ends_with(&format!(" {w}"))), "{line}");
    }
    // `die` leans in German, and nothing does in a language without a table.
    let cue =
        |line: &str| Cue { start: 0.0, end: 1.0, lines: vec![line.to_owned(), "x".to_owned()], unmet: Vec::new() };
    let leans = |line: &str, code: &str| {
        !leaning_ends(&[cue(line)], &Style::netflix().spoken_in(Language::of(code))).is_empty()
    };
    assert!(leans("hier ist die", "de") && !leans("here they die", "en") && !leans("to jest the", "pl"));
}

#[test]
fn two_people_at_once_share_a_cue_a_line_each() {
    let spoken = |who: &str, words: Vec<Word>| Spoken { speaker: Some(who.to_owned()), words };
    let both = [
        spoken(
            "Ada",
            [talk("Shall we begin with the news of today?", 1.0, 0.06), talk("Then let us start.", 9.0, 0.06)].concat(),
        ),
        spoken(
            "Bo",
            [talk("Yes, please.", 2.4, 0.06), talk("I have nothing to add, I am afraid.", 5.0, 0.06)].concat(),
        ),
    ];
    let out = spoken_cues(&both, &Style::netflix());
    let who = |k: usize| out[k].speakers.iter().flatten().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(out.len(), 3, "{out:#?}");
    assert_eq!(out[0].shown().lines, ["- Shall we begin with the news of today?", "- Yes, please."]);
    assert_eq!((who(0), who(1), who(2)), (vec!["Ada", "Bo"], vec!["Bo"], vec!["Ada"]));
    assert_eq!(out[1].shown().lines, ["I have nothing to add, I am afraid."]);
    let shown: Vec<Cue> = out.iter().map(SpokenCue::shown).collect();
    assert!(lint(&shown, None, &Style::netflix()).is_empty());
}
