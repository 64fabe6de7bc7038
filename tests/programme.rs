//! Ten minutes of real speech in each style: every norm kept, in the cues and in the files that programs read.
//!
//! tests/data/programme.words.json holds what the recogniser heard in public readings (Dickens: two_cities of the
//! recordings pack; Austen: LibriVox excerpts of Debian's pocketsphinx-testdata): text, start, end, confidence. They
//! are joined with pauses as in a programme.

use mynah::subtitles::Word;
use mynah::subtitles::cues::{Cue, Style, cues, leaning_ends, lint, told};
use mynah::subtitles::formats::{Format, render};
use mynah::subtitles::language::Language;

/// Recordings in turn, a pause after each, until ten minutes are full.
fn programme() -> Vec<Word> {
    #[derive(serde::Deserialize)]
    struct Recording {
        words: Vec<(String, f64, f64, f32)>,
    }
    let text = include_str!("data/programme.words.json");
    let recordings: Vec<Recording> = serde_json::from_str(text).expect("the fixture is JSON");
    let mut out: Vec<Word> = Vec::new();
    let mut at = 0.0;
    for (k, recording) in recordings.iter().cycle().enumerate() {
        let pause = [0.4, 2.5, 0.7, 1.2, 6.0, 0.9, 3.1][k % 7];
        let words = recording.words.iter().map(|(text, start, end, confidence)| Word {
            text: text.clone(),
            start: at + start,
            end: at + end,
            confidence: *confidence,
        });
        out.extend(words);
        at = out.last().map_or(0.0, |w| w.end) + pause;
        if at >= 600.0 {
            return out;
        }
    }
    out
}

fn seconds(clock: &str) -> f64 {
    clock.replace(',', ".").split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().expect("digits"))
}

/// The cues of a SubRip file.
fn read_srt(text: &str) -> Vec<Cue> {
    let blocks = text.split("\n\n").filter(|b| !b.is_empty());
    let cue = |block: &str| {
        let mut lines = block.lines().skip(1);
        let (start, end) = lines.next().and_then(|l| l.split_once(" --> ")).expect("times");
        Cue { start: seconds(start), end: seconds(end), lines: lines.map(str::to_owned).collect(), unmet: Vec::new() }
    };
    blocks.map(cue).collect()
}

#[test]
fn ten_minutes_in_each_style_break_no_norm() {
    let words = programme();
    assert!(words.last().is_some_and(|w| w.end > 590.0) && words.len() > 1200, "{}", words.len());
    for name in Style::NAMES {
        let style = Style::named(name).expect("known").spoken_in(Language::english());
        let cut = cues(&words, &style);
        let file = read_srt(&render(Format::Srt, &words, &cut));
        let leaning = leaning_ends(&file, &style).len();
        println!("{name}: {} words, {} cues, {leaning} lines end behind a leaning word", words.len(), file.len());
        assert_eq!(told(&lint(&file, Some(&words), &style), &style), None, "{name}");
        assert!(cut.iter().all(|c| c.unmet.is_empty()), "{name}");
        assert!(leaning * 100 <= file.len() * 3, "{name}: {leaning} lines end badly");
    }
}
