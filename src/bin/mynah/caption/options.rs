//! What `mynah caption` takes, and what of it makes no sense together.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use mynah::captions::AUTO;
use mynah::captions::cues::Style;
use mynah::captions::formats::Format;

use super::live::LiveArguments;
use super::wording::WordingArguments;
use crate::terminal::Failure;

/// What `caption` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The recordings: wav, flac, mp3, ogg or m4a
    #[arg(required = true, value_name = "IN")]
    pub inputs: Vec<PathBuf>,
    /// The file to write; its ending tells the format. Without it a file beside each recording
    #[arg(short, long, value_name = "OUT.srt")]
    pub output: Option<PathBuf>,
    /// The format, where the name of the file doesn't tell
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<FormatName>,
    /// How captions are cut
    #[arg(long, value_enum, default_value_t = StyleName::Netflix)]
    pub style: StyleName,
    /// Write nothing where a norm of the style can't be kept; else the file is written and the places are told
    #[arg(long)]
    pub strict: bool,
    /// One file for all recordings, which began together: each is a speaker, named as its file
    #[arg(long, value_name = "OUT.srt", conflicts_with = "output")]
    pub merge: Option<PathBuf>,
    /// Who speaks in a recording; may be given for each
    #[arg(long, value_name = "IN=NAME", value_parser = speaker)]
    speaker: Vec<(PathBuf, String)>,
    /// The language that is spoken, by its code, such as `de`; `auto` hears it, where the model knows several
    #[arg(long, value_name = "CODE", default_value = AUTO)]
    language: String,
    #[command(flatten)]
    pub wording: WordingArguments,
    /// With --profanity bleep: the recording with tones, as wav
    #[arg(long, value_name = "OUT.wav")]
    pub sound: Option<PathBuf>,
    /// Of several recordings do those again that were done before
    #[arg(long)]
    pub force: bool,
    /// Print what came of each recording as JSON, when all is done
    #[arg(long, conflicts_with = "jsonl")]
    pub json: bool,
    /// Print partial and final words as they come, one JSON object a line; files are written only with -o
    #[arg(long)]
    pub jsonl: bool,
    #[command(flatten)]
    pub live: LiveArguments,
}

/// The styles by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StyleName {
    /// 42 characters, two lines
    Netflix,
    /// 37 characters, two lines
    Bbc,
    /// 32 characters, for CEA-608 decoders
    Cea608,
    /// Short cues as early as they can be
    Live,
}

impl From<StyleName> for Style {
    fn from(name: StyleName) -> Self {
        match name {
            StyleName::Netflix => Style::netflix(),
            StyleName::Bbc => Style::bbc(),
            StyleName::Cea608 => Style::cea608(),
            StyleName::Live => Style::live(),
        }
    }
}

/// The formats by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// SubRip
    Srt,
    /// WebVTT
    Vtt,
    /// TTML: IMSC 1.1, text profile
    Ttml,
    /// iTunes Timed Text
    Itt,
    /// Words and cues
    Json,
    /// Plain text
    Txt,
    /// A table
    Csv,
    /// Regions for REAPER
    Reaper,
    /// A script that marks an Ardour session
    Ardour,
    /// Markers for Audition
    Audition,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Srt => Format::Srt,
            FormatName::Vtt => Format::Vtt,
            FormatName::Ttml => Format::Ttml,
            FormatName::Itt => Format::Itt,
            FormatName::Json => Format::Json,
            FormatName::Txt => Format::Text,
            FormatName::Csv => Format::Csv,
            FormatName::Reaper => Format::Reaper,
            FormatName::Ardour => Format::Ardour,
            FormatName::Audition => Format::Audition,
        }
    }
}

fn speaker(text: &str) -> Result<(PathBuf, String), String> {
    match text.rsplit_once('=').map(|(file, name)| (file, name.trim())) {
        Some((file, name)) if !file.is_empty() && !name.is_empty() => Ok((file.into(), name.to_owned())),
        _ => Err("give a recording and a name, such as a.wav=Ada".to_owned()),
    }
}

impl Arguments {
    /// The language that is told; `None` to hear it.
    pub fn language(&self) -> Option<String> {
        (self.language != AUTO).then(|| self.language.clone())
    }

    /// What makes no sense together.
    pub fn check(&self) -> Result<(), Failure> {
        let wrong = |why: &str| Err(Failure::Usage(why.to_owned()));
        if self.output.is_some() && self.inputs.len() > 1 {
            return wrong("-o names one file, but several recordings were given; leave it out to write one beside each, or use --merge");
        }
        if self.sound.is_some() != self.wording.bleeps() {
            return wrong("--profanity bleep and --sound OUT.wav go together: the tones are put into that file");
        }
        if self.sound.is_some() && (self.inputs.len() > 1 || self.merge.is_some() || (self.jsonl && self.output.is_none())) {
            return wrong("--sound takes one recording whose captions are written; give one, without --merge");
        }
        if let Some((file, _)) = self.speaker.iter().find(|(file, _)| !self.inputs.contains(file)) {
            return wrong(&format!("--speaker names `{}`, which is none of the recordings; write it as it was given", file.display()));
        }
        Ok(())
    }

    /// Where the captions of a recording go, if into a file of their own.
    pub fn target(&self, recording: &Path) -> Option<PathBuf> {
        match &self.output {
            Some(path) => Some(path.clone()),
            None if self.jsonl => None,
            None => Some(recording.with_extension(self.format.map_or(Format::Srt, Format::from).extension())),
        }
    }

    /// The format of a file: the one that was asked for, or what its name tells.
    pub fn format_of(&self, path: &Path) -> Result<Format, Failure> {
        self.format.map_or_else(|| super::format_of(path), |f| Ok(f.into()))
    }

    /// Who speaks in a recording, where that was told.
    pub fn speaker_of(&self, recording: &Path) -> Option<String> {
        self.speaker.iter().rev().find(|(file, _)| file == recording).map(|(_, name)| name.clone())
    }
}
