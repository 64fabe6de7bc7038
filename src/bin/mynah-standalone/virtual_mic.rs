//! The virtual microphone on Linux: a sink that Mynah plays into, and a source beside it that other programs choose as
//! "Mynah microphone". Knows the sound server, no engine.
//!
//! Both are modules of PulseAudio's server, or of PipeWire's in its place, which has the same ones. They are loaded
//! over the server's own protocol: `pactl` is not on every machine, and libpulse would have to be there to build.
//! Modules outlive who loaded them, so each carries a mark, the name of a file that its owner holds locked; a lock ends
//! with its process, however that ended, so a mark whose file can be locked is a dead run's and its modules are
//! unloaded at the next start. Nobody else's are touched.

use std::ffi::{CStr, CString};
use std::fs::{File, TryLockError};
use std::io::BufReader;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pulseaudio::protocol::{self, Command, CommandReply};

use super::devices::{OWN_NAME, OWN_PREFIX};
use super::trouble::Trouble;

/// What a module's arguments hold before the mark.
const MARK: &str = "mynah.owner=";
/// How long the server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of the secret that a client shows; servers refuse one of another length, even where they don't look at it.
const COOKIE: usize = 256;
/// The source that other programs choose.
const SOURCE: &str = "mynah_microphone";

/// Virtual microphones that this process made; gone when dropped.
pub struct VirtualMic {
    server: Server,
    /// In the order in which they were loaded.
    modules: Vec<u32>,
    owner: Owner,
    /// What the server calls the sink to play into.
    pub sink: String,
    /// What other programs show.
    pub name: String,
}

impl VirtualMic {
    /// Cleans up after runs that were killed, then makes a virtual microphone at `rate` Hz. Tells how many modules of
    /// others were cleaned up.
    pub fn make(rate: u32) -> Result<(Self, usize), Trouble> {
        let mut server = Server::connect()?;
        let folder = folder();
        let stale = clean(&mut server, &folder)?;
        let owner = Owner::new(&folder)?;
        let taken = server.modules()?;
        let is_free = |sink: &str| {
            !taken.iter().any(|m| m.arguments.split_whitespace().any(|a| a == format!("sink_name={sink}")))
        };
        let number = (1..100).find(|n| is_free(&sink_name(*n))).unwrap_or(100);
        let (sink, name) = (sink_name(number), shown_name(number));
        let source = if number == 1 { SOURCE.to_owned() } else { format!("{SOURCE}-{number}") };
        let mark = format!("{MARK}{}", owner.mark);
        let mut made = Self { server, modules: Vec::new(), owner, sink, name };
        let (sink, name) = (&made.sink, &made.name);
        let shape = format!("rate={rate} channels=2 channel_map=front-left,front-right");
        let sink_arguments = format!(
            "sink_name={sink} {shape} sink_properties='device.description=\"Mynah (into the microphone)\" {mark}'"
        );
        let source_arguments = format!(
            "source_name={source} master={sink}.monitor source_properties='device.description=\"{name}\" {mark}'"
        );
        for (module, arguments) in [("module-null-sink", sink_arguments), ("module-remap-source", source_arguments)] {
            let loaded = made.server.load(module, &arguments)?;
            made.modules.push(loaded);
        }
        Ok((made, stale))
    }
}

impl Drop for VirtualMic {
    fn drop(&mut self) {
        for module in self.modules.drain(..).rev() {
            // A server that is gone has taken its modules along.
            let _ = self.server.unload(module);
        }
        let _ = std::fs::remove_file(&self.owner.path);
    }
}

/// Where no cookie lies (PipeWire needs none, so it makes none), the sound system's own library sends an empty one, and
/// is thrown out. Lends it one. For the start of the program, before any other thread.
pub fn lend_cookie() {
    if pulseaudio::socket_path_from_env().is_none() || pulseaudio::cookie_path_from_env().is_some() {
        return;
    }
    let path = folder().join("mynah.cookie");
    if std::fs::write(&path, [0; COOKIE]).is_ok() {
        // SAFETY: no other thread runs yet, as the sentence above asks.
        unsafe { std::env::set_var("PULSE_COOKIE", path) };
    }
}

fn sink_name(number: u32) -> String {
    if number == 1 { OWN_PREFIX.to_owned() } else { format!("{OWN_PREFIX}-{number}") }
}

fn shown_name(number: u32) -> String {
    if number == 1 { OWN_NAME.to_owned() } else { format!("{OWN_NAME} {number}") }
}

/// Where marks lie: the user's folder of what lives as long as the session.
fn folder() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR").filter(|f| !f.is_empty()).map_or_else(std::env::temp_dir, PathBuf::from)
}

/// This process's mark: a file that it holds locked.
struct Owner {
    mark: String,
    path: PathBuf,
    _locked: File,
}

impl Owner {
    fn new(folder: &Path) -> Result<Self, Trouble> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mark = format!("{}-{:x}", std::process::id(), since.as_micros());
        let path = mark_path(folder, &mark);
        let make = || -> std::io::Result<File> {
            let file = File::create_new(&path)?;
            file.lock()?;
            Ok(file)
        };
        let failed = |e| Trouble(format!("`{}` can't be written: {e}; check XDG_RUNTIME_DIR", path.display()));
        let _locked = make().map_err(failed)?;
        Ok(Self { mark, path, _locked })
    }
}

fn mark_path(folder: &Path, mark: &str) -> PathBuf {
    folder.join(format!("mynah-{mark}.lock"))
}

/// The mark in a module's arguments.
fn mark_in(arguments: &str) -> Option<&str> {
    let mark = arguments.split_once(MARK)?.1;
    let end = mark.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(mark.len());
    Some(&mark[..end]).filter(|m| !m.is_empty())
}

/// Whether a mark's owner has ended. One whose file isn't there may live elsewhere, so it is left alone.
fn is_dead(folder: &Path, mark: &str) -> bool {
    let Ok(file) = File::open(mark_path(folder, mark)) else { return false };
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Unloads the modules of dead runs; tells how many.
fn clean(server: &mut Server, folder: &Path) -> Result<usize, Trouble> {
    let dead = |m: &Module| mark_in(&m.arguments).is_some_and(|mark| is_dead(folder, mark));
    let stale: Vec<Module> = server.modules()?.into_iter().filter(dead).collect();
    for module in stale.iter().rev() {
        server.unload(module.index)?;
    }
    for mark in stale.iter().filter_map(|m| mark_in(&m.arguments)) {
        let _ = std::fs::remove_file(mark_path(folder, mark));
    }
    Ok(stale.len())
}

/// A module that is loaded.
struct Module {
    index: u32,
    arguments: String,
}

/// A connection to the sound server.
struct Server {
    socket: BufReader<UnixStream>,
    version: u16,
    asked: u32,
}

impl Server {
    fn connect() -> Result<Self, Trouble> {
        let none = "no PulseAudio or PipeWire server runs, so there is no virtual microphone; start one, or choose where the sound goes with \
                    --no-virtual-mic --output NAME";
        let path = pulseaudio::socket_path_from_env().ok_or_else(|| Trouble(none.to_owned()))?;
        let socket = UnixStream::connect(&path)
            .map_err(|e| Trouble(format!("`{}` does not answer: {e}; {none}", path.display())))?;
        for set in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
            set(&socket, Some(PATIENCE)).map_err(|e| Trouble::from_error(&e))?;
        }
        let mut server = Self { socket: BufReader::new(socket), version: protocol::MAX_VERSION, asked: 0 };
        let cookie = pulseaudio::cookie_path_from_env()
            .and_then(|path| std::fs::read(path).ok())
            .unwrap_or_else(|| vec![0; COOKIE]);
        let auth =
            protocol::AuthParams { version: protocol::MAX_VERSION, supports_shm: false, supports_memfd: false, cookie };
        let told: protocol::AuthReply = server.ask(&Command::Auth(auth))?;
        server.version = protocol::MAX_VERSION.min(told.version);
        let mut properties = protocol::Props::new();
        properties.set(protocol::Prop::ApplicationName, c"Mynah");
        let _: protocol::SetClientNameReply = server.ask(&Command::SetClientName(properties))?;
        Ok(server)
    }

    fn tell(&mut self, command: &Command) -> Result<(), Trouble> {
        self.asked += 1;
        protocol::write_command_message(self.socket.get_mut(), self.asked, command, self.version)
            .map_err(|e| refused(&e))
    }

    fn ask<R: CommandReply>(&mut self, command: &Command) -> Result<R, Trouble> {
        self.tell(command)?;
        protocol::read_reply_message(&mut self.socket, self.version).map(|(_, reply)| reply).map_err(|e| refused(&e))
    }

    fn modules(&mut self) -> Result<Vec<Module>, Trouble> {
        let listed: protocol::ModuleInfoList = self.ask(&Command::GetModuleInfoList)?;
        let text = |c: Option<&CStr>| c.map(|c| c.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(listed.into_iter().map(|m| Module { index: m.index, arguments: text(m.argument.as_deref()) }).collect())
    }

    fn load(&mut self, name: &str, arguments: &str) -> Result<u32, Trouble> {
        let c = |text: &str| CString::new(text).map_err(|e| Trouble::from_error(&e));
        let what = protocol::LoadModuleParams { name: c(name)?, arguments: Some(c(arguments)?) };
        // The answer is the new module's number alone, as that of a look-up.
        self.ask::<protocol::LookupReply>(&Command::LoadModule(what)).map(|reply| reply.0)
    }

    fn unload(&mut self, module: u32) -> Result<(), Trouble> {
        self.tell(&Command::UnloadModule(module))?;
        protocol::read_ack_message(&mut self.socket).map(|_| ()).map_err(|e| refused(&e))
    }
}

fn refused(e: &protocol::ProtocolError) -> Trouble {
    Trouble(format!(
        "the sound server made no virtual microphone: {e}; restart it, or go without by --no-virtual-mic --output NAME"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_the_arguments_of_a_module() {
        let written = "sink_name=mynah sink_properties='device.description=\"Mynah\" mynah.owner=41-5f3a'";
        assert_eq!(mark_in(written), Some("41-5f3a"));
        assert_eq!(mark_in("source_properties=\"mynah.owner=7-1 device.class=sound\""), Some("7-1"));
        assert_eq!(mark_in("sink_name=mynah"), None);
        assert_eq!(mark_in("mynah.owner="), None);
    }

    #[test]
    fn only_a_mark_that_nobody_holds_is_dead() {
        let folder = tempfile::tempdir().expect("a folder");
        let owner = Owner::new(folder.path()).expect("a mark");
        assert!(!is_dead(folder.path(), &owner.mark), "it is held");
        assert!(!is_dead(folder.path(), "1-1"), "nothing is known of it");
        let mark = owner.mark.clone();
        drop(owner);
        assert!(is_dead(folder.path(), &mark));
    }
}
