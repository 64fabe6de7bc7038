//! macOS: threads with a time constraint, as its audio threads are: so much computing within so much time.

use mach2::mach_time::mach_timebase_info;
use mach2::thread_policy::{
    THREAD_STANDARD_POLICY, THREAD_STANDARD_POLICY_COUNT, THREAD_TIME_CONSTRAINT_POLICY,
    THREAD_TIME_CONSTRAINT_POLICY_COUNT, thread_policy_set, thread_standard_policy_data_t,
    thread_time_constraint_policy_data_t,
};

use super::{AUDIO, DEVICE};

/// Nanoseconds of computing, and within how many: what is nearer to the device has less of either, so that it goes
/// first.
fn constraint(priority: u8) -> (u64, u64) {
    match priority {
        DEVICE.. => (1_000_000, 3_000_000),
        AUDIO => (2_000_000, 6_000_000),
        _ => (5_000_000, 15_000_000),
    }
}

pub fn raise(priority: u8) -> bool {
    let mut base = Default::default();
    // SAFETY: the place is one of ours.
    if unsafe { mach_timebase_info(&mut base) } != 0 || base.numer == 0 {
        return false;
    }
    let ticks = |nanoseconds: u64| {
        u32::try_from(nanoseconds * u64::from(base.denom) / u64::from(base.numer)).unwrap_or(u32::MAX)
    };
    let (computing, within) = constraint(priority);
    // No period: a hop begins when its sound is there.
    let mut policy = thread_time_constraint_policy_data_t {
        period: 0,
        computation: ticks(computing),
        constraint: ticks(within),
        preemptible: 1,
    };
    // SAFETY: the policy is of this kind and length; the thread is the calling one, and its port isn't ours to give
    // back.
    unsafe {
        thread_policy_set(
            libc::pthread_mach_thread_np(libc::pthread_self()),
            THREAD_TIME_CONSTRAINT_POLICY,
            (&raw mut policy).cast(),
            THREAD_TIME_CONSTRAINT_POLICY_COUNT,
        ) == 0
    }
}

pub fn lower() -> bool {
    let mut policy = thread_standard_policy_data_t { no_data: 0 };
    // SAFETY: as above.
    unsafe {
        thread_policy_set(
            libc::pthread_mach_thread_np(libc::pthread_self()),
            THREAD_STANDARD_POLICY,
            (&raw mut policy).cast(),
            THREAD_STANDARD_POLICY_COUNT,
        ) == 0
    }
}
