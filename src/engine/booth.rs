//! What a window needs of the sound beside the conversion: a recording of the input, the last of the output, and a clip
//! that is heard in place of the track. `BoothSide` is the audio thread's and wait-free: nothing is allocated, freed or
//! locked there. `Booth` is for any other thread. Knows no voices and no window.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rtrb::{Consumer, Producer, PushError, RingBuffer};

/// Samples that a tap holds: a third of a second in stereo at 192 kHz. Its reader looks fifty times a second.
const ROOM: usize = 1 << 17;
/// Clips that wait for the audio thread, and that it has given back.
const CLIPS: usize = 4;
/// How long a clip fades in and out, in seconds.
const FADE: f64 = 0.01;

/// A mono clip at the host's rate, and its number, counted from 1.
type Clip = (u64, Arc<[f32]>);

#[derive(Debug, Default)]
struct Shared {
    /// Writer: whoever records. Reader: audio thread.
    hears_input: AtomicBool,
    /// Writer: the window. Reader: audio thread.
    hears_output: AtomicBool,
    /// Writer: audio thread. Samples of the input that found no room.
    lost: AtomicU64,
    /// Writer: audio thread. Blocks that the host has sent.
    blocks: AtomicU64,
    /// Writer: the window; the audio thread makes it 0 at a clip's end. The clip that shall be heard; 0 is none.
    wanted: AtomicU64,
    /// Writer: audio thread. The clip that is heard; 0 is none.
    heard: AtomicU64,
}

/// The end that belongs to windows and their threads. See the top of the file.
#[derive(Debug)]
pub struct Booth {
    shared: Arc<Shared>,
    input: Mutex<Consumer<f32>>,
    output: Mutex<Consumer<f32>>,
    clips: Mutex<Clips>,
    side: Mutex<Option<BoothSide>>,
}

#[derive(Debug)]
struct Clips {
    next: u64,
    waiting: Producer<Clip>,
    retired: Consumer<Clip>,
}

/// The end that belongs to the audio thread. See the top of the file.
#[derive(Debug)]
pub struct BoothSide {
    shared: Arc<Shared>,
    input: Producer<f32>,
    output: Producer<f32>,
    waiting: Consumer<Clip>,
    retired: Producer<Clip>,
    /// The clip that is heard, how far it is, and its gain: 0 is the track alone, 1 the clip alone.
    clip: Option<Clip>,
    at: usize,
    gain: f32,
    /// What the gain moves by with each sample.
    step: f32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Default for Booth {
    fn default() -> Self {
        let shared = Arc::new(Shared::default());
        let (input, input_out) = RingBuffer::new(ROOM);
        let (output, output_out) = RingBuffer::new(ROOM);
        let (waiting_in, waiting) = RingBuffer::new(CLIPS);
        let (retired, retired_out) = RingBuffer::new(CLIPS);
        let side = BoothSide {
            shared: shared.clone(),
            input,
            output,
            waiting,
            retired,
            clip: None,
            at: 0,
            gain: 0.0,
            step: 1.0,
        };
        let clips = Clips { next: 1, waiting: waiting_in, retired: retired_out };
        Self {
            shared,
            input: Mutex::new(input_out),
            output: Mutex::new(output_out),
            clips: Mutex::new(clips),
            side: Mutex::new(Some(side)),
        }
    }
}

impl Booth {
    /// The audio thread's end: once.
    pub fn side(&self) -> Option<BoothSide> {
        lock(&self.side).take()
    }

    /// Hears the input from now on, or no longer. What was heard before is forgotten.
    pub fn hear_input(&self, on: bool) {
        hear(&self.shared.hears_input, &self.input, on);
        self.shared.lost.store(0, Ordering::Relaxed);
    }

    /// Appends what was heard of the input since, the channels interleaved. Tells how many samples found no room since
    /// `hear_input`.
    pub fn input(&self, samples: &mut Vec<f32>) -> u64 {
        drain(&mut lock(&self.input), samples);
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Hears the output from now on, or no longer.
    pub fn hear_output(&self, on: bool) {
        hear(&self.shared.hears_output, &self.output, on);
    }

    /// Appends what was heard of the output since: the mean of the channels, without clips.
    pub fn output(&self, samples: &mut Vec<f32>) {
        drain(&mut lock(&self.output), samples);
    }

    /// Lets a mono clip at the host's rate be heard in place of the track, from the next block on; another one ends
    /// first. Gives its number, or none where the host takes no blocks and too many clips wait.
    pub fn play(&self, clip: Arc<[f32]>) -> Option<u64> {
        let mut clips = lock(&self.clips);
        while clips.retired.pop().is_ok() {}
        if clips.waiting.is_full() {
            return None;
        }
        let number = clips.next;
        clips.next += 1;
        // First what is wanted: a clip that is taken before it is wanted is given back unheard.
        self.shared.wanted.store(number, Ordering::Release);
        clips.waiting.push((number, clip)).ok()?;
        Some(number)
    }

    /// No clip shall be heard.
    pub fn stop(&self) {
        self.shared.wanted.store(0, Ordering::Release);
    }

    /// The clip that shall be heard, and the one that is heard; 0 is none.
    pub fn clip(&self) -> (u64, u64) {
        (self.shared.wanted.load(Ordering::Acquire), self.shared.heard.load(Ordering::Acquire))
    }

    /// How many blocks the host has sent: where it does not grow, nothing is heard and nothing can be recorded.
    pub fn blocks(&self) -> u64 {
        self.shared.blocks.load(Ordering::Relaxed)
    }
}

fn hear(flag: &AtomicBool, ring: &Mutex<Consumer<f32>>, on: bool) {
    flag.store(false, Ordering::Relaxed);
    let mut ring = lock(ring);
    let old = ring.slots();
    if let Ok(chunk) = ring.read_chunk(old) {
        chunk.commit_all();
    }
    flag.store(on, Ordering::Relaxed);
}

fn drain(ring: &mut Consumer<f32>, samples: &mut Vec<f32>) {
    let there = ring.slots();
    if let Ok(chunk) = ring.read_chunk(there) {
        let (a, b) = chunk.as_slices();
        samples.extend_from_slice(a);
        samples.extend_from_slice(b);
        chunk.commit_all();
    }
}

/// Samples of all channels in a block.
fn frames(channels: &[&mut [f32]]) -> usize {
    channels.iter().map(|c| c.len()).min().unwrap_or(0)
}

impl BoothSide {
    /// The host's rate in Hz from now on. Not while sound runs.
    pub fn prepare(&mut self, rate: u32) {
        self.step = (1.0 / (FADE * f64::from(rate)).max(1.0)) as f32;
    }

    /// Before the conversion: a block of the input, channel by channel.
    pub fn input(&mut self, channels: &[&mut [f32]]) {
        self.shared.blocks.fetch_add(1, Ordering::Relaxed);
        if !self.shared.hears_input.load(Ordering::Relaxed) {
            return;
        }
        let n = frames(channels);
        match self.input.write_chunk_uninit(n * channels.len()) {
            Ok(chunk) => {
                chunk.fill_from_iter((0..n).flat_map(|i| channels.iter().map(move |c| c[i])));
            }
            Err(_) => {
                self.shared.lost.fetch_add(n as u64, Ordering::Relaxed);
            }
        }
    }

    /// After the conversion: a block of the output, which a clip replaces where one shall be heard. `allowed` is false
    /// where the host renders or bypasses: a clip ends there at once. Tells whether a clip is heard.
    pub fn output(&mut self, channels: &mut [&mut [f32]], allowed: bool) -> bool {
        let n = frames(channels);
        if self.shared.hears_output.load(Ordering::Relaxed)
            && let Ok(chunk) = self.output.write_chunk_uninit(n)
        {
            let scale = 1.0 / channels.len().max(1) as f32;
            chunk.fill_from_iter((0..n).map(|i| channels.iter().map(|c| c[i]).sum::<f32>() * scale));
        }
        if !allowed {
            self.shared.wanted.store(0, Ordering::Release);
            self.gain = 0.0;
        }
        self.change();
        for i in 0..n {
            let Some((number, clip)) = &self.clip else { break };
            // Two samples to spare, so that rounding leaves no gain at the end.
            let left = clip.len().saturating_sub(self.at + 2) as f32;
            let going = self.shared.wanted.load(Ordering::Acquire) == *number && left * self.step > self.gain;
            self.gain = if going { (self.gain + self.step).min(1.0) } else { (self.gain - self.step).max(0.0) };
            let sample = clip.get(self.at).copied().unwrap_or(0.0);
            channels.iter_mut().for_each(|c| c[i] += (sample - c[i]) * self.gain);
            self.at = (self.at + 1).min(clip.len());
            if self.gain <= 0.0 {
                self.change();
            }
        }
        self.clip.is_some()
    }

    /// Gives back a clip that is over, and takes the next one.
    fn change(&mut self) {
        let wanted = self.shared.wanted.load(Ordering::Acquire);
        if let Some((number, clip)) = &self.clip
            && self.gain <= 0.0
            && self.at > 0
            && (wanted != *number || self.at >= clip.len())
        {
            // Another may have been asked for meanwhile: that one stays.
            let _ = self.shared.wanted.compare_exchange(*number, 0, Ordering::AcqRel, Ordering::Relaxed);
            self.retire();
        }
        // What is taken must have a way out, since it can't be freed here.
        while self.clip.is_none() && self.retired.slots() > 0 {
            let Ok(next) = self.waiting.pop() else { break };
            let (number, empty) = (next.0, next.1.is_empty());
            (self.clip, self.at, self.gain) = (Some(next), 0, 0.0);
            if number == wanted && !empty {
                self.shared.heard.store(number, Ordering::Release);
            } else {
                self.retire();
            }
        }
    }

    fn retire(&mut self) {
        self.shared.heard.store(0, Ordering::Release);
        if let Some(clip) = self.clip.take()
            && let Err(PushError::Full(clip)) = self.retired.push(clip)
        {
            // Can't be: there was room when it was taken, and nobody else fills it. Leaking is better than freeing on
            // this thread.
            std::mem::forget(clip);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assert_no_alloc::assert_no_alloc;

    const BLOCK: usize = 64;

    fn side(booth: &Booth) -> BoothSide {
        let mut side = booth.side().expect("the first time");
        side.prepare(48000);
        side
    }

    /// A block of the track at a level, and what is heard of it.
    fn play(side: &mut BoothSide, level: f32, allowed: bool) -> Vec<f32> {
        let (mut l, mut r) = ([level; BLOCK], [level; BLOCK]);
        assert_no_alloc(|| {
            side.input(&[&mut l, &mut r]);
            side.output(&mut [&mut l, &mut r], allowed);
        });
        assert_eq!(l, r);
        l.to_vec()
    }

    fn clip(samples: usize) -> Arc<[f32]> {
        vec![0.5; samples].into()
    }

    #[test]
    fn the_input_is_recorded_to_the_bit_and_only_while_asked() {
        let booth = Booth::default();
        let mut side = side(&booth);
        play(&mut side, 0.1, true);
        booth.hear_input(true);
        let mut heard = Vec::new();
        for block in 0..10 {
            let mut l: Vec<f32> = (0..BLOCK).map(|i| (block * BLOCK + i) as f32).collect();
            let mut r: Vec<f32> = l.iter().map(|x| -x).collect();
            side.input(&[&mut l, &mut r]);
            assert_eq!(booth.input(&mut heard), 0);
        }
        booth.hear_input(false);
        play(&mut side, 0.1, true);
        booth.input(&mut heard);
        let wanted: Vec<f32> = (0..10 * BLOCK).flat_map(|i| [i as f32, -(i as f32)]).collect();
        assert_eq!(heard, wanted);
        assert_eq!(booth.blocks(), 12);
    }

    #[test]
    fn what_nobody_reads_is_counted_as_lost_and_the_next_recording_begins_anew() {
        let booth = Booth::default();
        let mut side = side(&booth);
        booth.hear_input(true);
        for _ in 0..ROOM / BLOCK {
            play(&mut side, 0.3, true);
        }
        let mut heard = Vec::new();
        assert_eq!(booth.input(&mut heard), (ROOM / 2) as u64);
        play(&mut side, 0.3, true);
        booth.hear_input(true);
        heard.clear();
        play(&mut side, 0.7, true);
        assert_eq!((booth.input(&mut heard), heard), (0, vec![0.7; 2 * BLOCK]));
    }

    #[test]
    fn a_clip_replaces_the_track_without_a_click_and_ends_by_itself() {
        let booth = Booth::default();
        let mut side = side(&booth);
        booth.hear_output(true);
        let number = booth.play(clip(4800)).expect("room");
        assert_eq!(booth.clip(), (number, 0));
        let heard: Vec<f32> = (0..90).flat_map(|_| play(&mut side, -0.5, true)).collect();
        assert_eq!(booth.clip(), (0, 0), "it has ended");
        assert!(heard[500..4300].iter().all(|x| (x - 0.5).abs() < 1e-3), "the clip alone");
        assert!(heard[4810..].iter().all(|x| *x == -0.5), "the track again");
        let jump = heard.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        assert!(jump < 0.0025, "{jump}");
        let mut output = Vec::new();
        booth.output(&mut output);
        assert_eq!(output, vec![-0.5; 90 * BLOCK], "the window hears the track, not the clip");
    }

    #[test]
    fn a_second_click_stops_it_and_another_clip_follows_the_first() {
        let booth = Booth::default();
        let mut side = side(&booth);
        let first = booth.play(clip(48000)).expect("room");
        (0..20).for_each(|_| drop(play(&mut side, 0.0, true)));
        assert_eq!(booth.clip(), (first, first));
        let second = booth.play(vec![-0.25; 48000].into()).expect("room");
        let heard: Vec<f32> = (0..30).flat_map(|_| play(&mut side, 0.0, true)).collect();
        assert_eq!(booth.clip(), (second, second));
        assert!((heard[heard.len() - 1] + 0.25).abs() < 1e-3);
        booth.stop();
        let heard: Vec<f32> = (0..10).flat_map(|_| play(&mut side, 0.0, true)).collect();
        assert_eq!((booth.clip(), heard[heard.len() - 1]), ((0, 0), 0.0));
    }

    #[test]
    fn a_render_and_a_bypass_hear_no_clip() {
        let booth = Booth::default();
        let mut side = side(&booth);
        booth.play(clip(48000)).expect("room");
        assert_eq!(play(&mut side, 0.125, false), [0.125; BLOCK]);
        booth.play(clip(48000)).expect("room");
        (0..20).for_each(|_| drop(play(&mut side, 0.125, true)));
        assert_eq!(play(&mut side, 0.125, false), [0.125; BLOCK], "at once");
        assert_eq!(booth.clip(), (0, 0));
        assert_eq!(play(&mut side, 0.125, true), [0.125; BLOCK]);
    }

    #[test]
    fn clips_that_no_host_takes_do_not_pile_up() {
        let booth = Booth::default();
        let numbers: Vec<_> = (0..6).map(|_| booth.play(clip(100))).collect();
        assert!(numbers[..CLIPS].iter().all(Option::is_some) && numbers[CLIPS..].iter().all(Option::is_none));
        let mut side = side(&booth);
        for _ in 0..3 {
            play(&mut side, 0.0, true);
        }
        assert_eq!(booth.clip(), (0, 0), "the last one was heard to its end, the others never");
        assert!(booth.play(clip(100)).is_some());
    }
}
