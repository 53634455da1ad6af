//! The cable is pulled after every byte of an update, and plugged in again later.

use std::collections::VecDeque;
use std::time::Duration;

use facelatch::update::client::{Client, ClientError, PATIENCE, PortFault, Wire};
use facelatch::update::link::Link;
use facelatch::update::upload::Uploaded;
use sha2::{Digest, Sha256};

use crate::line::TestLock;
use crate::lock::MemoryLock;
use crate::{Notes, key, package, upload};

const BAUD: u32 = 115_200;

/// A line without faults that ends after so many bytes, of both directions together.
struct Cable<'a> {
    lock: &'a mut MemoryLock,
    link: Link,
    now: Duration,
    bytes_left: u64,
    carried: u64,
    to_host: VecDeque<u8>,
    dice: u32,
}

impl<'a> Cable<'a> {
    fn new(lock: &'a mut MemoryLock, bytes_left: u64, dice: u32) -> Self {
        let (now, to_host) = (Duration::ZERO, VecDeque::new());
        Self { lock, link: Link::new(BAUD), now, bytes_left, carried: 0, to_host, dice }
    }

    /// As many of the bytes as the cable still carries.
    fn carry<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let count = bytes.len().min(usize::try_from(self.bytes_left).unwrap_or(usize::MAX));
        self.bytes_left -= count as u64;
        self.carried += count as u64;
        &bytes[..count]
    }

    fn lock_acts(&mut self) {
        self.lock.tick(self.now);
        if self.lock.wants_restart() {
            self.link = Link::new(BAUD);
            self.lock.restart(self.now);
        }
        while self.link.poll(self.now, self.lock) {}
        let output = self.link.output();
        let arrived = self.carry(&output).to_vec();
        self.to_host.extend(arrived);
    }
}

impl Wire for Cable<'_> {
    fn now(&mut self) -> Duration {
        self.now
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), PortFault> {
        let arrived = self.carry(bytes);
        self.link.receive(arrived, self.now, self.lock);
        self.lock_acts();
        Ok(())
    }

    fn receive(&mut self, bytes: &mut [u8], until: Duration) -> Result<usize, PortFault> {
        self.lock_acts();
        if self.to_host.is_empty() {
            self.now = until.min(self.now + Duration::from_millis(100));
        }
        let len = bytes.len().min(self.to_host.len());
        bytes.iter_mut().zip(self.to_host.drain(..len)).for_each(|(to, from)| *to = from);
        Ok(len)
    }

    fn set_baud(&mut self, _: u32) -> Result<(), PortFault> {
        Ok(())
    }

    fn random(&mut self) -> u32 {
        self.dice = self.dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.dice
    }
}

fn flash(
    lock: &mut MemoryLock,
    bytes: &[u8],
    bytes_left: u64,
    dice: u32,
) -> (Result<Uploaded, ClientError>, u64) {
    let key = key();
    let mut cable = Cable::new(lock, bytes_left, dice);
    let result = Client::connect(&mut cable, BAUD, PATIENCE)
        .and_then(|mut client| upload(bytes, &key).run(&mut client, &mut Notes::default()));
    (result, cable.carried)
}

#[test]
fn a_cable_that_is_pulled_after_any_byte_costs_nothing_but_the_time() {
    let bytes = package(5_000, 11);
    let new: [u8; 32] = Sha256::digest(&bytes).into();
    let lock = || MemoryLock::new(Some(key().public()));
    let (uploaded, total) = flash(&mut lock(), &bytes, u64::MAX, 1);
    assert!(matches!(uploaded, Ok(Uploaded::Confirmed { .. })), "{uploaded:?}");
    for at in 0..total {
        let mut lock = lock();
        let (pulled, _) = flash(&mut lock, &bytes, at, 1);
        assert!(pulled.is_err(), "pulled after byte {at} of {total}, but: {pulled:?}");
        assert!(
            lock.active == [0; 32] || lock.active == new,
            "pulled after byte {at}: wrong bytes are active"
        );
        let (again, _) = flash(&mut lock, &bytes, u64::MAX, 2);
        assert!(again.is_ok(), "pulled after byte {at}, plugged in again: {again:?}");
        assert_eq!(lock.active, new, "pulled after byte {at}");
    }
    println!("{total} cables pulled, each after one more byte; every package arrived at the second attempt");
}
