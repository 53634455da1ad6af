//! What a person needs to come in besides a face: a PIN, and the time at which it may be. Neither unless the owner
//! says so.

use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::hours::Hours;

/// Fewest and most digits of a PIN.
pub const PIN_DIGITS: core::ops::RangeInclusive<usize> = 4..=8;
/// How often a PIN is hashed. A choice: about 10 ms on a Cortex-A53, reckoned at 15 cycles a byte, since the door's loop
/// waits for it.
const ROUNDS: u32 = 4096;

/// What is not a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PinError {
    /// Too few, too many, or other letters.
    #[error("a PIN has 4 to 8 digits and nothing else")]
    Digits,
    /// There are no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// What is asked of a person besides a face.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Access {
    /// A PIN; `None`: the face is enough.
    pub pin: Option<Pin>,
    /// When the person may come; `None`: always.
    pub hours: Option<Hours>,
}

/// A PIN that can be compared but not read.
///
/// What keeps it safe is the key that seals the person's record: eight digits are found from any hash by whoever has
/// the bytes and some days. The hash keeps them from being read in memory, and off the owner's cable.
///
/// # Source
/// PBKDF2 with HMAC-SHA-256, RFC 8018, 5.2.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Pin {
    /// Drawn for each PIN.
    pub salt: [u8; 16],
    /// The first block of PBKDF2.
    pub hash: [u8; 32],
}

impl core::fmt::Debug for Pin {
    /// Without the hash: four digits are soon found.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Pin")
    }
}

impl PartialEq for Pin {
    fn eq(&self, other: &Self) -> bool {
        self.salt == other.salt && self.hash.ct_eq(&other.hash).into()
    }
}

impl Eq for Pin {}

impl Pin {
    /// The PIN of these digits.
    ///
    /// # Errors
    /// When they are none, or there are no random numbers.
    pub fn new(digits: &str) -> Result<Self, PinError> {
        if !PIN_DIGITS.contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(PinError::Digits);
        }
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| PinError::Random)?;
        Ok(Self { salt, hash: derived(digits.as_bytes(), &salt, ROUNDS) })
    }

    /// Whether these digits are it. Takes the same time whatever they are.
    #[must_use]
    pub fn is(&self, digits: &str) -> bool {
        let of = |digits: &str| derived(digits.as_bytes(), &self.salt, ROUNDS);
        digits.len() <= *PIN_DIGITS.end() && self.hash.ct_eq(&of(digits)).into()
    }
}

/// The first block of PBKDF2.
fn derived(secret: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(secret, salt, rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_digits_are_the_pin_and_none_can_be_read() {
        let pin = Pin::new("0471").expect("four digits");
        assert!(pin.is("0471"));
        for wrong in ["0472", "471", "00471", "", "0471047104710471047104710471"] {
            assert!(!pin.is(wrong), "{wrong}");
        }
        assert_ne!(pin, Pin::new("0471").expect("four digits"), "salted");
        assert_eq!(format!("{pin:?}"), "Pin");
        for bad in ["123", "123456789", "12a4", "", "12 4", "١٢٣٤"] {
            assert_eq!(Pin::new(bad), Err(PinError::Digits), "{bad}");
        }
    }

    /// RFC 7914, section 11: the first 32 bytes of each answer.
    #[test]
    fn the_hash_is_that_of_the_standard() {
        let hex = |bytes: [u8; 32]| bytes.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(
            hex(derived(b"passwd", b"salt", 1)),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        );
        assert_eq!(
            hex(derived(b"Password", b"NaCl", 80_000)),
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
        );
    }
}
