//! Any bytes as the flash: an error or damage that is told, never a panic or a person who was not enrolled.

use super::{ALL_PAGES, PAGES, Random, blank, enrol, flash_after, flash_of, gallery, key, parts, template};
use facelatch::flash::sim::ERASE_SIZE;
use facelatch::flash::{AuditLog, Event, Map, Moment, Partitions, SimFlash, Slots};
use facelatch::gallery::{CropStore, Gallery};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const PEOPLE: u8 = 4;

/// More in a nightly run: `FACELATCH_IMAGES=100000`.
fn images() -> u32 {
    std::env::var("FACELATCH_IMAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(2_000)
}

fn inhabited() -> SimFlash {
    let mut gallery = gallery(blank(), 1).expect("loads");
    for seed in 0..PEOPLE {
        enrol(&mut gallery, "Anna", seed).expect("enrolled");
    }
    flash_after(gallery)
}

fn package() -> Vec<u8> {
    (0..9_000_u32).map(|at| (at * 7 / 5) as u8).collect()
}

/// A flash in which every part is used.
static USED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let parts = parts(inhabited());
    let mut log = AuditLog::open(parts.audit.clone(), 0..parts.audit.size()).expect("opens");
    (0..700).for_each(|uptime_ms| {
        log.push(Moment { uptime_ms, unix_ms: None }, Event::Opened.of(1)).expect("logged");
    });
    let mut slots = Slots::open(&parts).expect("opens");
    let hash = Sha256::digest(package());
    slots.begin(9_000, std::array::from_fn(|at| hash[at])).expect("announced");
    slots.write(0, &package()).expect("stored");
    let image = slots.finish(7).expect("whole");
    slots.try_out(image).expect("on trial");
    slots.confirm().expect("confirmed");
    flash_of(&parts.audit).image().to_vec()
});

/// Asks everything that can be asked of a flash, and changes what can be changed.
fn survive(image: Vec<u8>) -> Result<(), TestCaseError> {
    let parts = parts(SimFlash::from_image(image));
    survive_gallery(&parts)?;
    if let Ok(mut log) = AuditLog::open(parts.audit.clone(), 0..parts.audit.size()) {
        let _whole_or_gaps = log.entries();
        let _first = log.page(0);
        (0..3).for_each(|_| drop(log.push(Moment::default(), Event::Started)));
        let _again = log.entries();
    }
    let Ok(mut slots) = Slots::open(&parts) else { return Ok(()) };
    if let Some(Ok(read)) = slots.record().active.map(|image| slots.read(&image)) {
        prop_assert_eq!(read, package());
    }
    let _any_start = slots.start();
    if slots.begin(5_000, [7; 32]).is_ok() {
        let _stored = slots.write(0, &[1; 5_000]);
        prop_assert!(slots.finish(9).is_err(), "the hash is wrong");
    }
    Ok(())
}

fn survive_gallery(parts: &Partitions<SimFlash>) -> Result<(), TestCaseError> {
    let Ok(map) = Map::new(parts.gallery.clone(), 0..parts.gallery.size()) else { return Ok(()) };
    let Ok(mut gallery) = Gallery::load(map, CropStore::new(parts.crops.clone()), key(1), 100) else {
        return Ok(());
    };
    for id in gallery.people().iter().map(|person| person.id).collect::<Vec<_>>() {
        prop_assert!((1..=u32::from(PEOPLE)).contains(&id), "nobody has the number {}", id);
        let person = gallery.person(id).expect("just listed");
        prop_assert_eq!(&*person.name, "Anna");
        prop_assert_eq!(&person.templates[0], &template(id as u8 - 1));
        if let Ok(crops) = gallery.crops(id) {
            prop_assert!(crops.len() <= 1, "{} pictures of {}", crops.len(), id);
        }
    }
    let _done_or_refused =
        (enrol(&mut gallery, "New", 9), gallery.delete(1), gallery.enrol_again(2, &[template(3)], &[]));
    Ok(())
}

/// Some of what can befall a used flash.
fn damage(image: &mut [u8], random: &mut Random) {
    let used: Vec<usize> = (0..ALL_PAGES).filter(|page| image[page * ERASE_SIZE] != 0xFF).collect();
    let mut page = || match random.below(5) {
        0 => random.below(ALL_PAGES as u64) as usize,
        _ => used[random.below(used.len() as u64) as usize],
    };
    let (from, to) = (page() * ERASE_SIZE, page() * ERASE_SIZE);
    let kind = random.below(5);
    let start = random.below(ERASE_SIZE as u64) as usize;
    match kind {
        0 => (0..1 + random.below(40)).for_each(|_| {
            image[from + random.below(ERASE_SIZE as u64) as usize] ^= 1 << random.below(8);
        }),
        1 => image[from + start..from + ERASE_SIZE].fill(if random.below(2) == 0 { 0xFF } else { 0x00 }),
        2 => image[from..from + start].fill(if random.below(2) == 0 { 0xFF } else { 0x00 }),
        3 => (0..ERASE_SIZE).for_each(|at| image.swap(from + at, to + at)),
        _ => image.copy_within(from..from + ERASE_SIZE, to),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: images(), failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_images_hold_nobody(seed in any::<u64>(), density in 0_u64..=8) {
        let mut random = Random::new(seed);
        let mut image = vec![0xFF; ALL_PAGES * ERASE_SIZE];
        for byte in &mut image {
            if random.below(8) < density {
                *byte = random.next() as u8;
            }
        }
        let found = gallery(SimFlash::from_image(image.clone()), 1).map_or(0, |gallery| gallery.people().len());
        prop_assert_eq!(found, 0);
        survive(image)?;
    }

    #[test]
    fn damaged_images_hold_nobody_else(seed in any::<u64>(), wounds in 1..8) {
        let (mut random, mut image) = (Random::new(seed), USED.clone());
        (0..wounds).for_each(|_| damage(&mut image, &mut random));
        survive(image)?;
    }
}

#[test]
fn a_used_image_that_is_not_damaged_holds_everybody() {
    let gallery = gallery(SimFlash::from_image(USED.clone()), 1).expect("loads");
    assert_eq!(gallery.people().len(), usize::from(PEOPLE));
    survive(USED.clone()).expect("everything works");
}

#[test]
fn a_worn_page_ends_writing_and_the_gallery_keeps_deciding_from_memory() {
    let mut flash = inhabited();
    (0..PAGES).for_each(|page| flash.wear_out(page));
    let mut gallery = gallery(flash, 1).expect("it can be read");
    assert!(enrol(&mut gallery, "Ben", 9).is_err());
    assert_eq!(gallery.people().len(), 4);
    assert_eq!(gallery.nearest(&template(0)).map(|found| (found.person, found.distance)), Some((1, 0.0)));
}
