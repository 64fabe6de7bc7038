//! Tests of what languages ask of text.

use proptest::prelude::*;

use super::*;

fn word(text: &str, start: f64, end: f64) -> Word {
    Word { text: text.to_owned(), start, end, confidence: 0.9 }
}

fn parts(code: &str, text: &str) -> Vec<String> {
    Language::of(code).parts(text).into_iter().map(|r| text[r].to_owned()).collect()
}

#[test]
fn names_are_read_as_they_come() {
    for (name, code, right_to_left) in [
        ("en", "en", false),
        ("pt-BR", "pt", false),
        ("ZH_hant", "zh", false),
        ("iw", "he", true),
        ("ar", "ar", true),
        ("ku-Arab", "ku", true),
        ("ur-Latn", "ur", false),
        ("", "", false),
        ("klingon", "", false),
    ] {
        let language = Language::of(name);
        assert_eq!((language.code(), language.runs_right_to_left()), (code, right_to_left), "{name}");
    }
}

#[test]
fn what_nobody_told_is_told_by_the_words() {
    for (text, code, right_to_left) in [
        ("It is a truth universally acknowledged that a single man", "en", false),
        ("Als Gregor Samsa eines Morgens aus unruhigen Träumen erwachte, fand er sich in seinem Bett", "", false),
        ("Longtemps je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte", "", false),
        ("In een dorp dat was hij niet en over de zee", "", false),
        ("吾輩は猫である 名前はまだ無い", "ja", false),
        ("今天 天气 很 好", "zh", false),
        ("안녕하세요 여러분", "ko", false),
        ("สวัสดีครับ", "th", false),
        ("שלום עולם", "he", true),
        ("السلام عليكم", "", true),
        ("1984 42", "", false),
    ] {
        let words: Vec<Word> = text.split(' ').map(|t| word(t, 0.0, 0.1)).collect();
        let language = Language::of_words("", &words);
        assert_eq!((language.code(), language.runs_right_to_left()), (code, right_to_left), "{text}");
    }
    assert_eq!(Language::of_words("de", &[word("the", 0.0, 0.1)]).code(), "de");
}

#[test]
fn spaces_stand_where_a_script_has_them() {
    let glued = |code: &str, text: &str| Language::of(code).joined(text.split(' '));
    assert_eq!(glued("zh", "今 天 天 气 很 好 。"), "今天天气很好。");
    assert_eq!(glued("ja", "私 は Python 3 が 好 き"), "私はPython 3が好き");
    assert_eq!(glued("", "東 京 Tower in 東 京"), "東京 Tower in 東京");
    assert_eq!(glued("ko", "나는 한국 사람 입니다"), "나는 한국 사람 입니다");
    assert_eq!(glued("ko", "中 國 사람"), "中國 사람");
    assert_eq!(glued("th", "ผม ชื่อ Tom ครับ"), "ผมชื่อ Tom ครับ");
    assert_eq!(glued("en", "one two"), "one two");
    assert_eq!(glued("ar", "السلام عليكم"), "السلام عليكم");
}

#[test]
fn words_are_found_where_no_space_tells_them() {
    assert_eq!(parts("ja", "こんにちは世界。"), ["こんにちは", "世界。"]);
    assert_eq!(parts("th", "ทุกสองสัปดาห์"), ["ทุก", "สอง", "สัปดาห์"]);
    // A mark neither begins a line nor ends one that it opens.
    assert_eq!(parts("zh", "他说「你好」。"), ["他", "说", "「你好」。"]);
    assert_eq!(parts("en", "well-known words"), ["well-known words"]);
    assert_eq!(parts("ja", "AT&T東京"), ["AT&T", "東京"]);
    for (code, text) in [("lo", "ສະບາຍດີຕອນເຊົ້າ"), ("km", "សួស្តីពិភពលោក"), ("my", "မင်္ဂလာပါကမ္ဘာလောက")]
    {
        assert!(parts(code, text).len() > 1, "{text}");
    }
}

#[test]
fn a_sentence_that_came_as_one_word_is_shared_out() {
    let out = repartitioned(&[word("こんにちは世界。", 1.0, 2.6)], &Language::of("ja"), 1.0, 26);
    assert_eq!(out.iter().map(|w| w.text.as_str()).collect::<Vec<_>>(), ["こんにちは", "世界。"]);
    assert!((out[0].end - 2.0).abs() < 1e-9 && (out[1].start - 2.0).abs() < 1e-9 && out[1].end == 2.6, "{out:?}");
    // Characters come together, but not over a pause.
    let single: Vec<Word> =
        "東京大学".chars().zip([0.0, 0.2, 3.0, 3.2]).map(|(c, t)| word(&c.to_string(), t, t + 0.2)).collect();
    let out = repartitioned(&single, &Language::of("ja"), 1.0, 26);
    assert_eq!(out, [word("東京", 0.0, 0.4), word("大学", 3.0, 3.4)]);
}

#[test]
fn width_is_that_of_a_screen() {
    assert_eq!((width("abc"), width("東京"), width("e\u{301}"), width("ｶﾀｶﾅ")), (3, 4, 1, 4));
    assert_eq!(fitting("東京大学", 5), "東京".len());
    assert_eq!(fitting("e\u{301}e\u{301}x", 2), "e\u{301}e\u{301}".len());
    assert_eq!(fitting("東", 1), "東".len());
    assert_eq!(fitting("", 4), 0);
}

proptest! {
    #[test]
    fn parts_keep_text_order_and_width(texts in prop::collection::vec("[a-zéก-๛ぁ-ん一-龥、。A-Z0-9가-힣ກ-ໝក-៹က-၏]{1,14}", 0..12), which in 0usize..6, columns in 2usize..40) {
        let language = Language::of(["", "ja", "zh", "th", "ko", "en"][which]);
        let words: Vec<Word> = texts.iter().enumerate().map(|(k, t)| word(t, k as f64 * 0.4, k as f64 * 0.4 + 0.3)).collect();
        let out = repartitioned(&words, &language, 1.0, columns);
        let joined = |w: &[Word]| language.joined(w.iter().map(|w| w.text.as_str()));
        prop_assert_eq!(joined(&out), joined(&words));
        for w in &out {
            prop_assert!(w.start <= w.end && !w.text.is_empty());
        }
        for pair in out.windows(2) {
            prop_assert!(pair[0].end <= pair[1].start + 1e-9, "{:?}", pair);
        }
    }
}
