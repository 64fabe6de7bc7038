//! The audio thread's handle on the engine: the crossing in use, and the way in for the next one when the mode changes.
//!
//! Wait-free: a new crossing comes through a ring of one place, the old one leaves through another and is dropped by
//! the engine.

use std::sync::Arc;

use crate::clock::Latency;
use crate::sync::{Consumer, Producer, PushError, RingBuffer};
use crate::{AudioSide, Block, Shared};

/// Seconds over which the sound fades out before a change of mode, and in after it.
const CHANGE_FADE: f64 = 0.005;

/// For the audio thread. The latency stays until the user picks another mode; then `latency` tells another number and
/// the host must be told.
pub struct AudioPort<C> {
    side: AudioSide<C>,
    incoming: Consumer<AudioSide<C>>,
    retired: Producer<AudioSide<C>>,
    /// The next crossing, while the last block before it fades.
    next: Option<AudioSide<C>>,
    rate: f64,
    /// Samples until the fade-in begins, then how far it is; `None` while the sound is whole.
    entry: Option<(u64, u64)>,
    /// Tells at which priority the calling thread runs.
    priority: fn() -> u8,
    /// The crossing's worker was told that.
    introduced: bool,
}

/// The engine's end of the same.
pub struct PortEntry<C> {
    incoming: Producer<AudioSide<C>>,
    retired: Consumer<AudioSide<C>>,
}

/// Both ends, around the first crossing. `rate` in Hz; `priority` tells that of the calling thread, 0 for an ordinary
/// one, without a wait.
pub fn port<C: Copy + PartialEq + Send>(
    side: AudioSide<C>,
    rate: u32,
    priority: fn() -> u8,
) -> (AudioPort<C>, PortEntry<C>) {
    let (incoming_in, incoming) = RingBuffer::new(1);
    let (retired, retired_out) = RingBuffer::new(4);
    let port =
        AudioPort { side, incoming, retired, next: None, rate: rate as f64, entry: None, priority, introduced: false };
    (port, PortEntry { incoming: incoming_in, retired: retired_out })
}

impl<C: Copy + PartialEq + Send> PortEntry<C> {
    /// Drops what the audio thread has given back and tells how many those were.
    pub fn clean_up(&mut self) -> usize {
        std::iter::from_fn(|| self.retired.pop().ok()).count()
    }

    /// Hands the next crossing over; gives it back where the last one has not been taken yet.
    pub fn replace(&mut self, side: AudioSide<C>) -> Result<(), Box<AudioSide<C>>> {
        self.incoming.push(side).map_err(|PushError::Full(side)| Box::new(side))
    }
}

impl<C: Copy + PartialEq + Send> AudioPort<C> {
    /// What the host must be told at the moment.
    pub fn latency(&self) -> Latency {
        self.side.latency()
    }

    /// The counters of the crossing in use.
    pub fn shared(&self) -> &Arc<Shared> {
        self.side.shared()
    }

    /// Forgets all sound: the next sample stands at position 0. Takes a waiting crossing at once.
    pub fn reset(&mut self) {
        self.fetch();
        self.exchange();
        self.entry = None;
        self.introduced = false;
        self.side.reset();
    }

    /// The sound stops for now: what was said is final.
    pub fn pause(&mut self) {
        self.side.pause();
    }

    /// Converts a block in place; see `AudioSide::process`.
    pub fn process(&mut self, channels: &mut [&mut [f32]], block: &Block<C>) {
        self.exchange();
        if !std::mem::replace(&mut self.introduced, true) {
            self.side.shared().set_audio_priority((self.priority)());
        }
        self.side.process(channels, block);
        self.fade_in(channels);
        self.fetch();
        if self.next.is_some() {
            self.fade_out(channels);
        }
    }

    fn fetch(&mut self) {
        // What is taken must have a way out, since it can't be dropped here.
        if self.next.is_none() && self.retired.slots() > 0 {
            self.next = self.incoming.pop().ok();
        }
    }

    fn exchange(&mut self) {
        if let Some(next) = self.next.take() {
            self.entry = Some((next.latency().total as u64, 0));
            self.introduced = false;
            let old = std::mem::replace(&mut self.side, next);
            if let Err(PushError::Full(old)) = self.retired.push(old) {
                // Can't be: `fetch` saw room and nobody else fills it. Leaking is better than freeing on this thread.
                std::mem::forget(old);
            }
        }
    }

    fn fade_samples(&self) -> u64 {
        (CHANGE_FADE * self.rate) as u64 + 1
    }

    fn fade_in(&mut self, channels: &mut [&mut [f32]]) {
        let Some((mut wait, mut done)) = self.entry else { return };
        let whole = self.fade_samples();
        let n = channels.iter().map(|c| c.len()).min().unwrap_or(0);
        for i in 0..n {
            let gain = if wait > 0 { 0.0 } else { done as f32 / whole as f32 };
            channels.iter_mut().for_each(|c| c[i] *= gain);
            if wait > 0 {
                wait -= 1;
            } else if done < whole {
                done += 1;
            }
        }
        self.entry = (done < whole).then_some((wait, done));
    }

    fn fade_out(&self, channels: &mut [&mut [f32]]) {
        let n = channels.iter().map(|c| c.len()).min().unwrap_or(0);
        let fade = (self.fade_samples() as usize).min(n);
        for i in 0..fade {
            let gain = 1.0 - (i + 1) as f32 / fade as f32;
            channels.iter_mut().for_each(|c| c[n - fade + i] *= gain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ConverterTiming, Timing};
    use crate::{Crossing, Mix, Rendering, crossing};

    fn a_crossing(max_block: usize) -> Crossing<()> {
        let converter = ConverterTiming { rate: 8000, hop: 1, delay: 0 };
        crossing(&Timing { host_rate: 8000, max_block, converter, slack: 0.0 }, 1)
    }

    /// Runs a model in every interleaving under loom, and once or as often as asked otherwise.
    fn each_way(model: impl Fn() + Send + Sync + 'static) {
        #[cfg(loom)]
        loom::model(model);
        #[cfg(not(loom))]
        (0..50).for_each(|_| model());
    }

    #[cfg(loom)]
    use loom::thread;
    #[cfg(not(loom))]
    use std::thread;

    /// A crossing that is handed over comes into use once, and the one before it comes back once: nothing is lost,
    /// nothing freed on the audio thread.
    #[test]
    fn a_hand_over_loses_nothing() {
        each_way(|| {
            let (old, new) = (a_crossing(1), a_crossing(2));
            let (before, after) = (old.latency, new.latency);
            assert_ne!(before, after);
            let (mut audio, mut entry) = port(old.audio, 8000, || 0);
            let (kept_old, kept_new) = (old.shared, new.shared);
            let side = new.audio;
            let engine = thread::spawn(move || {
                assert!(entry.replace(side).is_ok(), "there is room for one");
                let back = entry.clean_up();
                (entry, back)
            });
            let block =
                Block { controls: (), mix: Mix::default(), rendering: Rendering::Live, song: None, captions: false };
            for _ in 0..2 {
                audio.process(&mut [], &block);
            }
            let used = audio.latency();
            let (mut entry, back) = engine.join().expect("the engine's thread");
            let back = back + entry.clean_up();
            assert_eq!(back, usize::from(used == after), "the old one comes back exactly where the new one is used");
            // Each side holds its counters: whoever is gone has let go of them.
            assert_eq!(
                std::sync::Arc::strong_count(&kept_old),
                3 - back,
                "the old one is gone exactly when it came back"
            );
            assert_eq!(std::sync::Arc::strong_count(&kept_new), 3);
            drop((old.worker, new.worker));
        });
    }
}
