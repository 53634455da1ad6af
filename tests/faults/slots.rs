//! Model slots: cut at every byte of a transfer, of a trial and of its end.

use super::{blank, flash_of, parts};
use facelatch::flash::sim::ERASE_SIZE;
use facelatch::flash::{BootRecord, Hash, SimFlash, Slot, SlotError, Slots, Start};
use sha2::{Digest, Sha256};

const PIECE: usize = 900;

fn package(seed: u8, len: usize) -> (Vec<u8>, Hash) {
    let bytes: Vec<u8> = (0..len).map(|i| (i * 31 + i / 251) as u8 ^ seed).collect();
    let hash = Sha256::digest(&bytes);
    let hash = std::array::from_fn(|i| hash[i]);
    (bytes, hash)
}

fn slots(flash: SimFlash) -> Slots<SimFlash> {
    Slots::open(&parts(flash)).expect("opens")
}

/// Runs `operation` on the slots of `flash`; gives the flash back.
fn with(flash: SimFlash, operation: impl FnOnce(&mut Slots<SimFlash>)) -> SimFlash {
    let parts = parts(flash);
    operation(&mut Slots::open(&parts).expect("opens"));
    flash_of(&parts.boot)
}

/// Sends a package from where it stands to its end, and puts it on trial.
fn install(slots: &mut Slots<SimFlash>, version: u32, seed: u8, len: usize) -> Result<u32, SlotError> {
    let (bytes, hash) = package(seed, len);
    let resumed = slots.begin(len as u32, hash)?;
    let mut at = resumed as usize;
    while at < len {
        let end = (at + PIECE).min(len);
        slots.write(at as u32, &bytes[at..end])?;
        at = end;
    }
    let image = slots.finish(version)?;
    slots.try_out(image)?;
    Ok(resumed)
}

fn confirmed(flash: SimFlash, version: u32, seed: u8, len: usize) -> SimFlash {
    with(flash, |slots| {
        install(slots, version, seed, len).expect("installed");
        slots.start().expect("starts");
        slots.confirm().expect("confirmed");
    })
}

#[test]
fn a_package_is_tried_confirmed_and_replaced_in_the_other_slot() {
    let flash = confirmed(blank(), 3, 1, 10_000);
    let mut first = slots(flash.clone());
    let Start::Active(image) = first.start().expect("starts") else { panic!("{:?}", first.record()) };
    assert_eq!((image.slot, image.version, first.record().floor), (Slot::A, 3, 3));
    assert_eq!(first.read(&image).expect("read"), package(1, 10_000).0);
    let flash = confirmed(flash, 4, 2, 9_000);
    let Start::Active(image) = slots(flash).start().expect("starts") else { panic!("not active") };
    assert_eq!((image.slot, image.version), (Slot::B, 4));
}

#[test]
fn a_package_that_is_never_confirmed_is_rolled_back_at_the_fourth_start() {
    let mut flash = confirmed(blank(), 3, 1, 5_000);
    flash = with(flash, |slots| assert_eq!(install(slots, 4, 2, 5_000).expect("installed"), 0));
    for starts in 1..=3 {
        flash = with(flash, |slots| {
            let start = slots.start().expect("starts");
            assert!(matches!(start, Start::Trial(trial) if trial.starts == starts), "{start:?}");
            let busy = slots.begin(100, [0; 32]);
            assert!(matches!(busy, Err(SlotError::OnTrial { version: 4 })), "{busy:?}");
        });
    }
    let mut slots = slots(flash);
    let Start::RolledBack { failed, active: Some(active) } = slots.start().expect("starts") else {
        panic!("{:?}", slots.record())
    };
    assert_eq!((failed.version, active.version, slots.record().trial), (4, 3, None));
    assert!(matches!(slots.start().expect("starts"), Start::Active(image) if image == active));
}

#[test]
fn what_is_older_too_long_incomplete_or_altered_never_goes_on_trial() {
    let mut slots = slots(confirmed(blank(), 3, 1, 5_000));
    let older = install(&mut slots, 2, 2, 5_000);
    assert!(matches!(older, Err(SlotError::Older { version: 2, floor: 3 })), "{older:?}");
    let long = slots.begin(slots.capacity() + 1, [0; 32]);
    assert!(matches!(long, Err(SlotError::TooLong { .. })), "{long:?}");
    let (bytes, hash) = package(7, 5_000);
    slots.begin(5_000, hash).expect("announced");
    assert!(matches!(slots.write(100, &bytes), Err(SlotError::Gap { offset: 100, expected: 0 })));
    assert!(matches!(slots.write(0, &[0; 5_001]), Err(SlotError::Beyond { len: 5_000 })));
    assert_eq!(slots.write(0, &bytes[..4_500]).expect("taken"), 4_096);
    let incomplete = slots.finish(9);
    assert!(
        matches!(incomplete, Err(SlotError::Incomplete { durable: 4_096, len: 5_000 })),
        "{incomplete:?}"
    );
    assert_eq!(slots.write(4_000, &[0xAA; 1_000]).expect("repeated bytes are passed over"), 5_000);
    assert!(matches!(slots.finish(9), Err(SlotError::Mismatch { .. })), "the end is not what was announced");
    assert_eq!(slots.record().trial, None);
    assert_eq!(slots.begin(5_000, hash).expect("from the beginning"), 0);
}

#[test]
fn a_slot_that_is_damaged_after_its_confirmation_is_not_read() {
    let mut flash = confirmed(blank(), 3, 1, 5_000);
    flash.flip(19 * ERASE_SIZE + 77, 3);
    let mut slots = slots(flash);
    let active = slots.record().active.expect("active");
    assert!(matches!(slots.read(&active), Err(SlotError::Mismatch { slot: Slot::A })));
}

#[test]
fn a_transfer_cut_at_any_byte_goes_on_and_never_harms_what_is_in_use() {
    const LEN: usize = 10_000;
    let start = confirmed(blank(), 3, 1, 5_000);
    let active = slots(start.clone()).record().active.expect("active");
    let send = |flash| {
        with(flash, |slots| {
            let _cut_or_done = install(slots, 4, 2, LEN);
        })
    };
    let changed = send(start.clone()).traffic().changed_bytes - start.traffic().changed_bytes;
    let mut resumed = 0;
    for cut in 1..=changed {
        let mut flash = start.clone();
        flash.cut_after(cut);
        let mut flash = send(flash);
        flash.power_up();
        let mut slots = slots(flash);
        assert_eq!(slots.record().active, Some(active), "cut {cut} of {changed}");
        assert_eq!(slots.read(&active).expect("whole"), package(1, 5_000).0);
        if slots.record().trial.is_none() {
            resumed += u64::from(install(&mut slots, 4, 2, LEN).expect("installed") > 0);
        }
        let Start::Trial(trial) = slots.start().expect("starts") else { panic!("cut {cut}: no trial") };
        assert_eq!(slots.read(&trial.image).expect("whole"), package(2, LEN).0);
    }
    println!("slot: {changed} cuts, none failed; {resumed} transfers went on where they were");
    assert!(changed > 20_000 && resumed > 4_000, "{changed} cuts, {resumed} resumed");
}

#[test]
fn a_cut_at_any_byte_of_a_start_a_confirmation_or_a_roll_back_leaves_it_done_or_undone() {
    let mut flash = confirmed(blank(), 3, 1, 2_000);
    flash = with(flash, |slots| {
        install(slots, 4, 2, 2_000).expect("installed");
    });
    let mut cuts = 0;
    // The boot record is written often enough for its part to be erased on the way.
    for round in 0..100 {
        for operation in [
            |slots: &mut Slots<SimFlash>| slots.start().map(drop),
            |slots: &mut Slots<SimFlash>| slots.confirm().map(drop),
            |slots: &mut Slots<SimFlash>| slots.roll_back().map(drop),
        ] {
            cuts += cut_record(&flash, operation, round % 10 == 0);
        }
        flash = with(flash, |slots| {
            let _counted_or_rolled_back = slots.start().expect("starts");
            if slots.record().trial.is_none() {
                install(slots, 4, 2, 2_000).expect("installed again");
            }
        });
    }
    println!("boot record: {cuts} cuts, none failed");
    assert!(cuts > 3_000, "{cuts} cuts");
}

/// Cuts one change of the boot record at every byte, or only counts an erase when `all` is not set.
fn cut_record(
    start: &SimFlash,
    operation: impl Fn(&mut Slots<SimFlash>) -> Result<(), SlotError>,
    all: bool,
) -> u64 {
    let record = |flash: SimFlash| -> BootRecord { *slots(flash).record() };
    let run = |flash| {
        with(flash, |slots| {
            let _cut_or_done = operation(slots);
        })
    };
    let done = run(start.clone());
    let allowed = [record(start.clone()), record(done.clone())];
    let erased = done.traffic().erases > start.traffic().erases;
    let changed = done.traffic().changed_bytes - start.traffic().changed_bytes;
    if !all && !erased {
        return 0;
    }
    for cut in 1..=changed {
        let mut flash = start.clone();
        flash.cut_after(cut);
        let mut flash = run(flash);
        flash.power_up();
        let found = record(flash);
        assert!(allowed.contains(&found), "cut {cut} of {changed}: {found:?}");
    }
    changed
}
