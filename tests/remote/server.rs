//! Real servers of the Open Inference Protocol: MLServer and Triton as PyPI has them, with the graphs of the voice
//! pack, on ports of this machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mynah::clock::Mode;

/// How long a server may take to start.
const START: Duration = Duration::from_secs(60);

/// The Python that has the servers; none, with the reason on the screen, where there is none.
pub fn python() -> Option<PathBuf> {
    let given = std::env::var_os("MYNAH_REMOTE_PYTHON").map(PathBuf::from);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().map(|t| t.join("remote/bin/python"));
    let python = given.or(target).filter(|p| p.is_file());
    if python.is_none() {
        println!(
            "skipped: MLServer and Triton aren't here; `cargo xtask test` fetches them, or MYNAH_REMOTE_PYTHON names \
             a Python that has them"
        );
    }
    python
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn graph(mode: Mode) -> PathBuf {
    repository("models/mynah-voice").join(format!("voice.{}.onnx", mode.name()))
}

/// A server that must not outlive the test.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    /// MLServer with the repository's runtime, as docs/remote.md has it; modes that are `plain` are told of as lists of
    /// numbers.
    pub fn mlserver(python: &Path, port: u16, modes: &[Mode], plain: &[Mode]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, json: serde_json::Value| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, json.to_string()).expect("written");
        };
        let grpc = free_port();
        write(
            "settings.json",
            serde_json::json!({ "host": "127.0.0.1", "http_port": port, "grpc_port": grpc, "metrics_endpoint": null, "parallel_workers": 0 }),
        );
        for mode in modes {
            let name = format!("mynah-voice-{}", mode.name());
            let parameters = serde_json::json!({ "uri": graph(*mode), "extra": { "plain": plain.contains(mode) } });
            write(
                &format!("{name}/model-settings.json"),
                serde_json::json!({ "name": name, "implementation": "mlserver_onnx.Onnx", "parameters": parameters }),
            );
        }
        let mut command = Command::new(python.with_file_name("mlserver"));
        command.arg("start").arg(folder.path()).env("PYTHONPATH", repository("models/recipes/remote"));
        Self::started(command, port, modes, folder)
    }

    /// Triton behind PyTriton.
    pub fn triton(python: &Path, port: u16, modes: &[Mode]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(python);
        command
            .arg(repository("models/recipes/remote/triton_onnx.py"))
            .arg(port.to_string())
            .env("PYTRITON_HOME", folder.path());
        command.args(modes.iter().map(|m| format!("mynah-voice-{}={}", m.name(), graph(*m).display())));
        Self::started(command, port, modes, folder)
    }

    fn started(mut command: Command, port: u16, modes: &[Mode], folder: tempfile::TempDir) -> Self {
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        let mut server = Self { child: child.expect("the server's program"), port, _folder: folder };
        let until = Instant::now() + START;
        while !server.is_ready(modes) {
            let ended = server.child.try_wait().expect("a process");
            if ended.is_some() || Instant::now() > until {
                let log = std::fs::read_to_string(server._folder.path().join("log")).unwrap_or_default();
                panic!("the server did not start ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Whether it says so of itself and of its models.
    fn is_ready(&self, modes: &[Mode]) -> bool {
        let ready = |path: &str| -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(answer.starts_with(b"HTTP/1.1 200"))
        };
        let model = |mode: &Mode| ready(&format!("/v2/models/mynah-voice-{}/ready", mode.name())).unwrap_or(false);
        ready("/v2/health/ready").unwrap_or(false) && modes.iter().all(model)
    }

    /// Ends it at once, as a fault would.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    /// Politely, since Triton has processes of its own to end; then by force.
    fn drop(&mut self) {
        let runs = self.child.try_wait().is_ok_and(|ended| ended.is_none());
        #[cfg(unix)]
        if runs {
            // SAFETY: the process is our own child and has not been waited for, so the number is still its own.
            unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        }
        let until = Instant::now() + Duration::from_secs(15);
        while runs && cfg!(unix) && self.child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
