//! Sound files as recorders, players and converters leave them: all that is in them is read, where it was, and what is
//! wrong is told.
//!
//! The files are made here by FFmpeg's program and by hand. FFmpeg is the judge of lengths and times as well, where it
//! has them right.

use std::path::{Path, PathBuf};
use std::process::Command;

use mynah::audio::{AudioError, Choice, Depth, Note, Reader, Sound, read, write_wav, write_wav_as};
use proptest::prelude::*;

const RATE: u32 = 48_000;

/// Runs FFmpeg in a folder; the arguments are given as one would type them.
fn ffmpeg(folder: &Path, line: &str) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]).args(line.split_whitespace()).current_dir(folder);
    let done = command.output().expect("ffmpeg is installed (`cargo xtask setup`)");
    assert!(done.status.success(), "ffmpeg {line}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Noise with a voice's rhythm, no two stretches of which are alike.
fn signal(seconds: f64, seed: u32) -> Vec<f32> {
    let (mut x, mut low) = (seed.wrapping_mul(2_654_435_761).max(1), 0.0f32);
    let noise = move || {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x as f32 / u32::MAX as f32 - 0.5
    };
    let mut noise = noise;
    let n = (seconds * f64::from(RATE)).round() as usize;
    (0..n)
        .map(|i| {
            low += (noise() - low) * 0.2;
            let loud = 0.3 + 0.7 * (i as f32 / RATE as f32 * 9.0).sin().abs();
            low * loud * 1.5
        })
        .collect()
}

fn source(folder: &Path, seconds: f64, seed: u32) -> Vec<f32> {
    let sound = Sound { rate: RATE, channels: vec![signal(seconds, seed)] };
    write_wav_as(&folder.join("in.wav"), &sound, Depth::Int16).expect("written");
    read(&folder.join("in.wav")).expect("read").channels.remove(0)
}

/// How many frames later than in `wanted` its stretch from `at` on lies in `heard`, of so many frames to each side; and
/// how alike they are there.
fn lag(heard: &[f32], wanted: &[f32], at: usize, most: usize) -> (i64, f64) {
    const WINDOW: usize = 4800;
    let piece = &wanted[at..at + WINDOW];
    let norm = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let alike = |from: i64| {
        let there = usize::try_from(from).ok().and_then(|from| heard.get(from..from + WINDOW))?;
        let product: f64 = there.iter().zip(piece).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        Some(product / (norm(there) * norm(piece)).max(1e-12))
    };
    let span = -(most as i64)..=most as i64;
    let all = span.filter_map(|d| alike(at as i64 + d).map(|a| (d, a)));
    all.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((i64::MAX, 0.0))
}

/// The stretch of `wanted` from `at` seconds on is heard `later` seconds later, to so many milliseconds.
fn heard_at(sound: &Sound, wanted: &[f32], at: f64, later: f64, milliseconds: f64) {
    let mono = sound.mono();
    let mono = if sound.rate == RATE { mono } else { mynah::dsp::resample::resample_all(&mono, sound.rate, RATE) };
    let shift = (later * f64::from(RATE)).round() as i64;
    let mut moved = vec![0.0; usize::try_from(shift.max(0)).expect("later")];
    moved.extend_from_slice(&wanted[usize::try_from((-shift).max(0)).expect("earlier")..]);
    let place = ((at + later) * f64::from(RATE)) as usize;
    let (off, alike) = lag(&mono, &moved, place, 4800);
    assert!(alike > 0.8, "what is at {at} s isn't heard at {} s: {alike}", at + later);
    assert!(off.abs() as f64 <= milliseconds * f64::from(RATE) / 1000.0 + 0.5, "{off} frames off at {at} s");
}

fn open(path: &Path) -> (Sound, Vec<Note>) {
    open_track(path, Choice::Standard)
}

fn open_track(path: &Path, choice: Choice) -> (Sound, Vec<Note>) {
    let mut reader = Reader::open_track(path, choice).unwrap_or_else(|e| panic!("{e}"));
    let mut channels = vec![Vec::new(); reader.channels()];
    while let Some(block) = reader.next_block().unwrap_or_else(|e| panic!("{e}")) {
        channels.iter_mut().zip(block).for_each(|(c, b)| c.extend(b));
    }
    (Sound { rate: reader.rate(), channels }, reader.notes().to_vec())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn join(folder: &Path, parts: &[&str], name: &str) -> PathBuf {
    let bytes: Vec<u8> = parts.iter().flat_map(|p| std::fs::read(folder.join(p)).expect("read")).collect();
    std::fs::write(folder.join(name), bytes).expect("written");
    folder.join(name)
}

#[test]
fn mp3_joined_in_a_row_is_read_whole() {
    let folder = folder();
    let wanted = source(folder.path(), 7.0, 1);
    ffmpeg(folder.path(), "-i in.wav -t 3.3 -b:a 96k -id3v2_version 3 -metadata title=first a.mp3");
    ffmpeg(folder.path(), "-ss 3.3 -i in.wav -b:a 96k -metadata title=second b.mp3");
    let (sound, notes) = open(&join(folder.path(), &["a.mp3", "b.mp3"], "joined.mp3"));
    assert!(sound.frames().abs_diff(wanted.len()) <= 1, "{} frames", sound.frames());
    heard_at(&sound, &wanted, 1.0, 0.0, 0.1);
    heard_at(&sound, &wanted, 6.0, 0.0, 1.0);
    assert_eq!(notes, [Note::Joined { parts: 2 }]);
}

#[test]
fn variable_bit_rate_without_a_tag_is_counted_not_guessed() {
    let folder = folder();
    let wanted = source(folder.path(), 9.0, 2);
    ffmpeg(folder.path(), "-i in.wav -t 1 -b:a 256k -write_xing 0 -id3v2_version 0 a.mp3");
    ffmpeg(folder.path(), "-ss 1 -i in.wav -b:a 48k -write_xing 0 -id3v2_version 0 b.mp3");
    let path = join(folder.path(), &["a.mp3", "b.mp3"], "vbr.mp3");
    let (sound, notes) = open(&path);
    assert!(sound.seconds() > 9.0 && sound.seconds() < 9.2, "{}", sound.seconds());
    // Two coders' delays, of which no tag tells.
    heard_at(&sound, &wanted, 8.0, 0.08, 60.0);
    assert_eq!(notes, []);
    assert!((Reader::open(&path).expect("opens").promised_seconds().expect("counted") - sound.seconds()).abs() < 1e-6);
}

#[test]
fn an_mp3_that_was_cut_in_a_frame_is_refused_and_one_between_frames_is_told() {
    let folder = folder();
    source(folder.path(), 6.0, 3);
    ffmpeg(folder.path(), "-i in.wav -b:a 96k whole.mp3");
    let whole = std::fs::read(folder.path().join("whole.mp3")).expect("read");
    let cut = folder.path().join("cut.mp3");
    let half = whole.len() / 2;
    // 96 kbit/s at 48 kHz: 288 bytes a frame; a frame begins with 0xFF 0xFB.
    let frame = (half..)
        .find(|i| whole[*i..].starts_with(&[0xFF, 0xFB]) && whole[i + 288..].starts_with(&[0xFF, 0xFB]))
        .expect("a frame");
    std::fs::write(&cut, &whole[..frame + 100]).expect("written");
    assert!(matches!(read(&cut), Err(AudioError::Truncated { .. })), "{:?}", read(&cut).map(|s| s.seconds()));
    std::fs::write(&cut, &whole[..frame]).expect("written");
    let (sound, notes) = open(&cut);
    assert!((2.5..3.5).contains(&sound.seconds()));
    assert!(matches!(notes[..], [Note::OtherLength { promised, found }] if promised > 5.9 && found < 3.5), "{notes:?}");
    assert!(notes[0].is_loss());
}

#[test]
fn edit_lists_are_kept() {
    let folder = folder();
    let wanted = source(folder.path(), 5.0, 4);
    ffmpeg(folder.path(), "-i in.wav -b:a 128k priming.m4a");
    let (sound, notes) = open(&folder.path().join("priming.m4a"));
    assert_eq!(sound.frames(), wanted.len());
    heard_at(&sound, &wanted, 2.0, 0.0, 0.1);
    assert_eq!(notes, []);
    ffmpeg(
        folder.path(),
        "-f lavfi -i color=black:s=64x64:r=25:d=7 -itsoffset 2 -i in.wav -c:v mpeg4 -b:a 128k late.mp4",
    );
    let (sound, notes) = open(&folder.path().join("late.mp4"));
    heard_at(&sound, &wanted, 2.0, 2.0, 1.0);
    assert!(matches!(notes[..], [Note::LateStart { seconds }] if (1.9..2.05).contains(&seconds)), "{notes:?}");
}

#[test]
fn missing_packets_are_silence() {
    let folder = folder();
    let wanted = source(folder.path(), 8.0, 5);
    // Packets of 1,024 samples, of 20 ms, of 4,608 samples: those from 2.0 to 4.5 s are left out.
    for (coder, name, first, last) in [
        ("aac -b:a 128k", "hole.mkv", 94, 211),
        ("libopus -b:a 96k", "hole.webm", 100, 225),
        ("flac", "holes.mkv", 21, 47),
    ] {
        ffmpeg(
            folder.path(),
            &format!("-i in.wav -c:a {coder} -bsf:a noise=drop=between(n\\,{first}\\,{last}) {name}"),
        );
        let (sound, notes) = open(&folder.path().join(name));
        heard_at(&sound, &wanted, 1.0, 0.0, 25.0);
        heard_at(&sound, &wanted, 6.0, 0.0, 25.0);
        let [Note::Hole { holes: 1, seconds, .. }] = notes[..] else { panic!("{name}: {notes:?}") };
        assert!((2.3..2.8).contains(&seconds), "{name}: {seconds}");
    }
}

#[test]
fn every_track_can_be_chosen() {
    let folder = folder();
    let wanted = source(folder.path(), 4.0, 6);
    ffmpeg(
        folder.path(),
        "-f lavfi -i sine=frequency=220:duration=4 -i in.wav -map 0 -map 1 -c:a aac -b:a 128k obs.mkv",
    );
    let path = folder.path().join("obs.mkv");
    let (sound, notes) = open_track(&path, Choice::Number(2));
    heard_at(&sound, &wanted, 2.0, 0.0, 25.0);
    assert!(matches!(notes[0], Note::Track { read: 2, of: 2, .. }));
    let (_, notes) = open(&path);
    assert!(matches!(notes[0], Note::Track { read: 1, of: 2, .. }), "the choice is told: {notes:?}");
    assert_eq!(Reader::open(&path).expect("opens").tracks().len(), 2);
    match Reader::open_track(&path, Choice::Number(3)) {
        Err(AudioError::NoTrack { wanted: 3, there: 2, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn opus_and_chained_ogg_are_read() {
    let folder = folder();
    let wanted = source(folder.path(), 6.0, 7);
    for name in ["note.ogg", "note.webm", "note.mka", "note.mp4"] {
        ffmpeg(folder.path(), &format!("-i in.wav -c:a libopus -b:a 64k {name}"));
        let (sound, _) = open(&folder.path().join(name));
        heard_at(&sound, &wanted, 3.0, 0.0, 1.0);
        assert!(sound.frames().abs_diff(wanted.len()) < 1000, "{name}: {} frames", sound.frames());
    }
    assert_eq!(open(&folder.path().join("note.ogg")).0.frames(), wanted.len());
    for coder in ["libvorbis", "libopus"] {
        ffmpeg(folder.path(), &format!("-i in.wav -t 2.5 -c:a {coder} a.ogg"));
        ffmpeg(folder.path(), &format!("-ss 2.5 -i in.wav -c:a {coder} b.ogg"));
        let (sound, notes) = open(&join(folder.path(), &["a.ogg", "b.ogg"], "chained.ogg"));
        assert!(sound.frames().abs_diff(wanted.len()) <= 1, "{coder}: {} frames", sound.frames());
        heard_at(&sound, &wanted, 5.0, 0.0, 1.0);
        assert_eq!(notes, [Note::Joined { parts: 2 }]);
    }
}

#[test]
fn a_link_of_another_shape_is_made_as_the_first() {
    let folder = folder();
    let wanted = source(folder.path(), 6.0, 8);
    ffmpeg(folder.path(), "-i in.wav -t 2.5 -c:a libvorbis a.ogg");
    ffmpeg(folder.path(), "-ss 2.5 -i in.wav -ar 44100 -ac 2 -c:a libvorbis b.ogg");
    let (sound, notes) = open(&join(folder.path(), &["a.ogg", "b.ogg"], "chained.ogg"));
    assert_eq!((sound.rate, sound.channels.len()), (RATE, 1));
    heard_at(&sound, &wanted, 5.0, 0.0, 1.0);
    assert!(notes.iter().any(|n| matches!(n, Note::ChangedShape { at } if (at - 2.5).abs() < 0.01)), "{notes:?}");
}

/// A wave file with these chunks behind its header.
fn riff(name: &[u8; 4], size: u32, chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend(size.to_le_bytes());
    bytes.extend(b"WAVE");
    for (name, size, content) in chunks {
        bytes.extend(*name);
        bytes.extend(size.to_le_bytes());
        bytes.extend(*content);
    }
    bytes
}

fn fmt(tag: u16, channels: u16, rate: u32, bits: u16, more: &[u8]) -> Vec<u8> {
    let align = channels * bits / 8;
    let mut bytes = Vec::new();
    for field in [tag, channels] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(rate.to_le_bytes());
    bytes.extend(rate.wrapping_mul(u32::from(align)).to_le_bytes());
    bytes.extend(align.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(more);
    bytes
}

#[test]
fn wave_headers_of_killed_and_piped_recorders_cost_nothing() {
    let folder = folder();
    let path = folder.path().join("a.wav");
    let data: Vec<u8> = (0..48_000i32).flat_map(|i| ((i % 2000 - 1000) as i16 * 7).to_le_bytes()).collect();
    let long = data.len() as u32;
    let plain = fmt(1, 1, RATE, 16, &[]);
    let form = (b"fmt ", 16, &plain[..]);
    let seven = 0x7FFF_FFFF;
    let killed = [
        riff(b"RIFF", 0, &[form, (b"data", 0, &data)]),
        riff(b"RIFF", 4088, &[(b"JUNK", 28, &[0; 28]), form, (b"data", 0, &data)]),
        riff(b"RIFF", seven, &[form, (b"data", seven - 36, &data)]),
        riff(b"RIFF", u32::MAX, &[form, (b"data", u32::MAX, &data)]),
        riff(b"RF64", u32::MAX, &[(b"ds64", 28, &[0; 28]), form, (b"data", u32::MAX, &data)]),
        // Cut within a frame.
        riff(b"RIFF", 0, &[form, (b"data", 0, &[&data[..], &[1]].concat())]),
    ];
    for (k, bytes) in killed.iter().enumerate() {
        std::fs::write(&path, bytes).expect("written");
        let (sound, notes) = open(&path);
        assert_eq!((sound.frames(), &notes[..]), (48_000, &[Note::NoLength][..]), "{k}");
        assert_eq!(sound.channels[0][1999], 999.0 * 7.0 / 32768.0, "{k}");
    }
    let mut ds64 = (u64::from(long) + 80).to_le_bytes().to_vec();
    ds64.extend(u64::from(long).to_le_bytes());
    ds64.extend([0; 12]);
    let twenty = fmt(1, 1, RATE, 16, &[0, 0, 0, 0]);
    let right = [
        riff(b"RIFF", long + 36 - 8, &[form, (b"data", long, &data)]),
        riff(b"RIFF", long + 40, &[(b"fmt ", 20, &twenty), (b"data", long, &data)]),
        riff(b"RF64", u32::MAX, &[(b"ds64", 28, &ds64), form, (b"data", u32::MAX, &data)]),
        riff(b"BW64", u32::MAX, &[(b"ds64", 28, &ds64), form, (b"data", u32::MAX, &data)]),
        riff(
            b"RIFF",
            0,
            &[(b"fact", 8, &[0; 8]), form, (b"LIST", 3, b"abc\0"), (b"data", long, &data), (b"LIST", 4, b"abcd")],
        ),
    ];
    for (k, bytes) in right.iter().enumerate() {
        std::fs::write(&path, bytes).expect("written");
        let (sound, notes) = open(&path);
        assert_eq!((sound.frames(), &notes[..]), (48_000, &[][..]), "{k}");
    }
    // What is really empty, cut off or no sound is told as that.
    std::fs::write(&path, riff(b"RIFF", 36, &[form, (b"data", 0, &[])])).expect("written");
    assert!(matches!(read(&path), Err(AudioError::Empty(_))));
    std::fs::write(&path, riff(b"RIFF", 48, &[form, (b"data", 0, &[]), (b"LIST", 4, b"abcd")])).expect("written");
    assert!(matches!(read(&path), Err(AudioError::Empty(_))), "{:?}", read(&path).map(|s| s.frames()));
    std::fs::write(&path, riff(b"RIFF", long + 36, &[form, (b"data", long, &data[..50_000])])).expect("written");
    assert!(matches!(read(&path), Err(AudioError::Truncated { .. })));
    let fast = fmt(1, 1, 4_000_000_000, 16, &[]);
    std::fs::write(&path, riff(b"RIFF", 0, &[(b"fmt ", 16, &fast), (b"data", long, &data)])).expect("written");
    assert!(read(&path).is_err_and(|e| e.to_string().contains("4000000000 samples a second")));
}

#[test]
fn every_wave_coding_is_read() {
    let folder = folder();
    let wanted = source(folder.path(), 3.0, 9);
    let codings = "pcm_u8 pcm_s24le pcm_s32le pcm_f32le pcm_f64le pcm_mulaw pcm_alaw adpcm_ms adpcm_ima_wav";
    for (coding, more) in
        codings.split(' ').map(|c| (c, "")).chain([("pcm_s16le", "-rf64 always"), ("pcm_s16le -f w64", "")])
    {
        ffmpeg(folder.path(), &format!("-i in.wav -c:a {coding} {more} out.wav"));
        let (sound, notes) = open(&folder.path().join("out.wav"));
        let over = sound.frames() as i64 - wanted.len() as i64;
        assert!(
            if coding.starts_with("adpcm") { (0..4100).contains(&over) } else { over == 0 },
            "{coding}: {over} frames too many"
        );
        heard_at(&sound, &wanted, 1.0, 0.0, 0.0);
        assert_eq!(notes, [], "{coding}");
    }
    let (a, b) = (signal(1.0, 10), folder.path().join("b.wav"));
    let mut channels = vec![vec![0.0; a.len()]; 24];
    channels[23] = a.clone();
    write_wav(&b, &Sound { rate: RATE, channels }).expect("written");
    let (sound, _) = open(&b);
    assert_eq!(sound.mono(), a, "one microphone among 24 inputs");
    std::fs::copy(folder.path().join("in.wav"), folder.path().join("c.wav")).expect("copied");
    let (sound, notes) = open(&join(folder.path(), &["in.wav", "c.wav"], "two.wav"));
    assert_eq!((sound.frames(), &notes[..]), (2 * wanted.len(), &[Note::Joined { parts: 2 }][..]));
}

#[test]
fn what_mynah_cannot_read_ffmpeg_does() {
    let folder = folder();
    let wanted = source(folder.path(), 4.0, 11);
    ffmpeg(folder.path(), "-i in.wav -c:a ac3 -b:a 192k a.mka");
    let (sound, notes) = open(&folder.path().join("a.mka"));
    heard_at(&sound, &wanted, 2.0, 0.0, 10.0);
    assert!(matches!(notes[0], Note::ByFfmpeg { .. }), "{notes:?}");
    ffmpeg(folder.path(), "-i in.wav -c:a wmav2 a.wma");
    let (sound, _) = open(&folder.path().join("a.wma"));
    assert!((3.9..4.2).contains(&sound.seconds()), "{}", sound.seconds());
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_as_a_file() {
    let folder = folder();
    let wanted = source(folder.path(), 2.0, 12);
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().is_ok_and(|s| s.success()));
    let (from, to) = (folder.path().join("in.wav"), pipe.clone());
    let writer = std::thread::spawn(move || std::fs::copy(from, to));
    assert_eq!(read(&pipe).expect("read").frames(), wanted.len());
    writer.join().expect("no panic").expect("copied");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 4, ..ProptestConfig::default() })]
    /// Whatever container and coding, rate and channels: as long as FFmpeg says, and everything at its time.
    #[test]
    fn lengths_and_times_are_those_of_ffmpeg(which in 0usize..12, rate in 0usize..4, channels in 1usize..3, seconds in 1.2f64..5.0, late in prop_oneof![Just(0.0), 0.2f64..2.0], seed in 1u32..10_000) {
        let (name, coding, slack) = [
            ("a.wav", "pcm_s16le", 0), ("a.flac", "flac", 0), ("a.mp3", "libmp3lame -b:a 128k", 0), ("a.ogg", "libvorbis", 0), ("a.opus", "libopus -b:a 96k", 0),
            ("a.m4a", "aac -b:a 128k", 1100), ("a.m4a", "alac", 0), ("a.mkv", "aac -b:a 128k", 1100), ("a.mkv", "flac", 100), ("a.webm", "libopus -b:a 96k", 1000),
            ("a.mkv", "pcm_s16le", 100), ("a.aiff", "pcm_s16be", 0),
        ][which];
        let rate = [16_000, 32_000, 44_100, 48_000][if coding.contains("opus") { 3 } else { rate }];
        let folder = folder();
        let wanted = source(folder.path(), seconds, seed);
        let picture = late > 0.0 && name.ends_with(".mkv");
        let before = if picture { format!("-f lavfi -i color=black:s=64x64:r=25:d={} -itsoffset {late:.3} -i in.wav \
            -c:v mpeg4", late + seconds) } else { "-i in.wav".to_owned() };
        ffmpeg(folder.path(), &format!("{before} -ac {channels} -ar {rate} -c:a {coding} {name}"));
        let (sound, notes) = open(&folder.path().join(name));
        ffmpeg(folder.path(), &format!("-i {name} -map 0:a -af aresample=async=1:first_pts=0 -c:a pcm_f32le \
            judge.wav"));
        let judge = read(&folder.path().join("judge.wav")).expect("read");
        prop_assert_eq!((sound.rate, sound.channels.len()), (judge.rate, judge.channels.len()));
        prop_assert!(sound.frames().abs_diff(judge.frames()) <= slack, "{} {}: {} frames for {}; {:?}", name, coding, sound.frames(), judge.frames(), notes);
        let later = if picture { late } else { 0.0 };
        // AAC in Matroska begins with a packet of delay, of which FFmpeg's files don't tell.
        let slack = if coding.starts_with("aac") && name.ends_with(".mkv") { 1.1e6 / rate as f64 } else { 3.0 };
        heard_at(&sound, &wanted, seconds * 0.3, later, slack);
        heard_at(&sound, &wanted, seconds * 0.3 + 0.7, later, slack);
        prop_assert!(notes.iter().all(|n| matches!(n, Note::LateStart { .. })), "{:?}", notes);
    }
}
