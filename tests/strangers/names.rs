//! Under whose name a folder becomes a pack, and what is in the place of another one.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mynah::engine::PackSource;

use super::{TRANSDUCER, add, contract, copy, packs, program, refused};

#[cfg(unix)]
#[test]
fn mynahs_own_names_are_refused_and_others_are_replaced_only_where_that_is_said() {
    let home = tempfile::tempdir().expect("a folder");
    for name in ["onnxruntime", "Silero-VAD", "whisper-tiny-en", "Mynah Voice"] {
        let (ok, told) = add(home.path(), &copy(home.path(), name, "zipformer2-1"), &[]);
        assert!(!ok && told.contains("is the name of one of Mynah's own packs"), "{name}: {told}");
        let (ok, told) = add(home.path(), &home.path().join(name), &["--replace"]);
        assert!(!ok && told.contains("Mynah's own"), "{name}: {told}");
    }
    assert!(packs(home.path()).is_empty());
    let [one, two] = ["zipformer2-1", "zipformer2-2"].map(|of| copy(home.path(), &format!("of {of}"), of));
    for (folder, more, ok, says) in [
        (&one, &[][..], true, "family transducer"),
        (&one, &[], true, "family transducer"),
        (&two, &[], false, "(of zipformer2-1 (zipformer2), of the family transducer, in"),
        (&two, &["--replace"], true, "it takes the place of of zipformer2-1 (zipformer2), of the family transducer"),
    ] {
        let (done, told) = add(home.path(), folder, &[&["--id", "mine"], more].concat());
        assert!(done == ok && told.contains(says), "{told}");
        assert!(ok || told.contains("--replace"), "{told}");
    }
    // One that lies where it is looked for first goes on being used, which is told.
    let earlier = home.path().join("earlier");
    std::fs::create_dir_all(earlier.join("mine")).expect("a folder");
    let runtime =
        mynah::packs::Store::standard().find(mynah::packs::Kind::Runtime, None).expect("run `cargo xtask packs`");
    std::os::unix::fs::symlink(runtime.folder(), earlier.join(runtime.id())).expect("linked");
    for file in std::fs::read_dir(home.path().join("packs/mine")).expect("a pack").flatten() {
        std::fs::copy(file.path(), earlier.join("mine").join(file.file_name())).expect("copied");
    }
    let mut command = program::program(home.path());
    command.env("MYNAH_PACKS", &earlier).args(["models", "add", "--id", "mine", "--replace"]).arg(&one);
    let done = command.output().expect("it runs");
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success() && told.contains("another pack of that id goes before it: of zipformer2-2"),
        "{told}"
    );
    // The same for a folder with a pack.toml: its own id counts.
    let made = home.path().join("packs/mine");
    let toml = std::fs::read_to_string(made.join("pack.toml")).expect("a manifest");
    for (id, says) in [("ge2e", "Mynah's own"), ("mine", "there already")] {
        let folder = home.path().join(format!("a pack called {id}"));
        std::fs::create_dir(&folder).expect("a folder");
        TRANSDUCER.iter().for_each(|f| _ = std::fs::copy(made.join(f), folder.join(f)).expect("copied"));
        std::fs::write(folder.join("LICENCE"), "MIT").expect("written");
        let hash = mynah::packs::sha256_of(&folder.join("LICENCE")).expect("hashed");
        let more = format!("\n[[files]]\nname = \"LICENCE\"\nsha256 = \"{hash}\"\nfrom = {{ beside = \"LICENCE\" }}\n");
        std::fs::write(folder.join("pack.toml"), toml.replace("id = \"mine\"", &format!("id = \"{id}\"")) + &more)
            .expect("written");
        let (ok, told) = add(home.path(), &folder, &[]);
        assert!(!ok && told.contains(says), "{id}: {told}");
    }
    assert_eq!(packs(home.path()), ["mine"]);
    let (ok, told) = add(home.path(), &one, &["--id=-no id-"]);
    assert!(!ok && told.contains("is no pack id") && !told.contains("line 1"), "{told}");
}

#[test]
fn a_folder_with_two_models_is_refused_and_both_are_named() {
    let home = tempfile::tempdir().expect("a folder");
    let data = |name: &str| contract("..").join(name);
    let beside = |name: &str, files: &[(PathBuf, &str)]| {
        let folder = copy(home.path(), name, "zipformer2-1");
        for (from, to) in files {
            std::fs::copy(from, folder.join(to)).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        }
        folder
    };
    let second = |part: &str| (contract("zipformer2-2").join(part), format!("second-{part}"));
    let of_second: Vec<(PathBuf, String)> = TRANSDUCER[..3].iter().map(|part| second(part)).collect();
    let of_second: Vec<(PathBuf, &str)> = of_second.iter().map(|(from, to)| (from.clone(), to.as_str())).collect();
    for (name, files, says) in [
        ("ctc", vec![(contract("zipformer2-ctc-1").join("model.onnx"), "model.onnx")], "a CTC model (model.onnx)"),
        ("second", of_second, "a transducer (second-encoder.onnx, second-decoder.onnx, second-joiner.onnx)"),
        ("voice", vec![(data("converters/rvc/project-256.onnx"), "Ada_v1.onnx")], "a voice of RVC (Ada_v1.onnx)"),
    ] {
        let why = refused(&beside(name, &files));
        assert!(why.contains("holds two models: zipformer2 (encoder.onnx") && why.contains(says), "{why}");
    }
    let voices = home.path().join("two voices");
    std::fs::create_dir(&voices).expect("a folder");
    for (from, to) in
        [("content.onnx", "vec.onnx"), ("project-256.onnx", "Ada_v1.onnx"), ("okada-768.onnx", "Bea_v2.onnx")]
    {
        std::fs::copy(data("converters/rvc").join(from), voices.join(to)).expect("copied");
    }
    let why = refused(&voices);
    assert!(why.contains("Ada_v1.onnx") && why.contains("Bea_v2.onnx") && why.contains("two models"), "{why}");
    // What belongs to a model, or is none, is no second one.
    let folder = beside("companions", &[(contract("zipformer2-1").join("encoder.onnx"), "encoder.fp32.onnx")]);
    std::fs::write(folder.join("README.md"), "words").expect("written");
    PackSource::standard().identify(&folder).expect("one model");
}

/// A process that is killed while it copies leaves its folder; the next one takes it away, but not that of one that
/// lives.
#[cfg(unix)]
#[test]
fn what_a_killed_process_left_is_cleaned_away() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("big");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::File::create(folder.join("sound.bin")).and_then(|f| f.set_len(1 << 29)).expect("a file with a hole");
    let hash = mynah::packs::sha256_of(&folder.join("sound.bin")).expect("hashed");
    let text = format!(
        "id = \"big\"\nkind = \"recordings\"\nfamily = \"sound\"\ntitle = \"t\"\nlicence = \"MIT\"\norigin = \"o\"\n\
         [[files]]\nname = \"sound.bin\"\nsha256 = \"{hash}\"\nfrom = {{ beside = \"sound.bin\" }}\n"
    );
    std::fs::write(folder.join("pack.toml"), text).expect("written");
    let start = || program::program(home.path()).args(["models", "add"]).arg(&folder).spawn().expect("it runs");
    let working = |child: &mut std::process::Child| {
        let (began, at) = (Instant::now(), home.path().join("packs"));
        while !packs(home.path()).iter().any(|name| name.starts_with(".big-") && at.join(name).join("lock").exists()) {
            assert!(
                child.try_wait().expect("a child").is_none() && began.elapsed() < Duration::from_secs(120),
                "it never began to copy"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    let mut killed = start();
    working(&mut killed);
    killed.kill().and_then(|()| killed.wait()).expect("killed");
    let left = packs(home.path());
    assert!(left.len() == 1 && left[0].starts_with(".big-"), "{left:?}");
    let small = copy(home.path(), "small", "zipformer2-1");
    let (ok, told) = add(home.path(), &small, &[]);
    assert!(ok, "{told}");
    assert_eq!(packs(home.path()), ["small"], "what was left is gone");
    let mut lives = start();
    working(&mut lives);
    let (ok, told) = add(home.path(), &small, &["--id", "other"]);
    assert!(ok, "{told}");
    assert!(lives.wait().expect("it ends").success(), "what it worked in was left to it");
    assert_eq!(packs(home.path()), ["big", "other", "small"]);
}
