//! The families of voice packs: the files of each, what is known of one before anything is loaded, and how it is
//! opened. Knows no threads.

use std::path::{Path, PathBuf};

use super::source::OpenError;
use mynah_models::packs::{Pack, PackError};
use mynah_models::runtime::{Provider, RuntimeError, SessionOptions};
use mynah_realtime::clock::{ConverterTiming, Mode};
use mynah_voice::meanvc::{self, MeanVc, Model, SpeakerEncoder};
use mynah_voice::mynah::{self, Mynah, TimbreEncoder};
use mynah_voice::openvoice::{self, OpenVoice, ToneEncoder};
use mynah_voice::rvc::{self, Rvc};
use mynah_voice::{Converter, HearsTimbre, TargetVoice};

/// Names of files in packs, as docs/packs.md has them.
pub(super) const ENCODER: &str = "encoder.onnx";
pub(super) const CONVERTER: &str = "converter.onnx";
pub(super) const VOICE: &str = "voice.onnx";
pub(super) const CONTENT: &str = "content.onnx";
pub(super) const PITCH: &str = "pitch.onnx";
pub(super) const FEATURES: &str = "features.npy";
pub(super) const MEMORY: &str = "memory.onnx";
pub(super) const FLOW: &str = "flow.onnx";
pub(super) const VOCODER: &str = "vocoder.onnx";
pub(super) const SPEAKER: &str = "speaker.onnx";
/// Mynah's own: the weights that its network in Rust and all its graphs read, those of packs that have graphs alone,
/// and the graph that hears timbres.
const NETWORK: &str = "voice.safetensors";
const WEIGHTS: &str = "voice.weights";
const REFERENCE: &str = "reference.onnx";
/// How much of an RVC voice's features are mixed in, where there are any: RVC's own default.
pub(super) const DRAWN: f32 = 0.75;
/// Share of a hop that is kept for computing it, for families that have no measured slack of their own.
const COMPUTING: f64 = 0.5;

/// A family of voice packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Mynah's own.
    Mynah,
    /// RVC; its sound's rate in Hz.
    Rvc(u32),
    /// OpenVoice v2.
    OpenVoice,
    /// MeanVC and MeanVC 2.
    MeanVc(Model),
}

/// A converter, with one sentence where there is something to know of it.
pub(super) type Voiced = (Box<dyn Converter>, Option<String>);

impl Family {
    /// That of a pack. RVC packs say their `rate`, those of MeanVC 2 their chunk as `hop`.
    pub fn of(pack: &Pack) -> Result<Self, OpenError> {
        let m = pack.manifest();
        let lacks = |key: &str| {
            OpenError(format!(
                "the pack `{}` says no `{key}` that its family knows in pack.toml; add it anew",
                pack.id()
            ))
        };
        Ok(match pack.family() {
            "mynah" => Family::Mynah,
            "rvc" => Family::Rvc(m.rate.filter(|r| (8_000..=192_000).contains(r)).ok_or_else(|| lacks("rate"))?),
            "openvoice" => Family::OpenVoice,
            "meanvc" => Family::MeanVc(Model::One200),
            "meanvc2" => Family::MeanVc(m.hop.and_then(Model::two_of_samples).ok_or_else(|| lacks("hop"))?),
            other => {
                let known = "mynah, rvc, openvoice, meanvc2 and meanvc";
                return Err(OpenError(format!(
                    "the voice pack `{}` is of the family {other}, and Mynah knows {known}",
                    pack.id()
                )));
            }
        })
    }

    /// The timing of a mode; quick.
    pub fn timing(self, pack: &Pack, mode: Mode) -> ConverterTiming {
        match self {
            Family::Mynah => match pack.manifest().look_ahead {
                Some(samples) => mynah::timing_with(mode, samples.of(mode) / mynah::HOP),
                None => mynah::timing(mode),
            },
            Family::Rvc(rate) => rvc::timing(mode, rate),
            Family::OpenVoice => openvoice::timing(mode),
            Family::MeanVc(model) => meanvc::timing(model),
        }
    }

    /// Seconds kept for computing a hop.
    pub fn slack(self, pack: &Pack, mode: Mode) -> f64 {
        match self {
            Family::Mynah => own_slack(mode),
            _ => {
                let timing = self.timing(pack, mode);
                COMPUTING * timing.hop as f64 / f64::from(timing.rate)
            }
        }
    }

    /// Loads and warms up a converter from what `network` named. Takes up to seconds.
    pub fn open(
        self,
        pack: &Pack,
        network: &Path,
        mode: Mode,
        voice: &TargetVoice,
        options: &SessionOptions,
    ) -> Result<Voiced, RuntimeError> {
        let file = |name: &str| pack.folder().join(name);
        let name = self.timbre_name(pack).unwrap_or_default();
        let maybe = |name: &str| Some(file(name)).filter(|path| path.exists());
        let drawn = |converter: Box<dyn Converter>, deterministic: bool| {
            let note = "this voice's model draws random numbers by itself: a bounce is never quite equal to what was \
                heard live";
            (converter, (!deterministic).then(|| note.to_owned()))
        };
        Ok(match self {
            Family::Mynah => (Box::new(Mynah::open(network, &name, mode, voice, options)?), None),
            Family::Rvc(_) => {
                let retrieval = maybe(FEATURES).map(|features| rvc::Retrieval { features, share: DRAWN });
                let files = rvc::Files {
                    voice: file(VOICE),
                    content: file(CONTENT),
                    pitch: maybe(PITCH),
                    speaker: 0,
                    retrieval,
                };
                let converter = Rvc::open(&files, mode, voice, options)?;
                let deterministic = converter.deterministic();
                drawn(Box::new(converter), deterministic)
            }
            Family::OpenVoice => {
                let files = openvoice::Files { encoder: file(ENCODER), converter: file(CONVERTER), model: name };
                let converter = OpenVoice::open(&files, mode, voice, options)?;
                let deterministic = converter.deterministic();
                drawn(Box::new(converter), deterministic)
            }
            Family::MeanVc(model) => {
                let files = meanvc::Files {
                    model,
                    weights: name,
                    encoder: file(ENCODER),
                    memory: maybe(MEMORY),
                    flow: file(FLOW),
                    vocoder: file(VOCODER),
                    steps: if pack.manifest().painting_steps == Some(1) {
                        meanvc::Steps::One
                    } else {
                        meanvc::Steps::default()
                    },
                };
                (Box::new(MeanVc::open(&files, voice, options)?), None)
            }
        })
    }

    /// What hears the timbres of the pack; none where its voice is the model.
    pub fn hears(self, pack: &Pack) -> Result<Option<Box<dyn HearsTimbre>>, OpenError> {
        let Some(name) = self.timbre_name(pack) else { return Ok(None) };
        Ok(match self {
            Family::Mynah => Some(Box::new(TimbreEncoder::open(&pack.file(REFERENCE)?, &name)?)),
            Family::Rvc(_) => None,
            Family::OpenVoice => {
                Some(Box::new(ToneEncoder::open(&pack.file(ENCODER)?, &name, &SessionOptions::default())?))
            }
            Family::MeanVc(model) => Some(Box::new(SpeakerEncoder::open(&pack.file(SPEAKER)?, model, &name)?)),
        })
    }

    /// What the timbres of the pack are known by: the hashes of the files that made them. None where its voice is the
    /// model.
    pub fn timbre_name(self, pack: &Pack) -> Option<String> {
        if let Some(name) = &pack.manifest().timbres {
            return Some(name.clone());
        }
        let hash = |wanted: &str| {
            pack.manifest().installed().find(|(name, _)| &***name == wanted).map_or("", |(_, hash)| &hash[..16])
        };
        let made_by = match self {
            Family::Mynah => [REFERENCE, if has(pack, NETWORK) { NETWORK } else { WEIGHTS }],
            Family::Rvc(_) => return None,
            Family::OpenVoice => [ENCODER, CONVERTER],
            Family::MeanVc(_) => [SPEAKER, FLOW],
        };
        Some(made_by.map(hash).join("-"))
    }

    /// The file that the processor runs a mode from: the weights, which the network in Rust reads, where a pack has
    /// them and this processor's instructions are quick enough for it, else the mode's graph; which is also what other
    /// providers run. Where a family has several files, its folder.
    pub fn network(self, pack: &Pack, mode: Mode, provider: Provider, graphs_alone: bool) -> PathBuf {
        let native = provider == Provider::Cpu && !graphs_alone && has(pack, NETWORK) && mynah::runs_natively();
        match self {
            Family::Mynah if native => pack.folder().join(NETWORK),
            Family::Mynah => pack.folder().join(graph_name(mode)),
            _ => pack.folder().to_owned(),
        }
    }

    /// The graph of a mode that alone makes the sound, for measurements of it.
    pub fn graph(self, pack: &Pack, mode: Mode) -> Result<Option<PathBuf>, PackError> {
        match self {
            Family::Mynah => pack.file(&graph_name(mode)).map(Some),
            _ => Ok(None),
        }
    }
}

/// Whether a pack lists a file.
fn has(pack: &Pack, name: &str) -> bool {
    pack.manifest().installed().any(|(known, _)| &**known == name)
}

/// Seconds kept for computing a hop of Mynah's own family.
pub(super) fn own_slack(mode: Mode) -> f64 {
    match mode {
        Mode::Live => 0.0045,
        Mode::Balanced => 0.006,
        Mode::Studio => 0.016,
    }
}

/// The file of a mode's graph in a pack of Mynah's own family.
fn graph_name(mode: Mode) -> String {
    format!("voice.{}.onnx", mode.name())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::PackSource;
    use mynah_models::packs::Store;

    /// The weights where they are quick, the graphs for all other providers, on demand, and where a pack has nothing
    /// else.
    #[test]
    fn what_runs_a_voice_is_told_by_pack_and_provider() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        let name = |source: &PackSource, provider| {
            let file = source.voice_network(Mode::Studio, provider).expect("a pack").expect("one file");
            file.file_name().expect("a name").to_string_lossy().into_owned()
        };
        let own = if mynah::runs_natively() { "voice.safetensors" } else { "voice.studio.onnx" };
        let source = PackSource::at(Store::at([models.clone()]));
        assert_eq!([Provider::Cpu, Provider::Cuda].map(|p| name(&source, p)), [own, "voice.studio.onnx"]);
        assert_eq!(name(&source.graphs_alone(), Provider::Cpu), "voice.studio.onnx");

        let home = tempfile::tempdir().expect("a folder");
        let (from, to) = (models.join("mynah-voice"), home.path().join("mynah-voice"));
        std::fs::create_dir(&to).expect("a folder");
        let page = std::fs::read_to_string(from.join("pack.toml")).expect("a manifest");
        let graphs: Vec<&str> = page.split("[[files]]").filter(|part| !part.contains("safetensors")).collect();
        std::fs::write(to.join("pack.toml"), graphs.join("[[files]]")).expect("written");
        for graph in
            ["voice.live.onnx", "voice.balanced.onnx", "voice.studio.onnx", "voice.modulation.onnx", "reference.onnx"]
        {
            std::fs::copy(from.join(graph), to.join(graph)).expect("copied");
        }
        assert_eq!(name(&PackSource::at(Store::at([home.path().to_owned()])), Provider::Cpu), "voice.studio.onnx");
    }
}
