//! FFmpeg's program, where a person has it installed, for what Mynah can't read itself. Knows no codecs.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use symphonia::core::io::MediaSource;

/// Names another program, or none where it is empty.
const VARIABLE: &str = "MYNAH_FFMPEG";
const NAME: &str = if cfg!(windows) { "ffmpeg.exe" } else { "ffmpeg" };

/// Where the program is, if anywhere on the search path.
pub fn find() -> Option<PathBuf> {
    match std::env::var_os(VARIABLE) {
        Some(named) => Some(PathBuf::from(named)).filter(|p| p.is_file()),
        None => std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(NAME)).find(|p| p.is_file()),
    }
}

/// A running program whose output is read.
pub struct Process {
    child: Child,
    said: tempfile::NamedTempFile,
}

impl Process {
    /// Starts decoding the n-th track of sound, from 0. The source is a wave file without an end in its header, on the
    /// file's own timeline.
    pub fn start(program: &Path, file: &Path, track: usize) -> io::Result<(Self, Box<dyn MediaSource>)> {
        let said = tempfile::NamedTempFile::new()?;
        let mut input = std::ffi::OsString::from("file:");
        input.push(std::path::absolute(file)?);
        let mut command = Command::new(program);
        command.args(["-nostdin", "-v", "error", "-i"]).arg(input);
        command.args([
            "-map",
            &format!("0:a:{track}"),
            "-af",
            "aresample=async=1:first_pts=0",
            "-c:a",
            "pcm_f32le",
            "-f",
            "wav",
            "pipe:1",
        ]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said.reopen()?).spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("it has no output"))?;
        Ok((Self { child, said }, Box::new(Output { output: std::sync::Mutex::new(output), at: 0 })))
    }

    /// Waits for its end. Fails with its last line where it failed.
    pub fn end(mut self) -> Result<(), String> {
        let ended = self.child.wait().map_err(|e| e.to_string())?;
        let said = std::fs::read_to_string(self.said.path()).unwrap_or_default();
        let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it says nothing");
        if ended.success() { Ok(()) } else { Err(format!("FFmpeg: {}", last.trim())) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it was read to its end this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it prints.
struct Output {
    output: std::sync::Mutex<ChildStdout>,
    at: u64,
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.output.get_mut().unwrap_or_else(|e| e.into_inner()).read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Output {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Current(0) => Ok(self.at),
            _ => Err(io::ErrorKind::NotSeekable.into()),
        }
    }
}

impl MediaSource for Output {
    fn is_seekable(&self) -> bool {
        false
    }

    fn byte_len(&self) -> Option<u64> {
        None
    }
}
