//! The device's key in the kernel's keyring: it is in no file, and gone with the power.
//!
//! ```text
//! user keyring: "facelatch:device"   32 bytes, put there at every start, before the device
//!               "facelatch:next"     the key that shall take its place, while it is being changed
//! ```
//!
//! Who puts it there decides how safe it is: the service manager from a credential that a TPM sealed, or a person at the
//! console. This place never makes a key: after the next start it would be gone, and everybody with it. A key is changed by
//! giving both at each start until the device says that it has the new one.

use linux_keyutils::{Key, KeyError as RingError, KeyRing, KeyRingIdentifier};
use zeroize::Zeroizing;

use super::key::{DeviceKey, KeyError};
use super::key_place::KeyPlace;

const CURRENT: &str = "facelatch:device";
const NEXT: &str = "facelatch:next";

/// A keyring that holds the device's key.
#[derive(Debug, Clone, Copy)]
pub struct RingPlace {
    ring: KeyRing,
}

impl RingPlace {
    /// The keyring of the user under whom the program runs.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub fn of_user() -> Result<Self, KeyError> {
        let place = Self::open(KeyRingIdentifier::User)?;
        // Only what hangs on a keyring of the process may be read by it, whatever session the service manager gave.
        let process = KeyRing::from_special_id(KeyRingIdentifier::Process, true);
        let linked = process.and_then(|process| process.link_keyring(place.ring));
        linked
            .map(|()| place)
            .map_err(|_| unfit("the kernel does not let this program use its user's keyring"))
    }

    fn open(ring: KeyRingIdentifier) -> Result<Self, KeyError> {
        let ring = KeyRing::from_special_id(ring, true).map_err(|_| unfit("the kernel gives no keyring"))?;
        Ok(Self { ring })
    }

    fn find(&self, name: &str) -> Result<Option<Key>, KeyError> {
        match self.ring.search(name) {
            Ok(key) => Ok(Some(key)),
            Err(RingError::KeyDoesNotExist) => Ok(None),
            Err(_) => Err(unfit("it may not be searched")),
        }
    }

    fn read(&self, name: &str) -> Result<Option<DeviceKey>, KeyError> {
        let Some(key) = self.find(name)? else { return Ok(None) };
        let bytes = Zeroizing::new(key.read_to_vec().map_err(|_| unfit("the key may not be read"))?);
        let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| unfit("the key has not 32 bytes"))?;
        Ok(Some(DeviceKey::from_bytes(bytes)))
    }
}

impl KeyPlace for RingPlace {
    fn current(&mut self) -> Result<DeviceKey, KeyError> {
        self.read(CURRENT)?.ok_or_else(|| {
            unfit("there is no key \"facelatch:device\"; put it there before the device starts (boards/README.md)")
        })
    }

    fn proposed(&mut self) -> Result<Option<DeviceKey>, KeyError> {
        self.read(NEXT)
    }

    /// Refuses: what the device would put here is gone with the power.
    fn propose(&mut self, _: &DeviceKey) -> Result<(), KeyError> {
        Err(KeyError::Fixed)
    }

    fn adopt(&mut self) -> Result<(), KeyError> {
        let Some(next) = self.find(NEXT)? else { return Err(unfit("there is no key \"facelatch:next\"")) };
        let key = self.read(NEXT)?.ok_or_else(|| unfit("the next key is gone"))?;
        self.ring.add_key(CURRENT, key.bytes()).map_err(|_| unfit("the key may not be changed"))?;
        self.ring.unlink_key(next).map_err(|_| unfit("the old key may not be removed"))
    }
}

fn unfit(reason: &'static str) -> KeyError {
    KeyError::Unfit { path: "in the kernel's keyring".into(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The thread's own keyring, which ends with it.
    fn place() -> RingPlace {
        RingPlace::open(KeyRingIdentifier::Thread).expect("every thread has one")
    }

    #[test]
    fn a_key_is_never_made_here_and_one_that_is_there_is_taken() {
        let mut place = place();
        let error = place.current().err().expect("there is none").to_string();
        assert!(error.contains("facelatch:device"), "{error}");
        place.ring.add_key(CURRENT, &[7; 32]).expect("put");
        assert_eq!(place.current().expect("there").bytes(), &[7; 32]);
        place.ring.add_key(CURRENT, &[7; 31]).expect("put");
        assert!(place.current().is_err());
    }

    #[test]
    fn a_change_is_adopted_when_both_keys_are_there() {
        let mut place = place();
        place.ring.add_key(CURRENT, &[1; 32]).expect("put");
        assert!(place.proposed().expect("read").is_none() && place.adopt().is_err());
        assert!(matches!(place.propose(&DeviceKey::from_bytes([2; 32])), Err(KeyError::Fixed)));
        place.ring.add_key(NEXT, &[2; 32]).expect("put");
        assert!(place.proposed().expect("read").is_some());
        place.adopt().expect("adopted");
        assert_eq!(place.current().expect("there").bytes(), &[2; 32]);
        assert!(place.proposed().expect("read").is_none());
    }
}
