//! Files and words that come from people: only regular files of a bounded size are read, what is no model is called by
//! its name, a file is written whole or not at all, and names are found however they are typed. Knows no model and no
//! pack.

pub mod names;
pub mod typed;

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest graph: a message of protobuf has no more bytes, nor has one of FlatBuffers.
pub const GRAPH: u64 = 1 << 31;
/// The largest file of weights beside a graph: the 32-bit floats of the largest recogniser that is published have 6.2
/// GB.
pub const WEIGHTS: u64 = 8 << 30;
/// The largest vocabulary: `tokenizer.json` of a quarter of a million tokens has 33 MB.
pub const VOCABULARY: u64 = 1 << 26;
/// The largest page of settings in JSON or TOML.
pub const SETTINGS: u64 = 1 << 24;

/// A regular file, opened, and what the system says of it. A pipe, a device or a folder is an error that says so; so is
/// a file of more than `most` bytes. Never waits for a pipe's other end.
pub fn open(path: &Path, most: u64) -> Result<(File, Metadata), String> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path).map_err(|e| in_words(&e))?;
    let about = file.metadata().map_err(|e| in_words(&e))?;
    match about.len() {
        _ if !about.is_file() => Err(kind(&about).to_owned()),
        bytes if bytes > most => Err(format!("it has {bytes} bytes, and no such file has more than {most}")),
        _ => Ok((file, about)),
    }
}

/// All bytes of a regular file that has at most `most` of them, also where it grows while it is read.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let (file, about) = open(path, most)?;
    let (length, mut bytes) = (about.len().min(most), Vec::new());
    bytes.try_reserve_exact(length as usize).map_err(|_| format!("its {length} bytes don't fit into the memory"))?;
    file.take(length).read_to_end(&mut bytes).map_err(|e| in_words(&e))?;
    Ok(bytes)
}

/// The same for a file of text.
pub fn text(path: &Path, most: u64) -> Result<String, String> {
    let bytes = read(path, most)?;
    if let Some(what) = other_than_a_model(&bytes) {
        return Err(what.to_owned());
    }
    String::from_utf8(bytes).map_err(|e| format!("its byte {} is no text in UTF-8", e.utf8_error().valid_up_to()))
}

/// What bytes are that were taken for a model's and are none: a web page, a pointer of Git LFS, nothing at all. With
/// what to do about it.
pub fn other_than_a_model(bytes: &[u8]) -> Option<&'static str> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]);
    let start = start.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if bytes.is_empty() {
        return Some("it is empty; download it again");
    }
    if start.starts_with("version https://git-lfs") {
        return Some("it is a Git LFS pointer, which stands for the file itself; fetch that with `git lfs pull`");
    }
    let page = ["<!doctype html", "<html", "<head", "<?xml"].iter().any(|tag| start.starts_with(tag));
    page.then_some("it is a web page; download the file that the page leads to")
}

/// A file that is no regular one.
fn kind(about: &Metadata) -> &'static str {
    if about.is_dir() {
        return "it is a folder where a file belongs";
    }
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_fifo(&about.file_type()) {
        return "it is a pipe, of which nothing is read; put the file itself there";
    }
    "it is a device, of which nothing is read; put the file itself there"
}

fn in_words(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => e.to_string(),
    }
}

/// Where Mynah keeps the user's packs and voices: the environment's `MYNAH_HOME`, else `mynah` in the platform's data
/// folder.
///
/// Absolute. `None` where the platform tells no home. Packs lie in `packs/` inside, voices in `voices/`.
pub fn user_folder() -> Option<PathBuf> {
    match std::env::var_os("MYNAH_HOME").filter(|v| !v.is_empty()) {
        Some(home) => std::path::absolute(PathBuf::from(home)).ok(),
        None => directories::BaseDirs::new().map(|dirs| dirs.data_dir().join("mynah")),
    }
}

/// Lets `fill` write a file beside `path`, then puts it in its place: `path` holds the whole new content or what it
/// held before.
pub fn write_whole(path: &Path, fill: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>) -> std::io::Result<()> {
    if path.is_dir() {
        return Err(std::io::Error::other("a folder stands there"));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mynah-").suffix(".part");
    #[cfg(unix)]
    {
        // As any program's new file: readable as the user's mask says, not for the owner alone.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    fill(file.as_file_mut())?;
    std::io::Write::flush(file.as_file_mut())?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a"), "abcd").expect("written");
        assert_eq!(read(&at("a"), 4).expect("read"), b"abcd");
        assert!(read(&at("a"), 3).is_err_and(|why| why.contains("it has 4 bytes")));
        assert!(read(folder.path(), 9).is_err_and(|why| why.contains("folder")));
        assert!(read(&at("none"), 9).is_err_and(|why| why.contains("no such file")));
        // A file with a hole of a terabyte takes no room, neither on the disk nor in the memory.
        File::create(at("hole")).and_then(|f| f.set_len(1 << 40)).expect("a hole");
        assert!(read(&at("hole"), WEIGHTS).is_err_and(|why| why.contains("1099511627776")));
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_told_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (pipe, zeros) = (folder.path().join("pipe"), folder.path().join("zeros"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|s| s.success()));
        std::os::unix::fs::symlink("/dev/zero", &zeros).expect("a link");
        assert!(text(&pipe, 9).is_err_and(|why| why.contains("it is a pipe")));
        assert!(text(&zeros, 9).is_err_and(|why| why.contains("it is a device")));
    }

    #[test]
    fn what_is_no_model_is_called_by_its_name() {
        for (bytes, told) in [
            (&b""[..], Some("empty")),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", Some("git lfs pull")),
            (b"\xef\xbb\xbf\n <!DOCTYPE HTML><title>Sign in</title>", Some("web page")),
            (b"<html lang=\"en\">", Some("web page")),
            (b"\x08\x08\x12\x07pytorch", None),
            (b"<blk> 0\n<s> 1\n", None),
        ] {
            let found = other_than_a_model(bytes);
            assert!(found.is_some() == told.is_some() && found.unwrap_or("").contains(told.unwrap_or("")), "{found:?}");
        }
    }
}
