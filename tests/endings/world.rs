//! What surrounds a host that ends: a hub whose line is slow or dead, a disk that hangs, a screen. Knows nothing of the
//! plugin's inside.

use std::ffi::CString;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How a line brings what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// A little at a time, for as long as anybody listens.
    Slow,
    /// A little, then nothing, and it stays open.
    Dead,
}

/// A hub on loopback with one model of a file that never comes whole.
pub struct SlowHub {
    address: String,
}

impl SlowHub {
    pub fn open(line: Line) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A host that ends breaks its line.
                std::thread::spawn(move || _ = answer(stream, line));
            }
        });
        Self { address }
    }

    /// A home whose list names the model.
    pub fn furnish(&self, home: &Path, program: &mut Command) {
        let list = "[[model]]\nid = \"mine\"\nkind = \"captions\"\ntitle = \"Somebody's\"\nlicence = \"Apache-2.0\"\nhub = \"somebody/zipformer\"\n\
                    [[model.files]]\nname = \"encoder.onnx\"\n";
        std::fs::write(home.join("catalogue.toml"), list).expect("written");
        program.env("HF_ENDPOINT", &self.address).env("HF_HOME", home).env_remove("HF_TOKEN");
    }
}

fn answer(mut stream: TcpStream, line: Line) -> std::io::Result<()> {
    const SIZE: usize = 3 << 20;
    let (mut reader, mut head, mut first) = (BufReader::new(stream.try_clone()?), String::new(), false);
    while reader.read_line(&mut head)? > 2 {}
    // The hub's client asks for the first byte alone to know a file's size and mark.
    first |= head.to_lowercase().contains("bytes=0-0");
    let length = if first { 1 } else { SIZE };
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nx-repo-commit: 0123\r\nETag: \"0123\"\r\nContent-Range: bytes \
         0-{}/{SIZE}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
        length - 1
    )?;
    if first {
        return stream.write_all(&[0]);
    }
    stream.write_all(&[0; 1 << 10])?;
    for _ in 0..SIZE >> 10 {
        std::thread::sleep(Duration::from_millis(20));
        if line == Line::Slow {
            stream.write_all(&[0; 1 << 10])?;
        }
    }
    Ok(())
}

fn home() -> PathBuf {
    std::env::var_os("MYNAH_HOME").expect("a home").into()
}

/// Waits until the fetch has begun to write.
pub fn until_a_part_is_here() {
    fn any(folder: &Path) -> bool {
        let inside = std::fs::read_dir(folder).into_iter().flatten().flatten();
        inside.map(|e| e.path()).any(|p| {
            if p.is_dir() {
                any(&p)
            } else {
                p.extension().is_some_and(|e| e == "part") && p.metadata().is_ok_and(|m| m.len() > 0)
            }
        })
    }
    let until = Instant::now() + Duration::from_secs(20);
    while !any(&home().join("packs")) {
        assert!(Instant::now() < until, "nothing is being fetched");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The thread that hung was left behind with its code, and the log says so, where the log can say anything.
pub fn left_behind(library: &Path, thread: &str, logged: bool) {
    #[cfg(target_os = "linux")]
    {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
        assert!(maps.contains(library.to_str().expect("UTF-8")), "the code of a thread that still runs is gone");
    }
    let _ = library;
    if logged {
        let log = std::fs::read_to_string(home().join("logs/mynah.log")).expect("a log");
        assert!(log.contains(&format!("{thread} did not end in time and was left behind")), "{log}");
    }
}

/// A pipe that nobody reads.
pub fn pipe(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).expect("no 0 in it");
    // SAFETY: the path is a C string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

/// A file system whose server never answers: whoever looks into it hangs until it is gone.
#[cfg(target_os = "linux")]
pub struct HungDisk {
    folder: CString,
    _server: std::fs::File,
}

#[cfg(target_os = "linux")]
impl HungDisk {
    pub fn mount(folder: &Path) -> std::io::Result<Self> {
        use std::os::fd::AsRawFd;
        std::fs::create_dir_all(folder)?;
        let server = std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
        let options = CString::new(format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd()))?;
        let folder = CString::new(folder.as_os_str().as_bytes())?;
        // SAFETY: all are C strings that outlive the call.
        let mounted = unsafe {
            libc::mount(
                c"mynah-test".as_ptr(),
                folder.as_ptr(),
                c"fuse".as_ptr(),
                libc::MS_NOSUID | libc::MS_NODEV,
                options.as_ptr().cast(),
            )
        };
        if mounted == 0 { Ok(Self { folder, _server: server }) } else { Err(std::io::Error::last_os_error()) }
    }
}

#[cfg(target_os = "linux")]
impl Drop for HungDisk {
    fn drop(&mut self) {
        // SAFETY: the path is a C string. What still hangs there is let go when the server's file is closed.
        unsafe { libc::umount2(self.folder.as_ptr(), libc::MNT_DETACH) };
    }
}

/// Waits until a thread of that name hangs in that file system.
#[cfg(target_os = "linux")]
pub fn until_it_hangs(thread: &str) {
    let hangs = |task: PathBuf| {
        let read = |name: &str| std::fs::read_to_string(task.join(name)).unwrap_or_default();
        read("comm").trim() == thread && ["fuse", "request_wait"].iter().any(|place| read("wchan").contains(place))
    };
    let until = Instant::now() + Duration::from_secs(30);
    while !std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten().any(|task| hangs(task.path())) {
        assert!(Instant::now() < until, "{thread} does not hang");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A screen of its own.
#[cfg(target_os = "linux")]
pub struct Display {
    pub name: String,
    server: std::process::Child,
}

#[cfg(target_os = "linux")]
impl Display {
    /// None where no server of X11 is installed.
    pub fn open() -> Option<Self> {
        let mut command = Command::new("Xvfb");
        command
            .args(["-displayfd", "1", "-screen", "0", "1280x1024x24"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null());
        let mut server = command.spawn().ok()?;
        let mut number = String::new();
        BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut number).expect("a number");
        Some(Self { name: format!(":{}", number.trim()), server })
    }
}

#[cfg(target_os = "linux")]
impl Drop for Display {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The host's own window with the plugin's in it.
#[cfg(target_os = "linux")]
pub fn window(host: &mut clap_host::ClapHost) -> impl Sized + use<> {
    use x11rb::connection::Connection;
    use x11rb::protocol::xproto::{ConfigureWindowAux, ConnectionExt, CreateWindowAux, WindowClass};
    use x11rb::wrapper::ConnectionExt as _;
    let (x, screen) = x11rb::connect(None).expect("a screen");
    let root = x.setup().roots[screen].clone();
    let window = x.generate_id().expect("a number");
    let events = CreateWindowAux::new();
    x.create_window(
        root.root_depth,
        window,
        root.root,
        0,
        0,
        100,
        100,
        0,
        WindowClass::INPUT_OUTPUT,
        root.root_visual,
        &events,
    )
    .expect("a window");
    x.map_window(window).expect("a request");
    let (width, height) = host.make_window().expect("the plugin's window");
    x.configure_window(window, &ConfigureWindowAux::new().width(width).height(height)).expect("a request");
    // The plugin speaks to the server on a line of its own: the window must be there before.
    x.sync().expect("an answer");
    host.show_window(window.into()).expect("it is shown");
    x
}

/// Windows are tested on X11 alone.
#[cfg(not(target_os = "linux"))]
pub fn window(_: &mut clap_host::ClapHost) {}
