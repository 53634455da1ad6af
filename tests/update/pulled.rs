//! The cable is pulled after every byte of an update, and plugged in again later.

use facelatch::update::client::{Client, ClientError, PATIENCE};
use facelatch::update::upload::Uploaded;
use sha2::{Digest, Sha256};

use crate::line::Faults;
use crate::lock::MemoryLock;
use crate::{Notes, key, package, upload};

fn flash(lock: &mut MemoryLock, bytes: &[u8], faults: Faults) -> (Result<Uploaded, ClientError>, u64) {
    let key = key();
    let mut line = lock.line(1, faults, 921_600);
    let result = Client::connect(&mut line, 921_600, PATIENCE)
        .and_then(|mut client| upload(bytes, &key).run(&mut client, &mut Notes::default()));
    (result, line.carried)
}

#[test]
fn a_cable_that_is_pulled_after_any_byte_costs_nothing_but_the_time() {
    let bytes = package(5_000, 11);
    let new: [u8; 32] = Sha256::digest(&bytes).into();
    let lock = || MemoryLock::new(Some(key().public()));
    let (uploaded, total) = flash(&mut lock(), &bytes, Faults::default());
    assert!(matches!(uploaded, Ok(Uploaded::Confirmed { .. })), "{uploaded:?}");
    for at in 0..total {
        let mut lock = lock();
        let (pulled, _) = flash(&mut lock, &bytes, Faults { pulled_after: Some(at), ..Faults::default() });
        assert!(pulled.is_err(), "pulled after byte {at} of {total}, but: {pulled:?}");
        assert!(
            lock.active == [0; 32] || lock.active == new,
            "pulled after byte {at}: wrong bytes are active"
        );
        let (again, _) = flash(&mut lock, &bytes, Faults::default());
        assert!(again.is_ok(), "pulled after byte {at}, plugged in again: {again:?}");
        assert_eq!(lock.active, new, "pulled after byte {at}");
    }
    println!("{total} cables pulled, each after one more byte; every package arrived at the second attempt");
}
