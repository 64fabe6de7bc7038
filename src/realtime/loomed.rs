//! Models of the atomics and of rtrb's rings on loom. A ring has rtrb's own orderings: each end publishes its index
//! with `Release` and reads the other's with `Acquire`, and only when what it knows is not enough. The values lie
//! behind a lock that loom doesn't see, which orders nothing.

use std::cell::{Cell, OnceCell};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

pub use loom::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use loom::sync::atomic::{AtomicU32, AtomicUsize};

/// A float in a `u32`, as `atomic_float` has it.
#[derive(Debug, Default)]
pub struct AtomicF32(AtomicU32);

impl AtomicF32 {
    pub fn load(&self, order: Ordering) -> f32 {
        f32::from_bits(self.0.load(order))
    }

    pub fn store(&self, value: f32, order: Ordering) {
        self.0.store(value.to_bits(), order);
    }

    pub fn swap(&self, value: f32, order: Ordering) -> f32 {
        f32::from_bits(self.0.swap(value.to_bits(), order))
    }

    pub fn fetch_max(&self, value: f32, order: Ordering) -> f32 {
        let larger = |held| Some(f32::from_bits(held).max(value).to_bits());
        f32::from_bits(self.0.fetch_update(order, Ordering::Relaxed, larger).unwrap_or_else(|held| held))
    }
}

#[derive(Debug)]
struct Buffer<T> {
    values: Mutex<VecDeque<T>>,
    capacity: usize,
    /// Values taken and values sent, ever.
    head: AtomicUsize,
    tail: AtomicUsize,
    abandoned: AtomicBool,
}

impl<T> Buffer<T> {
    fn values(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.values.lock().unwrap_or_else(|e| e.into_inner())
    }
}

pub struct RingBuffer<T>(std::marker::PhantomData<T>);

impl<T> RingBuffer<T> {
    #[allow(clippy::new_ret_no_self)]
    pub fn new(capacity: usize) -> (Producer<T>, Consumer<T>) {
        let (head, tail) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let buffer =
            Arc::new(Buffer { values: Mutex::default(), capacity, head, tail, abandoned: AtomicBool::new(false) });
        (
            Producer { buffer: buffer.clone(), sent: 0, seen: 0 },
            Consumer { buffer, taken: 0, seen: Cell::new(0), front: OnceCell::new() },
        )
    }
}

#[derive(Debug)]
pub enum PushError<T> {
    Full(T),
}

#[derive(Debug)]
pub struct Producer<T> {
    buffer: Arc<Buffer<T>>,
    sent: usize,
    /// Values taken, as far as is known here.
    seen: usize,
}

impl<T> Producer<T> {
    fn room(&mut self, wanted: usize) -> usize {
        if self.buffer.capacity - (self.sent - self.seen) < wanted {
            self.seen = self.buffer.head.load(Ordering::Acquire);
        }
        self.buffer.capacity - (self.sent - self.seen)
    }

    pub fn push(&mut self, value: T) -> Result<(), PushError<T>> {
        if self.room(1) == 0 {
            return Err(PushError::Full(value));
        }
        self.buffer.values().push_back(value);
        self.sent += 1;
        self.buffer.tail.store(self.sent, Ordering::Release);
        Ok(())
    }

    pub fn push_partial_slice<'a>(&mut self, values: &'a [T]) -> (&'a [T], &'a [T])
    where
        T: Copy,
    {
        let n = self.room(values.len()).min(values.len());
        if n > 0 {
            self.buffer.values().extend(&values[..n]);
            self.sent += n;
            self.buffer.tail.store(self.sent, Ordering::Release);
        }
        values.split_at(n)
    }

    /// As rtrb: asks for the other end's index.
    pub fn slots(&self) -> usize {
        self.buffer.capacity - (self.sent - self.buffer.head.load(Ordering::Acquire))
    }

    pub fn is_abandoned(&self) -> bool {
        self.buffer.abandoned.load(Ordering::Acquire)
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.buffer.abandoned.store(true, Ordering::Release);
    }
}

#[derive(Debug)]
pub struct Consumer<T> {
    buffer: Arc<Buffer<T>>,
    taken: usize,
    /// Values sent, as far as is known here.
    seen: Cell<usize>,
    /// The next value, once it was looked at.
    front: OnceCell<T>,
}

impl<T> Consumer<T> {
    /// Values that wait, as far as is known; asks the other end where fewer are known than wanted.
    fn known(&self, wanted: usize) -> usize {
        if self.seen.get() - self.taken < wanted {
            self.seen.set(self.buffer.tail.load(Ordering::Acquire));
        }
        self.seen.get() - self.taken
    }

    fn next(&mut self) -> Option<T> {
        self.front.take().or_else(|| self.buffer.values().pop_front())
    }

    fn leave(&mut self, n: usize) {
        if n > 0 {
            self.taken += n;
            self.buffer.head.store(self.taken, Ordering::Release);
        }
    }

    pub fn slots(&self) -> usize {
        self.seen.set(self.buffer.tail.load(Ordering::Acquire));
        self.seen.get() - self.taken
    }

    pub fn peek(&self) -> Result<&T, ()> {
        if self.known(1) == 0 {
            return Err(());
        }
        Ok(self.front.get_or_init(|| self.buffer.values().pop_front().expect("as many as were counted")))
    }

    pub fn pop(&mut self) -> Result<T, ()> {
        if self.known(1) == 0 {
            return Err(());
        }
        let value = self.next().ok_or(())?;
        self.leave(1);
        Ok(value)
    }

    pub fn pop_partial_slice<'a>(&mut self, values: &'a mut [T]) -> (&'a mut [T], &'a mut [T])
    where
        T: Copy,
    {
        let n = self.known(values.len()).min(values.len());
        for value in &mut values[..n] {
            *value = self.next().expect("as many as were counted");
        }
        self.leave(n);
        values.split_at_mut(n)
    }

    pub fn read_chunk(&mut self, n: usize) -> Result<Chunk<'_, T>, ()> {
        if self.known(n) < n { Err(()) } else { Ok(Chunk { consumer: self, n }) }
    }

    pub fn is_abandoned(&self) -> bool {
        self.buffer.abandoned.load(Ordering::Acquire)
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.buffer.abandoned.store(true, Ordering::Release);
    }
}

pub struct Chunk<'a, T> {
    consumer: &'a mut Consumer<T>,
    n: usize,
}

impl<T> Chunk<'_, T> {
    pub fn commit_all(self) {
        for _ in 0..self.n {
            drop(self.consumer.next());
        }
        self.consumer.leave(self.n);
    }
}
