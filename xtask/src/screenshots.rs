//! Pictures of the plugin's real window in each of its states, taken on a screen of their own: what users will see, to
//! be looked at before they do. No state is drawn: each is brought about, by a folder without packs, a broken pack, a
//! processor that is taken away.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bundle::{self, copy_tree, remove};
use crate::packs;
use crate::run::{Profile, bundled, cargo, checked, mynah, say, target};

/// Width and height of the screen: room for the window at twice its size.
const SCREEN: &str = "2400x1600x24";
/// How long a state may take to come about.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a picture needs.
#[derive(Clone, Copy, Default)]
struct Shot {
    name: &'static str,
    /// Neither the bundle nor the home holds packs.
    bare: bool,
    /// A graph of the voice is cut off.
    broken: bool,
    captions: bool,
    mode: &'static str,
    starve: bool,
    /// Whether a voice is chosen.
    voice: bool,
    /// The picture is taken while it is being loaded.
    at_once: bool,
    /// Seconds of sound before the picture.
    seconds: f64,
    /// The window's settings, as its file has them.
    settings: &'static str,
}

const DARK: &str = "look = \"dark\"\n";

fn shots() -> Vec<Shot> {
    let plain = Shot { settings: DARK, mode: "live", seconds: 3.0, ..Shot::default() };
    let runs = Shot { voice: true, captions: true, mode: "balanced", seconds: 24.0, ..plain };
    vec![
        Shot { name: "no-packs", bare: true, ..plain },
        Shot { name: "no-voice", ..plain },
        Shot { name: "loading", voice: true, at_once: true, ..plain },
        Shot { name: "dark", ..runs },
        Shot { name: "light", settings: "look = \"light\"\n", ..runs },
        Shot { name: "late", starve: true, captions: false, mode: "live", seconds: 14.0, ..runs },
        Shot { name: "error", bare: true, broken: true, voice: true, ..plain },
        Shot { name: "small", settings: "look = \"dark\"\nwidth = 800.0\nheight = 500.0\n", seconds: 12.0, ..runs },
        Shot { name: "wide", settings: "look = \"dark\"\nwidth = 1500.0\nheight = 860.0\n", seconds: 12.0, ..runs },
        Shot { name: "twice", settings: "look = \"dark\"\nscale = 2.0\n", seconds: 12.0, ..runs },
    ]
}

/// Takes the pictures, or those whose names are given, into `target/screenshots`.
pub(crate) fn screenshots(only: &[String], offline: bool) -> Result<()> {
    let missing: Vec<_> = ["Xvfb", "xdotool", "import"].into_iter().filter(|p| !is_there(p)).collect();
    if !missing.is_empty() {
        bail!(
            "without {} no picture can be taken; on Debian `sudo apt-get install xvfb xdotool imagemagick`",
            missing.join(" and ")
        );
    }
    let known = shots();
    if let Some(name) = only.iter().find(|n| known.iter().all(|s| s.name != **n)) {
        bail!(
            "there is no state `{name}`; choose among {}",
            known.iter().map(|s| s.name).collect::<Vec<_>>().join(", ")
        );
    }
    bundle::bundle(Profile::Release, offline)?;
    checked(cargo().args(["build", "--quiet", "--package", "mynah", "--release", "--example", "window_host"]))?;
    let folder = target().join("screenshots");
    fs::create_dir_all(&folder)?;
    let studio = Studio::open(&folder)?;
    for shot in known.iter().filter(|s| only.is_empty() || only.iter().any(|n| n == s.name)) {
        let picture =
            studio.take(shot).with_context(|| format!("the state `{}` could not be brought about", shot.name))?;
        say(&format!("`{}`", picture.display()));
    }
    Ok(())
}

fn is_there(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|f| f.join(program).is_file())
}

/// A program that ends when nobody needs it any more.
pub(crate) struct Kept(pub(crate) Child);

impl Drop for Kept {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A screen without a screen; gives its name too.
pub(crate) fn screen(size: &str) -> Result<(Kept, String)> {
    let mut xvfb = Command::new("Xvfb");
    xvfb.args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", size])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut xvfb = Kept(xvfb.spawn().context("Xvfb could not be started")?);
    let mut number = String::new();
    BufReader::new(xvfb.0.stdout.take().context("Xvfb has no output")?).read_line(&mut number)?;
    anyhow::ensure!(!number.trim().is_empty(), "Xvfb found no free display");
    Ok((xvfb, format!(":{}", number.trim())))
}

/// The screen, the folder of pictures, and homes for the plugin.
struct Studio {
    _screen: Kept,
    display: String,
    folder: PathBuf,
    recordings: PathBuf,
}

impl Studio {
    fn open(folder: &Path) -> Result<Self> {
        let (screen, display) = screen(SCREEN)?;
        let recordings = packs::folder()?.join("recordings");
        let this = Self { _screen: screen, display, folder: folder.to_owned(), recordings };
        this.homes()?;
        Ok(this)
    }

    /// A home with everything and some voices; one with nothing; one with a voice pack that is cut off.
    fn homes(&self) -> Result<()> {
        let (whole, empty, broken) = (self.home("whole"), self.home("empty"), self.home("broken"));
        for home in [&whole, &empty, &broken] {
            remove(home)?;
            fs::create_dir_all(home)?;
        }
        copy_tree(&packs::folder()?, &whole.join("packs"))?;
        copy_tree(&packs::folder()?, &broken.join("packs"))?;
        let graph = broken.join("packs/mynah-voice/voice.live.onnx");
        let bytes = fs::read(&graph).with_context(|| format!("`{}` can't be read", graph.display()))?;
        fs::write(&graph, &bytes[..bytes.len() / 2])?;
        for (file, name) in
            [("endgame_nagg_nell.wav", "Nell"), ("beckett.wav", "Beckett"), ("clone-test.wav", "Studio take")]
        {
            let mut command = Command::new(mynah(Profile::Release));
            command
                .args(["voices", "enrol"])
                .arg(self.recordings.join(file))
                .args(["--name", name])
                .env("MYNAH_HOME", &whole);
            checked(command.stdout(Stdio::null()))?;
        }
        let bare = self.folder.join("bare");
        fs::create_dir_all(&bare)?;
        fs::copy(bundled().join("Mynah.clap"), bare.join("Mynah.clap"))?;
        Ok(())
    }

    fn home(&self, name: &str) -> PathBuf {
        self.folder.join("homes").join(name)
    }

    fn take(&self, shot: &Shot) -> Result<PathBuf> {
        let home = self.home(if shot.broken {
            "broken"
        } else if shot.bare {
            "empty"
        } else {
            "whole"
        });
        fs::write(home.join("window.toml"), shot.settings)?;
        let plugin = if shot.bare { self.folder.join("bare") } else { bundled() }.join("Mynah.clap");
        let mut host = Command::new(target().join("release/examples/window_host"));
        host.arg("--plugin").arg(plugin).arg("--source").arg(self.recordings.join("two_cities.wav"));
        if shot.voice {
            host.arg("--reference")
                .arg(self.recordings.join("endgame_nagg_nell.wav"))
                .arg("--packs")
                .arg(packs::folder()?);
        }
        host.args(["--mode", shot.mode])
            .args(shot.captions.then_some("--captions"))
            .args(shot.starve.then_some("--starve"));
        host.env("DISPLAY", &self.display).env("MYNAH_HOME", &home).env("LIBGL_ALWAYS_SOFTWARE", "1");
        let mut host = Host::start(host)?;
        if shot.at_once {
            // The window first: it must be there when the loading begins.
            std::thread::sleep(Duration::from_secs(3));
            host.ask("voice")?;
            std::thread::sleep(Duration::from_millis(60));
        } else {
            if shot.voice {
                host.ask("voice")?;
                let settled = if shot.broken { "\"state\":\"dead\"" } else { "\"state\":\"ready\"" };
                host.until("status", |said| said.contains(settled))?;
            }
            let from: f64 = host.ask("where")?.parse()?;
            host.until("where", |said| said.parse::<f64>().is_ok_and(|now| now >= from + shot.seconds))?;
        }
        let picture = self.folder.join(format!("{}.png", shot.name));
        let found = Command::new("xdotool")
            .args(["search", "--name", "^Mynah in its host$"])
            .env("DISPLAY", &self.display)
            .output()?;
        let window = String::from_utf8_lossy(&found.stdout).lines().last().unwrap_or_default().to_owned();
        checked(Command::new("import").args(["-window", &window]).arg(&picture).env("DISPLAY", &self.display))?;
        Ok(picture)
    }
}

/// The host of the window; see examples/window_host.rs.
struct Host {
    process: Kept,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Host {
    fn start(mut command: Command) -> Result<Self> {
        let mut process = Kept(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .context("the window's host could not be started")?,
        );
        let to = process.0.stdin.take();
        let mut host = Self { from: BufReader::new(process.0.stdout.take().context("it has no output")?), to, process };
        while host.line()? != "open" {}
        Ok(host)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        anyhow::ensure!(self.from.read_line(&mut line)? > 0, "the window's host ended; its own message stands above");
        Ok(line.trim().to_owned())
    }

    fn ask(&mut self, what: &str) -> Result<String> {
        writeln!(self.to.as_mut().context("it has no input")?, "{what}")?;
        self.line()
    }

    fn until(&mut self, what: &str, holds: impl Fn(&str) -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.ask(what)?;
            if holds(&said) {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < until, "`{what}` still says {said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.to = None;
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && matches!(self.process.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
