//! Files are read back here by readers written for the purpose, from the formats' own descriptions.

use proptest::prelude::*;

use super::*;

type Read = Vec<(u64, u64, Vec<String>)>;

fn ms(clock: &str, point: char) -> u64 {
    let (whole, thousandths) = clock.rsplit_once(point).expect("a point");
    assert_eq!(thousandths.len(), 3, "{clock}");
    let parts: Vec<u64> = whole.split(':').map(|p| p.parse().expect("digits")).collect();
    assert_eq!(parts.len(), 3, "{clock}");
    assert!(parts[1] < 60 && parts[2] < 60, "{clock}");
    ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1000 + thousandths.parse::<u64>().expect("digits")
}

fn times(line: &str, point: char) -> (u64, u64) {
    let (a, b) = line.split_once(" --> ").expect("an arrow");
    (ms(a, point), ms(b, point))
}

fn read_srt(text: &str) -> Read {
    text.split("\n\n")
        .filter(|b| !b.is_empty())
        .enumerate()
        .map(|(i, block)| {
            let lines: Vec<&str> = block.lines().collect();
            assert_eq!(lines[0], (i + 1).to_string());
            let (a, b) = times(lines[1], ',');
            assert!(lines[2..].iter().all(|l| !l.contains("-->")));
            (a, b, lines[2..].iter().map(|l| (*l).to_owned()).collect())
        })
        .collect()
}

fn read_vtt(text: &str) -> Read {
    let body = text.strip_prefix("WEBVTT\n\n").expect("the head");
    body.split("\n\n")
        .filter(|b| !b.is_empty())
        .map(|block| {
            let lines: Vec<&str> = block.lines().collect();
            let (a, b) = times(lines[0], '.');
            let unescaped = lines[1..].iter().map(|l| {
                assert!(!l.contains(['<', '>']), "{l}");
                l.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
            });
            (a, b, unescaped.collect())
        })
        .collect()
}

fn read_ttml(text: &str) -> Read {
    use quick_xml::events::Event as X;
    let mut reader = quick_xml::Reader::from_str(text);
    let mut out: Read = Vec::new();
    let mut inside = false;
    let mut depth = 0i32;
    loop {
        match reader.read_event().expect("well formed") {
            X::Eof => break,
            X::Start(e) => {
                depth += 1;
                if e.name().as_ref() == "p" {
                    let get = |name: &str| {
                        let a = e.try_get_attribute(name).expect("well formed").expect("there");
                        ms(&a.value, '.')
                    };
                    out.push((get("begin"), get("end"), vec![String::new()]));
                    inside = true;
                }
            }
            X::End(e) => {
                depth -= 1;
                inside &= e.name().as_ref() != "p";
            }
            X::Empty(e) if e.name().as_ref() == "br" => out.last_mut().expect("in a p").2.push(String::new()),
            X::Text(t) if inside => {
                let raw = t.to_string();
                out.last_mut().expect("in a p").2.last_mut().expect("a line").push_str(&raw);
            }
            X::GeneralRef(r) if inside => {
                let c = match r.as_ref() {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    "quot" => "\"",
                    "apos" => "'",
                    other => panic!("{other:?}"),
                };
                out.last_mut().expect("in a p").2.last_mut().expect("a line").push_str(c);
            }
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    for (_, _, lines) in &mut out {
        for line in lines {
            *line = line.trim().to_owned();
        }
    }
    out
}

fn cue(start: f64, end: f64, lines: &[&str]) -> Cue {
    Cue { start, end, lines: lines.iter().map(|l| (*l).to_owned()).collect(), unmet: Vec::new() }
}

fn expected(cues: &[Cue]) -> Read {
    cues.iter().map(|c| (milliseconds(c.start), milliseconds(c.end), c.lines.clone())).collect()
}

#[test]
fn the_files_look_as_their_formats_say() {
    let cues = [cue(0.0, 1.5, &["Hello & <good>", "\"night\""]), cue(3723.0004, 3725.9996, &["déjà vu"])];
    assert_eq!(
        render(Format::Srt, &[], &cues),
        "1\n00:00:00,000 --> 00:00:01,500\nHello & <good>\n\"night\"\n\n2\n01:02:03,000 --> 01:02:06,000\ndéjà vu\n\n"
    );
    assert_eq!(
        render(Format::Vtt, &[], &cues),
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello &amp; &lt;good&gt;\n\"night\"\n\n01:02:03.000 --> \
         01:02:06.000\ndéjà vu\n\n"
    );
    let ttml = render(Format::Ttml, &[], &cues);
    assert!(ttml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"), "{ttml}");
    assert_eq!(read_ttml(&ttml), expected(&cues));
}

#[test]
fn odd_lines_do_not_break_a_file() {
    let cues = [
        cue(-1.0, 1.0, &["a ----> b", "", "x\n\ny\u{0}z"]),
        cue(1.0, 1.0001, &["too short for the clock"]),
        cue(2.0, 3.0, &["  "]),
        cue(4.0, 5.0, &["last"]),
    ];
    let srt = read_srt(&render(Format::Srt, &[], &cues));
    assert_eq!(srt, vec![(0, 1000, vec!["a -> b".into(), "x  y z".into()]), (4000, 5000, vec!["last".into()])]);
    let vtt = read_vtt(&render(Format::Vtt, &[], &cues));
    assert_eq!(vtt[0].2, vec!["a ----> b", "x  y z"]);
    assert_eq!(read_ttml(&render(Format::Ttml, &[], &cues)), vtt);
}

#[test]
fn json_holds_words_and_cues_and_text_has_paragraphs() {
    let word = |text: &str, start: f64| Word { text: text.to_owned(), start, end: start + 0.5, confidence: 0.75 };
    let words = [word("One", 0.0), word("two.", 0.6), word("Three", 9.0)];
    let json: serde_json::Value =
        serde_json::from_str(&render(Format::Json, &words, &[cue(0.0, 1.1, &["One two."])])).expect("JSON");
    assert_eq!(json["words"][1]["text"], "two.");
    assert_eq!(json["words"][2]["start"], 9.0);
    assert_eq!(json["cues"][0]["lines"][0], "One two.");
    assert_eq!(render(Format::Text, &words, &[]), "One two.\n\nThree\n");
    assert_eq!(render(Format::Text, &[], &[]), "");
}

#[test]
fn names_tell_the_format_and_files_are_whole() {
    for format in Format::ALL {
        assert_eq!(
            Format::from_path(&PathBuf::from(format!("a.b.{}", format.extension().to_uppercase()))).expect("known"),
            format
        );
    }
    let e = Format::from_path(Path::new("captions.docx")).expect_err("unknown").to_string();
    assert!(e.contains("captions.docx") && e.contains(".srt"), "{e}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.srt");
    write(&path, Format::Srt, &[], &[cue(0.0, 1.0, &["old"])]).expect("written");
    write(&path, Format::Srt, &[], &[cue(0.0, 1.0, &["new"])]).expect("written");
    assert_eq!(read_srt(&std::fs::read_to_string(&path).expect("read"))[0].2, ["new"]);
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1);
    let e = write(&folder.path().join("no/out.srt"), Format::Srt, &[], &[]).expect_err("no folder").to_string();
    assert!(e.contains("out.srt") && !e.contains('\n'), "{e}");
}

fn programme<'a>(
    spoken: &'a [Spoken],
    cues: &'a [SpokenCue],
    language: &'a str,
    frame_rate: FrameRate,
) -> Programme<'a> {
    Programme { spoken, cues, frame_rate, language }
}

#[test]
fn the_language_says_where_spaces_stand_and_which_way_text_runs() {
    let word = |text: &str, start: f64| Word { text: text.to_owned(), start, end: start + 0.3, confidence: 1.0 };
    let japanese =
        [Spoken { speaker: None, words: vec![word("今日", 0.0), word("は", 0.3), word("晴れ。", 0.6)] }];
    let cues = [SpokenCue::of(cue(0.0, 1.0, &["今日は", "晴れ。"]), None)];
    let of = |format, language| render_programme(format, &programme(&japanese, &cues, language, FrameRate::default()));
    assert_eq!(of(Format::Text, "ja"), "今日は晴れ。\n");
    assert_eq!(of(Format::Text, ""), "今日は晴れ。\n");
    for format in [Format::Csv, Format::Reaper, Format::Ardour, Format::Audition] {
        assert!(of(format, "ja").contains("今日は晴れ。"), "{}", of(format, "ja"));
    }
    for (language, direction) in [("ar", true), ("he-IL", true), ("en", false), ("", false)] {
        for format in [Format::Ttml, Format::Itt] {
            assert_eq!(of(format, language).contains("tts:direction=\"rtl\""), direction, "{language}");
        }
    }
    let json: serde_json::Value = serde_json::from_str(&of(Format::Json, "ja")).expect("JSON");
    assert_eq!(json["language"], "ja");
}

#[test]
fn itt_counts_the_frames_that_are_asked_for() {
    let cues = [SpokenCue::of(cue(1.0, 2.5, &["x"]), None)];
    for (rate, told) in [
        (FrameRate::F24, ["frameRate=\"24\"", "Multiplier=\"1 1\"", "00:00:01:00", "00:00:02:12"]),
        (FrameRate::F25, ["frameRate=\"25\"", "Multiplier=\"1 1\"", "00:00:01:00", "00:00:02:12"]),
        (FrameRate::F2997, ["frameRate=\"30\"", "Multiplier=\"1000 1001\"", "00:00:01:00", "00:00:02:14"]),
        (FrameRate::F50, ["frameRate=\"50\"", "Multiplier=\"1 1\"", "00:00:01:00", "00:00:02:25"]),
    ] {
        let itt = render_programme(Format::Itt, &programme(&[], &cues, "en", rate));
        assert!(told.iter().all(|t| itt.contains(t)), "{rate}: {itt}");
    }
}

proptest! {
    #[test]
    fn every_format_gives_back_its_cues(list in prop::collection::vec((0.01f64..40.0, 0.01f64..7.0, prop::collection::vec("[a-zA-Zé<>&'\" ;#]{0,12}-?[a-z<&>]", 1..4)), 0..20)) {
        let mut t = 0.0;
        let cues: Vec<Cue> = list.iter().map(|(gap, length, lines)| {
            let start = t + gap;
            t = start + length;
            let lines: Vec<String> = lines.iter().map(|l| l.trim().to_owned()).collect();
            Cue { start, end: t, lines, unmet: Vec::new() }
        }).collect();
        let expected = expected(&cues);
        prop_assert_eq!(&read_srt(&render(Format::Srt, &[], &cues)), &expected);
        prop_assert_eq!(&read_vtt(&render(Format::Vtt, &[], &cues)), &expected);
        prop_assert_eq!(&read_ttml(&render(Format::Ttml, &[], &cues)), &expected);
    }
}
