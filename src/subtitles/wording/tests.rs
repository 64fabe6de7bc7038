//! Tests of the wording.

use proptest::prelude::*;

use super::*;

fn words(text: &str) -> Vec<Word> {
    let word = |(k, t): (usize, &str)| Word {
        text: t.to_owned(),
        start: k as f64 * 0.5,
        end: k as f64 * 0.5 + 0.4,
        confidence: 0.9,
    };
    text.split_whitespace().enumerate().map(word).collect()
}

fn text(words: &[Word]) -> String {
    words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
}

fn numbers(said: &str) -> String {
    text(&spell_numbers(&words(said)))
}

#[test]
fn counts_are_spelled_to_ten_and_digits_from_eleven() {
    for (said, written) in [
        ("They had 2 dogs and 10 cats.", "They had two dogs and ten cats."),
        ("7 of them left.", "Seven of them left."),
        ("Only (3).", "Only (three)."),
        ("She owned eleven books, twenty-five pens and thirty two cups.", "She owned 11 books, 25 pens and 32 cups."),
        ("It held two hundred and five men.", "It held 205 men."),
        ("It held nine hundred sheep.", "It held 900 sheep."),
        ("We met twelve, thirteen and one.", "We met 12, 13 and one."),
    ] {
        assert_eq!(numbers(said), written);
    }
    let joined = spell_numbers(&words("She had twenty five pens"));
    assert_eq!((joined[2].start, joined[2].end), (1.0, 1.9));
}

#[test]
fn times_units_years_and_decimals_stay() {
    for said in [
        "We met at 5 and left by 7.",
        "It is 8 o'clock, or 9 pm.",
        "It took 3.5 hours and 2,000 steps.",
        "She ran 5 km in 4 minutes and 30 seconds, 10 percent faster.",
        "In 1984 and in nineteen eighty four.",
        "one thousand seven hundred and seventy-five",
        "Room 7, Chapter 2, May 3, version 4.",
        "Twelve men came.",
        "The score was 3 2 and the code 1 2 3 4.",
        "One of us, the 3rd, had $5, 1/2 and 7th-grade maths.",
        "a hundred men and the twenties, sixty-first, hundred",
        "It cost five dollars, twenty pounds, and 3 million.",
    ] {
        // `4 minutes` is no time of the day but a count.
        assert_eq!(numbers(said), said.replace("4 minutes", "four minutes"), "{said}");
    }
}

#[test]
fn profanity_keeps_its_first_letter_and_tells_its_times() {
    let list = Profanity::with_list("# ours\nblasted thing\nfrak*\n").expect("a list");
    let mut said = words(
        "What the “fucking” hell, you Shit! This blasted thing is frakked, a mother-fucker. Scunthorpe's cocktail, \
         class, Dickens.",
    );
    let spans = list.mask(&mut said, &Language::english());
    assert_eq!(
        text(&said),
        "What the “f******” hell, you S***! This b****** t**** is f******, a m*****-******. Scunthorpe's cocktail, \
         class, Dickens."
    );
    assert_eq!(spans.len(), 5);
    assert_eq!(spans[0], (1.0, 1.4));
    assert_eq!(spans[2], (3.5, 4.4));
    let wrong = Profanity::with_list("fine\n\n***\n").expect_err("no letters");
    assert!(wrong.to_string().starts_with("line 3 "), "{wrong}");
    let missing = Profanity::with_file(Path::new("/nowhere/list.txt")).expect_err("missing");
    assert!(missing.to_string().contains("list.txt"), "{missing}");
}

use std::path::Path;

fn glossary(text: &str) -> Glossary {
    Glossary::parse(text).expect("a glossary")
}

#[test]
fn a_glossary_replaces_what_is_surely_meant() {
    let g = glossary(
        "Netherfield Park = nether field park\nMr. Bennet\nBennet # a name\nKubernetes = cooper netties, cube a \
         netties\nOpenAI\ndropout\nDvořák = devor jack\n",
    );
    for (said, written) in [
        ("They saw \"netherfield park\", then.", "They saw \"Netherfield Park\", then."),
        ("at nether field park's gate", "at Netherfield Park's gate"),
        ("Cooper netties is hard; cube a netties too.", "Kubernetes is hard; Kubernetes too."),
        ("with Bennett and old Benet", "with Bennet and old Bennet"),
        ("the openai and the Open AI", "the OpenAI and the Open AI"),
        ("play devor jack!", "play Dvořák!"),
        // Nothing of this is meant.
        ("a bonnet, the bennets, nether, field park", "a bonnet, the bennets, nether, field park"),
        ("Bonnets are dropouts. Dropout Kubernets", "Bonnets are dropouts. Dropout Kubernetes"),
        ("cooper. Netties", "cooper. Netties"),
    ] {
        assert_eq!(text(&g.apply(&words(said)).0), written);
    }
    let (one, count) = g.apply(&words("nether field park and Bennet"));
    assert_eq!((one[0].start, one[0].end, count), (0.0, 1.4, 1));
    let mut doubtful = words("a bennit");
    doubtful[1].confidence = 0.3;
    assert_eq!(text(&g.apply(&doubtful).0), "a Bennet");
}

#[test]
fn english_lists_hold_for_english_alone() {
    let wording = Wording {
        glossary: Some(glossary("Kraków = krakov")),
        spell_numbers: true,
        profanity: Some(Profanity::with_list("cholera\n傻瓜\n").expect("a list")),
    };
    let written = |code: &str, said: &str| text(&wording.apply(&words(said), &Language::of(code)).words);
    assert_eq!(written("en", "We had 3 shits in krakov, cholera."), "We had three s**** in Kraków, c******.");
    assert_eq!(written("de", "Das shit hat 3 Hunde, cholera."), "Das shit hat 3 Hunde, c******.");
    assert_eq!(written("", "3 shits in krakov"), "3 shits in Kraków");
    assert_eq!(wording.undone(&Language::english()), [""; 0]);
    let undone = wording.undone(&Language::of("de"));
    assert!(undone.len() == 2 && undone.iter().all(|u| u.contains("`de`")), "{undone:?}");
    assert!(wording.undone(&Language::default())[0].contains("isn't known"));
    // Characters that come one by one are words all the same.
    let characters = |t: &str| -> Vec<Word> { words(&t.chars().map(|c| format!("{c} ")).collect::<String>()) };
    let chinese = Language::of("zh");
    let masked = wording.apply(&characters("你是傻瓜。"), &chinese);
    assert_eq!(chinese.joined(masked.words.iter().map(|w| w.text.as_str())), "你是傻*。");
    assert_eq!(masked.masked.len(), 1);
    let term = Wording { glossary: Some(glossary("慶應義塾 = 京王義塾")), ..Wording::default() };
    let spelled = term.apply(&characters("私は京王義塾へ。"), &Language::of("ja"));
    assert_eq!(spelled.words.iter().map(|w| w.text.as_str()).collect::<String>(), "私は慶應義塾へ。");
}

#[test]
fn wrong_glossaries_are_told_by_line() {
    let wrong = |text: &str| Glossary::parse(text).expect_err("wrong").to_string();
    assert!(
        wrong("Fine\n\n = x").starts_with("line 3 of the glossary has no letters before"),
        "{}",
        wrong("Fine\n\n = x")
    );
    assert!(wrong("A = b,,c").starts_with("line 1 of the glossary has no letters behind"));
    assert!(wrong("A = see\nC = see").contains("`see`") && wrong("A = see\nC = see").starts_with("line 2 "));
    assert!(wrong("a b c d e f g h i").contains("eight words"));
    assert!(Glossary::read(Path::new("/nowhere/g.txt")).expect_err("missing").to_string().contains("g.txt"));
}

#[test]
fn a_prompt_names_the_first_terms_and_is_bounded() {
    assert_eq!(glossary("Ada\nNetherfield Park = x y").prompt(), "Ada, Netherfield Park.");
    assert_eq!(Glossary::default().prompt(), "");
    let many: String = (0..500).map(|k| format!("Term{k}\n")).collect();
    let prompt = glossary(&many).prompt();
    assert!(
        prompt.starts_with("Term0, Term1") && prompt.chars().count() <= PROMPT_BOUND && prompt.ends_with('.'),
        "{prompt}"
    );
}

const PROMPT_BOUND: usize = 401;

/// Words of real readings, and a glossary of names that are near to many of them: nothing may be replaced.
#[test]
fn nothing_is_replaced_in_real_text_where_nothing_is_meant() {
    #[derive(serde::Deserialize)]
    struct Recording {
        words: Vec<(String, f64, f64, f32)>,
    }
    let all: Vec<Recording> =
        serde_json::from_str(include_str!("../../../tests/data/programme.words.json")).expect("JSON");
    let said: Vec<Word> = all
        .into_iter()
        .flat_map(|r| r.words)
        .map(|(text, start, end, confidence)| Word { text, start, end, confidence })
        .collect();
    let names = "Johnson\nDashwoods\nAmiabel\nSeasone\nPeriode\nDegrees\nWisdon\nMarrieds\nHeavens\nLightner\nShorts\nBestow\nWorsted\nSpringer\n\
        Winters\nDarkness\nHimselv\nRespectables\nComparisson\nSuperlativ\nReceiver\nInsisten\nEvilson\nHopeton\nOnley\nThemis\nWomanu\nAuthority\n";
    let g = glossary(names);
    let (out, count) = g.apply(&said);
    let changed: Vec<_> = out.iter().zip(&said).filter(|(a, b)| !a.text.eq_ignore_ascii_case(&b.text)).collect();
    assert!(changed.is_empty(), "{changed:?}");
    println!("{} words, {} names, {count} replaced", said.len(), g.len());
    assert_eq!(text(&spell_numbers(&said)), text(&said));
    assert!(Profanity::standard().mask(&mut said.clone(), &Language::english()).is_empty());
}

proptest! {
    #[test]
    fn any_words_stay_in_order_and_keep_their_time(said in prop::collection::vec("[a-z0-9',.$-]{0,9}|two|hundred|and|twenty|shit|Bennet", 0..40)) {
        let words: Vec<Word> = said.iter().enumerate().map(|(k, t)| Word { text: t.clone(), start: k as f64, end: k as f64 + 0.5, confidence: 0.4 }).collect();
        let wording = Wording {
            glossary: Some(glossary("Bennet = two twenty\nHundred And")),
            spell_numbers: true,
            profanity: Some(Profanity::standard()),
        };
        let out = wording.apply(&words, &Language::english());
        prop_assert_eq!(out.words.first().map(|w| w.start), words.first().map(|w| w.start));
        prop_assert_eq!(out.words.last().map(|w| w.end), words.last().map(|w| w.end));
        for pair in out.words.windows(2) {
            prop_assert!(pair[0].end < pair[1].start);
        }
    }

    #[test]
    fn any_text_is_a_glossary_or_a_sentence(text in "[a-zA-Z=,# \n'é-]{0,80}") {
        match Glossary::parse(&text) {
            Ok(g) => prop_assert!(g.prompt().len() < 2000),
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }
}
