//! Flushes denormal numbers to zero for as long as a guard lives, and leaves the thread as it was found.

/// While it lives, this thread computes with denormals as zeros. The former state comes back when it drops: it is the
/// host's thread.
#[derive(Debug)]
pub struct FlushDenormals {
    former: Register,
    /// A thread's own register: the guard must not move to another thread.
    _here: std::marker::PhantomData<*const ()>,
}

impl FlushDenormals {
    /// Switches flushing on. A few instructions, no system call.
    #[must_use]
    pub fn new() -> Self {
        let former = register::get();
        register::set(former | register::FLUSH);
        Self { former, _here: std::marker::PhantomData }
    }
}

impl Default for FlushDenormals {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for FlushDenormals {
    fn drop(&mut self) {
        register::set(self.former);
    }
}

#[cfg(target_arch = "x86_64")]
type Register = u32;
#[cfg(not(target_arch = "x86_64"))]
type Register = u64;

#[cfg(target_arch = "x86_64")]
mod register {
    /// FTZ (bit 15) and DAZ (bit 6) of MXCSR: Intel SDM vol. 1, 10.2.3.
    pub const FLUSH: u32 = 1 << 15 | 1 << 6;

    pub fn get() -> u32 {
        let mut value = 0u32;
        // SAFETY: STMXCSR writes the control register to the four bytes given; SSE is part of x86-64.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
        value
    }

    pub fn set(value: u32) {
        // SAFETY: LDMXCSR reads four bytes; the value came from `get` with two defined mode bits added, so no reserved
        // bit is set.
        unsafe {
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, readonly, preserves_flags))
        };
    }
}

#[cfg(target_arch = "aarch64")]
mod register {
    /// FZ (bit 24) of FPCR: Arm ARM, C5.2.8.
    pub const FLUSH: u64 = 1 << 24;

    pub fn get() -> u64 {
        let value: u64;
        // SAFETY: FPCR can be read at every exception level.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    }

    pub fn set(value: u64) {
        // SAFETY: FPCR can be written at every exception level; the value came from `get` with a defined mode bit
        // added.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod register {
    pub const FLUSH: u64 = 0;

    pub fn get() -> u64 {
        0
    }

    pub fn set(_: u64) {}
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;

    #[test]
    fn flushes_and_restores() {
        let half = |x: f32| std::hint::black_box(x) * std::hint::black_box(0.5);
        assert!(half(f32::MIN_POSITIVE) > 0.0);
        {
            let _guard = FlushDenormals::new();
            assert_eq!(half(f32::MIN_POSITIVE), 0.0);
        }
        assert!(half(f32::MIN_POSITIVE) > 0.0);
    }
}
