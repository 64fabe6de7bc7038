//! What the standalone takes on its command line, and what of it makes no sense together. Knows no device.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use mynah::clock::Mode;
use mynah::plugin::params::GATE_OFF;
use mynah::recognition::AUTO;
use mynah::runtime::Provider;

use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  mynah-standalone                                  the system's microphone; choose \"Mynah microphone\" in OBS or Discord
  mynah-standalone --list                           the devices of this machine
  mynah-standalone --input Scarlett --voice ada     another microphone, and a voice that was enrolled
  mynah-standalone --output Headphones --monitor    hear yourself as others do
  mynah-standalone --denoise                        take the noise out of the microphone first
  mynah-standalone --no-window                      in the terminal alone

What is chosen is remembered for the next time; --forget drops it. While it runs: p, m, d, s or q and Enter.
Exit status: 0 ended as wanted, 1 something is wrong, 2 wrong arguments.";

/// Mynah without a DAW: a microphone becomes another voice, and other programs hear it as a microphone.
#[derive(Debug, Parser)]
#[command(name = "mynah-standalone", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// The microphone: its name or a part of it
    #[arg(short, long, value_name = "NAME")]
    pub input: Option<String>,
    /// The headphones in which you hear yourself; with --no-virtual-mic, where the sound goes
    #[arg(short, long, value_name = "NAME")]
    pub output: Option<String>,
    /// List the devices and end
    #[arg(short, long)]
    pub list: bool,
    /// With --list: as JSON
    #[arg(long, requires = "list")]
    pub json: bool,
    /// The channel of the microphone that counts, from 1; 0 mixes all
    #[arg(long, value_name = "N")]
    channel: Option<u16>,
    /// The target voice: the name of an enrolled voice, or a reference recording of 3 s or more
    #[arg(long, value_name = "NAME|REF")]
    pub voice: Option<String>,
    /// Delay against quality
    #[arg(long, value_enum)]
    mode: Option<ModeName>,
    /// What computes the voice: this machine, or a server in another
    #[arg(long, value_name = "cpu|cuda|…|remote=URL")]
    provider: Option<Provider>,
    /// The pitch: moved to the target's (auto), or shifted by so many semitones
    #[arg(long, value_parser = pitch, value_name = "auto|SEMITONES", allow_hyphen_values = true)]
    pitch: Option<Pitch>,
    /// Silence what is softer than this, in dBFS; -80 silences nothing
    #[arg(long, value_parser = gate, value_name = "DBFS", allow_hyphen_values = true)]
    gate: Option<f32>,
    /// Hear yourself in the headphones
    #[arg(long, num_args = 0..=1, default_missing_value = "on", value_name = "on|off")]
    monitor: Option<Switch>,
    /// Take the noise out of the microphone first (20 ms more)
    #[arg(long, num_args = 0..=1, default_missing_value = "on", value_name = "on|off")]
    denoise: Option<Switch>,
    /// Caption what is said; see the window's captions, or `mynah serve`
    #[arg(long, num_args = 0..=1, default_missing_value = "on", value_name = "on|off")]
    captions: Option<Switch>,
    /// The language that is spoken, for the captions, by its code, such as `de`; `auto` hears it, where the model knows
    /// several
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
    /// Begin with your own voice, at the same delay
    #[arg(long)]
    pub passthrough: bool,
    /// Make no virtual microphone; the sound goes to --output
    #[arg(long)]
    pub no_virtual_mic: bool,
    /// Samples that a device passes on at once: fewer make the delay smaller, where the machine keeps up
    #[arg(long, default_value_t = 480, value_parser = clap::value_parser!(u32).range(16..=8192), value_name = "N")]
    pub period: u32,
    /// Open no window
    #[arg(long)]
    pub no_window: bool,
    /// How large the window is drawn
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    pub scale: f64,
    /// Drop what was remembered and end
    #[arg(long)]
    pub forget: bool,
    /// Write the manual page into a folder and end
    #[arg(long, hide = true, value_name = "FOLDER")]
    pub man: Option<PathBuf>,
    /// Leave sound to nice-plug's own shell (jack, alsa, coreaudio, wasapi): one output, no virtual microphone;
    /// `--backend jack --help` tells more
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeName {
    /// The smallest delay
    Live,
    /// A middle way
    Balanced,
    /// The best sound
    Studio,
}

/// A pitch as it was typed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pitch(Option<f32>);

fn pitch(text: &str) -> Result<Pitch, String> {
    match text.parse::<f32>() {
        _ if text == "auto" => Ok(Pitch(None)),
        Ok(s) if s.abs() <= 24.0 => Ok(Pitch(Some(s))),
        _ => Err("give auto, or semitones from -24 to 24".to_owned()),
    }
}

fn gate(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|d| (GATE_OFF..=0.0).contains(d)).ok_or_else(|| format!("give dBFS from {GATE_OFF} to 0"))
}

impl Arguments {
    /// What was remembered, with what was typed put over it. Devices and the voice are left to who finds them.
    pub fn over(&self, mut settings: Settings) -> Settings {
        let on = |switch: Option<Switch>, before: bool| switch.map_or(before, |s| s == Switch::On);
        settings.monitor = on(self.monitor, settings.monitor);
        settings.denoise = on(self.denoise, settings.denoise);
        settings.captions = on(self.captions, settings.captions);
        if let Some(mode) = self.mode {
            settings.mode = match mode {
                ModeName::Live => Mode::Live,
                ModeName::Balanced => Mode::Balanced,
                ModeName::Studio => Mode::Studio,
            };
        }
        if let Some(provider) = self.provider {
            settings.provider = provider;
        }
        if let Some(Pitch(semitones)) = self.pitch {
            settings.semitones = semitones;
        }
        if let Some(gate) = self.gate {
            settings.gate = Some(gate).filter(|g| *g > GATE_OFF);
        }
        if let Some(code) = &self.language {
            settings.picks.language = Some(code.clone()).filter(|code| code != AUTO);
        }
        if let Some(channel) = self.channel {
            settings.channel = Some(channel).filter(|c| *c > 0);
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Arguments {
        Arguments::try_parse_from(line.split(' ')).expect("arguments")
    }

    #[test]
    fn what_is_typed_goes_before_what_was_remembered() {
        let remembered =
            Settings { monitor: true, denoise: true, mode: Mode::Studio, gate: Some(-50.0), ..Settings::default() };
        assert_eq!(parsed("mynah-standalone").over(remembered.clone()), remembered);
        let typed = parsed(
            "mynah-standalone --monitor off --mode live --gate -80 --channel 2 --pitch -3 --captions --provider cuda \
             --language de",
        );
        let both = typed.over(remembered);
        assert!(!both.monitor && both.denoise && both.captions);
        assert_eq!((both.provider, both.picks.language.as_deref()), (Provider::Cuda, Some("de")));
        assert_eq!(parsed("mynah-standalone --language auto").over(both.clone()).picks.language, None);
        assert_eq!((both.mode, both.gate, both.channel, both.semitones), (Mode::Live, None, Some(2), Some(-3.0)));
    }

    #[test]
    fn wrong_words_are_refused() {
        for wrong in [
            "--pitch 30",
            "--monitor maybe",
            "--json",
            "--period 8",
            "--mode slow",
            "--gate 3",
            "--gate nan",
            "--provider gpu",
            "rest",
        ] {
            assert!(
                Arguments::try_parse_from(["mynah-standalone"].into_iter().chain(wrong.split(' '))).is_err(),
                "{wrong}"
            );
        }
    }
}
