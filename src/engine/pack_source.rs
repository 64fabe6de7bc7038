//! Voices and captioners from the packs of this machine. Knows which family each piece belongs to; knows no threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::identify::{open_online, open_whole};
use super::measure;
use super::picks::{Offer, Picks};
use super::source::{Captioner, OpenError, Opened, Source};
use super::voices::{Family, own_slack};
use mynah_audio as audio;
use mynah_models::packs::{self, Kind, Pack, PackError, Store};
use mynah_models::runtime::{self, Placement, Provider, RuntimeError, SessionOptions};
use mynah_models::vad::Vad;
use mynah_realtime::clock::{ConverterTiming, Mode};
use mynah_recognition::RecognizeError;
use mynah_recognition::online::Speech;
use mynah_recognition::stream::{Event, Settings, Streamer};
use mynah_recognition::whisper::{ENGLISH, Layout, Whisper};
use mynah_voice::enrol::{EnrolError, Enroller, Heard, SEARCHED};
use mynah_voice::{TargetVoice, mynah};

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

/// The voice pack of the repository, and the recogniser that Mynah fetches: another pack beside them changes nothing
/// until it is chosen.
const OWN_VOICE: &str = "mynah-voice";
const OWN_CAPTIONS: &str = "whisper-tiny-en";

/// The packs of this machine as a source.
pub struct PackSource {
    store: Store,
    picks: Picks,
    /// Whether ONNX Runtime runs the voice where Rust could.
    graphs_alone: bool,
}

impl PackSource {
    /// From the places of this machine.
    pub fn standard() -> Self {
        Self::at(Store::standard())
    }

    /// From given places.
    pub fn at(store: Store) -> Self {
        Self { store, picks: Picks::default(), graphs_alone: false }
    }

    /// With other packs picked.
    pub fn with(self, picks: &Picks) -> Self {
        Self { picks: picks.clone(), ..self }
    }

    /// With every voice run from its graphs by ONNX Runtime, also where its weights can be run without: for
    /// comparisons.
    pub fn graphs_alone(self) -> Self {
        Self { graphs_alone: true, ..self }
    }

    /// Opens ONNX Runtime, once a process.
    pub(super) fn open_runtime(&self) -> Result<(), OpenError> {
        if runtime::library().is_none() {
            runtime::init(&self.store.runtime_library()?)?;
        }
        Ok(())
    }

    fn voice_pack(&self) -> Result<Pack, PackError> {
        self.pack_in_use(Kind::Voice, OWN_VOICE)
    }

    /// The recogniser in use.
    pub fn captions_pack(&self) -> Result<Pack, PackError> {
        self.pack_in_use(Kind::Captions, OWN_CAPTIONS)
    }

    /// The pack of a kind that was picked here, or else chosen for this machine; where none was, Mynah's own where it
    /// is whole, else any other.
    fn pack_in_use(&self, kind: Kind, own: &str) -> Result<Pack, PackError> {
        let picked = self.picks.pack(kind).map(str::to_owned);
        match picked.map_or_else(|| packs::chosen(kind), |id| Ok(Some(id)))? {
            Some(id) => self.store.find(kind, Some(&id)),
            None => {
                self.store.find(kind, Some(own)).or_else(|missing| self.store.find(kind, None).map_err(|_| missing))
            }
        }
    }

    /// The voice pack in use and its family.
    fn voice(&self) -> Result<(Pack, Family), OpenError> {
        let pack = self.voice_pack()?;
        let family = Family::of(&pack)?;
        Ok((pack, family))
    }

    /// The graph of the voice pack in use that alone makes the sound of a mode, for measurements; none where a pack has
    /// several.
    pub fn voice_graph(&self, mode: Mode) -> Result<Option<PathBuf>, OpenError> {
        let (pack, family) = self.voice()?;
        Ok(family.graph(&pack, mode)?)
    }

    /// The file that a provider runs a mode of the voice pack in use from, for measurements: weights or a graph; none
    /// where a pack has several.
    pub fn voice_network(&self, mode: Mode, provider: Provider) -> Result<Option<PathBuf>, OpenError> {
        let (pack, family) = self.voice()?;
        Ok(Some(family.network(&pack, mode, provider, self.graphs_alone)).filter(|file| file.extension().is_some()))
    }

    /// The name that the timbres of the voice pack in use bear; none without such a pack, or where its voice is the
    /// model. A voice whose timbre bears another, or that has none, would be closer to its reference if it were
    /// enrolled again.
    pub fn timbre_model(&self) -> Option<String> {
        let (pack, family) = self.voice().ok()?;
        family.timbre_name(&pack)
    }

    /// The code of the language that captions are in, as far as that is known before a recogniser is loaded: the one
    /// that was picked, or that of Mynah's own pack. Reads the pack's files once.
    pub fn language(&self) -> Option<String> {
        let own = || self.captions_pack().ok().filter(|pack| pack.id() == OWN_CAPTIONS).map(|_| ENGLISH.to_owned());
        self.picks.language.clone().or_else(own)
    }

    /// The number of the track in which somebody speaks, from 1; `None` where the file has one alone, or nobody speaks.
    /// Fails without a pack that hears speech.
    pub fn spoken_track(&self, path: &Path, tracks: usize) -> Result<Option<usize>, OpenError> {
        if tracks < 2 {
            return Ok(None);
        }
        self.open_runtime()?;
        Ok(super::spoken_track::spoken_track(path, tracks, &mut self.vad()?)?)
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
        // Without a voice pack there is no timbre, but a voice all the same. The one in use must hear; Mynah's own
        // hears too, so that a voice stays of use when the other is put away.
        let mut heard = Vec::new();
        if let Ok((pack, family)) = self.voice() {
            heard.extend(family.hears(&pack)?);
            if family != Family::Mynah
                && let Ok(own) = self.store.find(Kind::Voice, Some(OWN_VOICE))
            {
                heard.extend(Family::Mynah.hears(&own)?);
            }
        }
        Ok(heard.into_iter().fold(enroller, Enroller::with_timbre))
    }
}

/// Seconds of the way to a server and back; none where no server computes.
fn distance(mode: Mode, provider: Provider) -> f64 {
    provider.server().map_or(0.0, |server| server.room(mode))
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
        _ => Err(OpenError(format!(
            "the pack `{}` holds {} graphs where one is expected; choose another pack",
            pack.id(),
            graphs.len()
        ))),
    }
}

impl Source for PackSource {
    fn timing(&self, mode: Mode) -> Result<ConverterTiming, OpenError> {
        // Without a pack there is no voice, but a latency all the same: the one of the usual look-ahead.
        Ok(self.voice().map_or_else(|_| mynah::timing(mode), |(pack, family)| family.timing(&pack, mode)))
    }

    fn slack(&self, mode: Mode, provider: Provider) -> f64 {
        let here = self.voice().map_or_else(|_| own_slack(mode), |(pack, family)| family.slack(&pack, mode));
        here + distance(mode, provider)
    }

    fn measure(&self, mode: Mode, provider: Provider) -> Result<(), OpenError> {
        if provider.server().is_none_or(|server| server.measured(mode).is_some()) {
            return Ok(());
        }
        self.open_runtime()?;
        let alone = || {
            OpenError(
                "a server computes the voices of Mynah's own pack alone; choose it with `mynah models use`, or \
                 another provider"
                    .to_owned(),
            )
        };
        let graph = self.voice_graph(mode)?.ok_or_else(alone)?;
        Ok(mynah::measure(&graph, mode, &SessionOptions { provider, threads: 1 })?)
    }

    fn open(&self, mode: Mode, voice: &TargetVoice, provider: Provider) -> Result<Opened, OpenError> {
        self.open_runtime()?;
        let (pack, family) = self.voice()?;
        let open = |provider| {
            let network = family.network(&pack, mode, provider, self.graphs_alone);
            family.open(&pack, &network, mode, voice, &SessionOptions { provider, threads: 1 })
        };
        let ((converter, known), provider, note) = match open(provider) {
            Ok(voiced) => (voiced, provider, None),
            Err(e @ RuntimeError::Provider { .. }) => (open(Provider::Cpu)?, Provider::Cpu, Some(e.to_string())),
            Err(e) => return Err(e.into()),
        };
        let promised = self.timing(mode)?;
        if converter.timing() != promised {
            let (found, said) = (converter.timing(), promised);
            return Err(OpenError(format!(
                "the pack `{}` says in pack.toml a delay of {} samples at {} Hz, but its model has {} at {}; correct \
                 its look_ahead or rate",
                pack.id(),
                said.delay,
                said.rate,
                found.delay,
                found.rate
            )));
        }
        let note = note.or_else(|| too_slow(mode, provider, promised)).or(known);
        Ok(Opened { converter, provider, note })
    }

    fn placement(&self, mode: Mode, provider: Provider) -> Result<Option<Placement>, OpenError> {
        if provider.server().is_some() {
            return Ok(None);
        }
        self.open_runtime()?;
        self.voice_graph(mode)?.map(|graph| measure::placement(self, mode, provider, &graph)).transpose()
    }

    fn picked(&self, picks: &Picks) -> Option<Arc<dyn Source>> {
        Some(Arc::new(Self { graphs_alone: self.graphs_alone, ..Self::at(self.store.clone()) }.with(picks)))
    }

    fn offers(&self, provider: Provider) -> Result<Vec<Offer>, OpenError> {
        let unpicked = Self::at(self.store.clone());
        let standard =
            [unpicked.voice_pack(), unpicked.captions_pack()].map(|pack| pack.ok().map(|p| p.id().to_owned()));
        let mut offers: Vec<Offer> = Vec::new();
        for pack in self.store.list().into_iter().flatten().filter(|p| matches!(p.kind(), Kind::Voice | Kind::Captions))
        {
            // Of two packs of a name the first is taken.
            if offers.iter().any(|o| o.id == pack.id()) {
                continue;
            }
            let id = Some(pack.id().to_owned());
            let (voice, family) = (pack.kind() == Kind::Voice, Family::of(&pack).ok());
            let timings = family.filter(|_| voice).map(|family| {
                Mode::ALL.map(|mode| (family.timing(&pack, mode), family.slack(&pack, mode) + distance(mode, provider)))
            });
            let m = pack.manifest();
            offers.push(Offer {
                id: pack.id().to_owned(),
                kind: pack.kind(),
                title: m.title.clone(),
                licence: m.licence.clone(),
                standard: standard.contains(&id),
                timings,
            });
        }
        Ok(offers)
    }

    fn captioner(&self, settings: &Settings) -> Result<Box<dyn Captioner>, OpenError> {
        self.open_runtime()?;
        let pack = self.captions_pack()?;
        let language = settings.language.as_deref().or(self.picks.language.as_deref()).map(str::to_owned);
        let settings = &Settings { language, ..settings.clone() };
        if let Some(recognizer) = open_online(pack.family(), |name| pack.folder().join(name)) {
            let mut recognizer = recognizer?;
            recognizer.speak(settings.language.as_deref())?;
            return Ok(Box::new(Speech::new(recognizer)));
        }
        if let Some(recognizer) = open_whole(pack.family(), |name| pack.folder().join(name)) {
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

    fn languages(&self) -> Vec<&str> {
        Speech::languages(self)
    }

    fn spoken(&self) -> Option<&str> {
        Speech::spoken(self)
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

    fn languages(&self) -> Vec<&str> {
        Streamer::languages(self)
    }

    fn spoken(&self) -> Option<&str> {
        Streamer::spoken(self)
    }

    fn settled(&self) -> Option<f64> {
        Some(Streamer::settled(self))
    }
}

/// The part of a recording that a voice may be made of: the track in which somebody speaks, and as much as is looked
/// at.
pub fn reference(packs: &PackSource, path: &Path) -> Result<audio::Sound, OpenError> {
    let mut reader = audio::Reader::open(path)?;
    if let Some(number) = packs.spoken_track(path, reader.tracks().len())? {
        reader = audio::Reader::open_track(path, audio::Choice::Spoken(number))?;
    }
    Ok(audio::Sound::beginning(reader, SEARCHED as f64)?)
}

/// Makes a target voice of a reference of any format. Takes some seconds; not for the audio thread.
pub fn enrol_file(path: &Path, name: &str) -> Result<TargetVoice, OpenError> {
    enrol_file_and_tell(path, name).map(|(voice, _)| voice)
}

/// The same, with what was heard of the reference.
pub fn enrol_file_and_tell(path: &Path, name: &str) -> Result<(TargetVoice, Heard), OpenError> {
    let packs = PackSource::standard();
    let sound = reference(&packs, path)?;
    Ok(packs.enroller()?.enrol_and_tell(&sound, name)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_realtime::clock::{Timing, latency};

    /// What people are promised: at 48 kHz and blocks of 128 samples the host is told no more than this.
    #[test]
    fn the_promised_latencies_are_kept() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        for source in [PackSource::at(Store::at([models])), PackSource::at(Store::at([]))] {
            for (mode, most_ms) in [(Mode::Live, 40.0), (Mode::Balanced, 90.0), (Mode::Studio, 250.0)] {
                let converter = source.timing(mode).expect("known without loading");
                let timing =
                    Timing { host_rate: 48000, max_block: 128, converter, slack: source.slack(mode, Provider::Cpu) };
                let told = latency(&timing).total as f64 / 48.0;
                println!("{}: {told:.1} ms", mode.name());
                assert!(told <= most_ms, "{}: {told} ms", mode.name());
            }
        }
    }

    #[test]
    fn timbres_are_known_by_their_weights() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        let name = PackSource::at(Store::at([models])).timbre_model().expect("the repository's own pack");
        assert!(name.len() == 33 && name.split('-').all(|hash| hash.len() == 16), "{name}");
        assert_eq!(PackSource::at(Store::at([])).timbre_model(), None);
    }
}
