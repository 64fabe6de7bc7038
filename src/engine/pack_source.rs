//! Voices and captioners from the packs of this machine. Knows which family each piece belongs to; knows no threads.

use std::path::{Path, PathBuf};

use super::identify::{Identified, identify, open_online, open_whole};
use super::measure;
use super::source::{Captioner, OpenError, Opened, Source};
use crate::audio;
use crate::captions::RecognizeError;
use crate::captions::online::Speech;
use crate::captions::stream::{Event, Settings, Streamer};
use crate::captions::whisper::{Layout, Whisper};
use crate::clock::{ConverterTiming, Mode};
use crate::packs::{self, Kind, Pack, PackError, Store};
use crate::runtime::{self, Placement, Provider, RuntimeError, SessionOptions};
use crate::vad::Vad;
use crate::voice::enrol::{EnrolError, Enroller, Heard};
use crate::voice::mynah::TimbreEncoder;
use crate::voice::{Converter, TargetVoice, mynah};

macro_rules! told {
    ($($error:ty),*) => {$(
        impl From<$error> for OpenError {
            fn from(e: $error) -> Self {
                Self(e.to_string())
            }
        }
    )*};
}

told!(PackError, RuntimeError, RecognizeError, EnrolError, audio::AudioError);

/// The voice pack of the repository, and the recogniser that Mynah fetches: another pack beside them changes nothing until it is chosen.
const OWN_VOICE: &str = "mynah-voice";
const OWN_CAPTIONS: &str = "whisper-tiny-en";

/// The packs of this machine as a source.
pub struct PackSource {
    store: Store,
}

impl PackSource {
    /// From the places of this machine.
    pub fn standard() -> Self {
        Self::at(Store::standard())
    }

    /// From given places.
    pub fn at(store: Store) -> Self {
        Self { store }
    }

    /// Opens ONNX Runtime, once a process.
    fn open_runtime(&self) -> Result<(), OpenError> {
        if runtime::library().is_none() {
            runtime::init(&self.store.runtime_library()?)?;
        }
        Ok(())
    }

    fn voice_pack(&self) -> Result<Pack, PackError> {
        self.pack_in_use(Kind::Voice, OWN_VOICE)
    }

    fn captions_pack(&self) -> Result<Pack, PackError> {
        self.pack_in_use(Kind::Captions, OWN_CAPTIONS)
    }

    /// The pack of a kind that was chosen; where none was, Mynah's own where it is whole, else any other.
    fn pack_in_use(&self, kind: Kind, own: &str) -> Result<Pack, PackError> {
        match packs::chosen(kind)? {
            Some(id) => self.store.find(kind, Some(&id)),
            None => self.store.find(kind, Some(own)).or_else(|missing| self.store.find(kind, None).map_err(|_| missing)),
        }
    }

    /// The voice pack in use, of the one family that there is. Its file of weights, which every graph opens by itself, has the right hash.
    fn mynah_pack(&self) -> Result<Pack, OpenError> {
        let pack = self.voice_pack()?;
        pack.expect_family("mynah")?;
        pack.file(WEIGHTS)?;
        Ok(pack)
    }

    /// The graph of the voice pack in use for a mode, for measurements of the graph alone.
    pub fn voice_graph(&self, mode: Mode) -> Result<PathBuf, OpenError> {
        Ok(self.mynah_pack()?.file(&graph_name(mode))?)
    }

    /// The name that the timbres of the voice pack in use bear; none without such a pack. A voice whose timbre bears another, or that has none, would be
    /// closer to its reference if it were enrolled again.
    pub fn timbre_model(&self) -> Option<String> {
        self.mynah_pack().ok().map(|pack| weights_name(&pack))
    }

    /// What a folder of model files is. Takes some seconds.
    pub fn identify(&self, folder: &Path) -> Result<Identified, OpenError> {
        self.open_runtime()?;
        identify(folder)
    }

    fn vad(&self) -> Result<Vad, OpenError> {
        Ok(Vad::open(&self.only_model(Kind::Vad, "silero")?)?)
    }

    fn only_model(&self, kind: Kind, family: &str) -> Result<PathBuf, OpenError> {
        let pack = self.store.find(kind, None)?;
        pack.expect_family(family)?;
        model_of(&pack)
    }

    /// What turns references into target voices, with their timbre where a voice pack is at hand. Takes up to a second.
    pub fn enroller(&self) -> Result<Enroller, OpenError> {
        self.open_runtime()?;
        let speaker = self.only_model(Kind::Speaker, "ge2e")?;
        let vad = self.only_model(Kind::Vad, "silero")?;
        let enroller = Enroller::open(&speaker, &vad)?;
        match self.mynah_pack() {
            Ok(pack) => Ok(enroller.with_timbre(TimbreEncoder::open(&pack.file(REFERENCE)?, &weights_name(&pack))?)),
            Err(_) => Ok(enroller),
        }
    }
}

/// The files of a pack of the family `mynah` beside its graphs: the weights of all of them, and the graph that hears timbres.
const WEIGHTS: &str = "voice.weights";
const REFERENCE: &str = "reference.onnx";

/// The file of a mode's graph in such a pack.
fn graph_name(mode: Mode) -> String {
    format!("voice.{}.onnx", mode.name())
}

/// What the timbres of a pack are known by: the hashes of the files that made them.
fn weights_name(pack: &Pack) -> String {
    let hash = |wanted: &str| pack.manifest().installed().find(|(name, _)| &***name == wanted).map_or("", |(_, hash)| &hash[..16]);
    format!("{}-{}", hash(REFERENCE), hash(WEIGHTS))
}

/// One sentence where a server takes longer for a hop than the next one leaves it.
fn too_slow(mode: Mode, provider: Provider, timing: ConverterTiming) -> Option<String> {
    let (server, hop) = (provider.server()?, timing.hop as f64 / f64::from(timing.rate));
    let takes = server.measured(mode).filter(|t| t.as_secs_f64() > hop)?.as_secs_f64();
    Some(format!(
        "a hop takes up to {:.1} ms on the server {server}, and {} leaves {:.0} ms: in real time hops will be late; choose a mode with longer hops, or a \
         server that is nearer or quicker",
        takes * 1e3,
        mode.name(),
        hop * 1e3
    ))
}

/// The pack's only graph.
fn model_of(pack: &Pack) -> Result<PathBuf, OpenError> {
    let graphs: Vec<_> = pack.manifest().installed().filter(|(name, _)| name.ends_with(".onnx")).collect();
    match graphs[..] {
        [(name, _)] => Ok(pack.file(name)?),
        _ => Err(OpenError(format!("the pack `{}` holds {} graphs where one is expected; choose another pack", pack.id(), graphs.len()))),
    }
}

impl Source for PackSource {
    fn timing(&self, mode: Mode) -> Result<ConverterTiming, OpenError> {
        // Without a pack there is no voice, but a latency all the same: the one of the usual look-ahead.
        let look_ahead = self.voice_pack().ok().and_then(|p| p.manifest().look_ahead);
        Ok(look_ahead.map_or_else(|| mynah::timing(mode), |samples| mynah::timing_with(mode, samples.of(mode) / mynah::HOP)))
    }

    fn slack(&self, mode: Mode, provider: Provider) -> f64 {
        let here = match mode {
            Mode::Live => 0.0045,
            Mode::Balanced => 0.006,
            Mode::Studio => 0.016,
        };
        here + provider.server().map_or(0.0, |server| server.room(mode))
    }

    fn measure(&self, mode: Mode, provider: Provider) -> Result<(), OpenError> {
        if provider.server().is_none_or(|server| server.measured(mode).is_some()) {
            return Ok(());
        }
        self.open_runtime()?;
        Ok(mynah::measure(&self.voice_graph(mode)?, mode, &SessionOptions { provider, threads: 1 })?)
    }

    fn open(&self, mode: Mode, voice: &TargetVoice, provider: Provider) -> Result<Opened, OpenError> {
        self.open_runtime()?;
        let pack = self.mynah_pack()?;
        let (model, weights) = (pack.file(&graph_name(mode))?, weights_name(&pack));
        let open = |provider| mynah::Mynah::open(&model, &weights, mode, voice, &SessionOptions { provider, threads: 1 });
        let (converter, provider, note) = match open(provider) {
            Ok(c) => (c, provider, None),
            Err(e @ RuntimeError::Provider { .. }) => (open(Provider::Cpu)?, Provider::Cpu, Some(e.to_string())),
            Err(e) => return Err(e.into()),
        };
        let promised = self.timing(mode)?;
        if converter.timing() != promised {
            let (found, said) = (converter.timing().delay, promised.delay);
            return Err(OpenError(format!(
                "the pack of `{}` says a delay of {said} samples in pack.toml, but the graph has {found}; correct its look_ahead",
                model.display()
            )));
        }
        let note = note.or_else(|| too_slow(mode, provider, promised));
        Ok(Opened { converter: Box::new(converter), provider, note })
    }

    fn placement(&self, mode: Mode, provider: Provider) -> Result<Option<Placement>, OpenError> {
        if provider.server().is_some() {
            return Ok(None);
        }
        self.open_runtime()?;
        measure::placement(self, mode, provider, &self.voice_graph(mode)?).map(Some)
    }

    fn captioner(&self, settings: &Settings) -> Result<Box<dyn Captioner>, OpenError> {
        self.open_runtime()?;
        let pack = self.captions_pack()?;
        if let Some(recognizer) = open_online(pack.family(), |name| pack.folder().join(name)) {
            if let Some(language) = &settings.language {
                let why = format!("the pack `{}` hears its own language and can't be told `{language}`; leave the language out", pack.id());
                return Err(OpenError(why));
            }
            return Ok(Box::new(Speech::new(recognizer?)));
        }
        if let Some(recognizer) = open_whole(pack.family(), |name| pack.folder().join(name)) {
            if let Some(language) = &settings.language {
                let why = format!("the pack `{}` hears its own language and can't be told `{language}`; leave the language out", pack.id());
                return Err(OpenError(why));
            }
            let streamer = Streamer::new(recognizer?, self.vad()?, settings).map_err(|e| OpenError(e.to_string()))?;
            return Ok(Box::new(streamer));
        }
        let layout = Layout::of_family(pack.family()).unwrap_or(Layout::Mynah);
        pack.expect_family(layout.family())?;
        let whisper = Whisper::open_as(layout, &|name| pack.folder().join(name), &SessionOptions::default())?;
        let whisper = whisper.with_tail(pack.manifest().tail_seconds);
        let streamer = Streamer::new(Box::new(whisper), self.vad()?, settings).map_err(|e| OpenError(e.to_string()))?;
        Ok(Box::new(streamer))
    }
}

impl Captioner for Speech {
    fn at(&mut self, seconds: f64, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        Speech::at(self, seconds, events)
    }

    fn push(&mut self, samples: &[f32], behind: f64, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        Speech::push(self, samples, behind, events)
    }

    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        Speech::end(self, events)
    }

    fn settled(&self) -> Option<f64> {
        Some(Speech::settled(self))
    }
}

impl Captioner for Streamer {
    fn at(&mut self, seconds: f64, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        Streamer::end(self, events)?;
        Streamer::at(self, seconds);
        Ok(())
    }

    fn push(&mut self, samples: &[f32], behind: f64, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        self.set_backlog(behind);
        Streamer::push(self, samples, events)
    }

    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        Streamer::end(self, events)
    }

    fn settled(&self) -> Option<f64> {
        Some(Streamer::settled(self))
    }
}

/// Makes a target voice of a reference of any format. Takes some seconds; not for the audio thread.
pub fn enrol_file(path: &Path, name: &str) -> Result<TargetVoice, OpenError> {
    enrol_file_and_tell(path, name).map(|(voice, _)| voice)
}

/// The same, with what was heard of the reference.
pub fn enrol_file_and_tell(path: &Path, name: &str) -> Result<(TargetVoice, Heard), OpenError> {
    let sound = audio::read(path)?;
    Ok(PackSource::standard().enroller()?.enrol_and_tell(&sound, name)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Timing, latency};

    /// What people are promised: at 48 kHz and blocks of 128 samples the host is told no more than this.
    #[test]
    fn the_promised_latencies_are_kept() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        for source in [PackSource::at(Store::at([models])), PackSource::at(Store::at([]))] {
            for (mode, most_ms) in [(Mode::Live, 40.0), (Mode::Balanced, 90.0), (Mode::Studio, 250.0)] {
                let converter = source.timing(mode).expect("known without loading");
                let timing = Timing { host_rate: 48000, max_block: 128, converter, slack: source.slack(mode, Provider::Cpu) };
                let told = latency(&timing).total as f64 / 48.0;
                println!("{}: {told:.1} ms", mode.name());
                assert!(told <= most_ms, "{}: {told} ms", mode.name());
            }
        }
    }

    #[test]
    fn timbres_are_known_by_their_weights() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let name = PackSource::at(Store::at([models])).timbre_model().expect("the repository's own pack");
        assert!(name.len() == 33 && name.split('-').all(|hash| hash.len() == 16), "{name}");
        assert_eq!(PackSource::at(Store::at([])).timbre_model(), None);
    }
}
