//! What `mynah caption` takes, and what of it makes no sense together.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use mynah::recognition::AUTO;
use mynah::subtitles::cues::Style;
use mynah::subtitles::formats::{Format, FrameRate, is_read_back};
use mynah::typed::{beside, meant};

use super::live::LiveArguments;
use super::wording::WordingArguments;
use super::writing::Writing;
use crate::given;
use crate::recording::RecordingArguments;
use crate::terminal::Failure;

/// What `caption` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The recordings: wav, flac, mp3, ogg, m4a, mkv, webm, with FFmpeg installed nearly all others; or captions to
    /// write again: Mynah's .json, .srt or .vtt
    #[arg(required = true, value_name = "IN", value_parser = given::path())]
    pub inputs: Vec<PathBuf>,
    /// The file to write; its ending tells the format. Without it a file beside each recording
    #[arg(short, long, value_name = "OUT.srt", value_parser = given::path())]
    pub output: Option<PathBuf>,
    /// The format, where the name of the file doesn't tell
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<FormatName>,
    /// How captions are cut: netflix where nothing else is asked for. Of .srt and .vtt that are read back the cues stay
    /// unless this is given
    #[arg(long, value_enum)]
    pub style: Option<StyleName>,
    /// The frames a second that iTT counts [default: 24]
    #[arg(long, value_name = "23.976|24|25|29.97|29.97df|30|50|59.94|60")]
    frame_rate: Option<FrameRate>,
    /// Of captions whose text was corrected: the .json with the words that were heard; their times go to the corrected
    /// words
    #[arg(long, value_name = "WORDS.json", value_parser = given::path())]
    pub words: Option<PathBuf>,
    /// Write nothing where a norm of the style can't be kept, or where sound of a recording is missing, damaged or
    /// estimated; else that is told
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub recording: RecordingArguments,
    /// One file for all recordings, which began together: each is a speaker, named as its file
    #[arg(long, value_name = "OUT.srt", conflicts_with = "output", value_parser = given::path())]
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
    #[arg(long, value_name = "OUT.wav", value_parser = given::path())]
    pub sound: Option<PathBuf>,
    /// Replace captions that were changed since Mynah wrote them, or that it didn't write; of several recordings do
    /// those again that were done before
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
        Some((file, name)) if !file.is_empty() && !name.is_empty() => {
            Ok((meant(Path::new(file)).path, name.to_owned()))
        }
        _ => Err("give a recording and a name, such as a.wav=Ada".to_owned()),
    }
}

/// An error where a rate of frames was told and no file counts them.
pub fn check_frames(rate: Option<FrameRate>, formats: impl IntoIterator<Item = Format>) -> Result<(), Failure> {
    if rate.is_some() && !formats.into_iter().any(|f| f == Format::Itt) {
        return Err(Failure::Usage(
            "--frame-rate is for iTT, which counts frames; name the file .itt or add --format itt".to_owned(),
        ));
    }
    Ok(())
}

impl Arguments {
    /// The language that is told; `None` to hear it.
    pub fn language(&self) -> Option<String> {
        (self.language != AUTO).then(|| self.language.clone())
    }

    /// What makes no sense together.
    pub fn check(&self) -> Result<(), Failure> {
        let wrong = |why: &str| Err(Failure::Usage(why.to_owned()));
        if self.words.is_some() && !self.inputs.iter().all(|path| is_read_back(path)) {
            return wrong(
                "--words goes with captions whose text was corrected; give a .srt, .vtt or .json instead of a \
                 recording",
            );
        }
        if self.output.is_some() && self.inputs.len() > 1 {
            return wrong(
                "-o names one file, but several recordings were given; leave it out to write one beside each, or use \
                 --merge",
            );
        }
        if self.sound.is_some() != self.wording.bleeps() {
            return wrong("--profanity bleep and --sound OUT.wav go together: the tones are put into that file");
        }
        if self.sound.is_some()
            && (self.inputs.len() > 1 || self.merge.is_some() || (self.jsonl && self.output.is_none()))
        {
            return wrong("--sound takes one recording whose captions are written; give one, without --merge");
        }
        if let Some((file, _)) = self.speaker.iter().find(|(file, _)| !self.inputs.contains(file)) {
            return wrong(&format!(
                "--speaker names `{}`, which is none of the recordings; write it as it was given",
                file.display()
            ));
        }
        Ok(())
    }

    /// What makes no sense with captions that are read back.
    pub fn check_again(&self) -> Result<(), Failure> {
        let for_sound = [
            (self.merge.is_some(), "--merge"),
            (self.sound.is_some() || self.wording.bleeps(), "--sound and --profanity bleep"),
            (self.jsonl, "--jsonl"),
            (self.live.asked(), "--live"),
        ];
        if let Some((_, option)) = for_sound.iter().find(|(given, _)| *given) {
            return Err(Failure::Usage(format!(
                "{option} needs the sound of a recording, but captions were given; leave it out"
            )));
        }
        if self.words.is_some() && self.inputs.len() > 1 {
            return Err(Failure::Usage("--words belongs to one file of captions; give one".to_owned()));
        }
        Ok(())
    }

    /// Whether a rate of frames was told for files of which none counts them.
    pub fn check_frames(&self, formats: impl IntoIterator<Item = Format>) -> Result<(), Failure> {
        check_frames(self.frame_rate, formats)
    }

    /// How words become a file.
    pub fn writing(&self) -> Result<Writing, Failure> {
        let style = self.style.unwrap_or(StyleName::Netflix).into();
        Ok(Writing {
            style,
            wording: self.wording.wording()?,
            frame_rate: self.frame_rate.unwrap_or_default(),
            strict: self.strict,
        })
    }

    /// Where the captions of a recording go, if into a file of their own.
    pub fn target(&self, recording: &Path) -> Option<PathBuf> {
        match &self.output {
            Some(path) => Some(path.clone()),
            None if self.jsonl => None,
            None => Some(beside(recording, self.format.map_or(Format::Srt, Format::from).extension())),
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
