//! Signal processing: plain functions over slices, and `new / reset / process` types. Knows no threads, files or
//! models.

pub mod bleep;
pub mod dc;
pub mod denormals;
pub mod downmix;
pub mod fbank;
pub mod level;
pub mod limiter;
pub mod mel;
pub mod minimum_phase;
pub mod pitch;
pub mod resample;
pub mod stft;
pub mod true_peak;

/// An allocation inside `assert_no_alloc` ends the test.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
