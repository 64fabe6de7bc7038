//! Tests of caption files that are read back.

use proptest::prelude::*;

use super::super::{FrameRate, Programme, render_programme};
use super::*;
use crate::cues::{Style, spoken_cues};

fn lines(read: &ReadBack) -> Vec<Vec<&str>> {
    read.cues.iter().map(|c| c.cue.lines.iter().map(String::as_str).collect()).collect()
}

#[test]
fn subrip_of_other_programs_is_read() {
    let text = "\r\n1\r\n00:00:01,000 --> 00:00:02,500 X1:40 X2:600\r\n<i>Hello</i> {\\an8}there & <you>\r\n2 < \
        3\r\n\r\n2\r\n00:01:02.5 --> 01:00:00,000\r\nno empty line\r\n3\r\n00:00:03,000 --> 00:00:04,000\r\nan empty\r\n\r\nline inside\r\n\r\n4\r\n00:00:05,000 --> 00:00:06,000\r\n\r\n";
    let read = parse(Format::Srt, text).expect("captions");
    assert_eq!(
        lines(&read),
        [vec!["Hello there & <you>", "2 < 3"], vec!["no empty line"], vec!["an empty", "line inside"]]
    );
    assert_eq!((read.cues[0].cue.start, read.cues[0].cue.end), (1.0, 2.5));
    assert_eq!((read.cues[1].cue.start, read.cues[1].cue.end), (62.5, 3600.0));
    let words = &read.spoken[0].words;
    assert_eq!(words[0].text, "Hello");
    assert!(words[0].start == 1.0 && words[3].text == "<you>" && words[6].end == 2.5, "{words:?}");
    for (text, told) in [
        ("", "no caption"),
        ("just text\n", "no caption"),
        ("1\n00:00:02,000 --> 00:00:01,000\nx\n", "line 2 ends before it begins"),
        ("1\n00:00:0x,000 --> 00:00:01,000\nx\n", "line 2 is no pair of times"),
        ("1\n00:00:01,000 -->\nx\n", "line 2 is no pair of times"),
    ] {
        assert!(parse(Format::Srt, text).is_err_and(|why| why.contains(told)), "{text:?}");
    }
}

#[test]
fn webvtt_with_voices_notes_and_styles_is_read() {
    let text = "WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE nothing\n\nfirst\n00:01.000 \
        --> 00:02.000 align:start position:0%\n<v.loud Ada Lovelace>Good <b>morning</b></v>\n- to you &amp; &lt;them&gt;\n\nNOTE\nof no use\n\n00:00:03.000 --> 00:00:04.000\n<v Ada Lovelace>two\nlines\n<v Bo>three<00:00:03.500><c.x> more</c>\n";
    let read = parse(Format::Vtt, text).expect("captions");
    assert_eq!(lines(&read), [vec!["Good morning", "to you & <them>"], vec!["two", "lines", "three more"]]);
    let who: Vec<_> = read.cues[1].speakers.iter().map(|w| w.as_deref()).collect();
    assert_eq!(who, [Some("Ada Lovelace"), Some("Ada Lovelace"), Some("Bo")]);
    assert_eq!(read.cues[0].speakers, [Some("Ada Lovelace".to_owned()), None]);
    assert_eq!(read.spoken.len(), 3);
    assert!(parse(Format::Vtt, "1\n00:00:01,000 --> 00:00:02,000\nx\n").is_err_and(|why| why.contains("WEBVTT")));
}

#[test]
fn our_own_json_is_read_also_where_a_person_wrote_in_it() {
    let text = r#"{"language": "de", "words": [
        {"text": "Guten", "start": 1.0, "end": 1.2, "confidence": 0.5},
        {"text": "lieben"},
        {"text": "Tag.", "start": 1.8, "end": 2.0},
        {"text": "Hallo", "start": 1.5, "end": 1.7, "speaker": "Bo"}], "other": 1}"#;
    let read = parse(Format::Json, text).expect("words");
    assert_eq!((read.language.as_str(), read.spoken.len(), read.timed_words), ("de", 2, true));
    let added = &read.spoken[0].words[1];
    assert!(added.text == "lieben" && added.start == 1.2 && added.end == 1.8, "{added:?}");
    assert_eq!(read.spoken[1].speaker.as_deref(), Some("Bo"));
    let wrong = |text: &str| parse(Format::Json, text).expect_err("wrong");
    assert!(wrong("{\"words\": [{\"text\": \"x\", \"start\": 2, \"end\": 1}]}").contains("word 1 (`x`) ends before"));
    assert!(wrong("{\"words\": [{\"text\": \"x\", \"start\": 2}]}").contains("one time of two"));
    assert!(wrong("{\"words\": [").contains("line 1"));
    assert!(wrong("{}").contains("neither words nor cues"));
}

#[test]
fn files_that_are_none_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        read_back(&path).expect_err("no captions").to_string()
    };
    assert!(told("a.txt", b"words").contains(".json"));
    assert!(told("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9\n").contains("save it as UTF-8"));
    assert!(told("b.srt", b"").contains("no caption"));
    assert!(read_back(&folder.path().join("gone.srt")).expect_err("missing").to_string().contains("gone.srt"));
}

fn any_spoken() -> impl Strategy<Value = Vec<Spoken>> {
    let word = ("[a-zA-Zé&'\"#0-9;äßשלום東京はが。,.?!-]{1,9}", 0.0f64..1.6, 0.02f64..0.6);
    let words = |name: Option<&'static str>| {
        prop::collection::vec(word.clone(), 1..25).prop_map(move |list| {
            let mut t = 0.0;
            let word = |(text, gap, length): (String, f64, f64)| {
                let start = ((t + gap) * 1000.0).round() / 1000.0;
                let end = ((start + length) * 1000.0).round() / 1000.0;
                t = end;
                Word { text, start, end, confidence: 0.87 }
            };
            Spoken { speaker: name.map(str::to_owned), words: list.into_iter().map(word).collect() }
        })
    };
    prop_oneof![
        words(None).prop_map(|one| vec![one]),
        words(Some("Ada & <Co>")).prop_map(|one| vec![one]),
        (words(Some("Ada")), words(Some("Bo"))).prop_map(|(a, b)| vec![a, b]),
        (words(Some("Ada")), words(None)).prop_map(|(a, b)| vec![a, b]),
    ]
}

proptest! {
    #[test]
    fn what_was_written_and_read_is_written_the_same(spoken in any_spoken(), which in 0usize..4, spoke in 0usize..4) {
        let code = ["", "en", "ja", "he"][spoke];
        let style = Style::named(Style::NAMES[which]).expect("known").spoken_in(Language::of(code));
        let cues = spoken_cues(&spoken, &style);
        let write = |format, spoken: &[Spoken], cues: &[SpokenCue]| {
            render_programme(format, &Programme { spoken, cues, frame_rate: FrameRate::default(), language: code })
        };
        for format in [Format::Srt, Format::Vtt, Format::Json] {
            let first = write(format, &spoken, &cues);
            let read = match parse(format, &first) {
                Ok(read) => read,
                Err(why) => return Err(TestCaseError::fail(format!("{why}: {first}"))),
            };
            prop_assert_eq!(&write(format, &read.spoken, &read.cues), &first);
        }
        // Of the words every other file comes out the same, cut anew.
        let read = parse(Format::Json, &write(Format::Json, &spoken, &cues)).expect("our own");
        let again = spoken_cues(&read.spoken, &style);
        for format in Format::ALL {
            prop_assert_eq!(write(format, &read.spoken, &again), write(format, &spoken, &cues), "{:?}", format);
        }
    }

    #[test]
    fn any_text_is_captions_or_a_sentence(text in "(WEBVTT)?\n?([0-9]{1,2}\n)?[0-9:,. -]{0,20}(-->)?[a-z<>v/ \
        0-9:.,&;{}\\\\\n-]{0,80}") {
        for format in [Format::Srt, Format::Vtt, Format::Json] {
            match parse(format, &text) {
                Ok(read) => prop_assert!(read.cues.iter().all(|c| c.cue.start <= c.cue.end && c.cue.lines.len() == c.speakers.len())),
                Err(why) => prop_assert!(!why.contains('\n') && !why.is_empty()),
            }
        }
    }
}
