//! Tests of reading and writing, over files of the test folder and over damaged ones made here.

use std::path::{Path, PathBuf};

use mynah_files::write_whole;
use proptest::prelude::*;

use super::*;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/audio").join(name)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn tone(rate: u32, frames: usize, channels: usize) -> Sound {
    let channel = |c: usize| (0..frames).map(|i| ((i * (c + 1)) as f32 * 0.03).sin() * 0.4).collect();
    Sound { rate, channels: (0..channels).map(channel).collect() }
}

fn sentence(e: &AudioError, with: &str) {
    let text = e.to_string();
    assert!(text.contains(with), "{text}");
    assert!(text.contains(';') && !text.contains('\n'), "{text}");
}

#[test]
fn each_format_gives_the_tone() {
    // Half a second; what coders without a count of their padding add is bounded.
    for (name, extra) in [("tone.flac", 0), ("tone.ogg", 0), ("tone.mp3", 0), ("tone.m4a", 0)] {
        let sound = read(&data(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((sound.rate, sound.channels.len()), (44100, 2), "{name}");
        assert!((22050..=22050 + extra).contains(&sound.frames()), "{name}: {} frames", sound.frames());
        // The power of the tone at its own frequency, over the middle.
        let middle = &sound.channels[0][8000..18000];
        let (mut re, mut im) = (0.0f64, 0.0f64);
        for (i, &x) in middle.iter().enumerate() {
            let phase = std::f64::consts::TAU * 441.0 * i as f64 / 44100.0;
            re += x as f64 * phase.cos();
            im += x as f64 * phase.sin();
        }
        let amplitude = 2.0 * re.hypot(im) / middle.len() as f64;
        assert!((amplitude - 0.5).abs() < 0.02, "{name}: {amplitude}");
        // The channels are opposite, so their mean would be silence.
        let loudest = sound.mono()[8000..].iter().fold(0.0f32, |a, x| a.max(x.abs()));
        assert!((loudest - 0.5).abs() < 0.03, "{name}: {loudest}");
    }
}

#[test]
fn opus_is_read_without_its_delay() {
    let sound = read(&data("tone.opus")).expect("read");
    assert_eq!((sound.rate, sound.channels.len(), sound.frames()), (48_000, 2, 24_000));
    let loudest = sound.channels[0][8000..18_000].iter().fold(0.0f32, |a, x| a.max(x.abs()));
    assert!((loudest - 0.5).abs() < 0.03, "{loudest}");
}

#[test]
fn wav_comes_back_at_every_depth_with_eight_channels() {
    let folder = folder();
    let path = folder.path().join("eight.wav");
    let sound = tone(96_000, 2000, 8);
    for (depth, worst) in [(Depth::Float32, 0.0), (Depth::Int24, 1e-6), (Depth::Int16, 2e-5)] {
        write_wav_as(&path, &sound, depth).expect("written");
        let back = read(&path).expect("read");
        assert_eq!((back.rate, back.channels.len(), back.frames()), (96_000, 8, 2000));
        for (a, b) in back.channels.iter().flatten().zip(sound.channels.iter().flatten()) {
            assert!((a - b).abs() <= worst, "{depth:?}: {a} {b}");
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1, "no part file stays");
}

#[test]
fn full_scale_is_held_at_integer_depths() {
    let folder = folder();
    let path = folder.path().join("loud.wav");
    write_wav_as(&path, &Sound { rate: 8000, channels: vec![vec![1.5, -1.5, f32::INFINITY]] }, Depth::Int16)
        .expect("written");
    assert_eq!(read(&path).expect("read").channels[0], vec![32767.0 / 32768.0, -1.0, 32767.0 / 32768.0]);
}

#[test]
fn what_is_not_finite_becomes_nothing_and_is_counted() {
    let folder = folder();
    let path = folder.path().join("nan.wav");
    write_wav(&path, &Sound { rate: 48_000, channels: vec![vec![0.25, f32::NAN, f32::NEG_INFINITY, -0.25]] })
        .expect("written");
    let mut reader = Reader::open(&path).expect("opens");
    let sound = reader.next_block().expect("read").expect("a block");
    assert!(reader.next_block().expect("read").is_none());
    assert_eq!(sound[0], vec![0.25, 0.0, 0.0, -0.25]);
    assert_eq!(reader.notes(), [Note::NotNumbers { samples: 2 }]);
}

#[test]
fn what_is_no_sound_is_told_in_one_sentence() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    sentence(&read(&at("missing.wav")).expect_err("missing"), "missing.wav");
    let e = read(folder.path()).expect_err("a folder");
    assert!(matches!(e, AudioError::Folder(_)));
    std::fs::write(at("empty.wav"), b"").expect("written");
    assert!(matches!(read(&at("empty.wav")).expect_err("empty"), AudioError::Empty(_)));
    for name in ["text.wav", "text.txt", "text.mp3", "text.m4a"] {
        std::fs::write(
            at(name),
            "It is a truth universally acknowledged, that a text file is no sound.\n".repeat(2000),
        )
        .expect("written");
        let e = read(&at(name)).expect_err("text");
        sentence(&e, name);
        assert!(matches!(e, AudioError::Format { .. } | AudioError::Damaged { .. }), "{name}: {e:?}");
    }
    write_wav(&at("nothing.wav"), &Sound { rate: 48_000, channels: vec![vec![]] }).expect("written");
    assert!(matches!(read(&at("nothing.wav")).expect_err("no frames"), AudioError::Empty(_)));
}

#[test]
fn a_file_cut_short_says_where_it_ends() {
    let folder = folder();
    let whole = folder.path().join("whole.wav");
    write_wav(&whole, &tone(48_000, 96_000, 2)).expect("written");
    let flac = data("tone.flac");
    for (source, expected) in [(&whole, 2.0), (&flac, 0.5)] {
        let bytes = std::fs::read(source).expect("read");
        let cut = folder.path().join("cut").with_extension(source.extension().expect("an extension"));
        std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("written");
        match read(&cut).expect_err("cut short") {
            AudioError::Truncated { found, expected: e, .. } => {
                assert!((e - expected).abs() < 1e-9, "{e}");
                assert!(found < expected * 0.6, "{found}");
            }
            other => panic!("{other:?}"),
        }
    }
    let m4a = std::fs::read(data("tone.m4a")).expect("read");
    let cut = folder.path().join("cut.m4a");
    std::fs::write(&cut, &m4a[..m4a.len() / 2]).expect("written");
    sentence(&read(&cut).expect_err("cut short"), "cut.m4a");
}

#[test]
fn a_place_that_cannot_be_written_leaves_nothing_behind() {
    let folder = folder();
    let sound = tone(48_000, 100, 1);
    sentence(&write_wav(&folder.path().join("no/such/folder.wav"), &sound).expect_err("no folder"), "folder.wav");
    sentence(&write_wav(folder.path(), &sound).expect_err("a folder"), "a folder stands there");
    let old = folder.path().join("old.wav");
    write_wav(&old, &sound).expect("written");
    let ragged = Sound { rate: 48_000, channels: vec![vec![0.0; 3], vec![0.0; 2]] };
    sentence(&write_wav(&old, &ragged).expect_err("ragged"), "differ in length");
    assert_eq!(read(&old).expect("still there"), sound);
    let failed = write_whole(&old, |file| {
        use std::io::Write;
        file.write_all(b"half")?;
        Err(std::io::Error::other("stopped"))
    });
    assert!(failed.is_err());
    assert_eq!(read(&old).expect("still there"), sound);
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1, "no part file stays");
}

/// A full disk, where this machine lets a test make one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_leaves_the_old_file() {
    let folder = folder();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).expect("made");
    let mount =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "mynah-test"]).arg(&disk).output();
    if !mount.is_ok_and(|m| m.status.success()) {
        eprintln!("skipped: a small disk can't be mounted here (needs root)");
        return;
    }
    let path = disk.join("out.wav");
    let small = tone(8000, 100, 1);
    let outcome = std::panic::catch_unwind(|| {
        write_wav(&path, &small).expect("there is room for this");
        let e = write_wav(&path, &tone(48_000, 96_000, 2)).expect_err("no room");
        sentence(&e, "has room");
        assert_eq!(read(&path).expect("the old file"), small);
        assert_eq!(std::fs::read_dir(&disk).expect("listed").count(), 1, "no part file stays");
    });
    let unmounted = std::process::Command::new("umount").arg(&disk).status();
    outcome.expect("the full disk is handled");
    assert!(unmounted.is_ok_and(|s| s.success()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Damage anywhere gives sound or a sentence, and never a panic or sound that isn't finite.
    #[test]
    fn damage_never_panics(which in 0usize..4, hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20), cut in any::<prop::sample::Index>(), whether_cut: bool) {
        let name = ["tone.flac", "tone.ogg", "tone.mp3", "tone.m4a"][which];
        let mut bytes = std::fs::read(data(name)).expect("read");
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if whether_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // From bytes: FFmpeg, which may be installed or not, is not asked.
        match Reader::from_bytes(&bytes, Path::new(name)).and_then(Sound::of) {
            Ok(sound) => prop_assert!(sound.channels.iter().flatten().all(|x| x.is_finite())),
            Err(e) => prop_assert!(!e.to_string().contains('\n')),
        }
    }
}
