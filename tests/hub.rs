//! Published models from a hub of our own on loopback: lines that break, bytes that are wrong, licences; nothing is
//! ever half installed.

#[path = "common/program.rs"]
mod program;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mynah::plugin::instance::Instance;
use mynah::plugin::models;
use program::program;
use sha2::{Digest, Sha256};

/// The repository and what happens to those who ask for it.
#[derive(Default)]
struct Shelf {
    files: HashMap<String, Vec<u8>>,
    /// Files whose mark is the hash of their bytes, as that of large files is.
    marked: Vec<String>,
    /// An answer ends after so many bytes; none: whole.
    cut: Option<usize>,
    /// So many more answers are given, then the line is dead; none: for ever.
    left: Option<usize>,
    /// What was asked for: a file and the first byte of it.
    asked: Vec<(String, usize)>,
}

/// A hub with one repository, `somebody/zipformer`.
struct Hub {
    shelf: Arc<Mutex<Shelf>>,
    address: String,
}

impl Hub {
    fn open(shelf: Shelf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let shelf = Arc::new(Mutex::new(shelf));
        let shared = shelf.clone();
        std::thread::spawn(move || {
            for line in listener.incoming().flatten() {
                // A broken line is what this hub is for.
                let _ = answer(line, &shared);
            }
        });
        Self { shelf, address }
    }

    fn set(&self, change: impl FnOnce(&mut Shelf)) {
        change(&mut self.shelf.lock().expect("a shelf"));
    }

    fn asked(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut self.shelf.lock().expect("a shelf").asked)
    }
}

fn answer(mut line: TcpStream, shelf: &Mutex<Shelf>) -> std::io::Result<()> {
    let mut reader = BufReader::new(line.try_clone()?);
    let (mut first, mut range) = (String::new(), None);
    reader.read_line(&mut first)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("range") {
            range = value
                .trim()
                .strip_prefix("bytes=")
                .and_then(|r| r.split_once('-'))
                .map(|(a, b)| (a.to_owned(), b.to_owned()));
        }
    }
    let mut shelf = shelf.lock().expect("a shelf");
    if let Some(left) = &mut shelf.left {
        match left.checked_sub(1) {
            Some(less) => *left = less,
            None => return Ok(()),
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    if path == "/api/models/somebody/zipformer/revision/main" {
        let mut paths: Vec<_> = shelf.files.keys().map(|name| format!("{{\"rfilename\": \"{name}\"}}")).collect();
        paths.sort();
        let list = format!("{{\"sha\": \"0123\", \"siblings\": [{}]}}", paths.join(", "));
        return write!(
            line,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: \
             close\r\n\r\n{list}",
            list.len()
        );
    }
    let name = path.strip_prefix("/somebody/zipformer/resolve/main/").unwrap_or_default().to_owned();
    let (Some(bytes), Some((from, to))) = (shelf.files.get(&name).cloned(), range) else {
        return line.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let from: usize = from.parse().expect("a number");
    let to = to.parse().unwrap_or(usize::MAX).min(bytes.len().max(1) - 1);
    let part = &bytes[from.min(bytes.len())..(to + 1).min(bytes.len())];
    let hash = hex(&bytes);
    let mark = if shelf.marked.contains(&name) { hash } else { hash[..40].to_owned() };
    if part.len() > 1 {
        shelf.asked.push((name, from));
    }
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nx-repo-commit: 0123\r\nETag: \"{mark}\"\r\nContent-Range: bytes \
         {from}-{to}/{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        bytes.len(),
        part.len()
    );
    line.write_all(head.as_bytes())?;
    line.write_all(&part[..part.len().min(shelf.cut.unwrap_or(usize::MAX))])
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A published transducer, with a file beside it that takes several pieces.
fn shelf() -> Shelf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/contracts/zipformer2-1");
    let mut files: HashMap<String, Vec<u8>> = ["encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt"]
        .map(|name| (name.to_owned(), std::fs::read(from.join(name)).expect("a contract")))
        .into();
    files.insert(
        "notes.bin".to_owned(),
        (0..9_500_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
    );
    Shelf { files, marked: vec!["encoder.onnx".to_owned(), "notes.bin".to_owned()], ..Shelf::default() }
}

/// A home with a list of its own.
fn home(licence: &str, hashes: &[(&str, String)]) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let mut list = format!(
        "[[model]]\nid = \"mine\"\nkind = \"captions\"\ntitle = \"Somebody's\"\nlicence = \"{licence}\"\nhub = \"somebody/zipformer\"\n"
    );
    for name in ["notes.bin", "encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt"] {
        let hash = hashes
            .iter()
            .find(|(of, _)| *of == name)
            .map_or_else(String::new, |(_, hash)| format!("sha256 = \"{hash}\"\n"));
        list += &format!("[[model.files]]\nname = \"{name}\"\n{hash}");
    }
    std::fs::write(home.path().join("catalogue.toml"), list).expect("written");
    home
}

/// A home whose list names MeanVC 2 in a precision, but not where it lies.
fn home_of_a_voice(precision: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let mut list = "[[model]]\nid = \"mine\"\nkind = \"voice\"\ntitle = \"Mean\"\nlicence = \"Apache-2.0 AND CC-BY-SA-3.0\"\nhub = \"somebody/zipformer\"\n\
                    about = 5000000\nnote = \"its speaker encoder is CC-BY-SA-3.0\"\n"
        .to_owned();
    for (name, precision) in
        [("asr", precision), ("gtm", "full"), ("dit", precision), ("vocos", "full"), ("speaker", precision)]
    {
        list += &format!("[[model.files]]\nname = \"{name}.onnx\"\nfind = \"{precision}\"\n");
    }
    std::fs::write(home.path().join("catalogue.toml"), list).expect("written");
    home
}

fn mynah(home: &Path, hub: &Hub, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = program(home);
    command.args(arguments).env("HF_ENDPOINT", &hub.address).env("HF_HOME", home);
    let done = command.output().expect("it runs");
    (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr))
}

fn installed(home: &Path) -> PathBuf {
    home.join("packs/mine")
}

#[test]
fn a_line_that_breaks_is_gone_on_with_and_the_model_becomes_a_pack() {
    let (home, hub) = (home("Apache-2.0", &[]), Hub::open(shelf()));
    let (_, listed) = mynah(home.path(), &hub, &["models", "list"]);
    assert!(listed.contains("mine") && listed.contains("published, licence Apache-2.0"), "{listed}");
    // Dead after the first piece of the large file, which was asked for after its mark.
    hub.set(|s| s.left = Some(2));
    let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "mine"]);
    assert!(status == Some(1) && told.contains("goes on where it stopped"), "{told}");
    assert!(!installed(home.path()).exists());
    assert_eq!(hub.asked(), [("notes.bin".to_owned(), 0)]);

    // Alive again, but every answer ends early.
    hub.set(|s| (s.left, s.cut) = (None, Some(3_000_000)));
    let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "mine"]);
    assert_eq!(status, Some(0), "{told}");
    let asked = hub.asked();
    assert_eq!(asked[0], ("notes.bin".to_owned(), 4 << 20), "gone on with behind what was here: {asked:?}");
    assert!(told.contains("zipformer2 of the family transducer, unverified"), "{told}");
    assert!(mynah(home.path(), &hub, &["models", "verify", "mine"]).1.contains("whole"));
    let inside: Vec<_> =
        std::fs::read_dir(home.path().join("packs")).expect("packs").flatten().map(|e| e.file_name()).collect();
    assert_eq!(inside, ["mine"], "nothing else stays");
    let toml = std::fs::read_to_string(installed(home.path()).join("pack.toml")).expect("a pack");
    assert!(
        toml.contains("model hub, somebody/zipformer at main; unverified") && toml.contains("title = \"Somebody's\""),
        "{toml}"
    );

    let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "mine"]);
    assert!(
        status == Some(0) && told.contains("whole") && hub.asked().is_empty(),
        "the second time needs no hub: {told}"
    );
}

#[test]
fn wrong_bytes_are_never_installed() {
    let right: Vec<(&str, String)> = vec![("tokens.txt", hex(b"something else"))];
    let (home, hub) = (home("MIT", &right), Hub::open(shelf()));
    let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "mine"]);
    assert!(status == Some(1) && told.contains("sha256") && told.contains("tokens.txt"), "{told}");
    assert!(!installed(home.path()).exists());
    // What a large file's mark says holds too, where the list says nothing: what is here is no longer the hub's, and
    // the next try fetches it anew.
    hub.set(|s| s.files.get_mut("encoder.onnx").expect("there")[100] ^= 1);
    let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "mine"]);
    assert!(status == Some(1) && told.contains("sha256") && told.contains("encoder.onnx"), "{told}");
    let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "mine"]);
    assert!(status == Some(1) && told.contains("tokens.txt"), "{told}");
    // The list names a file that isn't there.
    hub.set(|s| drop(s.files.remove("joiner.onnx")));
    std::fs::remove_dir_all(home.path().join("packs")).expect("removed");
    let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "mine"]);
    assert!(status == Some(1) && told.contains("joiner.onnx") && told.contains("404"), "{told}");
    assert!(!installed(home.path()).exists());
}

#[test]
fn a_listed_model_takes_neither_mynahs_own_names_nor_the_place_of_another_pack() {
    let (home, hub) = (home("MIT", &[]), Hub::open(shelf()));
    let list = home.path().join("catalogue.toml");
    let named =
        |id: &str| std::fs::read_to_string(&list).expect("a list").replace("id = \"mine\"", &format!("id = \"{id}\""));
    std::fs::write(&list, named("onnxruntime-openvino")).expect("written");
    let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "onnxruntime-openvino"]);
    assert!(status == Some(1) && told.contains("Mynah's own") && hub.asked().is_empty(), "{told}");
    assert!(!home.path().join("packs").exists());

    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/contracts/zipformer2-2");
    let (status, told) = mynah(home.path(), &hub, &["models", "add", from.to_str().expect("UTF-8"), "--id", "theirs"]);
    assert_eq!(status, Some(0), "{told}");
    std::fs::write(&list, named("theirs").replace("onnxruntime-openvino", "theirs")).expect("written");
    // Damaged, it isn't used, and is somebody's all the same.
    std::fs::write(home.path().join("packs/theirs/tokens.txt"), "").expect("damaged");
    let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "theirs"]);
    assert!(
        status == Some(1) && told.contains("a pack `theirs` is there already (zipformer2-2 (zipformer2), in"),
        "{told}"
    );
    assert!(hub.asked().is_empty(), "nothing was fetched for it");
}

#[test]
fn a_voice_whose_paths_nobody_published_is_found_in_the_hubs_own_list() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/contracts-meanvc/meanvc2-files");
    let read = |name: &str| std::fs::read(from.join(name)).expect("a contract");
    let parts = ["fbank.onnx", "asr.onnx", "gtm.onnx", "dit.onnx", "vocos.onnx", "speaker/speaker.onnx"];
    let mut files: HashMap<String, Vec<u8>> = parts.map(|name| (name.to_owned(), read(name))).into();
    files.extend(
        ["int8/asr.onnx", "int8/dit.onnx", "int8/speaker/speaker.onnx"].map(|name| (name.to_owned(), read(name))),
    );
    files.insert("int8/asr.onnx.data".to_owned(), vec![7; 100]);
    let hub = Hub::open(Shelf { files, ..Shelf::default() });
    for (precision, asr) in [("full", "asr.onnx"), ("int8", "int8/asr.onnx")] {
        let home = home_of_a_voice(precision);
        let (_, listed) = mynah(home.path(), &hub, &["models", "list"]);
        assert!(listed.contains("published, about 5 MB, licence Apache-2.0 AND CC-BY-SA-3.0"), "{listed}");
        assert!(
            mynah(home.path(), &hub, &["models", "info", "mine"]).1.contains("its speaker encoder is CC-BY-SA-3.0")
        );
        let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "mine"]);
        assert!(
            status == Some(0) && told.contains("MeanVC 2, chunks of 120 ms of the family meanvc2, unverified"),
            "{told}"
        );
        assert!(told.contains("its speaker encoder is CC-BY-SA-3.0"), "{told}");
        let asked: Vec<String> = hub.asked().into_iter().map(|(name, _)| name).collect();
        assert!(asked.iter().any(|name| name == asr) && !asked.iter().any(|name| name == "fbank.onnx"), "{asked:?}");
        assert_eq!(
            asked.iter().any(|name| name == "int8/asr.onnx.data"),
            precision == "int8",
            "weights beside a graph come with it: {asked:?}"
        );
        let hash = hex(&read(asr));
        assert!(mynah(home.path(), &hub, &["models", "info", "mine"]).1.contains(&hash), "{asr} is the pack's");
    }
    hub.set(|s| drop(s.files.remove("gtm.onnx")));
    let home = home_of_a_voice("full");
    let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "mine"]);
    assert!(
        status == Some(1) && told.contains("`gtm.onnx`") && told.contains("none of the repository's 9 files"),
        "{told}"
    );
    assert!(!installed(home.path()).exists());
}

#[test]
fn a_licence_that_forbids_commerce_is_told_before_anything_is_fetched_and_again_before_use() {
    let (home, hub) = (home("CC-BY-NC-4.0", &[]), Hub::open(shelf()));
    let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "mine"]);
    assert!(
        status == Some(1) && told.contains("CC-BY-NC-4.0 forbids commercial use") && hub.asked().is_empty(),
        "{told}"
    );
    let (status, told) = mynah(home.path(), &hub, &["models", "fetch", "mine", "--non-commercial"]);
    assert_eq!(status, Some(0), "{told}");
    let (status, told) = mynah(home.path(), &hub, &["models", "use", "mine"]);
    assert!(status == Some(1) && told.contains("forbids commercial use"), "{told}");
    let (status, told) = mynah(home.path(), &hub, &["models", "use", "mine", "--non-commercial"]);
    assert!(status == Some(0) && told.contains("forbids commercial use"), "{told}");
}

/// Set where the test is that process.
const WINDOW: &str = "MYNAH_TEST_WINDOW";

/// What a window does, in a process whose environment names the home and the hub.
fn in_a_window() {
    let instance = Instance::new(Arc::default());
    models::look(&instance);
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(60), "{what} did not come: {:?}", instance.models);
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let listed = || instance.models.shelf().published.iter().find(|l| &*l.id == "mine").cloned();
    until("the list", &|| listed().is_some());
    let listing = listed().expect("it is listed");
    models::fetch(&instance, &listing);
    instance.models.cancel();
    until("the end", &|| instance.models.told().is_some());
    assert!(
        instance.models.told().is_some_and(|t| t.is_err_and(|why| why.contains("cancelled"))),
        "{:?}",
        instance.models.told()
    );
    assert!(listed().is_some() && instance.models.coming().is_none());

    models::fetch(&instance, &listing);
    assert!(instance.models.coming().is_some_and(|c| c.title == "Somebody's"));
    until("the model", &|| instance.models.told().is_some() && instance.models.coming().is_none());
    assert!(
        instance.models.told().is_some_and(|t| t.is_ok_and(|here| here.contains("is here, unverified"))),
        "{:?}",
        instance.models.told()
    );
    let shelf = instance.models.shelf();
    let mine = shelf.offers.iter().find(|o| o.id == "mine").expect("it can be picked now");
    assert!(mine.forbids_commerce() && listed().is_none());
    instance.end();
}

#[test]
fn a_window_fetches_gives_up_and_goes_on() {
    // The test starts itself once more: the environment of a process that runs other tests must stay as it is.
    if std::env::var_os(WINDOW).is_some() {
        return in_a_window();
    }
    let (home, hub) = (home("CC-BY-NC-4.0", &[]), Hub::open(shelf()));
    let mut child =
        program::at_home(std::process::Command::new(std::env::current_exe().expect("this program")), home.path());
    child
        .args(["--exact", "a_window_fetches_gives_up_and_goes_on"])
        .env(WINDOW, "1")
        .env("HF_ENDPOINT", &hub.address)
        .env("HF_HOME", home.path());
    let done = child.output().expect("it runs");
    let told = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && told.contains("1 passed"), "{told}");
    assert!(installed(home.path()).join("pack.toml").exists());
}
