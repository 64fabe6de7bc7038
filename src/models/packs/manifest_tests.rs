//! Tests of `manifest`.

use super::*;

const HEAD: &str = "id = \"x\"\nkind = \"vad\"\nfamily = \"f\"\ntitle = \"t\"\nlicence = \"MIT\"\norigin = \"o\"\n";
const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn error_of(text: &str) -> String {
    Manifest::parse(text, Path::new("/packs/x/pack.toml")).expect_err("refused").to_string()
}

fn file(name: &str, from: &str) -> String {
    format!("{HEAD}[[files]]\nname = \"{name}\"\nsha256 = \"{HASH}\"\nfrom = {from}\n")
}

#[test]
fn an_unknown_key_is_named_with_file_and_line() {
    let said = error_of(&format!("{HEAD}colour = 3\nfiles = []\n"));
    assert!(said.contains("`/packs/x/pack.toml`, line 7") && said.contains("colour"), "{said}");
    let said = error_of(&file("a", "{ beside = \"a\" }").replace("from", "size = 4\nfrom"));
    assert!(said.contains("line 10") && said.contains("size"), "{said}");
    let said = error_of(&file("a", "{ url = \"a\" }"));
    assert!(said.contains("line 10") && said.contains("url"), "{said}");
}

#[test]
fn a_look_ahead_is_told_for_every_mode() {
    let one = |text: &str| format!("{HEAD}look_ahead = {text}\nfiles = []\n");
    let read = Manifest::parse(&one("{ live = 240, balanced = 960, studio = 2880 }"), Path::new("p")).expect("parsed");
    assert_eq!(
        mynah_realtime::clock::Mode::ALL.map(|mode| read.look_ahead.map(|l| l.of(mode))),
        [Some(240), Some(960), Some(2880)]
    );
    assert!(error_of(&one("720")).contains("line 7"));
    assert!(error_of(&one("{ live = 240, balanced = 960 }")).contains("studio"));
}

#[test]
fn a_tail_is_seconds_that_a_recogniser_can_read() {
    let one = |text: &str| format!("{HEAD}tail_seconds = {text}\nfiles = []\n");
    let read = |text: &str| Manifest::parse(&one(text), Path::new("p")).expect("parsed").tail_seconds;
    assert_eq!((read("1.5"), read("10")), (Some(1.5), Some(10.0)));
    for wrong in ["-1", "31", "nan", "\"1\""] {
        assert!(error_of(&one(wrong)).contains("tail_seconds") || wrong == "\"1\"", "{wrong}");
    }
}

#[test]
fn painting_steps_are_one_or_two() {
    let one = |text: &str| format!("{HEAD}painting_steps = {text}\nfiles = []\n");
    let read = |text: &str| Manifest::parse(text, Path::new("p")).expect("parsed").painting_steps;
    assert_eq!((read(&one("1")), read(&one("2")), read(&format!("{HEAD}files = []\n"))), (Some(1), Some(2), None));
    for wrong in ["0", "3", "-1", "257"] {
        let said = error_of(&one(wrong));
        assert!(
            said.contains("line 7") && said.contains(&format!("`painting_steps` is {wrong} where 1 or 2")),
            "{said}"
        );
    }
    assert!(error_of(&one("1.5")).contains("line 7"));
}

#[test]
fn a_missing_key_and_a_wrong_kind_are_named() {
    assert!(error_of("id = \"x\"\n").contains("kind"));
    let said = error_of(&format!("{HEAD}files = []\n").replace("vad", "dav"));
    assert!(said.contains("line 2") && said.contains("dav") && said.contains("recordings"), "{said}");
}

#[test]
fn a_name_that_leaves_the_folder_is_refused() {
    for name in ["../a", "/etc/passwd", "a/../../b", "", "a//b", ".", "C:x", "a\\\\b", "pack.toml"] {
        let said = error_of(&file(name, "{ beside = \"a\" }"));
        assert!(said.contains("line 8") && said.contains("is no file name inside the pack"), "{name}: {said}");
    }
    for name in ["a", "a/b.onnx", "..a", "a..b"] {
        Manifest::parse(&file(name, "{ beside = \"a\" }"), Path::new("p")).expect("a good name");
    }
    assert!(error_of(&file("a", "{ beside = \"../a\" }")).contains("line 10"));
}

#[test]
fn a_file_has_exactly_one_source() {
    for from in ["{}", "{ wheel = \"w\" }", "{ beside = \"a\", path = \"/a\" }", "{ path = \"a\" }"] {
        assert!(error_of(&file("a", from)).contains("line 10"), "{from}");
    }
    assert!(error_of(&file("a", "{ wheel = \"w\", member = \"m\" }")).contains("`w`, which is not listed"));
}

#[test]
fn a_name_listed_twice_or_built_from_nothing_is_refused() {
    let twice = file("a", "{ beside = \"a\" }") + &file("a", "{ beside = \"a\" }")[HEAD.len()..];
    assert!(error_of(&twice).contains("named twice"));
    let two_targets = file("a", "{ beside = \"a\" }\ntarget = \"linux-x86_64\"")
        + &file("a", "{ beside = \"a\" }\ntarget = \"macos-aarch64\"")[HEAD.len()..];
    Manifest::parse(&two_targets, Path::new("p")).expect("one name for two platforms");
    let built = file("a", "{ beside = \"a\" }")
        + &format!("[[built]]\nname = \"b\"\nsha256 = \"{HASH}\"\nbuilder = \"ge2e\"\nsource = \"c\"\n");
    assert!(error_of(&built).contains("`b` is built from `c`"));
}

#[test]
fn bad_ids_and_hashes_are_refused() {
    for id in ["", "-x", "X", "a/b", "..", "é"] {
        assert!(
            error_of(&format!("{HEAD}files = []\n").replacen("\"x\"", &format!("\"{id}\""), 1)).contains("line 1"),
            "{id}"
        );
    }
    assert!(error_of(&file("a", "{ beside = \"a\" }").replace(HASH, "abc")).contains("line 9"));
}

#[test]
fn packs_with_the_same_files_are_the_same_whatever_their_words() {
    let one = |text: String| Manifest::parse(&text, Path::new("p")).expect("parsed");
    let a = one(file("a", "{ beside = \"a\" }"));
    assert!(a.same_files(&one(file("a", "{ beside = \"b\" }").replace("\"t\"", "\"another title\""))));
    assert!(!a.same_files(&one(file("b", "{ beside = \"a\" }"))));
    assert!(!a.same_files(&one(file("a", "{ beside = \"a\" }").replace("ba78", "ba79"))));
}
