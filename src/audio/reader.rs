//! Reads a sound file block by block, whatever it is: its times kept, nothing lost unsaid. Knows containers and
//! decoders, no models.
//!
//! A file is one or more links in a row (recordings joined, chained streams); each has a container with tracks, of
//! which one is decoded and laid on the timeline. Memory does not grow with the length of a file.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use symphonia::core::errors::Error;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, TimeBase};

use super::AudioError;
use super::codecs::{Decoder, Shape};
use super::container::edits::{self, Edits, Piece};
use super::container::mpeg::{self, Joint, Part};
use super::container::riff::Wave;
use super::container::{self, Container, Input, Kind, ProbeError, SoundTrack};
use super::ffmpeg;
use super::notes::Note;
use super::reshape::Reshape;
use super::timeline::Timeline;

/// A file may have this share of undecodable packets before it counts as damaged.
const MAX_DAMAGED_SHARE: f64 = 0.05;
/// Frames of the longest packet of any codec (FLAC's largest block).
const LONGEST_PACKET: u64 = 65_536;
/// After so many damaged packets, if they are most of all, the rest is not tried.
const HOPELESS: usize = 100;
/// So many times in a row a container may fail to find its next packet before the rest counts as lost.
const LOST: usize = 8;
/// A sound that ends so many seconds before its header says is cut off; codecs' own padding is far shorter.
const CUT_OFF_SECONDS: f64 = 0.1;
/// Frames of a block of silence.
const SILENCE_FRAMES: u64 = 65_536;

/// Which track of sound is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The one that the file calls its own, else the first that can be decoded.
    #[default]
    Standard,
    /// The n-th, from 1, as a person said.
    Number(usize),
    /// The n-th, from 1: the one in which somebody speaks.
    Spoken(usize),
}

/// A track, as a person is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackInfo {
    /// From 1.
    pub number: usize,
    /// The coding.
    pub codec: String,
    /// Samples a second, where that is known.
    pub rate: Option<u32>,
    /// Channels, where that is known.
    pub channels: Option<usize>,
    /// Its language, where it is told.
    pub language: Option<String>,
}

/// What comes behind the present link.
enum Next {
    Part(Part),
    /// A wave file at this byte.
    Wave(u64),
}

/// What is decoded at present.
struct Link {
    container: Container,
    kind: Kind,
    track: SoundTrack,
    decoder: Decoder,
    edits: Option<Edits>,
    /// Ticks of the first packet of any track, in seconds: a file that was cut out of a longer one begins there.
    origin: Option<f64>,
    /// Whether the padding that packets are marked with can be believed.
    trims: bool,
}

impl Link {
    /// Seconds that it promises, where an end that comes earlier is a cut: that of a film with pictures may be the
    /// pictures'.
    fn promise(&self) -> Option<f64> {
        match self.kind {
            Kind::Matroska if self.container.all_tracks() > 1 => None,
            Kind::Mpeg | Kind::Ogg => None,
            _ => self.edits.as_ref().and_then(Edits::seconds).or(self.track.promised),
        }
    }
}

/// What waits to be given away.
enum Chunk {
    Silence(u64),
    Sound(Vec<Vec<f32>>),
}

/// What was counted on the way.
#[derive(Debug, Default)]
struct Counts {
    packets: usize,
    damaged: usize,
    first_damage: Option<(f64, String)>,
    lost_in_a_row: usize,
    holes: usize,
    hole_frames: u64,
    first_hole: f64,
    not_numbers: usize,
    joined: usize,
}

/// A sound file that is being read.
pub struct Reader {
    path: PathBuf,
    input: Input,
    /// Holds what came from a pipe until nobody reads it any more.
    _spool: Option<tempfile::TempPath>,
    process: Option<ffmpeg::Process>,
    choice: Choice,
    tracks: Vec<TrackInfo>,
    link: Option<Link>,
    next: VecDeque<Next>,
    shape: Shape,
    promised: Option<f64>,
    timeline: Timeline,
    chunks: VecDeque<Chunk>,
    interleaved: Vec<f32>,
    reshape: Option<Reshape>,
    counts: Counts,
    notes: Vec<Note>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("path", &self.path).field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// The reader's messages, on one line.
pub(super) fn one_line(e: &Error) -> String {
    e.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs what calls other people's decoders: some break down over what a fuzzer makes of a file.
fn guarded<T>(path: &Path, run: impl FnOnce() -> Result<T, AudioError>) -> Result<T, AudioError> {
    std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(AudioError::Damaged { path: path.to_owned(), seconds: 0.0, why: "its decoder broke down".to_owned() })
    })
}

impl Reader {
    /// Opens a file, its standard track. Fails with one sentence for what is no sound that Mynah can read.
    pub fn open(path: &Path) -> Result<Self, AudioError> {
        Self::open_track(path, Choice::Standard)
    }

    /// Opens a track of a file.
    pub fn open_track(path: &Path, choice: Choice) -> Result<Self, AudioError> {
        let open = |e: std::io::Error| AudioError::Open { path: path.to_owned(), why: e.to_string() };
        let meta = std::fs::metadata(path).map_err(open)?;
        if meta.is_dir() {
            return Err(AudioError::Folder(path.to_owned()));
        }
        if meta.is_file() {
            if meta.len() == 0 {
                return Err(AudioError::Empty(path.to_owned()));
            }
            // As the system says it, where it isn't allowed.
            std::fs::File::open(path).map_err(open)?;
            return guarded(path, || Self::begin(Input::File(path.to_owned()), path, choice, None));
        }
        // A pipe can be read once; headers want more.
        let spool = tempfile::NamedTempFile::new().and_then(|mut file| {
            std::io::copy(&mut std::fs::File::open(path)?, &mut file)?;
            Ok(file.into_temp_path())
        });
        let spool = spool.map_err(open)?;
        guarded(path, || Self::begin(Input::File(spool.to_path_buf()), path, choice, Some(spool)))
    }

    /// The same from bytes; `path` is what errors call them, and its ending a hint.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, AudioError> {
        guarded(path, || Self::begin(Input::Bytes(bytes.into()), path, Choice::Standard, None))
    }

    fn begin(input: Input, path: &Path, choice: Choice, spool: Option<tempfile::TempPath>) -> Result<Self, AudioError> {
        let mut reader = Self {
            path: path.to_owned(),
            input,
            _spool: spool,
            process: None,
            choice,
            tracks: Vec::new(),
            link: None,
            next: VecDeque::new(),
            shape: Shape { rate: 0, channels: 0 },
            promised: None,
            timeline: Timeline::new(0),
            chunks: VecDeque::new(),
            interleaved: Vec::new(),
            reshape: None,
            counts: Counts { joined: 1, ..Counts::default() },
            notes: Vec::new(),
        };
        match reader.open_input() {
            Err(e @ (AudioError::Format { .. } | AudioError::Codec { .. })) => reader.open_by_ffmpeg(e)?,
            other => other?,
        }
        while reader.chunks.is_empty() && reader.link.is_some() {
            reader.advance()?;
        }
        if reader.chunks.is_empty() { Err(AudioError::Empty(reader.path)) } else { Ok(reader) }
    }

    /// Samples a second.
    pub fn rate(&self) -> u32 {
        self.shape.rate
    }

    /// How many channels there are.
    pub fn channels(&self) -> usize {
        self.shape.channels
    }

    /// Seconds that the file promises, where it does.
    pub fn promised_seconds(&self) -> Option<f64> {
        self.promised
    }

    /// Its tracks of sound.
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.tracks
    }

    /// What must be said of how it was read; complete once the end was reached.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The next block: one vector a channel, of equal length, ±1 (more where a file of floats says so); `None` at the
    /// end.
    ///
    /// Fails where the file is cut off or damaged: what was given before is not all of it.
    pub fn next_block(&mut self) -> Result<Option<Vec<Vec<f32>>>, AudioError> {
        let path = self.path.clone();
        guarded(&path, || {
            while self.chunks.is_empty() && self.link.is_some() {
                self.advance()?;
            }
            let block = match self.chunks.pop_front() {
                None => return Ok(None),
                Some(Chunk::Sound(block)) => block,
                Some(Chunk::Silence(frames)) => {
                    let now = frames.min(SILENCE_FRAMES);
                    if frames > now {
                        self.chunks.push_front(Chunk::Silence(frames - now));
                    }
                    vec![vec![0.0; now as usize]; self.shape.channels]
                }
            };
            Ok(Some(block))
        })
    }

    fn open_input(&mut self) -> Result<(), AudioError> {
        let unreadable = |e: std::io::Error| AudioError::Open { path: self.path.clone(), why: e.to_string() };
        let source = self.input.open().map_err(unreadable)?;
        let extension = self.path.extension().and_then(|e| e.to_str()).map(str::to_owned);
        let (container, kind) = Container::open(source, extension.as_deref()).map_err(|e| self.cannot(e))?;
        if kind == Kind::Mpeg {
            let source = self.input.open().map_err(unreadable)?;
            let parts = mpeg::parts(source).map_err(unreadable)?;
            if !parts.is_empty() {
                return self.begin_parts(parts);
            }
        }
        if let Container::Wave(wave) = &container {
            self.next.extend(wave.next_recording().map(Next::Wave));
            if wave.promised_frames().is_none() {
                self.notes.push(Note::NoLength);
            }
        }
        self.begin_link(container, kind)?;
        self.promised = self.link.as_ref().and_then(|l| l.edits.as_ref().and_then(Edits::seconds).or(l.track.promised));
        Ok(())
    }

    fn cannot(&self, e: ProbeError) -> AudioError {
        let path = self.path.clone();
        match e {
            ProbeError::Format(why) => AudioError::Format { path, why },
            ProbeError::Codec(codec) => AudioError::Codec { path, codec },
        }
    }

    /// An mp3, whose frames were counted.
    fn begin_parts(&mut self, parts: Vec<Part>) -> Result<(), AudioError> {
        let found: f64 = parts.iter().map(Part::seconds).sum();
        if let [part] = &parts[..]
            && let Some(promised) = part.promised.filter(|_| !part.keeps_its_promise())
        {
            let promised = promised as f64 / f64::from(part.rate);
            if promised > found + CUT_OFF_SECONDS && !part.ends_whole {
                return Err(AudioError::Truncated { path: self.path.clone(), found, expected: promised });
            }
            if (promised - found).abs() > CUT_OFF_SECONDS {
                self.notes.push(Note::OtherLength { promised, found });
            }
        }
        self.promised = Some(found);
        self.next.extend(parts.into_iter().map(Next::Part));
        self.counts.joined = 0;
        self.begin_next()?;
        Ok(())
    }

    /// Begins what comes behind the present link; false where nothing does.
    fn begin_next(&mut self) -> Result<bool, AudioError> {
        let Some(next) = self.next.pop_front() else { return Ok(false) };
        let unreadable =
            |path: &Path, e: std::io::Error| AudioError::Open { path: path.to_owned(), why: e.to_string() };
        match next {
            Next::Part(part) => {
                match part.joint {
                    Joint::Recording => self.counts.joined += 1,
                    Joint::Gap(samples) => self.hole(samples * u64::from(self.shape.rate) / u64::from(part.rate)),
                }
                let source = self.input.section(part.bytes).map_err(|e| unreadable(&self.path, e))?;
                let (container, kind) = Container::open(source, Some("mp3")).map_err(|e| self.cannot(e))?;
                self.begin_link(container, kind)?;
                if let Some(link) = &mut self.link {
                    link.trims = part.keeps_its_promise();
                }
            }
            Next::Wave(at) => {
                self.counts.joined += 1;
                let source = self.input.open().map_err(|e| unreadable(&self.path, e))?;
                let wave = Wave::open(source, at).map_err(|e| AudioError::Damaged {
                    path: self.path.clone(),
                    seconds: self.timeline.seconds(),
                    why: format!("the recording behind the first: {e}"),
                })?;
                self.next.extend(wave.next_recording().map(Next::Wave));
                self.begin_link(Container::Wave(Box::new(wave)), Kind::Wave)?;
            }
        }
        Ok(true)
    }

    /// Silence for sound that is known to be missing.
    fn hole(&mut self, frames: u64) {
        if frames > 0 {
            self.note_hole(self.timeline.told(), frames);
            self.timeline.skip(frames);
            self.chunks.push_back(Chunk::Silence(frames));
        }
    }

    fn note_hole(&mut self, at: u64, frames: u64) {
        let seconds = |frames: u64| frames as f64 / f64::from(self.shape.rate.max(1));
        if at == 0 {
            self.notes.push(Note::LateStart { seconds: seconds(frames) });
            return;
        }
        if self.counts.holes == 0 {
            self.counts.first_hole = seconds(at);
        }
        self.counts.holes += 1;
        self.counts.hole_frames += frames;
    }

    fn begin_link(&mut self, container: Container, kind: Kind) -> Result<(), AudioError> {
        let tracks = container.tracks();
        if tracks.is_empty() {
            return Err(AudioError::Format { path: self.path.clone(), why: "it has no track of sound".to_owned() });
        }
        let names = || {
            tracks.iter().enumerate().map(|(k, t)| TrackInfo {
                number: k + 1,
                codec: super::codecs::name(&t.params),
                rate: t.params.sample_rate,
                channels: t.params.channels.as_ref().map(|c| c.count()),
                language: t.language.clone(),
            })
        };
        if self.tracks.is_empty() {
            self.tracks = names().collect();
        }
        let decodable = |k: usize| Decoder::make(&tracks[k].params);
        let wanted = match self.choice {
            Choice::Number(n) | Choice::Spoken(n) if (1..=tracks.len()).contains(&n) => n - 1,
            Choice::Number(wanted) | Choice::Spoken(wanted) => {
                return Err(AudioError::NoTrack { path: self.path.clone(), wanted, there: tracks.len() });
            }
            Choice::Standard => {
                let standard = tracks.iter().position(|t| t.default).filter(|k| decodable(*k).is_ok());
                standard.or_else(|| (0..tracks.len()).find(|k| decodable(*k).is_ok())).unwrap_or(0)
            }
        };
        let made = decodable(wanted).map_err(|why| AudioError::Codec {
            path: self.path.clone(),
            codec: format!("{}: {why}", super::codecs::name(&tracks[wanted].params)),
        })?;
        let track = tracks[wanted].clone();
        if self.link.is_none() && tracks.len() > 1 && self.timeline.told() == 0 {
            let why = match self.choice {
                Choice::Number(_) => "as asked",
                Choice::Spoken(_) => "in it somebody speaks most",
                Choice::Standard => "the file's own choice",
            };
            self.notes.push(Note::Track { read: wanted + 1, of: tracks.len(), why });
        }
        if let Some(rate) = made.lower {
            self.notes.push(Note::LowerBand { up_to_khz: f64::from(rate) / 2000.0 });
        }
        let edits = match (kind, self.input.open()) {
            (Kind::Mp4, Ok(source)) => edits::edits(source, track.id),
            _ => None,
        };
        let promised = edits.as_ref().and_then(Edits::seconds).or(track.promised).filter(|_| kind != Kind::Mpeg);
        self.timeline.link(promised.map(|s| (s * f64::from(self.shape.rate.max(1))) as u64));
        self.link = Some(Link { container, kind, track, decoder: made.decoder, edits, origin: None, trims: true });
        Ok(())
    }

    /// FFmpeg's program in place of the readers here, where it is installed; else what went wrong before.
    fn open_by_ffmpeg(&mut self, before: AudioError) -> Result<(), AudioError> {
        let (Input::File(file), Some(program)) = (&self.input, ffmpeg::find()) else { return Err(before) };
        let track = match self.choice {
            Choice::Standard => 0,
            Choice::Number(n) | Choice::Spoken(n) => n.saturating_sub(1),
        };
        let Ok((process, source)) = ffmpeg::Process::start(&program, file, track) else { return Err(before) };
        let Ok(wave) = Wave::open(source, 0) else { return Err(before) };
        let what = match &before {
            AudioError::Codec { codec, .. } => codec.clone(),
            AudioError::Format { why, .. } => why.clone(),
            _ => String::new(),
        };
        self.notes.push(Note::ByFfmpeg { what });
        self.tracks.clear();
        self.process = Some(process);
        self.begin_link(Container::Wave(Box::new(wave)), Kind::Plain)
    }

    fn damaged(&self, why: String) -> AudioError {
        AudioError::Damaged { path: self.path.clone(), seconds: self.timeline.seconds(), why }
    }

    /// Takes one packet further.
    fn advance(&mut self) -> Result<(), AudioError> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let packet = match link.container.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return self.end_link(false),
            // Another stream is chained behind this one.
            Err(Error::ResetRequired) => return self.begin_chained(),
            Err(Error::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => return self.end_link(true),
            Err(e) => {
                self.counts.lost_in_a_row += 1;
                let why = one_line(&e);
                if self.counts.lost_in_a_row > LOST {
                    return Err(self.damaged(why));
                }
                self.note_damage(why);
                return Ok(());
            }
        };
        self.counts.lost_in_a_row = 0;
        if link.origin.is_none() {
            let first =
                link.container.time_base(packet.track_id).map(|base| container::seconds(packet.pts.get(), base));
            link.origin = Some(first.unwrap_or(0.0).max(0.0));
        }
        if packet.track_id != link.track.id {
            return Ok(());
        }
        self.decode(packet)
    }

    fn begin_chained(&mut self) -> Result<(), AudioError> {
        let Some(link) = self.link.take() else { return Ok(()) };
        self.flush_reshape();
        self.counts.joined += 1;
        self.begin_link(link.container, link.kind)
    }

    fn decode(&mut self, mut packet: Packet) -> Result<(), AudioError> {
        let Some(link) = &mut self.link else { return Ok(()) };
        if !link.trims {
            // What the tag says of the end is wrong, so nothing at the end is padding.
            packet.dur = packet.dur.saturating_add(packet.trim_end);
            packet.trim_end = Duration::ZERO;
        }
        self.counts.packets += 1;
        let mut interleaved = std::mem::take(&mut self.interleaved);
        let decoded = link.decoder.decode(&packet, &mut interleaved);
        self.interleaved = interleaved;
        match decoded {
            Ok(shape) => self.tell(&packet, shape),
            Err(why) => {
                self.note_damage(why);
                let (packets, damaged) = (self.counts.packets, self.counts.damaged);
                if damaged > HOPELESS && damaged * 2 > packets {
                    let (_, why) = self.counts.first_damage.clone().unwrap_or_default();
                    return Err(self.damaged(why));
                }
                self.stand_in(&packet);
                Ok(())
            }
        }
    }

    fn note_damage(&mut self, why: String) {
        self.counts.damaged += 1;
        self.counts.first_damage.get_or_insert((self.timeline.seconds(), why));
    }

    /// Silence for a packet that can't be decoded, so that what follows keeps its place. A damaged header may claim any
    /// length for it.
    fn stand_in(&mut self, packet: &Packet) {
        let (Some(link), true) = (&self.link, self.shape.rate > 0) else { return };
        let Some(base) = link.track.time_base else { return };
        let frames = container::frames(packet.dur.get().min(i64::MAX as u64) as i64, base, self.shape.rate)
            .clamp(0, LONGEST_PACKET as i64);
        let start = self.start_of(packet, self.shape.rate);
        let placed = self.timeline.place(start.filter(|_| self.reshape.is_none()), frames as usize);
        let silence = placed.silence + frames as u64 - placed.skip as u64;
        if silence > 0 {
            self.chunks.push_back(Chunk::Silence(silence));
        }
    }

    /// The frame at which what is left of a packet begins in its track's own time; `None` where the container has no
    /// times.
    fn start_of(&self, packet: &Packet, rate: u32) -> Option<i64> {
        let link = self.link.as_ref()?;
        if link.kind == Kind::Mpeg {
            // Its times are counted, and the decoder's delay is left out already.
            return None;
        }
        let base: TimeBase = link.track.time_base?;
        let ticks =
            packet.pts.get().saturating_add(packet.trim_start.get().min(i64::MAX as u64) as i64) - link.track.delay;
        let origin = if link.edits.is_some() { 0.0 } else { link.origin.unwrap_or(0.0) };
        Some(container::frames(ticks, base, rate) - (origin * f64::from(rate)).round() as i64)
    }

    /// Lays what was decoded on the timeline.
    fn tell(&mut self, packet: &Packet, shape: Shape) -> Result<(), AudioError> {
        let frames = self.interleaved.len() / shape.channels.max(1);
        if self.shape.rate == 0 {
            self.shape = shape;
            self.timeline = Timeline::new(shape.rate);
            let promised = self.link.as_ref().and_then(Link::promise);
            self.timeline.link(promised.map(|s| (s * f64::from(shape.rate)) as u64));
        }
        let mut sound: Vec<Vec<f32>> = vec![Vec::with_capacity(frames); shape.channels];
        for frame in self.interleaved.chunks_exact(shape.channels) {
            for (channel, &x) in sound.iter_mut().zip(frame) {
                self.counts.not_numbers += usize::from(!x.is_finite());
                channel.push(if x.is_finite() { x } else { 0.0 });
            }
        }
        if shape != self.shape {
            return self.tell_reshaped(&sound, shape);
        }
        self.flush_reshape();
        let start = self.start_of(packet, shape.rate);
        let pieces = match (start, self.link.as_ref().and_then(|l| l.edits.as_ref())) {
            (Some(start), Some(edits)) => {
                edits.pieces(start, frames, shape.rate).into_iter().map(|p| (p, Some(p.heard))).collect()
            }
            _ => vec![(Piece { from: 0, to: frames, heard: 0 }, start)],
        };
        for (piece, at) in pieces {
            let before = self.timeline.told();
            let placed = self.timeline.place(at, piece.to - piece.from);
            if placed.silence > 0 {
                self.note_hole(before, placed.silence);
                self.chunks.push_back(Chunk::Silence(placed.silence));
            }
            let (from, to) = (piece.from + placed.skip, piece.to);
            if from < to {
                let whole = from == 0 && to == frames;
                let cut = |c: &Vec<f32>| c[from..to].to_vec();
                self.chunks.push_back(Chunk::Sound(if whole {
                    std::mem::take(&mut sound)
                } else {
                    sound.iter().map(cut).collect()
                }));
            }
        }
        Ok(())
    }

    fn tell_reshaped(&mut self, sound: &[Vec<f32>], shape: Shape) -> Result<(), AudioError> {
        if self.reshape.as_ref().is_none_or(|r| r.takes() != shape) {
            self.flush_reshape();
            if !self.notes.iter().any(|n| matches!(n, Note::ChangedShape { .. })) {
                self.notes.push(Note::ChangedShape { at: self.timeline.seconds() });
            }
            self.reshape = Some(Reshape::new(shape, self.shape));
        }
        let slices: Vec<&[f32]> = sound.iter().map(Vec::as_slice).collect();
        let mut out = vec![Vec::new(); self.shape.channels];
        if let Some(reshape) = &mut self.reshape {
            reshape.push(&slices, &mut out);
        }
        self.give(out);
        Ok(())
    }

    fn flush_reshape(&mut self) {
        if let Some(mut reshape) = self.reshape.take() {
            let mut out = vec![Vec::new(); self.shape.channels];
            reshape.end(&mut out);
            self.give(out);
            self.timeline.link(None);
        }
    }

    fn give(&mut self, sound: Vec<Vec<f32>>) {
        let frames = sound.first().map_or(0, Vec::len);
        if frames > 0 {
            self.timeline.place(None, frames);
            self.chunks.push_back(Chunk::Sound(sound));
        }
    }

    /// The present link has ended: where it says so, or where its bytes do.
    fn end_link(&mut self, early: bool) -> Result<(), AudioError> {
        self.flush_reshape();
        let Some(link) = self.link.take() else { return Ok(()) };
        if let Some(process) = self.process.take() {
            process.end().map_err(|why| self.damaged(why))?;
        }
        let told = self.timeline.link_seconds();
        let (packets, damaged) = (self.counts.packets, self.counts.damaged);
        let sound_lost = damaged as f64 > packets as f64 * MAX_DAMAGED_SHARE;
        if let Some(expected) = link.promise().filter(|_| self.timeline.told() > 0 && !sound_lost) {
            if expected - told > CUT_OFF_SECONDS {
                return Err(AudioError::Truncated { path: self.path.clone(), found: told, expected });
            }
            if told - expected > CUT_OFF_SECONDS {
                self.notes.push(Note::OtherLength { promised: expected, found: told });
            }
        } else if early && matches!(link.kind, Kind::Ogg | Kind::Matroska) {
            self.notes.push(Note::Unfinished);
        }
        if let Some((seconds, why)) =
            self.counts.first_damage.clone().filter(|_| sound_lost || self.timeline.told() == 0)
        {
            return Err(AudioError::Damaged { path: self.path.clone(), seconds, why });
        }
        if !self.begin_next()? {
            self.note_counts();
        }
        Ok(())
    }

    fn note_counts(&mut self) {
        let c = &self.counts;
        if c.joined > 1 {
            self.notes.push(Note::Joined { parts: c.joined });
        }
        if c.holes > 0 {
            let seconds = c.hole_frames as f64 / f64::from(self.shape.rate.max(1));
            self.notes.push(Note::Hole { at: c.first_hole, holes: c.holes, seconds });
        }
        if let Some((at, why)) = &c.first_damage {
            self.notes.push(Note::Damaged { at: *at, packets: c.damaged, why: why.clone() });
        }
        if c.not_numbers > 0 {
            self.notes.push(Note::NotNumbers { samples: c.not_numbers });
        }
    }
}
