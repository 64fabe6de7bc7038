//! Which instructions the network's loops are compiled for, and the one body that all of them share. Knows no network.
//!
//! A loop is written once. Every variant does the same operations in the same order on each number (fused multiply-add,
//! addition, division, square root: each is exact to the last bit in IEEE 754), so vector width changes no bit.

/// A set of instructions that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    /// What the target always has.
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The quickest of this processor.
    pub fn best() -> Self {
        Self::all().last().copied().unwrap_or(Self(Set::Plain))
    }

    /// All that this processor has, the quickest last.
    pub fn all() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))]
        let mut all = vec![Self(Set::Plain)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Self(Set::Avx2));
            }
            let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
            if wide && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512bw") && all.len() == 2 {
                all.push(Self(Set::Avx512));
            }
        }
        all
    }

    /// Whether it has a fused multiply-add of its own. Without one each is a call of a function, and the network takes
    /// longer than it has.
    pub fn fuses(self) -> bool {
        self.0 != Set::Plain || cfg!(not(target_arch = "x86_64"))
    }

    pub(super) fn set(self) -> Set {
        self.0
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "AVX-512",
        }
    }
}

/// Compiles the body of a function for every set of instructions; the function takes an `Isa` first and calls the body
/// of that.
macro_rules! for_every_isa {
    ($(#[$about:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$about])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(isa: $crate::mynah::native::isa::Isa, $($arg: $type),*) {
            #[inline(always)]
            fn plain($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) { plain($($arg),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
            fn avx512($($arg: $type),*) { plain($($arg),*) }
            match isa.set() {
                $crate::mynah::native::isa::Set::Plain => plain($($arg),*),
                // SAFETY: an `Isa` is only made of instructions that were found on this processor.
                #[cfg(target_arch = "x86_64")]
                $crate::mynah::native::isa::Set::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::mynah::native::isa::Set::Avx512 => unsafe { avx512($($arg),*) },
            }
        }
    };
}
pub(super) use for_every_isa;
