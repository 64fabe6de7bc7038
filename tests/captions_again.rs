//! Captions that become captions again: any format and style from corrected words, a corrected text on the times of the
//! words; and nothing that a person wrote is written over. Without packs.

use std::path::Path;
use std::process::{Command, Output};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.at(name), text).expect("written");
        self.at(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).expect("read")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_mynah"));
        program.args(arguments).env("MYNAH_HOME", self.0.path().join("data")).output().expect("the program runs")
    }

    /// It is done; what it said on stderr.
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    /// It failed with this status and one sentence.
    fn told(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "not one sentence: {said}");
        said
    }
}

const WORDS: &str = r#"{"language": "en", "words": [
    {"text": "We", "start": 1.0, "end": 1.2, "confidence": 0.9},
    {"text": "met", "start": 1.3, "end": 1.5, "confidence": 0.9},
    {"text": "mister", "start": 1.6, "end": 1.9, "confidence": 0.4},
    {"text": "Bennit", "start": 2.0, "end": 2.4, "confidence": 0.4},
    {"text": "at", "start": 2.5, "end": 2.6, "confidence": 0.9},
    {"text": "nether", "start": 2.7, "end": 3.0, "confidence": 0.4},
    {"text": "field.", "start": 3.0, "end": 3.4, "confidence": 0.4},
    {"text": "It", "start": 6.0, "end": 6.2, "confidence": 0.9},
    {"text": "rained.", "start": 6.3, "end": 6.8, "confidence": 0.9}
]}"#;

#[test]
fn corrected_words_become_any_format_and_style() {
    let home = Home::new();
    let words = home.write("words.json", WORDS);
    home.done(&["caption", &words]);
    assert_eq!(
        home.read("words.srt"),
        "1\n00:00:01,000 --> 00:00:03,900\nWe met mister Bennit at nether field.\n\n2\n00:00:06,000 --> \
         00:00:07,300\nIt rained.\n\n"
    );
    for format in ["vtt", "ttml", "itt", "txt", "csv", "reaper", "ardour", "audition"] {
        home.done(&["caption", &words, "--format", format]);
    }
    assert!(home.read("words.vtt").starts_with("WEBVTT") && home.read("words.ttml").contains("xml:lang=\"en\""));
    // Our own file may be replaced, in another style; words of a glossary too.
    let terms = home.write("terms.txt", "\u{feff}Netherfield = nether field\n");
    home.done(&["caption", &words, "-o", &home.at("words.srt"), "--style", "cea608", "--glossary", &terms]);
    assert!(home.read("words.srt").contains("at Netherfield."), "{}", home.read("words.srt"));
    // JSON again is the same words.
    home.done(&["caption", &words, "-o", &home.at("again.json")]);
    home.done(&["caption", &home.at("again.json"), "-o", &home.at("third.json")]);
    assert_eq!(home.read("again.json"), home.read("third.json"));
    // Frames are counted where they are asked for, and nowhere else.
    home.done(&["caption", &words, "-o", &home.at("at25.itt"), "--frame-rate", "25"]);
    assert!(
        home.read("at25.itt").contains("frameRate=\"25\"") && home.read("at25.itt").contains("00:00:03:22"),
        "{}",
        home.read("at25.itt")
    );
    assert!(home.told(&["caption", &words, "-o", &home.at("x.srt"), "--frame-rate", "25"], 2).contains("iTT"));
    assert_eq!(home.run(&["caption", &words, "-o", &home.at("x.itt"), "--frame-rate", "26"]).status.code(), Some(2));
}

#[test]
fn cues_of_other_programs_stay_unless_a_style_is_asked_for() {
    let home = Home::new();
    let srt = "1\n00:00:01,000 --> 00:00:04,000\nOne line that is far longer than any norm of any house would \
        allow\n\n2\n00:00:05,500 --> 00:00:06,000\nTwo & <three>\n\n";
    let edited = home.write("edited.srt", srt);
    home.done(&["caption", &edited, "--format", "vtt"]);
    assert!(home.read("edited.vtt").contains(
        "00:00:01.000 --> 00:00:04.000\nOne line that is far longer than any norm of any house would allow\n"
    ));
    home.done(&["caption", &home.at("edited.vtt"), "-o", &home.at("back.srt")]);
    assert_eq!(home.read("back.srt"), srt);
    home.done(&["caption", &edited, "-o", &home.at("cut.srt"), "--style", "bbc"]);
    assert!(
        home.read("cut.srt").lines().filter(|l| l.contains(' ') && !l.contains("-->")).all(|l| l.chars().count() <= 37)
    );
    assert!(home.told(&["caption", &edited, "-o", &home.at("x.vtt"), "--strict"], 1).contains("norms of Netflix"));
    assert!(!Path::new(&home.at("x.vtt")).exists());
}

#[test]
fn a_corrected_text_gets_the_times_of_the_words() {
    let home = Home::new();
    let words = home.write("words.json", WORDS);
    home.done(&["caption", &words, "-o", &home.at("edited.srt")]);
    let text = home
        .read("edited.srt")
        .replace("mister Bennit at nether field.", "Mr. Bennet at Netherfield.")
        .replace("It rained.", "It rained cats.");
    let edited = home.write("edited.srt", text);
    home.done(&["caption", &edited, "--words", &words, "-o", &home.at("out.json")]);
    let out: serde_json::Value = serde_json::from_str(&home.read("out.json")).expect("JSON");
    let said: Vec<(&str, f64, f64)> = out["words"]
        .as_array()
        .expect("words")
        .iter()
        .map(|w| {
            (w["text"].as_str().expect("text"), w["start"].as_f64().expect("start"), w["end"].as_f64().expect("end"))
        })
        .collect();
    assert_eq!(said[2], ("Mr.", 1.6, 1.9));
    assert_eq!(said[3], ("Bennet", 2.0, 2.4));
    assert_eq!(said[5], ("Netherfield.", 2.7, 3.4));
    assert_eq!((said[7].0, said[7].1), ("rained", 6.3));
    assert!(said[8].0 == "cats." && said[8].1 >= 6.8, "{said:?}");
    assert_eq!(out["language"], "en");
    assert!(
        home.told(&["caption", &edited, "--words", &edited, "-o", &home.at("x.srt")], 2)
            .contains("no words with times")
    );
    assert!(home.told(&["caption", "a.wav", "--words", &words], 2).contains("--words"));
    assert!(home.told(&["caption", "a.wav", &edited], 2).contains("two calls"));
    assert!(home.told(&["caption", &words, "--jsonl"], 2).contains("--jsonl"));
    assert!(home.told(&["caption", &words, "-o", &words], 2).contains("over itself"));
}

#[test]
fn nothing_that_a_person_wrote_is_written_over() {
    let home = Home::new();
    let (words, out) = (home.write("words.json", WORDS), home.write("out.srt", "mine"));
    let told = home.told(&["caption", &words, "-o", &out], 1);
    assert!(told.contains("out.srt") && told.contains("didn't write it") && told.contains("--force"), "{told}");
    assert_eq!(home.read("out.srt"), "mine");
    home.done(&["caption", &words, "-o", &out, "--force"]);
    home.done(&["caption", &words, "-o", &out]);
    home.write("out.srt", home.read("out.srt").replace("Bennit", "Bennet"));
    assert!(home.told(&["caption", &words, "-o", &out], 1).contains("was changed since"));
    assert!(home.read("out.srt").contains("Bennet"));
    // Nor is a text lost that can't be read.
    let odd = home.write("odd.srt", b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9\n");
    assert!(home.told(&["caption", &odd, "--format", "vtt"], 1).contains("save it as UTF-8"));
    let cut = home.write("cut.json", &WORDS[..200]);
    assert!(home.told(&["caption", &cut], 1).contains("cut.json"));
}

#[test]
fn other_languages_have_their_own_text() {
    let home = Home::new();
    let japanese = home.write(
        "ja.json",
        r#"{"language": "ja", "words": [{"text": "今日はとても天気が良いので、みんなで公園に散歩に行きましょう。", "start": 0.0, "end": 6.0}]}"#,
    );
    home.done(&["caption", &japanese]);
    let srt = home.read("ja.srt");
    let lines: Vec<&str> = srt.lines().filter(|l| l.chars().any(|c| c > '\u{3000}')).collect();
    assert!(lines.iter().all(|l| !l.contains(' ') && l.chars().count() <= 13), "{srt}");
    assert_eq!(lines.concat(), "今日はとても天気が良いので、みんなで公園に散歩に行きましょう。");
    let german = home.write("de.json", r#"{"words": [{"text": "Das", "start": 0, "end": 0.4}, {"text": "shit", "start": 0.5, "end": 0.9}, {"text": "3.", "start": 1, "end": 2}]}"#);
    let notes = home.done(&["caption", &german, "--language", "de", "--numbers", "spell", "--profanity", "mask"]);
    assert!(home.read("de.srt").contains("Das shit 3."), "{}", home.read("de.srt"));
    assert!(
        notes.contains("number words in English alone")
            && notes.contains("--profanity-words")
            && notes.lines().count() == 2,
        "{notes}"
    );
    let arabic = home.write("ar.json", r#"{"language": "ar", "words": [{"text": "مرحبا", "start": 0, "end": 1}]}"#);
    home.done(&["caption", &arabic, "--format", "ttml"]);
    assert!(home.read("ar.ttml").contains("tts:direction=\"rtl\""));
}
