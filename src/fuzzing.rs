//! What a fuzzer plays with: for each kind of bytes that come from outside one function that takes any and must not
//! panic, hang or fill the memory; where there is more to promise it asserts that. The fuzz targets in `fuzz/` and
//! `tests/fuzzed.rs` call the same functions. No part of the library's interface.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::outlets::{self, fuzz_obs, fuzz_overlay};
use crate::packs::Manifest;
use crate::packs::build::{fuzz_ct2, fuzz_torch};
use crate::plugin::state;
use crate::subtitles::cues::{Style, cues};
use crate::subtitles::formats::{Format, render};
use crate::subtitles::language::Language;
use crate::subtitles::transcript::Transcript;
use crate::subtitles::wording::{Glossary, Profanity, Wording};
use crate::subtitles::{Word, formats};
use crate::voice::TargetVoice;

/// A name, which is its corpus's folder too, and the function that takes any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("audio", audio),
    ("formats", formats),
    ("obs", fuzz_obs),
    ("overlay", fuzz_overlay),
    ("pack_toml", pack_toml),
    ("state", state),
    ("weights", weights),
    ("wording", wording),
];

/// Runs a target. A name that there is none of is a mistake of the caller's.
pub fn run(target: &str, data: &[u8]) {
    match TARGETS.iter().find(|(name, _)| *name == target) {
        Some((_, f)) => f(data),
        None => panic!("there is no fuzz target `{target}`"),
    }
}

/// A sound file of any kind.
fn audio(data: &[u8]) {
    if let Ok(sound) = crate::audio::Reader::from_bytes(data, Path::new("sound")).and_then(crate::audio::Sound::of) {
        assert!(sound.channels.iter().all(|c| c.len() == sound.channels[0].len()), "channels of one length");
        assert!(sound.channels.iter().flatten().all(|x| x.is_finite()), "no sample that is no number");
    }
}

/// The `pack.toml` of a stranger.
fn pack_toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Manifest::parse(text, Path::new("pack.toml")) {
        Ok(manifest) => {
            for (name, hash) in manifest.installed() {
                let inside = Path::new(&**name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
                assert!(inside && !name.is_empty(), "`{}` leaves the pack's folder", &**name);
                assert_eq!(hash.len(), 64);
            }
        }
        Err(e) => assert!(!e.to_string().contains('\n'), "an error is one sentence: {e}"),
    }
}

/// What a project or a file of the user's keeps: a state, packed words, a voice, the outlets' settings.
fn state(data: &[u8]) {
    for voice in
        [state::voice(data).ok().flatten(), serde_json::from_slice::<TargetVoice>(data).ok()].into_iter().flatten()
    {
        let whole = voice.timbres.iter().all(|t| t.numbers.iter().all(|x| x.is_finite()));
        if let Ok(Some(voice)) = state::checked(Some(voice).filter(|_| whole)) {
            let saved = state::with_voice(Some(&voice), &state::Settings::default(), state::Container::Clap);
            assert!(
                state::voice(&saved).is_ok_and(|v| v == Some(voice)),
                "a voice that is used can be saved and read again"
            );
        }
    }
    let _ = (state::transcript(data), serde_json::from_slice::<outlets::Settings>(data));
    // What is packed has a checksum that no fuzzer guesses: the same with a right one.
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = packer.write_all(data).and_then(|()| packer.finish()).unwrap_or_default();
    for bytes in [data, &packed] {
        if let Ok(transcript) = Transcript::from_bytes(bytes) {
            let again = Transcript::from_bytes(&transcript.to_bytes());
            assert!(
                again.is_ok_and(|a| a.words() == transcript.words()),
                "words that were read can be saved and read again"
            );
        }
    }
}

/// Files of weights, and graphs that name such files.
fn weights(data: &[u8]) {
    fuzz_ct2(data);
    fuzz_torch(data);
    crate::runtime::fuzz_weights(data);
    crate::voice::mynah::fuzz_weights(data);
}

/// Words of a text with times of all sorts, in order: some have no length, some overlap.
fn words_of(text: &str) -> Vec<Word> {
    let mut at = 0.0;
    let word = |text: &str| {
        let kind = text.bytes().fold(0u8, u8::wrapping_add);
        let start = at;
        at += f64::from(kind) / 200.0;
        let end = start + f64::from(kind % 16) / 10.0;
        Word { text: text.to_owned(), start, end, confidence: f32::from(kind) / 255.0 }
    };
    text.split(' ').map(word).collect()
}

/// The list of a user's own words and terms, and a text that they are applied to: the parts are parted by a NUL.
fn wording(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(3, '\0');
    let (terms, list, said) =
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (glossary, profanity) = (Glossary::parse(terms), Profanity::with_list(list));
    for told in glossary
        .as_ref()
        .err()
        .map(ToString::to_string)
        .iter()
        .chain(&profanity.as_ref().err().map(ToString::to_string))
    {
        assert!(!told.contains('\n'), "an error is one line: {told}");
    }
    let wording = Wording { glossary: glossary.ok(), spell_numbers: true, profanity: profanity.ok() };
    let words = words_of(said);
    let worded = wording.apply(&words, &Language::of_words("", &words));
    assert!(worded.words.is_empty() == words.is_empty() && worded.masked.iter().all(|(from, to)| from <= to));
}

/// Whatever was said, by whatever model: its cues stand in order, and each format can be read again.
fn formats(data: &[u8]) {
    let words = words_of(&String::from_utf8_lossy(data));
    // One of the styles a run, or few runs would fit into a minute.
    let styles = [Style::netflix, Style::bbc, Style::cea608, Style::live];
    let style = styles[data.len() % styles.len()]().spoken_in(Language::of_words("", &words));
    let cues = cues(&words, &style);
    assert!(
        cues.windows(2).all(|pair| pair[0].end <= pair[1].start + 1e-6) && cues.iter().all(|c| c.start < c.end),
        "cues in order"
    );
    for format in Format::ALL {
        readable(format, &render(format, &words, &cues));
    }
}

/// Whether a reader that knows only the format's own rules gets through.
fn readable(format: formats::Format, content: &str) {
    match format {
        Format::Json => assert!(serde_json::from_str::<serde_json::Value>(content).is_ok()),
        Format::Ttml | Format::Itt => {
            let mut reader = quick_xml::Reader::from_str(content);
            loop {
                match reader.read_event() {
                    Ok(quick_xml::events::Event::Eof) => break,
                    Ok(_) => {}
                    Err(e) => panic!("XML that can't be read: {e}"),
                }
            }
        }
        Format::Csv | Format::Reaper => {
            let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(content.as_bytes());
            assert!(reader.records().all(|r| r.is_ok()), "a row of another length");
        }
        Format::Audition => {
            let fields = |line: &str| line.split('\t').count();
            let first = content.lines().next().map_or(0, fields);
            assert!(content.lines().all(|l| fields(l) == first), "a row of another length");
        }
        Format::Srt => {
            // A number, the times, then text: no text may look like the times of another cue.
            for block in content.split_terminator("\n\n") {
                let mut lines = block.trim_start_matches('\n').lines();
                assert!(
                    lines.next().is_some_and(|n| n.trim_start_matches('\u{feff}').parse::<u32>().is_ok()),
                    "a cue without its number: {block}"
                );
                assert!(lines.next().is_some_and(|l| l.contains(" --> ")), "a cue without its times: {block}");
                assert!(lines.all(|l| !l.contains("-->") && !l.is_empty()), "text like the times of a cue: {block}");
            }
        }
        Format::Vtt => {
            assert!(content.starts_with("WEBVTT"));
            for block in content.split("\n\n").skip(1).filter(|b| !b.trim().is_empty()) {
                assert_eq!(block.matches("-->").count(), 1, "one line of times a cue: {block}");
            }
        }
        Format::Text | Format::Ardour => {
            assert!(content.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()), "a control character")
        }
    }
}
