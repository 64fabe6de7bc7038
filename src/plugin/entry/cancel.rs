//! Keeps a thread from being cancelled while it is inside the plugin. Knows no plugin.
//!
//! JACK's library ends a client's audio thread with `pthread_cancel`. A cancellation unwinds the stack, and one that
//! meets a Rust function with a C interface aborts the process. Put off until the block is done it ends the thread
//! where its owner expects it.

/// Holds a cancellation of this thread back until it is dropped. Wait-free.
pub struct HoldCancellation {
    #[cfg(target_os = "linux")]
    former: libc::c_int,
}

#[cfg(target_os = "linux")]
mod glibc {
    // The libc crate has neither for Linux; the number is that of glibc's and musl's <pthread.h>.
    unsafe extern "C" {
        pub fn pthread_setcancelstate(state: libc::c_int, former: *mut libc::c_int) -> libc::c_int;
    }
    pub const DISABLE: libc::c_int = 1;
}

impl HoldCancellation {
    /// From now on.
    pub fn new() -> Self {
        #[cfg(target_os = "linux")]
        {
            let mut former = 0;
            // SAFETY: the state is one of the two that there are, and the former one is written to a place of ours.
            unsafe { glibc::pthread_setcancelstate(glibc::DISABLE, &mut former) };
            Self { former }
        }
        #[cfg(not(target_os = "linux"))]
        Self {}
    }
}

impl Drop for HoldCancellation {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the state is the one that the system gave. This is no point where a cancellation acts.
        unsafe {
            glibc::pthread_setcancelstate(self.former, std::ptr::null_mut());
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    unsafe extern "C" {
        fn pthread_cancel(thread: libc::pthread_t) -> libc::c_int;
    }

    struct Job {
        inside: AtomicBool,
        done: AtomicBool,
    }

    /// What a host's audio thread does: it is in the plugin, which sleeps in an offline render, and then waits for the
    /// next block.
    extern "C" fn audio(job: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: the test made it from an `Arc` whose count it raised.
        let job = unsafe { Arc::from_raw(job as *const Job) };
        {
            let _hold = HoldCancellation::new();
            job.inside.store(true, Ordering::Release);
            // SAFETY: a sleep; a cancellation would act here.
            unsafe { libc::usleep(200_000) };
            job.done.store(true, Ordering::Release);
        }
        drop(job);
        // The cancellation may act from here on: no frame of Rust's that has something to drop is in its way.
        std::ptr::null_mut()
    }

    #[test]
    fn a_block_ends_before_its_thread_is_cancelled() {
        let job = Arc::new(Job { inside: AtomicBool::new(false), done: AtomicBool::new(false) });
        let mut thread: libc::pthread_t = 0;
        // SAFETY: the function has the signature that is asked for and owns its argument.
        let made = unsafe {
            libc::pthread_create(&mut thread, std::ptr::null(), audio, Arc::into_raw(job.clone()) as *mut libc::c_void)
        };
        assert_eq!(made, 0);
        while !job.inside.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        // SAFETY: the thread runs or has run and was not joined yet.
        unsafe {
            assert_eq!(pthread_cancel(thread), 0);
            libc::pthread_join(thread, std::ptr::null_mut());
        }
        assert!(job.done.load(Ordering::Acquire), "the block was cut off");
    }
}
