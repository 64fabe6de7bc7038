//! The register by which a thread computes: rounding, and whether denormals are zeros. A host's own setting must
//! outlive every call into a plugin.

/// x86-64: MXCSR without the six bits in which exceptions that occurred are noted.
#[cfg(target_arch = "x86_64")]
pub fn get() -> u64 {
    let mut value = 0u32;
    // SAFETY: STMXCSR writes the control register to the four bytes given.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
    u64::from(value & !0x3f)
}

/// Sets what `get` gave, or one of `MODES`.
#[cfg(target_arch = "x86_64")]
pub fn set(value: u64) {
    let value = value as u32;
    // SAFETY: LDMXCSR reads four bytes; only defined bits are ever set by this file's callers.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, readonly, preserves_flags)) };
}

/// The usual mode; rounding toward zero; denormals as zeros already (Intel SDM vol. 1, 10.2.3).
#[cfg(target_arch = "x86_64")]
pub const MODES: [u64; 3] = [0x1f80, 0x7f80, 0x9fc0];

/// AArch64: FPCR.
#[cfg(target_arch = "aarch64")]
pub fn get() -> u64 {
    let value: u64;
    // SAFETY: FPCR can be read at every exception level.
    unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Sets what `get` gave, or one of `MODES`.
#[cfg(target_arch = "aarch64")]
pub fn set(value: u64) {
    // SAFETY: FPCR can be written at every exception level; only defined bits are ever set by this file's callers.
    unsafe { std::arch::asm!("msr fpcr, {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
}

/// The usual mode; rounding toward zero; denormals as zeros already (Arm ARM, C5.2.8).
#[cfg(target_arch = "aarch64")]
pub const MODES: [u64; 3] = [0, 3 << 22, 1 << 24];
