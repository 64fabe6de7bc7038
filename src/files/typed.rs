//! What people type, paste and save: paths with marks that nobody sees, names in either form of Unicode, results named
//! after recordings, text in the encodings that editors write. Knows no sound and no captions.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use unicode_normalization::UnicodeNormalization;

/// A path as it was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// The path.
    pub path: PathBuf,
    /// One sentence where something that nobody sees was taken away from what was typed.
    pub note: Option<String>,
}

/// Marks of direction, joints without width and the byte order mark: what Windows puts before a path that is copied
/// from a file's properties.
fn unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The path that is meant by a typed one. What exists as it was typed is meant; else a path without unseen marks at its
/// ends; and of each part that doesn't exist, the one name in its folder that differs only in how its accents are
/// stored. What doesn't exist at all comes back without the marks.
pub fn meant(typed: &Path) -> Meant {
    if typed.symlink_metadata().is_ok() {
        return Meant { path: typed.to_owned(), note: None };
    }
    let bare = typed
        .to_str()
        .map(|text| text.trim_matches(unseen))
        .filter(|bare| !bare.is_empty() && Some(*bare) != typed.to_str());
    let note = bare.map(|bare| {
        format!("`{bare}` was typed or pasted with a mark that can't be seen, such as U+202A; it was taken away")
    });
    let path = bare.map_or(typed, Path::new);
    Meant { path: stored(path), note }
}

/// The path with each part in the form of Unicode in which it is stored.
fn stored(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        let next = out.join(part);
        match part {
            Component::Normal(name) if next.symlink_metadata().is_err() => match same_name(&out, name) {
                Some(found) => out.push(found),
                None => out = next,
            },
            _ => out = next,
        }
    }
    out
}

/// The one name in a folder that is canonically the same as this one.
fn same_name(folder: &Path, name: &OsStr) -> Option<std::ffi::OsString> {
    let wanted: String = name.to_str()?.nfc().collect();
    if wanted.is_ascii() {
        return None;
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name());
    let mut same = names.filter(|n| n.to_str().is_some_and(|n| n.nfc().eq(wanted.chars())));
    same.next().filter(|_| same.next().is_none())
}

/// Whether two paths are the same but for the form of Unicode.
pub fn same_text(a: &Path, b: &Path) -> bool {
    a == b || a.to_str().zip(b.to_str()).is_some_and(|(a, b)| a.nfc().eq(b.nfc()))
}

/// Endings of names that tell a kind of file. Others are part of the name: `Interview 12.03` was recorded on a day in
/// March.
const ENDINGS: &[&str] = &[
    "wav", "wave", "bwf", "rf64", "w64", "aif", "aiff", "aifc", "caf", "au", "snd", "flac", "ape", "wv", "alac", "mp1",
    "mp2", "mp3", "mpa", "mpga", "m2a", "m4a", "m4b", "m4r", "m4v", "mp4", "mov", "qt", "3gp", "3gpp", "3g2", "aac",
    "adts", "ac3", "eac3", "dts", "amr", "ogg", "oga", "ogv", "ogx", "opus", "spx", "mka", "mkv", "mk3d", "webm",
    "weba", "avi", "flv", "f4v", "wma", "wmv", "asf", "mpg", "mpeg", "vob", "ts", "mts", "m2ts", "mxf", "dv", "json",
    "srt", "vtt", "webvtt", "ttml", "itt",
];

/// The name of a file without an ending that tells its kind.
pub fn title(path: &Path) -> String {
    let ending = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    let kept = if ending.is_some_and(|e| ENDINGS.contains(&e.as_str())) { path.file_stem() } else { path.file_name() };
    kept.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The path of a result beside a file: its name, without an ending that tells its kind, and the result's own ending.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let known =
        path.extension().and_then(OsStr::to_str).is_some_and(|e| ENDINGS.contains(&e.to_ascii_lowercase().as_str()));
    let mut name = if known { path.file_stem() } else { path.file_name() }.unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

/// The text of a file in UTF-8 or UTF-16, with or without a byte order mark, which isn't part of it. An error says what
/// the file is instead.
pub fn text(bytes: &[u8]) -> Result<String, String> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        let whole = rest.len().is_multiple_of(2);
        String::from_utf16(&units)
            .ok()
            .filter(|_| whole)
            .ok_or_else(|| "it is cut off or damaged: it begins as UTF-16 and isn't all of it".to_owned())
    };
    // Without a mark it is told by its zeros: half the bytes of Western text in UTF-16.
    let zeros = |from: usize| {
        bytes.len() >= 2 && bytes.len().is_multiple_of(2) && bytes.iter().skip(from).step_by(2).all(|b| *b == 0)
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest, 3),
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ if zeros(1) && !zeros(0) => wide(bytes, u16::from_le_bytes),
        _ if zeros(0) && !zeros(1) => wide(bytes, u16::from_be_bytes),
        _ => utf8(bytes, 0),
    }
}

fn utf8(bytes: &[u8], before: usize) -> Result<String, String> {
    let wrong = |e: std::str::Utf8Error| {
        format!("its byte {} is no text in UTF-8 or UTF-16; save it as UTF-8", before + e.valid_up_to())
    };
    std::str::from_utf8(bytes).map(str::to_owned).map_err(wrong)
}

/// The text of a file that a person wrote; an error says what is wrong with it.
pub fn text_of(path: &Path) -> Result<String, String> {
    text(&std::fs::read(path).map_err(|e| e.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPOSED: &str = "Zo\u{eb}.wav";
    const DECOMPOSED: &str = "Zoe\u{308}.wav";

    #[test]
    fn a_name_is_found_in_either_form() {
        let folder = tempfile::tempdir().expect("a folder");
        for (stored, typed) in [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)] {
            let inside = folder.path().join(stored.replace(".wav", ""));
            std::fs::create_dir(&inside).expect("a folder");
            std::fs::write(inside.join(stored), "sound").expect("written");
            let meant = meant(&folder.path().join(typed.replace(".wav", "")).join(typed));
            assert_eq!((meant.path, meant.note), (inside.join(stored), None));
            std::fs::remove_dir_all(&inside).expect("removed");
        }
        let typed = folder.path().join("no").join(DECOMPOSED);
        assert_eq!(meant(&typed), Meant { path: typed, note: None });
    }

    #[test]
    fn what_exists_as_typed_is_meant() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [COMPOSED, DECOMPOSED, "\u{202a}odd.wav"] {
            std::fs::write(folder.path().join(name), "sound").expect("written");
        }
        for name in [COMPOSED, DECOMPOSED, "\u{202a}odd.wav"] {
            assert_eq!(meant(&folder.path().join(name)), Meant { path: folder.path().join(name), note: None });
        }
    }

    #[test]
    fn unseen_marks_are_taken_away_and_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("talk.wav");
        std::fs::write(&file, "sound").expect("written");
        let plain = file.to_str().expect("UTF-8");
        for typed in [format!("\u{202a}{plain}"), format!("{plain}\u{200e}"), format!("\u{feff}{plain}\u{202c}")] {
            let meant = meant(Path::new(&typed));
            assert_eq!(meant.path, file);
            assert!(meant.note.is_some_and(|n| n.contains("can't be seen") && !n.contains('\u{202a}')));
        }
        // Also where a file is yet to be written, and never the whole name.
        assert_eq!(meant(Path::new("\u{202a}new.srt")).path, Path::new("new.srt"));
        assert_eq!(meant(Path::new("\u{202a}")).path, Path::new("\u{202a}"));
    }

    #[test]
    fn results_keep_a_name_that_has_points() {
        for (recording, result) in [
            ("a/talk.wav", "a/talk.srt"),
            ("Interview 12.03", "Interview 12.03.srt"),
            ("Interview 12.03.WAV", "Interview 12.03.srt"),
            ("take.v2", "take.v2.srt"),
            ("v1.2.3.mp3", "v1.2.3.srt"),
            (".hidden", ".hidden.srt"),
        ] {
            assert_eq!(beside(Path::new(recording), "srt"), Path::new(result));
        }
        assert_eq!(title(Path::new("a/Interview 12.03")), "Interview 12.03");
        assert_eq!(title(Path::new("a/Ada.flac")), "Ada");
    }

    #[test]
    fn text_is_read_as_editors_save_it() {
        let wide = |text: &str, big: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
        };
        for (bytes, read) in [
            ("pässword".as_bytes().to_vec(), "pässword"),
            ("\u{feff}pässword\r\n".as_bytes().to_vec(), "pässword\r\n"),
            (wide("\u{feff}pässword", false), "pässword"),
            (wide("\u{feff}pässword", true), "pässword"),
            (wide("pässword", false), "pässword"),
            (wide("pässword", true), "pässword"),
            (wide("\u{feff}密码", false), "密码"),
            (Vec::new(), ""),
        ] {
            assert_eq!(text(&bytes).as_deref(), Ok(read), "{bytes:?}");
        }
        assert!(text(b"caf\xe9").is_err_and(|why| why.contains("byte 3") && why.contains("UTF-8")));
        assert!(text(b"\xff\xfea\0b").is_err_and(|why| why.contains("cut off")));
    }
}
