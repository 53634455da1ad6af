//! The instruction sets that there are kernels for, and which of them this CPU has.

#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
#[cfg(target_arch = "aarch64")]
use super::{neon, neon_dot};

/// An instruction set that this CPU has: a variant can only be made where the CPU was asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust: the definition that all others equal bit by bit.
    Scalar,
    /// x86-64 with AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Token),
    /// x86-64 with AVX-512 F, BW, VL and VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(avx512::Token),
    /// AArch64 without dot product (Cortex-A53, A72).
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Token),
    /// AArch64 with SDOT (Cortex-A55, A76).
    #[cfg(target_arch = "aarch64")]
    NeonDot(neon_dot::Token),
}

impl Isa {
    /// All that this CPU has, from the slowest to the fastest.
    pub fn available() -> Vec<Self> {
        let mut all = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(avx2::Token::new().map(Self::Avx2));
            all.extend(avx512::Token::new().map(Self::Avx512Vnni));
        }
        #[cfg(target_arch = "aarch64")]
        {
            all.extend(neon::Token::new().map(Self::Neon));
            all.extend(neon_dot::Token::new().map(Self::NeonDot));
        }
        all
    }

    /// The fastest that this CPU has.
    pub fn best() -> Self {
        Self::available().pop().unwrap_or(Self::Scalar)
    }

    /// The one called `name`, if this CPU has it.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|isa| isa.name() == name)
    }

    /// A short name for logs and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(_) => "avx512vnni",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot(_) => "neon-dot",
        }
    }
}
