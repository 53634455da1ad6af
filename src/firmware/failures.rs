//! The door's failures, kept while the power is off: a lockout outlasts it.
//!
//! ```text
//! Lockout | 1   version 1 | postcard of (failures, remaining)
//! Lockout | 0   postcard of (failures, remaining)    : read while there is no record 1, never written
//! ```

use core::fmt::Debug;

use embedded_storage_async::nor_flash::NorFlash;

use crate::door::Lockout;
use crate::flash::{Map, MapError, Namespace};

const VERSION: u8 = 1;

/// What is kept in `map`; no failures when nothing was.
///
/// # Errors
/// When the storage fails, or the record is damaged or of a newer version.
pub fn read<F: NorFlash<Error: Debug>>(map: &mut Map<F>) -> Result<Lockout, MapError> {
    let damaged = || MapError::Damaged { reason: "the kept failures".to_owned() };
    let bytes = match map.get(Namespace::Lockout.key(1))? {
        Some(record) => match record.split_first() {
            Some((&VERSION, bytes)) => bytes.to_vec(),
            _ => return Err(damaged()),
        },
        None => match map.get(Namespace::Lockout.key(0))? {
            Some(bytes) => bytes,
            None => return Ok(Lockout::default()),
        },
    };
    postcard::from_bytes(&bytes).map_err(|_| damaged())
}

/// Keeps `lockout` in `map`.
///
/// # Errors
/// When the storage fails.
pub fn write<F: NorFlash<Error: Debug>>(map: &mut Map<F>, lockout: &Lockout) -> Result<(), MapError> {
    let mut bytes = vec![VERSION];
    bytes.extend(postcard::to_allocvec(lockout).expect("these types are always serialisable"));
    map.set(Namespace::Lockout.key(1), &bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::flash::SimFlash;

    #[test]
    fn failures_are_kept_and_those_of_older_firmware_are_read() {
        let mut map = Map::new(SimFlash::new(2), 0..8192).expect("opens");
        assert_eq!(read(&mut map).expect("nothing"), Lockout::default());
        let kept = Lockout { failures: 6, remaining: Duration::from_secs(60) };
        let old = postcard::to_allocvec(&kept).expect("bytes");
        map.set(Namespace::Lockout.key(0), &old).expect("stored");
        assert_eq!(read(&mut map).expect("read"), kept);
        let more = Lockout { failures: 7, ..kept };
        write(&mut map, &more).expect("kept");
        assert_eq!(read(&mut map).expect("read"), more);
        for damaged in [&[][..], &[2, 6, 60, 0], &[1], &[1, 0xFF]] {
            map.set(Namespace::Lockout.key(1), damaged).expect("stored");
            assert!(read(&mut map).is_err(), "{damaged:?}");
        }
    }
}
