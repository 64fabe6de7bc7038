//! What both threads of the crossing tell each other outside the rings: plain atomics, each with one writer.

use super::doorbell::Doorbell;
use super::sync::{AtomicBool, AtomicF32, AtomicI64, AtomicU8, AtomicU64, Ordering};

/// What the worker can do at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum WorkerState {
    /// No target voice is chosen: the sound stays dry.
    Idle = 0,
    /// A voice is being loaded: realtime plays dry, offline waits.
    Loading = 1,
    /// Hops are being converted.
    Ready = 2,
    /// The worker gave up (a panic, a model that fails): the sound stays dry until a voice is loaded again.
    Dead = 3,
}

/// Counters and switches of one crossing. `Relaxed` suffices for all but the state: each value stands for itself, the
/// rings carry the order. Whoever reads `Ready` also sees what the worker owed when it wrote that.
#[derive(Debug, Default)]
pub struct Shared {
    /// Writers: worker; engine, from `Idle` or `Dead` to `Loading` when a voice is asked for. Readers: audio thread,
    /// engine. A `WorkerState`.
    state: AtomicU8,
    /// Writer: engine. Reader: worker. Set once, when the crossing must end.
    stop: AtomicBool,
    /// Writer: audio thread. Reader: worker. Host samples since the reset: the first output position that can still be
    /// played.
    due: AtomicI64,
    /// Writer: worker, before it becomes ready. Reader: audio thread. An [`Owed`].
    owed: AtomicU64,
    /// Writer: audio thread. Readers: engine, editor. Hops that missed their time since the crossing was made.
    late_hops: AtomicU64,
    /// Writer: audio thread. Readers: engine, editor. Input samples lost because the worker stood still until the ring
    /// was full.
    lost_samples: AtomicU64,
    /// Writer: worker. Readers: engine, editor. Hops converted.
    hops: AtomicU64,
    /// Writer: worker. Readers: engine, editor. Share of a hop's duration that computing it takes, smoothed.
    load: AtomicF32,
    /// Writer: worker. Reader: engine, editor. The worst share since it was last taken.
    worst_load: AtomicF32,
    /// Writer: audio thread (raises), editor (takes). Peak of the input, linear.
    input_peak: AtomicF32,
    /// Writer: audio thread (raises), editor (takes). Peak of the output, linear.
    output_peak: AtomicF32,
    /// Writer: engine. Reader: audio thread. Whether a window looks at the sound.
    watched: AtomicBool,
    /// Writer: audio thread. Readers: engine, worker. Whether the last block was rendered faster than real time.
    offline: AtomicBool,
    /// Writer: audio thread. Reader: worker. Whether the host itself said so.
    declared: AtomicBool,
    /// Writer: audio thread. Reader: engine, window. Whether blocks came as fast as only a render asks for them, though
    /// nobody said so.
    hurry: AtomicBool,
    /// Writer: audio thread. Reader: worker. The audio thread's priority among those that run in real time; 0 where it
    /// is an ordinary one.
    audio_priority: AtomicU8,
    /// What the voice worker sleeps on while no sound runs.
    pub voice_bell: Doorbell,
    /// What the caption worker sleeps on while no sound runs.
    pub caption_bell: Doorbell,
}

/// From where on the worker owes its output: host samples since the reset of an epoch. Earlier misses don't count;
/// those of another epoch all do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owed {
    /// Whose reset.
    pub epoch: u64,
    /// Host samples since it: room for 40 years at 192 kHz.
    pub from: u64,
}

impl Owed {
    const BITS: u32 = 48;

    fn packed(self) -> u64 {
        self.epoch << Self::BITS | self.from.min((1 << Self::BITS) - 1)
    }

    fn unpacked(bits: u64) -> Self {
        Self { epoch: bits >> Self::BITS, from: bits & ((1 << Self::BITS) - 1) }
    }

    /// The first position that is owed in this epoch.
    pub fn in_epoch(self, epoch: u64) -> i64 {
        // As much of the number as is kept.
        if self.epoch == (epoch << Self::BITS) >> Self::BITS { self.from as i64 } else { 0 }
    }
}

/// A reading of the counters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counters {
    /// What the worker can do.
    pub state: WorkerState,
    /// Hops that missed their time.
    pub late_hops: u64,
    /// Input samples lost while the worker stood still.
    pub lost_samples: u64,
    /// Hops converted.
    pub hops: u64,
    /// The position of the next sample to be played, in host samples since the reset: it moves while sound runs.
    pub played: i64,
    /// Share of a hop's duration that computing it takes, smoothed.
    pub load: f32,
    /// Whether the last block was rendered faster than real time.
    pub offline: bool,
    /// Whether blocks came as fast as only a render asks for them, though nobody said so.
    pub hurry: bool,
}

impl Shared {
    /// What the worker can do.
    pub fn state(&self) -> WorkerState {
        match self.state.load(Ordering::Acquire) {
            0 => WorkerState::Idle,
            1 => WorkerState::Loading,
            2 => WorkerState::Ready,
            _ => WorkerState::Dead,
        }
    }

    pub(super) fn set_state(&self, state: WorkerState) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// A voice has been asked for: offline renders wait for it from now on. The engine's one way to write the state,
    /// where no voice runs.
    pub fn expect_voice(&self) {
        for from in [WorkerState::Idle, WorkerState::Dead] {
            let _ = self.state.compare_exchange(
                from as u8,
                WorkerState::Loading as u8,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// Tells the worker to end. The audio side then plays dry.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.ring();
    }

    /// Whether the worker must end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn set_due(&self, position: i64) {
        self.due.store(position, Ordering::Relaxed);
    }

    pub(super) fn due(&self) -> i64 {
        self.due.load(Ordering::Relaxed)
    }

    pub(super) fn set_owed(&self, owed: Owed) {
        self.owed.store(owed.packed(), Ordering::Relaxed);
    }

    pub(super) fn owed(&self) -> Owed {
        Owed::unpacked(self.owed.load(Ordering::Relaxed))
    }

    /// Wakes the workers where they sleep because no sound runs. Wait-free while they are awake; for any thread, after
    /// what they are to see was sent.
    pub fn ring(&self) {
        self.voice_bell.ring();
        self.caption_bell.ring();
    }

    pub(super) fn count_late_hops(&self, n: u64) {
        self.late_hops.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn count_lost(&self, samples: u64) {
        self.lost_samples.fetch_add(samples, Ordering::Relaxed);
    }

    pub(super) fn set_offline(&self, offline: bool, declared: bool) {
        self.offline.store(offline, Ordering::Relaxed);
        self.declared.store(declared, Ordering::Relaxed);
    }

    /// Tells the worker at which priority the audio thread runs, as `engine::priority` counts.
    pub fn set_audio_priority(&self, priority: u8) {
        self.audio_priority.store(priority, Ordering::Relaxed);
    }

    /// The audio thread's priority; 0 where it is an ordinary one.
    pub fn audio_priority(&self) -> u8 {
        self.audio_priority.load(Ordering::Relaxed)
    }

    pub(super) fn note_hurry(&self) {
        self.hurry.store(true, Ordering::Relaxed);
    }

    /// Whether the host says that it renders, so that nothing is ever late.
    pub fn declared_offline(&self) -> bool {
        self.declared.load(Ordering::Relaxed)
    }

    /// Whether the last block was rendered faster than real time.
    pub fn offline(&self) -> bool {
        self.offline.load(Ordering::Relaxed)
    }

    /// Whether a window looks at the sound, which then goes to its scope too.
    pub fn watch(&self, looks: bool) {
        self.watched.store(looks, Ordering::Relaxed);
    }

    pub(super) fn watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    pub(super) fn raise_peaks(&self, input: f32, output: f32) {
        self.input_peak.fetch_max(input, Ordering::Relaxed);
        self.output_peak.fetch_max(output, Ordering::Relaxed);
    }

    /// Tells of a converted hop: the share of its duration that it took.
    pub(super) fn count_hop(&self, share: f32) {
        self.hops.fetch_add(1, Ordering::Relaxed);
        let old = self.load.load(Ordering::Relaxed);
        let smooth = if old == 0.0 { share } else { old + 0.05 * (share - old) };
        self.load.store(smooth, Ordering::Relaxed);
        self.worst_load.fetch_max(share, Ordering::Relaxed);
    }

    /// The counters as they are now.
    pub fn counters(&self) -> Counters {
        Counters {
            state: self.state(),
            late_hops: self.late_hops.load(Ordering::Relaxed),
            lost_samples: self.lost_samples.load(Ordering::Relaxed),
            hops: self.hops.load(Ordering::Relaxed),
            played: self.due(),
            load: self.load.load(Ordering::Relaxed),
            offline: self.offline(),
            hurry: self.hurry.load(Ordering::Relaxed),
        }
    }

    /// Takes the peaks (input, output; linear) since they were last taken.
    pub fn take_peaks(&self) -> (f32, f32) {
        (self.input_peak.swap(0.0, Ordering::Relaxed), self.output_peak.swap(0.0, Ordering::Relaxed))
    }

    /// Takes the worst share of a hop's duration since it was last taken.
    pub fn take_worst_load(&self) -> f32 {
        self.worst_load.swap(0.0, Ordering::Relaxed)
    }
}
