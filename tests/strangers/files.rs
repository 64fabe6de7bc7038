//! Files that are no model's: pipes, devices, pages, pointers, vocabularies with gaps.

use std::path::Path;
use std::time::{Duration, Instant};

use super::tiny_onnx::Graph;
use super::{add, change, copy, refused};

#[cfg(unix)]
#[test]
fn vocabularies_with_gaps_and_files_that_are_none_are_told_at_once() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = copy(home.path(), "gap", "zipformer2-1");
    change(&folder.join("tokens.txt"), |text| {
        String::from_utf8_lossy(text).lines().filter(|l| !l.ends_with(" 7")).collect::<Vec<_>>().join("\n").into()
    });
    let why = refused(&folder);
    assert!(why.contains("tokens.txt") && why.contains("line 8 has the number 8, but no line has 7"), "{why}");
    let began = Instant::now();
    for (name, part, make) in [
        (
            "pipe",
            "tokens.txt",
            (|at| assert!(std::process::Command::new("mkfifo").arg(at).status().is_ok_and(|s| s.success())))
                as fn(&Path),
        ),
        ("device", "tokens.txt", |at| std::os::unix::fs::symlink("/dev/zero", at).expect("linked")),
        ("pipe of a graph", "joiner.onnx", |at| {
            assert!(std::process::Command::new("mkfifo").arg(at).status().is_ok_and(|s| s.success()))
        }),
        ("device of a graph", "encoder.onnx", |at| std::os::unix::fs::symlink("/dev/zero", at).expect("linked")),
        ("folder", "decoder.onnx", |at| std::fs::create_dir(at).expect("a folder")),
    ] {
        let folder = copy(home.path(), name, "zipformer2-1");
        std::fs::remove_file(folder.join(part)).expect("removed");
        make(&folder.join(part));
        let why = refused(&folder);
        assert!(
            why.contains(part) && why.contains(&format!("it is a {}", name.split(' ').next().unwrap_or(""))),
            "{name}: {why}"
        );
    }
    // A pack.toml may name such a file, or be one.
    let folder = home.path().join("pack");
    std::fs::create_dir(&folder).expect("a folder");
    assert!(std::process::Command::new("mkfifo").arg(folder.join("pack.toml")).status().is_ok_and(|s| s.success()));
    let (ok, told) = add(home.path(), &folder, &[]);
    assert!(!ok && told.contains("it is a pipe"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(60), "nothing is waited for");
}

#[test]
fn what_was_fetched_in_a_models_place_is_called_by_its_name() {
    let home = tempfile::tempdir().expect("a folder");
    let page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n";
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 174000000\n";
    for (n, (part, content, says)) in [
        ("encoder.onnx", page, "it is a web page"),
        (
            "joiner.onnx",
            pointer,
            "it is a Git LFS pointer, which stands for the file itself; fetch that with `git lfs pull`",
        ),
        ("tokens.txt", pointer, "it is a Git LFS pointer"),
        ("tokens.txt", page, "it is a web page"),
        ("decoder.onnx", "", "it is empty"),
        ("decoder.onnx", "neither this nor that", "could not be loaded"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = copy(home.path(), &n.to_string(), "zipformer2-1");
        std::fs::write(folder.join(part), content).expect("written");
        let why = refused(&folder);
        assert!(why.contains(part) && why.contains(says) && !why.contains("mynah models fetch"), "{why}");
    }
    // A name that no pack can have is not blamed on a pack.toml that nobody wrote.
    let (folder, mut g) = (home.path().join("colon"), Graph::default());
    std::fs::create_dir(&folder).expect("a folder");
    g.input("x", &[Some(1), Some(9), Some(80)]);
    g.weights_beside("times", 1, "a:b.data");
    g.node("Mul", &["x", "times"], "log_probs", &[]);
    g.output("log_probs", &[Some(1), Some(9), Some(80)]);
    std::fs::write(folder.join("model.onnx"), g.model(&[("T", "9"), ("decode_chunk_len", "8")])).expect("written");
    std::fs::write(folder.join("a:b.data"), 1.0f32.to_le_bytes()).expect("written");
    std::fs::write(folder.join("tokens.txt"), (0..80).map(|n| format!("t{n} {n}\n")).collect::<String>())
        .expect("written");
    let (ok, told) = add(home.path(), &folder, &[]);
    assert!(
        !ok && told.contains("no pack can be made of") && told.contains("a:b.data") && !told.contains("line"),
        "{told}"
    );
    // Many files are no long sentence.
    let folder = home.path().join("many");
    std::fs::create_dir(&folder).expect("a folder");
    (0..500).for_each(|n| std::fs::write(folder.join(format!("part-{n:03}-encoder.onnx")), "").expect("written"));
    assert!(refused(&folder).contains("and 494 more"));
}
