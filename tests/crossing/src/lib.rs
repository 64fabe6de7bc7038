//! The crossing and the hand-over of crossings, as the library has them, with nothing around them.

#[path = "../../../src/bridge/mod.rs"]
pub mod bridge;
#[path = "../../../src/clock.rs"]
pub mod clock;
#[cfg(loom)]
mod loomed;
/// Which priority a thread has is no part of a model.
mod priority {
    pub fn of_this_thread() -> u8 {
        0
    }
}
#[path = "../../../src/engine/port.rs"]
mod port;

/// All that the hand-over knows of voices: the crossing carries it.
pub mod voice {
    /// What the user may change while sound runs.
    #[derive(Debug, Clone, Copy, PartialEq, Default)]
    pub struct Controls;
}

#[cfg(test)]
mod tests {
    use crate::bridge::{Block, Crossing, Mix, Rendering, crossing};
    use crate::clock::{ConverterTiming, Timing};
    use crate::port::port;
    use crate::voice::Controls;

    fn a_crossing(max_block: usize) -> Crossing<Controls> {
        let converter = ConverterTiming { rate: 8000, hop: 1, delay: 0 };
        let mut crossing = crossing(&Timing { host_rate: 8000, max_block, converter, slack: 0.0 }, 1);
        crossing
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

    /// A crossing that is handed over comes into use once, and the one before it comes back once: nothing is lost, nothing freed on the audio thread.
    #[test]
    fn a_hand_over_loses_nothing() {
        each_way(|| {
            let (old, new) = (a_crossing(1), a_crossing(2));
            let (before, after) = (old.latency, new.latency);
            assert_ne!(before, after);
            let (mut audio, mut entry) = port(old.audio, 8000);
            let (kept_old, kept_new) = (old.shared, new.shared);
            let side = new.audio;
            let engine = thread::spawn(move || {
                assert!(entry.replace(side).is_ok(), "there is room for one");
                let back = entry.clean_up();
                (entry, back)
            });
            let block = Block { controls: Controls, mix: Mix::default(), rendering: Rendering::Live, song: None, captions: false };
            for _ in 0..2 {
                audio.process(&mut [], &block);
            }
            let used = audio.latency();
            let (mut entry, back) = engine.join().expect("the engine's thread");
            let back = back + entry.clean_up();
            assert_eq!(back, usize::from(used == after), "the old one comes back exactly where the new one is used");
            // Each side holds its counters: whoever is gone has let go of them.
            assert_eq!(std::sync::Arc::strong_count(&kept_old), 3 - back, "the old one is gone exactly when it came back");
            assert_eq!(std::sync::Arc::strong_count(&kept_new), 3);
            drop((old.worker, new.worker));
        });
    }
}
