//! The audio thread's end of the crossing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dry::{DryLine, Placing};
use super::mix::{LateSound, Mix, audible};
use super::mix_line::MixLine;
use super::pacing::{Pacing, RENDERS, Watch};
use super::scope::Scope;
use super::seam::{Seam, Voice};
use super::stream::{Receiver, Sender};
use super::tap::Tap;
use super::{InputMark, OutputMark, Shared, WorkerState};
use crate::clock::{Latency, Timing};
use mynah_dsp::downmix::Downmix;

/// Seconds in which a control of the mix moves.
const GLIDE: f64 = 0.01;
/// How long an offline render waits for one block before it counts the worker as hung.
const HUNG: Duration = Duration::from_secs(60);
/// How long the audio thread sleeps between two looks while it may wait. Offline only.
const LOOK: Duration = Duration::from_micros(100);
/// Louder than this is no sound: +24 dBFS.
const LOUDEST: f32 = 16.0;

/// Who says that a host renders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rendering {
    /// Nobody: the sound is played, and nothing may wait.
    #[default]
    Live,
    /// The user, of a host that doesn't say so: it is kept waiting as far as it runs ahead of real time.
    Unsaid,
    /// The host: it is kept waiting until the sound is there.
    Declared,
}

/// All that comes with a block of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block<C> {
    /// What the worker is told.
    pub controls: C,
    /// How the output of this block's input is put together, a latency later.
    pub mix: Mix,
    /// Whether somebody says that the host renders: only then does the audio thread wait for the worker.
    pub rendering: Rendering,
    /// The host's time of the first sample in seconds, while its transport rolls.
    pub song: Option<f64>,
    /// Whether the sound is captioned.
    pub captions: bool,
}

/// The audio thread's end. `process` takes any number of samples, 0 too, and any number of channels up to the one it
/// was made for.
pub struct AudioSide<C> {
    timing: Timing,
    latency: Latency,
    shared: Arc<Shared>,
    input: Sender<InputMark<C>>,
    output: Receiver<OutputMark>,
    tap: Tap,
    tapping: bool,
    scope: Scope,
    /// How far a host that renders without saying so may be kept waiting, and whether another one looks like that.
    pacing: Pacing,
    watch: Watch,
    dry: DryLine,
    placing: Placing,
    /// Input samples since the reset.
    position: u64,
    epoch: u64,
    /// A `Restart` must be sent before the next sample.
    restart: bool,
    controls: Option<C>,
    /// Position of the next sample in the ring of output, and whose epoch it is.
    wet_at: i64,
    wet_epoch: u64,
    wet: Vec<f32>,
    have: Vec<bool>,
    mono: Vec<f32>,
    downmix: Downmix,
    seam: Seam,
    mixes: MixLine,
    level: Option<(f32, f32)>,
    last_late_hop: Option<u64>,
    gave_up: bool,
}

impl<C: Copy + PartialEq> AudioSide<C> {
    pub(super) fn new(
        timing: Timing,
        latency: Latency,
        channels: usize,
        input: Sender<InputMark<C>>,
        output: Receiver<OutputMark>,
        (tap, scope): (Tap, Scope),
        shared: Arc<Shared>,
    ) -> Self {
        let block = timing.max_block.max(1);
        Self {
            timing,
            latency,
            shared,
            input,
            output,
            tap,
            tapping: false,
            scope,
            pacing: Pacing::new(latency.total as f64 / timing.host_rate as f64),
            watch: Watch::default(),
            dry: DryLine::new(channels, latency.total),
            placing: Placing::new(channels, timing.host_rate),
            position: 0,
            epoch: 1,
            restart: true,
            controls: None,
            wet_at: 0,
            wet_epoch: 0,
            wet: vec![0.0; block],
            have: vec![false; block],
            mono: vec![0.0; block],
            downmix: Downmix::new(channels, timing.host_rate),
            seam: Seam::new(timing.host_rate),
            mixes: MixLine::new(latency.total),
            level: None,
            last_late_hop: None,
            gave_up: false,
        }
    }

    /// What the last block took for converted sound: the samples, and whether there was one.
    #[cfg(all(test, loom))]
    pub(super) fn heard(&self) -> impl Iterator<Item = (f32, bool)> {
        self.wet.iter().copied().zip(self.have.iter().copied())
    }

    /// The latency and its parts.
    pub fn latency(&self) -> Latency {
        self.latency
    }

    /// The counters of this crossing.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Forgets all sound: the next sample stands at position 0.
    pub fn reset(&mut self) {
        self.position = 0;
        self.epoch += 1;
        self.restart = true;
        self.dry.reset();
        self.placing.reset();
        self.downmix.reset();
        self.pacing.reset();
        self.tap.end();
        self.scope.rest();
        self.seam.reset();
        self.mixes.reset();
        (self.level, self.last_late_hop, self.gave_up) = (None, None, false);
        self.shared.set_due(-(self.latency.total as i64));
    }

    /// The sound stops for now: what was said is final.
    pub fn pause(&mut self) {
        self.tap.end();
        self.shared.ring();
    }

    /// Converts a block in place: each sample is replaced by the output that belongs to the input of `latency` samples
    /// ago.
    pub fn process(&mut self, channels: &mut [&mut [f32]], block: &Block<C>) {
        let known = channels.len().min(self.dry.channels());
        let channels = &mut channels[..known];
        let length = channels.iter().map(|c| c.len()).min().unwrap_or(0);
        let mut start = 0;
        while start < length {
            let n = (length - start).min(self.wet.len());
            let song = block.song.map(|s| s + start as f64 / self.timing.host_rate as f64);
            self.chunk(channels, start, n, block, song);
            start += n;
        }
    }

    fn chunk(&mut self, channels: &mut [&mut [f32]], start: usize, n: usize, block: &Block<C>, song: Option<f64>) {
        let input_peak = self.mix_down(channels, start, n);
        let patience = self.patience(n, block.rendering);
        self.shared.set_offline(!patience.is_zero(), block.rendering == Rendering::Declared);
        let first = self.position as i64 - self.latency.total as i64;
        self.mixes.set(self.position as i64, block.mix);
        self.shared.set_due(first);
        let until = (!patience.is_zero()).then(|| Instant::now() + patience);
        self.send(n, block, until);
        self.send_tap(n, block, song, until);
        self.shared.ring();
        self.position += n as u64;
        if let Some(until) = until {
            self.wait(first, first + n as i64, until);
            self.gave_up |= patience >= RENDERS && Instant::now() >= until;
        }
        self.gather(first, n);
        self.count_late(first, n);
        self.shared.set_due(first + n as i64);
        let output_peak = self.mix(channels, start, n, first);
        self.shared.raise_peaks(input_peak, output_peak);
        if self.shared.watched() {
            self.scope.send(self.position - n as u64, &self.mono[..n], channels, start);
        } else {
            self.scope.rest();
        }
        if block.rendering == Rendering::Unsaid {
            self.pacing.leave();
        }
    }

    /// How long this block may wait for the worker: not at all where the sound is played.
    fn patience(&mut self, n: usize, rendering: Rendering) -> Duration {
        match rendering {
            Rendering::Declared => HUNG,
            Rendering::Unsaid => self.pacing.block(n, self.timing.host_rate),
            Rendering::Live => {
                if self.watch.block(n, self.timing.host_rate) == Some(true) {
                    self.shared.note_hurry();
                }
                Duration::ZERO
            }
        }
    }

    /// Mixes the channels down to `mono`, cleaned of what is no sound, in the channels too; gives the peak.
    fn mix_down(&mut self, channels: &mut [&mut [f32]], start: usize, n: usize) -> f32 {
        let mut peak = 0.0f32;
        for channel in channels.iter_mut() {
            for x in &mut channel[start..start + n] {
                *x = if x.is_finite() { x.clamp(-LOUDEST, LOUDEST) } else { 0.0 };
                peak = peak.max(x.abs());
            }
        }
        for (i, m) in self.mono[..n].iter_mut().enumerate() {
            // A host that gives fewer channels than it said has silence in the others.
            *m = self.downmix.frame(|k| channels.get(k).map_or(0.0, |c| c[start + i]));
        }
        peak
    }

    fn alive(&self) -> bool {
        !self.shared.stopped() && !self.input.is_abandoned()
    }

    /// `until`: how long it may wait for room; not at all in real time.
    fn send(&mut self, n: usize, block: &Block<C>, until: Option<Instant>) {
        let mut sent = 0;
        if self.restart {
            self.restart = self.input.mark(InputMark::Restart { epoch: self.epoch, position: self.position }).is_err();
        }
        if !self.restart
            && self.controls != Some(block.controls)
            && self.input.mark(InputMark::Controls(block.controls)).is_ok()
        {
            self.controls = Some(block.controls);
        }
        while !self.restart {
            sent += self.input.send(&self.mono[sent..n]);
            if sent == n || !self.alive() || is_over(until) {
                break;
            }
            std::thread::sleep(LOOK);
        }
        if sent < n && self.alive() {
            // The worker stands still. What is lost now can't be converted; it starts afresh where room is again.
            self.shared.count_lost((n - sent) as u64);
            if !self.restart {
                self.epoch += 1;
                self.restart = true;
            }
        }
    }

    fn send_tap(&mut self, n: usize, block: &Block<C>, song: Option<f64>, until: Option<Instant>) {
        if !block.captions {
            if std::mem::replace(&mut self.tapping, false) {
                self.tap.end();
            }
            return;
        }
        self.tapping = true;
        let mut sent = 0;
        loop {
            let song = song.map(|s| s + sent as f64 / self.timing.host_rate as f64);
            sent = n - self.tap.send(&self.mono[sent..n], self.position + sent as u64, song);
            if sent == n || self.tap.is_abandoned() || is_over(until) {
                break;
            }
            std::thread::sleep(LOOK);
        }
        if sent < n {
            self.tap.lose(n - sent);
        }
    }

    /// Applies marks and throws away what belongs to a former epoch or lies before `from`.
    fn settle(&mut self, from: i64) {
        loop {
            if let Some(mark) = self.output.mark() {
                (self.wet_epoch, self.wet_at) = (mark.epoch, mark.position as i64);
                continue;
            }
            let stale = if self.wet_epoch == self.epoch { (from - self.wet_at).max(0) as usize } else { usize::MAX };
            if stale == 0 {
                return;
            }
            let skipped = self.output.skip(stale);
            self.wet_at += skipped as i64;
            if skipped == 0 {
                return;
            }
        }
    }

    /// Waits until the output up to `end` is there, the worker can't give it, or time is up. Never called in realtime.
    fn wait(&mut self, first: i64, end: i64, until: Instant) {
        loop {
            self.settle(first.max(0));
            let at_hand =
                if self.wet_epoch == self.epoch { self.wet_at + self.output.available() as i64 } else { i64::MIN };
            if at_hand >= end || end <= 0 {
                self.gave_up = false;
                return;
            }
            let able = matches!(self.shared.state(), WorkerState::Loading | WorkerState::Ready);
            if !able || !self.alive() || self.gave_up || Instant::now() >= until {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Fills `wet` and `have` for the positions from `first` on.
    fn gather(&mut self, first: i64, n: usize) {
        // Before the first input there is silence, converted or not.
        let mut i = (-first).clamp(0, n as i64) as usize;
        self.wet[..i].fill(0.0);
        self.have[..i].fill(true);
        while i < n {
            let position = first + i as i64;
            self.settle(position);
            let ahead = self.wet_at - position;
            if self.wet_epoch == self.epoch && ahead > 0 {
                let gap = (ahead as usize).min(n - i);
                self.have[i..i + gap].fill(false);
                i += gap;
            } else if self.wet_epoch == self.epoch && ahead == 0 {
                let taken = self.output.take(&mut self.wet[i..n]);
                self.wet_at += taken as i64;
                self.have[i..i + taken].fill(true);
                i += taken;
                if taken == 0 && self.output.available() == 0 {
                    break;
                }
            } else {
                break;
            }
        }
        self.have[i..n].fill(false);
    }

    fn count_late(&mut self, first: i64, n: usize) {
        if self.shared.state() != WorkerState::Ready {
            return;
        }
        let owed_from = self.shared.owed().in_epoch(self.epoch);
        let hop = self.latency.hop.max(1) as i64;
        let mut late = 0;
        for i in (0..n).filter(|&i| !self.have[i]) {
            let position = first + i as i64;
            let hop = (position.max(0) / hop) as u64;
            if position >= owed_from && self.last_late_hop != Some(hop) {
                self.last_late_hop = Some(hop);
                late += 1;
            }
        }
        if late > 0 {
            self.shared.count_late_hops(late);
        }
    }

    /// Converted sound could come in at place `i` of `n`: where it is not seen to stay, what there is of it counts as
    /// missing.
    fn leave_out_if_short(&mut self, i: usize, n: usize) {
        let run = self.have[i..n].iter().take_while(|have| **have).count();
        let goes_on = i + run == n
            && self.wet_epoch == self.epoch
            && self.wet_at == self.position as i64 - self.latency.total as i64;
        let behind = if goes_on { self.output.available() } else { 0 };
        if run + behind < self.seam.samples() {
            self.have[i..i + run].fill(false);
        }
    }

    /// Puts the output together that came in from `first` on; gives its peak.
    fn mix(&mut self, channels: &mut [&mut [f32]], start: usize, n: usize, first: i64) -> f32 {
        let glide_step = (1.0 / (GLIDE * self.timing.host_rate as f64)) as f32;
        let (mut i, mut peak) = (0, 0.0f32);
        while i < n {
            let (mut mix, run) = self.mixes.at(first + i as i64, n - i);
            // Who asks not to be recognised is obeyed at once, also for what came in before.
            if self.mixes.newest().late == LateSound::Silence {
                mix.late = LateSound::Silence;
            }
            let target = (mix.wet_share(), mix.output_gain());
            let (mut wet_share, mut gain) = self.level.unwrap_or(target);
            for i in i..i + run {
                wet_share = glide(wet_share, target.0, glide_step);
                gain = glide(gain, target.1, glide_step * gain.abs().max(1.0));
                peak = peak.max(self.mix_sample(channels, (start, i, n), wet_share, gain, &mix));
            }
            self.level = Some((wet_share, gain));
            i += run;
        }
        peak
    }

    /// Puts sample `i` of the `n` from `start` on together; gives its peak.
    #[inline]
    fn mix_sample(
        &mut self,
        channels: &mut [&mut [f32]],
        (start, i, n): (usize, usize, usize),
        wet_share: f32,
        gain: f32,
        mix: &Mix,
    ) -> f32 {
        if self.seam.is_out() && self.have[i] {
            self.leave_out_if_short(i, n);
        }
        let Voice { sample: wet, share } = self.seam.next(self.have[i].then_some(self.wet[i]));
        for (c, channel) in channels.iter_mut().enumerate() {
            let x = &mut channel[start + i];
            let dry = self.dry.swap(c, *x);
            self.placing.hear(c, dry);
            *x = dry;
        }
        self.dry.step();
        let mut peak = 0.0f32;
        for (c, channel) in channels.iter_mut().enumerate() {
            let x = &mut channel[start + i];
            let dry = *x;
            let voice = self.placing.gain(c) * share * wet + (1.0 - share) * mix.instead(dry);
            *x = audible(((1.0 - wet_share) * dry + wet_share * voice) * gain);
            peak = peak.max(x.abs());
        }
        peak
    }
}

/// Whether nobody waits any longer.
fn is_over(until: Option<Instant>) -> bool {
    until.is_none_or(|until| Instant::now() >= until)
}

/// One step of at most `step` toward `target`.
fn glide(value: f32, target: f32, step: f32) -> f32 {
    value + (target - value).clamp(-step, step)
}
