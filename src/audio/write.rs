//! Writing files whole or not at all. Knows wav through hound.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::{AudioError, Sound};

/// How samples are stored in a wav file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// 16-bit integers.
    Int16,
    /// 24-bit integers.
    Int24,
    /// 32-bit floats; nothing is lost.
    #[default]
    Float32,
}

impl Depth {
    fn bits(self) -> u16 {
        match self {
            Depth::Int16 => 16,
            Depth::Int24 => 24,
            Depth::Float32 => 32,
        }
    }
}

/// A wav file counts its bytes in 32 bits; room for the header is kept.
const MAX_WAV_BYTES: u64 = u32::MAX as u64 - 4096;

/// Writes 32-bit float wav: whole or not at all, replacing what stood there.
pub fn write_wav(path: &Path, sound: &Sound) -> Result<(), AudioError> {
    write_wav_as(path, sound, Depth::default())
}

/// Writes wav at a depth: whole or not at all. Integer depths are rounded to the nearest step and held at full scale.
pub fn write_wav_as(path: &Path, sound: &Sound, depth: Depth) -> Result<(), AudioError> {
    let unwritable = |why: &str| AudioError::Unwritable { path: path.to_owned(), why: why.to_owned() };
    let (frames, count) = (sound.frames(), sound.channels.len());
    if count == 0 || count > u16::MAX as usize || sound.rate == 0 {
        return Err(unwritable("it has no channels, too many, or no rate"));
    }
    if sound.channels.iter().any(|c| c.len() != frames) {
        return Err(unwritable("its channels differ in length"));
    }
    if frames as u64 * count as u64 * (depth.bits() as u64 / 8) > MAX_WAV_BYTES {
        return Err(unwritable("it is longer than the 4 GB of a wav file"));
    }
    let spec = hound::WavSpec {
        channels: count as u16,
        sample_rate: sound.rate,
        bits_per_sample: depth.bits(),
        sample_format: if depth == Depth::Float32 { hound::SampleFormat::Float } else { hound::SampleFormat::Int },
    };
    let full = (1i64 << (depth.bits() - 1)) as f64;
    write_whole(path, |file| {
        let mut wav = hound::WavWriter::new(BufWriter::new(file), spec).map_err(io)?;
        for i in 0..frames {
            for channel in &sound.channels {
                let x = channel[i];
                match depth {
                    Depth::Float32 => wav.write_sample(x),
                    _ => wav.write_sample((x as f64 * full).round().clamp(-full, full - 1.0) as i32),
                }
                .map_err(io)?;
            }
        }
        wav.finalize().map_err(io)
    })
    .map_err(|e| AudioError::Write { path: path.to_owned(), why: e.to_string() })
}

fn io(e: hound::Error) -> std::io::Error {
    match e {
        hound::Error::IoError(e) => e,
        other => std::io::Error::other(other.to_string()),
    }
}

/// Lets `fill` write a file beside `path`, then puts it in its place: `path` holds the whole new content or what it held before.
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
    file.as_file_mut().flush()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}
