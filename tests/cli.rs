//! The command line as a script sees it: exit statuses, sentences, pipes, files that are whole or not there. With the
//! packs of this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mynah::audio::{Sound, read, write_wav};
use mynah::engine::measure::some_speech;
use mynah::packs::{Kind, Store};

fn mynah(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mynah")).args(arguments).output().expect("the program runs")
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("stderr is UTF-8")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("stdout is UTF-8")
}

/// It failed with this status and one sentence that holds these words.
fn told(output: &Output, code: i32, words: &[&str]) {
    let said = stderr(output);
    assert_eq!(status(output), code, "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "not one sentence: {said}");
    assert!(said.starts_with("mynah: "), "{said}");
    words.iter().for_each(|w| assert!(said.contains(w), "`{w}` is missing in: {said}"));
}

fn in_folder(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("UTF-8").to_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .map(|f| f.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A recording of the fetched pack: a sentence that fails where it is missing.
fn recording(name: &str) -> PathBuf {
    let pack = Store::standard().find(Kind::Recordings, None);
    pack.and_then(|p| p.file(name)).unwrap_or_else(|e| panic!("{e}; `cargo xtask setup` fetches it"))
}

/// The first seconds of a recording in `folder`; the recording over and over where it is shorter.
fn clip(folder: &Path, seconds: f64) -> String {
    let mut sound = read(&recording("two_cities.wav")).expect("a recording");
    let frames = (seconds * sound.rate as f64) as usize;
    sound.channels.iter_mut().for_each(|c| *c = c.iter().copied().cycle().take(frames).collect());
    let path = folder.join("clip.wav");
    write_wav(&path, &sound).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

fn reference() -> String {
    recording("clone-test.wav").to_str().expect("UTF-8").to_owned()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn usage_is_status_2_and_help_is_there() {
    let bare = mynah(&[]);
    assert_eq!(status(&bare), 2);
    assert!(stderr(&bare).contains("convert") && stderr(&bare).contains("doctor"), "{}", stderr(&bare));
    let at =
        |words: &str| stderr(&bare).find(words).unwrap_or_else(|| panic!("`{words}` is missing in: {}", stderr(&bare)));
    assert!(at("Examples:") < at("Usage:") && at("Usage:") < at("Exit status:"));
    let help = mynah(&["--help"]);
    assert_eq!(status(&help), 0);
    for word in ["convert", "caption", "voices", "models", "bench", "doctor", "serve"] {
        assert!(stdout(&help).contains(word), "{word}");
    }
    assert!(stdout(&mynah(&["--version"])).starts_with("mynah "));
    for wrong in [
        &["convert"][..],
        &["convert", "a.wav", "--voice", "b.wav", "-o", "c.wav", "--block", "0"],
        &["convert", "a.wav", "--voice", "b.wav", "-o", "c.wav", "--block", "16385"],
        &["convert", "a.wav", "--voice", "b.wav", "-o", "c.wav", "--pitch", "25"],
        &["convert", "a.wav", "--voice", "b.wav", "-o", "c.wav", "--mode", "slow"],
        &["convert", "a.wav", "--voice", "b.wav", "-o", "c.wav", "--provider", "abacus"],
        &["convert", "a.wav", "--voice", "b.wav", "-o", "c.wav", "--gate", "3"],
        &["convert", "a.wav", "--voice", "b.wav", "-o", "c.mp3"],
        &["convert", "a.wav", "--voice", "b.wav", "-o", "c.wav", "--captions", "c.doc"],
        &["caption"],
        &["caption", "a.wav", "b.wav", "-o", "c.srt"],
        &["caption", "a.wav", "-o", "c.doc"],
        &["voices", "enrol", "a.wav"],
        &["models", "fetch"],
        &["serve", "--obs"],
        &["serve", "--obs-captions"],
        &["serve", "--no-overlay"],
        &["serve", "--overlay", "99999"],
        &["nonsense"],
    ] {
        assert_eq!(status(&mynah(wrong)), 2, "{wrong:?}");
    }
}

#[test]
fn a_file_is_the_same_in_any_blocks_and_keeps_its_shape() {
    let home = folder();
    let (input, reference) = (clip(home.path(), 2.0), reference());
    let out = |name: &str, block: &str| {
        let path = in_folder(home.path(), name);
        let done = mynah(&["convert", &input, "--voice", &reference, "-o", &path, "--block", block]);
        assert_eq!(status(&done), 0, "{}", stderr(&done));
        assert!(stdout(&done).contains("latency"), "{}", stdout(&done));
        assert_eq!(stderr(&done), "", "a pipe gets no progress");
        std::fs::read(&path).expect("written")
    };
    let (a, b) = (out("a.wav", "64"), out("b.wav", "1000"));
    assert!(a == b, "blocks of 64 and of 1,000 give different files");
    let (before, after) =
        (read(Path::new(&input)).expect("the clip"), read(&home.path().join("a.wav")).expect("the result"));
    assert_eq!(
        (before.rate, before.channels.len(), before.frames()),
        (after.rate, after.channels.len(), after.frames())
    );
    let loudness = |s: &Sound| (s.mono().iter().map(|x| (x * x) as f64).sum::<f64>() / s.frames() as f64).sqrt();
    assert!(loudness(&after) > 0.1 * loudness(&before), "the result is all but silent");
    assert_ne!(before.mono(), after.mono());
    assert_eq!(names(home.path()), ["a.wav", "b.wav", "clip.wav"]);
}

#[test]
fn a_file_may_replace_itself_and_bring_its_captions() {
    let home = folder();
    let (input, words) = (clip(home.path(), 4.0), in_folder(home.path(), "clip.vtt"));
    let frames = read(Path::new(&input)).expect("the clip").frames();
    let done = mynah(&["convert", &input, "--voice", &reference(), "-o", &input, "--captions", &words]);
    assert_eq!(status(&done), 0, "{}", stderr(&done));
    assert_eq!(read(Path::new(&input)).expect("the result").frames(), frames);
    let text = std::fs::read_to_string(&words).expect("captions");
    assert!(text.starts_with("WEBVTT") && text.contains("-->"), "{text}");
    assert_eq!(names(home.path()), ["clip.vtt", "clip.wav"]);
    told(&mynah(&["convert", &input, "--voice", &reference(), "-o", &words]), 2, &[".wav"]);
}

#[test]
fn captions_come_as_lines_and_beside_the_file() {
    let home = folder();
    let input = clip(home.path(), 4.0);
    let lines = mynah(&["caption", &input, "--jsonl"]);
    assert_eq!(status(&lines), 0, "{}", stderr(&lines));
    let events: Vec<serde_json::Value> =
        stdout(&lines).lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect();
    let finals: Vec<_> = events
        .iter()
        .filter(|e| e["kind"] == "final")
        .flat_map(|e| e["words"].as_array().cloned().unwrap_or_default())
        .collect();
    assert!(!finals.is_empty(), "{}", stdout(&lines));
    assert!(finals.iter().all(|w| w["text"].is_string() && w["start"].as_f64() <= w["end"].as_f64()));
    assert_eq!(names(home.path()), ["clip.wav"], "--jsonl alone writes no file");
    let done = mynah(&["caption", &input]);
    assert_eq!(status(&done), 0, "{}", stderr(&done));
    assert!(std::fs::read_to_string(home.path().join("clip.srt")).expect("captions").contains(" --> "));
}

#[test]
fn a_batch_goes_on_where_it_was_and_a_bad_file_stops_no_other() {
    let home = folder();
    let first = clip(home.path(), 4.0);
    let second = in_folder(home.path(), "second.wav");
    std::fs::copy(&first, &second).expect("copied");
    let bad = in_folder(home.path(), "bad.wav");
    std::fs::write(&bad, "no sound").expect("written");
    // The data folder is this test's own; the packs are the user's.
    let packs = mynah::packs::user_folder().expect("a data folder").join("packs");
    let data = home.path().join("data");
    let program = |more: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_mynah"));
        let output = program
            .args(["caption", &first, &bad, &second])
            .args(more)
            .env("MYNAH_HOME", &data)
            .env("MYNAH_PACKS", &packs)
            .output();
        output.expect("the program runs")
    };
    let run = |more: &[&str]| {
        let output = program(more);
        assert_eq!(status(&output), 1, "{}", stderr(&output));
        assert!(stderr(&output).contains("bad.wav") && stderr(&output).contains("1 of 3"), "{}", stderr(&output));
        stdout(&output)
    };
    assert!(!run(&[]).contains("done before"));
    let srt = home.path().join("second.srt");
    let written = std::fs::read_to_string(&srt).expect("captions");
    assert_eq!(run(&[]).matches("done before").count(), 2);
    // What somebody changed is never written over.
    std::fs::write(&srt, "mine").expect("written");
    let again = run(&[]);
    assert!(
        again.matches("done before").count() == 1 && again.contains("second.srt: kept as it was changed; --force"),
        "{again}"
    );
    assert_eq!(std::fs::read_to_string(&srt).expect("captions"), "mine");
    let other = program(&["--style", "bbc"]);
    assert!(
        stderr(&other).contains("second.srt` was changed since Mynah wrote it") && stderr(&other).contains("2 of 3"),
        "{}",
        stderr(&other)
    );
    assert_eq!(std::fs::read_to_string(&srt).expect("captions"), "mine");
    assert_eq!(run(&["--force"]).matches("words").count(), 2);
    assert_eq!(std::fs::read_to_string(&srt).expect("captions"), written);
    assert_eq!(run(&["--style", "bbc"]).matches("done before").count(), 0, "other options");
    assert_eq!(run(&["--style", "bbc", "--force"]).matches("done before").count(), 0);
}

#[test]
fn a_conversion_brings_the_captions_that_the_recording_has() {
    let home = folder();
    let (input, list) = (clip(home.path(), 6.0), in_folder(home.path(), "terms.txt"));
    std::fs::write(&list, "TIMES = times\n").expect("written");
    let (a, b, out) =
        (in_folder(home.path(), "a.json"), in_folder(home.path(), "b.json"), in_folder(home.path(), "out.wav"));
    let how = ["--glossary", &list, "--style", "bbc", "--numbers", "spell"];
    let captioned = mynah(&[&["caption", &input, "-o", &a][..], &how].concat());
    assert_eq!(status(&captioned), 0, "{}", stderr(&captioned));
    let convert = |more: &[&str]| {
        mynah(&[&["convert", &input, "--voice", &reference(), "-o", &out, "--captions", &b], &how[..], more].concat())
    };
    assert_eq!(status(&convert(&[])), 0);
    let (a, b_text) = (std::fs::read_to_string(&a).expect("captions"), std::fs::read_to_string(&b).expect("captions"));
    assert!(a.contains("TIMES"), "{a}");
    assert_eq!(a, b_text);
    // Mynah's own captions may be replaced, those that somebody changed not.
    assert_eq!(status(&convert(&[])), 0);
    std::fs::write(&b, "mine").expect("written");
    told(&convert(&[]), 1, &["b.json", "was changed since Mynah wrote it", "--force", "--captions"]);
    assert_eq!(std::fs::read_to_string(&b).expect("captions"), "mine");
    assert_eq!(status(&convert(&["--force"])), 0);
    assert_eq!(std::fs::read_to_string(&b).expect("captions"), a);
}

#[test]
fn recordings_are_found_and_their_results_named_whatever_their_names() {
    let home = folder();
    let clip = clip(home.path(), 2.0);
    // Decomposed letters, a mark that Windows pastes, and a day in March.
    let (composed, decomposed) = (in_folder(home.path(), "Zo\u{eb}.wav"), in_folder(home.path(), "Zoe\u{308}.wav"));
    let (march, april) = (in_folder(home.path(), "Interview 12.03"), in_folder(home.path(), "Interview 12.04"));
    for name in [&composed, &march, &april] {
        std::fs::copy(&clip, name).expect("copied");
    }
    let pasted = format!("\u{202a}{clip}");
    let done = mynah(&["caption", &decomposed, &pasted, &march, &april]);
    assert_eq!(status(&done), 0, "{}", stderr(&done));
    assert!(stderr(&done).contains("can't be seen") && stderr(&done).lines().count() == 1, "{}", stderr(&done));
    for written in ["Zo\u{eb}.srt", "clip.srt", "Interview 12.03.srt", "Interview 12.04.srt"] {
        assert!(home.path().join(written).is_file(), "{written} in {:?}", names(home.path()));
    }
    assert_eq!(names(home.path()).len(), 8);
    // Two results of one name are told before the work.
    let other = in_folder(home.path(), "clip.flac");
    std::fs::copy(&clip, &other).expect("copied");
    told(&mynah(&["caption", &clip, &other]), 2, &["clip.wav", "clip.flac", "clip.srt"]);
    told(&mynah(&["caption", &clip, &clip]), 2, &["given twice"]);
}

#[test]
fn recordings_become_speakers_of_one_file_and_masked_words_tones() {
    let home = folder();
    let first = clip(home.path(), 4.0);
    let second = in_folder(home.path(), "second.wav");
    std::fs::copy(&first, &second).expect("copied");
    let both = in_folder(home.path(), "both.vtt");
    let done = mynah(&["caption", &first, &second, "--merge", &both, "--speaker", &format!("{first}=Ada")]);
    assert_eq!(status(&done), 0, "{}", stderr(&done));
    let text = std::fs::read_to_string(&both).expect("captions");
    assert!(text.contains("<v Ada>") && text.contains("<v second>"), "{text}");

    let (list, words, sound) =
        (in_folder(home.path(), "list.txt"), in_folder(home.path(), "clip.txt"), in_folder(home.path(), "clean.wav"));
    std::fs::write(&list, "times\n").expect("written");
    let bleep =
        ["caption", &first, "--profanity", "bleep", "--profanity-words", &list, "--sound", &sound, "-o", &words];
    let done = mynah(&bleep);
    assert_eq!(status(&done), 0, "{}", stderr(&done));
    let text = std::fs::read_to_string(&words).expect("captions");
    assert!(text.contains("t****") && !text.contains("times"), "{text}");
    let (before, after) = (read(Path::new(&first)).expect("the clip"), read(Path::new(&sound)).expect("the result"));
    assert_eq!((before.rate, before.frames()), (after.rate, after.frames()));
    let changed = before.mono().iter().zip(after.mono()).filter(|(a, b)| (**a - b).abs() > 1e-3).count() as f64
        / before.frames() as f64;
    assert!(changed > 0.02 && changed < 0.6, "{changed} of the sound is other than it was");
    told(&mynah(&["caption", &first, "--profanity", "bleep"]), 2, &["--sound"]);
    told(&mynah(&["caption", &first, "--speaker", "other.wav=Eve"]), 2, &["other.wav"]);
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_leaves_the_old_captions() {
    let home = folder();
    let small = home.path().join("small");
    std::fs::create_dir(&small).expect("a folder");
    let mount = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).arg(&small).output().is_ok_and(|o| o.status.success())
    };
    if !mount("mount", &["-t", "tmpfs", "-o", "size=16k", "tmpfs"]) {
        println!("skipped: a small disk can't be made here");
        return;
    }
    let (input, words) = (clip(home.path(), 5.0), small.join("clip.json"));
    std::fs::write(&words, "old").expect("written");
    (0..16).take_while(|n| std::fs::write(small.join(format!("ballast{n}")), [0; 4096]).is_ok()).count();
    let full = mynah(&["caption", &input, "-o", words.to_str().expect("UTF-8"), "--force"]);
    let left = std::fs::read_to_string(&words).expect("still there");
    assert!(mount("umount", &[]));
    told(&full, 1, &["clip.json", "room"]);
    assert_eq!(left, "old");
}

#[test]
fn wrong_sound_is_told_in_one_sentence() {
    let home = folder();
    let write = |name: &str, rate: u32, channels: Vec<Vec<f32>>| {
        let path = home.path().join(name);
        write_wav(&path, &Sound { rate, channels }).expect("written");
        in_folder(home.path(), name)
    };
    let input = write("in.wav", 48000, vec![some_speech(48000, 24000)]);
    let out = in_folder(home.path(), "out.wav");
    let short = write("short.wav", 48000, vec![some_speech(48000, 9600)]);
    let silent = write("silent.wav", 48000, vec![vec![0.0; 48000 * 4]]);
    told(&mynah(&["convert", &input, "--voice", &short, "-o", &out]), 1, &["0.2 s"]);
    told(&mynah(&["convert", &input, "--voice", &silent, "-o", &out]), 1, &[]);
    told(
        &mynah(&["convert", &in_folder(home.path(), "none.wav"), "--voice", &reference(), "-o", &out]),
        1,
        &["none.wav"],
    );
    std::fs::write(home.path().join("text.wav"), "no sound").expect("written");
    told(
        &mynah(&["convert", &in_folder(home.path(), "text.wav"), "--voice", &reference(), "-o", &out]),
        1,
        &["text.wav"],
    );
    let slow = write("slow.wav", 4000, vec![vec![0.1; 4000]]);
    told(&mynah(&["convert", &slow, "--voice", &reference(), "-o", &out]), 1, &["4000 Hz"]);
    assert!(!home.path().join("out.wav").exists());
}

#[test]
fn odd_sound_is_converted() {
    let home = folder();
    let speech = some_speech(48000, 24000);
    let mut broken = speech.clone();
    broken[5000..5100].fill(f32::NAN);
    broken[9000] = f32::INFINITY;
    for (name, channels) in [("nan.wav", vec![broken]), ("eight.wav", vec![speech; 8])] {
        let (path, out) = (home.path().join(name), in_folder(home.path(), "out.wav"));
        write_wav(&path, &Sound { rate: 48000, channels: channels.clone() }).expect("written");
        let done = mynah(&["convert", path.to_str().expect("UTF-8"), "--voice", &reference(), "-o", &out]);
        assert_eq!(status(&done), 0, "{name}: {}", stderr(&done));
        let after = read(Path::new(&out)).expect("the result");
        assert_eq!((after.channels.len(), after.frames()), (channels.len(), 24000), "{name}");
        assert!(after.channels.iter().flatten().all(|x| x.is_finite()), "{name}");
    }
}

#[test]
fn what_cant_be_written_is_told_before_the_work() {
    let home = folder();
    // No sound at all: were it read first, the sentence would be about it.
    let input = in_folder(home.path(), "missing.wav");
    let try_out = |out: &str| mynah(&["convert", &input, "--voice", "nobody", "-o", out]);
    told(&try_out(&in_folder(home.path(), "no/folder/out.wav")), 1, &["can't be written"]);
    std::fs::create_dir(home.path().join("folder.wav")).expect("a folder");
    told(&try_out(&in_folder(home.path(), "folder.wav")), 1, &["can't be written", "folder"]);
    let locked = home.path().join("locked.wav");
    std::fs::write(&locked, "keep").expect("written");
    let mut rights = std::fs::metadata(&locked).expect("there").permissions();
    rights.set_readonly(true);
    std::fs::set_permissions(&locked, rights).expect("locked");
    told(&try_out(locked.to_str().expect("UTF-8")), 1, &["read-only"]);
    assert_eq!(std::fs::read_to_string(&locked).expect("there"), "keep");
    assert_eq!(names(home.path()), ["folder.wav", "locked.wav"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing_behind() {
    let home = folder();
    // Long enough to be at work still when the interrupt comes.
    let (input, out) = (clip(home.path(), 600.0), in_folder(home.path(), "out.wav"));
    let child = Command::new(env!("CARGO_BIN_EXE_mynah"))
        .args(["convert", &input, "--voice", &reference(), "-o", &out, "--mode", "live"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program runs");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    let ended = child.wait_with_output().expect("it ends");
    assert!(sent.success(), "it was over before the interrupt");
    told(&ended, 1, &["stopped"]);
    assert_eq!(names(home.path()), ["clip.wav"]);
}

/// A disk of 64 kB, where this user may make one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let home = folder();
    let disk = home.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk).output();
    if !mounted.as_ref().is_ok_and(|m| m.status.success()) {
        println!("skipped: a small disk can only be made by root ({mounted:?})");
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let input = clip(home.path(), 1.0);
        let out = in_folder(&disk, "out.wav");
        told(&mynah(&["convert", &input, "--voice", &reference(), "-o", &out]), 1, &["out.wav", "can't be written"]);
        assert_eq!(names(&disk), [""; 0]);
    });
    let _ = Command::new("umount").arg(&disk).status();
    if let Err(why) = outcome {
        std::panic::resume_unwind(why);
    }
}

#[test]
fn a_special_file_is_no_output() {
    if cfg!(target_os = "linux") {
        let home = folder();
        let link = home.path().join("full.wav");
        #[cfg(unix)]
        std::os::unix::fs::symlink("/dev/full", &link).expect("a link");
        told(
            &mynah(&["convert", "x.wav", "--voice", "nobody", "-o", link.to_str().expect("UTF-8")]),
            1,
            &["no ordinary file"],
        );
    }
}

#[test]
fn voices_are_enrolled_listed_and_removed() {
    let home = folder();
    let packs = Store::standard().find(Kind::Speaker, None).unwrap_or_else(|e| panic!("{e}"));
    let packs = packs.folder().parent().expect("the folder of packs").to_owned();
    let mynah = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_mynah"));
        program
            .args(arguments)
            .env("MYNAH_HOME", home.path())
            .env("MYNAH_PACKS", &packs)
            .output()
            .expect("the program runs")
    };
    let out = in_folder(home.path(), "out.wav");
    let input = clip(home.path(), 0.5);
    told(&mynah(&["convert", &input, "--voice", "Ada", "-o", &out]), 1, &["`Ada`", "enrol"]);
    let kept = || std::fs::read_to_string(home.path().join("voices/Ada.json")).expect("the voice");
    let done = mynah(&["voices", "enrol", &reference(), "--name", "Ada"]);
    assert_eq!(status(&done), 0, "{}", stderr(&done));
    assert!(stderr(&done).contains("--permitted") && !kept().contains("permission"), "nobody agreed to anything");
    let done = mynah(&["voices", "enrol", &reference(), "--name", "Ada", "--permitted"]);
    assert_eq!((status(&done), stderr(&done).as_str()), (0, ""));
    assert!(
        kept().contains("permission") && kept().contains("clone-test.wav"),
        "what was agreed to is kept, and where the voice comes from"
    );
    told(&mynah(&["convert", &input, "--voice", "Eve", "-o", &out]), 1, &["`Eve`", "`Ada`"]);
    let listed = mynah(&["voices", "list", "--json"]);
    let voices: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let voices = &voices["voices"];
    assert_eq!(voices[0]["name"], "Ada");
    assert!(voices[0]["median_pitch_hz"].as_f64().is_some_and(|hz| (50.0..500.0).contains(&hz)), "{voices}");
    let done = mynah(&["convert", &input, "--voice", "Ada", "-o", &out]);
    assert_eq!(status(&done), 0, "{}", stderr(&done));
    told(&mynah(&["voices", "enrol", &reference(), "--name", "../Ada", "--permitted"]), 1, &["../Ada"]);

    // A voice of before there were timbres still converts, and is told to be worth enrolling again.
    assert_eq!(voices[0]["timbre"], true);
    assert!(!stdout(&mynah(&["voices", "list"])).contains("enrol it again"));
    let file = home.path().join("voices/Ada.json");
    let mut old: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).expect("the voice")).expect("JSON");
    assert!(old.as_object_mut().is_some_and(|voice| voice.remove("timbre").is_some()));
    std::fs::write(&file, old.to_string()).expect("written");
    assert!(stdout(&mynah(&["voices", "list"])).contains("enrol it again"));
    let told_all: serde_json::Value = serde_json::from_slice(&mynah(&["doctor", "--json"]).stdout).expect("JSON");
    let findings = told_all["findings"].as_array().expect("findings");
    let voices = findings.iter().find(|f| f["what"] == "voices").expect("a finding on voices");
    assert!(voices["grade"] == "note" && voices["found"].as_str().is_some_and(|f| f.contains("`Ada`")), "{voices}");
    assert_eq!(status(&mynah(&["convert", &input, "--voice", "Ada", "-o", &out])), 0);
    assert_eq!(status(&mynah(&["voices", "remove", "Ada"])), 0);
    told(&mynah(&["voices", "remove", "Ada"]), 1, &["Ada"]);
}

#[test]
fn a_script_gets_one_object_and_nothing_else() {
    let home = folder();
    let (input, out, words) =
        (clip(home.path(), 2.0), in_folder(home.path(), "out.wav"), in_folder(home.path(), "out.srt"));
    let object = |arguments: &[&str]| -> serde_json::Value {
        let done = mynah(arguments);
        assert_eq!(status(&done), 0, "{}", stderr(&done));
        serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {}", stdout(&done)))
    };
    let converted = object(&["convert", &input, "--voice", &reference(), "-o", &out, "--captions", &words, "--json"]);
    assert_eq!((&converted["written"], &converted["mode"]), (&out.as_str().into(), &"studio".into()));
    assert!(converted["latency_samples"].as_u64().is_some_and(|n| n > 0) && converted["words"].is_u64(), "{converted}");
    assert!((converted["seconds"].as_f64().expect("a number") - 2.0).abs() < 1e-6, "{converted}");
    let captioned = object(&["caption", &input, "-o", &words, "--json"]);
    assert_eq!(captioned["recordings"][0]["written"], words.as_str());
    assert!(object(&["voices", "list", "--json"])["voices"].is_array());
    assert!(object(&["models", "list", "--json"])["packs"].is_array());
}

#[test]
fn a_slip_gets_a_suggestion() {
    let home = folder();
    let out = in_folder(home.path(), "out.wav");
    let told = |arguments: &[&str], code: i32, words: &str| {
        let output = mynah(arguments);
        assert_eq!(status(&output), code, "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "`{words}` is missing in: {}", stderr(&output));
    };
    told(&["covert"], 2, "'convert'");
    told(&["caption", "a.wav", "--style", "netflx"], 2, "'netflix'");
    told(&["caption", "a.wav", "--stlye", "bbc"], 2, "'--style'");
    told(&["caption", "a.wav", "--format", "srtt"], 2, "'srt'");
    told(&["caption", "a.wav", "-o", "a.srtt"], 2, "`srt`");
    told(&["models", "info", "onnxruntme"], 1, "`onnxruntime`");
    told(&["convert", "a.wav", "--voice", "b", "-o", &out, "--mode", "balance"], 2, "'balanced'");
}

#[test]
fn shells_and_manuals_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let done = mynah(&["completions", shell]);
        assert_eq!(status(&done), 0, "{}", stderr(&done));
        assert!(stdout(&done).contains("caption") && stdout(&done).contains("glossary"), "{shell}");
    }
    let home = folder();
    let pages = in_folder(home.path(), "new/man");
    assert_eq!(status(&mynah(&["man", &pages])), 0);
    let page = std::fs::read_to_string(home.path().join("new/man/mynah-convert.1")).expect("a page");
    assert!(page.contains(".TH") && page.contains("voice"), "{page}");
    assert!(names(&home.path().join("new/man")).contains(&"mynah.1".to_owned()));
}

#[test]
fn colours_are_left_out_where_nobody_wants_them() {
    let coloured = |name: &str, value: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_mynah"));
        let output = program
            .args(["caption", "--nonsense"])
            .env("CLICOLOR_FORCE", "1")
            .env_remove("NO_COLOR")
            .env(name, value)
            .output();
        stderr(&output.expect("the program runs")).contains('\u{1b}')
    };
    assert!(coloured("TERM", "xterm-256color"), "there is nothing to leave out");
    assert!(!coloured("NO_COLOR", "1"));
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_ends_it_quietly() {
    let (read_end, write_end) = std::io::pipe().expect("a pipe");
    drop(read_end);
    let mut program = Command::new(env!("CARGO_BIN_EXE_mynah"));
    let child = program
        .args(["completions", "bash"])
        .stdout(write_end)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!((status(&ended), stderr(&ended)), (0, String::new()));
}

#[test]
fn missing_and_damaged_packs_are_told() {
    let home = folder();
    let mynah = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_mynah"));
        program
            .args(arguments)
            .env("MYNAH_HOME", home.path())
            .env("MYNAH_PACKS", home.path().join("given"))
            .output()
            .expect("runs")
    };
    let (input, out) = (clip(home.path(), 0.5), in_folder(home.path(), "out.wav"));
    told(&mynah(&["convert", &input, "--voice", &reference(), "-o", &out]), 1, &["mynah models fetch"]);
    told(&mynah(&["models", "verify"]), 1, &["mynah models fetch"]);
    told(&mynah(&["models", "info", "nonsense"]), 1, &["`nonsense`"]);
    told(&mynah(&["models", "fetch", "ge2e", "--offline"]), 1, &["--offline"]);
    let other = in_folder(home.path(), "other");
    let other = |platform| {
        mynah(&["models", "fetch", "onnxruntime-directml", "--for", platform, "--into", &other, "--offline"])
    };
    told(&other("macos-aarch64"), 1, &["`onnxruntime-directml` has no file for macos-aarch64"]);
    told(&other("windows-x86_64"), 1, &["the package onnxruntime-directml 1.24.4"]);
    let doctor = mynah(&["doctor", "--json"]);
    assert_eq!(status(&doctor), 1, "{}", stderr(&doctor));
    let findings: serde_json::Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    let runtime = &findings["findings"][0];
    assert_eq!((&runtime["what"], &runtime["grade"]), (&"ONNX Runtime".into(), &"bad".into()));
    assert!(runtime["remedy"].as_str().is_some_and(|r| r.contains("mynah models fetch onnxruntime")), "{runtime}");

    // A pack of its own is taken from a folder; cut short, it is told and not used.
    let speaker = Store::standard().find(Kind::Speaker, None).unwrap_or_else(|e| panic!("{e}"));
    let added = mynah(&["models", "add", speaker.folder().to_str().expect("UTF-8")]);
    assert_eq!(status(&added), 0, "{}", stderr(&added));
    assert_eq!(status(&mynah(&["models", "verify", speaker.id()])), 0);
    let copy = home.path().join("packs").join(speaker.id());
    let model = copy.join("ge2e.onnx");
    let bytes = std::fs::read(&model).expect("the model");
    std::fs::write(&model, &bytes[..bytes.len() / 2]).expect("cut");
    let verified = mynah(&["models", "verify", speaker.id()]);
    assert_eq!(status(&verified), 1);
    assert!(stderr(&verified).contains("sha256") && stderr(&verified).contains("ge2e.onnx"), "{}", stderr(&verified));
    told(&mynah(&["models", "add", copy.to_str().expect("UTF-8")]), 1, &["sha256"]);
    assert!(!home.path().join("out.wav").exists());
}

#[test]
fn models_are_listed_for_people_and_scripts() {
    let listed = mynah(&["models", "list", "--json"]);
    assert_eq!(status(&listed), 0, "{}", stderr(&listed));
    let all: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let packs = all["packs"].as_array().expect("packs");
    for kind in ["runtime", "voice", "captions", "speaker", "vad"] {
        assert!(packs.iter().any(|p| p["kind"] == kind), "{kind}");
    }
    let voice =
        packs.iter().find(|p| p["kind"] == "voice").and_then(|p| p["id"].as_str()).expect("a voice pack").to_owned();
    let info = mynah(&["models", "info", &voice]);
    assert!(stdout(&info).contains("licence"), "{}", stdout(&info));
    assert!(stdout(&mynah(&["models", "list"])).contains(&voice));
}
