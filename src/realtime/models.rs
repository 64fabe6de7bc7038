//! What holds in every interleaving of the crossing's threads, on loom's memory model. `cargo xtask loom` runs it.
//!
//! Not here: the worker's state, where the engine's exchange meets the worker's store. Loom lets a store be overtaken
//! by an exchange that came before it in the order of modifications, which no machine does, so it finds faults there
//! that there are not.

use loom::model::Builder;
use loom::thread;

use super::stream::stream;
use super::{AudioSide, Block, Crossing, Mix, Pull, Rendering, WorkerSide, crossing};
use crate::clock::{ConverterTiming, Timing};

/// A hop is a sample, and so is a block's half: the smallest crossing in which all that is told crosses.
const BLOCK: usize = 4;

fn small() -> Crossing<()> {
    let converter = ConverterTiming { rate: 8000, hop: 1, delay: 0 };
    let mut crossing = crossing(&Timing { host_rate: 8000, max_block: BLOCK, converter, slack: 0.0 }, 1);
    crossing
}

fn block() -> Block<()> {
    Block { controls: (), mix: Mix::default(), rendering: Rendering::Live, song: None, captions: false }
}

/// Plays every interleaving in which a thread is put aside at most so often against its will: what goes wrong at all
/// goes wrong with few.
fn each_way(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// The input of an epoch at a position.
fn sample(epoch: u64, position: i64) -> f32 {
    (100 * epoch as i64 + position) as f32 / 1024.0
}

#[test]
fn a_mark_is_seen_before_the_samples_behind_it() {
    each_way(3, || {
        let (mut tx, mut rx) = stream(8, 4);
        let sender = thread::spawn(move || {
            assert_eq!(tx.send(&[0.0]), 1);
            tx.mark(1u32).expect("room");
            assert_eq!(tx.send(&[1.0, 2.0]), 2);
            tx.mark(3).expect("room");
            assert_eq!(tx.send(&[3.0]), 1);
        });
        let (mut got, mut marked) = (0u32, 0);
        let mut buffer = [0.0; 4];
        for _ in 0..6 {
            while let Some(mark) = rx.mark() {
                assert_eq!(mark, got, "a mark stands exactly before its sample");
                marked = mark;
            }
            let n = rx.take(&mut buffer);
            for x in &buffer[..n] {
                assert_eq!(*x, got as f32, "samples come in order, each once");
                assert!(got < 1 || marked >= if got < 3 { 1 } else { 3 }, "sample {got} came before its mark");
                got += 1;
            }
            thread::yield_now();
        }
        sender.join().expect("the sender");
        assert!(
            !rx.is_abandoned() || rx.waiting() + got as usize == 4,
            "what was sent is there when the sender is gone"
        );
    });
}

#[test]
fn what_was_sent_can_be_taken_once_the_sender_is_gone() {
    each_way(3, || {
        let Crossing { mut audio, mut worker, shared, .. } = small();
        let host = thread::spawn(move || {
            audio.process(&mut [&mut [0.5; BLOCK]], &block());
        });
        let (mut buffer, mut got) = ([0.0; 8], 0);
        for _ in 0..8 {
            match worker.pull(&mut buffer) {
                Pull::Samples(n) => got += n,
                Pull::Closed => {
                    assert_eq!(got, BLOCK, "closed while sound waited");
                    break;
                }
                _ => thread::yield_now(),
            }
        }
        host.join().expect("the host");
        drop(shared);
    });
}

/// What a worker does that gives back what it got, a block at most at a time; the portion `lost`, counted from 0, never
/// comes.
fn echo(mut worker: WorkerSide<()>, turns: usize, lost: Option<usize>) -> WorkerSide<()> {
    worker.ready_from(0);
    let (mut buffer, mut portions) = ([0.0; BLOCK], 0);
    for _ in 0..turns {
        let position = worker.position();
        match worker.pull(&mut buffer) {
            Pull::Samples(n) => {
                if lost != Some(portions) {
                    assert_eq!(worker.emit(position, &buffer[..n]), n);
                }
                portions += 1;
            }
            Pull::Empty => thread::yield_now(),
            _ => {}
        }
    }
    worker
}

/// Counts the converted samples that were heard in all interleavings together: where there are none, nothing was
/// proved.
type Heard = std::sync::Arc<std::sync::atomic::AtomicUsize>;

fn any(heard: &Heard) -> bool {
    heard.load(std::sync::atomic::Ordering::Relaxed) > 0
}

/// Plays blocks and looks at each sample that was taken for converted sound: it is that of exactly its place and its
/// epoch.
fn play(audio: &mut AudioSide<()>, epoch: u64, blocks: usize, heard: &Heard) {
    let latency = audio.latency().total as i64;
    for k in 0..blocks {
        let first = (k * BLOCK) as i64;
        let mut x: [f32; BLOCK] = std::array::from_fn(|i| sample(epoch, first + i as i64));
        audio.process(&mut [&mut x], &block());
        for (i, (wet, have)) in audio.heard().enumerate() {
            let position = first + i as i64 - latency;
            let wanted = if position < 0 { 0.0 } else { sample(epoch, position) };
            heard.fetch_add(usize::from(have && position >= 0), std::sync::atomic::Ordering::Relaxed);
            assert!(!have || wet == wanted, "{wet} at position {position} of epoch {epoch}, where {wanted} belongs");
        }
    }
}

#[test]
fn converted_sound_is_heard_at_its_place_or_not_at_all() {
    let heard = Heard::default();
    let told = heard.clone();
    each_way(1, move || {
        let Crossing { mut audio, worker, .. } = small();
        let converting = thread::spawn(move || echo(worker, 6, Some(1)));
        play(&mut audio, 1, 5, &told);
        drop(converting.join().expect("the worker"));
    });
    assert!(any(&heard), "nothing converted was ever heard");
}

#[test]
fn no_sound_of_before_a_reset_is_heard_after_it() {
    let heard = Heard::default();
    let told = heard.clone();
    each_way(2, move || {
        let Crossing { mut audio, worker, .. } = small();
        let converting = thread::spawn(move || echo(worker, 5, None));
        play(&mut audio, 1, 1, &told);
        audio.reset();
        play(&mut audio, 2, 3, &told);
        drop(converting.join().expect("the worker"));
    });
    assert!(any(&heard), "nothing converted was ever heard");
}
