//! What a source of packs is asked before it gets another one: what a folder is, and whether a pack that somebody else
//! made can run. Knows how each kind of pack is opened; tries nothing itself.

use std::path::Path;

use super::{Identified, identify, open_online, open_whole, trial};
use crate::pack_source::PackSource;
use crate::source::OpenError;
use crate::voices::Family;
use mynah_models::packs::{Kind, Pack};
use mynah_models::runtime::{Provider, Session, SessionOptions};
use mynah_realtime::clock::Mode;
use mynah_recognition::whisper::{Layout, Whisper};

impl PackSource {
    /// What a folder of model files is. Takes some seconds.
    pub fn identify(&self, folder: &Path) -> Result<Identified, OpenError> {
        self.open_runtime()?;
        identify(folder)
    }

    /// Tries a pack that somebody else made: what can't run is an error. Takes some seconds.
    pub fn try_out(&self, pack: &Pack) -> Result<(), OpenError> {
        self.open_runtime()?;
        try_out(pack)
    }
}

fn try_out(pack: &Pack) -> Result<(), OpenError> {
    let options = SessionOptions::default();
    let file = |name: &str| pack.folder().join(name);
    match pack.kind() {
        Kind::Captions => {
            if let Some(recognizer) = open_online(pack.family(), file) {
                return trial::stream(&mut *recognizer?);
            }
            if let Some(recognizer) = open_whole(pack.family(), file) {
                return trial::buffer(&mut *recognizer?);
            }
            let layout = Layout::of_family(pack.family()).unwrap_or(Layout::Mynah);
            pack.expect_family(layout.family())?;
            trial::buffer(&mut Whisper::open_as(layout, &file, &options)?)
        }
        Kind::Voice => {
            let family = Family::of(pack)?;
            let voice = trial::anybody(family.hears(pack)?)?;
            let network = family.network(pack, Mode::Live, Provider::Cpu, false);
            let (mut converter, _) = family.open(pack, &network, Mode::Live, &voice, &options)?;
            trial::converter(&mut *converter)
        }
        // What only Mynah's own parts run: that these can be opened is all that is known of others.
        Kind::Vad | Kind::Speaker | Kind::Pitch => opened(pack, &options),
        Kind::Runtime | Kind::Recordings => Ok(()),
    }
}

fn opened(pack: &Pack, options: &SessionOptions) -> Result<(), OpenError> {
    let mut graphs = pack.manifest().installed().filter(|(name, _)| name.ends_with(".onnx"));
    let open = |name: &str| Session::load(&pack.folder().join(name), options).map(drop);
    Ok(graphs.try_for_each(|(name, _)| open(name))?)
}
